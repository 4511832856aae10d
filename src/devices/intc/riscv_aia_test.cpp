// The rules of the RISC-V Advanced Interrupt Architecture 1.0 that a program cannot see, or the reference does not keep.
#include "devices/base/machine.hpp"
#include "devices/intc/riscv_imsic.hpp"
#include "devices/types.hpp"
#include <gtest/gtest.h>

namespace mimic::devices {
namespace {

constexpr u64 imsic_at = 0x10000, machine_at = 0x100000, supervisor_at = machine_at + 0x8000;
constexpr u64 domaincfg = 0, sourcecfg = 0, mmsiaddrcfg = 0x1bc0, setip = 0x1c00, setipnum = 0x1cdc, in_clrip = 0x1d00,
              clripnum = 0x1ddc, setienum = 0x1edc, genmsi = 0x3000, target = 0x3000, idc = 0x4000, topi = 0x18,
              claimi = 0x1c, iforce = 4, ithreshold = 8;

// An APLIC for two harts; its lines are 0 and 1 of machine level, 2 and 3 of supervisor level. An IMSIC's are 4 and 5.
struct Rig : LineSink {
    Machine machine{{.manual_clock = true, .random_seed = 1, .types = types()}};
    RiscvImsic* imsic = nullptr;
    Device* aplic = nullptr;
    std::array<bool, 6> level{};

    explicit Rig(bool msi) {
        auto files =
            machine.create("riscv.imsic", "imsic", {{"num-harts", "2"}, {"num-pages", "2"}, {"num-irqs", "127"}});
        auto made = machine.create("riscv.aplic", "aplic", {{"num-harts", "2"}, {"msimode", msi ? "on" : "off"}});
        EXPECT_TRUE(files && made);
        imsic = static_cast<RiscvImsic*>(*files);
        aplic = *made;
        machine.mount(*imsic, 0, imsic_at);
        machine.mount(*aplic, 0, machine_at);
        for (u32 i = 0; i < 4; i++)
            machine.connect(*aplic, fmt::format("domain[{}].hart[{}].irq", i / 2, i % 2), *this, i);
        for (u32 i = 0; i < 2; i++) machine.connect(*imsic, fmt::format("hart[{}].irq", i), *this, 4 + i);
        machine.reset(ResetKind::power_on);
    }
    void set_line(u32 n, bool on) override { level.at(n) = on; }
    u32 read(u64 at) {
        u64 v = 0;
        EXPECT_EQ(machine.memory().read_value(at, 4, v, {}), memory::Outcome::ok);
        return u32(v);
    }
    void write(u64 at, u32 v) { EXPECT_EQ(machine.memory().write_value(at, 4, v, {}), memory::Outcome::ok); }
    void wire(u32 source, bool on) { aplic->inputs()->set_line(source, on); }
    u64 file(u32 hart, u32 select, u64 mask = 0, u64 bits = 0) {
        u64 old = 0;
        EXPECT_TRUE(imsic->access(hart, select, mask, bits, old));
        return old;
    }
    u64 top(u32 hart, bool claim = true) {
        u64 v = 0;
        EXPECT_TRUE(imsic->top(hart, claim, v));
        return v & 0xffff;
    }
    // A source of a domain: its mode, target, enabled.
    void enable(u64 domain, u32 source, u32 mode, u32 to) {
        write(domain + sourcecfg + 4 * source, mode);
        write(domain + target + 4 * source, to);
        write(domain + setienum, source);
    }
    // All harts' files open, and the APLIC knows where they are.
    void start_msi() {
        for (u32 hart = 0; hart < 2; hart++) {
            file(hart, 0x70, ~u64{0}, 1);
            file(hart, 0xc0, ~u64{0}, ~u64{0});
        }
        write(machine_at + mmsiaddrcfg, imsic_at >> 12);
        write(machine_at + mmsiaddrcfg + 4, 1 << 20 | 1 << 12); // LHXS: two pages a hart; LHXW
        write(machine_at + mmsiaddrcfg + 8, imsic_at >> 12);
        write(machine_at + mmsiaddrcfg + 12, 1 << 20);
        write(machine_at + domaincfg, 0x104);
        write(supervisor_at + domaincfg, 0x104);
    }
};

TEST(RiscvImsic, TakesMessagesOfBothByteOrders) {
    Rig r(true);
    r.start_msi();
    r.write(imsic_at, 9);
    r.write(imsic_at + 4, 17u << 24);
    EXPECT_TRUE(r.level[4]);
    EXPECT_FALSE(r.level[5]);
    EXPECT_EQ(r.top(0), 9u);
    EXPECT_EQ(r.top(0), 17u);
    EXPECT_FALSE(r.level[4]);
}

TEST(RiscvImsic, HasNothingBehindItsIdentitiesAndGuests) {
    Rig r(true);
    r.start_msi();
    r.file(0, 0xc4, ~u64{0}, ~u64{0}); // 128 and up
    EXPECT_EQ(r.file(0, 0xc4), 0u);
    r.write(imsic_at, 128);
    r.write(imsic_at + 0x1000, 9); // the page of a guest
    r.write(imsic_at, 0);
    EXPECT_EQ(r.top(0), 0u);
    u64 v = 0;
    EXPECT_FALSE(r.imsic->top(2, false, v));
    EXPECT_FALSE(r.imsic->access(2, 0x70, 0, 0, v));
}

TEST(RiscvImsic, RefusesSizesThatNoFileHas) {
    Machine m{{.manual_clock = true, .types = types()}};
    auto made = m.create("riscv.imsic", "a", {{"num-irqs", "100"}});
    ASSERT_FALSE(made);
    EXPECT_NE(made.error().message().find("num-irqs: 100, expected one less than a multiple of 64"), std::string::npos);
    EXPECT_FALSE(m.create("riscv.imsic", "b", {{"num-pages", "3"}}));
}

TEST(RiscvAplic, DeliversToItsHartsByPriority) {
    Rig r(false);
    r.write(machine_at + domaincfg, 0x100);
    r.enable(machine_at, 3, 6, 1u << 18 | 20);
    r.enable(machine_at, 5, 6, 1u << 18 | 10);
    r.write(machine_at + idc + 0x20, 1);
    r.wire(3, true);
    EXPECT_TRUE(r.level[1]);
    EXPECT_FALSE(r.level[0]);
    r.wire(5, true);
    EXPECT_EQ(r.read(machine_at + idc + 0x20 + topi), 5u << 16 | 10);
    r.write(machine_at + idc + 0x20 + ithreshold, 10);
    EXPECT_EQ(r.read(machine_at + idc + 0x20 + topi), 0u);
    EXPECT_FALSE(r.level[1]);
    r.write(machine_at + idc + 0x20 + ithreshold, 0);
    EXPECT_EQ(r.read(machine_at + idc + 0x20 + claimi), 5u << 16 | 10);
    EXPECT_EQ(r.read(machine_at + idc + 0x20 + claimi), 5u << 16 | 10) << "a level is no less pending for a claim";
    r.wire(5, false);
    EXPECT_EQ(r.read(machine_at + idc + 0x20 + claimi), 3u << 16 | 20);
    r.write(machine_at + clripnum, 3);
    EXPECT_EQ(r.read(machine_at + setip), 1u << 3);
    r.wire(3, false);
    EXPECT_FALSE(r.level[1]);
    EXPECT_EQ(r.read(machine_at + idc + 0x20 + claimi), 0u);
}

TEST(RiscvAplic, EdgesStayUntilTheyAreClaimed) {
    Rig r(false);
    r.write(machine_at + domaincfg, 0x100);
    r.enable(machine_at, 3, 4, 0);
    EXPECT_EQ(r.read(machine_at + target + 12), 1u) << "no priority is 1";
    r.enable(machine_at, 4, 5, 7);
    r.write(machine_at + idc, 1);
    r.wire(3, true);
    r.wire(3, false);
    r.wire(4, true);
    EXPECT_TRUE(r.level[0]);
    EXPECT_EQ(r.read(machine_at + idc + claimi), 3u << 16 | 1);
    EXPECT_FALSE(r.level[0]);
    r.wire(4, false); // falls
    EXPECT_EQ(r.read(machine_at + idc + claimi), 4u << 16 | 7);
    r.write(machine_at + setipnum, 3);
    EXPECT_EQ(r.read(machine_at + idc + claimi), 3u << 16 | 1);
}

TEST(RiscvAplic, AForcedInterruptEndsWithAnEmptyClaim) {
    Rig r(false);
    r.write(supervisor_at + domaincfg, 0x100);
    r.write(supervisor_at + idc, 1);
    r.write(supervisor_at + idc + iforce, 1);
    EXPECT_TRUE(r.level[2]);
    EXPECT_EQ(r.read(supervisor_at + idc + claimi), 0u);
    EXPECT_FALSE(r.level[2]);
}

TEST(RiscvAplic, SourcesBelongToOneDomain) {
    Rig r(false);
    for (u64 d : {machine_at, supervisor_at}) {
        r.write(d + domaincfg, 0x100);
        r.write(d + idc, 1);
    }
    r.enable(supervisor_at, 7, 6, 1);
    EXPECT_EQ(r.read(supervisor_at + sourcecfg + 28), 0u) << "it was not delegated";
    r.enable(machine_at, 7, 6, 1);
    r.wire(7, true);
    EXPECT_TRUE(r.level[0]);
    r.write(machine_at + sourcecfg + 28, 0x7ff); // delegated; the child has index 0
    EXPECT_EQ(r.read(machine_at + sourcecfg + 28), 0x400u);
    EXPECT_EQ(r.read(machine_at + target + 28), 0u);
    EXPECT_FALSE(r.level[0]);
    r.enable(supervisor_at, 7, 6, 1);
    EXPECT_TRUE(r.level[2]);
    EXPECT_EQ(r.read(supervisor_at + in_clrip), 1u << 7);
    r.write(machine_at + sourcecfg + 28, 1);
    EXPECT_FALSE(r.level[2]) << "it was taken back";
    EXPECT_EQ(r.read(supervisor_at + sourcecfg + 28), 0u);
}

TEST(RiscvAplic, ReservedModesAndSourcesAreInactive) {
    Rig r(false);
    for (u32 mode : {2u, 3u}) {
        r.write(machine_at + sourcecfg + 4, mode);
        EXPECT_EQ(r.read(machine_at + sourcecfg + 4), 0u);
    }
    r.write(machine_at + target + 4, 99);
    r.write(machine_at + setienum, 1);
    r.write(machine_at + setipnum, 1);
    EXPECT_EQ(r.read(machine_at + target + 4) | r.read(machine_at + setip), 0u);
    r.write(machine_at + sourcecfg + 4 * 97, 6);
    EXPECT_EQ(r.read(machine_at + sourcecfg + 4 * 97), 0u);
    r.write(machine_at + domaincfg, ~u32{0});
    EXPECT_EQ(r.read(machine_at + domaincfg), 0x80000100u) << "without msimode there are no messages";
    r.write(machine_at + mmsiaddrcfg, 5);
    EXPECT_EQ(r.read(machine_at + mmsiaddrcfg), 0u);
}

TEST(RiscvAplic, SendsALevelOnceUntilItIsAskedFor) {
    Rig r(true);
    r.start_msi();
    r.enable(machine_at, 3, 6, 1u << 18 | 30);
    r.wire(3, true);
    EXPECT_TRUE(r.level[5]);
    EXPECT_EQ(r.top(1), 30u);
    EXPECT_EQ(r.top(1), 0u);
    EXPECT_EQ(r.read(machine_at + setip), 0u);
    r.write(machine_at + setipnum, 3); // still high
    EXPECT_EQ(r.top(1), 30u);
    r.wire(3, false);
    r.write(machine_at + setipnum, 3);
    EXPECT_EQ(r.top(1), 0u) << "a level that is low is not pending";
    r.wire(3, true);
    EXPECT_EQ(r.top(1), 30u);
    EXPECT_FALSE(r.level[0] || r.level[1]) << "messages go by no line";
}

TEST(RiscvAplic, WaitsWhileInterruptsAreOff) {
    Rig r(true);
    r.start_msi();
    r.write(machine_at + domaincfg, 4);
    r.enable(machine_at, 3, 4, 30);
    r.wire(3, true);
    EXPECT_EQ(r.top(0), 0u);
    r.write(machine_at + genmsi, 41);
    EXPECT_EQ(r.top(0), 41u) << "extempore messages go all the same";
    r.write(machine_at + domaincfg, 0x104);
    EXPECT_EQ(r.top(0), 30u);
}

TEST(RiscvAplic, ALockedAddressStays) {
    Rig r(true);
    r.write(machine_at + mmsiaddrcfg, 7);
    r.write(machine_at + mmsiaddrcfg + 4, ~u32{0});
    EXPECT_EQ(r.read(machine_at + mmsiaddrcfg + 4), 0x9f77ffffu);
    r.write(machine_at + mmsiaddrcfg, 0);
    r.write(machine_at + mmsiaddrcfg + 8, 1);
    EXPECT_EQ(r.read(machine_at + mmsiaddrcfg), 7u);
    EXPECT_EQ(r.read(machine_at + mmsiaddrcfg + 8), 0u);
    EXPECT_EQ(r.read(supervisor_at + mmsiaddrcfg), 0u);
}

// Not even one that would make the source pending again that it came from.
TEST(RiscvAplic, MessagesToItselfAreRefused) {
    Rig r(true);
    r.start_msi();
    r.write(machine_at + mmsiaddrcfg, (machine_at + 0x2000) >> 12); // setipnum_le
    r.write(machine_at + mmsiaddrcfg + 4, 0);
    r.enable(machine_at, 3, 1, 3);
    r.write(machine_at + setipnum, 3);
    r.write(machine_at + genmsi, 3);
    EXPECT_EQ(r.read(machine_at + setip), 0u);
}

} // namespace
} // namespace mimic::devices
