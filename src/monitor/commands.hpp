// The tables of QMP commands, a family a file. Internal to the room.
#pragma once
#include "monitor/monitor.hpp"

namespace mimic::monitor {

extern const Family run_family, machine_family, block_family, object_family, memory_family, human_family,
    migration_family, snapshot_family, dump_family, network_family, display_family, input_family, pci_family;

std::unique_ptr<Schema> make_schema();

// Physical memory, RAM and ROM only; false where something else lies.
bool read_ram(memory::AddressSpace& space, u64 address, std::span<u8> out);
// Guest virtual memory as a vCPU sees it, stopped or not.
bool read_virtual(cpu::Vcpu& vcpu, u64 address, std::span<u8> out);

// May another process have the machine's disks open while it is still here? Errors: which not, and why.
Result<void> can_share_disks(Monitor& m);

} // namespace mimic::monitor
