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

// CpuHeader::mode: PSTATE.BTYPE.
inline constexpr u32 mode_btype = 3;

extern const ir::GuestState state_aarch64;

} // namespace mimic::isa::aarch64
