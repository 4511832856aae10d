// Device-tree nodes of what both worlds of the Arm `virt` board have. Bindings arm,pl011 and pl061-gpio; arm,gic and arm,gic-v3 for
// the cells of interrupts.
#pragma once
#include "machines/arm_virt_map.hpp"
#include <functional>

namespace mimic::machines::arm_virt {

inline constexpr u32 kind_spi = 0, kind_ppi = 1, edge = 1, level_high = 4;

// One of Arm's, of 4 KiB.
struct PrimeCell {
    u64 at = 0;
    u32 spi = 0;
    u32 clock_phandle = 0;
    std::function<void()> more = {}; // properties behind these
};
// Gives the node's name.
std::string tree_pl011(FdtWriter& t, const PrimeCell& c);
void tree_pl061(FdtWriter& t, const PrimeCell& c, u32 phandle);

} // namespace mimic::machines::arm_virt
