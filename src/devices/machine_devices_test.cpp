// What the devices of boards do, beside what every device must (devices_test.cpp).
#include "devices/base/machine.hpp"
#include "devices/misc/fw_cfg.hpp"
#include "devices/types.hpp"
#include <cstring>
#include <gtest/gtest.h>

namespace mimic::devices {
namespace {

struct Sink : LineSink {
    std::string seen;
    std::vector<bool> level = std::vector<bool>(16);
    void set_line(u32 n, bool on) override {
        if (level.at(n) != on) seen += fmt::format("{}{} ", on ? '+' : '-', n);
        level[n] = on;
    }
};

// A chardev in the hand: what was written, and typing.
struct Hand : chardev::Chardev {
    using Chardev::Chardev;
    std::string written;
    u32 limit = 1000;
    std::string filename() const override { return "hand"; }
    u32 write(std::span<const u8> bytes) override {
        u32 n = std::min(u32(bytes.size()), limit);
        written.append(bytes.begin(), bytes.begin() + n);
        limit -= n;
        return n;
    }
    u32 type(std::string_view text) {
        u32 n = std::min(front()->room(), u32(text.size()));
        if (n) front()->receive({reinterpret_cast<const u8*>(text.data()), n});
        return n;
    }
    void ready() { front()->writable(); }
};

struct Rig {
    Machine machine{{.manual_clock = true, .random_seed = 1, .types = types()}};
    Sink sink;
    Device* d = nullptr;
    Hand* hand = nullptr;
    Rig(std::string_view type, const PropertyList& properties = {}, std::vector<std::string> lines = {"irq"}) {
        auto h = std::make_unique<Hand>("hand");
        hand = h.get();
        machine.add_chardev(std::move(h));
        auto made = machine.create(type, "dut", properties);
        EXPECT_TRUE(made) << (made ? "" : made.error().message());
        d = *made;
        for (u32 i = 0; i < d->regions(); i++) machine.mount(*d, i, u64{i} << 24);
        for (u32 i = 0; i < lines.size(); i++) machine.connect(*d, lines[i], sink, i);
        machine.reset(ResetKind::power_on);
        machine.set_running(true);
    }
    u64 read(u64 at, u32 bytes = 4) {
        u64 v = 0;
        EXPECT_EQ(machine.memory().read_value(at, bytes, v, {}), memory::Outcome::ok) << at;
        return v;
    }
    void write(u64 at, u64 v, u32 bytes = 4) {
        EXPECT_EQ(machine.memory().write_value(at, bytes, v, {}), memory::Outcome::ok) << at;
    }
};

TEST(Uart, ReceivesBelowAndAtTheTriggerLevel) {
    Rig r("serial-mm", {{"chardev", "hand"}});
    r.write(1, 1, 1);    // ERBFI
    r.write(2, 0x41, 1); // FIFOs, trigger 4
    EXPECT_EQ(r.hand->type("abc"), 3u);
    EXPECT_EQ(r.read(5, 1), 0x61u); // DR, THRE, TEMT
    EXPECT_FALSE(r.sink.level[0]);
    r.machine.advance(10000000); // four character times
    EXPECT_EQ(r.read(2, 1), 0xccu);
    EXPECT_EQ(r.read(0, 1), u64('a'));
    EXPECT_FALSE(r.sink.level[0]);
    EXPECT_EQ(r.hand->type("def"), 3u);
    EXPECT_EQ(r.read(2, 1), 0xc4u);
    EXPECT_TRUE(r.sink.level[0]);
    EXPECT_EQ(r.hand->type("0123456789ABCDEF"), 11u); // the FIFO has 16
    for (char c : std::string("bcdef0123456789A")) EXPECT_EQ(r.read(0, 1), u64(c));
    EXPECT_EQ(r.read(5, 1), 0x60u);
}

TEST(Uart, TransmitsAndInterruptsWhenItIsEmpty) {
    Rig r("serial-mm", {{"chardev", "hand"}});
    r.write(2, 1, 1);
    r.write(1, 2, 1); // ETBEI while empty interrupts at once
    EXPECT_TRUE(r.sink.level[0]);
    EXPECT_EQ(r.read(2, 1), 0xc2u); // reading IIR takes it back
    EXPECT_FALSE(r.sink.level[0]);
    r.hand->limit = 1;
    r.write(0, 'x', 1);
    r.write(0, 'y', 1);
    EXPECT_EQ(r.hand->written, "x");
    EXPECT_EQ(r.read(5, 1), 0u); // y waits
    r.hand->limit = 10;
    r.hand->ready();
    EXPECT_EQ(r.hand->written, "xy");
    EXPECT_EQ(r.read(5, 1), 0x60u);
    EXPECT_TRUE(r.sink.level[0]);
}

TEST(Uart, LoopbackAndDivisor) {
    Rig r("serial-mm", {{"chardev", "hand"}});
    r.write(3, 0x80, 1);
    r.write(0, 0x34, 1);
    r.write(1, 0x12, 1);
    EXPECT_EQ(r.read(0, 1) | r.read(1, 1) << 8, 0x1234u);
    r.write(3, 0x03, 1);
    r.write(4, 0x1f, 1); // loop, all outputs
    EXPECT_EQ(r.read(6, 1) & 0xf0, 0xf0u);
    r.write(0, 'q', 1);
    EXPECT_EQ(r.read(0, 1), u64('q'));
    EXPECT_EQ(r.hand->written, "");
}

TEST(Plic, ClaimsByPriorityAndCompletes) {
    Rig r("riscv.sifive.plic", {}, {"context[0].irq", "context[1].irq"});
    LineSink& in = *r.d->inputs();
    r.write(4 * 5, 1);
    r.write(4 * 9, 7);
    r.write(0x2080, 1 << 5 | 1 << 9); // context 1
    in.set_line(5, true);
    EXPECT_EQ(r.sink.seen, "+1 ");
    in.set_line(9, true);
    EXPECT_EQ(r.read(0x1000), 1u << 5 | 1u << 9);
    EXPECT_EQ(r.read(0x200004), 0u); // nothing for context 0
    EXPECT_EQ(r.read(0x201004), 9u);
    EXPECT_EQ(r.read(0x201004), 5u);
    EXPECT_EQ(r.read(0x201004), 0u);
    EXPECT_FALSE(r.sink.level[1]);
    in.set_line(9, false);
    r.write(0x201004, 9);
    EXPECT_FALSE(r.sink.level[1]);
    r.write(0x201004, 5); // still high: again
    EXPECT_TRUE(r.sink.level[1]);
    r.write(0x201000, 1); // threshold
    EXPECT_FALSE(r.sink.level[1]);
    EXPECT_EQ(r.read(0x201004), 5u); // claims look at no threshold
}

TEST(Mtimer, InterruptsAtItsTick) {
    Rig r("riscv.aclint.mtimer", {{"num-harts", "2"}}, {"hart[0].irq", "hart[1].irq"});
    r.machine.advance(1000);
    EXPECT_EQ(r.read(0x7ff8, 8), 10u);
    r.write(8, 15, 8);
    r.machine.advance(499);
    EXPECT_EQ(r.sink.seen, "");
    r.machine.advance(1);
    EXPECT_EQ(r.sink.seen, "+1 ");
    r.write(12, 1); // the upper half alone
    EXPECT_EQ(r.sink.seen, "+1 -1 ");
    r.write(0x7ff8, u64{2} << 32, 8);
    EXPECT_EQ(r.sink.seen, "+1 -1 +1 ");
}

TEST(Finisher, EndsTheMachine) {
    Rig r("riscv.sifive.test", {}, {});
    std::string seen;
    r.machine.on_request = [&](const Request& q) { seen += fmt::format("{}:{} ", q.cause, q.status); };
    r.write(0, 0x5555);
    r.write(0, 0x00073333);
    r.write(0, 0x7777);
    r.write(0, 1);
    EXPECT_EQ(seen, "guest-shutdown:0 guest-panic:7 guest-reset:0 ");
}

TEST(Rtc, TellsTimeAndAlarms) {
    Rig r("goldfish_rtc");
    u64 start = u64{946684800} * 1000000000;
    EXPECT_EQ(r.read(0) | r.read(4) << 32, start);
    u64 alarm = start + 5000;
    r.write(0x10, 1);
    r.write(0x0c, alarm >> 32);
    r.write(0x08, u32(alarm));
    EXPECT_EQ(r.read(0x18), 1u);
    r.machine.advance(4999);
    EXPECT_FALSE(r.sink.level[0]);
    r.machine.advance(1);
    EXPECT_TRUE(r.sink.level[0]);
    r.write(0x1c, 1);
    EXPECT_FALSE(r.sink.level[0]);
}

TEST(Pl011, SendsReceivesAndTimesOut) {
    Rig r("pl011", {{"chardev", "hand"}});
    EXPECT_EQ(r.read(0x18), 0x97u); // both FIFOs empty; CTS, DSR, DCD
    EXPECT_EQ(r.hand->type("a"), 0u);
    r.write(0x24, 13);
    r.write(0x2c, 0x70); // FIFOs
    r.write(0x34, 0x12); // half full
    r.write(0x38, 0x50); // receive and its timeout
    r.write(0x30, 0x301);
    EXPECT_EQ(r.hand->type("abc"), 3u);
    EXPECT_FALSE(r.sink.level[0]);
    r.machine.advance(300000); // 32 bits at 115200 a second
    EXPECT_EQ(r.read(0x40), 0x40u);
    for (char c : std::string("abc")) EXPECT_EQ(r.read(0), u64(c));
    EXPECT_FALSE(r.sink.level[0]);
    EXPECT_EQ(r.hand->type("0123456789ABCDEFGH"), 16u);
    EXPECT_EQ(r.read(0x40), 0x10u);
    EXPECT_EQ(r.read(0x18) & 0x50, 0x40u); // full
    for (char c : std::string("012345678")) EXPECT_EQ(r.read(0), u64(c));
    EXPECT_EQ(r.read(0x40), 0u);
    r.write(0x38, 0x20); // transmit
    r.hand->limit = 1;
    r.write(0, 'x');
    EXPECT_TRUE(r.sink.level[0]);
    r.write(0x44, 0x20);
    for (int i = 0; i < 9; i++) r.write(0, 'y');
    EXPECT_FALSE(r.sink.level[0]); // above the level
    EXPECT_EQ(r.read(0x18) & 0xa0, 0u);
    r.hand->limit = 1;
    r.hand->ready();
    EXPECT_TRUE(r.sink.level[0]); // through it
    EXPECT_EQ(r.hand->written, "xy");
}

TEST(Pl011, LoopbackOverrunAndIdentification) {
    Rig r("pl011", {{"chardev", "hand"}});
    r.write(0x30, 0xf81); // loop, RTS and DTR
    EXPECT_EQ(r.read(0x18) & 0x107, 3u);
    r.write(0, 'p');
    r.write(0, 'q'); // one character deep without FIFOs
    EXPECT_EQ(r.read(0x3c) & 0x410, 0x410u);
    EXPECT_EQ(r.read(0), 0x800u | 'p');
    EXPECT_EQ(r.read(4), 8u);
    EXPECT_EQ(r.hand->written, "");
    u64 id = 0;
    for (u32 i = 0; i < 8; i++) id |= r.read(0xfe0 + 4 * i) << (8 * i);
    EXPECT_EQ(id, 0xb105f00d00141011u);
}

TEST(Pl031, CountsSecondsAndMatches) {
    Rig r("pl031");
    EXPECT_EQ(r.read(0), 946684800u);
    r.machine.advance(1500000000);
    EXPECT_EQ(r.read(0), 946684801u);
    r.write(8, 100); // load
    r.write(4, 102); // match
    r.write(0x10, 1);
    r.machine.advance(1499999999);
    EXPECT_EQ(r.sink.seen, "");
    r.machine.advance(1);
    EXPECT_EQ(r.read(0), 102u);
    EXPECT_EQ(r.sink.seen, "+0 ");
    r.write(0x1c, 1);
    EXPECT_EQ(r.sink.seen, "+0 -0 ");
}

TEST(Pl061, LinesInAndOut) {
    Rig r("pl061", {}, {"irq", "line[0].out", "line[1].out"});
    LineSink& in = *r.d->inputs();
    r.write(0x400, 3);
    r.write(0x2 << 2, 0xff); // line 1 alone
    EXPECT_EQ(r.sink.seen, "+2 ");
    r.write(0x40c, 8); // rising edges of line 3
    r.write(0x410, 8);
    in.set_line(3, true);
    EXPECT_EQ(r.read(0x3fc), 0x0au);
    EXPECT_EQ(r.read(0x418), 8u);
    in.set_line(3, false);
    EXPECT_TRUE(r.sink.level[0]); // an edge stays
    r.write(0x41c, 8);
    EXPECT_FALSE(r.sink.level[0]);
    r.write(0x408, 8); // both edges
    r.write(0x404, 0);
    in.set_line(3, true);
    r.write(0x41c, 8);
    in.set_line(3, false);
    EXPECT_TRUE(r.sink.level[0]);
    r.write(0x404, 8); // levels: high
    EXPECT_FALSE(r.sink.level[0]);
    in.set_line(3, true);
    EXPECT_TRUE(r.sink.level[0]);
}

TEST(Pl061, ALineThatIsLowAgainAfterALoadLeavesItsPullUp) {
    Rig r("pl061", {{"pullups", "255"}}, {"irq"});
    r.write(0x408, 8); // both edges of line 3
    r.write(0x410, 8);
    r.d->inputs()->set_line(3, false);
    EXPECT_EQ(r.read(0x3fc), 0xffu);
    r.d->inputs()->set_line(3, true);
    EXPECT_EQ(r.sink.seen, "");
    r.d->inputs()->set_line(3, false);
    EXPECT_EQ(r.read(0x3fc), 0xf7u);
    EXPECT_EQ(r.sink.seen, "+0 ");
}

TEST(GpioKey, IsPressedForATenthOfASecond) {
    Rig r("gpio-key", {}, {"out"});
    r.d->inputs()->set_line(0, true);
    r.d->inputs()->set_line(0, false);
    r.machine.advance(99999999);
    EXPECT_EQ(r.sink.seen, "+0 ");
    r.machine.advance(1);
    EXPECT_EQ(r.sink.seen, "+0 -0 ");
}

TEST(Flash, IsFoundErasedAndProgrammed) {
    Rig r("cfi.pflash01", {}, {});
    r.write(0x55 * 4, 0x00980098);
    EXPECT_EQ(r.read(0x10 * 4), 0x00510051u);
    EXPECT_EQ(r.read(0x27 * 4) & 0xffff, 24u); // 16 MiB a chip
    r.write(0, 0x00ff00ff);
    EXPECT_EQ(r.read(0), 0u);
    r.write(0, 0x00200020);
    r.write(0, 0x00d000d0);
    EXPECT_EQ(r.read(0), 0x00800080u); // status: ready
    r.write(0, 0x00ff00ff);
    EXPECT_EQ(r.read(0x3fffc), 0xffffffffu);
    EXPECT_EQ(r.read(0x40000), 0u);
    r.write(8, 0x00400040);
    r.write(8, 0x12345678);
    r.write(12, 0x00e800e8); // buffered: two words
    r.write(12, 0x00010001);
    r.write(12, 0x1111aaaa);
    r.write(16, 0x2222bbbb);
    r.write(12, 0x00d000d0);
    r.write(0, 0x00ff00ff);
    EXPECT_EQ(r.read(8), 0x12345678u);
    EXPECT_EQ(r.read(12), 0x1111aaaau);
    EXPECT_EQ(r.read(16), 0x2222bbbbu);
    r.write(8, 0x00400040);
    r.write(8, 0xff00ffff); // bits only fall
    r.write(0, 0x00ff00ff);
    EXPECT_EQ(r.read(8), 0x12005678u);
}

TEST(FwCfg, GivesItemsByRegisterAndDma) {
    Rig r("fw_cfg_mem", {}, {});
    auto& fw = static_cast<FwCfg&>(*r.d);
    ASSERT_TRUE(fw.add_file("opt/test", {1, 2, 3, 4, 5}));
    EXPECT_FALSE(fw.add_file("opt/test", {}));
    EXPECT_FALSE(fw.add_file(std::string(60, 'x'), {}));
    r.write(1 << 24, __builtin_bswap16(0), 2);
    EXPECT_EQ(r.read(0, 4), 0x554d4551u); // "QEMU"
    EXPECT_EQ(r.read(2 << 24, 8), 0x47464320554d4551u);
    auto block = memory::RamBlock::create("ram", 4096, {.backing = memory::RamBlock::Backing::anonymous});
    memory::Region ram("ram", **block, 0, 4096, false);
    r.machine.system().add(ram, 0x80000000);
    u32 descriptor[4] = {__builtin_bswap32(0x20 << 16 | 8 | 2), __builtin_bswap32(8), 0, __builtin_bswap32(0x80000100)};
    std::memcpy((*block)->host(), descriptor, 16);
    (*block)->host()[0x105] = 9;
    r.write(2 << 24, __builtin_bswap64(0x80000000), 8);
    EXPECT_EQ(std::memcmp((*block)->host() + 0x100, "\1\2\3\4\5\0\0\0", 8), 0);
    u32 control = 1;
    std::memcpy(&control, (*block)->host(), 4);
    EXPECT_EQ(control, 0u);
    descriptor[3] = __builtin_bswap32(0x90000000); // to nowhere
    std::memcpy((*block)->host(), descriptor, 16);
    r.write(2 << 24, __builtin_bswap64(0x80000000), 8);
    std::memcpy(&control, (*block)->host(), 4);
    EXPECT_EQ(control, __builtin_bswap32(1));
    r.machine.system().remove(ram);
}

} // namespace
} // namespace mimic::devices
