// D, double-precision floating point: The RISC-V Instruction Set Manual, Volume I (20240411), chapter 21; order as in
// the opcode tables of chapter 35.
#include "isa/riscv/semantics_fp.hpp"
#include "isa/riscv/tables.hpp"

namespace mimic::isa::riscv {

namespace {

using ir::FRel;
using ir::MinMax;
using enum Type;

// clang-format off
constexpr R rows[] = {
    {"fld      {frd}, {imm_i}({rs1})",            "imm_i rs1 011 rd 0000111",                fp_load<f64>},
    {"fsd      {frs2}, {imm_s}({rs1})",           "imm_s rs2 rs1 011 imm_s 0100111",         fp_store<f64>},

    {"fmadd.d   {frd}, {frs1}, {frs2}, {frs3}{rm}", "rs3 01 rs2 rs1 rm rd 1000011",            fused<f64, false, false>, rounds},
    {"fmsub.d   {frd}, {frs1}, {frs2}, {frs3}{rm}", "rs3 01 rs2 rs1 rm rd 1000111",            fused<f64, false, true>, rounds},
    {"fnmsub.d  {frd}, {frs1}, {frs2}, {frs3}{rm}", "rs3 01 rs2 rs1 rm rd 1001011",            fused<f64, true, false>, rounds},
    {"fnmadd.d  {frd}, {frs1}, {frs2}, {frs3}{rm}", "rs3 01 rs2 rs1 rm rd 1001111",            fused<f64, true, true>, rounds},
    {"fadd.d    {frd}, {frs1}, {frs2}{rm}",       "0000001 rs2 rs1 rm rd 1010011",           fp_binary<Op::fadd, f64>, rounds},
    {"fsub.d    {frd}, {frs1}, {frs2}{rm}",       "0000101 rs2 rs1 rm rd 1010011",           fp_binary<Op::fsub, f64>, rounds},
    {"fmul.d    {frd}, {frs1}, {frs2}{rm}",       "0001001 rs2 rs1 rm rd 1010011",           fp_binary<Op::fmul, f64>, rounds},
    {"fdiv.d    {frd}, {frs1}, {frs2}{rm}",       "0001101 rs2 rs1 rm rd 1010011",           fp_binary<Op::fdiv, f64>, rounds},
    {"fsqrt.d   {frd}, {frs1}{rm}",               "0101101 00000 rs1 rm rd 1010011",         fp_unary<Op::fsqrt, f64>, rounds},
    {"fsgnj.d   {frd}, {frs1}, {frs2}",           "0010001 rs2 rs1 000 rd 1010011",          sign_inject<f64>},
    {"fsgnjn.d  {frd}, {frs1}, {frs2}",           "0010001 rs2 rs1 001 rd 1010011",          sign_inject_negated<f64>},
    {"fsgnjx.d  {frd}, {frs1}, {frs2}",           "0010001 rs2 rs1 010 rd 1010011",          sign_inject_xor<f64>},
    {"fmin.d    {frd}, {frs1}, {frs2}",           "0010101 rs2 rs1 000 rd 1010011",          min_max<Op::fmin, f64, MinMax::number>},
    {"fmax.d    {frd}, {frs1}, {frs2}",           "0010101 rs2 rs1 001 rd 1010011",          min_max<Op::fmax, f64, MinMax::number>},
    {"fcvt.s.d  {frd}, {frs1}{rm}",               "0100000 00001 rs1 rm rd 1010011",         fp_convert<f32, f64>, rounds},
    {"fcvt.d.s  {frd}, {frs1}{rmopt}",            "0100001 00000 rs1 rm rd 1010011",         fp_convert<f64, f32>, rounds},
    {"feq.d     {rd}, {frs1}, {frs2}",            "1010001 rs2 rs1 010 rd 1010011",          fp_compare<FRel::eq, f64, false>},
    {"flt.d     {rd}, {frs1}, {frs2}",            "1010001 rs2 rs1 001 rd 1010011",          fp_compare<FRel::lt, f64, true>},
    {"fle.d     {rd}, {frs1}, {frs2}",            "1010001 rs2 rs1 000 rd 1010011",          fp_compare<FRel::le, f64, true>},
    {"fclass.d  {rd}, {frs1}",                    "1110001 00000 rs1 001 rd 1010011",        classify<f64>},
    {"fcvt.w.d  {rd}, {frs1}{rm}",                "1100001 00000 rs1 rm rd 1010011",         fp_to_int<Op::ftos, f64, i32>, rounds},
    {"fcvt.wu.d {rd}, {frs1}{rm}",                "1100001 00001 rs1 rm rd 1010011",         fp_to_int<Op::ftou, f64, i32>, rounds},
    {"fcvt.d.w  {frd}, {rs1}{rmopt}",             "1101001 00000 rs1 rm rd 1010011",         int_to_fp<Op::stof, f64, i32>, rounds},
    {"fcvt.d.wu {frd}, {rs1}{rmopt}",             "1101001 00001 rs1 rm rd 1010011",         int_to_fp<Op::utof, f64, i32>, rounds},

    {"fcvt.l.d  {rd}, {frs1}{rm}",                "1100001 00010 rs1 rm rd 1010011",         fp_to_int<Op::ftos, f64, i64>, rounds},
    {"fcvt.lu.d {rd}, {frs1}{rm}",                "1100001 00011 rs1 rm rd 1010011",         fp_to_int<Op::ftou, f64, i64>, rounds},
    {"fmv.x.d   {rd}, {frs1}",                    "1110001 00000 rs1 000 rd 1010011",        fp_to_bits<f64>},
    {"fcvt.d.l  {frd}, {rs1}{rm}",                "1101001 00010 rs1 rm rd 1010011",         int_to_fp<Op::stof, f64, i64>, rounds},
    {"fcvt.d.lu {frd}, {rs1}{rm}",                "1101001 00011 rs1 rm rd 1010011",         int_to_fp<Op::utof, f64, i64>, rounds},
    {"fmv.d.x   {frd}, {rs1}",                    "1111001 00000 rs1 000 rd 1010011",        fp_from_bits<f64>},
};
// clang-format on

} // namespace

constinit const Table<RiscV> rv64d{"D", needs(Ext::d), rows};

} // namespace mimic::isa::riscv
