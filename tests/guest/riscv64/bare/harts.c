// Two harts: atomic operations, LR/SC, messages by software interrupt, code that one writes and the other runs, timers.
#include "bare.h"

static volatile u64 ready, go, counter, lrsc, swapped, messages[2], done;
static volatile u32 code[1024] __attribute__((aligned(4096)));
typedef u64 (*function)(void);
static volatile u64 results;
#define ROUNDS 20000

static void work(void) {
    for (int n = 0; n < ROUNDS; ++n) {
        asm volatile("amoadd.d x0, %0, (%1)" : : "r"(1ul), "r"(&counter) : "memory");
        u64 v, failed;
        asm volatile("1: lr.d %0, (%2)\naddi %0, %0, 3\nsc.d %1, %0, (%2)\nbnez %1, 1b"
                     : "=&r"(v), "=&r"(failed)
                     : "r"(&lrsc)
                     : "memory");
        asm volatile("1: lr.w.aq %0, (%2)\nbnez %0, 1b\nsc.w %1, %3, (%2)\nbnez %1, 1b"
                     : "=&r"(v), "=&r"(failed)
                     : "r"(&swapped), "r"(1)
                     : "memory");
        messages[0] = messages[0] + 1; // under the lock
        asm volatile("amoswap.w.rl x0, x0, (%0)" : : "r"(&swapped) : "memory");
    }
}

static u64 on_interrupt(struct frame* f) {
    (void)f;
    u64 hart = csr_read(mhartid);
    if (trap_cause == (1ul << 63 | 3)) {
        MSIP[hart] = 0;
        messages[1]++;
    }
    if (trap_cause == (1ul << 63 | 7)) {
        MTIMECMP[hart] = -1ul;
        done++;
    }
    return csr_read(mepc);
}
// Interrupts are taken between two looks only: one that came after the look would leave nothing for wfi to wake up by.
#define wait_until(condition)                                                                                          \
    while (!(condition)) {                                                                                             \
        asm volatile("wfi");                                                                                           \
        csr_set(mstatus, 8);                                                                                           \
        csr_clear(mstatus, 8);                                                                                         \
    }
static char frames[2][4096] __attribute__((aligned(16)));

void secondary(u64 hart) {
    if (hart != 1) return;
    csr_write(mscratch, frames[1] + 4096);
    ready = 1;
    while (!go) {}
    work();
    // waits for messages, and answers each
    csr_write(mie, 8);
    ready = 2;
    wait_until(messages[1] == 100);
    ready = 3;
    // runs what the other writes
    for (u64 n = 1; n <= 100; ++n) {
        while (go != 100 + n) {}
        asm volatile("fence r, rw\nfence.i" : : : "memory");
        results += ((function)(u64)code)();
        ready = 100 + n;
    }
    while (go != 1000) {} // the other has seen the last answer
    csr_write(mie, 0x80);
    MTIMECMP[1] = *MTIME + 20000;
    wait_until(done);
    ready = 1000;
}

int main(void) {
    on_trap = on_interrupt;
    csr_write(mscratch, frames[0] + 4096);
    while (ready != 1) {}
    go = 1;
    work();
    while (ready != 2) {}
    print("counter %d lrsc %d locked %d\n", counter, lrsc, messages[0]);
    for (u64 n = 0; n < 100; ++n) {
        MSIP[1] = 1;
        while (messages[1] == n) {}
    }
    while (ready != 3) {}
    print("messages %d\n", messages[1]);
    for (u64 n = 1; n <= 100; ++n) {
        code[0] = 0x00000513u | (u32)n << 20;
        code[1] = 0x00008067u;
        asm volatile("fence w, rw" : : : "memory");
        go = 100 + n;
        while (ready != 100 + n) {}
    }
    print("results %d\n", results);
    go = 1000;
    while (ready != 1000) {}
    print("timer %d\n", done > 0);
    // this hart's timer, by stimecmp, while it computes
    csr_set(menvcfg, 1ul << 63);
    csr_write(mideleg, 0);
    csr_write(stimecmp, *MTIME + 10000);
    while (!(csr_read(mip) & 32)) {}
    csr_write(stimecmp, -1ul);
    print("stimecmp %d\n", csr_read(mip) & 32);
    return 0;
}
