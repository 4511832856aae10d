// Identification registers of Arm's PrimeCells: eight bytes, a word apart, in the last 32 bytes of the 4 KiB.
// Source: each PrimeCell's manual, "Peripheral identification registers" and "PrimeCell identification registers".
#pragma once
#include "base/types.hpp"

namespace mimic::devices {

constexpr u64 primecell_size = 0x1000;
constexpr u32 primecell_id_offset = 0xfe0;

// Byte `index` of PeriphID0-3 and PCellID0-3 of the cell with this part number and revision, designed by Arm (0x41).
constexpr u64 primecell_id(u32 part, u32 revision, u32 index) {
    u32 periph = part | 0x41u << 12 | revision << 20;
    return index < 4 ? periph >> (8 * index) & 0xff : 0xb105f00du >> (8 * (index - 4)) & 0xff;
}

} // namespace mimic::devices
