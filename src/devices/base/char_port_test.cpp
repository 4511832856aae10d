#include "devices/base/counted.hpp"
#include <algorithm>
#include <gtest/gtest.h>

namespace mimic::devices {
namespace {

// A host that has room for three bytes until somebody waits for it.
struct Narrow final : chardev::Chardev {
    std::string& shown;
    bool read;
    u32 room = 3;
    bool open = true;
    Narrow(std::string& s, bool r, std::string id = "c0") : Chardev(std::move(id)), shown(s), read(r) {}
    std::string filename() const override { return "narrow"; }
    bool is_open() const override { return open; }
    u32 write(std::span<const u8> bytes) override {
        const u32 n = std::min(room, u32(bytes.size()));
        shown.append(bytes.begin(), bytes.begin() + n);
        room -= n;
        return n;
    }
    void drain() override {
        if (read) room = 3;
    }
    void type(std::string_view text) { front()->receive({reinterpret_cast<const u8*>(text.data()), text.size()}); }
};

class Terminal final : public Device {
public:
    std::string_view type() const override { return "terminal"; }
    void describe(Describe& d) override { d.chardev("chardev", port, "where it goes"); }
    u32 write(std::string_view text) { return port.write({reinterpret_cast<const u8*>(text.data()), text.size()}); }
    std::string typed, heard;
    CharPort port{*this,
                  {.receive = [this](std::span<const u8> bytes) { typed.append(bytes.begin(), bytes.end()); },
                   .event = [this](chardev::Event e) { heard += e == chardev::Event::closed ? "closed " : "opened "; },
                   .writable = [this] { heard += "writable "; }}};
};

Terminal& terminal(Machine& machine) {
    auto d = machine.add(std::make_unique<Terminal>(), "t0", {{"chardev", "c0"}});
    EXPECT_TRUE(d) << (d ? "" : d.error().message());
    return static_cast<Terminal&>(**d);
}

// Time that stands still.
struct Still final : CountedTime {
    u64 now() override { return 0; }
    u64 count() override { return 0; }
    void set(u64, u64) override {}
    bool here() const override { return true; }
    void changed() override {}
    void hold() override {}
    void release() override {}
    void note(Port) override {}
};

TEST(CharPort, WhatCountedTimeKeptGoesOutWhenTheMachineEnds) {
    for (bool read : {true, false}) {
        std::string shown;
        {
            Still time;
            Machine machine{{.counted = true}};
            machine.count_time(time);
            machine.add_chardev(std::make_unique<Narrow>(shown, read));
            EXPECT_EQ(terminal(machine).write("power down"), 10u);
            EXPECT_EQ(shown, "pow");
            machine.end_count();
        }
        EXPECT_EQ(shown, read ? "power down" : "pow");
    }
}

TEST(CharPort, AnotherBackEndTakesTheOldOnesPlace) {
    std::string before, after;
    Machine machine{{.manual_clock = true}};
    machine.add_chardev(std::make_unique<Narrow>(before, true));
    Terminal& t = terminal(machine);
    EXPECT_EQ(t.write("abcd"), 3u);
    auto next = std::make_unique<Narrow>(after, true);
    Narrow& shown = *next;
    ASSERT_TRUE(machine.find_chardev("c0")->can_hand_over());
    machine.find_chardev("c0")->hand_over(shown);
    EXPECT_EQ(t.heard, "opened writable ");
    EXPECT_FALSE(machine.find_chardev("c0")->busy());
    machine.remove_chardev("c0");
    machine.add_chardev(std::move(next));
    EXPECT_EQ(t.write("de"), 2u);
    shown.type("x");
    EXPECT_EQ(before + "," + after + "," + t.typed, "abc,de,x");
    std::string nowhere;
    Narrow listener(nowhere, true);
    listener.open = false;
    shown.hand_over(listener);
    EXPECT_EQ(t.heard, "opened writable closed writable ");
    listener.attach(nullptr);
}

// Where time is counted, the port keeps what nobody reads, and a device whose output was full is woken by the next back end.
TEST(CharPort, AnotherBackEndGetsWhatTheOldOneHadNoRoomFor) {
    std::string before, after;
    Still time;
    Machine machine{{.counted = true}};
    machine.count_time(time);
    machine.add_chardev(std::make_unique<Narrow>(before, false));
    Terminal& t = terminal(machine);
    const std::string text((1 << 20) + 10, 'x');
    const u32 taken = t.write(text);
    EXPECT_EQ(taken, text.size() - 7);
    auto next = std::make_unique<Narrow>(after, true);
    next->room = 2 << 20;
    Narrow& shown = *next;
    machine.find_chardev("c0")->hand_over(shown);
    machine.remove_chardev("c0");
    machine.add_chardev(std::move(next));
    EXPECT_EQ(t.heard, "opened writable ");
    EXPECT_EQ(before.size() + after.size(), taken);
    EXPECT_EQ(t.write("end"), 3u);
    EXPECT_TRUE(after.ends_with("xend"));
    t.port.writable(); // nobody waits for it any more
    EXPECT_EQ(t.heard, "opened writable ");
    machine.end_count();
}

// Neither the port's bytes nor who waits are in a state: they are in the process that it was saved in.
TEST(CharPort, ADeviceThatWasSavedWithFullOutputIsWokenWhereItIsLoaded) {
    std::vector<u8> state;
    {
        std::string shown;
        Still time;
        Machine machine{{.counted = true}};
        machine.count_time(time);
        machine.add_chardev(std::make_unique<Narrow>(shown, false));
        Terminal& t = terminal(machine);
        const std::string text((1 << 20) + 10, 'x');
        EXPECT_EQ(t.write(text), text.size() - 7);
        machine.freeze();
        state = machine.save();
        machine.end_count();
    }
    std::string shown;
    Still time;
    Machine machine{{.counted = true}};
    machine.count_time(time);
    machine.add_chardev(std::make_unique<Narrow>(shown, false));
    Terminal& t = terminal(machine);
    machine.freeze();
    auto loaded = machine.load(state);
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(t.heard, "");
    machine.thaw();
    EXPECT_EQ(t.heard, "writable ");
    machine.end_count();
}

} // namespace
} // namespace mimic::devices
