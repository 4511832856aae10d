// class: fp  size: 300  quick: 25
// Sums, products and divisions of small whole numbers in f64: no result is inexact, so the inexact flag stays clear.
#include "bench.h"

enum { length = 4096 };
static double a[length], b[length];

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), seed = 6, sum = 0;
    for (int i = 0; i < length; i++) a[i] = (double)(chance(&seed) >> 52), b[i] = (double)(1 << (chance(&seed) >> 61));
    for (uint64_t round = 0; round < size * 64; round++) {
        double total = 0;
        for (int i = 0; i < length; i++) total += a[i] * b[i] - a[i] / b[i] + (double)(int)(a[i] - b[i]);
        sum = mix_double(sum, total);
        a[round % length] += 1;
    }
    return report(sum);
}
