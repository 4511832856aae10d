// Random blocks of guest code run by both engines: state, memory and the way out of each unit must be equal. Knows no
// guest: the instructions are random instances of the guest's rows.
#pragma once
#include "cpu/cpu.hpp"
#include "soak/soak.hpp"
#include <string>

namespace mimic::tests {

struct BlockCounts {
    u64 passed = 0, failed = 0;
    u64 refused = 0;  // units that the JIT left to the interpreter
    u64 wild = 0;     // blocks with an access outside the memory that the test owns, where the engines differ
    u64 modified = 0; // blocks that stored into their own code, where the engines differ
};

// Runs `count` blocks made from the seed; appends a report of the first failures to `report`. `host_level`: of
// cpu::Options.
// `shaping` (may be null): what the guest has to say about random blocks.
BlockCounts compare_engines(const isa::Guest& guest, const test::soak::SoakGuest* shaping, u64 seed, u64 count,
                            u32 host_level, std::string& report);

} // namespace mimic::tests
