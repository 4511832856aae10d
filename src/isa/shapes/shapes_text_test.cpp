// The shapes' text. The expected lines are what binutils 2.40 prints (Hexagon: LLVM 14), spaces made one.
#include "isa/shapes/shapes.hpp"
#include "isa/shapes/text_cases.hpp"

namespace mimic::isa {
namespace {

std::unique_ptr<Guest> shape(std::string_view name) {
    for (auto& g : make_shapes())
        if (g->name() == name) return std::move(g);
    return nullptr;
}

TEST(Shapes, M68kText) {
    expect_text(*shape("shape-m68k"), {
                                          {"d669 fff8", "addw %a1@(-8),%d3"},
                                          {"d67a 0010", "addw %pc@(0x12),%d3"},
                                          {"d67b 4804", "addw %pc@(0xa,%d4:l),%d3", 4},
                                          {"d678 fff8", "addw 0xfffffff8,%d3"},
                                          {"d0b0 4804", "addl %a0@(4,%d4:l),%d0"},
                                          {"d0b0 c0fe", "addl %a0@(-2,%a4:w),%d0"},
                                          {"41f9 0012 3456", "lea 0x123456,%a0"},
                                          {"4afc", "illegal"},
                                          {"303c 1234", "movew #4660,%d0"},
                                          {"23fc 0001 0000 0012 3456", "movel #65536,0x123456"},
                                          {"0679 0012 0001 2345", "addiw #18,0x12345"},
                                          {"0680 0001 0000", "addil #65536,%d0"},
                                          {"3290", "movew %a0@,%a1@"},
                                          {"32d8", "movew %a0@+,%a1@+"},
                                          {"2f0d", "movel %a5,%sp@-"},
                                          {"51c8 fff6", "dbf %d0,0x12", 0x1a},
                                          {"6600 fff4", "bnew 0x14", 0x1e},
                                          {"4e40", "trap #0"},
                                      });
}

TEST(Shapes, ThumbText) {
    expect_text(*shape("shape-thumb"), {
                                           {"08bf", "it eq"},
                                           {"4018", "addeq r0, r0, r1", 0, 0x08},
                                           {"4018", "adds r0, r0, r1"},
                                           {"1abf", "itte ne"},
                                           {"0521", "movne r1, #5", 0, 0x1a},
                                           {"5a68", "ldrne r2, [r3, #4]", 0, 0x14},
                                           {"05eb 0604", "addeq.w r4, r5, r6", 0, 0x08},
                                           {"05eb 0604", "add.w r4, r5, r6"},
                                           {"15eb 0604", "adds.w r4, r5, r6"},
                                           {"08e0", "b.n 0x24", 0x10},
                                           {"10d0", "beq.n 0x36", 0x12},
                                           {"0528", "cmp r0, #5"},
                                           {"00df", "svc 0"},
                                       });
}

TEST(Shapes, SparcText) {
    expect_text(*shape("shape-sparc"), {
                                           {"9de3bfa0", "save %sp, -96, %sp"},
                                           {"81e80000", "restore"},
                                           {"32800040", "bne,a 0x108", 8},
                                           {"01000000", "nop"},
                                           {"a600400a", "add %g1, %o2, %l3"},
                                           {"d2062004", "ld [ %i0 + 4 ], %o1"},
                                           {"d2064004", "ld [ %i1 + %g4 ], %o1"},
                                           {"d2063ffc", "ld [ %i0 + -4 ], %o1"},
                                           {"80a26005", "cmp %o1, 5"},
                                           {"40000040", "call 0x11c", 0x1c},
                                           {"81c3e008", "retl"},
                                           {"81c7e008", "ret"},
                                           {"d023a040", "st %o0, [ %sp + 0x40 ]"},
                                           {"10800002", "b 0x30", 0x28},
                                           {"30800002", "b,a 0x38", 0x30},
                                       });
}

TEST(Shapes, S390xText) {
    expect_text(*shape("shape-s390x"), {
                                           {"1a12", "ar %r1,%r2"},
                                           {"58123008", "l %r1,8(%r2,%r3)"},
                                           {"58103008", "l %r1,8(%r3)"},
                                           {"58000008", "l %r0,8"},
                                           {"58120008", "l %r1,8(%r2,%r0)"},
                                           {"e3123ff8ff04", "lg %r1,-8(%r2,%r3)"},
                                           {"a7540008", "jnhe 0x24", 0x14},
                                           {"a7f40008", "j 0x28", 0x18},
                                           {"a7040002", "jnop 0x20", 0x1c},
                                           {"d20410002008", "mvc 0(5,%r1),8(%r2)"},
                                           {"d20410000008", "mvc 0(5,%r1),8"},
                                           {"c011000003e8", "lgfi %r1,1000"},
                                           {"a716fffe", "brct %r1,0x28", 0x2c},
                                           {"0a01", "svc 1"},
                                       });
}

TEST(Shapes, HexagonText) {
    expect_text(*shape("shape-hexagon"), {
                                             {"004201f3 23c08091", "{ r0 = add(r1,r2); r3 = memw(r0+#4) }"},
                                             {"1040005c 00c201f2", "{ if (p0) jump:nt 0x20; p0 = cmp.eq(r1,r2) }"},
                                             {"e0c201fb", "{ if (!p3) r0 = add(r1,r2) }"},
                                             {"034100f3 00d2a2a1", "{ r3 = add(r0,r1); memw(r2+#0) = r3.new }"},
                                             {"04c00054", "{ trap0(#1) }"},
                                             {"61ffdf78", "{ r1 = #-5 }"},
                                             {"00c06770", "{ r0 = r7 }"},
                                             {"00c241f2", "{ p0 = cmp.gt(r1,r2) }"},
                                         });
}

// An instruction that runs into the end of what can be fetched asks for more; a longer one that cannot be is illegal.
TEST(Shapes, AnInstructionCutShortIsNotAnother) {
    auto g = shape("shape-m68k");
    u32 length;
    EXPECT_EQ(g->disassemble(from_hex("41f9 0012"), 0, 0, length), ".byte 0x41, 0xf9");
    EXPECT_FALSE(g->assemble("lea %d0,%a0", 0, 0));
    EXPECT_FALSE(g->assemble("movew %d0,#5", 0, 0));
    EXPECT_FALSE(shape("shape-hexagon")->assemble("{ r0 = r1; r0 = r1; r0 = r1; r0 = r1; r0 = r1 }", 0, 0));
}

} // namespace
} // namespace mimic::isa
