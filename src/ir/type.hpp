// Types of IR values. A value is a bag of bits of a known width; the class says which registers of a host hold it.
#pragma once
#include "base/types.hpp"
#include <string_view>

namespace mimic::ir {

enum class Type : u8 {
    none,
    i1,
    i8,
    i16,
    i32,
    i64,
    i128,
    f16,
    f32,
    f64,
    f80, // x87 extended: 10 significant bytes in 16
    f128,
    v64,
    v128,
    v256,
    v512,
    vs,    // model-sized vector: Unit::vector_bytes, at most 256 bytes (2048 bits)
    mask,  // one bit a byte lane of the widest vector: bit n*lane_bytes governs lane n; 32 bytes
    flags, // condition codes: see FlagBit
};

// Size in bytes of a value in a slot and in the interpreter's frame; `vector_bytes` is the CPU model's (for vs).
constexpr u32 size_of(Type t, u32 vector_bytes = 0) {
    switch (t) {
    case Type::none: return 0;
    case Type::i1:
    case Type::i8: return 1;
    case Type::i16:
    case Type::f16: return 2;
    case Type::i32:
    case Type::f32:
    case Type::flags: return 4;
    case Type::i64:
    case Type::f64:
    case Type::v64: return 8;
    case Type::i128:
    case Type::f80:
    case Type::f128:
    case Type::v128: return 16;
    case Type::v256:
    case Type::mask: return 32;
    case Type::v512: return 64;
    case Type::vs: return vector_bytes;
    }
    return 0;
}
constexpr bool is_int(Type t) { return t >= Type::i1 && t <= Type::i128; }
constexpr bool is_fp(Type t) { return t >= Type::f16 && t <= Type::f128; }
constexpr bool is_vector(Type t) { return t >= Type::v64 && t <= Type::vs; }
// Width in bits of an integer type.
constexpr u32 bits_of(Type t) { return t == Type::i1 ? 1 : size_of(t) * 8; }

std::string_view to_string(Type t);
// none when the name is unknown.
Type type_from(std::string_view name);

// A value of type flags holds condition codes in the bit positions of the x86 FLAGS register (Intel SDM vol. 1,
// 3.4.3): the most common host produces them so, and no other host cares. Guests name them N Z C V.
namespace flag {
inline constexpr u32 c = 1u << 0; // carry out of an addition, borrow out of a subtraction (see Inst: invert_c)
inline constexpr u32 p = 1u << 2; // even parity of the low byte
inline constexpr u32 a = 1u << 4; // carry out of bit 3
inline constexpr u32 z = 1u << 6;
inline constexpr u32 n = 1u << 7;
inline constexpr u32 v = 1u << 11; // signed overflow
inline constexpr u32 all = c | p | a | z | n | v;
} // namespace flag

// Relations of icmp, and of fcmp (ordered unless said).
enum class Rel : u8 { eq, ne, ult, ule, ugt, uge, slt, sle, sgt, sge };
// fcmp: less, equal ... are false when unordered; `signaling` compares raise invalid for every NaN.
enum class FRel : u8 { eq, lt, le, unordered };

// Conditions over flags, named by what they test.
enum class Cond : u8 { z, nz, c, nc, n, nn, v, nv, p, np, ugt, ule, sge, slt, sgt, sle };
constexpr Cond negate(Cond c) {
    constexpr Cond table[] = {Cond::nz, Cond::z, Cond::nc,  Cond::c,   Cond::nn,  Cond::n,   Cond::nv,  Cond::v,
                              Cond::np, Cond::p, Cond::ule, Cond::ugt, Cond::slt, Cond::sge, Cond::sle, Cond::sgt};
    return table[u8(c)];
}

// Rounding of an FP op: a static one, or the mode in the state.
enum class Round : u8 { nearest_even, toward_zero, down, up, nearest_away, dynamic = 7 };

// Lane types of vector ops.
enum class Lane : u8 { i8, i16, i32, i64, f16, f32, f64, bf16, i128 };
constexpr u32 lane_bytes(Lane l) {
    constexpr u8 table[] = {1, 2, 4, 8, 2, 4, 8, 2, 16};
    return table[u8(l)];
}

} // namespace mimic::ir
