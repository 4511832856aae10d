#include "block/driver.hpp"
#include "block/protocols/write_behind.hpp"
#include <atomic>
#include <cstdio>
#include <gtest/gtest.h>
#include <thread>
#include <unistd.h>

namespace mimic::block {
namespace {

constexpr u64 MiB = 1u << 20;

TEST(WriteBehind, WhatIsWrittenInOrderGoesOutOnce) {
    WriteBehind w;
    u64 told = 0;
    for (u64 at = 64 * MiB; at < 128 * MiB; at += MiB) {
        w.begins(at, MiB);
        const auto out = w.take();
        if (out.length == 0) continue;
        EXPECT_GE(out.length, WriteBehind::least);
        EXPECT_EQ(out.offset, 64 * MiB + told);
        told += out.length;
    }
    EXPECT_EQ(told, 64 * MiB);
}

TEST(WriteBehind, RequestsThatEndLaterCountFromTheirBegin) {
    WriteBehind w;
    for (u64 n = 0; n < 12; ++n) w.begins(n * MiB, MiB);
    const auto out = w.take();
    EXPECT_EQ(out.offset, 0u);
    EXPECT_EQ(out.length, 12 * MiB);
    EXPECT_EQ(w.take().length, 0u);
}

TEST(WriteBehind, WhatIsWrittenHereAndThereStays) {
    WriteBehind w;
    for (u64 n = 1; n < 4096; ++n) {
        w.begins(n * 7919 % 4096 * 65536, 65536);
        EXPECT_EQ(w.take().length, 0u) << n;
    }
}

TEST(WriteBehind, TheSamePlaceAgainIsNoOrder) {
    WriteBehind w;
    for (u64 n = 0; n < 100; ++n) {
        w.begins(0, 4 * MiB);
        EXPECT_EQ(w.take().length, 0u);
    }
}

// ---- of a file's node, over a host whose write-out ends as a test wants

std::atomic<bool> may_end{true};
std::atomic<int> ends_with{0}, ended{0}, begun{0};

int begins(int, WriteBehind::Range) {
    begun++;
    while (!may_end) std::this_thread::yield();
    ended++;
    return ends_with;
}

struct OverFile : testing::Test {
    std::unique_ptr<io::Loop> loop = std::move(*io::Loop::create());
    Context context{.loop = *loop};
    char name[32] = "./write-behind-XXXXXX"; // tests run on a disk, /tmp may be memory
    NodePtr node;
    OverFile() {
        const int fd = mkstemp(name);
        EXPECT_EQ(ftruncate(fd, 64 * i64(MiB)), 0);
        close(fd);
        may_end = true, ends_with = ended = begun = 0;
        begin_write_out = begins;
        OpenRequest r;
        r.filename = name;
        r.format = "raw";
        r.writable = true;
        node = *loop->run(open_node(context, std::move(r)));
    }
    ~OverFile() override {
        may_end = true;
        while (ended < begun) std::this_thread::yield();
        begin_write_out = start_writing;
        unlink(name);
    }
    void write_piece(u64 at) {
        std::vector<u8> bytes(WriteBehind::least, 1);
        auto r = loop->run(node->write(at, IoVec(bytes.data(), bytes.size())));
        ASSERT_TRUE(r) << r.error().message();
    }
    std::string flush() {
        auto r = loop->run(node->flush());
        return r ? "" : r.error().message();
    }
};

TEST_F(OverFile, WhatWasLostIsSaidByTheFlushAndTheClose) {
    ends_with = ENOSPC;
    write_piece(0);
    if (begun == 0) GTEST_SKIP() << "this folder lies in memory";
    const std::string said = flush();
    EXPECT_NE(said.find("write out '"), std::string::npos) << said;
    EXPECT_EQ(flush(), said); // it stays lost
    EXPECT_FALSE(loop->run(node->close()));
}

TEST_F(OverFile, AFlushWaitsForWhatWasUnderWay) {
    may_end = false;
    ends_with = EIO;
    write_piece(0);
    if (begun == 0) GTEST_SKIP() << "this folder lies in memory";
    loop->call([] { may_end = true; });
    EXPECT_NE(flush(), "");
    EXPECT_EQ(ended, 1);
}

TEST_F(OverFile, HostsThatDoNotHaveItAreAskedOnce) {
    ends_with = EINVAL;
    for (u64 n = 0; n < 4; n++) {
        write_piece(n * WriteBehind::least);
        EXPECT_EQ(flush(), "");
    }
    EXPECT_LE(begun, 1);
    auto closed = loop->run(node->close());
    EXPECT_TRUE(closed) << closed.error().message();
}

TEST_F(OverFile, TheNodeMayGoMeanwhile) {
    may_end = false;
    write_piece(0);
    node.reset();
    may_end = true;
    loop->run_until([] { return ended == begun; });
}

} // namespace
} // namespace mimic::block
