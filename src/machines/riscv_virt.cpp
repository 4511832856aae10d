// RISC-V `virt`: the board that firmware and kernels know from QEMU, by its memory map and device tree.
// Source: QEMU documentation, "virt Generic Virtual Platform (virt)"; the memory map and tree as its guests see them;
// OpenSBI documentation, "OpenSBI Firmware with Dynamic Information FW_DYNAMIC"; Linux Documentation/arch/riscv/boot.
// Interrupts: the RISC-V Advanced Interrupt Architecture 1.0; device tree bindings riscv,aplic and riscv,imsics.
// Not there: ACPI tables, NUMA.
#include "base/nearest.hpp"
#include "devices/intc/riscv_imsic.hpp"
#include "isa/system.hpp"
#include "machines/virt.hpp"
#include <algorithm>

namespace mimic::machines {
namespace {

using devices::Device;

namespace map {
constexpr u64 mrom = 0x1000, test = 0x100000, rtc = 0x101000, clint = 0x2000000, platform_bus = 0x4000000,
              plic = 0xc000000, aplic_m = 0xc000000, aplic_s = 0xd000000, uart = 0x10000000, virtio = 0x10001000,
              fw_cfg = 0x10100000, flash = 0x20000000, imsic_m = 0x24000000, imsic_s = 0x28000000, ram = 0x80000000;
constexpr u64 mrom_size = 0xf000, plic_size = 0x600000, aplic_size = 0x8000, platform_bus_size = 0x2000000,
              flash_size = 0x2000000, virtio_size = 0x1000, imsic_page = 0x1000;
} // namespace map
namespace source { // of the PLIC or APLIC
constexpr u32 virtio = 1, uart = 10, rtc = 11, pci = 32, count = 96;
}
constexpr u32 virtio_count = 8, max_harts = 512, msi_identities = 255, max_guests = 7;
constexpr u32 level_high = 4; // second cell of an APLIC's interrupt
namespace cause {
constexpr u32 msi = 3, mti = 7, sei = 9, mei = 11;
}
constexpr u64 timebase = 10000000;
constexpr u16 elf_riscv = 243;

class RiscvVirt final : public VirtBoard, cpu::BoardPort {
public:
    explicit RiscvVirt(const BoardOptions& o) : VirtBoard(o) {}
    Result<void> build() override;
    Result<void> load() override;

private:
    enum class Aia { none, aplic, aplic_imsic };

    Result<void> read_properties();
    Result<void> read_property(const std::string& name, const std::string& value);
    Result<void> make_interrupts();
    Result<Device*> make_plic();
    Result<Device*> make_aplic();
    Result<void> make_imsics();
    cpu::BoardPort* port() override { return this; }
    bool access_register(cpu::Vcpu& vcpu, isa::BoardRequest& r) override;
    Result<void> make_rom(u64 start, u64 device_tree, u64 kernel_entry);
    Result<std::vector<u8>> device_tree(const Loaded& initrd);
    void tree_cpus(FdtWriter& t, std::vector<u32>& intc_of);
    void tree_interrupts(FdtWriter& t, const std::vector<u32>& intc_of);
    void tree_local(FdtWriter& t, const std::vector<u32>& intc_of);
    void tree_plic(FdtWriter& t, const std::vector<u32>& intc_of);
    void tree_aplic(FdtWriter& t, const std::vector<u32>& intc_of, bool machine);
    void tree_imsic(FdtWriter& t, const std::vector<u32>& intc_of, bool machine);
    void tree_devices(FdtWriter& t);
    // The cells of a source at the controller of supervisor level.
    std::vector<u32> cells_of(u32 source) const;
    u32 guest_bits() const;
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
    Aia aia_ = Aia::none;
    u32 aia_guests_ = 0;
    memory::RamBlock* rom_ = nullptr;
    Device* controller_ = nullptr; // where devices' lines end
    devices::RiscvImsic *imsic_m_ = nullptr, *imsic_s_ = nullptr;
    // `controller`: of supervisor level; `root`: of the APLIC's machine level.
    struct {
        u32 controller = 0, root = 0, imsic_m = 0, imsic_s = 0, test = 0;
    } phandles_;
};

Result<void> RiscvVirt::read_property(const std::string& name, const std::string& value) {
    if (name == "aclint") return aclint_ = TRY(flag(name, value)), Result<void>();
    if (name == "acpi") return TRY(flag(name, value)), Result<void>();
    if (name == "aia") {
        constexpr std::string_view kinds[] = {"none", "aplic", "aplic-imsic"};
        auto it = std::find(std::begin(kinds), std::end(kinds), value);
        if (it == std::end(kinds))
            return Error::invalid_argument("-M aia: '{}', expected none, aplic or aplic-imsic{}", value,
                                           did_you_mean(value, kinds));
        aia_ = Aia(it - std::begin(kinds));
        return {};
    }
    if (name == "aia-guests") {
        if (value.size() != 1 || value[0] < '0' || u32(value[0] - '0') > max_guests)
            return Error::invalid_argument("-M aia-guests: '{}', expected 0 to {}", value, max_guests);
        aia_guests_ = u32(value[0] - '0');
        return {};
    }
    constexpr std::string_view names[] = {"aclint", "acpi", "aia", "aia-guests", "dtb", "dumpdtb", "accel"};
    return Error::invalid_argument("-M: machine 'virt' has no property '{}'{}", name, did_you_mean(name, names));
}

Result<void> RiscvVirt::read_properties() {
    for (const auto& [name, value] : options_.properties) TRY(read_property(name, value));
    return {};
}

u32 RiscvVirt::guest_bits() const {
    u32 bits = 0;
    while ((1u << bits) < aia_guests_ + 1) bits++;
    return bits;
}

Result<void> RiscvVirt::build() {
    TRY(read_properties());
    memory::Change change(machine_.memory());
    TRY(make_ram("riscv_virt_board.ram", map::ram));
    TRY(make_vcpus("riscv64", "rv64", aia_ == Aia::aplic_imsic ? ",smaia=on,ssaia=on" : ""));
    blocks_.push_back(TRY(memory::RamBlock::create("riscv_virt_board.mrom", map::mrom_size,
                                                   {.backing = memory::RamBlock::Backing::anonymous})));
    rom_ = blocks_.back().get();
    regions_.push_back(std::make_unique<memory::Region>("riscv_virt_board.mrom", *rom_, 0, map::mrom_size, true));
    machine_.system().add(*regions_.back(), map::mrom);

    TRY(make_interrupts());
    devices::LineSink& inputs = *controller_->inputs();
    TRY(put("riscv.sifive.test", "test", map::test));
    Device* rtc = TRY(put("goldfish_rtc", "rtc", map::rtc));
    machine_.connect(*rtc, "irq", inputs, source::rtc);
    Device* uart = TRY(put("serial-mm", "serial", map::uart, {{"chardev", serial(0)}}).in("-serial"));
    machine_.connect(*uart, "irq", inputs, source::uart);
    TRY(make_virtio_mmio(virtio_count, map::virtio, map::virtio_size, inputs, source::virtio));
    TRY(make_fw_cfg(map::fw_cfg));
    TRY(make_pci(pci_, inputs, source::pci));
    return make_flash(map::flash, map::flash_size);
}

Result<void> RiscvVirt::make_interrupts() {
    u32 harts = options_.smp.cpus;
    std::string count = std::to_string(harts);
    if (aia_ == Aia::aplic_imsic) TRY(make_imsics());
    controller_ = TRY(aia_ == Aia::none ? make_plic() : make_aplic());
    Device* swi = TRY(put("riscv.aclint.swi", "mswi", map::clint, {{"num-harts", count}}));
    Device* mtimer = TRY(put("riscv.aclint.mtimer", "mtimer", map::clint + 0x4000,
                             {{"num-harts", count}, {"timebase-freq", std::to_string(timebase)}}));
    for (u32 i = 0; i < harts; i++) {
        machine_.connect(*swi, fmt::format("hart[{}].irq", i), lines(i), line("MSIP"));
        machine_.connect(*mtimer, fmt::format("hart[{}].irq", i), lines(i), line("MTIP"));
    }
    return {};
}

Result<Device*> RiscvVirt::make_plic() {
    u32 harts = options_.smp.cpus;
    Device* plic = TRY(put("riscv.sifive.plic", "plic", map::plic,
                           {{"num-sources", std::to_string(source::count)},
                            {"num-contexts", std::to_string(2 * harts)},
                            {"aperture-size", std::to_string(map::plic_size)}}));
    for (u32 i = 0; i < harts; i++) {
        machine_.connect(*plic, fmt::format("context[{}].irq", 2 * i), lines(i), line("MEIP"));
        machine_.connect(*plic, fmt::format("context[{}].irq", 2 * i + 1), lines(i), line("SEIP"));
    }
    return plic;
}

// Its domains lie apart in the map. With IMSICs, no line goes to a processor.
Result<Device*> RiscvVirt::make_aplic() {
    u32 harts = options_.smp.cpus;
    Device* aplic = TRY(machine_.create("riscv.aplic", "aplic",
                                        {{"num-sources", std::to_string(source::count)},
                                         {"num-harts", std::to_string(harts)},
                                         {"msimode", aia_ == Aia::aplic_imsic ? "on" : "off"}}));
    auto show = [&](const char* name, u64 from, u64 at) {
        regions_.push_back(std::make_unique<memory::Region>(name, aplic->region(0), from, map::aplic_size));
        machine_.system().add(*regions_.back(), at);
    };
    show("aplic.m", 0, map::aplic_m);
    show("aplic.s", map::aplic_size, map::aplic_s);
    for (u32 i = 0; aia_ == Aia::aplic && i < harts; i++) {
        machine_.connect(*aplic, fmt::format("domain[0].hart[{}].irq", i), lines(i), line("MEIP"));
        machine_.connect(*aplic, fmt::format("domain[1].hart[{}].irq", i), lines(i), line("SEIP"));
    }
    return aplic;
}

Result<void> RiscvVirt::make_imsics() {
    auto make = [&](const char* name, u64 at, u32 pages, std::string_view to) -> Result<devices::RiscvImsic*> {
        u32 harts = options_.smp.cpus;
        Device* imsic = TRY(put("riscv.imsic", name, at,
                                {{"num-harts", std::to_string(harts)},
                                 {"num-irqs", std::to_string(msi_identities)},
                                 {"num-pages", std::to_string(pages)}}));
        for (u32 i = 0; i < harts; i++) machine_.connect(*imsic, fmt::format("hart[{}].irq", i), lines(i), line(to));
        return static_cast<devices::RiscvImsic*>(imsic);
    };
    imsic_m_ = TRY(make("imsic.m", map::imsic_m, 1, "MEIP"));
    imsic_s_ = TRY(make("imsic.s", map::imsic_s, 1u << guest_bits(), "SEIP"));
    return {};
}

// The windows of AIA to a hart's interrupt files, by the numbers of isa::BoardRequest.
bool RiscvVirt::access_register(cpu::Vcpu& vcpu, isa::BoardRequest& r) {
    u32 csr = r.number & 0xfff, select = r.number >> 16;
    devices::RiscvImsic* imsic = csr >> 8 == 3 ? imsic_m_ : imsic_s_;
    if (!imsic) return false;
    bool change = r.kind == isa::BoardRequest::Kind::change;
    if (!select) return imsic->top(vcpu.index(), change, r.values[0]);
    return imsic->access(vcpu.index(), select, change ? r.values[1] : 0, r.values[2], r.values[0]);
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

// The lines of all harts that these causes come by.
void tree_to_harts(FdtWriter& t, const std::vector<u32>& intc_of, std::initializer_list<u32> causes) {
    std::vector<u32> cells;
    for (u32 intc : intc_of)
        for (u32 cause : causes) cells.insert(cells.end(), {intc, cause});
    t.cells("interrupts-extended", cells);
}

void RiscvVirt::tree_interrupts(FdtWriter& t, const std::vector<u32>& intc_of) {
    tree_local(t, intc_of);
    if (aia_ == Aia::none) return tree_plic(t, intc_of);
    for (bool machine : {true, false}) {
        if (aia_ == Aia::aplic_imsic) tree_imsic(t, intc_of, machine);
        tree_aplic(t, intc_of, machine);
    }
}

// Timers and software interrupts. With IMSICs, an ACLINT is its timers alone.
void RiscvVirt::tree_local(FdtWriter& t, const std::vector<u32>& intc_of) {
    if (!aclint_) {
        t.node(fmt::format("clint@{:x}", map::clint), [&] {
            t.texts("compatible", {"sifive,clint0", "riscv,clint0"});
            tree_reg(t, map::clint, 0x10000);
            tree_to_harts(t, intc_of, {cause::msi, cause::mti});
        });
        return;
    }
    if (aia_ != Aia::aplic_imsic)
        t.node(fmt::format("mswi@{:x}", map::clint), [&] {
            t.text("compatible", "riscv,aclint-mswi");
            tree_reg(t, map::clint, 0x4000);
            tree_to_harts(t, intc_of, {cause::msi});
            t.empty("interrupt-controller");
            t.cells("#interrupt-cells", {0});
        });
    t.node(fmt::format("mtimer@{:x}", map::clint + 0x4000), [&] {
        t.text("compatible", "riscv,aclint-mtimer");
        u64 at = map::clint + 0x4000, compare = 0x7ff8;
        t.cells("reg", {high(at), u32(at + compare), 0, u32(0x8000 - compare), high(at), u32(at), 0, u32(compare)});
        tree_to_harts(t, intc_of, {cause::mti});
    });
}

void RiscvVirt::tree_plic(FdtWriter& t, const std::vector<u32>& intc_of) {
    t.node(fmt::format("plic@{:x}", map::plic), [&] {
        t.texts("compatible", {"sifive,plic-1.0.0", "riscv,plic0"});
        t.cells("phandle", {phandles_.controller});
        t.cells("riscv,ndev", {source::count});
        tree_reg(t, map::plic, map::plic_size);
        tree_to_harts(t, intc_of, {cause::mei, cause::sei});
        t.empty("interrupt-controller");
        t.cells("#address-cells", {0});
        t.cells("#interrupt-cells", {1});
    });
}

void RiscvVirt::tree_aplic(FdtWriter& t, const std::vector<u32>& intc_of, bool machine) {
    u64 at = machine ? map::aplic_m : map::aplic_s;
    t.node(fmt::format("aplic@{:x}", at), [&] {
        t.text("compatible", "riscv,aplic");
        t.cells("phandle", {machine ? phandles_.root : phandles_.controller});
        t.cells("#interrupt-cells", {2});
        t.empty("interrupt-controller");
        if (aia_ == Aia::aplic_imsic)
            t.cells("msi-parent", {machine ? phandles_.imsic_m : phandles_.imsic_s});
        else
            tree_to_harts(t, intc_of, {machine ? cause::mei : cause::sei});
        tree_reg(t, at, map::aplic_size);
        t.cells("riscv,num-sources", {source::count});
        if (!machine) return;
        // All of them to the child, under the binding's name and the one that firmware before OpenSBI 1.3 knows.
        t.cells("riscv,children", {phandles_.controller});
        t.cells("riscv,delegation", {phandles_.controller, 1, source::count});
        t.cells("riscv,delegate", {phandles_.controller, 1, source::count});
    });
}

void RiscvVirt::tree_imsic(FdtWriter& t, const std::vector<u32>& intc_of, bool machine) {
    u64 at = machine ? map::imsic_m : map::imsic_s, pages = machine ? 1 : u64{1} << guest_bits();
    t.node(fmt::format("imsics@{:x}", at), [&] {
        t.text("compatible", "riscv,imsics");
        t.cells("phandle", {machine ? phandles_.imsic_m : phandles_.imsic_s});
        t.cells("#interrupt-cells", {0});
        t.empty("interrupt-controller");
        t.empty("msi-controller");
        tree_to_harts(t, intc_of, {machine ? cause::mei : cause::sei});
        tree_reg(t, at, options_.smp.cpus * pages * map::imsic_page);
        t.cells("riscv,num-ids", {msi_identities});
        t.cells("riscv,ipi-id", {1});
        if (pages > 1) t.cells("riscv,guest-index-bits", {guest_bits()});
    });
}

std::vector<u32> RiscvVirt::cells_of(u32 source) const {
    if (aia_ == Aia::none) return {source};
    return {source, level_high};
}

void RiscvVirt::tree_devices(FdtWriter& t) {
    auto interrupt = [&](u32 n) {
        t.cells("interrupts", cells_of(n));
        t.cells("interrupt-parent", {phandles_.controller});
    };
    auto pin = [&](u32 n) {
        std::vector<u32> cells = cells_of(source::pci + n);
        cells.insert(cells.begin(), phandles_.controller);
        return cells;
    };
    tree_pci(t, fmt::format("pci@{:x}", pci_.ecam), pci_, pin, [&] {
        if (aia_ == Aia::aplic_imsic) t.cells("msi-parent", {phandles_.imsic_s});
    });
    // The last transport first: that is where devices go first, so kernels count them in the order of -device.
    for (u32 i = virtio_count; i-- > 0;)
        t.node(fmt::format("virtio_mmio@{:x}", map::virtio + i * map::virtio_size), [&] {
            t.text("compatible", "virtio,mmio");
            tree_reg(t, map::virtio + i * map::virtio_size, map::virtio_size);
            interrupt(source::virtio + i);
        });
    t.node(fmt::format("test@{:x}", map::test), [&] {
        t.cells("phandle", {phandles_.test});
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
    if (aia_ == Aia::aplic_imsic) phandles_.imsic_m = t.new_phandle(), phandles_.imsic_s = t.new_phandle();
    if (aia_ != Aia::none) phandles_.root = t.new_phandle();
    phandles_.controller = t.new_phandle();
    phandles_.test = t.new_phandle();
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
            t.cells("regmap", {phandles_.test});
            t.text("compatible", fmt::format("syscon-{}", name));
        });
    };
    syscon("poweroff", 0x5555);
    syscon("reboot", 0x7777);
    tree_platform_bus(t, map::platform_bus, map::platform_bus_size, phandles_.controller);
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
        kernel = TRY(loader_.add_kernel("-kernel", options_.kernel, at, elf_riscv, options_.ram_bytes));
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
    TRY(add_given_files());
    TRY(add_boot_order());
    u64 start = no_firmware && kernel.end ? kernel.entry : firmware.entry;
    if (no_firmware && !kernel.end) start = map::flash;
    // Flash 1 holds what the firmware starts next when there is no kernel.
    u64 next = kernel.end ? kernel.entry : flash_boot ? map::flash : 0;
    return make_rom(start, tree_at, next);
}

std::unique_ptr<Board> make(const BoardOptions& options) { return std::make_unique<RiscvVirt>(options); }

constexpr BoardType::Property properties[] = {
    {"aclint", "bool", "ACLINT instead of a CLINT in the device tree (default: off)"},
    {"aia", "none|aplic|aplic-imsic", "advanced interrupt architecture instead of a PLIC (default: none)"},
    {"aia-guests", "number", "pages of guest interrupt files beside each hart's own, 0 to 7 (default: 0)"},
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
