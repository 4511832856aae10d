// class: integer  size: 14  quick: 1
// An open-addressing hash table: 300 000 insertions, look-ups and removals, SIZE times.
#include "bench.h"

enum { slots = 1 << 20, keys = 300000 };
static uint64_t table[slots];
static const uint64_t removed = ~0ull;

static inline uint32_t place(uint64_t key) { return (uint32_t)(key * 0x9e3779b97f4a7c15u >> 44); }

static NOINLINE void insert(uint64_t key) {
    uint32_t i = place(key);
    while (table[i] && table[i] != removed) i = (i + 1) % slots;
    table[i] = key;
}

static NOINLINE uint32_t find(uint64_t key) {
    uint32_t i = place(key);
    while (table[i] && table[i] != key) i = (i + 1) % slots;
    return table[i] ? i : slots;
}

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), sum = 0;
    for (uint64_t round = 0; round < size; round++) {
        memset(table, 0, sizeof table);
        uint64_t seed = round + 1;
        for (int i = 0; i < keys; i++) insert(chance(&seed) | 1);
        seed = round + 1;
        for (int i = 0; i < keys; i++) {
            uint32_t at = find(chance(&seed) | 1);
            sum = mix(sum, at);
            if (i % 3 == 0 && at < slots) table[at] = removed;
        }
        for (int i = 0; i < keys; i++) sum += find(chance(&seed) | 1) < slots;
    }
    return report(sum);
}
