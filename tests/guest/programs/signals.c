// Signals: handlers, masks, queued values, an alternate stack, faults with their address, restarted calls, a killed child.
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t count, last_value, on_other_stack;
static sigjmp_buf back;
static char stack[128 * 1024];
static void* volatile fault_address;
static volatile int fault_code;
static volatile char byte_read;

static void count_up(int number) { count += number == SIGUSR1; }
static void queued(int number, siginfo_t* info, void* context) {
    (void)number, (void)context;
    last_value = last_value * 10 + info->si_value.sival_int;
    char here;
    on_other_stack = &here > stack && &here < stack + sizeof stack;
}
static void fault(int number, siginfo_t* info, void* context) {
    (void)number, (void)context;
    fault_address = info->si_addr;
    fault_code = info->si_code;
    siglongjmp(back, 1);
}

static void install(int number, void (*handler)(int, siginfo_t*, void*), int flags) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
    if (sigaction(number, &action, 0)) exit(1);
}

static void try_fault(const char* what, volatile char* at, int write) {
    if (sigsetjmp(back, 1)) {
        printf("%s: address %s, code %d\n", what, fault_address == (void*)at ? "right" : "wrong", fault_code);
        return;
    }
    if (write)
        *at = 1;
    else
        byte_read = *at;
    printf("%s: no fault\n", what);
}

int main(void) {
    signal(SIGUSR1, count_up);
    for (int i = 0; i < 10; i++) raise(SIGUSR1);
    printf("raised %d\n", (int)count);

    stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&other, 0);
    install(SIGRTMIN, queued, SA_ONSTACK);
    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, 0);
    for (int i = 1; i <= 4; i++) sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i});
    sigpending(&pending);
    printf("pending %d, value %d\n", sigismember(&pending, SIGRTMIN), (int)last_value);
    sigprocmask(SIG_UNBLOCK, &set, 0);
    printf("value %d, other stack %d\n", (int)last_value, (int)on_other_stack);

    install(SIGSEGV, fault, SA_ONSTACK);
    install(SIGBUS, fault, 0);
    char* page = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    try_fault("read", page, 0);
    try_fault("write to a read-only page", page + 100, 1);
    mprotect(page, 4096, PROT_NONE);
    try_fault("read of a protected page", page + 4095, 0);
    munmap(page, 4096);
    try_fault("read of nothing", page + 8, 0);

    int ends[2];
    char byte = 0;
    if (pipe(ends)) return 1;
    struct sigaction restart = {.sa_handler = count_up, .sa_flags = SA_RESTART}, interrupt = {.sa_handler = count_up};
    for (int i = 0; i < 2; i++) {
        sigaction(SIGUSR1, i ? &interrupt : &restart, 0);
        pid_t parent = getpid(), child = fork();
        if (child == 0) {
            // Signals until the parent has seen enough: one of them meets it in read().
            for (int k = 0; i == 1 || k < 20; k++) kill(parent, SIGUSR1), usleep(1000);
            _exit(write(ends[1], "x", 1) != 1);
        }
        ssize_t got = read(ends[0], &byte, 1);
        int error = errno;
        printf("read %zd %s\n", got, got < 0 ? strerrorname_np(error) : "-");
        if (i == 1) kill(child, SIGKILL);
        waitpid(child, 0, 0);
    }

    int status;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGTERM, SIG_DFL);
        raise(SIGTERM);
        _exit(0);
    }
    waitpid(child, &status, 0);
    printf("child killed by %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    fflush(stdout);
    abort();
}
