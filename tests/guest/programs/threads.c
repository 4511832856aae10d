// Threads: mutexes, condition variables, thread-local data, atomics of all widths, barriers, cancellation, once.
#define _GNU_SOURCE
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

enum { threads = 8, rounds = 5000 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static sem_t semaphore;
static _Atomic uint8_t a8;
static _Atomic uint16_t a16;
static _Atomic uint32_t a32;
static _Atomic uint64_t a64;
static _Thread_local uint64_t own;
static uint64_t guarded, turn, destroyed;
static int initialised;

static void initialise(void) { initialised++; }
static void destroy(void* value) {
    pthread_mutex_lock(&lock);
    destroyed += (uintptr_t)value;
    pthread_mutex_unlock(&lock);
}

static void* work(void* argument) {
    uint64_t me = (uintptr_t)argument;
    pthread_once(&once, initialise);
    pthread_setspecific(key, (void*)(uintptr_t)(me + 1));
    for (int i = 0; i < rounds; i++) {
        atomic_fetch_add(&a8, 1);
        atomic_fetch_sub(&a16, 3);
        atomic_fetch_xor(&a32, (uint32_t)me << (i & 15));
        uint64_t seen = atomic_load(&a64);
        while (!atomic_compare_exchange_weak(&a64, &seen, seen + me)) {}
        pthread_mutex_lock(&lock);
        guarded += me;
        pthread_mutex_unlock(&lock);
        own += me;
    }
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 20; i++) {
        pthread_mutex_lock(&lock);
        while (turn % threads != me) pthread_cond_wait(&turn_changed, &lock);
        turn++;
        pthread_cond_broadcast(&turn_changed);
        pthread_mutex_unlock(&lock);
    }
    sem_post(&semaphore);
    return (void*)(uintptr_t)own;
}

static void* wait_forever(void* argument) {
    sem_post(argument);
    for (;;) pause();
    return 0;
}

int main(void) {
    pthread_t id[threads], idle;
    void* result;
    uint64_t sum = 0;
    pthread_barrier_init(&barrier, 0, threads);
    pthread_key_create(&key, destroy);
    sem_init(&semaphore, 0, 0);
    for (uintptr_t i = 0; i < threads; i++)
        if (pthread_create(&id[i], 0, work, (void*)i)) return 1;
    for (int i = 0; i < threads; i++) sem_wait(&semaphore);
    for (int i = 0; i < threads; i++) pthread_join(id[i], &result), sum += (uintptr_t)result;
    printf("%u %u %u %llu\n", a8, a16, a32, (unsigned long long)a64);
    printf("%llu %llu %llu %llu %d\n", (unsigned long long)guarded, (unsigned long long)sum, (unsigned long long)turn,
           (unsigned long long)destroyed, initialised);
    pthread_create(&idle, 0, wait_forever, &semaphore);
    sem_wait(&semaphore);
    pthread_cancel(idle);
    pthread_join(idle, &result);
    printf("cancelled %d\n", result == PTHREAD_CANCELED);
    return 0;
}
