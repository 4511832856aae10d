// Firmware configuration: items that boards give to firmware and kernels, by number or by file name.
#pragma once
#include "devices/base/device.hpp"

namespace mimic::devices {

namespace fw_cfg_key {
inline constexpr u16 signature = 0, id = 1, uuid = 2, ram_size = 3, nographic = 4, nb_cpus = 5, kernel_addr = 7,
                     kernel_size = 8, initrd_addr = 10, initrd_size = 11, boot_menu = 14, max_cpus = 15,
                     kernel_data = 17, initrd_data = 18, cmdline_addr = 19, cmdline_size = 20, cmdline_data = 21,
                     file_dir = 0x19, file_first = 0x20;
}

// A file that the guest may write, too. Its device has the bytes, which are state of that device.
class FwCfgFile {
public:
    virtual ~FwCfgFile() = default;
    virtual std::span<u8> fw_cfg_bytes() = 0; // always as many
    virtual void fw_cfg_written() = 0;        // some of them
};

class FwCfg : public Device {
public:
    // Before the machine runs.
    virtual void add(u16 key, std::vector<u8> bytes) = 0;
    // Errors: a name longer than 55 bytes, or taken; no room for another file.
    virtual Result<void> add_file(std::string name, std::vector<u8> bytes) = 0;
    virtual Result<void> add_file(std::string name, FwCfgFile& file) = 0;
    // Its device goes: the file is empty from now on.
    virtual void remove_file(FwCfgFile& file) = 0;
    // Guests can write files that may be written.
    virtual bool takes_writes() const = 0;
    void add_number(u16 key, u64 value, u32 bytes);
    void add_text(u16 key, std::string_view text); // with its zero byte
};

} // namespace mimic::devices
