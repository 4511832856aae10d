// Handlers, masks, alternate stacks, restarts, siginfo, nested delivery, sigsuspend, sigwait, timers, fault recovery.
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t count, last;
static void simple(int s) { count++, last = s; }
static sigjmp_buf jump;
static void* volatile fault_address;
static volatile int fault_code;
static void fault(int s, siginfo_t* info, void* context) {
    (void)context;
    fault_address = info->si_addr, fault_code = info->si_code;
    siglongjmp(jump, s);
}
static volatile int depth, deepest;
static void nested(int s) {
    depth++;
    if (depth > deepest) deepest = depth;
    if (depth < 5) raise(s);
    depth--;
}
static char altstack[65536];
static volatile int on_alt;
static void alt(int s) {
    int local;
    (void)s;
    on_alt = (char*)&local >= altstack && (char*)&local < altstack + sizeof altstack;
    stack_t now;
    sigaltstack(NULL, &now);
    printf("in handler: onstack %d\n", !!(now.ss_flags & SS_ONSTACK));
}
static void value(int s, siginfo_t* i, void* c) {
    (void)c;
    printf("sig %d code %d pid %d value %d\n", s, i->si_code, i->si_pid == getpid(), i->si_value.sival_int);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    signal(SIGUSR1, simple);
    raise(SIGUSR1);
    kill(getpid(), SIGUSR1);
    printf("count %d last %d\n", (int)count, (int)last);

    sigset_t set, old, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN + 3);
    sigprocmask(SIG_BLOCK, &set, &old);
    raise(SIGUSR1), raise(SIGUSR1);
    sigpending(&pending);
    printf("blocked: count %d pending %d\n", (int)count, sigismember(&pending, SIGUSR1));
    sigprocmask(SIG_SETMASK, &old, NULL);
    printf("unblocked: count %d\n", (int)count);

    struct sigaction sa = {.sa_sigaction = value, .sa_flags = SA_SIGINFO};
    sigaction(SIGRTMIN + 3, &sa, NULL);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 1; i <= 3; i++) sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = i});
    sigprocmask(SIG_SETMASK, &old, NULL);
    struct timespec zero = {0, 0};
    siginfo_t info;
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = 77});
    printf("sigtimedwait %d", sigtimedwait(&set, &info, &zero) == SIGRTMIN + 3);
    int again = sigtimedwait(&set, &info, &zero), error = errno;
    printf(" value %d then %d errno %d\n", info.si_value.sival_int, again, error == EAGAIN);
    int fd = signalfd(-1, &set, 0);
    raise(SIGUSR1);
    struct signalfd_siginfo si;
    printf("signalfd %d", read(fd, &si, sizeof si) == sizeof si);
    printf(" signo %d\n", si.ssi_signo);
    close(fd);
    sigprocmask(SIG_SETMASK, &old, NULL);

    sa = (struct sigaction){.sa_handler = nested, .sa_flags = SA_NODEFER};
    sigaction(SIGUSR2, &sa, NULL);
    raise(SIGUSR2);
    printf("deepest %d depth %d\n", deepest, depth);

    sa = (struct sigaction){.sa_sigaction = fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    sigaction(SIGILL, &sa, NULL);
    char* volatile page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(page + 4096, 4096);
    volatile int s;
    if (!(s = sigsetjmp(jump, 1))) *(volatile char*)page = 1;
    printf("write to read-only: %d code %d right %d\n", s, fault_code, fault_address == page);
    if (!(s = sigsetjmp(jump, 1))) (void)*(volatile char*)(page + 4099);
    printf("read of nothing: %d code %d right %d\n", s, fault_code, fault_address == page + 4099);
    if (!(s = sigsetjmp(jump, 1))) ((void (*)(void))(page + 4096))();
    printf("jump to nothing: %d code %d right %d\n", s, fault_code, fault_address == page + 4096);
    if (!(s = sigsetjmp(jump, 1))) ((void (*)(void))(page))();
    printf("jump to data: %d code %d right %d\n", s, fault_code, fault_address == page);
    FILE* f = tmpfile();
    char* volatile map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(f), 0);
    if (!(s = sigsetjmp(jump, 1))) *(volatile char*)map = 1;
    printf("beyond the file: %d code %d right %d\n", s, fault_code, fault_address == map);
    if (write(1, page + 4096, 1) < 0) printf("write of nothing: %d\n", errno == EFAULT);
    if (read(0, page, 0) == 0) printf("read of no bytes\n");

    stack_t st = {.ss_sp = altstack, .ss_size = sizeof altstack};
    sigaltstack(&st, NULL);
    sa = (struct sigaction){.sa_handler = alt, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR2, &sa, NULL);
    raise(SIGUSR2);
    printf("alternate stack %d\n", on_alt);

    // Restart and EINTR.
    int fds[2];
    if (pipe(fds)) return 1;
    for (int restart = 0; restart < 2; restart++) {
        sa = (struct sigaction){.sa_handler = simple, .sa_flags = restart ? SA_RESTART : 0};
        sigaction(SIGALRM, &sa, NULL);
        count = 0;
        pid_t child = fork();
        if (child == 0) {
            struct timespec ts = {0, 100000000};
            nanosleep(&ts, NULL);
            kill(getppid(), SIGALRM);
            nanosleep(&ts, NULL);
            if (write(fds[1], "x", 1) != 1) _exit(1);
            _exit(0);
        }
        char c = 0;
        long n = read(fds[0], &c, 1);
        int e = errno;
        printf("restart %d: n %ld eintr %d count %d\n", restart, n, n < 0 && e == EINTR, (int)count);
        while (waitpid(child, NULL, 0) < 0) {}
        if (n < 0 && read(fds[0], &c, 1) != 1) return 1;
    }
    // An asynchronous signal ends a loop without calls.
    signal(SIGALRM, simple);
    struct itimerval it = {.it_value = {0, 20000}};
    count = 0;
    setitimer(ITIMER_REAL, &it, NULL);
    unsigned long spins = 0;
    while (!count) spins++;
    printf("loop ended %d\n", spins > 0);
    // sigsuspend
    sigemptyset(&set), sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, &old);
    count = 0;
    setitimer(ITIMER_REAL, &it, NULL);
    int r = sigsuspend(&old);
    printf("sigsuspend %d eintr %d count %d\n", r, errno == EINTR, (int)count);
    sigset_t now;
    sigprocmask(SIG_SETMASK, NULL, &now);
    printf("mask restored %d\n", sigismember(&now, SIGALRM));
    sigprocmask(SIG_SETMASK, &old, NULL);
    // How children die.
    int deaths[] = {SIGKILL, SIGSEGV, SIGABRT, SIGTERM, SIGBUS, SIGILL, SIGRTMIN + 1};
    for (unsigned i = 0; i < sizeof deaths / sizeof *deaths; i++) {
        pid_t child = fork();
        if (child == 0) {
            signal(deaths[i], SIG_DFL);
            if (deaths[i] == SIGSEGV) *(volatile int*)8 = 1;
            raise(deaths[i]);
            _exit(1);
        }
        int status;
        waitpid(child, &status, 0);
        printf("child died of %d: %d\n", deaths[i], WIFSIGNALED(status) && WTERMSIG(status) == deaths[i]);
    }
    siginfo_t w;
    pid_t child = fork();
    if (child == 0) _exit(33);
    waitid(P_PID, child, &w, WEXITED);
    printf("waitid signo %d code %d status %d\n", w.si_signo, w.si_code, w.si_status);
    signal(SIGUSR1, SIG_IGN);
    raise(SIGUSR1);
    printf("ignored\n");
    abort();
}
