#include "machines/boot/pe.hpp"
#include <algorithm>

namespace mimic::machines {

Result<void> check_whole_pe(std::span<const u8> file) {
    auto number = [&](u64 at, u32 bytes) {
        u64 v = 0;
        for (u32 i = 0; i < bytes && at + i < file.size(); i++) v |= u64{file[at + i]} << 8 * i;
        return v;
    };
    constexpr u64 lfanew_at = 0x3c, coff_bytes = 24, section_bytes = 40;
    constexpr u16 mz = 0x5a4d;
    constexpr u32 signature = 0x4550; // "PE\0\0"
    if (file.size() < lfanew_at + 4 || number(0, 2) != mz) return {};
    const u64 pe = number(lfanew_at, 4);
    if (pe + coff_bytes > file.size() || number(pe, 4) != signature) return {};
    const u64 count = number(pe + 6, 2), table = pe + coff_bytes + number(pe + 20, 2);
    u64 needs = table + section_bytes * count;
    for (u64 n = 0; n < count; n++) {
        const u64 section = table + section_bytes * n;
        needs = std::max(needs, number(section + 20, 4) + number(section + 16, 4)); // PointerToRawData, SizeOfRawData
    }
    if (needs > file.size())
        return Error::corrupt("cut off at {} bytes, expected the {} of its sections", file.size(), needs);
    return {};
}

} // namespace mimic::machines
