#include "isa/shapes/programs.hpp"

namespace mimic::isa {
namespace {

using TestGuests = Programs;

// ---- test-be32

TEST_F(TestGuests, Be32LoopsAndCalls) {
    run("test-be32", R"(
        addiu a0,zero,10
        addiu v0,zero,0
    loop:
        addu v0,v0,a0
        bgtz a0,loop
        addiu a0,a0,-1
        jal double
        ori v1,v0,0x0
    end:
        syscall
    double:
        jr ra
        addu v0,v0,v0
    )");
    expect_trap(ir::TrapKind::syscall, "end");
    expect({{"v0", 110}, {"v1", 55}, {"a0", 0xffffffff}, {"ra", program.labels.at("end")}});
}

TEST_F(TestGuests, Be32LikelyBranchesAnnulTheirSlot) {
    run("test-be32", R"(
        addiu a0,zero,3
    loop:
        addiu a0,a0,-1
        bnel a0,zero,loop
        addiu a1,a1,1
        beql a0,zero,on
        addiu a2,a2,1
    on:
        bltzl a0,on
        addiu a3,a3,1
        bgezal a0,end
        addiu t0,ra,0
        break
    end:
        syscall 0x7
    )");
    expect_trap(ir::TrapKind::syscall, "end");
    expect({{"a0", 0}, {"a1", 2}, {"a2", 1}, {"a3", 0}, {"t0", program.labels.at("end") - 4}});
    EXPECT_EQ(machine->cpu().fault_address, 7u);
}

TEST_F(TestGuests, Be32MultipliesAndDivides) {
    run("test-be32", R"(
        lui a0,0xffff
        addiu a1,zero,-7
        mult a0,a1
        mfhi t0
        mflo t1
        multu a0,a1
        mfhi t2
        addiu a2,zero,2
        div zero,a1,a2
        mfhi t3
        mflo t4
        divu zero,a1,a2
        mflo t5
        sra t6,a1,0x1
        srl t7,a1,0x1c
        slt s0,a1,a2
        sltu s1,a1,a2
        nor s2,zero,zero
    end:
        syscall
    )");
    expect_trap(ir::TrapKind::syscall, "end");
    expect({{"t0", 0}, {"t1", 0x70000}, {"t2", 0xfffefff9}, {"t3", 0xffffffff}, {"t4", 0xfffffffd}});
    expect({{"t5", 0x7ffffffc}, {"t6", 0xfffffffc}, {"t7", 15}, {"s0", 1}, {"s1", 0}, {"s2", 0xffffffff}});
}

// lwl and lwr take a word from any address, swl and swr put it.
TEST_F(TestGuests, Be32UnalignedWords) {
    for (u32 offset : {0, 1, 2, 3}) {
        run("test-be32", R"(
            addiu v0,zero,-1
            lwl v0,0(a0)
            lwr v0,3(a0)
            swl v0,16(a0)
            swr v0,19(a0)
            lb t0,3(a0)
            lbu t1,3(a0)
            sh t1,32(a1)
            lhu t2,32(a1)
        end:
            syscall
        )",
            [&](Machine& m) {
                m.set_slot("a0", 0x2000 + offset), m.set_slot("a1", 0x2000);
                for (u32 k = 0; k < 16; ++k) m.ram()[0x2000 + k] = u8(0xc0 + k), m.ram()[0x2010 + k] = 0x11;
            });
        expect_trap(ir::TrapKind::syscall, "end");
        u32 v = 0xc0c1c2c3 + 0x01010101 * offset;
        expect({{"v0", v}, {"t0", 0xffffffc3 + offset}, {"t1", 0xc3 + offset}, {"t2", 0xc3 + offset}});
        EXPECT_EQ(be32(0x2010 + offset), v);
        EXPECT_EQ(machine->ram()[0x2010 + offset + 4], 0x11);
        EXPECT_EQ(machine->ram()[0x200f + offset], offset ? 0x11 : 0xcf);
    }
}

TEST_F(TestGuests, Be32OverflowTrapsAndKeepsTheDestination) {
    run("test-be32", R"(
        lui a0,0x7fff
        ori a0,a0,0xffff
        addiu a1,a0,1
    bad:
        addi v0,a0,1
        syscall
    )",
        [](Machine& m) { m.set_slot("v0", 99); });
    expect_trap(ir::TrapKind::overflow, "bad");
    expect({{"v0", 99}, {"a1", 0x80000000}});
}

// The pc of a fault in a delay slot is the branch's; running on from there runs the branch again.
TEST_F(TestGuests, Be32FaultInADelaySlotReportsTheBranch) {
    run("test-be32", R"(
        addiu a1,zero,1
    branch:
        bne a1,zero,there
        lw v0,0(a0)
        break
    there:
        syscall
    )",
        [](Machine& m) { m.set_slot("a0", 0x20000); });
    expect_fault(ir::FaultKind::read, 0x20000, "branch", 1);
    machine->set_slot("a0", 0x1000);
    machine->run();
    expect_trap(ir::TrapKind::syscall, "there");
    expect({{"v0", 0x24050001}});
}

TEST_F(TestGuests, Be32TrapsInADelaySlotReportTheBranch) {
    run("test-be32", R"(
        lui a0,0x8000
    branch:
        j there
        sub v0,zero,a0
    there:
        syscall
    )");
    expect_trap(ir::TrapKind::overflow, "branch", 1);
    run("test-be32", "branch:\n j branch\n jr ra\n");
    expect_trap(ir::TrapKind::illegal, "branch", 1);
}

TEST_F(TestGuests, Be32AddressesMustBeAligned) {
    run("test-be32", "bad:\n lw v0,2(zero)\n syscall\n");
    expect_fault(ir::FaultKind::misaligned, 2, "bad");
    run("test-be32", "bad:\n sh v0,-1(zero)\n syscall\n");
    expect_fault(ir::FaultKind::misaligned, 0xffffffff, "bad");
}

TEST_F(TestGuests, Be32IllegalAndUnreadableCode) {
    run("test-be32", "nop\nbad:\n.word 0xfc000000\n");
    expect_trap(ir::TrapKind::illegal, "bad");
    // The last word of RAM is a branch: its slot cannot be fetched.
    run("test-be32", "jr a0\nnop\n", [](Machine& m) {
        m.set_slot("a0", 0xfffc);
        for (u32 k = 0; k < 4; ++k) m.ram()[0xfffc + k] = u8(0x10000000u >> (24 - 8 * k));
    });
    EXPECT_EQ(machine->trap(), ir::TrapKind::fetch_fault);
    EXPECT_EQ(machine->cpu().pc, 0xfffcu);
    EXPECT_EQ(machine->cpu().fault_address, 0x10000u);
    run("test-be32", "jr a0\nnop\n", [](Machine& m) { m.set_slot("a0", 0x10000); });
    EXPECT_EQ(machine->trap(), ir::TrapKind::fetch_fault);
    EXPECT_EQ(machine->cpu().pc, 0x10000u);
    // What stands where no instruction can begin is not looked at, mapped or not.
    for (u64 to : {u64{0x1002}, u64{0x10003}}) {
        run("test-be32", "jr a0\nnop\n", [=](Machine& m) { m.set_slot("a0", to); });
        EXPECT_EQ(machine->trap(), ir::TrapKind::misaligned_fetch);
        EXPECT_EQ(machine->cpu().pc, to);
        EXPECT_EQ(machine->cpu().fault_address, to);
    }
}

// ---- test-vl

TEST_F(TestGuests, VlSumsAnArrayAndSortsIt) {
    run("test-vl", R"(
        movi r1, 0x2000
        movi r2, 0
        movi r0, 0
    sum:
        ldx r3, [r1 + r2 << 3 + 0]
        add r0, r3
        addi r2, r2, 1
        addi r4, r2, -8
        b.ne sum
    outer:
        movi r2, 7
        movi r5, 0
        mov r6, r1
    inner:
        ld r3, [r6 + 0]
        ld r4, [r6 + 8]
        cmp r4, r3
        b.ge ordered
        st r4, [r6 + 0]
        st r3, [r6 + 8]
        movi r5, 1
    ordered:
        addi r6, r6, 8
        addi r2, r2, -1
        b.ne inner
        bnz r5, outer
    end:
        sys 3
    )",
        [](Machine& m) {
            const i64 values[8] = {5, -3, 9, 0, 1 << 20, -77, 5, 2};
            std::memcpy(m.ram().data() + 0x2000, values, sizeof values);
        });
    expect_trap(ir::TrapKind::syscall, "end");
    const i64 sorted[8] = {-77, -3, 0, 2, 5, 5, 9, 1 << 20};
    EXPECT_EQ(0, std::memcmp(machine->ram().data() + 0x2000, sorted, sizeof sorted));
    expect({{"r0", (1 << 20) - 59}});
    EXPECT_EQ(machine->cpu().fault_address, 3u);
}

TEST_F(TestGuests, VlConditionCodes) {
    run("test-vl", R"(
        movi r0, -1
        movi r1, 1
        add r0, r1
        movi r2, 0
        adc r2, r2
        movi r3, 0
        sub r3, r1
        movi r4, 10
        sbb r4, r1
        lsl r5, r1, 63
        cmp r5, r1
        b.lt signed
        sys 1
    signed:
        b.hi unsigned
        sys 2
    unsigned:
        b.vs overflow
        sys 3
    overflow:
        (vs) add r6, r1, r1
        (vc) add r7, r1, r1
        and r5, r5
        b.mi end
        b.al end
        b.nv end
    end:
        sys 0
    )");
    expect_trap(ir::TrapKind::syscall, "end");
    expect({{"r0", 0}, {"r2", 1}, {"r3", ~u64{0}}, {"r4", 8}, {"r6", 2}, {"r7", 0}});
}

TEST_F(TestGuests, VlFileIsIndexedAndTurns) {
    run("test-vl", R"(
        movi r1, 60
        turn r2, r1
        setw w0, 100
        setw w5, 105
        movi r3, 0x7fffffff
        putw w15, r3
        movi r1, 4
        turn r2, r1
        getw r4, w1
        getw r5, w11
        getw r6, w12
        movi r7, 1
        turn r2, r7
        getw r8, w0
    end:
        brk
    )");
    expect_trap(ir::TrapKind::breakpoint, "end");
    expect({{"r4", 105}, {"r5", 0x7fffffff}, {"r6", 0}, {"r8", 105}, {"r2", 0}, {"base", 1}});
    EXPECT_EQ(machine->slot("file", 60), 100u);
    EXPECT_EQ(machine->slot("file", 1), 105u);
}

TEST_F(TestGuests, VlPredicatedLoadTouchesNothingWhenItsConditionFails) {
    run("test-vl", R"(
        movi r1, 0x40000000
        cmp r1, r1
        (ne) ld r2, [r1 + 4]
    bad:
        (eq) ld r2, [r1 + 4]
        sys 0
    )");
    expect_fault(ir::FaultKind::read, 0x40000004, "bad");
}

TEST_F(TestGuests, VlCallsStackAndAtomics) {
    run("test-vl", R"(
        movi r15, 0x3000
        movi r1, 5
        movi r9, 0x2000
        call factorial
        mov r4, r0
        st r4, [r9 + 0]
        xadd r4, [r9 + 0]
        movi r5, 9
        swap r5, [r9 + 0]
        div r5, r1
    end:
        sys 0
    factorial:
        movi r0, 1
        bz r1, base
        push r14
        push r1
        addi r1, r1, -1
        call factorial
        pop r1
        pop r14
        mul r0, r1
    base:
        ret
    )");
    expect_trap(ir::TrapKind::syscall, "end");
    expect({{"r0", 120}, {"r4", 120}, {"r5", 48}, {"r15", 0x3000}});
    EXPECT_EQ(machine->ram()[0x2000], 9);
}

TEST_F(TestGuests, VlTraps) {
    run("test-vl", "movi r1, 7\nmovi r2, 0\nbad:\ndiv r1, r2\nsys 0\n");
    expect_trap(ir::TrapKind::divide, "bad");
    expect({{"r1", 7}});
    run("test-vl", "nop\nbad:\n.word 0x0000ffff\n");
    expect_trap(ir::TrapKind::illegal, "bad");
    // A six-byte instruction of which the last RAM bytes hold four.
    run("test-vl", "movi r1, 0xfffc\njmp r1\n", [](Machine& m) { m.ram()[0xfffd] = 0xc0; });
    EXPECT_EQ(machine->trap(), ir::TrapKind::fetch_fault);
    EXPECT_EQ(machine->cpu().pc, 0xfffcu);
}

} // namespace
} // namespace mimic::isa
