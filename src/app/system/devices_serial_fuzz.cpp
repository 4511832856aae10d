// UARTs: a 16550A and a PL011.
#include "app/system/qtest_fuzz.hpp"

using namespace mimic;
using namespace mimic::qtest_fuzz;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    static const Scene scenes[] = {
        {.guest = "riscv64", .places = {0x10000000}, .inputs = "plic"},
        {.guest = "riscv64",
         .places = {0x10000000},
         .inputs = "plic",
         .start = {"writeb 0x10000002 0x07", "writeb 0x10000001 0x0f", "writeb 0x10000004 0x0b"}},
        {.guest = "aarch64", .properties = {{"gic-version", "2"}}, .places = {0x9000000, 0x9000fe0}, .inputs = "gic"},
        {.guest = "aarch64",
         .properties = {{"gic-version", "3"}},
         .places = {0x9000000},
         .inputs = "gic",
         .start = {"writel 0x9000024 13", "writel 0x900002c 0x70", "writel 0x9000038 0x7ff", "writel 0x9000030 0x301"}},
    };
    return run(scenes, data, size);
}
