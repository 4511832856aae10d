#include "base/process.hpp"
#include "cpu/cpu.hpp"
#include "cpu/test_machine.hpp"
#include <gtest/gtest.h>

namespace mimic::cpu {
namespace {

struct Engines : testing::TestWithParam<Accel> {
    TestMachine machine;
    process::SignalStack stack;
    std::unique_ptr<isa::Guest> guest = *isa::find_guest("riscv64")->make("rv64");
    std::unique_ptr<CodeSpace> space;
    std::unique_ptr<Cpu> cpu;

    void program(std::initializer_list<std::string_view> lines, u64 at = 0x1000) {
        machine.assemble(*guest, lines, at);
        space = *CodeSpace::create(*guest, machine, {.accel = GetParam(), .guest_base = u64(machine.base)});
        cpu = std::make_unique<Cpu>(*space, machine);
        cpu->header().pc = 0x1000;
    }
    u64 x(u32 n) { return cpu->slot64(ir::SlotId(n)); }
};

TEST_P(Engines, RunALoopToItsTrap) {
    program({"addi a0, zero, 1000", "addi a1, zero, 0", "add a1, a1, a0", "addi a0, a0, -1", "bne a0, zero, 0x1008",
             "ecall"});
    cpu->run();
    EXPECT_EQ(cpu->header().exit_kind, ir::ExitKind::trap);
    EXPECT_EQ(ir::TrapKind(cpu->header().exit_arg & 0xff), ir::TrapKind::syscall);
    EXPECT_EQ(cpu->header().pc, 0x1014u);
    EXPECT_EQ(x(11), 500500u);
}

TEST_P(Engines, CallsReturnThroughTheJumpCache) {
    program({"addi s0, zero, 100", "jal ra, 0x1018", "addi s0, s0, -1", "bne s0, zero, 0x1004", "ecall", "ecall",
             "addi a0, a0, 3", "jalr zero, 0(ra)"});
    cpu->run();
    EXPECT_EQ(cpu->header().pc, 0x1010u);
    EXPECT_EQ(x(10), 300u);
}

TEST_P(Engines, AFaultShowsTheStateAtTheInstructionsStart) {
    program({"addi a0, zero, 7", "lui a1, 0x40000", "addi a0, a0, 1", "ld a0, 8(a1)", "addi a0, a0, 1"});
    cpu->run();
    EXPECT_EQ(cpu->header().exit_kind, ir::ExitKind::fault);
    EXPECT_EQ(cpu->header().pc, 0x100cu);
    EXPECT_EQ(x(10), 8u);
    if (GetParam() == Accel::interp) { EXPECT_EQ(cpu->header().fault_address, 0x40000008u); }
}

TEST_P(Engines, APollLeavesAnEndlessLoop) {
    program({"addi a0, a0, 1", "jal zero, 0x1000"});
    cpu->kick();
    cpu->run();
    EXPECT_EQ(cpu->header().exit_kind, ir::ExitKind::poll);
    EXPECT_EQ(cpu->header().pc, 0x1000u);
}

TEST_P(Engines, InvalidatedCodeIsTranslatedAnew) {
    program({"addi a0, zero, 1", "ecall"});
    cpu->run();
    EXPECT_EQ(x(10), 1u);
    auto bytes = guest->assemble("addi a0, zero, 2", 0x1000, 0);
    std::memcpy(machine.base + 0x1000, bytes->data(), 4);
    space->invalidate(0x1000, 0x1004);
    cpu->header().pc = 0x1000;
    cpu->run();
    EXPECT_EQ(x(10), 2u);
}

INSTANTIATE_TEST_SUITE_P(All, Engines, testing::Values(Accel::interp, Accel::jit),
                         [](const auto& which) { return which.param == Accel::jit ? "jit" : "interp"; });

} // namespace
} // namespace mimic::cpu
