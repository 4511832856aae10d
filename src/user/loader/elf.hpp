// ELF executables as checked values. System V ABI, chapters 4 and 5 (gABI 4.1 and its 2022 draft).
//
// parse_elf reads the file header and the program headers from untrusted bytes and either gives a value whose numbers
// can be used without further checks, or one line that says what was expected. Section headers are never looked at.
#pragma once
#include "base/result.hpp"
#include <span>
#include <string>
#include <vector>

namespace mimic::user {

// The bytes of a file, read at offsets.
class FileBytes {
public:
    virtual ~FileBytes() = default;
    virtual u64 size() const = 0;
    // False when not all of [offset, offset + to.size()) could be read.
    virtual bool read(u64 offset, std::span<u8> to) const = 0;
};
class MemoryBytes final : public FileBytes {
public:
    explicit MemoryBytes(std::span<const u8> bytes) : bytes_(bytes) {}
    u64 size() const override { return bytes_.size(); }
    bool read(u64 offset, std::span<u8> to) const override;

private:
    std::span<const u8> bytes_;
};
class DescriptorBytes final : public FileBytes {
public:
    explicit DescriptorBytes(int fd);
    u64 size() const override { return size_; }
    bool read(u64 offset, std::span<u8> to) const override;

private:
    int fd_;
    u64 size_ = 0;
};

// What the file claims to be, before anything else is believed.
inline constexpr u16 host_machine = 62; // EM_X86_64

struct ElfIdentity {
    u8 elf_class = 0; // 1: 32-bit, 2: 64-bit
    bool big = false;
    u16 machine = 0;
    u16 type = 0; // 2: ET_EXEC, 3: ET_DYN
    bool operator==(const ElfIdentity&) const = default;
};

struct ElfSegment {
    u64 address = 0, memory_size = 0;
    u64 offset = 0, file_size = 0;
    u8 prot = 0; // user::prot bits
};

struct ElfImage {
    ElfIdentity identity;
    u64 entry = 0;
    u32 flags = 0;
    std::vector<ElfSegment> segments; // PT_LOAD, by address, not overlapping
    u64 low = 0, high = 0;            // pages that the segments touch: [low, high)
    u64 align = 0;                    // largest p_align, at least the page size
    u64 headers_address = 0;          // of the program headers in memory, 0: not loaded
    u16 header_count = 0, header_bytes = 0;
    std::string interpreter;                     // PT_INTERP, empty: none
    std::vector<std::pair<u32, u32>> properties; // PT_GNU_PROPERTY: types and values of those with four bytes
    bool executable_stack = false;               // PT_GNU_STACK asks for it

    u32 property(u32 type) const {
        for (auto& [t, value] : properties)
            if (t == type) return value;
        return 0;
    }
    bool position_independent() const { return identity.type == 3; }
};

// Limits beyond which a file is refused: no real program comes near.
inline constexpr u32 max_program_headers = 1024, max_interpreter = 4096, max_properties = 4096;

// True when the file starts with ELF's magic number.
bool looks_like_elf(std::span<const u8> start);
Result<ElfIdentity> identify_elf(const FileBytes& file);
// "64-bit little-endian RISC-V".
std::string describe(const ElfIdentity& id);
// `page`: the guest's page size; `limit`: one past the highest address that a program may use.
Result<ElfImage> parse_elf(const FileBytes& file, u32 page, u64 limit);

} // namespace mimic::user
