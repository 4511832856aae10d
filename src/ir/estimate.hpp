// The reciprocal estimates of the Arm architecture (Arm ARM, shared pseudocode RecipEstimate, RecipSqrtEstimate).
#pragma once
#include "base/types.hpp"

namespace mimic::ir {

// a: 256 to 511, in units of 1/512; the result likewise: about 2^17 / a.
constexpr u32 reciprocal_estimate(u32 a) {
    u32 b = (1u << 19) / (2 * a + 1);
    return (b + 1) / 2;
}

// a: 128 to 511, in units of 1/512; the result: 256 to 511, about 512 / sqrt(a / 512) / 2.
constexpr u32 reciprocal_root_estimate(u32 a) {
    a = a < 256 ? 2 * a + 1 : 2 * ((a & ~1u) + 1);
    u32 b = 512;
    while (u64(a) * (b + 1) * (b + 1) < u64{1} << 28) ++b;
    return (b + 1) / 2;
}

} // namespace mimic::ir
