// V: reductions. The RISC-V Instruction Set Manual, Volume I (20240411), 31.14. The unordered sum takes the elements in
// their order, too.
#include "isa/riscv/tables.hpp"
#include "isa/riscv/vector_ops.hpp"
#include "isa/riscv/vector_whole.hpp"

namespace mimic::isa::riscv {

namespace {

// d: element 0 of vs1 and vd; a: elements of vs2.
constexpr Shape same{}, same_signed{.a_signed = true, .b_signed = true}, sum_wide{.d = 1},
    sum_wide_signed{.d = 1, .a_signed = true}, fp_same{.a_fp = true}, fp_sum_wide{.d = 1, .a_fp = true};

constexpr auto fmin = fmin_max<false>, fmax = fmin_max<true>;
u64 fadd_wide_sum(Vec& v, u64 a, u64 b, u64) { return softfloat::add<softfloat::F64>(b, float_widened(v, a), v.env); }

template <ElementFn F, Shape S>
u64 run(Vec& v) {
    if (v.vl == 0) return 0;
    i32 d_width = v.sew + S.d;
    u64 sum = v.extend(v.get(v.rs1, 0, d_width), d_width, S.b_signed);
    for (u64 n = 0; n < v.vl; ++n)
        if (v.active(n)) sum = F(v, v.extend(v.get(v.rs2, n, v.sew), v.sew, S.a_signed), sum, 0);
    v.set(v.rd, 0, d_width, sum);
    return 0;
}
// ---- on whole registers

using ir::Lane;
using ir::VBin;
using ir::VReduce;
constexpr Type v128 = Type::v128;
constexpr Type int_types[] = {Type::i8, Type::i16, Type::i32, Type::i64};

u32 registers(const I& i) { return 1u << std::max(vconfig(i).lmul, 0); }
Val vs2(Rv& t, const I& i, u32 n) { return t.get(u16(slot_v + i[rs2] + n), v128); }
Val vs1(Rv& t, const I& i) { return t.get(u16(slot_v + i[rs1]), v128); }
Val vs1_element(Rv& t, const I& i, Type type, Lane lane) { return t.op(Op::vget, type, vs1(t, i), {}, {}, 0, 0, lane); }
void put_element(Rv& t, const I& i, Val e, Lane lane) {
    u16 to = u16(slot_v + i[rd]);
    t.put(to, t.op(Op::vset, v128, t.get(to, v128), e, {}, 0, 0, lane));
}
// Joins both halves, quarters and so on: lane 0 is of all.
template <class Join>
Val fold(Rv& t, Val v, u32 element_bytes, Join&& join) {
    for (u32 by = vlen_bytes / 2; by >= element_bytes; by /= 2) v = join(v, t.op(Op::vext, v128, v, v, {}, by));
    return v;
}

// Of lane-wise Kind, whose neutral element is `neutral` (its low bits); Reduce joins lanes, if there is one that does.
struct IntReduction {
    VBin kind;
    u64 neutral = 0;
    bool reduces = false;
    VReduce reduce = VReduce::add;
};
u64 most_signed(const I& i) { return (u64{1} << ((8u << vconfig(i).sew) - 1)) - 1; }
IntReduction reduction(const I& i, VBin kind) {
    switch (kind) {
    case VBin::add: return {kind, 0, true, VReduce::add};
    case VBin::and_: return {kind, ~u64{0}};
    case VBin::umin: return {kind, ~u64{0}, true, VReduce::umin};
    case VBin::umax: return {kind, 0, true, VReduce::umax};
    case VBin::smin: return {kind, most_signed(i), true, VReduce::smin};
    case VBin::smax: return {kind, ~most_signed(i), true, VReduce::smax};
    default: return {kind};
    }
}
template <VBin Kind>
bool reduce_int(Rv& t, const I& i) {
    const VConfig c = vconfig(i);
    const Lane lane = int_lane(c.sew);
    const IntReduction r = reduction(i, Kind);
    Val neutral = splat(t, lane, t.imm(r.neutral)), ones = t.imm(~u64{0}), zeros = t.wide(0, 0, v128);
    Val all = select_lanes(t, t.op(Op::vset, v128, zeros, ones, {}, 0, 0, lane), vs1(t, i), neutral);
    for (u32 n = 0; n < registers(i); ++n)
        all = t.vbin(Kind, lane, all, select_lanes(t, active_lanes(t, i, c.sew, c.lmul, n), vs2(t, i, n), neutral));
    const Type type = int_types[c.sew];
    if (!r.reduces) {
        all = fold(t, all, 1u << c.sew, [&](Val a, Val b) { return t.vbin(Kind, lane, a, b); });
        put_element(t, i, t.op(Op::vget, type, all, {}, {}, 0, 0, lane), lane);
    } else {
        put_element(t, i, t.op(Op::vreduce, type, all, {}, {}, 0, u8(r.reduce), lane), lane);
    }
    return true;
}
template <VReduce Kind>
bool reduce_wide(Rv& t, const I& i) {
    const VConfig c = vconfig(i);
    const Lane wide = int_lane(c.sew + 1);
    Val sum = vs1_element(t, i, int_types[c.sew + 1], wide);
    for (u32 n = 0; n < registers(i); ++n) {
        Val v = vs2(t, i, n), lanes = active_lanes(t, i, c.sew, c.lmul, n);
        if (lanes) v = t.vbin(VBin::and_, Lane::i64, v, lanes);
        sum = sum + t.op(Op::vreduce, sum.type(), v, {}, {}, 0, u8(Kind), int_lane(c.sew));
    }
    put_element(t, i, sum, wide);
    return true;
}
// Extremes may be taken in any order, and of one number twice; but a lone signalling NaN passes as it is.
template <VBin Kind>
bool reduce_extreme(Rv& t, const I& i) {
    const VConfig c = vconfig(i);
    const Lane lane = fp_lane(c.sew);
    const Type type = c.sew == 3 ? Type::f64 : Type::f32;
    if (!i[vm] || i.context.away) return false;
    auto join = [&](Val a, Val b) { return t.op(Op::vbin, v128, a, b, {}, dynamic_rounding, u8(Kind), lane); };
    Val first = splat(t, lane, vs1_element(t, i, type, lane)), all = first;
    for (u32 n = 0; n < registers(i); ++n)
        all = join(all, select_lanes(t, active_lanes(t, i, c.sew, c.lmul, n), vs2(t, i, n), first));
    all = fold(t, all, 1u << c.sew, join);
    put_element(t, i, t.op(Op::vget, type, all, {}, {}, 0, 0, lane), lane);
    return true;
}
// In order; of many elements, the call's loop is shorter.
template <bool Wide>
bool reduce_sum(Rv& t, const I& i) {
    const VConfig c = vconfig(i);
    constexpr u64 most_elements = 16;
    if (!i[vm] || i.context.away || vlmax(c) > most_elements) return false;
    const Lane lane = fp_lane(c.sew), sum_lane = fp_lane(c.sew + Wide);
    const Type type = c.sew == 3 ? Type::f64 : Type::f32, sum_type = Wide ? Type::f64 : type;
    const ir::FpArg arg{.round = ir::Round::dynamic};
    Val sum = vs1_element(t, i, sum_type, sum_lane);
    for (u64 n = 0; n < vlmax(c); ++n) {
        const u32 count = vlen_bytes >> c.sew;
        Val e = t.op(Op::vget, type, vs2(t, i, u32(n / count)), {}, {}, n % count, 0, lane);
        sum = t.fp(Op::fadd, sum_type, sum, Wide ? t.fp(Op::fcvt, sum_type, e, {}, {}, arg) : e, {}, arg);
    }
    put_element(t, i, sum, sum_lane);
    return true;
}

template <ElementFn F, Shape S, bool (*Whole)(Rv&, const I&)>
void reduce(Rv& t, const I& i) {
    VConfig c = vconfig(i);
    bool fits = c.valid && group_fits(i[rs2], c.lmul) && c.sew + S.d <= 3;
    if (!fits || (S.a_fp && (c.sew < 2 || i.context.bad_frm))) return t.illegal();
    if (is_full(i) && Whole(t, i)) return;
    trap_unless_from_start(t);
    call_own<run<F, S>>(t, i);
}

// clang-format off
constexpr R rows[] = {
    {"vredsum.vs     {vd}, {vs2}, {vs1}{vm}",     "000000 vm rs2 rs1 010 rd 1010111",    reduce<add_, same, reduce_int<VBin::add>>},
    {"vredand.vs     {vd}, {vs2}, {vs1}{vm}",     "000001 vm rs2 rs1 010 rd 1010111",    reduce<and_, same, reduce_int<VBin::and_>>},
    {"vredor.vs      {vd}, {vs2}, {vs1}{vm}",     "000010 vm rs2 rs1 010 rd 1010111",    reduce<or_, same, reduce_int<VBin::or_>>},
    {"vredxor.vs     {vd}, {vs2}, {vs1}{vm}",     "000011 vm rs2 rs1 010 rd 1010111",    reduce<xor_, same, reduce_int<VBin::xor_>>},
    {"vredminu.vs    {vd}, {vs2}, {vs1}{vm}",     "000100 vm rs2 rs1 010 rd 1010111",    reduce<minu, same, reduce_int<VBin::umin>>},
    {"vredmin.vs     {vd}, {vs2}, {vs1}{vm}",     "000101 vm rs2 rs1 010 rd 1010111",    reduce<mins, same_signed, reduce_int<VBin::smin>>},
    {"vredmaxu.vs    {vd}, {vs2}, {vs1}{vm}",     "000110 vm rs2 rs1 010 rd 1010111",    reduce<maxu, same, reduce_int<VBin::umax>>},
    {"vredmax.vs     {vd}, {vs2}, {vs1}{vm}",     "000111 vm rs2 rs1 010 rd 1010111",    reduce<maxs, same_signed, reduce_int<VBin::smax>>},
    {"vwredsumu.vs   {vd}, {vs2}, {vs1}{vm}",     "110000 vm rs2 rs1 000 rd 1010111",    reduce<add_, sum_wide, reduce_wide<VReduce::uaddl>>},
    {"vwredsum.vs    {vd}, {vs2}, {vs1}{vm}",     "110001 vm rs2 rs1 000 rd 1010111",    reduce<add_, sum_wide_signed, reduce_wide<VReduce::saddl>>},
    {"vfredusum.vs   {vd}, {vs2}, {vs1}{vm}",     "000001 vm rs2 rs1 001 rd 1010111",    reduce<fadd, fp_same, reduce_sum<false>>},
    {"vfredosum.vs   {vd}, {vs2}, {vs1}{vm}",     "000011 vm rs2 rs1 001 rd 1010111",    reduce<fadd, fp_same, reduce_sum<false>>},
    {"vfredmin.vs    {vd}, {vs2}, {vs1}{vm}",     "000101 vm rs2 rs1 001 rd 1010111",    reduce<fmin, fp_same, reduce_extreme<VBin::fmin_number>>},
    {"vfredmax.vs    {vd}, {vs2}, {vs1}{vm}",     "000111 vm rs2 rs1 001 rd 1010111",    reduce<fmax, fp_same, reduce_extreme<VBin::fmax_number>>},
    {"vfwredusum.vs  {vd}, {vs2}, {vs1}{vm}",     "110001 vm rs2 rs1 001 rd 1010111",    reduce<fadd_wide_sum, fp_sum_wide, reduce_sum<true>>},
    {"vfwredosum.vs  {vd}, {vs2}, {vs1}{vm}",     "110011 vm rs2 rs1 001 rd 1010111",    reduce<fadd_wide_sum, fp_sum_wide, reduce_sum<true>>},
};
// clang-format on

} // namespace

constinit const Table<RiscV> v_reduce{"V reductions", needs(Ext::v), rows};

} // namespace mimic::isa::riscv
