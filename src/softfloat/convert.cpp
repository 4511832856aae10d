// Conversions between formats and integers, comparison, minimum and maximum.
#include "softfloat/softfloat.hpp"
#include <algorithm>
#include <utility>

namespace mimic::softfloat {
namespace {

// A scale that differs from `scale` only beyond the range of every format and integer.
i32 bounded(i32 scale) { return std::clamp(scale, -(1 << 17), 1 << 17); }

u128 greatest(IntType type) { return ~u128(0) >> (128 - type.bits + type.is_signed); }
u128 least(IntType type) { return type.is_signed ? ~greatest(type) : 0; }

u128 no_integer(IntResult result, IntType type, bool negative) {
    switch (result) {
    case IntResult::saturate: return negative ? least(type) : greatest(type);
    case IntResult::minimum: return least(type);
    case IntResult::maximum: return greatest(type);
    case IntResult::zero: return 0;
    case IntResult::indefinite: return type.is_signed ? least(type) : greatest(type);
    }
    return 0;
}

u128 int_of_parts(const Parts& a, IntType type, Rounding rounding, bool exact, Env& env) {
    if (a.is_nan()) {
        env.raise(flag::invalid | flag::invalid_convert);
        if (a.cls == Class::signalling_nan) env.raise(flag::invalid_snan);
        if (a.cls == Class::unsupported) env.raise(flag::invalid_unsupported);
        return no_integer(env.to_int.nan, type, false);
    }
    if (a.is_zero()) return 0;
    u128 magnitude = 0;
    bool fits = a.is_normal() && a.exponent < 128;
    u32 raised = 0;
    if (fits) {
        const int dropped = 127 - a.exponent;
        u128 rest = 0;
        if (dropped == 0) {
            magnitude = a.fraction;
        } else if (dropped < 128) {
            magnitude = a.fraction >> dropped;
            rest = a.fraction << (128 - dropped);
        } else {
            rest = shift_right_jam(a.fraction, u32(dropped - 128));
        }
        const bool up = rounds_up(rounding, a.sign, magnitude & 1, rest);
        magnitude += up;
        if (rest && exact) raised = up ? flag::inexact | flag::rounded_up : flag::inexact;
        fits = magnitude <= (a.sign ? -least(type) : greatest(type));
    }
    if (!fits) {
        env.raise(flag::invalid | flag::invalid_convert);
        return no_integer(env.to_int.out_of_range, type, a.sign);
    }
    env.raise(raised);
    return a.sign ? -magnitude : magnitude;
}

// Whether a comes out of minimum (or maximum), numbers only; -0 < +0.
bool first_wins(const Parts& a, const Parts& b, MinMax kind) {
    if (kind.magnitude) {
        Ordering o = compare_magnitude(a, b);
        if (o != Ordering::equal) return (o == Ordering::greater) == kind.max;
    }
    Ordering o = order(a, b);
    if (o == Ordering::equal && a.is_zero()) return a.sign != kind.max;
    return (o == Ordering::greater) == kind.max;
}

bool second_rule(MinMaxNan nan) { return nan == MinMaxNan::second || nan == MinMaxNan::second_signalling; }

// The operand that is the result, or null if it is the NaN that nan_result gives. Raises what NaNs raise.
const Parts* min_max_choice(const Parts& a, const Parts& b, MinMax kind, Env& env) {
    const bool signalling = a.cls >= Class::signalling_nan || b.cls >= Class::signalling_nan;
    if (second_rule(kind.nan)) {
        if (a.is_nan() || b.is_nan()) {
            if (signalling) env.raise(flag::invalid | flag::invalid_snan);
            if (kind.nan == MinMaxNan::second_signalling) env.raise(flag::invalid | flag::invalid_compare);
            return &b;
        }
        const Ordering o = kind.magnitude ? compare_magnitude(a, b) : order(a, b);
        return o == (kind.max ? Ordering::greater : Ordering::less) ? &a : &b;
    }
    if (!a.is_nan() && !b.is_nan()) return first_wins(a, b, kind) ? &a : &b;
    if (kind.nan == MinMaxNan::propagate || (a.is_nan() && b.is_nan())) return nullptr;
    if (signalling) {
        if (kind.nan == MinMaxNan::number) return nullptr;
        env.raise(flag::invalid | flag::invalid_snan);
    }
    return a.is_nan() ? &b : &a;
}

} // namespace

template <class F>
Ordering compare(BitsOf<F> a, BitsOf<F> b, bool signalling, Env& env) {
    const Parts pa = unpack<F>(a, env), pb = unpack<F>(b, env);
    const Ordering result = order(pa, pb);
    if (result != Ordering::unordered) {
        detail::note_denormals(pa.denormal || pb.denormal, env);
        return result;
    }
    if (pa.cls == Class::unsupported || pb.cls == Class::unsupported)
        env.raise(flag::invalid | flag::invalid_unsupported);
    if (pa.cls == Class::signalling_nan || pb.cls == Class::signalling_nan)
        env.raise(flag::invalid | flag::invalid_snan);
    if (signalling) env.raise(flag::invalid | flag::invalid_compare);
    return result;
}

template <class F>
BitsOf<F> min_max(BitsOf<F> a, BitsOf<F> b, MinMax kind, Env& env) {
    const Parts pa = unpack<F>(a, env), pb = unpack<F>(b, env);
    const Parts* chosen = min_max_choice(pa, pb, kind, env);
    if (!chosen) return round_pack<F>(nan_result(pa, pb, env), env);
    const bool any_nan = pa.is_nan() || pb.is_nan();
    if (!any_nan) detail::note_denormals(pa.denormal || pb.denormal, env);
    // The operand itself, a NaN's every bit included, unless it was flushed.
    const BitsOf<F> bits = chosen == &pa ? a : b;
    return chosen->is_zero() ? F::make(chosen->sign, 0, false, 0) : bits;
}

template <class To, class From>
BitsOf<To> convert(BitsOf<From> a, Env& env) {
    // Arm's FZ16 does not govern conversions between formats (FPUnpackCV, FPRoundCV).
    const Flush flush_half = std::exchange(env.flush_half, Flush{});
    Parts p = unpack<From>(a, env);
    if (p.is_nan() && (To::has_specials || p.cls != Class::quiet_nan)) {
        Parts quiet = nan_result(p, env);
        if (To::has_specials) p = quiet;
    }
    if (!p.is_nan()) detail::note_denormals(p.denormal, env);
    const auto result = round_pack<To>(p, env);
    env.flush_half = flush_half;
    return result;
}

template <class F>
u128 to_int(BitsOf<F> a, IntType type, Rounding rounding, Env& env, i32 scale, bool exact) {
    Parts p = unpack<F>(a, env);
    p.exponent += bounded(scale);
    return int_of_parts(p, type, rounding, exact, env);
}

template <class F>
u64 to_int_modular(BitsOf<F> a, u8 bits, Env& env) {
    const Parts p = unpack<F>(a, env);
    int_of_parts(p, {.bits = bits, .is_signed = true}, Rounding::toward_zero, true, env); // for its flags
    if (!p.is_normal() || p.exponent < 0 || p.exponent >= 127 + 64) return 0;
    const u64 magnitude = u64(p.exponent <= 127 ? p.fraction >> (127 - p.exponent) : p.fraction << (p.exponent - 127));
    return (p.sign ? -magnitude : magnitude) & ~u64(0) >> (64 - bits);
}

template <class F>
BitsOf<F> from_uint(u128 value, Env& env, i32 scale) {
    return round_pack<F>(normalised(false, 127 + bounded(scale), value), env);
}
template <class F>
BitsOf<F> from_int(i128 value, Env& env, i32 scale) {
    return round_pack<F>(normalised(value < 0, 127 + bounded(scale), value < 0 ? -u128(value) : u128(value)), env);
}

template <class F>
NumberClass classify(BitsOf<F> a, const Env& env) {
    Env plain{.nan = env.nan};
    const Parts p = unpack<F>(a, plain);
    auto signed_class = [&](NumberClass negative, NumberClass positive) { return p.sign ? negative : positive; };
    switch (p.cls) {
    case Class::zero: return signed_class(NumberClass::negative_zero, NumberClass::positive_zero);
    case Class::infinity: return signed_class(NumberClass::negative_infinity, NumberClass::positive_infinity);
    case Class::quiet_nan: return NumberClass::quiet_nan;
    case Class::signalling_nan: return NumberClass::signalling_nan;
    case Class::unsupported: return NumberClass::unsupported;
    case Class::normal: break;
    }
    return p.denormal ? signed_class(NumberClass::negative_subnormal, NumberClass::positive_subnormal)
                      : signed_class(NumberClass::negative_normal, NumberClass::positive_normal);
}

#define INSTANTIATE(F)                                                                                                 \
    template Ordering compare<F>(BitsOf<F>, BitsOf<F>, bool, Env&);                                                    \
    template BitsOf<F> min_max<F>(BitsOf<F>, BitsOf<F>, MinMax, Env&);                                                 \
    template u128 to_int<F>(BitsOf<F>, IntType, Rounding, Env&, i32, bool);                                            \
    template u64 to_int_modular<F>(BitsOf<F>, u8, Env&);                                                               \
    template BitsOf<F> from_uint<F>(u128, Env&, i32);                                                                  \
    template BitsOf<F> from_int<F>(i128, Env&, i32);                                                                   \
    template NumberClass classify<F>(BitsOf<F>, const Env&);                                                           \
    template BitsOf<F16> convert<F16, F>(BitsOf<F>, Env&);                                                             \
    template BitsOf<BF16> convert<BF16, F>(BitsOf<F>, Env&);                                                           \
    template BitsOf<F32> convert<F32, F>(BitsOf<F>, Env&);                                                             \
    template BitsOf<F64> convert<F64, F>(BitsOf<F>, Env&);                                                             \
    template BitsOf<F80> convert<F80, F>(BitsOf<F>, Env&);                                                             \
    template BitsOf<F80M68k> convert<F80M68k, F>(BitsOf<F>, Env&);                                                     \
    template BitsOf<F128> convert<F128, F>(BitsOf<F>, Env&);                                                           \
    template BitsOf<F16Alternative> convert<F16Alternative, F>(BitsOf<F>, Env&);                                       \
    template BitsOf<F> convert<F, F16Alternative>(BitsOf<F16Alternative>, Env&);
INSTANTIATE(F16)
INSTANTIATE(BF16)
INSTANTIATE(F32)
INSTANTIATE(F64)
INSTANTIATE(F80)
INSTANTIATE(F80M68k)
INSTANTIATE(F128)
#undef INSTANTIATE

} // namespace mimic::softfloat
