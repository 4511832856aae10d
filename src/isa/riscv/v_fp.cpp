// V: floating-point arithmetic, single and double precision. The RISC-V Instruction Set Manual, Volume I (20240411),
// 31.13; order as in its sections.
#include "isa/riscv/tables.hpp"
#include "isa/riscv/vector_ops.hpp"
#include "isa/riscv/vector_whole.hpp"

namespace mimic::isa::riscv {

namespace {

constexpr Shape fp_same{.d_fp = true, .a_fp = true, .b_fp = true},
    fp_compare{.to_mask = true, .a_fp = true, .b_fp = true},
    fp_merge{.from = From::f, .carry = true, .selects = true, .d_fp = true, .a_fp = true},
    fp_move{.from = From::f, .no_a = true, .d_fp = true}, fp_wide{.d = 1, .d_fp = true, .a_fp = true, .b_fp = true},
    fp_wide_sum{.d = 1, .d_read = true, .d_fp = true, .a_fp = true, .b_fp = true},
    fp_wider{.d = 1, .a = 1, .d_fp = true, .a_fp = true, .b_fp = true},
    fp_unary{.from = From::none, .d_fp = true, .a_fp = true}, fp_unary_to_int{.from = From::none, .a_fp = true},
    fp_from_int{.from = From::none, .d_fp = true}, fp_to_wide_int{.d = 1, .from = From::none, .a_fp = true},
    fp_wide_from_int{.d = 1, .from = From::none, .d_fp = true},
    fp_wide_from_signed{.d = 1, .from = From::none, .a_signed = true, .d_fp = true},
    fp_widen{.d = 1, .from = From::none, .d_fp = true, .a_fp = true},
    fp_to_narrow_int{.a = 1, .from = From::none, .a_fp = true},
    fp_narrow_from_int{.a = 1, .from = From::none, .d_fp = true},
    fp_narrow{.a = 1, .from = From::none, .d_fp = true, .a_fp = true, .narrow = ir::VNarrow::fcvt},
    fp_narrow_odd{.a = 1, .from = From::none, .d_fp = true, .a_fp = true, .narrow = ir::VNarrow::fcvt_odd};

using softfloat::F32, softfloat::F64, softfloat::MulAdd, softfloat::Ordering;

u64 fsub(Vec& v, u64 a, u64 b, u64) {
    return in_format(v.sew, [&]<class F>(F) { return softfloat::sub<F>(bits_of<F>(a), bits_of<F>(b), v.env); });
}
u64 frsub(Vec& v, u64 a, u64 b, u64 d) { return fsub(v, b, a, d); }
u64 fmul(Vec& v, u64 a, u64 b, u64) {
    return in_format(v.sew, [&]<class F>(F) { return softfloat::mul<F>(bits_of<F>(a), bits_of<F>(b), v.env); });
}
u64 fdiv(Vec& v, u64 a, u64 b, u64) {
    return in_format(v.sew, [&]<class F>(F) { return softfloat::div<F>(bits_of<F>(a), bits_of<F>(b), v.env); });
}
u64 frdiv(Vec& v, u64 a, u64 b, u64 d) { return fdiv(v, b, a, d); }
u64 fsqrt(Vec& v, u64 a, u64, u64) {
    return in_format(v.sew, [&]<class F>(F) { return softfloat::sqrt<F>(bits_of<F>(a), v.env); });
}

// 31.13.6: x * y + z with negations of the product and of z.
template <bool NegateProduct, bool NegateAddend>
u64 fused(Vec& v, i32 width, u64 x, u64 y, u64 z) {
    return in_format(width, [&]<class F>(F) {
        return softfloat::mul_add<F>(bits_of<F>(x), bits_of<F>(y), bits_of<F>(z), v.env,
                                     {.negate_product = NegateProduct, .negate_addend = NegateAddend});
    });
}
u64 fmadd(Vec& v, u64 a, u64 b, u64 d) { return fused<false, false>(v, v.sew, b, d, a); }
u64 fnmadd(Vec& v, u64 a, u64 b, u64 d) { return fused<true, true>(v, v.sew, b, d, a); }
u64 fmsub(Vec& v, u64 a, u64 b, u64 d) { return fused<false, true>(v, v.sew, b, d, a); }
u64 fnmsub(Vec& v, u64 a, u64 b, u64 d) { return fused<true, false>(v, v.sew, b, d, a); }
u64 fmacc(Vec& v, u64 a, u64 b, u64 d) { return fused<false, false>(v, v.sew, b, a, d); }
u64 fnmacc(Vec& v, u64 a, u64 b, u64 d) { return fused<true, true>(v, v.sew, b, a, d); }
u64 fmsac(Vec& v, u64 a, u64 b, u64 d) { return fused<false, true>(v, v.sew, b, a, d); }
u64 fnmsac(Vec& v, u64 a, u64 b, u64 d) { return fused<true, false>(v, v.sew, b, a, d); }

constexpr auto fmin = fmin_max<false>, fmax = fmin_max<true>;
u64 sign_of(Vec& v) { return u64{1} << (v.bits - 1); }
u64 fsgnj(Vec& v, u64 a, u64 b, u64) { return (a & ~sign_of(v)) | (b & sign_of(v)); }
u64 fsgnjn(Vec& v, u64 a, u64 b, u64) { return (a & ~sign_of(v)) | (~b & sign_of(v)); }
u64 fsgnjx(Vec& v, u64 a, u64 b, u64) { return a ^ (b & sign_of(v)); }

// 31.13.13: equality is quiet, order signals.
Ordering order(Vec& v, u64 a, u64 b, bool signalling) {
    if (v.sew == 2) return softfloat::compare<F32>(u32(a), u32(b), signalling, v.env);
    return softfloat::compare<F64>(a, b, signalling, v.env);
}
u64 feq(Vec& v, u64 a, u64 b, u64) { return order(v, a, b, false) == Ordering::equal; }
u64 fne(Vec& v, u64 a, u64 b, u64) { return order(v, a, b, false) != Ordering::equal; }
u64 flt(Vec& v, u64 a, u64 b, u64) { return order(v, a, b, true) == Ordering::less; }
u64 fgt(Vec& v, u64 a, u64 b, u64) { return order(v, a, b, true) == Ordering::greater; }
u64 fle(Vec& v, u64 a, u64 b, u64) {
    Ordering o = order(v, a, b, true);
    return o == Ordering::less || o == Ordering::equal;
}
u64 fge(Vec& v, u64 a, u64 b, u64) {
    Ordering o = order(v, a, b, true);
    return o == Ordering::greater || o == Ordering::equal;
}

// Widening: of single to double.
u64 fadd_wide(Vec& v, u64 a, u64 b, u64) {
    return softfloat::add<F64>(float_widened(v, a), float_widened(v, b), v.env);
}
u64 fsub_wide(Vec& v, u64 a, u64 b, u64) {
    return softfloat::sub<F64>(float_widened(v, a), float_widened(v, b), v.env);
}
u64 fadd_wider(Vec& v, u64 a, u64 b, u64) { return softfloat::add<F64>(a, float_widened(v, b), v.env); }
u64 fsub_wider(Vec& v, u64 a, u64 b, u64) { return softfloat::sub<F64>(a, float_widened(v, b), v.env); }
u64 fmul_wide(Vec& v, u64 a, u64 b, u64) {
    return softfloat::mul<F64>(float_widened(v, a), float_widened(v, b), v.env);
}
template <bool NegateProduct, bool NegateAddend>
u64 fused_wide(Vec& v, u64 a, u64 b, u64 d) {
    return fused<NegateProduct, NegateAddend>(v, 3, float_widened(v, b), float_widened(v, a), d);
}
constexpr auto fwmacc = fused_wide<false, false>, fwnmacc = fused_wide<true, true>, fwmsac = fused_wide<false, true>,
               fwnmsac = fused_wide<true, false>;

u64 fclass(Vec& v, u64 a, u64, u64) {
    auto c = v.sew == 2 ? softfloat::classify<F32>(u32(a), v.env) : softfloat::classify<F64>(a, v.env);
    return u64{1} << u32(c);
}

// Conversions; Truncate: not as frm says.
u64 converted(Vec& v, i32 from, u64 a, u32 bits, bool is_signed, bool truncate) {
    auto rounding = truncate ? softfloat::Rounding::toward_zero : v.env.rounding;
    return in_format(from, [&]<class F>(F) {
        return softfloat::to_int<F>(bits_of<F>(a), {.bits = u8(bits), .is_signed = is_signed}, rounding, v.env);
    });
}
template <bool Signed, bool Truncate>
u64 to_int(Vec& v, u64 a, u64, u64) {
    return converted(v, v.sew, a, v.bits, Signed, Truncate);
}
template <bool Signed, bool Truncate>
u64 to_wide_int(Vec& v, u64 a, u64, u64) {
    return converted(v, v.sew, a, 2 * v.bits, Signed, Truncate);
}
template <bool Signed, bool Truncate>
u64 to_narrow_int(Vec& v, u64 a, u64, u64) {
    return converted(v, v.sew + 1, a, v.bits, Signed, Truncate);
}
u64 made(Vec& v, i32 to, i32 from, u64 a, bool is_signed) {
    return in_format(to, [&]<class F>(F) {
        return is_signed ? softfloat::from_int<F>(Vec::sext(a, from), v.env) : softfloat::from_uint<F>(a, v.env);
    });
}
template <bool Signed>
u64 from_int(Vec& v, u64 a, u64, u64) {
    return made(v, v.sew, v.sew, a, Signed);
}
template <bool Signed>
u64 wide_from_int(Vec& v, u64 a, u64, u64) {
    return made(v, v.sew + 1, v.sew, a, Signed);
}
template <bool Signed>
u64 narrow_from_int(Vec& v, u64 a, u64, u64) {
    return made(v, v.sew, v.sew + 1, a, Signed);
}
u64 widen(Vec& v, u64 a, u64, u64) { return float_widened(v, a); }
template <bool ToOdd>
u64 narrow(Vec& v, u64 a, u64, u64) {
    softfloat::Env env = v.env;
    if (ToOdd) env.rounding = softfloat::Rounding::odd;
    u64 r = softfloat::convert<F32, F64>(a, env);
    v.env.flags = env.flags;
    return r;
}

// 31.13.9, 31.13.10: estimates of 7 bits. Entry n of the manual's tables is what stands in the middle of interval n:
// of 1 / x for x in [1, 2), and of 1 / sqrt(x) for x in [1, 2) where the exponent is odd, else in [2, 4).
constexpr u64 reciprocal_at(u64 n) { // of 128 intervals
    u64 x = 257 + 2 * n;             // 256 times the middle
    return (2 * 65536 + x) / (2 * x) - 128;
}
u64 reciprocal_root_at(u64 n, bool odd) { // of 64 intervals
    u64 square = (u64{1} << 25) / ((129 + 2 * n) * (odd ? 1 : 2)), root = 0;
    while ((root + 1) * (root + 1) <= square) ++root;
    return (root + 1) / 2 - 128;
}
// A finite number apart, subnormal ones normalised: 1.fraction * 2^(exponent - bias).
struct Apart {
    i32 fraction_bits, bias, exponent;
    bool negative;
    u64 fraction;
    Apart(const Vec& v, u64 a) {
        fraction_bits = v.sew == 2 ? 23 : 52, bias = v.sew == 2 ? 127 : 1023;
        const u64 one = u64{1} << fraction_bits;
        fraction = a & (one - 1);
        exponent = i32(a >> fraction_bits & u64(2 * bias + 1));
        negative = a >> (v.bits - 1) & 1;
        if (exponent != 0 || fraction == 0) return;
        exponent = 1;
        for (; fraction < one; fraction <<= 1) --exponent;
        fraction -= one;
    }
    u64 top(i32 bits) const { return fraction >> (fraction_bits - bits); }
    u64 sign() const { return u64{negative} << (fraction_bits == 23 ? 31 : 63); }
    u64 infinity() const { return sign() | u64(2 * bias + 1) << fraction_bits; }
    // Of an estimate whose exponent may be 0 or -1: subnormal.
    u64 number(i32 e, u64 estimate) const {
        u64 bits = estimate << (fraction_bits - 7);
        if (e > 0) return sign() | u64(e) << fraction_bits | bits;
        return sign() | (bits | u64{1} << fraction_bits) >> (1 - e);
    }
};
u64 default_nan(const Vec& v) { return v.sew == 2 ? 0x7fc00000 : 0x7ff8000000000000; }
using softfloat::NumberClass;
NumberClass class_of(Vec& v, u64 a) {
    return v.sew == 2 ? softfloat::classify<F32>(u32(a), v.env) : softfloat::classify<F64>(a, v.env);
}

u64 frsqrt7(Vec& v, u64 a, u64, u64) {
    Apart x(v, a);
    NumberClass c = class_of(v, a);
    bool nan = c == NumberClass::quiet_nan || c == NumberClass::signalling_nan;
    bool zero = c == NumberClass::negative_zero || c == NumberClass::positive_zero;
    if (zero) return v.env.flags |= softfloat::flag::divide_by_zero, x.infinity();
    if (c == NumberClass::signalling_nan || (x.negative && !nan)) v.env.flags |= softfloat::flag::invalid;
    if (nan || x.negative) return default_nan(v);
    if (c == NumberClass::positive_infinity) return 0;
    return x.number((3 * x.bias - 1 - x.exponent) >> 1, reciprocal_root_at(x.top(6), x.exponent & 1));
}
u64 frec7(Vec& v, u64 a, u64, u64) {
    using softfloat::Rounding;
    Apart x(v, a);
    switch (class_of(v, a)) {
    case NumberClass::signalling_nan: v.env.flags |= softfloat::flag::invalid; [[fallthrough]];
    case NumberClass::quiet_nan: return default_nan(v);
    case NumberClass::negative_infinity:
    case NumberClass::positive_infinity: return x.sign();
    case NumberClass::negative_zero:
    case NumberClass::positive_zero: return v.env.flags |= softfloat::flag::divide_by_zero, x.infinity();
    default: break;
    }
    if (x.exponent < -1) { // too small: the reciprocal overflows
        v.env.flags |= softfloat::flag::overflow | softfloat::flag::inexact;
        Rounding r = v.env.rounding;
        bool to_zero = r == Rounding::toward_zero || r == (x.negative ? Rounding::up : Rounding::down);
        return x.infinity() - to_zero;
    }
    return x.number(2 * x.bias - 1 - x.exponent, reciprocal_at(x.top(7)));
}

// ---- on whole registers: lanes that are not worked on are zeros, or what is divided by them ones

template <ir::VBin Kind>
Val fbin(Rv& t, const I&, const Step& s) {
    return t.op(Op::vbin, Type::v128, quiet(t, s, s.a), quiet(t, s, s.b), {}, dynamic_rounding, u8(Kind), s.fp());
}
template <ir::VBin Kind>
Val fbin_reversed(Rv& t, const I&, const Step& s) {
    return t.op(Op::vbin, Type::v128, quiet(t, s, s.b), quiet(t, s, s.a), {}, dynamic_rounding, u8(Kind), s.fp());
}
Val divided(Rv& t, const Step& s, Val a, Val b) {
    if (s.active)
        b = select_lanes(t, s.active, b, splat(t, s.lane(), t.imm(s.log == 3 ? 0x3ff0000000000000 : 0x3f800000)));
    return t.op(Op::vbin, Type::v128, quiet(t, s, a), b, {}, dynamic_rounding, u8(ir::VBin::fdiv), s.fp());
}
Val fdiv_whole(Rv& t, const I&, const Step& s) { return divided(t, s, s.a, s.b); }
Val frdiv_whole(Rv& t, const I&, const Step& s) { return divided(t, s, s.b, s.a); }
template <ir::VUn Kind, ir::Round Rounding = ir::Round::dynamic>
Val fun(Rv& t, const I&, const Step& s) {
    u64 arg = ir::FpArg{.round = Rounding}.bits();
    return t.op(Op::vun, Type::v128, quiet(t, s, s.a), {}, {}, arg, u8(Kind), s.fp());
}
template <bool NegateProduct, bool NegateAddend, bool TimesOld>
Val fused_whole(Rv& t, const I&, const Step& s) {
    u64 arg = ir::FpArg{.round = ir::Round::dynamic, .neg_product = NegateProduct, .neg_addend = NegateAddend}.bits();
    Val x = quiet(t, s, TimesOld ? s.d : s.a), z = quiet(t, s, TimesOld ? s.a : s.d);
    return t.op(Op::vtern, Type::v128, quiet(t, s, s.b), x, z, arg, u8(ir::VTern::fmla), s.fp());
}
// The sign of b, of its opposite, or of both joined.
enum class Sign { of_b, opposite, joined };
template <Sign Which>
Val sign_whole(Rv& t, const I&, const Step& s) {
    using ir::VBin, ir::Lane;
    Val sign = splat(t, s.lane(), t.imm(u64{1} << ((8u << s.log) - 1)));
    if (Which == Sign::joined) return t.vbin(VBin::xor_, Lane::i64, s.a, t.vbin(VBin::and_, Lane::i64, s.b, sign));
    Val b = Which == Sign::of_b ? s.b : ones_complement(t, s.b);
    return t.op(Op::vselect, Type::v128, sign, b, s.a);
}
template <ir::VRel Rel, bool Exchanged>
Val fcompare(Rv& t, const I&, const Step& s) {
    Val a = quiet(t, s, s.a), b = quiet(t, s, s.b);
    return t.op(Op::vcmp, Type::v128, Exchanged ? b : a, Exchanged ? a : b, {}, 0, u8(Rel), s.fp());
}
Val fdiffer(Rv& t, const I& i, const Step& s) { return ones_complement(t, fcompare<ir::VRel::feq, false>(t, i, s)); }
Val quiet_first(Rv& t, const I&, const Step& s) { return quiet(t, s, s.a); } // what narrows it may raise

// clang-format off
constexpr R rows[] = {
    {"vfadd.vv    {vd}, {vs2}, {vs1}{vm}",        "000000 vm rs2 rs1 001 rd 1010111",    elements<fadd, fp_same, fbin<ir::VBin::fadd>>},
    {"vfadd.vf    {vd}, {vs2}, {frs1}{vm}",       "000000 vm rs2 rs1 101 rd 1010111",    elements<fadd, fp_same.with(From::f), fbin<ir::VBin::fadd>>},
    {"vfsub.vv    {vd}, {vs2}, {vs1}{vm}",        "000010 vm rs2 rs1 001 rd 1010111",    elements<fsub, fp_same, fbin<ir::VBin::fsub>>},
    {"vfsub.vf    {vd}, {vs2}, {frs1}{vm}",       "000010 vm rs2 rs1 101 rd 1010111",    elements<fsub, fp_same.with(From::f), fbin<ir::VBin::fsub>>},
    {"vfrsub.vf   {vd}, {vs2}, {frs1}{vm}",       "100111 vm rs2 rs1 101 rd 1010111",    elements<frsub, fp_same.with(From::f), fbin_reversed<ir::VBin::fsub>>},
    {"vfmul.vv    {vd}, {vs2}, {vs1}{vm}",        "100100 vm rs2 rs1 001 rd 1010111",    elements<fmul, fp_same, fbin<ir::VBin::fmul>>},
    {"vfmul.vf    {vd}, {vs2}, {frs1}{vm}",       "100100 vm rs2 rs1 101 rd 1010111",    elements<fmul, fp_same.with(From::f), fbin<ir::VBin::fmul>>},
    {"vfdiv.vv    {vd}, {vs2}, {vs1}{vm}",        "100000 vm rs2 rs1 001 rd 1010111",    elements<fdiv, fp_same, fdiv_whole>},
    {"vfdiv.vf    {vd}, {vs2}, {frs1}{vm}",       "100000 vm rs2 rs1 101 rd 1010111",    elements<fdiv, fp_same.with(From::f), fdiv_whole>},
    {"vfrdiv.vf   {vd}, {vs2}, {frs1}{vm}",       "100001 vm rs2 rs1 101 rd 1010111",    elements<frdiv, fp_same.with(From::f), frdiv_whole>},
    {"vfmadd.vv   {vd}, {vs1}, {vs2}{vm}",        "101000 vm rs2 rs1 001 rd 1010111",    elements<fmadd, fp_same, fused_whole<false, false, true>>},
    {"vfmadd.vf   {vd}, {frs1}, {vs2}{vm}",       "101000 vm rs2 rs1 101 rd 1010111",    elements<fmadd, fp_same.with(From::f), fused_whole<false, false, true>>},
    {"vfnmadd.vv  {vd}, {vs1}, {vs2}{vm}",        "101001 vm rs2 rs1 001 rd 1010111",    elements<fnmadd, fp_same, fused_whole<true, true, true>>},
    {"vfnmadd.vf  {vd}, {frs1}, {vs2}{vm}",       "101001 vm rs2 rs1 101 rd 1010111",    elements<fnmadd, fp_same.with(From::f), fused_whole<true, true, true>>},
    {"vfmsub.vv   {vd}, {vs1}, {vs2}{vm}",        "101010 vm rs2 rs1 001 rd 1010111",    elements<fmsub, fp_same, fused_whole<false, true, true>>},
    {"vfmsub.vf   {vd}, {frs1}, {vs2}{vm}",       "101010 vm rs2 rs1 101 rd 1010111",    elements<fmsub, fp_same.with(From::f), fused_whole<false, true, true>>},
    {"vfnmsub.vv  {vd}, {vs1}, {vs2}{vm}",        "101011 vm rs2 rs1 001 rd 1010111",    elements<fnmsub, fp_same, fused_whole<true, false, true>>},
    {"vfnmsub.vf  {vd}, {frs1}, {vs2}{vm}",       "101011 vm rs2 rs1 101 rd 1010111",    elements<fnmsub, fp_same.with(From::f), fused_whole<true, false, true>>},
    {"vfmacc.vv   {vd}, {vs1}, {vs2}{vm}",        "101100 vm rs2 rs1 001 rd 1010111",    elements<fmacc, fp_same, fused_whole<false, false, false>>},
    {"vfmacc.vf   {vd}, {frs1}, {vs2}{vm}",       "101100 vm rs2 rs1 101 rd 1010111",    elements<fmacc, fp_same.with(From::f), fused_whole<false, false, false>>},
    {"vfnmacc.vv  {vd}, {vs1}, {vs2}{vm}",        "101101 vm rs2 rs1 001 rd 1010111",    elements<fnmacc, fp_same, fused_whole<true, true, false>>},
    {"vfnmacc.vf  {vd}, {frs1}, {vs2}{vm}",       "101101 vm rs2 rs1 101 rd 1010111",    elements<fnmacc, fp_same.with(From::f), fused_whole<true, true, false>>},
    {"vfmsac.vv   {vd}, {vs1}, {vs2}{vm}",        "101110 vm rs2 rs1 001 rd 1010111",    elements<fmsac, fp_same, fused_whole<false, true, false>>},
    {"vfmsac.vf   {vd}, {frs1}, {vs2}{vm}",       "101110 vm rs2 rs1 101 rd 1010111",    elements<fmsac, fp_same.with(From::f), fused_whole<false, true, false>>},
    {"vfnmsac.vv  {vd}, {vs1}, {vs2}{vm}",        "101111 vm rs2 rs1 001 rd 1010111",    elements<fnmsac, fp_same, fused_whole<true, false, false>>},
    {"vfnmsac.vf  {vd}, {frs1}, {vs2}{vm}",       "101111 vm rs2 rs1 101 rd 1010111",    elements<fnmsac, fp_same.with(From::f), fused_whole<true, false, false>>},
    {"vfmin.vv    {vd}, {vs2}, {vs1}{vm}",        "000100 vm rs2 rs1 001 rd 1010111",    elements<fmin, fp_same, fbin<ir::VBin::fmin_number>>},
    {"vfmin.vf    {vd}, {vs2}, {frs1}{vm}",       "000100 vm rs2 rs1 101 rd 1010111",    elements<fmin, fp_same.with(From::f), fbin<ir::VBin::fmin_number>>},
    {"vfmax.vv    {vd}, {vs2}, {vs1}{vm}",        "000110 vm rs2 rs1 001 rd 1010111",    elements<fmax, fp_same, fbin<ir::VBin::fmax_number>>},
    {"vfmax.vf    {vd}, {vs2}, {frs1}{vm}",       "000110 vm rs2 rs1 101 rd 1010111",    elements<fmax, fp_same.with(From::f), fbin<ir::VBin::fmax_number>>},
    {"vfsgnj.vv   {vd}, {vs2}, {vs1}{vm}",        "001000 vm rs2 rs1 001 rd 1010111",    elements<fsgnj, fp_same, sign_whole<Sign::of_b>>},
    {"vfsgnj.vf   {vd}, {vs2}, {frs1}{vm}",       "001000 vm rs2 rs1 101 rd 1010111",    elements<fsgnj, fp_same.with(From::f), sign_whole<Sign::of_b>>},
    {"vfsgnjn.vv  {vd}, {vs2}, {vs1}{vm}",        "001001 vm rs2 rs1 001 rd 1010111",    elements<fsgnjn, fp_same, sign_whole<Sign::opposite>>},
    {"vfsgnjn.vf  {vd}, {vs2}, {frs1}{vm}",       "001001 vm rs2 rs1 101 rd 1010111",    elements<fsgnjn, fp_same.with(From::f), sign_whole<Sign::opposite>>},
    {"vfsgnjx.vv  {vd}, {vs2}, {vs1}{vm}",        "001010 vm rs2 rs1 001 rd 1010111",    elements<fsgnjx, fp_same, sign_whole<Sign::joined>>},
    {"vfsgnjx.vf  {vd}, {vs2}, {frs1}{vm}",       "001010 vm rs2 rs1 101 rd 1010111",    elements<fsgnjx, fp_same.with(From::f), sign_whole<Sign::joined>>},

    {"vmfeq.vv    {vd}, {vs2}, {vs1}{vm}",        "011000 vm rs2 rs1 001 rd 1010111",    elements<feq, fp_compare, fcompare<ir::VRel::feq, false>>},
    {"vmfeq.vf    {vd}, {vs2}, {frs1}{vm}",       "011000 vm rs2 rs1 101 rd 1010111",    elements<feq, fp_compare.with(From::f), fcompare<ir::VRel::feq, false>>},
    {"vmfle.vv    {vd}, {vs2}, {vs1}{vm}",        "011001 vm rs2 rs1 001 rd 1010111",    elements<fle, fp_compare, fcompare<ir::VRel::fge, true>>},
    {"vmfle.vf    {vd}, {vs2}, {frs1}{vm}",       "011001 vm rs2 rs1 101 rd 1010111",    elements<fle, fp_compare.with(From::f), fcompare<ir::VRel::fge, true>>},
    {"vmflt.vv    {vd}, {vs2}, {vs1}{vm}",        "011011 vm rs2 rs1 001 rd 1010111",    elements<flt, fp_compare, fcompare<ir::VRel::fgt, true>>},
    {"vmflt.vf    {vd}, {vs2}, {frs1}{vm}",       "011011 vm rs2 rs1 101 rd 1010111",    elements<flt, fp_compare.with(From::f), fcompare<ir::VRel::fgt, true>>},
    {"vmfne.vv    {vd}, {vs2}, {vs1}{vm}",        "011100 vm rs2 rs1 001 rd 1010111",    elements<fne, fp_compare, fdiffer>},
    {"vmfne.vf    {vd}, {vs2}, {frs1}{vm}",       "011100 vm rs2 rs1 101 rd 1010111",    elements<fne, fp_compare.with(From::f), fdiffer>},
    {"vmfgt.vf    {vd}, {vs2}, {frs1}{vm}",       "011101 vm rs2 rs1 101 rd 1010111",    elements<fgt, fp_compare.with(From::f), fcompare<ir::VRel::fgt, false>>},
    {"vmfge.vf    {vd}, {vs2}, {frs1}{vm}",       "011111 vm rs2 rs1 101 rd 1010111",    elements<fge, fp_compare.with(From::f), fcompare<ir::VRel::fge, false>>},
    {"vfmerge.vfm {vd}, {vs2}, {frs1}, v0",       "010111 0 rs2 rs1 101 rd 1010111",     elements<merge, fp_merge, merge_whole>},
    {"vfmv.v.f    {vd}, {frs1}",                  "010111 1 00000 rs1 101 rd 1010111",   elements<second, fp_move, second_whole>},

    {"vfwadd.vv   {vd}, {vs2}, {vs1}{vm}",        "110000 vm rs2 rs1 001 rd 1010111",    elements<fadd_wide, fp_wide, fbin<ir::VBin::fadd>>},
    {"vfwadd.vf   {vd}, {vs2}, {frs1}{vm}",       "110000 vm rs2 rs1 101 rd 1010111",    elements<fadd_wide, fp_wide.with(From::f), fbin<ir::VBin::fadd>>},
    {"vfwsub.vv   {vd}, {vs2}, {vs1}{vm}",        "110010 vm rs2 rs1 001 rd 1010111",    elements<fsub_wide, fp_wide, fbin<ir::VBin::fsub>>},
    {"vfwsub.vf   {vd}, {vs2}, {frs1}{vm}",       "110010 vm rs2 rs1 101 rd 1010111",    elements<fsub_wide, fp_wide.with(From::f), fbin<ir::VBin::fsub>>},
    {"vfwadd.wv   {vd}, {vs2}, {vs1}{vm}",        "110100 vm rs2 rs1 001 rd 1010111",    elements<fadd_wider, fp_wider, fbin<ir::VBin::fadd>>},
    {"vfwadd.wf   {vd}, {vs2}, {frs1}{vm}",       "110100 vm rs2 rs1 101 rd 1010111",    elements<fadd_wider, fp_wider.with(From::f), fbin<ir::VBin::fadd>>},
    {"vfwsub.wv   {vd}, {vs2}, {vs1}{vm}",        "110110 vm rs2 rs1 001 rd 1010111",    elements<fsub_wider, fp_wider, fbin<ir::VBin::fsub>>},
    {"vfwsub.wf   {vd}, {vs2}, {frs1}{vm}",       "110110 vm rs2 rs1 101 rd 1010111",    elements<fsub_wider, fp_wider.with(From::f), fbin<ir::VBin::fsub>>},
    {"vfwmul.vv   {vd}, {vs2}, {vs1}{vm}",        "111000 vm rs2 rs1 001 rd 1010111",    elements<fmul_wide, fp_wide, fbin<ir::VBin::fmul>>},
    {"vfwmul.vf   {vd}, {vs2}, {frs1}{vm}",       "111000 vm rs2 rs1 101 rd 1010111",    elements<fmul_wide, fp_wide.with(From::f), fbin<ir::VBin::fmul>>},
    {"vfwmacc.vv  {vd}, {vs1}, {vs2}{vm}",        "111100 vm rs2 rs1 001 rd 1010111",    elements<fwmacc, fp_wide_sum, fused_whole<false, false, false>>},
    {"vfwmacc.vf  {vd}, {frs1}, {vs2}{vm}",       "111100 vm rs2 rs1 101 rd 1010111",    elements<fwmacc, fp_wide_sum.with(From::f), fused_whole<false, false, false>>},
    {"vfwnmacc.vv {vd}, {vs1}, {vs2}{vm}",        "111101 vm rs2 rs1 001 rd 1010111",    elements<fwnmacc, fp_wide_sum, fused_whole<true, true, false>>},
    {"vfwnmacc.vf {vd}, {frs1}, {vs2}{vm}",       "111101 vm rs2 rs1 101 rd 1010111",    elements<fwnmacc, fp_wide_sum.with(From::f), fused_whole<true, true, false>>},
    {"vfwmsac.vv  {vd}, {vs1}, {vs2}{vm}",        "111110 vm rs2 rs1 001 rd 1010111",    elements<fwmsac, fp_wide_sum, fused_whole<false, true, false>>},
    {"vfwmsac.vf  {vd}, {frs1}, {vs2}{vm}",       "111110 vm rs2 rs1 101 rd 1010111",    elements<fwmsac, fp_wide_sum.with(From::f), fused_whole<false, true, false>>},
    {"vfwnmsac.vv {vd}, {vs1}, {vs2}{vm}",        "111111 vm rs2 rs1 001 rd 1010111",    elements<fwnmsac, fp_wide_sum, fused_whole<true, false, false>>},
    {"vfwnmsac.vf {vd}, {frs1}, {vs2}{vm}",       "111111 vm rs2 rs1 101 rd 1010111",    elements<fwnmsac, fp_wide_sum.with(From::f), fused_whole<true, false, false>>},

    {"vfsqrt.v          {vd}, {vs2}{vm}",         "010011 vm rs2 00000 001 rd 1010111",  elements<fsqrt, fp_unary, fun<ir::VUn::fsqrt>>},
    {"vfrsqrt7.v        {vd}, {vs2}{vm}",         "010011 vm rs2 00100 001 rd 1010111",  elements<frsqrt7, fp_unary>},
    {"vfrec7.v          {vd}, {vs2}{vm}",         "010011 vm rs2 00101 001 rd 1010111",  elements<frec7, fp_unary>},
    {"vfclass.v         {vd}, {vs2}{vm}",         "010011 vm rs2 10000 001 rd 1010111",  elements<fclass, fp_unary_to_int>},
    {"vfcvt.xu.f.v      {vd}, {vs2}{vm}",         "010010 vm rs2 00000 001 rd 1010111",  elements<to_int<false, false>, fp_unary_to_int, fun<ir::VUn::ftou>>},
    {"vfcvt.x.f.v       {vd}, {vs2}{vm}",         "010010 vm rs2 00001 001 rd 1010111",  elements<to_int<true, false>, fp_unary_to_int, fun<ir::VUn::ftos>>},
    {"vfcvt.rtz.xu.f.v  {vd}, {vs2}{vm}",         "010010 vm rs2 00110 001 rd 1010111",  elements<to_int<false, true>, fp_unary_to_int, fun<ir::VUn::ftou, ir::Round::toward_zero>>},
    {"vfcvt.rtz.x.f.v   {vd}, {vs2}{vm}",         "010010 vm rs2 00111 001 rd 1010111",  elements<to_int<true, true>, fp_unary_to_int, fun<ir::VUn::ftos, ir::Round::toward_zero>>},
    {"vfcvt.f.xu.v      {vd}, {vs2}{vm}",         "010010 vm rs2 00010 001 rd 1010111",  elements<from_int<false>, fp_from_int, fun<ir::VUn::utof>>},
    {"vfcvt.f.x.v       {vd}, {vs2}{vm}",         "010010 vm rs2 00011 001 rd 1010111",  elements<from_int<true>, fp_from_int, fun<ir::VUn::stof>>},
    {"vfwcvt.xu.f.v     {vd}, {vs2}{vm}",         "010010 vm rs2 01000 001 rd 1010111",  elements<to_wide_int<false, false>, fp_to_wide_int, fun<ir::VUn::ftou>>},
    {"vfwcvt.x.f.v      {vd}, {vs2}{vm}",         "010010 vm rs2 01001 001 rd 1010111",  elements<to_wide_int<true, false>, fp_to_wide_int, fun<ir::VUn::ftos>>},
    {"vfwcvt.rtz.xu.f.v {vd}, {vs2}{vm}",         "010010 vm rs2 01110 001 rd 1010111",  elements<to_wide_int<false, true>, fp_to_wide_int, fun<ir::VUn::ftou, ir::Round::toward_zero>>},
    {"vfwcvt.rtz.x.f.v  {vd}, {vs2}{vm}",         "010010 vm rs2 01111 001 rd 1010111",  elements<to_wide_int<true, true>, fp_to_wide_int, fun<ir::VUn::ftos, ir::Round::toward_zero>>},
    {"vfwcvt.f.xu.v     {vd}, {vs2}{vm}",         "010010 vm rs2 01010 001 rd 1010111",  elements<wide_from_int<false>, fp_wide_from_int, fun<ir::VUn::utof>>},
    {"vfwcvt.f.x.v      {vd}, {vs2}{vm}",         "010010 vm rs2 01011 001 rd 1010111",  elements<wide_from_int<true>, fp_wide_from_signed, fun<ir::VUn::stof>>},
    {"vfwcvt.f.f.v      {vd}, {vs2}{vm}",         "010010 vm rs2 01100 001 rd 1010111",  elements<widen, fp_widen, quiet_first>},
    {"vfncvt.xu.f.w     {vd}, {vs2}{vm}",         "010010 vm rs2 10000 001 rd 1010111",  elements<to_narrow_int<false, false>, fp_to_narrow_int>},
    {"vfncvt.x.f.w      {vd}, {vs2}{vm}",         "010010 vm rs2 10001 001 rd 1010111",  elements<to_narrow_int<true, false>, fp_to_narrow_int>},
    {"vfncvt.rtz.xu.f.w {vd}, {vs2}{vm}",         "010010 vm rs2 10110 001 rd 1010111",  elements<to_narrow_int<false, true>, fp_to_narrow_int>},
    {"vfncvt.rtz.x.f.w  {vd}, {vs2}{vm}",         "010010 vm rs2 10111 001 rd 1010111",  elements<to_narrow_int<true, true>, fp_to_narrow_int>},
    {"vfncvt.f.xu.w     {vd}, {vs2}{vm}",         "010010 vm rs2 10010 001 rd 1010111",  elements<narrow_from_int<false>, fp_narrow_from_int>},
    {"vfncvt.f.x.w      {vd}, {vs2}{vm}",         "010010 vm rs2 10011 001 rd 1010111",  elements<narrow_from_int<true>, fp_narrow_from_int>},
    {"vfncvt.f.f.w      {vd}, {vs2}{vm}",         "010010 vm rs2 10100 001 rd 1010111",  elements<narrow<false>, fp_narrow, quiet_first>},
    {"vfncvt.rod.f.f.w  {vd}, {vs2}{vm}",         "010010 vm rs2 10101 001 rd 1010111",  elements<narrow<true>, fp_narrow_odd, quiet_first>},
};
// clang-format on

} // namespace

constinit const Table<RiscV> v_fp{"V floating point", needs(Ext::v), rows};

} // namespace mimic::isa::riscv
