// Virtio over registers in memory, by the modern and by the legacy interface, on both boards: the device in each place of the bus.
// virtio_device_fuzz has a driver's moves; here are all accesses.
#include "app/system/qtest_fuzz.hpp"
#include <linux/virtio_mmio.h>

using namespace mimic;
using namespace mimic::qtest_fuzz;

namespace {

constexpr u32 ring_features = u32{1} << 28 | u32{1} << 29;

const std::vector<UserDevice>& users() {
    static const std::vector<UserDevice> list = {{"virtio-blk-device", {{"drive", "d0"}}},
                                                 {"virtio-net-device", {{"netdev", "n0"}}},
                                                 {"virtio-serial-device", {}},
                                                 {"virtconsole", {{"chardev", "c1"}}},
                                                 {"virtio-rng-device", {}},
                                                 {"virtio-balloon-device", {{"free-page-reporting", "on"}}},
                                                 {"virtio-keyboard-device", {}},
                                                 {"virtio-tablet-device", {}}};
    return list;
}
// The last `count` places of the bus are used first.
std::vector<u64> places(u64 first, u64 step, u32 count, u64 ram) {
    std::vector<u64> all;
    for (u32 i = 0; i < 7; i++) all.push_back(first + step * (count - 1 - i));
    return with_ram(std::move(all), ram);
}
VirtioDriver start(u64 first, u64 step, u32 count, u64 ram, u32 high_features = version_1) {
    VirtioDriver all;
    for (u32 i = 0; i < 7; i++)
        all.add(start_virtio({.common = first + step * (count - 1 - i),
                              .feature_select = VIRTIO_MMIO_DRIVER_FEATURES_SEL,
                              .features = VIRTIO_MMIO_DRIVER_FEATURES,
                              .status = VIRTIO_MMIO_STATUS,
                              .select = VIRTIO_MMIO_QUEUE_SEL,
                              .size = VIRTIO_MMIO_QUEUE_NUM,
                              .area = VIRTIO_MMIO_QUEUE_DESC_LOW,
                              .enable = VIRTIO_MMIO_QUEUE_READY,
                              .narrow = 4},
                             ram, ring_features, high_features));
    return all;
}
// By the legacy interface; its alignment lets rings lie as those of the modern one.
VirtioDriver start_legacy(u64 first, u64 step, u32 count, u64 ram) {
    VirtioDriver d;
    for (u32 i = 0; i < 7; i++) {
        const u64 at = first + step * (count - 1 - i);
        d.set('l', at + VIRTIO_MMIO_GUEST_PAGE_SIZE, 4096);
        for (u32 value : {0u, 1u, 3u}) d.set('l', at + VIRTIO_MMIO_STATUS, value);
        d.set('l', at + VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
        d.set('l', at + VIRTIO_MMIO_DRIVER_FEATURES, ring_features);
        for (u32 q = 3; q-- > 0;) { // all have the first, which is the one that shows
            d.set('l', at + VIRTIO_MMIO_QUEUE_SEL, q);
            d.set('l', at + VIRTIO_MMIO_QUEUE_NUM, 8);
            d.set('l', at + VIRTIO_MMIO_QUEUE_ALIGN, 128);
            d.set('l', at + VIRTIO_MMIO_QUEUE_PFN, ram / 4096 + 1 + q);
        }
        d.set('l', at + VIRTIO_MMIO_STATUS, 7);
        d.show('l', at + VIRTIO_MMIO_STATUS, 7);
        d.show('l', at + VIRTIO_MMIO_QUEUE_PFN, ram / 4096 + 1);
    }
    return d;
}
std::vector<devices::GlobalProperty> modern(bool packed) {
    std::vector<devices::GlobalProperty> all = {{"virtio-mmio", "force-legacy", "off"}};
    for (const UserDevice& d : users())
        if (packed && d.type.ends_with("-device")) all.push_back({std::string(d.type), "packed", "on"});
    return all;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    constexpr u64 riscv = 0x10001000, arm = 0xa000000;
    static const VirtioDriver riscv_modern = start(riscv, 0x1000, 8, riscv_ram),
                              riscv_legacy = start_legacy(riscv, 0x1000, 8, riscv_ram),
                              arm_split = start(arm, 0x200, 32, arm_ram),
                              arm_packed = start(arm, 0x200, 32, arm_ram, version_1 | ring_packed);
    static const Scene scenes[] = {
        {.guest = "riscv64",
         .places = places(riscv, 0x1000, 8, riscv_ram),
         .inputs = "plic",
         .devices = users(),
         .globals = modern(false),
         .start = riscv_modern.lines,
         .started = riscv_modern.shows},
        {.guest = "riscv64",
         .places = places(riscv, 0x1000, 8, riscv_ram),
         .inputs = "plic",
         .devices = users(),
         .globals = {{"virtio-mmio", "force-legacy", "on"}},
         .start = riscv_legacy.lines,
         .started = riscv_legacy.shows},
        {.guest = "aarch64",
         .properties = {{"gic-version", "2"}},
         .places = places(arm, 0x200, 32, arm_ram),
         .inputs = "gic",
         .devices = users(),
         .globals = modern(false),
         .start = arm_split.lines,
         .started = arm_split.shows},
        {.guest = "aarch64",
         .properties = {{"gic-version", "2"}},
         .places = places(arm, 0x200, 32, arm_ram),
         .inputs = "gic",
         .devices = users(),
         .globals = modern(true),
         .start = arm_packed.lines,
         .started = arm_packed.shows},
    };
    return run(scenes, data, size);
}
