#include "devices/base/counted.hpp"
#include <gtest/gtest.h>
#include <thread>

namespace mimic::devices {
namespace {

struct Time final : CountedTime {
    u64 at = 1000, held = 0;
    std::string seen;
    u64 now() override { return at; }
    u64 count() override { return at; }
    void set(u64 nanoseconds, u64) override { at = nanoseconds; }
    bool elsewhere = false;
    bool here() const override { return !elsewhere; }
    void changed() override {}
    void hold() override { held++; }
    void release() override { held--; }
    void note(Port port) override { seen += fmt::format("port{} ", int(port)); }
};

class Disk final : public Device {
public:
    std::string_view type() const override { return "disk"; }
    void describe(Describe& d) override { d.timer("t", timer); }
    u32 ticks = 0;
    Timer timer{*this, [this] {
                    ticks++;
                    timer.arm(machine().now()); // for ever
                }};
};

struct CountedPorts : testing::Test {
    Machine machine{{.counted = true, .random_seed = 1}};
    Time time;
    Disk* disk = nullptr;
    std::function<bool()> patient = [] { return false; };
    CountedPorts() {
        machine.count_time(time);
        auto d = machine.add(std::make_unique<Disk>(), "disk0", {});
        disk = static_cast<Disk*>(*d);
        machine.set_running(true);
    }
    void answer(u64 number, const char* what) {
        machine.answer(number, Port::block, *disk, [this, what] { time.seen += what; });
    }
};

TEST_F(CountedPorts, AnswersComeAtTheirTimeInTheOrderOfTheQuestions) {
    const u64 first = machine.expect(), second = machine.expect();
    answer(second, "second ");
    answer(first, "first ");
    EXPECT_EQ(machine.next_event(), 1000 + Agenda::block_delay);
    time.at = machine.next_event() - 1;
    EXPECT_TRUE(machine.run_events(patient));
    EXPECT_EQ(time.seen, "");
    time.at++;
    EXPECT_TRUE(machine.run_events(patient));
    EXPECT_EQ(time.seen, "port4 first port4 second ");
    EXPECT_EQ(machine.next_event(), Timer::never);
}

TEST_F(CountedPorts, ALateAnswerIsWaitedForUnlessSomebodyWantsToStop) {
    const u64 number = machine.expect();
    time.at = machine.next_event();
    EXPECT_FALSE(machine.run_events([] { return true; }));
    std::thread host([&] { answer(number, "late "); });
    EXPECT_TRUE(machine.run_events(patient));
    host.join();
    EXPECT_EQ(time.seen, "port4 late ");
}

TEST_F(CountedPorts, WhileAMachineIsSavedAnswersComeAtOnce) {
    const u64 first = machine.expect(), second = machine.expect();
    answer(first, "first ");
    machine.set_running(false);
    machine.freeze();
    EXPECT_EQ(time.seen, "first ");
    answer(second, "second ");
    EXPECT_EQ(time.seen, "first second ");
    machine.thaw();
    EXPECT_EQ(machine.next_event(), Timer::never);
}

TEST_F(CountedPorts, WorkOfTheLoopIsDoneWhenItIsDue) {
    machine.ask(Port::network, [&] { time.seen += "sent "; });
    EXPECT_TRUE(machine.run_events(patient));
    EXPECT_EQ(time.seen, "");
    time.at = machine.next_event();
    EXPECT_EQ(time.at, 1000 + Agenda::network_delay);
    EXPECT_TRUE(machine.run_events(patient));
    EXPECT_EQ(time.seen, "sent port3 ");
}

TEST_F(CountedPorts, ATimerThatIsArmedForNowAgainWaitsForTheNextInstruction) {
    {
        Context::Entry entry(disk->context());
        disk->timer.arm(1000);
    }
    EXPECT_TRUE(machine.run_events(patient));
    EXPECT_EQ(disk->ticks, 1u);
    EXPECT_TRUE(machine.run_events(patient)); // somebody wanted processors to stand
    EXPECT_EQ(disk->ticks, 1u);
    time.at++;
    EXPECT_TRUE(machine.run_events(patient));
    EXPECT_EQ(disk->ticks, 2u);
}

TEST_F(CountedPorts, WhatTheLoopIsAskedForByItsOwnWorkComesAtItsTime) {
    machine.ask(Port::network, [&] {
        time.elsewhere = true;
        machine.ask(Port::network, [&] { time.seen += "second "; });
        time.elsewhere = false;
        time.seen += "first ";
    });
    time.at = machine.next_event();
    EXPECT_TRUE(machine.run_events(patient));
    EXPECT_EQ(time.seen, "first port3 ");
    EXPECT_EQ(machine.next_event(), time.at + Agenda::network_delay);
    time.at = machine.next_event();
    EXPECT_TRUE(machine.run_events(patient));
    EXPECT_EQ(time.seen, "first port3 second port3 ");
}

TEST_F(CountedPorts, NothingOfAnotherTimeIsToCome) {
    time.at = 1'000'000;
    machine.ask(Port::network, [&] { time.seen += "sent "; });
    machine.set_running(false);
    machine.set_now(1000, 1000);
    EXPECT_EQ(machine.next_event(), Timer::never);
    machine.set_running(true);
    machine.ask(Port::network, [&] { time.seen += "later "; });
    EXPECT_EQ(machine.next_event(), 1000 + Agenda::network_delay);
}

TEST_F(CountedPorts, TheWallClockBeginsWhereItIsTold) {
    EXPECT_EQ(machine.now(), 1000u);
    EXPECT_EQ(machine.wall_clock(), u64{946684800} * 1000000000 + 1000);
}

TEST_F(CountedPorts, ARequestOfTheGuestIsHeardBeforeItGoesOn) {
    u64 held = 0;
    machine.on_request = [&](const Request&) { held = time.held; };
    machine.request({Request::Kind::reset, "guest-reset"});
    EXPECT_EQ(held, 1u);
    EXPECT_EQ(time.held, 0u);
}

} // namespace
} // namespace mimic::devices
