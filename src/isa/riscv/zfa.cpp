// Zfa, additional floating-point instructions: The RISC-V Instruction Set Manual, Volume I (20240411), chapter 25.
// fmvh.x.d and fmvp.d.x exist on RV32 only.
#include "isa/riscv/semantics_fp.hpp"
#include "isa/riscv/tables.hpp"
#include "softfloat/softfloat.hpp"

namespace mimic::isa::riscv {

namespace {

using ir::FRel;
using ir::MinMax;
using enum Type;

// 25.1: table of the values, as double-precision bits; the smallest positive normal number and those that a format
// lacks stand apart.
constexpr u64 fli_values[32] = {0xbff0000000000000, 0,
                                0x3ef0000000000000, 0x3f00000000000000,
                                0x3f70000000000000, 0x3f80000000000000,
                                0x3fb0000000000000, 0x3fc0000000000000,
                                0x3fd0000000000000, 0x3fd4000000000000,
                                0x3fd8000000000000, 0x3fdc000000000000,
                                0x3fe0000000000000, 0x3fe4000000000000,
                                0x3fe8000000000000, 0x3fec000000000000,
                                0x3ff0000000000000, 0x3ff4000000000000,
                                0x3ff8000000000000, 0x3ffc000000000000,
                                0x4000000000000000, 0x4004000000000000,
                                0x4008000000000000, 0x4010000000000000,
                                0x4020000000000000, 0x4030000000000000,
                                0x4060000000000000, 0x4070000000000000,
                                0x40e0000000000000, 0x40f0000000000000,
                                0x7ff0000000000000, 0x7ff8000000000000};
template <Type T>
void load_immediate(Rv& t, const I& i) {
    softfloat::Env env = softfloat::env::riscv;
    u64 value = fli_values[i[rs1]];
    if constexpr (T == f64) t.f(i[rd], t.imm(i[rs1] == 1 ? 0x0010000000000000 : value, T));
    if constexpr (T == f32)
        t.f(i[rd], t.imm(i[rs1] == 1 ? 0x00800000 : softfloat::convert<softfloat::F32, softfloat::F64>(value, env), T));
    if constexpr (T == f16)
        t.f(i[rd], t.imm(i[rs1] == 1 ? 0x0400 : softfloat::convert<softfloat::F16, softfloat::F64>(value, env), T));
}

template <Type T, bool Exact>
void round_to_integral(Rv& t, const I& i) {
    ir::FpArg arg = rounding(i);
    arg.exact = Exact;
    t.f(i[rd], t.fp(Op::fround, T, t.f(i[rs1], T), {}, {}, arg));
}

// 25.4
int modular_word(ir::CpuHeader* cpu, const ir::Wide* args, ir::Wide* results) {
    softfloat::Env env = softfloat::env::riscv;
    u64 word = softfloat::to_int_modular<softfloat::F64>(args[0].w[0], 32, env);
    results[0].w[0] = u64(mimic::i64(mimic::i32(word)));
    cpu->fp.flags |= env.flags & softfloat::flag::ieee;
    return 0;
}
constexpr ir::Intrinsic fcvtmod{
    .name = "riscv_fcvtmod_w_d", .body = modular_word, .args = 1, .effects = ir::Intrinsic::reads_fp};
void convert_modular(Rv& t, const I& i) { t.x(i[rd], t.call(fcvtmod, Type::i64, {t.f(i[rs1], f64)})); }

// clang-format off
constexpr R rows[] = {
    {"fli.s       {frd}, {fli}",                  "1111000 00001 rs1 000 rd 1010011",        load_immediate<f32>},
    {"fminm.s     {frd}, {frs1}, {frs2}",         "0010100 rs2 rs1 010 rd 1010011",          min_max<Op::fmin, f32, MinMax::nan>},
    {"fmaxm.s     {frd}, {frs1}, {frs2}",         "0010100 rs2 rs1 011 rd 1010011",          min_max<Op::fmax, f32, MinMax::nan>},
    {"fround.s    {frd}, {frs1}{rm}",             "0100000 00100 rs1 rm rd 1010011",         round_to_integral<f32, false>, rounds},
    {"froundnx.s  {frd}, {frs1}{rm}",             "0100000 00101 rs1 rm rd 1010011",         round_to_integral<f32, true>, rounds},
    {"fleq.s      {rd}, {frs1}, {frs2}",          "1010000 rs2 rs1 100 rd 1010011",          fp_compare<FRel::le, f32, false>},
    {"fltq.s      {rd}, {frs1}, {frs2}",          "1010000 rs2 rs1 101 rd 1010011",          fp_compare<FRel::lt, f32, false>},
};

constexpr R d_rows[] = {
    {"fli.d       {frd}, {fli}",                  "1111001 00001 rs1 000 rd 1010011",        load_immediate<f64>},
    {"fminm.d     {frd}, {frs1}, {frs2}",         "0010101 rs2 rs1 010 rd 1010011",          min_max<Op::fmin, f64, MinMax::nan>},
    {"fmaxm.d     {frd}, {frs1}, {frs2}",         "0010101 rs2 rs1 011 rd 1010011",          min_max<Op::fmax, f64, MinMax::nan>},
    {"fround.d    {frd}, {frs1}{rm}",             "0100001 00100 rs1 rm rd 1010011",         round_to_integral<f64, false>, rounds},
    {"froundnx.d  {frd}, {frs1}{rm}",             "0100001 00101 rs1 rm rd 1010011",         round_to_integral<f64, true>, rounds},
    {"fleq.d      {rd}, {frs1}, {frs2}",          "1010001 rs2 rs1 100 rd 1010011",          fp_compare<FRel::le, f64, false>},
    {"fltq.d      {rd}, {frs1}, {frs2}",          "1010001 rs2 rs1 101 rd 1010011",          fp_compare<FRel::lt, f64, false>},
    {"fcvtmod.w.d {rd}, {frs1}, rtz",             "1100001 01000 rs1 001 rd 1010011",        convert_modular},
};

constexpr R h_rows[] = {
    {"fli.h       {frd}, {fli}",                  "1111010 00001 rs1 000 rd 1010011",        load_immediate<f16>},
    {"fminm.h     {frd}, {frs1}, {frs2}",         "0010110 rs2 rs1 010 rd 1010011",          min_max<Op::fmin, f16, MinMax::nan>},
    {"fmaxm.h     {frd}, {frs1}, {frs2}",         "0010110 rs2 rs1 011 rd 1010011",          min_max<Op::fmax, f16, MinMax::nan>},
    {"fround.h    {frd}, {frs1}{rm}",             "0100010 00100 rs1 rm rd 1010011",         round_to_integral<f16, false>, rounds},
    {"froundnx.h  {frd}, {frs1}{rm}",             "0100010 00101 rs1 rm rd 1010011",         round_to_integral<f16, true>, rounds},
    {"fleq.h      {rd}, {frs1}, {frs2}",          "1010010 rs2 rs1 100 rd 1010011",          fp_compare<FRel::le, f16, false>},
    {"fltq.h      {rd}, {frs1}, {frs2}",          "1010010 rs2 rs1 101 rd 1010011",          fp_compare<FRel::lt, f16, false>},
};
// clang-format on

} // namespace

constinit const Table<RiscV> zfa{"Zfa", needs(Ext::zfa, Ext::f), rows};
constinit const Table<RiscV> zfa_d{"Zfa", needs(Ext::zfa, Ext::d), d_rows};
constinit const Table<RiscV> zfa_h{"Zfa", needs(Ext::zfa, Ext::zfh), h_rows};

} // namespace mimic::isa::riscv
