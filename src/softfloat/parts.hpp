// A floating-point value taken apart, the same for every format, and the two ways between it and raw bits: unpack and
// round_pack. Guests build their own operations (estimates, widening multiplies, single-rounded mixed formats) from
// these and the operations on Parts in arithmetic.hpp:
//
//   Parts product = multiply(unpack<F64>(a, env), unpack<F64>(b, env), env);
//   u32 single = round_pack<F32>(product, env);     // rounded once
#pragma once
#include "softfloat/env.hpp"
#include "softfloat/format.hpp"
#include "softfloat/wide.hpp"

namespace mimic::softfloat {

// The order matters: everything from quiet_nan on takes the operations' NaN path.
enum class Class : u8 { zero, normal, infinity, quiet_nan, signalling_nan, unsupported };

struct Parts {
    u128 fraction = 0; // normal: bit 127 set, the value is fraction / 2^127 * 2^exponent; NaN: quiet bit in bit 126
    i32 exponent = 0;  // only of normal
    Class cls = Class::zero;
    bool sign = false;
    bool denormal = false; // it was denormal in its format

    constexpr bool is_zero() const { return cls == Class::zero; }
    constexpr bool is_normal() const { return cls == Class::normal; } // finite and not zero
    constexpr bool is_infinity() const { return cls == Class::infinity; }
    constexpr bool is_nan() const { return cls >= Class::quiet_nan; } // or unsupported
};

inline constexpr u128 quiet_bit = u128(1) << 126;

template <class F>
constexpr const Flush& flush_of(const Env& env) {
    if constexpr (F::is_half) return env.flush_half;
    return env.flush;
}

// The value sign * fraction / 2^127 * 2^exponent for any fraction.
constexpr Parts normalised(bool sign, i32 exponent, u128 fraction) {
    if (fraction == 0) return {.cls = Class::zero, .sign = sign};
    int shift = count_leading_zeros(fraction);
    return {.fraction = fraction << shift, .exponent = exponent - shift, .cls = Class::normal, .sign = sign};
}

namespace detail {
// Everything but a normal number with its integer bit set.
template <class F>
[[gnu::cold, gnu::noinline]] constexpr Parts unpack_special(typename F::Bits bits, Env& env) {
    Parts p{.fraction = F::fraction(bits) << (127 - F::fraction_bits), .sign = F::sign(bits)};
    const int biased = F::biased(bits);
    const bool integer = F::integer_bit(bits);
    if (biased == 0) {
        if (integer) p.fraction |= top_bit; // x87: a pseudo-denormal; 68881: the least normal binade
        if (p.fraction == 0) return p;
        p = normalised(p.sign, F::emin, p.fraction);
        p.denormal = !(F::any_integer_bit && integer);
        if (!p.denormal || !flush_of<F>(env).inputs) return p;
        env.raise(flush_of<F>(env).input_flags);
        return {.cls = Class::zero, .sign = p.sign};
    }
    if (!F::has_specials || biased != F::max_biased) { // an unnormal
        if (F::any_integer_bit) return normalised(p.sign, biased - F::bias, p.fraction);
        p.cls = Class::unsupported;
    } else if (!integer && !F::any_integer_bit) {
        p.cls = Class::unsupported;
    } else if (p.fraction == 0) {
        p.cls = Class::infinity;
    } else {
        const bool quiet = ((p.fraction & quiet_bit) != 0) != env.nan.signalling_bit_set;
        p.cls = quiet ? Class::quiet_nan : Class::signalling_nan;
    }
    return p;
}
} // namespace detail

// Takes `bits` apart. Raises only what flushing an operand raises.
template <class F>
[[gnu::always_inline]] constexpr Parts unpack(typename F::Bits bits, Env& env) {
    const int biased = F::biased(bits);
    const bool special = biased == 0 || (F::has_specials && biased == F::max_biased) || !F::integer_bit(bits);
    if (special) [[unlikely]]
        return detail::unpack_special<F>(bits, env);
    return {.fraction = F::fraction(bits) << (127 - F::fraction_bits) | top_bit,
            .exponent = biased - F::bias,
            .cls = Class::normal,
            .sign = F::sign(bits)};
}

constexpr Parts default_nan(const Env& env) {
    u128 fraction = quiet_bit;
    if (env.nan.default_pattern == DefaultNan::all_ones) fraction = top_bit - 1;
    if (env.nan.default_pattern == DefaultNan::all_but_quiet_bit) fraction = quiet_bit - 1;
    if (env.nan.default_pattern == DefaultNan::second_bit) fraction = quiet_bit >> 1;
    return {.fraction = fraction, .cls = Class::quiet_nan, .sign = env.nan.default_sign};
}

// Raises invalid with `cause` and gives the default NaN.
constexpr Parts invalid_nan(u32 cause, Env& env) {
    env.raise(flag::invalid | cause);
    return default_nan(env);
}

// A NaN operand as a result: quiet, or the default NaN where the guest says so. Raises nothing.
constexpr Parts quieted(Parts p, const Env& env) {
    if (env.default_nan) return default_nan(env);
    if (p.cls == Class::quiet_nan) return p;
    p.cls = Class::quiet_nan;
    switch (env.nan.quieting) {
    case Quieting::set_bit: p.fraction |= quiet_bit; return p;
    case Quieting::default_nan: return default_nan(env);
    case Quieting::clear_and_set_next: p.fraction = (p.fraction & ~quiet_bit) | quiet_bit >> 1; return p;
    }
    return p;
}

// The result of an operation on `a` alone, on a and b, or on three operands given in the order of preference, when at
// least one is a NaN or unsupported. Raises invalid for signalling NaNs and unsupported operands.
Parts nan_result(const Parts& a, Env& env);
Parts nan_result(const Parts& a, const Parts& b, Env& env);
Parts nan_result(const Parts& first, const Parts& second, const Parts& third, Env& env);

// Whether rounding adds a unit in the last place: `rest` is what is dropped, with one half at bit 127.
constexpr bool rounds_up(Rounding rounding, bool sign, bool odd, u128 rest) {
    switch (rounding) {
    case Rounding::nearest_even: return rest > top_bit || (rest == top_bit && odd);
    case Rounding::nearest_away: return rest >= top_bit;
    case Rounding::toward_zero: return false;
    case Rounding::down: return sign && rest != 0;
    case Rounding::up: return !sign && rest != 0;
    case Rounding::odd: return !odd && rest != 0;
    }
    return false;
}

namespace detail {

// Zero, infinity or NaN as bits. A NaN's payload keeps its leading bits.
template <class F>
[[gnu::cold, gnu::noinline]] constexpr typename F::Bits pack_special(const Parts& p, Env& env) {
    if (p.is_zero()) return F::make(p.sign, 0, false, 0);
    if constexpr (!F::has_specials) {
        env.raise(flag::invalid | flag::invalid_convert);
        return p.is_nan() ? F::make(p.sign, 0, false, 0)
                          : F::make(p.sign, F::max_biased, true, (1u << F::fraction_bits) - 1);
    }
    if (p.is_infinity()) return F::make(p.sign, F::max_biased, !F::any_integer_bit, 0);
    u128 fraction = (p.fraction & ~top_bit) >> (127 - F::fraction_bits);
    // Only where the quiet bit is clear in quiet NaNs can a narrower payload come out empty.
    if (fraction == 0) return pack_special<F>(default_nan(env), env);
    return F::make(p.sign, F::max_biased, true, fraction);
}

template <class F>
[[gnu::cold, gnu::noinline]] constexpr typename F::Bits pack_overflow(bool sign, int dropped, Env& env) {
    if constexpr (!F::has_specials) return pack_special<F>({.cls = Class::infinity, .sign = sign}, env);
    env.raise(flag::overflow | flag::inexact);
    bool nearest = env.rounding == Rounding::nearest_even || env.rounding == Rounding::nearest_away;
    if (nearest || env.rounding == (sign ? Rounding::down : Rounding::up)) {
        env.raise(flag::rounded_up);
        return pack_special<F>({.cls = Class::infinity, .sign = sign}, env);
    }
    u128 ones = ((~u128(0) >> dropped << dropped) & ~top_bit) >> (127 - F::fraction_bits);
    return F::make(sign, F::max_biased - 1, true, ones);
}

// How many of the 128 fraction bits a result drops.
template <class F>
constexpr int dropped_bits(const Env& env) {
    if constexpr (F::explicit_integer) return 128 - env.extended_precision;
    return 128 - F::precision;
}

// Rounds a normal number whose exponent is at least emin (a tiny one's fraction is already shifted) and packs it.
template <class F>
[[gnu::always_inline]] constexpr typename F::Bits round_in_range(Parts p, int dropped, bool tiny, Env& env) {
    u32 raised = 0;
    if (u128 rest = p.fraction << (128 - dropped)) {
        raised = tiny ? flag::inexact | flag::underflow : flag::inexact;
        const u128 unit = u128(1) << dropped;
        if (rounds_up(env.rounding, p.sign, (p.fraction & unit) != 0, rest)) {
            raised |= flag::rounded_up;
            p.fraction += unit;
            if (p.fraction < unit) [[unlikely]] {
                p.fraction = top_bit;
                p.exponent += 1;
            }
        }
        p.fraction = p.fraction >> dropped << dropped;
    }
    if (p.exponent > F::emax) [[unlikely]]
        return pack_overflow<F>(p.sign, dropped, env);
    env.raise(raised);
    const bool integer = (p.fraction & top_bit) != 0;
    return F::make(p.sign, integer ? p.exponent + F::bias : 0, integer,
                   (p.fraction & ~top_bit) >> (127 - F::fraction_bits));
}

// Below the normal range before rounding.
template <class F>
[[gnu::cold, gnu::noinline]] constexpr typename F::Bits round_tiny(Parts p, int dropped, Env& env) {
    // After rounding: not tiny if the value, rounded as if the exponent had no bound, reaches 2^emin.
    const bool reaches = p.exponent == F::emin - 1 && !(~p.fraction >> dropped) &&
                         rounds_up(env.rounding, p.sign, true, p.fraction << (128 - dropped));
    const bool tiny = env.tininess_before_rounding || !reaches;
    if (tiny && flush_of<F>(env).outputs) {
        env.raise(flush_of<F>(env).output_flags);
        return F::make(p.sign, 0, false, 0);
    }
    if (tiny) env.raise(flag::tiny);
    p.fraction = shift_right_jam(p.fraction, u32(F::emin - p.exponent));
    p.exponent = F::emin;
    return round_in_range<F>(p, dropped, tiny, env);
}

} // namespace detail

// Rounds a value whose bit 0 is sticky into F: the one place where overflow, underflow, inexact and flushing happen.
// NaNs are packed as they are: pass them through nan_result first.
template <class F>
[[gnu::always_inline]] constexpr typename F::Bits round_pack(const Parts& p, Env& env) {
    if (!p.is_normal()) [[unlikely]]
        return detail::pack_special<F>(p, env);
    const int dropped = detail::dropped_bits<F>(env);
    if (p.exponent < F::emin) [[unlikely]]
        return detail::round_tiny<F>(p, dropped, env);
    return detail::round_in_range<F>(p, dropped, false, env);
}

} // namespace mimic::softfloat
