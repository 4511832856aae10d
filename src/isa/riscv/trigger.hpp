// Debug triggers for software of the hart itself: RISC-V Debug Specification 1.0, chapter 5 "Sdtrig". Address triggers (mcontrol,
// mcontrol6), counted instructions (icount), interrupts and exceptions (itrigger, etrigger), all with action 0, the breakpoint
// exception, and timing "before". Not there: what needs an external debugger (dmode, other actions), values of data (select) and
// tmexttrigger.
#pragma once
#include "isa/riscv/system.hpp"
#include <vector>

namespace mimic::isa::riscv {

inline constexpr u32 trigger_count = 4;

namespace trigger {
enum Type : u32 { mcontrol = 2, icount = 3, itrigger = 4, etrigger = 5, mcontrol6 = 6, disabled = 15 };
inline constexpr u32 type_at = 60;
// tinfo: the types that every trigger can have; version 1: the ratified one.
inline constexpr u64 info =
    u64{1} << 24 | 1 << mcontrol | 1 << icount | 1 << itrigger | 1 << etrigger | 1 << mcontrol6 | 1 << disabled;
inline constexpr u64 off = u64{disabled} << type_at; // tdata1 after a reset
// tcontrol (5.7.6)
inline constexpr u64 mte = 1 << 3, mpte = 1 << 7;
// mcontext (5.7.9) and scontext (5.7.8)
inline constexpr u64 of_mcontext = (1 << 13) - 1, of_scontext = 0xffffffff;

// What tdata1 and tdata3 of trigger `n` hold after a write.
u64 legal_tdata1(u32 n, u64 v);
u64 legal_tdata3(u64 v);
} // namespace trigger

// The instruction at pc is about to be executed, or its access to memory is about to be made.
struct TriggerEvent {
    u32 insn_bytes = 0;
    bool load = false, store = false; // neither: the fetch
    u64 address = 0;                  // the access
    u32 bytes = 0;
};
// The triggers that fire, alone or as a chain: a bit each. Their exception's note_hits says so in their registers.
u32 triggers_that_fire(const State& s, const TriggerEvent& event);
void note_hits(const State& s, u32 triggers);

// System::debug_points.
void trigger_points(const State& s, std::vector<DebugPoint>& out);

// What slot_trigger_modes holds, which is found anew after each change: a bit for each privilege at which the place of an
// instruction matters; four bits above, those at which instructions are counted.
u64 trigger_modes(const State& s);
inline constexpr u32 counting_at = 4;
// 5.4: so that a handler of breakpoints is not interrupted by others before it has saved its registers. In machine mode, the
// second of the two ways given there (tcontrol); in supervisor mode, when breakpoints are taken there, the first.
inline bool triggers_may_fire(const State& s, u32 privilege) {
    if (privilege == machine_level) return s[slot_tcontrol] & trigger::mte;
    bool own = s[slot_medeleg] >> cause::breakpoint & 1;
    return privilege != supervisor_level || !own || (s[slot_mstatus] & mstatus::SIE);
}
// Of the modes of slot_trigger_modes, those that the processor is in.
inline u64 trigger_modes_now(const State& s) {
    u64 modes = s[slot_trigger_modes] >> s.privilege() & (1 | 1 << counting_at);
    return modes && triggers_may_fire(s, s.privilege()) ? modes : 0;
}

// The instruction at pc begins. True: a trigger that has counted enough fires before it.
bool count_instruction(const State& s);
// An interrupt was taken, which counts like an instruction, from this privilege.
void count_trap(const State& s, u32 privilege);
// A trap was taken from `privilege`: do triggers fire before its handler's first instruction?
bool trap_fires(const State& s, u64 cause, u32 privilege);

} // namespace mimic::isa::riscv
