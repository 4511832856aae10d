// Advanced SIMD scalar two-register miscellaneous, shift by immediate (what is not of doublewords alone) and three
// different; conversions of fixed-point numbers, of vectors too: Arm ARM C4.1.97.
#include "isa/aarch64/simd.hpp"
#include "isa/aarch64/tables.hpp"
#include <bit>

namespace mimic::isa::aarch64 {

namespace {

using ir::Round;

bool doublewords(const I& i) { return i[size_] == 3; }

template <VUn K>
void unary(A64& t, const I& i) {
    put_lane(t, i[Rd], int_lane(i), t.vun(K, int_lane(i), one_lane(t, i[Rn], int_lane(i))));
}
template <VBin K>
void accumulate(A64& t, const I& i) {
    Lane lane = int_lane(i);
    put_lane(t, i[Rd], lane, t.vbin(K, lane, one_lane(t, i[Rd], lane), one_lane(t, i[Rn], lane)));
}
template <VRel K, bool Swap>
void compare_zero(A64& t, const I& i) {
    Val a = one_lane(t, i[Rn], Lane::i64), zero = zero_vector(t, Type::v64);
    put_lane(t, i[Rd], Lane::i64, compare(t, K, Lane::i64, Swap ? zero : a, Swap ? a : zero));
}
// The lane of `wide` width, with zeros up to 128 bits, narrowed into Rd.
void narrow_one(A64& t, i64 d, VNarrow kind, Lane lane, Val v, u64 imm = 0) {
    put_lane(t, d, lane, t.op(Op::vnarrow, Type::v128, v, {}, {}, imm, u8(kind), wider(lane)));
}
Val one_of_full(A64& t, i64 n, Lane lane) {
    constexpr Type types[] = {Type::i8, Type::i16, Type::i32, Type::i64};
    return t.v(n, types[u8(lane)]).bitcast(Type::v128);
}
template <VNarrow K>
void narrow_lane(A64& t, const I& i) {
    narrow_one(t, i[Rd], K, int_lane(i), one_of_full(t, i[Rn], wider(int_lane(i))));
}

// ---- floating point

template <Fp F>
Type fp_scalar(const I& i) {
    return F == Fp::half ? Type::f16 : i[sz] ? Type::f64 : Type::f32;
}
template <VRel K, bool Swap, Fp F = Fp::by_sz>
void fp_compare_zero(A64& t, const I& i) {
    Val a = one_lane(t, i[Rn], fp_lane<F>(i)), zero = zero_vector(t, Type::v64);
    put_lane(t, i[Rd], fp_lane<F>(i), compare(t, K, fp_lane<F>(i), Swap ? zero : a, Swap ? a : zero));
}
template <Op O, Round R, Fp F = Fp::by_sz>
void to_integer(A64& t, const I& i) {
    Type type = fp_scalar<F>(i);
    t.v(i[Rd], t.fp(O, bits_type(type), t.v(i[Rn], type), {}, {}, {.round = R}));
}
template <Op O, Fp F = Fp::by_sz>
void from_integer(A64& t, const I& i) {
    Type type = fp_scalar<F>(i);
    t.v(i[Rd], t.fp(O, type, t.v(i[Rn], bits_type(type))));
}
// Of zero, an estimate divides by zero: so the lanes behind have the operand too.
template <VUn K, Fp F = Fp::by_sz>
void estimate(A64& t, const I& i) {
    Lane lane = F == Fp::half ? Lane::i16 : i[sz] ? Lane::i64 : Lane::i32;
    Val a = splat(t, Type::v64, lane, t.v(i[Rn], bits_type(fp_scalar<F>(i))));
    put_lane(t, i[Rd], fp_lane<F>(i), t.op(Op::vun, Type::v64, a, {}, {}, ir::FpArg{}.bits(), u8(K), fp_lane<F>(i)));
}
void fcvtxn(A64& t, const I& i) {
    Val a = t.v(i[Rn], Type::i64).bitcast(Type::v128);
    Val v = t.op(Op::vnarrow, Type::v128, a, {}, {}, ir::FpArg{}.bits(), u8(VNarrow::fcvt_odd), Lane::f64);
    put_lane(t, i[Rd], Lane::f32, v);
}

// ---- shifts: the left-most one of immh names the lane

u32 lane_size(const I& i) { return u32(std::bit_width(u32(i[immh]))) - 1; }
Lane lane_of(const I& i) { return Lane(lane_size(i)); }
u32 lane_width(const I& i) { return 8u << lane_size(i); }
u32 right_amount(const I& i) { return 2 * lane_width(i) - u32(i[immhb]); }
u32 left_amount(const I& i) { return u32(i[immhb]) - lane_width(i); }
bool lane_fits(const I& i) { return i[immh]; }
bool narrow_fits(const I& i) { return i[immh] && i[immh] < 8; }
bool doubleword_lane(const I& i) { return i[immh] >= 8; }
bool halfword_lane(const I& i) { return i[immh] >> 1 == 1; }
bool fp_lane_fits(const I& i) { return i[immh] >= 4; }
bool fp_lanes_fit(const I& i) { return i[immh] >= 4 && (i[immh] < 8 || i[Q]); }

template <VShift K>
void shift_lane(A64& t, const I& i) {
    put_lane(t, i[Rd], lane_of(i), shifted_lanes(t, K, lane_of(i), one_lane(t, i[Rn], lane_of(i)), left_amount(i)));
}
// Bits that the shift brings no value for stay as they are.
template <bool Right>
void shift_insert(A64& t, const I& i) {
    u32 n = Right ? right_amount(i) : left_amount(i);
    Val a = t.v(i[Rn], Type::i64), d = t.v(i[Rd], Type::i64);
    if (n == 64) return t.v(i[Rd], d);
    u64 mask = Right ? ~u64{0} >> n : ~u64{0} << n;
    t.v(i[Rd], (Right ? a.lshr(n) : a.shl(n)) | (d & ~mimic::i64(mask)));
}
template <VShift S, VNarrow K>
void shift_narrow(A64& t, const I& i) {
    Lane wide = wider(lane_of(i));
    narrow_one(t, i[Rd], K, lane_of(i), shifted_lanes(t, S, wide, one_of_full(t, i[Rn], wide), right_amount(i)));
}

// ---- fixed point

Lane fp_lane_of(const I& i) { return i[immh] >= 8 ? Lane::f64 : Lane::f32; }
Type fp_type_of(const I& i) { return i[immh] >= 8 ? Type::f64 : Type::f32; }

// args: the vector; fraction bits, bit 8 doublewords, bit 9 unsigned, from bit 16 the number of lanes. Lanes behind are 0.
int to_fixed_body(ir::CpuHeader* cpu, const ir::Wide* args, ir::Wide* results) {
    softfloat::Env env = fp_environment(*cpu);
    u64 how = args[1].w[0];
    i32 fraction = i32(how & 0xff);
    bool doubles = how >> 8 & 1, is_signed = !(how >> 9 & 1);
    constexpr auto zero = softfloat::Rounding::toward_zero;
    u64 out[2] = {};
    for (u32 n = 0; n < u32(how >> 16); ++n) {
        if (doubles) {
            softfloat::IntType type{.bits = 64, .is_signed = is_signed};
            out[n] = u64(softfloat::to_int<softfloat::F64>(args[0].w[n], type, zero, env, fraction));
        } else {
            softfloat::IntType type{.bits = 32, .is_signed = is_signed};
            u32 a = u32(args[0].w[n / 2] >> 32 * (n % 2));
            u32 v = u32(softfloat::to_int<softfloat::F32>(a, type, zero, env, fraction));
            out[n / 2] |= u64(v) << 32 * (n % 2);
        }
    }
    keep_flags(*cpu, env);
    results[0].w[0] = out[0];
    results[0].w[1] = out[1];
    return 0;
}
constexpr ir::Intrinsic lanes_to_fixed{
    .name = "aarch64_lanes_to_fixed", .body = to_fixed_body, .args = 2, .effects = ir::Intrinsic::reads_fp};
Val fixed_lanes(A64& t, const I& i, Val a, u32 count, bool is_unsigned) {
    bool doubles = i[immh] >= 8;
    u64 how = right_amount(i) | u64(doubles) << 8 | u64(is_unsigned) << 9 | u64(count) << 16;
    return t.call(lanes_to_fixed, Type::v128, {a, t.imm(mimic::i64(how))});
}
template <bool Unsigned>
void to_fixed(A64& t, const I& i) {
    u32 count = (i[Q] ? 128 : 64) / lane_width(i);
    t.v(i[Rd], fixed_lanes(t, i, t.v(i[Rn], Type::v128), count, Unsigned));
}
template <bool Unsigned>
void scalar_to_fixed(A64& t, const I& i) {
    t.v(i[Rd], fixed_lanes(t, i, t.v(i[Rn], Type::v128), 1, Unsigned));
}
// Scaling by a power of two is exact: the converted value is 0 or at least 1, 2^-64 at the least after.
u64 scale_bits(const I& i) {
    u64 fraction = right_amount(i);
    return i[immh] >= 8 ? (1023 - fraction) << 52 : (127 - fraction) << 23;
}
template <VUn K>
void from_fixed(A64& t, const I& i) {
    Val a = vector(t, i[Rn], i);
    Val v = t.op(Op::vun, a.type(), a, {}, {}, ir::FpArg{}.bits(), u8(K), fp_lane_of(i));
    Type bits = bits_type(fp_type_of(i));
    Val factor = splat(t, a.type(), lane_of(i), t.imm(mimic::i64(scale_bits(i)), bits));
    t.v(i[Rd], t.vbin(VBin::fmul, fp_lane_of(i), v, factor));
}
template <Op O>
void scalar_from_fixed(A64& t, const I& i) {
    Type type = fp_type_of(i);
    Val v = t.fp(O, type, t.v(i[Rn], bits_type(type)));
    t.v(i[Rd], t.fp(Op::fmul, type, v, t.imm(mimic::i64(scale_bits(i)), type)));
}

// Halfwords. args: the vector; fraction bits, bit 8 to an integer, bit 9 unsigned, from bit 16 the number of lanes. An
// integer may be too large for the format, so it is scaled before it is rounded.
int half_fixed_body(ir::CpuHeader* cpu, const ir::Wide* args, ir::Wide* results) {
    softfloat::Env env = fp_environment(*cpu);
    u64 how = args[1].w[0];
    i32 fraction = i32(how & 0xff);
    bool to = how >> 8 & 1, is_unsigned = how >> 9 & 1;
    results[0] = {};
    for (u32 n = 0; n < u32(how >> 16); ++n) {
        u16 a = u16(args[0].w[n / 4] >> 16 * (n % 4)), v;
        if (to)
            v = u16(softfloat::to_int<softfloat::F16>(a, {.bits = 16, .is_signed = !is_unsigned},
                                                      softfloat::Rounding::toward_zero, env, fraction));
        else
            v = is_unsigned ? softfloat::from_uint<softfloat::F16>(a, env, -fraction)
                            : softfloat::from_int<softfloat::F16>(i16(a), env, -fraction);
        results[0].w[n / 4] |= u64(v) << 16 * (n % 4);
    }
    keep_flags(*cpu, env);
    return 0;
}
constexpr ir::Intrinsic half_fixed{
    .name = "aarch64_half_fixed", .body = half_fixed_body, .args = 2, .effects = ir::Intrinsic::reads_fp};
template <bool To, bool Unsigned, bool Scalar>
void convert_halves(A64& t, const I& i) {
    u64 count = Scalar ? 1 : i[Q] ? 8 : 4, how = right_amount(i) | u64(To) << 8 | u64(Unsigned) << 9 | count << 16;
    t.v(i[Rd], t.call(half_fixed, Type::v128, {t.v(i[Rn], Type::v128), t.imm(how)}));
}
template <bool Unsigned, bool Scalar>
void half_from_fixed(A64& t, const I& i) {
    convert_halves<false, Unsigned, Scalar>(t, i);
}
template <bool Unsigned, bool Scalar>
void half_to_fixed(A64& t, const I& i) {
    convert_halves<true, Unsigned, Scalar>(t, i);
}

// ---- three different. K: how the product goes to Rd; mul: alone.

template <VBin K>
void doubling_long(A64& t, const I& i) {
    Lane lane = int_lane(i), wide = wider(lane);
    auto operand = [&](i64 n) {
        constexpr u8 low_signed = 2;
        return t.op(Op::vwiden, Type::v128, one_lane(t, n, lane), {}, {}, 0, low_signed, lane);
    };
    Val v = low_half(t, doubling_product(t, wide, operand(i[Rn]), operand(i[Rm]))).bitcast(Type::v64);
    put_lane(t, i[Rd], wide, K == VBin::mul ? v : t.vbin(K, wide, one_lane(t, i[Rd], wide), v));
}

// clang-format off
constexpr R misc_rows[] = {
    {"suqadd    {SdT}, {SnT}",                 "01 0 11110 size 10000 00011 10 Rn Rd",         accumulate<VBin::suqadd>},
    {"sqabs     {SdT}, {SnT}",                 "01 0 11110 size 10000 00111 10 Rn Rd",         unary<VUn::sqabs>},
    {"abs       {SdT}, {SnT}",                 "01 0 11110 size 10000 01011 10 Rn Rd",         unary<VUn::abs>, doublewords},
    {"usqadd    {SdT}, {SnT}",                 "01 1 11110 size 10000 00011 10 Rn Rd",         accumulate<VBin::usqadd>},
    {"sqneg     {SdT}, {SnT}",                 "01 1 11110 size 10000 00111 10 Rn Rd",         unary<VUn::sqneg>},
    {"neg       {SdT}, {SnT}",                 "01 1 11110 size 10000 01011 10 Rn Rd",         unary<VUn::neg>, doublewords},
    {"cmgt      {SdT}, {SnT}, #0",             "01 0 11110 size 10000 01000 10 Rn Rd",         compare_zero<VRel::sgt, false>, doublewords},
    {"cmeq      {SdT}, {SnT}, #0",             "01 0 11110 size 10000 01001 10 Rn Rd",         compare_zero<VRel::eq, false>, doublewords},
    {"cmlt      {SdT}, {SnT}, #0",             "01 0 11110 size 10000 01010 10 Rn Rd",         compare_zero<VRel::sgt, true>, doublewords},
    {"cmge      {SdT}, {SnT}, #0",             "01 1 11110 size 10000 01000 10 Rn Rd",         compare_zero<VRel::sge, false>, doublewords},
    {"cmle      {SdT}, {SnT}, #0",             "01 1 11110 size 10000 01001 10 Rn Rd",         compare_zero<VRel::sge, true>, doublewords},
    {"sqxtn     {SdT}, {SnLong}",              "01 0 11110 size 10000 10100 10 Rn Rd",         narrow_lane<VNarrow::sqxtn>, not_doublewords},
    {"sqxtun    {SdT}, {SnLong}",              "01 1 11110 size 10000 10010 10 Rn Rd",         narrow_lane<VNarrow::sqxtun>, not_doublewords},
    {"uqxtn     {SdT}, {SnLong}",              "01 1 11110 size 10000 10100 10 Rn Rd",         narrow_lane<VNarrow::uqxtn>, not_doublewords},
    {"fcmgt     {SdF}, {SnF}, #0.0",           "01 0 11110 1 sz 10000 01100 10 Rn Rd",         fp_compare_zero<VRel::fgt, false>},
    {"fcmeq     {SdF}, {SnF}, #0.0",           "01 0 11110 1 sz 10000 01101 10 Rn Rd",         fp_compare_zero<VRel::feq, false>},
    {"fcmlt     {SdF}, {SnF}, #0.0",           "01 0 11110 1 sz 10000 01110 10 Rn Rd",         fp_compare_zero<VRel::fgt, true>},
    {"fcmge     {SdF}, {SnF}, #0.0",           "01 1 11110 1 sz 10000 01100 10 Rn Rd",         fp_compare_zero<VRel::fge, false>},
    {"fcmle     {SdF}, {SnF}, #0.0",           "01 1 11110 1 sz 10000 01101 10 Rn Rd",         fp_compare_zero<VRel::fge, true>},
    {"fcvtns    {SdF}, {SnF}",                 "01 0 11110 0 sz 10000 11010 10 Rn Rd",         to_integer<Op::ftos, Round::nearest_even>},
    {"fcvtms    {SdF}, {SnF}",                 "01 0 11110 0 sz 10000 11011 10 Rn Rd",         to_integer<Op::ftos, Round::down>},
    {"fcvtas    {SdF}, {SnF}",                 "01 0 11110 0 sz 10000 11100 10 Rn Rd",         to_integer<Op::ftos, Round::nearest_away>},
    {"fcvtps    {SdF}, {SnF}",                 "01 0 11110 1 sz 10000 11010 10 Rn Rd",         to_integer<Op::ftos, Round::up>},
    {"fcvtzs    {SdF}, {SnF}",                 "01 0 11110 1 sz 10000 11011 10 Rn Rd",         to_integer<Op::ftos, Round::toward_zero>},
    {"scvtf     {SdF}, {SnF}",                 "01 0 11110 0 sz 10000 11101 10 Rn Rd",         from_integer<Op::stof>},
    {"fcvtnu    {SdF}, {SnF}",                 "01 1 11110 0 sz 10000 11010 10 Rn Rd",         to_integer<Op::ftou, Round::nearest_even>},
    {"fcvtmu    {SdF}, {SnF}",                 "01 1 11110 0 sz 10000 11011 10 Rn Rd",         to_integer<Op::ftou, Round::down>},
    {"fcvtau    {SdF}, {SnF}",                 "01 1 11110 0 sz 10000 11100 10 Rn Rd",         to_integer<Op::ftou, Round::nearest_away>},
    {"fcvtpu    {SdF}, {SnF}",                 "01 1 11110 1 sz 10000 11010 10 Rn Rd",         to_integer<Op::ftou, Round::up>},
    {"fcvtzu    {SdF}, {SnF}",                 "01 1 11110 1 sz 10000 11011 10 Rn Rd",         to_integer<Op::ftou, Round::toward_zero>},
    {"ucvtf     {SdF}, {SnF}",                 "01 1 11110 0 sz 10000 11101 10 Rn Rd",         from_integer<Op::utof>},
    {"frecpe    {SdF}, {SnF}",                 "01 0 11110 1 sz 10000 11101 10 Rn Rd",         estimate<VUn::frecpe>},
    {"frecpx    {SdF}, {SnF}",                 "01 0 11110 1 sz 10000 11111 10 Rn Rd",         estimate<VUn::frecpx>},
    {"frsqrte   {SdF}, {SnF}",                 "01 1 11110 1 sz 10000 11101 10 Rn Rd",         estimate<VUn::frsqrte>},
    {"fcvtxn    {Sd}, {Dn}",                   "01 1 11110 0 1 10000 10110 10 Rn Rd",          fcvtxn},
};

constexpr R shift_rows[] = {
    {"sqshl     {SdI}, {SnI}, {shl}",          "01 0 111110 immhb 01110 1 Rn Rd",              shift_lane<VShift::sqshl>, lane_fits},
    {"uqshl     {SdI}, {SnI}, {shl}",          "01 1 111110 immhb 01110 1 Rn Rd",              shift_lane<VShift::uqshl>, lane_fits},
    {"sqshlu    {SdI}, {SnI}, {shl}",          "01 1 111110 immhb 01100 1 Rn Rd",              shift_lane<VShift::sqshlu>, lane_fits},
    {"sri       {DdI}, {Dn}, {shr}",           "01 1 111110 immhb 01000 1 Rn Rd",              shift_insert<true>, doubleword_lane},
    {"sli       {DdI}, {Dn}, {shl}",           "01 1 111110 immhb 01010 1 Rn Rd",              shift_insert<false>, doubleword_lane},
    {"sqshrn    {SdI}, {SnIw}, {shr}",         "01 0 111110 immhb 10010 1 Rn Rd",              shift_narrow<VShift::ashr, VNarrow::sqxtn>, narrow_fits},
    {"sqrshrn   {SdI}, {SnIw}, {shr}",         "01 0 111110 immhb 10011 1 Rn Rd",              shift_narrow<VShift::srshr, VNarrow::sqxtn>, narrow_fits},
    {"sqshrun   {SdI}, {SnIw}, {shr}",         "01 1 111110 immhb 10000 1 Rn Rd",              shift_narrow<VShift::ashr, VNarrow::sqxtun>, narrow_fits},
    {"sqrshrun  {SdI}, {SnIw}, {shr}",         "01 1 111110 immhb 10001 1 Rn Rd",              shift_narrow<VShift::srshr, VNarrow::sqxtun>, narrow_fits},
    {"uqshrn    {SdI}, {SnIw}, {shr}",         "01 1 111110 immhb 10010 1 Rn Rd",              shift_narrow<VShift::lshr, VNarrow::uqxtn>, narrow_fits},
    {"uqrshrn   {SdI}, {SnIw}, {shr}",         "01 1 111110 immhb 10011 1 Rn Rd",              shift_narrow<VShift::urshr, VNarrow::uqxtn>, narrow_fits},
    {"scvtf     {SdI}, {SnI}, {shr}",          "01 0 111110 immhb 11100 1 Rn Rd",              scalar_from_fixed<Op::stof>, fp_lane_fits},
    {"fcvtzs    {SdI}, {SnI}, {shr}",          "01 0 111110 immhb 11111 1 Rn Rd",              scalar_to_fixed<false>, fp_lane_fits},
    {"ucvtf     {SdI}, {SnI}, {shr}",          "01 1 111110 immhb 11100 1 Rn Rd",              scalar_from_fixed<Op::utof>, fp_lane_fits},
    {"fcvtzu    {SdI}, {SnI}, {shr}",          "01 1 111110 immhb 11111 1 Rn Rd",              scalar_to_fixed<true>, fp_lane_fits},
};

constexpr R fixed_rows[] = {
    {"scvtf     {VdI}, {VnI}, {shr}",          "0 Q 0 011110 immhb 11100 1 Rn Rd",             from_fixed<VUn::stof>, fp_lanes_fit},
    {"fcvtzs    {VdI}, {VnI}, {shr}",          "0 Q 0 011110 immhb 11111 1 Rn Rd",             to_fixed<false>, fp_lanes_fit},
    {"ucvtf     {VdI}, {VnI}, {shr}",          "0 Q 1 011110 immhb 11100 1 Rn Rd",             from_fixed<VUn::utof>, fp_lanes_fit},
    {"fcvtzu    {VdI}, {VnI}, {shr}",          "0 Q 1 011110 immhb 11111 1 Rn Rd",             to_fixed<true>, fp_lanes_fit},
};

constexpr R different_rows[] = {
    {"sqdmlal   {SdLong}, {SnT}, {SmT}",       "01 0 11110 size 1 Rm 1001 00 Rn Rd",           doubling_long<VBin::sadd_sat>, halfwords_or_words},
    {"sqdmlsl   {SdLong}, {SnT}, {SmT}",       "01 0 11110 size 1 Rm 1011 00 Rn Rd",           doubling_long<VBin::ssub_sat>, halfwords_or_words},
    {"sqdmull   {SdLong}, {SnT}, {SmT}",       "01 0 11110 size 1 Rm 1101 00 Rn Rd",           doubling_long<VBin::mul>, halfwords_or_words},
};

constexpr R half_rows[] = {
    {"fcmgt     {Hd}, {Hn}, #0.0",              "01 0 11110 1 111100 01100 10 Rn Rd",           fp_compare_zero<VRel::fgt, false, Fp::half>},
    {"fcmeq     {Hd}, {Hn}, #0.0",              "01 0 11110 1 111100 01101 10 Rn Rd",           fp_compare_zero<VRel::feq, false, Fp::half>},
    {"fcmlt     {Hd}, {Hn}, #0.0",              "01 0 11110 1 111100 01110 10 Rn Rd",           fp_compare_zero<VRel::fgt, true, Fp::half>},
    {"fcmge     {Hd}, {Hn}, #0.0",              "01 1 11110 1 111100 01100 10 Rn Rd",           fp_compare_zero<VRel::fge, false, Fp::half>},
    {"fcmle     {Hd}, {Hn}, #0.0",              "01 1 11110 1 111100 01101 10 Rn Rd",           fp_compare_zero<VRel::fge, true, Fp::half>},
    {"fcvtns    {Hd}, {Hn}",                    "01 0 11110 0 111100 11010 10 Rn Rd",           to_integer<Op::ftos, Round::nearest_even, Fp::half>},
    {"fcvtms    {Hd}, {Hn}",                    "01 0 11110 0 111100 11011 10 Rn Rd",           to_integer<Op::ftos, Round::down, Fp::half>},
    {"fcvtas    {Hd}, {Hn}",                    "01 0 11110 0 111100 11100 10 Rn Rd",           to_integer<Op::ftos, Round::nearest_away, Fp::half>},
    {"scvtf     {Hd}, {Hn}",                    "01 0 11110 0 111100 11101 10 Rn Rd",           from_integer<Op::stof, Fp::half>},
    {"fcvtps    {Hd}, {Hn}",                    "01 0 11110 1 111100 11010 10 Rn Rd",           to_integer<Op::ftos, Round::up, Fp::half>},
    {"fcvtzs    {Hd}, {Hn}",                    "01 0 11110 1 111100 11011 10 Rn Rd",           to_integer<Op::ftos, Round::toward_zero, Fp::half>},
    {"fcvtnu    {Hd}, {Hn}",                    "01 1 11110 0 111100 11010 10 Rn Rd",           to_integer<Op::ftou, Round::nearest_even, Fp::half>},
    {"fcvtmu    {Hd}, {Hn}",                    "01 1 11110 0 111100 11011 10 Rn Rd",           to_integer<Op::ftou, Round::down, Fp::half>},
    {"fcvtau    {Hd}, {Hn}",                    "01 1 11110 0 111100 11100 10 Rn Rd",           to_integer<Op::ftou, Round::nearest_away, Fp::half>},
    {"ucvtf     {Hd}, {Hn}",                    "01 1 11110 0 111100 11101 10 Rn Rd",           from_integer<Op::utof, Fp::half>},
    {"fcvtpu    {Hd}, {Hn}",                    "01 1 11110 1 111100 11010 10 Rn Rd",           to_integer<Op::ftou, Round::up, Fp::half>},
    {"fcvtzu    {Hd}, {Hn}",                    "01 1 11110 1 111100 11011 10 Rn Rd",           to_integer<Op::ftou, Round::toward_zero, Fp::half>},
    {"frecpe    {Hd}, {Hn}",                    "01 0 11110 1 111100 11101 10 Rn Rd",           estimate<VUn::frecpe, Fp::half>},
    {"frsqrte   {Hd}, {Hn}",                    "01 1 11110 1 111100 11101 10 Rn Rd",           estimate<VUn::frsqrte, Fp::half>},
    {"frecpx    {Hd}, {Hn}",                    "01 0 11110 1 111100 11111 10 Rn Rd",           estimate<VUn::frecpx, Fp::half>},
    {"scvtf     {SdI}, {SnI}, {shr}",          "01 0 111110 immhb 11100 1 Rn Rd",              half_from_fixed<false, true>, halfword_lane},
    {"fcvtzs    {SdI}, {SnI}, {shr}",          "01 0 111110 immhb 11111 1 Rn Rd",              half_to_fixed<false, true>, halfword_lane},
    {"ucvtf     {SdI}, {SnI}, {shr}",          "01 1 111110 immhb 11100 1 Rn Rd",              half_from_fixed<true, true>, halfword_lane},
    {"fcvtzu    {SdI}, {SnI}, {shr}",          "01 1 111110 immhb 11111 1 Rn Rd",              half_to_fixed<true, true>, halfword_lane},
    {"scvtf     {VdI}, {VnI}, {shr}",          "0 Q 0 011110 immhb 11100 1 Rn Rd",             half_from_fixed<false, false>, halfword_lane},
    {"fcvtzs    {VdI}, {VnI}, {shr}",          "0 Q 0 011110 immhb 11111 1 Rn Rd",             half_to_fixed<false, false>, halfword_lane},
    {"ucvtf     {VdI}, {VnI}, {shr}",          "0 Q 1 011110 immhb 11100 1 Rn Rd",             half_from_fixed<true, false>, halfword_lane},
    {"fcvtzu    {VdI}, {VnI}, {shr}",          "0 Q 1 011110 immhb 11111 1 Rn Rd",             half_to_fixed<true, false>, halfword_lane},
};
// clang-format on

} // namespace

constinit const Table<AArch64> simd_misc_scalar{"AdvSIMD scalar two registers", needs(Feature::simd), misc_rows,
                                                fp_registers};
constinit const Table<AArch64> simd_shift_scalar_rest{"AdvSIMD scalar shift by immediate, all lanes",
                                                      needs(Feature::simd), shift_rows, fp_registers};
constinit const Table<AArch64> simd_fixed{"AdvSIMD fixed point", needs(Feature::simd), fixed_rows, fp_registers};
constinit const Table<AArch64> simd_different_scalar{"AdvSIMD scalar three different", needs(Feature::simd),
                                                     different_rows, fp_registers};
constinit const Table<AArch64> simd_scalar_half{"AdvSIMD scalar two registers and fixed point, FP16",
                                                needs(Feature::simd_fp16), half_rows, fp_registers};

} // namespace mimic::isa::aarch64
