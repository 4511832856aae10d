// Arm's interrupt controllers: GICv2 with its message frame and its virtual interfaces, GICv3 with redistributors, translation service
// and the registers of processors, with one Security state and with two.
#include "app/system/qtest_fuzz.hpp"
#include "devices/intc/arm_gicv3.hpp"

using namespace mimic;
using namespace mimic::qtest_fuzz;

namespace {

constexpr u64 dist = 0x8000000, cpu = 0x8010000, hyp = 0x8030000, vcpu = 0x8040000, v2m = 0x8020000, its = 0x8080000;
constexpr u64 translater = its + 0x10000, redist = 0x80a0000, sgis = redist + 0x10000, second = redist + 0x20000;

std::vector<u64> version_2() {
    return {dist,         dist + 0x100, dist + 0x400, dist + 0x800, dist + 0xc00, dist + 0xf00, cpu,
            cpu + 0x1000, v2m,          v2m + 0x40,   hyp,          hyp + 0x100,  vcpu};
}
std::vector<u64> version_3() {
    return with_ram({dist, dist + 0x80, dist + 0x400, dist + 0xc00, dist + 0x6100, its, its + 0x80, its + 0x100,
                     translater, translater + 0x40, redist, redist + 0x70, sgis, sgis + 0x400, second,
                     second + 0x10000},
                    arm_ram);
}

// Interrupts are on, LPIs and the tables of the translation service lie in RAM.
std::vector<std::string> start_3() {
    const u64 valid = u64{1} << 63;
    std::vector<std::string> lines = {
        fmt::format("writel {:#x} 0x37", dist),
        fmt::format("writeq {:#x} {:#x}", redist + 0x70, arm_ram + 0x8000 + 13),
        fmt::format("writeq {:#x} {:#x}", redist + 0x78, arm_ram + 0x10000 - 0x10000),
        fmt::format("writel {:#x} 1", redist),
        fmt::format("writeq {:#x} {:#x}", its + 0x80, valid | (arm_ram + 0x1000)),
        fmt::format("writeq {:#x} {:#x}", its + 0x100, valid | (arm_ram + 0x2000)),
        fmt::format("writeq {:#x} {:#x}", its + 0x108, valid | (arm_ram + 0x3000)),
        fmt::format("writel {:#x} 1", its),
    };
    // MAPD device 0; MAPC collection 0 to processor 0; MAPTI event 0 to LPI 8192.
    const u64 commands[][4] = {
        {0x08, 4, valid | (arm_ram + 0x4000), 0}, {0x09, 0, valid, 0}, {0x0a, u64{8192} << 32, 0, 0}};
    u64 at = arm_ram + 0x1000;
    for (const auto& c : commands)
        for (u64 word : c) {
            lines.push_back(fmt::format("writeq {:#x} {:#x}", at, word));
            at += 8;
        }
    lines.push_back(fmt::format("writeq {:#x} 0x60", its + 0x88));
    return lines;
}

// A register of a processor's interface: number and value from the step.
void processor_registers(World& world, std::span<const u8> step) {
    auto* gic = dynamic_cast<devices::GicV3*>(world.board->machine().find("gic"));
    if (!gic) return;
    const devices::GicV3::Asker who{.cpu = u32(step[0] & 1),
                                    .level = u8(step[0] >> 1 & 3),
                                    .secure = (step[0] & 8) != 0,
                                    .secure_fiq = (step[0] & 16) != 0};
    // op0 3, op1 0, 4 or 6, CRn 4 or 12, as MRS and MSR encode it.
    const u32 op1 = step[1] & 1   ? 0
                    : step[1] & 2 ? 4
                                  : 6,
              crn = step[1] & 4 ? 12 : 4, crm = step[2] & 15, op2 = step[2] >> 4 & 7;
    const u32 number = 3u << 14 | op1 << 11 | crn << 7 | crm << 3 | op2;
    u64 value = 0;
    std::memcpy(&value, &step[3], 4);
    value = value << (step[1] >> 3);
    if (step[0] & 32) {
        if (step[0] & 64)
            gic->read_virtual(who.cpu, number, value);
        else
            gic->write_virtual(who.cpu, number, value);
        return;
    }
    if (step[0] & 64)
        gic->read_register(who, number, value);
    else
        gic->write_register(who, number, value);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    static const Scene scenes[] = {
        {.guest = "aarch64",
         .properties = {{"gic-version", "2"}, {"virtualization", "on"}},
         .places = version_2(),
         .inputs = "gic",
         .start = {"writel 0x8000000 3", "writel 0x8010000 3", "writel 0x8010004 0xff", "memset 0x8000100 32 255",
                   "memset 0x8000820 96 1"}},
        {.guest = "aarch64",
         .properties = {{"gic-version", "2"}, {"secure", "on"}},
         .places = version_2(),
         .inputs = "gic"},
        {.guest = "aarch64",
         .properties = {{"gic-version", "3"}, {"virtualization", "on"}},
         .places = version_3(),
         .inputs = "gic",
         .start = start_3(),
         .other = processor_registers},
        {.guest = "aarch64",
         .properties = {{"gic-version", "3"}, {"secure", "on"}, {"virtualization", "on"}},
         .places = version_3(),
         .inputs = "gic",
         .other = processor_registers},
    };
    return run(scenes, data, size);
}
