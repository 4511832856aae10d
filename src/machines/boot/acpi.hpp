// ACPI tables of a machine, and how firmware gets them: two files of fw_cfg and a script for putting them into memory.
// Source: ACPI 6.4, chapter 5; the script's format as firmware reads it (fw_cfg file "etc/table-loader": entries of 128
// bytes: allocate, add a pointer, add a checksum).
#pragma once
#include "devices/misc/fw_cfg.hpp"
#include "machines/boot/aml.hpp"

namespace mimic::machines {

// Bytes of a table behind its header, little-endian.
class AcpiBytes {
public:
    AcpiBytes& put(u64 value, u32 bytes);
    AcpiBytes& zeros(u32 count) { return bytes_.resize(bytes_.size() + count), *this; }
    AcpiBytes& text(std::string_view text, u32 bytes); // padded with zeros
    AcpiBytes& add(const aml::Term& t) { return bytes_.insert(bytes_.end(), t.begin(), t.end()), *this; }
    // An address in memory (section 5.2.3.2) of registers of `bits`.
    AcpiBytes& address(u64 at, u32 bits);
    u32 size() const { return u32(bytes_.size()); }
    const std::vector<u8>& bytes() const { return bytes_; }

private:
    std::vector<u8> bytes_;
};

class AcpiTables {
public:
    static constexpr u32 header_bytes = 36;
    // Adds a table; where it begins. `listed`: the XSDT has it.
    u32 add(std::string_view signature, u8 revision, const AcpiBytes& body, bool listed = true);
    // The 8 bytes at `at`, an offset from the first table on, become the address of what is `target` bytes from there.
    void point(u32 at, u32 target);
    // XSDT, RSDP and the script; nothing may be added behind. Errors: of fw_cfg's files.
    Result<void> give_to(devices::FwCfg& fw_cfg);
    const std::vector<u8>& bytes() const { return bytes_; }

private:
    std::vector<u8> bytes_;
    std::vector<u32> listed_, pointers_;
    struct Checksum {
        u32 at, length;
    };
    std::vector<Checksum> tables_;
};

} // namespace mimic::machines
