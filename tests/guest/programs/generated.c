// Code that is written while it is in use: one function again and again, many in a page, data beside code, code written
// through a second mapping, a page that is written no more, threads that run a page while another writes it or that wait in it
// to be let out or to be gone, and code where there was none.
#define _GNU_SOURCE
#include "generated.h"
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef long (*Counter)(long*);
typedef int (*Constant)(void);
typedef long (*Loop)(long);

static unsigned char* page_of_code(void) {
    return mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void one_function(void) {
    unsigned char* p = page_of_code();
    long sum = 0;
    for (unsigned n = 0; n < 5000; n++) {
        flush(p, make_constant(p, n % 2048));
        sum += ((Constant)p)();
        if (n % 3 == 0) sum += ((Constant)p)();
    }
    printf("one function: %ld\n", sum);
}

static void many_in_a_page(void) {
    unsigned char* p = page_of_code();
    long sum = 0;
    for (unsigned round = 0; round < 20; round++)
        for (unsigned n = 0; n < 512; n++) {
            flush(p + 8 * n, make_constant(p + 8 * n, (n * 7 + round * 3) % 2048));
            sum += ((Constant)(p + 8 * n))();
            sum += ((Constant)(p + 8 * (n / 2)))();
        }
    printf("many in a page: %ld\n", sum);
}

static void data_beside_code(void) {
    unsigned char* p = page_of_code();
    long* count = (long*)(p + 2048);
    make_counter(p), make_loop(p + 64, 5);
    flush(p, 128);
    long sum = 0;
    for (unsigned n = 0; n < 20000; n++) sum += ((Counter)p)(count)&7;
    sum += ((Loop)(p + 64))(100000);
    printf("data beside code: %ld %ld\n", *count, sum);
}

static void second_mapping(void) {
    int fd = memfd_create("code", 0);
    if (ftruncate(fd, 4096) != 0) abort();
    unsigned char* writable = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    unsigned char* code = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    long sum = 0;
    for (unsigned n = 0; n < 300; n++) {
        unsigned bytes = make_constant(writable, n);
        flush(code, bytes);
        sum += ((Constant)code)();
    }
    printf("second mapping: %ld\n", sum);
}

static void calm_at_last(void) {
    unsigned char* p = page_of_code();
    long sum = 0;
    for (unsigned n = 0; n < 50; n++) {
        flush(p, make_loop(p, n));
        sum += ((Loop)p)(3);
    }
    for (unsigned n = 0; n < 300000; n++) sum += ((Loop)p)(2);
    mprotect(p, 4096, PROT_READ | PROT_EXEC);
    for (unsigned n = 0; n < 1000; n++) sum += ((Loop)p)(2);
    munmap(p, 4096);
    unsigned char* again =
        mmap(p, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    flush(again, make_constant(again, 77));
    printf("calm at last: %ld %d\n", sum, ((Constant)again)());
}

static unsigned char* shared_page;
static int stop;
static void* caller(void* arg) {
    // Slots 0 to 7 never change: whatever happens to the rest of the page, they return their number.
    long wrong = 0, n = 0;
    for (; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE) || n < 1000; n++)
        wrong += ((Constant)(shared_page + 8 * (n & 7)))() != (n & 7);
    (void)arg;
    return (void*)wrong;
}

static void threads_in_the_page(void) {
    shared_page = page_of_code();
    for (unsigned n = 0; n < 8; n++) make_constant(shared_page + 8 * n, n);
    flush(shared_page, 64);
    pthread_t id[3];
    for (int n = 0; n < 3; n++) pthread_create(&id[n], 0, caller, 0);
    long sum = 0, wrong = 0;
    for (unsigned n = 0; n < 4000; n++) {
        unsigned char* at = shared_page + 64 + 8 * (n % 256);
        flush(at, make_constant(at, n % 2048));
        sum += ((Constant)at)();
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    for (int n = 0; n < 3; n++) {
        void* r;
        pthread_join(id[n], &r);
        wrong += (long)r;
    }
    printf("threads in the page: %ld, %ld wrong\n", sum, wrong);
}

static int inside;
static void* waiter(void* code) {
    __atomic_store_n(&inside, 1, __ATOMIC_RELEASE);
    ((void (*)(void))code)();
    return 0;
}

// A page whose other functions were written again and again, and one that was not.
static void let_out(unsigned writes) {
    unsigned char* p = page_of_code();
    for (unsigned n = 0; n < writes; n++) {
        flush(p + 64, make_constant(p + 64, n));
        for (unsigned k = 0; k < 4; k++) ((Constant)(p + 64))();
    }
    make_endless(p);
    flush(p, 8);
    pthread_t id;
    __atomic_store_n(&inside, 0, __ATOMIC_RELEASE);
    pthread_create(&id, 0, waiter, p);
    while (!__atomic_load_n(&inside, __ATOMIC_ACQUIRE)) sched_yield();
    for (unsigned n = 0; n < 50; n++) sched_yield(); // it is in the loop now, most times
    make_return(p);
    flush(p, 8);
    pthread_join(id, 0);
    printf("let out after %u writes\n", writes);
}

static long added;
static void* adder(void* code) {
    ((void (*)(long*))code)(&added);
    return 0;
}

// After the barrier nobody runs the old code any more: what it did stands still.
static void nobody_is_left(void) {
    enum { register_sync_core = 64, sync_core = 32 }; // MEMBARRIER_CMD_*PRIVATE_EXPEDITED_SYNC_CORE
    unsigned char* p = page_of_code();
    long wrong = 0;
    syscall(SYS_membarrier, register_sync_core, 0, 0);
    for (unsigned n = 0; n < 40; n++) {
        make_adding(p);
        flush(p, 16);
        pthread_t id;
        __atomic_store_n(&added, 0, __ATOMIC_RELEASE);
        pthread_create(&id, 0, adder, p);
        while (__atomic_load_n(&added, __ATOMIC_ACQUIRE) < 1000) sched_yield();
        make_return(p);
        flush(p, 16);
        wrong += syscall(SYS_membarrier, sync_core, 0, 0) != 0;
        const long then = __atomic_load_n(&added, __ATOMIC_ACQUIRE);
        for (unsigned k = 0; k < 20; k++) sched_yield();
        wrong += __atomic_load_n(&added, __ATOMIC_ACQUIRE) != then;
        pthread_join(id, 0);
    }
    printf("nobody is left: %ld wrong\n", wrong);
}

static sigjmp_buf back;
static volatile unsigned faults;
static void on_fault(int signal) {
    (void)signal, faults++;
    siglongjmp(back, 1);
}

static void code_at_last(void) {
    struct sigaction action = {.sa_handler = on_fault};
    sigaction(SIGSEGV, &action, 0);
    unsigned char* p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    flush(p, make_constant(p, 42));
    for (unsigned n = 0; n < 100; n++)
        if (!sigsetjmp(back, 1)) ((Constant)p)();
    mprotect(p, 4096, PROT_READ | PROT_EXEC);
    volatile int result = -1;
    if (!sigsetjmp(back, 1)) result = ((Constant)p)();
    printf("code at last: %d after %u faults\n", result, faults);
}

int main(void) {
    one_function();
    many_in_a_page();
    data_beside_code();
    second_mapping();
    calm_at_last();
    threads_in_the_page();
    let_out(0);
    let_out(30);
    nobody_is_left();
    code_at_last();
    return 0;
}
