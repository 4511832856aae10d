// class: integer  size: 35  quick: 3
// Quicksort with an insertion sort for short parts, 100 000 numbers, SIZE times.
#include "bench.h"

enum { length = 100000 };
static int64_t a[length];

static NOINLINE void insertion_sort(int64_t* p, long n) {
    for (long i = 1; i < n; i++) {
        int64_t value = p[i];
        long j = i;
        for (; j > 0 && p[j - 1] > value; j--) p[j] = p[j - 1];
        p[j] = value;
    }
}

static NOINLINE void quicksort(int64_t* p, long n) {
    while (n > 16) {
        int64_t pivot = p[n / 2];
        long i = 0, j = n - 1;
        while (i <= j) {
            while (p[i] < pivot) i++;
            while (p[j] > pivot) j--;
            if (i <= j) {
                int64_t t = p[i];
                p[i++] = p[j];
                p[j--] = t;
            }
        }
        quicksort(p, j + 1);
        p += i;
        n -= i;
    }
    insertion_sort(p, n);
}

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), sum = 0, seed = 7;
    for (uint64_t round = 0; round < size; round++) {
        for (int i = 0; i < length; i++) a[i] = (int64_t)(chance(&seed) >> 20);
        quicksort(a, length);
        for (int i = 0; i < length; i += 97) sum = mix(sum, (uint64_t)a[i]);
    }
    return report(sum);
}
