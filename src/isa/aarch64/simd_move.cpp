// Advanced SIMD copy, permute, extract, table lookup and modified immediate: Arm ARM C4.1.97.
#include "isa/aarch64/simd.hpp"
#include "isa/aarch64/tables.hpp"
#include <bit>

namespace mimic::isa::aarch64 {

namespace {

u32 lane_size(const I& i) { return u32(std::countr_zero(u32(i[imm5v]))); }
bool has_lane(const I& i) { return i[imm5v] & 15; }
bool dup_fits(const I& i) { return has_lane(i) && (lane_size(i) < 3 || i[Q]); }
bool below_words(const I& i) { return i[imm5v] & 3; }
bool below_doublewords(const I& i) { return i[imm5v] & 7; }
bool doubleword_element(const I& i) { return (i[imm5v] & 15) == 8; }
bool ext_fits(const I& i) { return i[Q] || i[ext4] < 8; }

u32 lane_index(const I& i) { return u32(i[imm5v]) >> (lane_size(i) + 1); }
Val element(A64& t, const I& i, u32 index) {
    Lane lane = Lane(lane_size(i));
    return t.op(Op::vget, lane == Lane::i64 ? Type::i64 : Type::i32, t.v(i[Rn], Type::v128), {}, {}, index, 0, lane);
}
void dup_element(A64& t, const I& i) {
    t.v(i[Rd], splat(t, vector_type(i), Lane(lane_size(i)), element(t, i, lane_index(i))));
}
void dup_general(A64& t, const I& i) { t.v(i[Rd], splat(t, vector_type(i), Lane(lane_size(i)), t.x(i[Rn]))); }
void dup_scalar(A64& t, const I& i) { t.v(i[Rd], element(t, i, lane_index(i))); }
void umov(A64& t, const I& i) { t.x(i[Rd], element(t, i, lane_index(i))); }
void smov(A64& t, const I& i) {
    constexpr Type types[] = {Type::i8, Type::i16, Type::i32};
    u32 size = lane_size(i);
    Val v = t.op(Op::vget, types[size], t.v(i[Rn], Type::v128), {}, {}, lane_index(i), 0, Lane(size));
    t.x(i[Rd], v.sext(i[Q] ? Type::i64 : Type::i32));
}
void insert(A64& t, const I& i, Val v) {
    t.v(i[Rd], t.op(Op::vset, Type::v128, t.v(i[Rd], Type::v128), v, {}, lane_index(i), 0, Lane(lane_size(i))));
}
void ins_general(A64& t, const I& i) { insert(t, i, t.x(i[Rn])); }
void ins_element(A64& t, const I& i) { insert(t, i, element(t, i, u32(i[imm4v]) >> lane_size(i))); }

template <u8 How>
void permute(A64& t, const I& i) {
    t.v(i[Rd], t.op(Op::vzip, vector_type(i), vector(t, i[Rn], i), vector(t, i[Rm], i), {}, 0, How, int_lane(i)));
}
void ext(A64& t, const I& i) {
    t.v(i[Rd], t.op(Op::vext, vector_type(i), vector(t, i[Rn], i), vector(t, i[Rm], i), {}, u64(i[ext4])));
}

// Each register of the table answers for its 16 bytes; an index outside gives zero, or with tbx what was there.
template <u32 Count, bool Keep>
void table_lookup(A64& t, const I& i) {
    Val index = t.v(i[Rm], Type::v128), out;
    for (u32 k = 0; k < Count; ++k) {
        Val at =
            k ? t.vbin(VBin::sub, Lane::i8, index, splat(t, Type::v128, Lane::i8, t.imm(16 * k, Type::i32))) : index;
        Val found = t.op(Op::vtbl, Type::v128, t.v((i[Rn] + k) & 31, Type::v128), at);
        out = out ? t.vbin(VBin::or_, Lane::i64, out, found) : found;
    }
    if (Keep) {
        Val beyond =
            compare(t, VRel::ugt, Lane::i8, index, splat(t, Type::v128, Lane::i8, t.imm(16 * Count - 1, Type::i32)));
        out = t.op(Op::vselect, Type::v128, beyond, t.v(i[Rd], Type::v128), out);
    }
    t.v(i[Rd], i[Q] ? out : low_half(t, out));
}

// AdvSIMDExpandImm
u64 expanded(const I& i) {
    u64 v = u64(i[abcdefgh]);
    u32 mode = u32(i.bits >> 12 & 15), how = mode >> 1;
    bool op = i[opm];
    auto repeat = [](u64 x, u32 width) {
        for (; width < 64; width *= 2) x |= x << width;
        return x;
    };
    if (how < 4) return repeat(v << 8 * how, 32);
    if (how < 6) return repeat(v << 8 * (how - 4), 16);
    if (how == 6) return repeat(mode & 1 ? v << 16 | 0xffff : v << 8 | 0xff, 32);
    if (mode == 15) return op ? expand_immediate(u32(v), Type::f64) : repeat(expand_immediate(u32(v), Type::f32), 32);
    if (!op) return repeat(v, 8);
    u64 mask = 0;
    for (u32 k = 0; k < 8; ++k)
        if (v >> k & 1) mask |= u64{0xff} << 8 * k;
    return mask;
}
Val constant(A64& t, const I& i, u64 v) { return i[Q] ? t.wide(v, v, Type::v128) : t.imm(v).bitcast(Type::v64); }
template <bool Invert>
void move_immediate(A64& t, const I& i) {
    t.v(i[Rd], constant(t, i, Invert ? ~expanded(i) : expanded(i)));
}
template <VBin K>
void logical_immediate(A64& t, const I& i) {
    t.v(i[Rd], t.vbin(K, Lane::i64, vector(t, i[Rd], i), constant(t, i, expanded(i))));
}

void move_halves(A64& t, const I& i) {
    Val v = t.imm(expand_immediate(u32(i[abcdefgh]), Type::f16), Type::i16);
    t.v(i[Rd], splat(t, vector_type(i), Lane::i16, v));
}

// clang-format off
constexpr R rows[] = {
    {"dup       {VdDup}, {VnDup}",               "0 Q 0 01110000 imm5v 0 0000 1 Rn Rd",        dup_element, dup_fits},
    {"dup       {VdDup}, {Rn5}",                 "0 Q 0 01110000 imm5v 0 0001 1 Rn Rd",        dup_general, dup_fits},
    {"smov      {Wd}, {VnE}",                    "0 0 0 01110000 imm5v 0 0101 1 Rn Rd",        smov, below_words},
    {"smov      {Xd}, {VnE}",                    "0 1 0 01110000 imm5v 0 0101 1 Rn Rd",        smov, below_doublewords},
    {"umov      {Wd}, {VnE}",                    "0 0 0 01110000 imm5v 0 0111 1 Rn Rd",        umov, below_doublewords},
    {"umov      {Xd}, {VnE}",                    "0 1 0 01110000 imm5v 0 0111 1 Rn Rd",        umov, doubleword_element},
    {"ins       {VdE}, {Rn5}",                   "0 1 0 01110000 imm5v 0 0011 1 Rn Rd",        ins_general, has_lane},
    {"ins       {VdE}, {VnE4}",                  "0 1 1 01110000 imm5v 0 imm4v 1 Rn Rd",       ins_element, has_lane},
    {"dup       {Sd5}, {VnE}",                   "01 0 11110000 imm5v 0 0000 1 Rn Rd",         dup_scalar, has_lane},

    {"uzp1      {VdT}, {VnT}, {VmT}",            "0 Q 001110 size 0 Rm 0 001 10 Rn Rd",        permute<2>, full_doublewords},
    {"trn1      {VdT}, {VnT}, {VmT}",            "0 Q 001110 size 0 Rm 0 010 10 Rn Rd",        permute<4>, full_doublewords},
    {"zip1      {VdT}, {VnT}, {VmT}",            "0 Q 001110 size 0 Rm 0 011 10 Rn Rd",        permute<0>, full_doublewords},
    {"uzp2      {VdT}, {VnT}, {VmT}",            "0 Q 001110 size 0 Rm 0 101 10 Rn Rd",        permute<3>, full_doublewords},
    {"trn2      {VdT}, {VnT}, {VmT}",            "0 Q 001110 size 0 Rm 0 110 10 Rn Rd",        permute<5>, full_doublewords},
    {"zip2      {VdT}, {VnT}, {VmT}",            "0 Q 001110 size 0 Rm 0 111 10 Rn Rd",        permute<1>, full_doublewords},
    {"ext       {VdB}, {VnB}, {VmB}, #{ext4}",   "0 Q 101110 00 0 Rm 0 ext4 0 Rn Rd",          ext, ext_fits},
    {"tbl       {VdB}, {tbl1}, {VmB}",           "0 Q 001110 00 0 Rm 0 00 0 00 Rn Rd",         table_lookup<1, false>},
    {"tbx       {VdB}, {tbl1}, {VmB}",           "0 Q 001110 00 0 Rm 0 00 1 00 Rn Rd",         table_lookup<1, true>},
    {"tbl       {VdB}, {tbl2}, {VmB}",           "0 Q 001110 00 0 Rm 0 01 0 00 Rn Rd",         table_lookup<2, false>},
    {"tbx       {VdB}, {tbl2}, {VmB}",           "0 Q 001110 00 0 Rm 0 01 1 00 Rn Rd",         table_lookup<2, true>},
    {"tbl       {VdB}, {tbl3}, {VmB}",           "0 Q 001110 00 0 Rm 0 10 0 00 Rn Rd",         table_lookup<3, false>},
    {"tbx       {VdB}, {tbl3}, {VmB}",           "0 Q 001110 00 0 Rm 0 10 1 00 Rn Rd",         table_lookup<3, true>},
    {"tbl       {VdB}, {tbl4}, {VmB}",           "0 Q 001110 00 0 Rm 0 11 0 00 Rn Rd",         table_lookup<4, false>},
    {"tbx       {VdB}, {tbl4}, {VmB}",           "0 Q 001110 00 0 Rm 0 11 1 00 Rn Rd",         table_lookup<4, true>},

    {"movi      {Vd2s}, {imm8v}",                "0 Q 0 0111100000 abcdefgh 0000 01 abcdefgh Rd",move_immediate<false>},
    {"mvni      {Vd2s}, {imm8v}",                "0 Q 1 0111100000 abcdefgh 0000 01 abcdefgh Rd",move_immediate<true>},
    {"orr       {Vd2s}, {imm8v}",                "0 Q 0 0111100000 abcdefgh 0001 01 abcdefgh Rd",logical_immediate<VBin::or_>},
    {"bic       {Vd2s}, {imm8v}",                "0 Q 1 0111100000 abcdefgh 0001 01 abcdefgh Rd",logical_immediate<VBin::andn>},
    {"movi      {Vd2s}, {imm8v}, lsl #8",        "0 Q 0 0111100000 abcdefgh 0010 01 abcdefgh Rd",move_immediate<false>},
    {"mvni      {Vd2s}, {imm8v}, lsl #8",        "0 Q 1 0111100000 abcdefgh 0010 01 abcdefgh Rd",move_immediate<true>},
    {"orr       {Vd2s}, {imm8v}, lsl #8",        "0 Q 0 0111100000 abcdefgh 0011 01 abcdefgh Rd",logical_immediate<VBin::or_>},
    {"bic       {Vd2s}, {imm8v}, lsl #8",        "0 Q 1 0111100000 abcdefgh 0011 01 abcdefgh Rd",logical_immediate<VBin::andn>},
    {"movi      {Vd2s}, {imm8v}, lsl #16",       "0 Q 0 0111100000 abcdefgh 0100 01 abcdefgh Rd",move_immediate<false>},
    {"mvni      {Vd2s}, {imm8v}, lsl #16",       "0 Q 1 0111100000 abcdefgh 0100 01 abcdefgh Rd",move_immediate<true>},
    {"orr       {Vd2s}, {imm8v}, lsl #16",       "0 Q 0 0111100000 abcdefgh 0101 01 abcdefgh Rd",logical_immediate<VBin::or_>},
    {"bic       {Vd2s}, {imm8v}, lsl #16",       "0 Q 1 0111100000 abcdefgh 0101 01 abcdefgh Rd",logical_immediate<VBin::andn>},
    {"movi      {Vd2s}, {imm8v}, lsl #24",       "0 Q 0 0111100000 abcdefgh 0110 01 abcdefgh Rd",move_immediate<false>},
    {"mvni      {Vd2s}, {imm8v}, lsl #24",       "0 Q 1 0111100000 abcdefgh 0110 01 abcdefgh Rd",move_immediate<true>},
    {"orr       {Vd2s}, {imm8v}, lsl #24",       "0 Q 0 0111100000 abcdefgh 0111 01 abcdefgh Rd",logical_immediate<VBin::or_>},
    {"bic       {Vd2s}, {imm8v}, lsl #24",       "0 Q 1 0111100000 abcdefgh 0111 01 abcdefgh Rd",logical_immediate<VBin::andn>},
    {"movi      {Vd4h}, {imm8v}",                "0 Q 0 0111100000 abcdefgh 1000 01 abcdefgh Rd",move_immediate<false>},
    {"mvni      {Vd4h}, {imm8v}",                "0 Q 1 0111100000 abcdefgh 1000 01 abcdefgh Rd",move_immediate<true>},
    {"orr       {Vd4h}, {imm8v}",                "0 Q 0 0111100000 abcdefgh 1001 01 abcdefgh Rd",logical_immediate<VBin::or_>},
    {"bic       {Vd4h}, {imm8v}",                "0 Q 1 0111100000 abcdefgh 1001 01 abcdefgh Rd",logical_immediate<VBin::andn>},
    {"movi      {Vd4h}, {imm8v}, lsl #8",        "0 Q 0 0111100000 abcdefgh 1010 01 abcdefgh Rd",move_immediate<false>},
    {"mvni      {Vd4h}, {imm8v}, lsl #8",        "0 Q 1 0111100000 abcdefgh 1010 01 abcdefgh Rd",move_immediate<true>},
    {"orr       {Vd4h}, {imm8v}, lsl #8",        "0 Q 0 0111100000 abcdefgh 1011 01 abcdefgh Rd",logical_immediate<VBin::or_>},
    {"bic       {Vd4h}, {imm8v}, lsl #8",        "0 Q 1 0111100000 abcdefgh 1011 01 abcdefgh Rd",logical_immediate<VBin::andn>},
    {"movi      {Vd2s}, {imm8v}, msl #8",        "0 Q 0 0111100000 abcdefgh 1100 01 abcdefgh Rd",move_immediate<false>},
    {"mvni      {Vd2s}, {imm8v}, msl #8",        "0 Q 1 0111100000 abcdefgh 1100 01 abcdefgh Rd",move_immediate<true>},
    {"movi      {Vd2s}, {imm8v}, msl #16",       "0 Q 0 0111100000 abcdefgh 1101 01 abcdefgh Rd",move_immediate<false>},
    {"mvni      {Vd2s}, {imm8v}, msl #16",       "0 Q 1 0111100000 abcdefgh 1101 01 abcdefgh Rd",move_immediate<true>},
    {"movi      {VdB}, {imm8v}",                 "0 Q 0 0111100000 abcdefgh 1110 01 abcdefgh Rd",move_immediate<false>},
    {"movi      {Dd}, {imm64v}",                 "0 0 1 0111100000 abcdefgh 1110 01 abcdefgh Rd",move_immediate<false>},
    {"movi      {Vd}.2d, {imm64v}",              "0 1 1 0111100000 abcdefgh 1110 01 abcdefgh Rd",move_immediate<false>},
    {"fmov      {Vd2s}, {fpimmv}",               "0 Q 0 0111100000 abcdefgh 1111 01 abcdefgh Rd",move_immediate<false>},
    {"fmov      {Vd}.2d, {fpimmv}",              "0 1 1 0111100000 abcdefgh 1111 01 abcdefgh Rd",move_immediate<false>},
};

constexpr R half_rows[] = {
    {"fmov      {Vd4h}, {fpimmv}",               "0 Q 0 0111100000 abcdefgh 1111 11 abcdefgh Rd",move_halves},
};
// clang-format on

} // namespace

constinit const Table<AArch64> simd_move{"AdvSIMD moves", needs(Feature::simd), rows, fp_registers};
constinit const Table<AArch64> simd_move_half{"AdvSIMD moves, FP16", needs(Feature::simd_fp16), half_rows,
                                              fp_registers};

} // namespace mimic::isa::aarch64
