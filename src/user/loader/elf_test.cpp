#include "user/linux/layout.hpp"
#include "user/loader/elf.hpp"
#include "user/memory/page_table.hpp"
#include <cstring>
#include <gtest/gtest.h>
#include <random>

namespace mimic::user {
namespace {

constexpr u64 limit = 1ull << 38;

// A small image in either class and byte order, which tests then damage.
struct Maker {
    bool wide = true, big = false;
    std::vector<u8> bytes = std::vector<u8>(0x2000);
    u32 headers = 0;
    void put(u32 at, u32 n, u64 v) { store_int(bytes.data() + at, n, big, v); }
    void native(u32 at32, u32 at64, u64 v) { put(wide ? at64 : at32, wide ? 8 : 4, v); }
    void header(u16 type = 2, u16 machine = 243) {
        std::memcpy(bytes.data(), "\177ELF", 4);
        bytes[4] = wide ? 2 : 1, bytes[5] = big ? 2 : 1, bytes[6] = 1;
        put(16, 2, type), put(18, 2, machine), put(20, 4, 1);
        native(24, 24, 0x10100);
        native(28, 32, wide ? 64 : 52);
        put(wide ? 54 : 42, 2, wide ? 56 : 32);
    }
    // Returns where the header lies.
    u32 segment(u32 type, u32 flags, u64 offset, u64 address, u64 file_size, u64 memory_size, u64 align = 0x1000) {
        u32 at = (wide ? 64 : 52) + headers++ * (wide ? 56 : 32);
        put(at, 4, type), put(at + (wide ? 4 : 24), 4, flags);
        native(at + 4, at + 8, offset), native(at + 8, at + 16, address), native(at + 16, at + 32, file_size);
        native(at + 20, at + 40, memory_size), native(at + 28, at + 48, align);
        put(wide ? 56 : 44, 2, headers);
        return at;
    }
    Result<ElfImage> parse(u32 page = 4096) const { return parse_elf(MemoryBytes(bytes), page, limit); }
    std::string error() const {
        auto r = parse();
        return r ? "" : r.error().message();
    }
};

Maker program(bool wide = true, bool big = false) {
    Maker m{wide, big};
    m.header();
    m.segment(1, 5, 0, 0x10000, 0x800, 0x800);
    m.segment(1, 6, 0x1000, 0x12000, 0x100, 0x3000);
    return m;
}

TEST(Elf, AProgramOfEveryClassAndByteOrder) {
    for (bool wide : {false, true})
        for (bool big : {false, true}) {
            auto r = program(wide, big).parse();
            ASSERT_TRUE(r) << r.error().message();
            EXPECT_EQ(r->entry, 0x10100u);
            EXPECT_EQ(r->low, 0x10000u);
            EXPECT_EQ(r->high, 0x15000u);
            ASSERT_EQ(r->segments.size(), 2u);
            EXPECT_EQ(r->segments[1].prot, prot::read | prot::write);
            EXPECT_EQ(r->headers_address, u64(wide ? 0x10040 : 0x10034));
            EXPECT_EQ(r->identity, (ElfIdentity{u8(wide ? 2 : 1), big, 243, 2}));
            EXPECT_FALSE(r->position_independent());
        }
}

TEST(Elf, InterpreterAndStack) {
    Maker m = program();
    std::memcpy(m.bytes.data() + 0x700, "/lib/ld.so", 11);
    m.segment(3, 4, 0x700, 0, 11, 11);
    m.segment(0x6474e551, 7, 0, 0, 0, 0);
    auto r = m.parse();
    ASSERT_TRUE(r) << r.error().message();
    EXPECT_EQ(r->interpreter, "/lib/ld.so");
    EXPECT_TRUE(r->executable_stack);
    m.bytes[0x70a] = 'x';
    EXPECT_EQ(m.error(), "name of the interpreter has no end");
    m.put(64 + 2 * 56 + 32, 8, ~u64(0));
    EXPECT_EQ(m.error(), "name of the interpreter has 18446744073709551615 bytes, expected 2 to 4096");
}

TEST(Elf, PropertiesOfFourBytes) {
    Maker m = program();
    m.segment(0x6474e553, 4, 0x700, 0, 0x30, 0x30);
    m.put(0x700, 4, 4), m.put(0x704, 4, 0x20), m.put(0x708, 4, 5);
    std::memcpy(m.bytes.data() + 0x70c, "GNU", 4);
    m.put(0x710, 4, 0xc0000001), m.put(0x714, 4, 8), m.put(0x718, 8, ~u64(0)); // of eight bytes: not for us
    m.put(0x720, 4, 0xc0000000), m.put(0x724, 4, 4), m.put(0x728, 4, 3);
    auto r = m.parse();
    ASSERT_TRUE(r) << r.error().message();
    EXPECT_EQ(r->property(0xc0000000), 3u);
    EXPECT_EQ(r->property(0xc0000001), 0u);
    m.put(0x714, 4, 0xfffffff0); // a size that leaves the note: nothing behind it counts
    EXPECT_EQ(m.parse()->property(0xc0000000), 0u);
    m.put(0x708, 4, 4); // another kind of note
    EXPECT_TRUE(m.parse()->properties.empty());
}

TEST(Elf, WhatIsRefusedAndWhy) {
    Maker m = program();
    m.bytes[0] = 'x';
    EXPECT_EQ(m.error(), "not an ELF file, expected it to start with 7f 45 4c 46");
    m = program(), m.bytes[4] = 3;
    EXPECT_EQ(m.error(), "ELF class 3, expected 1 (32-bit) or 2 (64-bit)");
    m = program(), m.bytes[5] = 0;
    EXPECT_EQ(m.error(), "ELF byte order 0, expected 1 (little) or 2 (big)");
    m = program(), m.bytes[6] = 9;
    EXPECT_EQ(m.error(), "ELF version 9, expected 1");
    m = program(), m.put(16, 2, 1);
    EXPECT_EQ(m.error(), "ELF type 1, expected 2 (executable) or 3 (position-independent)");
    m = program(), m.put(54, 2, 32);
    EXPECT_EQ(m.error(), "program headers of 32 bytes, expected 56");
    m = program(), m.put(56, 2, 0);
    EXPECT_EQ(m.error(), "0 program headers, expected 1 to 1024");
    m = program(), m.put(56, 2, 0xffff);
    EXPECT_EQ(m.error(), "65535 program headers, expected 1 to 1024");
    m = program(), m.put(32, 8, ~u64(0) - 8);
    EXPECT_EQ(m.error(), "program headers at 0xfffffffffffffff7 lie outside the file's 0x2000 bytes");
    m = program(), m.bytes.resize(40);
    EXPECT_EQ(m.error(), "ELF header is truncated at 40 bytes");
    m = program(), m.bytes.resize(0x1080);
    EXPECT_EQ(m.error(), "segment 1 ends at 0x1100, expected within the file's 0x1080 bytes (is it truncated?)");
    m = Maker{}, m.header(), m.segment(4, 4, 0, 0, 0, 0);
    EXPECT_EQ(m.error(), "nothing to load: no PT_LOAD program header");
}

TEST(Elf, AbsurdSegments) {
    auto with = [](u64 offset, u64 address, u64 file_size, u64 memory_size, u64 align) {
        Maker m;
        m.header();
        m.segment(1, 5, offset, address, file_size, memory_size, align);
        return m.error();
    };
    EXPECT_EQ(with(0, 0x10000, 0x200, 0x100, 0x1000),
              "segment 0 has 0x200 bytes in the file, expected at most its 0x100 in memory");
    EXPECT_EQ(with(0, ~u64(0) - 0xfff, 0x100, 0x100, 0x1000),
              "segment 0 at 0xfffffffffffff000 of 0x100 bytes, expected below 0x4000000000");
    EXPECT_EQ(with(0, 0x10000, 0x100, ~u64(0), 0x1000),
              "segment 0 at 0x10000 of 0xffffffffffffffff bytes, expected below 0x4000000000");
    EXPECT_EQ(with(~u64(0), 0x10000, 0x100, 0x100, 0x1000),
              "segment 0 ends at 0xff, expected within the file's 0x2000 bytes (is it truncated?)");
    EXPECT_EQ(with(0x10, 0x10000, 0x100, 0x100, 0x1000),
              "segment 0: address 0x10000 and file offset 0x10 differ modulo the page size 4096");
    EXPECT_EQ(with(0, 0x10000, 0x100, 0x100, 0x1001), "segment 0 has alignment 0x1001, expected a power of two");
    Maker m;
    m.header();
    m.segment(1, 5, 0, 0x10000, 0x800, 0x5000);
    m.segment(1, 6, 0, 0x11000, 0x100, 0x100);
    EXPECT_EQ(m.error(), "segments overlap at 0x11000");
}

// Damaged at random: parsed or refused, and what is parsed keeps its promises.
TEST(Elf, RandomDamage) {
    std::mt19937_64 random(3);
    for (int round = 0; round < 20000; round++) {
        Maker m = program(round & 1, round & 2);
        for (u64 n = 1 + random() % 6; n-- > 0;) m.bytes[random() % 200] = u8(random());
        auto r = m.parse();
        if (!r) continue;
        for (const ElfSegment& s : r->segments) {
            ASSERT_LE(s.address, limit);
            ASSERT_LE(s.address + s.memory_size, limit);
            ASSERT_LE(s.offset + s.file_size, m.bytes.size());
            ASSERT_LE(s.file_size, s.memory_size);
        }
        ASSERT_LT(r->low, r->high);
    }
}

} // namespace
} // namespace mimic::user
