// The rules of IHI 0048 that drivers build on, through the registers of several processors.
#include "devices/base/machine.hpp"
#include "devices/types.hpp"
#include <gtest/gtest.h>

namespace mimic::devices {
namespace {

constexpr u64 dist = 0, cpu_if = 0x10000;
constexpr u64 CTLR = 0, PMR = 4, BPR = 8, IAR = 0xc, EOIR = 0x10, RPR = 0x14, HPPIR = 0x18, AIAR = 0x20, AEOIR = 0x24,
              DIR = 0x1000;

// Lines 0 to 7: IRQ of processor n; 8 to 15: FIQ.
struct Gic : LineSink {
    Machine machine{{.manual_clock = true, .random_seed = 1, .types = types()}};
    Device* d = nullptr;
    std::array<bool, 16> level{};
    u16 cpu = 0;
    bool secure = false;

    explicit Gic(u32 cpus = 2, bool security = false) {
        auto made = machine.create("arm_gic", "gic",
                                   {{"num-cpu", std::to_string(cpus)},
                                    {"num-irq", "96"},
                                    {"has-security-extensions", security ? "on" : "off"}});
        EXPECT_TRUE(made) << (made ? "" : made.error().message());
        d = *made;
        machine.mount(*d, 0, dist);
        machine.mount(*d, 1, cpu_if);
        for (u32 i = 0; i < cpus; i++) {
            machine.connect(*d, fmt::format("cpu[{}].irq", i), *this, i);
            machine.connect(*d, fmt::format("cpu[{}].fiq", i), *this, 8 + i);
        }
        machine.reset(ResetKind::power_on);
    }
    void set_line(u32 n, bool on) override { level.at(n) = on; }
    u64 read(u64 at, u32 bytes = 4) {
        u64 v = 0;
        EXPECT_EQ(machine.memory().read_value(at, bytes, v, {.processor = cpu, .secure = secure}), memory::Outcome::ok);
        return v;
    }
    void write(u64 at, u64 v, u32 bytes = 4) {
        EXPECT_EQ(machine.memory().write_value(at, bytes, v, {.processor = cpu, .secure = secure}),
                  memory::Outcome::ok);
    }
    u64 gicc(u64 at) { return read(cpu_if + at); }
    void gicc(u64 at, u64 v) { write(cpu_if + at, v); }
    void spi(u32 id, bool on) { d->inputs()->set_line(id - 32, on); }
    void ppi(u32 c, u32 id, bool on) { d->inputs()->set_line(64 + 32 * c + id, on); }
    // As a kernel of one world sets it up: all groups as they are, priorities below 0xf0.
    void start() {
        write(dist, 1);
        for (cpu = 0; cpu < 2; cpu++) {
            gicc(PMR, 0xf0);
            gicc(CTLR, 1);
        }
        cpu = 0;
    }
    void enable(u32 id, u8 priority = 0xa0, u8 targets = 1) {
        write(dist + 0x400 + id, priority, 1);
        if (id >= 32) write(dist + 0x800 + id, targets, 1);
        write(dist + 0x100 + id / 32 * 4, u64{1} << id % 32);
    }
};

TEST(ArmGic, SaysWhatItIs) {
    Gic g;
    EXPECT_EQ(g.read(dist + 4), 0x22u); // 96 interrupts, two processors
    EXPECT_EQ(g.read(dist + 0xfe8), 0x2bu);
    EXPECT_EQ(g.gicc(IAR), 1023u);
    g.cpu = 1;
    EXPECT_EQ(g.read(dist + 0x800), 0x02020202u); // its own bit
}

TEST(ArmGic, LevelsStayUntilTheyFall) {
    Gic g;
    g.start();
    g.enable(40);
    g.spi(40, true);
    EXPECT_TRUE(g.level[0]);
    EXPECT_FALSE(g.level[1]);
    EXPECT_EQ(g.gicc(HPPIR), 40u);
    EXPECT_EQ(g.gicc(IAR), 40u);
    EXPECT_FALSE(g.level[0]);
    EXPECT_EQ(g.gicc(RPR), 0xa0u);
    EXPECT_EQ(g.read(dist + 0x304), 1u << 8); // active
    EXPECT_EQ(g.read(dist + 0x204), 1u << 8); // and pending, the line is high
    g.gicc(EOIR, 40);
    EXPECT_TRUE(g.level[0]);
    EXPECT_EQ(g.gicc(RPR), 0xffu);
    EXPECT_EQ(g.gicc(IAR), 40u);
    g.spi(40, false);
    g.gicc(EOIR, 40);
    EXPECT_FALSE(g.level[0]);
    EXPECT_EQ(g.gicc(IAR), 1023u);
}

TEST(ArmGic, EdgesAreRemembered) {
    Gic g;
    g.start();
    g.write(dist + 0xc08, 2u << 16); // 40
    EXPECT_EQ(g.read(dist + 0xc08), 2u << 16);
    g.enable(40);
    g.spi(40, true);
    g.spi(40, false);
    EXPECT_EQ(g.gicc(IAR), 40u);
    g.spi(40, true); // again, while active
    g.spi(40, false);
    EXPECT_FALSE(g.level[0]);
    g.gicc(EOIR, 40);
    EXPECT_EQ(g.gicc(IAR), 40u);
    g.gicc(EOIR, 40);
    EXPECT_EQ(g.gicc(IAR), 1023u);
}

TEST(ArmGic, UrgentOnesPreempt) {
    Gic g;
    g.start();
    g.enable(40, 0xa0);
    g.enable(41, 0x80);
    g.enable(42, 0xf0); // as low as the mask
    g.spi(42, true);
    EXPECT_FALSE(g.level[0]);
    g.spi(40, true);
    EXPECT_EQ(g.gicc(IAR), 40u);
    g.spi(41, true);
    EXPECT_TRUE(g.level[0]);
    EXPECT_EQ(g.gicc(IAR), 41u);
    EXPECT_EQ(g.gicc(RPR), 0x80u);
    g.spi(41, false);
    g.gicc(EOIR, 41);
    EXPECT_EQ(g.gicc(RPR), 0xa0u);
    g.gicc(EOIR, 40);
    g.gicc(BPR, 7); // no preemption at all
    EXPECT_EQ(g.gicc(IAR), 40u);
    EXPECT_EQ(g.gicc(RPR), 0u);
    g.spi(41, true);
    EXPECT_FALSE(g.level[0]);
    g.gicc(EOIR, 40);
    EXPECT_TRUE(g.level[0]);
}

TEST(ArmGic, SplitEndDropsFirst) {
    Gic g;
    g.start();
    g.gicc(CTLR, 1 | 1 << 9);
    g.enable(40);
    g.spi(40, true);
    EXPECT_EQ(g.gicc(IAR), 40u);
    g.gicc(EOIR, 40);
    EXPECT_EQ(g.gicc(RPR), 0xffu);
    EXPECT_EQ(g.gicc(IAR), 1023u); // still active
    g.gicc(DIR, 40);
    EXPECT_EQ(g.gicc(IAR), 40u);
}

TEST(ArmGic, ProcessorsSignalEachOther) {
    Gic g;
    g.start();
    for (g.cpu = 0; g.cpu < 2; g.cpu++) g.write(dist + 0x400, 0xa0a0a0a0);
    g.cpu = 0;
    g.write(dist + 0xf00, 1 << 24 | 3); // all but itself
    EXPECT_FALSE(g.level[0]);
    EXPECT_TRUE(g.level[1]);
    g.cpu = 1;
    g.write(dist + 0xf00, 2 << 24 | 3); // itself
    EXPECT_EQ(g.read(dist + 0xf20) >> 24, 3u);
    EXPECT_EQ(g.gicc(IAR), 3u); // from 0
    g.gicc(EOIR, 3);
    EXPECT_EQ(g.gicc(IAR), 1u << 10 | 3); // from 1
    g.gicc(EOIR, 1 << 10 | 3);
    EXPECT_EQ(g.gicc(IAR), 1023u);
}

TEST(ArmGic, PrivateAndSharedOnesGoWhereTheyBelong) {
    Gic g;
    g.start();
    g.cpu = 1;
    g.enable(27);
    g.cpu = 0;
    g.ppi(0, 27, true); // not enabled there
    EXPECT_FALSE(g.level[0]);
    g.ppi(1, 27, true);
    EXPECT_TRUE(g.level[1]);
    g.ppi(1, 27, false);
    EXPECT_FALSE(g.level[1]);
    g.enable(50, 0xa0, 3);
    g.spi(50, true);
    EXPECT_TRUE(g.level[0] && g.level[1]);
    EXPECT_EQ(g.gicc(IAR), 50u); // the first takes it
    EXPECT_FALSE(g.level[1]);
    g.cpu = 1;
    EXPECT_EQ(g.gicc(IAR), 1023u);
}

TEST(ArmGic, GroupsAreIrqAndFiq) {
    Gic g;
    g.start();
    g.write(dist, 3);
    g.gicc(CTLR, 3 | 8);           // both groups, group 0 as FIQ
    g.write(dist + 0x84, 1u << 8); // 40 is of group 1
    g.enable(40);
    g.enable(41, 0xb0);
    g.spi(40, true);
    EXPECT_TRUE(g.level[0]);
    EXPECT_EQ(g.gicc(IAR), 1022u); // by the aliased register
    EXPECT_EQ(g.gicc(AIAR), 40u);
    g.gicc(AEOIR, 40);
    g.spi(40, false);
    g.spi(41, true);
    EXPECT_TRUE(g.level[8]);
    EXPECT_FALSE(g.level[0]);
    EXPECT_EQ(g.gicc(AIAR), 1023u);
    EXPECT_EQ(g.gicc(IAR), 41u);
}

TEST(ArmGic, NonSecureViewsAreNarrow) {
    Gic g(2, true);
    g.secure = true;
    g.write(dist, 3);
    g.write(dist + 0x84, 1u << 8);
    g.enable(40, 0xc0);
    g.enable(41, 0x40);
    g.gicc(PMR, 0xff);
    g.gicc(CTLR, 3);
    g.secure = false;
    EXPECT_EQ(g.read(dist), 1u);
    EXPECT_EQ(g.gicc(CTLR), 1u);
    EXPECT_EQ(g.read(dist + 0x104), 1u << 8); // 41 is hidden
    EXPECT_EQ(g.read(dist + 0x428, 1), 0x80u);
    EXPECT_EQ(g.read(dist + 0x429, 1), 0u);
    g.write(dist + 0x428, 0x20, 1);
    g.write(dist + 0x429, 0xff, 1);
    g.gicc(PMR, 0x40);
    g.spi(41, true);
    EXPECT_EQ(g.gicc(IAR), 1023u); // group 0 is not for it
    g.spi(41, false);
    g.spi(40, true);
    EXPECT_EQ(g.gicc(IAR), 40u);
    g.gicc(EOIR, 40);
    g.secure = true;
    EXPECT_EQ(g.read(dist + 0x428, 1), 0x90u);
    EXPECT_EQ(g.read(dist + 0x429, 1), 0x40u);
    EXPECT_EQ(g.gicc(PMR), 0xa0u);
}

} // namespace
} // namespace mimic::devices
