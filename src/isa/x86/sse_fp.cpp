// SSE and SSE2 floating point. Intel SDM vol. 2, instructions by name; NaNs and flags: vol. 1, 11.5. Exceptions are
// masked. The approximations rcpps, rcpss, rsqrtps and rsqrtss are not there.
#include "isa/x86/semantics.hpp"

namespace mimic::isa::x86 {

namespace {

using ir::FpArg;
using ir::FRel;
using ir::Lane;
using ir::Op;
using ir::Round;
using ir::VBin;
using ir::VRel;
constexpr Type v128 = Type::v128;

constexpr Lane lane_of(Type t) { return t == Type::f32 ? Lane::f32 : Lane::f64; }
constexpr u64 dynamic = FpArg{}.bits(), truncate = FpArg{.round = Round::toward_zero}.bits();

// A scalar operation changes the low lane alone.
template <Op O, Type T, u8 Sub = 0>
void scalar2(X86& t, const I& i) {
    Val b = t.scalar(i, 1, T);
    t.xmm(i.reg, t.fp(O, T, t.xmm(i.reg, T), b, {}, {}, Sub));
}
template <VBin Kind, Lane L>
void packed2(X86& t, const I& i) {
    Val b = t.vector(i, 1);
    t.xmm(i.reg, t.op(Op::vbin, v128, t.xmm(i.reg), b, {}, dynamic, u8(Kind), L));
}
template <Type T>
void sqrt_scalar(X86& t, const I& i) {
    t.xmm(i.reg, t.fp(Op::fsqrt, T, t.scalar(i, 1, T)));
}
template <Lane L>
void sqrt_packed(X86& t, const I& i) {
    t.xmm(i.reg, t.op(Op::vun, v128, t.vector(i, 1), {}, {}, dynamic, u8(ir::VUn::fsqrt), L));
}

// The predicate is operand 0. Predicates 0..3 and their negations 4..7: equal and unordered are quiet, less and less or equal signal.
template <Type T>
void compare_scalar(X86& t, const I& i) {
    constexpr FRel table[] = {FRel::eq, FRel::lt, FRel::le, FRel::unordered};
    u32 p = u32(i.imm & 3);
    Val b = t.scalar(i, 2, T), hit = t.fcmp(table[p], t.xmm(i.reg, T), b, p == 1 || p == 2);
    if (i.imm & 4) hit = hit == 0;
    t.xmm(i.reg, hit.sext(T == Type::f32 ? Type::i32 : Type::i64));
}
template <Type T>
void compare_packed(X86& t, const I& i) {
    constexpr VRel table[] = {VRel::feq, VRel::fgt, VRel::fge, VRel::funord};
    u32 p = u32(i.imm & 3);
    Val b = t.vector(i, 2), a = t.xmm(i.reg);
    if (p == 1 || p == 2) std::swap(a, b); // a < b is b > a
    Val hit = t.op(Op::vcmp, v128, a, b, {}, 0, u8(table[p]), lane_of(T));
    t.xmm(i.reg, i.imm & 4 ? t.vun(ir::VUn::not_, Lane::i64, hit) : hit);
}
// ZF PF CF: greater 000, less 001, equal 100, unordered 111; the others are cleared.
template <Type T, bool Signaling>
void compare_flags(X86& t, const I& i) {
    Val b = t.scalar(i, 1, T), f = t.flags_fcmp(t.xmm(i.reg, T), b, Signaling);
    auto is = [&](Cond c) { return t.cond(c, f).zext(Type::i32); };
    Val unordered = is(Cond::v), less = is(Cond::n) | unordered, equal = is(Cond::z) | unordered;
    t.flags(t.flags_from(less | unordered.shl(2u) | equal.shl(6u)));
}

template <Type T>
void from_integer(X86& t, const I& i) {
    t.xmm(i.reg, t.fp(Op::stof, T, t.read(i, 1)));
}
template <Type T, u64 Arg>
void to_integer(X86& t, const I& i) {
    Val v = t.scalar(i, 1, T);
    t.write(i, 0, t.op(Op::ftos, int_type(i.bytes(0)), v, {}, {}, Arg));
}
template <Type From, Type To>
void convert(X86& t, const I& i) {
    t.xmm(i.reg, t.fp(Op::fcvt, To, t.scalar(i, 1, From)));
}
void cvtps2pd(X86& t, const I& i) {
    Val v = t.scalar(i, 1, Type::i64).bitcast(v128);
    t.xmm(i.reg, t.op(Op::vwiden, v128, v, {}, {}, dynamic, 0, Lane::f32));
}
void cvtpd2ps(X86& t, const I& i) {
    t.xmm(i.reg, t.op(Op::vnarrow, v128, t.vector(i, 1), {}, {}, dynamic, u8(ir::VNarrow::fcvt), Lane::f64));
}
void cvtdq2ps(X86& t, const I& i) {
    t.xmm(i.reg, t.op(Op::vun, v128, t.vector(i, 1), {}, {}, dynamic, u8(ir::VUn::stof), Lane::f32));
}
template <u64 Arg>
void ps2dq(X86& t, const I& i) {
    t.xmm(i.reg, t.op(Op::vun, v128, t.vector(i, 1), {}, {}, Arg, u8(ir::VUn::ftos), Lane::f32));
}
void cvtdq2pd(X86& t, const I& i) {
    Val v = t.scalar(i, 1, Type::i64).bitcast(v128);
    Val wide = t.op(Op::vwiden, v128, v, {}, {}, 0, 2, Lane::i32);
    t.xmm(i.reg, t.op(Op::vun, v128, wide, {}, {}, dynamic, u8(ir::VUn::stof), Lane::f64));
}
template <u64 Arg>
void pd2dq(X86& t, const I& i) {
    Val v = t.vector(i, 1);
    auto lane = [&](u64 n) {
        return t.op(Op::ftos, Type::i32, t.op(Op::vget, Type::f64, v, {}, {}, n, 0, Lane::f64), {}, {}, Arg);
    };
    Val low = lane(0), high = lane(1);
    t.xmm(i.reg, t.op(Op::pair, Type::i64, low, high).bitcast(v128));
}

// The four forms of an arithmetic operation.
#define ARITHMETIC(name, opcode, op, kind, sub)                                                                        \
    {name "ps {xmm1},{xmm2/m128}", "NP 0F " opcode " /r", packed2<VBin::kind, Lane::f32>},                             \
        {name "pd {xmm1},{xmm2/m128}", "66 0F " opcode " /r", packed2<VBin::kind, Lane::f64>},                         \
        {name "ss {xmm1},{xmm2/m32}", "F3 0F " opcode " /r", scalar2<Op::op, Type::f32, sub>}, {                       \
        name "sd {xmm1},{xmm2/m64}", "F2 0F " opcode " /r", scalar2<Op::op, Type::f64, sub>                            \
    }

// clang-format off
constexpr Row rows[] = {
    {"cvtsi2ss {xmm1},{r/my}",           "F3 0F 2A /r",     from_integer<Type::f32>},
    {"cvtsi2sd {xmm1},{r/my}",           "F2 0F 2A /r",     from_integer<Type::f64>},
    {"cvttss2si {ry},{xmm2/m32}",        "F3 0F 2C /r",     to_integer<Type::f32, truncate>},
    {"cvttsd2si {ry},{xmm2/m64}",        "F2 0F 2C /r",     to_integer<Type::f64, truncate>},
    {"cvtss2si {ry},{xmm2/m32}",         "F3 0F 2D /r",     to_integer<Type::f32, dynamic>},
    {"cvtsd2si {ry},{xmm2/m64}",         "F2 0F 2D /r",     to_integer<Type::f64, dynamic>},
    {"ucomiss {xmm1},{xmm2/m32}",        "NP 0F 2E /r",     compare_flags<Type::f32, false>},
    {"ucomisd {xmm1},{xmm2/m64}",        "66 0F 2E /r",     compare_flags<Type::f64, false>},
    {"comiss {xmm1},{xmm2/m32}",         "NP 0F 2F /r",     compare_flags<Type::f32, true>},
    {"comisd {xmm1},{xmm2/m64}",         "66 0F 2F /r",     compare_flags<Type::f64, true>},
    {"sqrtps {xmm1},{xmm2/m128}",        "NP 0F 51 /r",     sqrt_packed<Lane::f32>},
    {"sqrtpd {xmm1},{xmm2/m128}",        "66 0F 51 /r",     sqrt_packed<Lane::f64>},
    {"sqrtss {xmm1},{xmm2/m32}",         "F3 0F 51 /r",     sqrt_scalar<Type::f32>},
    {"sqrtsd {xmm1},{xmm2/m64}",         "F2 0F 51 /r",     sqrt_scalar<Type::f64>},
    ARITHMETIC("add", "58", fadd, fadd, 0),
    ARITHMETIC("mul", "59", fmul, fmul, 0),
    {"cvtps2pd {xmm1},{xmm2/m64}",       "NP 0F 5A /r",     cvtps2pd},
    {"cvtpd2ps {xmm1},{xmm2/m128}",      "66 0F 5A /r",     cvtpd2ps},
    {"cvtss2sd {xmm1},{xmm2/m32}",       "F3 0F 5A /r",     convert<Type::f32, Type::f64>},
    {"cvtsd2ss {xmm1},{xmm2/m64}",       "F2 0F 5A /r",     convert<Type::f64, Type::f32>},
    {"cvtdq2ps {xmm1},{xmm2/m128}",      "NP 0F 5B /r",     cvtdq2ps},
    {"cvtps2dq {xmm1},{xmm2/m128}",      "66 0F 5B /r",     ps2dq<dynamic>},
    {"cvttps2dq {xmm1},{xmm2/m128}",     "F3 0F 5B /r",     ps2dq<truncate>},
    ARITHMETIC("sub", "5C", fsub, fsub, 0),
    ARITHMETIC("min", "5D", fmin, fmin_x86, u8(ir::MinMax::x86)),
    ARITHMETIC("div", "5E", fdiv, fdiv, 0),
    ARITHMETIC("max", "5F", fmax, fmax_x86, u8(ir::MinMax::x86)),
    {"cmp{pred}ps {xmm1},{xmm2/m128}",   "NP 0F C2 /r ib",  compare_packed<Type::f32>},
    {"cmp{pred}pd {xmm1},{xmm2/m128}",   "66 0F C2 /r ib",  compare_packed<Type::f64>},
    {"cmp{pred}ss {xmm1},{xmm2/m32}",    "F3 0F C2 /r ib",  compare_scalar<Type::f32>},
    {"cmp{pred}sd {xmm1},{xmm2/m64}",    "F2 0F C2 /r ib",  compare_scalar<Type::f64>},
    {"cvttpd2dq {xmm1},{xmm2/m128}",     "66 0F E6 /r",     pd2dq<truncate>},
    {"cvtpd2dq {xmm1},{xmm2/m128}",      "F2 0F E6 /r",     pd2dq<dynamic>},
    {"cvtdq2pd {xmm1},{xmm2/m64}",       "F3 0F E6 /r",     cvtdq2pd},
};
// clang-format on

} // namespace

constinit const Table sse_fp_rows{"SSE2 FP", Feature::base, rows};

} // namespace mimic::isa::x86
