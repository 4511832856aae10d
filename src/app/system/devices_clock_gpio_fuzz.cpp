// Clocks, lines and what ends a machine: goldfish RTC, SiFive's test finisher, PL031, PL061 with a button at it.
#include "app/system/qtest_fuzz.hpp"

using namespace mimic;
using namespace mimic::qtest_fuzz;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    static const Scene scenes[] = {
        {.guest = "riscv64", .places = {0x101000, 0x100000}, .inputs = "plic"},
        {.guest = "aarch64",
         .properties = {{"gic-version", "2"}},
         .places = {0x9010000, 0x9030000, 0x9030400, 0x9010fe0},
         .inputs = "gpio"},
        {.guest = "aarch64",
         .properties = {{"gic-version", "3"}},
         .places = {0x9030000, 0x9030400},
         .inputs = "power-button"},
    };
    return run(scenes, data, size);
}
