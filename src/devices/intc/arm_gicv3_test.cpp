// The rules of IHI 0069 that drivers build on, through registers of memory and of the system.
#include "devices/base/machine.hpp"
#include "devices/intc/arm_gicv3.hpp"
#include "devices/types.hpp"
#include <cstring>
#include <gtest/gtest.h>

namespace mimic::devices {
namespace {

constexpr u64 dist = 0, redist = 0x100000, frame = 0x20000, sgi = 0x10000;
constexpr u32 reg(u32 n, u32 m, u32 op2, u32 op1 = 0) { return 3u << 14 | op1 << 11 | n << 7 | m << 3 | op2; }
constexpr u32 PMR = reg(4, 6, 0), IAR0 = reg(12, 8, 0), IAR1 = reg(12, 12, 0), EOIR1 = reg(12, 12, 1),
              DIR = reg(12, 11, 1), RPR = reg(12, 11, 3), SGI1R = reg(12, 11, 5), CTLR = reg(12, 12, 4),
              IGRPEN0 = reg(12, 12, 6), IGRPEN1 = reg(12, 12, 7), HPPIR1 = reg(12, 12, 2);

// Lines 0 to 7: IRQ of processor n; 8 to 15: FIQ.
struct Gic : LineSink {
    Machine machine{{.manual_clock = true, .random_seed = 1, .types = types()}};
    std::unique_ptr<memory::RamBlock> block;
    std::unique_ptr<memory::Region> ram;
    GicV3* d = nullptr;
    std::array<bool, 16> level{};

    explicit Gic(u32 cpus = 2, bool lpis = false) {
        block = *memory::RamBlock::create("ram", 1 << 20, {.backing = memory::RamBlock::Backing::anonymous});
        ram = std::make_unique<memory::Region>("ram", *block, 0, 1 << 20, false);
        machine.system().add(*ram, 0x80000000);
        auto made =
            machine.create("arm-gicv3", "gic", {{"num-cpu", std::to_string(cpus)}, {"has-lpi", lpis ? "on" : "off"}});
        EXPECT_TRUE(made) << (made ? "" : made.error().message());
        d = static_cast<GicV3*>(*made);
        machine.mount(*d, 0, dist);
        machine.mount(*d, 1, redist);
        for (u32 i = 0; i < cpus; i++) {
            machine.connect(*d, fmt::format("cpu[{}].irq", i), *this, i);
            machine.connect(*d, fmt::format("cpu[{}].fiq", i), *this, 8 + i);
        }
        machine.reset(ResetKind::power_on);
        // As a kernel sets it up: everything of group 1, priorities below 0xf0.
        write(dist, 2);
        for (u32 w = 1; w < 3; w++) write(dist + 0x80 + 4 * w, 0xffffffff);
        for (u32 c = 0; c < cpus; c++) {
            write(redist + c * frame + 0x14, 0);
            write(redist + c * frame + sgi + 0x80, 0xffffffff);
            set(c, PMR, 0xf0);
            set(c, IGRPEN1, 1);
        }
    }
    ~Gic() { machine.system().remove(*ram); }
    void set_line(u32 n, bool on) override { level.at(n) = on; }
    u64 read(u64 at, u32 bytes = 4) {
        u64 v = 0;
        EXPECT_EQ(machine.memory().read_value(at, bytes, v, {}), memory::Outcome::ok);
        return v;
    }
    void write(u64 at, u64 v, u32 bytes = 4) {
        EXPECT_EQ(machine.memory().write_value(at, bytes, v, {}), memory::Outcome::ok);
    }
    u64 get(u32 cpu, u32 r) {
        u64 v = 0;
        EXPECT_TRUE(d->read_register({.cpu = cpu}, r, v)) << r;
        return v;
    }
    void set(u32 cpu, u32 r, u64 v) { EXPECT_TRUE(d->write_register({.cpu = cpu}, r, v)) << r; }
    void spi(u32 id, bool on) { d->inputs()->set_line(id - 32, on); }
    void enable(u32 id, u8 priority, u64 affinity) {
        write(dist + 0x400 + id, priority, 1);
        write(dist + 0x6000 + 8 * id, affinity, 8);
        write(dist + 0x100 + id / 32 * 4, u64{1} << id % 32);
    }
};

TEST(ArmGicV3, SaysWhatItIs) {
    Gic g;
    EXPECT_EQ(g.read(dist + 4) & 0x1f, 2u);
    EXPECT_EQ(g.read(dist) & 0x7f, 0x52u); // DS, ARE, EnableGrp1
    EXPECT_EQ(g.read(dist + 0xffe8), 0x3bu);
    EXPECT_EQ(g.read(redist + 8, 8), 0u);
    EXPECT_EQ(g.read(redist + frame + 8, 8), u64{1} << 32 | 1 << 8 | 1 << 4); // the last one
    EXPECT_EQ(g.get(0, CTLR) >> 8 & 7, 4u);
    EXPECT_EQ(g.get(0, reg(12, 12, 5)), 7u);
    u64 v = 0;
    EXPECT_FALSE(g.d->read_register({}, SGI1R, v));
    EXPECT_FALSE(g.d->read_register({.level = 3}, reg(12, 12, 4, 6), v)); // ICC_CTLR_EL3 is of two Security states
    EXPECT_FALSE(g.d->write_register({}, reg(12, 13, 0), 1));
}

TEST(ArmGicV3, SharedOnesAreRouted) {
    Gic g;
    g.enable(40, 0xa0, 1);
    g.spi(40, true);
    EXPECT_FALSE(g.level[0]);
    EXPECT_TRUE(g.level[1]);
    EXPECT_EQ(g.get(0, IAR1), 1023u);
    EXPECT_EQ(g.get(1, IAR0), 1023u); // of the other group
    EXPECT_EQ(g.get(1, HPPIR1), 40u);
    EXPECT_EQ(g.get(1, IAR1), 40u);
    EXPECT_EQ(g.get(1, RPR), 0xa0u);
    g.set(1, EOIR1, 40);
    EXPECT_TRUE(g.level[1]); // the line is still high
    g.spi(40, false);
    EXPECT_FALSE(g.level[1]);
    g.write(dist + 0x6000 + 8 * 40 + 4, 1); // the upper half alone: there is no such processor
    EXPECT_EQ(g.read(dist + 0x6000 + 8 * 40, 8), u64{1} << 32 | 1);
}

TEST(ArmGicV3, PrivateOnesAndSignals) {
    Gic g;
    g.write(redist + sgi + 0x100, 1 << 27 | 0xffff);
    g.write(redist + frame + sgi + 0x100, 0xffff);
    g.d->inputs()->set_line(64 + 27, true);
    EXPECT_TRUE(g.level[0]);
    EXPECT_EQ(g.get(0, IAR1), 27u);
    g.d->inputs()->set_line(64 + 27, false);
    g.set(0, EOIR1, 27);
    EXPECT_FALSE(g.level[0]);
    g.set(0, SGI1R, 5u << 24 | 2); // to Aff0 = 1
    EXPECT_FALSE(g.level[0]);
    EXPECT_EQ(g.get(1, IAR1), 5u);
    g.set(1, EOIR1, 5);
    g.set(1, SGI1R, u64{1} << 40 | 6u << 24); // all others
    EXPECT_EQ(g.get(0, IAR1), 6u);
    EXPECT_FALSE(g.level[1]);
}

TEST(ArmGicV3, PriorityMaskPreemptionAndSplitEnd) {
    Gic g(1);
    g.enable(40, 0xa0, 0);
    g.enable(41, 0x87, 0);
    EXPECT_EQ(g.read(dist + 0x400 + 41, 1), 0x80u); // five bits
    g.spi(40, true);
    g.set(0, PMR, 0xa0);
    EXPECT_FALSE(g.level[0]);
    g.set(0, PMR, 0xff);
    EXPECT_EQ(g.get(0, PMR), 0xf8u);
    EXPECT_EQ(g.get(0, IAR1), 40u);
    g.spi(41, true);
    EXPECT_EQ(g.get(0, IAR1), 41u);
    g.spi(41, false);
    g.set(0, EOIR1, 41);
    EXPECT_EQ(g.get(0, RPR), 0xa0u);
    g.set(0, CTLR, 2);
    g.set(0, EOIR1, 40);
    EXPECT_EQ(g.get(0, RPR), 0xffu);
    EXPECT_EQ(g.get(0, IAR1), 1023u); // still active
    g.set(0, DIR, 40);
    EXPECT_EQ(g.get(0, IAR1), 40u);
}

TEST(ArmGicV3, GroupZeroIsFiqAndSleepersHearNothing) {
    Gic g(1);
    g.write(dist, 3);
    g.write(dist + 0x84, 0);
    g.set(0, IGRPEN0, 1);
    g.enable(40, 0x80, 0);
    g.spi(40, true);
    EXPECT_TRUE(g.level[8]);
    EXPECT_FALSE(g.level[0]);
    g.write(redist + 0x14, 2);
    EXPECT_EQ(g.read(redist + 0x14), 6u);
    EXPECT_FALSE(g.level[8]);
    g.write(redist + 0x14, 0);
    EXPECT_EQ(g.get(0, IAR0), 40u);
}

TEST(ArmGicV3, ProcessorsSleepAfterResetUnlessTheBoardHasThemAwake) {
    for (const char* awake : {"off", "on"}) {
        Machine machine{{.manual_clock = true, .random_seed = 1, .types = types()}};
        machine.mount(**machine.create("arm-gicv3", "gic", {{"awake", awake}}), 1, redist);
        machine.reset(ResetKind::power_on);
        u64 waker = 0;
        EXPECT_EQ(machine.memory().read_value(redist + 0x14, 4, waker, {}), memory::Outcome::ok);
        EXPECT_EQ(waker, awake == std::string_view("on") ? 0u : 6u);
    }
}

// ---- two Security states. Lines 0 and 8 of Gic are IRQ and FIQ; here 1 is group 1 of the secure state, 2 that of the other.

constexpr u32 EOIR0 = reg(12, 8, 1), CTLR_EL3 = reg(12, 12, 4, 6), IGRPEN1_EL3 = reg(12, 12, 7, 6),
              SGI0R = reg(12, 11, 7);

struct SecureGic : LineSink {
    Machine machine{{.manual_clock = true, .random_seed = 1, .types = types()}};
    GicV3* d = nullptr;
    std::array<bool, 4> level{};
    bool secure = true;
    GicV3::Asker who{.level = 3, .secure = true};

    SecureGic() {
        d = static_cast<GicV3*>(*machine.create("arm-gicv3", "gic", {{"has-security-extensions", "on"}}));
        machine.mount(*d, 0, dist);
        machine.mount(*d, 1, redist);
        u32 line = 0;
        for (const char* name : {"cpu[0].irq", "cpu[0].g1s", "cpu[0].g1ns", "cpu[0].fiq"})
            machine.connect(*d, name, *this, line++);
        machine.reset(ResetKind::power_on);
        write(redist + 0x14, 0);
        write(dist, 7);
        write(dist + 0x84, 0x0f00);  // 40 to 43: non-secure
        write(dist + 0xd04, 0x00f0); // 36 to 39: secure group 1
        set(PMR, 0xf8);
        set(IGRPEN0, 1);
        set(IGRPEN1_EL3, 3);
    }
    void set_line(u32 n, bool on) override { level.at(n) = on; }
    u64 read(u64 at, u32 bytes = 4) {
        u64 v = 0;
        EXPECT_EQ(machine.memory().read_value(at, bytes, v, {.secure = secure}), memory::Outcome::ok);
        return v;
    }
    void write(u64 at, u64 v, u32 bytes = 4) {
        EXPECT_EQ(machine.memory().write_value(at, bytes, v, {.secure = secure}), memory::Outcome::ok);
    }
    u64 get(u32 r) {
        u64 v = 0;
        EXPECT_TRUE(d->read_register(who, r, v)) << r;
        return v;
    }
    void set(u32 r, u64 v) { EXPECT_TRUE(d->write_register(who, r, v)) << r; }
    void pend(u32 id, u8 priority) {
        secure = true;
        write(dist + 0x400 + id, priority, 1);
        write(dist + 0x104, 1u << (id - 32));
        d->inputs()->set_line(id - 32, true);
    }
};
constexpr GicV3::Asker el3{.level = 3, .secure = true}, secure_el1{.secure = true}, el1{.secure_fiq = true};

TEST(ArmGicV3Secure, EachGroupHasItsLineAndItsReaders) {
    SecureGic g;
    g.pend(33, 0x20);
    EXPECT_EQ(g.level, (std::array{false, false, false, true}));
    for (auto [who, id] : {std::pair(el1, 1023u), std::pair(secure_el1, 33u)}) {
        g.who = who;
        EXPECT_EQ(g.get(IAR0), id);
    }
    g.set(EOIR0, 33);
    g.d->inputs()->set_line(1, false);
    g.pend(36, 0x20);
    EXPECT_EQ(g.level, (std::array{false, true, false, false}));
    g.who = el3;
    EXPECT_EQ(g.get(IAR0), 1020u);
    g.who = el1;
    EXPECT_EQ(g.get(IAR1), 1023u);
    g.who = secure_el1;
    EXPECT_EQ(g.get(IAR1), 36u);
    g.set(EOIR1, 36);
    g.d->inputs()->set_line(4, false);
    g.pend(40, 0xa0);
    EXPECT_EQ(g.level, (std::array{false, false, true, false}));
    g.who = el3;
    EXPECT_EQ(g.get(IAR0), 1021u);
    g.who = secure_el1;
    EXPECT_EQ(g.get(IAR1), 1023u);
    g.who = el1;
    EXPECT_EQ(g.get(IAR1), 40u);
    EXPECT_EQ(g.get(RPR), 0x40u); // of 0xa0
    g.who = secure_el1;
    g.set(EOIR1, 40); // another's
    EXPECT_EQ(g.get(RPR), 0xa0u);
    g.who = el3; // EL3 ends either
    g.set(CTLR_EL3, 4);
    g.set(EOIR1, 40);
    EXPECT_EQ(g.get(RPR), 0xffu);
    EXPECT_EQ(g.read(dist + 0x304), 1u << 8); // EOImode_EL3: still active
    g.set(DIR, 40);
    EXPECT_EQ(g.read(dist + 0x304), 0u);
}

TEST(ArmGicV3Secure, OneStateWhenSecurityIsDisabled) {
    SecureGic g;
    g.secure = false;
    g.write(dist + 0x104, 0xffff);
    EXPECT_EQ(g.read(dist + 0x104), 0x0f00u); // its own
    EXPECT_EQ(g.read(redist + 0x14), 0u);
    g.write(dist, 1 << 6); // not the non-secure state's
    EXPECT_EQ(g.read(dist), 0x10u);
    g.secure = true;
    EXPECT_EQ(g.read(dist), 0x35u);
    g.write(dist, 1 << 6 | 3);
    EXPECT_EQ(g.read(dist), 0x53u);
    EXPECT_EQ(g.read(dist + 4) & 1 << 10, 0u);
    g.write(dist, 3);
    EXPECT_EQ(g.read(dist), 0x53u); // it stays
    g.secure = false;
    EXPECT_EQ(g.read(dist + 0x84), 0x0f00u);
    EXPECT_EQ(g.read(dist + 0xd04), 0u);
    g.pend(40, 0x20);
    EXPECT_TRUE(g.level[0]);
    g.who = el1;
    EXPECT_EQ(g.get(IAR1), 40u);
    EXPECT_EQ(g.get(RPR), 0x20u);
}

TEST(ArmGicV3Secure, TheNonSecureStateMakesItsOwnInterruptsOnly) {
    SecureGic g;
    g.write(redist + sgi + 0x80, 0xff00); // SGIs 8 to 15
    g.write(redist + sgi + 0xd00, 0xf0);
    g.who = el1;
    for (u32 id : {1, 5, 9}) g.set(SGI1R, u64{id} << 24 | 1), g.set(SGI0R, u64{id} << 24 | 1);
    EXPECT_EQ(g.read(redist + sgi + 0x200), 1u << 9);
    g.who = secure_el1;
    for (u32 id : {1, 5, 10}) g.set(SGI1R, u64{id} << 24 | 1); // group 0's, too, as the reference does
    EXPECT_EQ(g.read(redist + sgi + 0x200), 1u << 9 | 1u << 5 | 1u << 1);
    for (u32 id : {2, 6}) g.set(SGI0R, u64{id} << 24 | 1);
    EXPECT_EQ(g.read(redist + sgi + 0x200), 1u << 9 | 1u << 5 | 1u << 1 | 1u << 2);
    g.secure = false;
    EXPECT_EQ(g.read(redist + sgi + 0x200), 1u << 9);
}

// ---- the virtual interface

constexpr u32 HCR = reg(12, 11, 0, 4), VTR = reg(12, 11, 1, 4), MISR = reg(12, 11, 2, 4), EISR = reg(12, 11, 3, 4),
              ELRSR = reg(12, 11, 5, 4), VMCR = reg(12, 11, 7, 4), LR0 = reg(12, 12, 0, 4);
constexpr u64 pending = u64{1} << 62, hardware = u64{1} << 61, group_1 = u64{1} << 60;
constexpr u64 lr(u32 id, u64 priority) { return pending | group_1 | priority << 48 | id; }

struct VirtualGic : Gic {
    std::array<bool, 24> out{}; // 16: VIRQ, 17: VFIQ, 18: maintenance
    struct Sink : LineSink {
        VirtualGic& g;
        explicit Sink(VirtualGic& v) : g(v) {}
        void set_line(u32 n, bool on) override { g.out.at(n) = on; }
    } sink{*this};
    VirtualGic() : Gic(1) {
        machine.connect(*d, "cpu[0].virq", sink, 16);
        machine.connect(*d, "cpu[0].vfiq", sink, 17);
        machine.connect(*d, "cpu[0].maintenance", sink, 18);
        set(0, VMCR, 0xf0 << 24 | 3); // the mask, both groups
        set(0, HCR, 1);
    }
    u64 guest(u32 r) {
        u64 v = 0;
        EXPECT_TRUE(d->read_virtual(0, r, v)) << r;
        return v;
    }
    void guest(u32 r, u64 v) { EXPECT_TRUE(d->write_virtual(0, r, v)) << r; }
};

TEST(ArmGicV3Virtual, AGuestTakesWhatIsListed) {
    VirtualGic g;
    EXPECT_EQ(g.get(0, VTR) & 31, 3u); // four list registers
    g.set(0, LR0, lr(40, 0xa0));
    g.set(0, LR0 + 1, lr(41, 0x80));
    EXPECT_TRUE(g.out[16]);
    EXPECT_FALSE(g.level[0]); // the physical one
    EXPECT_EQ(g.guest(HPPIR1), 41u);
    EXPECT_EQ(g.guest(IAR1), 41u);
    EXPECT_FALSE(g.out[16]); // 40 is less urgent
    EXPECT_EQ(g.guest(IAR1), 1023u);
    EXPECT_EQ(g.get(0, LR0 + 1) >> 62, 2u);
    g.guest(EOIR1, 41);
    EXPECT_EQ(g.get(0, LR0 + 1) >> 62, 0u);
    EXPECT_TRUE(g.out[16]);
    g.guest(PMR, 0xa0);
    EXPECT_FALSE(g.out[16]);
    EXPECT_EQ(g.get(0, VMCR) >> 24, 0xa0u);
    g.guest(PMR, 0xf0);
    g.guest(IGRPEN1, 0);
    EXPECT_FALSE(g.out[16]);
    g.guest(IGRPEN1, 1);
    g.set(0, LR0, lr(40, 0xa0) & ~group_1);
    EXPECT_TRUE(g.out[17]);
    EXPECT_FALSE(g.out[16]);
    EXPECT_EQ(g.guest(IAR0), 40u);
    g.set(0, HCR, 0);
    EXPECT_FALSE(g.out[17]);
}

TEST(ArmGicV3Virtual, APhysicalInterruptEndsWithTheVirtualOne) {
    VirtualGic g;
    g.enable(45, 0x80, 0);
    g.spi(45, true);
    g.set(0, CTLR, 2); // EOImode
    EXPECT_EQ(g.get(0, IAR1), 45u);
    g.set(0, EOIR1, 45);
    g.set(0, LR0, lr(60, 0x80) | hardware | u64{45} << 32);
    EXPECT_EQ(g.guest(IAR1), 60u);
    EXPECT_EQ(g.get(0, IAR1), 1023u); // active still
    g.guest(EOIR1, 60);
    EXPECT_EQ(g.get(0, IAR1), 45u); // its line is high
}

TEST(ArmGicV3Virtual, MaintenanceSaysWhy) {
    VirtualGic g;
    EXPECT_EQ(g.get(0, ELRSR), 15u);
    g.set(0, LR0, lr(40, 0x80) | u64{1} << 41); // tell of its end
    EXPECT_EQ(g.get(0, ELRSR), 14u);
    EXPECT_FALSE(g.out[18]);
    g.guest(IAR1);
    g.guest(EOIR1, 40);
    EXPECT_EQ(g.get(0, EISR), 1u);
    EXPECT_EQ(g.get(0, MISR), 1u);
    EXPECT_TRUE(g.out[18]);
    g.set(0, LR0, 0);
    EXPECT_FALSE(g.out[18]);
    g.set(0, HCR, 3); // underflow
    EXPECT_EQ(g.get(0, MISR), 2u);
    EXPECT_TRUE(g.out[18]);
    g.set(0, LR0, lr(40, 0x80) & ~pending);
    g.set(0, reg(12, 9, 0, 4), 1 << 16); // active priorities of an interrupt that is not listed
    g.set(0, HCR, 5);
    g.guest(EOIR1, 99);
    EXPECT_EQ(g.get(0, HCR) >> 27, 1u);
    EXPECT_EQ(g.get(0, MISR) & 4, 4u);
    EXPECT_FALSE(g.d->traps_virtual(0, DIR));
    g.set(0, HCR, 1 << 14);
    EXPECT_TRUE(g.d->traps_virtual(0, DIR));
    EXPECT_FALSE(g.d->traps_virtual(0, IAR1));
}

TEST(ArmGicV3, LpisHaveTheirTablesInMemory) {
    Gic g(2, true);
    u8* ram = g.block->host();
    ram[0x100 + 7] = 0xa0 | 1;                 // 8199: enabled
    ram[0x20000 + 8199 / 8] = 1 << (8199 % 8); // and pending
    g.write(redist + 0x70, 0x80000000 | 15, 8);
    g.write(redist + 0x78, 0x80020000, 8);
    EXPECT_EQ(g.read(redist + 0x70, 8), 0x8000000fu);
    ram[7] = 0xa0 | 1;
    g.write(redist, 1);
    EXPECT_TRUE(g.level[0]);
    EXPECT_EQ(g.get(0, IAR1), 8199u);
    g.set(0, EOIR1, 8199);
    EXPECT_EQ(g.get(0, RPR), 0xffu);
    g.d->set_lpi(0, 8200, true); // not enabled in the table
    EXPECT_FALSE(g.level[0]);
    ram[8] = 1;
    g.d->reload_lpis(8200);
    EXPECT_EQ(g.get(0, HPPIR1), 8200u);
    g.write(redist + frame + 0x70, 0x80000000 | 15, 8);
    g.write(redist + frame + 0x78, 0x80040000 | u64{1} << 62, 8);
    g.write(redist + frame, 1);
    g.d->move_lpi(0, 1, 8200);
    EXPECT_FALSE(g.level[0]);
    EXPECT_EQ(g.get(1, IAR1), 8200u);
    g.d->set_lpi(7, 8200, true); // nobody's
    g.d->set_lpi(0, 70000, true);
}

// The translation service beside a controller of two processors with LPIs on, its tables in RAM.
struct Its : Gic {
    static constexpr u64 its = 0x200000, devices = 0x80010000, collections = 0x80020000, queue = 0x80030000,
                         events = 0x80040000;
    u64 next = 0;
    Its() : Gic(2, true) {
        Device* service = *machine.create("arm-gicv3-its", "its", {{"gic", "gic"}});
        machine.mount(*service, 0, its);
        machine.reset(ResetKind::power_on);
        std::memset(block->host(), 0xa1, 0x1000); // all LPIs: priority 0xa0, enabled
        write(dist, 2);
        for (u32 c = 0; c < 2; c++) {
            write(redist + c * frame + 0x14, 0);
            write(redist + c * frame + 0x70, 0x80000000 | 15, 8);
            write(redist + c * frame + 0x78, 0x80080000 | u64{1} << 62, 8);
            write(redist + c * frame, 1);
            set(c, PMR, 0xf0);
            set(c, IGRPEN1, 1);
        }
        write(its + 0x100, u64{1} << 63 | devices, 8);
        write(its + 0x108, u64{1} << 63 | collections, 8);
        write(its + 0x80, u64{1} << 63 | queue, 8);
        write(its, 1);
    }
    void command(u64 a, u64 b = 0, u64 c = 0, u64 e = 0) {
        u64 words[] = {a, b, c, e};
        std::memcpy(block->host() + 0x30000 + next, words, 32);
        next += 32;
        write(its + 0x88, next, 8);
        EXPECT_EQ(read(its + 0x90, 8), next);
    }
    void message(u16 device, u32 event) {
        EXPECT_EQ(machine.memory().write_value(its + 0x10040, 4, event, {.requester = device}), memory::Outcome::ok);
    }
};

TEST(ArmGicV3Its, TranslatesMessages) {
    Its g;
    u64 v = u64{1} << 63;
    EXPECT_EQ(g.read(Its::its + 0x100, 8) >> 56 & 7, 1u);
    EXPECT_EQ(g.read(Its::its + 0x108, 8) >> 56 & 7, 4u);
    g.message(8, 3);                                        // nothing is mapped
    g.command(0x09, 0, v | 1 << 16 | 5);                    // MAPC: collection 5 is processor 1
    g.command(0x08 | u64{8} << 32, 4, v | Its::events);     // MAPD: device 8, 32 events
    g.command(0x0a | u64{8} << 32, 3 | u64{8200} << 32, 5); // MAPTI: event 3 is LPI 8200
    EXPECT_FALSE(g.level[1]);
    g.message(8, 3);
    EXPECT_TRUE(g.level[1]);
    EXPECT_EQ(g.get(1, IAR1), 8200u);
    g.set(1, EOIR1, 8200);
    g.message(9, 3); // another device
    g.message(8, 4); // another event
    EXPECT_EQ(g.get(1, IAR1), 1023u);
    g.command(0x09, 0, v | 6);            // collection 6 is processor 0
    g.command(0x03 | u64{8} << 32, 3);    // INT
    g.command(0x01 | u64{8} << 32, 3, 6); // MOVI takes it along
    EXPECT_FALSE(g.level[1]);
    EXPECT_TRUE(g.level[0]);
    g.command(0x04 | u64{8} << 32, 3); // CLEAR
    EXPECT_FALSE(g.level[0]);
    g.command(0x0f | u64{8} << 32, 3); // DISCARD
    g.message(8, 3);
    EXPECT_FALSE(g.level[0]);
    g.command(0xff); // no command at all
}

} // namespace
} // namespace mimic::devices
