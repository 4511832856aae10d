// What gdb_test.py debugs: functions, data, a handler, a thread, a child that executes a program, an end of one's choice.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

volatile long counter, watched, spare = 7, stop_spinning;
volatile double ratio = 1.5;
struct point {
    int x, y;
} origin = {3, 4};
char *heap, *shared, *hidden;
volatile int ready;

__attribute__((noinline)) int work(int n) {
    counter += n;
    watched = counter * 2;
    return n * n;
}

static void on_signal(int s) { counter += 100; }

static void* thread_main(void* unused) {
    ready = 1;
    while (!stop_spinning) counter++;
    return 0;
}

__attribute__((noinline)) int depth(int n, char* p) {
    char room[32];
    memset(room, n, sizeof room);
    if (n == 0) return *p = 1;
    return depth(n - 1, p) + room[3];
}

static void child(char** argv) {
    int p = fork(), status;
    if (p == 0) {
        work(77);
        execv(argv[0], (char*[]){argv[0], "executed", 0});
        _exit(1);
    }
    waitpid(p, &status, 0);
    printf("child %d\n", WEXITSTATUS(status));
}

static void spawn(char* program, char* argument) {
    extern char** environ;
    int p = 0, status;
    int error = posix_spawn(&p, program, 0, 0, (char*[]){program, argument, 0}, environ);
    if (!error) waitpid(p, &status, 0);
    printf("spawned %d\n", error ? -error : WEXITSTATUS(status));
}

// More mappings than a core file's header can count. (The kernel would allow fewer, but pages that a guest may execute are
// nothing special to it.)
static void areas(void) {
    enum { count = 66000, page = 4096 };
    char* p = mmap(NULL, (size_t)count * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    for (size_t i = 0; i < count; i += 2) mprotect(p + i * page, page, PROT_READ | PROT_EXEC);
    abort();
}

static void crash(void) {
    pthread_t t;
    heap = strdup("on the heap");
    pthread_create(&t, 0, thread_main, 0);
    while (!ready) usleep(100);
    shared = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int p = fork(); // this process has never touched what the child writes
    if (p == 0) strcpy(shared, "from a child"), _exit(0);
    waitpid(p, 0, 0);
    hidden = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(hidden, "out of reach");
    mprotect(hidden, 1 << 20, PROT_NONE);
    depth(3, (char*)16);
}

// Its standard error is another file, or a pipe that nobody reads.
static void crash_unheard(const char* file) {
    if (file) {
        dup2(open(file, O_WRONLY | O_CREAT, 0600), 2);
    } else {
        int flags = fcntl(2, F_GETFL);
        fcntl(2, F_SETFL, flags | O_NONBLOCK);
        while (write(2, "x", 1) == 1) {}
        fcntl(2, F_SETFL, flags);
    }
    depth(3, (char*)16);
}

static void* churn(void* deep) {
    for (;;)
        if (deep) {
            int p = fork();
            if (p == 0) _exit(0);
            waitpid(p, 0, 0);
        } else {
            pthread_t t;
            if (!pthread_create(&t, 0, (void* (*)(void*))work, 0)) pthread_join(t, 0);
        }
}

// One process of a program that cannot be executed, then one of a program that can.
static void execute(char* program) {
    enum { most = 64 };
    char *words[most + 1] = {program}, *large = malloc(100000);
    memset(large, 'x', 99999), large[99999] = 0;
    for (int i = 1; i < most; i++) words[i] = large;
    execv(program, words);
    printf("error %d\n", errno);
    fflush(stdout);
    while (!stop_spinning) usleep(1000);
    execv(program, (char*[]){program, "executed", 0});
}

// The first process of a namespace: signals that it does not expect do nothing.
static int first_process(void) {
    int p = getpid() == 1 ? 0 : syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0), status = 0;
    if (p < 0) return 1;
    if (p == 0) {
        kill(getpid(), SIGQUIT);
        kill(getpid(), SIGTERM);
        kill(getpid(), SIGSEGV);
        _exit(7);
    }
    waitpid(p, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

int main(int argc, char** argv) {
    const char* what = argc > 1 ? argv[1] : "";
    int sum = 0;
    for (int i = 0; i < 5; i++) sum += work(i);
    if (!strcmp(what, "executed")) return 5;
    if (!strcmp(what, "signal")) {
        signal(SIGUSR1, on_signal);
        raise(SIGUSR1);
    }
    if (!strcmp(what, "pause")) {
        signal(SIGUSR1, on_signal);
        pause();
    }
    if (!strcmp(what, "unheard")) crash_unheard(argc > 2 ? argv[2] : 0);
    if (!strcmp(what, "thread")) {
        pthread_t t;
        pthread_create(&t, 0, thread_main, 0);
        while (!ready) usleep(100);
        work(9);
        stop_spinning = 1;
        pthread_join(t, 0);
    }
    if (!strcmp(what, "fork")) child(argv);
    if (!strcmp(what, "spawn")) {
        spawn("/nowhere", "");
        spawn(argv[0], "executed");
    }
    if (!strcmp(what, "spin")) thread_main(0);
    if (!strcmp(what, "areas")) areas();
    if (!strcmp(what, "crash")) crash();
    if (!strcmp(what, "exec")) execute(argv[0]);
    if (!strcmp(what, "first")) return first_process();
    if (!strcmp(what, "churn")) {
        pthread_t t;
        for (long i = 0; i < 4; i++) pthread_create(&t, 0, churn, (void*)(i & 1));
        usleep(10000);
        depth(3, (char*)16);
    }
    if (!strcmp(what, "abort")) abort();
    long more = spare;
    ratio += more;
    printf("sum %d counter %ld\n", sum, counter);
    return 3;
}
