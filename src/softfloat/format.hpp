// The floating-point formats as traits: where sign, exponent and fraction lie in the raw bits, and nothing else.
// Sources: IEEE 754-2019 section 3; Intel SDM vol. 1 section 4.2 (x87 extended, bfloat16); M68000 Family Programmer's
// Reference Manual section 1.6 (the 68881's extended format); Arm ARM section A1.4 (alternative half precision).
// Not here: decimal, hexadecimal and VAX formats.
#pragma once
#include "base/types.hpp"

namespace mimic::softfloat {

// An interchange format with a hidden integer bit. `Word` holds the raw bits.
template <class Word, int exponent_bits_, int fraction_bits_>
struct Interchange {
    using Bits = Word;
    static constexpr int exponent_bits = exponent_bits_;
    static constexpr int fraction_bits = fraction_bits_;
    static constexpr int precision = fraction_bits_ + 1; // significand bits, the hidden one included
    static constexpr int bias = (1 << (exponent_bits_ - 1)) - 1;
    static constexpr int max_biased = (1 << exponent_bits_) - 1;
    static constexpr int emin = 1 - bias;
    static constexpr int emax = bias;
    static constexpr bool explicit_integer = false; // the integer bit is stored
    static constexpr bool any_integer_bit = false;  // ... and ignored where Intel calls the operand unsupported
    static constexpr bool has_specials = true;      // the largest exponent means infinity and NaN
    static constexpr bool is_half = false;          // governed by Env::flush_half

    static constexpr bool sign(Bits v) { return v >> (exponent_bits + fraction_bits) & 1; }
    static constexpr int biased(Bits v) { return int(v >> fraction_bits) & max_biased; }
    static constexpr bool integer_bit(Bits v) { return biased(v) != 0; }
    static constexpr u128 fraction(Bits v) { return v & ((Bits(1) << fraction_bits) - 1); }
    static constexpr Bits make(bool sign, int biased, bool, u128 fraction) {
        return Bits(Bits(sign) << (exponent_bits + fraction_bits) | Bits(biased) << fraction_bits | Bits(fraction));
    }
    static constexpr Bits negate(Bits v) { return Bits(v ^ Bits(1) << (exponent_bits + fraction_bits)); }
};

struct F16 : Interchange<u16, 5, 10> {
    static constexpr bool is_half = true;
};
struct BF16 : Interchange<u16, 8, 7> {};
struct F32 : Interchange<u32, 8, 23> {};
struct F64 : Interchange<u64, 11, 52> {};
struct F128 : Interchange<u128, 15, 112> {};

// Arm's alternative half precision (FPCR.AHP): the largest exponent holds numbers. Only for conversions.
struct F16Alternative : Interchange<u16, 5, 10> {
    static constexpr int emax = 16;
    static constexpr bool has_specials = false;
    static constexpr bool is_half = true;
};

// The raw bits of an 80-bit extended value.
struct Extended {
    u64 significand = 0; // bit 63 is the integer bit
    u16 sign_exponent = 0;
    constexpr bool operator==(const Extended&) const = default;
};

// x87 double extended. Pseudo-denormals are numbers; unnormals, pseudo-infinities and pseudo-NaNs are unsupported.
struct F80 {
    using Bits = Extended;
    static constexpr int exponent_bits = 15;
    static constexpr int fraction_bits = 63;
    static constexpr int precision = 64;
    static constexpr int bias = 16383;
    static constexpr int max_biased = 32767;
    static constexpr int emin = 1 - bias;
    static constexpr int emax = bias;
    static constexpr bool explicit_integer = true;
    static constexpr bool any_integer_bit = false;
    static constexpr bool has_specials = true;
    static constexpr bool is_half = false;

    static constexpr bool sign(Bits v) { return v.sign_exponent >> 15; }
    static constexpr int biased(Bits v) { return v.sign_exponent & max_biased; }
    static constexpr bool integer_bit(Bits v) { return v.significand >> 63; }
    static constexpr u128 fraction(Bits v) { return v.significand & ~(u64(1) << 63); }
    static constexpr Bits make(bool sign, int biased, bool integer_bit, u128 fraction) {
        return {u64(integer_bit) << 63 | u64(fraction), u16(sign << 15 | biased)};
    }
    static constexpr Bits negate(Bits v) { return {v.significand, u16(v.sign_exponent ^ 0x8000)}; }
};

// The 68881's extended format: a zero exponent means 2^-16383, unnormals are numbers, and the integer bit of
// infinities and NaNs does not matter. The 16 unused bits of its memory form are the guest's business.
struct F80M68k : F80 {
    static constexpr int emin = -bias;
    static constexpr bool any_integer_bit = true;
};

} // namespace mimic::softfloat
