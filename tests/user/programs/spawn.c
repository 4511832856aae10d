// Many children by posix_spawn (clone with CLONE_VFORK): they run, fail to start, and leave nothing behind in the parent.
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

static int run(const char* path, char* word) {
    pid_t child;
    char* words[] = {"sh", "-c", word, NULL};
    int error = posix_spawn(&child, path, NULL, NULL, words, environ), status = 0;
    if (error) return -error;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

// A child of clone3 whose ids go where nothing is mapped.
static void nowhere(const char* what, unsigned long long flags) {
    struct {
        unsigned long long flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    } a = {.flags = flags, .pidfd = 8, .child_tid = 8, .parent_tid = 8, .exit_signal = SIGCHLD};
    int status = -1;
    fflush(stdout);
    long pid = syscall(435, &a, sizeof a); // clone3
    if (pid == 0) _exit(9);
    if (pid > 0) waitpid((pid_t)pid, &status, 0);
    printf("%s nowhere: %s, %x\n", what, pid > 0 ? "made" : strerror(errno), status);
}

// A child whose end is told by a signal that faults have, too.
static volatile int bus, bus_code;
static void on_bus(int s, siginfo_t* info, void* context) { bus++, bus_code = info->si_code; }
static void told_by_bus(void) {
    unsigned long long a[8] = {[4] = SIGBUS};
    struct sigaction action = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
    int status = -1;
    sigset_t set, before;
    sigemptyset(&set);
    sigaddset(&set, SIGBUS);
    sigaction(SIGBUS, &action, NULL);
    fflush(stdout);
    sigprocmask(SIG_BLOCK, &set, &before);
    long pid = syscall(435, a, sizeof a); // clone3
    if (pid == 0) _exit(9);
    while (!bus) sigsuspend(&before);
    pid_t got = waitpid((pid_t)pid, &status, __WALL);
    printf("SIGBUS by a child: %d, code %d, status %x\n", got == pid, bus_code, status);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

// The same while the parent runs a loop, and its handler leaves that.
static sigjmp_buf out;
static volatile unsigned turns;
static void on_fpe(int s, siginfo_t* info, void* context) { siglongjmp(out, info->si_code); }
static void told_in_a_loop(void) {
    unsigned long long a[8] = {[4] = SIGFPE};
    struct sigaction action = {.sa_sigaction = on_fpe, .sa_flags = SA_SIGINFO};
    int status = -1;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGFPE);
    sigaction(SIGFPE, &action, NULL);
    fflush(stdout);
    volatile long pid = 0;
    int code = sigsetjmp(out, 1);
    if (code == 0) {
        sigprocmask(SIG_BLOCK, &set, NULL); // until pid is known
        pid = syscall(435, a, sizeof a);    // clone3
        if (pid == 0) _exit(9);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        for (;;) turns++;
    }
    pid_t got = waitpid((pid_t)pid, &status, __WALL);
    printf("SIGFPE by a child: %d, code %d, status %x\n", got == pid, code, status);
}

// Megabytes of address space, by a name of statm that is the host's, to which all of the translator's memory counts.
static long size(void) {
    long pages = 0;
    FILE* f = fopen("/proc/./self/statm", "r");
    if (fscanf(f, "%ld", &pages) != 1) pages = 0;
    fclose(f);
    return pages * 4096 >> 20;
}

int main(void) {
    printf("%d %d\n", run("/bin/sh", "exit 7"), run("/bin/sh", "kill -9 $$"));
    printf("%s %s\n", strerror(-run("/bin/none", "")), strerror(-run("/proc/self/maps", "")));
    pid_t child = vfork();
    if (child == 0) _exit(5);
    int status;
    waitpid(child, &status, 0);
    printf("vfork %d\n", WEXITSTATUS(status));
    nowhere("CLONE_PARENT_SETTID", 0x00100000);
    nowhere("CLONE_CHILD_SETTID", 0x01000000);
    nowhere("CLONE_CHILD_CLEARTID", 0x00200000);
    nowhere("CLONE_PIDFD", 0x00001000);
    told_by_bus();
    told_in_a_loop();
    for (int i = 0; i < 20; i++) run("/bin/sh", ":");
    long before = size();
    int failed = 0;
    for (int i = 0; i < 150; i++) failed += run("/bin/sh", ":") != 0;
    for (int i = 0; i < 150; i++) failed += run("/bin/none", ":") == -ENOENT;
    long grown = size() - before;
    printf("failed %d, grown: %s\n", failed, grown > 4 ? "yes" : "no");
    return 0;
}
