// M, integer multiplication and division: The RISC-V Instruction Set Manual, Volume I (20240411), chapter 13.
#include "isa/riscv/semantics.hpp"
#include "isa/riscv/tables.hpp"

namespace mimic::isa::riscv {

namespace {

constexpr auto mul = [](Val a, Val b) { return a * b; };
constexpr auto mulh = [](Val a, Val b) { return a.mulhs(b); };
constexpr auto mulhu = [](Val a, Val b) { return a.mulhu(b); };
// A negative a counts 2^64 too much in the unsigned product.
constexpr auto mulhsu = [](Val a, Val b) { return a.mulhu(b) - (a.ashr(63) & b); };
// 13.2: division by zero gives all ones and the dividend; the one overflow gives the dividend and zero; no traps.
constexpr auto div = [](Val a, Val b) { return a.sdiv(b); };
constexpr auto divu = [](Val a, Val b) { return a.udiv(b); };
constexpr auto rem = [](Val a, Val b) { return a.srem(b); };
constexpr auto remu = [](Val a, Val b) { return a.urem(b); };

// clang-format off
constexpr R rows[] = {
    {"mul     {rd}, {rs1}, {rs2}",      "0000001 rs2 rs1 000 rd 0110011",   binary<mul>},
    {"mulh    {rd}, {rs1}, {rs2}",      "0000001 rs2 rs1 001 rd 0110011",   binary<mulh>},
    {"mulhsu  {rd}, {rs1}, {rs2}",      "0000001 rs2 rs1 010 rd 0110011",   binary<mulhsu>},
    {"mulhu   {rd}, {rs1}, {rs2}",      "0000001 rs2 rs1 011 rd 0110011",   binary<mulhu>},
    {"div     {rd}, {rs1}, {rs2}",      "0000001 rs2 rs1 100 rd 0110011",   binary<div>},
    {"divu    {rd}, {rs1}, {rs2}",      "0000001 rs2 rs1 101 rd 0110011",   binary<divu>},
    {"rem     {rd}, {rs1}, {rs2}",      "0000001 rs2 rs1 110 rd 0110011",   binary<rem>},
    {"remu    {rd}, {rs1}, {rs2}",      "0000001 rs2 rs1 111 rd 0110011",   binary<remu>},

    {"mulw    {rd}, {rs1}, {rs2}",      "0000001 rs2 rs1 000 rd 0111011",   binary_w<mul>},
    {"divw    {rd}, {rs1}, {rs2}",      "0000001 rs2 rs1 100 rd 0111011",   binary_w<div>},
    {"divuw   {rd}, {rs1}, {rs2}",      "0000001 rs2 rs1 101 rd 0111011",   binary_w<divu>},
    {"remw    {rd}, {rs1}, {rs2}",      "0000001 rs2 rs1 110 rd 0111011",   binary_w<rem>},
    {"remuw   {rd}, {rs1}, {rs2}",      "0000001 rs2 rs1 111 rd 0111011",   binary_w<remu>},
};
// clang-format on

} // namespace

constinit const Table<RiscV> rv64m{"M", needs(Ext::m), rows};

} // namespace mimic::isa::riscv
