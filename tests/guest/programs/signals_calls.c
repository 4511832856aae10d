// Calls that the kernel never interrupts do not know of signals that come at them; one that waits under a mask of its own ends
// for each, whatever SA_RESTART says.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t timers, users;
static void on_timer(int n) { timers++; }
static void on_user(int n) { users++; }

static unsigned long in_handler;
static unsigned long bits(const sigset_t* s) { return *(const unsigned long*)s; }
static void look(int n) {
    sigset_t now;
    sigprocmask(SIG_BLOCK, 0, &now);
    in_handler = bits(&now);
}
// The mask that a handler runs under, and what sigaction says of it. The stack is not clean.
static void __attribute__((noinline)) litter(void) {
    volatile long x[400];
    for (int n = 0; n < 400; n++) x[n] = 0x123456789abcdef0 + n;
}
static void masks(void) {
    struct sigaction a = {.sa_handler = look}, old;
    sigemptyset(&a.sa_mask);
    sigaddset(&a.sa_mask, SIGUSR2);
    litter();
    sigaction(SIGUSR1, &a, 0);
    raise(SIGUSR1);
    sigaction(SIGUSR1, 0, &old);
    printf("in the handler %#lx, told %#lx\n", in_handler, bits(&old.sa_mask));
    litter();
    signal(SIGUSR1, look);
    raise(SIGUSR1);
    printf("in signal's %#lx\n", in_handler);
}

int main(void) {
    masks();
    struct sigaction a = {.sa_handler = on_timer};
    sigaction(SIGALRM, &a, 0);
    a.sa_handler = on_user;
    sigaction(SIGUSR1, &a, 0);
    struct itimerval every = {{0, 300}, {0, 300}};
    setitimer(ITIMER_REAL, &every, 0);
    const pid_t self = getpid();
    int wrong = 0, sent = 0;
    while (sent < 5000 || timers < 50) {
        wrong += getpid() != self;
        wrong += kill(self, SIGUSR1) != 0;
        sent++;
    }
    printf("kill and getpid: %d wrong, all came: %d\n", wrong, users == sent);

    a.sa_handler = on_timer;
    a.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &a, 0);
    sigset_t alarm, none;
    sigemptyset(&none);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarm, 0);
    int ends = 0;
    for (int n = 0; n < 100; n++) {
        ends += sigsuspend(&none) == -1 && errno == EINTR;
        ends += ppoll(0, 0, 0, &none) == -1 && errno == EINTR;
    }
    printf("waits that ended: %d\n", ends);
    return 0;
}
