// Shapes of meaning that several rows share: Arm ARM, J1, shared pseudocode.
#pragma once
#include "isa/aarch64/isa.hpp"

namespace mimic::isa::aarch64 {

// Width of the general registers that the bit sf names.
inline Type width(const I& i) { return i[sf] ? Type::i64 : Type::i32; }
inline u32 bits(const I& i) { return i[sf] ? 64 : 32; }

inline constexpr auto bit_and = [](Val a, Val b) { return a & b; };
inline constexpr auto bit_or = [](Val a, Val b) { return a | b; };
inline constexpr auto bit_xor = [](Val a, Val b) { return a ^ b; };
inline constexpr auto bit_and_not = [](Val a, Val b) { return a & ~b; };
inline constexpr auto bit_or_not = [](Val a, Val b) { return a | ~b; };
inline constexpr auto bit_xor_not = [](Val a, Val b) { return a ^ ~b; };
inline constexpr auto shl = [](Val a, Val n) { return a.shl(n); };
inline constexpr auto lshr = [](Val a, Val n) { return a.lshr(n); };
inline constexpr auto ashr = [](Val a, Val n) { return a.ashr(n); };
inline constexpr auto rotr = [](Val a, Val n) { return a.rotr(n); };

// ShiftReg
inline Val shifted(Val v, u32 kind, u32 amount) {
    switch (kind) {
    case 0: return v.shl(amount);
    case 1: return v.lshr(amount);
    case 2: return v.ashr(amount);
    default: return v.rotr(amount);
    }
}
// ExtendReg: the low bits of v that `kind` (option) names, in type t, shifted left.
inline Val extended(Val v, u32 kind, u32 amount, Type t) {
    constexpr Type from[] = {Type::i8, Type::i16, Type::i32, Type::i64};
    Type narrow = from[kind & 3];
    if (ir::bits_of(narrow) >= ir::bits_of(t))
        v = v.trunc(t);
    else
        v = kind & 4 ? v.trunc(narrow).sext(t) : v.trunc(narrow).zext(t);
    return v.shl(amount);
}

// DecodeBitMasks for logical immediates (N:immr:imms in `field`). False: reserved.
bool decode_bitmask(u32 field, bool wide, u64& mask);
// The field that encodes the mask; false when none does.
bool encode_bitmask(u64 mask, bool wide, u32& field);

// AddWithCarry. With Flags, sets the condition flags too.
template <bool Subtract, bool Flags>
Val add_or_subtract(A64& t, Val a, Val b) {
    if (Flags) t.nzcv(Subtract ? t.flags_sub(a, b) : t.flags_add(a, b, {}, true));
    return Subtract ? a - b : a + b;
}

} // namespace mimic::isa::aarch64
