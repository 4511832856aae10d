// run: cpu rv64,v=on
// Code under several vtypes in one loop: handlers of faults, of illegal instructions and of a timer begin under the one of
// the place that they interrupt.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>

static void say(const char* what, int holds) { printf("%s: %s\n", what, holds ? "yes" : "no"); }

#ifdef __riscv
#    define V(code) ".option push\n .option arch, +v\n" code ".option pop"
static volatile sig_atomic_t wrong, faults, traps, alarms;

static void handler(int number, siginfo_t* info, void* context) {
    uint8_t bytes[16];
    uint64_t vtype, vl;
    // -1 + 2 is 1 in each element, as wide as it is.
    __asm__ volatile(V("csrr %0, vtype\n csrr %1, vl\n vmv.v.i v8, -1\n vadd.vi v8, v8, 2\n vs1r.v v8, (%2)\n")
                     : "=&r"(vtype), "=&r"(vl)
                     : "r"(bytes)
                     : "memory");
    const unsigned width = 1u << (vtype >> 3 & 7);
    for (unsigned n = 0; n < vl * width; n++) wrong |= bytes[n] != (n % width == 0);
    if (number == SIGALRM) {
        alarms++;
        return;
    }
    faults += number == SIGSEGV && width == 4;
    traps += number == SIGILL && width == 2;
    ((ucontext_t*)context)->uc_mcontext.__gregs[0] += 4;
}

static __attribute__((noinline)) uint64_t turns(long count, const void* where) {
    uint64_t sum = 0;
    __asm__ volatile(V("1:\n vsetivli x0, 16, e8, m1, ta, ma\n vmv.v.i v1, 1\n"
                       "vsetivli x0, 4, e32, m1, ta, ma\n vle32.v v2, (%2)\n vadd.vv v1, v1, v1\n vmv.x.s t0, v1\n"
                       "vsetvli x0, x0, e16, mf2, ta, ma\n add %0, %0, t0\n"
                       "vsetivli x0, 8, e16, m1, ta, ma\n vadd.vv v1, v1, v1\n vadd.vv v3, v1, v2\n"
                       "vsetivli x0, 2, e64, m1, ta, ma\n vmv.x.s t0, v1\n add %0, %0, t0\n"
                       "addi %1, %1, -1\n bnez %1, 1b\n")
                     : "+r"(sum), "+r"(count)
                     : "r"(where)
                     : "t0", "memory");
    return sum;
}
static __attribute__((noinline)) void refused(long count) {
    __asm__ volatile(V("1:\n vsetivli x0, 16, e8, m1, ta, ma\n vmv.v.i v1, 1\n"
                       "vsetivli x0, 8, e16, m1, ta, ma\n vfadd.vv v1, v1, v1\n" // no such floats: Zvfh
                       "addi %0, %0, -1\n bnez %0, 1b\n")
                     : "+r"(count)::"memory");
}

static void check(void) {
    struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &a, 0);
    sigaction(SIGILL, &a, 0);
    sigaction(SIGALRM, &a, 0);
    const uint64_t data[2] = {0, 0};
    const uint64_t once = 0x02020202 + 0x0404040404040404;
    say("sums", turns(3000, data) == 3000 * once);
    say("sums around faults", turns(1000, 0) == 1000 * once && faults == 1000);
    refused(1000);
    say("traps", traps == 1000);
    struct itimerval every = {{0, 500}, {0, 500}};
    setitimer(ITIMER_REAL, &every, 0);
    int equal = 1;
    while (alarms < 20) equal &= turns(2000, data) == 2000 * once;
    say("sums around alarms", equal);
    say("handlers under the right vtype", !wrong);
}
#else
static void check(void) {
    static const char* const all[] = {"sums", "sums around faults", "traps", "sums around alarms",
                                      "handlers under the right vtype"};
    for (unsigned n = 0; n < sizeof all / sizeof *all; n++) say(all[n], 1);
}
#endif

int main(void) {
    check();
    return 0;
}
