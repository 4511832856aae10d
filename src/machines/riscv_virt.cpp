// RISC-V `virt`: the board that firmware and kernels know from QEMU, by its memory map and device tree.
// Source: QEMU documentation, "virt Generic Virtual Platform (virt)"; the memory map and tree as its guests see them;
// OpenSBI documentation, "OpenSBI Firmware with Dynamic Information FW_DYNAMIC"; Linux Documentation/arch/riscv/boot.
// Not there: AIA, ACPI tables, NUMA.
#include "base/nearest.hpp"
#include "isa/system.hpp"
#include "machines/virt.hpp"
#include <algorithm>

namespace mimic::machines {
namespace {

using devices::Device;

namespace map {
constexpr u64 mrom = 0x1000, test = 0x100000, rtc = 0x101000, clint = 0x2000000, platform_bus = 0x4000000,
              plic = 0xc000000, uart = 0x10000000, virtio = 0x10001000, fw_cfg = 0x10100000, flash = 0x20000000,
              ram = 0x80000000;
constexpr u64 mrom_size = 0xf000, plic_size = 0x600000, platform_bus_size = 0x2000000, flash_size = 0x2000000,
              virtio_size = 0x1000;
} // namespace map
namespace source { // of the PLIC
constexpr u32 virtio = 1, uart = 10, rtc = 11, pci = 32, count = 96;
}
constexpr u32 virtio_count = 8, max_harts = 512;
constexpr u64 timebase = 10000000;
constexpr u16 elf_riscv = 243;

class RiscvVirt final : public VirtBoard {
public:
    explicit RiscvVirt(const BoardOptions& o) : VirtBoard(o) {}
    Result<void> build() override;
    Result<void> load() override;

private:
    Result<void> read_properties();
    Result<void> make_interrupts();
    Result<void> make_rom(u64 start, u64 device_tree, u64 kernel_entry);
    Result<std::vector<u8>> device_tree(const Loaded& initrd);
    void tree_cpus(FdtWriter& t, std::vector<u32>& intc_of);
    void tree_interrupts(FdtWriter& t, const std::vector<u32>& intc_of);
    void tree_devices(FdtWriter& t);
    void reset_vcpu(cpu::Vcpu& vcpu) override { vcpu.set_pc(map::mrom); }

    static constexpr PciWindows pci_ = {.ecam = 0x30000000,
                                        .ecam_bytes = 0x10000000,
                                        .io = 0x3000000,
                                        .io_bytes = 0x10000,
                                        .memory = 0x40000000,
                                        .memory_bytes = 0x40000000,
                                        .high = 0x400000000,
                                        .high_bytes = 0x400000000};
    u64 ram_end() const { return map::ram + options_.ram_bytes; }
    bool aclint_ = false;
    memory::RamBlock* rom_ = nullptr;
    u32 plic_phandle_ = 0, test_phandle_ = 0;
};

Result<void> RiscvVirt::read_properties() {
    for (const auto& [name, value] : options_.properties) {
        if (name == "aclint" || name == "acpi") {
            bool on = TRY(flag(name, value));
            if (name == "aclint") aclint_ = on;
        } else if (name == "aia") {
            if (value != "none") return Error::unsupported("-M aia: '{}', expected none", value);
        } else {
            constexpr std::string_view names[] = {"aclint", "acpi", "aia", "dtb", "dumpdtb", "accel"};
            return Error::invalid_argument("-M: machine 'virt' has no property '{}'{}", name,
                                           did_you_mean(name, names));
        }
    }
    return {};
}

Result<void> RiscvVirt::build() {
    TRY(read_properties());
    memory::Change change(machine_.memory());
    TRY(make_ram("riscv_virt_board.ram", map::ram));
    TRY(make_vcpus("riscv64", "rv64"));
    blocks_.push_back(TRY(memory::RamBlock::create("riscv_virt_board.mrom", map::mrom_size,
                                                   {.backing = memory::RamBlock::Backing::anonymous})));
    rom_ = blocks_.back().get();
    regions_.push_back(std::make_unique<memory::Region>("riscv_virt_board.mrom", *rom_, 0, map::mrom_size, true));
    machine_.system().add(*regions_.back(), map::mrom);

    TRY(make_interrupts());
    Device* plic = machine_.find("plic");
    TRY(put("riscv.sifive.test", "test", map::test));
    Device* rtc = TRY(put("goldfish_rtc", "rtc", map::rtc));
    machine_.connect(*rtc, "irq", *plic->inputs(), source::rtc);
    Device* uart = TRY(put("serial-mm", "serial", map::uart, {{"chardev", serial(0)}}).in("-serial"));
    machine_.connect(*uart, "irq", *plic->inputs(), source::uart);
    TRY(make_virtio_mmio(virtio_count, map::virtio, map::virtio_size, *plic->inputs(), source::virtio));
    TRY(make_fw_cfg(map::fw_cfg));
    TRY(make_pci(pci_, *plic->inputs(), source::pci));
    return make_flash(map::flash, map::flash_size);
}

Result<void> RiscvVirt::make_interrupts() {
    u32 harts = options_.smp.cpus;
    std::string count = std::to_string(harts);
    Device* plic = TRY(put("riscv.sifive.plic", "plic", map::plic,
                           {{"num-sources", std::to_string(source::count)},
                            {"num-contexts", std::to_string(2 * harts)},
                            {"aperture-size", std::to_string(map::plic_size)}}));
    Device* swi = TRY(put("riscv.aclint.swi", "mswi", map::clint, {{"num-harts", count}}));
    Device* mtimer = TRY(put("riscv.aclint.mtimer", "mtimer", map::clint + 0x4000,
                             {{"num-harts", count}, {"timebase-freq", std::to_string(timebase)}}));
    for (u32 i = 0; i < harts; i++) {
        machine_.connect(*plic, fmt::format("context[{}].irq", 2 * i), lines(i), line("MEIP"));
        machine_.connect(*plic, fmt::format("context[{}].irq", 2 * i + 1), lines(i), line("SEIP"));
        machine_.connect(*swi, fmt::format("hart[{}].irq", i), lines(i), line("MSIP"));
        machine_.connect(*mtimer, fmt::format("hart[{}].irq", i), lines(i), line("MTIP"));
    }
    return {};
}

// ---- device tree ------------------------------------------------------------------------------------------------------

void RiscvVirt::tree_cpus(FdtWriter& t, std::vector<u32>& intc_of) {
    std::vector<u32> cpu_of;
    t.node("cpus", [&] {
        t.cells("#address-cells", {1});
        t.cells("#size-cells", {0});
        t.cells("timebase-frequency", {u32(timebase)});
        for (u32 i = 0; i < options_.smp.cpus; i++)
            t.node(fmt::format("cpu@{:x}", i), [&] {
                cpu_of.push_back(t.new_phandle());
                t.cells("phandle", {cpu_of.back()});
                t.text("device_type", "cpu");
                t.cells("reg", {i});
                t.text("status", "okay");
                t.text("compatible", "riscv");
                for (const auto& [name, value] : guest_->system()->device_tree())
                    t.bytes(name.c_str(), {reinterpret_cast<const u8*>(value.data()), value.size()});
                t.node("interrupt-controller", [&] {
                    intc_of.push_back(t.new_phandle());
                    t.cells("#interrupt-cells", {1});
                    t.empty("interrupt-controller");
                    t.text("compatible", "riscv,cpu-intc");
                    t.cells("phandle", {intc_of.back()});
                });
            });
        t.node("cpu-map", [&] {
            t.node("cluster0", [&] {
                for (u32 i = 0; i < options_.smp.cpus; i++)
                    t.node(fmt::format("core{}", i), [&] { t.cells("cpu", {cpu_of[i]}); });
            });
        });
    });
}

void RiscvVirt::tree_interrupts(FdtWriter& t, const std::vector<u32>& intc_of) {
    auto to_harts = [&](std::initializer_list<u32> causes) {
        std::vector<u32> cells;
        for (u32 intc : intc_of)
            for (u32 cause : causes) cells.insert(cells.end(), {intc, cause});
        t.cells("interrupts-extended", cells);
    };
    if (aclint_) {
        t.node(fmt::format("mswi@{:x}", map::clint), [&] {
            t.text("compatible", "riscv,aclint-mswi");
            tree_reg(t, map::clint, 0x4000);
            to_harts({3});
            t.empty("interrupt-controller");
            t.cells("#interrupt-cells", {0});
        });
        t.node(fmt::format("mtimer@{:x}", map::clint + 0x4000), [&] {
            t.text("compatible", "riscv,aclint-mtimer");
            u64 at = map::clint + 0x4000, compare = 0x7ff8;
            t.cells("reg", {high(at), u32(at + compare), 0, u32(0x8000 - compare), high(at), u32(at), 0, u32(compare)});
            to_harts({7});
        });
    } else {
        t.node(fmt::format("clint@{:x}", map::clint), [&] {
            t.texts("compatible", {"sifive,clint0", "riscv,clint0"});
            tree_reg(t, map::clint, 0x10000);
            to_harts({3, 7});
        });
    }
    t.node(fmt::format("plic@{:x}", map::plic), [&] {
        t.texts("compatible", {"sifive,plic-1.0.0", "riscv,plic0"});
        t.cells("phandle", {plic_phandle_});
        t.cells("riscv,ndev", {source::count});
        tree_reg(t, map::plic, map::plic_size);
        to_harts({11, 9});
        t.empty("interrupt-controller");
        t.cells("#address-cells", {0});
        t.cells("#interrupt-cells", {1});
    });
}

void RiscvVirt::tree_devices(FdtWriter& t) {
    auto interrupt = [&](u32 n) {
        t.cells("interrupts", {n});
        t.cells("interrupt-parent", {plic_phandle_});
    };
    tree_pci(t, fmt::format("pci@{:x}", pci_.ecam), pci_, [&](u32 n) {
        return std::vector<u32>{plic_phandle_, source::pci + n};
    });
    // The last transport first: that is where devices go first, so kernels count them in the order of -device.
    for (u32 i = virtio_count; i-- > 0;)
        t.node(fmt::format("virtio_mmio@{:x}", map::virtio + i * map::virtio_size), [&] {
            t.text("compatible", "virtio,mmio");
            tree_reg(t, map::virtio + i * map::virtio_size, map::virtio_size);
            interrupt(source::virtio + i);
        });
    t.node(fmt::format("test@{:x}", map::test), [&] {
        t.cells("phandle", {test_phandle_});
        tree_reg(t, map::test, 0x1000);
        t.texts("compatible", {"sifive,test1", "sifive,test0", "syscon"});
    });
    t.node(fmt::format("serial@{:x}", map::uart), [&] {
        t.text("compatible", "ns16550a");
        tree_reg(t, map::uart, 0x100);
        t.cells("clock-frequency", {3686400});
        interrupt(source::uart);
    });
    t.node(fmt::format("rtc@{:x}", map::rtc), [&] {
        t.text("compatible", "google,goldfish-rtc");
        tree_reg(t, map::rtc, 0x1000);
        interrupt(source::rtc);
    });
}

Result<std::vector<u8>> RiscvVirt::device_tree(const Loaded& initrd) {
    FdtWriter t;
    t.cells("#address-cells", {2});
    t.cells("#size-cells", {2});
    t.text("compatible", "riscv-virtio");
    t.text("model", "riscv-virtio,qemu");
    tree_memory(t, map::ram);
    std::vector<u32> intc_of;
    tree_cpus(t, intc_of);
    plic_phandle_ = t.new_phandle();
    test_phandle_ = t.new_phandle();
    t.node("soc", [&] {
        t.cells("#address-cells", {2});
        t.cells("#size-cells", {2});
        t.text("compatible", "simple-bus");
        t.empty("ranges");
        tree_interrupts(t, intc_of);
        tree_devices(t);
    });
    auto syscon = [&](const char* name, u32 value) {
        t.node(name, [&] {
            t.cells("value", {value});
            t.cells("offset", {0});
            t.cells("regmap", {test_phandle_});
            t.text("compatible", fmt::format("syscon-{}", name));
        });
    };
    syscon("poweroff", 0x5555);
    syscon("reboot", 0x7777);
    tree_platform_bus(t, map::platform_bus, map::platform_bus_size, plic_phandle_);
    tree_fw_cfg(t, map::fw_cfg);
    t.node(fmt::format("flash@{:x}", map::flash), [&] {
        t.text("compatible", "cfi-flash");
        t.cells("reg", {0, u32(map::flash), 0, u32(map::flash_size), 0, u32(map::flash + map::flash_size), 0,
                        u32(map::flash_size)});
        t.cells("bank-width", {4});
    });
    tree_chosen(t, fmt::format("/soc/serial@{:x}", map::uart), initrd, {{"rng-seed", 32}});
    return t.finish();
}

// ---- boot -------------------------------------------------------------------------------------------------------------

// The first instructions of every hart: a0 = hart, a1 = device tree, a2 = what FW_DYNAMIC reads; then the firmware.
Result<void> RiscvVirt::make_rom(u64 start, u64 tree, u64 kernel_entry) {
    std::vector<u8> rom;
    for (const char* text : {"auipc t0, 0", "addi a2, t0, 40", "csrrs a0, mhartid, zero", "ld a1, 32(t0)",
                             "ld t0, 24(t0)", "jalr zero, 0(t0)"}) {
        auto code = TRY(guest_->assemble(text, map::mrom + rom.size(), 0));
        rom.insert(rom.end(), code.begin(), code.end());
    }
    rom.resize(24);
    // From 40 on: magic, version, next address, next mode (S), options, boot hart (0).
    u64 words[] = {start, tree, 0x4942534f, 2, kernel_entry, 1, 0, 0};
    const u8* bytes = reinterpret_cast<const u8*>(words);
    rom.insert(rom.end(), bytes, bytes + sizeof words);
    return loader_.add_bytes("reset vector", map::mrom, std::move(rom));
}

Result<void> RiscvVirt::load() {
    if (!options_.smbios.empty()) return Error::unsupported("-smbios: this board has no SMBIOS tables");
    constexpr std::string_view opensbi[] = {"opensbi-riscv64-generic-fw_dynamic.bin", "fw_dynamic.bin",
                                            "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin"};
    Loaded firmware{map::ram, map::ram, map::ram};
    bool no_firmware = options_.bios == "none";
    bool flash_boot =
        no_firmware == false && options_.bios.empty() && !options_.flash.empty() && !options_.flash[0].empty();
    if (!no_firmware) {
        std::string path = options_.bios.empty() || options_.bios == "default"
                               ? TRY(find_firmware(options_.firmware_folders, opensbi, "opensbi"))
                               : bios_path();
        firmware = TRY(loader_.add_image("-bios", path, map::ram, elf_riscv));
    }
    TRY(check_kernel_options());
    Loaded kernel, initrd;
    if (!options_.kernel.empty()) {
        u64 at = no_firmware ? map::ram : (firmware.end + 2 * megabyte - 1) & ~(2 * megabyte - 1);
        kernel = TRY(loader_.add_image("-kernel", options_.kernel, at, elf_riscv));
        fw_cfg_->add_number(devices::fw_cfg_key::kernel_size, kernel.end - kernel.start, 4);
    }
    if (!options_.initrd.empty()) {
        u64 at = kernel.start + std::min<u64>(options_.ram_bytes / 2, 128 * megabyte);
        at = std::max(at, (kernel.end + 2 * megabyte - 1) & ~(2 * megabyte - 1));
        initrd = TRY(loader_.add_raw("-initrd", options_.initrd, at));
    }
    auto blob = TRY(choose_tree(initrd, [&] { return device_tree(initrd); }));
    if (TRY(dump_tree(blob))) return {};
    // As high as a 32-bit address reaches, below which early code of kernels maps it.
    u64 top = std::min(ram_end(), map::ram + 3072 * megabyte);
    u64 tree_at = (top - blob.size()) & ~(2 * megabyte - 1);
    if (tree_at < std::max({firmware.end, kernel.end, initrd.end}))
        return Error::no_space("-m: {} MiB hold no device tree behind firmware, kernel and initrd",
                               options_.ram_bytes / megabyte);
    TRY(loader_.add_bytes("device tree", tree_at, std::move(blob)));

    fill_fw_cfg();
    u64 start = no_firmware && kernel.end ? kernel.entry : firmware.entry;
    if (no_firmware && !kernel.end) start = map::flash;
    // Flash 1 holds what the firmware starts next when there is no kernel.
    u64 next = kernel.end ? kernel.entry : flash_boot ? map::flash : 0;
    return make_rom(start, tree_at, next);
}

std::unique_ptr<Board> make(const BoardOptions& options) { return std::make_unique<RiscvVirt>(options); }

constexpr BoardType::Property properties[] = {
    {"aclint", "bool", "ACLINT instead of a CLINT in the device tree (default: off)"},
    {"aia", "none", "advanced interrupt architecture (default: none)"},
    {"dumpdtb", "string", "write the device tree to this file and leave"},
};

} // namespace

MIMIC_BOARD(riscv_virt) = {.name = "virt-10.0",
                           .alias = "virt",
                           .guest = "riscv64",
                           .summary = "RISC-V VirtIO board",
                           .default_cpu = "rv64",
                           .default_ram = 128 << 20,
                           .max_cpus = max_harts,
                           .make = make,
                           .properties = properties};

} // namespace mimic::machines
