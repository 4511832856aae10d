// class: system  size: 40  quick: 3
// Handlers of raised signals, alternate stacks, masks, faults that a handler repairs, and an interval timer.
#include "bench.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

static volatile sig_atomic_t raised, faults;
static volatile sig_atomic_t ticks;
static sigjmp_buf back;

static void on_raise(int number) { raised += number == SIGUSR1 ? 1 : 3; }
static void on_tick(int number) { ticks += number == SIGVTALRM; }
static void on_fault(int number, siginfo_t* info, void* context) {
    (void)number, (void)context;
    faults += info->si_addr != 0;
    siglongjmp(back, 1);
}

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), sum = 0;
    static char stack[64 * 1024];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction raise_action = {.sa_handler = on_raise}, tick_action = {.sa_handler = on_tick},
                     fault_action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaltstack(&alternate, 0);
    sigaction(SIGUSR1, &raise_action, 0);
    sigaction(SIGUSR2, &raise_action, 0);
    sigaction(SIGVTALRM, &tick_action, 0);
    sigaction(SIGSEGV, &fault_action, 0);
    char* page = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    for (uint64_t i = 0; i < size * 1500; i++) {
        raise(SIGUSR1);
        sigprocmask(SIG_BLOCK, &set, &old);
        raise(SIGUSR2);
        sum = mix(sum, (uint64_t)raised);
        sigprocmask(SIG_SETMASK, &old, 0);
        sum = mix(sum, (uint64_t)raised);
        if (i % 4 == 0 && !sigsetjmp(back, 1)) *(volatile char*)(page + i % 4096 + (i % 4096 == 0)) = 1;
    }
    struct itimerval timer = {{0, 1000}, {0, 1000}};
    setitimer(ITIMER_VIRTUAL, &timer, 0);
    while (ticks < 3) {}
    return report(mix(sum, (uint64_t)faults));
}
