// EL3: returns to each level and Security state, SMC, what EL3's controls trap, two physical address spaces, the secure timer.
#include "el3.h"

CODE(c_level, "mrs x0, currentel");
CODE(c_smc, "smc #5");
CODE(c_hvc, "hvc #6");
CODE(c_svc, "svc #7");
CODE(c_cpacr, "mrs x9, cpacr_el1");
CODE(c_cptr, "msr cptr_el2, x10");
CODE(c_fp, "fmov d0, #1.0");
CODE(c_mdscr, "mrs x11, mdscr_el1");
CODE(c_mdcr2, "mrs x11, mdcr_el2");
CODE(c_oslar, "msr oslar_el1, xzr");
CODE(c_pmcr, "mrs x12, pmcr_el0\nmov x0, #1");
CODE(c_wfi, "wfi\nmov x0, #1");
CODE(c_scr, "mrs x0, scr_el3");
CODE(c_cntps, "msr cntps_ctl_el1, xzr\nmov x0, #1");
CODE(c_lor, "mrs x13, s3_0_c10_c4_7\nmov x0, #1");
CODE(c_load, "ldr w0, [x0]");
CODE(c_store, "str w0, [x0]\nmov x0, #1");
CODE(c_hcr, "mrs x0, hcr_el2");
CODE(c_tlbi3, "tlbi alle3\nmov x0, #1");
CODE(c_illegal, "msr elr_el1, x0\nmov x0, #0xc9\nmsr spsr_el1, x0\neret");
CODE(c_branch, "br x0");

static void levels(void) {
    print("el %x pfr0.el3 %x\n", read_sysreg(currentel), read_sysreg(id_aa64pfr0_el1) >> 12 & 15);
    scr(0);
    print("scr %x\n", read_sysreg(scr_el3));
    run("secure el1", c_level, 0, EL1H);
    run("secure el0", c_svc, 0, EL0);
    scr(SCR_NS);
    run("el2", c_level, 0, EL2H);
    run("el1", c_level, 0, EL1H);
    run("el0", c_svc, 0, EL0);
    scr(0);
    u64 v;
    asm volatile("adr %0, 1f\nmsr elr_el3, %0\nmov %0, #0x3c9\nmsr spsr_el3, %0\neret\n1: nop\nmrs %0, currentel"
                 : "=&r"(v)
                 :
                 : "memory");
    print("to secure el2: esr %x el %x\n", own_esr, v);
    run("from el1 to el2", c_illegal, (u64)c_level, EL1H);
    scr(SCR_NS);
    write_sysreg(hcr_el2, 1ul << 31 | 1ul << 27); // TGE
    run("el0 with TGE", c_svc, 0, EL0);
    write_sysreg(hcr_el2, 1ul << 31);
    asm volatile("msr sp_el2, %0" : : "r"(0x1230ul));
    asm volatile("mrs %0, sp_el2" : "=r"(v));
    print("sp_el2 %x\n", v);
}

// Where SMC is undefined, WFI gets to EL3.
asm(".text\n.balign 2048\nwfi_vectors:\n.rept 16\n.balign 128\nwfi\n.endr\n");
extern char wfi_vectors[];
static void calls(void) {
    scr(0);
    run("smc of secure el1", c_smc, 0, EL1H);
    run("hvc of secure el1", c_hvc, 0, EL1H);
    scr(SCR_NS | SCR_HCE);
    run("smc of el1", c_smc, 0, EL1H);
    run("smc of el2", c_smc, 0, EL2H);
    run("smc of el0", c_smc, 0, EL0);
    run("hvc of el1", c_hvc, 0, EL1H);
    run("hvc of el2", c_hvc, 0, EL2H);
    write_sysreg(hcr_el2, 1ul << 31 | 1 << 19); // TSC
    run("TSC", c_smc, 0, EL1H);
    write_sysreg(hcr_el2, 1ul << 31);
    scr(SCR_NS);
    run("hvc of el1, no HCE", c_hvc, 0, EL1H);
    run("hvc of el2, no HCE", c_hvc, 0, EL2H);
    scr(SCR_NS | SCR_SMD | SCR_TWI);
    write_sysreg(vbar_el2, wfi_vectors);
    run("SMD", c_smc, 0, EL2H);
    print("esr_el2 %x\n", read_sysreg(esr_el2));
    write_sysreg(vbar_el2, el2_vectors);
    scr(0);
    u64 before = own_faults;
    asm volatile("smc #9\n nop" : : : "memory"); // own() goes on behind the next one
    print("smc of el3: %d esr %x\n", own_faults - before, own_esr);
}

static void traps(void) {
    scr(SCR_NS);
    write_sysreg(cptr_el3, 1u << 31);
    run("TCPAC el1", c_cpacr, 0, EL1H);
    run("TCPAC el2", c_cptr, 0, EL2H);
    scr(0);
    run("TCPAC secure el1", c_cpacr, 0, EL1H);
    scr(SCR_NS);
    write_sysreg(cptr_el3, 1 << 10);
    run("TFP el0", c_fp, 0, EL0);
    run("TFP el2", c_fp, 0, EL2H);
    write_sysreg(cptr_el3, 0);
    write_sysreg(mdcr_el3, 1 << 9);
    run("TDA el1", c_mdscr, 0, EL1H);
    run("TDA el2", c_mdcr2, 0, EL2H);
    write_sysreg(mdcr_el3, 1 << 10);
    run("TDOSA", c_oslar, 0, EL1H);
    write_sysreg(mdcr_el3, 1 << 6);
    run("TPM", c_pmcr, 0, EL1H);
    write_sysreg(mdcr_el3, 0);
    run("no TPM", c_pmcr, 0, EL1H);
    scr(SCR_NS | SCR_TWI);
    run("TWI", c_wfi, 0, EL1H);
    scr(SCR_NS | 1ul << 14);
    run("TLOR", c_lor, 0, EL1H);
    scr(SCR_NS);
    run("no TLOR", c_lor, 0, EL1H);
    run("scr of el2", c_scr, 0, EL2H);
    run("tlbi of el2", c_tlbi3, 0, EL2H);
    scr(0);
    run("el2's of secure el1", c_hcr, 0, EL1H);
}

static void timer(void) {
    scr(0);
    run("no ST", c_cntps, 0, EL1H);
    scr(SCR_ST);
    run("ST", c_cntps, 0, EL1H);
    scr(SCR_ST | SCR_NS);
    run("not secure", c_cntps, 0, EL1H);
    run("el2", c_cntps, 0, EL2H);
    write_sysreg(cntps_cval_el1, read_sysreg(cntpct_el0) + 1000);
    write_sysreg(cntps_ctl_el1, 1);
    while (!(read_sysreg(cntps_ctl_el1) & 4))
        ;
    print("secure timer %x\n", read_sysreg(cntps_ctl_el1));
    write_sysreg(cntps_ctl_el1, 0);
}

#define SECURE_RAM 0x0e000000ul
static void memory(void) {
    *(volatile u32*)SECURE_RAM = 0x5ec0de;
    scr(0);
    run("secure ram, secure el1", c_load, SECURE_RAM, EL1H);
    scr(SCR_NS);
    run("secure ram, el1", c_load, SECURE_RAM, EL1H);
    run("secure ram, el2", c_load, SECURE_RAM, EL2H);
    run("write, el1", c_store, SECURE_RAM, EL1H);
    run("fetch, el1", c_branch, SECURE_RAM, EL1H);
    scr(SCR_NS | SCR_EA);
    run("EA: read", c_load, SECURE_RAM, EL1H);
    run("EA: fetch", c_branch, SECURE_RAM, EL1H);
    scr(SCR_NS);
    run("secure uart, el1", c_load, 0x09040fe0, EL1H);
    run("uart, el1", c_load, 0x09000fe0, EL1H);
    print("still %x\n", *(volatile u32*)SECURE_RAM);
}

// ---- EL3's own translation, and secure EL1's: 4 KiB granule, 32 bits, so that it begins at level 1

static u64 l1[8] __attribute__((aligned(4096))), l2[512] __attribute__((aligned(4096))),
    l2_plain[512] __attribute__((aligned(4096)));
#define BLOCK (1ul | 1ul << 10 | 3ul << 8)
#define NS (1ul << 5)
#define NSTABLE (1ul << 63)
static u64 read3(u64 at) {
    u64 v, before = own_faults;
    asm volatile("mov %0, #0\n ldr %w0, [%1]" : "=&r"(v) : "r"(at) : "memory");
    return own_faults != before ? own_esr : v;
}
static void at3(u64 address) {
    asm volatile("at s1e3r, %0\n isb" : : "r"(address));
    print(" par %x", read_sysreg(par_el1));
}
static void translation(void) {
    // 1 GiB blocks: devices (attributes 0) and RAM (attributes 1) as they are. At 2 GiB, 2 MiB blocks of the secure RAM.
    l1[0] = BLOCK | 1ul << 53 | 1ul << 54;
    l1[1] = 0x40000000ul | BLOCK | 1 << 2;
    l1[2] = (u64)l2 | 3;
    l1[3] = (u64)l2_plain | 3 | NSTABLE;
    l2[0] = SECURE_RAM | BLOCK | 1 << 2;
    l2[1] = SECURE_RAM | BLOCK | 1 << 2 | NS;
    l2[2] = 0x40000000ul | BLOCK | 1 << 2 | NS;
    l2_plain[0] = 0x40000000ul | BLOCK | 1 << 2;
    u64 mair = 0xff04, tcr = 32 | 1 << 8 | 1 << 10 | 3 << 12;
    write_sysreg(mair_el3, mair);
    write_sysreg(tcr_el3, 1u << 31 | 1 << 23 | 2 << 16 | tcr);
    write_sysreg(ttbr0_el3, l1);
    asm volatile("dsb sy\n tlbi alle3\n dsb sy\n isb");
    write_sysreg(sctlr_el3, 0x30c50831);
    print("el3: secure %x", read3(0x80000000));
    print(" as non-secure %x", read3(0x80200000));
    print(" ram %d", read3(0x80400000) == *(volatile u32*)0x40000000);
    print(" by a table %d\n", read3(0xc0000000) == *(volatile u32*)0x40000000);
    print("at s1e3r:");
    at3(0x80000000), at3(0x80200000), at3(0xc0000000), at3(0x100000000);
    print("\n");
    l2[1] = SECURE_RAM | BLOCK | 1 << 2;
    asm volatile("dsb sy\n tlbi vae3, %0\n dsb sy\n isb" : : "r"(0x80200000ul >> 12));
    print("after tlbi: %x\n", read3(0x80200000));
    l2[1] = SECURE_RAM | BLOCK | 1 << 2 | NS;
    write_sysreg(sctlr_el3, 0x30c50830);

    write_sysreg(mair_el1, mair);
    write_sysreg(tcr_el1, tcr | 1 << 23 | 2ul << 32);
    write_sysreg(ttbr0_el1, l1);
    asm volatile("dsb sy\n tlbi alle1\n dsb sy\n isb");
    write_sysreg(sctlr_el1, 0x30d00801);
    scr(0);
    run("secure el1: secure", c_load, 0x80000000, EL1H);
    run("as non-secure", c_load, 0x80200000, EL1H);
    l2[3] = 0x40200000ul | BLOCK | 1 << 2;
    l2[4] = 0x40200000ul | BLOCK | 1 << 2 | NS;
    asm volatile("dsb sy");
    run("fetch, secure", (char*)(0x80600000 + ((u64)c_level & 0x1fffff)), 0, EL1H);
    run("fetch, non-secure", (char*)(0x80800000 + ((u64)c_level & 0x1fffff)), 0, EL1H);
    scr(SCR_SIF);
    run("SIF: fetch, secure", (char*)(0x80600000 + ((u64)c_level & 0x1fffff)), 0, EL1H);
    run("SIF: fetch, non-secure", (char*)(0x80800000 + ((u64)c_level & 0x1fffff)), 0, EL1H);
    scr(SCR_NS);
    run("el1: NS clear", c_load, 0x80000000, EL1H);
    run("el1: NS set", c_load, 0x80200000, EL1H);
    write_sysreg(sctlr_el1, 0x30d00800);
}

int main(void) {
    start_el3();
    levels();
    calls();
    traps();
    timer();
    memory();
    translation();
    power_off();
    return 0;
}
