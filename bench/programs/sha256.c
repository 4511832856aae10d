// class: integer  size: 25  quick: 2
// SHA-256 (FIPS 180-4) of a megabyte, SIZE times; the round constants are computed from the primes.
#include "bench.h"

enum { length = 1 << 20 };
static unsigned char data[length];
static uint32_t k[64];

static inline uint32_t rotate(uint32_t x, int n) { return x >> n | x << (32 - n); }

// The first 32 bits of the fractional part of the cube root of p (root 3) or the square root (root 2).
static uint32_t root_fraction(unsigned p, int root) {
    __uint128_t low = 0, high = (__uint128_t)1 << 36;
    while (high - low > 1) {
        __uint128_t middle = (low + high) / 2;
        __uint128_t left = root == 2 ? middle * middle : (middle * middle >> 32) * middle;
        __uint128_t right = (__uint128_t)p << 64;
        if (left <= right)
            low = middle;
        else
            high = middle;
    }
    return (uint32_t)low;
}

static NOINLINE void block(uint32_t* h, const unsigned char* p) {
    uint32_t w[64], v[8];
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)p[4 * t] << 24 | (uint32_t)p[4 * t + 1] << 16 | (uint32_t)p[4 * t + 2] << 8 | p[4 * t + 3];
    for (int t = 16; t < 64; t++) {
        uint32_t s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    memcpy(v, h, sizeof v);
    for (int t = 0; t < 64; t++) {
        uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
        uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[t] + w[t];
        uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
        uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++) h[i] += v[i];
}

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), seed = 5, sum = 0;
    uint32_t h[8];
    for (unsigned p = 2, n = 0; n < 64; p++) {
        int prime = 1;
        for (unsigned d = 2; d * d <= p; d++) prime &= p % d != 0;
        if (!prime) continue;
        if (n < 8) h[n] = root_fraction(p, 2);
        k[n++] = root_fraction(p, 3);
    }
    for (int i = 0; i < length; i++) data[i] = (unsigned char)(chance(&seed) >> 56);
    for (uint64_t round = 0; round < size; round++)
        for (int i = 0; i < length; i += 64) block(h, data + i);
    for (int i = 0; i < 8; i++) sum = mix(sum, h[i]);
    return report(sum);
}
