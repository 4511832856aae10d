// Loadable segments of an ELF file, for kernels and firmware. Source: System V ABI, chapters 4 and 5 (gabi 4.1).
#pragma once
#include "base/result.hpp"
#include <span>
#include <vector>

namespace mimic::machines {

struct ElfSegment {
    u64 physical = 0, virtual_address = 0;
    u64 offset = 0, file_bytes = 0, memory_bytes = 0;
};
struct ElfImage {
    u64 entry = 0; // a physical address where a segment holds the virtual one
    u16 machine = 0;
    u8 bits = 64;
    bool big_endian = false;
    std::vector<ElfSegment> segments;
};

bool is_elf(std::span<const u8> bytes);
// `bytes`: the whole file. Errors say what is wrong and where; a segment that lies outside of the file is one.
Result<ElfImage> parse_elf(std::span<const u8> bytes);

} // namespace mimic::machines
