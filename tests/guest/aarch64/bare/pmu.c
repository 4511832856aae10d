// Performance monitors: what is there, what counts where, overflows and their interrupt through the board's GICv2.
#include "bare.h"

#define CODE(name, text)                                                                                               \
    asm(".text\n.balign 4\n.globl " #name "\n" #name ":\n" text "\nret\n");                                            \
    extern char name[]

CODE(user_cycles, "mrs x0, pmccntr_el0");
CODE(user_counter, "mrs x0, pmevcntr0_el0");
CODE(user_selected, "mrs x0, pmxevcntr_el0");
CODE(user_increment, "mov x0, #1\nmsr pmswinc_el0, x0");
CODE(user_control, "msr pmcr_el0, xzr\nmov x0, #1");
CODE(user_type, "mrs x0, pmevtyper0_el0");
CODE(user_enable, "msr pmuserenr_el0, x0");
// Until the virtual count has gone on by x0.
CODE(wait_there, "mrs x1, cntvct_el0\n1: mrs x2, cntvct_el0\nsub x2, x2, x1\ncmp x2, x0\nb.lo 1b");

#define CYCLES (1ul << 31)
#define E 1
#define P 2
#define C 4
#define D 8
#define DP 32
#define LC 64
enum { SW_INCR = 0, CPU_CYCLES = 0x11, CHAIN = 0x1e };

static volatile u64 taken, which, overflowed;
static void irq(void) {
    u32 id = GICC[3]; // IAR
    which = id & 1023;
    ++taken;
    overflowed = read_sysreg(pmovsclr_el0);
    write_sysreg(pmovsclr_el0, overflowed);
    write_sysreg(cntv_ctl_el0, 0);
    GICC[4] = id; // EOIR
}

static u64 a_while; // of the virtual count

static void spend(void) {
    u64 from = read_sysreg(cntvct_el0);
    while (read_sysreg(cntvct_el0) - from < a_while)
        ;
}
static const char* did(u64 a, u64 b) { return b > a ? "counts" : b == a ? "stands" : "goes back"; }

static void cycles(void) {
    print("reset: pmcr %x cnten %x inten %x user %x\n", read_sysreg(pmcr_el0) & 0x7f, read_sysreg(pmcntenset_el0),
          read_sysreg(pmintenset_el1), read_sysreg(pmuserenr_el0));
    print("counters %d\n", read_sysreg(pmcr_el0) >> 11 & 31);
    print("events %x\n", read_sysreg(pmceid0_el0) & (1ul << SW_INCR | 1ul << CPU_CYCLES | 1ul << CHAIN));
    u64 a = read_sysreg(pmccntr_el0);
    spend();
    print("off: %s\n", did(a, read_sysreg(pmccntr_el0)));
    write_sysreg(pmcr_el0, E | LC);
    a = read_sysreg(pmccntr_el0);
    spend();
    print("not enabled: %s\n", did(a, read_sysreg(pmccntr_el0)));
    write_sysreg(pmcntenset_el0, CYCLES);
    a = read_sysreg(pmccntr_el0);
    spend();
    print("enabled: %s\n", did(a, read_sysreg(pmccntr_el0)));
    write_sysreg(pmccntr_el0, 1ul << 60);
    print("written: %d\n", read_sysreg(pmccntr_el0) >> 60);
    write_sysreg(pmcr_el0, E | LC | C);
    print("cleared: %d pmcr %x\n", read_sysreg(pmccntr_el0) >> 50, read_sysreg(pmcr_el0) & 0x7f);
    write_sysreg(pmcr_el0, E | D);
    a = read_sysreg(pmccntr_el0);
    spend();
    print("divided: %s\n", did(a, read_sysreg(pmccntr_el0)));
    write_sysreg(pmcr_el0, E | LC);
    write_sysreg(pmccfiltr_el0, 1ul << 31); // not at EL1
    a = read_sysreg(pmccntr_el0);
    spend();
    u64 b = read_sysreg(pmccntr_el0);
    print("not at EL1: %s", did(a, b));
    attempt((u64)wait_there, a_while, 0);
    print(", EL0 %s\n", did(b, read_sysreg(pmccntr_el0)));
    write_sysreg(pmselr_el0, 31);
    print("filter %x", read_sysreg(pmxevtyper_el0));
    write_sysreg(pmxevtyper_el0, 1ul << 30); // not at EL0
    print(" %x\n", read_sysreg(pmccfiltr_el0));
    write_sysreg(pmccfiltr_el0, 0);
    write_sysreg(pmcntenclr_el0, CYCLES);
    print("enabled %x\n", read_sysreg(pmcntenset_el0));
}

static void events(void) {
    write_sysreg(pmevtyper0_el0, SW_INCR);
    write_sysreg(pmevtyper1_el0, CHAIN);
    write_sysreg(pmselr_el0, 2);
    write_sysreg(pmxevtyper_el0, CPU_CYCLES);
    print("types %x %x %x\n", read_sysreg(pmevtyper0_el0), read_sysreg(pmevtyper1_el0), read_sysreg(pmevtyper2_el0));
    write_sysreg(pmevcntr0_el0, 0xfffffffe);
    write_sysreg(pmevcntr1_el0, 7);
    write_sysreg(pmovsclr_el0, ~0ul);
    write_sysreg(pmcntenset_el0, 3);
    write_sysreg(pmcr_el0, E | LC);
    for (int n = 0; n < 3; ++n) {
        write_sysreg(pmswinc_el0, 1);
        print("incremented: %x overflow %x\n", read_sysreg(pmevcntr0_el0), read_sysreg(pmovsclr_el0));
    }
    print("chained: %x\n", read_sysreg(pmevcntr1_el0));
    write_sysreg(pmcntenclr_el0, 1);
    write_sysreg(pmswinc_el0, 1);
    print("not enabled: %x\n", read_sysreg(pmevcntr0_el0));
    write_sysreg(pmovsclr_el0, 1);
    print("overflow %x", read_sysreg(pmovsset_el0));
    write_sysreg(pmovsset_el0, 4);
    print(" %x\n", read_sysreg(pmovsset_el0));
    write_sysreg(pmovsclr_el0, ~0ul);
    write_sysreg(pmcntenset_el0, 4);
    u64 a = read_sysreg(pmevcntr2_el0);
    spend();
    print("cycles: %s\n", did(a, read_sysreg(pmxevcntr_el0)));
    write_sysreg(pmcr_el0, LC | P);
    print("cleared: %x %x\n", read_sysreg(pmevcntr0_el0), read_sysreg(pmevcntr2_el0));
    write_sysreg(pmcntenclr_el0, ~0ul);
}

static void wait_for(u64 n) {
    u64 from = read_sysreg(cntvct_el0), limit = 10 * read_sysreg(cntfrq_el0);
    while (taken < n && read_sysreg(cntvct_el0) - from < limit)
        ;
}

static void interrupts(void) {
    on_irq = irq;
    GICD[0] = 1;                // CTLR
    GICD[0x100 / 4] = 1u << 23; // ISENABLER0
    GICC[1] = 0xff;             // PMR
    GICC[0] = 1;
    write_sysreg(pmovsclr_el0, ~0ul);
    write_sysreg(pmintenset_el1, CYCLES | 4);
    print("enabled %x", read_sysreg(pmintenset_el1));
    write_sysreg(pmintenclr_el1, 4);
    print(" %x\n", read_sysreg(pmintenclr_el1));
    asm volatile("msr daifclr, #2");
    write_sysreg(pmccntr_el0, 0ul - 2000000);
    write_sysreg(pmcntenset_el0, CYCLES);
    write_sysreg(pmcr_el0, E | LC);
    wait_for(1);
    print("64 bits: taken %d which %d overflow %x\n", taken, which, overflowed);
    write_sysreg(pmcr_el0, E);
    write_sysreg(pmccntr_el0, 0xffffffff - 1000000);
    wait_for(2);
    print("32 bits: taken %d which %d overflow %x count %d\n", taken, which, overflowed,
          read_sysreg(pmccntr_el0) >> 32);
    write_sysreg(pmcntenclr_el0, CYCLES);
    write_sysreg(pmintenset_el1, 4);
    write_sysreg(pmevtyper2_el0, CPU_CYCLES);
    write_sysreg(pmevcntr2_el0, 0xffffffff - 1000000);
    write_sysreg(pmcntenset_el0, 4);
    wait_for(3);
    print("event: taken %d which %d overflow %x\n", taken, which, overflowed);
    // At EL0 alone: it comes while the program waits there.
    write_sysreg(pmevtyper2_el0, CPU_CYCLES | 1ul << 31);
    write_sysreg(pmevcntr2_el0, 0xffffffff - 1000000);
    spend();
    print("of EL0: taken %d", taken);
    attempt((u64)wait_there, 20 * a_while, 0);
    asm volatile("msr daifclr, #2\nnop\nnop");
    print(", then %d\n", taken);
    write_sysreg(pmcntenclr_el0, ~0ul);
    write_sysreg(pmovsset_el0, 4); // software says so
    asm volatile("isb\nnop\nnop");
    print("set: taken %d\n", taken);
    // A cycle counter of 64 bits begins at 0: its overflow is far away, and the virtual timer is not.
    GICD[0x100 / 4] = 1u << 27;
    write_sysreg(pmintenset_el1, CYCLES);
    write_sysreg(pmcntenset_el0, CYCLES);
    write_sysreg(cntv_tval_el0, 4 * a_while);
    write_sysreg(cntv_ctl_el0, 1);
    write_sysreg(pmcr_el0, E | LC | C);
    for (u64 n = 0; n < 2000000000 && taken < 6; ++n) // reads nothing that could ask for the time
        ;
    print("timer: taken %d which %d overflow %x\n", taken, which, overflowed);
    write_sysreg(pmcntenclr_el0, ~0ul);
    write_sysreg(pmintenclr_el1, ~0ul);
}

static void at_user(const char* what, char* code, u64 a) {
    u64 r = attempt((u64)code, a, 0);
    print(" %s %s", what, r == TRAPPED ? "traps" : "may");
    if (r == TRAPPED) print(" %x", trap_esr);
}
static void user(void) {
    // EN, SW, CR, ER
    for (u64 bits = 0; bits < 16; bits = bits ? bits * 2 : 1) {
        write_sysreg(pmuserenr_el0, bits);
        print("user %x:", bits);
        at_user("cycles", user_cycles, 0);
        at_user("counter", user_counter, 0);
        at_user("selected", user_selected, 0);
        at_user("increment", user_increment, 0);
        at_user("control", user_control, 0);
        at_user("type", user_type, 0);
        at_user("enable", user_enable, 0);
        print("\n");
    }
    write_sysreg(pmuserenr_el0, 0);
}

int main(void) {
    a_while = read_sysreg(cntfrq_el0) / 2000;
    write_sysreg(cntkctl_el1, 2); // EL0 reads the virtual count
    cycles();
    events();
    interrupts();
    user();
    return 0;
}
