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
constexpr u32 functions = 6, ring_features = u32{1} << 28 | u32{1} << 29;

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
// Firmware has given BARs their places; with `drivers`, all functions work.
std::vector<std::string> start(const Windows& w, bool drivers) {
    std::vector<std::string> lines;
    for (u32 slot = 1; slot <= functions; slot++) {
        auto set = [&](char letter, u32 at, u64 value) {
            lines.push_back(fmt::format("write{} {:#x} {:#x}", letter, config(w, slot) + at, value));
        };
        set('l', PCI_BASE_ADDRESS_0, 0x100 * slot);
        set('l', PCI_BASE_ADDRESS_1, bar(w, slot, 1));
        set('l', PCI_BASE_ADDRESS_4, bar(w, slot, 4));
        set('l', PCI_BASE_ADDRESS_5, 0);
        set('w', PCI_COMMAND, 7);
        for (u32 v = 0; v < 3; v++) {
            lines.push_back(fmt::format("writeq {:#x} {:#x}", bar(w, slot, 1) + 16 * v, w.message));
            lines.push_back(fmt::format("writeq {:#x} {:#x}", bar(w, slot, 1) + 16 * v + 8, v + 1));
        }
        if (!drivers) continue;
        const VirtioRegisters r{.common = bar(w, slot, 4),
                                .feature_select = VIRTIO_PCI_COMMON_GFSELECT,
                                .features = VIRTIO_PCI_COMMON_GF,
                                .status = VIRTIO_PCI_COMMON_STATUS,
                                .select = VIRTIO_PCI_COMMON_Q_SELECT,
                                .size = VIRTIO_PCI_COMMON_Q_SIZE,
                                .area = VIRTIO_PCI_COMMON_Q_DESCLO,
                                .enable = VIRTIO_PCI_COMMON_Q_ENABLE,
                                .narrow = 2};
        const std::vector<std::string> one = start_virtio(r, w.ram, ring_features);
        lines.insert(lines.end(), one.begin(), one.end());
    }
    return lines;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    static const Scene scenes[] = {
        {.guest = "riscv64",
         .places = places(riscv),
         .inputs = "plic",
         .devices = users(true),
         .start = start(riscv, true)},
        {.guest = "riscv64",
         .properties = {{"aia", "aplic-imsic"}},
         .places = places(riscv),
         .inputs = "aplic",
         .devices = users(false),
         .start = start(riscv, false)},
        {.guest = "aarch64",
         .properties = {{"gic-version", "3"}},
         .places = places(arm),
         .inputs = "gic",
         .devices = users(false),
         .start = start(arm, true)},
        {.guest = "aarch64",
         .properties = {{"gic-version", "2"}},
         .places = places(arm),
         .inputs = "gic",
         .devices = users(true)},
    };
    return run(scenes, data, size);
}
