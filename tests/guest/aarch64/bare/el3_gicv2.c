// The GICv2 with Security Extensions, through EL3, secure EL1 and EL1: groups, what the non-secure state sees, FIQ and IRQ, and the
// secure timer's interrupt.
#include "el3.h"

#define CTLR 0
#define TYPER (4 / 4)
#define IGROUPR (0x80 / 4)
#define ISENABLER (0x100 / 4)
#define ICENABLER (0x180 / 4)
#define ISPENDR (0x200 / 4)
#define ICPENDR (0x280 / 4)
#define SGIR (0xf00 / 4)
static volatile u8* priority(u32 id) { return (volatile u8*)0x08000400 + id; }
enum { C_CTLR, C_PMR, C_BPR, C_IAR, C_EOIR, C_RPR, C_HPPIR, C_ABPR, C_AIAR, C_AEOIR, C_AHPPIR };

CODE(c_load, "ldr w0, [x0]");
CODE(c_loadb, "ldrb w0, [x0]");
CODE(c_spin, "msr daifclr, #3\n1: b 1b");
CODE(c_wait, "mov x1, #200\n1: sub x1, x1, #1\ncbnz x1, 1b\nmov x0, #1"); // masked

static u64 nonsecure_read(u64 address) {
    scr(SCR_NS);
    run_code((u64)c_load, address, EL1H);
    scr(0);
    return last.x0;
}
static u64 nonsecure_readb(u64 address) {
    scr(SCR_NS);
    run_code((u64)c_loadb, address, EL1H);
    scr(0);
    return last.x0;
}
asm(".text\n.globl c_store64\nc_store64: ldr x1, [x0]\nldr w2, [x0, #8]\nstr w2, [x1]\nsmc #0x77\n"
    ".globl c_store8\nc_store8: ldr x1, [x0]\nldr w2, [x0, #8]\nstrb w2, [x1]\nsmc #0x77\n");
extern char c_store64[], c_store8[];
static void nonsecure_write(u64 address, u64 v) {
    volatile u64 what[2] = {address, v};
    scr(SCR_NS);
    run_code((u64)c_store64, (u64)what, EL1H);
    scr(0);
}
static void nonsecure_writeb(u64 address, u64 v) {
    volatile u64 what[2] = {address, v};
    scr(SCR_NS);
    run_code((u64)c_store8, (u64)what, EL1H);
    scr(0);
}

static void views(void) {
    print("typer %x\n", GICD[TYPER] & 0x400);
    GICD[CTLR] = 3;
    print("ctlr %x, non-secure %x\n", GICD[CTLR], nonsecure_read(0x08000000));
    GICD[IGROUPR + 1] = 0xffff0000;
    GICD[ISENABLER + 1] = 0x00030003;
    print("groups %x, non-secure %x\n", GICD[IGROUPR + 1], nonsecure_read(0x08000084));
    print("enabled %x, non-secure %x\n", GICD[ISENABLER + 1], nonsecure_read(0x08000104));
    nonsecure_write(0x08000184, 0x00010001);
    print("after clear %x\n", GICD[ISENABLER + 1]);
    nonsecure_write(0x08000084, 0);
    print("groups still %x\n", GICD[IGROUPR + 1]);
    *priority(32) = 0x40, *priority(48) = 0xa0;
    print("priorities %x %x, non-secure %x %x\n", *priority(32), *priority(48), nonsecure_readb(0x08000420),
          nonsecure_readb(0x08000430));
    nonsecure_writeb(0x08000430, 0x20);
    nonsecure_writeb(0x08000420, 0x20);
    print("priorities %x %x\n", *priority(32), *priority(48));
    nonsecure_write(0x08000000, 0);
    print("ctlr %x", GICD[CTLR]);
    nonsecure_write(0x08000000, 1);
    print(" %x\n", GICD[CTLR]);
    GICC[C_PMR] = 0x20;
    nonsecure_write(0x08010004, 0xf0);
    print("pmr %x, non-secure %x\n", GICC[C_PMR], nonsecure_read(0x08010004));
    GICC[C_PMR] = 0xf0;
    nonsecure_write(0x08010004, 0x80);
    print("pmr %x, non-secure %x\n", GICC[C_PMR], nonsecure_read(0x08010004));
    GICC[C_CTLR] = 0x9; // FIQEn, group 0
    nonsecure_write(0x08010000, 1);
    print("interface %x, non-secure %x\n", GICC[C_CTLR], nonsecure_read(0x08010000));
    GICC[C_PMR] = 0xf8;
}

static void interrupts(void) {
    GICD[ICENABLER + 1] = ~0u;
    GICD[IGROUPR] = 0xffff0000 & ~(1u << 29); // SGIs and the secure timer are group 0
    GICD[IGROUPR] |= 0xff00;                  // but SGIs 8 to 15
    for (u32 n = 0; n < 32; ++n) *priority(n) = n < 8 || n == 29 ? 0x20 : 0xa0;
    GICD[ISENABLER] = ~0u;
    GICC[C_CTLR] = 0xb; // FIQEn, both groups
    scr(SCR_FIQ);
    GICD[SGIR] = 2 << 24 | 3;
    print("sgi 3 pending: isr %x hppir %x\n", read_sysreg(isr_el1), GICC[C_HPPIR]);
    run("secure el1, FIQ to el3", c_wait, 0, EL1H);
    scr(SCR_FIQ | SCR_NS);
    run("el1, FIQ to el3", c_wait, 0, EL1H);
    run("el2, FIQ to el3", c_wait, 0, EL2H);
    print("non-secure: iar %x hppir %x\n", nonsecure_read(0x0801000c), nonsecure_read(0x08010018));
    scr(SCR_NS);
    run("el1, FIQ masked there", c_wait, 0, EL1H);
    run("el1, FIQ unmasked", c_spin, 0, EL1H);
    u32 id = GICC[C_IAR];
    print("iar %x rpr %x", id, GICC[C_RPR]);
    print(" non-secure rpr %x", nonsecure_read(0x08010014));
    GICC[C_EOIR] = id;
    print(" then %x isr %x\n", GICC[C_RPR], read_sysreg(isr_el1));

    GICD[SGIR] = 2 << 24 | 1 << 15 | 9; // group 1
    print("sgi 9: isr %x hppir %x iar %x\n", read_sysreg(isr_el1), GICC[C_HPPIR], GICC[C_IAR]);
    scr(SCR_NS | SCR_FIQ);
    run("el1, IRQ unmasked", c_spin, 0, EL1H);
    scr(SCR_NS | SCR_FIQ | SCR_IRQ);
    run("el1, IRQ to el3", c_wait, 0, EL1H);
    scr(0);
    print("non-secure hppir %x iar %x", nonsecure_read(0x08010018), nonsecure_read(0x0801000c));
    print(" rpr %x %x\n", GICC[C_RPR], nonsecure_read(0x08010014));
    nonsecure_write(0x08010010, 9);
    print("end %x\n", GICC[C_RPR]);

    nonsecure_write(0x08000f00, 2 << 24 | 10);
    print("sgi 10 of non-secure: hppir %x", nonsecure_read(0x08010018));
    GICC[C_CTLR] = 0xf; // AckCtl
    print(" AckCtl: hppir %x iar %x", GICC[C_HPPIR], id = GICC[C_IAR]);
    GICC[C_EOIR] = id;
    GICC[C_CTLR] = 0xb;
    print(" rpr %x\n", GICC[C_RPR]);

    write_sysreg(cntps_cval_el1, read_sysreg(cntpct_el0) + read_sysreg(cntfrq_el0) / 500);
    write_sysreg(cntps_ctl_el1, 1);
    scr(SCR_NS | SCR_FIQ);
    run("secure timer, el1", c_spin, 0, EL1H);
    print("iar %x\n", id = GICC[C_IAR]);
    write_sysreg(cntps_ctl_el1, 0);
    GICC[C_EOIR] = id;
    print("isr %x\n", read_sysreg(isr_el1));

    GICD[SGIR] = 2 << 24 | 3;
    scr(SCR_FIQ);
    asm volatile("msr daifclr, #1\n nop\n nop\n msr daifset, #1" : : : "memory");
    print("at el3: iar %x\n", id = GICC[C_IAR]);
    GICC[C_EOIR] = id;
    print("isr %x\n", read_sysreg(isr_el1));
}

int main(void) {
    start_el3();
    views();
    interrupts();
    power_off();
    return 0;
}
