// A program's own EL3: run() starts code at a lower level and comes back with what that took to EL3. Code ends by smc #0x77.
// Vectors of EL1 and EL2 tell of what is taken there by smc #(0x100 * level + kind), kind as struct event has it.
#include "bare.h"

enum { synchronous, irq, fiq, serror };
struct event {
    u64 kind, level; // where it was taken: 1, 2 or 3
    u64 esr, elr, far, spsr;
    u64 x0, at; // x0 of the code, and how far into it it got
};
static volatile struct event last;
static volatile u64 own_faults, own_esr; // taken from EL3 itself; the instruction is skipped
static volatile u64 start_of_run;

#define CODE(name, text)                                                                                               \
    asm(".text\n.balign 4\n.globl " #name "\n" #name ":\n" text "\nsmc #0x77\n");                                      \
    extern char name[]

asm(".text\n.balign 2048\nel3_vectors:\n"
    ".balign 128\nb own\n.rept 3\n.balign 128\nb bad_vector\n.endr\n"
    ".balign 128\nb own\n.balign 128\nb el3_own_irq\n.balign 128\nb el3_own_irq\n.balign 128\nb bad_vector\n"
    ".balign 128\nmov x29, #0\nb lower\n.balign 128\nmov x29, #1\nb lower\n.balign 128\nmov x29, #2\nb lower\n"
    ".balign 128\nmov x29, #3\nb lower\n"
    ".rept 4\n.balign 128\nb bad_vector\n.endr\n"
    "bad_vector: b bad_vector\n"
    "lower: stp x0, x1, [sp, #-16]!\nmov x0, sp\nmov x1, x29\nbl entered\nadd sp, sp, #16\n"
    "ldp x21, x22, [sp, #16]\nldp x23, x24, [sp, #32]\nldp x25, x26, [sp, #48]\n"
    "ldp x27, x28, [sp, #64]\nldp x29, x30, [sp, #80]\nldp x19, x20, [sp], #96\nret\n"
    ".globl run_code\nrun_code: stp x19, x20, [sp, #-96]!\nstp x21, x22, [sp, #16]\nstp x23, x24, [sp, #32]\n"
    "stp x25, x26, [sp, #48]\nstp x27, x28, [sp, #64]\nstp x29, x30, [sp, #80]\n"
    "msr elr_el3, x0\nmsr spsr_el3, x2\nmov x0, x1\neret\n"
    "own: stp x0, x1, [sp, #-32]!\nstp x2, x3, [sp, #16]\n"
    "mrs x0, esr_el3\nadrp x1, own_esr\nstr x0, [x1, :lo12:own_esr]\n"
    "adrp x1, own_faults\nldr x0, [x1, :lo12:own_faults]\nadd x0, x0, #1\nstr x0, [x1, :lo12:own_faults]\n"
    "mrs x0, elr_el3\nadd x0, x0, #4\nmsr elr_el3, x0\n"
    "mrs x0, spsr_el3\nand x0, x0, #~(1 << 20)\nmsr spsr_el3, x0\n" // IL
    "ldp x2, x3, [sp, #16]\nldp x0, x1, [sp], #32\neret\n"
    // Masked when it comes back: the program looks what it was.
    "el3_own_irq: stp x0, x1, [sp, #-16]!\nmrs x0, spsr_el3\norr x0, x0, #0xc0\nmsr spsr_el3, x0\n"
    "ldp x0, x1, [sp], #16\neret\n"
    ".macro tell level\n"
    ".rept 2\n.balign 128\nsmc #(0x100 * \\level)\n.balign 128\nsmc #(0x100 * \\level + 1)\n"
    ".balign 128\nsmc #(0x100 * \\level + 2)\n.balign 128\nsmc #(0x100 * \\level + 3)\n.endr\n"
    ".rept 2\n.balign 128\nsmc #(0x100 * \\level)\n.balign 128\nsmc #(0x100 * \\level + 1)\n"
    ".balign 128\nsmc #(0x100 * \\level + 2)\n.balign 128\nsmc #(0x100 * \\level + 3)\n.endr\n.endm\n"
    ".balign 2048\nel1_vectors: tell 1\n.balign 2048\nel2_vectors: tell 2\n");
extern char el3_vectors[], el1_vectors[], el2_vectors[];
void run_code(u64 code, u64 a, u64 spsr);

void entered(u64* x, u64 kind) {
    u64 esr = read_sysreg(esr_el3), number = esr & 0xffff;
    last.x0 = x[0], last.kind = kind, last.level = 3;
    last.esr = kind ? 0 : esr, last.elr = read_sysreg(elr_el3), last.far = 0, last.spsr = read_sysreg(spsr_el3);
    if (!kind && EC(esr) == 0x17 && number >= 0x100) {
        last.level = number >> 8, last.kind = number & 0xff;
        last.esr = last.kind ? 0 : last.level == 1 ? read_sysreg(esr_el1) : read_sysreg(esr_el2);
        last.elr = last.level == 1 ? read_sysreg(elr_el1) : read_sysreg(elr_el2);
        last.far = last.level == 1 ? read_sysreg(far_el1) : read_sysreg(far_el2);
        last.spsr = last.level == 1 ? read_sysreg(spsr_el1) : read_sysreg(spsr_el2);
    } else if (!kind && (EC(esr) & ~5ul) == 0x20) {
        last.far = read_sysreg(far_el3);
    }
    last.at = last.elr - start_of_run;
}

#define EL0 0x3c0
#define EL1H 0x3c5
#define EL2H 0x3c9
static int ended(void) {
    return last.level == 3 && last.kind == synchronous && EC(last.esr) == 0x17 && (last.esr & 0xffff) == 0x77;
}
static void run(const char* what, char* code, u64 a, u64 spsr) {
    static const char* kinds[] = {"", " irq", " fiq", " serror"};
    print("%s:", what);
    start_of_run = (u64)code;
    run_code((u64)code, a, spsr);
    if (ended()) {
        print(" %x\n", last.x0);
        return;
    }
    print(" el%d%s", last.level, kinds[last.kind]);
    if (!last.kind) {
        u64 ec = EC(last.esr), abort = ec & ~1ul;
        // Of data aborts without ISV and what it announces of the access (bits 24 to 14): Mimic does not say it yet.
        print(" ec %x iss %x", ec, last.esr & (abort == 0x24 ? 0x3fff : 0x1ffffff));
        if (abort == 0x24) print(" far %x", last.far);
        if (abort != 0x20) print(" pc+%x", last.at);
    }
    print("\n");
}

// The least that lower levels need: vectors, floating point and counters as they are at reset.
static void start_el3(void) {
    write_sysreg(vbar_el3, el3_vectors);
    write_sysreg(vbar_el1, el1_vectors);
    write_sysreg(vbar_el2, el2_vectors);
    write_sysreg(cptr_el3, 0);
    write_sysreg(cptr_el2, 0x33ff);
    write_sysreg(mdcr_el3, 0);
    write_sysreg(mdcr_el2, 0);
    write_sysreg(hcr_el2, 1ul << 31);
    write_sysreg(cpacr_el1, 3 << 20);
    write_sysreg(cntkctl_el1, 3);
    write_sysreg(cnthctl_el2, 3);
    write_sysreg(sctlr_el1, 0x30d00800);
    write_sysreg(sctlr_el2, 0x30c50830);
}
#define SCR_NS 1ul
#define SCR_IRQ 2ul
#define SCR_FIQ 4ul
#define SCR_EA 8ul
#define SCR_SMD (1ul << 7)
#define SCR_HCE (1ul << 8)
#define SCR_SIF (1ul << 9)
#define SCR_ST (1ul << 11)
#define SCR_TWI (1ul << 12)
static void scr(u64 bits) { write_sysreg(scr_el3, 0x430 | bits); } // RW and what is one

// The GPIO controller of the secure world: line 0 switches off.
static void power_off(void) {
    volatile u32* gpio = (volatile u32*)0x090b0000;
    gpio[0x400 / 4] = 1;
    gpio[(1 << 2) / 4] = 0;
    gpio[(1 << 2) / 4] = 1;
    for (;;) asm volatile("wfi");
}
