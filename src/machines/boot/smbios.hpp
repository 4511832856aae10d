// SMBIOS tables of a machine: what firmware and systems tell people of it, and users change with -smbios.
// Source: DMTF DSP0134 3.3.0.
// Not there: caches, slots, ports.
#pragma once
#include "devices/base/machine.hpp"
#include "devices/misc/fw_cfg.hpp"

namespace mimic::machines {

struct SmbiosBoard {
    std::string manufacturer = "QEMU"; // what guests know this family of machines by
    std::string product, version;
    std::string uuid;                        // as text, of 32 hexadecimal digits and dashes
    u32 sockets = 1, cores = 1, threads = 1; // threads: of a socket, all together
    u64 ram_start = 0, ram_bytes = 0;
    // Of each -smbios: "type" and the fields that the user gives. Later ones win.
    std::vector<devices::PropertyList> given;
    // Whole structures, with their strings: in place of those of their types.
    std::vector<std::vector<u8>> structures;
};

// One structure from a file (-smbios file=PATH). Errors name the file.
Result<std::vector<u8>> read_smbios_structure(const std::string& path);

// Is this a -smbios that give_smbios_tables understands? Errors name the type or the field.
Result<void> check_smbios(const devices::PropertyList& given);
// Tables and entry point (of SMBIOS 3.0, whose address firmware fills in). Files that users give are read.
Result<void> give_smbios_tables(SmbiosBoard board, devices::FwCfg& fw_cfg);
std::vector<u8> smbios_tables(const SmbiosBoard& board);

} // namespace mimic::machines
