#include "isa/shapes/programs.hpp"

namespace mimic::isa {
namespace {

using ShapePrograms = Programs;

TEST_F(ShapePrograms, M68kSumsWordsThroughAPointer) {
    run("shape-m68k", R"(
        lea table,%a0
        lea 0x2000,%a1
        movew #3,%d1
        movel #0,%d0
    loop:
        addw %a0@+,%d0
        movew %d0,%a1@+
        dbf %d1,loop
        addiw #5,0x2000
        movel %a1@(-4),%d2
        movew #2,%d3
        addw %a0@(-6,%d3:w),%d4
    end:
        trap #0
    table:
        .word 0x00010002
        .word 0x00030004
    )");
    expect_trap(ir::TrapKind::syscall, "end");
    expect({{"d0", 10}, {"d1", 0xffff}, {"d2", 0x0006000a}, {"a1", 0x2008}, {"d4", 3}});
    EXPECT_EQ(be32(0x2000), 0x00060003u);
}

// The address register of a faulting instruction has not moved.
TEST_F(ShapePrograms, M68kPostincrementComesAfterTheFault) {
    run("shape-m68k", R"(
        lea 0xfffffff0,%a0
        lea 0x2000,%a1
    bad:
        movew %a1@+,%a0@+
        trap #0
    )");
    expect_fault(ir::FaultKind::write, 0xfffffff0, "bad");
    expect({{"a0", 0xfffffff0}, {"a1", 0x2000}});
}

TEST_F(ShapePrograms, ThumbItBlockActsByItsConditionAndLeavesFlagsAlone) {
    for (u64 r0 : {5, 6}) {
        run("shape-thumb", R"(
            cmp r0, #5
            itte ne
            .mode 0x1a
            movne r1, #1
            .mode 0x14
            addne r2, r1, r1
            .mode 0x08
            moveq r1, #9
            .mode 0
            beq.n equal
            movs r3, #1
        equal:
            svc 0
        )",
            [&](Machine& m) { m.set_slot("r0", r0); });
        expect_trap(ir::TrapKind::syscall, "equal");
        if (r0 == 5)
            expect({{"r1", 9}, {"r2", 0}, {"r3", 0}});
        else
            expect({{"r1", 1}, {"r2", 2}, {"r3", 1}});
    }
}

// A fault inside the block leaves ITSTATE in the mode bits, and running on from there goes on as if nothing had been.
TEST_F(ShapePrograms, ThumbFaultInsideAnItBlockKeepsItsState) {
    run("shape-thumb", R"(
        cmp r0, #0
        itt eq
        .mode 0x04
    bad:
        ldreq r1, [r2, #0]
        .mode 0x08
        moveq r3, #7
        .mode 0
    end:
        svc 0
    )",
        [](Machine& m) { m.set_slot("r2", 0x80000000); });
    expect_fault(ir::FaultKind::read, 0x80000000, "bad", 0x04);
    machine->set_slot("r2", 0x1000);
    machine->run();
    expect_trap(ir::TrapKind::syscall, "end");
    expect({{"r3", 7}});
}

TEST_F(ShapePrograms, SparcDelaySlotsAndAnnulment) {
    run("shape-sparc", R"(
        add %g0, 3, %o0
    loop:
        add %o1, %o0, %o1
        subcc %o0, 1, %o0
        bne loop
        add %o2, 1, %o2
        cmp %o0, 0
        bne,a away
        add %o3, 1, %o3
        be,a on
        add %o3, 2, %o3
    on:
        b,a over
        add %o3, 4, %o3
    over:
        call sub
        add %g0, 8, %o4
    end:
        ta 0
    sub:
        retl
        add %o4, 1, %o4
    away:
        ta 1
    )");
    expect_trap(ir::TrapKind::syscall, "end");
    expect({{"o0", 0}, {"o1", 6}, {"o2", 3}, {"o3", 2}, {"o4", 9}});
}

TEST_F(ShapePrograms, SparcFaultInADelaySlotKeepsPcAndNpc) {
    run("shape-sparc", R"(
        cmp %g0, 0
        be target
    slot:
        ld [ %o0 + 4 ], %o1
        ta 1
    target:
        ta 0
    )",
        [](Machine& m) { m.set_slot("o0", 0x40000000); });
    expect_fault(ir::FaultKind::read, 0x40000004, "slot", 1);
    expect({{"npc", program.labels.at("target")}});
    machine->set_slot("o0", 0x1000);
    machine->run();
    expect_trap(ir::TrapKind::syscall, "target");
}

// B.21's example: a branch in the slot of a branch; the instruction at the first target runs once.
TEST_F(ShapePrograms, SparcDelayedCouple) {
    run("shape-sparc", R"(
        b first
        b second
        ta 1
    first:
        add %o0, 1, %o0
        ta 2
    second:
        ta 0
    )");
    expect_trap(ir::TrapKind::syscall, "second");
    expect({{"o0", 1}});
}

TEST_F(ShapePrograms, SparcWindowsNest) {
    run("shape-sparc", R"(
        add %g0, 5, %o0
        add %g0, 77, %l0
        call sum
        nop
    end:
        ta 0
    sum:
        save %sp, -96, %sp
        cmp %i0, 0
        be done
        add %g0, 0, %o1
        call sum
        add %i0, -1, %o0
        add %i0, %o0, %i0
    done:
        ret
        restore
    )",
        [](Machine& m) { m.set_slot("sp", 0x8000); });
    expect_trap(ir::TrapKind::syscall, "end");
    expect({{"o0", 15}, {"l0", 77}, {"sp", 0x8000}, {"cwp", 0}});
}

TEST_F(ShapePrograms, SparcWindowOverflowTraps) {
    run("shape-sparc", R"(
    bad:
        save %sp, -96, %sp
        ta 0
    )",
        [](Machine& m) { m.set_slot("wim", 1u << 7), m.set_slot("sp", 0x8000); });
    expect_trap(ir::TrapKind::guest, "bad");
    expect({{"sp", 0x8000}, {"cwp", 0}});
}

TEST_F(ShapePrograms, S390xLoop) {
    run("shape-s390x", R"(
        lgfi %r1,10
        lgfi %r2,0
        lgfi %r3,table
    loop:
        ar %r2,%r1
        brct %r1,loop
        jh positive
        svc 1
    positive:
        lg %r4,0(%r1,%r3)
        l %r5,4(%r3)
        stg %r2,-8(%r1,%r6)
        mvc 1(5,%r6),0(%r6)
    end:
        svc 0
    table:
        .word 0x01020304
        .word 0x05060708
    )",
        [](Machine& m) { m.set_slot("r6", 0x2000), m.ram()[0x2000] = 9; });
    expect_trap(ir::TrapKind::syscall, "end");
    expect({{"r2", 55}, {"r4", 0x0102030405060708}, {"r5", 0x05060708}, {"cc", 2}});
    EXPECT_EQ(be32(0x1ffc), 55u);
    EXPECT_EQ(be32(0x2002), 0x09090909u);
}

TEST_F(ShapePrograms, HexagonPacketReadsBeforeItWrites) {
    run("shape-hexagon", R"(
        { r0 = #1; r1 = #2; r4 = #0 }
        { r0 = r1; r1 = r0 }
        { p0 = cmp.eq(r0,r1); if (p0) jump:nt wrong; r2 = add(r0,r1) }
        { if (!p0) r3 = add(r2,r2); p0 = cmp.gt(r0,r1) }
        { if (p0) jump:nt on; r4 = add(r4,#1) }
    wrong:
        { trap0(#1) }
    on:
        { r5 = add(r2,r3); memw(r6+#4) = r5.new }
        { r7 = memw(r6+#4) }
    end:
        { trap0(#0) }
    )",
        [](Machine& m) { m.set_slot("r6", 0x2000); });
    expect_trap(ir::TrapKind::syscall, "end");
    expect({{"r0", 2}, {"r1", 1}, {"r2", 3}, {"r3", 6}, {"r4", 1}, {"r5", 9}, {"r7", 9}});
}

TEST_F(ShapePrograms, HexagonFaultLeavesThePacketUndone) {
    run("shape-hexagon", R"(
    bad:
        { r0 = #1; r1 = memw(r2+#0) }
        { trap0(#0) }
    )",
        [](Machine& m) { m.set_slot("r2", 0x7fff0000), m.set_slot("r0", 5); });
    expect_fault(ir::FaultKind::read, 0x7fff0000, "bad");
    expect({{"r0", 5}});
}

} // namespace
} // namespace mimic::isa
