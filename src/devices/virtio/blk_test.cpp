// The block device, driven through guest memory in every layout of rings; what breaks it; what survives a save.
#include "base/trace.hpp"
#include "block/driver.hpp"
#include "block/graph.hpp"
#include "block/protocols/memory.hpp"
#include "devices/base/counted.hpp"
#include "devices/virtio/driver.hpp"
#include <gtest/gtest.h>
#include <linux/virtio_blk.h>

namespace mimic::devices::virtio {
namespace {

using namespace driver;

constexpr u64 version_1 = u64{1} << VIRTIO_F_VERSION_1, packed_ring = u64{1} << VIRTIO_F_RING_PACKED,
              indirect = u64{1} << 28, event_index = u64{1} << 29, flush_feature = 1 << VIRTIO_BLK_F_FLUSH;

// A disk of 1 MiB whose sector n begins with n.
struct Disk {
    std::shared_ptr<block::MemoryImage> image = std::make_shared<block::MemoryImage>();
    std::unique_ptr<block::Context> context;
    Disk() {
        image->size = 1 << 20;
        for (u32 n = 0; n < 2048; n++)
            image->write(u64{n} * 512, io::IoVec(std::span<const u8>(reinterpret_cast<u8*>(&n), 4)));
    }
    Rig::Options options(bool legacy = false, bool read_only = false) {
        return {.legacy = legacy, .back_ends = [this, read_only](Machine& m, io::Loop& loop) {
                    context.reset(new block::Context{.loop = loop});
                    auto node = block::make_memory_node(*context, image, read_only);
                    m.drives["d0"] = {*block::Root::attach(node, "d0", 0, block::perm::all), read_only};
                }};
    }
    u32 word(u64 offset) {
        u32 v = 0;
        image->read(offset, io::IoVec(&v, 4));
        return v;
    }
};

Segment header(Rig& r, u32 type, u64 sector) {
    std::string h(16, 0);
    std::memcpy(h.data(), &type, 4);
    std::memcpy(h.data() + 8, &sector, 8);
    return r.bytes(h);
}

struct Layout {
    const char* name;
    bool legacy, packed, indirect, events;
};
class Blk : public ::testing::TestWithParam<Layout> {};

TEST_P(Blk, ReadsWritesAndWraps) {
    Layout p = GetParam();
    Disk disk;
    Rig r("virtio-blk-device", {{"drive", "d0"}, {"packed", p.packed ? "on" : "off"}, {"serial", "tiger"}},
          disk.options(p.legacy));
    ASSERT_EQ(r.error, "");
    EXPECT_EQ(r.get(VIRTIO_MMIO_VERSION), p.legacy ? 1u : 2u);
    EXPECT_EQ(r.get(VIRTIO_MMIO_DEVICE_ID), 2u);
    EXPECT_EQ(r.config(0, 4), 2048u);
    u64 features = flush_feature | (p.legacy ? 0 : version_1) | (p.packed ? packed_ring : 0) |
                   (p.indirect ? indirect : 0) | (p.events ? event_index : 0);
    ASSERT_TRUE(r.negotiate(features, p.legacy));
    DriverQueue q(r, 0, {.packed = p.packed, .indirect = p.indirect, .legacy = p.legacy, .size = 8});
    r.driver_ok();
    for (u32 i = 0; i < 30; i++) { // several times around the ring
        Segment a = r.room(512), b = r.room(1024), status = r.room(1);
        r.put<u8>(status.address, 0xee);
        Used u;
        ASSERT_TRUE(q.run({header(r, VIRTIO_BLK_T_IN, i)}, {a, b, status}, u)) << i;
        EXPECT_EQ(u.bytes, 1537u);
        EXPECT_EQ(r.peek<u8>(status.address), VIRTIO_BLK_S_OK);
        EXPECT_EQ(r.peek<u32>(a.address), i);
        EXPECT_EQ(r.peek<u32>(b.address + 512), i + 2);
        std::string text(512, char('a' + i % 26));
        ASSERT_TRUE(q.run({header(r, VIRTIO_BLK_T_OUT, 100 + i), r.bytes(text)}, {status}, u)) << i;
        EXPECT_EQ(u.bytes, 1u);
        EXPECT_EQ(disk.word((100 + u64{i}) * 512), u32('a' + i % 26) * 0x01010101u);
        r.next_free = q.table + 0x8000;
    }
    EXPECT_TRUE(r.line);
    EXPECT_EQ(r.acknowledge(), u32(VIRTIO_MMIO_INT_VRING));
    EXPECT_FALSE(r.line);
    Segment name = r.room(20), status = r.room(1);
    Used u;
    ASSERT_TRUE(q.run({header(r, VIRTIO_BLK_T_GET_ID, 0)}, {name, status}, u));
    EXPECT_STREQ(r.text(name).c_str(), "tiger");
    ASSERT_TRUE(q.run({header(r, VIRTIO_BLK_T_FLUSH, 0)}, {status}, u));
    EXPECT_EQ(r.peek<u8>(status.address), VIRTIO_BLK_S_OK);
    EXPECT_FALSE(r.needs_reset());
}

INSTANTIATE_TEST_SUITE_P(
    Rings, Blk,
    ::testing::Values(Layout{"split", false, false, false, false}, Layout{"split_indirect", false, false, true, true},
                      Layout{"packed", false, true, false, false}, Layout{"packed_indirect", false, true, true, true},
                      Layout{"legacy", true, false, false, false}, Layout{"legacy_indirect", true, false, true, true}),
    [](const auto& i) { return i.param.name; });

struct Modern {
    Disk disk;
    Rig r;
    std::unique_ptr<DriverQueue> q;
    explicit Modern(PropertyList extra = {}, u64 features = 0, bool read_only = false)
        : r("virtio-blk-device", with_drive(std::move(extra)), disk.options(false, read_only)) {
        EXPECT_EQ(r.error, "");
        EXPECT_TRUE(r.negotiate(version_1 | flush_feature | features));
        q = std::make_unique<DriverQueue>(r, 0, DriverQueue::Options{.size = 8});
        r.driver_ok();
    }
    static PropertyList with_drive(PropertyList extra) {
        extra.emplace_back("drive", "d0");
        return extra;
    }
    u8 ask(u32 type, u64 sector, std::vector<Segment> out = {}, std::vector<Segment> in = {}) {
        Segment status = r.room(1);
        r.put<u8>(status.address, 0xee);
        out.insert(out.begin(), header(r, type, sector));
        in.push_back(status);
        Used u;
        EXPECT_TRUE(q->run(out, in, u));
        return r.peek<u8>(status.address);
    }
    std::string range(u64 sector, u32 count, u32 flags) {
        std::string s(16, 0);
        std::memcpy(s.data(), &sector, 8);
        std::memcpy(s.data() + 8, &count, 4);
        std::memcpy(s.data() + 12, &flags, 4);
        return s;
    }
};

TEST(BlkRequests, BadOnesGetTheirStatus) {
    Modern m({}, 1 << VIRTIO_BLK_F_DISCARD | 1 << VIRTIO_BLK_F_WRITE_ZEROES);
    Rig& r = m.r;
    EXPECT_EQ(m.ask(VIRTIO_BLK_T_IN, 2047, {}, {r.room(1024)}), VIRTIO_BLK_S_IOERR); // past the end
    EXPECT_EQ(m.ask(VIRTIO_BLK_T_IN, ~u64{0}, {}, {r.room(512)}), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(m.ask(VIRTIO_BLK_T_IN, 0, {}, {r.room(511)}), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(m.ask(77, 0), VIRTIO_BLK_S_UNSUPP);
    EXPECT_EQ(m.ask(VIRTIO_BLK_T_WRITE_ZEROES, 0, {r.bytes(m.range(8, 8, 1))}), VIRTIO_BLK_S_OK);
    EXPECT_EQ(m.disk.word(8 * 512), 0u);
    EXPECT_EQ(m.disk.word(16 * 512), 16u);
    EXPECT_EQ(m.ask(VIRTIO_BLK_T_WRITE_ZEROES, 0, {r.bytes(m.range(8, 8, 2))}), VIRTIO_BLK_S_UNSUPP);
    EXPECT_EQ(m.ask(VIRTIO_BLK_T_WRITE_ZEROES, 0, {r.bytes(m.range(2047, 2, 0))}), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(m.ask(VIRTIO_BLK_T_DISCARD, 0, {r.bytes(m.range(0, 8, 0))}), VIRTIO_BLK_S_OK);
    EXPECT_EQ(m.ask(VIRTIO_BLK_T_DISCARD, 0, {r.bytes(m.range(0, 8, 1))}), VIRTIO_BLK_S_UNSUPP);
    EXPECT_EQ(m.ask(VIRTIO_BLK_T_DISCARD, 0, {r.bytes(m.range(0, 0x400000, 0))}), VIRTIO_BLK_S_IOERR);
    EXPECT_FALSE(r.needs_reset());
}

TEST(BlkRequests, ReadOnlyDisksRefuseWrites) {
    Modern m({}, 0, true);
    EXPECT_TRUE(m.r.offered() & 1 << VIRTIO_BLK_F_RO);
    EXPECT_EQ(m.ask(VIRTIO_BLK_T_OUT, 0, {m.r.room(512)}), VIRTIO_BLK_S_IOERR);
    EXPECT_EQ(m.ask(VIRTIO_BLK_T_IN, 0, {}, {m.r.room(512)}), VIRTIO_BLK_S_OK);
}

// What a driver must not do: each breaks the device, which stays answerable and works after a reset.
TEST(BlkQueue, BrokenRingsNeedAReset) {
    struct Case {
        const char* name;
        std::function<void(DriverQueue&, Rig&)> damage;
    } const cases[] = {
        {"loop",
         [](DriverQueue& q, Rig& r) {
             q.descriptor(q.table, header(r, 0, 0), 1, 1);
             q.descriptor(q.table + 16, r.room(512), 1, 0);
             q.publish(0);
         }},
        {"long loop of writable ones",
         [](DriverQueue& q, Rig& r) {
             q.descriptor(q.table, r.room(512), 3, 0);
             q.publish(0);
         }},
        {"head outside", [](DriverQueue& q, Rig&) { q.publish(8); }},
        {"link outside",
         [](DriverQueue& q, Rig& r) {
             q.descriptor(q.table, header(r, 0, 0), 1, 9);
             q.publish(0);
         }},
        {"index jumps", [](DriverQueue& q, Rig& r) { r.put<u16>(q.driver + 2, 100); }},
        {"past the end of RAM",
         [](DriverQueue& q, Rig& r) {
             q.add({header(r, 0, 0)}, {{ram_base + ram_size - 256, 512}, r.room(1)});
         }},
        {"nowhere",
         [](DriverQueue& q, Rig& r) {
             q.add({header(r, 0, 0)}, {{0x4000000000, 512}, r.room(1)});
         }},
        {"wraps",
         [](DriverQueue& q, Rig& r) {
             q.add({header(r, 0, 0)}, {{~u64{0} - 10, 512}, r.room(1)});
         }},
        {"no status", [](DriverQueue& q, Rig& r) { q.add({header(r, 0, 0)}, {}); }},
        {"no header", [](DriverQueue& q, Rig& r) { q.add({}, {r.room(1)}); }},
        {"readable behind writable",
         [](DriverQueue& q, Rig& r) {
             q.descriptor(q.table, r.room(16), 3, 1);
             q.descriptor(q.table + 16, header(r, 0, 0), 0, 0);
             q.publish(0);
         }},
        {"indirect not negotiated",
         [](DriverQueue& q, Rig& r) {
             q.descriptor(q.table, r.room(32), 4, 0);
             q.publish(0);
         }},
    };
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        Modern m;
        c.damage(*m.q, m.r);
        m.q->kick();
        EXPECT_TRUE(m.r.settle([&] { return m.r.needs_reset(); }));
        EXPECT_TRUE(m.r.get(VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG);
        m.q->kick();
        ASSERT_TRUE(m.r.negotiate(version_1 | flush_feature));
        m.q = std::make_unique<DriverQueue>(m.r, 0, DriverQueue::Options{.size = 8});
        m.r.driver_ok();
        EXPECT_EQ(m.ask(VIRTIO_BLK_T_IN, 1, {}, {m.r.room(512)}), VIRTIO_BLK_S_OK);
    }
}

TEST(BlkQueue, DmaToOwnRegistersEnds) {
    Modern m;
    for (u64 reg : {VIRTIO_MMIO_QUEUE_NOTIFY, VIRTIO_MMIO_STATUS, VIRTIO_MMIO_INTERRUPT_ACK}) {
        m.q->add({header(m.r, VIRTIO_BLK_T_FLUSH, 0)}, {{mmio_base + reg, 1}});
        m.q->add({header(m.r, VIRTIO_BLK_T_IN, 0)}, {{mmio_base, 512}, {mmio_base + reg, 1}});
        m.q->add({header(m.r, 77, 0)}, {{mmio_base + reg, 1}});
        m.q->kick();
        m.r.settle([&] { return m.r.get(VIRTIO_MMIO_STATUS) == 0; });
    }
    ASSERT_TRUE(m.r.negotiate(version_1 | flush_feature));
    m.q = std::make_unique<DriverQueue>(m.r, 0, DriverQueue::Options{.size = 8});
    m.r.driver_ok();
    EXPECT_EQ(m.ask(VIRTIO_BLK_T_IN, 1, {}, {m.r.room(512)}), VIRTIO_BLK_S_OK);
}

TEST(BlkQueue, BrokenIndirectTablesNeedAReset) {
    struct Case {
        const char* name;
        u32 bytes;
        u16 flags, next;
        u16 outer;
    } const cases[] = {{"odd length", 17, 0, 0, 4},     {"empty", 0, 0, 0, 4}, {"nested", 16, 4, 0, 4},
                       {"link outside", 16, 1, 1, 4},   {"loop", 16, 1, 0, 4}, {"has a successor", 16, 2, 0, 5},
                       {"too long", 16 * 1025, 2, 0, 4}};
    for (const Case& c : cases) {
        SCOPED_TRACE(c.name);
        Modern m({}, indirect);
        u64 table = m.r.allocate(16 * 1025);
        m.q->descriptor(table, m.r.room(16), c.flags, c.next);
        m.q->descriptor(m.q->table, {table, c.bytes}, c.outer, 0);
        m.q->publish(0);
        m.q->kick();
        EXPECT_TRUE(m.r.needs_reset());
    }
}

TEST(BlkQueue, MisplacedRingsNeedAReset) {
    Modern m;
    for (u64 shift : {1, 2, 4, 8}) {
        ASSERT_TRUE(m.r.negotiate(version_1));
        m.r.set(VIRTIO_MMIO_QUEUE_SEL, 0);
        m.r.set(VIRTIO_MMIO_QUEUE_NUM, 8);
        m.q->table += shift;
        m.q->place();
        m.q->table -= shift;
        m.r.set(VIRTIO_MMIO_QUEUE_READY, 1);
        EXPECT_EQ(m.r.get(VIRTIO_MMIO_QUEUE_READY), 0u);
        EXPECT_TRUE(m.r.needs_reset());
    }
    ASSERT_TRUE(m.r.negotiate(version_1));
    m.r.set(VIRTIO_MMIO_QUEUE_NUM, 7);
    m.q->place();
    m.r.set(VIRTIO_MMIO_QUEUE_READY, 1);
    EXPECT_TRUE(m.r.needs_reset());
}

TEST(BlkFeatures, OnlyOfferedOnesAreTaken) {
    Modern m;
    EXPECT_FALSE(m.r.negotiate(flush_feature)); // no VERSION_1
    EXPECT_FALSE(m.r.negotiate(version_1 | packed_ring));
    EXPECT_FALSE(m.r.negotiate(version_1 | 1 << 20));
    EXPECT_TRUE(m.r.negotiate(version_1 | m.r.offered()));
}

TEST(BlkQueue, InterruptsFollowTheEventIndex) {
    Modern m({}, event_index);
    Rig& r = m.r;
    r.put<u16>(m.q->driver + 4 + 2 * 8, 2); // used_event: after the third
    for (u32 i = 0; i < 5; i++) {
        u32 before = r.raised;
        EXPECT_EQ(m.ask(VIRTIO_BLK_T_FLUSH, 0), VIRTIO_BLK_S_OK);
        EXPECT_EQ(r.raised - before, i == 2 ? 1u : 0u) << i;
        r.acknowledge();
    }
    EXPECT_EQ(r.peek<u16>(m.q->device + 4 + 8 * 8), 5u); // avail_event: tell me of the next one
}

TEST(BlkState, RequestsInFlightAreStartedAgain) {
    Modern a, b;
    Segment data = a.r.room(512), status = a.r.room(1);
    a.r.put<u8>(status.address, 0xee);
    a.q->add({header(a.r, VIRTIO_BLK_T_IN, 5)}, {data, status});
    a.q->kick(); // the loop did not run: it is in flight
    auto saved = a.r.machine.save();
    b.r.set(VIRTIO_MMIO_STATUS, 0);
    std::memcpy(b.r.block->host(), a.r.block->host(), ram_size);
    auto loaded = b.r.machine.load(saved);
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(b.r.machine.save(), saved);
    Used u;
    ASSERT_TRUE(b.r.settle([&] { return b.q->used(u); })); // the queues lie at the same place
    EXPECT_EQ(u.bytes, 513u);
    EXPECT_EQ(b.r.peek<u32>(data.address), 5u);
    EXPECT_EQ(b.r.peek<u8>(status.address), VIRTIO_BLK_S_OK);
}

TEST(BlkState, AMachineSettlesBeforeItIsReset) {
    Modern a;
    Segment data = a.r.room(512), status = a.r.room(1);
    a.q->add({header(a.r, VIRTIO_BLK_T_IN, 5)}, {data, status});
    a.q->kick();
    a.r.machine.set_running(false);
    EXPECT_EQ(a.r.machine.in_flight(), 1u);
    a.r.machine.settle();
    EXPECT_EQ(a.r.machine.in_flight(), 0u);
    EXPECT_EQ(a.r.peek<u32>(data.address), 5u);
    a.r.machine.reset(ResetKind::cold);
    a.r.put<u32>(data.address, 77);
    a.r.settle([] { return false; }); // some turns
    EXPECT_EQ(a.r.peek<u32>(data.address), 77u);
}

// Processors stand still, at a count that the test says.
struct Time final : CountedTime {
    u64 at = 1000;
    u64 now() override { return at; }
    u64 count() override { return at; }
    void set(u64 nanoseconds, u64) override { at = nanoseconds; }
    bool here() const override { return true; }
    void changed() override {}
    void hold() override {}
    void release() override {}
    void note(Port) override {}
};

struct Counted {
    Time time;
    Disk disk;
    Rig r;
    std::unique_ptr<DriverQueue> q;
    Counted() : r("virtio-blk-device", {{"drive", "d0"}}, options()) {
        EXPECT_EQ(r.error, "");
        EXPECT_TRUE(r.negotiate(version_1 | flush_feature));
        q = std::make_unique<DriverQueue>(r, 0, DriverQueue::Options{.size = 8});
        r.driver_ok();
    }
    Rig::Options options() {
        Rig::Options o = disk.options();
        o.time = &time;
        return o;
    }
    // The disk has done its part of all requests; their time has not come.
    bool answered() {
        return r.settle([&] { return r.machine.in_flight() == 0; });
    }
    void ask(u32 type, u64 sector, Segment data) {
        q->add({header(r, type, sector)}, {data, r.room(1)});
        q->kick();
    }
};

TEST(BlkCountedTime, DataMoveWhenARequestIsMadeAndWhenItEnds) {
    Counted c;
    Rig& r = c.r;
    Segment text = r.bytes(std::string(512, 'a')), data = r.room(512);
    c.q->add({header(r, VIRTIO_BLK_T_OUT, 7), text}, {r.room(1)});
    c.ask(VIRTIO_BLK_T_IN, 5, data);
    std::memset(r.at(text.address), 'b', 512);
    ASSERT_TRUE(c.answered());
    EXPECT_EQ(c.disk.word(7 * 512), 0x61616161u);
    EXPECT_EQ(r.peek<u32>(data.address), 0u);
    Used u;
    EXPECT_FALSE(c.q->used(u));
    c.time.at = r.machine.next_event();
    EXPECT_TRUE(r.machine.run_events([] { return false; }));
    EXPECT_TRUE(c.q->used(u));
    EXPECT_TRUE(c.q->used(u));
    EXPECT_EQ(r.peek<u32>(data.address), 5u);
}

TEST(BlkCountedTime, AMachineThatIsStoppedWaitsForTheDiskAlone) {
    Counted c;
    Segment data = c.r.room(512);
    c.ask(VIRTIO_BLK_T_IN, 5, data);
    EXPECT_EQ(c.r.machine.in_flight(), 1u);
    c.r.machine.set_running(false);
    ASSERT_TRUE(c.answered());
    Used u;
    EXPECT_FALSE(c.q->used(u));
    c.r.machine.set_running(true);
    c.time.at = c.r.machine.next_event();
    EXPECT_TRUE(c.r.machine.run_events([] { return false; }));
    EXPECT_TRUE(c.q->used(u));
}

TEST(BlkCountedTime, AMachineEndsWithRequestsWhoseTimeHasNotCome) {
    for (bool host_is_done : {true, false}) {
        Counted c;
        c.ask(VIRTIO_BLK_T_IN, 5, c.r.room(512));
        if (host_is_done) { ASSERT_TRUE(c.answered()); }
        c.r.machine.set_running(false);
    }
}

// What becomes of a write that fails: the drive's word counts, unless the device has one of its own.
TEST(BlkErrors, FollowTheDriveUnlessTheDeviceSaysOtherwise) {
    struct Case {
        std::string drives, own, action;
        u32 status;
    };
    for (const Case& c : {Case{"", "auto", "report", VIRTIO_BLK_S_IOERR},
                          {"stop", "auto", "stop", 0xee},
                          {"ignore", "auto", "ignore", VIRTIO_BLK_S_OK},
                          {"stop", "report", "report", VIRTIO_BLK_S_IOERR},
                          {"report", "stop", "stop", 0xee}}) {
        Disk disk;
        Rig::Options options{.back_ends = [&](Machine& m, io::Loop& loop) {
            disk.context.reset(new block::Context{.loop = loop});
            block::OpenRequest request;
            request.options = *Json::parse(R"({"driver": "blkdebug", "node-name": "broken",
                "image": {"driver": "null-co", "size": 65536}, "inject-error": [{"iotype": "write", "errno": 5}]})");
            request.writable = true;
            auto node = loop.run(block::open_node(*disk.context, std::move(request)));
            ASSERT_TRUE(node) << node.error().message();
            m.drives["d0"] = {*block::Root::attach(*node, "d0", 0, block::perm::all)};
            m.drives["d0"].on_write_error = c.drives;
        }};
        Rig r("virtio-blk-device", {{"drive", "d0"}, {"werror", c.own}}, options);
        ASSERT_EQ(r.error, "");
        std::vector<std::string> requests;
        std::vector<Json> events;
        r.machine.on_request = [&](const devices::Request& q) { requests.push_back(q.cause); };
        r.machine.on_event = [&](std::string_view name, Json data) {
            EXPECT_EQ(name, "BLOCK_IO_ERROR");
            events.push_back(std::move(data));
        };
        ASSERT_TRUE(r.negotiate(version_1 | flush_feature));
        DriverQueue q(r, 0, {.size = 8});
        r.driver_ok();
        Segment status = r.room(1);
        r.put<u8>(status.address, 0xee);
        q.add({header(r, VIRTIO_BLK_T_OUT, 0), r.bytes(std::string(512, 'x'))}, {status});
        q.kick();
        ASSERT_TRUE(r.settle([&] { return !events.empty() && r.machine.in_flight() == 0; }));
        EXPECT_EQ(r.peek<u8>(status.address), c.status) << c.drives << " " << c.own;
        EXPECT_EQ(*events[0].find("action")->string(), c.action);
        EXPECT_EQ(*events[0].find("operation")->string(), "write");
        EXPECT_EQ(*events[0].find("node-name")->string(), "broken");
        EXPECT_EQ(*events[0].find("qom-path")->string(), r.device->path());
        EXPECT_EQ(requests, c.action == "stop" ? std::vector<std::string>{"io-error"} : std::vector<std::string>{});
        r.machine.on_request = nullptr;
        r.machine.on_event = nullptr;
    }
}

TEST(BlkProperties, ErrorsNameThem) {
    Rig r("virtio-blk-device", {}, {});
    EXPECT_EQ(r.error, "virtio-blk-device: property 'drive' is not set, expected the id of a -drive");
    Disk disk;
    Rig s("virtio-blk-device", {{"drive", "d0"}, {"logical_block_size", "600"}}, disk.options());
    EXPECT_EQ(s.error, "virtio-blk-device: property 'logical_block_size': 600, expected a power of two from 512 to 2M");
}

} // namespace
} // namespace mimic::devices::virtio
