// Zicond, integer conditional operations: The RISC-V Instruction Set Manual, Volume I (20240411), chapter 12.
#include "isa/riscv/semantics.hpp"
#include "isa/riscv/tables.hpp"

namespace mimic::isa::riscv {

namespace {

constexpr auto czero_eqz = [](Val a, Val c) { return (c == 0).select(a.builder().imm(0), a); };
constexpr auto czero_nez = [](Val a, Val c) { return (c == 0).select(a, a.builder().imm(0)); };

// clang-format off
constexpr R rows[] = {
    {"czero.eqz {rd}, {rs1}, {rs2}",    "0000111 rs2 rs1 101 rd 0110011",   binary<czero_eqz>},
    {"czero.nez {rd}, {rs1}, {rs2}",    "0000111 rs2 rs1 111 rd 0110011",   binary<czero_nez>},
};
// clang-format on

} // namespace

constinit const Table<RiscV> zicond{"Zicond", needs(Ext::zicond), rows};

} // namespace mimic::isa::riscv
