// For tests of units, in this room and others: a guest with slots of every kind, and memory that is an array.
#pragma once
#include "ir/interpreter.hpp"
#include "softfloat/env.hpp"
#include <algorithm>
#include <cstring>
#include <vector>

namespace mimic::ir::test {

// x0..x7 i64, w0 w1 i32, flags, f0..f3 f64, v0..v3 v128, z0..z3 vs (256 bytes apart), k0 k1 mask, t0..t3 i64 and tv vs
// of class temp, and out_T for each type T, all at one place.
inline constexpr Slot slots[] = {
    {"x0", 0, Type::i64, SlotClass::gpr, 9},
    {"x1", 8, Type::i64, SlotClass::gpr, 9},
    {"x2", 16, Type::i64, SlotClass::gpr, 9},
    {"x3", 24, Type::i64, SlotClass::gpr, 9},
    {"x4", 32, Type::i64, SlotClass::gpr, 8},
    {"x5", 40, Type::i64, SlotClass::gpr, 8},
    {"x6", 48, Type::i64, SlotClass::gpr, 8},
    {"x7", 56, Type::i64},
    {"w0", 64, Type::i32, SlotClass::gpr, 5},
    {"w1", 68, Type::i32},
    {"flags", 72, Type::flags, SlotClass::flag, 9},
    {"carry", 76, Type::i8, SlotClass::flag},
    {"f0", 80, Type::f64, SlotClass::fp, 5},
    {"f1", 88, Type::f64, SlotClass::fp, 5},
    {"f2", 96, Type::f64, SlotClass::fp},
    {"f3", 104, Type::f64, SlotClass::fp},
    {"v0", 112, Type::v128, SlotClass::vec, 5},
    {"v1", 128, Type::v128, SlotClass::vec, 5},
    {"v2", 144, Type::v128, SlotClass::vec},
    {"v3", 160, Type::v128, SlotClass::vec},
    {"t0", 176, Type::i64, SlotClass::temp},
    {"t1", 184, Type::i64, SlotClass::temp},
    {"t2", 192, Type::i64, SlotClass::temp},
    {"t3", 200, Type::i64, SlotClass::temp},
    {"z0", 208, Type::vs, SlotClass::vec},
    {"z1", 464, Type::vs, SlotClass::vec},
    {"z2", 720, Type::vs, SlotClass::vec},
    {"z3", 976, Type::vs, SlotClass::vec},
    {"k0", 1232, Type::mask, SlotClass::vec},
    {"k1", 1264, Type::mask, SlotClass::vec},
    {"tv", 1296, Type::vs, SlotClass::temp},
    {"count", 1552, Type::i64, SlotClass::sys},
    {"out_i1", 1568, Type::i1},
    {"out_i8", 1568, Type::i8},
    {"out_i16", 1568, Type::i16},
    {"out_i32", 1568, Type::i32},
    {"out_i64", 1568, Type::i64},
    {"out_i128", 1568, Type::i128},
    {"out_f16", 1568, Type::f16},
    {"out_f32", 1568, Type::f32},
    {"out_f64", 1568, Type::f64},
    {"out_f80", 1568, Type::f80},
    {"out_f128", 1568, Type::f128},
    {"out_v64", 1568, Type::v64},
    {"out_v128", 1568, Type::v128},
    {"out_v256", 1568, Type::v256},
    {"out_v512", 1568, Type::v512},
    {"out_vs", 1568, Type::vs},
    {"out_mask", 1568, Type::mask},
    {"out_flags", 1568, Type::flags},
};
inline constexpr u32 state_bytes = 1568 + 256;
inline constexpr u32 all_fp_flags = 0x1f | softfloat::flag::denormal_flushed | fpflag::saturated;
inline constexpr GuestState aarch64{"aarch64-rules",          slots,   state_bytes,
                                    &softfloat::env::aarch64, nullptr, all_fp_flags};
inline constexpr GuestState riscv{"riscv-rules", slots, state_bytes, &softfloat::env::riscv, nullptr, all_fp_flags};
inline constexpr GuestState x86{"x86-rules",          slots,
                                state_bytes,          &softfloat::env::x86_sse,
                                &softfloat::env::x87, all_fp_flags | softfloat::flag::denormal_used};

// A vCPU's header and slots.
struct alignas(16) Cpu {
    CpuHeader header;
    u8 padding[slots_offset - sizeof(CpuHeader)] = {};
    u8 state[state_bytes] = {};
    u8* slot(SlotId n) { return state + slots[n].offset; }
};
static_assert(sizeof(CpuHeader) + sizeof(Cpu::padding) == slots_offset);

// Bytes at [base, base + size); every other address faults.
class FlatMemory : public Access {
public:
    explicit FlatMemory(u64 base = 0x1000, u32 size = 0x2000) : base_(base), bytes_(size) {}
    u8* at(u64 address) { return bytes_.data() + (address - base_); }
    std::vector<u8>& bytes() { return bytes_; }
    u64 base() const { return base_; }
    bool has(u64 address, u64 size) const {
        return address - base_ < bytes_.size() && size <= bytes_.size() - (address - base_);
    }

    bool load(CpuHeader& cpu, u64 address, void* out, u32 n, const MemArg&) override {
        if (!reaches(cpu, address, n, FaultKind::read)) return false;
        std::memcpy(out, at(address), n);
        return true;
    }
    bool store(CpuHeader& cpu, u64 address, const void* in, u32 n, const MemArg&) override {
        if (!reaches(cpu, address, n, FaultKind::write)) return false;
        std::memcpy(at(address), in, n);
        return true;
    }
    bool rmw(CpuHeader& cpu, u64 address, Rmw op, u64 operand, u64& old, u32 n, const MemArg& m) override {
        if (!reaches(cpu, address, n, FaultKind::write)) return false;
        old = read(address, n, m.big);
        u64 v = apply(op, old, operand, 64 - 8 * n);
        for (u32 k = 0; k < n; ++k) at(address)[m.big ? n - 1 - k : k] = u8(v >> 8 * k);
        return true;
    }
    bool cas(CpuHeader& cpu, u64 address, const void* expected, const void* desired, void* old, u32 n,
             const MemArg&) override {
        if (!reaches(cpu, address, n, FaultKind::write)) return false;
        std::memcpy(old, at(address), n);
        if (std::memcmp(old, expected, n) == 0) std::memcpy(at(address), desired, n);
        return true;
    }
    bool probe(CpuHeader& cpu, u64 address, u64 n, bool write) override {
        return reaches(cpu, address, n, write ? FaultKind::write : FaultKind::read);
    }
    void fence(u32, u32) override {}

private:
    // The first byte out of reach is the one that faults.
    bool reaches(CpuHeader& cpu, u64 address, u64 n, FaultKind kind) {
        if (has(address, n)) return true;
        bool starts_inside = address - base_ < bytes_.size();
        cpu.fault_address = starts_inside ? base_ + bytes_.size() : address;
        cpu.fault_kind = kind;
        return false;
    }
    u64 read(u64 address, u32 n, bool big) {
        u64 v = 0;
        for (u32 k = 0; k < n; ++k) v |= u64(at(address)[big ? n - 1 - k : k]) << 8 * k;
        return v;
    }
    static u64 apply(Rmw op, u64 a, u64 b, u32 unused) {
        i64 x = i64(a << unused), y = i64(b << unused);
        switch (op) {
        case Rmw::add: return a + b;
        case Rmw::sub: return a - b;
        case Rmw::and_: return a & b;
        case Rmw::or_: return a | b;
        case Rmw::xor_: return a ^ b;
        case Rmw::andn: return a & ~b;
        case Rmw::swap: return b;
        case Rmw::smin: return x < y ? a : b;
        case Rmw::smax: return x > y ? a : b;
        case Rmw::umin: return std::min(a, b);
        case Rmw::umax: return std::max(a, b);
        }
        return a;
    }

    u64 base_;
    std::vector<u8> bytes_;
};

} // namespace mimic::ir::test
