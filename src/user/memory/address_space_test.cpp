#include "base/process.hpp"
#include "user/memory/address_space.hpp"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace mimic::user {
namespace {

constexpr u32 rw = prot::read | prot::write, rwx = rw | prot::exec;
constexpr u32 anon = mapflag::private_ | mapflag::anonymous;

struct Sink : CodeSink {
    std::vector<std::pair<u64, u64>> calls;
    void invalidate(u64 low, u64 high) override { calls.emplace_back(low, high); }
};

class Space : public ::testing::TestWithParam<std::pair<SpaceShape::Base, u32>> {
protected:
    void SetUp() override {
        process::install_fault_handlers();
        SpaceShape shape;
        shape.base = GetParam().first;
        shape.page = GetParam().second;
        auto made = AddressSpace::create(shape);
        ASSERT_TRUE(made) << made.error().message();
        space_ = *std::move(made);
        space_->set_code(&sink_);
        page_ = shape.page;
    }
    std::unique_ptr<AddressSpace> space_;
    Sink sink_;
    u64 page_ = 0;
};

TEST_P(Space, MapsWhereItIsToldAndBelowTheTopElse) {
    i64 a = space_->map(0, 3 * page_, rw, anon);
    EXPECT_EQ(a, i64(space_->high() - 3 * page_));
    i64 b = space_->map(0x12340000, page_, rw, anon);
    EXPECT_EQ(b, 0x12340000);
    EXPECT_EQ(space_->map(0x12340000, page_, rw, anon | mapflag::fixed_noreplace), -EEXIST);
    EXPECT_NE(space_->map(0x12340000, page_, rw, anon), 0x12340000); // a hint that is taken
    u32 value = 0x11223344, back = 0;
    EXPECT_TRUE(space_->write(u64(b), &value, 4));
    EXPECT_TRUE(space_->read(u64(b), &back, 4));
    EXPECT_EQ(back, value);
    EXPECT_EQ(space_->map(0x12340000, page_, rw, anon | mapflag::fixed), 0x12340000);
    EXPECT_TRUE(space_->read(u64(b), &back, 4));
    EXPECT_EQ(back, 0u);
}

TEST_P(Space, RefusesWhatLinuxRefuses) {
    EXPECT_EQ(space_->map(0, 0, rw, anon), -EINVAL);
    EXPECT_EQ(space_->map(0x12345, page_, rw, anon | mapflag::fixed), -EINVAL);
    EXPECT_EQ(space_->map(0, ~u64(0), rw, anon), -ENOMEM);
    EXPECT_EQ(space_->map(0, ~u64(0) - 4094, rw, anon), -ENOMEM);
    EXPECT_EQ(space_->map(space_->high(), page_, rw, anon | mapflag::fixed), -ENOMEM);
    EXPECT_EQ(space_->map(space_->high() - page_, 2 * page_, rw, anon | mapflag::fixed), -ENOMEM);
    EXPECT_EQ(space_->map(0, page_, rw, anon | mapflag::fixed), -EPERM);
    EXPECT_EQ(space_->map(0, page_, rw, mapflag::private_, -1), -EBADF);
    EXPECT_EQ(space_->map(0, page_, rw, mapflag::private_, -1, 100), -EINVAL);
    EXPECT_EQ(space_->unmap(0x12345, page_), -EINVAL);
    EXPECT_EQ(space_->unmap(0x10000, 0), -EINVAL);
    EXPECT_EQ(space_->unmap(0x10000, ~u64(0)), -EINVAL);
    EXPECT_EQ(space_->protect(0x20000000, page_, rw), -ENOMEM);
    EXPECT_EQ(space_->remap(0x20000000, page_, page_, 0, 0), -EFAULT);
    EXPECT_EQ(space_->remap(0x20000000, page_, 0, 0, 0), -EINVAL);
    EXPECT_EQ(space_->remap(0x20000000, page_, page_, MREMAP_FIXED, 0), -EINVAL);
    EXPECT_EQ(space_->advise(0x20000000, page_, MADV_DONTNEED), -ENOMEM);
}

TEST_P(Space, AFilesLastPageReadsZerosBehindItsEnd) {
    int fd = memfd_create("file", MFD_CLOEXEC);
    ASSERT_EQ(write(fd, "text", 4), 4);
    i64 a = space_->map(0, 2 * page_, rw, mapflag::private_, fd);
    ASSERT_GT(a, 0);
    char text[8] = {}, one = 1, last = 'x';
    EXPECT_TRUE(space_->read(u64(a), text, 5));
    EXPECT_STREQ(text, "text");
    EXPECT_TRUE(space_->read(u64(a) + page_ - 1, &one, 1));
    EXPECT_EQ(one, 0);
    EXPECT_TRUE(space_->write(u64(a) + page_ - 1, &last, 1));
    EXPECT_FALSE(space_->read(u64(a) + page_, &one, 1)); // SIGBUS: no page of the file
    close(fd);
}

TEST_P(Space, AccessOutsideFails) {
    u8 byte = 0;
    std::string s;
    EXPECT_FALSE(space_->read(0x20000000, &byte, 1));
    EXPECT_FALSE(space_->write(0x20000000, &byte, 1));
    EXPECT_FALSE(space_->read(~u64(0), &byte, 1));
    EXPECT_FALSE(space_->read(space_->high() - 1, &byte, 2));
    EXPECT_FALSE(space_->read_string(~u64(0), s, 10));
    EXPECT_FALSE(space_->read_string(0x20000000, s, 10));
    i64 a = space_->map(0, page_, rw, anon);
    std::memset(space_->host(u64(a)), 'a', page_);
    EXPECT_FALSE(space_->read_string(u64(a) + page_ - 2, s, 10)); // runs off the end
    EXPECT_FALSE(space_->read_string(u64(a), s, 10));             // too long
    static_cast<char*>(space_->host(u64(a)))[10] = 0;
    EXPECT_TRUE(space_->read_string(u64(a), s, 10));
    EXPECT_EQ(s, "aaaaaaaaaa");
}

TEST_P(Space, RemapShrinksGrowsAndMoves) {
    u64 at = 0x40000000;
    ASSERT_EQ(space_->map(at, 4 * page_, rw, anon), i64(at));
    std::memset(space_->host(at), 7, 4 * page_);
    EXPECT_EQ(space_->remap(at, 4 * page_, 2 * page_, 0, 0), i64(at));
    EXPECT_EQ(space_->protection(at + 2 * page_), -1);
    EXPECT_EQ(space_->remap(at, 2 * page_, 3 * page_, 0, 0), i64(at));
    u8 byte = 9;
    EXPECT_TRUE(space_->read(at + 3 * page_ - 1, &byte, 1));
    EXPECT_EQ(byte, 0);
    space_->map(at + 3 * page_, page_, prot::read, anon | mapflag::fixed);
    EXPECT_EQ(space_->remap(at, 3 * page_, 5 * page_, 0, 0), -ENOMEM);
    i64 moved = space_->remap(at, 3 * page_, 5 * page_, MREMAP_MAYMOVE, 0);
    ASSERT_GT(moved, 0);
    EXPECT_NE(u64(moved), at);
    EXPECT_EQ(space_->protection(at), -1);
    EXPECT_TRUE(space_->read(u64(moved), &byte, 1));
    EXPECT_EQ(byte, 7);
    u64 target = 0x50000000;
    EXPECT_EQ(space_->remap(u64(moved), 5 * page_, 5 * page_, MREMAP_MAYMOVE | MREMAP_FIXED, target), i64(target));
    EXPECT_TRUE(space_->read(target, &byte, 1));
    EXPECT_EQ(byte, 7);
    EXPECT_EQ(space_->map(u64(moved), page_, rw, anon | mapflag::fixed_noreplace), moved); // the old place is free
}

TEST_P(Space, BrkGrowsShrinksAndStopsAtAnObstacle) {
    space_->set_brk(0x1000001);
    u64 start = space_->brk(0);
    EXPECT_EQ(start % page_, 0u);
    EXPECT_EQ(space_->brk(start + 100), start + 100);
    EXPECT_EQ(space_->protection(start), int(rw));
    space_->map(start + 4 * page_, page_, prot::none, anon | mapflag::fixed);
    EXPECT_EQ(space_->brk(start + 5 * page_), start + 100);
    EXPECT_EQ(space_->brk(start + 4 * page_), start + 4 * page_);
    EXPECT_EQ(space_->brk(start), start);
    EXPECT_EQ(space_->protection(start), -1);
    EXPECT_EQ(space_->brk(~u64(0)), start);
}

TEST_P(Space, FaultsAreExplained) {
    using F = AddressSpace::FaultResult;
    i64 a = space_->map(0, page_, prot::read, anon);
    EXPECT_EQ(space_->explain_fault(0x20000000, false), F::no_mapping);
    EXPECT_EQ(space_->explain_fault(~u64(0), true), F::no_mapping);
    EXPECT_EQ(space_->explain_fault(u64(a), true), F::no_permission);
    EXPECT_EQ(space_->explain_fault(u64(a), false), F::retry);
    int fd = memfd_create("short", 0);
    ASSERT_EQ(ftruncate(fd, 1), 0);
    i64 b = space_->map(0, 4 * 65536, rw, mapflag::shared, fd);
    ASSERT_GT(b, 0);
    EXPECT_EQ(space_->explain_fault(u64(b) + 2 * 65536, false), F::bus);
    EXPECT_EQ(space_->explain_fault(u64(b) + 2 * 65536, true), F::bus);
    close(fd);
}

TEST_P(Space, AWriteToACodePageInvalidatesIt) {
    using F = AddressSpace::FaultResult;
    u64 a = u64(space_->map(0, page_, rwx, anon));
    u8 code[4] = {1, 2, 3, 4}, out[8] = {};
    ASSERT_TRUE(space_->write(a, code, 4));
    space_->protect_code(a + 2);
    EXPECT_EQ(space_->fetch(a, out, 8), 8u);
    EXPECT_EQ(out[3], 4);
    EXPECT_FALSE(process::guarded_store(space_->host(a), code, 4));
    EXPECT_EQ(space_->explain_fault(a + 8, true), F::retry);
    ASSERT_EQ(sink_.calls.size(), 1u);
    EXPECT_EQ(sink_.calls[0], std::pair(a, a + 4096));
    EXPECT_TRUE(process::guarded_store(space_->host(a), code, 4));
    space_->protect_code(a);
    EXPECT_TRUE(space_->write(a, code, 4)); // ours lifts the protection by itself
    EXPECT_EQ(sink_.calls.size(), 2u);
    space_->protect_code(a);
    EXPECT_EQ(space_->unmap(a, page_), 0);
    ASSERT_EQ(sink_.calls.size(), 3u);
    EXPECT_EQ(sink_.calls[2], std::pair(a, a + page_));
    EXPECT_EQ(space_->fetch(a, out, 8), 0u);
    EXPECT_EQ(space_->map(a, page_, rwx, anon | mapflag::fixed), i64(a));
    EXPECT_EQ(sink_.calls.size(), 3u); // no code there any more
}

TEST_P(Space, WhatComesWhereCodeWasLookedForIsTold) {
    const u64 at = 0x40000000;
    EXPECT_EQ(space_->protect_code(at), AddressSpace::CodeWatch::as_before);
    EXPECT_EQ(space_->map(at, page_, rwx, anon | mapflag::fixed), i64(at));
    ASSERT_EQ(sink_.calls.size(), 1u);
    EXPECT_EQ(sink_.calls[0], std::pair(at, at + page_));
}

TEST_P(Space, MprotectDropsCodeAndFetchNeedsExec) {
    u64 a = u64(space_->map(0, 2 * page_, prot::read | prot::exec, anon));
    u8 out[16];
    space_->protect_code(a);
    EXPECT_EQ(space_->protect(a, page_, rw), 0);
    EXPECT_EQ(sink_.calls.size(), 1u);
    EXPECT_EQ(space_->fetch(a, out, 16), 0u);
    EXPECT_EQ(space_->fetch(a + 2 * page_ - 6, out, 16), 6u);
    EXPECT_TRUE(space_->zero(a, page_));
}

// Writers and a translator on the same page: a write that went through is never missed.
TEST_P(Space, ConcurrentTranslationAndWriting) {
    struct Latest : CodeSink {
        std::atomic<u64> version{0};
        void invalidate(u64, u64) override { version++; }
    } latest;
    space_->set_code(&latest);
    u64 a = u64(space_->map(0, page_, rwx, anon));
    std::atomic<bool> stop{false};
    std::thread translator([&] {
        while (!stop) {
            u64 before = latest.version;
            space_->protect_code(a);
            u32 seen = 0, again = 0;
            space_->fetch(a, reinterpret_cast<u8*>(&seen), 4);
            space_->fetch(a, reinterpret_cast<u8*>(&again), 4);
            EXPECT_TRUE(seen == again || latest.version != before); // it changed under us: we were told
        }
    });
    for (u32 i = 0; i < 2000; i++)
        while (!process::guarded_store(space_->host(a), &i, 4))
            EXPECT_EQ(space_->explain_fault(a, true), AddressSpace::FaultResult::retry);
    stop = true;
    translator.join();
}

// A cache flush of the guest: what is written through its own page was noticed, what has another way in is dropped.
TEST_P(Space, FlushDropsCodeThatChangesElsewhere) {
    int memory = memfd_create("code", 0);
    ASSERT_EQ(ftruncate(memory, i64(4 * page_)), 0);
    u64 at = 0x40000000;
    ASSERT_EQ(space_->map(at, page_, rwx, anon | mapflag::fixed), i64(at));
    ASSERT_EQ(space_->map(at + page_, page_, prot::read | prot::exec, mapflag::shared | mapflag::fixed, memory),
              i64(at + page_));
    ASSERT_EQ(space_->map(at + 2 * page_, page_, prot::read | prot::exec, mapflag::private_ | mapflag::fixed, memory),
              i64(at + 2 * page_));
    ASSERT_EQ(space_->map(at + 3 * page_, page_, prot::read | prot::exec, mapflag::shared | mapflag::fixed, memory),
              i64(at + 3 * page_));
    close(memory);
    for (u64 k = 0; k < 3; k++) space_->protect_code(at + k * page_); // none is made from the last
    sink_.calls.clear();
    space_->flush_code(at, at + 4 * page_);
    std::vector<std::pair<u64, u64>> dropped{{at + page_, at + page_ + 4096}, {at + 2 * page_, at + 2 * page_ + 4096}};
    EXPECT_EQ(sink_.calls, dropped);
    sink_.calls.clear();
    space_->flush_code(at + page_ + 2048, at + page_ + 2052); // a line tells the page
    EXPECT_EQ(sink_.calls.size(), 1u);
}

TEST_P(Space, MapsTextTellsTheGuestsStory) {
    int fd = open("/proc/self/exe", O_RDONLY);
    space_->map(0x400000, page_, prot::read | prot::exec, mapflag::private_ | mapflag::fixed, fd);
    space_->map(0x10000000, page_, rw, anon | mapflag::fixed, -1, 0, "[stack]");
    close(fd);
    std::string text = space_->maps_text();
    std::vector<std::string> lines;
    for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
        lines.push_back(text.substr(at, text.find('\n', at) - at));
    ASSERT_EQ(lines.size(), 2u) << text;
    EXPECT_EQ(lines[0].substr(0, 9), "00400000-");
    EXPECT_NE(lines[0].find(" r-xp 00000000 "), std::string::npos);
    EXPECT_NE(lines[0].find("user_test"), std::string::npos);
    EXPECT_EQ(lines[0].find('/'), 73u);
    EXPECT_EQ(lines[1].find("[stack]"), 73u);
    EXPECT_NE(lines[1].find(" rw-p 00000000 00:00 0 "), std::string::npos);
}

std::string name_of(const ::testing::TestParamInfo<std::pair<SpaceShape::Base, u32>>& info) {
    return std::string(info.param.first == SpaceShape::Base::reserve ? "Reserved" : "Zero") +
           std::to_string(info.param.second);
}
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
INSTANTIATE_TEST_SUITE_P(Bases, Space, ::testing::Values(std::pair(SpaceShape::Base::reserve, 4096u)), name_of);
#else
INSTANTIATE_TEST_SUITE_P(Bases, Space,
                         ::testing::Values(std::pair(SpaceShape::Base::zero, 4096u),
                                           std::pair(SpaceShape::Base::zero, 65536u),
                                           std::pair(SpaceShape::Base::reserve, 4096u),
                                           std::pair(SpaceShape::Base::reserve, 16384u)),
                         name_of);
#endif

TEST(SpaceShape, NonsenseIsRefused) {
    EXPECT_FALSE(AddressSpace::create({.page = 1000}));
    EXPECT_FALSE(AddressSpace::create({.page = 131072}));
    EXPECT_FALSE(AddressSpace::create({.low = 0x20000, .high = 0x10000}));
    EXPECT_FALSE(AddressSpace::create({.high = 1ull << 60}));
}

} // namespace
} // namespace mimic::user
