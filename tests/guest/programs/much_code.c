// More code than a small cache holds, in threads and over forks: `-accel jit,tb-size=1` gives code up all the time.
// Each function is a loop of its own, so that all of it is translated; nothing of it is written after it ran.
#define _GNU_SOURCE
#include "generated.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { functions = 30000, slot = 32 };
static unsigned char* code;
typedef long (*Loop)(long);

static long run(unsigned first, unsigned step, unsigned count) {
    long sum = 0;
    for (unsigned n = 0; n < count; n++) sum += ((Loop)(code + slot * ((first + n * step) % functions)))(3);
    return sum;
}

static void* thread(void* arg) { return (void*)run((unsigned)(long)arg, 7, functions); }

static void threads(const char* when) {
    pthread_t id[3];
    long sum = 0;
    for (long n = 0; n < 3; n++) pthread_create(&id[n], 0, thread, (void*)(n * 4001));
    for (int n = 0; n < 3; n++) {
        void* r;
        pthread_join(id[n], &r);
        sum += (long)r;
    }
    printf("%s: %ld\n", when, sum);
}

static int child(int in, int out, unsigned first) {
    char byte;
    long sum = run(first, 1, functions); // evicts what the parent made
    if (write(out, "r", 1) != 1 || read(in, &byte, 1) != 1) return 1;
    sum -= run(first, 1, functions);
    return sum == 0 ? 7 : 8;
}

int main(void) {
    code = mmap(0, functions * slot, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (unsigned n = 0; n < functions; n++) make_loop(code + slot * n, n % 2048);
    mprotect(code, functions * slot, PROT_READ | PROT_EXEC);
    flush(code, functions * slot);
    printf("alone: %ld\n", run(0, 1, functions));
    threads("threads");
    for (unsigned round = 0; round < 3; round++) {
        int to[2], from[2], status;
        char byte;
        if (pipe(to) != 0 || pipe(from) != 0) abort();
        run(round * 3000, 1, 2000); // fork in the midst of it
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) _exit(child(to[0], from[1], round * 1000));
        long sum = run(round * 5000, 1, 5000);
        if (read(from[0], &byte, 1) != 1) abort();
        sum += run(0, 11, functions); // now we evict, and the child goes on with what it has
        if (write(to[1], "g", 1) != 1) abort();
        waitpid(pid, &status, 0);
        printf("round %u: %ld, child %d\n", round, sum, WEXITSTATUS(status));
    }
    threads("threads after forks");
    return 0;
}
