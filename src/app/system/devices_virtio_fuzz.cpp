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
std::vector<std::string> start(u64 first, u64 step, u32 count, u64 ram) {
    std::vector<std::string> lines;
    for (u32 i = 0; i < 7; i++) {
        const VirtioRegisters r{.common = first + step * (count - 1 - i),
                                .feature_select = VIRTIO_MMIO_DRIVER_FEATURES_SEL,
                                .features = VIRTIO_MMIO_DRIVER_FEATURES,
                                .status = VIRTIO_MMIO_STATUS,
                                .select = VIRTIO_MMIO_QUEUE_SEL,
                                .size = VIRTIO_MMIO_QUEUE_NUM,
                                .area = VIRTIO_MMIO_QUEUE_DESC_LOW,
                                .enable = VIRTIO_MMIO_QUEUE_READY,
                                .narrow = 4};
        const std::vector<std::string> one = start_virtio(r, ram, ring_features);
        lines.insert(lines.end(), one.begin(), one.end());
    }
    return lines;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    constexpr u64 riscv = 0x10001000, arm = 0xa000000;
    static const Scene scenes[] = {
        {.guest = "riscv64",
         .places = places(riscv, 0x1000, 8, riscv_ram),
         .inputs = "plic",
         .devices = users(),
         .globals = {{"virtio-mmio", "force-legacy", "off"}},
         .start = start(riscv, 0x1000, 8, riscv_ram)},
        {.guest = "riscv64",
         .places = places(riscv, 0x1000, 8, riscv_ram),
         .inputs = "plic",
         .devices = users(),
         .globals = {{"virtio-mmio", "force-legacy", "on"}}},
        {.guest = "aarch64",
         .properties = {{"gic-version", "2"}},
         .places = places(arm, 0x200, 32, arm_ram),
         .inputs = "gic",
         .devices = users(),
         .globals = {{"virtio-mmio", "force-legacy", "off"},
                     {"virtio-blk-device", "packed", "on"},
                     {"virtio-rng-device", "packed", "on"}},
         .start = start(arm, 0x200, 32, arm_ram)},
    };
    return run(scenes, data, size);
}
