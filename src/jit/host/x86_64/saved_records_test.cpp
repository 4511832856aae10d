// Records of calls out as another process gets them: the same ones, or none when a field makes no sense.
#include "base/process.hpp"
#include "ir/test_support.hpp"
#include "jit/host/x86_64/backend.hpp"
#include <cstring>
#include <gtest/gtest.h>

namespace mimic::jit::x86 {
namespace {

using ir::Op;
using ir::Type;

int nothing(ir::CpuHeader*, const ir::Wide*, ir::Wide*) { return 0; }
constexpr ir::Intrinsic call{.name = "nothing", .body = nothing, .args = 1};

struct SavedRecords : testing::Test {
    Records records;
    const ir::GuestState& guest = ir::test::riscv;
    u32 number = 0;

    void SetUp() override { process::install_fault_handlers(); }
    std::vector<u8> saved(u32 record) {
        std::vector<u8> bytes;
        EXPECT_TRUE(records.save(record, bytes));
        return bytes;
    }
    u32 add() {
        return records.operation({}, {.op = Op::add, .type = Type::i64, .a = 5, .b = 6}, {Type::i64, Type::i64, {}});
    }
    u32 shuffle() {
        ir::Unit unit;
        unit.wide = {0x0001020304050607, 0x1011121314151617};
        return records.operation(unit, {.op = Op::vshuffle, .type = Type::v128, .a = 5, .b = 6, .imm = 0},
                                 {Type::v128, Type::v128, {}});
    }
};

TEST_F(SavedRecords, AreTheSameAgain) {
    for (u32 record : {add(), shuffle(), records.intrinsic(call)}) {
        ASSERT_TRUE(records.load(saved(record), guest, number));
        EXPECT_EQ(number, record);
    }
}

TEST_F(SavedRecords, WithTooFewBytesAreNone) {
    for (u32 record : {add(), shuffle(), records.intrinsic(call)})
        for (std::vector<u8> bytes = saved(record); !bytes.empty();) {
            bytes.pop_back();
            EXPECT_FALSE(records.load(bytes, guest, number)) << bytes.size();
        }
}

// Kind, imm, vector_bytes, then op, type, sub, lane, operands, types: each at a place of its own.
TEST_F(SavedRecords, WithFieldsOutOfRangeAreNone) {
    constexpr u32 at_imm = 8, at_vector = 16, at_op = 20, at_type = 21, at_lane = 23, at_operands = 24, at_types = 25;
    auto changed = [&](u32 record, u32 at, u8 to) {
        std::vector<u8> bytes = saved(record);
        bytes[at] = to;
        return records.load(bytes, guest, number);
    };
    for (u32 at : {at_op, at_type, at_lane, at_types, at_types + 1}) EXPECT_FALSE(changed(add(), at, 0xff)) << at;
    EXPECT_FALSE(changed(add(), at_op, u8(Op::br)));
    EXPECT_FALSE(changed(add(), at_operands, 1));         // b is missing
    EXPECT_FALSE(changed(add(), at_types, u8(Type::i8))); // not what is added
    EXPECT_FALSE(changed(add(), at_vector, 3));
    EXPECT_FALSE(changed(add(), at_vector + 1, 2)); // 528 bytes
    EXPECT_FALSE(changed(shuffle(), at_imm, 1));    // its words would end beyond those that there are
}

TEST_F(SavedRecords, OfWhatIsNoIntrinsicAreNone) {
    const std::vector<u8> bytes = saved(records.intrinsic(call));
    for (i64 offset = -4096; offset < 4096; offset += 8) {
        std::vector<u8> b = bytes;
        u64 at;
        std::memcpy(&at, b.data() + 8, 8);
        at += u64(offset);
        std::memcpy(b.data() + 8, &at, 8);
        const bool taken = records.load(b, guest, number);
        EXPECT_TRUE(!taken || offset % i64(sizeof call) == 0 || !offset)
            << offset; // others of this program may be near
        EXPECT_TRUE(taken || offset != 0);
    }
    std::vector<u8> b = bytes;
    std::memset(b.data() + 8, 0xf8, 8);
    EXPECT_FALSE(records.load(b, guest, number));
}

} // namespace
} // namespace mimic::jit::x86
