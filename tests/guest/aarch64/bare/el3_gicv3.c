// A GICv3 with two Security states, through EL3, secure EL1 and EL1: three groups, IRQ or FIQ by the state, what the non-secure
// state sees, EL3's registers and traps.
#include "el3.h"

#define GICR ((volatile u32*)0x080a0000)
#define SGI ((volatile u32*)0x080b0000)
#define CTLR 0
#define IGROUPR (0x80 / 4)
#define ISENABLER (0x100 / 4)
#define ICENABLER (0x180 / 4)
#define ISPENDR (0x200 / 4)
#define IGRPMODR (0xd00 / 4)
static volatile u8* own_priority(u32 id) { return (volatile u8*)0x080b0400 + id; }

#define ICC_PMR s3_0_c4_c6_0
#define ICC_IAR0 s3_0_c12_c8_0
#define ICC_EOIR0 s3_0_c12_c8_1
#define ICC_HPPIR0 s3_0_c12_c8_2
#define ICC_BPR0 s3_0_c12_c8_3
#define ICC_RPR s3_0_c12_c11_3
#define ICC_SGI1R s3_0_c12_c11_5
#define ICC_ASGI1R s3_0_c12_c11_6
#define ICC_SGI0R s3_0_c12_c11_7
#define ICC_IAR1 s3_0_c12_c12_0
#define ICC_EOIR1 s3_0_c12_c12_1
#define ICC_HPPIR1 s3_0_c12_c12_2
#define ICC_BPR1 s3_0_c12_c12_3
#define ICC_CTLR s3_0_c12_c12_4
#define ICC_SRE s3_0_c12_c12_5
#define ICC_IGRPEN0 s3_0_c12_c12_6
#define ICC_IGRPEN1 s3_0_c12_c12_7
#define ICC_SRE_2 s3_4_c12_c9_5
#define ICC_CTLR_3 s3_6_c12_c12_4
#define ICC_SRE_3 s3_6_c12_c12_5
#define ICC_IGRPEN1_3 s3_6_c12_c12_7
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
#define READ(name, reg) CODE(name, "mrs x0, " TEXT(reg))
#define WRITE(name, reg) CODE(name, "msr " TEXT(reg) ", x0\nisb\nmov x0, #1")
#define rd(reg) rd_(reg)
#define rd_(reg) read_sysreg(reg)
#define wr(reg, v) wr_(reg, v)
#define wr_(reg, v) write_sysreg(reg, v)

READ(r_pmr, ICC_PMR);
READ(r_iar0, ICC_IAR0);
READ(r_iar1, ICC_IAR1);
READ(r_hppir1, ICC_HPPIR1);
READ(r_rpr, ICC_RPR);
READ(r_bpr1, ICC_BPR1);
READ(r_ctlr, ICC_CTLR);
READ(r_igrpen1, ICC_IGRPEN1);
READ(r_ctlr3, ICC_CTLR_3);
WRITE(w_pmr, ICC_PMR);
WRITE(w_eoir1, ICC_EOIR1);
WRITE(w_bpr1, ICC_BPR1);
WRITE(w_ctlr, ICC_CTLR);
WRITE(w_igrpen1, ICC_IGRPEN1);
WRITE(w_sgi1, ICC_SGI1R);
CODE(c_load, "ldr w0, [x0]");
CODE(c_loadb, "ldrb w0, [x0]");
CODE(c_store, "ldr x1, [x0]\nldr w2, [x0, #8]\nstr w2, [x1]");
CODE(c_storeb, "ldr x1, [x0]\nldr w2, [x0, #8]\nstrb w2, [x1]");
CODE(c_spin, "msr daifclr, #3\n1: b 1b");
CODE(c_wait, "mov x1, #200\n1: sub x1, x1, #1\ncbnz x1, 1b\nmov x0, #1"); // masked

static u64 in(u64 scr_bits, char* code, u64 a) {
    scr(scr_bits);
    run_code((u64)code, a, EL1H);
    scr(0);
    return ended() ? last.x0 : 0xdead0000 | last.level << 8 | EC(last.esr);
}
#define ns(code, a) in(SCR_NS, code, a)
static void ns_write(char* code, u64 address, u64 v) {
    volatile u64 what[2] = {address, v};
    ns(code, (u64)what);
}

static void distributor(void) {
    print("waker %x", GICR[0x14 / 4] & 6);
    GICR[0x14 / 4] = 0;
    print(" then %x\n", GICR[0x14 / 4] & 6);
    GICD[CTLR] = 0x37; // affinity routing in both states, all groups
    print("ctlr %x, non-secure %x, typer %x\n", GICD[CTLR], ns(c_load, (u64)GICD), GICD[1] & 1 << 10);
    GICD[IGROUPR + 1] = 0xff000000;
    GICD[IGRPMODR + 1] = 0x0000ff00;
    print("groups %x %x, non-secure %x %x\n", GICD[IGROUPR + 1], GICD[IGRPMODR + 1],
          ns(c_load, (u64)&GICD[IGROUPR + 1]), ns(c_load, (u64)&GICD[IGRPMODR + 1]));
    GICD[ISENABLER + 1] = 0x01000101;
    print("enabled %x, non-secure %x\n", GICD[ISENABLER + 1], ns(c_load, (u64)&GICD[ISENABLER + 1]));
    ns_write(c_store, (u64)&GICD[ICENABLER + 1], ~0u);
    print("after clear %x\n", GICD[ISENABLER + 1]);
    GICD[ICENABLER + 1] = ~0u;
    volatile u8* p = (volatile u8*)0x08000400;
    p[32] = 0x40, p[56] = 0xa0;
    print("priorities %x %x, non-secure %x %x\n", p[32], p[56], ns(c_loadb, (u64)&p[32]), ns(c_loadb, (u64)&p[56]));
    ns_write(c_storeb, (u64)&p[32], 0x20), ns_write(c_storeb, (u64)&p[56], 0x20);
    print("priorities %x %x\n", p[32], p[56]);
    ns_write(c_store, (u64)GICD, 0);
    print("ctlr %x", GICD[CTLR]);
    ns_write(c_store, (u64)GICD, 2);
    print(" %x\n", GICD[CTLR]);
}

static void registers(void) {
    print("sre3 %x ctlr3 %x\n", rd(ICC_SRE_3), rd(ICC_CTLR_3) & 0x3f);
    wr(ICC_SRE_3, 0xf), wr(ICC_SRE, 7);
    scr(SCR_NS);
    wr(ICC_SRE_2, 0xf), wr(ICC_SRE, 7);
    scr(0);
    wr(ICC_PMR, 0xf0);
    print("pmr %x, without FIQ %x with FIQ %x\n", rd(ICC_PMR), ns(r_pmr, 0), in(SCR_NS | SCR_FIQ, r_pmr, 0));
    in(SCR_NS | SCR_FIQ, w_pmr, 0x80);
    print("pmr %x\n", rd(ICC_PMR));
    wr(ICC_PMR, 0x40);
    in(SCR_NS | SCR_FIQ, w_pmr, 0xf0);
    print("pmr %x\n", rd(ICC_PMR));
    wr(ICC_PMR, 0xf8);
    wr(ICC_IGRPEN0, 1);
    wr(ICC_IGRPEN1_3, 2);
    print("igrpen1: %x, secure %x non-secure %x\n", rd(ICC_IGRPEN1_3), in(0, r_igrpen1, 0), ns(r_igrpen1, 0));
    ns(w_igrpen1, 1), in(0, w_igrpen1, 0);
    print("igrpen1: %x\n", rd(ICC_IGRPEN1_3));
    wr(ICC_IGRPEN1_3, 3);
    in(0, w_ctlr, 3), ns(w_ctlr, 0);
    print("ctlr: secure %x non-secure %x el3 %x\n", in(0, r_ctlr, 0) & 3, ns(r_ctlr, 0) & 3, rd(ICC_CTLR_3) & 0x1f);
    wr(ICC_CTLR_3, 2);
    print("ctlr: secure %x non-secure %x\n", in(0, r_ctlr, 0) & 3, ns(r_ctlr, 0) & 3);
    wr(ICC_BPR0, 3);
    print("bpr1 with CBPR: non-secure %x", ns(r_bpr1, 0));
    wr(ICC_CTLR_3, 0);
    in(0, w_bpr1, 5), ns(w_bpr1, 6);
    print(" without: secure %x non-secure %x\n", in(0, r_bpr1, 0), ns(r_bpr1, 0));
    in(0, w_bpr1, 0), ns(w_bpr1, 0), wr(ICC_BPR0, 0);
    print("least: secure %x non-secure %x group 0 %x\n", in(0, r_bpr1, 0), ns(r_bpr1, 0), rd(ICC_BPR0));
    run("ctlr3 of secure el1", r_ctlr3, 0, EL1H);
    scr(SCR_NS | SCR_IRQ);
    run("IRQ: iar1", r_iar1, 0, EL1H);
    run("IRQ: pmr", r_pmr, 0, EL1H);
    run("IRQ: iar1 of el2", r_iar1, 0, EL2H);
    scr(SCR_NS | SCR_FIQ);
    run("FIQ: iar0", r_iar0, 0, EL1H);
    scr(SCR_NS | SCR_FIQ | SCR_IRQ);
    run("both: pmr", r_pmr, 0, EL1H);
    run("both: sgi1r", w_sgi1, 0, EL1H);
    scr(0);
}

static void one_group(const char* what) {
    print("%s: hppir0 %x", what, rd(ICC_HPPIR0));
    scr(0);
    print(" hppir1 %x", rd(ICC_HPPIR1));
    scr(SCR_NS);
    print(" with NS %x", rd(ICC_HPPIR1));
    scr(0);
    print(" secure %x non-secure %x isr %x\n", in(0, r_hppir1, 0), ns(r_hppir1, 0), read_sysreg(isr_el1));
    scr(0);
    run("  secure el1", c_spin, 0, EL1H);
    scr(SCR_NS);
    run("  el1", c_spin, 0, EL1H);
    run("  el1, masked", c_wait, 0, EL1H);
    scr(SCR_FIQ);
    run("  secure el1, FIQ to el3", c_spin, 0, EL1H);
    scr(SCR_NS | SCR_FIQ);
    run("  el1, FIQ to el3", c_spin, 0, EL1H);
    scr(0);
}
static void interrupts(void) {
    SGI[IGROUPR] = 0xffff0000 | 0x0f00; // SGIs 8 to 11 non-secure
    SGI[IGRPMODR] = 0x00f0;             // 4 to 7 secure group 1
    print("own groups %x %x\n", SGI[IGROUPR], SGI[IGRPMODR]);
    for (u32 n = 0; n < 32; ++n) *own_priority(n) = n < 4 ? 0x20 : n < 8 ? 0x40 : 0xa0;
    SGI[ISENABLER] = 0xffff;
    wr(ICC_SGI0R, 1ul << 24 | 1);
    one_group("group 0");
    u64 id = rd(ICC_IAR0);
    print("iar0 %x rpr %x non-secure rpr %x", id, rd(ICC_RPR), in(SCR_NS | SCR_FIQ, r_rpr, 0));
    wr(ICC_EOIR0, id);
    print(" then %x\n", rd(ICC_RPR));

    in(0, w_sgi1, 5ul << 24 | 1);
    one_group("secure group 1");
    print("iar0 %x non-secure iar1 %x", rd(ICC_IAR0), ns(r_iar1, 0));
    id = in(0, r_iar1, 0);
    print(" secure iar1 %x rpr %x", id, rd(ICC_RPR));
    ns(w_eoir1, id);
    print(" after non-secure eoir1 %x", rd(ICC_RPR));
    in(0, w_eoir1, id);
    print(" secure %x\n", rd(ICC_RPR));

    ns(w_sgi1, 9ul << 24 | 1);
    one_group("non-secure group 1");
    print("iar0 %x secure iar1 %x", rd(ICC_IAR0), in(0, r_iar1, 0));
    id = ns(r_iar1, 0);
    print(" non-secure iar1 %x rpr %x non-secure rpr %x", id, rd(ICC_RPR), in(SCR_NS | SCR_FIQ, r_rpr, 0));
    ns(w_eoir1, id);
    print(" then %x\n", rd(ICC_RPR));

    ns(w_sgi1, 5ul << 24 | 1); // not its own
    print("sgi 5 of non-secure: pending %x", SGI[ISPENDR]);
    in(0, w_sgi1, 9ul << 24 | 1);
    print(" sgi 9 of secure's own: %x", SGI[ISPENDR]);
    wr(ICC_ASGI1R, 9ul << 24 | 1);
    print(" of the other: %x\n", SGI[ISPENDR]);
    id = ns(r_iar1, 0);
    ns(w_eoir1, id);
    print("isr %x\n", read_sysreg(isr_el1));
}

int main(void) {
    start_el3();
    distributor();
    registers();
    interrupts();
    power_off();
    return 0;
}
