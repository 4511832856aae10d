#include "user/linux/table.hpp"
#include <gtest/gtest.h>
#include <set>
#include <string>

namespace mimic::user {
namespace {

TEST(Table, NumbersAndNamesAreUniqueAndFound) {
    std::set<std::string> names;
    std::set<int> generic, x86_64;
    for (const CallRow& row : all_calls()) {
        EXPECT_TRUE(names.insert(row.name).second) << row.name;
        if (row.generic >= 0) {
            EXPECT_TRUE(generic.insert(row.generic).second) << row.name;
            EXPECT_EQ(find_call(*find_abi("riscv64"), u64(row.generic)), &row);
        }
        if (row.x86_64 >= 0) {
            EXPECT_TRUE(x86_64.insert(row.x86_64).second) << row.name;
            EXPECT_EQ(find_call(*find_abi("x86_64"), u64(row.x86_64)), &row);
        }
    }
    EXPECT_GE(generic.size(), 297u);
    EXPECT_EQ(find_call(*find_abi("riscv64"), 999), nullptr);
    EXPECT_EQ(find_call(*find_abi("riscv64"), ~u64(0)), nullptr);
}

TEST(Table, ACallThatIsNotThereSaysWhatProgramsDo) {
    u32 absent = 0;
    for (const CallRow& row : all_calls()) {
        EXPECT_EQ(row.handler == enosys, !call_note(row.name).empty()) << row.name;
        absent += row.handler == enosys;
    }
    constexpr u32 most = 15, absent_in_the_kernel = 3; // lookup_dcookie, nfsservctl, map_shadow_stack
    EXPECT_LE(absent, most + absent_in_the_kernel);
}

TEST(Table, RowsDescribeArgumentsThatExist) {
    for (const CallRow& row : all_calls()) {
        u32 structures = 0, texts = 0;
        for (const Arg& arg : row.args) {
            if (arg.kind == ArgKind::in_bytes || arg.kind == ArgKind::out_bytes) {
                EXPECT_LT(arg.s, 6) << row.name;
                EXPECT_NE(row.args[arg.s].kind, ArgKind::none) << row.name;
            }
            bool structure = arg.kind == ArgKind::in || arg.kind == ArgKind::out || arg.kind == ArgKind::inout;
            if (structure) { EXPECT_LT(arg.s, struct_count) << row.name; }
            structures += structure;
            texts += arg.kind == ArgKind::text || arg.kind == ArgKind::path || arg.kind == ArgKind::lookup ||
                     arg.kind == ArgKind::lookup_link;
            // A row that goes to the kernel as it is must not hold addresses that nobody translates.
            if (row.handler == pass) {
                EXPECT_NE(arg.kind, ArgKind::address) << row.name;
                EXPECT_NE(arg.kind, ArgKind::vector) << row.name;
            }
        }
        if (row.handler == pass) {
            EXPECT_LE(structures, 3u) << row.name;
            EXPECT_LE(texts, 3u) << row.name;
        }
    }
}

TEST(Abis, AreComplete) {
    for (const Abi* abi : abis()) {
        EXPECT_EQ(find_abi(abi->name), abi);
        EXPECT_FALSE(abi->trampoline.empty()) << abi->name;
        EXPECT_TRUE(abi->hwcap && abi->push_frame && abi->pop_frame && abi->cpuinfo) << abi->name;
        EXPECT_LT(abi->pie_base, abi->high) << abi->name;
        EXPECT_NE(abi->cpuinfo("", 2).find("processor\t: 1"), std::string::npos) << abi->name;
    }
    EXPECT_EQ(find_abi("vax"), nullptr);
}

} // namespace
} // namespace mimic::user
