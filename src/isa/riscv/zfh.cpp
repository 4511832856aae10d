// Zfh and Zfhmin, half-precision floating point: The RISC-V Instruction Set Manual, Volume I (20240411), chapter 23;
// order as in the opcode tables of chapter 35.
#include "isa/riscv/semantics_fp.hpp"
#include "isa/riscv/tables.hpp"

namespace mimic::isa::riscv {

namespace {

using ir::FRel;
using ir::MinMax;
using enum Type;

// clang-format off
constexpr R zfhmin_rows[] = {
    {"flh      {frd}, {imm_i}({rs1})",            "imm_i rs1 001 rd 0000111",                fp_load<f16>},
    {"fsh      {frs2}, {imm_s}({rs1})",           "imm_s rs2 rs1 001 imm_s 0100111",         fp_store<f16>},
    {"fcvt.s.h  {frd}, {frs1}{rmopt}",            "0100000 00010 rs1 rm rd 1010011",         fp_convert<f32, f16>, rounds},
    {"fcvt.h.s  {frd}, {frs1}{rm}",               "0100010 00000 rs1 rm rd 1010011",         fp_convert<f16, f32>, rounds},
    {"fmv.x.h   {rd}, {frs1}",                    "1110010 00000 rs1 000 rd 1010011",        fp_to_bits<f16>},
    {"fmv.h.x   {frd}, {rs1}",                    "1111010 00000 rs1 000 rd 1010011",        fp_from_bits<f16>},
};

constexpr R zfhmin_d_rows[] = {
    {"fcvt.d.h  {frd}, {frs1}{rmopt}",            "0100001 00010 rs1 rm rd 1010011",         fp_convert<f64, f16>, rounds},
    {"fcvt.h.d  {frd}, {frs1}{rm}",               "0100010 00001 rs1 rm rd 1010011",         fp_convert<f16, f64>, rounds},
};

constexpr R zfh_rows[] = {
    {"fmadd.h   {frd}, {frs1}, {frs2}, {frs3}{rm}", "rs3 10 rs2 rs1 rm rd 1000011",            fused<f16, false, false>, rounds},
    {"fmsub.h   {frd}, {frs1}, {frs2}, {frs3}{rm}", "rs3 10 rs2 rs1 rm rd 1000111",            fused<f16, false, true>, rounds},
    {"fnmsub.h  {frd}, {frs1}, {frs2}, {frs3}{rm}", "rs3 10 rs2 rs1 rm rd 1001011",            fused<f16, true, false>, rounds},
    {"fnmadd.h  {frd}, {frs1}, {frs2}, {frs3}{rm}", "rs3 10 rs2 rs1 rm rd 1001111",            fused<f16, true, true>, rounds},
    {"fadd.h    {frd}, {frs1}, {frs2}{rm}",       "0000010 rs2 rs1 rm rd 1010011",           fp_binary<Op::fadd, f16>, rounds},
    {"fsub.h    {frd}, {frs1}, {frs2}{rm}",       "0000110 rs2 rs1 rm rd 1010011",           fp_binary<Op::fsub, f16>, rounds},
    {"fmul.h    {frd}, {frs1}, {frs2}{rm}",       "0001010 rs2 rs1 rm rd 1010011",           fp_binary<Op::fmul, f16>, rounds},
    {"fdiv.h    {frd}, {frs1}, {frs2}{rm}",       "0001110 rs2 rs1 rm rd 1010011",           fp_binary<Op::fdiv, f16>, rounds},
    {"fsqrt.h   {frd}, {frs1}{rm}",               "0101110 00000 rs1 rm rd 1010011",         fp_unary<Op::fsqrt, f16>, rounds},
    {"fsgnj.h   {frd}, {frs1}, {frs2}",           "0010010 rs2 rs1 000 rd 1010011",          sign_inject<f16>},
    {"fsgnjn.h  {frd}, {frs1}, {frs2}",           "0010010 rs2 rs1 001 rd 1010011",          sign_inject_negated<f16>},
    {"fsgnjx.h  {frd}, {frs1}, {frs2}",           "0010010 rs2 rs1 010 rd 1010011",          sign_inject_xor<f16>},
    {"fmin.h    {frd}, {frs1}, {frs2}",           "0010110 rs2 rs1 000 rd 1010011",          min_max<Op::fmin, f16, MinMax::number>},
    {"fmax.h    {frd}, {frs1}, {frs2}",           "0010110 rs2 rs1 001 rd 1010011",          min_max<Op::fmax, f16, MinMax::number>},
    {"feq.h     {rd}, {frs1}, {frs2}",            "1010010 rs2 rs1 010 rd 1010011",          fp_compare<FRel::eq, f16, false>},
    {"flt.h     {rd}, {frs1}, {frs2}",            "1010010 rs2 rs1 001 rd 1010011",          fp_compare<FRel::lt, f16, true>},
    {"fle.h     {rd}, {frs1}, {frs2}",            "1010010 rs2 rs1 000 rd 1010011",          fp_compare<FRel::le, f16, true>},
    {"fclass.h  {rd}, {frs1}",                    "1110010 00000 rs1 001 rd 1010011",        classify<f16>},
    {"fcvt.w.h  {rd}, {frs1}{rm}",                "1100010 00000 rs1 rm rd 1010011",         fp_to_int<Op::ftos, f16, i32>, rounds},
    {"fcvt.wu.h {rd}, {frs1}{rm}",                "1100010 00001 rs1 rm rd 1010011",         fp_to_int<Op::ftou, f16, i32>, rounds},
    {"fcvt.h.w  {frd}, {rs1}{rm}",                "1101010 00000 rs1 rm rd 1010011",         int_to_fp<Op::stof, f16, i32>, rounds},
    {"fcvt.h.wu {frd}, {rs1}{rm}",                "1101010 00001 rs1 rm rd 1010011",         int_to_fp<Op::utof, f16, i32>, rounds},

    {"fcvt.l.h  {rd}, {frs1}{rm}",                "1100010 00010 rs1 rm rd 1010011",         fp_to_int<Op::ftos, f16, i64>, rounds},
    {"fcvt.lu.h {rd}, {frs1}{rm}",                "1100010 00011 rs1 rm rd 1010011",         fp_to_int<Op::ftou, f16, i64>, rounds},
    {"fcvt.h.l  {frd}, {rs1}{rm}",                "1101010 00010 rs1 rm rd 1010011",         int_to_fp<Op::stof, f16, i64>, rounds},
    {"fcvt.h.lu {frd}, {rs1}{rm}",                "1101010 00011 rs1 rm rd 1010011",         int_to_fp<Op::utof, f16, i64>, rounds},
};
// clang-format on

} // namespace

constinit const Table<RiscV> zfhmin{"Zfhmin", needs(Ext::zfhmin), zfhmin_rows};
constinit const Table<RiscV> zfhmin_d{"Zfhmin", needs(Ext::zfhmin, Ext::d), zfhmin_d_rows};
constinit const Table<RiscV> zfh{"Zfh", needs(Ext::zfh), zfh_rows};

} // namespace mimic::isa::riscv
