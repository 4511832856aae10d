// What the interpreter's files share: one run of one unit. Internal to the room.
#pragma once
#include "base/check.hpp"
#include "ir/interpreter.hpp"
#include "ir/operands.hpp"
#include "softfloat/env.hpp"
#include <bit>
#include <cstring>

namespace mimic::ir {

constexpr bool in_arena(Type t) { return t == Type::v256 || t == Type::v512 || t == Type::vs || t == Type::mask; }

// Ones in the bits of an integer type of at most 64 bits; all ones for the others.
constexpr u64 mask_of(Type t) {
    constexpr u64 table[] = {~u64{0}, 1,          0xff,    0xffff,  0xffffffff, ~u64{0}, ~u64{0},
                             0xffff,  0xffffffff, ~u64{0}, ~u64{0}, ~u64{0},    ~u64{0}, ~u64{0},
                             ~u64{0}, ~u64{0},    ~u64{0}, ~u64{0}, 0xffffffff};
    return table[u8(t)];
}
constexpr u32 width_of(Type t) {
    constexpr u8 table[] = {64, 1, 8, 16, 32, 64, 128, 16, 32, 64, 128, 128, 64, 128, 0, 0, 0, 0, 32};
    return table[u8(t)];
}
constexpr i64 signed_of(u64 v, Type t) {
    u32 unused = 64 - width_of(t);
    return i64(v << unused) >> unused;
}

// Bytes that a value takes in guest memory: f80 has 10, a mask one bit for each byte of the model's vector.
constexpr u32 memory_bytes(Type t, u32 vector_bytes) {
    if (t == Type::f80) return 10;
    if (t == Type::mask) return (vector_bytes + 7) / 8;
    return size_of(t, vector_bytes);
}

struct Run {
    const Unit& unit;
    const GuestState& guest;
    CpuHeader& cpu;
    Access* memory; // null: the unit has no access to it
    Place* frame;
    std::vector<u8>& arena;
    std::vector<u8>& args;
    u32 arena_top = 0;
    u64 pc = 0;           // of the current guest instruction
    u32 insn_mode = none; // its mode bits; none: unknown
    u32 guest_insns = 0;  // begun
    Wide results[16];
    // The guest's FP rules with the mode of cpu.fp (cpu.fp80) applied; built when first needed and when the mode changes.
    struct Fp {
        softfloat::Env env;
        u32 mode = 0;
        bool built = false;
    };
    Fp fp, fp80;

    void go(BlockId from);

    u64 value(ValueId v) const { return frame[v].w[0]; }
    u128 value128(ValueId v) const { return u128(frame[v].w[1]) << 64 | frame[v].w[0]; }
    Type type_of(ValueId v) const { return result_type(unit.code[v]); }
    u32 bytes_of(Type t) const { return size_of(t, unit.vector_bytes); }
    static void set128(Place& p, u128 v) { p = {{u64(v), u64(v >> 64)}}; }

    // Where the bytes of a value are, whatever its type. Valid until the next result().
    const u8* bytes(ValueId v) const {
        const u8* place = reinterpret_cast<const u8*>(&frame[v]);
        return in_arena(type_of(v)) ? arena.data() + frame[v].w[0] : place;
    }
    // Where the result of type t goes, cleared; call it before bytes().
    u8* result(Place& place, Type t) {
        place = {};
        if (!in_arena(t)) return reinterpret_cast<u8*>(&place);
        place.w[0] = arena_top;
        arena_top += 256;
        if (arena.size() < arena_top) arena.resize(arena_top * 2);
        return static_cast<u8*>(std::memset(arena.data() + place.w[0], 0, 256));
    }

    // interpreter_int.cpp
    void int128(const Inst& i, Place& out);
    u64 divide(const Inst& i) const;
    u64 bits(const Inst& i) const;
    u32 flags(const Inst& i) const;
    void convert(const Inst& i, Place& out);
    void constant(const Inst& i, Place& out);
    // interpreter_memory.cpp; false: leave with a fault
    u8* slot(const Inst& i) const;
    void get(const Inst& i, const u8* from, Place& out);
    void put(Type t, ValueId v, u8* to) const;
    bool access(const Inst& i, Place& out);
    // false: leave, the body has said why
    bool call(const Inst& i, Place& out);
    // interpreter_fp.cpp
    void scalar_fp(const Inst& i, Place& out);
    void fp_state(const Inst& i, Place& out);
    void box(const Inst& i, Place& out);
    softfloat::Env& environment(bool f80, FpArg arg);
    void keep_flags(const softfloat::Env& env, FpEnv& state) { state.flags |= env.flags & guest.fp_flags; }
    // interpreter_vector.cpp, interpreter_vector_fp.cpp
    void vector(const Inst& i, Place& out);
    void vector_fp(const Inst& i, Place& out);
    void lanes(const Inst& i, Place& out);
    // interpreter_crypto.cpp
    void crypto(const Inst& i, Place& out);
    void moves(const Inst& i, Place& out);
    void masks(const Inst& i, Place& out);
    void pass_arguments(const Inst& i);
    void argument(const Inst& i, Place& out);

private:
    bool misaligned(u64 address, u32 bytes, const MemArg& m, bool write);
    bool load(const Inst& i, u64 address, const MemArg& m, Place& out);
    bool store(const Inst& i, u64 address, const MemArg& m);
    bool rmw(const Inst& i, u64 address, const MemArg& m, Place& out);
    bool cas(const Inst& i, u64 address, const MemArg& m, Place& out);
    bool load_lanes(const Inst& i, u64 address, const MemArg& m, Place& out);
    bool store_lanes(const Inst& i, u64 address, const MemArg& m);
    bool gather(const Inst& i, const MemArg& m, Place& out);
    bool scatter(const Inst& i, const MemArg& m);
    u64 lane_address(const Inst& i, const u8* offsets, u32 lane) const;
    bool load_lane(u64 address, const MemArg& m, u32 lane_size, u8* out);
    bool store_lane(u64 address, const MemArg& m, const u8* from);
};

// Is lane n (of lanes of `size` bytes) set in a mask?
inline bool mask_bit(const u8* mask, u32 n, u32 size) { return mask[n * size / 8] >> (n * size % 8) & 1; }
inline void set_mask_bit(u8* mask, u32 n, u32 size) { mask[n * size / 8] |= u8(1u << (n * size % 8)); }

constexpr bool holds(Rel rel, u64 a, u64 b, Type t) {
    switch (rel) {
    case Rel::eq: return a == b;
    case Rel::ne: return a != b;
    case Rel::ult: return a < b;
    case Rel::ule: return a <= b;
    case Rel::ugt: return a > b;
    case Rel::uge: return a >= b;
    case Rel::slt: return signed_of(a, t) < signed_of(b, t);
    case Rel::sle: return signed_of(a, t) <= signed_of(b, t);
    case Rel::sgt: return signed_of(a, t) > signed_of(b, t);
    case Rel::sge: return signed_of(a, t) >= signed_of(b, t);
    }
    return false;
}

constexpr bool holds(Cond c, u32 flags, bool inverted) {
    if (inverted) flags ^= flag::c;
    bool carry = flags & flag::c, z = flags & flag::z, n = flags & flag::n, v = flags & flag::v, p = flags & flag::p;
    switch (c) {
    case Cond::z: return z;
    case Cond::nz: return !z;
    case Cond::c: return carry;
    case Cond::nc: return !carry;
    case Cond::n: return n;
    case Cond::nn: return !n;
    case Cond::v: return v;
    case Cond::nv: return !v;
    case Cond::p: return p;
    case Cond::np: return !p;
    case Cond::ugt: return !carry && !z;
    case Cond::ule: return carry || z;
    case Cond::sge: return n == v;
    case Cond::slt: return n != v;
    case Cond::sgt: return !z && n == v;
    case Cond::sle: return z || n != v;
    }
    return false;
}

} // namespace mimic::ir
