// Clocks, calendars, timers and sleeping: what must hold, without the values.
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static int64_t now(clockid_t clock) {
    struct timespec t;
    if (clock_gettime(clock, &t)) return -1;
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(void) {
    int64_t start = now(CLOCK_MONOTONIC), before = start;
    int back = 0;
    for (int i = 0; i < 10000; i++) {
        int64_t t = now(CLOCK_MONOTONIC);
        back += t < before;
        before = t;
    }
    printf("%d %d\n", back, now(CLOCK_REALTIME) / 1000000000 - time(0) <= 1);
    struct timespec pause = {0, 5000000}, resolution;
    start = now(CLOCK_MONOTONIC);
    printf("%d", nanosleep(&pause, 0));
    printf(" %d\n", now(CLOCK_MONOTONIC) - start >= 5000000);
    printf("%d", clock_getres(CLOCK_MONOTONIC, &resolution));
    printf(" %d\n", resolution.tv_sec == 0);
    setenv("TZ", "UTC0", 1);
    tzset();
    time_t when = 1700000000;
    struct tm parts;
    char text[64];
    gmtime_r(&when, &parts);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %A %j", &parts);
    printf("%s %ld\n", text, (long)(mktime(&parts) - when));
    struct timeval tv;
    printf("%d", gettimeofday(&tv, 0));
    printf(" %d\n", labs((long)(tv.tv_sec - time(0))) <= 1);

    int timer = timerfd_create(CLOCK_MONOTONIC, 0), event = eventfd(3, 0);
    struct itimerspec one = {{0, 0}, {0, 1000000}};
    timerfd_settime(timer, 0, &one, 0);
    uint64_t ticks = 0, value = 0;
    printf("%zd", read(timer, &ticks, 8));
    printf(" %d\n", (int)ticks);
    printf("%zd", read(event, &value, 8));
    printf(" %d\n", (int)value);
    struct pollfd wait[] = {{event, POLLIN | POLLOUT, 0}, {0, 0, 0}};
    printf("%d", poll(wait, 1, 0));
    printf(" %d\n", wait[0].revents == POLLOUT);

    sigset_t set;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, 0);
    struct itimerval alarm = {{0, 0}, {0, 2000}};
    setitimer(ITIMER_REAL, &alarm, 0);
    printf("%d\n", sigwaitinfo(&set, &info) == SIGALRM);
    struct timespec soon = {0, 1000000};
    printf("%d\n", sigtimedwait(&set, &info, &soon));

    struct rusage usage;
    struct rlimit limit;
    struct utsname name;
    printf("%d %d\n", getrusage(RUSAGE_SELF, &usage), getrlimit(RLIMIT_NOFILE, &limit));
    printf("%d", uname(&name));
    printf(" %s\n", name.sysname);
    return clock() < 0;
}
