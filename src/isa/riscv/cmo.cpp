// Cache-management operations: The RISC-V Instruction Set Manual, Volume I (20240411), chapter 19: Zicbom 19.7.1,
// Zicboz 19.7.2, Zicbop 19.7.3. Guests see coherent memory, so management only checks the access. In user mode
// cbo.inval is illegal unless senvcfg.CBIE says otherwise, and Linux leaves it at zero. In the system form menvcfg and
// senvcfg allow them (Volume II, 3.1.18 and 12.1.10).
#include "isa/riscv/semantics.hpp"
#include "isa/riscv/system.hpp"
#include "isa/riscv/tables.hpp"

namespace mimic::isa::riscv {

namespace {

constexpr i64 block_bytes = 64; // riscv,cbom-block-size and riscv,cboz-block-size of Linux's hwprobe

Val block_of(Rv& t, const I& i) { return t.x(i[rs1]) & -block_bytes; }

// Emits the trap when none of `bits` allows it at this privilege.
void need(Rv& t, u64 bits) {
    u32 privilege = mode_fields(t.mode()).privilege;
    if (!t.has_system() || privilege == machine_level) return;
    Val allowed = t.get(slot_menvcfg, Type::i64);
    if (privilege == user_level) allowed = allowed & t.get(slot_senvcfg, Type::i64);
    t.when((allowed & i64(bits)) == 0, [&] { t.illegal(); });
}

void manage(Rv& t, const I& i) {
    need(t, envcfg::CBCFE);
    t.probe(block_of(t, i), t.imm(block_bytes), false);
}
void invalidate(Rv& t, const I& i) {
    if (!t.has_system()) return t.illegal();
    need(t, envcfg::CBIE);
    t.probe(block_of(t, i), t.imm(block_bytes), false);
}

void zero_block(Rv& t, const I& i) {
    need(t, envcfg::CBZE);
    Val address = block_of(t, i), zeros = t.wide(0, 0, Type::v128);
    for (i64 n = 0; n < block_bytes; n += 16) t.store(address + n, zeros, {.memory = Type::v128});
}

// clang-format off
constexpr R zicbom_rows[] = {
    {"cbo.inval  ({rs1})",              "000000000000 rs1 010 00000 0001111", invalidate},
    {"cbo.clean  ({rs1})",              "000000000001 rs1 010 00000 0001111", manage},
    {"cbo.flush  ({rs1})",              "000000000010 rs1 010 00000 0001111", manage},
};

constexpr R zicboz_rows[] = {
    {"cbo.zero   ({rs1})",              "000000000100 rs1 010 00000 0001111", zero_block},
};

// Hints in the space of ori with rd = x0.
constexpr R zicbop_rows[] = {
    {"prefetch.i {imm_p}({rs1})",       "imm_p 00000 rs1 110 00000 0010011", [](Rv&, const I&) {}},
    {"prefetch.r {imm_p}({rs1})",       "imm_p 00001 rs1 110 00000 0010011", [](Rv&, const I&) {}},
    {"prefetch.w {imm_p}({rs1})",       "imm_p 00011 rs1 110 00000 0010011", [](Rv&, const I&) {}},
};
// clang-format on

} // namespace

constinit const Table<RiscV> zicbom{"Zicbom", needs(Ext::zicbom), zicbom_rows};
constinit const Table<RiscV> zicboz{"Zicboz", needs(Ext::zicboz), zicboz_rows};
constinit const Table<RiscV> zicbop{"Zicbop", needs(Ext::zicbop), zicbop_rows};

} // namespace mimic::isa::riscv
