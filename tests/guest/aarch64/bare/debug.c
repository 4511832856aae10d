// Self-hosted debug at EL1: software step, breakpoints, watchpoints; what they say, whom they stop and what masks them.
#include "bare.h"

#define CODE(name, text)                                                                                               \
    asm(".text\n.balign 4\n.globl " #name "\n" #name ":\n" text "\nret\n");                                            \
    extern char name[]

#define SPSR_SS (1ul << 21)
#define SPSR_D (1ul << 9)
#define SS 1ul
#define KDE (1ul << 13)
#define MDE (1ul << 15)

// svc #1 and #2: the handler switches stepping on and off for the code behind it.
CODE(steps,
     "mov x0, #0\nsvc #1\n1: add x0, x0, #1\ncmp x0, #2\nb.ne 1b\nldxr x2, [x1]\nldaxr w2, [x1]\nstxr w3, x2, [x1]\n"
     "svc #3\nnop\nsvc #2\nnop");
CODE(fault_step, "mov x2, #0x70000000\nsvc #1\nldr x3, [x2]\nbrk #7\nnop\nsvc #2");
CODE(own_steps, "svc #1\nnop\nmsr daifset, #8\nnop\nnop\nmsr daifclr, #8\nnop\nsvc #2\nnop");
CODE(loop,
     "mov x2, x0\nmov x0, #0\nloop_head: add x0, x0, #1\nloop_body: nop\ncmp x0, x2\nb.ne loop_head\nloop_end: nop");
extern char loop_head[], loop_body[], loop_end[];
CODE(load8, "ldr x0, [x0]");
CODE(load1_3, "ldrb w0, [x0, #3]");
CODE(load_pair, "ldp x2, x0, [x0, #-8]");
CODE(store4_4, "str wzr, [x0, #4]\nmov x0, #1");
CODE(store_after, "str xzr, [x0, #8]\nmov x0, #1");
CODE(load_q, "sub x0, x0, #8\nldp x2, x3, [x0]\nmov x0, #1");
CODE(own_load, "svc #1\nldr x0, [x0]");
CODE(own_load_as_user, "svc #1\nldtr x0, [x0]");
CODE(add, "mov x1, #1\nldadd x1, x0, [x0]");
CODE(exclusive, "ldxr x2, [x0]\nstxr w3, x2, [x0]\nmov x0, #1");
CODE(zero, "add x0, x0, #24\ndc zva, x0\nmov x0, #1");
CODE(in_next, "mov w2, #9\nstr w2, [x0, #1024]\nldr w0, [x0, #1024]");

static u64 data[1024] __attribute__((aligned(4096)));
static char* start;
static u64 seen, events, log_events;
static int hides;     // the handler takes what was met away while its instruction is stepped
static int passes_by; // ... which is done now

static void tell(struct frame* f) {
    print(" %x:%x+%x", EC(f->esr), f->esr & 0x1ffffff, f->elr - (u64)start);
    if (f->spsr & SPSR_SS) print("s");
}
static int handle(struct frame* f) {
    u64 ec = EC(f->esr), number = f->esr & 0xffff;
    if (ec == 0x15 && number == 0x77) return 0;
    if (ec == 0x15 && number <= 3) {
        if (log_events) print(" svc%d%s", number, f->spsr & SPSR_SS ? "s" : "");
        if (number == 1) {
            write_sysreg(mdscr_el1, read_sysreg(mdscr_el1) | SS);
            f->spsr = (f->spsr | SPSR_SS) & ~SPSR_D;
        }
        if (number == 2) write_sysreg(mdscr_el1, read_sysreg(mdscr_el1) & ~SS);
        return 1;
    }
    ++events;
    if (log_events) tell(f);
    if (ec == 0x32 || ec == 0x33) {
        if (passes_by) { // of who hides: as before
            passes_by = 0;
            write_sysreg(dbgbcr0_el1, read_sysreg(dbgbcr0_el1) | 1);
            write_sysreg(mdscr_el1, read_sysreg(mdscr_el1) & ~SS);
            return 1;
        }
        f->spsr |= SPSR_SS;
        return 1;
    }
    if (ec == 0x30 || ec == 0x31) {
        ++seen;
        if (hides) {
            passes_by = 1;
            write_sysreg(dbgbcr0_el1, read_sysreg(dbgbcr0_el1) & ~1ul);
            write_sysreg(mdscr_el1, read_sysreg(mdscr_el1) | SS);
            f->spsr |= SPSR_SS;
            return 1;
        }
        write_sysreg(dbgbcr0_el1, read_sysreg(dbgbcr0_el1) & ~1ul);
        return 1;
    }
    if (ec == 0x34 || ec == 0x35) {
        ++seen;
        print(" far data%d", f->far - (u64)data);
        return 0;
    }
    f->elr += 4; // what faults is left out
    return 1;
}

static void go(const char* what, char* code, u64 a, u64 level) {
    start = code, events = seen = 0, log_events = 1;
    print("%s EL%d:", what, level);
    u64 r = attempt((u64)code, a, level);
    if (r != TRAPPED) print(" -> %x", r);
    print("\n");
}

static void stepping(void) {
    write_sysreg(mdscr_el1, 0);
    go("steps", steps, (u64)data, 0);
    go("steps with a fault", fault_step, 0, 0);
    go("steps without KDE", own_steps, 0, 1);
    write_sysreg(mdscr_el1, KDE);
    go("steps", own_steps, 0, 1);
    write_sysreg(mdscr_el1, 0);
}

static void set_breakpoint(u64 n, char* at, u64 control) {
    if (n == 0) {
        write_sysreg(dbgbvr0_el1, at);
        write_sysreg(dbgbcr0_el1, control);
    } else {
        write_sysreg(dbgbvr4_el1, at);
        write_sysreg(dbgbcr4_el1, control);
    }
}
#define BAS (15ul << 5)
#define E 1ul
#define EL1 2ul
#define EL0 4ul
#define LINKED (1ul << 20 | 4ul << 16)
#define CONTEXT (2ul << 20)
#define CONTEXT_LINKED (3ul << 20)

// At EL1 with PSTATE.D clear.
static int own_level(struct frame* f) {
    if (EC(f->esr) == 0x15 && (f->esr & 0xffff) == 1) {
        f->spsr &= ~SPSR_D;
        return 1;
    }
    return handle(f);
}
CODE(own_loop,
     "mov x4, x0\nsvc #1\nmov x0, x4\nmov x2, x0\nmov x0, #0\n1: add x0, x0, #1\nown_body: nop\ncmp x0, x2\nb.ne 1b");
extern char own_body[];

static void breakpoints(void) {
    asm volatile("msr oslar_el1, %0\nisb" : : "r"(1ul));
    write_sysreg(mdscr_el1, MDE | KDE);
    set_breakpoint(0, loop_body, BAS | E | EL0);
    go("locked", loop, 5, 0);
    asm volatile("msr oslar_el1, %0\nisb" : : "r"(0ul));
    print("control %x value +%x\n", read_sysreg(dbgbcr0_el1), read_sysreg(dbgbvr0_el1) - (u64)loop_body);
    go("of EL0", loop, 5, 0);
    go("taken away", loop, 5, 0);
    set_breakpoint(0, loop_body, BAS | E | EL1);
    go("of EL1", loop, 5, 0);
    go("of EL1, masked", loop, 5, 1);
    on_trap = own_level;
    set_breakpoint(0, own_body, BAS | E | EL1);
    go("of EL1", own_loop, 5, 1);
    set_breakpoint(0, own_body, BAS | E | EL1);
    write_sysreg(mdscr_el1, MDE);
    go("of EL1 without KDE", own_loop, 5, 1);
    on_trap = handle;
    write_sysreg(mdscr_el1, KDE);
    set_breakpoint(0, loop_body, BAS | E | EL0 | EL1);
    go("without MDE", loop, 5, 0);
    write_sysreg(mdscr_el1, MDE);
    go("of both", loop, 5, 0);
    set_breakpoint(0, loop_end, BAS | E | EL0);
    go("behind the loop", loop, 100, 0);

    write_sysreg(contextidr_el1, 0x1234);
    set_breakpoint(4, (char*)0x1234, CONTEXT_LINKED | E | EL0);
    set_breakpoint(0, loop_body, BAS | E | EL0 | LINKED);
    go("linked", loop, 5, 0);
    write_sysreg(contextidr_el1, 0x1235);
    set_breakpoint(0, loop_body, BAS | E | EL0 | LINKED);
    go("linked, another context", loop, 5, 0);
    set_breakpoint(4, 0, 0);
    go("linked to nothing", loop, 5, 0);
    set_breakpoint(0, 0, 0);

    // Hit, hidden, stepped over and put back, each time round a loop that is translated.
    set_breakpoint(0, loop_body, BAS | E | EL0);
    hides = 1, start = loop, log_events = 0, events = seen = 0;
    u64 r = attempt((u64)loop, 1000, 0);
    print("hot: %d of %d, %d events\n", seen, r, events);
    set_breakpoint(0, loop_body, 0);
    events = seen = 0;
    r = attempt((u64)loop, 1000, 0);
    print("off: %d of %d\n", seen, r);
    set_breakpoint(0, loop_head, BAS | E | EL0);
    r = attempt((u64)loop, 1000, 0);
    print("at the head: %d of %d\n", seen, r);
    hides = 0;
    set_breakpoint(0, 0, 0);
}

#define LOAD (1ul << 3)
#define STORE (2ul << 3)
#define BYTES(b) ((u64)(b) << 5)
#define MASK(n) ((u64)(n) << 24)
static void watch(const char* what, u64 at, u64 control, char* code, u64 level) {
    write_sysreg(dbgwvr0_el1, at);
    write_sysreg(dbgwcr0_el1, control | E);
    go(what, code, (u64)&data[64], level);
    write_sysreg(dbgwcr0_el1, 0);
}

static void watchpoints(void) {
    u64 at = (u64)&data[64];
    write_sysreg(mdscr_el1, MDE);
    watch("load, 8", at, LOAD | BYTES(255) | EL0, load8, 0);
    watch("load, of stores", at, STORE | BYTES(255) | EL0, load8, 0);
    watch("load, of EL1", at, LOAD | BYTES(255) | EL1, load8, 0);
    watch("load 1 at 3", at, LOAD | BYTES(8) | EL0, load1_3, 0);
    watch("load 1 at 3, of 2", at, LOAD | BYTES(4) | EL0, load1_3, 0);
    watch("load, of byte 5", at, LOAD | BYTES(1 << 5) | EL0, load8, 0);
    watch("load of a pair", at, LOAD | BYTES(255) | EL0, load_pair, 0);
    watch("load of a pair, any", at, LOAD | STORE | BYTES(1) | EL0, load_q, 0);
    watch("store 4 at 4", at, STORE | BYTES(0xf0) | EL0, store4_4, 0);
    watch("store 4 at 4, by word", at + 4, STORE | BYTES(0xf) | EL0, store4_4, 0);
    watch("store 4 at 4, of loads", at, LOAD | BYTES(0xf0) | EL0, store4_4, 0);
    watch("store behind", at, LOAD | STORE | BYTES(255) | EL0, store_after, 0);
    watch("store behind, mask", at, LOAD | STORE | BYTES(255) | EL0 | MASK(4), store_after, 0);
    watch("store elsewhere in the page", at, STORE | BYTES(255) | EL0, in_next, 0);
    watch("atomic, of stores", at, STORE | BYTES(255) | EL0, add, 0);
    watch("atomic, of loads", at, LOAD | BYTES(255) | EL0, add, 0);
    watch("exclusive", at, STORE | BYTES(255) | EL0, exclusive, 0);
    watch("masked", at, LOAD | STORE | BYTES(255) | EL0 | EL1, load8, 1);
    watch("zero", at, STORE | BYTES(255) | EL0 | EL1, zero, 0);
    print("data %x %x\n", data[64], data[65]);
}

static void own_watchpoints(void) {
    u64 at = (u64)&data[64];
    write_sysreg(mdscr_el1, MDE | KDE);
    on_trap = own_level;
    watch("own load, of EL1", at, LOAD | BYTES(255) | EL1, own_load, 1);
    watch("own load, of EL0", at, LOAD | BYTES(255) | EL0, own_load, 1);
    watch("as EL0 would, of EL1", at, LOAD | BYTES(255) | EL1, own_load_as_user, 1);
    watch("as EL0 would, of EL0", at, LOAD | BYTES(255) | EL0, own_load_as_user, 1);
    write_sysreg(mdscr_el1, 0);
}

int main(void) {
    print("mdscr %x oslsr %x\n", read_sysreg(mdscr_el1), read_sysreg(oslsr_el1));
    on_trap = handle;
    asm volatile("msr oslar_el1, %0\nisb" : : "r"(0ul));
    print("oslsr %x\n", read_sysreg(oslsr_el1));
    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) | 1 << 14); // DZE
    stepping();
    breakpoints();
    watchpoints();
    own_watchpoints();
    return 0;
}
