// Arm `virt`: the board that firmware and kernels know from QEMU, by its memory map and device tree.
// Source: QEMU documentation, "'virt' generic virtual platform (virt)"; the memory map and tree as its guests see them;
// Linux, Documentation/arch/arm64/booting.rst; Arm DEN 0022 (PSCI).
// The secure world (secure=on) is arm_virt_secure.cpp. Not there: SMMU, NUMA.
#include "base/nearest.hpp"
#include "devices/intc/arm_gicv3.hpp"
#include "isa/system.hpp"
#include "machines/arm_virt_acpi.hpp"
#include "machines/arm_virt_secure.hpp"
#include "machines/arm_virt_tree.hpp"
#include "machines/boot/psci.hpp"
#include "machines/boot/smbios.hpp"
#include "machines/virt.hpp"
#include <algorithm>

namespace mimic::machines {
namespace {

using namespace arm_virt;
using devices::Device;

constexpr u32 gicv2_cpus = 8, gicv3_cpus = map::gic_redist_size / 0x20000;
constexpr u32 clock_hz = 24000000, ppi_maintenance = 25;
constexpr u32 KEY_POWER = 116; // of Linux's input event codes
// Cells of an interrupt in the tree (binding "arm,gic"): kind, number, trigger.

// An output line of a processor and the private interrupt that it is (BSA 1.0, table "PPI assignments").
struct Ppi {
    std::string_view line;
    u32 id;
};
constexpr Ppi ppis[] = {{"CNTP", 30}, {"CNTV", 27}, {"CNTHP", 26}, {"CNTPS", 29}, {"CNTHV", 28}, {"PMU", 23}};

class ArmVirt final : public VirtBoard, cpu::BoardPort {
public:
    explicit ArmVirt(const BoardOptions& o) : VirtBoard(o) {}
    ~ArmVirt() override { stop(); } // before what its port needs goes
    Result<void> build() override;
    Result<void> load() override;
    void press_power_button() override;
    std::vector<std::pair<std::string_view, u32>> vcpu_place(u32 n) const override;

private:
    Result<void> read_properties();
    Result<void> read_property(std::string_view name, std::string_view value);
    Result<void> make_interrupts();
    Result<void> make_message_frame();
    Result<void> make_secure_ram();
    Result<void> make_gpio();
    Result<std::vector<u8>> device_tree(const Loaded& initrd);
    void tree_cpus(FdtWriter& t);
    void tree_topology(FdtWriter& t, std::span<const u32> phandles);
    void tree_timers(FdtWriter& t);
    void tree_interrupts(FdtWriter& t);
    void tree_devices(FdtWriter& t);
    void tree_gpio(FdtWriter& t);
    void tree_psci(FdtWriter& t);
    std::string compatible_cpu() const;
    Result<void> give_tables();
    Result<void> load_firmware();
    Result<void> load_kernel();
    Result<Loaded> load_initrd(const Loaded& kernel);

    void reset_vcpu(cpu::Vcpu& vcpu) override;
    u64 vcpu_id(u32 n) const override { return affinity_of(n, per_cluster()); }
    cpu::BoardPort* port() override { return this; }
    void loaded_state() override {
        if (psci_) psci_->follow();
    }
    bool call(cpu::Vcpu& vcpu, isa::BoardRequest& r) override { return psci_ && psci_->call(vcpu, r); }
    bool access_register(cpu::Vcpu& vcpu, isa::BoardRequest& r) override;
    void output(cpu::Vcpu& vcpu, u32 line, bool level) override;

    u32 per_cluster() const { return gic_version_ == 2 ? gicv2_cpus : 16; }
    u64 ram_end() const { return map::ram + options_.ram_bytes; }
    bool firmware() const { return !options_.bios.empty() || (!options_.flash.empty() && !options_.flash[0].empty()); }
    // The exception level that a kernel is started at.
    u32 kernel_level() const { return virtualization_ ? 2 : 1; }
    // What begins at EL3 is the machine's firmware.
    Psci::Conduit conduit() const {
        if (secure_ && !by_protocol_) return Psci::Conduit::none;
        return virtualization_ ? Psci::Conduit::smc : Psci::Conduit::hvc;
    }

    u32 gic_version_ = 2;
    bool virtualization_ = false, secure_ = false, its_ = true, acpi_ = true, seeds_ = true;
    PciWindows pci_ = pci;
    Device* gic_ = nullptr;
    devices::GicV3* gicv3_ = nullptr; // the same, of version 3
    std::unique_ptr<Psci> psci_;
    std::vector<u32> ppi_of_; // by output line
    u32 gic_phandle_ = 0, clock_phandle_ = 0, gpio_phandle_ = 0, msi_phandle_ = 0;
    u64 start_ = 0, tree_at_ = 0; // where the first processor begins, and its x0
    bool direct_ = false;         // there is a kernel and no firmware
    bool by_protocol_ = false;    // and the kernel is an Image
};

// ---- options ------------------------------------------------------------------------------------------------------------

Result<void> ArmVirt::read_property(std::string_view name, std::string_view value) {
    if (name == "gic-version") {
        if (value != "2" && value != "3" && value != "max")
            return Error::invalid_argument("-M gic-version: '{}', expected 2, 3 or max", value);
        gic_version_ = value == "2" ? 2 : 3;
        return {};
    }
    if (name == "virtualization") return virtualization_ = TRY(flag(name, value)), Result<void>();
    if (name == "secure") return secure_ = TRY(flag(name, value)), Result<void>();
    // What is accepted when it asks for what is there.
    struct Fixed {
        std::string_view name, value;
    };
    constexpr Fixed fixed[] = {{"mte", "off"}, {"ras", "off"}, {"iommu", "none"}};
    for (const Fixed& f : fixed)
        if (name == f.name) {
            if (value == f.value) return {};
            return Error::unsupported("-M {}: '{}', expected {}", name, value, f.value);
        }
    if (name == "its") return its_ = TRY(flag(name, value)), Result<void>();
    if (name == "acpi") return acpi_ = TRY(flag(name, value)), Result<void>();
    if (name == "dtb-randomness" || name == "dtb-kaslr-seed") return seeds_ = TRY(flag(name, value)), Result<void>();
    if (name == "highmem") {
        pci_ = TRY(flag(name, value)) ? pci : low_pci;
        return {};
    }
    constexpr std::string_view names[] = {
        "acpi", "dtb", "dumpdtb", "dtb-randomness", "gic-version", "highmem",       "iommu",
        "its",  "mte", "ras",     "secure",         "accel",       "virtualization"};
    return Error::invalid_argument("-M: machine 'virt' has no property '{}'{}", name, did_you_mean(name, names));
}

Result<void> ArmVirt::read_properties() {
    for (const auto& [name, value] : options_.properties) TRY(read_property(name, value));
    constexpr u64 low_end = u64{1} << 32;
    if (!pci_.high_bytes && ram_end() > low_end)
        return Error::invalid_argument("-m: {} MiB, expected at most {} with highmem=off",
                                       options_.ram_bytes / megabyte, (low_end - map::ram) / megabyte);
    u32 most = gic_version_ == 2 ? gicv2_cpus : gicv3_cpus;
    if (options_.smp.cpus > most)
        return Error::invalid_argument("-smp cpus: {}, expected at most {} with gic-version={}", options_.smp.cpus,
                                       most, gic_version_);
    return {};
}

// ---- devices ------------------------------------------------------------------------------------------------------------

Result<void> ArmVirt::build() {
    TRY(read_properties());
    memory::Change change(machine_.memory());
    TRY(make_ram("mach-virt.ram", map::ram));
    memory::Region* secure_memory = secure_ ? &make_secure_space() : nullptr;
    TRY(make_interrupts());
    std::string features = virtualization_ ? ",el2=on" : "";
    if (secure_) features += ",el3=on";
    if (gic_version_ == 3) features += ",gic-registers=on";
    TRY(make_vcpus("aarch64", "cortex-a57", features));
    for (u32 i = 0; i < options_.smp.cpus; i++) {
        machine_.connect(*gic_, fmt::format("cpu[{}].irq", i), lines(i), line("IRQ"));
        machine_.connect(*gic_, fmt::format("cpu[{}].fiq", i), lines(i), line("FIQ"));
        if (gicv3_ && secure_) {
            machine_.connect(*gic_, fmt::format("cpu[{}].g1s", i), lines(i), line("G1S"));
            machine_.connect(*gic_, fmt::format("cpu[{}].g1ns", i), lines(i), line("G1NS"));
        }
        if (!virtualization_) continue;
        machine_.connect(*gic_, fmt::format("cpu[{}].virq", i), lines(i), line("VIRQ"));
        machine_.connect(*gic_, fmt::format("cpu[{}].vfiq", i), lines(i), line("VFIQ"));
        machine_.connect(*gic_, fmt::format("cpu[{}].maintenance", i), *gic_->inputs(),
                         spi::count + 32 * i + ppi_maintenance);
    }
    for (std::string_view name : guest_->system()->outputs()) {
        auto it = std::find_if(std::begin(ppis), std::end(ppis), [&](const Ppi& p) { return p.line == name; });
        ppi_of_.push_back(it == std::end(ppis) ? 0 : it->id);
    }
    auto interrupt = [&](Device& d, u32 n) { machine_.connect(d, "irq", *gic_->inputs(), n); };
    interrupt(*TRY(put("pl011", "serial", map::uart, {{"chardev", serial(0)}}).in("-serial")), spi::uart);
    interrupt(*TRY(put("pl031", "rtc", map::rtc)), spi::rtc);
    TRY(make_gpio());
    TRY(make_virtio_mmio(spi::virtio_count, map::virtio, map::virtio_size, *gic_->inputs(), spi::virtio));
    TRY(make_fw_cfg(map::fw_cfg));
    TRY(make_pci(pci_, *gic_->inputs(), spi::pci));
    if (!secure_) return make_flash(map::flash, map::flash_size);
    TRY(make_secure_ram());
    TRY(make_secure_devices(machine_, {*secure_memory, *gic_->inputs(), serial(1)}));
    return make_flash(map::flash, map::flash_size, secure_memory);
}

Result<void> ArmVirt::make_secure_ram() {
    constexpr const char* name = "mach-virt.secure-ram";
    blocks_.push_back(TRY(memory::RamBlock::create(name, map::secure_ram_size, {}).in("-M secure")));
    regions_.push_back(std::make_unique<memory::Region>(name, *blocks_.back(), 0, map::secure_ram_size, false));
    secure_root_->add(*regions_.back(), map::secure_ram);
    return {};
}

Result<void> ArmVirt::make_interrupts() {
    devices::PropertyList sizes{{"num-cpu", std::to_string(options_.smp.cpus)},
                                {"num-irq", std::to_string(spi::count + 32)},
                                {"has-security-extensions", secure_ ? "on" : "off"}};
    if (gic_version_ == 2) {
        gic_ = TRY(put("arm_gic", "gic", map::gic_dist, sizes));
        machine_.mount(*gic_, 1, map::gic_cpu);
        if (virtualization_) {
            machine_.mount(*gic_, 2, map::gic_hyp);
            machine_.mount(*gic_, 3, map::gic_vcpu);
        }
        return make_message_frame();
    }
    sizes.emplace_back("has-lpi", its_ ? "on" : "off");
    sizes.emplace_back("awake",
                       secure_ ? "off" : "on"); // firmware for boards without a secure world does not wake them
    gic_ = TRY(put("arm-gicv3", "gic", map::gic_dist, sizes));
    machine_.mount(*gic_, 1, map::gic_redist);
    gicv3_ = static_cast<devices::GicV3*>(gic_);
    if (its_) TRY(put("arm-gicv3-its", "its", map::its, {{"gic", "gic"}}));
    return {};
}

Result<void> ArmVirt::make_message_frame() {
    Device* frame =
        TRY(put("arm-gicv2m", "gicv2m", map::gicv2m,
                {{"base-spi", std::to_string(spi::messages)}, {"num-spi", std::to_string(spi::message_count)}}));
    for (u32 i = 0; i < spi::message_count; i++)
        machine_.connect(*frame, fmt::format("spi[{}].out", i), *gic_->inputs(), spi::messages + i);
    return {};
}

Result<void> ArmVirt::make_gpio() {
    Device* gpio = TRY(put("pl061", "gpio", map::gpio));
    machine_.connect(*gpio, "irq", *gic_->inputs(), spi::gpio);
    Device* key = TRY(machine_.create("gpio-key", "power-button"));
    machine_.connect(*key, "out", *gpio->inputs(), power_button);
    return {};
}

void ArmVirt::press_power_button() { machine_.find("power-button")->inputs()->set_line(0, true); }

// The CPU interface of a GICv3: the processor's own, or that of a hypervisor's guest.
bool ArmVirt::access_register(cpu::Vcpu& vcpu, isa::BoardRequest& r) {
    if (!gicv3_) return false;
    bool read = r.kind == isa::BoardRequest::Kind::read;
    u32 cpu = vcpu.index();
    u64& v = r.values[0];
    devices::GicV3::Asker who{.cpu = cpu, .level = r.level, .secure = r.secure, .secure_fiq = r.secure_fiq};
    if (!r.virtual_interface)
        return read ? gicv3_->read_register(who, r.number, v) : gicv3_->write_register(who, r.number, v);
    if (gicv3_->traps_virtual(cpu, r.number)) return r.trapped = true, false;
    return read ? gicv3_->read_virtual(cpu, r.number, v) : gicv3_->write_virtual(cpu, r.number, v);
}

void ArmVirt::output(cpu::Vcpu& vcpu, u32 line, bool level) {
    if (u32 id = ppi_of_.at(line)) gic_->inputs()->set_line(spi::count + 32 * vcpu.index() + id, level);
}

// ---- device tree --------------------------------------------------------------------------------------------------------

// The binding's name of the processor; models that are no product's are shown as the board's default.
std::string ArmVirt::compatible_cpu() const {
    std::string_view model = options_.cpu;
    model = model.substr(0, model.find(','));
    bool product = model.starts_with("cortex-") || model.starts_with("neoverse-");
    return fmt::format("arm,{}", product ? model : "cortex-a57");
}

void ArmVirt::tree_cpus(FdtWriter& t) {
    u32 cpus = options_.smp.cpus;
    std::vector<u32> phandles;
    t.node("cpus", [&] {
        t.cells("#address-cells", {1});
        t.cells("#size-cells", {0});
        for (u32 i = 0; i < cpus; i++)
            t.node(fmt::format("cpu@{:x}", vcpu_id(i)), [&] {
                phandles.push_back(t.new_phandle());
                t.cells("phandle", {phandles.back()});
                t.text("device_type", "cpu");
                t.text("compatible", compatible_cpu());
                if (cpus > 1 && !(secure_ && firmware())) t.text("enable-method", "psci");
                t.cells("reg", {u32(vcpu_id(i))});
            });
        t.node("cpu-map", [&] { tree_topology(t, phandles); });
    });
}

// cpu-map of the binding "cpu-topology": processors are numbered threads first.
void ArmVirt::tree_topology(FdtWriter& t, std::span<const u32> phandles) {
    const Smp& smp = options_.smp;
    u32 next = 0;
    auto level = [&](const char* name, u32 i, const std::function<void()>& inside) {
        if (next < phandles.size()) t.node(fmt::format("{}{}", name, i), inside);
    };
    auto leaf = [&] { t.cells("cpu", {phandles[next++]}); };
    auto core = [&] {
        if (smp.threads == 1) return leaf();
        for (u32 i = 0; i < smp.threads; i++) level("thread", i, leaf);
    };
    auto cluster = [&] {
        for (u32 i = 0; i < smp.cores; i++) level("core", i, core);
    };
    auto socket = [&] {
        for (u32 i = 0; i < smp.dies * smp.clusters; i++) level("cluster", i, cluster);
    };
    for (u32 i = 0; i < smp.sockets; i++) level("socket", i, socket);
}

std::vector<std::pair<std::string_view, u32>> ArmVirt::vcpu_place(u32 n) const {
    const Smp& smp = options_.smp;
    const u32 core = n / smp.threads, cluster = core / smp.cores, clusters = smp.dies * smp.clusters;
    return {{"socket-id", cluster / clusters},
            {"cluster-id", cluster % clusters},
            {"core-id", core % smp.cores},
            {"thread-id", n % smp.threads}};
}

void ArmVirt::tree_timers(FdtWriter& t) {
    // Bits 15:8 of the trigger are the processors that a GICv2's private interrupt belongs to.
    u32 trigger = level_high | (gic_version_ == 2 ? ((1u << options_.smp.cpus) - 1) << 8 : 0);
    t.node("timer", [&] {
        t.texts("compatible", {"arm,armv8-timer", "arm,armv7-timer"});
        t.empty("always-on");
        t.cells("interrupts",
                {kind_ppi, 13, trigger, kind_ppi, 14, trigger, kind_ppi, 11, trigger, kind_ppi, 10, trigger});
    });
    t.node("pmu", [&] {
        t.text("compatible", "arm,armv8-pmuv3");
        t.cells("interrupts", {kind_ppi, 7, trigger});
    });
}

void ArmVirt::tree_interrupts(FdtWriter& t) {
    t.node(fmt::format("intc@{:x}", map::gic_dist), [&] {
        t.cells("phandle", {gic_phandle_});
        t.cells("#interrupt-cells", {3});
        t.empty("interrupt-controller");
        t.cells("#address-cells", {2});
        t.cells("#size-cells", {2});
        t.empty("ranges");
        if (gic_version_ == 2) {
            t.text("compatible", "arm,cortex-a15-gic");
            std::vector<u32> frames;
            for (u64 at : {map::gic_dist, map::gic_cpu, map::gic_hyp, map::gic_vcpu})
                if (virtualization_ || at < map::gic_hyp)
                    frames.insert(frames.end(), {0, u32(at), 0, u32(map::gic_size)});
            t.cells("reg", frames);
            if (virtualization_) t.cells("interrupts", {kind_ppi, 9, level_high});
            t.node(fmt::format("v2m@{:x}", map::gicv2m), [&] {
                t.cells("phandle", {msi_phandle_});
                t.text("compatible", "arm,gic-v2m-frame");
                t.empty("msi-controller");
                tree_reg(t, map::gicv2m, map::cell_size);
            });
            return;
        }
        t.text("compatible", "arm,gic-v3");
        t.cells("#redistributor-regions", {1});
        t.cells("reg",
                {0, u32(map::gic_dist), 0, u32(map::gic_size), 0, u32(map::gic_redist), 0, u32(map::gic_redist_size)});
        if (virtualization_) t.cells("interrupts", {kind_ppi, 9, level_high});
        if (!its_) return;
        t.node(fmt::format("its@{:x}", map::its), [&] {
            t.cells("phandle", {msi_phandle_});
            t.text("compatible", "arm,gic-v3-its");
            t.empty("msi-controller");
            t.cells("#msi-cells", {1});
            tree_reg(t, map::its, map::its_size);
        });
    });
}

void ArmVirt::tree_gpio(FdtWriter& t) {
    tree_pl061(t, {.at = map::gpio, .spi = spi::gpio, .clock_phandle = clock_phandle_}, gpio_phandle_);
    t.node("gpio-keys", [&] {
        t.text("compatible", "gpio-keys");
        t.node("poweroff", [&] {
            t.text("label", "GPIO Key Poweroff");
            t.cells("linux,code", {KEY_POWER});
            t.cells("gpios", {gpio_phandle_, power_button, 0});
        });
    });
}

void ArmVirt::tree_devices(FdtWriter& t) {
    tree_pl011(t, {.at = map::uart, .spi = spi::uart, .clock_phandle = clock_phandle_});
    t.node(fmt::format("pl031@{:x}", map::rtc), [&] {
        t.texts("compatible", {"arm,pl031", "arm,primecell"});
        tree_reg(t, map::rtc, map::cell_size);
        t.cells("interrupts", {kind_spi, spi::rtc, level_high});
        t.cells("clocks", {clock_phandle_});
        t.text("clock-names", "apb_pclk");
    });
    tree_gpio(t);
    auto pin = [&](u32 n) { return std::vector<u32>{gic_phandle_, 0, 0, kind_spi, spi::pci + n, level_high}; };
    tree_pci(t, fmt::format("pcie@{:x}", pci_.memory), pci_, pin, [&] {
        if (gic_version_ == 2 || its_) t.cells("msi-map", {0, msi_phandle_, 0, 0x10000});
    });
    for (u32 i = 0; i < spi::virtio_count; i++)
        t.node(fmt::format("virtio_mmio@{:x}", map::virtio + i * map::virtio_size), [&] {
            t.text("compatible", "virtio,mmio");
            tree_reg(t, map::virtio + i * map::virtio_size, map::virtio_size);
            t.cells("interrupts", {kind_spi, spi::virtio + i, edge});
            t.empty("dma-coherent");
        });
    tree_fw_cfg(t, map::fw_cfg);
    tree_platform_bus(t, map::platform_bus, map::platform_bus_size, gic_phandle_);
    u64 flash = map::flash + (secure_ ? map::flash_size : 0);
    t.node(fmt::format("flash@{:x}", flash), [&] {
        t.text("compatible", "cfi-flash");
        if (secure_)
            tree_reg(t, flash, map::flash_size);
        else
            t.cells("reg", {0, u32(map::flash), 0, u32(map::flash_size), 0, u32(map::flash + map::flash_size), 0,
                            u32(map::flash_size)});
        t.cells("bank-width", {4});
    });
}

void ArmVirt::tree_psci(FdtWriter& t) {
    if (conduit() == Psci::Conduit::none) return;
    t.node("psci", [&] {
        t.texts("compatible", {"arm,psci-1.0", "arm,psci-0.2", "arm,psci"});
        t.text("method", conduit() == Psci::Conduit::smc ? "smc" : "hvc");
        t.cells("cpu_suspend", {0xc4000001});
        t.cells("cpu_off", {0x84000002});
        t.cells("cpu_on", {0xc4000003});
        t.cells("migrate", {0xc4000005});
    });
}

Result<std::vector<u8>> ArmVirt::device_tree(const Loaded& initrd) {
    FdtWriter t;
    gic_phandle_ = t.new_phandle();
    clock_phandle_ = t.new_phandle();
    gpio_phandle_ = t.new_phandle();
    msi_phandle_ = t.new_phandle();
    t.cells("interrupt-parent", {gic_phandle_});
    t.text("model", "linux,dummy-virt");
    t.cells("#size-cells", {2});
    t.cells("#address-cells", {2});
    t.text("compatible", "linux,dummy-virt");
    tree_memory(t, map::ram);
    tree_psci(t);
    tree_cpus(t);
    tree_timers(t);
    tree_interrupts(t);
    t.node("apb-pclk", [&] {
        t.cells("phandle", {clock_phandle_});
        t.text("compatible", "fixed-clock");
        t.text("clock-output-names", "clk24mhz");
        t.cells("clock-frequency", {clock_hz});
        t.cells("#clock-cells", {0});
    });
    tree_devices(t);
    if (secure_) tree_secure(t, machine_, clock_phandle_);
    const std::string console = fmt::format("/pl011@{:x}", map::uart);
    if (seeds_)
        tree_chosen(t, console, initrd, {{"kaslr-seed", 8}, {"rng-seed", 32}});
    else
        tree_chosen(t, console, initrd, {});
    return t.finish();
}

// ---- boot -----------------------------------------------------------------------------------------------------------------

Result<Loaded> ArmVirt::load_initrd(const Loaded& kernel) {
    // As far behind the start as a kernel may unpack itself to, and behind the kernel.
    u64 at = map::ram + std::min<u64>(options_.ram_bytes / 2, 128 * megabyte);
    at = std::max(at, round_up(kernel.end, 2 * megabyte));
    if (options_.initrd.empty()) return Loaded{at, at, at};
    return loader_.add_raw("-initrd", options_.initrd, at);
}

Result<void> ArmVirt::load_kernel() {
    Loaded kernel = TRY(loader_.add_arm64_kernel("-kernel", options_.kernel, map::ram, options_.ram_bytes));
    by_protocol_ = kernel.by_protocol;
    Loaded initrd = TRY(load_initrd(kernel));
    u64 free = round_up(initrd.end, 2 * megabyte);
    if (options_.initrd.empty()) initrd = {};
    auto blob = TRY(choose_tree(initrd, [&] { return device_tree(initrd); }));
    if (TRY(dump_tree(blob))) return {};
    constexpr u64 most = 2 * megabyte; // booting.rst, section 2
    if (blob.size() > most) return Error::no_space("the device tree: {} bytes, expected at most {}", blob.size(), most);
    if (free + blob.size() > ram_end())
        return Error::no_space("-m: {} MiB hold no device tree behind kernel and initrd",
                               options_.ram_bytes / megabyte);
    TRY(loader_.add_bytes("device tree", free, std::move(blob)));
    start_ = kernel.entry;
    tree_at_ = free;
    direct_ = true;
    return {};
}

Result<void> ArmVirt::give_tables() {
    const Smp& smp = options_.smp;
    SmbiosBoard about;
    about.product = "QEMU Virtual Machine";
    about.version = "virt-10.0";
    about.uuid = options_.uuid;
    about.sockets = smp.sockets;
    about.cores = smp.dies * smp.clusters * smp.cores;
    about.threads = about.cores * smp.threads;
    about.ram_start = map::ram;
    about.ram_bytes = options_.ram_bytes;
    about.given = options_.smbios;
    TRY(give_smbios_tables(about, *fw_cfg_));
    if (!acpi_) return {};
    AcpiBoard b{.smp = smp,
                .gic_version = gic_version_,
                .its = its_,
                .virtualization = virtualization_,
                .pci = pci_,
                .psci = conduit() == Psci::Conduit::none  ? 0u
                        : conduit() == Psci::Conduit::smc ? 1u
                                                          : 3u};
    for (u32 i = 0; i < smp.cpus; i++) b.mpidrs.push_back(vcpu_id(i));
    return give_acpi_tables(b, *fw_cfg_);
}

// Firmware finds the tree where RAM begins, and what to start in fw_cfg.
Result<void> ArmVirt::load_firmware() {
    if (!options_.bios.empty()) {
        if (!options_.flash.empty() && !options_.flash[0].empty())
            return Error::invalid_argument("-bios: flash 0 has a drive already (-pflash), expected one of the two");
        TRY(loader_.add_raw("-bios", bios_path(), map::flash, secure_space()));
    }
    auto add_file = [&](u16 size_key, u16 data_key, const std::string& what, const std::string& path) -> Result<void> {
        auto file = TRY(HostFile::open(path).in("{}", what));
        fw_cfg_->add_number(size_key, file.bytes().size(), 4);
        fw_cfg_->add(data_key, {file.bytes().begin(), file.bytes().end()});
        return {};
    };
    namespace key = devices::fw_cfg_key;
    if (!options_.kernel.empty()) TRY(add_file(key::kernel_size, key::kernel_data, "-kernel", options_.kernel));
    if (!options_.initrd.empty()) TRY(add_file(key::initrd_size, key::initrd_data, "-initrd", options_.initrd));
    if (!options_.append.empty()) {
        fw_cfg_->add_number(key::cmdline_size, options_.append.size() + 1, 4);
        fw_cfg_->add_text(key::cmdline_data, options_.append);
    }
    TRY(give_tables());
    auto blob = TRY(choose_tree({}, [&] { return device_tree({}); }));
    if (TRY(dump_tree(blob))) return {};
    start_ = map::flash;
    return loader_.add_bytes("device tree", map::ram, std::move(blob));
}

Result<void> ArmVirt::load() {
    TRY(check_kernel_options());
    fill_fw_cfg();
    TRY(firmware() || options_.kernel.empty() ? load_firmware() : load_kernel());
    TRY(add_given_files());
    TRY(add_boot_order());
    psci_ = std::make_unique<Psci>(
        machine_, vcpus(), Psci::Options{.conduit = conduit(), .level = kernel_level(), .per_cluster = per_cluster()});
    return {};
}

void ArmVirt::reset_vcpu(cpu::Vcpu& vcpu) {
    if (direct_ && (!secure_ || by_protocol_)) vcpu.enter_level(kernel_level());
    vcpu.set_pc(start_);
    if (direct_) vcpu.write_register("x0", tree_at_);
    if (vcpu.index() != 0) return;
    if (psci_) psci_->reset(); // (it is made when what is booted is known)
    if (secure_ && by_protocol_) hand_over_interrupts({*secure_space(), gicv3_, options_.smp.cpus, spi::count + 32});
}

std::unique_ptr<Board> make(const BoardOptions& options) { return std::make_unique<ArmVirt>(options); }

constexpr BoardType::Property properties[] = {
    {"acpi", "bool", "firmware gets ACPI tables (default: on)"},
    {"dtb-randomness", "bool", "the device tree has random seeds (default: on)"},
    {"dumpdtb", "string", "write the device tree to this file and leave"},
    {"gic-version", "2|3|max", "the interrupt controller (default: 2)"},
    {"highmem", "bool", "RAM and PCI may lie above 4 GiB (default: on)"},
    {"its", "bool", "the interrupt translation service of gic-version=3 (default: on)"},
    {"secure", "bool", "processors have EL3, and there is a secure world (default: off)"},
    {"virtualization", "bool", "processors have EL2, and a kernel is started there (default: off)"},
};

} // namespace

MIMIC_BOARD(arm_virt) = {.name = "virt-10.0",
                         .alias = "virt",
                         .guest = "aarch64",
                         .summary = "Arm VirtIO board",
                         .default_cpu = "cortex-a57",
                         .default_ram = 128 << 20,
                         .max_cpus = gicv3_cpus,
                         .make = make,
                         .properties = properties,
                         .default_card = "virtio-net-pci"};

} // namespace mimic::machines
