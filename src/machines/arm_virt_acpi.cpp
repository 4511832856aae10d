// ACPI tables of the Arm `virt` board: what its device tree says, in the form that hardware-reduced ACPI has.
// Source: ACPI 6.4, chapters 5, 6 and 20; Arm DEN 0094 (BBR) 1.0, section 4.4; Arm DEN 0049 (IORT) rev. D; Microsoft,
// "Serial Port Console Redirection Table" and "Debug Port Table 2"; PCI Firmware Specification 3.2, chapter 4; the names of
// devices (_HID) as guests see them.
// Not there: NUMA (SRAT, SLIT), memory hot plug, SMMU, caches in the PPTT.
#include "machines/arm_virt_acpi.hpp"
#include "machines/boot/acpi.hpp"

namespace mimic::machines::arm_virt {
namespace {

using aml::Term, aml::Terms;

// Interrupts as ACPI numbers them: INTID of the GIC.
constexpr u32 gsi(u32 spi) { return 32 + spi; }
constexpr u32 ppi_secure_timer = 29, ppi_timer = 30, ppi_virtual_timer = 27, ppi_hypervisor_timer = 26, ppi_pmu = 23,
              ppi_maintenance = 25, ppi_hypervisor_virtual_timer = 28;

// ---- DSDT

Term hid(std::string_view id) { return aml::name("_HID", aml::string(id)); }
Term pnp(std::string_view id) { return aml::name("_HID", aml::eisa_id(id)); }
Term uid(u64 n) { return aml::name("_UID", aml::integer(n)); }
Term coherent() { return aml::name("_CCA", aml::integer(1)); }
Term crs(const Terms& descriptors) { return aml::name("_CRS", aml::resources(descriptors)); }

Terms processors(u32 count) {
    Terms out;
    for (u32 i = 0; i < count; i++) out.push_back(aml::device(fmt::format("C{:03X}", i), {hid("ACPI0007"), uid(i)}));
    return out;
}

Terms virtio_transports() {
    Terms out;
    for (u32 i = 0; i < spi::virtio_count; i++)
        out.push_back(aml::device(fmt::format("VR{:02}", i),
                                  {hid("LNRO0005"), uid(i), coherent(),
                                   crs({aml::memory32(u32(map::virtio + i * map::virtio_size), map::virtio_size),
                                        aml::interrupt(gsi(spi::virtio + i))})}));
    return out;
}

// The key is a line of the GPIO controller, whose event notifies the button (sections 4.8.2.2.1.2 and 5.6.5).
Terms power_button_devices() {
    constexpr std::string_view controller = "\\_SB.GPO0";
    return {aml::device("GPO0", {hid("ARMH0061"), uid(0),
                                 crs({aml::memory32(u32(map::gpio), map::cell_size), aml::interrupt(gsi(spi::gpio))}),
                                 aml::name("_AEI", aml::resources({aml::gpio_interrupt(power_button, controller)})),
                                 aml::method(fmt::format("_E{:02X}", power_button), 0, {aml::notify("PWRB", 0x80)})}),
            aml::device("PWRB", {pnp("PNP0C0C"), uid(0)})};
}

// The four lines of INTA to INTD, which slots share in turn.
constexpr u32 pins = 4;
Terms interrupt_links() {
    Terms out;
    for (u32 i = 0; i < pins; i++) {
        Term line = aml::resources({aml::interrupt(gsi(spi::pci + i))});
        out.push_back(aml::device(fmt::format("GSI{}", i), {pnp("PNP0C0F"), uid(i), aml::name("_PRS", line),
                                                            aml::name("_CRS", line), aml::method("_SRS", 1, {})}));
    }
    return out;
}
Term routing() {
    constexpr u32 slots = 32, any_function = 0xffff;
    Terms rows;
    for (u32 slot = 0; slot < slots; slot++)
        for (u32 pin = 0; pin < pins; pin++)
            rows.push_back(aml::package({aml::integer(slot << 16 | any_function), aml::integer(pin),
                                         aml::path(fmt::format("GSI{}", (slot + pin) % pins)), aml::integer(0)}));
    return aml::name("_PRT", aml::package(rows));
}

// Section 6.2.11: what the system may do itself (hot plug, power events, error reports, the capability structure).
Term osc() {
    constexpr u32 unknown_uuid = 4, unknown_revision = 8, masked = 0x10, granted = 0x1f;
    Term caps = aml::argument(3), status = aml::path("CDW1"), control = aml::path("CDW3");
    auto complain = [&](u32 bit) { return aml::or_(status, aml::integer(bit), status); };
    return aml::method(
        "_OSC", 4,
        {aml::dword_field(caps, 0, "CDW1"),
         aml::if_(aml::equal(aml::argument(0), aml::uuid("33db4d5b-1ff7-401c-9657-7441c03dd766")),
                  {aml::dword_field(caps, 8, "CDW3"), aml::and_(control, aml::integer(granted), aml::path("CTRL")),
                   aml::if_(aml::not_(aml::equal(aml::argument(1), aml::integer(1))), {complain(unknown_revision)}),
                   aml::if_(aml::not_(aml::equal(control, aml::path("CTRL"))), {complain(masked)}),
                   aml::store(aml::path("CTRL"), control)}),
         aml::else_({complain(unknown_uuid)}), aml::return_(caps)});
}

Term host_bridge(const PciWindows& w) {
    Terms inside{pnp("PNP0A08"),
                 aml::name("_CID", aml::eisa_id("PNP0A03")),
                 aml::name("_SEG", aml::integer(0)),
                 aml::name("_BBN", aml::integer(0)),
                 uid(0),
                 coherent()};
    for (Term& link : interrupt_links()) inside.push_back(std::move(link));
    inside.push_back(routing());
    inside.push_back(aml::method("_CBA", 0, {aml::return_(aml::integer(w.ecam))}));
    Terms windows{aml::bus_numbers(0, u16((w.ecam_bytes >> 20) - 1)),
                  aml::memory_window32(u32(w.memory), u32(w.memory_bytes)),
                  aml::io_window(0, u32(w.io_bytes), u32(w.io))};
    if (w.high_bytes) windows.push_back(aml::memory_window64(w.high, w.high_bytes));
    inside.push_back(crs(windows));
    inside.push_back(aml::name("CTRL", aml::integer(0)));
    inside.push_back(osc());
    // PCI Firmware Specification, section 4.1.2: the configuration space is reserved by a device that is no bridge.
    inside.push_back(aml::device("RES0", {pnp("PNP0C02"), crs({aml::memory_window64(w.ecam, w.ecam_bytes)})}));
    return aml::device("PCI0", inside);
}

AcpiBytes dsdt(const AcpiBoard& b) {
    Terms all = processors(u32(b.mpidrs.size()));
    all.push_back(
        aml::device("COM0", {hid("ARMH0011"), uid(0),
                             crs({aml::memory32(u32(map::uart), map::cell_size), aml::interrupt(gsi(spi::uart))})}));
    all.push_back(aml::device("FWCF", {hid("QEMU0002"), aml::name("_STA", aml::integer(0xb)), coherent(),
                                       crs({aml::memory32(u32(map::fw_cfg), 0x18)})}));
    for (const Terms& more : {virtio_transports(), power_button_devices()})
        all.insert(all.end(), more.begin(), more.end());
    all.push_back(host_bridge(b.pci));
    return AcpiBytes().add(aml::scope("\\_SB", all));
}

// ---- tables of numbers: offsets are from a table's first byte

// Section 5.2.9. The pointer to the DSDT stands at offset 140.
constexpr u32 fadt_dsdt = 140;
AcpiBytes fadt(const AcpiBoard& b) {
    constexpr u32 hardware_reduced = 1 << 20;
    AcpiBytes t;
    t.zeros(112 - AcpiTables::header_bytes).put(hardware_reduced, 4);
    t.zeros(129 - 116).put(b.psci, 2).put(4, 1); // version 6.4
    t.zeros(268 - 132).text("QEMU", 8);          // the hypervisor's identity, as guests know it
    return t;
}

// Section 5.2.12.
AcpiBytes madt(const AcpiBoard& b) {
    bool v3 = b.gic_version >= 3;
    AcpiBytes t;
    t.zeros(8);
    t.put(0xc, 1).put(24, 1).zeros(6).put(map::gic_dist, 8).zeros(4).put(b.gic_version, 1).zeros(3);
    for (u32 i = 0; i < b.mpidrs.size(); i++) {
        t.put(0xb, 1).put(80, 1).zeros(2).put(i, 4).put(i, 4).put(1, 4); // enabled
        t.zeros(4).put(ppi_pmu, 4).zeros(8).put(v3 ? 0 : map::gic_cpu, 8);
        const bool frames = b.virtualization && !v3;
        t.put(frames ? map::gic_vcpu : 0, 8).put(frames ? map::gic_hyp : 0, 8);
        t.put(b.virtualization ? ppi_maintenance : 0, 4).zeros(8); // its redistributor is found
        t.put(b.mpidrs[i], 8).zeros(4);
    }
    if (!v3)
        t.put(0xd, 1)
            .put(24, 1)
            .zeros(6)
            .put(map::gicv2m, 8)
            .put(1, 4)
            .put(spi::message_count, 2)
            .put(gsi(spi::messages), 2);
    if (v3) t.put(0xe, 1).put(16, 1).zeros(2).put(map::gic_redist, 8).put(map::gic_redist_size, 4);
    if (v3 && b.its) t.put(0xf, 1).put(20, 1).zeros(6).put(map::its, 8).zeros(4);
    return t;
}

// Section 5.2.25. Interrupts are level-triggered and active high; the physical timer runs also when its processor sleeps.
AcpiBytes gtdt() {
    constexpr u32 always_on = 4;
    AcpiBytes t;
    t.put(~u64{0}, 8).zeros(4); // no memory-mapped counter
    t.put(ppi_secure_timer, 4).put(0, 4).put(ppi_timer, 4).put(always_on, 4).put(ppi_virtual_timer, 4).put(0, 4);
    t.put(ppi_hypervisor_timer, 4).put(0, 4).put(~u64{0}, 8).zeros(8);
    return t.put(ppi_hypervisor_virtual_timer, 4).put(0, 4);
}

AcpiBytes mcfg(const PciWindows& w) {
    return AcpiBytes().zeros(8).put(w.ecam, 8).put(0, 2).put(0, 1).put((w.ecam_bytes >> 20) - 1, 1).zeros(4);
}

// A PL011 is type 3 of both.
AcpiBytes spcr() {
    constexpr u8 pl011 = 3, by_gic = 8, baud_9600 = 3, one_stop = 1, vt100 = 0, no_pci = 0xff;
    AcpiBytes t;
    t.put(pl011, 1).zeros(3).address(map::uart, 32).put(by_gic, 1).put(0, 1).put(gsi(spi::uart), 4);
    t.put(baud_9600, 1).put(0, 1).put(one_stop, 1).put(0, 1).put(vt100, 1).put(0, 1);
    return t.put(no_pci << 8 | no_pci, 2).put(no_pci << 8 | no_pci, 2).zeros(12);
}

AcpiBytes dbg2() {
    constexpr std::string_view path = "\\_SB.COM0";
    constexpr u32 serial = 0x8000, pl011 = 3, device_at = 44, address_at = 22, size_at = 34, path_at = 38;
    u32 path_bytes = u32(path.size()) + 1;
    AcpiBytes t;
    t.put(device_at, 4).put(1, 4);
    t.put(0, 1).put(path_at + path_bytes, 2).put(1, 1).put(path_bytes, 2).put(path_at, 2).zeros(4);
    t.put(serial, 2).put(pl011, 2).zeros(2).put(address_at, 2).put(size_at, 2);
    return t.address(map::uart, 32).put(map::cell_size, 4).text(path, path_bytes);
}

// Section 5.2.29: sockets hold clusters, where there is more than one, these cores, these threads. Processors are numbered
// threads first.
class Topology {
public:
    explicit Topology(const AcpiBoard& b) : cpus_(u32(b.mpidrs.size())), smp_(b.smp) {}
    AcpiBytes table() {
        u32 clusters = smp_.dies * smp_.clusters;
        for (u32 s = 0; s < smp_.sockets && next_ < cpus_; s++) {
            u32 socket = node(package, 0, s);
            for (u32 c = 0; c < clusters && next_ < cpus_; c++) cores(clusters > 1 ? node(0, socket, c) : socket);
        }
        return bytes_;
    }

private:
    enum : u32 { package = 1, numbered = 2, thread = 4, leaf = 8 };
    void cores(u32 parent) {
        for (u32 c = 0; c < smp_.cores && next_ < cpus_; c++) {
            if (smp_.threads == 1) {
                node(numbered | leaf, parent, next_++);
                continue;
            }
            u32 core = node(0, parent, c);
            for (u32 t = 0; t < smp_.threads && next_ < cpus_; t++) node(numbered | thread | leaf, core, next_++);
        }
    }
    u32 node(u32 flags, u32 parent, u32 id) {
        u32 at = AcpiTables::header_bytes + bytes_.size();
        bytes_.put(0, 1).put(20, 1).zeros(2).put(flags, 4).put(parent, 4).put(id, 4).zeros(4);
        return at;
    }
    u32 cpus_, next_ = 0;
    Smp smp_;
    AcpiBytes bytes_;
};

// The ITS takes the requester's number of each function as its device's.
AcpiBytes iort() {
    constexpr u32 group_at = 48, group_bytes = 24, bridge_bytes = 56, mapping_at = 36, segments = 0x10000;
    AcpiBytes t;
    t.put(2, 4).put(group_at, 4).zeros(4);
    t.put(0, 1).put(group_bytes, 2).put(1, 1).put(0, 4).zeros(8).put(1, 4).put(0, 4); // one ITS, number 0
    t.put(2, 1).put(bridge_bytes, 2).put(3, 1).put(1, 4).put(1, 4).put(mapping_at, 4);
    t.put(1, 4).zeros(3).put(3, 1).zeros(8).put(64, 1).zeros(3); // coherent; reaches 64 bits
    return t.put(0, 4).put(segments - 1, 4).put(0, 4).put(group_at, 4).put(0, 4);
}

} // namespace

Result<void> give_acpi_tables(const AcpiBoard& b, devices::FwCfg& fw_cfg) {
    AcpiTables t;
    u32 definition = t.add("DSDT", 2, dsdt(b), false);
    u32 fixed = t.add("FACP", 6, fadt(b));
    t.point(fixed + fadt_dsdt, definition);
    t.add("APIC", 4, madt(b));
    t.add("PPTT", 2, Topology(b).table());
    t.add("GTDT", 3, gtdt());
    t.add("MCFG", 1, mcfg(b.pci));
    t.add("SPCR", 2, spcr());
    t.add("DBG2", 0, dbg2());
    if (b.gic_version >= 3 && b.its) t.add("IORT", 3, iort());
    return t.give_to(fw_cfg);
}

} // namespace mimic::machines::arm_virt
