#include "base/io/scope.hpp"
#include "block/throttle.hpp"
#include <algorithm>
#include <gtest/gtest.h>

namespace mimic::block {
namespace {

using namespace std::chrono_literals;
using Time = Throttle::Time;

// Sends as many requests as may pass until `until`, on a clock of its own, and gives how many did.
u64 pass(Throttle& t, Time& now, std::chrono::nanoseconds span, bool is_write, u64 bytes) {
    u64 n = 0;
    for (Time end = now + span;;) {
        auto wait = t.wait(is_write, now);
        if (now + wait > end) break;
        now += wait;
        t.count(is_write, bytes);
        n++;
    }
    return n;
}

TEST(Throttle, KeepsTheAverage) {
    Throttle t;
    ThrottleLimits l;
    l.requests[ThrottleLimits::total].average = 100;
    Time now{};
    t.set(l, now);
    EXPECT_NEAR(double(pass(t, now, 10s, false, 512)), 1000, 15);
    // Reads and writes share the total.
    EXPECT_NEAR(double(pass(t, now, 5s, true, 512) + pass(t, now, 5s, false, 512)), 1000, 15);
    l = {};
    l.bytes[ThrottleLimits::writes].average = 1 << 20;
    t.set(l, now);
    EXPECT_NEAR(double(pass(t, now, 10s, true, 65536)), 160, 4);
    EXPECT_EQ(t.wait(false, now), 0ns) << "reads have no limit";
}

TEST(Throttle, ABurstLastsAsLongAsItMay) {
    Throttle t;
    ThrottleLimits l;
    l.requests[ThrottleLimits::total] = {.average = 100, .max = 1000, .length = 5};
    Time now{};
    t.set(l, now);
    // 1,000 a second until what was not taken before is used up: 5,000 in the bucket, which leaks 100 a second.
    u64 first = pass(t, now, 1s, false, 512);
    EXPECT_NEAR(double(first), 1100, 20) << "the burst's own brim is a tenth of a second";
    u64 rest = pass(t, now, 9s, false, 512);
    EXPECT_NEAR(double(first + rest), 5000 + 10 * 100, 60);
    // Then the average, and after a pause the burst again.
    EXPECT_NEAR(double(pass(t, now, 10s, false, 512)), 1000, 15);
    now += 60s;
    EXPECT_NEAR(double(pass(t, now, 1s, false, 512)), 1100, 20);
}

TEST(Throttle, LargeRequestsCountAsSeveral) {
    Throttle t;
    ThrottleLimits l;
    l.requests[ThrottleLimits::total].average = 100;
    l.request_size = 4096;
    Time now{};
    t.set(l, now);
    EXPECT_NEAR(double(pass(t, now, 10s, false, 16384)), 250, 6);
    EXPECT_NEAR(double(pass(t, now, 10s, false, 512)), 1000, 15);
}

TEST(Throttle, RefusesContradictions) {
    auto refused = [](auto change) {
        ThrottleLimits l;
        change(l);
        return !l.check();
    };
    EXPECT_FALSE(refused([](auto& l) { l.bytes[0] = {10, 20, 3}; }));
    EXPECT_TRUE(refused([](auto& l) { l.bytes[0] = {10, 5}; }));
    EXPECT_TRUE(refused([](auto& l) { l.bytes[0] = {0, 5}; }));
    EXPECT_TRUE(refused([](auto& l) { l.bytes[0] = {10, 0, 2}; }));
    EXPECT_TRUE(refused([](auto& l) { l.bytes[0] = {10, 20, 0}; }));
    EXPECT_TRUE(refused([](auto& l) { l.bytes[0].average = l.bytes[1].average = 5; }));
    EXPECT_TRUE(refused([](auto& l) { l.request_size = 4096; }));
    EXPECT_TRUE(refused([](auto& l) { l.requests[0].average = u64(1) << 62; }));
}

TEST(Throttle, KnowsTheOldNames) {
    EXPECT_EQ(throttle_option("bps"), "bps-total");
    EXPECT_EQ(throttle_option("iops_rd"), "iops-read");
    EXPECT_EQ(throttle_option("bps_wr_max"), "bps-write-max");
    EXPECT_EQ(throttle_option("iops_max_length"), "iops-total-max-length");
    EXPECT_EQ(throttle_option("iops_size"), "iops-size");
    for (auto none : {"bps_", "bps_rdx", "size", "iops_rd_max_len", ""}) EXPECT_EQ(throttle_option(none), "") << none;
}

// Members of a group take turns however many requests each has, and hurry() lets all of one pass.
TEST(ThrottleGroup, MembersTakeTurns) {
    auto loop = *io::Loop::create();
    auto group = std::make_shared<ThrottleGroup>(*loop, "g");
    ThrottleLimits l;
    l.requests[ThrottleLimits::total].average = 500;
    group->set(l);
    std::vector<int> order;
    ThrottleMember a(group), b(group);
    auto task = [&]() -> io::Task<void> {
        io::Scope scope(*loop);
        auto one = [&](ThrottleMember& m, int who) -> io::Task<Result<void>> {
            co_await m.admit(false, 512);
            order.push_back(who);
            co_return Result<void>();
        };
        for (int i = 0; i < 80; i++) scope.spawn(one(a, 0));
        for (int i = 0; i < 20; i++) scope.spawn(one(b, 1));
        while (std::ranges::count(order, 1) < 20) co_await loop->yield();
        // The first fifty or so pass at once; b's twenty are done when at most a few more of a's are.
        EXPECT_LT(std::ranges::count(order, 0), 80);
        a.hurry(true);
        co_await scope.drain();
        a.hurry(false);
    };
    loop->run(task());
    EXPECT_EQ(order.size(), 100u);
}

} // namespace
} // namespace mimic::block
