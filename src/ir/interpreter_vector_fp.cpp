// FP lanes. The estimates and steps are Arm's (Arm ARM, shared pseudocode FPRecipEstimate, FPRSqrtEstimate,
// FPRecipStepFused, FPRSqrtStepFused, FPRecpX, FPMulX, Reduce).
#include "ir/estimate.hpp"
#include "ir/interpreter_fp.hpp"

namespace mimic::ir {

namespace sf = softfloat;

namespace {

template <class F>
using Bits = typename F::Bits;

template <class F>
Bits<F> lane(const u8* from, u32 n) {
    Bits<F> v;
    std::memcpy(&v, from + n * sizeof v, sizeof v);
    return v;
}
template <class F>
void set_lane(u8* to, u32 n, Bits<F> v) {
    std::memcpy(to + n * sizeof v, &v, sizeof v);
}

template <class F>
Bits<F> number(int value, int halvings = 0) {
    sf::Env env;
    return sf::from_int<F>(value, env, -halvings);
}
template <class F>
Bits<F> infinity(bool sign) {
    return F::make(sign, F::max_biased, true, 0);
}
template <class F>
Bits<F> zero(bool sign) {
    return F::make(sign, 0, false, 0);
}

// Is a * b an infinity times zero (of any order), as operands are after flushing? What flushing them raises stays raised:
// any other product would raise it too.
template <class F>
bool infinity_times_zero(Bits<F> a, Bits<F> b, sf::Env& env) {
    sf::Parts x = sf::unpack<F>(a, env), y = sf::unpack<F>(b, env);
    return (x.is_infinity() && y.is_zero()) || (x.is_zero() && y.is_infinity());
}

template <class F>
Bits<F> nan_of(Bits<F> a, sf::Env& env) {
    return sf::round_pack<F>(sf::nan_result(sf::unpack<F>(a, env), env), env);
}

// FRECPS, FRSQRTS: two (three) - a * b, the latter halved.
template <class F>
Bits<F> step(Bits<F> a, Bits<F> b, bool root, sf::Env& env) {
    if (infinity_times_zero<F>(a, b, env)) return number<F>(root ? 3 : 2, root ? 1 : 0);
    return sf::mul_add<F>(F::negate(a), b, number<F>(root ? 3 : 2), env, {.scale = root ? -1 : 0});
}

template <class F>
Bits<F> multiply_extended(Bits<F> a, Bits<F> b, sf::Env& env) {
    if (!infinity_times_zero<F>(a, b, env)) return sf::mul<F>(a, b, env);
    Bits<F> two = number<F>(2);
    return F::sign(a) != F::sign(b) ? F::negate(two) : two;
}

// The top 8 fraction bits below the leading one, for a normalised number.
u32 leading_bits(const sf::Parts& p) { return u32(p.fraction >> 119); } // 256..511

template <class F>
Bits<F> pack_estimate(bool sign, int biased, u32 estimate) {
    u128 fraction = u128(estimate & 0xff) << (F::fraction_bits + 2) >> 8; // two more bits: a denormal's shift is exact
    u128 one = u128(1) << (F::fraction_bits + 2);
    if (biased == 0) fraction = (one | fraction) >> 1;
    if (biased == -1) fraction = (one | fraction) >> 2, biased = 0;
    return F::make(sign, biased, false, fraction >> 2);
}

template <class F>
Bits<F> reciprocal(Bits<F> a, sf::Env& env) {
    sf::Parts p = sf::unpack<F>(a, env);
    if (p.is_nan()) return nan_of<F>(a, env);
    if (p.is_infinity()) return zero<F>(p.sign);
    if (p.is_zero()) {
        env.raise(sf::flag::divide_by_zero);
        return infinity<F>(p.sign);
    }
    if (p.exponent < F::emin - 2) { // the reciprocal overflows
        env.raise(sf::flag::overflow | sf::flag::inexact);
        bool nearest = env.rounding == sf::Rounding::nearest_even || env.rounding == sf::Rounding::nearest_away;
        bool away = nearest || env.rounding == (p.sign ? sf::Rounding::down : sf::Rounding::up);
        if (away) return infinity<F>(p.sign);
        return F::make(p.sign, F::max_biased - 1, true, (u128(1) << F::fraction_bits) - 1);
    }
    const sf::Flush& flush = sf::flush_of<F>(env);
    if (flush.outputs && p.exponent >= F::bias - 1) { // the reciprocal is denormal
        env.raise(flush.output_flags);
        return zero<F>(p.sign);
    }
    int biased = 2 * F::bias - 1 - (p.exponent + F::bias);
    return pack_estimate<F>(p.sign, biased, reciprocal_estimate(leading_bits(p)));
}

template <class F>
Bits<F> reciprocal_root(Bits<F> a, sf::Env& env) {
    sf::Parts p = sf::unpack<F>(a, env);
    if (p.is_nan()) return nan_of<F>(a, env);
    if (p.is_zero()) {
        env.raise(sf::flag::divide_by_zero);
        return infinity<F>(p.sign);
    }
    if (p.sign) return sf::round_pack<F>(sf::invalid_nan(sf::flag::invalid_sqrt, env), env);
    if (p.is_infinity()) return zero<F>(false);
    int biased = p.exponent + F::bias;
    u32 scaled = biased & 1 ? leading_bits(p) >> 1 : leading_bits(p);
    int result = (3 * F::bias - 1 - biased) >> 1;
    return F::make(false, result, true, u128(reciprocal_root_estimate(scaled) & 0xff) << F::fraction_bits >> 8);
}

template <class F>
Bits<F> reciprocal_exponent(Bits<F> a, sf::Env& env) {
    sf::Parts p = sf::unpack<F>(a, env);
    if (p.is_nan()) return nan_of<F>(a, env);
    int biased = F::biased(a);
    return F::make(F::sign(a), biased == 0 ? F::max_biased - 1 : F::max_biased & ~biased, false, 0);
}

template <class F>
Bits<F> min_max(Bits<F> a, Bits<F> b, MinMax kind, bool max, sf::Env& env) {
    return sf::min_max<F>(a, b, min_max_of(kind, max), env);
}

template <class F>
Bits<F> binary(VBin kind, Bits<F> a, Bits<F> b, sf::Env& env) {
    switch (kind) {
    case VBin::faddp:
    case VBin::fadd: return sf::add<F>(a, b, env);
    case VBin::fsub: return sf::sub<F>(a, b, env);
    case VBin::fmul: return sf::mul<F>(a, b, env);
    case VBin::fdiv: return sf::div<F>(a, b, env);
    case VBin::fminp:
    case VBin::fmin: return min_max<F>(a, b, MinMax::nan, false, env);
    case VBin::fmaxp:
    case VBin::fmax: return min_max<F>(a, b, MinMax::nan, true, env);
    case VBin::fminnmp:
    case VBin::fminnm: return min_max<F>(a, b, MinMax::num2008, false, env);
    case VBin::fmaxnmp:
    case VBin::fmaxnm: return min_max<F>(a, b, MinMax::num2008, true, env);
    case VBin::fmin_number: return min_max<F>(a, b, MinMax::number, false, env);
    case VBin::fmax_number: return min_max<F>(a, b, MinMax::number, true, env);
    case VBin::fmin_x86: return min_max<F>(a, b, MinMax::x86, false, env);
    case VBin::fmax_x86: return min_max<F>(a, b, MinMax::x86, true, env);
    case VBin::fabd: {
        Bits<F> r = sf::sub<F>(a, b, env);
        return F::sign(r) ? F::negate(r) : r;
    }
    case VBin::fmulx: return multiply_extended<F>(a, b, env);
    case VBin::frecps: return step<F>(a, b, false, env);
    case VBin::frsqrts: return step<F>(a, b, true, env);
    default: return a;
    }
}
constexpr bool pairwise(VBin k) { return k >= VBin::faddp && k <= VBin::fminnmp; }

template <class F>
Bits<F> unary(VUn kind, Bits<F> a, sf::Env& env) {
    constexpr u8 width = 8 * sizeof(Bits<F>);
    switch (kind) {
    case VUn::fsqrt: return sf::sqrt<F>(a, env);
    case VUn::fround: return sf::round_to_integral<F>(a, env.rounding, false, env);
    case VUn::fround_exact: return sf::round_to_integral<F>(a, env.rounding, true, env);
    case VUn::ftos: return Bits<F>(sf::to_int<F>(a, {width, true}, env.rounding, env));
    case VUn::ftou: return Bits<F>(sf::to_int<F>(a, {width, false}, env.rounding, env));
    case VUn::stof: return sf::from_int<F>(std::make_signed_t<Bits<F>>(a), env);
    case VUn::utof: return sf::from_uint<F>(a, env);
    case VUn::frecpe: return reciprocal<F>(a, env);
    case VUn::frsqrte: return reciprocal_root<F>(a, env);
    case VUn::frecpx: return reciprocal_exponent<F>(a, env);
    default: return a;
    }
}

template <class F>
bool related(VRel rel, bool swapped, Bits<F> a, Bits<F> b, sf::Env& env) {
    bool quiet = rel == VRel::feq || rel == VRel::funord;
    if ((rel == VRel::facgt || rel == VRel::facge) && F::sign(a)) a = F::negate(a);
    if ((rel == VRel::facgt || rel == VRel::facge) && F::sign(b)) b = F::negate(b);
    sf::Ordering o = sf::compare<F>(a, b, quiet == swapped, env);
    if (rel == VRel::feq) return o == sf::Ordering::equal;
    if (rel == VRel::funord) return o == sf::Ordering::unordered;
    bool or_equal = rel == VRel::fge || rel == VRel::facge;
    return o == sf::Ordering::greater || (or_equal && o == sf::Ordering::equal);
}

template <class F>
Bits<F> reduce(VReduce kind, const u8* a, u32 first, u32 n, sf::Env& env) {
    if (n == 1) return lane<F>(a, first);
    u32 low = std::bit_ceil(n) / 2;
    Bits<F> x = reduce<F>(kind, a, first, low, env), y = reduce<F>(kind, a, first + low, n - low, env);
    switch (kind) {
    case VReduce::fmin: return min_max<F>(x, y, MinMax::nan, false, env);
    case VReduce::fmax: return min_max<F>(x, y, MinMax::nan, true, env);
    case VReduce::fminnm: return min_max<F>(x, y, MinMax::num2008, false, env);
    case VReduce::fmaxnm: return min_max<F>(x, y, MinMax::num2008, true, env);
    default: return sf::add<F>(x, y, env);
    }
}

// The next wider and narrower formats; half precision may be the alternative one.
template <class Narrow, class Wide>
void widen(const u8* from, u8* to, u32 first, u32 n, sf::Env& env) {
    for (u32 k = 0; k < n; ++k) set_lane<Wide>(to, k, sf::convert<Wide, Narrow>(lane<Narrow>(from, first + k), env));
}
template <class Wide, class Narrow>
void narrow(const u8* from, u8* to, u32 n, sf::Env& env) {
    for (u32 k = 0; k < n; ++k) set_lane<Narrow>(to, k, sf::convert<Narrow, Wide>(lane<Wide>(from, k), env));
}

struct Operands {
    const u8 *a, *b, *c;
    u8* to;
    u32 lanes;
};

template <class F>
void each_lane(const Inst& i, const Operands& o, sf::Env& env) {
    auto both = [&](u32 k) { return k < o.lanes ? lane<F>(o.a, k) : lane<F>(o.b, k - o.lanes); };
    FpArg arg = FpArg::from(i.imm);
    for (u32 k = 0; k < o.lanes; ++k) {
        Bits<F> x = lane<F>(o.a, k);
        if (i.op == Op::vbin) {
            bool pairs = pairwise(VBin(i.sub));
            if (!o.c || mask_bit(o.c, k, sizeof x))
                x = binary<F>(VBin(i.sub), pairs ? both(2 * k) : x, pairs ? both(2 * k + 1) : lane<F>(o.b, k), env);
        } else if (i.op == Op::vun) {
            x = unary<F>(VUn(i.sub), x, env);
        } else if (i.op == Op::vtern) {
            if (VTern(i.sub) == VTern::fmls) x = F::negate(x);
            sf::MulAdd options{.negate_product = arg.neg_product, .negate_addend = arg.neg_addend};
            x = sf::mul_add<F>(x, lane<F>(o.b, k), lane<F>(o.c, k), env, options);
        } else { // vcmp
            bool yes = related<F>(VRel(i.sub), i.imm & 1, x, lane<F>(o.b, k), env);
            if (i.type == Type::mask) {
                if (yes) set_mask_bit(o.to, k, sizeof x);
                continue;
            }
            x = yes ? Bits<F>(~Bits<F>(0)) : Bits<F>(0);
        }
        set_lane<F>(o.to, k, x);
    }
}

template <class F>
void with_lane(Lane l, F&& f) {
    if (l == Lane::f16) return f(sf::F16{});
    if (l == Lane::f32) return f(sf::F32{});
    f(sf::F64{});
}

} // namespace

void Run::vector_fp(const Inst& i, Place& out) {
    sf::Env& env = environment(false, has_fp_arg(i) ? FpArg::from(i.imm) : FpArg{});
    bool alternative = cpu.fp.mode & fpmode::alt_half;
    u32 size = lane_bytes(i.lane), total = bytes_of(type_of(i.a)), n = total / size;
    u8* to = result(out, i.type);
    auto operand = [&](ValueId v) { return v == none ? nullptr : bytes(v); };
    Operands o{bytes(i.a), operand(i.b), operand(i.c), to, n};
    if (i.op == Op::vwiden) {
        auto halves = unflushed_halves(env);
        u32 count = bytes_of(i.type) / (2 * size), first = i.sub & 1 ? count : 0;
        if (i.lane == Lane::f32)
            widen<sf::F32, sf::F64>(o.a, to, first, count, env);
        else if (alternative)
            widen<sf::F16Alternative, sf::F32>(o.a, to, first, count, env);
        else
            widen<sf::F16, sf::F32>(o.a, to, first, count, env);
    } else if (i.op == Op::vnarrow) {
        auto halves = unflushed_halves(env);
        if (VNarrow(i.sub) == VNarrow::fcvt_odd) env.rounding = sf::Rounding::odd;
        auto half = [&](const u8* from, u8* at) {
            if (i.lane == Lane::f64)
                narrow<sf::F64, sf::F32>(from, at, n, env);
            else if (alternative)
                narrow<sf::F32, sf::F16Alternative>(from, at, n, env);
            else
                narrow<sf::F32, sf::F16>(from, at, n, env);
        };
        half(o.a, to);
        if (o.b) half(o.b, to + total / 2);
    } else {
        with_lane(i.lane, [&]<class F>(F) {
            if (i.op == Op::vreduce)
                out = {{reduce<F>(VReduce(i.sub), o.a, 0, n, env), 0}};
            else
                each_lane<F>(i, o, env);
        });
    }
    keep_flags(env, cpu.fp);
}

} // namespace mimic::ir
