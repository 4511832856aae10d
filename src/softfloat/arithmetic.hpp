// Operations on Parts: exact up to a sticky bit 0, so that one round_pack into any format rounds correctly.
// IEEE 754-2019 sections 5.4.1, 6.1, 6.3 and 7.2; operands are fresh from unpack (at most 113 fraction bits).
// They raise invalid with its cause, divide_by_zero and denormal_used; the rest is round_pack's.
#pragma once
#include "softfloat/parts.hpp"

namespace mimic::softfloat {

enum class Ordering : u8 { less, equal, greater, unordered };

// Options of mul_add. Signs of NaNs are never touched: an Arm front end, whose FMSUB negates the operand itself,
// negates the bits first.
struct MulAdd {
    bool negate_product = false;
    bool negate_addend = false;
    bool negate_result = false; // after rounding, numbers only (PowerPC fnmadd); ignored by the Parts version
    i32 scale = 0;              // result * 2^scale before the only rounding (Arm's FRSQRTS halves)
};

namespace detail {
constexpr Parts zero(bool sign) { return {.cls = Class::zero, .sign = sign}; }
constexpr Parts infinity(bool sign) { return {.cls = Class::infinity, .sign = sign}; }
constexpr Parts with_sign(Parts p, bool sign) {
    p.sign = sign;
    return p;
}
constexpr void note_denormals(bool any, Env& env) {
    if (any) [[unlikely]]
        env.raise(flag::denormal_used);
}
// The sign of an exact zero sum of operands with these signs.
constexpr bool zero_sum_sign(bool a, bool b, const Env& env) { return a == b ? a : env.rounding == Rounding::down; }

// a + b for numbers that are not zero; b's exponent is not above a's.
constexpr Parts add_normal(const Parts& a, const Parts& b, Env& env) {
    u128 aligned = shift_right_jam(b.fraction, u32(a.exponent - b.exponent));
    Parts r{.exponent = a.exponent, .cls = Class::normal, .sign = a.sign};
    if (a.sign == b.sign) {
        r.fraction = a.fraction + aligned;
        if (r.fraction < aligned) {
            r.fraction = shift_right_jam(r.fraction, 1) | top_bit;
            r.exponent += 1;
        }
        return r;
    }
    // Only with exponents at most one apart can more than one leading bit cancel, and then nothing was jammed.
    if (a.fraction < aligned) return normalised(b.sign, a.exponent, aligned - a.fraction);
    if (a.fraction == aligned) return zero(zero_sum_sign(a.sign, b.sign, env));
    return normalised(a.sign, a.exponent, a.fraction - aligned);
}

// A product with its 256 bits, the top one set, or the addend in the same form.
struct Wide {
    U256 fraction;
    i32 exponent = 0;
    bool sign = false;
};
constexpr Parts narrow(const Wide& w) {
    return {.fraction = w.fraction.high | (w.fraction.low != 0),
            .exponent = w.exponent,
            .cls = Class::normal,
            .sign = w.sign};
}
constexpr Wide wide_product(const Parts& a, const Parts& b, bool sign) {
    Wide w{multiply(a.fraction, b.fraction), a.exponent + b.exponent + 1, sign};
    if (w.fraction.high & top_bit) return w;
    return {shift_left(w.fraction, 1), w.exponent - 1, sign};
}
constexpr Parts add_wide(Wide a, Wide b, Env& env) {
    if (a.exponent < b.exponent || (a.exponent == b.exponent && less(a.fraction, b.fraction))) {
        Wide t = a;
        a = b;
        b = t;
    }
    U256 aligned = shift_right_jam(b.fraction, u32(a.exponent - b.exponent));
    Wide r = a;
    if (a.sign == b.sign) {
        bool carry = false;
        r.fraction = add(a.fraction, aligned, carry);
        if (carry) {
            r.fraction = shift_right_jam(r.fraction, 1);
            r.fraction.high |= top_bit;
            r.exponent += 1;
        }
        return narrow(r);
    }
    r.fraction = subtract(a.fraction, aligned);
    int shift = count_leading_zeros(r.fraction);
    if (shift == 256) return zero(zero_sum_sign(a.sign, b.sign, env));
    r.fraction = shift_left(r.fraction, shift);
    r.exponent -= shift;
    return narrow(r);
}

// The root of v in [1, 4), where 1 is the bit `one`; bits below 2^-(count) are sticky. Digit by digit: `rest` is
// 2^i * (v - root^2) after i digits, which stays below 2 * root < 4 * one.
template <class Word>
constexpr Word square_root(Word v, Word one, int count) {
    Word root = one, rest = v - one, digit = one;
    for (int i = 0; i < count; ++i) {
        digit >>= 1;
        rest <<= 1;
        const Word trial = 2 * root + digit;
        const Word take = -Word(rest >= trial); // a branch would be mispredicted half the time
        rest -= trial & take;
        root += digit & take;
    }
    return root << 2 | (rest != 0);
}

// The cases where an operand is no normal number; b's sign is still the operand's.
[[gnu::cold, gnu::noinline]] constexpr Parts add_special(const Parts& a, Parts b, Env& env, bool subtract) {
    if (a.is_nan() || b.is_nan()) return nan_result(a, b, env);
    b.sign ^= subtract;
    if (a.is_infinity() && b.is_infinity() && a.sign != b.sign) return invalid_nan(flag::invalid_inf_minus_inf, env);
    note_denormals(a.denormal || b.denormal, env);
    if (a.is_zero() && b.is_zero()) return zero(zero_sum_sign(a.sign, b.sign, env));
    return a.is_infinity() || b.is_zero() ? a : b;
}
[[gnu::cold, gnu::noinline]] constexpr Parts multiply_special(const Parts& a, const Parts& b, Env& env) {
    if (a.is_nan() || b.is_nan()) return nan_result(a, b, env);
    if ((a.is_infinity() && b.is_zero()) || (a.is_zero() && b.is_infinity()))
        return invalid_nan(flag::invalid_inf_times_zero, env);
    note_denormals(a.denormal || b.denormal, env);
    return a.is_zero() || b.is_zero() ? zero(a.sign != b.sign) : infinity(a.sign != b.sign);
}
} // namespace detail

// a + b, or a - b with `subtract`, which leaves the sign of a NaN alone.
[[gnu::always_inline]] constexpr Parts add(const Parts& a, Parts b, Env& env, bool subtract = false) {
    if (!a.is_normal() || !b.is_normal()) [[unlikely]]
        return detail::add_special(a, b, env, subtract);
    detail::note_denormals(a.denormal || b.denormal, env);
    b.sign ^= subtract;
    return a.exponent >= b.exponent ? detail::add_normal(a, b, env) : detail::add_normal(b, a, env);
}

[[gnu::always_inline]] constexpr Parts multiply(const Parts& a, const Parts& b, Env& env) {
    if (!a.is_normal() || !b.is_normal()) [[unlikely]]
        return detail::multiply_special(a, b, env);
    detail::note_denormals(a.denormal || b.denormal, env);
    return detail::narrow(detail::wide_product(a, b, a.sign != b.sign));
}

constexpr Parts divide(const Parts& a, const Parts& b, Env& env) {
    if (a.is_nan() || b.is_nan()) [[unlikely]]
        return nan_result(a, b, env);
    const bool sign = a.sign != b.sign;
    if (a.is_infinity() && b.is_infinity()) return invalid_nan(flag::invalid_inf_by_inf, env);
    if (a.is_zero() && b.is_zero()) return invalid_nan(flag::invalid_zero_by_zero, env);
    if (b.is_zero() && a.is_normal()) {
        env.raise(flag::divide_by_zero);
        return detail::infinity(sign);
    }
    detail::note_denormals(a.denormal || b.denormal, env);
    if (a.is_zero() || b.is_infinity()) return detail::zero(sign);
    if (a.is_infinity()) return detail::infinity(sign);
    const bool below = a.fraction < b.fraction;
    return {.fraction = divide_jam(below ? a.fraction : a.fraction >> 1, b.fraction),
            .exponent = a.exponent - b.exponent - below,
            .cls = Class::normal,
            .sign = sign};
}

// The square root, right for results of up to `precision` significand bits.
constexpr Parts square_root(const Parts& a, int precision, Env& env) {
    if (a.is_nan()) [[unlikely]]
        return nan_result(a, env);
    if (a.sign && !a.is_zero()) return invalid_nan(flag::invalid_sqrt, env);
    detail::note_denormals(a.denormal, env);
    if (!a.is_normal()) return a;
    const bool odd = a.exponent & 1;
    Parts r{.exponent = (a.exponent - odd) / 2, .cls = Class::normal};
    const u128 v = a.fraction >> (odd ? 1 : 2);
    if (precision <= 56)
        r.fraction = u128(detail::square_root<u64>(u64(v >> 64), u64(1) << 61, precision + 2)) << 64;
    else
        r.fraction = detail::square_root<u128>(v, u128(1) << 125, precision + 2);
    return r;
}

namespace detail {
[[gnu::cold, gnu::noinline]] constexpr Parts mul_add_nan(const Parts& a, const Parts& b, const Parts& c,
                                                         bool inf_times_zero, Env& env) {
    if (inf_times_zero && c.cls != Class::unsupported && env.nan.inf_zero_nan != InfZeroNan::nan) {
        env.raise(flag::invalid | flag::invalid_inf_times_zero);
        if (c.cls == Class::quiet_nan && env.nan.inf_zero_nan == InfZeroNan::default_nan_invalid)
            return default_nan(env);
    }
    const Parts* in[] = {&a, &b, &c};
    const auto& order = env.nan.fma_order;
    return nan_result(*in[order[0]], *in[order[1]], *in[order[2]], env);
}

[[gnu::cold, gnu::noinline]] constexpr Parts mul_add_special(const Parts& a, const Parts& b, Parts c, Env& env,
                                                             MulAdd options) {
    const bool inf_times_zero = (a.is_infinity() && b.is_zero()) || (a.is_zero() && b.is_infinity());
    if (a.is_nan() || b.is_nan() || c.is_nan()) return mul_add_nan(a, b, c, inf_times_zero, env);
    if (inf_times_zero) return invalid_nan(flag::invalid_inf_times_zero, env);
    const bool sign = (a.sign != b.sign) != options.negate_product;
    c.sign ^= options.negate_addend;
    const bool product_infinite = a.is_infinity() || b.is_infinity();
    if (product_infinite && c.is_infinity() && sign != c.sign) return invalid_nan(flag::invalid_inf_minus_inf, env);
    note_denormals(a.denormal || b.denormal || c.denormal, env);
    if (product_infinite) return infinity(sign);
    if (c.is_infinity()) return c;
    Parts r;
    if (!a.is_zero() && !b.is_zero())
        r = narrow(wide_product(a, b, sign)); // c is zero
    else if (c.is_zero())
        r = zero(zero_sum_sign(sign, c.sign, env));
    else
        r = c;
    r.exponent += options.scale;
    return r;
}
} // namespace detail

// a * b + c, rounded once by the caller's round_pack.
[[gnu::always_inline]] constexpr Parts mul_add(const Parts& a, const Parts& b, const Parts& c, Env& env,
                                               MulAdd options = {}) {
    if (!a.is_normal() || !b.is_normal() || !c.is_normal()) [[unlikely]]
        return detail::mul_add_special(a, b, c, env, options);
    detail::note_denormals(a.denormal || b.denormal || c.denormal, env);
    const detail::Wide product = detail::wide_product(a, b, (a.sign != b.sign) != options.negate_product);
    Parts r = detail::add_wide(product, {{c.fraction, 0}, c.exponent, c.sign != options.negate_addend}, env);
    r.exponent += options.scale;
    return r;
}

constexpr Ordering compare_magnitude(const Parts& a, const Parts& b) {
    auto rank = [](const Parts& p) { return p.is_zero() ? -0x40000000 : p.is_infinity() ? 0x40000000 : p.exponent; };
    if (rank(a) != rank(b)) return rank(a) < rank(b) ? Ordering::less : Ordering::greater;
    if (!a.is_normal() || a.fraction == b.fraction) return Ordering::equal;
    return a.fraction < b.fraction ? Ordering::less : Ordering::greater;
}

// Compares numbers or NaNs without raising anything; zeros are equal.
constexpr Ordering order(const Parts& a, const Parts& b) {
    if (a.is_nan() || b.is_nan()) return Ordering::unordered;
    if (a.is_zero() && b.is_zero()) return Ordering::equal;
    if (a.sign != b.sign) return a.sign ? Ordering::less : Ordering::greater;
    Ordering o = compare_magnitude(a, b);
    if (o == Ordering::equal || !a.sign) return o;
    return o == Ordering::less ? Ordering::greater : Ordering::less;
}

// What a remainder leaves besides its value.
struct Quotient {
    u64 low = 0; // the low 64 bits of the integer quotient's magnitude
    bool negative = false;
    bool complete = true; // false: a partial step, the quotient bits mean nothing yet
};
enum class RemainderKind : u8 {
    nearest,  // IEEE 754 remainder, x87 FPREM1
    truncate, // fmod, x87 FPREM
};

inline constexpr int all_steps = 1 << 16;

// a - b * n for n = a / b as `kind` says, exact. With `max_steps` below the exponents' difference it reduces a by at
// most that many quotient bits, truncating, and says `complete = false`; all_steps always completes.
Parts remainder(const Parts& a, const Parts& b, RemainderKind kind, int max_steps, Quotient& quotient, Env& env);

// a rounded to an integer; raises inexact (and rounded_up) if `exact`.
Parts round_to_integral(const Parts& a, Rounding rounding, bool exact, Env& env);

} // namespace mimic::softfloat
