#include "block/protocols/write_behind.hpp"
#include <gtest/gtest.h>

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

} // namespace
} // namespace mimic::block
