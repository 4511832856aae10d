// Where values are to be made: the registers of the slots that they, or what is made of them, are put in.
#include "ir/test_support.hpp"
#include "ir/text.hpp"
#include "jit/analysis.hpp"
#include <algorithm>
#include <gtest/gtest.h>

namespace mimic::jit {
namespace {

// The slots x0 and x1 live in registers. Runs the analysis over a block that leaves behind `code`; the targets of its
// values, by number.
std::vector<i16> targets(const std::string& code) {
    RegisterPlan plan;
    plan.gpr.assign(std::size(ir::test::slots), -1);
    plan.vec = plan.gpr;
    plan.gpr[0] = 3, plan.gpr[1] = 6;
    auto unit = ir::parse("b0 entry pc 0x100:\n  insn 0x100 4\n" + code + "  exit 0x104\n", ir::test::riscv);
    if (!unit) {
        ADD_FAILURE() << unit.error().message();
        return std::vector<i16>(64, -1);
    }
    Analysis a;
    a.run(*unit, ir::test::riscv, plan);
    std::vector<i16> out;
    for (const ValueInfo& v : a.value) out.push_back(v.target);
    return out;
}

TEST(Targets, ReachThroughOperationsInPlace) {
    const auto t = targets("%1 = get i64 x1\n"
                           "%2 = get i64 x2\n"
                           "%3 = and i64 %1, %2\n"
                           "%4 = trunc i32 %3\n"
                           "%5 = neg i32 %4\n"
                           "%6 = sext i64 %5\n"
                           "put x0, %6\n");
    for (u32 v : {3, 4, 5, 6}) EXPECT_EQ(t[v], 0) << "%" << v;
}

TEST(Targets, TakeTheOperandThatEnds) {
    const auto t = targets("%1 = get i64 x2\n"
                           "%2 = xor i64 %1, %1\n"
                           "%3 = not i64 %1\n"
                           "%4 = add i64 %2, %3\n"
                           "put x0, %4\n"
                           "put x2, %2\n");
    EXPECT_EQ(t[4], 0);
    EXPECT_EQ(t[3], 0);
    EXPECT_EQ(t[2], -1); // it is needed behind the sum
}

TEST(Targets, EndWhereTheSlotIsReadOrSeen) {
    auto t = targets("%1 = get i64 x2\n"
                     "%2 = not i64 %1\n"
                     "%3 = get i64 x0\n"
                     "%4 = or i64 %2, %3\n"
                     "put x0, %4\n");
    EXPECT_EQ(t[4], 0);
    EXPECT_EQ(t[2], -1);
    t = targets("%1 = get i64 x2\n"
                "%2 = not i64 %1\n"
                "%3 = load i64 [%1] i64\n"
                "%4 = sub i64 %2, %3\n"
                "put x0, %4\n");
    EXPECT_EQ(t[4], 0);
    EXPECT_EQ(t[2], -1); // the load may fault and show x0
}

// Is the put of the value that was loaded into f0 late, when `code` comes behind it?
bool is_late(const std::string& code) {
    const auto slot = [](std::string_view name) {
        return std::size_t(std::ranges::find(ir::test::slots, name, &ir::Slot::name) - std::begin(ir::test::slots));
    };
    RegisterPlan plan;
    plan.gpr.assign(std::size(ir::test::slots), -1);
    plan.vec = plan.gpr;
    plan.vec[slot("f0")] = 6;
    const std::string begin = "%1 = get i64 x0\n%2 = load f64 [%1] f64\nput f0, %2\n";
    auto unit = ir::parse("b0 entry pc 0x100:\n  insn 0x100 4\n" + begin + code + "exit 0x104\n", ir::test::riscv);
    if (!unit) return ADD_FAILURE() << unit.error().message(), false;
    Analysis a;
    a.run(*unit, ir::test::riscv, plan);
    EXPECT_EQ(a.value[2].late, a.value[3].late);
    return a.value[3].late;
}

TEST(LatePuts, AreSeenByLoadsAlone) {
    const std::string load = "%4 = load f64 [%1 + 8] f64\n", sum = "%5 = fadd f64 %2, %4\n", put = "put f0, %5\n";
    EXPECT_TRUE(is_late(load + sum + put));
    EXPECT_FALSE(is_late(load + "store [%1], %4 f64\n" + "%6 = fadd f64 %2, %4\nput f0, %6\n"));
    EXPECT_FALSE(is_late(load + sum + "%6 = get f64 f0\n" + put + "put f1, %6\n"));
    EXPECT_FALSE(is_late(load + sum + put.substr(0, 4) + "f1, %5\n"));               // it stays
    EXPECT_FALSE(is_late(load + sum + "%6 = fneg f64 %2\n" + put + "put f1, %6\n")); // another reads it later
    EXPECT_FALSE(is_late(load + "put f0, %4\n"));
}

// A loop that counts in x6, which takes a register from x0 or x1: on the way around it x6 is still at home.
TEST(Exchanges, KnowWhatHasChangedWhereTheUnitIsLeft) {
    RegisterPlan plan;
    plan.gpr.assign(std::size(ir::test::slots), -1);
    plan.vec = plan.gpr;
    plan.gpr[0] = 3, plan.gpr[1] = 6;
    auto unit = ir::parse("b0 entry pc 0x100:\n  insn 0x100 4\n  %1 = get i1 x3\n  brcond %1, b1, b2\n"
                          "b1 pc 0x104:\n  insn 0x104 4\n  %2 = get i64 x6\n  %3 = add i64 %2, %2\n"
                          "  put x6, %3\n  insn 0x108 4\n  %4 = load i64 [%3] i64\n  put x6, %4\n"
                          "  %5 = get i1 x3\n  brcond %5, b1, b3\n"
                          "b2 pc 0x110:\n  insn 0x110 4\n  exit 0x200\n"
                          "b3 pc 0x120:\n  insn 0x120 4\n  exit 0x204\n",
                          ir::test::riscv);
    ASSERT_TRUE(unit) << unit.error().message();
    Analysis a;
    a.run(*unit, ir::test::riscv, plan);
    ASSERT_EQ(a.exchanges.size(), 1u);
    EXPECT_EQ(a.exchanges[0].in, 6);
    EXPECT_EQ(a.changed, (std::vector<u32>{0, 1, 0, 1}));
}

int one_more(ir::CpuHeader*, const ir::Wide* arguments, ir::Wide* results) {
    results[0].w[0] = arguments[0].w[0] + 1;
    return 0;
}
constexpr ir::Intrinsic one_more_of{"one_more", one_more, 1, 1, ir::Intrinsic::pure};
constexpr const ir::Intrinsic* intrinsics[] = {&one_more_of};

// What a call gives may be anywhere: a loop's accesses by it have no page of their own.
TEST(Pages, AreNotKnownOfWhatACallGives) {
    RegisterPlan plan;
    plan.gpr.assign(std::size(ir::test::slots), -1);
    plan.vec = plan.gpr;
    auto unit = ir::parse(
        "b0 entry pc 0x100:\n  insn 0x100 4\n  %1 = get i64 x6\n  %2 = load i64 [%1] i64\n"
        "  %3 = call i64 one_more(%2)\n  %4 = sub i64 %3, %1\n  put x6, %4\n  %5 = get i1 x3\n  brcond %5, b0, b1\n"
        "b1 pc 0x104:\n  insn 0x104 4\n  exit 0x200\n",
        ir::test::riscv, intrinsics);
    ASSERT_TRUE(unit) << unit.error().message();
    unit->key.flavour |= ir::flavour::paged;
    Analysis a;
    a.run(*unit, ir::test::riscv, plan);
    ASSERT_FALSE(a.recent.empty());
    for (i8 r : a.recent) EXPECT_EQ(r, -1);
}

} // namespace
} // namespace mimic::jit
