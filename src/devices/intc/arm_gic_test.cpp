// The rules of IHI 0048 that drivers build on, through the registers of several processors.
#include "devices/base/machine.hpp"
#include "devices/types.hpp"
#include <gtest/gtest.h>

namespace mimic::devices {
namespace {

constexpr u64 dist = 0, cpu_if = 0x10000, hyp = 0x30000, vcpu = 0x40000;
constexpr u64 CTLR = 0, PMR = 4, BPR = 8, IAR = 0xc, EOIR = 0x10, RPR = 0x14, HPPIR = 0x18, AIAR = 0x20, AEOIR = 0x24,
              DIR = 0x1000;

// Lines 0 to 7: IRQ of processor n; 8 to 15: FIQ; behind them VIRQ, VFIQ, maintenance.
struct Gic : LineSink {
    Machine machine{{.manual_clock = true, .random_seed = 1, .types = types()}};
    Device* d = nullptr;
    std::array<bool, 40> level{};
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
        machine.mount(*d, 2, hyp);
        machine.mount(*d, 3, vcpu);
        for (u32 i = 0; i < cpus; i++) {
            machine.connect(*d, fmt::format("cpu[{}].irq", i), *this, i);
            machine.connect(*d, fmt::format("cpu[{}].fiq", i), *this, 8 + i);
            machine.connect(*d, fmt::format("cpu[{}].virq", i), *this, 16 + i);
            machine.connect(*d, fmt::format("cpu[{}].vfiq", i), *this, 24 + i);
            machine.connect(*d, fmt::format("cpu[{}].maintenance", i), *this, 32 + i);
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

// ---- the virtual interfaces (chapter 5)

constexpr u64 HCR = 0, VTR = 4, VMCR = 8, MISR = 0x10, EISR = 0x20, ELRSR = 0x30, APR = 0xf0, LR = 0x100;
constexpr u32 lr_pending = 1u << 28, lr_group1 = 1u << 30, lr_hardware = 1u << 31, lr_tell_end = 1u << 19;
constexpr u32 lr(u32 id, u32 priority) { return lr_pending | priority >> 3 << 23 | id; }

struct VirtualGic2 : Gic {
    VirtualGic2() {
        h(VMCR, 0xf0000001 | 3 << 18 | 2 << 21); // the mask, group 0, the least binary points
        h(HCR, 1);
    }
    u64 h(u64 at) { return read(hyp + at); }
    void h(u64 at, u64 v) { write(hyp + at, v); }
    u64 v(u64 at) { return read(vcpu + at); }
    void v(u64 at, u64 value) { write(vcpu + at, value); }
    bool virq(u32 c = 0) { return level[16 + c]; }
    bool vfiq() { return level[24]; }
    bool maintenance() { return level[32]; }
};

TEST(ArmGicVirtual, AGuestTakesWhatIsListed) {
    VirtualGic2 g;
    EXPECT_EQ(g.h(VTR), 0x90000003u) << "as a GIC-400: four list registers, 5 bits of priority";
    g.h(LR, lr(40, 0xa0));
    g.h(LR + 4, lr(3, 0x80) | 5 << 10); // an SGI that processor 5 sent
    EXPECT_EQ(g.h(LR + 4), lr(3, 0x80) | 5 << 10);
    EXPECT_TRUE(g.virq());
    EXPECT_FALSE(g.virq(1));
    EXPECT_FALSE(g.level[0]) << "the physical line";
    EXPECT_EQ(g.v(HPPIR), 3u | 5 << 10);
    EXPECT_EQ(g.v(IAR), 3u | 5 << 10);
    EXPECT_EQ(g.v(RPR), 0x80u);
    EXPECT_EQ(g.h(APR), 1u << 16);
    EXPECT_FALSE(g.virq()) << "40 is less urgent";
    EXPECT_EQ(g.v(IAR), 1023u);
    EXPECT_EQ(g.h(LR + 4) >> 28 & 3, 2u);
    g.v(EOIR, 3 | 5 << 10);
    EXPECT_EQ(g.h(LR + 4) >> 28 & 3, 0u);
    EXPECT_TRUE(g.virq());
    g.v(PMR, 0xa0);
    EXPECT_FALSE(g.virq());
    EXPECT_EQ(g.h(VMCR) >> 27, 0xa0u >> 3);
    g.v(PMR, 0xf8);
    g.cpu = 1;
    EXPECT_EQ(g.v(IAR), 1023u) << "another processor has its own";
    g.cpu = 0;
    g.v(CTLR, 0);
    EXPECT_FALSE(g.virq());
    g.v(CTLR, 1 | 8); // FIQEn
    EXPECT_TRUE(g.vfiq());
    EXPECT_FALSE(g.virq());
    EXPECT_EQ(g.h(VMCR) & 0x21f, 9u);
    g.h(HCR, 0);
    EXPECT_FALSE(g.vfiq());
}

TEST(ArmGicVirtual, GroupsHaveTheirRegisters) {
    VirtualGic2 g;
    g.v(CTLR, 3);
    g.h(LR, lr(40, 0xa0) | lr_group1);
    EXPECT_TRUE(g.virq());
    EXPECT_EQ(g.v(HPPIR), 1022u);
    EXPECT_EQ(g.v(IAR), 1022u);
    EXPECT_EQ(g.v(AIAR), 40u);
    EXPECT_EQ(g.h(APR), 1u << 20) << "one map for both groups";
    g.v(AEOIR, 40);
    EXPECT_EQ(g.h(APR), 0u);
    EXPECT_EQ(g.h(LR) >> 28 & 3, 0u);
    g.h(LR, lr(41, 0xa0));
    EXPECT_EQ(g.v(AIAR), 1023u);
    EXPECT_EQ(g.v(IAR), 41u);
    g.v(EOIR, 41);
    g.v(CTLR, 7); // AckCtl
    g.h(LR, lr(42, 0xa0) | lr_group1);
    EXPECT_EQ(g.v(IAR), 42u);
    g.v(CTLR, 7 | 1 << 9); // EOImode
    g.v(EOIR, 42);
    EXPECT_EQ(g.h(LR) >> 28 & 3, 2u);
    EXPECT_EQ(g.h(APR), 0u);
    g.v(DIR, 42);
    EXPECT_EQ(g.h(LR) >> 28 & 3, 0u);
}

TEST(ArmGicVirtual, APhysicalInterruptEndsWithTheVirtualOne) {
    VirtualGic2 g;
    g.start();
    g.gicc(CTLR, 1 | 1 << 9); // EOImode
    g.enable(45, 0x80);
    g.spi(45, true);
    EXPECT_EQ(g.gicc(IAR), 45u);
    g.gicc(EOIR, 45);
    g.h(LR, lr(60, 0x80) | lr_hardware | 45 << 10);
    EXPECT_EQ(g.h(LR), lr(60, 0x80) | lr_hardware | 45 << 10);
    EXPECT_EQ(g.v(IAR), 60u);
    EXPECT_EQ(g.gicc(IAR), 1023u) << "it is active";
    g.v(EOIR, 60);
    EXPECT_EQ(g.gicc(IAR), 45u) << "its line is high";
}

TEST(ArmGicVirtual, MaintenanceSaysWhy) {
    VirtualGic2 g;
    EXPECT_EQ(g.h(ELRSR), 15u);
    g.h(LR, lr(40, 0x80) | lr_tell_end);
    EXPECT_EQ(g.h(ELRSR), 14u);
    EXPECT_FALSE(g.maintenance());
    EXPECT_EQ(g.h(MISR), 0u);
    g.v(IAR);
    g.v(EOIR, 40);
    EXPECT_EQ(g.h(EISR), 1u);
    EXPECT_EQ(g.h(MISR), 1u);
    EXPECT_TRUE(g.maintenance());
    g.h(LR, 0);
    EXPECT_FALSE(g.maintenance());
    g.h(HCR, 3); // underflow
    EXPECT_EQ(g.h(MISR), 2u);
    EXPECT_TRUE(g.maintenance());
    g.h(APR, 1 << 16); // of an interrupt that is not listed
    g.h(HCR, 5);
    g.v(EOIR, 99);
    EXPECT_EQ(g.h(HCR) >> 27, 1u);
    EXPECT_EQ(g.h(MISR), 4u);
    g.machine.reset(ResetKind::power_on);
    EXPECT_FALSE(g.maintenance());
    EXPECT_EQ(g.h(VMCR), 0x4c0000u) << "the least binary points";
}

} // namespace
} // namespace mimic::devices
