// RISC-V state. The RISC-V Instruction Set Manual, Volume I (20240411), chapters 2 and 20; privileged state: Volume II
// (20240411), chapters 3 and 12.
#pragma once
#include "ir/state.hpp"

namespace mimic::isa::riscv {

// Slot numbers: x0..x31 (x0 is never read or written), f0..f31; the reservation of lr (its address + 1, zero: none, and
// the value read); frm as written. fflags and the rounding mode in force are CpuHeader::fp.
inline constexpr u16 slot_x = 0, slot_f = 32, slot_res_address = 64, slot_res_value = 65, slot_frm = 66;
// Of V, chapter 31: vstart, vl; vtype with vill inverted, so that a state of zeros has no configuration; vxrm; v0 to v31,
// in one piece, for groups. vxsat is fpflag::saturated in CpuHeader::fp.
inline constexpr u16 slot_vstart = 67, slot_vl = 68, slot_vtype = 69, slot_vxrm = 70, slot_v = 71,
                     slot_count = slot_v + 32;
inline constexpr u16 vector_slots_at = 536, v_at = 576; // bytes from the first slot; 8 each, then the registers
inline constexpr u32 vlen_bytes = 16;                   // VLEN / 8 of the models
inline constexpr u64 vtype_vill = u64{1} << 63;
// 31.3.4: the slot's value for a vtype that is asked for. Fractional LMUL must hold an element of ELEN.
constexpr u64 vtype_slot(u64 asked) {
    i32 lmul = i32(asked & 7), sew = i32(asked >> 3 & 7);
    bool good = asked < 256 && lmul != 4 && sew < 4 && (lmul < 4 || sew + 8 - lmul <= 3);
    return good ? asked | vtype_vill : 0;
}

// Privileged state, of the system form only. mip: the bits that software writes; mcycle and minstret: what to add to the
// clock while they count, their value while mcountinhibit stops them; priv: 0 U, 1 S, 3 M. pmpaddr0 to 15 follow.
enum SystemSlot : u16 {
    slot_system = slot_count,
    slot_mstatus = slot_system,
    slot_medeleg,
    slot_mideleg,
    slot_mie,
    slot_mip,
    slot_mtvec,
    slot_mcounteren,
    slot_menvcfg,
    slot_mscratch,
    slot_mepc,
    slot_mcause,
    slot_mtval,
    slot_mcountinhibit,
    slot_mseccfg,
    slot_mcycle,
    slot_minstret,
    slot_stvec,
    slot_scounteren,
    slot_senvcfg,
    slot_sscratch,
    slot_sepc,
    slot_scause,
    slot_stval,
    slot_satp,
    slot_stimecmp,
    slot_priv,
    slot_mhartid,
    slot_pmpcfg0,
    slot_pmpcfg2,
    slot_pmpaddr0,
    slot_mvien = slot_pmpaddr0 + 16, // from here to siselect: AIA 1.0
    slot_mvip,                       // its bits that are no aliases of mip's
    slot_sie_virtual,                // bits of sie that are no aliases of mie's
    slot_miselect,
    slot_siselect,
    slot_private, // the supervisor meets pages that are not global: contexts of its own pages have an identifier, too
    slot_tselect, // from here to trigger_begun: Sdtrig
    slot_tcontrol,
    slot_mcontext,
    slot_scontext,
    slot_tdata1, // of four triggers
    slot_tdata2 = slot_tdata1 + 4,
    slot_tdata3 = slot_tdata2 + 4,
    slot_trigger_modes = slot_tdata3 + 4, // trigger_modes
    slot_trigger_begun,                   // count_instruction's own
    slot_csr_old,                         // class temp: results of a CSR access between its blocks
    slot_csr_outcome,
    slot_csr_detail,
    slot_system_end
};
inline constexpr u16 system_slots_at = v_at + 32 * vlen_bytes; // bytes from the first slot; 8 each

// One layout; with vectors, V's registers have host registers, too.
extern const ir::GuestState state_rv64, state_rv64_vectors, state_rv64_system;

} // namespace mimic::isa::riscv
