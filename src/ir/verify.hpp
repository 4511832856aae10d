// The verifier: what every unit must be. Debug builds call it after each pass; the interpreter and back ends rely on it.
#pragma once
#include "base/result.hpp"
#include "ir/unit.hpp"

namespace mimic::ir {

// Errors name the instruction (or block) and what was expected. Checked:
//   - no instruction lies in two blocks (code in no block is dead: what a block was before it was translated again);
//     blocks end in their only control operation
//   - operands are values defined earlier in the same block; types, lanes, kinds and constants fit the operation
//   - slots and offsets exist; a slot of type flags is read and written as flags, every other slot as something else
//   - commit rule: within a guest instruction no put (but of class temp) comes before an operation that may fault or a
//     call that may leave, in the same block or a later block of the instruction
//   - arguments of br are those of the block; blocks that are entered from outside or polled at have none
Result<void> verify(const Unit& unit, const GuestState& guest);

} // namespace mimic::ir
