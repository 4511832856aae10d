// Instructions of the privileged architecture: Arm ARM C4.1.94 (exception return, MSR immediate), and what of MRS, MSR and
// SYS stays in translated code. The rest leaves: System::execute does it, so rows say what is asked for only.
#include "isa/aarch64/privileged.hpp"
#include "isa/aarch64/semantics.hpp"
#include "isa/aarch64/tables.hpp"
#include <algorithm>

namespace mimic::isa::aarch64 {

void ask(A64& t, Request what, u64 fields) { t.trap(ir::TrapKind::guest, t.pc(), t.imm(u64(what) | fields)); }

namespace {

u64 register_fields(const I& i, bool write) { return u64(i[Rt]) << 8 | u64(write) << 13 | u64(i[sysreg]) << 16; }

constexpr u32 sp_el0 = system_register(3, 0, 4, 1, 0), daif = system_register(3, 3, 4, 2, 1),
              current_el = system_register(3, 0, 4, 2, 2);

// Registers that EL1 reads and writes as they stand, unless EL2 wants to know (mode_el1_traps).
struct Plain {
    u32 number;
    u16 slot;
    bool writes = true;
};
#define PLAIN(name, op0, op1, crn, crm, op2)                                                                           \
    { system_register(op0, op1, crn, crm, op2), slot_##name }
constexpr Plain of_el1[] = {
    PLAIN(tpidr_el1, 3, 0, 13, 0, 4),
    PLAIN(elr_el1, 3, 0, 4, 0, 1),
    PLAIN(esr_el1, 3, 0, 5, 2, 0),
    PLAIN(far_el1, 3, 0, 6, 0, 0),
    PLAIN(par_el1, 3, 0, 7, 4, 0),
    {system_register(3, 0, 4, 0, 0), slot_spsr_el1, false},
    {system_register(3, 0, 1, 0, 0), slot_sctlr_el1, false},
    {system_register(3, 0, 2, 0, 0), slot_ttbr0_el1, false},
    {system_register(3, 0, 2, 0, 1), slot_ttbr1_el1, false},
    {system_register(3, 0, 13, 0, 1), slot_contextidr_el1, false},
    {system_register(3, 0, 12, 0, 0), slot_vbar_el1, false},
    {system_register(2, 0, 0, 2, 2), slot_mdscr_el1, false},
};
#undef PLAIN
// ID registers that every level reads as the model has them, unless EL2 wants to know (CRm 0 of their space may be EL2's own
// values). EL0 reads DCZID_EL0 alone: what it sees of others is a matter of controls.
bool is_constant(A64& t, u32 number, u64& value) {
    const bool of_space = number >> 7 == 1u << 7 && (number >> 3 & 15) != 0; // op0 3, op1 0, CRn 0
    if (number != reg::dczid_el0 && !(t.level() != 0 && (of_space || number == reg::ctr_el0))) return false;
    return !(t.mode() & (mode_el1_traps | mode_no_zva)) && system_id_register(t.model(), number, value);
}

const Plain* plain_of_el1(A64& t, u32 number, bool write) {
    if (t.level() != 1 || (t.mode() & mode_el1_traps)) return nullptr;
    for (const Plain& p : of_el1)
        if (p.number == number) return !write || p.writes ? &p : nullptr;
    return nullptr;
}

// After PSTATE.I and its like were cleared: an interrupt that waits for it is taken at once.
void look_for_interrupts(A64& t) {
    t.when(t.get(slot_masked, Type::i64) != 0,
           [&] { t.trap(ir::TrapKind::guest, t.next_pc(), t.imm(u64(Request::resync))); });
}

void eret(A64& t, const I&) { t.level() == 0 ? t.illegal() : ask(t, Request::eret); }

// MSR (immediate), by op1 and op2 (C5.6... C6.2 MSR (immediate)).
template <u32 Op1, u32 Op2>
void msr_pstate(A64& t, const I& i) {
    constexpr u32 set = 6, clear = 7;
    if (Op1 == 3 && Op2 >= set && t.level() != 0) {
        i64 bits = i[CRm] << 6;
        Val old = t.get(slot_daif, Type::i64);
        t.put(slot_daif, Op2 == set ? old | bits : old & ~bits);
        if (Op2 == clear) look_for_interrupts(t);
        return;
    }
    ask(t, Request::pstate, Op1 << 16 | u64(i[CRm]) << 20 | Op2 << 24);
}

} // namespace

void mrs_system(A64& t, const I& i) {
    u32 number = u32(i[sysreg]), el = t.level();
    if (number == reg::tpidr_el0) return t.x(i[Rt], t.get(slot_tpidr, Type::i64));
    if (number == reg::tpidrro_el0) return t.x(i[Rt], t.get(slot_tpidrro, Type::i64));
    if (number == reg::cntvct_el0 && el < 2 && !(t.mode() & (mode_no_counter | mode_el1_traps))) {
        Val now = t.call(counter, Type::i64, {t.imm(t.model().clock_hz)});
        return t.x(i[Rt], t.model().has(Feature::el2) ? now - t.get(slot_cntvoff_el2, Type::i64) : now);
    }
    if (el != 0) {
        if (number == current_el) return t.x(i[Rt], t.imm(el << 2));
        if (number == daif) return t.x(i[Rt], t.get(slot_daif, Type::i64));
        if (number == sp_el0 && !(t.mode() & mode_sp0)) return t.x(i[Rt], t.get(slot_sp_el0, Type::i64));
    }
    if (const Plain* p = plain_of_el1(t, number, false)) return t.x(i[Rt], t.get(p->slot, Type::i64));
    if (u64 value; is_constant(t, number, value)) return t.x(i[Rt], t.imm(value));
    ask(t, Request::msr, register_fields(i, false));
}

void msr_system(A64& t, const I& i) {
    u32 number = u32(i[sysreg]), el = t.level();
    if (number == reg::tpidr_el0) return t.put(slot_tpidr, t.x(i[Rt]));
    if (el != 0) {
        if (number == reg::tpidrro_el0) return t.put(slot_tpidrro, t.x(i[Rt]));
        if (number == sp_el0 && !(t.mode() & mode_sp0)) return t.put(slot_sp_el0, t.x(i[Rt]));
        if (number == daif) {
            t.put(slot_daif, t.x(i[Rt]) & i64(pstate::DAIF));
            return look_for_interrupts(t);
        }
    }
    if (const Plain* p = plain_of_el1(t, number, true)) return t.put(p->slot, t.x(i[Rt]));
    ask(t, Request::msr, register_fields(i, true));
}

bool sys_system(A64& t, const I& i) {
    u32 op = u32(i[sysreg]) & 0x3fff, crn = op >> 7 & 15, crm = op >> 3 & 15;
    bool plain = t.level() != 0 && !(t.mode() & mode_el1_traps),
         cache_of_el0 = (op >> 11) == 3 && crn == 7 && (op & 7) == 1;
    if (cache_of_el0 && (plain || (crm == 4 && !(t.mode() & mode_no_zva)))) return false;
    ask(t, Request::sys, register_fields(i, true));
    return true;
}

namespace {

// clang-format off
constexpr R rows[] = {
    {"eret",                            "1101011 0100 11111 000000 11111 00000", eret},
    {"msr     spsel, #{CRm}",           "1101010100 0 00 000 0100 CRm 101 11111", msr_pstate<0, 5>},
    {"msr     daifset, #{CRm}",         "1101010100 0 00 011 0100 CRm 110 11111", msr_pstate<3, 6>},
    {"msr     daifclr, #{CRm}",         "1101010100 0 00 011 0100 CRm 111 11111", msr_pstate<3, 7>},
};
constexpr R pan_rows[] = {
    {"msr     pan, #{CRm}",             "1101010100 0 00 000 0100 CRm 100 11111", msr_pstate<0, 4>},
};
constexpr R uao_rows[] = {
    {"msr     uao, #{CRm}",             "1101010100 0 00 000 0100 CRm 011 11111", msr_pstate<0, 3>},
};
constexpr R dit_rows[] = {
    {"msr     dit, #{CRm}",             "1101010100 0 00 011 0100 CRm 010 11111", msr_pstate<3, 2>},
};
constexpr R ssbs_rows[] = {
    {"msr     ssbs, #{CRm}",            "1101010100 0 00 011 0100 CRm 001 11111", msr_pstate<3, 1>},
};
// clang-format on

bool uses_fp(const R* row) {
    for (const Table<AArch64>* t : all_tables)
        if (row >= t->rows.data() && row < t->rows.data() + t->rows.size()) return t->group == fp_registers;
    return false;
}

} // namespace

bool AArch64::may_run(A64& t, const I& i) {
    if (i.context.refused & mode_illegal) return ask(t, Request::illegal_state), false;
    if (!uses_fp(i.row)) return true;
    return ask(t, Request::fp_trap), false;
}

constinit const Table<AArch64> privileged{"exception levels", needs(Feature::system), rows};
constinit const Table<AArch64> privileged_pan{"PAN", needs(Feature::system, Feature::pan), pan_rows};
constinit const Table<AArch64> privileged_uao{"UAO", needs(Feature::system, Feature::uao), uao_rows};
constinit const Table<AArch64> privileged_dit{"DIT", needs(Feature::system, Feature::dit), dit_rows};
constinit const Table<AArch64> privileged_ssbs{"SSBS", needs(Feature::system, Feature::ssbs), ssbs_rows};

} // namespace mimic::isa::aarch64
