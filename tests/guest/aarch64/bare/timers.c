// Generic timers: conditions, masks, compare values of both kinds, and interrupts through the board's GICv2.
#include "bare.h"

static volatile u64 taken, which;
static void irq(void) {
    u32 id = GICC[3]; // IAR
    which = id & 1023;
    ++taken;
    if (which == 27) write_sysreg(cntv_ctl_el0, 0);
    if (which == 30) write_sysreg(cntp_ctl_el0, 0);
    GICC[4] = id; // EOIR
}

static void conditions(void) {
    u64 hz = read_sysreg(cntfrq_el0);
    print("frequency %s\n", hz >= 1000000 ? "at least 1 MHz" : "low");
    u64 a = read_sysreg(cntvct_el0), b;
    do b = read_sysreg(cntvct_el0);
    while (b == a);
    print("counts %s\n", b > a ? "up" : "down");
    write_sysreg(cntv_cval_el0, read_sysreg(cntvct_el0) + hz * 1000);
    write_sysreg(cntv_ctl_el0, 3);
    print("later: ctl %x", read_sysreg(cntv_ctl_el0));
    write_sysreg(cntv_cval_el0, read_sysreg(cntvct_el0));
    print(" now %x", read_sysreg(cntv_ctl_el0));
    write_sysreg(cntv_ctl_el0, 2);
    print(" off %x\n", read_sysreg(cntv_ctl_el0) & 3);
    write_sysreg(cntv_tval_el0, 0x7fffffff);
    u64 left = read_sysreg(cntv_tval_el0);
    print("tval positive %d", left > 0x60000000 && left <= 0x7fffffff);
    write_sysreg(cntv_tval_el0, 0xfffffff0);
    print(" negative %d", read_sysreg(cntv_tval_el0) >> 31);
    print(" behind %d\n", read_sysreg(cntv_cval_el0) < read_sysreg(cntvct_el0));
}

int main(void) {
    conditions();
    on_irq = irq;
    GICD[0] = 1;                           // CTLR
    GICD[0x100 / 4] = 1u << 27 | 1u << 30; // ISENABLER0
    GICC[1] = 0xff;                        // PMR
    GICC[0] = 1;
    u64 hz = read_sysreg(cntfrq_el0);
    asm volatile("msr daifset, #2");
    write_sysreg(cntv_cval_el0, read_sysreg(cntvct_el0));
    write_sysreg(cntv_ctl_el0, 1);
    while (!(read_sysreg(isr_el1) & 0x80))
        ;
    print("masked: taken %d\n", taken);
    asm volatile("msr daifclr, #2\n nop\n nop" : : : "memory");
    print("unmasked: taken %d which %d\n", taken, which);
    u64 before = read_sysreg(cntpct_el0);
    write_sysreg(cntp_cval_el0, before + hz / 500);
    write_sysreg(cntp_ctl_el0, 1);
    while (taken < 2) asm volatile("wfi");
    print("waited: which %d late %d\n", which, read_sysreg(cntpct_el0) >= before + hz / 500);
    write_sysreg(cntv_cval_el0, read_sysreg(cntvct_el0) + hz / 500);
    write_sysreg(cntv_ctl_el0, 1);
    while (taken < 3)
        ; // nothing but a loop
    print("in a loop: which %d\n", which);
    asm volatile("msr daifset, #2");
    write_sysreg(cntv_cval_el0, read_sysreg(cntvct_el0) + hz / 500);
    write_sysreg(cntv_ctl_el0, 1);
    asm volatile("wfi"); // ends although masked
    print("wfi while masked: taken %d pending %d\n", taken, read_sysreg(isr_el1) >> 7 & 1);
    return 0;
}
