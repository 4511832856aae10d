// Saved units of neighbouring guest code, joined to one that is taken as a whole: its code is one piece, the edges between its
// units are linked, and one hash is of all guest bytes.
#pragma once
#include "cpu/saved_unit.hpp"
#include <functional>
#include <span>
#include <vector>

namespace mimic::cpu {

// The guest's bytes from low on, as they are now. False: not all are there.
using GuestBytes = std::function<bool(u64 low, std::span<u8> out)>;

// Appends what `units`, of one mode and flavour, are together. Left out are those that were made from other bytes than stand there
// now; of entries at the same pc a unit's own comes before others, then one of a whole loop, then that of the unit that
// is told of first. False: they can't be joined, and nothing is appended.
bool join(std::span<const SavedUnit> units, const GuestBytes& guest, std::vector<u8>& out);

} // namespace mimic::cpu
