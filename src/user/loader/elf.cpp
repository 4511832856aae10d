#include "user/loader/elf.hpp"
#include "user/linux/layout.hpp"
#include "user/memory/page_table.hpp"
#include <algorithm>
#include <bit>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

namespace mimic::user {
namespace {

enum : u32 { pt_load = 1, pt_interp = 3, pt_phdr = 6, pt_gnu_stack = 0x6474e551, pt_gnu_property = 0x6474e553 };
enum : u32 { pf_x = 1, pf_w = 2, pf_r = 4 };

// Reads integers of the file's class and byte order out of a header.
struct Fields {
    const u8* bytes;
    ElfIdentity id;
    u64 half(u32 at) const { return load_int(bytes + at, 2, id.big); }
    u64 word(u32 at) const { return load_int(bytes + at, 4, id.big); }
    u64 wide(u32 at) const { return load_int(bytes + at, 8, id.big); }
    // An address, offset or size, at its place in the 32-bit or the 64-bit form.
    u64 native(u32 at32, u32 at64) const { return id.elf_class == 2 ? wide(at64) : word(at32); }
};

struct ProgramHeader {
    u32 type, flags;
    u64 offset, address, file_size, memory_size, align;
};

ProgramHeader program_header(const Fields& f) {
    return {u32(f.word(0)),   u32(f.word(f.id.elf_class == 2 ? 4 : 24)),
            f.native(4, 8),   f.native(8, 16),
            f.native(16, 32), f.native(20, 40),
            f.native(28, 48)};
}

Result<ElfSegment> check_load(const ProgramHeader& h, const FileBytes& file, u32 page, u64 limit, u32 index) {
    if (h.file_size > h.memory_size)
        return Error::corrupt("segment {} has {:#x} bytes in the file, expected at most its {:#x} in memory", index,
                              h.file_size, h.memory_size);
    if (h.offset > file.size() || h.file_size > file.size() - h.offset)
        return Error::corrupt("segment {} ends at {:#x}, expected within the file's {:#x} bytes (is it truncated?)",
                              index, h.offset + h.file_size, file.size());
    if (h.address > limit || h.memory_size > limit - h.address)
        return Error::corrupt("segment {} at {:#x} of {:#x} bytes, expected below {:#x}", index, h.address,
                              h.memory_size, limit);
    if (h.file_size != 0 && (h.address - h.offset) % page != 0)
        return Error::corrupt("segment {}: address {:#x} and file offset {:#x} differ modulo the page size {}", index,
                              h.address, h.offset, page);
    if (h.align > 1 && (!std::has_single_bit(h.align) || h.align > 1ull << 40))
        return Error::corrupt("segment {} has alignment {:#x}, expected a power of two", index, h.align);
    u8 p =
        u8((h.flags & pf_r ? prot::read : 0) | (h.flags & pf_w ? prot::write : 0) | (h.flags & pf_x ? prot::exec : 0));
    return ElfSegment{h.address, h.memory_size, h.offset, h.file_size, p};
}

Result<std::string> read_interpreter(const ProgramHeader& h, const FileBytes& file) {
    if (h.file_size < 2 || h.file_size > max_interpreter)
        return Error::corrupt("name of the interpreter has {} bytes, expected 2 to {}", h.file_size, max_interpreter);
    std::string name(size_t(h.file_size), '\0');
    if (!file.read(h.offset, {reinterpret_cast<u8*>(name.data()), name.size()}))
        return Error::corrupt("name of the interpreter lies outside the file");
    if (name.back() != '\0') return Error::corrupt("name of the interpreter has no end");
    name.resize(std::strlen(name.c_str()));
    if (name.empty()) return Error::corrupt("name of the interpreter is empty");
    return name;
}

// A note of type NT_GNU_PROPERTY_TYPE_0 with an array of {type, size, data}, each padded to the class's word (Linux Extensions
// to gABI 2.1.7). What makes no sense is left alone: it says nothing about what is loaded.
void read_properties(const ProgramHeader& h, const FileBytes& file, ElfImage& image) {
    constexpr u32 note_head = 16, gnu_property_type_0 = 5;
    if (h.file_size < note_head || h.file_size > max_properties) return;
    std::vector<u8> note(size_t(h.file_size));
    if (!file.read(h.offset, note)) return;
    const ElfIdentity& id = image.identity;
    auto word = [&](size_t at) { return u32(load_int(note.data() + at, 4, id.big)); };
    if (word(0) != 4 || word(8) != gnu_property_type_0 || std::memcmp(note.data() + 12, "GNU", 4) != 0) return;
    size_t align = id.elf_class == 2 ? 8 : 4, end = note_head + std::min<size_t>(word(4), note.size() - note_head);
    for (size_t at = note_head; at + 8 <= end;) {
        u32 type = word(at), size = word(at + 4);
        at += 8;
        if (size > end - at) return;
        if (size == 4) image.properties.emplace_back(type, word(at));
        at += (size + align - 1) & ~(align - 1);
    }
}

std::string machine_name(u16 machine) {
    // e_machine numbers of the gABI's registry that people meet.
    switch (machine) {
    case 3: return "i386";
    case 40: return "Arm";
    case 62: return "x86-64";
    case 183: return "AArch64";
    case 243: return "RISC-V";
    case 8: return "MIPS";
    case 20: return "PowerPC";
    case 21: return "PowerPC64";
    case 22: return "S/390";
    case 43: return "SPARC V9";
    case 258: return "LoongArch";
    default: return "machine " + std::to_string(machine);
    }
}

Result<void> finish(ElfImage& image, u64 headers_offset, u32 page) {
    if (image.segments.empty()) return Error::corrupt("nothing to load: no PT_LOAD program header");
    std::stable_sort(image.segments.begin(), image.segments.end(),
                     [](const ElfSegment& a, const ElfSegment& b) { return a.address < b.address; });
    u64 end = 0;
    for (const ElfSegment& s : image.segments) {
        if (s.address < end) return Error::corrupt("segments overlap at {:#x}", s.address);
        end = s.address + s.memory_size;
        if (image.headers_address == 0 && headers_offset >= s.offset && headers_offset - s.offset < s.file_size)
            image.headers_address = s.address + (headers_offset - s.offset);
    }
    image.low = image.segments.front().address & ~u64(page - 1);
    image.high = (end + page - 1) & ~u64(page - 1);
    return {};
}

} // namespace

bool MemoryBytes::read(u64 offset, std::span<u8> to) const {
    if (offset > bytes_.size() || to.size() > bytes_.size() - offset) return false;
    std::memcpy(to.data(), bytes_.data() + offset, to.size());
    return true;
}

DescriptorBytes::DescriptorBytes(int fd) : fd_(fd) {
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_size > 0) size_ = u64(st.st_size);
}

bool DescriptorBytes::read(u64 offset, std::span<u8> to) const {
    for (size_t done = 0; done < to.size();) {
        ssize_t n = pread(fd_, to.data() + done, to.size() - done, off_t(offset + done));
        if (n <= 0) return false;
        done += size_t(n);
    }
    return true;
}

bool looks_like_elf(std::span<const u8> start) {
    return start.size() >= 4 && std::memcmp(start.data(), "\177ELF", 4) == 0;
}

Result<ElfIdentity> identify_elf(const FileBytes& file) {
    u8 h[20];
    if (file.size() < 4 || !file.read(0, {h, 4}) || !looks_like_elf({h, 4}))
        return Error::corrupt("not an ELF file, expected it to start with 7f 45 4c 46");
    if (!file.read(0, h)) return Error::corrupt("ELF header is truncated at {} bytes", file.size());
    if (h[4] != 1 && h[4] != 2) return Error::corrupt("ELF class {}, expected 1 (32-bit) or 2 (64-bit)", h[4]);
    if (h[5] != 1 && h[5] != 2) return Error::corrupt("ELF byte order {}, expected 1 (little) or 2 (big)", h[5]);
    if (h[6] != 1) return Error::corrupt("ELF version {}, expected 1", h[6]);
    ElfIdentity id{h[4], h[5] == 2};
    id.type = u16(load_int(h + 16, 2, id.big));
    id.machine = u16(load_int(h + 18, 2, id.big));
    if (id.type != 2 && id.type != 3)
        return Error::corrupt("ELF type {}, expected 2 (executable) or 3 (position-independent)", id.type);
    return id;
}

std::string describe(const ElfIdentity& id) {
    return std::string(id.elf_class == 2 ? "64-bit " : "32-bit ") + (id.big ? "big" : "little") + "-endian " +
           machine_name(id.machine);
}

Result<ElfImage> parse_elf(const FileBytes& file, u32 page, u64 limit) {
    ElfImage image;
    image.identity = TRY(identify_elf(file));
    bool wide = image.identity.elf_class == 2;
    u8 header[64];
    u32 header_bytes = wide ? 64 : 52, entry_bytes = wide ? 56 : 32;
    if (!file.read(0, {header, header_bytes}))
        return Error::corrupt("ELF header is truncated at {} bytes", file.size());
    Fields f{header, image.identity};
    image.entry = f.native(24, 24);
    u64 offset = f.native(28, 32);
    image.flags = u32(f.word(wide ? 48 : 36));
    image.header_bytes = u16(f.half(wide ? 54 : 42));
    image.header_count = u16(f.half(wide ? 56 : 44));
    if (image.header_bytes != entry_bytes)
        return Error::corrupt("program headers of {} bytes, expected {}", image.header_bytes, entry_bytes);
    if (image.header_count == 0 || image.header_count > max_program_headers)
        return Error::corrupt("{} program headers, expected 1 to {}", image.header_count, max_program_headers);
    std::vector<u8> table(size_t(image.header_count) * entry_bytes);
    if (!file.read(offset, table))
        return Error::corrupt("program headers at {:#x} lie outside the file's {:#x} bytes", offset, file.size());

    image.align = page;
    for (u32 i = 0; i < image.header_count; i++) {
        ProgramHeader h = program_header({table.data() + size_t(i) * entry_bytes, image.identity});
        if (h.type == pt_load && h.memory_size != 0) {
            image.segments.push_back(TRY(check_load(h, file, page, limit, i)));
            image.align = std::max(image.align, h.align);
        } else if (h.type == pt_interp && image.interpreter.empty()) {
            image.interpreter = TRY(read_interpreter(h, file));
        } else if (h.type == pt_phdr) {
            image.headers_address = h.address;
        } else if (h.type == pt_gnu_property && image.properties.empty()) {
            read_properties(h, file, image);
        } else if (h.type == pt_gnu_stack) {
            image.executable_stack = h.flags & pf_x;
        }
    }
    TRY(finish(image, offset, page));
    return image;
}

} // namespace mimic::user
