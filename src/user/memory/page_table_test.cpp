#include "user/memory/page_table.hpp"
#include <gtest/gtest.h>
#include <random>
#include <string>

namespace mimic::user {
namespace {

Mapping anon(u64 start, u64 end, u8 p = prot::read) { return {.start = start, .end = end, .prot = p}; }
Mapping of_file(u64 start, u64 end, u64 offset, u64 id = 1) {
    return {.start = start, .end = end, .prot = prot::read, .file = true, .offset = offset, .id = id};
}
std::string show(const PageTable& t) {
    std::string s;
    for (auto& [start, m] : t) {
        char line[64];
        std::snprintf(line, sizeof line, "%llx-%llx:%x+%llx ", (unsigned long long)m.start, (unsigned long long)m.end,
                      m.prot, (unsigned long long)m.offset);
        s += line;
    }
    return s;
}

TEST(PageTable, NeighboursThatContinueMerge) {
    PageTable t;
    t.insert(anon(0x1000, 0x2000));
    t.insert(anon(0x3000, 0x4000));
    t.insert(anon(0x2000, 0x3000));
    EXPECT_EQ(show(t), "1000-4000:1+0 ");
    t.insert(of_file(0x4000, 0x5000, 0x0));
    t.insert(of_file(0x5000, 0x6000, 0x1000));
    t.insert(of_file(0x6000, 0x7000, 0x5000));
    t.insert(of_file(0x7000, 0x8000, 0x6000, 2));
    EXPECT_EQ(show(t), "1000-4000:1+0 4000-6000:1+0 6000-7000:1+5000 7000-8000:1+6000 ");
}

TEST(PageTable, EraseAndProtectSplitAndKeepFileOffsets) {
    PageTable t;
    t.insert(of_file(0x10000, 0x20000, 0x4000));
    t.erase(0x12000, 0x13000);
    EXPECT_EQ(show(t), "10000-12000:1+4000 13000-20000:1+7000 ");
    EXPECT_EQ(t.protect(0x14000, 0x15000, prot::none), 0x15000u);
    EXPECT_EQ(show(t), "10000-12000:1+4000 13000-14000:1+7000 14000-15000:0+8000 15000-20000:1+9000 ");
    EXPECT_EQ(t.protect(0x14000, 0x15000, prot::read), 0x15000u);
    EXPECT_EQ(show(t), "10000-12000:1+4000 13000-20000:1+7000 ");
}

TEST(PageTable, ProtectStopsAtAHole) {
    PageTable t;
    t.insert(anon(0x1000, 0x3000));
    EXPECT_EQ(t.protect(0x1000, 0x5000, prot::none), 0x3000u);
    EXPECT_EQ(show(t), "1000-3000:0+0 ");
    EXPECT_EQ(t.protect(0x9000, 0xa000, prot::none), 0x9000u);
}

TEST(PageTable, Coverage) {
    PageTable t;
    t.insert(anon(0x1000, 0x2000, prot::read | prot::write));
    t.insert(anon(0x2000, 0x3000, prot::read));
    EXPECT_TRUE(t.covers(0x1000, 0x3000, prot::read));
    EXPECT_FALSE(t.covers(0x1000, 0x3000, prot::write));
    EXPECT_FALSE(t.covers(0xfff, 0x1001));
    EXPECT_FALSE(t.covers(0x2fff, 0x3001));
    EXPECT_TRUE(t.overlaps(0x2fff, 0x9000));
    EXPECT_FALSE(t.overlaps(0x3000, 0x9000));
    EXPECT_EQ(t.sizes().all, 0x2000u);
    EXPECT_EQ(t.sizes().data, 0x1000u);
}

TEST(PageTable, GapsAreFoundFromTheTop) {
    PageTable t;
    EXPECT_EQ(t.find_gap(0x1000, 0x1000, 0x10000, 0x20000), 0x1f000u);
    t.insert(anon(0x1f000, 0x20000));
    t.insert(anon(0x1a000, 0x1c000));
    EXPECT_EQ(t.find_gap(0x3000, 0x1000, 0x10000, 0x20000), 0x1c000u);
    EXPECT_EQ(t.find_gap(0x4000, 0x1000, 0x10000, 0x20000), 0x16000u);
    EXPECT_EQ(t.find_gap(0x3000, 0x10000, 0x10000, 0x20000), 0x10000u);
    EXPECT_EQ(t.find_gap(0xb000, 0x1000, 0x10000, 0x20000), 0u);
    EXPECT_EQ(t.find_gap(0xa000, 0x1000, 0x10000, 0x20000), 0x10000u);
    EXPECT_EQ(t.find_gap(~0ull, 0x1000, 0x10000, 0x20000), 0u);
    EXPECT_EQ(t.find_gap(0, 0x1000, 0x10000, 0x20000), 0u);
    t.insert(anon(0xf000, 0x11000)); // across the lower end
    EXPECT_EQ(t.find_gap(0x9000, 0x1000, 0x10000, 0x20000), 0x11000u);
    EXPECT_EQ(t.find_gap(0xa000, 0x1000, 0x10000, 0x20000), 0u);
}

// Searches one after the other, as mmap makes them, against a table that has seen none.
TEST(PageTable, GapsAreTheSameWhateverWasSearchedBefore) {
    constexpr u64 pages = 64;
    std::mt19937 random(2);
    for (int round = 0; round < 50; round++) {
        PageTable t;
        for (int step = 0; step < 100; step++) {
            const u64 a = random() % pages, b = a + 1 + random() % 8, size = (1 + random() % 6) << 12,
                      align = random() % 4 ? 0x1000 : 0x4000, high = random() % 4 ? pages << 12 : 50 << 12;
            if (random() % 3 == 0) t.erase(a << 12, b << 12);
            PageTable fresh;
            for (auto& [start, m] : t) fresh.insert(m);
            const u64 at = t.find_gap(size, align, 0x2000, high);
            ASSERT_EQ(at, fresh.find_gap(size, align, 0x2000, high));
            if (at && random() % 4) t.insert(anon(at, at + size, u8(random() % 8)));
        }
    }
}

// The table against an array of pages, with random operations.
TEST(PageTable, AgreesWithAPlainArray) {
    constexpr u64 pages = 64;
    std::mt19937 random(1);
    for (int round = 0; round < 50; round++) {
        PageTable t;
        std::vector<int> model(pages, -1);
        for (int step = 0; step < 100; step++) {
            u64 a = random() % pages, b = a + 1 + random() % (pages - a);
            int p = int(random() % 8);
            switch (random() % 3) {
            case 0:
                t.insert(anon(a << 12, b << 12, u8(p)));
                for (u64 i = a; i < b; i++) model[i] = p;
                break;
            case 1:
                t.erase(a << 12, b << 12);
                for (u64 i = a; i < b; i++) model[i] = -1;
                break;
            default:
                t.protect(a << 12, b << 12, u8(p));
                for (u64 i = a; i < b && model[i] >= 0; i++) model[i] = p;
            }
            u64 runs = 0;
            for (u64 i = 0; i < pages; i++) {
                auto* m = t.find((i << 12) + 5);
                ASSERT_EQ(m ? int(m->prot) : -1, model[i]);
                if (model[i] >= 0 && (i == 0 || model[i - 1] != model[i])) runs++;
            }
            ASSERT_EQ(t.count(), runs); // always merged
            u64 mapped = 0, writable = 0;
            for (int m : model) mapped += m >= 0, writable += m >= 0 && m & prot::write;
            ASSERT_EQ(t.sizes().all, mapped << 12);
            ASSERT_EQ(t.sizes().data, writable << 12);
        }
    }
}

} // namespace
} // namespace mimic::user
