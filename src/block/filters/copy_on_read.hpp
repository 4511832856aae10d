// copy-on-read: what is read from a backing image of the node below is written into that node, so that it is read there next time.
//
//   driver=copy-on-read,file.driver=qcow2,file.file.filename=top.qcow2
#pragma once
#include "block/node.hpp"

namespace mimic::block {

// Puts the filter above a node. Errors: that is read-only.
Result<NodePtr> make_copy_on_read(Context& context, NodeOptions options, NodePtr below);

} // namespace mimic::block
