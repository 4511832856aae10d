#include "ir/verify.hpp"
#include "isa/guest.hpp"
#include "isa/translate.hpp"
#include <gtest/gtest.h>

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

TEST(AArch64, AnUnknownModelNamesThoseThatThereAre) {
    auto g = find_guest("aarch64")->make("cortex-a99");
    ASSERT_FALSE(g);
    EXPECT_NE(g.error().message().find("neoverse-n1"), std::string::npos);
}

} // namespace
} // namespace mimic::isa
