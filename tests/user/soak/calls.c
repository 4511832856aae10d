// calls SEED COUNT: system calls at random, with numbers, pointers and lengths that mean harm. Each case is a child that makes
// some dozens of them; whatever Linux says is right, also the child's end. What is not: a line of the translator's own.
// The caller puts it where it can do no damage (calls_soak.py).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { calls_a_case = 48, highest = 472, page = 65536, seconds = 2 };

static uint64_t state;
static uint64_t random64(void) { // xorshift*
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return state * 0x2545f4914f6cdd1d;
}
static uint64_t below(uint64_t n) { return random64() % n; }

// Those that reach other processes, end this one at once, or wait for ever without a way to be interrupted.
static int left_out(long n) {
    static const long numbers[] = {SYS_exit,
                                   SYS_exit_group,
                                   SYS_kill,
                                   SYS_tkill,
                                   SYS_tgkill,
                                   SYS_rt_sigqueueinfo,
                                   SYS_rt_tgsigqueueinfo,
                                   SYS_reboot,
                                   SYS_vhangup,
                                   SYS_syslog,
                                   SYS_pidfd_send_signal,
                                   SYS_setpgid,
                                   SYS_setsid,
                                   SYS_setpriority,
                                   SYS_sched_setaffinity,
                                   SYS_ioprio_set,
                                   SYS_sched_setscheduler,
                                   SYS_sched_setattr,
                                   SYS_sched_setparam,
                                   SYS_sync,
                                   SYS_process_mrelease};
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (numbers[i] == n) return 1;
    return 0;
}

static unsigned char *open_page, *read_only, *closed, *shared;
static int files[12], file_count;

static uint64_t pointer(void) {
    switch (below(14)) {
    case 0: return 0;
    case 1: return 8;
    case 2: return (uint64_t)closed;
    case 3: return (uint64_t)read_only + below(64);
    case 4: return (uint64_t)open_page + page - below(24); // ends in the closed one
    case 5: return 0xffff800000000000 + random64() % 4096;
    case 6: return 1ull << (20 + below(44));
    case 7: return (uint64_t)left_out; // code
    case 8: return (uint64_t)&state + below(16);
    case 9: return random64();
    default: return (uint64_t)open_page + below(64) * 64;
    }
}
static uint64_t number(void) {
    static const uint64_t some[] = {0,          1,          2,          3,          4,          7,          8,
                                    16,         64,         127,        128,        4095,       4096,       4097,
                                    65536,      1 << 20,    0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32, 1ull << 38,
                                    1ull << 47, ~0ull >> 1, 1ull << 63, ~0ull};
    return below(4) ? some[below(sizeof some / sizeof some[0])] : random64() >> below(64);
}
static uint64_t argument(void) {
    switch (below(4)) {
    case 0: return (uint64_t)(int64_t)(below(8) ? files[below((unsigned)file_count)] : AT_FDCWD);
    case 1: return pointer();
    default: return below(2) ? number() : pointer();
    }
}

// Records that look like lists of pointers and lengths, and a path.
static void fill(void) {
    uint64_t* words = (uint64_t*)open_page;
    for (unsigned i = 0; i < page / 8; i++) words[i] = below(3) ? number() : pointer();
    for (unsigned i = 0; i < 4; i++)
        strcpy((char*)open_page + below(64) * 64, below(2) ? "file" : below(2) ? "." : "/proc/self/maps");
}

static void areas(void) {
    open_page = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    closed = open_page + page;
    mprotect(closed, page, PROT_NONE);
    read_only = open_page + 2 * page;
    memset(read_only, 'r', page);
    mprotect(read_only, page, PROT_READ);
}
static void open_files(void) {
    int pair[2];
    file_count = 0;
    files[file_count++] = open("file", O_RDWR | O_CREAT, 0600);
    files[file_count++] = open(".", O_RDONLY | O_DIRECTORY);
    if (pipe2(pair, O_NONBLOCK) == 0) files[file_count++] = pair[0], files[file_count++] = pair[1];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0)
        files[file_count++] = pair[0], files[file_count++] = pair[1];
    files[file_count++] = epoll_create1(0);
    files[file_count++] = eventfd(0, EFD_NONBLOCK);
    files[file_count++] = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    files[file_count++] = memfd_create("x", 0);
    files[file_count++] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    files[file_count++] = 99;
}

// The calls of the case that runs, for whoever wants to know them.
struct log {
    long made, last[7];
};
static void one(struct log* log, uint64_t seed) {
    state = seed * 0x9e3779b97f4a7c15 + 1;
    areas();
    open_files();
    alarm(seconds);
    for (int n = 0; n < calls_a_case; n++) {
        if (n % 8 == 0) fill();
        long call = (long)below(highest);
        if (left_out(call)) continue;
        uint64_t a[6];
        for (int i = 0; i < 6; i++) a[i] = argument();
        // Not the translator's standard error, where it would tell; few processes.
        if ((call == SYS_close || call == SYS_dup3 || call == SYS_close_range) && a[0] < 3) continue;
        if (log) {
            log->last[0] = call;
            for (int i = 0; i < 6; i++) log->last[i + 1] = (long)a[i];
            log->made++;
        }
        syscall(call, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
    _exit(0);
}

static int wait_for(pid_t pid) {
    sigset_t set;
    int status = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    struct timespec most = {seconds + 8, 0};
    for (;;) {
        if (waitpid(pid, &status, WNOHANG) == pid) return status;
        if (sigtimedwait(&set, NULL, &most) < 0 && errno == EAGAIN) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            return -1;
        }
    }
}

static int tells(int err, char* text, size_t size) {
    long n = pread(err, text, size - 1, 0);
    text[n > 0 ? n : 0] = 0;
    for (long i = 0; i < n; i++)
        if (text[i] == 0) text[i] = '.'; // what the case wrote itself
    return strstr(text, "mimic: ") != NULL;
}

int main(int argc, char** argv) {
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1, count = argc > 2 ? strtoull(argv[2], NULL, 0) : 100;
    struct log* log = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct rlimit few = {200, 200}, core = {0, 0}, small = {1 << 20, 1 << 20};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    setrlimit(RLIMIT_CORE, &core);
    long made = 0, killed = 0, hung = 0, failed = 0;
    static char text[1 << 16];
    for (uint64_t n = 0; n < count; n++) {
        log->made = 0;
        int err = memfd_create("err", MFD_CLOEXEC);
        pid_t pid = fork();
        if (pid == 0) {
            int null = open("/dev/null", O_RDWR);
            dup2(null, 0), dup2(null, 1), dup2(err, 2);
            close(null), close(err);
            setrlimit(RLIMIT_FSIZE, &small);
            setrlimit(RLIMIT_NPROC, &few);
            sigprocmask(SIG_UNBLOCK, &set, NULL);
            one(log, seed + n);
        }
        int status = pid > 0 ? wait_for(pid) : -1;
        made += log->made;
        killed += status > 0 && WIFSIGNALED(status);
        hung += status == -1;
        if (tells(err, text, sizeof text)) {
            failed++;
            printf("case %llu: %ld calls, the last %ld(%lx, %lx, %lx, %lx, %lx, %lx), status %x: %s\n",
                   (unsigned long long)(seed + n), log->made, log->last[0], log->last[1], log->last[2], log->last[3],
                   log->last[4], log->last[5], log->last[6], status, text);
        }
        close(err);
        fflush(stdout);
    }
    printf("%llu cases, %ld calls, %ld ended by signals, %ld without an end, %ld with words of the translator's\n",
           (unsigned long long)count, made, killed, hung, failed);
    return failed != 0;
}
