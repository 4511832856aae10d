// Filters of system calls on this architecture's own numbers: seccomp(2).
#define _GNU_SOURCE
#include "child.h"
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)
#    define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#    define ARCH AUDIT_ARCH_AARCH64
#else
#    define ARCH AUDIT_ARCH_RISCV64
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define COUNT(array) (sizeof(array) / sizeof(array[0]))
extern char** environ;

static const char* error(long r) { return r == 0 ? "0" : r > 0 ? "positive" : strerrorname_np(errno); }

static long filter(unsigned flags, const struct sock_filter* f, unsigned n) {
    struct sock_fprog p = {(unsigned short)n, (struct sock_filter*)f};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}

// One call gets an action, the rest goes on.
static long on_call(unsigned flags, int number, unsigned action) {
    struct sock_filter f[] = {LOAD(arch),
                              BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
                              RETURN(SECCOMP_RET_KILL_PROCESS),
                              LOAD(nr),
                              BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
                              RETURN(action),
                              RETURN(SECCOMP_RET_ALLOW)};
    return filter(flags, f, COUNT(f));
}

// ---- what the check lets through ----

static void codes(void) {
    struct sock_filter f[] = {BPF_STMT(BPF_ST, 1),       {0, 0, 0, 0},
                              RETURN(SECCOMP_RET_ALLOW), RETURN(SECCOMP_RET_ALLOW),
                              RETURN(SECCOMP_RET_ALLOW), RETURN(SECCOMP_RET_ALLOW)};
    for (unsigned k = 1; k <= 4; k += 3) {
        printf("codes with %u:", k);
        for (unsigned code = 0; code < 0x200; code++) {
            if (BPF_CLASS(code) == BPF_RET || code == (BPF_ALU | BPF_DIV | BPF_X)) continue; // they end with 0: killed
            f[1] = (struct sock_filter){(unsigned short)code, 0, 0, k};
            if (filter(0, f, COUNT(f)) == 0) printf(" %x", code);
        }
        printf("\n");
    }
}

static void check(const char* what, const struct sock_filter* f, unsigned n) {
    printf("%s: %s\n", what, error(filter(0, f, n)));
}
#define CHECK(what, ...)                                                                                               \
    do {                                                                                                               \
        struct sock_filter f[] = {__VA_ARGS__};                                                                        \
        check(what, f, COUNT(f));                                                                                      \
    } while (0)

static void programs(void) {
    struct sock_filter allow[] = {RETURN(SECCOMP_RET_ALLOW)};
    CHECK("no return", BPF_STMT(BPF_LD | BPF_IMM, 0));
    CHECK("behind the data", BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), RETURN(SECCOMP_RET_ALLOW));
    CHECK("end of the data", BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 60), RETURN(SECCOMP_RET_ALLOW));
    CHECK("between words", BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), RETURN(SECCOMP_RET_ALLOW));
    CHECK("ancillary", BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)SKF_AD_OFF), RETURN(SECCOMP_RET_ALLOW));
    CHECK("jump to the end", BPF_JUMP(BPF_JMP | BPF_JA, 0, 0, 0), RETURN(SECCOMP_RET_ALLOW));
    CHECK("jump behind it", BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), RETURN(SECCOMP_RET_ALLOW));
    CHECK("jump far", BPF_JUMP(BPF_JMP | BPF_JA, 0xffffffff, 0, 0), RETURN(SECCOMP_RET_ALLOW));
    CHECK("true behind it", BPF_JUMP(BPF_JMP | BPF_JEQ, 0, 1, 0), RETURN(SECCOMP_RET_ALLOW));
    CHECK("false behind it", BPF_JUMP(BPF_JMP | BPF_JEQ, 0, 0, 1), RETURN(SECCOMP_RET_ALLOW));
    CHECK("divided by 0", BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), RETURN(SECCOMP_RET_ALLOW));
    CHECK("shifted by 32", BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), RETURN(SECCOMP_RET_ALLOW));
    CHECK("shifted by 31", BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 31), RETURN(SECCOMP_RET_ALLOW));
    CHECK("word 16", BPF_STMT(BPF_ST, 16), RETURN(SECCOMP_RET_ALLOW));
    CHECK("word that nobody wrote", BPF_STMT(BPF_LD | BPF_MEM, 0), RETURN(SECCOMP_RET_ALLOW));
    CHECK("written on one way", BPF_JUMP(BPF_JMP | BPF_JEQ, 0, 0, 1), BPF_STMT(BPF_ST, 3),
          BPF_STMT(BPF_LD | BPF_MEM, 3), RETURN(SECCOMP_RET_ALLOW));
    CHECK("written on both", BPF_JUMP(BPF_JMP | BPF_JEQ, 0, 0, 2), BPF_STMT(BPF_ST, 3),
          BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0), BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_LD | BPF_MEM, 3),
          RETURN(SECCOMP_RET_ALLOW));
    printf("empty: %s\n", error(filter(0, allow, 0)));
    printf("too long: %s\n", error(filter(0, allow, 4097)));
    printf("unknown flag: %s\n", error(filter(64, allow, 1)));
    printf("two flags: %s\n", error(filter(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_NEW_LISTENER, allow, 1)));
    printf("logged: %s\n", error(filter(SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW, allow, 1)));
    printf("unknown operation: %s\n", error(syscall(SYS_seccomp, 99, 0, 0)));
    printf("nowhere: %s\n", error(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, 8)));
    struct sock_fprog nowhere = {1, (struct sock_filter*)8};
    printf("program nowhere: %s\n", error(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &nowhere)));
    printf("strict with an argument: %s\n", error(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, &nowhere)));
    printf("strict with flags: %s\n", error(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, 0)));
    printf("strict after filters: %s\n", error(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, 0)));
    printf("mode: %d\n", prctl(PR_GET_SECCOMP));
    printf("prctl: %s\n", error(prctl(PR_SET_SECCOMP, 3, 0)));
    unsigned actions[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP,  SECCOMP_RET_ERRNO,
                          SECCOMP_RET_TRACE,        SECCOMP_RET_LOG,         SECCOMP_RET_ALLOW, 0x12340000};
    for (unsigned i = 0; i < COUNT(actions); i++)
        printf("action %x: %s\n", actions[i], error(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &actions[i])));
    printf("action nowhere: %s\n", error(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, 8)));
    printf("action with flags: %s\n", error(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 1, &actions[0])));
}

// The length of all filters together has an end. (The kernel counts the instructions that it makes of them.)
static void length(void) {
    static struct sock_filter f[4000];
    for (unsigned i = 0; i < COUNT(f); i++) f[i] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    unsigned n = 0;
    while (n < 100 && filter(0, f, COUNT(f)) == 0) n++;
    printf("filters of 4000: %s, then %s\n", n >= 2 && n <= 8 ? "some" : "wrong", strerrorname_np(errno));
}

// ---- what a filter computes ----

static long value_of(const struct sock_filter* head, unsigned n) {
    // The low bits of the value are the errno that getppid gets.
    struct sock_filter f[40];
    unsigned at = 0;
    f[at++] = (struct sock_filter)LOAD(nr);
    f[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0);
    f[at++] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    memcpy(f + at, head, n * sizeof *head);
    at += n;
    f[at++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x7ff);
    f[at++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO);
    f[at++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
    int told[2], got = -1, status;
    if (pipe(told)) exit(1);
    pid_t pid = fork();
    if (pid == 0) {
        if (filter(0, f, at) != 0) _exit(1);
        errno = 0;
        long r = syscall(SYS_getppid, 0x1111222233334444, 0x55, 3, 4, 5, 0x8000000000000007);
        got = r == -1 ? errno : r == 0 ? 0 : -2;
        if (write(told[1], &got, sizeof got) < 0) _exit(1);
        _exit(0);
    }
    close(told[1]);
    if (read(told[0], &got, sizeof got) != sizeof got) got = -3;
    close(told[0]);
    waitpid(pid, &status, 0);
    return got;
}
#define VALUE(...)                                                                                                     \
    do {                                                                                                               \
        struct sock_filter f[] = {__VA_ARGS__};                                                                        \
        printf("value %u: %ld\n", __LINE__, value_of(f, COUNT(f)));                                                    \
    } while (0)
#define ARGUMENT(n, half) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]) + 4 * (half))

static void values(void) {
    VALUE(ARGUMENT(0, 0), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 8));
    VALUE(ARGUMENT(0, 1), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 20));
    VALUE(ARGUMENT(5, 1), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 29));
    VALUE(BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0));
    VALUE(BPF_STMT(BPF_LDX | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_MISC | BPF_TXA, 0),
          BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0));
    VALUE(ARGUMENT(1, 0), BPF_STMT(BPF_MISC | BPF_TAX, 0), ARGUMENT(2, 0), BPF_STMT(BPF_ALU | BPF_MUL | BPF_X, 0));
    VALUE(ARGUMENT(1, 0), BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, 0x56), BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0x200000));
    VALUE(ARGUMENT(1, 0), BPF_STMT(BPF_ALU | BPF_NEG, 0), BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 0x0f));
    VALUE(BPF_STMT(BPF_LDX | BPF_IMM, 35), BPF_STMT(BPF_LD | BPF_IMM, 3), BPF_STMT(BPF_ALU | BPF_LSH | BPF_X, 0));
    VALUE(BPF_STMT(BPF_LDX | BPF_IMM, 33), BPF_STMT(BPF_LD | BPF_IMM, 300), BPF_STMT(BPF_ALU | BPF_RSH | BPF_X, 0));
    VALUE(BPF_STMT(BPF_LD | BPF_IMM, 77), BPF_STMT(BPF_ST, 15), BPF_STMT(BPF_LD | BPF_IMM, 1),
          BPF_STMT(BPF_LDX | BPF_MEM, 15), BPF_STMT(BPF_STX, 0), BPF_STMT(BPF_LD | BPF_MEM, 0));
    VALUE(BPF_STMT(BPF_LD | BPF_IMM, 0x80000000), BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 1, 0, 1),
          BPF_STMT(BPF_LD | BPF_IMM, 5));
    VALUE(BPF_STMT(BPF_LD | BPF_IMM, 6), BPF_STMT(BPF_LDX | BPF_IMM, 6), BPF_JUMP(BPF_JMP | BPF_JGE | BPF_X, 0, 1, 0),
          BPF_STMT(BPF_LD | BPF_IMM, 5));
    VALUE(BPF_STMT(BPF_LD | BPF_IMM, 6), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 9, 1, 0), BPF_STMT(BPF_LD | BPF_IMM, 5));
    VALUE(BPF_STMT(BPF_LD | BPF_IMM, 6), BPF_STMT(BPF_LDX | BPF_IMM, 0), BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0));
}

// ---- actions ----

static void errno_action(void) {
    on_call(0, SYS_getppid, SECCOMP_RET_ERRNO | EXDEV);
    printf("getppid: %s\n", error(syscall(SYS_getppid)));
    on_call(0, SYS_getsid, SECCOMP_RET_ERRNO);
    printf("getsid: %s\n", error(syscall(SYS_getsid, 0)));
    on_call(0, SYS_getpgid, SECCOMP_RET_ERRNO | 0xffff);
    long r = syscall(SYS_getpgid, 0);
    printf("getpgid: %ld %d\n", r, errno);
    on_call(0, 4000, SECCOMP_RET_ERRNO | EDOM);
    printf("no call: %s\n", error(syscall(4000)));
    printf("another: %s\n", error(syscall(4001)));
    on_call(0, SYS_getppid, SECCOMP_RET_ERRNO | EILSEQ);
    printf("the newer of equals: %s\n", error(syscall(SYS_getppid)));
    on_call(0, SYS_getppid, SECCOMP_RET_TRACE | 7);
    printf("the one that demands more: %s\n", error(syscall(SYS_getppid)));
    on_call(0, SYS_getuid, SECCOMP_RET_TRACE);
    printf("without a tracer: %s\n", error(syscall(SYS_getuid)));
    on_call(0, SYS_getgid, SECCOMP_RET_LOG);
    printf("logged: %s\n", syscall(SYS_getgid) >= 0 ? "made" : error(-1));
    on_call(0, SYS_geteuid, SECCOMP_RET_USER_NOTIF);
    printf("without a listener: %s\n", error(syscall(SYS_geteuid)));
}
static void kill_process(void) {
    on_call(0, SYS_getppid, SECCOMP_RET_KILL_PROCESS);
    signal(SIGSYS, SIG_IGN);
    syscall(SYS_getppid);
}
static void kill_thread(void) {
    on_call(0, SYS_getppid, SECCOMP_RET_KILL_THREAD);
    syscall(SYS_getppid);
}
static void unknown_action(void) {
    on_call(0, SYS_getppid, 0x12340000);
    syscall(SYS_getppid);
}

static siginfo_t last;
static volatile int traps;
static void* call_site;
static void trap(int s, siginfo_t* info, void* context) { last = *info, traps++; }
static void trap_action(void) {
    struct sigaction a = {.sa_sigaction = trap, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &a, NULL);
    on_call(0, SYS_getppid, SECCOMP_RET_TRAP | 0x123);
    syscall(SYS_getppid);
    call_site = last.si_call_addr;
    printf("trapped %d: signo %d code %d errno %d call %d arch %d\n", traps, last.si_signo, last.si_code, last.si_errno,
           last.si_syscall == SYS_getppid, last.si_arch == ARCH);
    syscall(SYS_getppid);
    printf("trapped %d: %s\n", traps, call_site && call_site == last.si_call_addr ? "at the same place" : "elsewhere");
}
static void trap_default(void) {
    on_call(0, SYS_getppid, SECCOMP_RET_TRAP);
    syscall(SYS_getppid);
}
static void trap_blocked(void) {
    sigset_t all;
    struct sigaction a = {.sa_sigaction = trap, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &a, NULL);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    trap_default();
}

// ---- strict mode ----

static void strict(void) {
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    const char text[] = "strict: written\n";
    if (write(1, text, sizeof text - 1) > 0) syscall(SYS_exit, 3);
}
static void strict_killed(void) {
    syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, 0);
    syscall(SYS_getpid);
}

// ---- threads and processes ----

static pthread_barrier_t barrier;
static long in_thread;
static void* waits(void* argument) {
    long tid = syscall(SYS_gettid);
    if (argument) on_call(0, SYS_getsid, SECCOMP_RET_ERRNO | EBUSY), *(long*)argument = tid;
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    in_thread = syscall(SYS_getppid);
    if (in_thread < 0) in_thread = -errno;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) in_thread = -1;
    return NULL;
}
static void* returns(void* argument) { return *(long*)argument = syscall(SYS_getppid), NULL; }
static void threads(void) {
    pthread_t t;
    long tid = 0, r;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&t, NULL, waits, NULL);
    pthread_barrier_wait(&barrier);
    printf("for all: %s\n", error(on_call(SECCOMP_FILTER_FLAG_TSYNC, SYS_getppid, SECCOMP_RET_ERRNO | EXDEV)));
    pthread_barrier_wait(&barrier);
    pthread_join(t, NULL);
    printf("in the other thread: %s\n", in_thread == -EXDEV ? "refused" : "made");
    pthread_create(&t, NULL, returns, &r);
    pthread_join(t, NULL);
    printf("in a new thread: %s\n", r == -1 ? "refused" : "made");
    pthread_create(&t, NULL, waits, &tid);
    pthread_barrier_wait(&barrier);
    r = on_call(SECCOMP_FILTER_FLAG_TSYNC, SYS_getuid, SECCOMP_RET_ERRNO | EXDEV);
    printf("another has its own: %s\n", r == tid ? "its id" : error(r));
    r = on_call(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH, SYS_getuid, SECCOMP_RET_ERRNO | EXDEV);
    printf("another has its own: %s, and nothing is installed: %d\n", error(r), (int)(syscall(SYS_getuid) >= 0));
    pthread_barrier_wait(&barrier);
    pthread_join(t, NULL);
}
static void* killed(void* argument) {
    on_call(0, SYS_getppid, SECCOMP_RET_KILL_THREAD);
    syscall(SYS_getppid);
    *(int*)argument = 1;
    return NULL;
}
static void thread_killed(void) {
    pthread_t t;
    int lived = 0;
    pthread_create(&t, NULL, killed, &lived);
    pthread_join(t, NULL);
    printf("a thread was killed: %d, getppid here: %d\n", !lived, (int)(syscall(SYS_getppid) > 0));
}
static void* process_killed(void* argument) {
    kill_process();
    return argument;
}
static void all_killed(void) {
    pthread_t t;
    pthread_create(&t, NULL, process_killed, NULL);
    pthread_join(t, NULL);
}

static const char* self;
static void status_lines(void) {
    char line[256];
    FILE* f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "Seccomp", 7) || !strncmp(line, "NoNewPrivs", 10)) printf("%s", line);
    fclose(f);
}
static void executes(void) {
    on_call(0, SYS_getppid, SECCOMP_RET_ERRNO | EXDEV);
    on_call(0, SYS_getsid, SECCOMP_RET_ERRNO | EBUSY);
    status_lines();
    fflush(stdout);
    execl(self, self, "again", (char*)NULL);
}
static void spawns(void) {
    char* words[] = {(char*)self, "again", NULL};
    pid_t pid;
    int status;
    on_call(0, SYS_getppid, SECCOMP_RET_ERRNO | EXDEV);
    fflush(stdout);
    printf("spawn: %d\n", posix_spawn(&pid, self, NULL, NULL, words, environ));
    waitpid(pid, &status, 0);
    printf("spawned: %x\n", status);
    pid = vfork();
    if (pid == 0) {
        on_call(0, SYS_getsid, SECCOMP_RET_ERRNO | EDOM);
        _exit(syscall(SYS_getsid, 0) == -1 && errno == EDOM ? 5 : 6);
    }
    waitpid(pid, &status, 0);
    printf("a vfork child's own: %x, not the parent's: %d\n", status, (int)(syscall(SYS_getsid, 0) > 0));
    errno = 0;
    fflush(stdout);
    pid = fork();
    if (pid == 0) _exit(syscall(SYS_getppid) == -1 ? errno : 0);
    waitpid(pid, &status, 0);
    printf("a fork's: %d\n", WEXITSTATUS(status) == EXDEV);
}
static void again(void) {
    status_lines();
    printf("again: getppid %s,", error(syscall(SYS_getppid)));
    printf(" getsid %s\n", syscall(SYS_getsid, 0) > 0 ? "made" : error(-1));
}
static void without_rights(void) {
    if (getuid() == 0 && setuid(65534) != 0) _exit(1);
    printf("without no_new_privs: %s\n", error(on_call(0, SYS_getppid, SECCOMP_RET_ALLOW)));
    printf("empty: %s\n", error(filter(0, NULL, 0)));
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    printf("with it: %s\n", error(on_call(0, SYS_getppid, SECCOMP_RET_ALLOW)));
}

// Numbers that kernels and emulators have other uses for.
static void large_errno(void) {
    static const unsigned numbers[] = {511, 512, 513, 514, 516};
    for (unsigned n = 0; n < COUNT(numbers); n++) {
        on_call(0, SYS_getppid, SECCOMP_RET_ERRNO | numbers[n]);
        errno = 0;
        long r = syscall(SYS_getppid);
        printf("errno %u: %ld %d\n", numbers[n], r, errno);
    }
}

// Every thread puts its own on all; none may be lost.
enum { synchronised = 40 };
static void* synchronise(void* p) {
    for (int n = 0; n < synchronised; n++)
        while (on_call(SECCOMP_FILTER_FLAG_TSYNC, SYS_getppid, SECCOMP_RET_ERRNO | (unsigned)(uintptr_t)p) != 0) {}
    return NULL;
}
static void synchronised_threads(void) {
    pthread_t id[2];
    for (uintptr_t n = 0; n < 2; n++) pthread_create(&id[n], NULL, synchronise, (void*)(n + 1));
    for (int n = 0; n < 2; n++) pthread_join(id[n], NULL);
    char line[256];
    FILE* f = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, "Seccomp_filters", 15)) printf("%s", line);
    fclose(f);
}

int main(int argc, char** argv) {
    self = argv[0];
    if (argc > 1 && !strcmp(argv[1], "again")) return again(), 0;
    in_child("without rights", without_rights);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    in_child("codes", codes);
    in_child("programs", programs);
    in_child("length", length);
    values();
    in_child("errno", errno_action);
    in_child("large errno", large_errno);
    in_child("synchronised", synchronised_threads);
    in_child("kill process", kill_process);
    in_child("kill thread", kill_thread);
    in_child("unknown action", unknown_action);
    in_child("trap", trap_action);
    in_child("trap without a handler", trap_default);
    in_child("trap that is blocked", trap_blocked);
    in_child("strict", strict);
    in_child("strict, killed", strict_killed);
    in_child("threads", threads);
    in_child("one thread killed", thread_killed);
    in_child("all killed", all_killed);
    in_child("exec", executes);
    in_child("spawn", spawns);
    return 0;
}
