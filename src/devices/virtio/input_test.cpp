// Keyboard, mouse and tablet, driven through guest memory.
#include "devices/virtio/driver.hpp"
#include <gtest/gtest.h>
#include <linux/input-event-codes.h>
#include <linux/virtio_input.h>

namespace mimic::devices::virtio {
namespace {

using namespace driver;
using display::Axis, display::Button, display::InputEvent;

constexpr u64 version_1 = u64{1} << VIRTIO_F_VERSION_1;

struct Desk {
    Rig r;
    std::unique_ptr<DriverQueue> events, status;
    std::vector<Segment> buffers;
    explicit Desk(std::string_view type, const PropertyList& properties = {}) : r(type, properties, {}) { start(); }
    void start() {
        EXPECT_TRUE(r.negotiate(version_1));
        events = std::make_unique<DriverQueue>(r, 0, DriverQueue::Options{.size = 16});
        status = std::make_unique<DriverQueue>(r, 1, DriverQueue::Options{.size = 16});
        r.driver_ok();
    }
    void give(u32 n) {
        for (u32 i = 0; i < n; i++) {
            buffers.push_back(r.room(8));
            events->add({}, {buffers.back()});
        }
        events->kick();
    }
    bool send(const std::vector<InputEvent>& all) {
        Context::Entry entry(r.machine.root().context());
        display::InputRouter& router = r.machine.input().router();
        bool taken = true;
        for (const InputEvent& e : all) taken &= router.send(nullptr, e);
        router.sync();
        return taken;
    }
    // Events that came, "type:code:value ".
    std::string came() {
        std::string out;
        Used u;
        while (events->used(u)) {
            EXPECT_EQ(u.bytes, 8u);
            const u64 at = buffers.at(next++).address;
            out += fmt::format("{}:{}:{} ", r.peek<u16>(at), r.peek<u16>(at + 2), i32(r.peek<u32>(at + 4)));
        }
        return out;
    }
    // The answer of the configuration space.
    std::string ask(u8 select, u8 subsel) {
        r.set(VIRTIO_MMIO_CONFIG, select, 1);
        r.set(VIRTIO_MMIO_CONFIG + 1, subsel, 1);
        std::string out(r.config(2, 1), 0);
        for (u32 i = 0; i < out.size(); i++) out[i] = char(r.config(8 + i, 1));
        return out;
    }
    bool has(u8 type, u32 code) {
        std::string bits = ask(VIRTIO_INPUT_CFG_EV_BITS, type);
        return code / 8 < bits.size() && bits[code / 8] >> code % 8 & 1;
    }
    size_t next = 0;
};

InputEvent key(std::string_view name, bool down) { return display::key_event(*display::find_key(name), down); }

TEST(VirtioInput, SaysWhatItIs) {
    Desk k("virtio-keyboard-device", {{"serial", "77"}}), m("virtio-mouse-device"), t("virtio-tablet-device");
    EXPECT_EQ(k.r.get(VIRTIO_MMIO_DEVICE_ID), 18u);
    EXPECT_EQ(k.ask(VIRTIO_INPUT_CFG_ID_NAME, 0), "QEMU Virtio Keyboard");
    EXPECT_EQ(k.ask(VIRTIO_INPUT_CFG_ID_SERIAL, 0), "77");
    EXPECT_EQ(m.ask(VIRTIO_INPUT_CFG_ID_DEVIDS, 0), std::string("\6\0\x27\6\2\0\1\0", 8));
    EXPECT_EQ(m.ask(VIRTIO_INPUT_CFG_ID_SERIAL, 0), "");
    EXPECT_TRUE(k.has(EV_KEY, KEY_ENTER) && k.has(EV_KEY, KEY_F24) && k.has(EV_LED, LED_CAPSL));
    EXPECT_FALSE(k.has(EV_KEY, BTN_LEFT) || k.has(EV_REL, REL_X) || k.has(EV_ABS, ABS_X));
    EXPECT_TRUE(m.has(EV_KEY, BTN_LEFT) && m.has(EV_REL, REL_Y) && m.has(EV_REL, REL_WHEEL));
    EXPECT_FALSE(m.has(EV_KEY, KEY_A) || m.has(EV_ABS, ABS_X));
    EXPECT_TRUE(t.has(EV_KEY, BTN_RIGHT) && t.has(EV_ABS, ABS_Y) && t.has(EV_REL, REL_WHEEL));
    EXPECT_FALSE(t.has(EV_REL, REL_X));
    EXPECT_EQ(t.ask(VIRTIO_INPUT_CFG_ABS_INFO, ABS_X), std::string("\0\0\0\0\xff\x7f\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20));
    EXPECT_EQ(t.ask(VIRTIO_INPUT_CFG_ABS_INFO, ABS_Z), "");
    EXPECT_EQ(t.ask(0x99, 0), "");
    Rig refused("virtio-keyboard-device", {{"serial", std::string(129, 'x')}}, {});
    EXPECT_NE(refused.error.find("property 'serial': expected at most 128 characters"), std::string::npos);
}

TEST(VirtioInput, GivesEventsByGroups) {
    Desk k("virtio-keyboard-device");
    k.give(8);
    EXPECT_TRUE(k.send({key("a", true)}));
    EXPECT_EQ(k.came(), "1:30:1 0:0:0 ");
    EXPECT_EQ(k.r.raised, 1u);
    EXPECT_TRUE(k.send({key("a", false), key("b", true)}));
    EXPECT_EQ(k.came(), "1:30:0 1:48:1 0:0:0 ");
    EXPECT_FALSE(k.send({display::relative_event(Axis::x, 1)}));
    EXPECT_EQ(k.came(), "");

    Desk m("virtio-mouse-device");
    m.give(16);
    m.send({display::relative_event(Axis::x, -5), display::relative_event(Axis::y, 7)});
    m.send({display::button_event(Button::right, true)});
    m.send({display::button_event(Button::wheel_down, true), display::button_event(Button::wheel_down, false)});
    EXPECT_EQ(m.came(), "2:0:-5 2:1:7 0:0:0 1:273:1 0:0:0 2:8:-1 0:0:0 ");

    Desk t("virtio-tablet-device");
    t.give(4);
    t.send({display::absolute_event(Axis::x, 0x7fff), display::absolute_event(Axis::y, 0)});
    EXPECT_EQ(t.came(), "3:0:32767 3:1:0 0:0:0 ");
}

TEST(VirtioInput, EventsWaitForBuffersAndAreSaved) {
    Desk k("virtio-keyboard-device");
    k.give(1);
    k.send({key("a", true)});
    EXPECT_EQ(k.came(), "1:30:1 ");
    std::vector<u8> saved = k.r.machine.save();
    k.give(1);
    EXPECT_EQ(k.came(), "0:0:0 ");
    ASSERT_TRUE(k.r.machine.load(saved));
    EXPECT_EQ(k.r.machine.save(), saved);
}

// Whole groups are lost, so that the last that came is complete; what comes later comes.
TEST(VirtioInput, ADriverWithoutBuffersLosesEvents) {
    Desk k("virtio-keyboard-device");
    for (int i = 0; i < 600; i++) k.send({key("a", i % 2 == 0)});
    u32 groups = 0;
    for (int i = 0; i < 64; i++) { // all that it keeps
        k.give(16);
        std::string text = k.came();
        for (size_t at = 0; (at = text.find("0:0:0 ", at)) != std::string::npos; at++) groups++;
    }
    EXPECT_EQ(groups, 512u);
    k.give(4);
    EXPECT_EQ(k.came(), "");
    k.send({key("b", true)});
    EXPECT_EQ(k.came(), "1:48:1 0:0:0 ");
}

TEST(VirtioInput, ADriverThatIsReadyComesFirst) {
    Desk a("virtio-keyboard-device");
    Machine& machine = a.r.machine;
    Device* transport = *machine.create("virtio-mmio", "virtio-mmio[1]", {{"force-legacy", "off"}});
    ASSERT_TRUE(machine.create("virtio-keyboard-device", "second", {}, transport));
    a.give(4);
    a.send({key("a", true)});
    EXPECT_EQ(a.came(), "1:30:1 0:0:0 ");
    a.r.set(VIRTIO_MMIO_STATUS, 0); // the first driver leaves: events go to the other device
    a.send({key("a", false)});
    a.start();
    a.give(4);
    a.next = a.buffers.size() - 4;
    EXPECT_EQ(a.came(), "");
    a.send({key("b", true)});
    EXPECT_EQ(a.came(), "1:48:1 0:0:0 ");
    machine.remove(*transport).ignore();
}

TEST(VirtioInput, LedsAreTakenAndBadBuffersBreakIt) {
    Desk k("virtio-keyboard-device");
    Used u;
    EXPECT_TRUE(k.status->run({k.r.bytes(std::string("\x11\0\1\0\1\0\0\0", 8))}, {}, u));
    EXPECT_NE(state_text(*k.r.device).find("leds = 0x2"), std::string::npos);
    EXPECT_TRUE(k.status->run({k.r.bytes("abc")}, {}, u));
    k.events->add({}, {k.r.room(4)});
    k.events->kick();
    EXPECT_FALSE(k.r.needs_reset());
    k.send({key("a", true)});
    EXPECT_TRUE(k.r.needs_reset());
    k.send({key("a", false)});
}

} // namespace
} // namespace mimic::devices::virtio
