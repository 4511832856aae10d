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

int main(void) {
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
