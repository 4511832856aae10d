// The typing rules of operations. Internal to the room.
#pragma once
#include "base/result.hpp"
#include "ir/operands.hpp"

namespace mimic::ir {

// Types, lanes and constants of an instruction whose operands exist and whose kind is in range.
Result<void> check_types(const Unit& unit, const Inst& i);

} // namespace mimic::ir
