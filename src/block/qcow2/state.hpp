// The state of a machine that an image has behind its disk: what Node::state_write() wrote, until a snapshot takes it. Of nodes of
// other formats there is none.
#pragma once
#include "block/node.hpp"

namespace mimic::block::qcow2 {

// Where it begins, in bytes from the disk's start; 0: there is no such place.
u64 state_offset(const Node& node);
// From `offset` of the state on; what was not written is zeros. Errors: unsupported.
Task<Result<void>> read_state(Node& node, u64 offset, const IoVec& memory);

} // namespace mimic::block::qcow2
