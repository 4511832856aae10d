#include "ir/builder.hpp"
#include <gtest/gtest.h>

namespace mimic::ir {
namespace {

constexpr Slot slots[] = {{"x0", 0, Type::i64}, {"x1", 8, Type::i64}, {"x2", 16, Type::i64}};
constexpr GuestState guest{"test", slots, 24};

struct Fixture : testing::Test {
    Unit unit;
    Builder t{unit, guest};
    Fixture() { t.start_block(t.new_block()); }
    u32 count(Op op) const {
        u32 n = 0;
        for (const Inst& i : unit.code) n += i.op == op;
        return n;
    }
};
using Builder_ = Fixture;

TEST_F(Builder_, FoldsConstants) {
    Val v = (t.imm(5) + t.imm(7)).shl(2);
    ASSERT_TRUE(v.is_const());
    EXPECT_EQ(v.const_value(), 48u);
}

TEST_F(Builder_, ShiftsUpAndDownOfTheLowHalfExtendIt) {
    Val up = t.get(1, Type::i64).shl(32);
    EXPECT_EQ(t.inst(up.lshr(32)).op, Op::zext);
    Val scaled = up.lshr(29);
    EXPECT_EQ(t.inst(scaled).op, Op::shl);
    EXPECT_EQ(unit.code[t.inst(scaled).b].imm, 3u);
    EXPECT_EQ(t.inst(up.lshr(33)).op, Op::lshr);
    EXPECT_EQ(t.inst(up.ashr(32)).op, Op::ashr);
    EXPECT_EQ(t.imm(0x123456789abcdef0).shl(32).lshr(28).const_value(), 0x9abcdef00u);
}

TEST_F(Builder_, LanesOfBitsThatWereLanesAreThose) {
    Val a = t.wide(1, 2, Type::v128), b = t.wide(3, 4, Type::v128);
    Val lanes = t.op(Op::vcmp, Type::v128, a, b, {}, 0, u8(VRel::eq), Lane::i32);
    Val word = (t.get(1, Type::i64) & ~i64{15}) | t.op(Op::vbits, Type::i64, lanes, {}, {}, 0, 0, Lane::i32);
    Val mask = t.op(Op::vset, Type::v128, a, word, {}, 0, 0, Lane::i64);
    Val back = t.op(Op::vget, Type::i64, mask, {}, {}, 0, 0, Lane::i64);
    EXPECT_EQ(t.vlanes(Lane::i32, back, 0).id(), lanes.id());
    EXPECT_EQ(t.inst(t.vlanes(Lane::i32, back, 4)).op, Op::vlanes);
    EXPECT_EQ(t.inst(t.vlanes(Lane::i16, back, 0)).op, Op::vlanes);
    Val sums = t.op(Op::vbits, Type::i64, t.vbin(VBin::add, Lane::i32, a, b), {}, {}, 0, 0, Lane::i32);
    EXPECT_EQ(t.inst(t.vlanes(Lane::i32, sums, 0)).op, Op::vlanes); // signs alone
}

TEST_F(Builder_, ForwardsAPutToAGet) {
    Val v = t.get(1, Type::i64) + 1;
    t.put(2, v);
    EXPECT_EQ(t.get(2, Type::i64).id(), v.id());
    EXPECT_EQ(t.get(2, Type::i32).type(), Type::i32);
}

TEST_F(Builder_, DropsAPutThatNobodySaw) {
    t.put(1, t.imm(1));
    t.put(1, t.imm(2));
    EXPECT_EQ(count(Op::put), 1u);
}

TEST_F(Builder_, KeepsAPutThatAFaultMayShow) {
    t.put(1, t.imm(1));
    t.load(Type::i64, t.get(2, Type::i64), {});
    t.put(1, t.imm(2));
    EXPECT_EQ(count(Op::put), 2u);
}

TEST_F(Builder_, AddressArithmeticBecomesTheDisplacement) {
    Val v = t.load(Type::i64, t.get(1, Type::i64) + 8 + 16, {});
    EXPECT_EQ(MemArg::from(t.inst(v).imm).disp, 24);
    EXPECT_EQ(unit.code[t.inst(v).a].op, Op::get);
}

TEST_F(Builder_, AnIgnoredTopByteIsTakenOffTheWholeAddress) {
    unit.key.flavour = flavour::top_byte_ignored;
    Val v = t.load(Type::i64, t.get(1, Type::i64) + 8, {});
    EXPECT_EQ(MemArg::from(t.inst(v).imm).disp, 0);
    const Inst& bare = unit.code[t.inst(v).a];
    EXPECT_EQ(bare.op, Op::sbfx);
    EXPECT_EQ(bare.imm, bit_range(0, 56));
    EXPECT_EQ(unit.code[bare.a].op, Op::add);
    Val c = t.load(Type::i64, t.imm(0x5a00000000001000), {});
    EXPECT_EQ(Val(&t, t.inst(c).a).const_value(), 0x1000u);
}

TEST_F(Builder_, BranchOnAConstantIsAJump) {
    t.branch_to(t.imm(1, Type::i1), 0x100, 0x200);
    EXPECT_EQ(unit.code.back().op, Op::exit);
    EXPECT_EQ(unit.code.back().imm, 0x100u);
}

} // namespace
} // namespace mimic::ir
