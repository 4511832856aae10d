// Generic PCI Express host bridge: configuration space by ECAM, windows to memory and I/O space, four interrupt lines.
// Source: PCI Firmware Specification 3.0, section 4.1.2 (ECAM); Linux's binding "pci-host-ecam-generic"; PCI Local Bus
// Specification 3.0, 2.2.6 (pins). Bus 0 alone. Not there: bridges to other buses, hot plug.
//
// Regions: ECAM, memory space, I/O space. Boards show parts of the latter two.
#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"
#include "devices/pci/pci.hpp"
#include <algorithm>

namespace mimic::devices {
namespace {

constexpr u64 memory_bytes = u64{1} << 40, io_bytes = 1 << 16;
constexpr u32 pins = 4;

// Where no BAR is, reads give ones and writes go nowhere, as on a bus that nobody answers on.
struct Unanswered final : memory::Handler {
    memory::Outcome read(u64, u32 bytes, u64& value, memory::Attributes) override {
        value = bytes >= 8 ? ~u64{0} : (u64{1} << 8 * bytes) - 1;
        return memory::Outcome::ok;
    }
    memory::Outcome write(u64, u32, u64, memory::Attributes) override { return memory::Outcome::ok; }
};

class Gpex final : public Device, public PciBus {
public:
    Gpex() {
        memory_.add(no_memory_, 0, -1);
        io_.add(no_io_, 0, -1);
    }
    std::string_view type() const override { return "gpex-pcihost"; }
    // A bridge without ports for its configuration space has no better address; firmware looks for this one.
    std::string firmware_node() const override { return "pci@ffffffffffffffff"; }
    void describe(Describe& d) override;
    std::string_view bus_type() const override { return "pci"; }
    bool bus_full() const override {
        return std::all_of(std::begin(functions_), std::end(functions_), [](const PciFunction* f) { return f; });
    }
    Result<void> plug(Device& d) override;
    void unrealize() override {
        for (PciFunction* f : functions_)
            if (f) f->bus_gone();
    }

    // ---- PciBus ---------------------------------------------------------------------------------------------------------
    void map(memory::Region& region, bool io, u64 at) override {
        memory::Region& space = io ? io_ : memory_;
        if (at >= space.size() || region.size() > space.size() - at) return;
        space.add(region, at);
    }
    void unmap(memory::Region& region) override {
        if (region.parent()) region.parent()->remove(region);
    }
    // Pins of a slot are turned by its number, so that slots share lines evenly.
    void set_pin(u32 devfn, u32 pin, bool level) override {
        u32 line = ((devfn >> 3) + pin - 1) % pins;
        u32 bit = u32{1} << (devfn >> 3);
        asserted_[line] = level ? asserted_[line] | bit : asserted_[line] & ~bit;
        lines_[line].set(asserted_[line]);
    }
    void unplug(u32 devfn) override { functions_[devfn >> 3] = nullptr; }

private:
    PciFunction* find(u64 offset) const {
        u32 bus = u32(offset >> 20), devfn = offset >> 12 & 0xff;
        if (bus != 0 || (devfn & 7)) return nullptr;
        return functions_[devfn >> 3];
    }
    u64 read_config(u64 offset, u32 bytes) {
        PciFunction* f = find(offset);
        return f ? f->config_read(offset & 0xfff, bytes) : bytes == 4 ? 0xffffffff : (1u << 8 * bytes) - 1;
    }
    void write_config(u64 offset, u32 bytes, u64 value) {
        if (PciFunction* f = find(offset)) f->config_write(offset & 0xfff, bytes, u32(value));
    }

    u64 ecam_bytes_ = 256 << 20;
    memory::Region memory_{"gpex_mmio_window", memory_bytes}, io_{"gpex_ioport_window", io_bytes};
    Unanswered unanswered_;
    memory::Region no_memory_{"gpex_mmio", unanswered_, {.unaligned = true}, memory_bytes},
        no_io_{"gpex_ioport", unanswered_, {.unaligned = true}, io_bytes};
    PciFunction* functions_[32] = {};  // by slot
    std::array<u32, pins> asserted_{}; // slots, by line
    Line lines_[pins];
};

Result<void> Gpex::plug(Device& d) {
    auto* f = dynamic_cast<PciFunction*>(&d);
    if (!f) return Error::invalid_argument("{} does not fit a PCI bus", d.type());
    u32 devfn = TRY(f->wanted_devfn().in("{}", d.type()));
    if (devfn == ~u32{0}) {
        auto free = std::find(std::begin(functions_), std::end(functions_), nullptr);
        if (free == std::end(functions_)) return Error::no_space("{}: the bus has no free slot", d.type());
        devfn = u32(free - std::begin(functions_)) << 3;
    }
    if (devfn & 7) return Error::unsupported("{}: property 'addr': function {}, expected 0", d.type(), devfn & 7);
    if (functions_[devfn >> 3])
        return Error::busy("{}: property 'addr': slot {:x} has {} already", d.type(), devfn >> 3,
                           functions_[devfn >> 3]->type());
    functions_[devfn >> 3] = f;
    return f->plugged_at(*this, devfn).in("{}", d.type());
}

void Gpex::describe(Describe& d) {
    d.property("ecam-size", ecam_bytes_, "bytes of the configuration space, 1 MiB a bus",
               {.low = 1 << 20, .high = 256 << 20, .size = true});
    d.window("ecam", *this, ecam_bytes_, {.implemented_max = 4}, &Gpex::read_config, &Gpex::write_config);
    d.region(memory_);
    d.region(io_);
    for (u32 i = 0; i < pins; i++) {
        Describe::Group group(d, "pin", i);
        d.interrupt("irq", lines_[i]);
    }
    d.state("asserted", asserted_);
}

// Function 0.0: the bridge itself.
class GpexRoot final : public PciFunction {
public:
    std::string_view type() const override { return "gpex-root"; }
    Result<void> ready() override {
        make_config({.vendor = 0x1b36,
                     .device = 0x0008,
                     .class_code = 0x060000,
                     .subsystem_vendor = 0x1af4,
                     .subsystem = 0x1100,
                     .pin = false});
        return {};
    }
};

} // namespace

MIMIC_DEVICE(gpex_pcihost) = {
    .name = "gpex-pcihost", .bus = "system", .summary = "generic PCI Express host bridge", .make = make_device<Gpex>};
MIMIC_DEVICE(gpex_root) = {
    .name = "gpex-root", .bus = "pci", .summary = "function 0.0 of a host bridge", .make = make_device<GpexRoot>};

} // namespace mimic::devices
