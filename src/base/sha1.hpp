// SHA-1 (FIPS 180-4), for protocols that ask for it as a check of form (RFC 6455); it keeps no secret and proves nothing.
#pragma once
#include "base/types.hpp"
#include <array>
#include <span>

namespace mimic {

using Sha1Digest = std::array<u8, 20>;
Sha1Digest sha1(std::span<const u8> bytes);

} // namespace mimic
