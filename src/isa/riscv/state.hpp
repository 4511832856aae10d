// RISC-V user-visible state. The RISC-V Instruction Set Manual, Volume I (20240411), chapters 2 and 20.
#pragma once
#include "ir/state.hpp"

namespace mimic::isa::riscv {

// Slot numbers: x0..x31 (x0 is never read or written), f0..f31; the reservation of lr (its address + 1, zero: none, and
// the value read); frm as written. fflags and the rounding mode in force are CpuHeader::fp.
inline constexpr u16 slot_x = 0, slot_f = 32, slot_res_address = 64, slot_res_value = 65, slot_frm = 66,
                     slot_count = 67;

extern const ir::GuestState state_rv64;

} // namespace mimic::isa::riscv
