// AArch64: numbers of the state slots. Arm ARM (DDI 0487) B1.2, registers in AArch64 Execution state.
#pragma once
#include "ir/state.hpp"

namespace mimic::isa::aarch64 {

// x0..x30, sp, nzcv, v0..v31, then what few instructions touch. In nzcv, C is kept inverted: it is the borrow that
// flags_sub produces, so that comparisons need no fix-up.
enum : u16 {
    slot_x = 0,
    slot_sp = 31,
    slot_nzcv = 32,
    slot_v = 33,
    slot_fpcr = 65,
    slot_tpidr,
    slot_tpidrro,
    slot_ex_address, // the exclusive monitor (B2.12): address + 1, 0 when open...
    slot_ex_low,     // ...and the value that was read there
    slot_ex_high,
    slot_pac_keys, // pointer authentication: APIAKeyLo_EL1, APIAKeyHi_EL1, ... of IA, IB, DA, DB, GA
    slot_pac_off = slot_pac_keys + 10, // bit n: key n is switched off (SCTLR_EL1.EnIA, EnIB, EnDA, EnDB clear)
    slot_count,
};

// Privileged state, of the system form only: registers.def, then what is no register of its own.
enum SystemSlot : u16 {
    slot_system = slot_count,
    slot_before_system = slot_system - 1,
#define REG(name, ...) slot_##name,
#include "isa/aarch64/registers.def"
#undef REG
    slot_sp_el0, // banked stack pointers; that in use is slot_sp
    slot_sp_el1,
    slot_sp_el2,
    slot_sp_el3,
    slot_pstate,      // of PSTATE as SPSR has it: TCO, DIT, UAO, PAN, SS, IL, SSBS, EL and SP
    slot_daif,        // D, A, I, F in the places of SPSR
    slot_mpidr,       // what the board says: affinity
    slot_os_lock,     // OSLSR_EL1.OSLK
    slot_masked,      // an interrupt is pending that PSTATE masks: whoever unmasks must look
    slot_private,     // privileged accesses meet pages that are not global: their contexts have an ASID, too
    slot_pm_since,    // performance monitors: the clock, and the instructions begun, when they were counted last...
    slot_pm_retired,  // ...
    slot_pm_fraction, // ...and cycles that do not make 64 yet (PMCR_EL0.D)
    slot_pm_end,      // CpuHeader::budget is by so much behind the instructions begun
    slot_pm_shift,    // where instructions are counted, 1 and log2 of an instruction's nanoseconds
    slot_sync,        // flushes that other processors were asked for may not be done
    slot_pac_value,   // class temp: between blocks of an authentication
    slot_system_end
};

// CpuHeader::mode: PSTATE.BTYPE, and FPCR.FZ, which goes with the register (mode_of_fpcr); in the system form also what
// else decides how code is translated (State::mode).
inline constexpr u32 mode_btype = 3, mode_fp_traps = 16, mode_aligned = 32, mode_el1_traps = 1 << 14,
                     mode_flush = 1 << 15, mode_no_counter = 1 << 16, mode_sp0 = 1 << 17, mode_illegal = 1 << 18,
                     mode_no_zva = 1 << 19, mode_debug = 1 << 20;
constexpr u32 mode_of_fpcr(u32 fpcr) { return fpcr >> 24 & 1 ? mode_flush : 0; }
struct ModeFields {
    u32 level = 0;        // exception level
    u32 data = 0;         // index of data accesses
    u32 unprivileged = 0; // of LDTR, STTR and the like
};
constexpr u32 mode_of(const ModeFields& f) { return f.level << 2 | f.data << 6 | f.unprivileged << 10; }
constexpr ModeFields mode_fields(u32 m) { return {m >> 2 & 3, m >> 6 & 15, m >> 10 & 15}; }

// Indices of accesses: translation regimes (D8.1), privileges, and PSTATE.PAN. Fetches have those without PAN.
enum Index : u32 { el10_user, el1, el1_pan, el2, el3, el20_user, el20, el20_pan, index_count };

extern const ir::GuestState state_aarch64, state_aarch64_system;

} // namespace mimic::isa::aarch64
