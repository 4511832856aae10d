// Source: QEMU documentation, "'virt' generic virtual platform (virt)", machine-specific options (secure); the memory map and
// tree as its guests see them; Arm IHI 0048B and IHI 0069H for the registers of interrupt controllers.
#include "machines/arm_virt_secure.hpp"
#include "devices/intc/gic_registers.hpp"
#include "machines/arm_virt_tree.hpp"

namespace mimic::machines::arm_virt {

using devices::Device;

namespace {
constexpr u32 line_power_off = 0, line_restart = 1; // of the secure GPIO controller
constexpr u8 nonsecure_priority = 0x80;             // the most urgent one that the non-secure world can have
} // namespace

Result<void> make_secure_devices(devices::Machine& machine, const SecureDevices& where) {
    Device* uart = TRY(machine.create("pl011", "secure-serial", {{"chardev", where.console}}).in("-serial"));
    where.space.add(uart->region(0), map::secure_uart);
    machine.connect(*uart, "irq", where.inputs, spi::secure_uart);
    Device* gpio = TRY(machine.create("pl061", "secure-gpio"));
    where.space.add(gpio->region(0), map::secure_gpio);
    machine.connect(*gpio, "irq", where.inputs, spi::secure_gpio);
    Device* power = TRY(machine.create("gpio-pwr", "secure-power"));
    machine.connect(*gpio, fmt::format("line[{}].out", line_power_off), *power->inputs(), 0);
    machine.connect(*gpio, fmt::format("line[{}].out", line_restart), *power->inputs(), 1);
    return {};
}

void tree_secure(FdtWriter& t, devices::Machine& machine, u32 clock_phandle) {
    auto secure_only = [&] {
        t.text("status", "disabled");
        t.text("secure-status", "okay");
    };
    t.node(fmt::format("secram@{:x}", map::secure_ram), [&] {
        t.text("device_type", "memory");
        tree_reg(t, map::secure_ram, map::secure_ram_size);
        secure_only();
    });
    std::string uart = tree_pl011(
        t, {.at = map::secure_uart, .spi = spi::secure_uart, .clock_phandle = clock_phandle, .more = secure_only});
    u32 gpio = t.new_phandle();
    tree_pl061(t,
               {.at = map::secure_gpio, .spi = spi::secure_gpio, .clock_phandle = clock_phandle, .more = secure_only},
               gpio);
    auto power = [&](const char* name, u32 line) {
        t.node(name, [&] {
            t.text("compatible", name);
            t.cells("gpios", {gpio, line, 0});
            secure_only();
        });
    };
    power("gpio-poweroff", line_power_off);
    power("gpio-restart", line_restart);
    t.node(fmt::format("secflash@{:x}", map::flash), [&] {
        t.text("compatible", "cfi-flash");
        tree_reg(t, map::flash, map::flash_size);
        t.cells("bank-width", {4});
        secure_only();
    });
    t.node("secure-chosen", [&] {
        for (auto [name, bytes] : {std::pair("kaslr-seed", 8), std::pair("rng-seed", 32)}) {
            std::vector<u8> seed(size_t(bytes), 0);
            machine.random(seed);
            t.bytes(name, seed);
        }
        t.text("stdout-path", "/" + uart);
    });
}

void hand_over_interrupts(const HandOver& h) {
    auto write = [&](u64 at, u64 v, u32 processor, u32 bytes = 4) {
        h.secure.write_value(at, bytes, v, {.processor = u16(processor), .secure = true});
    };
    constexpr u64 IGROUPR = 0x80, IPRIORITYR = 0x400, GICC_PMR = 4, GICR_WAKER = 0x14, frame = 0x20000, sgi = 0x10000;
    constexpr u32 banked = 32;
    for (u32 i = 0; i < h.processors; i++) {
        u64 own = h.gicv3 ? map::gic_redist + i * frame + sgi : map::gic_dist;
        write(own + IGROUPR, ~u32{0}, i);
        for (u32 n = 0; n < banked; n++) write(own + IPRIORITYR + n, nonsecure_priority, i, 1);
        if (!h.gicv3) {
            write(map::gic_cpu + GICC_PMR, nonsecure_priority, i);
            continue;
        }
        write(map::gic_redist + i * frame + GICR_WAKER, 0, i);
        h.gicv3->write_register({.cpu = i, .level = 3, .secure = true}, devices::gicv3::ICC_PMR_EL1,
                                nonsecure_priority);
    }
    for (u32 n = banked; n < h.interrupts; n++) write(map::gic_dist + IPRIORITYR + n, nonsecure_priority, 0, 1);
    for (u32 n = banked; n < h.interrupts; n += 32) write(map::gic_dist + IGROUPR + n / 8, ~u32{0}, 0);
}

} // namespace mimic::machines::arm_virt
