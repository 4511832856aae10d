// Random valid units, the same for the same seed: what compares interpreter, passes and back ends with each other.
// Units reach for what register allocation and liveness get wrong: values used long after their definition, more live
// values than a host has registers, writes to slots whose old value is still wanted, one value as both operands,
// constants of every size. They end: an edge back counts a slot down.
#pragma once
#include "ir/state.hpp"
#include "ir/unit.hpp"
#include <array>

namespace mimic::ir {

// Groups of operations, for weights.
enum class Group : u8 {
    integer, // of at most 64 bits
    wide,    // i128
    flags,
    state,  // get, put and their indexed forms
    memory, // loads, stores, probes, fences
    atomic,
    lanes,       // masked, gathering, first-fault accesses
    fp,          // f32, f64
    rare_fp,     // f16, f80, f128
    vector,      // v64, v128
    wide_vector, // v256, v512, vs
    mask,
    call,
};
inline constexpr u32 group_count = u32(Group::call) + 1;

struct RandomOptions {
    u64 seed = 0;
    u32 blocks = 5;
    u32 operations = 40; // a block, about
    u32 vector_bytes = 32;
    // How often each Group is chosen, relative to the others; 0: never.
    std::array<u8, group_count> weights = {20, 3, 6, 16, 8, 2, 2, 6, 2, 8, 4, 3, 2};
    // The memory that units may touch. One access in `fault_odds` may miss it or be misaligned; 0: none.
    u64 memory_base = 0x1000;
    u32 memory_bytes = 0x2000; // a power of two, at least 0x1000
    u32 fault_odds = 50;
    SlotId counter = 0; // an i64 slot that bounds loops: edges back are taken while it is above zero
    std::span<const Intrinsic* const> intrinsics; // integer arguments and results
    // Null, or says whether an instruction may occur (a back end in the making). Constants, get, put, insn, add, and, sub,
    // icmp, br, brcond and exit occur whatever it says, with i64 and i1.
    bool (*allowed)(const Inst&) = nullptr;
};

Unit random_unit(const GuestState& guest, const RandomOptions& options);

// Fills slots with values from the edges of their types; flags slots stay valid. The counter gets 0 to 7.
void random_state(const GuestState& guest, const RandomOptions& options, CpuHeader& cpu);

} // namespace mimic::ir
