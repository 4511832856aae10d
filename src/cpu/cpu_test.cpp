#include "base/process.hpp"
#include "cpu/cpu.hpp"
#include "cpu/test_machine.hpp"
#include <atomic>
#include <bit>
#include <csetjmp>
#include <csignal>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

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
    void set_f(u32 n, double v) { cpu->slot64(ir::SlotId(32 + n)) = std::bit_cast<u64>(v); }
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

// A loop of registers that have no host register elsewhere: polls, faults and ordinary exits show each where it belongs.
TEST_P(Engines, ALoopMayHaveARegisterPlanOfItsOwn) {
    program({"addi t3, zero, 1000", "addi t4, zero, 0", "add t4, t4, t3", "add t5, t5, t4", "sd t5, 0(s2)",
             "addi t3, t3, -1", "bne t3, zero, 0x1008", "add t6, t6, s3", "ld t4, 0(t6)", "add t5, t5, t4",
             "bne t6, t3, 0x101c", "ecall"});
    auto other = [](u32 n) { return 0x1111u * n; };
    for (u32 n = 1; n < 32; ++n) cpu->slot64(ir::SlotId(n)) = other(n);
    cpu->slot64(18) = cpu->slot64(31) = 0x8000, cpu->slot64(19) = 0x10000000, cpu->slot64(30) = 0;
    auto others_stay = [&] {
        for (u32 n = 1; n < 32; ++n) {
            bool used = n == 18 || n == 19 || n >= 28;
            if (!used) { EXPECT_EQ(x(n), other(n)) << "x" << n; }
        }
    };
    cpu->kick();
    cpu->run();
    EXPECT_EQ(cpu->header().exit_kind, ir::ExitKind::poll);
    others_stay();
    cpu->clear_kick();
    cpu->run();
    EXPECT_EQ(cpu->header().exit_kind, ir::ExitKind::fault);
    EXPECT_EQ(cpu->header().pc, 0x1020u);
    EXPECT_EQ(x(31) % 0x10000000, 0x8000u);
    EXPECT_EQ(x(28), 0u);
    u64 sum = 0, sums = 0;
    for (u64 n = 1000; n; --n) sum += n, sums += sum;
    EXPECT_EQ(*reinterpret_cast<u64*>(machine.base + 0x8000), sums);
    others_stay();
}

// In either order, with and without a host register, over a changed operand, and as a square.
TEST_P(Engines, BothHalvesOfAProduct) {
    program({"mul a2, a0, a1", "addi a4, a4, 1", "mulhu a3, a1, a0", "mulhu t3, s2, s3", "xor t4, s2, s3",
             "and t5, s2, s3", "or t6, s2, s3", "mul s4, s2, s3", "mul s5, a0, a0", "mulhu s6, a0, a0",
             "mulhu a0, a0, a1", "mul a1, a0, a1", "ecall"});
    const u64 a = cpu->slot64(10) = 0xfedcba9876543210, b = cpu->slot64(11) = 0x123456789abcdeff;
    const u64 c = cpu->slot64(18) = 0xffffffffffffffff, d = cpu->slot64(19) = 0x8000000000000001;
    cpu->run();
    using Wide = unsigned __int128;
    auto low = [](u64 x, u64 y) { return x * y; };
    auto high = [](u64 x, u64 y) { return u64(Wide(x) * y >> 64); };
    EXPECT_EQ(x(12), low(a, b));
    EXPECT_EQ(x(13), high(a, b));
    EXPECT_EQ(x(28), high(c, d));
    EXPECT_EQ(x(29), c ^ d);
    EXPECT_EQ(x(30), c & d);
    EXPECT_EQ(x(31), c | d);
    EXPECT_EQ(x(20), low(c, d));
    EXPECT_EQ(x(21), low(a, a));
    EXPECT_EQ(x(22), high(a, a));
    EXPECT_EQ(x(10), high(a, b));
    EXPECT_EQ(x(11), low(high(a, b), b));
}

// A truth that two instructions use, as a number and narrowed; results over an operand.
TEST_P(Engines, TruthsAreNumbers) {
    program({"sltu a2, a0, a1", "subw a3, zero, a2", "andi a4, a3, 255", "sltu s2, a1, a0", "subw s3, zero, s2",
             "add s4, s2, s2", "sltu a0, a0, a1", "slt a1, a1, a0", "ecall"});
    cpu->slot64(10) = 5, cpu->slot64(11) = ~u64{0};
    for (u32 n : {12u, 18u, 19u, 20u}) cpu->slot64(ir::SlotId(n)) = ~u64{0};
    cpu->run();
    EXPECT_EQ(x(12), 1u);
    EXPECT_EQ(x(13), ~u64{0});
    EXPECT_EQ(x(14), 255u);
    EXPECT_EQ(x(18), 0u);
    EXPECT_EQ(x(19), 0u);
    EXPECT_EQ(x(20), 0u);
    EXPECT_EQ(x(10), 1u);
    EXPECT_EQ(x(11), 1u);
}

// Read, raised, read, and cleared, turn after turn: known flags of the JIT become unknown by a trap at most now and then.
TEST_P(Engines, StickyFlagsAreExactInALoop) {
    program({"csrrw zero, fflags, zero", "csrrs a0, fflags, zero", "fdiv.d f2, f0, f1", "csrrs a1, fflags, zero",
             "fsub.d f3, f4, f5", "csrrs a2, fflags, zero", "add a3, a3, a0", "add a4, a4, a1", "add a5, a5, a2",
             "addi s2, s2, -1", "bne s2, zero, 0x1000", "ecall"});
    constexpr double least_normal = 0x1p-1022;
    set_f(0, 1), set_f(1, 3), set_f(4, least_normal), set_f(5, least_normal / 2); // the difference is exact
    cpu->slot64(18) = 5000;
    cpu->run();
    EXPECT_EQ(cpu->header().exit_kind, ir::ExitKind::trap);
    EXPECT_EQ(x(13), 0u);
    EXPECT_EQ(x(14), 5000u); // inexact
    EXPECT_EQ(x(15), 5000u); // and nothing else
    // The same without traps, which a thread that blocks SIGFPE could not take.
    sigset_t set, old;
    sigemptyset(&set), sigaddset(&set, SIGFPE);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    cpu->header().fp_traps = false;
    cpu->header().pc = 0x1000;
    cpu->slot64(18) = 5000;
    cpu->run();
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
    EXPECT_EQ(x(13), 0u);
    EXPECT_EQ(x(14), 10000u);
    EXPECT_EQ(x(15), 10000u);
}

// An exact subnormal result raises no underflow, though a host that may trap reports one.
TEST_P(Engines, ExactSubnormalsRaiseNothing) {
    program({"csrrs a0, fflags, zero", "fsub.d f3, f4, f5", "csrrs a1, fflags, zero", "fdiv.d f2, f0, f1",
             "fsub.d f3, f4, f5", "csrrs a2, fflags, zero", "csrrw zero, fflags, a0", "csrrs a3, fflags, zero",
             "ecall"});
    set_f(0, 1), set_f(1, 3), set_f(4, 0x1p-1022), set_f(5, 0x1p-1023);
    cpu->run();
    EXPECT_EQ(x(10), 0u);
    EXPECT_EQ(x(11), 0u);
    EXPECT_EQ(x(12), 1u);
    EXPECT_EQ(x(13), 0u);
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

// Nothing in such a loop polls: each turn hits the jump cache.
TEST_P(Engines, AKickLeavesALoopOfIndirectBranches) {
    program({"addi a1, a1, 1", "sd a1, 0(a2)", "jalr zero, 0(a0)"});
    cpu->slot64(10) = 0x1000, cpu->slot64(12) = 0x8000;
    std::thread runner([&] {
        process::SignalStack own;
        cpu->run();
    });
    auto turns = [&] { return __atomic_load_n(reinterpret_cast<u64*>(machine.base + 0x8000), __ATOMIC_RELAXED); };
    while (turns() < 1000) std::this_thread::yield();
    cpu->kick();
    runner.join();
    EXPECT_EQ(cpu->header().exit_kind, ir::ExitKind::poll);
    EXPECT_EQ(x(11), turns());
}

// Unit by unit, vCPUs stay inside from one unit to the next: who waits until they left what was dropped is told all the same.
TEST_P(Engines, WhoAwaitsDroppedCodeGoesOnBesideVcpusThatRunUnitByUnit) {
    machine.assemble(*guest, {"addi a0, a0, 1", "sd a0, 0(a2)", "jal zero, 0x1100"}, 0x1000);
    machine.assemble(*guest, {"addi a1, a1, 1", "jal zero, 0x1000"}, 0x1100);
    space =
        *CodeSpace::create(*guest, machine, {.accel = GetParam(), .guest_base = u64(machine.base), .log = log::exec});
    Cpu first(*space, machine), second(*space, machine);
    std::atomic<bool> over{false};
    auto run = [&](Cpu& one, u64 turns) {
        process::SignalStack own;
        one.header().pc = 0x1000;
        one.slot64(12) = turns;
        while (!over) one.run();
    };
    auto turns = [&](u64 at) { return __atomic_load_n(reinterpret_cast<u64*>(machine.base + at), __ATOMIC_RELAXED); };
    std::thread a(run, std::ref(first), 0x8000), b(run, std::ref(second), 0x8008);
    while (turns(0x8000) == 0 || turns(0x8008) == 0) std::this_thread::yield();
    for (u32 n = 0; n < 100; ++n) {
        const u64 before = turns(0x8000);
        space->invalidate(0x1000, 0x1004);
        space->await_dropped();
        while (turns(0x8000) == before) std::this_thread::yield();
    }
    over = true;
    first.kick(), second.kick();
    a.join(), b.join();
    EXPECT_EQ(first.slot64(10), turns(0x8000));
}

// More code than the memory for it holds, in two vCPUs.
TEST_P(Engines, OldCodeIsGivenUp) {
    constexpr u64 first = 0x1000, last = 0x50000;
    auto add = guest->assemble("addi a0, a0, 1", first, 0);
    for (u64 at = first; at < last; at += 4) std::memcpy(machine.base + at, add->data(), 4);
    machine.assemble(*guest, {"ecall"}, last);
    space = *CodeSpace::create(
        *guest, machine,
        {.accel = GetParam(), .one_insn = true, .code_bytes = 1 << 20, .guest_base = u64(machine.base)});
    auto run = [&] {
        process::SignalStack own;
        Cpu one(*space, machine);
        for (u32 round = 0; round < 2; ++round) {
            one.header().pc = first;
            one.run();
            EXPECT_EQ(one.header().pc, last);
        }
        EXPECT_EQ(one.slot64(10), 2 * (last - first) / 4);
    };
    std::thread other(run);
    run();
    other.join();
    CodeSpace::Counters c = space->counters();
    EXPECT_GT(c.evictions, 4u);
    EXPECT_GT(c.units, 2 * (last - first) / 4);
}

// Guest memory at which a vCPU ends in the middle of code, as a process does that is killed.
struct Deadly final : ir::Access {
    TestMachine& machine;
    std::jmp_buf dead;
    explicit Deadly(TestMachine& m) : machine(m) {}
    bool load(ir::CpuHeader&, u64, void*, u32, const ir::MemArg&) override { std::longjmp(dead, 1); }
    bool store(ir::CpuHeader& c, u64 at, const void* in, u32 n, const ir::MemArg& m) override {
        return machine.store(c, at, in, n, m);
    }
    bool rmw(ir::CpuHeader&, u64, ir::Rmw, u64, u64&, u32, const ir::MemArg&) override { return false; }
    bool cas(ir::CpuHeader&, u64, const void*, const void*, void*, u32, const ir::MemArg&) override { return false; }
    bool probe(ir::CpuHeader&, u64, u64, bool) override { return true; }
    void fence(u32, u32) override {}
};

// Somebody who waits for a region goes on when the vCPU that is inside goes away without having left.
TEST(CodeSpace, AVcpuThatEndsInsideHoldsNoRegion) {
    TestMachine machine;
    process::SignalStack stack;
    auto guest = *isa::find_guest("riscv64")->make("rv64");
    constexpr u64 first = 0x2000, last = 0x50000;
    auto add = guest->assemble("addi a0, a0, 1", first, 0);
    for (u64 at = first; at < last; at += 4) std::memcpy(machine.base + at, add->data(), 4);
    machine.assemble(*guest, {"ecall"}, last);
    machine.assemble(*guest, {"ld a0, 0(a1)"}, 0x1000);
    auto space = *CodeSpace::create(
        *guest, machine,
        {.accel = Accel::interp, .one_insn = true, .code_bytes = 1 << 20, .guest_base = u64(machine.base)});
    Deadly memory(machine);
    auto killed = std::make_unique<Cpu>(*space, memory);
    killed->header().pc = 0x1000;
    if (setjmp(memory.dead) == 0) killed->run();
    std::thread other([&] {
        process::SignalStack own;
        Cpu one(*space, machine);
        one.header().pc = first;
        one.run();
        EXPECT_EQ(one.header().pc, last);
    });
    while (space->counters().waits == 0) std::this_thread::yield();
    killed.reset();
    other.join();
}

// Pages that are written again and again: units of theirs look for themselves, nobody has to tell.
TEST_P(Engines, ABusyPageChecksItsUnits) {
    program({"addi a0, zero, 1", "ecall"});
    for (u32 n = 1; n < 40; ++n) {
        machine.assemble(*guest, {"addi a0, zero, " + std::to_string(n)}, 0x1000);
        if (n < 10) space->invalidate(0x1000, 0x1004); // what a write to a watched page leads to
        cpu->header().pc = 0x1000;
        cpu->run();
        EXPECT_EQ(x(10), n);
    }
    EXPECT_EQ(space->counters().busy_pages, 1u);
    EXPECT_GE(space->counters().stale_units, 29u);
    // Calm: in the end it is a page like others, whose writes are told.
    for (u32 n = 0; n < 10000; ++n) cpu->header().pc = 0x1000, cpu->run();
    machine.assemble(*guest, {"addi a0, zero, 50"}, 0x1000);
    space->invalidate(0x1000, 0x1004);
    cpu->header().pc = 0x1000;
    cpu->run();
    EXPECT_EQ(x(10), 50u);
    EXPECT_LE(space->counters().stale_units, 31u);
}

// Straight code is met once and never translated; a loop is translated at its second turn. Blocks end at calls, so a trap,
// a fault and an indirect branch are met by both engines.
TEST(InterpretFirst, TranslatesWhatIsMetAgain) {
    TestMachine machine;
    process::SignalStack stack;
    auto guest = *isa::find_guest("riscv64")->make("rv64");
    machine.assemble(*guest,
                     {"addi a0, zero, 1000", "addi a1, zero, 0", "jal ra, 0x1020", "bne a0, zero, 0x1008",
                      "sd a1, 0(sp)", "ld a2, 0(sp)", "lui a3, 0x40000", "ld a0, 8(a3)", "add a1, a1, a0",
                      "addi a0, a0, -1", "jalr zero, 0(ra)"},
                     0x1000);
    auto space = *CodeSpace::create(*guest, machine,
                                    {.interpret_first = true, .keep_blocks = 0, .guest_base = u64(machine.base)});
    Cpu cpu(*space, machine);
    cpu.header().pc = 0x1000;
    cpu.slot64(2) = 0x8000;
    cpu.run();
    EXPECT_EQ(cpu.header().exit_kind, ir::ExitKind::fault);
    EXPECT_EQ(cpu.header().pc, 0x101cu);
    EXPECT_EQ(cpu.slot64(12), 500500u);
    CodeSpace::Counters c = space->counters();
    EXPECT_GE(c.interpreted, 3u);
    EXPECT_LE(c.interpreted, 6u);
    EXPECT_GE(c.units, 1u);
    EXPECT_LE(c.guest_insns, 12u);       // the loop, and where it ends
    EXPECT_LE(c.interpreted_insns, 16u); // none of them looped
    cpu.header().pc = 0x1000;
    cpu.slot64(2) = 0x8000;
    cpu.run();
    EXPECT_EQ(space->counters().interpreted, c.interpreted);
    EXPECT_EQ(cpu.slot64(12), 500500u);
}

TEST(InterpretFirst, LeavesALoopOfOneBlockAtItsFirstTurn) {
    TestMachine machine;
    process::SignalStack stack;
    auto guest = *isa::find_guest("riscv64")->make("rv64");
    machine.assemble(*guest, {"addi a0, a0, -1", "bne a0, zero, 0x1000", "ecall"}, 0x1000);
    auto space = *CodeSpace::create(*guest, machine,
                                    {.interpret_first = true, .keep_blocks = 0, .guest_base = u64(machine.base)});
    Cpu cpu(*space, machine);
    cpu.header().pc = 0x1000;
    cpu.slot64(10) = 1000;
    cpu.run();
    EXPECT_EQ(cpu.header().pc, 0x1008u);
    EXPECT_EQ(space->counters().interpreted_insns, 2u);
}

// A request reaches a vCPU whose code is met for the first time, and code that changed is run as it is now.
TEST(InterpretFirst, KeepsNothingOfWhatItRan) {
    TestMachine machine;
    process::SignalStack stack;
    auto guest = *isa::find_guest("riscv64")->make("rv64");
    auto space = *CodeSpace::create(*guest, machine, {.interpret_first = true, .guest_base = u64(machine.base)});
    Cpu cpu(*space, machine);
    for (u32 n = 1; n < 5; ++n) {
        machine.assemble(*guest, {"addi a0, zero, " + std::to_string(n), "ecall"}, 0x1000);
        if (n > 2) space->invalidate(0x1000, 0x1004); // of the first run nothing is known
        cpu.header().pc = 0x1000;
        cpu.kick();
        cpu.run();
        EXPECT_EQ(cpu.header().exit_kind, ir::ExitKind::poll);
        cpu.clear_kick();
        cpu.run();
        EXPECT_EQ(cpu.slot64(10), n);
    }
}

// The first blocks that are met again are kept, for so many runs; those for which there is no room, and what lies in two
// pages, are not.
struct Kept : testing::Test {
    TestMachine machine;
    process::SignalStack stack;
    std::unique_ptr<isa::Guest> guest = *isa::find_guest("riscv64")->make("rv64");
    std::unique_ptr<CodeSpace> space;
    std::unique_ptr<Cpu> cpu;

    void make(u32 keep_blocks, u32 keep_runs) {
        space = *CodeSpace::create(*guest, machine,
                                   {.interpret_first = true,
                                    .keep_blocks = keep_blocks,
                                    .keep_runs = keep_runs,
                                    .guest_base = u64(machine.base)});
        cpu = std::make_unique<Cpu>(*space, machine);
    }
    u64 run(u64 from, u64 turns) {
        cpu->header().pc = from;
        cpu->slot64(10) = turns, cpu->slot64(11) = 0;
        cpu->run();
        return cpu->slot64(11);
    }
};

TEST_F(Kept, BlocksRunSoOftenBeforeTheyAreTranslated) {
    make(4, 3);
    machine.assemble(*guest, {"add a1, a1, a0", "addi a0, a0, -1", "bne a0, zero, 0x1000", "ecall"}, 0x1000);
    EXPECT_EQ(run(0x1000, 5), 15u); // forgotten, kept, taken three times; and the end
    EXPECT_EQ(space->counters().interpreted, 6u);
    EXPECT_EQ(space->counters().units, 0u);
    EXPECT_EQ(run(0x1000, 1000), 500500u);
    EXPECT_EQ(space->counters().interpreted, 6u); // the unit has the end, too
    EXPECT_EQ(space->counters().units, 1u);
}

TEST_F(Kept, OthersAreTranslatedWhenTheyAreMetAgain) {
    make(1, 100);
    for (u64 at : {0x1000, 0x2ffc}) { // a page, and two
        const std::string back = "bne a0, zero, " + std::to_string(at);
        machine.assemble(*guest, {"add a1, a1, a0", "addi a0, a0, -1", back, "ecall"}, at);
    }
    EXPECT_EQ(run(0x2ffc, 20), 210u); // takes the room, for nothing
    EXPECT_EQ(space->counters().interpreted, 2u);
    EXPECT_EQ(run(0x1000, 20), 210u);
    EXPECT_EQ(space->counters().interpreted, 3u);
    EXPECT_EQ(space->counters().units, 2u);
}

TEST_F(Kept, CodeThatChangedIsRunAsItIsNow) {
    make(4, 100);
    for (u32 n = 1; n < 8; ++n) {
        machine.assemble(*guest, {"addi a1, zero, " + std::to_string(n), "ecall"}, 0x1000);
        EXPECT_EQ(run(0x1000, 0), n);
    }
    EXPECT_EQ(space->counters().units, 0u);
}

TEST_F(Kept, BlocksStopAtBreakpoints) {
    make(4, 100);
    machine.assemble(*guest, {"addi a1, zero, 1", "addi a1, zero, 2", "ecall"}, 0x1000);
    for (u32 n = 0; n < 4; ++n) EXPECT_EQ(run(0x1000, 0), 2u);
    space->set_breakpoint(0x1004, true);
    EXPECT_EQ(run(0x1000, 0), 1u);
    EXPECT_TRUE(cpu->stopped_at_breakpoint());
    space->set_breakpoint(0x1004, false);
    EXPECT_EQ(run(0x1000, 0), 2u);
}

// A loop of more instructions than a first unit has: its pieces become one after some turns, and go like any other unit
// when their bytes change.
struct WholeLoops : testing::Test {
    static constexpr u64 head = 0x1000, insns = 100, back = head + 4 * insns;
    TestMachine machine;
    process::SignalStack stack;
    std::unique_ptr<isa::Guest> guest = *isa::find_guest("riscv64")->make("rv64");
    std::unique_ptr<CodeSpace> space;

    void SetUp() override {
        for (u64 at = head; at < back; at += 4) machine.assemble(*guest, {"addi a1, a1, 1"}, at);
        machine.assemble(*guest, {"addi a0, a0, -1", "bne a0, zero, 0x1000", "ecall"}, back);
    }
    void make(u32 whole_after) {
        space = *CodeSpace::create(*guest, machine, {.whole_after = whole_after, .guest_base = u64(machine.base)});
    }
    u64 sum(u64 turns, u64 from = head) {
        process::SignalStack own;
        Cpu cpu(*space, machine);
        cpu.header().pc = from;
        cpu.slot64(10) = turns;
        cpu.run();
        EXPECT_EQ(cpu.header().pc, back + 8);
        return cpu.slot64(11);
    }
};

TEST_F(WholeLoops, AreMadeOfPiecesThatTurnOften) {
    make(50);
    EXPECT_EQ(sum(40), 40 * insns);
    const u64 pieces = space->counters().units;
    EXPECT_GT(pieces, 1u);
    EXPECT_EQ(space->counters().whole_units, 0u);
    EXPECT_EQ(sum(1000), 1000 * insns);
    EXPECT_EQ(space->counters().whole_units, 1u);
    EXPECT_EQ(sum(100000), 100000 * insns); // never again
    EXPECT_EQ(space->counters().units, pieces + 1);
}

// No unit begins at the head then: the last piece goes back inside, and leaves forward.
TEST_F(WholeLoops, AreMadeOfPiecesThatBeginElsewhere) {
    constexpr u64 before = head - 16;
    for (u64 at = before; at < head; at += 4) machine.assemble(*guest, {"addi a1, a1, 0"}, at);
    make(50);
    EXPECT_EQ(sum(40, before), 40 * insns);
    const u64 pieces = space->counters().units;
    EXPECT_EQ(space->counters().whole_units, 0u);
    EXPECT_EQ(sum(1000, before), 1000 * insns);
    EXPECT_EQ(space->counters().whole_units, 1u);
    EXPECT_EQ(sum(100000, before), 100000 * insns);
    EXPECT_EQ(space->counters().units, pieces + 1);
}

TEST_F(WholeLoops, GoWhenTheirCodeChanges) {
    make(50);
    for (u32 k = 2; k < 5; ++k) {
        EXPECT_EQ(sum(1000), 1000 * (insns + k - 2));
        EXPECT_EQ(space->counters().whole_units, k - 1);
        machine.assemble(*guest, {"addi a1, a1, " + std::to_string(k)}, back - 4);
        space->invalidate(back - 4, back);
    }
}

TEST_F(WholeLoops, AreMadeWhileOthersRunThePieces) {
    make(3);
    std::thread other([&] { EXPECT_EQ(sum(20000), 20000 * insns); });
    EXPECT_EQ(sum(20000), 20000 * insns);
    other.join();
    EXPECT_EQ(space->counters().whole_units, 1u);
}

TEST_F(WholeLoops, AreNotMadeWhenNobodyWantsThem) {
    make(0);
    EXPECT_EQ(sum(1000), 1000 * insns);
    EXPECT_EQ(space->counters().whole_units, 0u);
}

// A child whose work is short makes no code: what it ran in common with its parent is there, the rest is interpreted.
TEST(InterpretFirst, AForkedChildIsPatient) {
    TestMachine machine;
    process::SignalStack stack;
    auto guest = *isa::find_guest("riscv64")->make("rv64");
    machine.assemble(*guest, {"add a1, a1, a0", "addi a0, a0, -1", "bne a0, zero, 0x1000", "ecall"}, 0x1000);
    auto space = *CodeSpace::create(*guest, machine, {.interpret_first = true, .guest_base = u64(machine.base)});
    Cpu cpu(*space, machine);
    auto sum = [&](u64 to) {
        cpu.header().pc = 0x1000;
        cpu.slot64(10) = to, cpu.slot64(11) = 0;
        cpu.run();
        return cpu.slot64(11);
    };
    space->before_fork();
    const pid_t child = fork();
    if (child == 0) {
        bool good = bool(space->after_fork_child(cpu));
        good &= sum(20) == 210 && space->counters().units == 0;
        good &= sum(1000) == 500500 && space->counters().units != 0;
        _exit(good ? 0 : 1);
    }
    space->after_fork_parent();
    ASSERT_GT(child, 0);
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(sum(20), 210u);
    EXPECT_NE(space->counters().units, 0u);
}

INSTANTIATE_TEST_SUITE_P(All, Engines, testing::Values(Accel::interp, Accel::jit),
                         [](const auto& which) { return which.param == Accel::jit ? "jit" : "interp"; });

} // namespace
} // namespace mimic::cpu
