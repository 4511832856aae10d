/* A quicksort beside the library's, a sum in floating point, and string functions over the result. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 4000 };

static int compare(const void* a, const void* b) {
    int x = *(const int*)a, y = *(const int*)b;
    return (x > y) - (x < y);
}

static void quicksort(int* a, int low, int high) {
    while (low < high) {
        int pivot = a[(low + high) / 2], i = low, j = high;
        while (i <= j) {
            while (a[i] < pivot) i++;
            while (a[j] > pivot) j--;
            if (i <= j) {
                int t = a[i];
                a[i++] = a[j];
                a[j--] = t;
            }
        }
        quicksort(a, low, j);
        low = i;
    }
}

int main(void) {
    int *a = malloc(N * sizeof *a), *b = malloc(N * sizeof *b);
    unsigned seed = 1, hash = 0;
    double sum = 0;
    for (int i = 0; i < N; i++) {
        seed = seed * 1664525 + 1013904223;
        a[i] = (int)seed;
    }
    memcpy(b, a, N * sizeof *a);
    quicksort(a, 0, N - 1);
    qsort(b, N, sizeof *b, compare);
    for (int i = 0; i < N; i++) {
        hash = hash * 31 + (unsigned)a[i];
        sum += a[i] / (i + 1.0);
    }
    printf("%d %08x %lld %d\n", memcmp(a, b, N * sizeof *a), hash, (long long)(sum * 1000), a[0] < a[N - 1]);
    free(a);
    free(b);
    return 0;
}
