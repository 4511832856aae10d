// Properties that every row of every guest has.
#include "isa/shapes/shapes.hpp"
#include <gtest/gtest.h>
#include <random>

namespace mimic::isa {
namespace {

std::vector<std::unique_ptr<Guest>> everything() {
    auto all = make_shapes();
    for (auto list : {guests(), test_guests()})
        for (const GuestInfo* info : list)
            for (std::string_view model : info->models) all.push_back(*info->make(model));
    return all;
}

TEST(Rows, OverlapOnlyAsSpecialCases) {
    for (auto& g : everything())
        for (auto& pair : g->row_conflicts()) ADD_FAILURE() << g->name() << ' ' << g->model() << ": " << pair;
}

// A random instance prints, and its text assembles to the same bytes, or to an encoding that is no longer and means the
// same, which is to say prints the same.
TEST(Rows, PrintAndAssembleBack) {
    std::mt19937_64 random(1);
    for (auto& g : everything()) {
        for (u32 n = 0; n < g->row_count(); ++n) {
            for (u32 k = 0; k < 40; ++k) {
                auto bytes = g->random_instance(n, random);
                ASSERT_FALSE(bytes.empty()) << g->name() << ": no instance of '" << g->row(n).syntax << "' decodes";
                u32 length, again;
                std::string text = g->disassemble(bytes, 0x10000, 0, length);
                ASSERT_EQ(length, bytes.size()) << g->name() << ' ' << text;
                auto back = g->assemble(text, 0x10000, 0);
                ASSERT_TRUE(back) << g->name() << ' ' << g->row(n).syntax << ": " << back.error().message();
                if (*back == bytes) continue;
                ASSERT_LE(back->size(), bytes.size()) << g->name() << ' ' << text;
                ASSERT_EQ(g->disassemble(*back, 0x10000, 0, again), text) << g->name();
                ASSERT_EQ(again, back->size());
            }
        }
    }
}

// Any bytes decode to something or are illegal, in a length that makes sense.
TEST(Rows, AnyBytesDecodeOrAreIllegal) {
    std::mt19937_64 random(2);
    for (auto& g : everything()) {
        std::vector<u8> bytes(g->max_insn_bytes());
        for (u32 k = 0; k < 20000; ++k) {
            for (u8& b : bytes) b = u8(random());
            std::span<const u8> code(bytes.data(), 1 + random() % bytes.size());
            u32 length = 0;
            std::string text = g->disassemble(code, 0x10000, u32(random() % 256), length);
            ASSERT_GE(length, 1u) << g->name();
            ASSERT_LE(length, code.size()) << g->name() << ' ' << text;
        }
    }
}

} // namespace
} // namespace mimic::isa
