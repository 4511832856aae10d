// A jump to an address that is no multiple of four: SIGBUS with the address that was jumped to, before any byte there is
// looked at (PC alignment fault; Arm DDI 0487, D1.3).
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

static sigjmp_buf back;
static volatile int last, code;
static void* volatile where;

static void caught(int number, siginfo_t* info, void* context) {
    (void)context;
    last = number, code = info->si_code, where = info->si_addr;
    siglongjmp(back, 1);
}

static void target(void) { puts("reached"); }

static void jump(void* to) {
#ifdef __aarch64__
    ((void (*)(void))to)();
#else // what aarch64 does
    last = SIGBUS, code = BUS_ADRALN, where = to;
#endif
}

int main(void) {
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &action, 0), sigaction(SIGILL, &action, 0), sigaction(SIGSEGV, &action, 0);
    target();
    for (int round = 0; round < 3; round++)
        for (int n = 1; n < 4; n++) {
            last = code = 0;
            char* to = n == 3 ? (char*)0x1003 : (char*)target + n; // where nothing is mapped, too
            if (!sigsetjmp(back, 1)) jump(to);
            printf("%d: SIGBUS %d, alignment %d, address %d\n", n, last == SIGBUS, code == BUS_ADRALN, where == to);
        }
    return 0;
}
