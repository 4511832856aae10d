// Values at the edges for random instructions of any guest.
#pragma once
#include "soak/soak.hpp"

namespace mimic::test::soak {

u64 edge_integer(Random& random);
// Of the binary format with so many bits of fraction and exponent.
u64 edge_fp(Random& random, u32 fraction, u32 exponent);

} // namespace mimic::test::soak
