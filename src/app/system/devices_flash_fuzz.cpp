// CFI flash: both banks of both boards, one with two chips side by side.
#include "app/system/qtest_fuzz.hpp"

using namespace mimic;
using namespace mimic::qtest_fuzz;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    static const Scene scenes[] = {
        {.guest = "riscv64",
         .places = with_ram({0x20000000, 0x20000154, 0x21fffff0, 0x22000000, 0x2203fff0}, riscv_ram),
         .inputs = "plic"},
        {.guest = "aarch64",
         .properties = {{"gic-version", "2"}},
         .places = with_ram({0x0, 0x154, 0x3fffff0, 0x4000000, 0x403fff0}, arm_ram),
         .inputs = "gic"},
        {.guest = "aarch64",
         .properties = {{"gic-version", "2"}},
         .places = {0x4000000, 0x4000004},
         .inputs = "gic",
         .start = {"writel 0x4000000 0xe800e8", "writel 0x4000000 0x70007"}},
    };
    return run(scenes, data, size);
}
