// What CodeSpace::save_units gives of a unit.
#pragma once
#include "cpu/saved_unit.hpp"
#include <vector>

namespace mimic::cpu {

struct UnitToSave {
    saved::Head head;
    std::vector<u8> bytes; // see cpu/saved_unit.hpp
    bool is_new = false;   // it was made here, not taken from the store
};

} // namespace mimic::cpu
