#include "base/touch.hpp"
#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <sys/mman.h>

namespace mimic {
namespace {

constexpr u64 page = 4096, count = 16;

u64 pages_there(void* at) {
    unsigned char there[count];
    if (mincore(at, count * page, there) != 0) return 0;
    return u64(std::count_if(there, there + count, [](unsigned char c) { return c & 1; }));
}

TEST(Touch, MakesPagesThatAreNotThere) {
    void* p = mmap(nullptr, count * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(p, MAP_FAILED);
    if (madvise(p, page, MADV_POPULATE_WRITE) != 0) GTEST_SKIP() << "this host's kernel can't";
    EXPECT_EQ(pages_there(p), 1u);
    touch_to_write(static_cast<char*>(p) + page + 100, 3 * page); // parts of four
    EXPECT_EQ(pages_there(p), 5u);
    EXPECT_EQ(static_cast<char*>(p)[page], 0);
    munmap(p, count * page);
    touch_to_read(p, page); // not there: nothing happens
}

TEST(Touch, KnowsWhatItTouchedOfTheHeap) {
    u64 top = 0;
    touch_heap(top);
    const u64 first = top;
    EXPECT_NE(first, 0u);
    touch_heap(top);
    EXPECT_EQ(top, first);
}

} // namespace
} // namespace mimic
