// class: integer  size: 25  quick: 2
// Bottom-up merge sort of 100 000 records by a 32-bit key, stable, SIZE times.
#include "bench.h"

enum { length = 100000 };
struct record {
    uint32_t key, value;
};
static struct record a[length], b[length];

static NOINLINE void merge(const struct record* from, struct record* to, long low, long middle, long high) {
    long i = low, j = middle;
    for (long k = low; k < high; k++)
        to[k] = i < middle && (j >= high || from[i].key <= from[j].key) ? from[i++] : from[j++];
}

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), sum = 0, seed = 3;
    for (uint64_t round = 0; round < size; round++) {
        struct record *from = a, *to = b, *t;
        for (uint32_t i = 0; i < length; i++) from[i] = (struct record){(uint32_t)(chance(&seed) >> 48), i};
        for (long width = 1; width < length; width *= 2) {
            for (long low = 0; low < length; low += 2 * width) {
                long middle = low + width < length ? low + width : length;
                long high = low + 2 * width < length ? low + 2 * width : length;
                merge(from, to, low, middle, high);
            }
            t = from, from = to, to = t;
        }
        for (int i = 0; i < length; i += 97) sum = mix(sum, (uint64_t)from[i].key << 32 | from[i].value);
    }
    return report(sum);
}
