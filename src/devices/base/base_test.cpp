#include "devices/base/machine.hpp"
#include "devices/base/registers.hpp"
#include <cstdio>
#include <cstring>
#include <gtest/gtest.h>
#include <unistd.h>

namespace mimic::devices {
namespace {

// A device with one of everything.
class Sample final : public Device {
public:
    std::string_view type() const override { return "sample"; }
    void describe(Describe& d) override;
    u64 flags() { return 0x80 | level_; }
    void command(u64 value) {
        commands_ += fmt::format("{:x} ", value);
        irq_.set(value & 1);
        if (value & 2) timer_.arm(machine().now() + 1000);
    }
    u64 slot(u32 i) { return 0x100 + i; }
    void set_slot(u32 i, u64 v) { commands_ += fmt::format("{}:{:x} ", i, v); }

    struct Pair {
        u32 a = 0;
        u8 b = 0;
    };
    static constexpr std::string_view modes[] = {"slow", "quick"};
    static const RegRow<Sample> regs[];
    u32 frequency_ = 10, cr_ = 0, status_ = 0;
    bool fast_ = false;
    std::string title_ = "none";
    u8 mode_ = 0, level_ = 0, byte_ = 0;
    u64 room_ = 4096;
    std::array<u16, 4> table_{};
    std::vector<u8> fifo_;
    std::vector<Pair> requests_;
    Line irq_;
    u32 ticks_ = 0;
    Timer timer_{*this, [this] { ticks_++; }};
    std::string commands_;
};

constexpr RegRow<Sample> Sample::regs[] = {
    {0x00, "CR", &Sample::cr_, {.reset = 0x11, .writable = 0xff0f}},
    {0x04, "SR", &Sample::status_, {.writable = 0xff, .clear_on_one = 0xf0}},
    {0x08, "CMD", {}, {.write = &Sample::command}},
    {0x0c, "BYTE", &Sample::byte_, {.bytes = 1}},
    {0x10, "FR", {}, {.read = &Sample::flags}},
    {0x20, "SLOT", {}, {.read_at = &Sample::slot, .write_at = &Sample::set_slot, .count = 4, .stride = 8}},
};

void Sample::describe(Describe& d) {
    d.property("frequency", frequency_, "Hz of the clock", {.low = 1, .high = 1000});
    d.property("fast", fast_, "does it sooner");
    d.property("title", title_, "its name");
    d.property("mode", mode_, "how", {.choices = modes});
    d.property("room", room_, "how much", {.size = true});
    d.interrupt("irq", irq_);
    d.timer("tick", timer_);
    d.registers(*this, regs, 0x100);
    d.state("level", level_, {.reset = 3, .high = 10, .until = ResetKind::power_on});
    d.state("table", table_, {.reset = 7});
    d.state("fifo", fifo_, 4);
    d.list("requests", requests_, 2, [](Describe& e, Pair& p) {
        e.state("a", p.a);
        e.state("b", p.b, {.high = 100});
    });
    d.derived("twice", u64{2} * level_);
}

struct Sink : LineSink {
    std::string seen;
    void set_line(u32 n, bool level) override { seen += fmt::format("{}={} ", n, int(level)); }
};

struct Rig {
    Machine machine{{.manual_clock = true, .random_seed = 1}};
    Sample* s = nullptr;
    explicit Rig(const PropertyList& properties = {}) {
        auto d = machine.add(std::make_unique<Sample>(), "sample0", properties);
        EXPECT_TRUE(d) << (d ? "" : d.error().message());
        s = static_cast<Sample*>(*d);
        machine.mount(*s, 0, 0x1000);
        machine.reset(ResetKind::power_on);
        machine.set_running(true);
    }
    u64 read(u64 at, u32 bytes) {
        u64 v = 0;
        EXPECT_EQ(machine.memory().read_value(0x1000 + at, bytes, v, {}), memory::Outcome::ok);
        return v;
    }
    void write(u64 at, u32 bytes, u64 v) {
        EXPECT_EQ(machine.memory().write_value(0x1000 + at, bytes, v, {}), memory::Outcome::ok);
    }
};

TEST(Registers, StoreMaskAndClear) {
    Rig r;
    EXPECT_EQ(r.read(0, 4), 0x11u);
    r.write(0, 4, ~0u);
    EXPECT_EQ(r.read(0, 4), 0xff1fu);
    r.s->status_ = 0xff;
    r.write(4, 4, 0x30);
    EXPECT_EQ(r.read(4, 4), 0xc0u);
}

TEST(Registers, NarrowAndWideAccesses) {
    Rig r;
    r.write(1, 1, 0xab);
    EXPECT_EQ(r.read(0, 4), 0xab11u);
    EXPECT_EQ(r.read(1, 1), 0xabu);
    r.s->status_ = 0xf5;
    EXPECT_EQ(r.read(0, 8), 0xf50000ab11u);
    r.write(0, 8, u64{0x12} << 32 | 0x0100);
    EXPECT_EQ(r.read(0, 4), 0x0110u);
    EXPECT_EQ(r.read(4, 4), 0xe2u);
    r.write(0x0c, 4, 0xaabbccdd);
    EXPECT_EQ(r.read(0x0c, 4), 0xddu);
    EXPECT_EQ(r.read(0x28, 4), 0x101u);
    EXPECT_EQ(r.read(0x2c, 4), 0u); // between two registers
    r.write(0x38, 4, 5);
    EXPECT_EQ(r.s->commands_, "3:5 ");
    EXPECT_EQ(r.read(0x10, 4), 0x83u);
}

TEST(Registers, UnknownOffsetsAreTheGuestsError) {
    Rig r;
    std::string seen;
    trace::set_sink([&](std::string_view line) { seen += line; });
    trace::show_guest_errors(true);
    EXPECT_EQ(r.read(0x80, 8), 0u);
    trace::show_guest_errors(false);
    trace::set_sink({});
    EXPECT_EQ(seen, "guest error: sample0: sample read at 0x80, where no register is");
}

TEST(Registers, AccessesAreTraced) {
    Rig r;
    std::string seen;
    trace::set_sink([&](std::string_view line) { seen += line; });
    trace::enable("bus.*");
    r.write(8, 4, 4);
    trace::disable_all();
    trace::set_sink({});
    EXPECT_EQ(seen, "bus.write sample0 CMD+0x8 value=0x4");
}

TEST(Properties, AreSetCheckedAndExplained) {
    Rig r({{"frequency", "0x20"}, {"fast", "on"}, {"mode", "quick"}, {"room", "64k"}, {"title", "x"}});
    EXPECT_EQ(r.s->frequency_, 32u);
    EXPECT_TRUE(r.s->fast_);
    EXPECT_EQ(r.s->mode_, 1);
    EXPECT_EQ(r.s->room_, 65536u);
    EXPECT_EQ(*get_property(*r.s, "mode"), "quick");
    const char* bad[][3] = {
        {"frequency", "0", "sample: property 'frequency': 0 is out of range, expected 1 to 1000"},
        {"frequency", "ten", "sample: property 'frequency': 'ten', expected a number"},
        {"fast", "maybe", "sample: property 'fast': 'maybe', expected on or off"},
        {"mode", "sl", "sample: property 'mode': 'sl', expected one of slow, quick"},
        {"room", "1x", "sample: property 'room': '1x', expected a size like 64M"},
        {"frequenzy", "1", "sample: there is no property 'frequenzy', did you mean 'frequency'?"},
    };
    for (auto& b : bad) {
        auto result = set_property(*r.s, b[0], b[1]);
        ASSERT_FALSE(result);
        EXPECT_EQ(result.error().message(), b[2]);
    }
    EXPECT_NE(property_help(*r.s).find("  fast=<bool>              - does it sooner (default: on)\n"),
              std::string::npos);
    EXPECT_NE(documentation(*r.s).find("| 0x20 | SLOT (x 4) | 4 | 0x0 |"), std::string::npos);
    EXPECT_EQ(schema(*r.s).find("properties")->items()->size(), 5u);
}

TEST(Properties, GlobalDefaultsComeFirst) {
    Machine m({.manual_clock = true,
               .globals = {{"sample", "frequency", "77"}, {"sample", "title", "all"}, {"other", "x", "1"}}});
    auto made = m.add(std::make_unique<Sample>(), "s", {{"title", "own"}});
    ASSERT_TRUE(made);
    EXPECT_EQ(*get_property(**made, "frequency"), "77");
    EXPECT_EQ(*get_property(**made, "title"), "own");
    Machine bad({.manual_clock = true, .globals = {{"sample", "frequency", "x"}}});
    EXPECT_EQ(bad.add(std::make_unique<Sample>(), "s").error().message(),
              "-global: sample: property 'frequency': 'x', expected a number");
}

TEST(Reset, KindsReachWhatTheyShould) {
    Rig r;
    r.s->level_ = 9;
    r.s->table_ = {1, 2, 3, 4};
    r.s->fifo_ = {1};
    r.s->cr_ = 0;
    r.write(8, 4, 3);
    r.machine.reset(ResetKind::warm);
    EXPECT_EQ(r.s->level_, 9);
    EXPECT_EQ(r.s->table_[3], 7);
    EXPECT_TRUE(r.s->fifo_.empty());
    EXPECT_EQ(r.s->cr_, 0x11u);
    EXPECT_FALSE(r.s->irq_.level());
    EXPECT_EQ(r.s->timer_.deadline(), Timer::never);
    r.machine.reset(ResetKind::power_on);
    EXPECT_EQ(r.s->level_, 3);
}

TEST(Timers, FireInOrderOfTheMachinesClock) {
    Rig r;
    r.write(8, 4, 2);
    r.machine.advance(999);
    EXPECT_EQ(r.s->ticks_, 0u);
    r.machine.advance(1);
    EXPECT_EQ(r.s->ticks_, 1u);
    r.machine.advance(5000);
    EXPECT_EQ(r.s->ticks_, 1u);
    EXPECT_EQ(r.machine.now(), 6000u);
}

TEST(State, ComesBackInAFreshMachine) {
    Rig a, b;
    Sink sink;
    b.machine.connect(*b.s, "irq", sink, 5);
    a.s->level_ = 9;
    a.s->fifo_ = {1, 2, 3};
    a.s->requests_ = {{1, 2}, {3, 4}};
    a.s->table_ = {9, 8, 7, 6};
    a.write(8, 4, 3);
    auto bytes = a.machine.save();
    auto loaded = b.machine.load(bytes);
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(b.s->level_, 9);
    EXPECT_EQ(b.s->fifo_, a.s->fifo_);
    ASSERT_EQ(b.s->requests_.size(), 2u);
    EXPECT_EQ(b.s->requests_[1].a, 3u);
    EXPECT_EQ(b.s->timer_.deadline(), 1000u);
    EXPECT_EQ(sink.seen, "5=1 5=1 ");
    EXPECT_EQ(b.machine.save(), bytes);
}

TEST(State, IsCheckedWhenItIsLoaded) {
    Rig a, b;
    a.s->level_ = 11;
    auto result = b.machine.load(a.machine.save());
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().message(), "/machine/sample0: level: 11 is out of range, expected 0 to 10");
    a.s->level_ = 1;
    a.s->fifo_ = {1, 2, 3, 4, 5};
    EXPECT_EQ(b.machine.load(a.machine.save()).error().message(),
              "/machine/sample0: fifo: 5 bytes, expected at most 4");
    a.s->fifo_.clear();
    auto good = a.machine.save();
    for (size_t n = 0; n < good.size(); n += 7) EXPECT_FALSE(b.machine.load(std::span(good).first(n))) << n;
    EXPECT_FALSE(Machine({.manual_clock = true}).load(good)); // has no sample0
}

TEST(Tree, IdsAreUniqueAndErrorsNameTheType) {
    Rig r;
    auto again = r.machine.add(std::make_unique<Sample>(), "sample0");
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().message(), "device 'sample0': the id is taken");
    EXPECT_EQ(r.machine.find("/machine/sample0"), r.s);
    EXPECT_EQ(r.machine.create("sampel", "x").error().message(), "'sampel' is no device type");
}

TEST(Contexts, OrderIsByRank) {
    Context device("device", 0), other("other", 0), intc("intc", 1);
    Context::Entry a(device);
    EXPECT_TRUE(a);
    {
        Context::Entry again(device), up(intc);
        EXPECT_TRUE(again);
        EXPECT_TRUE(up);
        Context::Entry down(device);
        EXPECT_TRUE(down); // it is inside already
        Context::Entry aside(other);
        EXPECT_FALSE(aside);
    }
    EXPECT_TRUE(device.inside());
    EXPECT_FALSE(intc.inside());
}

TEST(Ports, RandomIsSeeded) {
    Machine a({.manual_clock = true, .random_seed = 5}), b({.manual_clock = true, .random_seed = 5});
    u8 x[16], y[16];
    a.random(x);
    b.random(y);
    EXPECT_EQ(std::memcmp(x, y, 16), 0);
    EXPECT_EQ(a.arrivals(Port::random), 1u);
}

// A source with a name is its file; a seeded machine has one generator for all.
TEST(Ports, RandomSourcesAreFiles) {
    const std::string path = fmt::format("/tmp/mimic-base-{}-random", getpid());
    std::FILE* f = std::fopen(path.c_str(), "w");
    ASSERT_TRUE(f);
    std::fputs("abcdef", f);
    std::fclose(f);
    Machine plain({.manual_clock = true}), seeded({.manual_clock = true, .random_seed = 5});
    for (Machine* m : {&plain, &seeded}) {
        EXPECT_TRUE(m->add_random_source("r", path));
        EXPECT_TRUE(m->add_random_source("builtin", ""));
        EXPECT_TRUE(m->has_random_source("builtin"));
        EXPECT_FALSE(m->has_random_source("other"));
    }
    u8 x[4] = {}, y[4] = {};
    EXPECT_EQ(plain.random_of("r", x), 4u);
    EXPECT_EQ(std::memcmp(x, "abcd", 4), 0);
    EXPECT_EQ(plain.random_of("r", x), 2u);
    EXPECT_EQ(plain.random_of("r", x), 0u); // it has no more now
    EXPECT_EQ(plain.random_of("builtin", x), 4u);
    EXPECT_EQ(seeded.random_of("r", x), 4u);
    Machine({.manual_clock = true, .random_seed = 5}).random(y);
    EXPECT_EQ(std::memcmp(x, y, 4), 0);
    std::remove(path.c_str());
    EXPECT_EQ(plain.add_random_source("gone", path).error().message(),
              fmt::format("random source 'gone': cannot open {}: No such file or directory", path));
}

} // namespace
} // namespace mimic::devices
