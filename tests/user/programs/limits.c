// Limits that leave no room: calls fail as natively, and what the translator needs for itself is no matter of the program's.
#define _GNU_SOURCE
#include "child.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char* self;
static const char* error(long r) { return r >= 0 ? "done" : strerrorname_np(errno); }
static void limit(int which, rlim_t n) {
    struct rlimit l = {n, n};
    if (setrlimit(which, &l)) printf("setrlimit: %s\n", strerrorname_np(errno));
}

// Code that ran nowhere before.
#define WORK(n)                                                                                                        \
    static long work##n(long a) {                                                                                      \
        for (int i = 0; i < 100; i++) a = a * 31 + (a >> n);                                                           \
        return a;                                                                                                      \
    }
WORK(1) WORK(2) WORK(3) WORK(4) static void* in_thread(void* a) { return (void*)work4((long)a); }

static volatile int signals;
static void count(int s) { signals++; }
static void file_size(void) {
    char line[64] = "";
    limit(RLIMIT_FSIZE, 0);
    printf("work: %lx\n", work1(5));
    fflush(stdout);
    int status;
    pid_t pid = fork();
    if (pid == 0) _exit((int)(work2(7) & 0x7f));
    waitpid(pid, &status, 0);
    printf("in a fork: %x\n", status);
    pthread_t t;
    void* r;
    if (pthread_create(&t, NULL, in_thread, (void*)9) == 0 && pthread_join(t, &r) == 0)
        printf("in a thread: %lx\n", (long)r);
    int fd = open("/proc/self/status", O_RDONLY);
    read(fd, line, 5);
    printf("status: %s\n", line);
    signal(SIGXFSZ, count);
    fd = memfd_create("file", 0);
    int n = write(fd, "x", 1);
    printf("write: %s, signals %d\n", error(n), signals);
    signal(SIGXFSZ, SIG_IGN);
    n = write(fd, "x", 1);
    printf("ignored: %s, signals %d\n", error(n), signals);
    fflush(stdout);
    execl(self, self, "again", NULL);
}
static void file_size_killed(void) {
    limit(RLIMIT_FSIZE, 0);
    int fd = memfd_create("file", 0);
    write(fd, "x", 1);
    printf("not reached\n");
}

static void descriptors(void) {
    int pair[2];
    char link[4096];
    limit(RLIMIT_NOFILE, 5); // one more than is opened
    int fd = open("/proc/self/maps", O_RDONLY);
    printf("maps: %d, %x\n", fd, fcntl(fd, F_GETFL) & O_ACCMODE);
    close(fd);
    limit(RLIMIT_NOFILE, 3);
    printf("open: %s\n", error(open("/", O_RDONLY)));
    printf("proc: %s\n", error(open("/proc/self/maps", O_RDONLY)));
    long n = readlink("/proc/self/exe", link, sizeof link - 1);
    printf("exe: %d\n", n > 0 && strstr(link, "limits") != NULL);
    printf("dup: %s\n", error(dup(1)));
    printf("pipe: %s\n", error(pipe(pair)));
    printf("socket: %s\n", error(socket(AF_UNIX, SOCK_STREAM, 0)));
    printf("memfd: %s\n", error(memfd_create("x", 0)));
    printf("work: %lx\n", work3(5));
    limit(RLIMIT_NOFILE, 0);
    printf("none: %s\n", error(dup(1)));
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) _exit((int)(work4(7) & 0x7f));
    waitpid(pid, &status, 0);
    printf("in a fork: %x\n", status);
}

static void* nothing(void* a) { return a; }
static void processes(void) {
    pthread_t t;
    if (getuid() == 0 && setuid(54321)) _exit(1);
    limit(RLIMIT_NPROC, 0);
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    printf("fork: %s\n", error(pid));
    printf("thread: %s\n", strerrorname_np(pthread_create(&t, NULL, nothing, NULL)));
    pid = vfork();
    if (pid == 0) _exit(0);
    printf("vfork: %s\n", error(pid));
    printf("work: %lx\n", work2(11));
}

static void addresses(void) {
    limit(RLIMIT_AS, 1ul << 30);
    printf("too much: %s\n", error((long)mmap(NULL, 2ul << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
    void* p = mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("enough: %s\n", p == MAP_FAILED ? "no" : "done");
    p = mremap(p, 1 << 20, 2ul << 30, MREMAP_MAYMOVE);
    printf("grown: %s\n", p == MAP_FAILED ? strerrorname_np(errno) : "done");
    unsigned n = 0;
    while (n < 100 && mmap(NULL, 64 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED)
        n++;
    printf("areas of 64 MiB: %s, %s\n", n >= 8 && n < 16 ? "some" : "wrong", strerrorname_np(errno));
    printf("malloc: %s\n", malloc(512 << 20) ? "done" : strerrorname_np(errno));
    printf("work: %lx\n", work3(12));
    int status;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(mmap(NULL, 1ul << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
                  ? (int)(work1(7) & 0x7f)
                  : 1);
    waitpid(pid, &status, 0);
    printf("in a fork: %x\n", status);
    fflush(stdout);
    execl(self, self, "again", NULL);
}
static void data(void) {
    limit(RLIMIT_DATA, 32 << 20);
    printf("break: %s\n", sbrk(64 << 20) == (void*)-1 ? strerrorname_np(errno) : "done");
    printf("private: %s\n",
           error((long)mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
    printf("not writable: %s\n",
           (long)mmap(NULL, 64 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == -1 ? "no" : "done");
    printf("shared: %s\n",
           (long)mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == -1 ? "no" : "done");
}

// What is there already may be changed when all is more than the limit allows now; what is replaced does not count twice.
static void exceeded(void) {
    const long mib = 1 << 20;
    char* p = mmap(NULL, 64 * mib, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    limit(RLIMIT_AS, 32 * mib);
    printf("protect: %s\n", error(mprotect(p, 8 * mib, PROT_READ | PROT_WRITE)));
    printf("map over it: %s\n", error((long)mmap(p, mib, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)));
    munmap(p + 16 * mib, 48 * mib);
    printf("move over it: %s\n", error((long)mremap(p, 8 * mib, 8 * mib, MREMAP_MAYMOVE | MREMAP_FIXED, p + 8 * mib)));
}
static void data_exceeded(void) {
    const long mib = 1 << 20;
    char* p = mmap(NULL, 64 * mib, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    limit(RLIMIT_DATA, 32 * mib);
    printf("a little: %s\n", error(mprotect(p, 8 * mib, PROT_READ | PROT_WRITE)));
    printf("too much: %s\n", error(mprotect(p + 8 * mib, 56 * mib, PROT_READ | PROT_WRITE)));
}

// Nothing becomes executable any more: PR_SET_MDWE, of Linux 6.3.
static void no_gain(void) {
    printf("MDWE: %s\n", error(prctl(65, 1, 0, 0, 0)));
    fflush(stdout);
    int status;
    pid_t pid = fork();
    if (pid == 0) _exit((int)work1(3) & 1);
    waitpid(pid, &status, 0);
    printf("a child: %x\n", status);
    fflush(stdout);
    execl(self, self, "again", NULL);
}

// A thread asks for limits while there are forks: children can ask, too.
static volatile pid_t asks;
static void* ask(void* over) {
    char text[4096];
    asks = gettid();
    while (!*(volatile int*)over) {
        int fd = open("/proc/self/limits", O_RDONLY);
        while (read(fd, text, sizeof text) > 0) {}
        close(fd);
    }
    return NULL;
}
static void forks(void) {
    pthread_t t;
    volatile int over = 0;
    int status = 0, good = 0;
    pthread_create(&t, NULL, ask, (void*)&over);
    while (!asks) usleep(100);
    for (int n = 0; n < 100 && status == 0; n++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct rlimit l;
            alarm(20); // where it hangs
            _exit(getrlimit(RLIMIT_AS, &l));
        }
        waitpid(pid, &status, 0);
        good += status == 0;
    }
    struct rlimit less = {1ul << 33, RLIM_INFINITY};
    printf("of another thread: %s\n", error(prlimit(asks, RLIMIT_AS, &less, NULL)));
    over = 1;
    pthread_join(t, NULL);
    printf("children that had limits: %d\n", good);
}

int main(int argc, char** argv) {
    self = argv[0];
    if (argc > 1 && !strcmp(argv[1], "again")) {
        struct rlimit l;
        getrlimit(RLIMIT_AS, &l);
        printf("again: %lx, addresses %lx: %s\n", work1(3), (long)l.rlim_cur,
               error((long)mmap(NULL, 2ul << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
        return 0;
    }
    in_child("file size", file_size);
    in_child("file size, killed", file_size_killed);
    in_child("descriptors", descriptors);
    in_child("processes", processes);
    in_child("addresses", addresses);
    in_child("data", data);
    in_child("more than the limit", exceeded);
    in_child("more data than the limit", data_exceeded);
    in_child("forks beside a thread that asks", forks);
    in_child("nothing becomes executable", no_gain);
    return 0;
}
