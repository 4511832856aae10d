// Scalar floating point: Arm ARM C4.1.97 (Data Processing -- Scalar Floating-Point and Advanced SIMD), in its order.
// A format is told by ftype; rows of half precision stand apart because they need FP16.
#include "isa/aarch64/semantics_fp.hpp"
#include "isa/aarch64/tables.hpp"

namespace mimic::isa::aarch64 {

namespace {

using ir::MinMax;
using ir::Round;

// ---- one source

void fmov(A64& t, const I& i) { t.v(i[Rd], t.v(i[Rn], fp_type(i))); }
template <Op O>
void unary(A64& t, const I& i) {
    t.v(i[Rd], t.fp(O, fp_type(i), t.v(i[Rn], fp_type(i))));
}
template <Round R, bool Exact>
void round_to_integral(A64& t, const I& i) {
    t.v(i[Rd], t.fp(Op::fround, fp_type(i), t.v(i[Rn], fp_type(i)), {}, {}, {.round = R, .exact = Exact}));
}
template <Type To>
void convert(A64& t, const I& i) {
    t.v(i[Rd], t.fp(Op::fcvt, To, t.v(i[Rn], fp_type(i))));
}

template <class F, u32 Bits, bool Zero>
int round_body(ir::CpuHeader* cpu, const ir::Wide* args, ir::Wide* results) {
    softfloat::Env env = fp_environment(*cpu);
    results[0].w[0] = round_to_size<F>(softfloat::BitsOf<F>(args[0].w[0]), Bits, Zero, env);
    keep_flags(*cpu, env);
    return 0;
}
template <class F, u32 Bits, bool Zero>
constexpr ir::Intrinsic rounding_intrinsic;
#define MIMIC_ROUND(f, bits, zero, text)                                                                               \
    template <>                                                                                                        \
    constexpr ir::Intrinsic rounding_intrinsic<softfloat::f, bits, zero>{                                              \
        .name = text, .body = round_body<softfloat::f, bits, zero>, .args = 1, .effects = ir::Intrinsic::reads_fp};
MIMIC_ROUND(F32, 32, true, "aarch64_frint32z_s")
MIMIC_ROUND(F32, 32, false, "aarch64_frint32x_s")
MIMIC_ROUND(F32, 64, true, "aarch64_frint64z_s")
MIMIC_ROUND(F32, 64, false, "aarch64_frint64x_s")
MIMIC_ROUND(F64, 32, true, "aarch64_frint32z_d")
MIMIC_ROUND(F64, 32, false, "aarch64_frint32x_d")
MIMIC_ROUND(F64, 64, true, "aarch64_frint64z_d")
MIMIC_ROUND(F64, 64, false, "aarch64_frint64x_d")
#undef MIMIC_ROUND
template <u32 Bits, bool Zero>
void round_sized(A64& t, const I& i) {
    Type type = fp_type(i);
    const ir::Intrinsic& f = type == Type::f64 ? rounding_intrinsic<softfloat::F64, Bits, Zero>
                                               : rounding_intrinsic<softfloat::F32, Bits, Zero>;
    t.v(i[Rd], t.call(f, type, {t.v(i[Rn], type)}));
}

// ---- two sources

template <Op O>
void binary(A64& t, const I& i) {
    Type type = fp_type(i);
    t.v(i[Rd], t.fp(O, type, t.v(i[Rn], type), t.v(i[Rm], type)));
}
template <Op O, MinMax Flavour>
void min_max(A64& t, const I& i) {
    Type type = fp_type(i);
    t.v(i[Rd], t.fp(O, type, t.v(i[Rn], type), t.v(i[Rm], type), {}, {}, u8(Flavour)));
}
void fnmul(A64& t, const I& i) {
    Type type = fp_type(i);
    t.v(i[Rd], t.fp(Op::fneg, type, t.fp(Op::fmul, type, t.v(i[Rn], type), t.v(i[Rm], type))));
}

// ---- three sources: what is negated is an operand, NaNs included

template <bool NegateProduct, bool NegateAddend>
void fused(A64& t, const I& i) {
    Type type = fp_type(i);
    Val a = t.v(i[Rn], type), b = t.v(i[Rm], type), c = t.v(i[Ra], type);
    if (NegateProduct) a = t.fp(Op::fneg, type, a);
    if (NegateAddend) c = t.fp(Op::fneg, type, c);
    t.v(i[Rd], t.fp(Op::fma, type, a, b, c));
}

// ---- comparisons

template <bool Signaling, bool Zero>
void compare(A64& t, const I& i) {
    Type type = fp_type(i);
    t.nzcv(t.flags_fcmp(t.v(i[Rn], type), Zero ? t.imm(0, type) : t.v(i[Rm], type), Signaling, true));
}
template <bool Signaling>
void conditional_compare(A64& t, const I& i) {
    Type type = fp_type(i);
    if (i[cond_] >= 14) return compare<Signaling, false>(t, i);
    ir::BlockId holds = t.new_block(), fails = t.new_block(), after = t.new_block();
    t.brcond(t.holds(i[cond_]), holds, fails);
    t.start_block(holds);
    t.nzcv(t.flags_fcmp(t.v(i[Rn], type), t.v(i[Rm], type), Signaling, true));
    t.br(after);
    t.start_block(fails);
    t.nzcv(t.flags_of(u32(i[nzcv_])));
    t.br(after);
    t.start_block(after);
}
void fcsel(A64& t, const I& i) {
    Type type = fp_type(i);
    t.v(i[Rd], t.holds(i[cond_]).select(t.v(i[Rn], type), t.v(i[Rm], type)));
}

void fmov_immediate(A64& t, const I& i) { t.v(i[Rd], t.imm(expand_immediate(u32(i[imm8]), fp_type(i)), fp_type(i))); }

// ---- integers

template <Op O, Round R>
void to_integer(A64& t, const I& i) {
    t.x(i[Rd], t.fp(O, width(i), t.v(i[Rn], fp_type(i)), {}, {}, {.round = R}));
}
template <Op O>
void from_integer(A64& t, const I& i) {
    t.v(i[Rd], t.fp(O, fp_type(i), t.r(i[Rn], width(i))));
}
void fmov_to_general(A64& t, const I& i) {
    Type type = fp_type(i);
    Val v = t.v(i[Rn], type).bitcast(bits_type(type));
    t.x(i[Rd], v);
}
void fmov_from_general(A64& t, const I& i) {
    Type type = fp_type(i);
    t.v(i[Rd], t.x(i[Rn]).trunc(bits_type(type)).bitcast(type));
}
void fmov_to_top(A64& t, const I& i) { t.put(u16(slot_v + i[Rd]), t.x(i[Rn]), 8); }
void fmov_from_top(A64& t, const I& i) { t.x(i[Rd], t.get(u16(slot_v + i[Rn]), Type::i64, 8)); }

// FPToFixedJS: modulo 2^32; Z tells that nothing was lost.
int convert_javascript(ir::CpuHeader* cpu, const ir::Wide* args, ir::Wide* results) {
    softfloat::Env env = fp_environment(*cpu);
    u64 a = args[0].w[0];
    u32 value = u32(softfloat::to_int_modular<softfloat::F64>(a, 32, env));
    bool lost = env.flags & (softfloat::flag::invalid | softfloat::flag::inexact);
    bool tiny = value == 0 && a != 0; // -0 too
    keep_flags(*cpu, env);
    results[0].w[0] = value | u64(!lost && !tiny) << 32;
    return 0;
}
constexpr ir::Intrinsic javascript{
    .name = "aarch64_fjcvtzs", .body = convert_javascript, .args = 1, .effects = ir::Intrinsic::reads_fp};
void fjcvtzs(A64& t, const I& i) {
    Val both = t.call(javascript, Type::i64, {t.v(i[Rn], Type::f64)});
    t.nzcv(t.flags_from(both.ubfx(32, 1).trunc(Type::i32).shl(6) | i64(ir::flag::c)));
    t.x(i[Rd], both.trunc(Type::i32));
}

// ---- fixed point

// args: the value; fraction bits, from bit 8 the format's bytes, bit 16 a 64-bit integer, bit 17 unsigned.
u64 how(const I& i, bool is_unsigned) {
    return u64(64 - i[scale]) | u64(ir::size_of(fp_type(i))) << 8 | u64(i[sf]) << 16 | u64(is_unsigned) << 17;
}
int to_fixed_body(ir::CpuHeader* cpu, const ir::Wide* args, ir::Wide* results) {
    softfloat::Env env = fp_environment(*cpu);
    u64 a = args[0].w[0], h = args[1].w[0];
    softfloat::IntType type{.bits = u8(h >> 16 & 1 ? 64 : 32), .is_signed = !(h >> 17 & 1)};
    constexpr auto zero = softfloat::Rounding::toward_zero;
    i32 fraction = i32(h & 0xff);
    switch (h >> 8 & 0xff) {
    case 2: results[0].w[0] = u64(softfloat::to_int<softfloat::F16>(u16(a), type, zero, env, fraction)); break;
    case 4: results[0].w[0] = u64(softfloat::to_int<softfloat::F32>(u32(a), type, zero, env, fraction)); break;
    default: results[0].w[0] = u64(softfloat::to_int<softfloat::F64>(a, type, zero, env, fraction)); break;
    }
    keep_flags(*cpu, env);
    return 0;
}
constexpr ir::Intrinsic to_fixed_point{
    .name = "aarch64_to_fixed", .body = to_fixed_body, .args = 2, .effects = ir::Intrinsic::reads_fp};
template <bool Unsigned>
void to_fixed(A64& t, const I& i) {
    Val v = t.call(to_fixed_point, Type::i64, {t.v(i[Rn], fp_type(i)), t.imm(how(i, Unsigned))});
    t.x(i[Rd], v.trunc(width(i)));
}
int from_fixed_body(ir::CpuHeader* cpu, const ir::Wide* args, ir::Wide* results) {
    softfloat::Env env = fp_environment(*cpu);
    u64 h = args[1].w[0];
    i32 fraction = -i32(h & 0xff);
    i128 wide = h >> 17 & 1 ? i128(args[0].w[0]) : i128(mimic::i64(args[0].w[0]));
    results[0].w[0] = softfloat::from_int<softfloat::F16>(wide, env, fraction);
    keep_flags(*cpu, env);
    return 0;
}
constexpr ir::Intrinsic from_fixed_half{
    .name = "aarch64_from_fixed_h", .body = from_fixed_body, .args = 2, .effects = ir::Intrinsic::reads_fp};
// Scaling by a power of two is exact in the wider formats: the converted value is at least 1, 2^-64 at the least after.
template <Op O>
void from_fixed(A64& t, const I& i) {
    Type type = fp_type(i);
    Val n = t.r(i[Rn], width(i));
    u64 fraction = u64(64 - i[scale]);
    if (type == Type::f16) {
        Val wide = O == Op::stof ? n.sext(Type::i64) : n.zext(Type::i64);
        return t.v(i[Rd], t.call(from_fixed_half, type, {wide, t.imm(how(i, O == Op::utof))}));
    }
    Val factor = type == Type::f64 ? t.imm((1023 - fraction) << 52, type) : t.imm((127 - fraction) << 23, type);
    t.v(i[Rd], t.fp(Op::fmul, type, t.fp(O, type, n), factor));
}
bool scale_fits(const I& i) { return i[sf] || i[scale] >= 32; }

// clang-format off
constexpr R rows[] = {
    {"scvtf   {Fd}, {RnF}, #{fbits}",         "sf 0011110 0 sz 0 00 010 scale Rn Rd",     from_fixed<Op::stof>, scale_fits},
    {"ucvtf   {Fd}, {RnF}, #{fbits}",         "sf 0011110 0 sz 0 00 011 scale Rn Rd",     from_fixed<Op::utof>, scale_fits},
    {"fcvtzs  {Rd}, {FnF}, #{fbits}",         "sf 0011110 0 sz 0 11 000 scale Rn Rd",     to_fixed<false>, scale_fits},
    {"fcvtzu  {Rd}, {FnF}, #{fbits}",         "sf 0011110 0 sz 0 11 001 scale Rn Rd",     to_fixed<true>, scale_fits},
    {"fcvtns  {Rd}, {FnF}",                   "sf 0011110 0 sz 1 00 000 000000 Rn Rd",    to_integer<Op::ftos, Round::nearest_even>},
    {"fcvtnu  {Rd}, {FnF}",                   "sf 0011110 0 sz 1 00 001 000000 Rn Rd",    to_integer<Op::ftou, Round::nearest_even>},
    {"fcvtps  {Rd}, {FnF}",                   "sf 0011110 0 sz 1 01 000 000000 Rn Rd",    to_integer<Op::ftos, Round::up>},
    {"fcvtpu  {Rd}, {FnF}",                   "sf 0011110 0 sz 1 01 001 000000 Rn Rd",    to_integer<Op::ftou, Round::up>},
    {"fcvtms  {Rd}, {FnF}",                   "sf 0011110 0 sz 1 10 000 000000 Rn Rd",    to_integer<Op::ftos, Round::down>},
    {"fcvtmu  {Rd}, {FnF}",                   "sf 0011110 0 sz 1 10 001 000000 Rn Rd",    to_integer<Op::ftou, Round::down>},
    {"fcvtzs  {Rd}, {FnF}",                   "sf 0011110 0 sz 1 11 000 000000 Rn Rd",    to_integer<Op::ftos, Round::toward_zero>},
    {"fcvtzu  {Rd}, {FnF}",                   "sf 0011110 0 sz 1 11 001 000000 Rn Rd",    to_integer<Op::ftou, Round::toward_zero>},
    {"scvtf   {Fd}, {RnF}",                   "sf 0011110 0 sz 1 00 010 000000 Rn Rd",    from_integer<Op::stof>},
    {"ucvtf   {Fd}, {RnF}",                   "sf 0011110 0 sz 1 00 011 000000 Rn Rd",    from_integer<Op::utof>},
    {"fcvtas  {Rd}, {FnF}",                   "sf 0011110 0 sz 1 00 100 000000 Rn Rd",    to_integer<Op::ftos, Round::nearest_away>},
    {"fcvtau  {Rd}, {FnF}",                   "sf 0011110 0 sz 1 00 101 000000 Rn Rd",    to_integer<Op::ftou, Round::nearest_away>},
    {"fmov    {Fd}, {Fn}",                    "00011110 0 sz 1 000000 10000 Rn Rd",       fmov},
    {"fabs    {Fd}, {Fn}",                    "00011110 0 sz 1 000001 10000 Rn Rd",       unary<Op::fabs>},
    {"fneg    {Fd}, {Fn}",                    "00011110 0 sz 1 000010 10000 Rn Rd",       unary<Op::fneg>},
    {"fsqrt   {Fd}, {Fn}",                    "00011110 0 sz 1 000011 10000 Rn Rd",       unary<Op::fsqrt>},
    {"frintn  {Fd}, {Fn}",                    "00011110 0 sz 1 001000 10000 Rn Rd",       round_to_integral<Round::nearest_even, false>},
    {"frintp  {Fd}, {Fn}",                    "00011110 0 sz 1 001001 10000 Rn Rd",       round_to_integral<Round::up, false>},
    {"frintm  {Fd}, {Fn}",                    "00011110 0 sz 1 001010 10000 Rn Rd",       round_to_integral<Round::down, false>},
    {"frintz  {Fd}, {Fn}",                    "00011110 0 sz 1 001011 10000 Rn Rd",       round_to_integral<Round::toward_zero, false>},
    {"frinta  {Fd}, {Fn}",                    "00011110 0 sz 1 001100 10000 Rn Rd",       round_to_integral<Round::nearest_away, false>},
    {"frintx  {Fd}, {Fn}",                    "00011110 0 sz 1 001110 10000 Rn Rd",       round_to_integral<Round::dynamic, true>},
    {"frinti  {Fd}, {Fn}",                    "00011110 0 sz 1 001111 10000 Rn Rd",       round_to_integral<Round::dynamic, false>},
    {"fcmp    {FnF}, {Fm}",                   "00011110 0 sz 1 Rm 00 1000 Rn 00000",      compare<false, false>},
    {"fcmp    {FnF}, #0.0",                   "00011110 0 sz 1 00000 00 1000 Rn 01000",   compare<false, true>},
    {"fcmpe   {FnF}, {Fm}",                   "00011110 0 sz 1 Rm 00 1000 Rn 10000",      compare<true, false>},
    {"fcmpe   {FnF}, #0.0",                   "00011110 0 sz 1 00000 00 1000 Rn 11000",   compare<true, true>},
    {"fmov    {Fd}, {fpimm}",                 "00011110 0 sz 1 imm8 100 00000 Rd",        fmov_immediate},
    {"fccmp   {FnF}, {Fm}, {nzcv}, {cond}",   "00011110 0 sz 1 Rm cond 01 Rn 0 nzcv",     conditional_compare<false>},
    {"fccmpe  {FnF}, {Fm}, {nzcv}, {cond}",   "00011110 0 sz 1 Rm cond 01 Rn 1 nzcv",     conditional_compare<true>},
    {"fmul    {Fd}, {Fn}, {Fm}",              "00011110 0 sz 1 Rm 0000 10 Rn Rd",         binary<Op::fmul>},
    {"fdiv    {Fd}, {Fn}, {Fm}",              "00011110 0 sz 1 Rm 0001 10 Rn Rd",         binary<Op::fdiv>},
    {"fadd    {Fd}, {Fn}, {Fm}",              "00011110 0 sz 1 Rm 0010 10 Rn Rd",         binary<Op::fadd>},
    {"fsub    {Fd}, {Fn}, {Fm}",              "00011110 0 sz 1 Rm 0011 10 Rn Rd",         binary<Op::fsub>},
    {"fmax    {Fd}, {Fn}, {Fm}",              "00011110 0 sz 1 Rm 0100 10 Rn Rd",         min_max<Op::fmax, MinMax::nan>},
    {"fmin    {Fd}, {Fn}, {Fm}",              "00011110 0 sz 1 Rm 0101 10 Rn Rd",         min_max<Op::fmin, MinMax::nan>},
    {"fmaxnm  {Fd}, {Fn}, {Fm}",              "00011110 0 sz 1 Rm 0110 10 Rn Rd",         min_max<Op::fmax, MinMax::num2008>},
    {"fminnm  {Fd}, {Fn}, {Fm}",              "00011110 0 sz 1 Rm 0111 10 Rn Rd",         min_max<Op::fmin, MinMax::num2008>},
    {"fnmul   {Fd}, {Fn}, {Fm}",              "00011110 0 sz 1 Rm 1000 10 Rn Rd",         fnmul},
    {"fcsel   {Fd}, {Fn}, {Fm}, {cond}",      "00011110 0 sz 1 Rm cond 11 Rn Rd",         fcsel},
    {"fmadd   {Fd}, {Fn}, {Fm}, {Fa}",        "00011111 0 sz 0 Rm 0 Ra Rn Rd",            fused<false, false>},
    {"fmsub   {Fd}, {Fn}, {Fm}, {Fa}",        "00011111 0 sz 0 Rm 1 Ra Rn Rd",            fused<true, false>},
    {"fnmadd  {Fd}, {Fn}, {Fm}, {Fa}",        "00011111 0 sz 1 Rm 0 Ra Rn Rd",            fused<true, true>},
    {"fnmsub  {Fd}, {Fn}, {Fm}, {Fa}",        "00011111 0 sz 1 Rm 1 Ra Rn Rd",            fused<false, true>},
    {"fmov    {Wd}, {Sn}",                  "0 0011110 00 1 00 110 000000 Rn Rd",       fmov_to_general},
    {"fmov    {Sd}, {Wn}",                  "0 0011110 00 1 00 111 000000 Rn Rd",       fmov_from_general},
    {"fmov    {Xd}, {Dn}",                  "1 0011110 01 1 00 110 000000 Rn Rd",       fmov_to_general},
    {"fmov    {Dd}, {Xn}",                  "1 0011110 01 1 00 111 000000 Rn Rd",       fmov_from_general},
    {"fmov    {Xd}, {Vn}.d[1]",             "1 0011110 10 1 01 110 000000 Rn Rd",       fmov_from_top},
    {"fmov    {Vd}.d[1], {Xn}",             "1 0011110 10 1 01 111 000000 Rn Rd",       fmov_to_top},
    {"fcvt    {Dd}, {Sn}",                  "00011110 00 1 000101 10000 Rn Rd",         convert<Type::f64>},
    {"fcvt    {Hd}, {Sn}",                  "00011110 00 1 000111 10000 Rn Rd",         convert<Type::f16>},
    {"fcvt    {Sd}, {Dn}",                  "00011110 01 1 000100 10000 Rn Rd",         convert<Type::f32>},
    {"fcvt    {Hd}, {Dn}",                  "00011110 01 1 000111 10000 Rn Rd",         convert<Type::f16>},
    {"fcvt    {Sd}, {Hn}",                  "00011110 11 1 000100 10000 Rn Rd",         convert<Type::f32>},
    {"fcvt    {Dd}, {Hn}",                  "00011110 11 1 000101 10000 Rn Rd",         convert<Type::f64>},
};

constexpr R half_rows[] = {
    {"scvtf   {Fd}, {RnF}, #{fbits}",         "sf 0011110 11 0 00 010 scale Rn Rd",       from_fixed<Op::stof>, scale_fits},
    {"ucvtf   {Fd}, {RnF}, #{fbits}",         "sf 0011110 11 0 00 011 scale Rn Rd",       from_fixed<Op::utof>, scale_fits},
    {"fcvtzs  {Rd}, {FnF}, #{fbits}",         "sf 0011110 11 0 11 000 scale Rn Rd",       to_fixed<false>, scale_fits},
    {"fcvtzu  {Rd}, {FnF}, #{fbits}",         "sf 0011110 11 0 11 001 scale Rn Rd",       to_fixed<true>, scale_fits},
    {"fcvtns  {Rd}, {FnF}",                   "sf 0011110 11 1 00 000 000000 Rn Rd",      to_integer<Op::ftos, Round::nearest_even>},
    {"fcvtnu  {Rd}, {FnF}",                   "sf 0011110 11 1 00 001 000000 Rn Rd",      to_integer<Op::ftou, Round::nearest_even>},
    {"fcvtps  {Rd}, {FnF}",                   "sf 0011110 11 1 01 000 000000 Rn Rd",      to_integer<Op::ftos, Round::up>},
    {"fcvtpu  {Rd}, {FnF}",                   "sf 0011110 11 1 01 001 000000 Rn Rd",      to_integer<Op::ftou, Round::up>},
    {"fcvtms  {Rd}, {FnF}",                   "sf 0011110 11 1 10 000 000000 Rn Rd",      to_integer<Op::ftos, Round::down>},
    {"fcvtmu  {Rd}, {FnF}",                   "sf 0011110 11 1 10 001 000000 Rn Rd",      to_integer<Op::ftou, Round::down>},
    {"fcvtzs  {Rd}, {FnF}",                   "sf 0011110 11 1 11 000 000000 Rn Rd",      to_integer<Op::ftos, Round::toward_zero>},
    {"fcvtzu  {Rd}, {FnF}",                   "sf 0011110 11 1 11 001 000000 Rn Rd",      to_integer<Op::ftou, Round::toward_zero>},
    {"scvtf   {Fd}, {RnF}",                   "sf 0011110 11 1 00 010 000000 Rn Rd",      from_integer<Op::stof>},
    {"ucvtf   {Fd}, {RnF}",                   "sf 0011110 11 1 00 011 000000 Rn Rd",      from_integer<Op::utof>},
    {"fcvtas  {Rd}, {FnF}",                   "sf 0011110 11 1 00 100 000000 Rn Rd",      to_integer<Op::ftos, Round::nearest_away>},
    {"fcvtau  {Rd}, {FnF}",                   "sf 0011110 11 1 00 101 000000 Rn Rd",      to_integer<Op::ftou, Round::nearest_away>},
    {"fmov    {Fd}, {Fn}",                    "00011110 11 1 000000 10000 Rn Rd",         fmov},
    {"fabs    {Fd}, {Fn}",                    "00011110 11 1 000001 10000 Rn Rd",         unary<Op::fabs>},
    {"fneg    {Fd}, {Fn}",                    "00011110 11 1 000010 10000 Rn Rd",         unary<Op::fneg>},
    {"fsqrt   {Fd}, {Fn}",                    "00011110 11 1 000011 10000 Rn Rd",         unary<Op::fsqrt>},
    {"frintn  {Fd}, {Fn}",                    "00011110 11 1 001000 10000 Rn Rd",         round_to_integral<Round::nearest_even, false>},
    {"frintp  {Fd}, {Fn}",                    "00011110 11 1 001001 10000 Rn Rd",         round_to_integral<Round::up, false>},
    {"frintm  {Fd}, {Fn}",                    "00011110 11 1 001010 10000 Rn Rd",         round_to_integral<Round::down, false>},
    {"frintz  {Fd}, {Fn}",                    "00011110 11 1 001011 10000 Rn Rd",         round_to_integral<Round::toward_zero, false>},
    {"frinta  {Fd}, {Fn}",                    "00011110 11 1 001100 10000 Rn Rd",         round_to_integral<Round::nearest_away, false>},
    {"frintx  {Fd}, {Fn}",                    "00011110 11 1 001110 10000 Rn Rd",         round_to_integral<Round::dynamic, true>},
    {"frinti  {Fd}, {Fn}",                    "00011110 11 1 001111 10000 Rn Rd",         round_to_integral<Round::dynamic, false>},
    {"fcmp    {FnF}, {Fm}",                   "00011110 11 1 Rm 00 1000 Rn 00000",        compare<false, false>},
    {"fcmp    {FnF}, #0.0",                   "00011110 11 1 00000 00 1000 Rn 01000",     compare<false, true>},
    {"fcmpe   {FnF}, {Fm}",                   "00011110 11 1 Rm 00 1000 Rn 10000",        compare<true, false>},
    {"fcmpe   {FnF}, #0.0",                   "00011110 11 1 00000 00 1000 Rn 11000",     compare<true, true>},
    {"fmov    {Fd}, {fpimm}",                 "00011110 11 1 imm8 100 00000 Rd",          fmov_immediate},
    {"fccmp   {FnF}, {Fm}, {nzcv}, {cond}",   "00011110 11 1 Rm cond 01 Rn 0 nzcv",       conditional_compare<false>},
    {"fccmpe  {FnF}, {Fm}, {nzcv}, {cond}",   "00011110 11 1 Rm cond 01 Rn 1 nzcv",       conditional_compare<true>},
    {"fmul    {Fd}, {Fn}, {Fm}",              "00011110 11 1 Rm 0000 10 Rn Rd",           binary<Op::fmul>},
    {"fdiv    {Fd}, {Fn}, {Fm}",              "00011110 11 1 Rm 0001 10 Rn Rd",           binary<Op::fdiv>},
    {"fadd    {Fd}, {Fn}, {Fm}",              "00011110 11 1 Rm 0010 10 Rn Rd",           binary<Op::fadd>},
    {"fsub    {Fd}, {Fn}, {Fm}",              "00011110 11 1 Rm 0011 10 Rn Rd",           binary<Op::fsub>},
    {"fmax    {Fd}, {Fn}, {Fm}",              "00011110 11 1 Rm 0100 10 Rn Rd",           min_max<Op::fmax, MinMax::nan>},
    {"fmin    {Fd}, {Fn}, {Fm}",              "00011110 11 1 Rm 0101 10 Rn Rd",           min_max<Op::fmin, MinMax::nan>},
    {"fmaxnm  {Fd}, {Fn}, {Fm}",              "00011110 11 1 Rm 0110 10 Rn Rd",           min_max<Op::fmax, MinMax::num2008>},
    {"fminnm  {Fd}, {Fn}, {Fm}",              "00011110 11 1 Rm 0111 10 Rn Rd",           min_max<Op::fmin, MinMax::num2008>},
    {"fnmul   {Fd}, {Fn}, {Fm}",              "00011110 11 1 Rm 1000 10 Rn Rd",           fnmul},
    {"fcsel   {Fd}, {Fn}, {Fm}, {cond}",      "00011110 11 1 Rm cond 11 Rn Rd",           fcsel},
    {"fmadd   {Fd}, {Fn}, {Fm}, {Fa}",        "00011111 11 0 Rm 0 Ra Rn Rd",              fused<false, false>},
    {"fmsub   {Fd}, {Fn}, {Fm}, {Fa}",        "00011111 11 0 Rm 1 Ra Rn Rd",              fused<true, false>},
    {"fnmadd  {Fd}, {Fn}, {Fm}, {Fa}",        "00011111 11 1 Rm 0 Ra Rn Rd",              fused<true, true>},
    {"fnmsub  {Fd}, {Fn}, {Fm}, {Fa}",        "00011111 11 1 Rm 1 Ra Rn Rd",              fused<false, true>},
    {"fmov    {Wd}, {Hn}",                  "0 0011110 11 1 00 110 000000 Rn Rd",       fmov_to_general},
    {"fmov    {Hd}, {Wn}",                  "0 0011110 11 1 00 111 000000 Rn Rd",       fmov_from_general},
    {"fmov    {Xd}, {Hn}",                  "1 0011110 11 1 00 110 000000 Rn Rd",       fmov_to_general},
    {"fmov    {Hd}, {Xn}",                  "1 0011110 11 1 00 111 000000 Rn Rd",       fmov_from_general},
};

constexpr R frintts_rows[] = {
    {"frint32z {Fd}, {Fn}",                 "00011110 0 sz 1 010000 10000 Rn Rd",       round_sized<32, true>},
    {"frint32x {Fd}, {Fn}",                 "00011110 0 sz 1 010001 10000 Rn Rd",       round_sized<32, false>},
    {"frint64z {Fd}, {Fn}",                 "00011110 0 sz 1 010010 10000 Rn Rd",       round_sized<64, true>},
    {"frint64x {Fd}, {Fn}",                 "00011110 0 sz 1 010011 10000 Rn Rd",       round_sized<64, false>},
};

constexpr R jscvt_rows[] = {
    {"fjcvtzs {Wd}, {Dn}",                  "0 0011110 01 1 11 110 000000 Rn Rd",       fjcvtzs},
};
// clang-format on

} // namespace

constinit const Table<AArch64> fp{"FP", needs(Feature::fp), rows, fp_registers};
constinit const Table<AArch64> fp_half{"FP16", needs(Feature::fp16), half_rows, fp_registers};
constinit const Table<AArch64> frintts{"FRINTTS", needs(Feature::frintts), frintts_rows, fp_registers};
constinit const Table<AArch64> jscvt{"JSCVT", needs(Feature::jscvt), jscvt_rows, fp_registers};

} // namespace mimic::isa::aarch64
