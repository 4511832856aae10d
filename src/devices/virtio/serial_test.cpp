// The console device and the entropy device, driven through guest memory.
#include "chardev/test_pipe.hpp"
#include "devices/virtio/driver.hpp"
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/virtio_console.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mimic::devices::virtio {
namespace {

using namespace driver;

constexpr u64 version_1 = u64{1} << VIRTIO_F_VERSION_1;

struct Terminal {
    chardev::TestPipe* pipe = nullptr;
    Rig r;
    std::string error;
    std::unique_ptr<DriverQueue> rx, tx, control_rx, control_tx;
    Terminal(std::string_view port, const PropertyList& properties, bool many, u32 number = 0)
        : r("virtio-serial-device", {}, {.back_ends = [this](Machine& m, io::Loop&) {
                auto p = std::make_unique<chardev::TestPipe>();
                pipe = p.get();
                m.add_chardev(std::move(p));
            }}) {
        auto made = r.machine.create(port, "port0", properties, r.device);
        if (!made) error = made.error().message();
        if (!error.empty()) return;
        EXPECT_TRUE(r.negotiate(version_1 | (many ? 1 << VIRTIO_CONSOLE_F_MULTIPORT : 0)));
        DriverQueue::Options o{.size = 16};
        u32 first = number ? 2 * number + 2 : 0;
        rx = std::make_unique<DriverQueue>(r, first, o);
        tx = std::make_unique<DriverQueue>(r, first + 1, o);
        if (many) {
            control_rx = std::make_unique<DriverQueue>(r, 2, o);
            control_tx = std::make_unique<DriverQueue>(r, 3, o);
        }
        r.driver_ok();
    }
    void command(u32 port, u16 event, u16 value) {
        virtio_console_control c{port, event, value};
        Used u;
        EXPECT_TRUE(control_tx->run({r.bytes({reinterpret_cast<char*>(&c), sizeof c})}, {}, u));
    }
    // "event value text" of the next control message.
    std::string message() {
        Segment s = r.room(64);
        Used u;
        if (!control_rx->run({}, {s}, u)) return "none";
        auto c = r.peek<virtio_console_control>(s.address);
        return fmt::format("{} {} {}", c.event, c.value, r.text(s).c_str() + sizeof c);
    }
};

TEST(Serial, OnePortIsAConsole) {
    Terminal t("virtconsole", {{"chardev", "c0"}}, false);
    ASSERT_EQ(t.error, "");
    Used u;
    ASSERT_TRUE(t.tx->run({t.r.bytes("hello "), t.r.bytes("world")}, {}, u));
    EXPECT_EQ(t.pipe->out, "hello world");
    EXPECT_EQ(t.pipe->type("abcdef"), 6u); // waits for buffers
    Segment a = t.r.room(4), b = t.r.room(4);
    t.rx->add({}, {a});
    t.rx->add({}, {b});
    t.rx->kick();
    ASSERT_TRUE(t.rx->used(u));
    EXPECT_EQ(t.r.text(a), "abcd");
    ASSERT_TRUE(t.rx->used(u));
    EXPECT_EQ(u.bytes, 2u);
    t.r.set(VIRTIO_MMIO_CONFIG + 8, '!');
    EXPECT_EQ(t.pipe->out, "hello world!");
}

TEST(Serial, OutputWaitsForTheHost) {
    Terminal t("virtconsole", {{"chardev", "c0"}}, false);
    t.pipe->takes = 4;
    Used u;
    t.tx->add({t.r.bytes("hello world")}, {});
    t.tx->kick();
    EXPECT_FALSE(t.tx->used(u));
    EXPECT_EQ(t.pipe->out, "hell");
    t.pipe->may_write(100);
    EXPECT_TRUE(t.tx->used(u));
    EXPECT_EQ(t.pipe->out, "hello world");
}

TEST(Serial, AQueueThatIsResetBeginsWithAWholeChain) {
    Terminal t("virtconsole", {{"chardev", "c0"}}, false);
    t.pipe->takes = 4;
    t.tx->add({t.r.bytes("hello world")}, {});
    t.tx->kick();
    t.r.set(VIRTIO_MMIO_QUEUE_SEL, 1);
    t.r.set(VIRTIO_MMIO_QUEUE_READY, 0);
    t.tx = std::make_unique<DriverQueue>(t.r, 1, DriverQueue::Options{.size = 16});
    t.pipe->takes = 100;
    Used u;
    ASSERT_TRUE(t.tx->run({t.r.bytes("; and all of this")}, {}, u));
    EXPECT_EQ(t.pipe->out, "hell; and all of this");
}

TEST(Serial, PortsAreAnnouncedAndOpened) {
    Terminal t("virtserialport", {{"chardev", "c0"}, {"name", "org.mimic"}}, true, 1);
    ASSERT_EQ(t.error, "");
    EXPECT_EQ(t.pipe->type("x"), 0u); // nobody has it open
    t.command(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    EXPECT_EQ(t.message(), "1 1 ");
    t.command(1, VIRTIO_CONSOLE_PORT_READY, 1);
    EXPECT_EQ(t.message(), "7 1 org.mimic");
    EXPECT_EQ(t.message(), "6 1 ");
    std::string events;
    t.r.machine.on_event = [&](std::string_view name, const Json& data) {
        events += fmt::format("{} {} ", name, data.dump());
    };
    t.command(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    EXPECT_EQ(t.pipe->type("x"), 1u);
    t.command(1, VIRTIO_CONSOLE_PORT_OPEN, 1); // it is open
    ASSERT_TRUE(t.r.settle([&] { return !events.empty(); }));
    EXPECT_EQ(events, R"(VSERPORT_CHANGE {"id": "port0", "open": true} )");
    t.r.machine.on_event = nullptr;
    t.pipe->say(chardev::Event::closed);
    EXPECT_EQ(t.message(), "6 0 ");
    t.command(9, VIRTIO_CONSOLE_PORT_OPEN, 1); // not there: nothing happens
    for (int i = 0; i < 10000; i++) t.r.set(VIRTIO_MMIO_QUEUE_NOTIFY, 3);
    EXPECT_FALSE(t.r.needs_reset());
}

TEST(Serial, PortNumbersAreChecked) {
    EXPECT_EQ(Terminal("virtserialport", {{"nr", "0"}}, true).error,
              "virtserialport: property 'nr': 0 is for a virtconsole");
    EXPECT_EQ(Terminal("virtconsole", {{"nr", "31"}}, true).error,
              "virtconsole: property 'nr': 31, expected at most 30");
}

TEST(Rng, FillsBuffersWithinItsRate) {
    Rig r("virtio-rng-device", {{"max-bytes", "100"}, {"period", "1000"}}, {});
    ASSERT_EQ(r.error, "");
    ASSERT_TRUE(r.negotiate(version_1));
    DriverQueue q(r, 0, {.size = 8});
    r.driver_ok();
    Segment a = r.room(64), b = r.room(64), c = r.room(64);
    Used u;
    ASSERT_TRUE(q.run({}, {a}, u));
    EXPECT_EQ(u.bytes, 64u);
    EXPECT_NE(r.text(a), std::string(64, 0));
    ASSERT_TRUE(q.run({}, {b}, u));
    EXPECT_EQ(u.bytes, 36u);
    q.add({}, {c});
    q.kick();
    EXPECT_FALSE(q.used(u));
    r.machine.advance(1000000000);
    EXPECT_TRUE(q.used(u));
    EXPECT_EQ(u.bytes, 64u);
}

TEST(Rng, GivesWhatItsSourceHas) {
    const std::string path = fmt::format("/tmp/mimic-rng-{}", getpid());
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    Rig r("virtio-rng-device", {{"rng", "r0"}},
          {.back_ends = [&](Machine& m, io::Loop&) { ASSERT_TRUE(m.add_random_source("r0", path)); }, .seed = 0});
    const int writer = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    unlink(path.c_str());
    ASSERT_GE(writer, 0);
    ASSERT_EQ(r.error, "");
    ASSERT_TRUE(r.negotiate(version_1));
    DriverQueue q(r, 0, {.size = 8});
    r.driver_ok();
    Segment a = r.room(64);
    Used u;
    q.add({}, {a});
    q.kick();
    r.machine.advance(1000000000);
    EXPECT_FALSE(q.used(u)); // it has nothing yet
    EXPECT_EQ(write(writer, "abc", 3), 3);
    r.machine.advance(1000000000);
    EXPECT_TRUE(q.used(u));
    EXPECT_EQ(u.bytes, 3u);
    EXPECT_EQ(r.text(a).substr(0, 3), "abc");
    close(writer);
}

} // namespace
} // namespace mimic::devices::virtio
