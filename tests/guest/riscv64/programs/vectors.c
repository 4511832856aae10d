// run: cpu rv64,v=on
// Vectors as programs meet them: the kernel tells of them, and a signal's handler may use them, for the frame has what it
// interrupts (asm/sigcontext.h, asm/ptrace.h). What the host's build prints is what must hold.
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

static void say(const char* what, int holds) { printf("%s: %s\n", what, holds ? "yes" : "no"); }

#ifdef __riscv
static volatile int seen, record;
// The record of V stands in the last words of the floating-point state's 528 bytes: magic and size; vstart, vl, vtype,
// vcsr, vlenb, where the registers are.
static void handler(int number, siginfo_t* info, void* context) {
    const char* words = (const char*)context + 176 + 256 + 520;
    uint32_t head[2];
    uint64_t state[6];
    memcpy(head, words, sizeof head);
    memcpy(state, words + 8, sizeof state);
    record = head[0] == 0x53465457 && head[1] == 8 + 48 + 32 * 16 && state[0] == 0 && state[1] == 3 &&
             state[2] == 0xd0 && state[3] == 5 && state[4] == 16 && ((const uint32_t*)state[5])[8 * 4 + 2] == 3;
    __asm__ volatile(
        ".option push\n .option arch, +v\n vsetvli t0, x0, e8, m8, ta, ma\n vmv.v.i v8, -1\n csrwi vcsr, 2\n"
        ".option pop" ::
            : "t0");
    seen = 1;
}

static void check(void) {
    struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &a, 0);
    say("told", getauxval(AT_HWCAP) >> ('V' - 'A') & 1);
    struct {
        int64_t key;
        uint64_t value;
    } probe = {4, 0};
    syscall(258, &probe, 1, 0, 0, 0);
    say("probed", probe.value >> 2 & 1);
    uint32_t data[4] = {1, 2, 3, 4};
    uint64_t vl, vtype, vcsr;
    __asm__ volatile(".option push\n .option arch, +v\n"
                     "vsetivli x0, 3, e32, m1, ta, ma\n vle32.v v8, (%3)\n csrwi vcsr, 5\n"
                     "mv a0, %4\n mv a1, %5\n li a7, 129\n ecall\n" // kill
                     "vadd.vi v8, v8, 1\n vse32.v v8, (%3)\n csrr %0, vl\n csrr %1, vtype\n csrr %2, vcsr\n"
                     ".option pop"
                     : "=&r"(vl), "=&r"(vtype), "=&r"(vcsr)
                     : "r"(data), "r"((long)getpid()), "r"((long)SIGUSR1)
                     : "a0", "a1", "a7", "memory");
    say("handled", seen);
    say("record", record);
    say("configuration is back", vl == 3 && vtype == 0xd0 && vcsr == 5);
    say("registers are back", data[0] == 2 && data[1] == 3 && data[2] == 4 && data[3] == 4);
}
#else
static void check(void) {
    static const char* const all[] = {
        "told", "probed", "handled", "record", "configuration is back", "registers are back"};
    for (unsigned n = 0; n < sizeof all / sizeof *all; n++) say(all[n], 1);
}
#endif

int main(void) {
    check();
    return 0;
}
