// Exceptions and what they tell: syndromes, saved state, who may do what, masks, returns that are illegal.
#include "bare.h"

#define CODE(name, text)                                                                                               \
    asm(".text\n.balign 4\n.globl " #name "\n" #name ":\n" text "\nret\n");                                            \
    extern char name[]

CODE(do_svc, "svc #0x123");
CODE(do_brk, "brk #0x456");
CODE(do_udf, "udf #7");
CODE(do_fp, "fmov d0, #1.0");
CODE(do_fpcr, "mrs x0, fpcr");
// Half of the least normal number; FPCR.FZ before or behind it.
#define HALF "mov w1, #0x800000\nfmov s0, w1\nfmov s1, #0.5\nmsr fpsr, xzr\nfmul s2, s0, s1\nmrs x0, fpsr\n"
CODE(do_flush, "mov x1, #1 << 24\nmsr fpcr, x1\n" HALF);
CODE(do_half, HALF);
CODE(do_end_flush, "msr fpcr, xzr\n" HALF);
CODE(do_wfi, "wfi");
CODE(do_wfe, "sevl\nwfe");
CODE(do_ctr, "mrs x0, ctr_el0");
CODE(do_midr, "mrs x0, midr_el1");
CODE(do_daif, "mrs x0, daif");
CODE(do_daifset, "msr daifset, #3");
CODE(do_sctlr, "msr sctlr_el1, x0");
CODE(do_unknown, "mrs x0, s3_0_c11_c15_7");
CODE(do_el2, "mrs x0, hcr_el2");
CODE(do_el3, "mrs x0, scr_el3");
CODE(do_tlbi, "tlbi vmalle1");
CODE(do_eret, "eret");
CODE(do_smc, "mov w0, #0x7fff0000\nsmc #0");
CODE(do_zva, "dc zva, x0");
CODE(do_cvau, "dc cvau, x0");
CODE(do_ivau, "ic ivau, x0");
CODE(do_cntvct, "mrs x0, cntvct_el0\nmov x0, #1");
CODE(do_cntpct, "mrs x0, cntpct_el0\nmov x0, #1");
CODE(do_cntv, "msr cntv_ctl_el0, xzr\nmov x0, #1");
CODE(do_cntfrq, "mrs x0, cntfrq_el0\nmov x0, #1");
CODE(do_pmccntr, "mrs x0, pmccntr_el0\nmov x0, #1");
CODE(do_tpidrro, "msr tpidrro_el0, x0");
CODE(do_unaligned, "add x0, x0, #1\nldr x0, [x0]\nmov x0, #1");
CODE(do_unaligned_store, "add x0, x0, #3\nstr w0, [x0]\nmov x0, #1");
CODE(do_ldxr, "add x0, x0, #4\nldxr x0, [x0]\nmov x0, #1");
CODE(do_branch, "mov x1, x30\nadd x0, x0, #2\nbr x0");
CODE(do_nzcv, "mov x1, #0xa0000000\nmsr nzcv, x1\nsvc #1");
CODE(do_level, "mrs x0, currentel");
CODE(do_spsel, "mrs x0, spsel");
CODE(do_bus, "mov x0, #0x70000000\nldr x0, [x0]");
CODE(do_bus_store, "mov x0, #0x70000000\nstrb w0, [x0, #5]");
CODE(do_bus_fetch, "mov x1, #0x70000000\nbr x1");

static u64 data[16] __attribute__((aligned(64)));

static void try(const char* what, char* code, u64 level) {
    trap_esr = trap_far = trap_spsr = 0;
    u64 r = attempt((u64)code, (u64)data, level);
    if (r == TRAPPED) {
        u64 far = EC(trap_esr) == 0x24 || EC(trap_esr) == 0x25 ? trap_far : 0;
        print("%s EL%d: esr %x spsr %x pc+%x", what, level, trap_esr, trap_spsr & ~0x1000ul, trap_elr - (u64)code);
        if (far >= (u64)data && far < (u64)data + 128)
            print(" far data+%x", far - (u64)data);
        else if (far)
            print(" far %x", far);
        print("\n");
    } else {
        print("%s EL%d: ok %x\n", what, level, r);
    }
}
#define BOTH(name, code) (try(name, code, 0), try(name, code, 1))

static int skip(struct frame* f) { // goes on behind what was met
    if (EC(f->esr) == 0x15) return 0;
    f->elr += 4;
    return 1;
}

static void illegal_returns(void) {
    static const u64 modes[] = {0x3c9, 0x3cd, 0x3d5, 0x3c1, 0x3c3};
    for (u64 k = 0; k < sizeof modes / sizeof *modes; ++k) {
        // The exception is at the target of the return, still at EL1.
        asm volatile("adr x9, 1f\nmsr elr_el1, x9\nmsr spsr_el1, %0\nmov x10, #0\neret\n1: mov x10, #1\n2:"
                     :
                     : "r"(modes[k])
                     : "x9", "x10", "memory");
        print("return to %x: ec %x\n", modes[k], EC(trap_esr));
    }
}
static int note(struct frame* f) {
    trap_esr = f->esr, trap_spsr = f->spsr, trap_elr = f->elr;
    if (EC(f->esr) == 0x15) return 0;
    f->spsr &= ~(1ul << 20); // IL
    f->elr += 4;
    return 1;
}

int main(void) {
    write_sysreg(cpacr_el1, 0);
    BOTH("svc", do_svc);
    BOTH("brk", do_brk);
    BOTH("udf", do_udf);
    BOTH("fp", do_fp);
    BOTH("fpcr", do_fpcr);
    write_sysreg(cpacr_el1, 1 << 20);
    BOTH("fp for EL1", do_fp);
    write_sysreg(cpacr_el1, 3 << 20);
    BOTH("fp for all", do_fp);
    for (int k = 0; k < 3; ++k) {
        try("flush", do_flush, 0);
        BOTH("still", do_half);
        try("no more", do_end_flush, 1);
        BOTH("half", do_half);
    }
    u64 sctlr = read_sysreg(sctlr_el1) & ~(1ul << 9 | 1ul << 14 | 1ul << 15 | 1ul << 16 | 1ul << 18 | 1ul << 26);
    write_sysreg(sctlr_el1, sctlr);
    write_sysreg(cntkctl_el1, 0);
    try("wfi", do_wfi, 0);
    BOTH("wfe", do_wfe);
    try("ctr", do_ctr, 0);
    try("zva", do_zva, 0);
    try("cvau", do_cvau, 0);
    try("ivau", do_ivau, 0);
    try("daif", do_daif, 0);
    try("daifset", do_daifset, 0);
    try("cntvct", do_cntvct, 0);
    try("cntpct", do_cntpct, 0);
    try("cntv", do_cntv, 0);
    try("cntfrq", do_cntfrq, 0);
    try("pmccntr", do_pmccntr, 0);
    write_sysreg(sctlr_el1, sctlr | 1ul << 9 | 1ul << 15 | 1ul << 18 | 1ul << 26);
    write_sysreg(cntkctl_el1, 3 | 1 << 8);
    write_sysreg(pmuserenr_el0, 1);
    print("allowed now\n");
    BOTH("wfe", do_wfe);
    try("cvau", do_cvau, 0);
    try("ivau", do_ivau, 0);
    BOTH("daif", do_daif);
    BOTH("daifset", do_daifset);
    BOTH("cntvct", do_cntvct);
    BOTH("cntpct", do_cntpct);
    BOTH("cntv", do_cntv);
    BOTH("cntfrq", do_cntfrq);
    BOTH("pmccntr", do_pmccntr);
    print("never\n");
    try("midr", do_midr, 0);
    try("sctlr", do_sctlr, 0);
    BOTH("unknown", do_unknown);
    BOTH("el2", do_el2);
    BOTH("el3", do_el3);
    try("tlbi", do_tlbi, 0);
    try("eret", do_eret, 0);
    try("smc", do_smc, 0);
    try("tpidrro", do_tpidrro, 0);
    try("level", do_level, 0);
    try("spsel", do_spsel, 0);
    BOTH("nzcv", do_nzcv);
    try("level", do_level, 1);
    try("spsel", do_spsel, 1);
    print("addresses\n");
    BOTH("ldxr", do_ldxr);
    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) | 2);
    BOTH("unaligned", do_unaligned);
    BOTH("unaligned store", do_unaligned_store);
    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) & ~2ul);
    BOTH("branch", do_branch);
    BOTH("bus", do_bus);
    BOTH("bus store", do_bus_store);
    on_trap = note;
    illegal_returns();
    on_trap = skip;
    on_trap = 0;
    return 0;
}
