// Text tests: bytes and the text that another disassembler gives them.
#pragma once
#include "isa/guest.hpp"
#include <gtest/gtest.h>

namespace mimic::isa {

struct TextCase {
    std::string_view hex; // spaces are ignored
    std::string_view text;
    u64 pc = 0;
    u32 mode = 0;
};

inline std::vector<u8> from_hex(std::string_view hex) {
    std::vector<u8> out;
    u32 digits = 0, value = 0;
    for (char c : hex) {
        if (c == ' ') continue;
        value = value << 4 | u32(c <= '9' ? c - '0' : c - 'a' + 10);
        if (++digits % 2 == 0) out.push_back(u8(value)), value = 0;
    }
    return out;
}

// Each case prints as said, and its text assembles back to its bytes.
inline void expect_text(const Guest& g, std::initializer_list<TextCase> cases) {
    for (const TextCase& c : cases) {
        auto bytes = from_hex(c.hex);
        u32 length = 0;
        EXPECT_EQ(g.disassemble(bytes, c.pc, c.mode, length), c.text) << c.hex;
        EXPECT_EQ(length, bytes.size()) << c.hex;
        auto back = g.assemble(c.text, c.pc, c.mode);
        ASSERT_TRUE(back) << back.error().message();
        EXPECT_EQ(*back, bytes) << c.text;
    }
}

} // namespace mimic::isa
