// Software step: a program and EL1 itself, an instruction at a time, and what the syndromes say.
#include "bare.h"

#define CODE(name, text)                                                                                               \
    asm(".text\n.balign 4\n.globl " #name "\n" #name ":\n" text "\nret\n");                                            \
    extern char name[]

CODE(do_plain, "mov x1, #3\n1: sub x1, x1, #1\ncbnz x1, 1b\nldr x0, [x0]\nadd x0, x0, #1");
CODE(do_exclusive, "ldxr x1, [x0]\nadd x1, x1, #1\nstxr w2, x1, [x0]\nldaxr x0, [x0]");
CODE(do_trap, "mov x1, #1\nbrk #5\nmov x0, #2");
CODE(do_undefined, "udf #7\nmov x0, #3");
CODE(do_abort, "mov x1, #0x70000000\nldr x1, [x1]\nmov x0, #4");
CODE(do_call, "mov x0, #5\nmov x8, #0\nsvc #0x55\nadd x0, x0, #1");
CODE(do_registers, "msr tpidr_el0, x0\nmrs x1, tpidr_el0\nmrs x0, nzcv\nmov x0, #6");
CODE(do_kernel, "brk #6\nmov x0, #1\nisb\nmrs x1, currentel\nadd x0, x0, #2");

#define SS (1ul << 21)
#define D (1ul << 9)

static u64 data[2], start;
static u64 steps, quiet;

static int stepping(struct frame* f) {
    u64 ec = EC(f->esr);
    if (ec == 0x15 && (f->esr & 0xffff) != 0x55) return 0; // the end of attempt()
    u64 pc = f->elr - start, x0 = f->x[0] == (u64)data ? 0 : f->x[0];
    if (!quiet)
        print("  esr %x spsr %x pc+%x x0 %x\n", f->esr, f->spsr & ~0x1000ul, pc < 64 ? pc : 64, x0); // 64: behind
    if (++steps > 40) return 0;
    if (ec != 0x32 && ec != 0x33 && ec != 0x15) f->elr += 4; // behind what cannot be stepped
    f->spsr |= SS;
    if ((f->spsr >> 2 & 3) == 1) f->spsr &= ~D;
    return 1;
}

static void step(const char* what, char* code, u64 level) {
    print("%s EL%d\n", what, level);
    start = (u64)code;
    steps = 0;
    data[0] = 41;
    on_trap = stepping;
    u64 r = attempt((u64)code, (u64)data, level);
    print("  %s %x, %d steps\n", r == TRAPPED ? "trapped" : "ok", r == TRAPPED ? EC(trap_esr) : r, steps);
}

int main(void) {
    // Nothing is stepped while the OS lock holds, or SS is clear.
    write_sysreg(oslar_el1, 1);
    write_sysreg(mdscr_el1, 1);
    quiet = 1;
    step("locked", do_plain, 0);
    quiet = 0;
    write_sysreg(mdscr_el1, 0);
    write_sysreg(oslar_el1, 0);
    step("off", do_plain, 0);
    write_sysreg(mdscr_el1, 1);
    step("plain", do_plain, 0);
    step("exclusive", do_exclusive, 0);
    step("trap", do_trap, 0);
    step("undefined", do_undefined, 0);
    step("abort", do_abort, 0);
    step("call", do_call, 0);
    step("registers", do_registers, 0);
    step("no kernel", do_kernel, 1); // without KDE
    write_sysreg(mdscr_el1, 1 | 1 << 13);
    step("kernel", do_kernel, 1);
    write_sysreg(mdscr_el1, 0);
    return 0;
}
