// Calls that C libraries have no names for yet, and asynchronous input and output: what they do, not only what they refuse.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SHOW(e)                                                                                                        \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        long r_ = (long)(e);                                                                                           \
        printf("%s = %ld %s\n", #e, r_, r_ < 0 ? strerror(errno) : "");                                                \
    } while (0)

static void events(aio_context_t context, long least) {
    struct io_event e[8];
    struct timespec limit = {20, 0};
    long n = syscall(SYS_io_getevents, context, least, 8, e, &limit);
    printf("%ld events:", n);
    for (long i = 0; i < n; i++)
        printf(" data %lx res %ld obj %d", (long)e[i].data, (long)e[i].res,
               (int)((struct iocb*)(uintptr_t)e[i].obj)->aio_lio_opcode);
    printf("\n");
}

static void aio(void) {
    char text[16] = "asynchronous", back[16] = "", more[16] = "";
    int fd = memfd_create("aio", 0), ready = eventfd(0, 0);
    aio_context_t context = 0;
    SHOW(syscall(SYS_io_setup, 8, &context));
    printf("context %d\n", context != 0);
    SHOW(syscall(SYS_io_setup, 8, &context));
    struct iocb write = {.aio_data = 0x77,
                         .aio_lio_opcode = IOCB_CMD_PWRITE,
                         .aio_fildes = fd,
                         .aio_buf = (uintptr_t)text,
                         .aio_nbytes = 12,
                         .aio_flags = IOCB_FLAG_RESFD,
                         .aio_resfd = ready};
    struct iocb* list[2] = {&write};
    SHOW(syscall(SYS_io_submit, context, 1, list));
    events(context, 1);
    uint64_t count = 0;
    SHOW(read(ready, &count, 8));
    printf("count %d, buffer's address kept %d\n", (int)count, write.aio_buf == (uintptr_t)text);
    struct iovec v[2] = {{back, 5}, {back + 8, 7}};
    struct iocb vector = {
        .aio_data = 1, .aio_lio_opcode = IOCB_CMD_PREADV, .aio_fildes = fd, .aio_buf = (uintptr_t)v, .aio_nbytes = 2};
    struct iocb plain = {.aio_data = 2,
                         .aio_lio_opcode = IOCB_CMD_PREAD,
                         .aio_fildes = fd,
                         .aio_buf = (uintptr_t)more,
                         .aio_nbytes = 16,
                         .aio_offset = 6};
    list[0] = &vector, list[1] = &plain;
    SHOW(syscall(SYS_io_submit, context, 2, list));
    events(context, 2);
    printf("%s %s %s\n", back, back + 8, more);
    plain.aio_fildes = 99;
    SHOW(syscall(SYS_io_submit, context, 1, &list[1]));
    SHOW(syscall(SYS_io_submit, context, 0, NULL));
    SHOW(syscall(SYS_io_destroy, context));
    SHOW(syscall(SYS_io_destroy, context));
}

static void futex(void) {
    uint32_t* word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    enum { size_u32 = 2, wake = 454, wait_ = 455 };
    struct timespec past = {0, 1};
    SHOW(syscall(wait_, word, 1L, 0xffffffffL, size_u32, NULL, CLOCK_MONOTONIC)); // another value
    SHOW(syscall(wait_, word, 0L, 0xffffffffL, size_u32, &past, CLOCK_MONOTONIC));
    SHOW(syscall(wake, word, 0xffffffffL, 1, size_u32));
    if (fork() == 0) {
        while (*(volatile uint32_t*)word == 0) syscall(wait_, word, 0L, 0xffffffffL, size_u32, NULL, CLOCK_MONOTONIC);
        _exit((int)*word);
    }
    *(volatile uint32_t*)word = 5;
    syscall(wake, word, 0xffffffffL, 10, size_u32);
    int status;
    wait(&status);
    printf("woken %d\n", WEXITSTATUS(status));
}

static void attributes(void) {
    struct {
        uint64_t value;
        uint32_t size, flags;
    } args;
    char value[] = "blue", got[16] = "", list[64] = "";
    int d = open(".", O_PATH | O_DIRECTORY);
    close(open("f", O_CREAT | O_WRONLY, 0644));
    args.value = (uintptr_t)value, args.size = 4, args.flags = 0;
    SHOW(syscall(463, d, "f", 0, "user.colour", &args, sizeof args));
    args.value = (uintptr_t)got, args.size = sizeof got;
    SHOW(syscall(464, d, "f", 0, "user.colour", &args, sizeof args));
    SHOW(syscall(465, d, "f", 0, list, sizeof list));
    printf("%s %s\n", got, list);
    SHOW(syscall(466, d, "f", 0, "user.colour"));
    SHOW(syscall(466, d, "f", 0, "user.colour"));
    SHOW(syscall(452, d, "f", 0600, 0));
    SHOW(syscall(452, d, "none", 0600, 0));
    struct stat st;
    stat("f", &st);
    printf("mode %o\n", st.st_mode);
    SHOW(symlink("f", "l"));
    SHOW(syscall(452, d, "l", 0640, AT_SYMLINK_NOFOLLOW) < 0 ? -1 : 0);
    struct {
        uint64_t xflags;
        uint32_t more[4];
    } attr = {0};
    SHOW(syscall(468, d, "f", &attr, sizeof attr, 0));
    SHOW(syscall(468, d, "f", &attr, 8L, 0));
    struct {
        uint64_t offset, length;
    } range = {0, 0};
    uint64_t pages[5] = {9, 9, 9, 9, 9};
    int fd = memfd_create("cached", 0);
    char block[4096] = "x";
    SHOW(write(fd, block, sizeof block));
    long r = syscall(451, fd, &range, pages, 0);
    printf("cachestat %ld cached %ld\n", r, r == 0 ? (long)pages[0] : 0);
    close(d);
}

static void mounts(void) {
    struct {
        uint32_t size, spare;
        uint64_t id, param;
    } request = {24, 0, ~0ull, 0};
    uint64_t ids[64], buffer[128];
    long n = syscall(458, &request, ids, 64, 0);
    printf("mounts %d\n", n > 0);
    if (n > 0) {
        request.id = ids[0], request.param = 2; // STATMOUNT_MNT_BASIC
        SHOW(syscall(457, &request, buffer, sizeof buffer, 0));
        printf("mask %lx\n", (long)buffer[0] >> 32 ? 0L : (long)(buffer[1] & 2));
    }
    uint64_t modules[16];
    uint32_t size = sizeof modules;
    printf("modules %d\n", syscall(461, modules, &size, 0) >= 0);
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/", 0);
    SHOW(fd >= 0);
    SHOW(syscall(SYS_quotactl_fd, fd, 0x80000700, 0, buffer) < 0); // Q_GETQUOTA of users
}

// How libnuma finds the number of nodes, and that whole longs are written, as many as were asked for.
static void policy(void) {
    unsigned long nodes[520];
    int mode = -1;
    static const unsigned long bits[] = {0, 1, 64, 65, 128, 1025, 2048, 32768};
    for (unsigned n = 0; n < sizeof bits / sizeof *bits; n++) {
        memset(nodes, 0xff, sizeof nodes);
        SHOW(syscall(SYS_get_mempolicy, &mode, nodes, bits[n], 0, 0));
        unsigned written = 0;
        while (written < 520 && nodes[written] != -1ul) written++;
        printf("%lu bits: mode %d, %u longs\n", bits[n], mode, written);
    }
    SHOW(syscall(SYS_get_mempolicy, &mode, NULL, 0, 0, 0));
}

// More ready descriptors than a small buffer of ours would hold, in one call.
static void many_events(void) {
    enum { many = 6000 };
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int ready = eventfd(1, 0), epoll = epoll_create1(0), added = 0;
    struct epoll_event e = {.events = EPOLLIN};
    for (int n = 0; n < many; n++) {
        int fd = dup(ready);
        added += fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0;
    }
    struct epoll_event* events = malloc(many * sizeof *events);
    int got = epoll_wait(epoll, events, many, 0);
    printf("all of them %d, enough %d\n", got == added, added == many || limit.rlim_max < many + 64);
    free(events);
    close_range(3, ~0u, 0);
}

int main(void) {
    char dir[] = "/tmp/mimic-newer-XXXXXX";
    if (!mkdtemp(dir) || chdir(dir)) return 1;
    aio();
    futex();
    attributes();
    mounts();
    policy();
    many_events();
    unlink("f"), unlink("l"), chdir("/"), rmdir(dir);
    return 0;
}
