// A storm of threads: they begin and end all the time, share a counter under a mutex, hand a token round, get signals, and some
// are cancelled. What is printed is the same each time.
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { rounds = 20, most = 64, adds = 500 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long counter, turn, handed;
static int count;
static atomic_long loose, signals;
static __thread long own;

static void on_signal(int s) { signals++; }

static void* works(void* argument) {
    const long self = (long)argument;
    for (int i = 0; i < adds; i++) {
        pthread_mutex_lock(&lock);
        counter++;
        pthread_mutex_unlock(&lock);
        atomic_fetch_add(&loose, 1);
        own += self;
    }
    pthread_mutex_lock(&lock);
    while (turn % count != self) pthread_cond_wait(&changed, &lock);
    turn++, handed++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return (void*)own;
}
static void* waits(void* argument) {
    for (;;) pause(); // until it is cancelled
    return argument;
}

int main(int argc, char** argv) {
    pthread_t threads[most], waiting;
    long sum = 0, cancelled = 0;
    void* result;
    count = argc > 1 ? atoi(argv[1]) : 24;
    if (count > most) count = most;
    signal(SIGUSR1, on_signal);
    for (int round = 0; round < rounds; round++) {
        if (pthread_create(&waiting, NULL, waits, NULL)) return 2;
        for (long n = 0; n < count; n++)
            if (pthread_create(&threads[n], NULL, works, (void*)n)) return 3;
        for (int n = 0; n < count; n++) pthread_kill(waiting, SIGUSR1);
        for (int n = 0; n < count; n++) {
            if (pthread_join(threads[n], &result)) return 4;
            sum += (long)result;
        }
        pthread_cancel(waiting);
        if (pthread_join(waiting, &result)) return 5;
        cancelled += result == PTHREAD_CANCELED;
    }
    printf("counter %ld loose %ld sum %ld handed %ld cancelled %ld signals %s\n", counter, (long)loose, sum, handed,
           cancelled, signals ? "came" : "none");
    return 0;
}
