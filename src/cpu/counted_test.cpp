#include "base/process.hpp"
#include "cpu/counted.hpp"
#include "cpu/test_machine.hpp"

namespace mimic::cpu {
namespace {

struct Counted : testing::TestWithParam<Accel> {
    TestMachine machine;
    process::SignalStack stack;
    std::unique_ptr<isa::Guest> guest = *isa::find_guest("riscv64")->make("rv64");
    std::unique_ptr<CodeSpace> space, single;
    std::unique_ptr<Cpu> cpu, stepped;

    void program(std::span<const std::string_view> lines) {
        u64 at = 0x1000;
        for (std::string_view line : lines) at = machine.assemble(*guest, {line}, at);
        const Options o{.accel = GetParam(), .counted = true, .guest_base = u64(machine.base)};
        space = *CodeSpace::create(*guest, machine, o);
        single = *CodeSpace::create(*guest, machine, o);
        cpu = std::make_unique<Cpu>(*space, machine);
        stepped = std::make_unique<Cpu>(*single, machine);
        cpu->header().pc = stepped->header().pc = 0x1000;
    }
    void program(std::initializer_list<std::string_view> lines) { program(std::span(lines.begin(), lines.size())); }
    void same(u64 count) {
        ASSERT_EQ(cpu->header().pc, stepped->header().pc) << "after " << count;
        for (u32 n = 0; n < 32; ++n)
            ASSERT_EQ(cpu->slot64(ir::SlotId(n)), stepped->slot64(ir::SlotId(n))) << "x" << n << " after " << count;
    }
};

// A loop with a branch inside, calls that return through a register, a conditional that joins.
constexpr std::string_view busy[] = {
    "addi s0, zero, 2000",  // 1000
    "andi a1, s0, 3",       // 1004
    "beq a1, zero, 0x1014", // 1008
    "add a0, a0, s0",       // 100c
    "xori a0, a0, 85",      // 1010
    "jal ra, 0x1028",       // 1014
    "addi s0, s0, -1",      // 1018
    "bne s0, zero, 0x1004", // 101c
    "addi s0, zero, 5",     // 1020
    "jal zero, 0x1004",     // 1024
    "slli a2, a0, 1",       // 1028
    "add a3, a3, a2",       // 102c
    "jalr zero, 0(ra)",     // 1030
};

TEST_P(Counted, CodeLeavesWhenItsBudgetIsUsedUpWhereverThatIs) {
    program(busy);
    u64 count = 0;
    for (u64 budget = 1; budget < 60; ++budget) {
        cpu->header().budget = i64(budget);
        cpu->run();
        count += budget;
        EXPECT_EQ(cpu->header().exit_kind, ir::ExitKind::poll);
        EXPECT_EQ(cpu->header().budget, 0);
        EXPECT_EQ(cpu->header().behind, 0u);
        stepped->header().budget = i64(budget);
        for (u64 n = 0; n < budget; ++n) stepped->step_instruction();
        EXPECT_EQ(stepped->header().budget, 0);
        same(count);
    }
}

TEST_P(Counted, AKickChangesNothingOfWhatFollows) {
    program(busy);
    u64 count = 0;
    for (u32 round = 0; round < 50; ++round) {
        const u64 budget = 1000 + round;
        cpu->header().budget = i64(budget);
        while (cpu->header().budget) {
            cpu->kick();
            cpu->run();
            cpu->clear_kick();
            cpu->run();
        }
        count += budget;
    }
    stepped->header().budget = i64(count);
    for (u64 n = 0; n < count; ++n) stepped->step_instruction();
    same(count);
}

TEST_P(Counted, AnInstructionThatTrapsCounts) {
    program({"addi a0, zero, 1", "addi a0, a0, 1", "ecall", "addi a0, a0, 1"});
    cpu->header().budget = 10;
    cpu->run();
    EXPECT_EQ(cpu->header().exit_kind, ir::ExitKind::trap);
    EXPECT_EQ(cpu->header().pc, 0x1008u);
    EXPECT_EQ(cpu->header().budget, 7);
}

TEST_P(Counted, WhatIsBehindAFaultWasNotBegun) {
    program({"addi a0, zero, 1", "amoadd.d a1, a0, (a0)", "addi a0, a0, 1", "addi a0, a0, 1", "ecall"});
    cpu->header().budget = 10;
    cpu->run(); // misaligned
    EXPECT_EQ(cpu->header().exit_kind, ir::ExitKind::fault);
    EXPECT_EQ(cpu->header().pc, 0x1004u);
    EXPECT_EQ(cpu->header().budget, 8);
    EXPECT_EQ(cpu->header().behind, 0u);
}

// Its body and what follows it lie in one block of IR unless time is counted.
TEST_P(Counted, ABudgetMayEndBehindAnInstructionWithABranchInside) {
    program({"addi a1, zero, 64", "sc.d a2, a0, (a1)", "addi a0, a0, 1", "sc.d a2, a0, (a1)", "addi a0, a0, 1",
             "jal zero, 0x1004"});
    for (u64 count = 1; count < 40; ++count) {
        cpu->header().budget = stepped->header().budget = 1 + i64(count % 3);
        cpu->run();
        while (stepped->header().budget) stepped->step_instruction();
        same(count);
    }
}

INSTANTIATE_TEST_SUITE_P(Both, Counted, testing::Values(Accel::jit, Accel::interp),
                         [](auto& p) { return p.param == Accel::jit ? "jit" : "interp"; });

TEST(CountedClock, TimeIsCountShiftedAndJumpsWhenAllWait) {
    CountedClock clock({.shift = 3});
    clock.bind();
    ir::CpuHeader cpu;
    cpu.budget = 100;
    clock.begin(cpu, 100);
    EXPECT_EQ(clock.now(), 0u);
    cpu.budget = 40, cpu.behind = 10; // the block was paid for, and ten of it are still to come
    EXPECT_EQ(clock.count(), 50u);
    EXPECT_EQ(clock.now(), 400u);
    cpu.behind = 0;
    EXPECT_EQ(clock.end(), 60u);
    EXPECT_EQ(clock.until(481), 1u);
    EXPECT_EQ(clock.until(489), 2u);
    EXPECT_EQ(clock.until(~u64{0} - 1), (~u64{0} - 482) / 8 + 1);
    clock.advance_to(10000);
    EXPECT_EQ(clock.now(), 10000u);
    clock.advance_to(9000); // never back
    EXPECT_EQ(clock.now(), 10000u);
    clock.set_shift(0);
    cpu.budget = 8;
    clock.begin(cpu, 8);
    cpu.budget = 0;
    EXPECT_EQ(clock.now(), 10008u);
    EXPECT_EQ(clock.end(), 8u);
    clock.set(5, 7);
    EXPECT_EQ(clock.now(), 5u);
    EXPECT_EQ(clock.count(), 7u);
}

} // namespace
} // namespace mimic::cpu
