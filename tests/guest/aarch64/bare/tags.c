// Addresses whose top byte is ignored (TCR_EL1.TBI0): a watchpoint is compared without it, FAR has it. The reference does not find
// such an access.
#include "bare.h"

asm(".text\n.balign 4\n.globl load8\nload8: ldr x0, [x0]\nret\n");
extern char load8[];

static u64 data[8] __attribute__((aligned(64))) = {77, 78};
static u64 expected;
static int handle(struct frame* f) {
    if (EC(f->esr) == 0x15) return 0; // it came back
    print("%x at %s\n", EC(f->esr), f->far == expected ? "the address with its tag" : "another address");
    return 0;
}

static void load(const char* what, u64 address) {
    expected = address;
    print("%s: ", what);
    const u64 r = attempt((u64)load8, address, 0);
    if (r != TRAPPED) print("%d\n", r);
}

int main(void) {
    const u64 at = (u64)data, tag = 0x5aul << 56;
    on_trap = handle;
    write_sysreg(tcr_el1, 1ul << 37);
    load("not watched", at | tag);
    write_sysreg(oslar_el1, 0);
    write_sysreg(mdscr_el1, 1ul << 15); // MDE
    write_sysreg(dbgwvr0_el1, at);
    write_sysreg(dbgwcr0_el1, 1 | 2ul << 1 | 1ul << 3 | 255ul << 5); // loads of EL0
    load("without a tag", at);
    load("with a tag", at | tag);
    load("with another", at | tag << 1);
    load("beside it", (at + 8) | tag);
    return 0;
}
