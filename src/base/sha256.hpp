// SHA-256 (FIPS 180-4), with the host's instructions where there are any.
#pragma once
#include "base/types.hpp"
#include <array>
#include <span>

namespace mimic {

using Sha256Digest = std::array<u8, 32>;

class Sha256 {
public:
    Sha256& add(std::span<const u8> bytes);
    Sha256Digest digest(); // of all that was added; nothing may be added any more

private:
    u32 state_[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    u8 block_[64];
    u64 bytes_ = 0;
};

inline Sha256Digest sha256(std::span<const u8> bytes) { return Sha256().add(bytes).digest(); }

} // namespace mimic
