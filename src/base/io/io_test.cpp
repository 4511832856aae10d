#include "base/io/file.hpp"
#include "base/io/pool.hpp"
#include "base/io/scope.hpp"
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace mimic::io {
namespace {

std::unique_ptr<Loop> make_loop() { return std::move(*Loop::create()); }

// A file that has no name.
int scratch() {
    char name[] = "/tmp/mimic-io-XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    return fd;
}

Task<Result<int>> half(int n) {
    if (n % 2) co_return Error::invalid_argument("{} is odd", n);
    co_return n / 2;
}
Task<Result<int>> quarter(int n) {
    CO_TRY(int h, co_await half(n));
    CO_TRY(int q, co_await half(h));
    co_return q;
}

TEST(Task, CoTryGivesValuesAndErrors) {
    auto loop = make_loop();
    EXPECT_EQ(*loop->run(quarter(12)), 3);
    auto bad = loop->run(quarter(6));
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().message(), "3 is odd");
}

Task<int> count_to(Loop& loop, int n, bool suspend) {
    int sum = 0;
    for (int i = 0; i < n; i++) {
        auto r = co_await half(2);
        sum += *r;
        if (suspend && i % 1000 == 0) co_await loop.yield();
    }
    co_return sum;
}

TEST(Task, LongLoopsDoNotGrowTheStack) {
    auto loop = make_loop();
    EXPECT_EQ(loop->run(count_to(*loop, 1'000'000, false)), 1'000'000);
    EXPECT_EQ(loop->run(count_to(*loop, 1'000'000, true)), 1'000'000);
}

// Small transfers of files that are in memory are done at once; those of one task don't keep the others waiting.
TEST(File, SmallTransfersLeaveOthersTheirTurn) {
    auto loop = make_loop();
    char name[] = "/dev/shm/mimic-io-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0) GTEST_SKIP() << "no /dev/shm";
    unlink(name);
    auto file = File::adopt(*loop, fd, "shm", Aio::automatic);
    ASSERT_TRUE(file);
    unsigned others = 0, transfers = 0;
    auto work = [&]() -> Task<Result<void>> {
        std::vector<u8> bytes(4096, 1);
        IoVec memory{std::span<u8>(bytes)};
        for (; others < 10 && transfers < 100'000; transfers++) {
            CO_CHECK(co_await file->write(0, memory));
            CO_TRY(u64 n, co_await file->read(0, memory));
            if (n != 4096) co_return Error::io("short");
        }
        co_return Result<void>();
    };
    auto count = [&]() -> Task<Result<void>> {
        for (; others < 10; others++) co_await loop->yield();
        co_return Result<void>();
    };
    auto both = [&]() -> Task<Result<void>> {
        Scope scope(*loop);
        scope.spawn(work());
        scope.spawn(count());
        co_return co_await scope.join();
    };
    ASSERT_TRUE(loop->run(both()));
    EXPECT_LT(transfers, 100'000u);
}

TEST(File, LargeTransfersGoWhereTheLoopWantsThem) {
    for (bool threads : {false, true}) {
        auto loop = std::move(*Loop::create({.large_on_threads = threads}));
        auto file = File::adopt(*loop, scratch(), "scratch", Aio::automatic);
        ASSERT_TRUE(file);
        File moved(std::move(*file)); // stays what it is
        std::string_view small = moved.engine(512), large = moved.engine(1u << 20);
        EXPECT_EQ(large, threads ? "threads" : small);
    }
}

TEST(Loop, RunsFromInsideItself) {
    auto loop = make_loop();
    int steps = 0;
    bool inner = false, after = false;
    loop->call([&] { // waits for one of its own turn
        loop->run_until([&] { return inner; });
        steps++;
    });
    loop->call([&] { inner = true; });
    loop->call([&] { after = true; });
    loop->run_until([&] { return after && steps == 1; });
    EXPECT_EQ(steps, 1);
}

TEST(Loop, CallsThatItHasNotComeToGoWithIt) {
    auto held = std::make_shared<int>();
    bool ran = false;
    for (int turns : {0, 1}) { // they wait to be taken over; to be run
        auto loop = make_loop();
        loop->call([&, held] { ran = true; });
        loop->run_until([&] { return turns-- == 0; });
        EXPECT_EQ(held.use_count(), 2);
        loop.reset();
        EXPECT_EQ(held.use_count(), 1);
    }
    EXPECT_FALSE(ran);
}

TEST(ThreadPool, RunsElsewhereAndComesBack) {
    auto loop = make_loop();
    auto here = std::this_thread::get_id();
    auto f = [](Loop& l, std::thread::id home) -> Task<bool> {
        auto there = co_await l.compute().run(l, [] { return std::this_thread::get_id(); });
        co_return there != home&& std::this_thread::get_id() == home;
    };
    EXPECT_TRUE(loop->run(f(*loop, here)));
}

TEST(Mutex, ServesInOrder) {
    auto loop = make_loop();
    std::string order;
    auto f = [](Loop& l, std::string& out) -> Task<void> {
        Mutex mutex(l);
        Scope scope(l);
        auto worker = [](Loop& lp, Mutex& m, std::string& o, char c) -> Task<Result<void>> {
            auto guard = co_await m.lock();
            co_await lp.yield();
            o += c;
            co_return Result<void>();
        };
        for (char c : {'a', 'b', 'c', 'd'}) scope.spawn(worker(l, mutex, out, c));
        auto r = co_await scope.join();
        EXPECT_TRUE(r);
    };
    loop->run(f(*loop, order));
    EXPECT_EQ(order, "abcd");
}

TEST(Scope, GivesTheFirstErrorAndCancelsTheRest) {
    auto loop = make_loop();
    auto f = [](Loop& l, int& steps) -> Task<Result<void>> {
        Scope scope(l);
        auto counting = [](Loop& lp, Scope& s, int& n) -> Task<Result<void>> {
            while (!s.cancelled()) {
                n++;
                co_await lp.yield();
            }
            co_return Result<void>();
        };
        auto failing = [](Loop& lp) -> Task<Result<void>> {
            for (int i = 0; i < 10; i++) co_await lp.yield();
            co_return Error::io("the disk is gone");
        };
        scope.spawn(counting(l, scope, steps));
        scope.spawn(failing(l));
        co_return co_await scope.join();
    };
    int steps = 0;
    auto r = loop->run(f(*loop, steps));
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().message(), "the disk is gone");
    EXPECT_GE(steps, 10);
}

TEST(Spawn, GivesItsErrorToTheSink) {
    auto loop = make_loop();
    std::string seen;
    auto failing = [](Loop& l) -> Task<Result<void>> {
        co_await l.yield();
        co_return Error::io("lost");
    };
    spawn(failing(*loop), [&](const Error& e) { seen = e.message(); });
    loop->run_until([&] { return !seen.empty(); });
    EXPECT_EQ(seen, "lost");
}

TEST(Queue, HoldsBackWritersAndEnds) {
    auto loop = make_loop();
    auto f = [](Loop& l) -> Task<int> {
        Queue<int> queue(l, 2);
        Scope scope(l);
        auto writer = [](Queue<int>& q) -> Task<Result<void>> {
            for (int i = 1; i <= 100; i++) co_await q.push(i);
            q.close();
            co_return Result<void>();
        };
        scope.spawn(writer(queue));
        int sum = 0;
        for (;;) {
            auto n = co_await queue.pop();
            if (!n) break;
            sum += *n;
        }
        auto r = co_await scope.join();
        EXPECT_TRUE(r);
        co_return sum;
    };
    EXPECT_EQ(loop->run(f(*loop)), 5050);
}

TEST(Loop, SleepsForTimers) {
    auto loop = make_loop();
    auto before = std::chrono::steady_clock::now();
    loop->run(loop->sleep(std::chrono::milliseconds(2)));
    EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(2));
}

class FileTest : public ::testing::TestWithParam<Aio> {
protected:
    FileTest() : loop_(make_loop()) {}
    File open_scratch() {
        auto file = File::adopt(*loop_, scratch(), "scratch", GetParam());
        if (!file) std::abort();
        return std::move(*file);
    }
    std::unique_ptr<Loop> loop_;
};

TEST_P(FileTest, ReadsWhatWasWritten) {
    if (GetParam() == Aio::io_uring && !loop_->engine(Aio::io_uring)) GTEST_SKIP() << "no io_uring on this host";
    File file = open_scratch();
    std::string text = "hello, disk";
    IoVec out(text.data(), 5);
    out.append(text.data() + 5, text.size() - 5);
    ASSERT_TRUE(loop_->run(file.write(1000, out)));
    ASSERT_TRUE(loop_->run(file.sync()));
    EXPECT_EQ(*file.size(), 1000 + text.size());
    std::string back(64, 'x');
    IoVec in(back.data(), 7);
    in.append(back.data() + 7, 57);
    auto n = loop_->run(file.read(999, in));
    EXPECT_EQ(*n, 1 + text.size()) << "a read across the end gives what is there";
    EXPECT_EQ(back.substr(1, text.size()), text);
    EXPECT_EQ(*loop_->run(file.read(5000, in)), 0u);
}

TEST_P(FileTest, MovesMoreThanTheKernelTakesAtOnce) {
    if (GetParam() == Aio::io_uring && !loop_->engine(Aio::io_uring)) GTEST_SKIP() << "no io_uring on this host";
    File file = open_scratch();
    std::vector<u16> data(5000);
    for (size_t i = 0; i < data.size(); i++) data[i] = u16(i * 7);
    // Pieces in reverse, so that none joins its neighbour: more than IOV_MAX of them.
    IoVec pieces;
    for (size_t i = data.size(); i-- > 0;) pieces.append(&data[i], 2);
    ASSERT_TRUE(loop_->run(file.write(0, pieces)));
    std::vector<u16> back(data.size());
    ASSERT_EQ(*loop_->run(file.read(0, IoVec(back.data(), back.size() * 2))), back.size() * 2);
    std::reverse(back.begin(), back.end());
    EXPECT_EQ(back, data);
}

TEST_P(FileTest, ReportsErrorsWithTheName) {
    if (GetParam() == Aio::io_uring && !loop_->engine(Aio::io_uring)) GTEST_SKIP() << "no io_uring on this host";
    auto file = File::open(*loop_, "/dev/full", {.write = true, .aio = GetParam()});
    ASSERT_TRUE(file);
    u8 byte = 1;
    auto r = loop_->run(file->write(0, IoVec(&byte, 1)));
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().kind(), ErrorKind::no_space);
    EXPECT_NE(r.error().message().find("/dev/full"), std::string::npos);
    EXPECT_FALSE(File::open(*loop_, "/", {.aio = GetParam()}));
    EXPECT_FALSE(File::open(*loop_, "/no/such/file", {.aio = GetParam()}));
}

TEST_P(FileTest, ManyRequestsAtOnce) {
    if (GetParam() == Aio::io_uring && !loop_->engine(Aio::io_uring)) GTEST_SKIP() << "no io_uring on this host";
    File file = open_scratch();
    auto f = [](Loop& loop, File& target) -> Task<Result<void>> {
        Scope scope(loop);
        std::vector<u64> values(2000);
        for (size_t i = 0; i < values.size(); i++) values[i] = i;
        auto store = [](File& t, u64* v) -> Task<Result<void>> { co_return co_await t.write(*v * 8, IoVec(v, 8)); };
        for (auto& v : values) scope.spawn(store(target, &v));
        co_return co_await scope.join();
    };
    ASSERT_TRUE(loop_->run(f(*loop_, file)));
    std::vector<u64> back(2000);
    ASSERT_EQ(*loop_->run(file.read(0, IoVec(back.data(), 16000))), 16000u);
    for (size_t i = 0; i < back.size(); i++) ASSERT_EQ(back[i], i);
}

INSTANTIATE_TEST_SUITE_P(Engines, FileTest, ::testing::Values(Aio::threads, Aio::io_uring, Aio::automatic),
                         [](const auto& info_) {
                             return std::string(info_.param == Aio::threads    ? "threads"
                                                : info_.param == Aio::io_uring ? "uring"
                                                                               : "automatic");
                         });

TEST(IoVec, SlicesAndCompares) {
    u8 a[4] = {0, 0, 1, 2}, b[4] = {3, 0, 0, 0};
    IoVec v(a, 4);
    v.append(b, 4);
    EXPECT_EQ(v.length(), 8u);
    EXPECT_FALSE(v.is_zero());
    EXPECT_TRUE(v.slice(0, 2).is_zero());
    EXPECT_TRUE(v.slice(5, 3).is_zero());
    u8 out[4];
    v.slice(2, 4).copy_to(0, out, 4);
    EXPECT_EQ(std::memcmp(out, "\1\2\3\0", 4), 0);
    EXPECT_TRUE(is_zero(nullptr, 0));
    std::vector<u8> big(1000);
    EXPECT_TRUE(is_zero(big.data(), big.size()));
    big[999] = 1;
    EXPECT_FALSE(is_zero(big.data(), big.size()));
}

} // namespace
} // namespace mimic::io
