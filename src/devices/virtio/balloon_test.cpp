// The memory balloon, driven through guest memory.
#include "devices/virtio/driver.hpp"
#include <gtest/gtest.h>
#include <linux/virtio_balloon.h>
#include <sys/mman.h>

namespace mimic::devices::virtio {
namespace {

using namespace driver;

constexpr u64 version_1 = u64{1} << VIRTIO_F_VERSION_1;
constexpr u32 num_pages = 0, actual = 4, poison_val = 12;

struct Driver {
    std::vector<std::pair<std::string, Json>> events; // outlives the machine, which tells what is left at its end
    Rig r;
    std::unique_ptr<DriverQueue> inflate, deflate, stats, reporting;
    explicit Driver(const PropertyList& properties = {}, u64 features = 0)
        : r("virtio-balloon-device", properties, {}) {
        r.machine.ram_bytes = ram_size;
        r.machine.on_event = [this](std::string_view name, Json data) { events.emplace_back(name, std::move(data)); };
        if (!r.error.empty()) return;
        EXPECT_TRUE(r.negotiate(version_1 | 1 << VIRTIO_BALLOON_F_STATS_VQ | features));
        DriverQueue::Options o{.size = 16};
        inflate = std::make_unique<DriverQueue>(r, 0, o);
        deflate = std::make_unique<DriverQueue>(r, 1, o);
        stats = std::make_unique<DriverQueue>(r, 2, o);
        if (features >> VIRTIO_BALLOON_F_REPORTING & 1) reporting = std::make_unique<DriverQueue>(r, 3, o);
        r.driver_ok();
    }
    u64 page() {
        u64 p = r.allocate(4096, 4096);
        std::memset(r.at(p), 0x5a, 4096);
        return p;
    }
    bool resident(u64 address) {
        unsigned char there = 0;
        EXPECT_EQ(mincore(r.at(address), 4096, &there), 0);
        return there & 1;
    }
    Segment numbers(const std::vector<u32>& all) {
        return r.bytes({reinterpret_cast<const char*>(all.data()), 4 * all.size()});
    }
    Json live(std::string_view name) { return *r.device->get_live(name); }
    u64 stat(std::string_view name) {
        u64 value = 0;
        live("guest-stats").find("stats")->find(name)->get(value);
        return value;
    }
};

TEST(Balloon, PagesGoBackToTheHost) {
    Driver d;
    ASSERT_EQ(d.r.error, "");
    u64 a = d.page(), b = d.page(), c = d.page(), kept = d.page();
    u32 n = u32(a >> 12);
    Used u;
    // In any order, twice, and where no RAM is.
    ASSERT_TRUE(d.inflate->run({d.numbers({n + 2, n, n + 1, n, 0, 0xffffffff})}, {}, u));
    for (u64 p : {a, b, c}) EXPECT_FALSE(d.resident(p));
    EXPECT_TRUE(d.resident(kept));
    EXPECT_EQ(d.r.peek<u32>(a), 0u);
    EXPECT_EQ(d.r.peek<u8>(kept), 0x5a);
    ASSERT_TRUE(d.deflate->run({d.numbers({n, n + 1, n + 2})}, {}, u));
    EXPECT_FALSE(d.r.needs_reset());
}

TEST(Balloon, DiscardedPagesAreWritesToOthers) {
    Driver d;
    u64 a = d.page();
    Used u;
    d.r.block->watch(a - ram_base, memory::RamBlock::migration);
    ASSERT_TRUE(d.inflate->run({d.numbers({u32(a >> 12)})}, {}, u));
    EXPECT_TRUE(d.r.block->test_and_clear_dirty(a - ram_base, memory::RamBlock::migration));
}

TEST(Balloon, TargetAndActual) {
    Driver d;
    Balloon* balloon = d.r.machine.balloon;
    ASSERT_TRUE(balloon);
    EXPECT_EQ(balloon->actual(), ram_size);
    d.r.acknowledge();
    balloon->set_target(ram_size - 5 * 4096);
    EXPECT_EQ(d.r.config(num_pages, 4), 5u);
    EXPECT_EQ(d.r.acknowledge(), 2u) << "a change of the configuration";
    d.r.set(VIRTIO_MMIO_CONFIG + actual, 5);
    EXPECT_TRUE(d.r.settle([&] { return !d.events.empty(); }));
    ASSERT_EQ(d.events.size(), 1u);
    EXPECT_EQ(d.events[0].first, "BALLOON_CHANGE");
    EXPECT_EQ(d.events[0].second, Json(Json::Object{{"actual", u64{ram_size - 5 * 4096}}}));
    EXPECT_EQ(balloon->actual(), ram_size - 5 * 4096);
    balloon->set_target(~u64{0});
    EXPECT_EQ(d.r.config(num_pages, 4), 0u);
    // The guest says what it likes.
    d.r.set(VIRTIO_MMIO_CONFIG + actual, 0xffffffff);
    EXPECT_EQ(balloon->actual(), 0u);
    d.r.machine.reset(ResetKind::cold);
    EXPECT_EQ(balloon->actual(), ram_size);
}

TEST(Balloon, Statistics) {
    Driver d;
    ASSERT_TRUE(d.r.device->set_live("guest-stats-polling-interval", Json(2)));
    EXPECT_EQ(d.stat("stat-free-memory"), ~u64{0});
    const auto numbers = [&](u64 memory) {
        std::string text;
        for (auto [tag, value] : {std::pair<u16, u64>{4, memory}, {5, 77}, {9999, 1}}) {
            text.append(reinterpret_cast<const char*>(&tag), 2);
            text.append(reinterpret_cast<const char*>(&value), 8);
        }
        return d.r.bytes(text + "rest");
    };
    d.stats->add({numbers(1000)}, {});
    d.stats->kick();
    EXPECT_EQ(d.stat("stat-free-memory"), 1000u);
    EXPECT_EQ(d.stat("stat-total-memory"), 77u);
    EXPECT_EQ(d.stat("stat-swap-in"), ~u64{0});
    Used u;
    EXPECT_FALSE(d.stats->used(u)) << "the device keeps it until it wants others";
    // A saved machine has it still.
    std::vector<u8> saved = d.r.machine.save();
    d.r.machine.advance(2'100'000'000);
    EXPECT_TRUE(d.stats->used(u));
    d.stats->add({numbers(2000)}, {});
    d.stats->kick();
    EXPECT_EQ(d.stat("stat-free-memory"), 2000u);
    Driver other;
    ASSERT_TRUE(other.r.machine.load(saved));
    EXPECT_EQ(other.r.machine.save(), saved);
    EXPECT_EQ(other.stat("stat-free-memory"), 1000u);
    EXPECT_EQ(other.live("guest-stats-polling-interval"), Json(2));

    EXPECT_FALSE(d.r.device->set_live("guest-stats-polling-interval", Json(-1)));
    EXPECT_FALSE(d.r.device->set_live("guest-stats", Json(1)));
    ASSERT_TRUE(d.r.device->set_live("guest-stats-polling-interval", Json(0)));
    d.r.machine.advance(10'000'000'000);
    d.stats->used(u);
    EXPECT_FALSE(d.stats->used(u));
}

TEST(Balloon, ReportedPagesGoBackUnlessTheyMustBePoisoned) {
    constexpr u64 features = 1 << VIRTIO_BALLOON_F_REPORTING | 1 << VIRTIO_BALLOON_F_PAGE_POISON;
    for (u32 poison : {0u, 0xaaaaaaaau}) {
        Driver d({{"free-page-reporting", "on"}}, features);
        ASSERT_TRUE(d.reporting);
        d.r.set(VIRTIO_MMIO_CONFIG + poison_val, poison);
        u64 a = d.page(), b = d.page();
        Used u;
        ASSERT_TRUE(d.reporting->run({}, {{a, 4096}, {b, 4096}, {0x1000, 4096}}, u));
        EXPECT_EQ(d.resident(a), poison != 0);
        EXPECT_EQ(d.resident(b), poison != 0);
        EXPECT_EQ(u.bytes, 0u);
    }
}

TEST(Balloon, ThereIsOne) {
    Driver d;
    auto second = d.r.machine.create("virtio-balloon-device", "again", {}, d.r.transport);
    EXPECT_FALSE(second);
    EXPECT_NE(d.r.machine.balloon, nullptr);
}

} // namespace
} // namespace mimic::devices::virtio
