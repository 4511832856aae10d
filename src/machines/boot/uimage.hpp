// uImage: a kernel with U-Boot's legacy header in front. Source: U-Boot's documentation of mkimage, and include/image.h's constants
// as its man page mkimage(1) names them.
#pragma once
#include "base/result.hpp"
#include <span>
#include <string>
#include <vector>

namespace mimic::machines {

struct UImage {
    u32 load = 0, entry = 0;
    bool anywhere = false; // IH_TYPE_KERNEL_NOLOAD: where the loader likes; entry counts from there
    bool linux_os = false; // started by Linux's boot protocol
    std::string name;
    std::vector<u8> content; // unpacked
};

bool is_uimage(std::span<const u8> bytes);
// `bytes`: the whole file. `elf_machine`: that of ELF files of the same architecture. `limit`: bytes that an unpacked kernel may have.
// Errors: damaged, cut off, no kernel, of another architecture, packed in a way that is not there.
Result<UImage> parse_uimage(std::span<const u8> bytes, u16 elf_machine, u64 limit);

} // namespace mimic::machines
