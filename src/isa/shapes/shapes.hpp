// Guests that exist for tests alone: shapes of other architectures, a few rows each, that the row engine must be able to
// take, and two small guests that run programs. Built into mimic_isa_test_guests, never into a program.
#pragma once
#include "isa/guest.hpp"

namespace mimic::isa {

// shape-m68k, shape-thumb, shape-sparc, shape-s390x, shape-hexagon
std::vector<std::unique_ptr<Guest>> make_shapes();

// test-be32 and test-vl.
std::span<const GuestInfo* const> test_guests();
const GuestInfo* find_test_guest(std::string_view name);

} // namespace mimic::isa
