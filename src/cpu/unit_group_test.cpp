// What is joined is what its units are, with places made to fit; what can't be joined is left.
#include "cpu/unit_group.hpp"
#include <cstring>
#include <gtest/gtest.h>

namespace mimic::cpu {
namespace {

template <class T>
void append(std::vector<u8>& out, const T& t) {
    const u8* p = reinterpret_cast<const u8*>(&t);
    out.insert(out.end(), p, p + sizeof t);
}

u32 word_at(std::span<const u8> code, u64 at) {
    u32 v;
    std::memcpy(&v, code.data() + at, 4);
    return v;
}

struct Units : testing::Test {
    std::vector<u8> memory = std::vector<u8>(1 << 17); // of the guest
    GuestBytes guest = [this](u64 low, std::span<u8> out) {
        if (low > memory.size() || out.size() > memory.size() - low) return false;
        std::copy_n(memory.begin() + i64(low), out.size(), out.begin());
        return true;
    };
    std::vector<std::vector<u64>> bytes; // of units
    std::vector<SavedUnit> units;
    std::vector<u64> joined_bytes;
    u64 joined_size = 0;
    SavedUnit joined;

    void SetUp() override {
        for (u64 n = 0; n < memory.size(); ++n) memory[n] = u8(n * 7 + n / 256);
    }
    struct Shape {
        u64 pc, to; // it begins there; its edge goes there
        bool counted = false, whole = false;
        u64 inner = 0, relies = 0; // an entry more; an address of 4 bytes that it relies on
        u8 record = 1;
    };
    // 32 bytes of the guest; 20 of code: a link word's distance at 4, a record's number at 8.
    void add(const Shape& s) {
        std::vector<u8> b;
        Sha256 hash;
        hash.add(std::span(memory).subspan(s.pc, 32));
        if (s.relies) hash.add(std::span(memory).subspan(s.relies, 4));
        append(b, saved::Head{.pc = s.pc,
                              .low = s.pc,
                              .high = s.pc + 32,
                              .units = 1,
                              .edges = s.counted ? 3u : 1u,
                              .ranges = s.relies != 0,
                              .entries = s.inner ? 2u : 1u,
                              .faults = 1,
                              .owed = 1,
                              .references = 2,
                              .record_bytes = 8,
                              .code_bytes = 20,
                              .made_from = hash.digest()});
        if (s.relies) append(b, saved::Range{s.relies, s.relies + 4});
        append(b, saved::Edge{.pc = s.to, .stub = 12, .counted = s.counted});
        if (s.counted)
            append(b, saved::Edge{.pc = s.to, .stub = 16, .word = 1}), append(b, saved::Edge{.pc = s.to, .word = 2});
        append(b, saved::Entry{.own = 1, .whole = s.whole});
        if (s.inner) append(b, saved::Entry{.offset = 2, .pc = u16(s.inner - s.pc)});
        append(b, saved::Fault{.offset = 3, .pc = 8});
        append(b, saved::Owed{.fault = 0, .what = {s.record}});
        append(b, u32(4)), append(b, u32(8 | saved::is_record));
        append(b, u32(4)), append(b, u32(s.record));
        append(b, u32(0)), append(b, u32(100)), append(b, u32(0)), append(b, u64(0));
        bytes.emplace_back(b.size() / 8 + 1);
        std::memcpy(bytes.back().data(), b.data(), b.size());
        SavedUnit u;
        ASSERT_TRUE(parse_saved_unit({reinterpret_cast<const u8*>(bytes.back().data()), b.size()}, u));
        units.push_back(u);
    }
    bool join_all() {
        std::vector<u8> out;
        if (!join(units, guest, out)) {
            EXPECT_TRUE(out.empty());
            return false;
        }
        joined_size = out.size();
        joined_bytes.resize(joined_size / 8 + 1);
        std::memcpy(joined_bytes.data(), out.data(), out.size());
        EXPECT_TRUE(parse_saved_unit({reinterpret_cast<const u8*>(joined_bytes.data()), out.size()}, joined));
        return true;
    }
};

TEST_F(Units, AreLinkedAndMadeToFit) {
    add({.pc = 0x1000, .to = 0x1108, .inner = 0x1010, .relies = 0x9000});
    add({.pc = 0x1100, .to = 0x1000, .inner = 0x1108, .record = 2});
    add({.pc = 0x1200, .to = 0x1300, .relies = 0x1104, .record = 1});
    ASSERT_TRUE(join_all());
    EXPECT_EQ(joined.head.units, 3u);
    EXPECT_EQ(joined.head.pc, 0x1000u);
    EXPECT_EQ(joined.head.low, 0x1000u);
    EXPECT_EQ(joined.head.high, 0x1220u);
    ASSERT_EQ(joined.entries.size(), 5u);
    const saved::Entry* second = joined.entry_at(0x1100);
    ASSERT_TRUE(second && second->own);
    EXPECT_EQ(second->offset, 32u); // 20, aligned
    ASSERT_TRUE(joined.entry_at(0x1108));
    EXPECT_EQ(joined.edges[0].to, joined.entry_at(0x1108)->offset);
    EXPECT_EQ(joined.edges[1].to, 0u);
    EXPECT_EQ(joined.edges[1].stub, 32u + 12);
    EXPECT_EQ(joined.edges[2].to, saved::Edge::nowhere);
    // Of the third unit: its code at 64, its link word the third, its record the first one's.
    EXPECT_EQ(word_at(joined.code, 64 + 4), 100u + 2 * 8 - 64);
    EXPECT_EQ(word_at(joined.code, 64 + 8), 0u);
    EXPECT_EQ(word_at(joined.code, 32 + 8), 8u);
    EXPECT_EQ(joined.record(8)[0], 2);
    EXPECT_EQ(joined.head.record_bytes, 16u);
    EXPECT_EQ(joined.faults[2].offset, 64u + 3);
    EXPECT_EQ(joined.faults[2].pc, 0x208u);
    EXPECT_EQ(joined.owed[2].fault, 2u);
    // What was looked at is hashed, once.
    EXPECT_EQ(joined.head.runs, 3u);
    const std::vector<std::pair<u64, u64>> ranges = {
        {0x1000, 0x1020}, {0x1100, 0x1120}, {0x1200, 0x1220}, {0x9000, 0x9004}};
    ASSERT_EQ(joined.ranges.size(), ranges.size());
    Sha256 hash;
    for (u64 n = 0; n < ranges.size(); ++n) {
        EXPECT_EQ(joined.ranges[n].low, ranges[n].first) << n;
        EXPECT_EQ(joined.ranges[n].high, ranges[n].second) << n;
        hash.add(std::span(memory).subspan(ranges[n].first, ranges[n].second - ranges[n].first));
    }
    EXPECT_EQ(joined.head.made_from, hash.digest());
}

TEST_F(Units, JoinedAgainAreLinkedAnew) {
    add({.pc = 0x1000, .to = 0x1100});
    add({.pc = 0x1200, .to = 0x1000});
    ASSERT_TRUE(join_all());
    const auto before = joined_bytes;
    units.resize(1);
    ASSERT_TRUE(parse_saved_unit({reinterpret_cast<const u8*>(before.data()), joined_size}, units[0]));
    add({.pc = 0x1100, .to = 0x1200});
    ASSERT_TRUE(join_all());
    EXPECT_EQ(joined.head.units, 3u);
    EXPECT_EQ(joined.edges[0].to, joined.entry_at(0x1100)->offset);
    EXPECT_EQ(joined.edges[1].to, joined.entry_at(0x1000)->offset);
    EXPECT_EQ(joined.edges[2].to, joined.entry_at(0x1200)->offset);
}

TEST_F(Units, CountedEdgesAreCountedUntilTheirLoopIsWhole) {
    add({.pc = 0x1000, .to = 0x1000, .counted = true});
    add({.pc = 0x1100, .to = 0x1000, .counted = true});
    ASSERT_TRUE(join_all());
    EXPECT_EQ(joined.edges[3].to, saved::Edge::nowhere);
    EXPECT_EQ(joined.edges[4].to, 0u);
    add({.pc = 0x1000, .to = 0x1000, .whole = true});
    ASSERT_TRUE(join_all());
    EXPECT_EQ(joined.entry_at(0x1000)->offset, 64u); // comes before what is not
    EXPECT_EQ(joined.edges[3].to, 64u);
    EXPECT_EQ(joined.edges[4].to, saved::Edge::nowhere);
    EXPECT_EQ(joined.head.units, 2u);
}

TEST_F(Units, OfOtherBytesAreLeftOut) {
    add({.pc = 0x1000, .to = 0x1100, .relies = 0x9000});
    add({.pc = 0x1100, .to = 0x1000});
    add({.pc = 0x1200, .to = 0x1000});
    ++memory[0x9001];
    ASSERT_TRUE(join_all());
    EXPECT_EQ(joined.head.low, 0x1100u);
    EXPECT_EQ(joined.head.units, 2u);
    EXPECT_FALSE(joined.entry_at(0x1000));
    EXPECT_EQ(joined.edges[0].to, saved::Edge::nowhere);
    ++memory[0x1101], ++memory[0x1201];
    EXPECT_FALSE(join_all());
}

TEST_F(Units, FarFromEachOtherAreNotJoined) {
    add({.pc = 0x1000, .to = 0x1100});
    add({.pc = 0x11000, .to = 0x1100});
    EXPECT_FALSE(join_all());
}

TEST_F(Units, WhereBytesAreMissingAreNotJoined) {
    add({.pc = 0x1000, .to = 0x1100});
    add({.pc = 0x1100, .to = 0x1100});
    memory.resize(0x1110);
    EXPECT_FALSE(join_all());
}

} // namespace
} // namespace mimic::cpu
