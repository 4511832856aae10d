#include "devices/base/machine.hpp"
#include <gtest/gtest.h>

namespace mimic::devices {
namespace {

using display::InputEvent;

struct Keyboard : display::InputHandler {
    std::string seen;
    std::string_view input_name() const override { return "test"; }
    bool takes(InputEvent::Kind kind) const override { return kind == InputEvent::Kind::key; }
    void input(const InputEvent& e) override { seen += fmt::format("{}{}", e.down ? '+' : '-', e.key->name); }
    void input_sync() override { seen += ' '; }
};

struct Rig {
    Machine machine{{.manual_clock = true, .random_seed = 1}};
    Keyboard keyboard;
    Rig() {
        inside([&](InputQueue& q) { q.router().add(keyboard); });
        machine.set_running(true);
    }
    template <class F>
    void inside(F f) {
        Context::Entry entry(machine.root().context());
        f(machine.input());
    }
    bool press(std::string_view name, u64 nanoseconds) {
        using Step = InputQueue::Step;
        const display::Key* key = display::find_key(name);
        const Step steps[] = {{.event = display::key_event(*key, true)},
                              {.kind = Step::Kind::sync},
                              {.kind = Step::Kind::delay, .nanoseconds = nanoseconds},
                              {.event = display::key_event(*key, false)},
                              {.kind = Step::Kind::sync}};
        bool taken = false;
        inside([&](InputQueue& q) { taken = q.add(steps); });
        return taken;
    }
};

TEST(InputQueue, KeysAreHeldInGuestTimeOneAfterTheOther) {
    Rig r;
    EXPECT_TRUE(r.press("a", 1000));
    EXPECT_TRUE(r.press("b", 500));
    EXPECT_EQ(r.keyboard.seen, "+a ");
    r.machine.advance(999);
    EXPECT_EQ(r.keyboard.seen, "+a ");
    r.machine.advance(1);
    EXPECT_EQ(r.keyboard.seen, "+a -a +b ");
    r.machine.advance(500);
    EXPECT_EQ(r.keyboard.seen, "+a -a +b -b ");
}

TEST(InputQueue, NoKeyStaysDownInASavedMachine) {
    Rig r;
    r.press("a", 1000);
    r.machine.save();
    EXPECT_EQ(r.keyboard.seen, "+a -a ");
    r.machine.advance(5000);
    EXPECT_EQ(r.keyboard.seen, "+a -a ");
}

TEST(InputQueue, AResetForgetsWhatWaits) {
    Rig r;
    r.press("a", 1000);
    r.machine.reset(ResetKind::warm);
    r.machine.advance(5000);
    EXPECT_EQ(r.keyboard.seen, "+a ");
    r.press("b", 1000);
    EXPECT_EQ(r.keyboard.seen, "+a +b ");
}

TEST(InputQueue, IsBounded) {
    Rig r;
    u32 taken = 0;
    while (taken < 10000 && r.press("a", 1000)) taken++;
    EXPECT_EQ(taken, 205u);
}

} // namespace
} // namespace mimic::devices
