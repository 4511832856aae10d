// PCI: configuration space, BARs that move, messages that go anywhere, and virtio functions by their modern and legacy interfaces.
#include "app/system/qtest_fuzz.hpp"
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

using namespace mimic;
using namespace mimic::qtest_fuzz;

namespace {

struct Windows {
    u64 ecam, memory, io, ram, message; // message: where a controller takes them
};
constexpr Windows riscv{0x30000000, 0x40000000, 0x3000000, riscv_ram, 0x28000000},
    arm{0x4010000000, 0x10000000, 0x3eff0000, arm_ram, 0x8090040};
constexpr u32 functions = 6, transitional = 4, // the first have a legacy interface, too
    ring_features = u32{1} << 28 | u32{1} << 29;

std::vector<UserDevice> users(bool modern) {
    std::vector<UserDevice> list = {{"virtio-blk-pci", {{"drive", "d0"}}},
                                    {"virtio-net-pci", {{"netdev", "n0"}}},
                                    {"virtio-serial-pci", {}},
                                    {"virtio-rng-pci", {}},
                                    {"virtio-balloon-pci", {}},
                                    {"virtio-tablet-pci", {}}};
    if (modern)
        for (UserDevice& d : list) d.properties.emplace_back("disable-legacy", "on");
    list.push_back({"virtserialport", {{"chardev", "c1"}}});
    return list;
}
u64 config(const Windows& w, u32 slot) { return w.ecam + (u64{slot} << 15); }
u64 bar(const Windows& w, u32 slot, u32 n) { return w.memory + 0x100000 * u64{slot} + 0x10000 * u64{n}; }
u64 port(const Windows& w, u32 slot) { return w.io + 0x100 * u64{slot}; }

std::vector<u64> places(const Windows& w) {
    std::vector<u64> all = {w.message, config(w, 0), w.ecam + (1 << 20), w.memory};
    for (u32 slot = 1; slot <= functions; slot++)
        for (u64 at : {config(w, slot), config(w, slot) + 0x40, bar(w, slot, 1), bar(w, slot, 4),
                       bar(w, slot, 4) + 0x2000, bar(w, slot, 4) + 0x3000, port(w, slot)})
            all.push_back(at);
    return with_ram(std::move(all), w.ram);
}
enum class Driver : u8 { none, modern, legacy };

// By the modern interface of a function that has its places.
VirtioDriver start_modern(const Windows& w, u32 slot) {
    return start_virtio({.common = bar(w, slot, 4),
                         .feature_select = VIRTIO_PCI_COMMON_GFSELECT,
                         .features = VIRTIO_PCI_COMMON_GF,
                         .status = VIRTIO_PCI_COMMON_STATUS,
                         .select = VIRTIO_PCI_COMMON_Q_SELECT,
                         .size = VIRTIO_PCI_COMMON_Q_SIZE,
                         .area = VIRTIO_PCI_COMMON_Q_DESCLO,
                         .enable = VIRTIO_PCI_COMMON_Q_ENABLE,
                         .narrow = 2},
                        w.ram, ring_features);
}
// By the legacy one: rings have the device's size. Of 1024 entries they take eight pages, half of RAM; buffers lie among descriptors
// that no short chain comes to.
VirtioDriver start_legacy(const Windows& w, u32 slot) {
    VirtioDriver d;
    const u64 at = port(w, slot);
    for (u32 value : {0u, 1u, 3u}) d.set('b', at + VIRTIO_PCI_STATUS, value);
    d.set('l', at + VIRTIO_PCI_GUEST_FEATURES, ring_features);
    for (u32 q : {1u, 0u}) { // all have the first, which is the one that shows
        d.set('w', at + VIRTIO_PCI_QUEUE_SEL, q);
        d.set('l', at + VIRTIO_PCI_QUEUE_PFN, w.ram / 4096 + 8 * q);
    }
    d.set('b', at + VIRTIO_PCI_STATUS, 7);
    d.show('b', at + VIRTIO_PCI_STATUS, 7);
    d.show('l', at + VIRTIO_PCI_QUEUE_PFN, w.ram / 4096);
    return d;
}
// Firmware has given BARs their places, and drivers of the kind have begun.
VirtioDriver start(const Windows& w, Driver driver) {
    VirtioDriver all;
    for (u32 slot = 1; slot <= functions; slot++) {
        all.set('l', config(w, slot) + PCI_BASE_ADDRESS_0, 0x100 * slot);
        all.set('l', config(w, slot) + PCI_BASE_ADDRESS_1, bar(w, slot, 1));
        all.set('l', config(w, slot) + PCI_BASE_ADDRESS_4, bar(w, slot, 4));
        all.set('l', config(w, slot) + PCI_BASE_ADDRESS_5, 0);
        all.set('w', config(w, slot) + PCI_COMMAND, 7);
        for (u32 v = 0; v < 3; v++) {
            all.set('q', bar(w, slot, 1) + 16 * v, w.message);
            all.set('q', bar(w, slot, 1) + 16 * v + 8, v + 1);
        }
        if (driver == Driver::none) continue;
        all.add(driver == Driver::legacy && slot <= transitional ? start_legacy(w, slot) : start_modern(w, slot));
    }
    return all;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    static const VirtioDriver riscv_modern = start(riscv, Driver::modern), riscv_none = start(riscv, Driver::none),
                              riscv_legacy = start(riscv, Driver::legacy), arm_modern = start(arm, Driver::modern),
                              arm_legacy = start(arm, Driver::legacy);
    static const Scene scenes[] = {
        {.guest = "riscv64",
         .places = places(riscv),
         .inputs = "plic",
         .devices = users(true),
         .start = riscv_modern.lines,
         .started = riscv_modern.shows},
        {.guest = "riscv64",
         .properties = {{"aia", "aplic-imsic"}},
         .places = places(riscv),
         .inputs = "aplic",
         .devices = users(false),
         .start = riscv_none.lines},
        {.guest = "aarch64",
         .properties = {{"gic-version", "3"}},
         .places = places(arm),
         .inputs = "gic",
         .devices = users(false),
         .start = arm_modern.lines,
         .started = arm_modern.shows},
        {.guest = "aarch64",
         .properties = {{"gic-version", "2"}},
         .places = places(arm),
         .inputs = "gic",
         .devices = users(true)},
        {.guest = "riscv64",
         .places = places(riscv),
         .inputs = "plic",
         .devices = users(false),
         .start = riscv_legacy.lines,
         .started = riscv_legacy.shows},
        {.guest = "aarch64",
         .properties = {{"gic-version", "3"}},
         .places = places(arm),
         .inputs = "gic",
         .devices = users(false),
         .start = arm_legacy.lines,
         .started = arm_legacy.shows},
    };
    return run(scenes, data, size);
}
