// Scalar floating point, through softfloat.
#include "ir/interpreter_fp.hpp"

namespace mimic::ir {

namespace sf = softfloat;

namespace {

template <class F>
typename F::Bits read(const Place& p) {
    if constexpr (sizeof(typename F::Bits) <= 8)
        return typename F::Bits(p.w[0]);
    else if constexpr (F::explicit_integer)
        return {p.w[0], u16(p.w[1])};
    else
        return u128(p.w[1]) << 64 | p.w[0];
}
template <class F>
Place place_of(typename F::Bits v) {
    if constexpr (sizeof(typename F::Bits) <= 8)
        return {{v, 0}};
    else if constexpr (F::explicit_integer)
        return {{v.significand, v.sign_exponent}};
    else
        return {{u64(v), u64(v >> 64)}};
}

template <class F>
auto with_format(Type t, F&& f) {
    switch (t) {
    case Type::f16: return f(sf::F16{});
    case Type::f32: return f(sf::F32{});
    case Type::f80: return f(sf::F80{});
    case Type::f128: return f(sf::F128{});
    default: return f(sf::F64{});
    }
}

u32 flags_of(sf::Ordering o, bool inverted) {
    u32 f = 0;
    if (o == sf::Ordering::less) f |= flag::n;
    if (o == sf::Ordering::equal) f |= flag::z;
    if (o == sf::Ordering::unordered) f |= flag::v;
    if ((o == sf::Ordering::less) == inverted) f |= flag::c;
    return f;
}
bool holds(FRel rel, sf::Ordering o) {
    switch (rel) {
    case FRel::eq: return o == sf::Ordering::equal;
    case FRel::lt: return o == sf::Ordering::less;
    case FRel::le: return o == sf::Ordering::less || o == sf::Ordering::equal;
    case FRel::unordered: return o == sf::Ordering::unordered;
    }
    return false;
}

template <class F>
Place arithmetic(const Inst& i, const Place* frame, sf::Env& env) {
    FpArg arg = FpArg::from(i.imm);
    auto a = read<F>(frame[i.a]), b = i.b == none ? a : read<F>(frame[i.b]);
    switch (i.op) {
    case Op::fadd: return place_of<F>(sf::add<F>(a, b, env));
    case Op::fsub: return place_of<F>(sf::sub<F>(a, b, env));
    case Op::fmul: return place_of<F>(sf::mul<F>(a, b, env));
    case Op::fdiv: return place_of<F>(sf::div<F>(a, b, env));
    case Op::fsqrt: return place_of<F>(sf::sqrt<F>(a, env));
    case Op::fma: {
        sf::MulAdd options{.negate_product = arg.neg_product, .negate_addend = arg.neg_addend};
        return place_of<F>(sf::mul_add<F>(a, b, read<F>(frame[i.c]), env, options));
    }
    case Op::fmin:
    case Op::fmax: return place_of<F>(sf::min_max<F>(a, b, min_max_of(MinMax(i.sub), i.op == Op::fmax), env));
    case Op::fround: return place_of<F>(sf::round_to_integral<F>(a, env.rounding, arg.exact, env));
    case Op::fcmp: return {{holds(FRel(i.sub), sf::compare<F>(a, b, i.imm & 1, env)), 0}};
    default: return {{flags_of(sf::compare<F>(a, b, i.sub & 1, env), i.imm & flags_invert_c), 0}}; // flags_fcmp
    }
}

template <class From>
Place convert_from(Type to, typename From::Bits a, bool alternative, sf::Env& env) {
    if (to == Type::f16 && alternative) return place_of<sf::F16>(sf::convert<sf::F16Alternative, From>(a, env));
    return with_format(to, [&]<class To>(To) { return place_of<To>(sf::convert<To, From>(a, env)); });
}

} // namespace

sf::Env& Run::environment(bool f80, FpArg arg) {
    const u32 mode = (f80 ? cpu.fp80 : cpu.fp).mode;
    Fp& now = f80 ? fp80 : fp;
    sf::Env& env = now.env;
    if (!now.built || now.mode != mode) {
        const sf::Env* rules = f80 && guest.fp80 ? guest.fp80 : guest.fp;
        MIMIC_CHECK(rules, "FP in a guest without FP rules");
        env = *rules;
        env.default_nan |= (mode & fpmode::default_nan) != 0;
        env.flush.inputs |= (mode & fpmode::flush_inputs) != 0;
        env.flush.outputs |= (mode & fpmode::flush_outputs) != 0;
        env.flush_half.inputs |= (mode & fpmode::flush_f16) != 0;
        env.flush_half.outputs |= (mode & fpmode::flush_f16) != 0;
        if (mode & fpmode::precision_24) env.extended_precision = 24;
        if (mode & fpmode::precision_53) env.extended_precision = 53;
        now.mode = mode;
        now.built = true;
    }
    u32 round = arg.round == Round::dynamic ? mode & 7 : u32(arg.round);
    env.rounding = sf::Rounding(round <= u32(Round::nearest_away) ? round : 0);
    env.flags = 0;
    return env;
}

void Run::scalar_fp(const Inst& i, Place& out) {
    if (i.op == Op::fneg || i.op == Op::fabs || i.op == Op::fcopysign) {
        Place p = frame[i.a];
        u32 width = i.type == Type::f80 ? 80 : width_of(i.type);
        u64 &word = p.w[width > 64], bit = u64{1} << ((width - 1) & 63);
        if (i.op == Op::fneg) word ^= bit;
        if (i.op == Op::fabs) word &= ~bit;
        if (i.op == Op::fcopysign) word = (word & ~bit) | (frame[i.b].w[width > 64] & bit);
        out = p;
        return;
    }
    Type from = type_of(i.a), to = i.type;
    bool f80 = from == Type::f80 || to == Type::f80;
    FpEnv& state = f80 ? cpu.fp80 : cpu.fp;
    sf::Env& env = environment(f80, has_fp_arg(i) ? FpArg::from(i.imm) : FpArg{});
    bool alternative = state.mode & fpmode::alt_half;
    Place r;
    switch (i.op) {
    case Op::fcvt: {
        auto halves = unflushed_halves(env);
        if (from == Type::f16 && alternative)
            r = convert_from<sf::F16Alternative>(to, u16(value(i.a)), false, env);
        else
            r = with_format(from,
                            [&]<class F>(F) { return convert_from<F>(to, read<F>(frame[i.a]), alternative, env); });
        break;
    }
    case Op::ftos:
    case Op::ftou: {
        sf::IntType type{u8(width_of(to)), i.op == Op::ftos};
        u128 v =
            with_format(from, [&]<class F>(F) { return sf::to_int<F>(read<F>(frame[i.a]), type, env.rounding, env); });
        r = {{u64(v) & mask_of(to), to == Type::i128 ? u64(v >> 64) : 0}};
        break;
    }
    case Op::stof: {
        auto v = from == Type::i128 ? mimic::i128(value128(i.a)) : signed_of(value(i.a), from);
        r = with_format(to, [&]<class F>(F) { return place_of<F>(sf::from_int<F>(v, env)); });
        break;
    }
    case Op::utof: {
        u128 v = from == Type::i128 ? value128(i.a) : value(i.a);
        r = with_format(to, [&]<class F>(F) { return place_of<F>(sf::from_uint<F>(v, env)); });
        break;
    }
    default: r = with_format(from, [&]<class F>(F) { return arithmetic<F>(i, frame, env); });
    }
    keep_flags(env, state);
    out = r;
}

void Run::fp_state(const Inst& i, Place& out) {
    FpEnv& state = i.sub == 1 ? cpu.fp80 : cpu.fp;
    if (i.sub == 2) {
        if (i.op == Op::fpflags) out = {{reversed_flags(state.flags), 0}};
        if (i.op == Op::fpflags_set) state.flags = (state.flags & ~sf::flag::ieee) | reversed_flags(u32(value(i.a)));
        return;
    }
    if (i.op == Op::fpflags) out = {{state.flags, 0}};
    if (i.op == Op::fpflags_set) state.flags = u32(value(i.a));
    if (i.op == Op::fpmode_set) state.mode = u32(value(i.a));
}

void Run::box(const Inst& i, Place& out) {
    Type from = type_of(i.a);
    u32 narrow = memory_bytes(i.op == Op::fbox ? from : i.type, 0),
        wide = memory_bytes(i.op == Op::fbox ? i.type : from, 0);
    u8 raw[16];
    std::memcpy(raw, &frame[i.a], 16);
    if (i.op == Op::fbox) {
        std::memset(raw + narrow, 0xff, wide - narrow);
        std::memset(raw + wide, 0, 16 - wide);
    } else {
        bool boxed = true;
        for (u32 n = narrow; n < wide; ++n) boxed &= raw[n] == 0xff;
        std::memset(raw + narrow, 0, 16 - narrow);
        if (!boxed) {
            sf::Env env = environment(i.type == Type::f80, {});
            Place nan = with_format(
                i.type, [&]<class F>(F) { return place_of<F>(sf::round_pack<F>(sf::default_nan(env), env)); });
            std::memcpy(raw, &nan, 16);
        }
    }
    std::memcpy(&out, raw, 16);
}

} // namespace mimic::ir
