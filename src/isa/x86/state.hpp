// x86-64 user-visible state. Intel SDM vol. 1, 3.4. x87, MMX and AVX state are not there.
#pragma once
#include "ir/state.hpp"

namespace mimic::isa::x86 {

// Slots: rax rcx rdx rbx rsp rbp rsi rdi r8..r15; flags: CF PF AF ZF SF OF; df: 1 when DF is set; eflags: AC and ID;
// xmm0..xmm15; mxcsr: the exception masks (bits 7..12), the rest of MXCSR lives in CpuHeader::fp; scratch of the front end.
inline constexpr u16 slot_r = 0, slot_flags = 16, slot_fs_base = 17, slot_gs_base = 18, slot_df = 19, slot_eflags = 20,
                     slot_mxcsr = 21, slot_temp = 22, slot_temp2 = 23, slot_xmm = 24, slot_count = 40;

extern const ir::GuestState state_x86_64;

} // namespace mimic::isa::x86
