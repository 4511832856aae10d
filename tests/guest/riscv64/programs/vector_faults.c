// run: cpu rv64,v=on
// Where vector accesses fault, and what signals leave of the vectors' state: elements that lie in two pages, stores into code,
// frames that a handler changed.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static void say(const char* what, int holds) { printf("%s: %s\n", what, holds ? "yes" : "no"); }

#ifdef __riscv
#    define V(code) ".option push\n .option arch, +v\n" code ".option pop"
static sigjmp_buf back;
static siginfo_t seen;
static void on_fault(int number, siginfo_t* info, void* context) {
    seen = *info;
    siglongjmp(back, 1);
}
static void on_user(int number, siginfo_t* info, void* context) {
    __asm__ volatile(V("csrwi vxrm, 3\n csrwi vxsat, 0\n csrwi vstart, 0\n"));
}
// A vl beyond VLMAX in the record is cut.
static void on_user_long(int number, siginfo_t* info, void* context) {
    char* record = (char*)context + 176 + 256 + 520 + 8;
    const uint64_t vl = 1ull << 40;
    memcpy(record + 8, &vl, 8);
}

static void check(void) {
    struct sigaction a = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &a, 0);
    a.sa_sigaction = on_user;
    sigaction(SIGUSR1, &a, 0);
    a.sa_sigaction = on_user_long;
    sigaction(SIGUSR2, &a, 0);
    const long page = sysconf(_SC_PAGESIZE);
    char* pages = mmap(0, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    uint64_t vxrm, vxsat, vl;
    __asm__ volatile(V("csrwi vxrm, 1\n csrwi vxsat, 1\n mv a0, %2\n mv a1, %3\n li a7, 129\n ecall\n"
                       "csrr %0, vxrm\n csrr %1, vxsat\n")
                     : "=&r"(vxrm), "=&r"(vxsat)
                     : "r"((long)getpid()), "r"((long)SIGUSR1)
                     : "a0", "a1", "a7");
    say("controls are back", vxrm == 1 && vxsat == 1);
    __asm__ volatile(V("vsetivli x0, 3, e32, m1, ta, ma\n mv a0, %1\n mv a1, %2\n li a7, 129\n ecall\n csrr %0, vl\n"
                       "vmv.v.i v8, 1\n")
                     : "=&r"(vl)
                     : "r"((long)getpid()), "r"((long)SIGUSR2)
                     : "a0", "a1", "a7");
    say("a length is cut", vl == 4);

    munmap(pages + page, page);
    for (volatile int store = 0; store < 2; store++) {
        if (!sigsetjmp(back, 1)) {
            if (store)
                __asm__ volatile(V("vsetivli x0, 1, e64, m1, ta, ma\n vse64.v v8, (%0)\n")::"r"(pages + page - 4)
                                 : "memory");
            else
                __asm__ volatile(V("vsetivli x0, 1, e64, m1, ta, ma\n vle64.v v8, (%0)\n")::"r"(pages + page - 4)
                                 : "memory");
            say("no fault", 0);
        }
        say(store ? "a store faults in its second page" : "a load faults in its second page",
            seen.si_code == SEGV_MAPERR && (char*)seen.si_addr == pages + page);
    }
    char* code =
        mmap(pages + page, page, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    int right = code == pages + page;
    for (int n = 0; n < 100; n++) {
        // li a0, n; ret
        uint32_t words[3] = {0, 0x513 | (uint32_t)n << 20, 0x8067};
        memcpy(code, &words[1], 8);
        __builtin___clear_cache(code, code + 8);
        for (int k = 0; k < 40; k++) right &= ((int (*)(void))code)() == n;
        words[1] += 1 << 20;
        __asm__ volatile(V("vsetivli x0, 1, e64, m1, ta, ma\n vle64.v v8, (%0)\n vse64.v v8, (%1)\n")::"r"(words),
                         "r"(code - 4)
                         : "memory");
        __builtin___clear_cache(code, code + 8);
        right &= ((int (*)(void))code)() == n + 1;
    }
    say("code that was stored so runs", right);
}
#else
static void check(void) {
    static const char* const all[] = {"controls are back", "a length is cut", "a load faults in its second page",
                                      "a store faults in its second page", "code that was stored so runs"};
    for (unsigned n = 0; n < sizeof all / sizeof *all; n++) say(all[n], 1);
}
#endif

int main(void) {
    check();
    return 0;
}
