// All 64 signals, and every way to send one: the bytes of siginfo that a handler gets, but for process ids and addresses.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// The kernel's own form, since C libraries keep signals 32 and 33 for themselves.
struct kernel_action {
    void (*handler)(int, siginfo_t*, void*);
    unsigned long flags;
#if defined(__x86_64__)
    void (*restorer)(void);
#endif
    uint64_t mask;
};
#if defined(__x86_64__)
void restore(void);
__asm__("restore: mov $15, %eax\n syscall\n");
#endif

static volatile int got;
static siginfo_t last;

static void handler(int signal, siginfo_t* info, void* context) {
    got = signal;
    last = *info;
}

static int catch (int signal) {
    struct kernel_action a = {.handler = handler, .flags = SA_SIGINFO | SA_NODEFER};
#if defined(__x86_64__)
    a.flags |= 0x04000000, a.restorer = restore;
#endif
    return (int)syscall(SYS_rt_sigaction, signal, &a, NULL, 8);
}

// The bytes, with what differs from run to run replaced.
static void show(const char* how) {
    if (!got) {
        printf("%s: nothing came\n", how);
        return;
    }
    unsigned char bytes[sizeof last];
    memcpy(bytes, &last, sizeof last);
    int32_t pid = getpid(), uid = getuid();
    int32_t at16, at20;
    memcpy(&at16, bytes + 16, 4), memcpy(&at20, bytes + 20, 4);
    if (at16 == pid) memcpy(bytes + 16, "self", 4);
    if (at20 == uid) memcpy(bytes + 20, "uid ", 4);
    printf("%s: %d code %d:", how, got, last.si_code);
    int end = sizeof bytes;
    while (end > 0 && bytes[end - 1] == 0) end--;
    for (int i = 0; i < end; i++) printf("%s%02x", i % 8 ? "" : " ", bytes[i]);
    printf("\n");
    got = 0;
    memset(&last, 0, sizeof last);
}

static void wait_for(void) {
    for (int i = 0; i < 20000 && !got; i++) poll(NULL, 0, 1);
}

static void all(void) {
    char how[32];
    for (int s = 1; s <= 64; s++) {
        if (catch (s) != 0) {
            printf("%d: %s\n", s, strerror(errno));
            continue;
        }
        kill(getpid(), s);
        snprintf(how, sizeof how, "kill %d", s);
        show(how);
        syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid), s);
        snprintf(how, sizeof how, "tgkill %d", s);
        show(how);
        sigqueue(getpid(), s, (union sigval){.sival_ptr = (void*)0x123456789abcdef0});
        snprintf(how, sizeof how, "sigqueue %d", s);
        show(how);
    }
}

static void senders(void) {
    siginfo_t own = {.si_signo = 50, .si_code = -77};
    own.si_value.sival_int = 99;
    syscall(SYS_rt_sigqueueinfo, getpid(), 50, &own);
    show("rt_sigqueueinfo");
    own.si_code = SI_KERNEL;
    long refused = syscall(SYS_rt_sigqueueinfo, getppid(), 50, &own);
    printf("a kernel's code: %ld %s\n", refused, strerror(errno));
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 51, .sigev_value.sival_int = 7};
    struct itimerspec soon = {{0, 0}, {0, 1000000}};
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    timer_settime(timer, 0, &soon, NULL);
    wait_for();
    last.si_timerid = 0; // the kernel's number
    show("timer");
    struct itimerval real = {{0, 0}, {0, 1000}};
    setitimer(ITIMER_REAL, &real, NULL);
    wait_for();
    show("itimer");
    int fds[2];
    if (pipe(fds)) return;
    fcntl(fds[0], F_SETOWN, getpid());
    fcntl(fds[0], F_SETSIG, 52);
    fcntl(fds[0], F_SETFL, O_ASYNC);
    if (write(fds[1], "x", 1) != 1) return;
    wait_for();
    last.si_fd -= fds[0];
    show("O_ASYNC");
    close(fds[0]);
    got = 0;
    if (write(fds[1], "x", 1) == 1) return;
    show("pipe");
    pid_t child = fork();
    if (child == 0) _exit(9);
    wait_for();
    while (waitpid(child, NULL, 0) < 0) {}
    last.si_pid -= child;
    last.si_utime = last.si_stime = 0;
    show("child's exit");
    child = fork();
    if (child == 0) {
        signal(SIGTERM, SIG_DFL);
        kill(getpid(), SIGTERM);
    }
    wait_for();
    while (waitpid(child, NULL, 0) < 0) {}
    last.si_pid -= child;
    last.si_utime = last.si_stime = 0;
    show("child's death");
}

static sigjmp_buf back;
static char* base;
static void fault_handler(int signal, siginfo_t* info, void* context) {
    got = signal;
    last = *info;
    last.si_addr = (void*)((char*)info->si_addr - base);
    siglongjmp(back, 1);
}

static void faults(void) {
    static const char* const names[] = {"unmapped", "read-only", "beyond a file", "not executable"};
    struct sigaction a = {.sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &a, NULL);
    sigaction(SIGBUS, &a, NULL);
    char* page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char* file = mmap(NULL, 4096, PROT_READ, MAP_SHARED, memfd_create("f", 0), 0);
    char* gone = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(gone, 4096);
    char* bases[] = {gone, page, file, page};
    for (int n = 0; n < 4; n++) {
        base = bases[n];
        if (sigsetjmp(back, 1) == 0) {
            if (n == 1)
                *(volatile char*)(base + 5) = 1;
            else if (n == 3)
                ((void (*)(void))(base + 16))();
            else
                (void)*(volatile char*)(base + 8);
        }
        show(names[n]);
    }
}

int main(void) {
    all();
    senders();
    faults();
    return 0;
}
