// Names of the Advanced SIMD operands, and those of them that few instructions have. Internal to the folder.
#pragma once
#include "isa/aarch64/text_simd.hpp"

namespace mimic::isa::aarch64 {

// Half as many halfwords as words fit: "2h" or "4h".
template <const Field& F>
inline constexpr Operand<AArch64> few_halfwords{
    [](std::string& out, const I& i) { out += fmt::format("v{}.{}h", i[F], i[Q] ? 4 : 2); },
    [](Cursor& in, I& i) {
        i64 n;
        return parse_numbered(in, 'v', n) && in.eat(i[Q] ? ".4h" : ".2h") && set_or_check(i, F, n);
    }};

// Elements whose lanes the row fixes, or that are groups of lanes: "v3.4b[1]". The index takes bits of H:L:M from the
// top, the register Rm and, where M is no part of the index, M.
enum class Element { halfword, halfword_of_all, word_of_all, bytes, halfwords };
inline constexpr std::string_view element_letters[] = {"h", "h", "s", "4b", "2h"};
inline constexpr u32 element_index_bits[] = {3, 2, 1, 2, 2};
template <Element E>
inline constexpr Operand<AArch64> element{
    [](std::string& out, const I& i) {
        u32 bits = element_index_bits[u32(E)];
        i64 index = (i[H_] << 2 | i[L_] << 1 | i[M_]) >> (3 - bits), n = i[Rm4] | (bits == 3 ? 0 : i[M_] << 4);
        out += fmt::format("v{}.{}[{}]", n, element_letters[u32(E)], index);
    },
    [](Cursor& in, I& i) {
        i64 n, index;
        u32 bits = element_index_bits[u32(E)];
        if (!parse_numbered(in, 'v', n) || !in.eat('.') || !in.eat(element_letters[u32(E)]) || !in.eat('['))
            return false;
        if (!in.number(index) || !in.eat(']') || index < 0 || index >> bits || (bits == 3 && n > 15)) return false;
        i64 all = index << (3 - bits) | (bits == 3 ? 0 : n >> 4);
        return set_or_check(i, H_, all >> 2) && set_or_check(i, L_, all >> 1 & 1) && set_or_check(i, M_, all & 1) &&
               set_or_check(i, Rm4, n & 15);
    }};

// Rotations: #0, #90, #180, #270; with Half, #90 and #270 alone.
template <const Field& F, bool Half = false>
inline constexpr Operand<AArch64> rotation{
    [](std::string& out, const I& i) { out += fmt::format("#{}", Half ? 90 + 180 * i[F] : 90 * i[F]); },
    [](Cursor& in, I& i) {
        i64 v;
        if (!parse_hash_number(in, v) || v % 90 || v < (Half ? 90 : 0) || v > 270) return false;
        if (Half && v == 180) return false;
        i.set(F, Half ? v / 180 : v / 90);
        return true;
    }};

inline constexpr NamedOperand simd_named[] = {
    {"Vd", numbered<Rd, 'v'>},
    {"Vn", numbered<Rn, 'v'>},
    {"VdT", vector_register<Rd, Shape::plain, true>},
    {"VdB", vector_register<Rd, Shape::bytes, true>},
    {"VdF", vector_register<Rd, Shape::fp, true>},
    {"VdW", vector_register<Rd, Shape::wide, true>},
    {"SdT", lane_register<Rd, 0, true>},
    {"SdF", fp_lane_register<Rd, true>},
    {"VnT", vector_register<Rn, Shape::plain, false>},
    {"VnB", vector_register<Rn, Shape::bytes, false>},
    {"VnF", vector_register<Rn, Shape::fp, false>},
    {"VnW", vector_register<Rn, Shape::wide, false>},
    {"SnT", lane_register<Rn, 0, false>},
    {"SnF", fp_lane_register<Rn, false>},
    {"VmT", vector_register<Rm, Shape::plain, false>},
    {"VmB", vector_register<Rm, Shape::bytes, false>},
    {"VmF", vector_register<Rm, Shape::fp, false>},
    {"VmW", vector_register<Rm, Shape::wide, false>},
    {"SmT", lane_register<Rm, 0, false>},
    {"SmF", fp_lane_register<Rm, false>},
    {"VdTq", vector_register<Rd, Shape::suffixed, true>},
    {"VnTq", vector_register<Rn, Shape::plain, false>},
    {"VmTq", vector_register<Rm, Shape::plain, false>},
    {"VnTS", vector_register<Rn, Shape::sized, true>},
    {"VnTc", vector_register<Rn, Shape::sized, true>},
    {"VdP", vector_register<Rd, Shape::pairs, true>},
    {"VnFp", vector_register<Rn, Shape::fp_pair, true>},
    {"VdFn", vector_register<Rd, Shape::fp_narrow, true>},
    {"VnFn", vector_register<Rn, Shape::fp_narrow, false>},
    {"VdFw", vector_register<Rd, Shape::fp_wide, true>},
    {"VnFw", vector_register<Rn, Shape::fp_wide, false>},
    {"SdLong", lane_register<Rd, 1, true>},
    {"2", upper_half},
    {"shll", lane_width_amount},
    {"VdI", vector_register<Rd, Shape::shifted, true>},
    {"VnI", vector_register<Rn, Shape::shifted, false>},
    {"VdIq", vector_register<Rd, Shape::shifted_suffixed, true>},
    {"VnIq", vector_register<Rn, Shape::shifted, false>},
    {"VdIw", vector_register<Rd, Shape::shifted_wide, true>},
    {"VnIw", vector_register<Rn, Shape::shifted_wide, false>},
    {"shr", shift_amount<true>},
    {"shl", shift_amount<false>},
    {"DdI", doubleword_shifted},
    {"VdDup", duplicated},
    {"VnDup", duplicated_source},
    {"Rn5", element_general},
    {"VnE", element5<Rn>},
    {"VdE", element5<Rd>},
    {"VnE4", element4},
    {"Sd5", scalar5},
    {"Vd2s", vector_register<Rd, Shape::words, true>},
    {"Vd4h", vector_register<Rd, Shape::half, true>},
    {"imm8v", hexadecimal<abcdefgh>},
    {"imm64v", byte_mask},
    {"fpimmv", fp_immediate_of<abcdefgh>},
    {"tbl1", register_list<Rn, 1, Shape::bytes, false>},
    {"list1", register_list<Rt, 1, Shape::listed, true>},
    {"step1", post_step<Step::vectors, 1>},
    {"stepr1", post_step<Step::replicated, 1>},
    {"blane1", lane_list<1, 0>},
    {"stepb1", post_step<Step::lane, 1, 0>},
    {"hlane1", lane_list<1, 1>},
    {"steph1", post_step<Step::lane, 1, 1>},
    {"slane1", lane_list<1, 2>},
    {"steps1", post_step<Step::lane, 1, 2>},
    {"dlane1", lane_list<1, 3>},
    {"stepd1", post_step<Step::lane, 1, 3>},
    {"tbl2", register_list<Rn, 2, Shape::bytes, false>},
    {"list2", register_list<Rt, 2, Shape::listed, true>},
    {"step2", post_step<Step::vectors, 2>},
    {"stepr2", post_step<Step::replicated, 2>},
    {"blane2", lane_list<2, 0>},
    {"stepb2", post_step<Step::lane, 2, 0>},
    {"hlane2", lane_list<2, 1>},
    {"steph2", post_step<Step::lane, 2, 1>},
    {"slane2", lane_list<2, 2>},
    {"steps2", post_step<Step::lane, 2, 2>},
    {"dlane2", lane_list<2, 3>},
    {"stepd2", post_step<Step::lane, 2, 3>},
    {"tbl3", register_list<Rn, 3, Shape::bytes, false>},
    {"list3", register_list<Rt, 3, Shape::listed, true>},
    {"step3", post_step<Step::vectors, 3>},
    {"stepr3", post_step<Step::replicated, 3>},
    {"blane3", lane_list<3, 0>},
    {"stepb3", post_step<Step::lane, 3, 0>},
    {"hlane3", lane_list<3, 1>},
    {"steph3", post_step<Step::lane, 3, 1>},
    {"slane3", lane_list<3, 2>},
    {"steps3", post_step<Step::lane, 3, 2>},
    {"dlane3", lane_list<3, 3>},
    {"stepd3", post_step<Step::lane, 3, 3>},
    {"tbl4", register_list<Rn, 4, Shape::bytes, false>},
    {"list4", register_list<Rt, 4, Shape::listed, true>},
    {"step4", post_step<Step::vectors, 4>},
    {"stepr4", post_step<Step::replicated, 4>},
    {"blane4", lane_list<4, 0>},
    {"stepb4", post_step<Step::lane, 4, 0>},
    {"hlane4", lane_list<4, 1>},
    {"steph4", post_step<Step::lane, 4, 1>},
    {"slane4", lane_list<4, 2>},
    {"steps4", post_step<Step::lane, 4, 2>},
    {"dlane4", lane_list<4, 3>},
    {"stepd4", post_step<Step::lane, 4, 3>},
    {"SnLong", lane_register<Rn, 1, false>},
    {"SdI", shifted_scalar<Rd, 0, true>},
    {"SnI", shifted_scalar<Rn, 0, false>},
    {"SnIw", shifted_scalar<Rn, 1, false>},
    {"VmEl", indexed_element},
    {"Vm", numbered<Rm, 'v'>},
    {"Va", numbered<Ra, 'v'>},
    {"Qd", numbered<Rd, 'q'>},
    {"Qn", numbered<Rn, 'q'>},
    {"Hm", numbered<Rm, 'h'>},
    {"Vn4h", vector_register<Rn, Shape::half, false>},
    {"Vn4hF", vector_register<Rn, Shape::half, true>},
    {"Vm4h", vector_register<Rm, Shape::half, false>},
    {"Vn2h", few_halfwords<Rn>},
    {"Vm2h", few_halfwords<Rm>},
    {"VmHEl", element<Element::halfword>},
    {"VmHc", element<Element::halfword_of_all>},
    {"VmSc", element<Element::word_of_all>},
    {"VmBs", element<Element::bytes>},
    {"VmHs", element<Element::halfwords>},
    {"rot", rotation<rot>},
    {"rotx", rotation<rotx>},
    {"rota", rotation<rota, true>},
};

} // namespace mimic::isa::aarch64
