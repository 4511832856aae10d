// Advanced SIMD two-register miscellaneous, across lanes and scalar pairwise: Arm ARM C4.1.97.
#include "isa/aarch64/simd.hpp"
#include "isa/aarch64/tables.hpp"

namespace mimic::isa::aarch64 {

namespace {

using ir::Round;

bool bytes_only(const I& i) { return i[size_] == 0; }
bool bytes_or_halfwords(const I& i) { return i[size_] <= 1; }
bool reducible(const I& i) { return i[size_] < 2 || (i[size_] == 2 && i[Q]); }

template <VUn K>
void unary(A64& t, const I& i) {
    t.v(i[Rd], t.vun(K, int_lane(i), vector(t, i[Rn], i)));
}
template <VUn K>
void bytes(A64& t, const I& i) {
    t.v(i[Rd], t.vun(K, Lane::i8, vector(t, i[Rn], i)));
}
template <VBin K>
void accumulate(A64& t, const I& i) {
    t.v(i[Rd], t.vbin(K, int_lane(i), vector(t, i[Rd], i), vector(t, i[Rn], i)));
}
template <VUn K>
void accumulate_pairs(A64& t, const I& i) {
    Val sums = t.vun(K, int_lane(i), vector(t, i[Rn], i));
    t.v(i[Rd], t.vbin(VBin::add, wider(int_lane(i)), vector(t, i[Rd], i), sums));
}
template <VRel K, bool Swap>
void compare_zero(A64& t, const I& i) {
    Val a = vector(t, i[Rn], i), zero = zero_vector(t, vector_type(i));
    t.v(i[Rd], Swap ? compare(t, K, int_lane(i), zero, a) : compare(t, K, int_lane(i), a, zero));
}
template <VNarrow K>
void narrow_lanes(A64& t, const I& i) {
    narrow(t, i, K, wider(int_lane(i)), t.v(i[Rn], Type::v128));
}
void shll(A64& t, const I& i) {
    Lane lane = int_lane(i);
    Val wide = widened(t, i[Rn], i, lane, false);
    t.v(i[Rd], shifted_lanes(t, VShift::shl, wider(lane), wide, 8 * ir::lane_bytes(lane)));
}

template <VRel K, bool Swap, Fp F = Fp::by_sz>
void fp_compare_zero(A64& t, const I& i) {
    Val a = vector(t, i[Rn], i), zero = zero_vector(t, vector_type(i));
    t.v(i[Rd], Swap ? compare(t, K, fp_lane<F>(i), zero, a) : compare(t, K, fp_lane<F>(i), a, zero));
}
template <VUn K, Fp F = Fp::by_sz>
void fp_pure(A64& t, const I& i) {
    t.v(i[Rd], t.vun(K, fp_lane<F>(i), vector(t, i[Rn], i)));
}
template <VUn K, Round R, Fp F = Fp::by_sz>
void fp_unary(A64& t, const I& i) {
    Val a = vector(t, i[Rn], i);
    t.v(i[Rd], t.op(Op::vun, a.type(), a, {}, {}, ir::FpArg{.round = R}.bits(), u8(K), fp_lane<F>(i)));
}
template <VUn K>
void estimate(A64& t, const I& i) {
    t.v(i[Rd], t.vun(K, Lane::i32, vector(t, i[Rn], i)));
}
template <VNarrow K>
void fcvtn(A64& t, const I& i) {
    narrow(t, i, K, fp_lane(i), t.v(i[Rn], Type::v128));
}
void fcvtl(A64& t, const I& i) {
    Val a = vector(t, i[Rn], i);
    t.v(i[Rd], t.op(Op::vwiden, Type::v128, a, {}, {}, ir::FpArg{}.bits(), u8(i[Q]), i[sz] ? Lane::f32 : Lane::f16));
}

template <VReduce K, bool Long>
void reduce(A64& t, const I& i) {
    constexpr Type types[] = {Type::i8, Type::i16, Type::i32, Type::i64};
    t.v(i[Rd], t.op(Op::vreduce, types[i[size_] + Long], vector(t, i[Rn], i), {}, {}, 0, u8(K), int_lane(i)));
}
template <VReduce K>
void fp_reduce(A64& t, const I& i) {
    t.v(i[Rd], t.op(Op::vreduce, Type::f32, t.v(i[Rn], Type::v128), {}, {}, ir::FpArg{}.bits(), u8(K), Lane::f32));
}
void add_pair(A64& t, const I& i) {
    t.v(i[Rd], t.op(Op::vreduce, Type::i64, t.v(i[Rn], Type::v128), {}, {}, 0, u8(VReduce::add), Lane::i64));
}
constexpr VBin binary_of(VReduce k) {
    switch (k) {
    case VReduce::fmaxnm: return VBin::fmaxnm;
    case VReduce::fminnm: return VBin::fminnm;
    case VReduce::fmax: return VBin::fmax;
    case VReduce::fmin: return VBin::fmin;
    default: return VBin::fadd;
    }
}
template <VReduce K>
void half_reduce(A64& t, const I& i) {
    t.v(i[Rd], t.op(Op::vreduce, Type::f16, vector(t, i[Rn], i), {}, {}, ir::FpArg{}.bits(), u8(K), Lane::f16));
}
// The two halfwords at the bottom; those above are zero.
template <VReduce K>
void half_pair(A64& t, const I& i) {
    Val a = t.v(i[Rn], Type::i32), low = a.trunc(Type::i16), high = a.lshr(16).trunc(Type::i16);
    auto lane = [](Val v) { return v.zext(Type::i64).bitcast(Type::v64); };
    put_lane(t, i[Rd], Lane::f16, t.vbin(binary_of(K), Lane::f16, lane(low), lane(high)));
}
template <VReduce K>
void fp_pair(A64& t, const I& i) {
    Type type = i[sz] ? Type::f64 : Type::f32;
    Val a = t.v(i[Rn], i[sz] ? Type::v128 : Type::v64);
    t.v(i[Rd], t.op(Op::vreduce, type, a, {}, {}, ir::FpArg{}.bits(), u8(K), fp_lane(i)));
}

// clang-format off
constexpr R rows[] = {
    {"rev64     {VdT}, {VnT}",                   "0 Q 0 01110 size 10000 00000 10 Rn Rd",      unary<VUn::rev64>, not_doublewords},
    {"rev16     {VdT}, {VnT}",                   "0 Q 0 01110 size 10000 00001 10 Rn Rd",      unary<VUn::rev16>, bytes_only},
    {"rev32     {VdT}, {VnT}",                   "0 Q 1 01110 size 10000 00000 10 Rn Rd",      unary<VUn::rev32>, bytes_or_halfwords},
    {"saddlp    {VdP}, {VnT}",                   "0 Q 0 01110 size 10000 00010 10 Rn Rd",      unary<VUn::saddlp>, not_doublewords},
    {"uaddlp    {VdP}, {VnT}",                   "0 Q 1 01110 size 10000 00010 10 Rn Rd",      unary<VUn::uaddlp>, not_doublewords},
    {"sadalp    {VdP}, {VnT}",                   "0 Q 0 01110 size 10000 00110 10 Rn Rd",      accumulate_pairs<VUn::saddlp>, not_doublewords},
    {"uadalp    {VdP}, {VnT}",                   "0 Q 1 01110 size 10000 00110 10 Rn Rd",      accumulate_pairs<VUn::uaddlp>, not_doublewords},
    {"suqadd    {VdT}, {VnT}",                   "0 Q 0 01110 size 10000 00011 10 Rn Rd",      accumulate<VBin::suqadd>, full_doublewords},
    {"usqadd    {VdT}, {VnT}",                   "0 Q 1 01110 size 10000 00011 10 Rn Rd",      accumulate<VBin::usqadd>, full_doublewords},
    {"cls       {VdT}, {VnT}",                   "0 Q 0 01110 size 10000 00100 10 Rn Rd",      unary<VUn::cls>, not_doublewords},
    {"clz       {VdT}, {VnT}",                   "0 Q 1 01110 size 10000 00100 10 Rn Rd",      unary<VUn::clz>, not_doublewords},
    {"cnt       {VdT}, {VnT}",                   "0 Q 0 01110 size 10000 00101 10 Rn Rd",      unary<VUn::cnt>, bytes_only},
    {"not       {VdB}, {VnB}",                   "0 Q 1 01110 00 10000 00101 10 Rn Rd",        bytes<VUn::not_>},
    {"rbit      {VdB}, {VnB}",                   "0 Q 1 01110 01 10000 00101 10 Rn Rd",        bytes<VUn::bitrev>},
    {"sqabs     {VdT}, {VnT}",                   "0 Q 0 01110 size 10000 00111 10 Rn Rd",      unary<VUn::sqabs>, full_doublewords},
    {"sqneg     {VdT}, {VnT}",                   "0 Q 1 01110 size 10000 00111 10 Rn Rd",      unary<VUn::sqneg>, full_doublewords},
    {"abs       {VdT}, {VnT}",                   "0 Q 0 01110 size 10000 01011 10 Rn Rd",      unary<VUn::abs>, full_doublewords},
    {"neg       {VdT}, {VnT}",                   "0 Q 1 01110 size 10000 01011 10 Rn Rd",      unary<VUn::neg>, full_doublewords},
    {"cmgt      {VdT}, {VnT}, #0",               "0 Q 0 01110 size 10000 01000 10 Rn Rd",      compare_zero<VRel::sgt, false>, full_doublewords},
    {"cmeq      {VdT}, {VnT}, #0",               "0 Q 0 01110 size 10000 01001 10 Rn Rd",      compare_zero<VRel::eq, false>, full_doublewords},
    {"cmlt      {VdT}, {VnT}, #0",               "0 Q 0 01110 size 10000 01010 10 Rn Rd",      compare_zero<VRel::sgt, true>, full_doublewords},
    {"cmge      {VdT}, {VnT}, #0",               "0 Q 1 01110 size 10000 01000 10 Rn Rd",      compare_zero<VRel::sge, false>, full_doublewords},
    {"cmle      {VdT}, {VnT}, #0",               "0 Q 1 01110 size 10000 01001 10 Rn Rd",      compare_zero<VRel::sge, true>, full_doublewords},
    {"xtn{2}    {VdTq}, {VnW}",                  "0 Q 0 01110 size 10000 10010 10 Rn Rd",      narrow_lanes<VNarrow::trunc>, not_doublewords},
    {"sqxtn{2}  {VdTq}, {VnW}",                  "0 Q 0 01110 size 10000 10100 10 Rn Rd",      narrow_lanes<VNarrow::sqxtn>, not_doublewords},
    {"sqxtun{2} {VdTq}, {VnW}",                  "0 Q 1 01110 size 10000 10010 10 Rn Rd",      narrow_lanes<VNarrow::sqxtun>, not_doublewords},
    {"uqxtn{2}  {VdTq}, {VnW}",                  "0 Q 1 01110 size 10000 10100 10 Rn Rd",      narrow_lanes<VNarrow::uqxtn>, not_doublewords},
    {"shll{2}   {VdW}, {VnTq}, {shll}",          "0 Q 1 01110 size 10000 10011 10 Rn Rd",      shll, not_doublewords},

    {"fcmgt     {VdF}, {VnF}, #0.0",             "0 Q 0 01110 1 sz 10000 01100 10 Rn Rd",      fp_compare_zero<VRel::fgt, false>, full_fp},
    {"fcmeq     {VdF}, {VnF}, #0.0",             "0 Q 0 01110 1 sz 10000 01101 10 Rn Rd",      fp_compare_zero<VRel::feq, false>, full_fp},
    {"fcmlt     {VdF}, {VnF}, #0.0",             "0 Q 0 01110 1 sz 10000 01110 10 Rn Rd",      fp_compare_zero<VRel::fgt, true>, full_fp},
    {"fcmge     {VdF}, {VnF}, #0.0",             "0 Q 1 01110 1 sz 10000 01100 10 Rn Rd",      fp_compare_zero<VRel::fge, false>, full_fp},
    {"fcmle     {VdF}, {VnF}, #0.0",             "0 Q 1 01110 1 sz 10000 01101 10 Rn Rd",      fp_compare_zero<VRel::fge, true>, full_fp},
    {"fabs      {VdF}, {VnF}",                   "0 Q 0 01110 1 sz 10000 01111 10 Rn Rd",      fp_pure<VUn::fabs>, full_fp},
    {"fneg      {VdF}, {VnF}",                   "0 Q 1 01110 1 sz 10000 01111 10 Rn Rd",      fp_pure<VUn::fneg>, full_fp},
    {"fsqrt     {VdF}, {VnF}",                   "0 Q 1 01110 1 sz 10000 11111 10 Rn Rd",      fp_unary<VUn::fsqrt, Round::dynamic>, full_fp},
    {"frintn    {VdF}, {VnF}",                   "0 Q 0 01110 0 sz 10000 11000 10 Rn Rd",      fp_unary<VUn::fround, Round::nearest_even>, full_fp},
    {"frintm    {VdF}, {VnF}",                   "0 Q 0 01110 0 sz 10000 11001 10 Rn Rd",      fp_unary<VUn::fround, Round::down>, full_fp},
    {"frintp    {VdF}, {VnF}",                   "0 Q 0 01110 1 sz 10000 11000 10 Rn Rd",      fp_unary<VUn::fround, Round::up>, full_fp},
    {"frintz    {VdF}, {VnF}",                   "0 Q 0 01110 1 sz 10000 11001 10 Rn Rd",      fp_unary<VUn::fround, Round::toward_zero>, full_fp},
    {"frinta    {VdF}, {VnF}",                   "0 Q 1 01110 0 sz 10000 11000 10 Rn Rd",      fp_unary<VUn::fround, Round::nearest_away>, full_fp},
    {"frintx    {VdF}, {VnF}",                   "0 Q 1 01110 0 sz 10000 11001 10 Rn Rd",      fp_unary<VUn::fround_exact, Round::dynamic>, full_fp},
    {"frinti    {VdF}, {VnF}",                   "0 Q 1 01110 1 sz 10000 11001 10 Rn Rd",      fp_unary<VUn::fround, Round::dynamic>, full_fp},
    {"fcvtns    {VdF}, {VnF}",                   "0 Q 0 01110 0 sz 10000 11010 10 Rn Rd",      fp_unary<VUn::ftos, Round::nearest_even>, full_fp},
    {"fcvtms    {VdF}, {VnF}",                   "0 Q 0 01110 0 sz 10000 11011 10 Rn Rd",      fp_unary<VUn::ftos, Round::down>, full_fp},
    {"fcvtas    {VdF}, {VnF}",                   "0 Q 0 01110 0 sz 10000 11100 10 Rn Rd",      fp_unary<VUn::ftos, Round::nearest_away>, full_fp},
    {"scvtf     {VdF}, {VnF}",                   "0 Q 0 01110 0 sz 10000 11101 10 Rn Rd",      fp_unary<VUn::stof, Round::dynamic>, full_fp},
    {"fcvtps    {VdF}, {VnF}",                   "0 Q 0 01110 1 sz 10000 11010 10 Rn Rd",      fp_unary<VUn::ftos, Round::up>, full_fp},
    {"fcvtzs    {VdF}, {VnF}",                   "0 Q 0 01110 1 sz 10000 11011 10 Rn Rd",      fp_unary<VUn::ftos, Round::toward_zero>, full_fp},
    {"fcvtnu    {VdF}, {VnF}",                   "0 Q 1 01110 0 sz 10000 11010 10 Rn Rd",      fp_unary<VUn::ftou, Round::nearest_even>, full_fp},
    {"fcvtmu    {VdF}, {VnF}",                   "0 Q 1 01110 0 sz 10000 11011 10 Rn Rd",      fp_unary<VUn::ftou, Round::down>, full_fp},
    {"fcvtau    {VdF}, {VnF}",                   "0 Q 1 01110 0 sz 10000 11100 10 Rn Rd",      fp_unary<VUn::ftou, Round::nearest_away>, full_fp},
    {"ucvtf     {VdF}, {VnF}",                   "0 Q 1 01110 0 sz 10000 11101 10 Rn Rd",      fp_unary<VUn::utof, Round::dynamic>, full_fp},
    {"fcvtpu    {VdF}, {VnF}",                   "0 Q 1 01110 1 sz 10000 11010 10 Rn Rd",      fp_unary<VUn::ftou, Round::up>, full_fp},
    {"fcvtzu    {VdF}, {VnF}",                   "0 Q 1 01110 1 sz 10000 11011 10 Rn Rd",      fp_unary<VUn::ftou, Round::toward_zero>, full_fp},
    {"frecpe    {VdF}, {VnF}",                   "0 Q 0 01110 1 sz 10000 11101 10 Rn Rd",      fp_unary<VUn::frecpe, Round::dynamic>, full_fp},
    {"frsqrte   {VdF}, {VnF}",                   "0 Q 1 01110 1 sz 10000 11101 10 Rn Rd",      fp_unary<VUn::frsqrte, Round::dynamic>, full_fp},
    {"urecpe    {VdF}, {VnF}",                   "0 Q 0 01110 1 0 10000 11100 10 Rn Rd",       estimate<VUn::urecpe>},
    {"ursqrte   {VdF}, {VnF}",                   "0 Q 1 01110 1 0 10000 11100 10 Rn Rd",       estimate<VUn::ursqrte>},
    {"fcvtn{2}  {VdFn}, {VnFw}",                 "0 Q 0 01110 0 sz 10000 10110 10 Rn Rd",      fcvtn<VNarrow::fcvt>},
    {"fcvtl{2}  {VdFw}, {VnFn}",                 "0 Q 0 01110 0 sz 10000 10111 10 Rn Rd",      fcvtl},
    {"fcvtxn{2} {VdFn}, {VnFw}",                 "0 Q 1 01110 0 1 10000 10110 10 Rn Rd",       fcvtn<VNarrow::fcvt_odd>},

    {"saddlv    {SdLong}, {VnTS}",               "0 Q 0 01110 size 11000 00011 10 Rn Rd",      reduce<VReduce::saddl, true>, reducible},
    {"uaddlv    {SdLong}, {VnTS}",               "0 Q 1 01110 size 11000 00011 10 Rn Rd",      reduce<VReduce::uaddl, true>, reducible},
    {"smaxv     {SdT}, {VnTc}",                  "0 Q 0 01110 size 11000 01010 10 Rn Rd",      reduce<VReduce::smax, false>, reducible},
    {"sminv     {SdT}, {VnTc}",                  "0 Q 0 01110 size 11000 11010 10 Rn Rd",      reduce<VReduce::smin, false>, reducible},
    {"addv      {SdT}, {VnTc}",                  "0 Q 0 01110 size 11000 11011 10 Rn Rd",      reduce<VReduce::add, false>, reducible},
    {"umaxv     {SdT}, {VnTc}",                  "0 Q 1 01110 size 11000 01010 10 Rn Rd",      reduce<VReduce::umax, false>, reducible},
    {"uminv     {SdT}, {VnTc}",                  "0 Q 1 01110 size 11000 11010 10 Rn Rd",      reduce<VReduce::umin, false>, reducible},
    {"fmaxnmv   {Sd}, {VnF}",                    "0 1 1 01110 0 0 11000 01100 10 Rn Rd",       fp_reduce<VReduce::fmaxnm>},
    {"fmaxv     {Sd}, {VnF}",                    "0 1 1 01110 0 0 11000 01111 10 Rn Rd",       fp_reduce<VReduce::fmax>},
    {"fminnmv   {Sd}, {VnF}",                    "0 1 1 01110 1 0 11000 01100 10 Rn Rd",       fp_reduce<VReduce::fminnm>},
    {"fminv     {Sd}, {VnF}",                    "0 1 1 01110 1 0 11000 01111 10 Rn Rd",       fp_reduce<VReduce::fmin>},
};

constexpr R scalar_rows[] = {
    {"addp      {Dd}, {VnTc}",                   "01 0 11110 11 11000 11011 10 Rn Rd",         add_pair},
    {"fmaxnmp   {SdF}, {VnFp}",                  "01 1 11110 0 sz 11000 01100 10 Rn Rd",       fp_pair<VReduce::fmaxnm>},
    {"faddp     {SdF}, {VnFp}",                  "01 1 11110 0 sz 11000 01101 10 Rn Rd",       fp_pair<VReduce::fadd>},
    {"fmaxp     {SdF}, {VnFp}",                  "01 1 11110 0 sz 11000 01111 10 Rn Rd",       fp_pair<VReduce::fmax>},
    {"fminnmp   {SdF}, {VnFp}",                  "01 1 11110 1 sz 11000 01100 10 Rn Rd",       fp_pair<VReduce::fminnm>},
    {"fminp     {SdF}, {VnFp}",                  "01 1 11110 1 sz 11000 01111 10 Rn Rd",       fp_pair<VReduce::fmin>},
};

constexpr R half_rows[] = {
    {"fcmgt     {Vd4h}, {Vn4h}, #0.0",            "0 Q 0 01110 1 111100 01100 10 Rn Rd",        fp_compare_zero<VRel::fgt, false, Fp::half>},
    {"fcmeq     {Vd4h}, {Vn4h}, #0.0",            "0 Q 0 01110 1 111100 01101 10 Rn Rd",        fp_compare_zero<VRel::feq, false, Fp::half>},
    {"fcmlt     {Vd4h}, {Vn4h}, #0.0",            "0 Q 0 01110 1 111100 01110 10 Rn Rd",        fp_compare_zero<VRel::fgt, true, Fp::half>},
    {"fcmge     {Vd4h}, {Vn4h}, #0.0",            "0 Q 1 01110 1 111100 01100 10 Rn Rd",        fp_compare_zero<VRel::fge, false, Fp::half>},
    {"fcmle     {Vd4h}, {Vn4h}, #0.0",            "0 Q 1 01110 1 111100 01101 10 Rn Rd",        fp_compare_zero<VRel::fge, true, Fp::half>},
    {"fabs      {Vd4h}, {Vn4h}",                  "0 Q 0 01110 1 111100 01111 10 Rn Rd",        fp_pure<VUn::fabs, Fp::half>},
    {"fneg      {Vd4h}, {Vn4h}",                  "0 Q 1 01110 1 111100 01111 10 Rn Rd",        fp_pure<VUn::fneg, Fp::half>},
    {"fsqrt     {Vd4h}, {Vn4h}",                  "0 Q 1 01110 1 111100 11111 10 Rn Rd",        fp_unary<VUn::fsqrt, Round::dynamic, Fp::half>},
    {"frintn    {Vd4h}, {Vn4h}",                  "0 Q 0 01110 0 111100 11000 10 Rn Rd",        fp_unary<VUn::fround, Round::nearest_even, Fp::half>},
    {"frintm    {Vd4h}, {Vn4h}",                  "0 Q 0 01110 0 111100 11001 10 Rn Rd",        fp_unary<VUn::fround, Round::down, Fp::half>},
    {"frintp    {Vd4h}, {Vn4h}",                  "0 Q 0 01110 1 111100 11000 10 Rn Rd",        fp_unary<VUn::fround, Round::up, Fp::half>},
    {"frintz    {Vd4h}, {Vn4h}",                  "0 Q 0 01110 1 111100 11001 10 Rn Rd",        fp_unary<VUn::fround, Round::toward_zero, Fp::half>},
    {"frinta    {Vd4h}, {Vn4h}",                  "0 Q 1 01110 0 111100 11000 10 Rn Rd",        fp_unary<VUn::fround, Round::nearest_away, Fp::half>},
    {"frintx    {Vd4h}, {Vn4h}",                  "0 Q 1 01110 0 111100 11001 10 Rn Rd",        fp_unary<VUn::fround_exact, Round::dynamic, Fp::half>},
    {"frinti    {Vd4h}, {Vn4h}",                  "0 Q 1 01110 1 111100 11001 10 Rn Rd",        fp_unary<VUn::fround, Round::dynamic, Fp::half>},
    {"fcvtns    {Vd4h}, {Vn4h}",                  "0 Q 0 01110 0 111100 11010 10 Rn Rd",        fp_unary<VUn::ftos, Round::nearest_even, Fp::half>},
    {"fcvtms    {Vd4h}, {Vn4h}",                  "0 Q 0 01110 0 111100 11011 10 Rn Rd",        fp_unary<VUn::ftos, Round::down, Fp::half>},
    {"fcvtas    {Vd4h}, {Vn4h}",                  "0 Q 0 01110 0 111100 11100 10 Rn Rd",        fp_unary<VUn::ftos, Round::nearest_away, Fp::half>},
    {"scvtf     {Vd4h}, {Vn4h}",                  "0 Q 0 01110 0 111100 11101 10 Rn Rd",        fp_unary<VUn::stof, Round::dynamic, Fp::half>},
    {"fcvtps    {Vd4h}, {Vn4h}",                  "0 Q 0 01110 1 111100 11010 10 Rn Rd",        fp_unary<VUn::ftos, Round::up, Fp::half>},
    {"fcvtzs    {Vd4h}, {Vn4h}",                  "0 Q 0 01110 1 111100 11011 10 Rn Rd",        fp_unary<VUn::ftos, Round::toward_zero, Fp::half>},
    {"fcvtnu    {Vd4h}, {Vn4h}",                  "0 Q 1 01110 0 111100 11010 10 Rn Rd",        fp_unary<VUn::ftou, Round::nearest_even, Fp::half>},
    {"fcvtmu    {Vd4h}, {Vn4h}",                  "0 Q 1 01110 0 111100 11011 10 Rn Rd",        fp_unary<VUn::ftou, Round::down, Fp::half>},
    {"fcvtau    {Vd4h}, {Vn4h}",                  "0 Q 1 01110 0 111100 11100 10 Rn Rd",        fp_unary<VUn::ftou, Round::nearest_away, Fp::half>},
    {"ucvtf     {Vd4h}, {Vn4h}",                  "0 Q 1 01110 0 111100 11101 10 Rn Rd",        fp_unary<VUn::utof, Round::dynamic, Fp::half>},
    {"fcvtpu    {Vd4h}, {Vn4h}",                  "0 Q 1 01110 1 111100 11010 10 Rn Rd",        fp_unary<VUn::ftou, Round::up, Fp::half>},
    {"fcvtzu    {Vd4h}, {Vn4h}",                  "0 Q 1 01110 1 111100 11011 10 Rn Rd",        fp_unary<VUn::ftou, Round::toward_zero, Fp::half>},
    {"frecpe    {Vd4h}, {Vn4h}",                  "0 Q 0 01110 1 111100 11101 10 Rn Rd",        fp_unary<VUn::frecpe, Round::dynamic, Fp::half>},
    {"frsqrte   {Vd4h}, {Vn4h}",                  "0 Q 1 01110 1 111100 11101 10 Rn Rd",        fp_unary<VUn::frsqrte, Round::dynamic, Fp::half>},

    {"fmaxnmv   {Hd}, {Vn4hF}",                    "0 Q 0 01110 0 0 11000 01100 10 Rn Rd",       half_reduce<VReduce::fmaxnm>},
    {"fmaxv     {Hd}, {Vn4hF}",                    "0 Q 0 01110 0 0 11000 01111 10 Rn Rd",       half_reduce<VReduce::fmax>},
    {"fminnmv   {Hd}, {Vn4hF}",                    "0 Q 0 01110 1 0 11000 01100 10 Rn Rd",       half_reduce<VReduce::fminnm>},
    {"fminv     {Hd}, {Vn4hF}",                    "0 Q 0 01110 1 0 11000 01111 10 Rn Rd",       half_reduce<VReduce::fmin>},
    {"fmaxnmp   {Hd}, {Vn}.2h",                   "01 0 11110 0 0 11000 01100 10 Rn Rd",        half_pair<VReduce::fmaxnm>},
    {"faddp     {Hd}, {Vn}.2h",                   "01 0 11110 0 0 11000 01101 10 Rn Rd",        half_pair<VReduce::fadd>},
    {"fmaxp     {Hd}, {Vn}.2h",                   "01 0 11110 0 0 11000 01111 10 Rn Rd",        half_pair<VReduce::fmax>},
    {"fminnmp   {Hd}, {Vn}.2h",                   "01 0 11110 1 0 11000 01100 10 Rn Rd",        half_pair<VReduce::fminnm>},
    {"fminp     {Hd}, {Vn}.2h",                   "01 0 11110 1 0 11000 01111 10 Rn Rd",        half_pair<VReduce::fmin>},
};
// clang-format on

} // namespace

constinit const Table<AArch64> simd_misc{"AdvSIMD two registers", needs(Feature::simd), rows, fp_registers};
constinit const Table<AArch64> simd_pairwise_scalar{"AdvSIMD scalar pairwise", needs(Feature::simd), scalar_rows,
                                                    fp_registers};
constinit const Table<AArch64> simd_misc_half{"AdvSIMD two registers, FP16", needs(Feature::simd_fp16), half_rows,
                                              fp_registers};

} // namespace mimic::isa::aarch64
