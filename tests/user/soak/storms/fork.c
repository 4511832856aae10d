// A storm of processes: forks, vforks and executions beside each other, each ended by an exit or by a signal, while signals
// come in. What is printed is the same each time: how many ended how.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t alarms, users;
static void on_alarm(int s) { alarms++; }
static void on_user(int s) { users++; }

static pid_t child(int n) {
    char number[16];
    snprintf(number, sizeof number, "%d", n);
    pid_t pid = n % 3 == 0 ? vfork() : fork();
    if (pid != 0) return pid;
    if (n % 3 == 0) {
        execl("/bin/sh", "sh", "-c", "exit 3", (char*)0);
        _exit(99);
    }
    if (n % 3 == 1) {
        execl("/proc/self/exe", "fork", "child", number, (char*)0);
        _exit(98);
    }
    // Tells its parent, and ends by a signal of its own.
    for (int i = 0; i < 10; i++) kill(getppid(), SIGUSR1);
    signal(SIGTERM, SIG_DFL);
    raise(SIGTERM);
    _exit(97);
}

int main(int argc, char** argv) {
    if (argc > 2) { // was executed: some work, then an exit that says whether it was done
        unsigned long sum = 0;
        for (int i = 0; i < 20000; i++) sum = sum * 31 + (sum >> 7) + i;
        return sum ? 5 : 6;
    }
    const int count = argc > 1 ? atoi(argv[1]) : 40;
    int ended[128] = {0}, killed[65] = {0}, left = 0;
    signal(SIGALRM, on_alarm);
    signal(SIGUSR1, on_user);
    struct itimerspec often = {{0, 300000}, {0, 300000}};
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    timer_settime(timer, 0, &often, NULL);
    for (int n = 0; n < count; n++) {
        pid_t pid;
        while ((pid = child(n)) < 0 && errno == EAGAIN) {}
        if (pid < 0) {
            printf("fork: %s\n", strerror(errno));
            return 1;
        }
        left++;
        while (left > 8 || (n + 1 == count && left > 0)) {
            int status;
            pid_t got = waitpid(-1, &status, 0);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) {
                printf("waitpid: %s\n", strerror(errno));
                return 1;
            }
            left--;
            if (WIFEXITED(status)) ended[WEXITSTATUS(status) & 127]++;
            if (WIFSIGNALED(status)) killed[WTERMSIG(status) & 63]++;
        }
    }
    timer_delete(timer);
    for (int i = 0; i < 128; i++)
        if (ended[i]) printf("exit %d: %d\n", i, ended[i]);
    for (int i = 0; i < 65; i++)
        if (killed[i]) printf("signal %d: %d\n", i, killed[i]);
    printf("signals: %s %s\n", alarms ? "alarms" : "none", users ? "users" : "none");
    return 0;
}
