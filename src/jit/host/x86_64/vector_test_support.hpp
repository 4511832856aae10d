// Units of vector and FP operations that run by the JIT, with as much of the host as each level of x86-64 has, and by the
// interpreter, under the rules of several guests.
#pragma once
#include "base/check.hpp"
#include "ir/operands.hpp"
#include "ir/random.hpp"
#include "ir/test_support.hpp"
#include "ir/text.hpp"
#include "ir/verify.hpp"
#include "ir/verify_types.hpp"
#include "jit/code_cache.hpp"
#include "jit/host/host.hpp"
#include <array>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

namespace mimic::jit {
namespace {

using ir::Inst;
using ir::Lane;
using ir::Op;
using ir::Slot;
using ir::SlotClass;
using ir::Type;

// v0 to v29 in registers, as far as the host has them; the others in memory; then what takes scalars. `with_scalars` has d0
// to d3, too, in registers.
constexpr u32 vectors = 34, in_memory = 30, pinned_doubles = 4;
constexpr std::string_view names[vectors] = {"v0",  "v1",  "v2",  "v3",  "v4",  "v5",  "v6",  "v7",  "v8",
                                             "v9",  "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17",
                                             "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26",
                                             "v27", "v28", "v29", "v30", "v31", "v32", "v33"};
constexpr auto make_slots() {
    std::array<Slot, vectors + 8 + pinned_doubles> s{};
    for (u32 n = 0; n < vectors; ++n)
        s[n] = {names[n], u16(16 * n), Type::v128, SlotClass::vec, u8(n < in_memory ? 90 - n : 0)};
    const u32 at = 16 * vectors;
    s[vectors] = {"x0", u16(at), Type::i64, SlotClass::gpr, 9};
    s[vectors + 1] = {"x1", u16(at + 8), Type::i64, SlotClass::gpr, 9};
    s[vectors + 2] = {"x2", u16(at + 16), Type::i64};
    s[vectors + 3] = {"i8", u16(at + 24), Type::i8};
    s[vectors + 4] = {"i16", u16(at + 26), Type::i16};
    s[vectors + 5] = {"i32", u16(at + 28), Type::i32};
    s[vectors + 6] = {"f64", u16(at + 32), Type::f64};
    s[vectors + 7] = {"count", u16(at + 40), Type::i64, SlotClass::sys};
    constexpr std::string_view doubles[pinned_doubles] = {"d0", "d1", "d2", "d3"};
    for (u32 n = 0; n < pinned_doubles; ++n)
        s[vectors + 8 + n] = {doubles[n], u16(at + 48 + 8 * n), Type::f64, SlotClass::fp, 95};
    return s;
}
constexpr auto with_scalars = make_slots();
constexpr std::span slots(with_scalars.data(), vectors + 8);
constexpr u32 state_bytes = 16 * vectors + 48, counter = vectors + 7;

constexpr u32 flags = 0x1f | ir::fpflag::saturated;
constexpr ir::GuestState arm{"arm-rules", slots, state_bytes, &softfloat::env::aarch64, nullptr, flags};
// Its operations flush to zero, as all of its units are made for.
constexpr ir::GuestState flushing{
    "flushing", slots, state_bytes, &softfloat::env::aarch64, nullptr, flags | softfloat::flag::denormal_flushed, 0, 1};
constexpr ir::GuestState canonical{"riscv-rules", slots, state_bytes, &softfloat::env::riscv, nullptr, flags};
constexpr ir::GuestState intel{"x86-rules", slots, state_bytes, &softfloat::env::x86_sse, nullptr, flags};

class Engines {
public:
    Engines(const ir::GuestState& guest, u32 level)
        : guest_(guest)
        , backend_(*make_backend(guest, 4, level))
        , cache_(*CodeCache::create(1 << 20)) {
        u64 bytes = ir::slots_offset + guest.bytes + backend_->host_area();
        for (auto* state : {&jit_, &oracle_}) *state = new (std::align_val_t{64}) u8[bytes]();
        cpu(jit_) = {}, cpu(oracle_) = {};
        u8* code = cache_.code();
        MIMIC_CHECK(backend_->emit_shared(code, cache_.writable(code), u32(CodeCache::head_bytes)), "no room");
        backend_->init(&cpu(jit_));
    }
    ~Engines() {
        for (u8* state : {jit_, oracle_}) ::operator delete[](state, std::align_val_t{64});
    }

    // Translates; false when the back end refuses.
    bool translate(ir::Unit unit) {
        unit.key.mode = guest_.fp_by_body;
        emitted_.text = &text_;
        analysis_.run(unit, guest_, backend_->plan());
        u64 room = 0;
        code_ = *cache_.room(room);
        if (!emit(unit, room)) {
            if (!emitted_.no_room) return false;
            if (!cache_.next_region()) return false;
            code_ = *cache_.room(room);
            if (!emit(unit, room)) return false;
        }
        cache_.commit(emitted_.bytes);
        for (u32 n = 0; n < emitted_.edges.size(); ++n) cache_.links()[n] = u64(code_ + emitted_.edges[n].stub);
        return true;
    }
    // Runs both from the state that random_state makes; what differs.
    std::string difference(const ir::Unit& unit, const ir::RandomOptions& seed, ir::FpEnv fp) {
        if (guest_.fp_by_body) fp.mode |= ir::fpmode::flush_inputs | ir::fpmode::flush_outputs;
        random_state(guest_, seed, cpu(oracle_));
        std::memcpy(jit_ + ir::slots_offset, oracle_ + ir::slots_offset, guest_.bytes);
        for (u8* state : {jit_, oracle_}) {
            cpu(state).fp = fp;
            cpu(state).poll = 0;
        }
        interpreter_.run(unit, guest_, cpu(oracle_), memory_);
        backend_->enter(&cpu(jit_), code_ + emitted_.entries.front().offset);
        std::string out;
        for (u32 n = 0; n < guest_.bytes; n += 8)
            if (word(jit_, n) != word(oracle_, n))
                out += "at " + std::to_string(n) + ": " + hex(word(oracle_, n)) + ", JIT " + hex(word(jit_, n)) + "\n";
        if (cpu(jit_).exit_kind != cpu(oracle_).exit_kind)
            out += "exit " + std::to_string(u32(cpu(oracle_).exit_kind)) + ", JIT " +
                   std::to_string(u32(cpu(jit_).exit_kind)) + "\n";
        if (cpu(jit_).fp.flags != cpu(oracle_).fp.flags)
            out += "flags " + hex(cpu(oracle_).fp.flags) + ", JIT " + hex(cpu(jit_).fp.flags) + "\n";
        return out;
    }
    std::string text() const { return text_; }
    Op refused() const { return emitted_.refused; }

private:
    static ir::CpuHeader& cpu(u8* state) { return *reinterpret_cast<ir::CpuHeader*>(state); }
    static u64 word(const u8* state, u32 at) {
        u64 w;
        std::memcpy(&w, state + ir::slots_offset + at, 8);
        return w;
    }
    static std::string hex(u64 v) {
        char text[20];
        std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(v));
        return text;
    }
    bool emit(const ir::Unit& unit, u64 room) {
        return backend_->emit(unit, analysis_, AddressModel::direct, code_, cache_.writable(code_), room,
                              cache_.links(), emitted_);
    }

    const ir::GuestState& guest_;
    std::unique_ptr<Backend> backend_;
    CodeCache cache_;
    Analysis analysis_;
    Emitted emitted_;
    std::string text_;
    ir::Interpreter interpreter_;
    ir::test::FlatMemory memory_;
    u8 *jit_ = nullptr, *oracle_ = nullptr, *code_ = nullptr;
};

// ---- one operation

class OneOperation {
public:
    explicit OneOperation(u64 seed) : random_(seed) {}

    // Operands from registers, memory or the result's own slot, then the operation, then its result to a slot.
    ir::Unit unit(Inst i, Type a, Type b, Type c) {
        ir::Unit u;
        u.vector_bytes = 16;
        u.pc = u.guest_low = 0x1000;
        u.guest_high = 0x1004;
        u.code.push_back({.op = Op::insn, .sub = 4, .c = 0, .imm = 0x1000});
        const u32 target = vector_slot();
        const Type types[3] = {a, b, c};
        ir::ValueId values[3] = {ir::none, ir::none, ir::none};
        for (u32 k = 0; k < 3; ++k) {
            if (types[k] == Type::none) continue;
            values[k] =
                k > 0 && types[k] == types[k - 1] && below(4) == 0 ? values[k - 1] : operand(u, types[k], target);
        }
        i.a = values[0], i.b = values[1], i.c = values[2];
        if (i.op == Op::vshuffle) {
            i.imm = u.wide.size();
            for (u32 k = 0; k < 2; ++k) {
                u.wide.push_back(0);
                for (u32 n = 0; n < 8; ++n)
                    u.wide.back() |= u64(below(8) ? below(ir::size_of(i.type) * 2) : 200) << 8 * n;
            }
        }
        u.code.push_back(i);
        const u32 result = u32(u.code.size() - 1);
        const Type t = ir::result_type(u.code[result]);
        const u32 slot = ir::is_vector(t) || ir::size_of(t) == 16 ? target
                         : t == Type::i8                          ? vectors + 3
                         : t == Type::i16 || t == Type::f16       ? vectors + 4
                         : t == Type::i32 || t == Type::f32       ? vectors + 5
                         : t == Type::i64                         ? vectors
                                                                  : vectors + 6;
        u.code.push_back({.op = Op::put, .type = t, .a = result, .imm = ir::SlotArg{ir::SlotId(slot)}.bits()});
        u.code.push_back({.op = Op::exit, .c = 0, .imm = 0x1004});
        u.blocks.push_back({.begin = 0, .end = u32(u.code.size()), .pc = 0x1000, .entry = true});
        return u;
    }

private:
    u32 below(u32 n) { return u32(random_() % n); }
    u32 vector_slot() { return below(3) ? below(8) : below(vectors); }
    ir::ValueId operand(ir::Unit& u, Type t, u32 target) {
        u32 slot = ir::is_int(t) && t != Type::i128 ? (t == Type::i64 ? vectors + below(3) : vectors + 2)
                   : below(4) == 0                  ? target
                                                    : vector_slot();
        u.code.push_back({.op = Op::get, .type = t, .imm = ir::SlotArg{ir::SlotId(slot)}.bits()});
        return u32(u.code.size() - 1);
    }
    std::mt19937_64 random_;
};

struct Level {
    const char* name;
    const ir::GuestState& guest;
    u32 level;
};
void PrintTo(const Level& l, std::ostream* out) { *out << l.name; }

const auto all_levels = testing::Values(Level{"arm_v2", arm, 2}, Level{"arm_v3", arm, 3}, Level{"arm_v4", arm, 4},
                                        Level{"flushing_v3", flushing, 3}, Level{"flushing_v4", flushing, 4},
                                        Level{"riscv_v2", canonical, 2}, Level{"riscv_v4", canonical, 4},
                                        Level{"x86_v3", intel, 3}, Level{"x86_v4", intel, 4});
[[maybe_unused]] std::string name_of(const testing::TestParamInfo<Level>& level) { return level.param.name; }

} // namespace
} // namespace mimic::jit
