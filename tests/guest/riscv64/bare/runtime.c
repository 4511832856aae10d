#include "bare.h"

volatile u64 trap_cause, trap_value, trap_pc;
u64 (*volatile on_trap)(struct frame* f);
extern char attempt_end[], attempt_over[];

void finish(void) {
    *FINISHER = 0x5555;
    for (;;) asm volatile("wfi");
}

// From machine_trap. An ecall at attempt_over, or any trap that nobody else wants, ends attempt().
void trap(struct frame* f) {
    trap_cause = csr_read(mcause), trap_value = csr_read(mtval), trap_pc = csr_read(mepc);
    if (on_trap) {
        u64 to = on_trap(f);
        if (to) {
            csr_write(mepc, to);
            return;
        }
    }
    if (trap_pc != (u64)attempt_over) f->reg[10] = trap_cause | TRAPPED;
    csr_set(mstatus, 0x1800); // to machine mode
    csr_write(mepc, attempt_end);
}
