// Zca and Zcd, the compressed instructions of RV64GC: The RISC-V Instruction Set Manual, Volume I (20240411), chapter
// 27; its tables list the rows in this order. Each is its 32-bit expansion with the fields of its format.
#include "isa/riscv/semantics_fp.hpp"
#include "isa/riscv/tables.hpp"

namespace mimic::isa::riscv {

namespace {

using enum Type;

// Reserved encodings (27.8); hints are not.
template <const Field& F>
bool nonzero(const I& i) {
    return i[F] != 0;
}
bool is_lui(const I& i) { return i[imm_lui] != 0 && i[rd] != 2; }

// clang-format off
constexpr R rows[] = {
    {"c.addi4spn {rs2'}, sp, {uimm_4spn}", "000 uimm_4spn rs2' 00",         immediate<add, rs2_, sp, uimm_4spn>, nonzero<uimm_4spn>},
    {"c.lw       {rs2'}, {uimm_w}({rs1'})", "010 uimm_w rs1' uimm_w rs2' 00", load<i32, true, rs2_, rs1_, uimm_w>},
    {"c.ld       {rs2'}, {uimm_d}({rs1'})", "011 uimm_d rs1' uimm_d rs2' 00", load<i64, false, rs2_, rs1_, uimm_d>},
    {"c.sw       {rs2'}, {uimm_w}({rs1'})", "110 uimm_w rs1' uimm_w rs2' 00", store<i32, rs2_, rs1_, uimm_w>},
    {"c.sd       {rs2'}, {uimm_d}({rs1'})", "111 uimm_d rs1' uimm_d rs2' 00", store<i64, rs2_, rs1_, uimm_d>},

    {"c.nop",                           "000 0 00000 00000 01",             [](Rv&, const I&) {}},
    {"c.addi     {rd}, {imm_ci}",       "000 imm_ci rd imm_ci 01",          immediate<add, rd, rd, imm_ci>},
    {"c.addiw    {rd}, {imm_ci}",       "001 imm_ci rd imm_ci 01",          immediate_w<add, rd, rd, imm_ci>, nonzero<rd>},
    {"c.li       {rd}, {imm_ci}",       "010 imm_ci rd imm_ci 01",          constant<rd, imm_ci>},
    {"c.addi16sp sp, {imm_16sp}",       "011 imm_16sp 00010 imm_16sp 01",   immediate<add, sp, sp, imm_16sp>, nonzero<imm_16sp>},
    {"c.lui      {rd}, {imm_lui}",      "011 imm_lui rd imm_lui 01",        constant<rd, imm_lui>, is_lui},
    {"c.srli     {rs1'}, {shamt_ci}",   "100 shamt_ci 00 rs1' shamt_ci 01", shift<lshr, rs1_, rs1_, shamt_ci>},
    {"c.srai     {rs1'}, {shamt_ci}",   "100 shamt_ci 01 rs1' shamt_ci 01", shift<ashr, rs1_, rs1_, shamt_ci>},
    {"c.andi     {rs1'}, {imm_ci}",     "100 imm_ci 10 rs1' imm_ci 01",     immediate<bit_and, rs1_, rs1_, imm_ci>},
    {"c.sub      {rs1'}, {rs2'}",       "100 0 11 rs1' 00 rs2' 01",         binary<sub, rs1_, rs1_, rs2_>},
    {"c.xor      {rs1'}, {rs2'}",       "100 0 11 rs1' 01 rs2' 01",         binary<bit_xor, rs1_, rs1_, rs2_>},
    {"c.or       {rs1'}, {rs2'}",       "100 0 11 rs1' 10 rs2' 01",         binary<bit_or, rs1_, rs1_, rs2_>},
    {"c.and      {rs1'}, {rs2'}",       "100 0 11 rs1' 11 rs2' 01",         binary<bit_and, rs1_, rs1_, rs2_>},
    {"c.subw     {rs1'}, {rs2'}",       "100 1 11 rs1' 00 rs2' 01",         binary_w<sub, rs1_, rs1_, rs2_>},
    {"c.addw     {rs1'}, {rs2'}",       "100 1 11 rs1' 01 rs2' 01",         binary_w<add, rs1_, rs1_, rs2_>},
    {"c.j        {imm_cj}",             "101 imm_cj 01",                    jal<zero, imm_cj>},
    {"c.beqz     {rs1'}, {imm_cb}",     "110 imm_cb rs1' imm_cb 01",        branch<equal, rs1_, zero, imm_cb>},
    {"c.bnez     {rs1'}, {imm_cb}",     "111 imm_cb rs1' imm_cb 01",        branch<not_equal, rs1_, zero, imm_cb>},

    {"c.slli     {rd}, {shamt_ci}",     "000 shamt_ci rd shamt_ci 10",      shift<shl, rd, rd, shamt_ci>},
    {"c.lwsp     {rd}, {uimm_lwsp}(sp)", "010 uimm_lwsp rd uimm_lwsp 10",   load<i32, true, rd, sp, uimm_lwsp>, nonzero<rd>},
    {"c.ldsp     {rd}, {uimm_ldsp}(sp)", "011 uimm_ldsp rd uimm_ldsp 10",   load<i64, false, rd, sp, uimm_ldsp>, nonzero<rd>},
    {"c.jr       {rd}",                 "100 0 rd 00000 10",                jalr<zero, rd, zero>, nonzero<rd>},
    {"c.mv       {rd}, {crs2}",         "100 0 rd crs2 10",                 binary<add, rd, zero, crs2>, nonzero<crs2>},
    {"c.ebreak",                        "100 1 00000 00000 10",             [](Rv& t, const I&) { t.trap(ir::TrapKind::breakpoint, t.pc()); }},
    {"c.jalr     {rd}",                 "100 1 rd 00000 10",                jalr<ra, rd, zero>, nonzero<rd>},
    {"c.add      {rd}, {crs2}",         "100 1 rd crs2 10",                 binary<add, rd, rd, crs2>, nonzero<crs2>},
    {"c.swsp     {crs2}, {uimm_swsp}(sp)", "110 uimm_swsp crs2 10",         store<i32, crs2, sp, uimm_swsp>},
    {"c.sdsp     {crs2}, {uimm_sdsp}(sp)", "111 uimm_sdsp crs2 10",         store<i64, crs2, sp, uimm_sdsp>},
};

constexpr R zcd_rows[] = {
    {"c.fld      {frs2'}, {uimm_d}({rs1'})", "001 uimm_d rs1' uimm_d rs2' 00", fp_load<f64, rs2_, rs1_, uimm_d>},
    {"c.fsd      {frs2'}, {uimm_d}({rs1'})", "101 uimm_d rs1' uimm_d rs2' 00", fp_store<f64, rs2_, rs1_, uimm_d>},
    {"c.fldsp    {frd}, {uimm_ldsp}(sp)",   "001 uimm_ldsp rd uimm_ldsp 10", fp_load<f64, rd, sp, uimm_ldsp>},
    {"c.fsdsp    {cfrs2}, {uimm_sdsp}(sp)", "101 uimm_sdsp crs2 10",        fp_store<f64, crs2, sp, uimm_sdsp>},
};
// clang-format on

} // namespace

constinit const Table<RiscV> zca{"Zca", needs(Ext::zca), rows};
constinit const Table<RiscV> zcd{"Zcd", needs(Ext::zcd), zcd_rows};

} // namespace mimic::isa::riscv
