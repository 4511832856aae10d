// Advanced SIMD shift by immediate and three different: Arm ARM C4.1.97. The left-most one of immh names the lane.
#include "isa/aarch64/simd.hpp"
#include "isa/aarch64/tables.hpp"
#include <bit>

namespace mimic::isa::aarch64 {

namespace {

u32 lane_size(const I& i) { return u32(std::bit_width(u32(i[immh]))) - 1; }
Lane lane_of(const I& i) { return Lane(lane_size(i)); }
u32 lane_width(const I& i) { return 8u << lane_size(i); }
u32 right_amount(const I& i) { return 2 * lane_width(i) - u32(i[immhb]); }
u32 left_amount(const I& i) { return u32(i[immhb]) - lane_width(i); }
bool lanes_fit(const I& i) { return i[immh] && (i[immh] < 8 || i[Q]); }
bool narrow_fit(const I& i) { return i[immh] && i[immh] < 8; }
bool doubleword_lane(const I& i) { return i[immh] >= 8; }

template <VShift K, bool Right>
void shift_lanes(A64& t, const I& i) {
    t.v(i[Rd], shifted_lanes(t, K, lane_of(i), vector(t, i[Rn], i), Right ? right_amount(i) : left_amount(i)));
}
template <VShift K>
void accumulate(A64& t, const I& i) {
    Val v = shifted_lanes(t, K, lane_of(i), vector(t, i[Rn], i), right_amount(i));
    t.v(i[Rd], t.vbin(VBin::add, lane_of(i), vector(t, i[Rd], i), v));
}
// Bits that the shift brings no value for stay as they are.
template <bool Right>
void shift_insert(A64& t, const I& i) {
    u32 n = Right ? right_amount(i) : left_amount(i), width = lane_width(i);
    u64 lane = width == 64 ? ~u64{0} : (u64{1} << width) - 1;
    u64 mask = n >= width ? 0 : Right ? lane >> n : lane << n & lane;
    for (u32 k = width; k < 64; k *= 2) mask |= mask << k;
    Val moved = shifted_lanes(t, Right ? VShift::lshr : VShift::shl, lane_of(i), vector(t, i[Rn], i), n);
    Val m = i[Q] ? t.wide(mask, mask, Type::v128) : t.imm(mask).bitcast(Type::v64);
    t.v(i[Rd], t.op(Op::vselect, vector_type(i), m, moved, vector(t, i[Rd], i)));
}
template <VShift S, VNarrow K>
void shift_narrow(A64& t, const I& i) {
    Lane wide = wider(lane_of(i));
    narrow(t, i, K, wide, shifted_lanes(t, S, wide, t.v(i[Rn], Type::v128), right_amount(i)));
}
template <bool Signed>
void shift_long(A64& t, const I& i) {
    Val wide = widened(t, i[Rn], i, lane_of(i), Signed);
    u32 n = left_amount(i);
    t.v(i[Rd], n ? shifted_lanes(t, VShift::shl, wider(lane_of(i)), wide, n) : wide);
}
template <VShift K, bool Right>
void scalar_shift(A64& t, const I& i) {
    Val v = shifted_lanes(t, K, Lane::i64, t.v(i[Rn], Type::v64), Right ? right_amount(i) : left_amount(i));
    t.v(i[Rd], v);
}
template <VShift K>
void scalar_accumulate(A64& t, const I& i) {
    Val v = shifted_lanes(t, K, Lane::i64, t.v(i[Rn], Type::v64), right_amount(i));
    t.v(i[Rd], t.vbin(VBin::add, Lane::i64, t.v(i[Rd], Type::v64), v));
}

// ---- three different

template <VBin K, bool Signed>
void long_binary(A64& t, const I& i) {
    Lane lane = int_lane(i);
    t.v(i[Rd], t.vbin(K, wider(lane), widened(t, i[Rn], i, lane, Signed), widened(t, i[Rm], i, lane, Signed)));
}
template <VBin K, bool Signed>
void wide_binary(A64& t, const I& i) {
    Lane lane = int_lane(i);
    t.v(i[Rd], t.vbin(K, wider(lane), t.v(i[Rn], Type::v128), widened(t, i[Rm], i, lane, Signed)));
}
template <bool Signed, bool Accumulate>
void long_difference(A64& t, const I& i) {
    Lane lane = int_lane(i);
    Val a = widened(t, i[Rn], i, lane, Signed), b = widened(t, i[Rm], i, lane, Signed);
    Val difference = t.vbin(Signed ? VBin::sabd : VBin::uabd, wider(lane), a, b);
    t.v(i[Rd], Accumulate ? t.vbin(VBin::add, wider(lane), t.v(i[Rd], Type::v128), difference) : difference);
}
template <VTern K, bool Signed>
void long_multiply_add(A64& t, const I& i) {
    Lane lane = int_lane(i);
    Val a = widened(t, i[Rn], i, lane, Signed), b = widened(t, i[Rm], i, lane, Signed);
    t.v(i[Rd], t.op(Op::vtern, Type::v128, a, b, t.v(i[Rd], Type::v128), 0, u8(K), wider(lane)));
}
// K: how the product goes to Rd; mul: alone.
template <VBin K>
void doubling_long(A64& t, const I& i) {
    Lane lane = int_lane(i), wide = wider(lane);
    Val v = doubling_product(t, wide, widened(t, i[Rn], i, lane, true), widened(t, i[Rm], i, lane, true));
    t.v(i[Rd], K == VBin::mul ? v : t.vbin(K, wide, t.v(i[Rd], Type::v128), v));
}
template <VBin K, bool Round>
void high_narrow(A64& t, const I& i) {
    Lane lane = int_lane(i);
    Val v = t.vbin(K, wider(lane), t.v(i[Rn], Type::v128), t.v(i[Rm], Type::v128));
    u32 half = 8 * ir::lane_bytes(lane);
    narrow(t, i, VNarrow::trunc, wider(lane),
           shifted_lanes(t, Round ? VShift::urshr : VShift::lshr, wider(lane), v, half));
}

// clang-format off
constexpr R rows[] = {
    {"sshr      {VdI}, {VnI}, {shr}",            "0 Q 0 011110 immhb 00000 1 Rn Rd",           shift_lanes<VShift::ashr, true>, lanes_fit},
    {"ushr      {VdI}, {VnI}, {shr}",            "0 Q 1 011110 immhb 00000 1 Rn Rd",           shift_lanes<VShift::lshr, true>, lanes_fit},
    {"srshr     {VdI}, {VnI}, {shr}",            "0 Q 0 011110 immhb 00100 1 Rn Rd",           shift_lanes<VShift::srshr, true>, lanes_fit},
    {"urshr     {VdI}, {VnI}, {shr}",            "0 Q 1 011110 immhb 00100 1 Rn Rd",           shift_lanes<VShift::urshr, true>, lanes_fit},
    {"ssra      {VdI}, {VnI}, {shr}",            "0 Q 0 011110 immhb 00010 1 Rn Rd",           accumulate<VShift::ashr>, lanes_fit},
    {"usra      {VdI}, {VnI}, {shr}",            "0 Q 1 011110 immhb 00010 1 Rn Rd",           accumulate<VShift::lshr>, lanes_fit},
    {"srsra     {VdI}, {VnI}, {shr}",            "0 Q 0 011110 immhb 00110 1 Rn Rd",           accumulate<VShift::srshr>, lanes_fit},
    {"ursra     {VdI}, {VnI}, {shr}",            "0 Q 1 011110 immhb 00110 1 Rn Rd",           accumulate<VShift::urshr>, lanes_fit},
    {"shl       {VdI}, {VnI}, {shl}",            "0 Q 0 011110 immhb 01010 1 Rn Rd",           shift_lanes<VShift::shl, false>, lanes_fit},
    {"sqshl     {VdI}, {VnI}, {shl}",            "0 Q 0 011110 immhb 01110 1 Rn Rd",           shift_lanes<VShift::sqshl, false>, lanes_fit},
    {"uqshl     {VdI}, {VnI}, {shl}",            "0 Q 1 011110 immhb 01110 1 Rn Rd",           shift_lanes<VShift::uqshl, false>, lanes_fit},
    {"sqshlu    {VdI}, {VnI}, {shl}",            "0 Q 1 011110 immhb 01100 1 Rn Rd",           shift_lanes<VShift::sqshlu, false>, lanes_fit},
    {"sri       {VdI}, {VnI}, {shr}",            "0 Q 1 011110 immhb 01000 1 Rn Rd",           shift_insert<true>, lanes_fit},
    {"sli       {VdI}, {VnI}, {shl}",            "0 Q 1 011110 immhb 01010 1 Rn Rd",           shift_insert<false>, lanes_fit},
    {"shrn{2}   {VdIq}, {VnIw}, {shr}",          "0 Q 0 011110 immhb 10000 1 Rn Rd",           shift_narrow<VShift::lshr, VNarrow::trunc>, narrow_fit},
    {"rshrn{2}  {VdIq}, {VnIw}, {shr}",          "0 Q 0 011110 immhb 10001 1 Rn Rd",           shift_narrow<VShift::urshr, VNarrow::trunc>, narrow_fit},
    {"sqshrn{2} {VdIq}, {VnIw}, {shr}",          "0 Q 0 011110 immhb 10010 1 Rn Rd",           shift_narrow<VShift::ashr, VNarrow::sqxtn>, narrow_fit},
    {"sqrshrn{2} {VdIq}, {VnIw}, {shr}",         "0 Q 0 011110 immhb 10011 1 Rn Rd",           shift_narrow<VShift::srshr, VNarrow::sqxtn>, narrow_fit},
    {"sqshrun{2} {VdIq}, {VnIw}, {shr}",         "0 Q 1 011110 immhb 10000 1 Rn Rd",           shift_narrow<VShift::ashr, VNarrow::sqxtun>, narrow_fit},
    {"sqrshrun{2} {VdIq}, {VnIw}, {shr}",        "0 Q 1 011110 immhb 10001 1 Rn Rd",           shift_narrow<VShift::srshr, VNarrow::sqxtun>, narrow_fit},
    {"uqshrn{2} {VdIq}, {VnIw}, {shr}",          "0 Q 1 011110 immhb 10010 1 Rn Rd",           shift_narrow<VShift::lshr, VNarrow::uqxtn>, narrow_fit},
    {"uqrshrn{2} {VdIq}, {VnIw}, {shr}",         "0 Q 1 011110 immhb 10011 1 Rn Rd",           shift_narrow<VShift::urshr, VNarrow::uqxtn>, narrow_fit},
    {"sshll{2}  {VdIw}, {VnIq}, {shl}",          "0 Q 0 011110 immhb 10100 1 Rn Rd",           shift_long<true>, narrow_fit},
    {"ushll{2}  {VdIw}, {VnIq}, {shl}",          "0 Q 1 011110 immhb 10100 1 Rn Rd",           shift_long<false>, narrow_fit},
};

constexpr R scalar_rows[] = {
    {"sshr      {DdI}, {Dn}, {shr}",              "01 0 111110 immhb 00000 1 Rn Rd",            scalar_shift<VShift::ashr, true>, doubleword_lane},
    {"ushr      {DdI}, {Dn}, {shr}",              "01 1 111110 immhb 00000 1 Rn Rd",            scalar_shift<VShift::lshr, true>, doubleword_lane},
    {"srshr     {DdI}, {Dn}, {shr}",              "01 0 111110 immhb 00100 1 Rn Rd",            scalar_shift<VShift::srshr, true>, doubleword_lane},
    {"urshr     {DdI}, {Dn}, {shr}",              "01 1 111110 immhb 00100 1 Rn Rd",            scalar_shift<VShift::urshr, true>, doubleword_lane},
    {"shl       {DdI}, {Dn}, {shl}",              "01 0 111110 immhb 01010 1 Rn Rd",            scalar_shift<VShift::shl, false>, doubleword_lane},
    {"ssra      {DdI}, {Dn}, {shr}",              "01 0 111110 immhb 00010 1 Rn Rd",            scalar_accumulate<VShift::ashr>, doubleword_lane},
    {"usra      {DdI}, {Dn}, {shr}",              "01 1 111110 immhb 00010 1 Rn Rd",            scalar_accumulate<VShift::lshr>, doubleword_lane},
    {"srsra     {DdI}, {Dn}, {shr}",              "01 0 111110 immhb 00110 1 Rn Rd",            scalar_accumulate<VShift::srshr>, doubleword_lane},
    {"ursra     {DdI}, {Dn}, {shr}",              "01 1 111110 immhb 00110 1 Rn Rd",            scalar_accumulate<VShift::urshr>, doubleword_lane},
};

constexpr R long_rows[] = {
    {"saddl{2}  {VdW}, {VnTq}, {VmTq}",          "0 Q 0 01110 size 1 Rm 0000 00 Rn Rd",        long_binary<VBin::add, true>, not_doublewords},
    {"saddw{2}  {VdW}, {VnW}, {VmTq}",           "0 Q 0 01110 size 1 Rm 0001 00 Rn Rd",        wide_binary<VBin::add, true>, not_doublewords},
    {"ssubl{2}  {VdW}, {VnTq}, {VmTq}",          "0 Q 0 01110 size 1 Rm 0010 00 Rn Rd",        long_binary<VBin::sub, true>, not_doublewords},
    {"ssubw{2}  {VdW}, {VnW}, {VmTq}",           "0 Q 0 01110 size 1 Rm 0011 00 Rn Rd",        wide_binary<VBin::sub, true>, not_doublewords},
    {"sabal{2}  {VdW}, {VnTq}, {VmTq}",          "0 Q 0 01110 size 1 Rm 0101 00 Rn Rd",        long_difference<true, true>, not_doublewords},
    {"sabdl{2}  {VdW}, {VnTq}, {VmTq}",          "0 Q 0 01110 size 1 Rm 0111 00 Rn Rd",        long_difference<true, false>, not_doublewords},
    {"smlal{2}  {VdW}, {VnTq}, {VmTq}",          "0 Q 0 01110 size 1 Rm 1000 00 Rn Rd",        long_multiply_add<VTern::mla, true>, not_doublewords},
    {"smlsl{2}  {VdW}, {VnTq}, {VmTq}",          "0 Q 0 01110 size 1 Rm 1010 00 Rn Rd",        long_multiply_add<VTern::mls, true>, not_doublewords},
    {"smull{2}  {VdW}, {VnTq}, {VmTq}",          "0 Q 0 01110 size 1 Rm 1100 00 Rn Rd",        long_binary<VBin::mul, true>, not_doublewords},
    {"uaddl{2}  {VdW}, {VnTq}, {VmTq}",          "0 Q 1 01110 size 1 Rm 0000 00 Rn Rd",        long_binary<VBin::add, false>, not_doublewords},
    {"uaddw{2}  {VdW}, {VnW}, {VmTq}",           "0 Q 1 01110 size 1 Rm 0001 00 Rn Rd",        wide_binary<VBin::add, false>, not_doublewords},
    {"usubl{2}  {VdW}, {VnTq}, {VmTq}",          "0 Q 1 01110 size 1 Rm 0010 00 Rn Rd",        long_binary<VBin::sub, false>, not_doublewords},
    {"usubw{2}  {VdW}, {VnW}, {VmTq}",           "0 Q 1 01110 size 1 Rm 0011 00 Rn Rd",        wide_binary<VBin::sub, false>, not_doublewords},
    {"uabal{2}  {VdW}, {VnTq}, {VmTq}",          "0 Q 1 01110 size 1 Rm 0101 00 Rn Rd",        long_difference<false, true>, not_doublewords},
    {"uabdl{2}  {VdW}, {VnTq}, {VmTq}",          "0 Q 1 01110 size 1 Rm 0111 00 Rn Rd",        long_difference<false, false>, not_doublewords},
    {"umlal{2}  {VdW}, {VnTq}, {VmTq}",          "0 Q 1 01110 size 1 Rm 1000 00 Rn Rd",        long_multiply_add<VTern::mla, false>, not_doublewords},
    {"umlsl{2}  {VdW}, {VnTq}, {VmTq}",          "0 Q 1 01110 size 1 Rm 1010 00 Rn Rd",        long_multiply_add<VTern::mls, false>, not_doublewords},
    {"umull{2}  {VdW}, {VnTq}, {VmTq}",          "0 Q 1 01110 size 1 Rm 1100 00 Rn Rd",        long_binary<VBin::mul, false>, not_doublewords},
    {"addhn{2}  {VdTq}, {VnW}, {VmW}",           "0 Q 0 01110 size 1 Rm 0100 00 Rn Rd",        high_narrow<VBin::add, false>, not_doublewords},
    {"raddhn{2} {VdTq}, {VnW}, {VmW}",           "0 Q 1 01110 size 1 Rm 0100 00 Rn Rd",        high_narrow<VBin::add, true>, not_doublewords},
    {"subhn{2}  {VdTq}, {VnW}, {VmW}",           "0 Q 0 01110 size 1 Rm 0110 00 Rn Rd",        high_narrow<VBin::sub, false>, not_doublewords},
    {"rsubhn{2} {VdTq}, {VnW}, {VmW}",           "0 Q 1 01110 size 1 Rm 0110 00 Rn Rd",        high_narrow<VBin::sub, true>, not_doublewords},
    {"sqdmlal{2} {VdW}, {VnTq}, {VmTq}",       "0 Q 0 01110 size 1 Rm 1001 00 Rn Rd",          doubling_long<VBin::sadd_sat>, halfwords_or_words},
    {"sqdmlsl{2} {VdW}, {VnTq}, {VmTq}",       "0 Q 0 01110 size 1 Rm 1011 00 Rn Rd",          doubling_long<VBin::ssub_sat>, halfwords_or_words},
    {"sqdmull{2} {VdW}, {VnTq}, {VmTq}",       "0 Q 0 01110 size 1 Rm 1101 00 Rn Rd",          doubling_long<VBin::mul>, halfwords_or_words},
    {"pmull{2}  {VdW}, {VnTq}, {VmTq}",        "0 Q 0 01110 00 1 Rm 1110 00 Rn Rd",            long_binary<VBin::pmul, false>},
};
// clang-format on

} // namespace

constinit const Table<AArch64> simd_shift{"AdvSIMD shift by immediate", needs(Feature::simd), rows, fp_registers};
constinit const Table<AArch64> simd_shift_scalar{"AdvSIMD scalar shift by immediate", needs(Feature::simd), scalar_rows,
                                                 fp_registers};
constinit const Table<AArch64> simd_long{"AdvSIMD three different", needs(Feature::simd), long_rows, fp_registers};

} // namespace mimic::isa::aarch64
