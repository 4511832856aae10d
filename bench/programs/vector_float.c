// class: simd  size: 30  quick: 3
// Four floats at a time: a polynomial and a weighted sum over a quarter megabyte, SIZE x 64 times.
#include "bench.h"

typedef float v4 __attribute__((vector_size(16)));
typedef int32_t v4i __attribute__((vector_size(16)));
enum { length = 16384 };
static v4 a[length], b[length];

// gcc 14 joins products and sums of RISC-V's vectors, whatever -ffp-contract says: they are kept apart.
static inline v4 times(v4 x, v4 y) {
    v4 product = x * y;
#ifdef __riscv_v
    __asm__("" : "+vr"(product));
#endif
    return product;
}

static NOINLINE v4 sweep(float by) {
    v4 sum = {0}, k0 = {1.5f, 0.5f, 0.25f, 2}, k1 = {by, by, by, by};
    for (int i = 0; i < length; i++) {
        v4 x = a[i], y = times(times(times(x, k0) + k1, x) - k0, x) + k1;
        b[i] = times(b[i], k0) - y;
        v4i less = x < y;
        sum += (v4)(((v4i)x & less) | ((v4i)y & ~less));
    }
    return sum;
}

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), seed = 12, sum = 0;
    for (int i = 0; i < length; i++)
        for (int k = 0; k < 4; k++) a[i][k] = (float)(chance(&seed) >> 40) / 16777216 - 0.5f;
    for (uint64_t round = 0; round < size * 64; round++) {
        if (round % 8 == 0) memset(b, 0, sizeof b);
        v4 s = sweep((float)round / 64);
        for (int k = 0; k < 4; k++) sum = mix_double(sum, s[k]);
    }
    for (int i = 0; i < length; i += 31) sum = mix_double(sum, b[i][i & 3]);
    return report(sum);
}
