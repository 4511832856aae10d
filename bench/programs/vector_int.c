// class: simd  size: 300  quick: 20
// Sixteen bytes, eight halves or four words at a time: blends, shifts, multiplies, shuffles and comparisons.
#include "bench.h"

typedef uint8_t v16 __attribute__((vector_size(16)));
typedef uint16_t v8 __attribute__((vector_size(16)));
typedef uint32_t v4 __attribute__((vector_size(16)));
enum { length = 16384 };
static v16 a[length], b[length];

static NOINLINE v4 sweep(uint8_t by) {
    v4 sum = {0};
    v16 low = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
    for (int i = 0; i < length; i++) {
        v16 x = a[i], y = b[i];
        v16 brighter = (v16)(x > y);
        v16 blend = (x & brighter) | (y & ~brighter);
        v8 wide = (v8)blend * 257 + (v8)y;
        v16 packed = __builtin_shuffle((v16)(wide >> 3), (v16)(wide << 2), low);
        b[i] = packed + by;
        sum = sum * 5 + (v4)packed;
    }
    return sum;
}

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), seed = 13, sum = 0;
    for (int i = 0; i < length; i++)
        for (int k = 0; k < 16; k++) a[i][k] = (uint8_t)(chance(&seed) >> 56), b[i][k] = (uint8_t)(chance(&seed) >> 56);
    for (uint64_t round = 0; round < size * 16; round++) {
        v4 s = sweep((uint8_t)round);
        for (int k = 0; k < 4; k++) sum = mix(sum, s[k]);
    }
    return report(sum);
}
