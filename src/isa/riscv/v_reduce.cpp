// V: reductions. The RISC-V Instruction Set Manual, Volume I (20240411), 31.14. The unordered sum takes the elements in
// their order, too.
#include "isa/riscv/tables.hpp"
#include "isa/riscv/vector_ops.hpp"

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
template <ElementFn F, Shape S>
void reduce(Rv& t, const I& i) {
    VConfig c = vconfig(i);
    bool fits = c.valid && group_fits(i[rs2], c.lmul) && c.sew + S.d <= 3;
    if (!fits || (S.a_fp && (c.sew < 2 || i.context.bad_frm))) return t.illegal();
    trap_unless_from_start(t);
    call_own<run<F, S>>(t, i);
}

// clang-format off
constexpr R rows[] = {
    {"vredsum.vs     {vd}, {vs2}, {vs1}{vm}",     "000000 vm rs2 rs1 010 rd 1010111",    reduce<add_, same>},
    {"vredand.vs     {vd}, {vs2}, {vs1}{vm}",     "000001 vm rs2 rs1 010 rd 1010111",    reduce<and_, same>},
    {"vredor.vs      {vd}, {vs2}, {vs1}{vm}",     "000010 vm rs2 rs1 010 rd 1010111",    reduce<or_, same>},
    {"vredxor.vs     {vd}, {vs2}, {vs1}{vm}",     "000011 vm rs2 rs1 010 rd 1010111",    reduce<xor_, same>},
    {"vredminu.vs    {vd}, {vs2}, {vs1}{vm}",     "000100 vm rs2 rs1 010 rd 1010111",    reduce<minu, same>},
    {"vredmin.vs     {vd}, {vs2}, {vs1}{vm}",     "000101 vm rs2 rs1 010 rd 1010111",    reduce<mins, same_signed>},
    {"vredmaxu.vs    {vd}, {vs2}, {vs1}{vm}",     "000110 vm rs2 rs1 010 rd 1010111",    reduce<maxu, same>},
    {"vredmax.vs     {vd}, {vs2}, {vs1}{vm}",     "000111 vm rs2 rs1 010 rd 1010111",    reduce<maxs, same_signed>},
    {"vwredsumu.vs   {vd}, {vs2}, {vs1}{vm}",     "110000 vm rs2 rs1 000 rd 1010111",    reduce<add_, sum_wide>},
    {"vwredsum.vs    {vd}, {vs2}, {vs1}{vm}",     "110001 vm rs2 rs1 000 rd 1010111",    reduce<add_, sum_wide_signed>},
    {"vfredusum.vs   {vd}, {vs2}, {vs1}{vm}",     "000001 vm rs2 rs1 001 rd 1010111",    reduce<fadd, fp_same>},
    {"vfredosum.vs   {vd}, {vs2}, {vs1}{vm}",     "000011 vm rs2 rs1 001 rd 1010111",    reduce<fadd, fp_same>},
    {"vfredmin.vs    {vd}, {vs2}, {vs1}{vm}",     "000101 vm rs2 rs1 001 rd 1010111",    reduce<fmin, fp_same>},
    {"vfredmax.vs    {vd}, {vs2}, {vs1}{vm}",     "000111 vm rs2 rs1 001 rd 1010111",    reduce<fmax, fp_same>},
    {"vfwredusum.vs  {vd}, {vs2}, {vs1}{vm}",     "110001 vm rs2 rs1 001 rd 1010111",    reduce<fadd_wide_sum, fp_sum_wide>},
    {"vfwredosum.vs  {vd}, {vs2}, {vs1}{vm}",     "110011 vm rs2 rs1 001 rd 1010111",    reduce<fadd_wide_sum, fp_sum_wide>},
};
// clang-format on

} // namespace

constinit const Table<RiscV> v_reduce{"V reductions", needs(Ext::v), rows};

} // namespace mimic::isa::riscv
