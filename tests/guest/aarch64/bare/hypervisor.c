// EL2: what traps from EL1 and what the syndromes say, stage 2 of translation, virtual interrupts, virtualization host
// extensions. The board starts it at EL2; PSCI is called by SMC.
#include "bare.h"

#define CODE(name, text)                                                                                               \
    asm(".text\n.balign 4\n.globl " #name "\n" #name ":\n" text "\nhvc #0x77\n");                                      \
    extern char name[]

// Vectors of EL2: the guest's registers to a frame, then entered(); 1: back to the guest, 0: run() ends.
asm(".text\n.balign 2048\nhyp_vectors:\n"
    ".rept 8\n.balign 128\nb hyp_bad\n.endr\n"
    ".balign 128\nmov x29, #0\nb hyp_lower\n"
    ".balign 128\nmov x29, #1\nb hyp_lower\n"
    ".rept 6\n.balign 128\nb hyp_bad\n.endr\n"
    "hyp_bad: b hyp_bad\n"
    "hyp_lower: stp x0, x1, [sp, #-256]!\nstp x2, x3, [sp, #16]\nstp x4, x5, [sp, #32]\nstp x6, x7, [sp, #48]\n"
    "stp x8, x9, [sp, #64]\nstp x10, x11, [sp, #80]\nstp x12, x13, [sp, #96]\nstp x14, x15, [sp, #112]\n"
    "stp x16, x17, [sp, #128]\nstr x18, [sp, #144]\nmov x0, sp\nmov x1, x29\nbl entered\n"
    "cbz x0, run_end\n"
    "ldp x2, x3, [sp, #16]\nldp x4, x5, [sp, #32]\nldp x6, x7, [sp, #48]\n"
    "ldp x8, x9, [sp, #64]\nldp x10, x11, [sp, #80]\nldp x12, x13, [sp, #96]\nldp x14, x15, [sp, #112]\n"
    "ldp x16, x17, [sp, #128]\nldr x18, [sp, #144]\nldp x0, x1, [sp], #256\neret\n"
    ".globl run\nrun: stp x19, x20, [sp, #-96]!\nstp x21, x22, [sp, #16]\nstp x23, x24, [sp, #32]\n"
    "stp x25, x26, [sp, #48]\nstp x27, x28, [sp, #64]\nstp x29, x30, [sp, #80]\n"
    "msr elr_el2, x0\nmsr spsr_el2, x2\nmov x0, x1\neret\n"
    "run_end: add sp, sp, #256\nldp x21, x22, [sp, #16]\nldp x23, x24, [sp, #32]\nldp x25, x26, [sp, #48]\n"
    "ldp x27, x28, [sp, #64]\nldp x29, x30, [sp, #80]\nldp x19, x20, [sp], #96\nret\n");
extern char hyp_vectors[];
void run(u64 code, u64 a, u64 spsr); // until the guest's end, or what it trapped by

static u64 start, result, traps, irqs;
static int go_on; // behind what trapped
static int steps; // on, with PSTATE.SS
static u64 data;  // that breakpoints are about

u64 entered(u64* x, u64 kind) {
    u64 esr = read_sysreg(esr_el2), elr = read_sysreg(elr_el2);
    result = x[0];
    if (kind) {
        ++irqs;
        return 0;
    }
    if (EC(esr) == 0x16 && (esr & 0xffff) == 0x77) return 0;
    ++traps;
    print(" ec %x iss %x", EC(esr), esr & 0x1ffffff);
    if (EC(esr) != 0x20) print(" pc+%x", elr - start);
    if (EC(esr) == 0x20 || EC(esr) == 0x24) print(" hpfar %x far %x", read_sysreg(hpfar_el2), read_sysreg(far_el2));
    if (EC(esr) == 0x34) print(" far data%d", read_sysreg(far_el2) - (u64)&data);
    if (steps) {
        write_sysreg(spsr_el2, read_sysreg(spsr_el2) | 1 << 21);
        return 1;
    }
    if (!go_on) return 0;
    if (EC(esr) != 0x16) write_sysreg(elr_el2, elr + 4);
    return 1;
}
#define EL1H 0x3c5
static void guest(const char* what, char* code, u64 a) {
    print("%s:", what);
    traps = 0, start = (u64)code;
    run((u64)code, a, steps ? EL1H | 1 << 21 : EL1H);
    if (!traps || go_on) print(" result %x", result);
    print("\n");
}

#define RW (1ul << 31)
CODE(g_level, "mrs x0, currentel");
CODE(g_midr, "mrs x0, midr_el1");
CODE(g_mpidr, "mrs x0, mpidr_el1");
CODE(g_hvc, "hvc #5\nmov x0, #7");
CODE(g_wfi, "wfi");
CODE(g_sctlr, "msr sctlr_el1, x9");
CODE(g_sctlr_read, "mrs x10, sctlr_el1");
CODE(g_id, "mrs x11, id_aa64pfr0_el1\nmov x0, #1");
CODE(g_actlr, "mrs x12, actlr_el1");
CODE(g_tlbi, "tlbi vmalle1");
CODE(g_fp, "fmov d0, #1.0");
CODE(g_cntpct, "mrs x13, cntpct_el0\nmov x0, #1");
CODE(g_cntp, "msr cntp_ctl_el0, xzr\nmov x0, #1");
CODE(g_dcsw, "dc csw, xzr");
CODE(g_hcr, "mrs x0, hcr_el2");
CODE(g_psci, "movz x0, #0x8400, lsl #16\nsmc #3"); // PSCI_VERSION
CODE(g_brk, "brk #9\nmov x0, #1");
CODE(g_mdscr, "mrs x15, mdscr_el1\nmov x0, #1");
CODE(g_nops, "mov x1, #5\nnop\nldr x2, [x0]\nmov x0, #2");
CODE(g_pmcr, "mrs x14, pmcr_el0\nmov x0, #1");

static void controls(void) {
    print("el %x\n", read_sysreg(currentel));
    write_sysreg(vpidr_el2, 0x411fd070);
    write_sysreg(vmpidr_el2, 0x80000105);
    guest("level", g_level, 0);
    guest("midr", g_midr, 0);
    guest("mpidr", g_mpidr, 0);
    guest("hvc", g_hvc, 0);
    go_on = 1;
    guest("hvc, on", g_hvc, 0);
    struct {
        const char* name;
        u64 bit;
        char* code;
    } all[] = {{"TWI", 1ul << 13, g_wfi}, {"TVM", 1ul << 26, g_sctlr},  {"TRVM", 1ul << 30, g_sctlr_read},
               {"TID3", 1ul << 18, g_id}, {"TACR", 1ul << 21, g_actlr}, {"TTLB", 1ul << 25, g_tlbi},
               {"TSW", 1ul << 22, g_dcsw}};
    for (u64 n = 0; n < sizeof all / sizeof *all; ++n) {
        write_sysreg(hcr_el2, RW | all[n].bit);
        guest(all[n].name, all[n].code, 0);
    }
    write_sysreg(hcr_el2, RW | 1 << 19);
    guest("TSC", g_psci, 0);
    write_sysreg(hcr_el2, RW);
    guest("no TSC", g_psci, 0);
    write_sysreg(cpacr_el1, 3 << 20);
    write_sysreg(cptr_el2, 0x37ff); // TFP
    guest("TFP", g_fp, 0);
    write_sysreg(cptr_el2, 0x33ff);
    guest("no TFP", g_fp, 0);
    write_sysreg(cnthctl_el2, 0);
    guest("EL1PCTEN", g_cntpct, 0);
    guest("EL1PCEN", g_cntp, 0);
    write_sysreg(cnthctl_el2, 3);
    guest("counters", g_cntp, 0);
    write_sysreg(mdcr_el2, read_sysreg(mdcr_el2) | 1 << 6);
    guest("TPM", g_pmcr, 0);
    write_sysreg(mdcr_el2, read_sysreg(mdcr_el2) & ~(1ul << 6));
}

// MDCR_EL2.TDE: debug exceptions of EL1 are EL2's, even without MDSCR_EL1.KDE and with PSTATE.D set. What was met is stepped
// over, or is not there any more.
static void debug(void) {
    const u64 ss = 1, mde = 1 << 15, tde = 1 << 8, el1 = 2;
    asm volatile("msr oslar_el1, xzr\nisb");
    write_sysreg(mdcr_el2, read_sysreg(mdcr_el2) | tde);
    guest("TDE brk", g_brk, 0);
    guest("TDE mdscr", g_mdscr, 0);
    go_on = 0;
    write_sysreg(dbgbvr0_el1, g_nops + 4);
    write_sysreg(dbgbcr0_el1, 15 << 5 | el1 | 1);
    write_sysreg(mdscr_el1, mde);
    guest("TDE breakpoint", g_nops, (u64)&data);
    write_sysreg(dbgbcr0_el1, 0);
    write_sysreg(dbgwvr0_el1, &data);
    write_sysreg(dbgwcr0_el1, 255 << 5 | 3 << 3 | el1 | 1);
    guest("TDE watchpoint", g_nops, (u64)&data);
    write_sysreg(dbgwcr0_el1, 1 << 13 | 255 << 5 | 3 << 3 | el1 | 1); // EL1 and EL2
    data = 1;
    print("of EL2 itself, no KDE: %d\n", data);
    write_sysreg(dbgwcr0_el1, 0);
    write_sysreg(mdscr_el1, ss);
    steps = 1;
    guest("TDE step", g_nops, (u64)&data);
    steps = 0;
    write_sysreg(mdscr_el1, 0);
    write_sysreg(mdcr_el2, read_sysreg(mdcr_el2) & ~tde);
}

// ---- stage 2: 4 KiB granule, 39 bits, so that it begins at level 1

static u64 l1[512] __attribute__((aligned(4096))), l2[512] __attribute__((aligned(4096))),
    l3[512] __attribute__((aligned(4096)));
static u8 area[1 << 21] __attribute__((aligned(1 << 21)));
#define NORMAL (0xful << 2 | 3ul << 8 | 1ul << 10) // write-back, inner shareable, accessed
#define S2_R (1ul << 6)
#define S2_W (1ul << 7)
#define S2_XN (1ul << 54)

CODE(g_ldr, "mov x3, #0\nldr x3, [x0]\nmov x0, x3");
CODE(g_ldrw, "ldr w4, [x0, #4]\nmov x0, #0");
CODE(g_ldrb, "ldrb w5, [x0, #1]\nmov x0, #0");
CODE(g_ldrsh, "ldrsh x6, [x0, #2]\nmov x0, #0");
CODE(g_ldrsw, "ldrsw x7, [x0]\nmov x0, #0");
CODE(g_str, "mov x8, #0x55\nstr x8, [x0]\nldr x0, [x0]");
CODE(g_strh, "strh w9, [x0, #6]\nmov x0, #0");
CODE(g_stxz, "str xzr, [x0, #8]\nmov x0, #0");
CODE(g_ldp, "ldp x3, x4, [x0]\nmov x0, #0");
CODE(g_post, "ldr x3, [x0], #8\nmov x0, #0");
CODE(g_ldar, "ldar w3, [x0]\nmov x0, #0");
CODE(g_stlr, "stlr x3, [x0]\nmov x0, #0");
CODE(g_ldursb, "ldursb w10, [x0, #-3]\nmov x0, #0");
CODE(g_ldrsb, "ldrsb x11, [x0]\nmov x0, #0");
CODE(g_index, "mov x1, #2\nstr w12, [x0, x1, lsl #2]\nmov x0, #0");
CODE(g_sttr, "sttrb w13, [x0, #5]\nmov x0, #0");
CODE(g_pre, "str x14, [x0, #8]!\nmov x0, #0");
CODE(g_ldxr, "ldxr x15, [x0]\nmov x0, #0");
CODE(g_ldrd, "ldr d0, [x0]\nmov x0, #0");
CODE(g_br, "mov x9, x0\nbr x9");

static void at(const char* what, u64 address) {
    asm volatile("at s12e1r, %0\nisb" : : "r"(address) : "memory");
    u64 share = 3 << 7; // of Device memory, a matter of taste
    print("%s: par %x", what, read_sysreg(par_el1) & (read_sysreg(par_el1) & 1 ? ~0ul : ~share));
    asm volatile("at s1e1w, %0\nisb" : : "r"(address) : "memory");
    print(" stage 1 %x\n", read_sysreg(par_el1) & (read_sysreg(par_el1) & 1 ? ~0ul : ~share));
}
static void set_page(u64 n, u64 bits) {
    l3[n] = bits ? ((u64)area + n * 4096) | bits | 3 : 0;
    asm volatile("dsb ishst\ntlbi vmalls12e1is\ndsb ish\nisb" : : : "memory");
}

static void stage2(void) {
    l1[1] = (u64)l2 | 3; // 0x40000000 to 0x7fffffff
    for (u64 n = 0; n < 512; ++n) l2[n] = (0x40000000ul + (n << 21)) | NORMAL | S2_R | S2_W | 1;
    l2[((u64)area - 0x40000000ul) >> 21] = (u64)l3 | 3;
    u64 code = (u64)area;
    *(volatile u64*)(code + 8192) = 0x1122334455667788;
    write_sysreg(vtcr_el2, 25 | 1 << 6 | 1 << 8 | 1 << 10 | 3 << 12 | 2 << 16 | 1ul << 31);
    write_sysreg(vttbr_el2, (u64)l1 | 1ul << 48);
    write_sysreg(hcr_el2, RW | 1);
    set_page(2, NORMAL | S2_R);
    go_on = 0;
    guest("mapped", g_ldr, code + 8192);
    guest("read-only", g_str, code + 8192);
    set_page(2, NORMAL | S2_R | S2_W);
    guest("written", g_str, code + 8192);
    print("  seen %x\n", *(volatile u64*)(code + 8192));
    guest("no access flag", g_ldr, code + 3 * 4096);
    l3[3] = ((u64)area + 3 * 4096) | (NORMAL & ~(1ul << 10)) | S2_R | 3;
    guest("no access flag", g_ldr, code + 3 * 4096);
    char* accesses[] = {g_ldr,  g_ldrw, g_ldrb,   g_ldrsh, g_ldrsw, g_str,  g_strh, g_stxz, g_ldp, g_post,
                        g_ldar, g_stlr, g_ldursb, g_ldrsb, g_index, g_sttr, g_pre,  g_ldxr, g_ldrd};
    go_on = 1; // as a hypervisor that emulates a device
    for (u64 n = 0; n < sizeof accesses / sizeof *accesses; ++n) {
        print("%d ", n);
        guest("hole", accesses[n], code + 0x5120);
    }
    go_on = 0;
    guest("level 1 hole", g_ldr, 0x80000010);
    guest("last of 39 bits", g_ldr, 0x7ffffffff8);
    guest("beyond", g_ldr, 0x8000000008);
    guest("fetch of a hole", g_br, code + 0x5000);
    set_page(6, NORMAL | S2_R | S2_XN);
    guest("fetch of XN", g_br, code + 0x6000);
    at("at mapped", code + 8192);
    at("at hole", code + 0x5000);
}

// Stage 1 tables of the guest in what stage 2 does not map: S1PTW.
CODE(g_walk, "mrs x9, sctlr_el1\norr x10, x9, #1\nmsr sctlr_el1, x10\nisb\nldr x3, [x0]\n"
             "msr sctlr_el1, x9\nisb\nmov x0, x3");
static void stage1_tables(void) {
    u64* top = (u64*)((u64)area + 0x7000);
    set_page(7, NORMAL | S2_R | S2_W);
    for (u64 n = 0; n < 512; ++n) top[n] = 0;
    top[1] = 0x40000000 | 1ul << 10 | 3ul << 8 | 1; // a block: where the guest is
    top[2] = ((u64)area + 0x8000) | 3;              // a table in a hole
    write_sysreg(mair_el1, 0xff);
    write_sysreg(tcr_el1, 25 | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2ul << 32);
    write_sysreg(ttbr0_el1, (u64)top);
    asm volatile("dsb ish\ntlbi vmalls12e1is\ndsb ish\nisb" : : : "memory");
    guest("both stages", g_walk, (u64)area + 8192);
    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) & ~1ul);
    guest("walk to a hole", g_walk, 0x80001000);
    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) & ~1ul);
    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) | 1);
    at("at mapped by both", (u64)area + 8192);
    at("at not mapped by stage 1", 0xc0000000);
    at("at a hole of stage 1", 0x80001000);
    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) & ~1ul);
}

// ---- virtual interrupts

asm(".text\n.balign 2048\nguest_vectors:\n.rept 4\n.balign 128\nhvc #0x70\n.endr\n"
    ".balign 128\nhvc #0x71\n.balign 128\nmov x0, #0x1a\nhvc #0x77\n.balign 128\nmov x0, #0xf1\nhvc #0x77\n"
    ".balign 128\nmrs x0, esr_el1\nhvc #0x77\n");
extern char guest_vectors[];
CODE(g_unmask, "msr daifclr, #7\nisb\nmov x0, #0");
CODE(g_isr, "mrs x0, isr_el1");

static void interrupts(void) {
    write_sysreg(vbar_el1, guest_vectors);
    struct {
        const char* name;
        u64 bits;
    } all[] = {{"VI", 1 << 7 | 1 << 4},
               {"VI without IMO", 1 << 7},
               {"VF", 1 << 6 | 1 << 3},
               {"VSE", 1 << 8 | 1 << 5},
               {"none", 7 << 3}};
    for (u64 n = 0; n < sizeof all / sizeof *all; ++n) {
        write_sysreg(hcr_el2, RW | all[n].bits);
        guest(all[n].name, g_isr, 0);
        guest(all[n].name, g_unmask, 0);
    }
    // The physical timer's interrupt goes to EL2, whatever the guest masks.
    GICD[0] = 1;
    GICD[0x100 / 4] = 1u << 30;
    GICC[1] = 0xff;
    GICC[0] = 1;
    write_sysreg(hcr_el2, RW | 1 << 4);
    write_sysreg(cntp_cval_el0, 0);
    write_sysreg(cntp_ctl_el0, 1);
    guest("physical", g_level, 0);
    print("  interrupts %d which %d\n", irqs, GICC[3] & 1023);
    write_sysreg(cntp_ctl_el0, 0);
    GICC[4] = 30;
}

// ---- E2H: names of EL1 mean registers of EL2

static void host(void) {
    write_sysreg(hcr_el2, RW);
    write_sysreg(tpidr_el2, 0x22);
    write_sysreg(vbar_el1, 0x1000);
    write_sysreg(contextidr_el1, 0x77);
    write_sysreg(hcr_el2, RW | 1ul << 34);
    print("vbar by EL1's name: EL2's %d, EL12 %x\n", read_sysreg(vbar_el1) == (u64)hyp_vectors,
          read_sysreg(s3_5_c12_c0_0));
    write_sysreg(contextidr_el1, 0x99);
    print("contextidr: el1 %x el12 %x", read_sysreg(contextidr_el1), read_sysreg(s3_5_c13_c0_1));
    write_sysreg(hcr_el2, RW);
    print(" without E2H %x\n", read_sysreg(contextidr_el1));
}

int main(void) {
    write_sysreg(vbar_el2, hyp_vectors);
    write_sysreg(hcr_el2, RW);
    write_sysreg(sctlr_el1, 0x30d00800);
    controls();
    debug();
    stage2();
    stage1_tables();
    interrupts();
    host();
    register u64 x0 asm("x0") = 0x84000008; // SYSTEM_OFF
    asm volatile("smc #0" : "+r"(x0));
    return 0;
}
