#include "machines/boot/elf.hpp"
#include <cstring>

namespace mimic::machines {

namespace {

constexpr u32 pt_load = 1, max_segments = 256;

class View {
public:
    View(std::span<const u8> bytes, bool big, u32 word) : bytes_(bytes), big_(big), word_(word) {}
    // False: outside of the file.
    bool number(u64 at, u32 n, u64& out) const {
        out = 0;
        if (at > bytes_.size() || n > bytes_.size() - at) return false;
        for (u32 i = 0; i < n; i++) out |= u64{bytes_[at + i]} << (8 * (big_ ? n - 1 - i : i));
        return true;
    }
    bool word(u64 at, u64& out) const { return number(at, word_, out); }
    u64 size() const { return bytes_.size(); }

private:
    std::span<const u8> bytes_;
    bool big_;
    u32 word_;
};

} // namespace

bool is_elf(std::span<const u8> bytes) {
    return bytes.size() >= 4 && std::memcmp(bytes.data(),
                                            "\x7f"
                                            "ELF",
                                            4) == 0;
}

Result<ElfImage> parse_elf(std::span<const u8> bytes) {
    if (!is_elf(bytes) || bytes.size() < 52) return Error::corrupt("no ELF header");
    if ((bytes[4] != 1 && bytes[4] != 2) || (bytes[5] != 1 && bytes[5] != 2))
        return Error::corrupt("ELF class {} and data {}, expected 1 or 2", bytes[4], bytes[5]);
    bool wide = bytes[4] == 2, big = bytes[5] == 2;
    View view(bytes, big, wide ? 8 : 4);
    ElfImage image;
    image.bits = wide ? 64 : 32;
    image.big_endian = big;
    u64 machine = 0, table = 0, entry_size = 0, count = 0;
    bool ok = view.number(18, 2, machine) && view.word(24, image.entry) && view.word(wide ? 32 : 28, table) &&
              view.number(wide ? 54 : 42, 2, entry_size) && view.number(wide ? 56 : 44, 2, count);
    if (!ok) return Error::corrupt("the ELF header is cut off");
    image.machine = u16(machine);
    if (entry_size < (wide ? 56u : 32u) || count == 0 || count > max_segments)
        return Error::corrupt("{} program headers of {} bytes, expected 1 to {} of {}", count, entry_size, max_segments,
                              wide ? 56 : 32);
    for (u64 i = 0; i < count; i++) {
        u64 at = table + i * entry_size, type = 0;
        ElfSegment s;
        ok = view.number(at, 4, type) && view.word(at + (wide ? 8 : 4), s.offset) &&
             view.word(at + (wide ? 16 : 8), s.virtual_address) && view.word(at + (wide ? 24 : 12), s.physical) &&
             view.word(at + (wide ? 32 : 16), s.file_bytes) && view.word(at + (wide ? 40 : 20), s.memory_bytes);
        if (!ok || at < table) return Error::corrupt("program header {} lies outside of the file", i);
        if (type != pt_load || s.memory_bytes == 0) continue;
        if (s.offset > view.size() || s.file_bytes > view.size() - s.offset || s.file_bytes > s.memory_bytes)
            return Error::corrupt("segment {} lies outside of the file", i);
        if (s.physical + s.memory_bytes < s.physical) return Error::corrupt("segment {} wraps around", i);
        image.segments.push_back(s);
    }
    if (image.segments.empty()) return Error::corrupt("there is nothing to load");
    for (const ElfSegment& s : image.segments)
        if (image.entry >= s.virtual_address && image.entry - s.virtual_address < s.memory_bytes) {
            image.entry = image.entry - s.virtual_address + s.physical;
            break;
        }
    return image;
}

} // namespace mimic::machines
