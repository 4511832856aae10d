#include "block/dirty.hpp"
#include <gtest/gtest.h>
#include <random>

namespace mimic::block {
namespace {

TEST(DirtyBitmap, SaysWhatIsWrongWithAGranularity) {
    for (u64 bad : {u64(0), u64(256), u64(3000), u64(1) << 32}) {
        auto made = DirtyBitmap::create("b", 1 << 20, bad);
        ASSERT_FALSE(made);
        EXPECT_NE(made.error().message().find("expected a power of 2"), std::string::npos);
    }
    EXPECT_FALSE(DirtyBitmap::create("b", u64(1) << 62, 512));
}

// Random changes beside a plain vector, over several chunks with an odd end.
TEST(DirtyBitmap, IsAVectorOfBits) {
    std::mt19937_64 random(5);
    for (u64 size : {u64(1), u64(511), u64(70'000), u64(3) * (1 << 19) * 512 + 700}) {
        auto map = *DirtyBitmap::create("b", size, 512);
        std::vector<bool> plain(map->bits());
        for (int step = 0; step < 300; step++) {
            u64 offset = random() % size, length = 1 + random() % (random() % 3 ? 5000 : size);
            bool on = random() % 2;
            on ? map->set(offset, length) : map->clear(offset, length);
            for (u64 b = offset / 512; b <= (std::min(offset + length, size) - 1) / 512; b++) plain[b] = on;
            u64 at = random() % size, far = size - at;
            EXPECT_EQ(map->get(at), plain[at / 512]);
            bool state = map->state(at, far);
            u64 end = at / 512;
            while (end < plain.size() && plain[end] == state) end++;
            EXPECT_EQ(at + far, std::min(end * 512, size));
        }
        u64 count = u64(std::count(plain.begin(), plain.end(), true));
        EXPECT_EQ(map->dirty_bytes(), count * 512);
        u64 seen = 0, at = 0, offset = 0, length = 0;
        for (; map->next(at, UINT64_MAX, offset, length); at = offset + length) seen += (length + 511) / 512;
        EXPECT_EQ(seen, count);

        std::vector<u8> raw((map->bits() + 7) / 8);
        map->store(0, raw);
        auto copy = *DirtyBitmap::create("c", size, 512);
        copy->load(0, raw);
        EXPECT_EQ(copy->dirty_bytes(), map->dirty_bytes());
        for (u64 b = 0; b < plain.size(); b += 97) EXPECT_EQ(copy->get(b * 512), plain[b]);
    }
}

TEST(DirtyBitmap, MergesOtherGranularities) {
    auto fine = *DirtyBitmap::create("f", 1 << 20, 512), coarse = *DirtyBitmap::create("c", 1 << 20, 65536);
    fine->set(70'000, 1);
    coarse->merge(*fine);
    EXPECT_EQ(coarse->dirty_bytes(), 65536u);
    EXPECT_TRUE(coarse->get(65536));
    fine->merge(*coarse);
    EXPECT_EQ(fine->dirty_bytes(), 65536u);
}

TEST(DirtyBitmap, ForgetsWhatIsCutOff) {
    auto map = *DirtyBitmap::create("b", 1 << 20, 4096);
    map->set(0, 1 << 20);
    map->resize(10'000);
    EXPECT_EQ(map->dirty_bytes(), 3u * 4096);
    map->resize(1 << 20);
    EXPECT_EQ(map->dirty_bytes(), 3u * 4096);
    EXPECT_FALSE(map->get(20'000));
}

} // namespace
} // namespace mimic::block
