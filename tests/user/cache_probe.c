// What cache_test.py does to the cache of translated code from inside a program: probe WHAT [NUMBER...].
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef unsigned long word;

// 1024 functions with several units each.
#define ONE(n)                                                                                                         \
    static __attribute__((noinline)) word f##n(word x) {                                                               \
        x = x & 1 ? x * (2 * (1##n - 10000) + 3) + n##u : x ^ (7919 * (1##n - 10000) + 1);                             \
        if (x % (3 + (1##n - 10000) % 37) == 0) x += n##u;                                                             \
        for (int k = 0; k < 2 + (1##n - 10000) % 5; ++k) x = (x << (1 + (1##n - 10000) % 7)) ^ (x >> 5) ^ n##u;        \
        return x;                                                                                                      \
    }
#define NAME(n) f##n,
#define OCT(f, n) f(n##0) f(n##1) f(n##2) f(n##3) f(n##4) f(n##5) f(n##6) f(n##7)
#define OCT2(f, n)                                                                                                     \
    OCT(f, n##0) OCT(f, n##1) OCT(f, n##2) OCT(f, n##3) OCT(f, n##4) OCT(f, n##5) OCT(f, n##6) OCT(f, n##7)
#define OCT3(f, n)                                                                                                     \
    OCT2(f, n##0) OCT2(f, n##1) OCT2(f, n##2) OCT2(f, n##3) OCT2(f, n##4) OCT2(f, n##5) OCT2(f, n##6) OCT2(f, n##7)
OCT3(ONE, 0) OCT3(ONE, 1) static word (*const functions[])(word) = {OCT3(NAME, 0) OCT3(NAME, 1)};
enum { count = sizeof functions / sizeof functions[0] };

static word run(int low, int high, int times) {
    word sum = 0;
    for (int n = low; n < high; ++n)
        for (int k = 0; k < times; ++k) sum = sum * 31 + functions[n](sum + k);
    return sum;
}

static atomic_int begun;
static int first, last;

// Meets code that is in the cache.
static void* meets(void* nothing) {
    for (int n = first; n < last; ++n) {
        run(n, n + 1, 3);
        begun = 1;
    }
    for (;;) pause();
    return nothing;
}

// Must always get the number that it gave back.
static void* opens(void* nothing) {
    const int right = open("/dev/null", O_RDONLY);
    close(right);
    for (;; begun = 1) {
        const int fd = open("/dev/null", O_RDONLY);
        if (fd != right) dprintf(1, "descriptor %d, expected %d\n", fd, right);
        close(fd);
    }
    return nothing;
}

static void end_beside(void* (*other)(void*)) {
    pthread_t thread;
    pthread_create(&thread, NULL, other, NULL);
    while (!begun) {}
    syscall(SYS_exit_group, 0);
}

// ---- code in a file: `return value`, 64 bytes each, on its second page

static void put(unsigned char* at, unsigned value) {
#ifdef __aarch64__
    const unsigned code[] = {0x52800000 | value << 5, 0xd65f03c0};
#else
    const unsigned code[] = {value << 20 | 0x513, 0x8067};
#endif
    memcpy(at, code, sizeof code);
}
enum { page = 4096, routines = page / 64, often = 40 }; // enough to be translated

static unsigned call(unsigned char* at, int n) {
    unsigned sum = 0;
    for (int k = 0; k < often; ++k) sum += ((unsigned (*)(void))(at + page + 64 * n))();
    return sum / often;
}
static unsigned call_all(unsigned char* at) {
    unsigned sum = 0;
    for (int n = 0; n < routines; ++n) sum += call(at, n);
    return sum;
}
static void fill(int fd, unsigned base) {
    unsigned char bytes[page] = {0};
    for (int n = 0; n < routines; ++n) put(bytes + 64 * n, base + n);
    if (pwrite(fd, bytes, page, page) != page) abort();
}

static void file(const char* name, unsigned base, const char* what) {
    const int fd = open(name, O_RDWR | O_CREAT, 0600);
    void* const place = (void*)0x70000000;
    if (ftruncate(fd, 2 * page) != 0) abort();
    fill(fd, base);
    unsigned char* at = mmap(place, 2 * page, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0);
    if (at != place) abort();
    unsigned sum = 0;
    if (strcmp(what, "late") == 0) { // what was run is other code in the file by the end
        sum = call_all(at);
        fill(fd, base + 100);
    } else if (strcmp(what, "between") == 0) { // half of it runs before the file changes, all after
        for (int n = 0; n < routines / 2; ++n) sum += call(at, n);
        fill(fd, base + 100);
        __builtin___clear_cache((char*)at, (char*)at + 2 * page);
        sum += call_all(at);
    } else { // "anew": other memory in its place, which is written twice
        sum = call_all(at);
        munmap(at, 2 * page);
        mmap(place, 2 * page, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0);
        for (unsigned turn = 1; turn < 3; ++turn) {
            for (int n = 0; n < routines; ++n) put(at + page + 64 * n, base + 200 * turn + n);
            __builtin___clear_cache((char*)at, (char*)at + 2 * page);
            sum += call_all(at);
        }
    }
    printf("%u\n", sum);
}

// ---- descriptors that are none of the program's

static void found(const char* how, int fd) { printf("%s finds descriptor %d\n", how, fd); }

static void look(const char* directory) {
    DIR* d = opendir(directory);
    for (struct dirent* e; (e = readdir(d));) {
        const int fd = atoi(e->d_name);
        if (fd > 2 && fd != dirfd(d)) found(directory, fd);
    }
    closedir(d);
}

// Nothing but the three that every program has is there, may be taken, closed, sent or gone to.
static void descriptors(void) {
    struct stat st;
    int pair[2];
    look("/proc/self/fd");
    look("/proc/self/fdinfo");
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    for (int fd = pair[1] + 1; fd < 2048; ++fd) {
        if (fcntl(fd, F_GETFD) >= 0) found("fcntl", fd);
        if (fstat(fd, &st) == 0) found("fstat", fd);
        if (fchdir(fd) == 0) found("fchdir", fd);
        if (openat(fd, "..", O_RDONLY) >= 0) found("openat", fd);
        if (dup(fd) >= 0) found("dup", fd);
        char control[CMSG_SPACE(sizeof fd)] = {0}, byte = 0;
        struct iovec bytes = {&byte, 1};
        struct msghdr message = {
            .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        struct cmsghdr* head = CMSG_FIRSTHDR(&message);
        head->cmsg_len = CMSG_LEN(sizeof fd), head->cmsg_level = SOL_SOCKET, head->cmsg_type = SCM_RIGHTS;
        memcpy(CMSG_DATA(head), &fd, sizeof fd);
        if (sendmsg(pair[0], &message, 0) >= 0) found("sendmsg", fd);
        if (dup2(pair[0], fd) == fd) close(fd); // where there is none
        close(fd);
    }
    syscall(SYS_close_range, 3, ~0u, 0);
    printf("nothing\n");
    fflush(stdout);
}

int main(int argc, char** argv) {
    const char* what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "all") == 0) {
        printf("%lx\n", run(0, count, 6));
    } else if (strcmp(what, "race") ==
               0) { // new code up to A; ends while another thread meets what is known, from A on
        first = atoi(argv[2]), last = count;
        run(0, first, 6);
        end_beside(meets);
    } else if (strcmp(what, "part") == 0) {
        run(atoi(argv[2]), count, 6);
    } else if (strcmp(what, "numbers") == 0) {
        run(0, count, 6);
        end_beside(opens);
    } else if (strcmp(what, "vfork") == 0) { // the child ends, the parent gets no chance to
        run(0, count, 6);
        if (vfork() == 0) _exit(0);
        kill(getpid(), SIGKILL);
    } else if (strcmp(what, "descriptors") == 0) {
        descriptors();
        execl("/proc/self/exe", "probe", "all", NULL);
    } else if (strcmp(what, "as") == 0) { // another user
        if (setgid(atoi(argv[2])) != 0 || setuid(atoi(argv[2])) != 0) abort();
        execl("/proc/self/exe", "probe", "all", NULL);
    } else if (strcmp(what, "chroot") == 0) {
        run(0, count, 6);
        if (chroot(argv[2]) != 0) abort();
    } else if (strcmp(what, "setuid") == 0) {
        run(0, count, 6);
        if (setuid(1) != 0) abort();
    } else if (argc > 3) {
        file(argv[2], atoi(argv[3]), what);
    }
    return 0;
}
