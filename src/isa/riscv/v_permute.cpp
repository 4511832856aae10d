// V: mask instructions, moves of scalars, permutations. The RISC-V Instruction Set Manual, Volume I (20240411), 31.15
// and 31.16; order as in their sections.
#include "isa/riscv/tables.hpp"
#include "isa/riscv/vector_move.hpp"
#include "isa/riscv/vector_ops.hpp"

namespace mimic::isa::riscv {

namespace {

// ---- 31.15

using LogicFn = bool (*)(bool, bool);
bool mask_andn(bool a, bool b) { return a && !b; }
bool mask_and(bool a, bool b) { return a && b; }
bool mask_or(bool a, bool b) { return a || b; }
bool mask_xor(bool a, bool b) { return a != b; }
bool mask_orn(bool a, bool b) { return a || !b; }
bool mask_nand(bool a, bool b) { return !(a && b); }
bool mask_nor(bool a, bool b) { return !(a || b); }
bool mask_xnor(bool a, bool b) { return a == b; }

template <LogicFn F>
u64 logic_of(Vec& v) {
    for (u64 n = v.vstart; n < v.vl; ++n) v.set_bit(v.rd, n, F(v.bit(v.rs2, n), v.bit(v.rs1, n)));
    return 0;
}
template <LogicFn F, ir::VBin Kind, bool Inverted = false>
void mask_logic(Rv& t, const I& i) {
    if (!vconfig(i).valid) return t.illegal();
    if (!is_full(i)) return void(call_own<logic_of<F>>(t, i));
    auto mask = [&](const Field& r) { return t.get(u16(slot_v + i[r]), Type::v128); };
    Val v = t.vbin(Kind, ir::Lane::i64, mask(rs2), mask(rs1));
    if (Inverted) v = ones_complement(t, v);
    const u64 bits = vlmax(vconfig(i)), low = bits < 64 ? (u64{1} << bits) - 1 : ~u64{0};
    t.put(u16(slot_v + i[rd]), bits < 128 ? select_lanes(t, t.wide(low, 0, Type::v128), v, mask(rd)) : v);
}
// Of vs2: the bits that count, under FULL; 64 from 64 * n on.
Val active_word(Rv& t, const I& i, u32 n) {
    const u64 bits = vlmax(vconfig(i));
    Val word = mask_word(t, i[rs2], n);
    if (!i[vm]) word = word & mask_word(t, 0, n);
    return bits < 64 ? word & i64((u64{1} << bits) - 1) : word;
}

u64 count(Vec& v) {
    u64 ones = 0;
    for (u64 n = 0; n < v.vl; ++n) ones += v.active(n) && v.bit(v.rs2, n);
    return ones;
}
u64 first_set(Vec& v) {
    for (u64 n = 0; n < v.vl; ++n)
        if (v.active(n) && v.bit(v.rs2, n)) return n;
    return ~u64{0};
}
Val count_whole(Rv& t, const I& i) {
    Val ones = active_word(t, i, 0).popcnt();
    return vlmax(vconfig(i)) > 64 ? ones + active_word(t, i, 1).popcnt() : ones;
}
Val first_set_whole(Rv& t, const I& i) {
    Val low = active_word(t, i, 0), otherwise = t.imm(~u64{0});
    if (vlmax(vconfig(i)) > 64) {
        Val high = active_word(t, i, 1);
        otherwise = (high == 0).select(otherwise, high.ctz() + 64);
    }
    return (low == 0).select(otherwise, low.ctz());
}
template <VecFn F, Val (*Whole)(Rv&, const I&)>
void mask_to_x(Rv& t, const I& i) {
    if (!vconfig(i).valid) return t.illegal();
    if (is_full(i)) return t.x(i[rd], Whole(t, i));
    trap_unless_from_start(t);
    t.x(i[rd], call_own<F>(t, i));
}

// Bits before the first one, up to it, or it alone.
enum class Around { before, including, only };
template <Around Which>
u64 around(Vec& v) {
    bool past = false;
    for (u64 n = 0; n < v.vl; ++n) {
        if (!v.active(n)) continue;
        bool here = !past && v.bit(v.rs2, n);
        v.set_bit(v.rd, n, Which == Around::only ? here : !past && (Which == Around::including || !here));
        past |= here;
    }
    return 0;
}
template <Around Which>
void mask_set(Rv& t, const I& i) {
    if (!vconfig(i).valid || !mask_fits(i) || i[rd] == i[rs2]) return t.illegal();
    if (is_full(i) && vlmax(vconfig(i)) <= 64) { // no bit set: all are before it
        Val v = active_word(t, i, 0), below = v - 1;
        Val word = Which == Around::including ? v ^ below : v & -v;
        if (Which == Around::before) word = word - 1;
        if (vlmax(vconfig(i)) < 64) word = word & i64((u64{1} << vlmax(vconfig(i))) - 1);
        return put_mask(t, i, &word, !i[vm]);
    }
    trap_unless_from_start(t);
    call_own<around<Which>>(t, i);
}

u64 run_iota(Vec& v) {
    u64 sum = 0;
    for (u64 n = 0; n < v.vl; ++n) {
        if (!v.active(n)) continue;
        bool b = v.bit(v.rs2, n);
        v.set(v.rd, n, v.sew, sum);
        sum += b;
    }
    return 0;
}
void iota(Rv& t, const I& i) {
    VConfig c = vconfig(i);
    bool fits = c.valid && group_fits(i[rd], c.lmul) && mask_fits(i) && !groups_meet(i[rd], c.lmul, i[rs2], 0);
    if (!fits) return t.illegal();
    trap_unless_from_start(t);
    call_own<run_iota>(t, i);
}
u64 run_indices(Vec& v) {
    for (u64 n = v.vstart; n < v.vl; ++n)
        if (v.active(n)) v.set(v.rd, n, v.sew, n);
    return 0;
}
void indices(Rv& t, const I& i) {
    VConfig c = vconfig(i);
    if (!c.valid || !group_fits(i[rd], c.lmul) || !mask_fits(i)) return t.illegal();
    if (!is_full(i)) return void(call_own<run_indices>(t, i));
    for (u32 n = 0; n < 1u << std::max(c.lmul, 0); ++n) {
        u8 bytes[vlen_bytes] = {};
        for (u32 at = 0; at < vlen_bytes; at += 1u << c.sew) bytes[at] = u8((n * vlen_bytes + at) >> c.sew);
        u64 w[2];
        std::memcpy(w, bytes, sizeof w);
        u16 to = u16(slot_v + i[rd] + n);
        t.put(to, select_lanes(t, active_lanes(t, i, c.sew, c.lmul, n), t.wide(w[0], w[1], Type::v128),
                               t.get(to, Type::v128)));
    }
}

// ---- 31.16

// Element 0, whatever vl and vstart are.
Val first_element(Rv& t, const I& i, Type type, ir::Lane lane) {
    if (!is_full(i)) t.put(slot_vstart, t.imm(0));
    return t.op(Op::vget, type, t.get(u16(slot_v + i[rs2]), Type::v128), {}, {}, 0, 0, lane);
}
void to_x(Rv& t, const I& i) {
    VConfig c = vconfig(i);
    if (!c.valid) return t.illegal();
    constexpr Type types[] = {Type::i8, Type::i16, Type::i32, Type::i64};
    Val e = first_element(t, i, types[c.sew], int_lane(c.sew));
    t.x(i[rd], c.sew == 3 ? e : e.sext(Type::i64));
}
void to_f(Rv& t, const I& i) {
    VConfig c = vconfig(i);
    if (!c.valid || c.sew < 2 || i.context.bad_frm) return t.illegal();
    t.f(i[rd], first_element(t, i, c.sew == 3 ? Type::f64 : Type::f32, fp_lane(c.sew)));
}
u64 set_element(Vec& v) {
    if (v.vstart < v.vl) v.set(v.rd, 0, v.sew, v.scalar);
    return 0;
}
// The scalar, at least as wide as an element.
template <From Source>
Val scalar_of(Rv& t, const I& i) {
    if (Source == From::f) return t.f(i[rs1], vconfig(i).sew == 3 ? Type::f64 : Type::f32);
    return second_source(t, i, Source);
}
template <From Source>
ir::Lane scalar_lane(const I& i) {
    return Source == From::f ? fp_lane(vconfig(i).sew) : int_lane(vconfig(i).sew);
}
template <From Source>
void from_scalar(Rv& t, const I& i) {
    VConfig c = vconfig(i);
    if (!c.valid || (Source == From::f && (c.sew < 2 || i.context.bad_frm))) return t.illegal();
    if (!is_full(i)) return void(call_own<set_element>(t, i, Source));
    u16 to = u16(slot_v + i[rd]);
    t.put(to,
          t.op(Op::vset, Type::v128, t.get(to, Type::v128), scalar_of<Source>(t, i), {}, 0, 0, scalar_lane<Source>(i)));
}

u64 slide_up(Vec& v) {
    for (u64 n = std::max(v.vstart, v.scalar); n < v.vl; ++n)
        if (v.active(n)) v.set(v.rd, n, v.sew, v.get(v.rs2, n - v.scalar, v.sew));
    return 0;
}
u64 element_or_zero(const Vec& v, u64 n) { return n < vlmax({true, v.sew, v.lmul}) ? v.get(v.rs2, n, v.sew) : 0; }
u64 slide_down(Vec& v) {
    for (u64 n = v.vstart; n < v.vl; ++n)
        if (v.active(n)) v.set(v.rd, n, v.sew, n + v.scalar < n ? 0 : element_or_zero(v, n + v.scalar));
    return 0;
}
u64 slide1_up(Vec& v) {
    for (u64 n = v.vstart; n < v.vl; ++n)
        if (v.active(n)) v.set(v.rd, n, v.sew, n ? v.get(v.rs2, n - 1, v.sew) : v.scalar);
    return 0;
}
u64 slide1_down(Vec& v) {
    for (u64 n = v.vstart; n < v.vl; ++n)
        if (v.active(n)) v.set(v.rd, n, v.sew, n + 1 < v.vl ? v.get(v.rs2, n + 1, v.sew) : v.scalar);
    return 0;
}
u64 gather_one(Vec& v) {
    u64 e = element_or_zero(v, v.scalar);
    for (u64 n = v.vstart; n < v.vl; ++n)
        if (v.active(n)) v.set(v.rd, n, v.sew, e);
    return 0;
}
// On whole registers, where that takes few steps.
template <VecFn F, From Source>
bool permute_whole(Rv& t, const I& i) {
    constexpr bool known = Source == From::imm_unsigned;
    if (F == slide1_up || F == slide1_down)
        slide1(t, i, splat(t, scalar_lane<Source>(i), scalar_of<Source>(t, i)), F == slide1_up);
    else if (!known && !in_one_register(i))
        return false;
    else if (F == gather_one)
        known ? gather_element(t, i, u64(i[uimm])) : gather_in_register(t, i, t.x(i[rs1]));
    else if (!known)
        slide_one_register(t, i, t.x(i[rs1]), F == slide_up);
    else
        F == slide_up ? slide_up_by(t, i, u64(i[uimm])) : slide_down_by(t, i, u64(i[uimm]));
    return true;
}
// Those that read what they have written would be wrong about must not overlap.
template <VecFn F, From Source>
void permute(Rv& t, const I& i) {
    VConfig c = vconfig(i);
    bool fits = c.valid && group_fits(i[rd], c.lmul) && source_fits(i, i[rs2], c.lmul) && mask_fits(i);
    if (Source == From::f) fits = fits && c.sew >= 2 && !i.context.bad_frm;
    bool apart = F == slide_up || F == slide1_up || F == gather_one;
    if (!fits || (apart && i[rd] == i[rs2])) return t.illegal();
    if (is_full(i) && permute_whole<F, Source>(t, i)) return;
    call_own<F>(t, i, Source);
}

template <bool Half>
u64 run_gather(Vec& v) {
    for (u64 n = v.vstart; n < v.vl; ++n)
        if (v.active(n)) v.set(v.rd, n, v.sew, element_or_zero(v, v.get(v.rs1, n, Half ? 1 : v.sew)));
    return 0;
}
template <bool Half> // indices of 16 bits
void gather(Rv& t, const I& i) {
    VConfig c = vconfig(i);
    i32 index_lmul = Half ? 1 - c.sew + c.lmul : c.lmul;
    bool fits = c.valid && group_fits(i[rd], c.lmul) && source_fits(i, i[rs2], c.lmul) && mask_fits(i) &&
                source_fits(i, i[rs1], index_lmul) &&
                sources_fit(i[rs2], c.sew, c.lmul, i[rs1], Half ? 1 : c.sew, index_lmul) &&
                !groups_meet(i[rd], c.lmul, i[rs1], index_lmul) && i[rd] != i[rs2];
    if (!fits) return t.illegal();
    if (is_full(i) && gathers_by_lanes(i) && (!Half || c.sew == 1)) return gather_by_lanes(t, i);
    call_own<run_gather<Half>>(t, i);
}

u64 run_compress(Vec& v) {
    for (u64 n = 0, to = 0; n < v.vl; ++n)
        if (v.bit(v.rs1, n)) v.set(v.rd, to++, v.sew, v.get(v.rs2, n, v.sew));
    return 0;
}
void compress(Rv& t, const I& i) {
    VConfig c = vconfig(i);
    bool fits = c.valid && group_fits(i[rd], c.lmul) && group_fits(i[rs2], c.lmul) && i[rd] != i[rs2] &&
                !groups_meet(i[rd], c.lmul, i[rs1], 0);
    if (!fits) return t.illegal();
    trap_unless_from_start(t);
    call_own<run_compress>(t, i);
}

template <u32 Count>
u64 run_move(Vec& v) {
    u64 from = v.vstart << v.sew, bytes = Count * vlen_bytes;
    if (from < bytes) std::memmove(v.at(v.rd, 0, 0) + from, v.at(v.rs2, 0, 0) + from, bytes - from);
    return 0;
}
template <u32 Count>
void move_whole(Rv& t, const I& i) {
    if (!vconfig(i).valid || i[rd] % Count || i[rs2] % Count) return t.illegal();
    if (!is_full(i)) return void(call_own<run_move<Count>>(t, i));
    for (u32 n = 0; n < Count; ++n) t.put(u16(slot_v + i[rd] + n), t.get(u16(slot_v + i[rs2] + n), Type::v128));
}

// clang-format off
constexpr R rows[] = {
    {"vmandn.mm  {vd}, {vs2}, {vs1}",             "011000 1 rs2 rs1 010 rd 1010111",     mask_logic<mask_andn, ir::VBin::andn>},
    {"vmand.mm   {vd}, {vs2}, {vs1}",             "011001 1 rs2 rs1 010 rd 1010111",     mask_logic<mask_and, ir::VBin::and_>},
    {"vmor.mm    {vd}, {vs2}, {vs1}",             "011010 1 rs2 rs1 010 rd 1010111",     mask_logic<mask_or, ir::VBin::or_>},
    {"vmxor.mm   {vd}, {vs2}, {vs1}",             "011011 1 rs2 rs1 010 rd 1010111",     mask_logic<mask_xor, ir::VBin::xor_>},
    {"vmorn.mm   {vd}, {vs2}, {vs1}",             "011100 1 rs2 rs1 010 rd 1010111",     mask_logic<mask_orn, ir::VBin::orn>},
    {"vmnand.mm  {vd}, {vs2}, {vs1}",             "011101 1 rs2 rs1 010 rd 1010111",     mask_logic<mask_nand, ir::VBin::and_, true>},
    {"vmnor.mm   {vd}, {vs2}, {vs1}",             "011110 1 rs2 rs1 010 rd 1010111",     mask_logic<mask_nor, ir::VBin::or_, true>},
    {"vmxnor.mm  {vd}, {vs2}, {vs1}",             "011111 1 rs2 rs1 010 rd 1010111",     mask_logic<mask_xnor, ir::VBin::xor_, true>},
    {"vcpop.m    {rd}, {vs2}{vm}",                "010000 vm rs2 10000 010 rd 1010111",  mask_to_x<count, count_whole>},
    {"vfirst.m   {rd}, {vs2}{vm}",                "010000 vm rs2 10001 010 rd 1010111",  mask_to_x<first_set, first_set_whole>},
    {"vmsbf.m    {vd}, {vs2}{vm}",                "010100 vm rs2 00001 010 rd 1010111",  mask_set<Around::before>},
    {"vmsof.m    {vd}, {vs2}{vm}",                "010100 vm rs2 00010 010 rd 1010111",  mask_set<Around::only>},
    {"vmsif.m    {vd}, {vs2}{vm}",                "010100 vm rs2 00011 010 rd 1010111",  mask_set<Around::including>},
    {"viota.m    {vd}, {vs2}{vm}",                "010100 vm rs2 10000 010 rd 1010111",  iota},
    {"vid.v      {vd}{vm}",                       "010100 vm 00000 10001 010 rd 1010111", indices},

    {"vmv.x.s    {rd}, {vs2}",                    "010000 1 rs2 00000 010 rd 1010111",   to_x},
    {"vmv.s.x    {vd}, {rs1}",                    "010000 1 00000 rs1 110 rd 1010111",   from_scalar<From::x>},
    {"vfmv.f.s   {frd}, {vs2}",                   "010000 1 rs2 00000 001 rd 1010111",   to_f},
    {"vfmv.s.f   {vd}, {frs1}",                   "010000 1 00000 rs1 101 rd 1010111",   from_scalar<From::f>},
    {"vslideup.vx    {vd}, {vs2}, {rs1}{vm}",     "001110 vm rs2 rs1 100 rd 1010111",    permute<slide_up, From::x>},
    {"vslideup.vi    {vd}, {vs2}, {uimm}{vm}",    "001110 vm rs2 uimm 011 rd 1010111",   permute<slide_up, From::imm_unsigned>},
    {"vslidedown.vx  {vd}, {vs2}, {rs1}{vm}",     "001111 vm rs2 rs1 100 rd 1010111",    permute<slide_down, From::x>},
    {"vslidedown.vi  {vd}, {vs2}, {uimm}{vm}",    "001111 vm rs2 uimm 011 rd 1010111",   permute<slide_down, From::imm_unsigned>},
    {"vslide1up.vx   {vd}, {vs2}, {rs1}{vm}",     "001110 vm rs2 rs1 110 rd 1010111",    permute<slide1_up, From::x>},
    {"vslide1down.vx {vd}, {vs2}, {rs1}{vm}",     "001111 vm rs2 rs1 110 rd 1010111",    permute<slide1_down, From::x>},
    {"vfslide1up.vf  {vd}, {vs2}, {frs1}{vm}",    "001110 vm rs2 rs1 101 rd 1010111",    permute<slide1_up, From::f>},
    {"vfslide1down.vf {vd}, {vs2}, {frs1}{vm}",   "001111 vm rs2 rs1 101 rd 1010111",    permute<slide1_down, From::f>},
    {"vrgather.vv    {vd}, {vs2}, {vs1}{vm}",     "001100 vm rs2 rs1 000 rd 1010111",    gather<false>},
    {"vrgather.vx    {vd}, {vs2}, {rs1}{vm}",     "001100 vm rs2 rs1 100 rd 1010111",    permute<gather_one, From::x>},
    {"vrgather.vi    {vd}, {vs2}, {uimm}{vm}",    "001100 vm rs2 uimm 011 rd 1010111",   permute<gather_one, From::imm_unsigned>},
    {"vrgatherei16.vv {vd}, {vs2}, {vs1}{vm}",    "001110 vm rs2 rs1 000 rd 1010111",    gather<true>},
    {"vcompress.vm   {vd}, {vs2}, {vs1}",         "010111 1 rs2 rs1 010 rd 1010111",     compress},
    {"vmv1r.v        {vd}, {vs2}",                "100111 1 rs2 00000 011 rd 1010111",   move_whole<1>},
    {"vmv2r.v        {vd}, {vs2}",                "100111 1 rs2 00001 011 rd 1010111",   move_whole<2>},
    {"vmv4r.v        {vd}, {vs2}",                "100111 1 rs2 00011 011 rd 1010111",   move_whole<4>},
    {"vmv8r.v        {vd}, {vs2}",                "100111 1 rs2 00111 011 rd 1010111",   move_whole<8>},
};
// clang-format on

} // namespace

constinit const Table<RiscV> v_permute{"V masks and permutations", needs(Ext::v), rows};

} // namespace mimic::isa::riscv
