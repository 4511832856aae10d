// All devices of a board beside each other: what one asks of another (DMA into a neighbour's registers, lines) is met here; the
// other targets have one family each.
#include "app/system/qtest_fuzz.hpp"

using namespace mimic;
using namespace mimic::qtest_fuzz;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    static const Scene scenes[] = {
        {.guest = "riscv64",
         .places = {0x100000, 0x101000, 0x2000000, 0x2004000, 0xc000000, 0xc200000, 0x10000000, 0x10001000, 0x10002000,
                    0x10100000, 0x10100008, 0x10100010, 0x20000000, 0x22000000, riscv_ram, 0},
         .inputs = "plic"},
    };
    return run(scenes, data, size);
}
