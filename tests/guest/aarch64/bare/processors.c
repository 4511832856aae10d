// Two processors: CPU_ON, exclusive and atomic accesses, translations that the other one flushes, WFE and SEV.
#include "bare.h"

static volatile u64 here, phase, counter, under_lock, locked, done, seen_old, seen_new;
static u64 table[512] __attribute__((aligned(4096))), middle[512] __attribute__((aligned(4096))),
    last[512] __attribute__((aligned(4096)));
static volatile u64 pages[2][512] __attribute__((aligned(4096)));
#define ADDRESS 0x80000000ul

static void add(void) {
    u64 v, fail;
    do
        asm volatile("ldxr %0, [%2]\n add %0, %0, #1\n stxr %w1, %0, [%2]"
                     : "=&r"(v), "=&r"(fail)
                     : "r"(&counter)
                     : "memory");
    while (fail);
}
static void lock(void) {
    u64 v, fail;
    do {
        asm volatile("ldaxr %0, [%1]" : "=r"(v) : "r"(&locked) : "memory");
        if (v) {
            asm volatile("wfe");
            continue;
        }
        asm volatile("stxr %w0, %1, [%2]" : "=&r"(fail) : "r"(1ul), "r"(&locked) : "memory");
        if (!fail) return;
    } while (1);
}
static void unlock(void) { asm volatile("stlr xzr, [%0]\n sev" : : "r"(&locked) : "memory"); }

static void translate(void) {
    write_sysreg(mair_el1, 0xff00ul | 0);
    write_sysreg(tcr_el1, 25 | 25ul << 16 | 2ul << 30 | 0x3500ul | 0x3500ul << 16 | 5ul << 32);
    write_sysreg(ttbr0_el1, (u64)table);
    asm volatile("tlbi vmalle1\n dsb nsh\n isb");
    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) | 1);
}
static void count(void) {
    for (int k = 0; k < 10000; ++k) add();
    for (int k = 0; k < 500; ++k) {
        lock();
        under_lock = under_lock + 1;
        unlock();
    }
    for (int k = 0; k < 10000; ++k)
        asm volatile(".arch_extension lse\n stadd %0, [%1]" : : "r"(1ul), "r"(&counter) : "memory");
}

void secondary(u64 cpu) {
    translate();
    here = cpu + 1;
    while (phase < 1)
        ;
    count();
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
    while (phase < 2)
        ;
    // The page changes under the loop. What is read after its flush must be the new page.
    volatile u64* p = (volatile u64*)ADDRESS;
    while (phase == 2) {
        u64 round = __atomic_load_n(&seen_new, __ATOMIC_SEQ_CST);
        u64 v = *p;
        if (v < round) ++seen_old;
    }
    done = 4;
    psci(0x84000002, 0, 0, 0); // CPU_OFF
}

int main(void) {
    table[0] = 0x00000000 | 1 | 1 << 10 | 3ul << 53;
    table[1] = 0x40000000 | 1 | 1 << 10 | 3 << 8 | 1 << 2;
    table[2] = (u64)middle | 3;
    middle[0] = (u64)last | 3;
    last[0] = (u64)pages[0] | 3 | 1 << 10 | 3 << 8 | 1 << 2;
    print("version %x features %x\n", psci(0x84000000, 0, 0, 0), psci(0x8400000a, 0xc4000003, 0, 0));
    print("state %x\n", psci(0xc4000004, 1, 0, 0)); // AFFINITY_INFO
    translate();
    print("on %x\n", psci(0xc4000003, 1, (u64)_start_secondary, 1));
    while (!here)
        ;
    print("here %d, mpidr %x\n", here, read_sysreg(mpidr_el1) & 0xffffff);
    print("on again %d\n", -psci(0xc4000003, 1, (u64)_start_secondary, 1));
    phase = 1;
    count();
    __atomic_fetch_add(&done, 1, __ATOMIC_SEQ_CST);
    while (done < 2)
        ;
    print("counted %d %d\n", counter, under_lock);
    pages[0][0] = 0, pages[1][0] = 0;
    phase = 2;
    for (u64 k = 1; k < 200; ++k) {
        volatile u64* to = pages[k & 1];
        to[0] = k;
        asm volatile("dsb ishst" : : : "memory"); // who finds the page has its new value
        last[0] = (u64)to | 3 | 1 << 10 | 3 << 8 | 1 << 2;
        asm volatile("dsb ishst\n tlbi vaae1is, %0\n dsb ish\n isb" : : "r"(ADDRESS >> 12) : "memory");
        __atomic_store_n(&seen_new, k, __ATOMIC_SEQ_CST);
    }
    phase = 3;
    while (done < 4)
        ;
    print("old pages seen %d\n", seen_old);
    while (psci(0xc4000004, 1, 0, 0) != 1)
        ;
    print("off\n");
    return 0;
}
