#include "ir/verify.hpp"
#include "isa/aarch64/system.hpp"
#include "isa/guest.hpp"
#include "isa/translate.hpp"
#include <gtest/gtest.h>
#include <random>

namespace mimic::isa {
namespace {

std::unique_ptr<Guest> guest(std::string_view model) { return *find_guest("aarch64")->make(model); }

TEST(AArch64, EachRowPrintsAndAssemblesBack) {
    auto g = guest("max");
    std::mt19937_64 random(1);
    for (u32 n = 0; n < g->row_count(); ++n) {
        for (u32 k = 0; k < 200; ++k) {
            auto bytes = g->random_instance(n, random);
            ASSERT_FALSE(bytes.empty()) << g->row(n).syntax;
            u32 length;
            std::string text = g->disassemble(bytes, 0x10000, 0, length);
            auto back = g->assemble(text, 0x10000, 0);
            ASSERT_TRUE(back) << text << ": " << back.error().message();
            // Several encodings have one text: of a logical immediate's rotation, bits above the element's size are
            // ignored, and of an element's number those that its width leaves over.
            std::string_view syntax = g->row(n).syntax;
            if (syntax.ends_with("{bitmask}") || syntax.ends_with("{Rn5}") || syntax.ends_with("{VnE4}"))
                ASSERT_EQ(g->disassemble(*back, 0x10000, 0, length), text);
            else
                ASSERT_EQ(*back, bytes) << text;
        }
    }
}

// Those that a model does nothing for have the manual's names, too.
TEST(AArch64, HintsHaveNames) {
    constexpr std::string_view names[] = {
        "nop",       "yield",      "wfe",       "wfi",        "sev",       "sevl",       "hint #0x6",  "xpaclri",
        "pacia1716", "hint #0x9",  "pacib1716", "hint #0xb",  "autia1716", "hint #0xd",  "autib1716",  "hint #0xf",
        "esb",       "psb csync",  "tsb csync", "hint #0x13", "csdb",      "hint #0x15", "hint #0x16", "hint #0x17",
        "paciaz",    "paciasp",    "pacibz",    "pacibsp",    "autiaz",    "autiasp",    "autibz",     "autibsp",
        "bti",       "hint #0x21", "bti c",     "hint #0x23", "bti j",     "hint #0x25", "bti jc",     "hint #0x27"};
    for (std::string_view model : find_guest("aarch64")->models) {
        auto g = guest(model);
        for (u32 n = 0; n < std::size(names); ++n) {
            const u32 word = 0xd503201f + n * 32;
            u32 length;
            auto text = g->disassemble({reinterpret_cast<const u8*>(&word), 4}, 0x10000, 0, length);
            EXPECT_EQ(text, names[n]) << model;
            auto back = g->assemble(fmt::format("hint #{:#x}", n), 0x10000, 0);
            ASSERT_TRUE(back) << n;
            EXPECT_EQ(std::memcmp(back->data(), &word, 4), 0) << n;
        }
    }
}

TEST(AArch64, ModelsThatAreUnknownAreToldFromTheirLikes) {
    EXPECT_EQ(find_guest("aarch64")->make("neoverse-m1").error().message(),
              "aarch64 CPU model 'neoverse-m1' is unknown, expected cortex-a53, cortex-a57, cortex-a72, neoverse-n1 or "
              "max, did "
              "you mean 'neoverse-n1'?");
}

// Types, commit rule and control flow of every row's meaning.
TEST(AArch64, EachRowTranslatesToValidIr) {
    for (std::string_view model : find_guest("aarch64")->models) {
        auto g = guest(model);
        Translator t(*g);
        std::mt19937_64 random(2);
        for (u32 n = 0; n < g->row_count(); ++n) {
            for (u32 k = 0; k < 50; ++k) {
                auto bytes = g->random_instance(n, random);
                ASSERT_FALSE(bytes.empty()) << g->row(n).syntax;
                auto& unit = t.translate(0x10000, {},
                                         [&](u64 pc, std::span<u8> out) {
                                             u32 at = 0;
                                             for (; at < out.size() && pc - 0x10000 + at < bytes.size(); ++at)
                                                 out[at] = bytes[pc - 0x10000 + at];
                                             return at;
                                         },
                                         {});
                auto valid = ir::verify(unit, g->state());
                u32 length;
                ASSERT_TRUE(valid) << g->disassemble(bytes, 0x10000, 0, length) << ": " << valid.error().message();
            }
        }
    }
}

// Linux, Documentation/arch/arm64/elf_hwcaps: a bit is set when a field of an ID register has at least this value.
struct Implied {
    u32 word, bit; // of AT_HWCAP (0) or AT_HWCAP2 (1)
    u32 crm, op2;  // ID register 3, 0, 0, crm, op2
    u32 shift, least;
};
constexpr Implied implied[] = {
    {0, 3, 6, 0, 4, 1},   {0, 4, 6, 0, 4, 2},   {0, 5, 6, 0, 8, 1},   {0, 6, 6, 0, 12, 1},  {0, 7, 6, 0, 16, 1},
    {0, 8, 6, 0, 20, 2},  {0, 9, 4, 0, 16, 1},  {0, 10, 4, 0, 20, 1}, {0, 12, 6, 0, 28, 1}, {0, 13, 6, 1, 12, 1},
    {0, 14, 6, 1, 16, 1}, {0, 15, 6, 1, 20, 1}, {0, 16, 6, 1, 0, 1},  {0, 17, 6, 0, 32, 1}, {0, 18, 6, 0, 36, 1},
    {0, 19, 6, 0, 40, 1}, {0, 20, 6, 0, 44, 1}, {0, 21, 6, 0, 12, 2}, {0, 23, 6, 0, 48, 1}, {0, 25, 7, 2, 32, 1},
    {0, 26, 6, 1, 20, 2}, {0, 27, 6, 0, 52, 1}, {0, 29, 6, 1, 36, 1}, {1, 0, 6, 1, 0, 2},   {1, 7, 6, 0, 52, 2},
    {1, 8, 6, 1, 32, 1},  {1, 13, 6, 1, 52, 1}, {1, 14, 6, 1, 44, 1}, {1, 15, 6, 1, 48, 1}, {1, 16, 6, 0, 60, 1},
    {1, 17, 4, 1, 0, 1},  {1, 31, 6, 2, 0, 2},  {1, 34, 6, 2, 52, 1}, {1, 43, 6, 2, 16, 1}, {1, 44, 6, 2, 20, 1},
    {1, 46, 6, 1, 20, 3}, {0, 30, 6, 1, 4, 1},  {0, 31, 6, 1, 24, 1}};

TEST(AArch64, CapabilitiesAndIdRegistersAgree) {
    for (const aarch64::Model& m : aarch64::models()) {
        aarch64::HardwareCapabilities told = aarch64::hardware_capabilities(m);
        u64 covered[2] = {0b11 | 1 << 11, 0}; // FP, AdvSIMD, CPUID: no field of their own
        for (const Implied& i : implied) {
            u64 value = 0, word = i.word ? told.hwcap2 : told.hwcap;
            ASSERT_TRUE(aarch64::id_register(m, aarch64::system_register(3, 0, 0, i.crm, i.op2), value));
            EXPECT_EQ(word >> i.bit & 1, (value >> i.shift & 15) >= i.least) << m.name << ' ' << i.word << ' ' << i.bit;
            covered[i.word] |= u64{1} << i.bit;
        }
        EXPECT_EQ(told.hwcap & ~covered[0], 0u) << m.name;
        EXPECT_EQ(told.hwcap2 & ~covered[1], 0u) << m.name;
    }
}

TEST(AArch64, AModelLacksTheRowsOfItsFeatures) {
    constexpr struct {
        std::string_view text, first; // of these models, in their order, the first that has it
    } rows[] = {{"aese v0.16b, v1.16b", "cortex-a53"},
                {"sha256h q0, q1, v2.4s", "cortex-a53"},
                {"sdot v0.2s, v1.8b, v2.8b", "neoverse-n1"},
                {"fadd v0.4h, v1.4h, v2.4h", "neoverse-n1"},
                {"ldadd x0, x1, [x2]", "neoverse-n1"},
                {"sha512h q0, q1, v2.2d", "max"},
                {"bfdot v0.2s, v1.4h, v2.4h", "max"},
                {"pacia x0, x1", "max"},
                {"wfet x0", "max"},
                {"setp [x0]!, x1!, x2", "max"}};
    for (auto& row : rows) {
        bool has = false;
        for (std::string_view model : {"cortex-a53", "neoverse-n1", "max"}) {
            has |= model == row.first;
            EXPECT_EQ(bool(guest(model)->assemble(row.text, 0, 0)), has) << model << ": " << row.text;
        }
    }
}

TEST(AArch64, AnUnknownModelNamesThoseThatThereAre) {
    auto g = find_guest("aarch64")->make("cortex-a99");
    ASSERT_FALSE(g);
    EXPECT_NE(g.error().message().find("neoverse-n1"), std::string::npos);
}

} // namespace
} // namespace mimic::isa
