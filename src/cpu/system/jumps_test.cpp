#include "cpu/system/jumps.hpp"
#include <gtest/gtest.h>

namespace mimic::cpu {
namespace {

constexpr u32 shift = 2; // log2 of the instructions' alignment
constexpr u64 page = 4096;

class JumpTables : public ::testing::Test {
protected:
    // What generated code finds for pc, as Lowering::lookup_paged looks; 0: nothing.
    static u64 found(const jit::JumpEntry* table, u64 pc) {
        const jit::JumpEntry& e = table[pc >> shift & (jit::jump_count - 1)];
        return e.pc == pc ? e.code : 0;
    }
    void add(jit::JumpEntry* table, u64 pc, bool reaches_on = false) {
        jumps.add(table, pc, reinterpret_cast<const u8*>(pc + 1), reaches_on);
    }
    Jumps jumps{shift};
};

TEST_F(JumpTables, FindWhatWasAddedUnderItsModeAndContextAlone) {
    jit::JumpEntry* kernel = jumps.select(1, 0);
    for (u64 pc : {u64{0}, u64{4}, 7 * page, ~u64{3}}) {
        EXPECT_EQ(found(kernel, pc), 0u);
        add(kernel, pc);
        EXPECT_EQ(found(kernel, pc), pc + 1);
        EXPECT_EQ(found(jumps.none(), pc), 0u);
    }
    EXPECT_EQ(found(jumps.select(0, 0), 7 * page), 0u);
    EXPECT_EQ(found(jumps.select(1, 5), 7 * page), 0u);
    EXPECT_EQ(jumps.select(1, 0), kernel);
    EXPECT_EQ(found(kernel, 7 * page), 7 * page + 1);
}

TEST_F(JumpTables, ForgetAPlaceInAllPagesThatShowIt) {
    jit::JumpEntry *one = jumps.select(0, 1), *other = jumps.select(0, 2);
    add(one, 3 * page + 8), add(other, 900 * page + 8), add(other, 900 * page + 12);
    jumps.forget(8);
    EXPECT_EQ(found(one, 3 * page + 8), 0u);
    EXPECT_EQ(found(other, 900 * page + 8), 0u);
    EXPECT_EQ(found(other, 900 * page + 12), 900 * page + 13);
}

TEST_F(JumpTables, LoseThePageThatIsFlushedAndNoOther) {
    jit::JumpEntry* t = jumps.select(0, 1);
    const u64 alike = 5 * page + 1024 * page; // notes take it for page 5
    add(t, 5 * page), add(t, 6 * page - 4), add(t, 6 * page), add(t, alike + 64);
    jumps.flush_address(5 * page + 123);
    EXPECT_EQ(found(t, 5 * page), 0u);
    EXPECT_EQ(found(t, 6 * page - 4), 0u);
    EXPECT_EQ(found(t, 6 * page), 6 * page + 1);
    EXPECT_EQ(found(t, alike + 64), alike + 65);
}

TEST_F(JumpTables, LoseWhatReachesIntoThePageThatIsFlushed) {
    jit::JumpEntry* t = jumps.select(0, 1);
    add(t, 6 * page - 4, true), add(t, 5 * page);
    jumps.flush_address(6 * page);
    EXPECT_EQ(found(t, 6 * page - 4), 0u);
    EXPECT_EQ(found(t, 5 * page), 5 * page + 1);
}

// Wherever in the page it is, and where addresses end and begin.
TEST_F(JumpTables, LoseEveryPlaceOfThePageThatIsFlushed) {
    for (u64 first : {5 * page, u64{0}, 0 - page}) {
        for (u64 offset = 0; offset < page; offset += 52) {
            jit::JumpEntry* t = jumps.select(0, offset);
            add(t, first + offset), add(t, first + page), add(t, first - page);
            jumps.flush_address(first + page / 2);
            EXPECT_EQ(found(t, first + offset), 0u) << first << " " << offset;
            EXPECT_NE(found(t, first + page), 0u);
            EXPECT_NE(found(t, first - page), 0u);
            jumps.flush();
        }
    }
}

TEST_F(JumpTables, LoseAContextOrAll) {
    jit::JumpEntry *one = jumps.select(0, 1), *other = jumps.select(0, 2);
    constexpr u64 step = 52, high = 4 * jit::jump_count;
    for (u64 pc = 0; pc < high; pc += step) add(one, pc), add(other, pc);
    jumps.flush_context(1);
    for (u64 pc = 0; pc < high; pc += step) EXPECT_EQ(found(one, pc), 0u);
    EXPECT_EQ(found(other, step), step + 1);
    jumps.flush();
    for (u64 pc = 0; pc < high; pc += step) EXPECT_EQ(found(other, pc), 0u);
}

TEST_F(JumpTables, TakeTheOldestTableForANewContext) {
    jit::JumpEntry* first = jumps.select(0, 1000);
    add(first, 8);
    for (u64 context = 0; context < 100; ++context) {
        jit::JumpEntry* t = jumps.select(0, context);
        EXPECT_EQ(found(t, 8), 0u);
        add(t, 8);
    }
    EXPECT_EQ(found(jumps.select(0, 1000), 8), 0u);
}

} // namespace
} // namespace mimic::cpu
