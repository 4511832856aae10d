#include "bare.h"

volatile u64 trap_esr, trap_far, trap_elr, trap_spsr;
int (*volatile on_trap)(struct frame* f);
void (*volatile on_irq)(void);
extern u64 attempt_value;

u64 psci(u64 function, u64 a, u64 b, u64 c) {
    register u64 x0 asm("x0") = function, x1 asm("x1") = a, x2 asm("x2") = b, x3 asm("x3") = c;
    asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
    return x0;
}
void finish(void) {
    psci(0x84000008, 0, 0, 0); // SYSTEM_OFF
    for (;;) asm volatile("wfi");
}

// From the vectors. Not 0: go on by the frame; 0: attempt() ends.
int trap(struct frame* f) {
    if (on_trap && on_trap(f)) return 1;
    int over = EC(f->esr) == 0x15 && (f->esr & 0xffff) == 0x77;
    attempt_value = over ? f->x[0] : TRAPPED;
    if (!over) trap_esr = f->esr, trap_far = f->far, trap_elr = f->elr, trap_spsr = f->spsr;
    return 0;
}
void interrupt(void) {
    if (on_irq) on_irq();
}
