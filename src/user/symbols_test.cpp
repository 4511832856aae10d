#include "user/linux/layout.hpp"
#include "user/symbols.hpp"
#include <cstring>
#include <gtest/gtest.h>
#include <random>

namespace mimic::user {
namespace {

// A 64-bit little-endian file: one PT_LOAD, a symbol table and its names.
struct Maker {
    std::vector<u8> bytes = std::vector<u8>(0x1000);
    static constexpr u32 sections = 0x800, symbols = 0x400, names = 0x600;
    u32 count = 0, used = 1;
    void put(u32 at, u32 n, u64 v) { store_int(bytes.data() + at, n, false, v); }
    Maker() {
        std::memcpy(bytes.data(), "\177ELF\2\1\1", 7);
        put(16, 2, 3), put(18, 2, 243), put(32, 8, 64), put(40, 8, sections);
        put(54, 2, 56), put(56, 2, 1), put(58, 2, 64), put(60, 2, 3);
        put(64, 4, 1), put(72, 8, 0x200), put(80, 8, 0x10200), put(96, 8, 0xe00);
        put(sections + 64 + 4, 4, 2), put(sections + 64 + 24, 8, symbols), put(sections + 64 + 40, 4, 2);
        put(sections + 128 + 4, 4, 3), put(sections + 128 + 24, 8, names), put(sections + 128 + 32, 8, 0x100);
    }
    void add(const char* name, u64 address, u64 size, u8 type = 2) {
        u32 at = symbols + 24 * count++;
        std::strcpy(reinterpret_cast<char*>(bytes.data()) + names + used, name);
        put(at, 4, used), put(at + 4, 1, type), put(at + 6, 2, 1), put(at + 8, 8, address), put(at + 16, 8, size);
        put(sections + 64 + 32, 8, 24 * count);
        used += u32(std::strlen(name)) + 1;
    }
    SymbolTable read() const { return read_symbols(MemoryBytes(bytes)); }
};

std::string at(const SymbolTable& t, u64 address) {
    const Symbol* s = t.find(address);
    return s ? s->name : "";
}

TEST(Symbols, FunctionsAreFoundByAnyAddressInThem) {
    Maker m;
    m.add("second", 0x10300, 0x20);
    m.add("first", 0x10200, 0x40);
    m.add("data", 0x10240, 8, 1);
    m.add("asm", 0x10400, 0);
    SymbolTable t = m.read();
    EXPECT_EQ(at(t, 0x101ff), "");
    EXPECT_EQ(at(t, 0x10200), "first");
    EXPECT_EQ(at(t, 0x1023f), "first");
    EXPECT_EQ(at(t, 0x10240), "");
    EXPECT_EQ(at(t, 0x10310), "second");
    EXPECT_EQ(at(t, 0x10500), "asm");
    EXPECT_EQ(t.address_of(0x210), 0x10210u);
    EXPECT_EQ(t.address_of(0x1ff), ~u64{0});
}

TEST(Symbols, ABuildIdIsFoundInItsNote) {
    Maker m;
    EXPECT_EQ(elf_build_id(MemoryBytes(m.bytes)), "");
    m.put(64, 4, 4), m.put(72, 8, 0x200), m.put(96, 8, 0x40);                              // PT_NOTE
    m.put(0x200, 4, 4), m.put(0x204, 4, 2), m.put(0x208, 4, 1), m.put(0x20c, 4, 0x554e47); // another of GNU's
    m.put(0x214, 4, 4), m.put(0x218, 4, 3), m.put(0x21c, 4, 3), m.put(0x220, 4, 0x554e47), m.put(0x224, 4, 0xefcdab);
    EXPECT_EQ(elf_build_id(MemoryBytes(m.bytes)), "abcdef");
    m.put(0x204, 4, 0xfffffff0);
    EXPECT_EQ(elf_build_id(MemoryBytes(m.bytes)), "");
}

TEST(Symbols, DamagedFilesGiveFewerNames) {
    Maker good;
    good.add("first", 0x10200, 0x40);
    std::mt19937 random(1);
    for (u32 n = 0; n < 3000; ++n) {
        Maker m = good;
        for (u32 k = 0; k < 4; ++k) m.bytes[random() % 0xa00] = u8(random());
        if (n % 4 == 0) m.bytes.resize(random() % m.bytes.size());
        SymbolTable t = m.read();
        EXPECT_LE(t.functions.size(), m.bytes.size());
        EXPECT_LE(elf_build_id(MemoryBytes(m.bytes)).size(), 128u);
    }
}

} // namespace
} // namespace mimic::user
