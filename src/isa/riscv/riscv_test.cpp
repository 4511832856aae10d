#include "isa/guest.hpp"
#include "isa/translate.hpp"
#include <gtest/gtest.h>
#include <random>

namespace mimic::isa {
namespace {

std::unique_ptr<Guest> rv64() { return *find_guest("riscv64")->make("rv64"); }

TEST(RiscV, EachRowPrintsAndAssemblesBack) {
    auto g = rv64();
    std::mt19937_64 random(1);
    for (u32 n = 0; n < g->row_count(); ++n) {
        for (u32 k = 0; k < 200; ++k) {
            auto bytes = g->random_instance(n, random);
            ASSERT_FALSE(bytes.empty()) << g->row(n).syntax;
            u32 length;
            std::string text = g->disassemble(bytes, 0x10000, 0, length);
            auto back = g->assemble(text, 0x10000, 0);
            ASSERT_TRUE(back) << text << ": " << back.error().message();
            ASSERT_EQ(*back, bytes) << text;
        }
    }
}

TEST(RiscV, ALoopIsOneUnitOfBlocks) {
    auto g = rv64();
    std::vector<u8> code;
    for (auto line : {"addi a0, zero, 10", "addi a1, a1, 1", "addi a0, a0, -1", "bne a0, zero, 0x1004", "ecall"}) {
        auto bytes = g->assemble(line, 0x1000 + code.size(), 0);
        ASSERT_TRUE(bytes) << line;
        code.insert(code.end(), bytes->begin(), bytes->end());
    }
    Translator t(*g);
    auto& unit = t.translate(0x1000, {},
                             [&](u64 pc, std::span<u8> out) {
                                 u32 n = 0;
                                 for (; n < out.size() && pc - 0x1000 + n < code.size(); ++n)
                                     out[n] = code[pc - 0x1000 + n];
                                 return n;
                             },
                             {});
    EXPECT_EQ(unit.blocks.size(), 3u);
    EXPECT_EQ(unit.guest_low, 0x1000u);
    EXPECT_EQ(unit.guest_high, 0x1014u);
    EXPECT_EQ(unit.code[unit.blocks[0].end - 1].op, ir::Op::br);
    EXPECT_EQ(unit.code[unit.blocks[0].end - 1].b,
              unit.code[unit.blocks[unit.code[unit.blocks[0].end - 1].b].end - 1].b);
}

// The branch leads to an instruction whose second half lies behind what can be fetched.
TEST(RiscV, ABlockThatCannotBeFetchedWholeIsAnExit) {
    auto g = rv64();
    std::vector<u8> code;
    for (auto line : {"bne a0, zero, 0x1008", "addi a1, a1, 1", "lui a2, 0x12345"}) {
        auto bytes = g->assemble(line, 0x1000 + code.size(), 0);
        ASSERT_TRUE(bytes) << line;
        code.insert(code.end(), bytes->begin(), bytes->end());
    }
    ASSERT_EQ(code.size(), 12u);
    code.resize(10);
    Translator t(*g);
    auto& unit = t.translate(0x1000, {},
                             [&](u64 pc, std::span<u8> out) {
                                 u32 n = 0;
                                 for (; n < out.size() && pc - 0x1000 + n < code.size(); ++n)
                                     out[n] = code[pc - 0x1000 + n];
                                 return n;
                             },
                             {});
    u32 exits = 0;
    for (const ir::Inst& i : unit.code) {
        EXPECT_NE(i.op, ir::Op::trap);
        exits += i.op == ir::Op::exit && i.imm == 0x1008;
    }
    EXPECT_GE(exits, 1u);
}

} // namespace
} // namespace mimic::isa
