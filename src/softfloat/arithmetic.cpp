#include "softfloat/arithmetic.hpp"
#include "softfloat/softfloat.hpp"
#include <algorithm>
#include <initializer_list>

namespace mimic::softfloat {
namespace {

bool signals(const Parts& p) { return p.cls == Class::signalling_nan; }

// Intel SDM vol. 1, table 4-7, the x87 rows.
const Parts& x87_choice(const Parts& a, const Parts& b) {
    if (!b.is_nan()) return a;
    if (!a.is_nan()) return b;
    if (signals(a) != signals(b)) return signals(a) ? b : a;
    u128 fa = a.fraction | top_bit, fb = b.fraction | top_bit;
    if (fa != fb) return fa > fb ? a : b;
    return a.sign ? b : a;
}

template <class... P>
Parts choose(Env& env, const P&... in) {
    if (((in.cls == Class::unsupported) || ...)) return invalid_nan(flag::invalid_unsupported, env);
    const bool signalling = (signals(in) || ...);
    if (signalling) {
        env.raise(flag::invalid | flag::invalid_snan);
        if (env.nan.quieting == Quieting::default_nan) return default_nan(env);
    }
    for (const Parts* p : {&in...})
        if (signalling && env.nan.order == NanOrder::signalling_first ? signals(*p) : p->is_nan())
            return quieted(*p, env);
    return default_nan(env);
}

} // namespace

Parts nan_result(const Parts& a, Env& env) { return choose(env, a); }

Parts nan_result(const Parts& a, const Parts& b, Env& env) {
    if (env.nan.order == NanOrder::x87) {
        const Parts& chosen = x87_choice(a, b);
        return choose(env, chosen, &chosen == &a ? b : a);
    }
    return env.nan.second_first ? choose(env, b, a) : choose(env, a, b);
}

Parts nan_result(const Parts& first, const Parts& second, const Parts& third, Env& env) {
    return choose(env, first, second, third);
}

Parts remainder(const Parts& a, const Parts& b, RemainderKind kind, int max_steps, Quotient& quotient, Env& env) {
    quotient = {};
    if (a.is_nan() || b.is_nan()) return nan_result(a, b, env);
    if (a.is_infinity() || b.is_zero()) return invalid_nan(flag::invalid_remainder, env);
    detail::note_denormals(a.denormal || b.denormal, env);
    quotient.negative = a.sign != b.sign;
    if (a.is_zero() || b.is_infinity()) return a;
    const int difference = a.exponent - b.exponent;
    if (difference < -1) return a;
    u128 rest = a.fraction;
    if (difference == -1) {
        rest >>= 1;
    } else {
        const int steps = difference < max_steps ? difference : max_steps;
        quotient.complete = steps == difference;
        quotient.low = rest >= b.fraction;
        if (quotient.low) rest -= b.fraction;
        for (int i = 0; i < steps; ++i) { // rest < b.fraction on entry
            const bool carry = (rest & top_bit) != 0;
            rest <<= 1;
            const bool bit = carry || rest >= b.fraction;
            if (bit) rest -= b.fraction;
            quotient.low = quotient.low << 1 | bit;
        }
        if (!quotient.complete) return normalised(a.sign, a.exponent - steps, rest);
    }
    bool sign = a.sign;
    if (kind == RemainderKind::nearest) {
        const u128 other = b.fraction - rest;
        if (rest > other || (rest == other && (quotient.low & 1))) {
            rest = other;
            sign = !sign;
            quotient.low += 1;
        }
    }
    return normalised(rest ? sign : a.sign, b.exponent, rest);
}

Parts round_to_integral(const Parts& a, Rounding rounding, bool exact, Env& env) {
    if (a.is_nan()) return nan_result(a, env);
    detail::note_denormals(a.denormal, env);
    if (!a.is_normal() || a.exponent >= 127) return a;
    const int dropped = 127 - a.exponent; // at least 1
    const u128 rest = dropped < 128 ? a.fraction << (128 - dropped) : shift_right_jam(a.fraction, u32(dropped - 128));
    if (rest == 0) return a;
    const u128 unit = dropped < 128 ? u128(1) << dropped : 0;
    const bool up = rounds_up(rounding, a.sign, (a.fraction & unit) != 0, rest);
    if (exact) env.raise(up ? flag::inexact | flag::rounded_up : flag::inexact);
    if (unit == 0) return up ? Parts{.fraction = top_bit, .cls = Class::normal, .sign = a.sign} : detail::zero(a.sign);
    Parts r = a;
    r.fraction = a.fraction >> dropped << dropped;
    if (!up) return r;
    r.fraction += unit;
    if (r.fraction < unit) {
        r.fraction = top_bit;
        r.exponent += 1;
    }
    return r;
}

template <class F>
BitsOf<F> add(BitsOf<F> a, BitsOf<F> b, Env& env) {
    return round_pack<F>(add(unpack<F>(a, env), unpack<F>(b, env), env), env);
}
template <class F>
BitsOf<F> sub(BitsOf<F> a, BitsOf<F> b, Env& env) {
    return round_pack<F>(add(unpack<F>(a, env), unpack<F>(b, env), env, true), env);
}
template <class F>
BitsOf<F> mul(BitsOf<F> a, BitsOf<F> b, Env& env) {
    return round_pack<F>(multiply(unpack<F>(a, env), unpack<F>(b, env), env), env);
}
template <class F>
BitsOf<F> div(BitsOf<F> a, BitsOf<F> b, Env& env) {
    return round_pack<F>(divide(unpack<F>(a, env), unpack<F>(b, env), env), env);
}
template <class F>
BitsOf<F> sqrt(BitsOf<F> a, Env& env) {
    return round_pack<F>(square_root(unpack<F>(a, env), F::precision, env), env);
}

template <class F>
BitsOf<F> mul_add(BitsOf<F> a, BitsOf<F> b, BitsOf<F> c, Env& env, MulAdd options) {
    // Operands are unpacked, hence flushed, in this order; only sticky flags could tell.
    const Parts pa = unpack<F>(a, env), pb = unpack<F>(b, env), pc = unpack<F>(c, env);
    const Parts r = mul_add(pa, pb, pc, env, options);
    const BitsOf<F> bits = round_pack<F>(r, env);
    return options.negate_result && !r.is_nan() ? F::negate(bits) : bits;
}

template <class F>
BitsOf<F> remainder(BitsOf<F> a, BitsOf<F> b, Env& env, RemainderKind kind) {
    Quotient quotient;
    return round_pack<F>(remainder(unpack<F>(a, env), unpack<F>(b, env), kind, all_steps, quotient, env), env);
}

template <class F>
BitsOf<F> remainder_step(BitsOf<F> a, BitsOf<F> b, RemainderKind kind, Quotient& quotient, Env& env) {
    const Parts pa = unpack<F>(a, env), pb = unpack<F>(b, env);
    const int difference = pa.exponent - pb.exponent;
    // The manual leaves 32 to 63 open; this is what the processors do.
    const int steps = difference < 64 ? 63 : 32 + difference % 32;
    return round_pack<F>(remainder(pa, pb, kind, steps, quotient, env), env);
}

template <class F>
BitsOf<F> round_to_integral(BitsOf<F> a, Rounding rounding, bool exact, Env& env) {
    return round_pack<F>(round_to_integral(unpack<F>(a, env), rounding, exact, env), env);
}

template <class F>
BitsOf<F> scale_b(BitsOf<F> a, i32 n, Env& env) {
    Parts p = unpack<F>(a, env);
    if (p.is_nan()) return round_pack<F>(nan_result(p, env), env);
    detail::note_denormals(p.denormal, env);
    p.exponent += std::clamp(n, -(1 << 17), 1 << 17); // beyond that every value over- or underflows
    return round_pack<F>(p, env);
}

template <class F>
BitsOf<F> log_b(BitsOf<F> a, Env& env) {
    Parts p = unpack<F>(a, env);
    if (p.is_nan()) return round_pack<F>(nan_result(p, env), env);
    if (p.is_zero())
        env.raise(flag::divide_by_zero);
    else
        detail::note_denormals(p.denormal, env);
    if (!p.is_normal()) return round_pack<F>(detail::infinity(p.is_zero()), env);
    return from_int<F>(p.exponent, env);
}

#define INSTANTIATE(F)                                                                                                 \
    template BitsOf<F> add<F>(BitsOf<F>, BitsOf<F>, Env&);                                                             \
    template BitsOf<F> sub<F>(BitsOf<F>, BitsOf<F>, Env&);                                                             \
    template BitsOf<F> mul<F>(BitsOf<F>, BitsOf<F>, Env&);                                                             \
    template BitsOf<F> div<F>(BitsOf<F>, BitsOf<F>, Env&);                                                             \
    template BitsOf<F> sqrt<F>(BitsOf<F>, Env&);                                                                       \
    template BitsOf<F> mul_add<F>(BitsOf<F>, BitsOf<F>, BitsOf<F>, Env&, MulAdd);                                      \
    template BitsOf<F> remainder<F>(BitsOf<F>, BitsOf<F>, Env&, RemainderKind);                                        \
    template BitsOf<F> remainder_step<F>(BitsOf<F>, BitsOf<F>, RemainderKind, Quotient&, Env&);                        \
    template BitsOf<F> round_to_integral<F>(BitsOf<F>, Rounding, bool, Env&);                                          \
    template BitsOf<F> scale_b<F>(BitsOf<F>, i32, Env&);                                                               \
    template BitsOf<F> log_b<F>(BitsOf<F>, Env&);
INSTANTIATE(F16)
INSTANTIATE(BF16)
INSTANTIATE(F32)
INSTANTIATE(F64)
INSTANTIATE(F80)
INSTANTIATE(F80M68k)
INSTANTIATE(F128)
#undef INSTANTIATE

} // namespace mimic::softfloat
