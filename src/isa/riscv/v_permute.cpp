// V: mask instructions, moves of scalars, permutations. The RISC-V Instruction Set Manual, Volume I (20240411), 31.15
// and 31.16; order as in their sections.
#include "isa/riscv/tables.hpp"
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
template <LogicFn F>
void mask_logic(Rv& t, const I& i) {
    if (!vconfig(i).valid) return t.illegal();
    call_own<logic_of<F>>(t, i);
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
template <VecFn F>
void mask_to_x(Rv& t, const I& i) {
    if (!vconfig(i).valid) return t.illegal();
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
template <VecFn F>
void mask_set(Rv& t, const I& i) {
    if (!vconfig(i).valid || !mask_fits(i) || i[rd] == i[rs2]) return t.illegal();
    trap_unless_from_start(t);
    call_own<F>(t, i);
}
constexpr VecFn before = around<Around::before>, including = around<Around::including>, only = around<Around::only>;

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
    call_own<run_indices>(t, i);
}

// ---- 31.16

// Element 0, whatever vl is.
u64 element_signed(Vec& v) { return v.extend(v.get(v.rs2, 0, v.sew), v.sew, true); }
void to_x(Rv& t, const I& i) {
    if (!vconfig(i).valid) return t.illegal();
    t.x(i[rd], call_own<element_signed>(t, i));
}
void to_f(Rv& t, const I& i) {
    VConfig c = vconfig(i);
    if (!c.valid || c.sew < 2 || i.context.bad_frm) return t.illegal();
    Val e = call_own<element_signed>(t, i);
    t.f(i[rd], c.sew == 3 ? e.bitcast(Type::f64) : e.trunc(Type::i32).bitcast(Type::f32));
}
u64 set_element(Vec& v) {
    if (v.vstart < v.vl) v.set(v.rd, 0, v.sew, v.scalar);
    return 0;
}
template <From Source>
void from_scalar(Rv& t, const I& i) {
    VConfig c = vconfig(i);
    if (!c.valid || (Source == From::f && (c.sew < 2 || i.context.bad_frm))) return t.illegal();
    call_own<set_element>(t, i, Source);
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
// Those that read what they have written would be wrong about must not overlap.
template <VecFn F, From Source>
void permute(Rv& t, const I& i) {
    VConfig c = vconfig(i);
    bool fits = c.valid && group_fits(i[rd], c.lmul) && source_fits(i, i[rs2], c.lmul) && mask_fits(i);
    if (Source == From::f) fits = fits && c.sew >= 2 && !i.context.bad_frm;
    bool apart = F == slide_up || F == slide1_up || F == gather_one;
    if (!fits || (apart && i[rd] == i[rs2])) return t.illegal();
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
    call_own<run_move<Count>>(t, i);
}

// clang-format off
constexpr R rows[] = {
    {"vmandn.mm  {vd}, {vs2}, {vs1}",             "011000 1 rs2 rs1 010 rd 1010111",     mask_logic<mask_andn>},
    {"vmand.mm   {vd}, {vs2}, {vs1}",             "011001 1 rs2 rs1 010 rd 1010111",     mask_logic<mask_and>},
    {"vmor.mm    {vd}, {vs2}, {vs1}",             "011010 1 rs2 rs1 010 rd 1010111",     mask_logic<mask_or>},
    {"vmxor.mm   {vd}, {vs2}, {vs1}",             "011011 1 rs2 rs1 010 rd 1010111",     mask_logic<mask_xor>},
    {"vmorn.mm   {vd}, {vs2}, {vs1}",             "011100 1 rs2 rs1 010 rd 1010111",     mask_logic<mask_orn>},
    {"vmnand.mm  {vd}, {vs2}, {vs1}",             "011101 1 rs2 rs1 010 rd 1010111",     mask_logic<mask_nand>},
    {"vmnor.mm   {vd}, {vs2}, {vs1}",             "011110 1 rs2 rs1 010 rd 1010111",     mask_logic<mask_nor>},
    {"vmxnor.mm  {vd}, {vs2}, {vs1}",             "011111 1 rs2 rs1 010 rd 1010111",     mask_logic<mask_xnor>},
    {"vcpop.m    {rd}, {vs2}{vm}",                "010000 vm rs2 10000 010 rd 1010111",  mask_to_x<count>},
    {"vfirst.m   {rd}, {vs2}{vm}",                "010000 vm rs2 10001 010 rd 1010111",  mask_to_x<first_set>},
    {"vmsbf.m    {vd}, {vs2}{vm}",                "010100 vm rs2 00001 010 rd 1010111",  mask_set<before>},
    {"vmsof.m    {vd}, {vs2}{vm}",                "010100 vm rs2 00010 010 rd 1010111",  mask_set<only>},
    {"vmsif.m    {vd}, {vs2}{vm}",                "010100 vm rs2 00011 010 rd 1010111",  mask_set<including>},
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
