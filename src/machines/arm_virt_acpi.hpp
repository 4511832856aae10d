// ACPI tables of the Arm `virt` board.
#pragma once
#include "machines/arm_virt_map.hpp"
#include <vector>

namespace mimic::machines::arm_virt {

// What of the board users choose.
struct AcpiBoard {
    Smp smp;
    std::vector<u64> mpidrs; // the affinity of each processor
    u32 gic_version = 2;
    bool its = true, virtualization = false;
    PciWindows pci = arm_virt::pci;
    u32 psci = 3; // Arm boot flags: 3 by HVC, 1 by SMC, 0 it is the firmware that has it
};

// The files that firmware makes its tables of. Errors: of fw_cfg's files.
Result<void> give_acpi_tables(const AcpiBoard& board, devices::FwCfg& fw_cfg);

} // namespace mimic::machines::arm_virt
