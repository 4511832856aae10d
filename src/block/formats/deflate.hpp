// Clusters as raw deflate streams (RFC 1951), as qcow and qcow2 have them. Any thread.
#pragma once
#include "base/types.hpp"
#include <cstddef>
#include <span>

namespace mimic::block {

// The bytes of the stream, with a window of 4 KiB as the formats' other programs write and expect; 0: `out` is too small.
size_t deflate_cluster(std::span<const u8> in, std::span<u8> out);
// False unless the stream fills `out`; what follows it in `in` is not looked at.
bool inflate_cluster(std::span<const u8> in, std::span<u8> out);

} // namespace mimic::block
