// Addresses with a top byte that does not count: accesses of every width, atomics, calls, copies, faults, and what the
// kernel takes before and after PR_SET_TAGGED_ADDR_CTRL. The host's build does the same without tags.
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifdef __aarch64__
enum { tags = 1 };
#else
enum { tags = 0 };
#endif
static void* tagged(void* p, unsigned tag) { return tags ? (void*)((uintptr_t)p | (uintptr_t)tag << 56) : p; }

static sigjmp_buf back;
static void* volatile where;
static void fault(int number, siginfo_t* info, void* context) {
    where = info->si_addr;
    siglongjmp(back, number);
}

struct node {
    struct node* next;
    uint64_t value;
};
// A list whose links have tags: the hot loop of a program that uses them.
__attribute__((noinline)) static uint64_t sum(struct node* n) {
    uint64_t s = 0;
    for (; n; n = n->next) s = s * 3 + n->value;
    return s;
}
__attribute__((noinline)) static int twice(int n) { return 2 * n; }

int main(void) {
    enum { count = 1000 };
    struct node* list = 0;
    for (unsigned n = 0; n < count; n++) {
        struct node* fresh = malloc(sizeof *fresh);
        fresh->next = list;
        fresh->value = n;
        list = tagged(fresh, n & 0xff);
    }
    for (int n = 0; n < 200; n++)
        if (n % 50 == 0)
            printf("sum %llu\n", (unsigned long long)sum(list));
        else
            sum(list);

    uint8_t* plain = malloc(256);
    volatile uint8_t* b = tagged(plain, 0x80);
    volatile uint16_t* h = tagged(plain + 2, 0x7f);
    volatile uint32_t* w = tagged(plain + 4, 0xff);
    volatile uint64_t* d = tagged(plain + 8, 0x01);
    *b = 1, *h = 2, *w = 3, *d = 4;
    printf("%d %d %u %lu\n", plain[0], *(uint16_t*)(plain + 2), *(uint32_t*)(plain + 4), *(uint64_t*)(plain + 8));
    double* x = tagged(plain + 16, 0x33);
    x[0] = 1.5, x[1] = x[0] * 3;
    printf("%g\n", ((double*)(plain + 16))[1]);
    printf("%llu\n", (unsigned long long)__atomic_fetch_add((uint64_t*)d, 5, __ATOMIC_SEQ_CST));
    uint64_t expected = 9;
    int swapped = __atomic_compare_exchange_n((uint64_t*)d, &expected, 77, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    printf("%d %lu\n", swapped, *d);
    char* text = tagged(plain + 64, 0xa5);
    strcpy(text, "a text with a tag");
    memmove(text + 1, text, strlen(text) + 1);
    printf("%s %zu\n", plain + 64, strlen(text));
    int (*volatile f)(int) = tagged((void*)twice, 0x42);
    int all = 0;
    for (int n = 0; n < 1000; n++) all += f(n);
    printf("calls %d\n", all);

    struct sigaction a = {.sa_sigaction = fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &a, 0);
    char* hole = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(hole, 8192);
    if (sigsetjmp(back, 1) == 0) *(volatile char*)tagged(hole + 5, 0x12) = 1;
    printf("fault at %td\n", (char*)where - hole);

    int fd[2];
    if (pipe(fd)) return 1;
    if (tags) {
        errno = 0;
        long n = write(fd[1], tagged(plain + 64, 0x11), 4);
        printf("before: %s\n", n == -1 && errno == EFAULT ? "refused" : "taken");
        printf("%d\n", prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0));
        printf("%d\n", prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE, 0, 0, 0));
        printf("%d\n", prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0));
    } else {
        printf("before: refused\n0\n0\n1\n");
    }
    printf("%ld\n", (long)write(fd[1], tagged(plain + 64, 0x11), 4));
    char in[5] = {0};
    printf("%ld %s\n", (long)read(fd[0], tagged(in, 0x99), 4), in);
    char* page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("%d\n", mprotect(tagged(page, 3), 4096, PROT_READ));
    printf("%d\n", munmap(tagged(page, 4), 4096));
    return 0;
}
