#include "machines/virt.hpp"
#include "devices/pci/pci.hpp"
#include <algorithm>
#include <fstream>
#include <map>

namespace mimic::machines {

using devices::Device;

// ---- devices ----------------------------------------------------------------------------------------------------------

Result<Device*> VirtBoard::put(std::string_view type, std::string id, u64 at, const devices::PropertyList& properties) {
    Device* d = TRY(machine_.create(type, std::move(id), properties));
    machine_.mount(*d, 0, at);
    return d;
}

Result<void> VirtBoard::make_flash(u64 at, u64 bank_bytes, memory::Region* first) {
    if (options_.flash.size() > 2)
        return Error::invalid_argument("-pflash: {} drives, expected at most 2", options_.flash.size());
    constexpr u64 sector = 256 << 10;
    for (u32 i = 0; i < 2; i++) {
        devices::PropertyList p{{"name", fmt::format("virt.flash{}", i)},
                                {"num-blocks", std::to_string(bank_bytes / sector)},
                                {"sector-length", std::to_string(sector)}};
        if (i < options_.flash.size()) p.emplace_back("drive", options_.flash[i]);
        Device* bank = TRY(machine_.create("cfi.pflash01", fmt::format("flash{}", i), p).in("-pflash"));
        memory::Region& where = i == 0 && first ? *first : machine_.system();
        where.add(bank->region(0), at + i * bank_bytes);
    }
    return {};
}

Result<void> VirtBoard::make_virtio_mmio(u32 count, u64 at, u64 stride, devices::LineSink& sink, u32 line) {
    if (!machine_.find_type("virtio-mmio")) return {};
    for (u32 i = 0; i < count; i++) {
        Device* d = TRY(put("virtio-mmio", fmt::format("virtio-mmio[{}]", i), at + i * stride));
        machine_.connect(*d, "irq", sink, line + i);
    }
    return {};
}

Result<void> VirtBoard::make_fw_cfg(u64 at) {
    Device* d = TRY(put("fw_cfg_mem", "fwcfg", at));
    machine_.mount(*d, 1, at + 8);
    machine_.mount(*d, 2, at + 0x10);
    fw_cfg_ = static_cast<devices::FwCfg*>(d);
    return {};
}

Result<void> VirtBoard::make_pci(const PciWindows& w, devices::LineSink& sink, u32 line) {
    Device* host = TRY(put("gpex-pcihost", "pcie.0", w.ecam, {{"ecam-size", std::to_string(w.ecam_bytes)}}));
    auto show = [&](const char* name, u32 space, u64 from, u64 bytes, u64 at) {
        regions_.push_back(std::make_unique<memory::Region>(name, host->region(space), from, bytes));
        machine_.system().add(*regions_.back(), at);
    };
    show("pcie-mmio", 1, w.memory, w.memory_bytes, w.memory);
    if (w.high_bytes) show("pcie-mmio-high", 1, w.high, w.high_bytes, w.high);
    show("pcie-ioport", 2, 0, w.io_bytes, w.io);
    for (u32 i = 0; i < 4; i++) machine_.connect(*host, fmt::format("pin[{}].irq", i), sink, line + i);
    TRY(machine_.create("gpex-root", "pcie.0/root", {}, host));
    return {};
}

// Paths of devices, one a line, in the order of their bootindex; "HALT": nothing else is tried. As firmware reads it.
Result<std::string> VirtBoard::boot_order() const {
    std::map<u32, devices::Device*> order;
    Result<void> result;
    machine_.each([&](Device& d) {
        if (d.boot_index() == Device::no_boot_index) return;
        auto [at, added] = order.emplace(d.boot_index(), &d);
        if (!added && result)
            result = Error::exists("The bootindex {} has already been used, by '{}'; expected another for '{}'",
                                   at->first, at->second->path(), d.path());
    });
    TRY(std::move(result));
    std::string lines;
    for (const auto& [index, device] : order) {
        std::string path;
        for (const Device* d = device; d; d = d->parent())
            if (std::string node = d->firmware_node(); !node.empty()) path = "/" + node + path;
        lines += path + "\n";
    }
    if (options_.boot_strict) lines += "HALT\n";
    if (!lines.empty()) lines.back() = 0;
    return lines;
}

std::vector<Board::PciFunction> VirtBoard::pci_functions() {
    std::vector<PciFunction> all;
    machine_.each([&](Device& d) {
        auto* f = dynamic_cast<devices::PciFunction*>(&d);
        if (!f) return;
        devices::Context::Entry entry(d.context());
        PciFunction one{f->devfn(), d.id(), {}, {}};
        for (u32 n = 0; n < one.config.size(); n += 4) {
            const u32 word = f->config_read(n, 4);
            for (u32 i = 0; i < 4; i++) one.config[n + i] = u8(word >> 8 * i);
        }
        for (const auto& b : f->bars())
            one.bars.push_back({b.number, b.io, b.wide, b.prefetch, b.mapped, b.at, b.bytes});
        all.push_back(std::move(one));
    });
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.devfn < b.devfn; });
    return all;
}

void VirtBoard::fill_fw_cfg() {
    fw_cfg_->add_number(devices::fw_cfg_key::nb_cpus, options_.smp.cpus, 2);
    fw_cfg_->add_number(devices::fw_cfg_key::max_cpus, options_.smp.max_cpus, 2);
    fw_cfg_->add_number(devices::fw_cfg_key::ram_size, options_.ram_bytes, 8);
    if (options_.boot_menu) fw_cfg_->add_number(devices::fw_cfg_key::boot_menu, *options_.boot_menu, 2);
}

Result<void> VirtBoard::add_given_files() {
    for (const auto& [name, bytes] : options_.fw_cfg) TRY(fw_cfg_->add_file(name, bytes).in("-fw_cfg"));
    return {};
}

Result<void> VirtBoard::add_boot_order() {
    const std::string order = TRY(boot_order());
    if (order.empty()) return {};
    return fw_cfg_->add_file("bootorder", {order.begin(), order.end()});
}

// ---- what users say ---------------------------------------------------------------------------------------------------

Result<bool> VirtBoard::flag(std::string_view property, std::string_view text) {
    if (text == "on" || text == "true" || text == "yes") return true;
    if (text == "off" || text == "false" || text == "no") return false;
    return Error::invalid_argument("-M {}: '{}', expected on or off", property, text);
}

std::string VirtBoard::bios_path() const {
    if (options_.bios.find('/') != std::string::npos) return options_.bios;
    std::string_view one[] = {options_.bios};
    auto found = find_firmware(options_.firmware_folders, one, "given by -bios");
    return found ? *found : options_.bios;
}

Result<void> VirtBoard::check_kernel_options() const {
    if (!options_.kernel.empty()) return {};
    if (!options_.initrd.empty()) return Error::invalid_argument("-initrd: expected together with -kernel");
    if (!options_.append.empty()) return Error::invalid_argument("-append: expected together with -kernel");
    return {};
}

// ---- device tree ------------------------------------------------------------------------------------------------------

Result<std::vector<u8>> VirtBoard::choose_tree(const Loaded& initrd,
                                               const std::function<Result<std::vector<u8>>()>& make) {
    if (options_.dtb.empty()) return make();
    auto file = TRY(HostFile::open(options_.dtb).in("-dtb"));
    std::vector<u8> blob(file.bytes().begin(), file.bytes().end());
    return edit_fdt(std::move(blob), {options_.append, initrd.start, initrd.end}).in("-dtb {}", options_.dtb);
}

Result<bool> VirtBoard::dump_tree(std::span<const u8> blob) const {
    if (options_.dump_dtb.empty()) return false;
    std::ofstream out(options_.dump_dtb, std::ios::binary);
    out.write(reinterpret_cast<const char*>(blob.data()), std::streamsize(blob.size()));
    out.close();
    if (!out) return Error(ErrorKind::io, fmt::format("-M dumpdtb: cannot write {}", options_.dump_dtb));
    return true;
}

void tree_reg(FdtWriter& t, u64 at, u64 bytes) { t.cells("reg", {high(at), u32(at), high(bytes), u32(bytes)}); }

void VirtBoard::tree_memory(FdtWriter& t, u64 at) const {
    t.node(fmt::format("memory@{:x}", at), [&] {
        t.text("device_type", "memory");
        tree_reg(t, at, options_.ram_bytes);
    });
}

void VirtBoard::tree_fw_cfg(FdtWriter& t, u64 at) const {
    t.node(fmt::format("fw-cfg@{:x}", at), [&] {
        t.text("compatible", "qemu,fw-cfg-mmio");
        tree_reg(t, at, 0x18);
        t.empty("dma-coherent");
    });
}

void VirtBoard::tree_pci(FdtWriter& t, const std::string& name, const PciWindows& w,
                         const std::function<std::vector<u32>(u32 n)>& interrupt, const std::function<void()>& more) {
    // Slots share the four lines in turn; the tree says it for four slots, the mask for all.
    constexpr u32 slots = 4, pins = 4;
    std::vector<u32> map;
    for (u32 slot = 0; slot < slots; slot++)
        for (u32 pin = 1; pin <= pins; pin++) {
            map.insert(map.end(), {slot << 11, 0, 0, pin});
            auto cells = interrupt((slot + pin - 1) % pins);
            map.insert(map.end(), cells.begin(), cells.end());
        }
    constexpr u32 io = 0x1000000, memory32 = 0x2000000, memory64 = 0x3000000; // PCI bus binding, phys.hi
    t.node(name, [&] {
        t.text("compatible", "pci-host-ecam-generic");
        t.text("device_type", "pci");
        t.cells("#address-cells", {3});
        t.cells("#size-cells", {2});
        t.cells("#interrupt-cells", {1});
        t.cells("linux,pci-domain", {0});
        t.cells("bus-range", {0, u32(w.ecam_bytes >> 20) - 1});
        t.empty("dma-coherent");
        tree_reg(t, w.ecam, w.ecam_bytes);
        auto range = [](u32 kind, u64 bus, u64 at, u64 bytes) {
            return std::vector<u32>{kind, high(bus), u32(bus), high(at), u32(at), high(bytes), u32(bytes)};
        };
        std::vector<u32> ranges;
        auto add = [&](const std::vector<u32>& r) { ranges.insert(ranges.end(), r.begin(), r.end()); };
        add(range(io, 0, w.io, w.io_bytes));
        add(range(memory32, w.memory, w.memory, w.memory_bytes));
        if (w.high_bytes) add(range(memory64, w.high, w.high, w.high_bytes));
        t.cells("ranges", ranges);
        t.cells("interrupt-map-mask", {(slots - 1) << 11, 0, 0, 7});
        t.cells("interrupt-map", map);
        if (more) more();
    });
}

void VirtBoard::tree_platform_bus(FdtWriter& t, u64 at, u64 bytes, u32 interrupt_parent) const {
    t.node(fmt::format("platform-bus@{:x}", at), [&] {
        t.texts("compatible", {"qemu,platform", "simple-bus"});
        t.cells("#address-cells", {1});
        t.cells("#size-cells", {1});
        t.cells("interrupt-parent", {interrupt_parent});
        t.cells("ranges", {0, high(at), u32(at), u32(bytes)});
    });
}

void VirtBoard::tree_chosen(FdtWriter& t, std::string_view console, const Loaded& initrd,
                            std::initializer_list<std::pair<const char*, u32>> seeds) {
    t.node("chosen", [&] {
        for (const auto& [name, bytes] : seeds) {
            std::vector<u8> seed(bytes);
            machine_.random(seed);
            t.bytes(name, seed);
        }
        t.text("stdout-path", console);
        if (!options_.append.empty()) t.text("bootargs", options_.append);
        if (initrd.end) {
            t.cells("linux,initrd-start", {high(initrd.start), u32(initrd.start)});
            t.cells("linux,initrd-end", {high(initrd.end), u32(initrd.end)});
        }
    });
}

} // namespace mimic::machines
