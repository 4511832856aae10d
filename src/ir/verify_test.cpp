// tests/verify.bad: "== name", a unit, "error: words that the error has".
#include "ir/test_support.hpp"
#include "ir/text.hpp"
#include "ir/verify.hpp"
#include <fstream>
#include <gtest/gtest.h>

namespace mimic::ir {
namespace {

int nothing(CpuHeader*, const Wide*, Wide*) { return 0; }
constexpr Intrinsic two_results{"two_results", nothing, 2, 2, Intrinsic::pure};
constexpr const Intrinsic* intrinsics[] = {&two_results};

std::string error_of(const std::string& text) {
    auto unit = parse(text, test::riscv, intrinsics);
    if (!unit) return unit.error().message();
    auto good = verify(*unit, test::riscv);
    return good ? "none" : good.error().message();
}

TEST(Verify, RefusesBadUnits) {
    std::ifstream file("src/ir/tests/verify.bad");
    ASSERT_TRUE(file);
    std::string line, name, text;
    u32 count = 0;
    while (std::getline(file, line)) {
        if (line.starts_with("== ")) {
            name = line.substr(3), text.clear();
        } else if (line.starts_with("error: ")) {
            EXPECT_NE(error_of(text).find(line.substr(7)), std::string::npos)
                << name << ": expected '" << line.substr(7) << "', got '" << error_of(text) << "'";
            ++count;
        } else if (!line.empty()) {
            text += line + "\n";
        }
    }
    EXPECT_GT(count, 60u);
}

// What the text form cannot say.
struct Raw : testing::Test {
    Unit unit;
    std::string error() {
        auto good = verify(unit, test::riscv);
        return good ? "none" : good.error().message();
    }
    void block(std::vector<Inst> code) {
        unit.code = std::move(code);
        unit.blocks = {{.begin = 0, .end = u32(unit.code.size())}};
    }
};

TEST_F(Raw, NoBlock) { EXPECT_EQ(error(), "the unit has no block"); }
TEST_F(Raw, OverlappingBlocks) {
    block({{.op = Op::exit}});
    unit.blocks.push_back(unit.blocks[0]);
    EXPECT_EQ(error(), "b1: %0 lies in two blocks");
}
TEST_F(Raw, RangeOutsideTheCode) {
    block({{.op = Op::exit}});
    unit.blocks[0].end = 2;
    EXPECT_EQ(error(), "b0: range 0 to 2 is empty or outside the code");
}
TEST_F(Raw, AnOperandDefinedLater) {
    block({{.op = Op::not_, .type = Type::i64, .a = 1}, {.op = Op::constant, .type = Type::i64}, {.op = Op::exit}});
    EXPECT_EQ(error(), "b0: %0 (not): %1 is no value defined earlier in this block");
}
TEST_F(Raw, AnOperandWithoutValue) {
    block({{.op = Op::insn}, {.op = Op::not_, .type = Type::i64, .a = 0}, {.op = Op::exit}});
    EXPECT_EQ(error(), "b0: %1 (not): %0 is no value defined earlier in this block");
}
TEST_F(Raw, AKindOutOfRange) {
    block({{.op = Op::constant, .type = Type::i64},
           {.op = Op::icmp, .type = Type::i64, .sub = 10, .a = 0, .b = 0},
           {.op = Op::exit}});
    EXPECT_EQ(error(), "b0: %1 (icmp): no kind 10");
}
TEST_F(Raw, AMissingOperand) {
    block({{.op = Op::constant, .type = Type::i64}, {.op = Op::add, .type = Type::i64, .a = 0}, {.op = Op::exit}});
    EXPECT_EQ(error(), "b0: %1 (add): operand b is none, expected i64");
}
TEST_F(Raw, AConstantOutsideThePool) {
    block({{.op = Op::constant, .type = Type::i128}, {.op = Op::exit}});
    EXPECT_EQ(error(), "b0: %0 (constant): its words 0 are outside Unit::wide");
}
TEST_F(Raw, AListOutsideThePool) {
    block({{.op = Op::br, .b = 0, .imm = 9}});
    EXPECT_EQ(error(), "b0: %0 (br): its list 9 is outside Unit::extra");
}
TEST_F(Raw, ASlotThatIsNotThere) {
    block({{.op = Op::get, .type = Type::i64, .imm = SlotArg{.slot = 999}.bits()}, {.op = Op::exit}});
    EXPECT_EQ(error(), "b0: %0 (get): guest riscv-rules has no slot 999");
}
TEST_F(Raw, AnOperationOutOfRange) {
    block({{.op = Op(250)}, {.op = Op::exit}});
    EXPECT_EQ(error(), "%0: no such operation, type or lane");
}
TEST_F(Raw, AJumpToNowhere) {
    block({{.op = Op::br, .b = 5}});
    EXPECT_EQ(error(), "b0: %0 (br): no block b5");
}
TEST_F(Raw, FpWithoutRules) {
    constexpr GuestState plain{"plain", test::slots, test::state_bytes};
    auto u = parse("b0:\n %1 = constant f64 0\n %2 = fadd f64 %1, %1\n exit 0\n", plain);
    ASSERT_TRUE(u);
    EXPECT_EQ(verify(*u, plain).error().message(), "b0: %1 (fadd): guest plain has no FP rules");
}

} // namespace
} // namespace mimic::ir
