// Where the devices of the Arm `virt` board are, and their interrupts.
#pragma once
#include "machines/virt.hpp"

namespace mimic::machines::arm_virt {

namespace map {
constexpr u64 flash = 0, gic_dist = 0x8000000, gic_cpu = 0x8010000, gic_hyp = 0x8030000, gic_vcpu = 0x8040000,
              gic_redist = 0x80a0000, gicv2m = 0x8020000, its = 0x8080000, uart = 0x9000000, rtc = 0x9010000,
              fw_cfg = 0x9020000, gpio = 0x9030000, virtio = 0xa000000, platform_bus = 0xc000000, ram = 0x40000000,
              secure_uart = 0x9040000, secure_gpio = 0x90b0000, secure_ram = 0xe000000;
constexpr u64 flash_size = 64 * megabyte, gic_size = 0x10000, gic_redist_size = 0xf60000, its_size = 0x20000,
              virtio_size = 0x200, platform_bus_size = 0x2000000, cell_size = 0x1000, secure_ram_size = 16 * megabyte;
} // namespace map
namespace spi {
constexpr u32 secure_gpio = 0, secure_uart = 8, uart = 1, rtc = 2, pci = 3, gpio = 7, virtio = 16, messages = 48,
              count = 256;
constexpr u32 virtio_count = 32, message_count = 64; // of the GICv2m
} // namespace spi
constexpr u32 power_button = 3; // line of the GPIO controller
constexpr PciWindows pci = {.ecam = 0x4010000000,
                            .ecam_bytes = 0x10000000,
                            .io = 0x3eff0000,
                            .io_bytes = 0x10000,
                            .memory = 0x10000000,
                            .memory_bytes = 0x2eff0000,
                            .high = 0x8000000000,
                            .high_bytes = 0x8000000000};
// Of a machine with nothing above 4 GiB.
constexpr PciWindows low_pci = {.ecam = 0x3f000000,
                                .ecam_bytes = 0x1000000,
                                .io = pci.io,
                                .io_bytes = pci.io_bytes,
                                .memory = pci.memory,
                                .memory_bytes = pci.memory_bytes,
                                .high = 0,
                                .high_bytes = 0};

} // namespace mimic::machines::arm_virt
