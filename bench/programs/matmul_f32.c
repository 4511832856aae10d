// class: fp  size: 10  quick: 1
// Products of 300x300 matrices of float, SIZE times.
#include "bench.h"

enum { side = 300 };
static float a[side][side], b[side][side], c[side][side];

static NOINLINE void multiply(void) {
    for (int i = 0; i < side; i++)
        for (int k = 0; k < side; k++) {
            float x = a[i][k];
            for (int j = 0; j < side; j++) c[i][j] += x * b[k][j];
        }
}

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), seed = 4, sum = 0;
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) {
            a[i][j] = (float)(chance(&seed) >> 40) / 16777216;
            b[i][j] = (float)(chance(&seed) >> 40) / 16777216 - (float)0.5;
        }
    for (uint64_t round = 0; round < size; round++) multiply();
    for (int i = 0; i < side; i++)
        for (int j = 0; j < side; j++) sum = mix_double(sum, c[i][j]);
    return report(sum);
}
