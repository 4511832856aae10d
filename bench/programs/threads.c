// class: threads  size: 150  quick: 10
// Four threads: atomic counters, a contended mutex and a bounded queue with condition variables.
#include "bench.h"
#include <pthread.h>
#include <stdatomic.h>

enum { threads = 4, slots = 64 };
static atomic_ulong counter, maximum;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER, not_full = PTHREAD_COND_INITIALIZER;
static uint64_t queue[slots], head, tail, taken, guarded, size;

static void* work(void* arg) {
    uint64_t me = (uint64_t)(uintptr_t)arg, seed = me + 1, local = 0;
    for (uint64_t i = 0; i < size * 4000; i++) {
        atomic_fetch_add(&counter, chance(&seed) & 7);
        unsigned long seen = atomic_load(&maximum), mine = (unsigned long)(seed & 0xffffff);
        while (mine > seen && !atomic_compare_exchange_weak(&maximum, &seen, mine)) {}
        local ^= seed;
        if (i % 16 == 0) {
            pthread_mutex_lock(&lock);
            guarded += local & 3;
            pthread_mutex_unlock(&lock);
        }
    }
    for (uint64_t i = 0; i < size * 60; i++) {
        pthread_mutex_lock(&lock);
        if (me % 2) {
            while (tail == head) pthread_cond_wait(&not_empty, &lock);
            taken += queue[tail++ % slots];
            pthread_cond_signal(&not_full);
        } else {
            while (head - tail == slots) pthread_cond_wait(&not_full, &lock);
            queue[head++ % slots] = i;
            pthread_cond_signal(&not_empty);
        }
        pthread_mutex_unlock(&lock);
    }
    return 0;
}

int main(int argc, char** argv) {
    size = size_argument(argc, argv);
    pthread_t id[threads];
    for (uintptr_t i = 0; i < threads; i++)
        if (pthread_create(&id[i], 0, work, (void*)i)) return 1;
    for (int i = 0; i < threads; i++) pthread_join(id[i], 0);
    return report(mix(mix(mix(counter, maximum), guarded), taken));
}
