// The firmware configuration: registers and DMA, with a file that can be written.
#include "app/system/qtest_fuzz.hpp"

using namespace mimic;
using namespace mimic::qtest_fuzz;

namespace {
// A descriptor at ram + 0x1000, big-endian: control, length, address.
std::vector<std::string> descriptor(u64 ram) {
    return {fmt::format("write {:#x} 16 0x0020001a0000001c00000000{:08x}", ram + 0x1000, ram + 0x2000)};
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    static const Scene scenes[] = {
        {.guest = "riscv64",
         .places = with_ram({0x10100000, 0x10100008, 0x10100010}, riscv_ram),
         .inputs = "plic",
         .devices = {{"ramfb", {}}},
         .start = descriptor(riscv_ram)},
        {.guest = "aarch64",
         .properties = {{"gic-version", "3"}},
         .places = with_ram({0x9020000, 0x9020008, 0x9020010}, arm_ram),
         .inputs = "gic",
         .devices = {{"ramfb", {}}},
         .start = descriptor(arm_ram)},
    };
    return run(scenes, data, size);
}
