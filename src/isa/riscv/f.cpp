// F, single-precision floating point: The RISC-V Instruction Set Manual, Volume I (20240411), chapter 20; order as in
// the opcode tables of chapter 35.
#include "isa/riscv/semantics_fp.hpp"
#include "isa/riscv/tables.hpp"
#include "softfloat/softfloat.hpp"

namespace mimic::isa::riscv {

namespace {

using ir::FRel;
using ir::MinMax;
using enum Type;

template <class Format>
int class_bit(ir::CpuHeader*, const ir::Wide* args, ir::Wide* results) {
    softfloat::Env env = softfloat::env::riscv;
    results[0].w[0] = u64{1} << u32(softfloat::classify<Format>(softfloat::BitsOf<Format>(args[0].w[0]), env));
    return 0;
}
template <Type T>
constexpr ir::Intrinsic fclass;
template <>
constexpr ir::Intrinsic fclass<f16>{.name = "riscv_fclass_h", .body = class_bit<softfloat::F16>, .args = 1};
template <>
constexpr ir::Intrinsic fclass<f32>{.name = "riscv_fclass_s", .body = class_bit<softfloat::F32>, .args = 1};
template <>
constexpr ir::Intrinsic fclass<f64>{.name = "riscv_fclass_d", .body = class_bit<softfloat::F64>, .args = 1};

// clang-format off
constexpr R rows[] = {
    {"flw      {frd}, {imm_i}({rs1})",            "imm_i rs1 010 rd 0000111",                fp_load<f32>},
    {"fsw      {frs2}, {imm_s}({rs1})",           "imm_s rs2 rs1 010 imm_s 0100111",         fp_store<f32>},

    {"fmadd.s   {frd}, {frs1}, {frs2}, {frs3}{rm}", "rs3 00 rs2 rs1 rm rd 1000011",            fused<f32, false, false>, rounds},
    {"fmsub.s   {frd}, {frs1}, {frs2}, {frs3}{rm}", "rs3 00 rs2 rs1 rm rd 1000111",            fused<f32, false, true>, rounds},
    {"fnmsub.s  {frd}, {frs1}, {frs2}, {frs3}{rm}", "rs3 00 rs2 rs1 rm rd 1001011",            fused<f32, true, false>, rounds},
    {"fnmadd.s  {frd}, {frs1}, {frs2}, {frs3}{rm}", "rs3 00 rs2 rs1 rm rd 1001111",            fused<f32, true, true>, rounds},
    {"fadd.s    {frd}, {frs1}, {frs2}{rm}",       "0000000 rs2 rs1 rm rd 1010011",           fp_binary<Op::fadd, f32>, rounds},
    {"fsub.s    {frd}, {frs1}, {frs2}{rm}",       "0000100 rs2 rs1 rm rd 1010011",           fp_binary<Op::fsub, f32>, rounds},
    {"fmul.s    {frd}, {frs1}, {frs2}{rm}",       "0001000 rs2 rs1 rm rd 1010011",           fp_binary<Op::fmul, f32>, rounds},
    {"fdiv.s    {frd}, {frs1}, {frs2}{rm}",       "0001100 rs2 rs1 rm rd 1010011",           fp_binary<Op::fdiv, f32>, rounds},
    {"fsqrt.s   {frd}, {frs1}{rm}",               "0101100 00000 rs1 rm rd 1010011",         fp_unary<Op::fsqrt, f32>, rounds},
    {"fsgnj.s   {frd}, {frs1}, {frs2}",           "0010000 rs2 rs1 000 rd 1010011",          sign_inject<f32>},
    {"fsgnjn.s  {frd}, {frs1}, {frs2}",           "0010000 rs2 rs1 001 rd 1010011",          sign_inject_negated<f32>},
    {"fsgnjx.s  {frd}, {frs1}, {frs2}",           "0010000 rs2 rs1 010 rd 1010011",          sign_inject_xor<f32>},
    {"fmin.s    {frd}, {frs1}, {frs2}",           "0010100 rs2 rs1 000 rd 1010011",          min_max<Op::fmin, f32, MinMax::number>},
    {"fmax.s    {frd}, {frs1}, {frs2}",           "0010100 rs2 rs1 001 rd 1010011",          min_max<Op::fmax, f32, MinMax::number>},
    {"fcvt.w.s  {rd}, {frs1}{rm}",                "1100000 00000 rs1 rm rd 1010011",         fp_to_int<Op::ftos, f32, i32>, rounds},
    {"fcvt.wu.s {rd}, {frs1}{rm}",                "1100000 00001 rs1 rm rd 1010011",         fp_to_int<Op::ftou, f32, i32>, rounds},
    {"fmv.x.w   {rd}, {frs1}",                    "1110000 00000 rs1 000 rd 1010011",        fp_to_bits<f32>},
    {"feq.s     {rd}, {frs1}, {frs2}",            "1010000 rs2 rs1 010 rd 1010011",          fp_compare<FRel::eq, f32, false>},
    {"flt.s     {rd}, {frs1}, {frs2}",            "1010000 rs2 rs1 001 rd 1010011",          fp_compare<FRel::lt, f32, true>},
    {"fle.s     {rd}, {frs1}, {frs2}",            "1010000 rs2 rs1 000 rd 1010011",          fp_compare<FRel::le, f32, true>},
    {"fclass.s  {rd}, {frs1}",                    "1110000 00000 rs1 001 rd 1010011",        classify<f32>},
    {"fcvt.s.w  {frd}, {rs1}{rm}",                "1101000 00000 rs1 rm rd 1010011",         int_to_fp<Op::stof, f32, i32>, rounds},
    {"fcvt.s.wu {frd}, {rs1}{rm}",                "1101000 00001 rs1 rm rd 1010011",         int_to_fp<Op::utof, f32, i32>, rounds},
    {"fmv.w.x   {frd}, {rs1}",                    "1111000 00000 rs1 000 rd 1010011",        fp_from_bits<f32>},

    {"fcvt.l.s  {rd}, {frs1}{rm}",                "1100000 00010 rs1 rm rd 1010011",         fp_to_int<Op::ftos, f32, i64>, rounds},
    {"fcvt.lu.s {rd}, {frs1}{rm}",                "1100000 00011 rs1 rm rd 1010011",         fp_to_int<Op::ftou, f32, i64>, rounds},
    {"fcvt.s.l  {frd}, {rs1}{rm}",                "1101000 00010 rs1 rm rd 1010011",         int_to_fp<Op::stof, f32, i64>, rounds},
    {"fcvt.s.lu {frd}, {rs1}{rm}",                "1101000 00011 rs1 rm rd 1010011",         int_to_fp<Op::utof, f32, i64>, rounds},
};
// clang-format on

} // namespace

template <Type T>
void classify(Rv& t, const I& i) {
    t.x(i[rd], t.call(fclass<T>, i64, {t.f(i[rs1], T)}));
}
template void classify<f16>(Rv&, const I&);
template void classify<f32>(Rv&, const I&);
template void classify<f64>(Rv&, const I&);

constinit const Table<RiscV> rv64f{"F", needs(Ext::f), rows};

} // namespace mimic::isa::riscv
