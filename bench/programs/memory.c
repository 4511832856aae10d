// class: strings  size: 120  quick: 8
// memcpy, memmove, memset and memcmp of lengths from 1 byte to 64 KiB at all alignments, SIZE x 1000 times.
#include "bench.h"

enum { room = 1 << 17 };
static unsigned char a[room + 64], b[room + 64];

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), seed = 15, sum = 0;
    for (int i = 0; i < room; i++) a[i] = (unsigned char)(chance(&seed) >> 56);
    for (uint64_t round = 0; round < size * 1000; round++) {
        uint64_t dice = chance(&seed);
        // Short ones are the common case: the length's number of bits is uniform.
        size_t n = 1 + ((dice >> 32) & ((1u << (dice >> 8) % 17) - 1)), from = dice & 63, to = dice >> 16 & 63;
        for (int i = 0; i < 10; i++) {
            memcpy(b + to, a + from, n);
            sum += (uint64_t)(memcmp(b + to, a + from, n) == 0) + b[to + n / 2];
            memmove(b + to + 3, b + to, n);
            memset(b + from, (int)round, n / 2 + 1);
            sum = mix(sum, b[to + n - 1]);
        }
    }
    return report(sum);
}
