// RISC-V's interrupt controllers: ACLINT, PLIC, APLIC with lines and with messages, IMSIC.
#include "app/system/qtest_fuzz.hpp"

using namespace mimic;
using namespace mimic::qtest_fuzz;

namespace {

constexpr u64 aplic_m = 0xc000000, aplic_s = 0xd000000, imsic_m = 0x24000000, imsic_s = 0x28000000, clint = 0x2000000;

std::vector<u64> aia() {
    std::vector<u64> places = {clint, clint + 0x4000, clint + 0xbff8};
    for (u64 domain : {aplic_m, aplic_s})
        for (u64 at :
             {0x0, 0x4, 0x1bc0, 0x1c00, 0x1cdc, 0x1e00, 0x1edc, 0x1f00, 0x2000, 0x3000, 0x3004, 0x4000, 0x4020})
            places.push_back(domain + at);
    for (u64 at : {imsic_m, imsic_m + 0x1000, imsic_s, imsic_s + 0x1000, imsic_s + 0x2000}) places.push_back(at);
    return with_ram(std::move(places), riscv_ram);
}
// Source 1 is delegated to supervisor level, 2 is not; both domains are on.
std::vector<std::string> start(bool messages) {
    std::vector<std::string> lines;
    auto set = [&](u64 at, u32 value) { lines.push_back(fmt::format("writel {:#x} {:#x}", at, value)); };
    set(aplic_m + 4, 0x400);
    set(aplic_m + 8, 6);
    set(aplic_s + 4, 4);
    set(aplic_m + 0x3008, 1);
    set(aplic_s + 0x3004, 1);
    for (u64 domain : {aplic_m, aplic_s}) {
        set(domain, messages ? 0x104 : 0x100);
        set(domain + 0x1e00, 0xffffffff);
        set(domain + 0x4004, 1);
    }
    return lines;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    static const Scene scenes[] = {
        {.guest = "riscv64",
         .places = {clint, clint + 4, clint + 0x4000, clint + 0xbff8, 0xc000000, 0xc001000, 0xc002000, 0xc002080,
                    0xc200000, 0xc201000, 0xc203000},
         .inputs = "plic",
         .start = {"memset 0xc000004 384 1", "memset 0xc002000 16 255", "memset 0xc002080 16 255"}},
        {.guest = "riscv64",
         .properties = {{"aia", "aplic"}},
         .places = aia(),
         .inputs = "aplic",
         .start = start(false)},
        {.guest = "riscv64",
         .properties = {{"aia", "aplic-imsic"}, {"aia-guests", "3"}},
         .places = aia(),
         .inputs = "aplic",
         .start = start(true)},
        {.guest = "riscv64", .properties = {{"aia", "aplic-imsic"}}, .places = aia(), .inputs = "aplic"},
    };
    return run(scenes, data, size);
}
