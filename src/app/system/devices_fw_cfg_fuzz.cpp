// The firmware configuration: registers and DMA, with a file that can be written.
#include "app/system/qtest_fuzz.hpp"

using namespace mimic;
using namespace mimic::qtest_fuzz;

namespace {

constexpr u64 riscv = 0x10100000, arm = 0x9020000;

// A descriptor at ram + 0x1000, big-endian: control (select the file and write it), length, address.
std::vector<std::string> descriptor(monitor::QtestCommands& q, u64 base, u64 ram) {
    constexpr u32 select = 8, write = 16;
    const u32 control = u32{fw_cfg_key(q, base, "etc/ramfb")} << 16 | select | write;
    return {fmt::format("write {:#x} 16 0x{:08x}0000001c00000000{:08x}", ram + 0x1000, control, ram + 0x2000)};
}
std::vector<std::string> riscv_descriptor(monitor::QtestCommands& q) { return descriptor(q, riscv, riscv_ram); }
std::vector<std::string> arm_descriptor(monitor::QtestCommands& q) { return descriptor(q, arm, arm_ram); }

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    static const Scene scenes[] = {
        {.guest = "riscv64",
         .places = with_ram({riscv, riscv + 8, riscv + 16}, riscv_ram),
         .inputs = "plic",
         .devices = {{"ramfb", {}}},
         .found = riscv_descriptor},
        {.guest = "aarch64",
         .properties = {{"gic-version", "3"}},
         .places = with_ram({arm, arm + 8, arm + 16}, arm_ram),
         .inputs = "gic",
         .devices = {{"ramfb", {}}},
         .found = arm_descriptor},
    };
    return run(scenes, data, size);
}
