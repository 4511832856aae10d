// The passes over a unit. Each keeps what the guest can see, leaves a unit that verify accepts and numbers nothing anew:
// what goes becomes nop. All are linear in the code and allocate nothing once their scratch has grown.
//
// Who sees a slot, besides get: exits, traps, polls, calls that read or write state or may leave, and memory operations,
// for the state at a fault. Two exceptions:
//   - slots of class temp are lost at exits, polls and faults: only gets see them, and no get does behind a polling edge;
//   - slots of class flag are not seen by faults of memory operations, nor by polls: condition codes that no path reads
//     before they are written again are unspecified in the context of a fault or an interrupt.
#pragma once
#include "ir/state.hpp"
#include "ir/unit.hpp"

namespace mimic::ir {

// Buffers that passes reuse, and what they know of the guest; one a thread.
struct PassScratch {
    std::vector<u8> used;      // per instruction
    std::vector<u32> demanded; // per instruction
    std::vector<u32> relevant; // instructions that a pass looks at
    std::vector<u32> first;    // per block and one more: its first one in `relevant`
    std::vector<u32> order;    // blocks
    std::vector<u8> done;      // per block
    std::vector<u64> live_in;  // per block, `words` each
    std::vector<u64> live;
    // Of the guest: bits of all slots that outlive a unit, of those of class flag among them, of slots that share bytes
    // with others (always taken to be live).
    const GuestState* guest = nullptr;
    std::vector<u64> lasting, flags, shared;
    std::vector<SlotId> flag_slots; // the slots of type flags
    std::vector<u32> flag_index;    // per slot: its place in flag_slots, or none
    u32 words = 0;
    u32 dropped = 0; // instructions that passes have made nop; only grows

    void prepare(const GuestState& g);
};

// Condition codes at exits: does the code at a guest pc write them before it reads them?
struct ExitFlags {
    virtual bool dead_at(u64 pc, u32 mode) = 0;
    virtual ~ExitFlags() = default;
};

// Pure operations whose value nobody uses; comparisons of floating point for their exceptions alone, when a later one raises
// the same before anybody could see that.
void drop_dead_values(Unit& unit, const GuestState& guest, PassScratch& scratch);

// 32-bit values that are kept extended to 64 bits (RISC-V, registers of AArch64): an extension whose upper half no user
// looks at becomes one with zeros, which costs nothing on hosts; values extended with signs that only meet in a bitwise
// operation are extended behind it; and shifts to both sides that make up a rotation become one.
void narrow(Unit& unit, const GuestState& guest, PassScratch& scratch);

// Writes to slots of type flags of which no bit is read before it is written again; merges of flags of which one side
// matters to no reader. By bits and across blocks. `exits` null: exits read all flags.
void dead_flags(Unit& unit, const GuestState& guest, PassScratch& scratch, ExitFlags* exits = nullptr);

// Right after dead_flags: flags that one way out of a block alone wants are made on that way, in a block of its own, from
// what slots still hold. Loops whose condition codes matter behind them only do not keep them.
void sink_flags(Unit& unit, const GuestState& guest, PassScratch& scratch);

// Writes to slots that are written again, whole, on every path before anything sees them. Across blocks.
void dead_state(Unit& unit, const GuestState& guest, PassScratch& scratch, ExitFlags* exits = nullptr);

// All of them, in the order that serves; debug builds verify the unit after each.
void run_passes(Unit& unit, const GuestState& guest, PassScratch& scratch, ExitFlags* exits = nullptr);

} // namespace mimic::ir
