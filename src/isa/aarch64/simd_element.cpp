// Advanced SIMD vector and scalar by indexed element: Arm ARM C4.1.97.
#include "isa/aarch64/simd.hpp"
#include "isa/aarch64/tables.hpp"

namespace mimic::isa::aarch64 {

namespace {

// Of doublewords, L is reserved.
bool fits_element(const I& i) { return !(i[sz] && i[L_]); }
bool full_element(const I& i) { return fits_element(i) && full_fp(i); }

constexpr Type lane_types[] = {Type::i8, Type::i16, Type::i32, Type::i64};

// The element as an integer's bits.
Val element(A64& t, const I& i) {
    Val m = t.v(element_register(i), Type::v128);
    return t.op(Op::vget, lane_types[i[size_]], m, {}, {}, u64(element_index(i)), 0, int_lane(i));
}
// The element in each lane.
Val repeated(A64& t, const I& i, Type type) { return splat(t, type, int_lane(i), element(t, i)); }
Val widened_element(A64& t, const I& i, bool is_signed) {
    Type type = lane_types[i[size_] + 1];
    Val e = element(t, i);
    return splat(t, Type::v128, wider(int_lane(i)), is_signed ? e.sext(type) : e.zext(type));
}

template <VBin K>
void binary(A64& t, const I& i) {
    t.v(i[Rd], t.vbin(K, int_lane(i), vector(t, i[Rn], i), repeated(t, i, vector_type(i))));
}
template <VTern K>
void multiply_add(A64& t, const I& i) {
    Val a = vector(t, i[Rn], i), b = repeated(t, i, vector_type(i));
    t.v(i[Rd], t.op(Op::vtern, a.type(), a, b, vector(t, i[Rd], i), 0, u8(K), int_lane(i)));
}
template <bool Signed>
void long_multiply(A64& t, const I& i) {
    Lane lane = int_lane(i);
    t.v(i[Rd], t.vbin(VBin::mul, wider(lane), widened(t, i[Rn], i, lane, Signed), widened_element(t, i, Signed)));
}
template <VTern K, bool Signed>
void long_multiply_add(A64& t, const I& i) {
    Lane lane = int_lane(i);
    Val a = widened(t, i[Rn], i, lane, Signed), b = widened_element(t, i, Signed);
    t.v(i[Rd], t.op(Op::vtern, Type::v128, a, b, t.v(i[Rd], Type::v128), 0, u8(K), wider(lane)));
}
// K: how the product goes to Rd; mul: alone.
template <VBin K>
void doubling_long(A64& t, const I& i) {
    Lane wide = wider(int_lane(i));
    Val v = doubling_product(t, wide, widened(t, i[Rn], i, int_lane(i), true), widened_element(t, i, true));
    t.v(i[Rd], K == VBin::mul ? v : t.vbin(K, wide, t.v(i[Rd], Type::v128), v));
}
template <VBin K>
void scalar_doubling_long(A64& t, const I& i) {
    Lane lane = int_lane(i), wide = wider(lane);
    constexpr u8 low_signed = 2;
    Val a = t.op(Op::vwiden, Type::v128, one_lane(t, i[Rn], lane), {}, {}, 0, low_signed, lane);
    Val v = low_half(t, doubling_product(t, wide, a, widened_element(t, i, true))).bitcast(Type::v64);
    put_lane(t, i[Rd], wide, K == VBin::mul ? v : t.vbin(K, wide, one_lane(t, i[Rd], wide), v));
}
template <VBin K>
void scalar_binary(A64& t, const I& i) {
    Lane lane = int_lane(i);
    put_lane(t, i[Rd], lane, t.vbin(K, lane, one_lane(t, i[Rn], lane), repeated(t, i, Type::v64)));
}

// A scalar's second operand: the element with zeros above, so that the lanes behind raise nothing.
Val fp_element(A64& t, const I& i, bool scalar) {
    return scalar ? element(t, i).zext(Type::i64).bitcast(Type::v64) : repeated(t, i, vector_type(i));
}
Val fp_operand(A64& t, const I& i, i64 n, bool scalar) { return scalar ? one_lane(t, n, fp_lane(i)) : vector(t, n, i); }
void fp_result(A64& t, const I& i, bool scalar, Val v) {
    if (scalar)
        put_lane(t, i[Rd], fp_lane(i), v);
    else
        t.v(i[Rd], v);
}
template <VBin K, bool Scalar>
void fp_binary(A64& t, const I& i) {
    fp_result(t, i, Scalar, t.vbin(K, fp_lane(i), fp_operand(t, i, i[Rn], Scalar), fp_element(t, i, Scalar)));
}
template <VTern K, bool Scalar>
void fp_multiply_add(A64& t, const I& i) {
    Val a = fp_operand(t, i, i[Rn], Scalar), b = fp_element(t, i, Scalar), c = fp_operand(t, i, i[Rd], Scalar);
    fp_result(t, i, Scalar, t.op(Op::vtern, a.type(), a, b, c, ir::FpArg{}.bits(), u8(K), fp_lane(i)));
}

// The same of halfwords.
template <bool Scalar>
Val half_element(A64& t, const I& i) {
    u64 index = u64(i[H_] << 2 | i[L_] << 1 | i[M_]);
    Val e = t.op(Op::vget, Type::i16, t.v(i[Rm4], Type::v128), {}, {}, index, 0, Lane::i16);
    return Scalar ? e.zext(Type::i64).bitcast(Type::v64) : splat(t, vector_type(i), Lane::i16, e);
}
template <bool Scalar>
Val half_operand(A64& t, const I& i, i64 n) {
    return Scalar ? one_lane(t, n, Lane::f16) : vector(t, n, i);
}
template <bool Scalar>
void half_result(A64& t, const I& i, Val v) {
    if (Scalar)
        put_lane(t, i[Rd], Lane::f16, v);
    else
        t.v(i[Rd], v);
}
template <VBin K, bool Scalar>
void half_binary(A64& t, const I& i) {
    half_result<Scalar>(t, i, t.vbin(K, Lane::f16, half_operand<Scalar>(t, i, i[Rn]), half_element<Scalar>(t, i)));
}
template <VTern K, bool Scalar>
void half_multiply_add(A64& t, const I& i) {
    Val a = half_operand<Scalar>(t, i, i[Rn]), c = half_operand<Scalar>(t, i, i[Rd]);
    half_result<Scalar>(
        t, i, t.op(Op::vtern, a.type(), a, half_element<Scalar>(t, i), c, ir::FpArg{}.bits(), u8(K), Lane::f16));
}

// clang-format off
constexpr R rows[] = {
    {"smlal{2}  {VdW}, {VnTq}, {VmEl}",        "0 Q 0 01111 size L M Rm4 0010 H 0 Rn Rd",      long_multiply_add<VTern::mla, true>, halfwords_or_words},
    {"smlsl{2}  {VdW}, {VnTq}, {VmEl}",        "0 Q 0 01111 size L M Rm4 0110 H 0 Rn Rd",      long_multiply_add<VTern::mls, true>, halfwords_or_words},
    {"smull{2}  {VdW}, {VnTq}, {VmEl}",        "0 Q 0 01111 size L M Rm4 1010 H 0 Rn Rd",      long_multiply<true>, halfwords_or_words},
    {"umlal{2}  {VdW}, {VnTq}, {VmEl}",        "0 Q 1 01111 size L M Rm4 0010 H 0 Rn Rd",      long_multiply_add<VTern::mla, false>, halfwords_or_words},
    {"umlsl{2}  {VdW}, {VnTq}, {VmEl}",        "0 Q 1 01111 size L M Rm4 0110 H 0 Rn Rd",      long_multiply_add<VTern::mls, false>, halfwords_or_words},
    {"umull{2}  {VdW}, {VnTq}, {VmEl}",        "0 Q 1 01111 size L M Rm4 1010 H 0 Rn Rd",      long_multiply<false>, halfwords_or_words},
    {"sqdmlal{2} {VdW}, {VnTq}, {VmEl}",       "0 Q 0 01111 size L M Rm4 0011 H 0 Rn Rd",      doubling_long<VBin::sadd_sat>, halfwords_or_words},
    {"sqdmlsl{2} {VdW}, {VnTq}, {VmEl}",       "0 Q 0 01111 size L M Rm4 0111 H 0 Rn Rd",      doubling_long<VBin::ssub_sat>, halfwords_or_words},
    {"sqdmull{2} {VdW}, {VnTq}, {VmEl}",       "0 Q 0 01111 size L M Rm4 1011 H 0 Rn Rd",      doubling_long<VBin::mul>, halfwords_or_words},
    {"mul       {VdT}, {VnT}, {VmEl}",         "0 Q 0 01111 size L M Rm4 1000 H 0 Rn Rd",      binary<VBin::mul>, halfwords_or_words},
    {"mla       {VdT}, {VnT}, {VmEl}",         "0 Q 1 01111 size L M Rm4 0000 H 0 Rn Rd",      multiply_add<VTern::mla>, halfwords_or_words},
    {"mls       {VdT}, {VnT}, {VmEl}",         "0 Q 1 01111 size L M Rm4 0100 H 0 Rn Rd",      multiply_add<VTern::mls>, halfwords_or_words},
    {"sqdmulh   {VdT}, {VnT}, {VmEl}",         "0 Q 0 01111 size L M Rm4 1100 H 0 Rn Rd",      binary<VBin::sqdmulh>, halfwords_or_words},
    {"sqrdmulh  {VdT}, {VnT}, {VmEl}",         "0 Q 0 01111 size L M Rm4 1101 H 0 Rn Rd",      binary<VBin::sqrdmulh>, halfwords_or_words},
    {"fmla      {VdF}, {VnF}, {VmEl}",         "0 Q 0 01111 1 sz L M Rm4 0001 H 0 Rn Rd",      fp_multiply_add<VTern::fmla, false>, full_element},
    {"fmls      {VdF}, {VnF}, {VmEl}",         "0 Q 0 01111 1 sz L M Rm4 0101 H 0 Rn Rd",      fp_multiply_add<VTern::fmls, false>, full_element},
    {"fmul      {VdF}, {VnF}, {VmEl}",         "0 Q 0 01111 1 sz L M Rm4 1001 H 0 Rn Rd",      fp_binary<VBin::fmul, false>, full_element},
    {"fmulx     {VdF}, {VnF}, {VmEl}",         "0 Q 1 01111 1 sz L M Rm4 1001 H 0 Rn Rd",      fp_binary<VBin::fmulx, false>, full_element},
};

constexpr R scalar_rows[] = {
    {"sqdmlal   {SdLong}, {SnT}, {VmEl}",      "01 0 11111 size L M Rm4 0011 H 0 Rn Rd",       scalar_doubling_long<VBin::sadd_sat>, halfwords_or_words},
    {"sqdmlsl   {SdLong}, {SnT}, {VmEl}",      "01 0 11111 size L M Rm4 0111 H 0 Rn Rd",       scalar_doubling_long<VBin::ssub_sat>, halfwords_or_words},
    {"sqdmull   {SdLong}, {SnT}, {VmEl}",      "01 0 11111 size L M Rm4 1011 H 0 Rn Rd",       scalar_doubling_long<VBin::mul>, halfwords_or_words},
    {"sqdmulh   {SdT}, {SnT}, {VmEl}",         "01 0 11111 size L M Rm4 1100 H 0 Rn Rd",       scalar_binary<VBin::sqdmulh>, halfwords_or_words},
    {"sqrdmulh  {SdT}, {SnT}, {VmEl}",         "01 0 11111 size L M Rm4 1101 H 0 Rn Rd",       scalar_binary<VBin::sqrdmulh>, halfwords_or_words},
    {"fmla      {SdF}, {SnF}, {VmEl}",         "01 0 11111 1 sz L M Rm4 0001 H 0 Rn Rd",       fp_multiply_add<VTern::fmla, true>, fits_element},
    {"fmls      {SdF}, {SnF}, {VmEl}",         "01 0 11111 1 sz L M Rm4 0101 H 0 Rn Rd",       fp_multiply_add<VTern::fmls, true>, fits_element},
    {"fmul      {SdF}, {SnF}, {VmEl}",         "01 0 11111 1 sz L M Rm4 1001 H 0 Rn Rd",       fp_binary<VBin::fmul, true>, fits_element},
    {"fmulx     {SdF}, {SnF}, {VmEl}",         "01 1 11111 1 sz L M Rm4 1001 H 0 Rn Rd",       fp_binary<VBin::fmulx, true>, fits_element},
};

constexpr R half_rows[] = {
    {"fmla      {Vd4h}, {Vn4h}, {VmHEl}",       "0 Q 0 01111 00 L M Rm4 0001 H 0 Rn Rd",        half_multiply_add<VTern::fmla, false>},
    {"fmla      {Hd}, {Hn}, {VmHEl}",           "01 0 11111 00 L M Rm4 0001 H 0 Rn Rd",         half_multiply_add<VTern::fmla, true>},
    {"fmls      {Vd4h}, {Vn4h}, {VmHEl}",       "0 Q 0 01111 00 L M Rm4 0101 H 0 Rn Rd",        half_multiply_add<VTern::fmls, false>},
    {"fmls      {Hd}, {Hn}, {VmHEl}",           "01 0 11111 00 L M Rm4 0101 H 0 Rn Rd",         half_multiply_add<VTern::fmls, true>},
    {"fmul      {Vd4h}, {Vn4h}, {VmHEl}",       "0 Q 0 01111 00 L M Rm4 1001 H 0 Rn Rd",        half_binary<VBin::fmul, false>},
    {"fmul      {Hd}, {Hn}, {VmHEl}",           "01 0 11111 00 L M Rm4 1001 H 0 Rn Rd",         half_binary<VBin::fmul, true>},
    {"fmulx     {Vd4h}, {Vn4h}, {VmHEl}",       "0 Q 1 01111 00 L M Rm4 1001 H 0 Rn Rd",        half_binary<VBin::fmulx, false>},
    {"fmulx     {Hd}, {Hn}, {VmHEl}",           "01 1 11111 00 L M Rm4 1001 H 0 Rn Rd",         half_binary<VBin::fmulx, true>},
};
// clang-format on

} // namespace

constinit const Table<AArch64> simd_element{"AdvSIMD vector x indexed element", needs(Feature::simd), rows,
                                            fp_registers};
constinit const Table<AArch64> simd_element_scalar{"AdvSIMD scalar x indexed element", needs(Feature::simd),
                                                   scalar_rows, fp_registers};
constinit const Table<AArch64> simd_element_half{"AdvSIMD x indexed element, FP16", needs(Feature::simd_fp16),
                                                 half_rows, fp_registers};

} // namespace mimic::isa::aarch64
