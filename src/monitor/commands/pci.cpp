// Functions on PCI. QEMU QMP reference manual, "PCI".
#include "monitor/commands.hpp"

namespace mimic::monitor {

namespace {

// PCI Code and ID Assignment Specification: base class and subclass of what can be there.
std::string_view class_name(u32 code) {
    constexpr std::pair<u32, std::string_view> names[] = {{0x0100, "SCSI controller"},
                                                          {0x0200, "Ethernet controller"},
                                                          {0x0600, "Host bridge"},
                                                          {0x0900, "Keyboard"},
                                                          {0x0902, "Mouse"}};
    for (auto [known, name] : names)
        if (known == code) return name;
    return {};
}

// A function as it was set up by the guest's firmware or kernel.
Json pci_function(const machines::Board::PciFunction& f) {
    Json j = Json::object(), kind = Json::object(), id = Json::object(), regions = Json::array();
    j.set("bus", 0);
    j.set("slot", f.devfn >> 3);
    j.set("function", f.devfn & 7);
    const u32 code = f.number(0x0a, 2);
    if (std::string_view name = class_name(code); !name.empty()) kind.set("desc", std::string(name));
    kind.set("class", code);
    j.set("class_info", std::move(kind));
    id.set("device", f.number(0x02, 2));
    id.set("vendor", f.number(0x00, 2));
    if (f.number(0x2c, 2)) {
        id.set("subsystem", f.number(0x2e, 2));
        id.set("subsystem-vendor", f.number(0x2c, 2));
    }
    j.set("id", std::move(id));
    if (f.number(0x3d, 1)) j.set("irq", f.number(0x3c, 1));
    j.set("irq_pin", f.number(0x3d, 1));
    const bool own = f.id.starts_with("device[") || f.id.find('/') != std::string::npos; // nobody named it
    j.set("qdev_id", own ? "" : f.id);
    for (const auto& b : f.bars) {
        Json r = Json::object();
        r.set("bar", b.number);
        r.set("type", b.io ? "io" : "memory");
        r.set("address", b.mapped ? Json(b.at) : Json(-1));
        r.set("size", b.bytes);
        if (!b.io) {
            r.set("prefetch", b.prefetch);
            r.set("mem_type_64", b.wide);
        }
        regions.push(std::move(r));
    }
    j.set("regions", std::move(regions));
    return j;
}

Result<Json> query_pci(Monitor& m, const Arguments&) {
    Json list = Json::array(), bus = Json::object(), devices = Json::array();
    for (const auto& f : m.board().pci_functions()) devices.push(pci_function(f));
    if (devices.items()->empty()) return list;
    bus.set("bus", 0);
    bus.set("devices", std::move(devices));
    list.push(std::move(bus));
    return list;
}

constexpr Command commands[] = {
    {"query-pci", "", "[PciInfo]", "functions on PCI as the guest set them up", of<query_pci>},
};

} // namespace

constinit const Family pci_family{R"(
struct PciDeviceClass: ?desc str, class int
struct PciDeviceId: device int, vendor int, ?subsystem int, ?subsystem-vendor int
struct PciMemoryRegion: bar int, type str, address int, size int, ?prefetch bool, ?mem_type_64 bool
struct PciDeviceInfo: bus int, slot int, function int, class_info PciDeviceClass, id PciDeviceId, ?irq int, irq_pin int, qdev_id str, regions [PciMemoryRegion]
struct PciInfo: bus int, devices [PciDeviceInfo]
)",
                                  commands};

} // namespace mimic::monitor
