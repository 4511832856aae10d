// Advanced SIMD three-register extension and its indexed forms: rounding doubling multiplies that accumulate (RDM), dot
// products and matrix products of bytes (DotProd, I8MM), complex numbers (FCMA). Arm ARM C4.1.97.
#include "isa/aarch64/simd.hpp"
#include "isa/aarch64/tables.hpp"

namespace mimic::isa::aarch64 {

namespace {

Val ternary(A64& t, VTern kind, Lane lane, Val a, Val b, Val c) {
    return t.op(Op::vtern, a.type(), a, b, c, 0, u8(kind), lane);
}
Val lane_of(A64& t, Lane lane, Type type, i64 n, u32 index) {
    return t.op(Op::vget, type, t.v(n, Type::v128), {}, {}, index, 0, lane);
}

// ---- RDM

template <VTern K>
void accumulate(A64& t, const I& i) {
    t.v(i[Rd], ternary(t, K, int_lane(i), vector(t, i[Rn], i), vector(t, i[Rm], i), vector(t, i[Rd], i)));
}
template <VTern K>
void scalar_accumulate(A64& t, const I& i) {
    Lane lane = int_lane(i);
    put_lane(t, i[Rd], lane,
             ternary(t, K, lane, one_lane(t, i[Rn], lane), one_lane(t, i[Rm], lane), one_lane(t, i[Rd], lane)));
}
Val repeated_element(A64& t, const I& i, Type type) {
    Type bits = i[size_] == 1 ? Type::i16 : Type::i32;
    return splat(t, type, int_lane(i), lane_of(t, int_lane(i), bits, element_register(i), u32(element_index(i))));
}
template <VTern K>
void accumulate_element(A64& t, const I& i) {
    Val b = repeated_element(t, i, vector_type(i));
    t.v(i[Rd], ternary(t, K, int_lane(i), vector(t, i[Rn], i), b, vector(t, i[Rd], i)));
}
template <VTern K>
void scalar_accumulate_element(A64& t, const I& i) {
    Lane lane = int_lane(i);
    Val b = repeated_element(t, i, Type::v64);
    put_lane(t, i[Rd], lane, ternary(t, K, lane, one_lane(t, i[Rn], lane), b, one_lane(t, i[Rd], lane)));
}

// ---- dot products. Swap: the signed operand is Vn.

// Four bytes of Vm in each word.
Val repeated_group(A64& t, const I& i) {
    u32 index = u32(i[H_] << 1 | i[L_]);
    return splat(t, vector_type(i), Lane::i32, lane_of(t, Lane::i32, Type::i32, i[Rm4] | i[M_] << 4, index));
}
template <VTern K>
void dot(A64& t, const I& i) {
    t.v(i[Rd], ternary(t, K, Lane::i32, vector(t, i[Rn], i), vector(t, i[Rm], i), vector(t, i[Rd], i)));
}
template <VTern K, bool Swap>
void dot_element(A64& t, const I& i) {
    Val a = vector(t, i[Rn], i), b = repeated_group(t, i);
    t.v(i[Rd], ternary(t, K, Lane::i32, Swap ? b : a, Swap ? a : b, vector(t, i[Rd], i)));
}
// Rows of 8 bytes times rows of 8 bytes: word 2j+k adds row j of Vn times row k of Vm, in two halves of four bytes.
template <VTern K>
void matrix_product(A64& t, const I& i) {
    Val n = t.v(i[Rn], Type::v128), m = t.v(i[Rm], Type::v128);
    auto words = [&](Val v, u8 which) { return t.op(Op::vzip, Type::v128, v, v, {}, 0, which, Lane::i32); };
    constexpr u8 even = 2, odd = 3, even_pairs = 4, odd_pairs = 5;
    Val first = ternary(t, K, Lane::i32, words(n, even_pairs), words(m, even), t.v(i[Rd], Type::v128));
    t.v(i[Rd], ternary(t, K, Lane::i32, words(n, odd_pairs), words(m, odd), first));
}

// ---- complex numbers: the real part is the even lane. Rotating an operand swaps its parts and turns signs.

constexpr Lane fp_of(i64 size) { return Lane(u8(Lane::f16) + size - 1); }
constexpr Lane int_of(Lane fp) { return Lane(u8(fp) - u8(Lane::f16) + u8(Lane::i16)); }
bool complex_lanes(const I& i) { return i[size_] != 0 && full_doublewords(i); }
bool whole_numbers(const I& i) { return i[Q] || !i[H_]; }

Val swapped_parts(A64& t, Lane lane, Val v) {
    constexpr VUn reverse[] = {VUn::rev32, VUn::rev64};
    if (lane == Lane::f64) return t.op(Op::vext, v.type(), v, v, {}, 8);
    return t.vun(reverse[u8(lane) - u8(Lane::f16)], int_of(lane), v);
}
// Flips the signs of real (bit 0 of `parts`) and imaginary (bit 1) parts.
Val with_signs(A64& t, Lane lane, Val v, u32 parts) {
    u32 width = 8 * ir::lane_bytes(lane);
    u64 mask[2] = {};
    for (u32 at = 0, n = 0; at < 128; at += width, ++n)
        if (parts >> n % 2 & 1) mask[at / 64] |= u64{1} << (at % 64 + width - 1);
    Val m = v.type() == Type::v64 ? t.imm(mask[0]).bitcast(Type::v64) : t.wide(mask[0], mask[1], Type::v128);
    return parts ? t.vbin(VBin::xor_, Lane::i64, v, m) : v;
}
void fcadd(A64& t, const I& i) {
    Lane lane = fp_of(i[size_]);
    Val turned = with_signs(t, lane, swapped_parts(t, lane, vector(t, i[Rm], i)), i[rota] ? 2 : 1);
    t.v(i[Rd], t.vbin(VBin::fadd, lane, vector(t, i[Rn], i), turned));
}
// d + (a part of n, twice) * m turned
void multiply_complex(A64& t, const I& i, Lane lane, u32 quarters, Val m) {
    Val n = vector(t, i[Rn], i);
    constexpr u32 signs[] = {0, 1, 3, 2};
    u8 part = quarters & 1 ? 5 : 4;
    Val a = t.op(Op::vzip, n.type(), n, n, {}, 0, part, int_of(lane));
    Val b = with_signs(t, lane, quarters & 1 ? swapped_parts(t, lane, m) : m, signs[quarters]);
    t.v(i[Rd], t.op(Op::vtern, n.type(), a, b, vector(t, i[Rd], i), ir::FpArg{}.bits(), u8(VTern::fmla), lane));
}
void fcmla(A64& t, const I& i) { multiply_complex(t, i, fp_of(i[size_]), u32(i[rot]), vector(t, i[Rm], i)); }
template <Lane L>
void fcmla_element(A64& t, const I& i) {
    bool halves = L == Lane::f16;
    u32 index = u32(halves ? i[H_] << 1 | i[L_] : i[H_]);
    Val number = lane_of(t, halves ? Lane::i32 : Lane::i64, halves ? Type::i32 : Type::i64, i[Rm4] | i[M_] << 4, index);
    multiply_complex(t, i, L, u32(i[rotx]), splat(t, vector_type(i), halves ? Lane::i32 : Lane::i64, number));
}

// clang-format off
constexpr R rdm_rows[] = {
    {"sqrdmlah  {VdT}, {VnT}, {VmT}",         "0 Q 1 01110 size 0 Rm 1 0000 1 Rn Rd",         accumulate<VTern::sqrdmlah>, halfwords_or_words},
    {"sqrdmlsh  {VdT}, {VnT}, {VmT}",         "0 Q 1 01110 size 0 Rm 1 0001 1 Rn Rd",         accumulate<VTern::sqrdmlsh>, halfwords_or_words},
    {"sqrdmlah  {SdT}, {SnT}, {SmT}",         "01 1 11110 size 0 Rm 1 0000 1 Rn Rd",          scalar_accumulate<VTern::sqrdmlah>, halfwords_or_words},
    {"sqrdmlsh  {SdT}, {SnT}, {SmT}",         "01 1 11110 size 0 Rm 1 0001 1 Rn Rd",          scalar_accumulate<VTern::sqrdmlsh>, halfwords_or_words},
    {"sqrdmlah  {VdT}, {VnT}, {VmEl}",        "0 Q 1 01111 size L M Rm4 1101 H 0 Rn Rd",      accumulate_element<VTern::sqrdmlah>, halfwords_or_words},
    {"sqrdmlsh  {VdT}, {VnT}, {VmEl}",        "0 Q 1 01111 size L M Rm4 1111 H 0 Rn Rd",      accumulate_element<VTern::sqrdmlsh>, halfwords_or_words},
    {"sqrdmlah  {SdT}, {SnT}, {VmEl}",        "01 1 11111 size L M Rm4 1101 H 0 Rn Rd",       scalar_accumulate_element<VTern::sqrdmlah>, halfwords_or_words},
    {"sqrdmlsh  {SdT}, {SnT}, {VmEl}",        "01 1 11111 size L M Rm4 1111 H 0 Rn Rd",       scalar_accumulate_element<VTern::sqrdmlsh>, halfwords_or_words},
};
constexpr R dot_rows[] = {
    {"sdot      {Vd2s}, {VnB}, {VmB}",        "0 Q 0 01110 10 0 Rm 1 0010 1 Rn Rd",           dot<VTern::sdot>},
    {"udot      {Vd2s}, {VnB}, {VmB}",        "0 Q 1 01110 10 0 Rm 1 0010 1 Rn Rd",           dot<VTern::udot>},
    {"sdot      {Vd2s}, {VnB}, {VmBs}",       "0 Q 0 01111 10 L M Rm4 1110 H 0 Rn Rd",        dot_element<VTern::sdot, false>},
    {"udot      {Vd2s}, {VnB}, {VmBs}",       "0 Q 1 01111 10 L M Rm4 1110 H 0 Rn Rd",        dot_element<VTern::udot, false>},
};
constexpr R i8mm_rows[] = {
    {"smmla     {Vd}.4s, {Vn}.16b, {Vm}.16b", "0 1 0 01110 10 0 Rm 1 0100 1 Rn Rd",           matrix_product<VTern::sdot>},
    {"ummla     {Vd}.4s, {Vn}.16b, {Vm}.16b", "0 1 1 01110 10 0 Rm 1 0100 1 Rn Rd",           matrix_product<VTern::udot>},
    {"usmmla    {Vd}.4s, {Vn}.16b, {Vm}.16b", "0 1 0 01110 10 0 Rm 1 0101 1 Rn Rd",           matrix_product<VTern::usdot>},
    {"usdot     {Vd2s}, {VnB}, {VmB}",        "0 Q 0 01110 10 0 Rm 1 0011 1 Rn Rd",           dot<VTern::usdot>},
    {"usdot     {Vd2s}, {VnB}, {VmBs}",       "0 Q 0 01111 10 L M Rm4 1111 H 0 Rn Rd",        dot_element<VTern::usdot, false>},
    {"sudot     {Vd2s}, {VnB}, {VmBs}",       "0 Q 0 01111 00 L M Rm4 1111 H 0 Rn Rd",        dot_element<VTern::usdot, true>},
};
constexpr R complex_rows[] = {
    {"fcmla     {VdT}, {VnT}, {VmT}, {rot}",  "0 Q 1 01110 size 0 Rm 1 10 rot 1 Rn Rd",       fcmla, complex_lanes},
    {"fcadd     {VdT}, {VnT}, {VmT}, {rota}", "0 Q 1 01110 size 0 Rm 1 11 rota 0 1 Rn Rd",    fcadd, complex_lanes},
    {"fcmla     {Vd4h}, {Vn4h}, {VmHc}, {rotx}", "0 Q 1 01111 01 L M Rm4 0 rotx 1 H 0 Rn Rd", fcmla_element<Lane::f16>, whole_numbers},
    {"fcmla     {Vd}.4s, {Vn}.4s, {VmSc}, {rotx}", "0 1 1 01111 10 0 M Rm4 0 rotx 1 H 0 Rn Rd", fcmla_element<Lane::f32>},
};
// clang-format on

} // namespace

constinit const Table<AArch64> simd_rdm{"RDM", needs(Feature::rdm), rdm_rows, fp_registers};
constinit const Table<AArch64> simd_dot{"DotProd", needs(Feature::dotprod), dot_rows, fp_registers};
constinit const Table<AArch64> simd_i8mm{"I8MM", needs(Feature::i8mm), i8mm_rows, fp_registers};
constinit const Table<AArch64> simd_complex{"FCMA", needs(Feature::fcma), complex_rows, fp_registers};

} // namespace mimic::isa::aarch64
