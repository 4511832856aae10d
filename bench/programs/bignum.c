// class: integer  size: 18  quick: 1
// Modular exponentiation of 2048-bit numbers (Montgomery), SIZE times: 64x64 -> 128 multiplies and carries.
#include "bench.h"

enum { words = 32 };
typedef unsigned __int128 wide;

static NOINLINE void montgomery(uint64_t* r, const uint64_t* a, const uint64_t* b, const uint64_t* n,
                                uint64_t inverse) {
    uint64_t t[words + 2] = {0};
    for (int i = 0; i < words; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < words; j++) {
            wide x = (wide)a[j] * b[i] + t[j] + carry;
            t[j] = (uint64_t)x, carry = (uint64_t)(x >> 64);
        }
        wide x = (wide)t[words] + carry;
        t[words] = (uint64_t)x, t[words + 1] = (uint64_t)(x >> 64);
        uint64_t m = t[0] * inverse;
        carry = (uint64_t)(((wide)m * n[0] + t[0]) >> 64);
        for (int j = 1; j < words; j++) {
            x = (wide)m * n[j] + t[j] + carry;
            t[j - 1] = (uint64_t)x, carry = (uint64_t)(x >> 64);
        }
        x = (wide)t[words] + carry;
        t[words - 1] = (uint64_t)x, t[words] = t[words + 1] + (uint64_t)(x >> 64);
    }
    uint64_t borrow = 0, reduced[words];
    for (int j = 0; j < words; j++) {
        wide x = (wide)t[j] - n[j] - borrow;
        reduced[j] = (uint64_t)x, borrow = (uint64_t)(x >> 64) & 1;
    }
    memcpy(r, t[words] >= borrow && !(borrow && !t[words]) ? reduced : t, words * sizeof *r);
}

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), seed = 11, sum = 0, inverse = 1;
    uint64_t n[words], base[words], power[words], result[words];
    for (int i = 0; i < words; i++) n[i] = chance(&seed), base[i] = chance(&seed) >> (i == words - 1);
    n[0] |= 1, n[words - 1] |= 1ull << 63;
    for (int i = 0; i < 6; i++) inverse *= 2 - n[0] * inverse;
    inverse = -inverse;
    for (uint64_t round = 0; round < size; round++) {
        memcpy(power, base, sizeof power);
        memcpy(result, base, sizeof result);
        for (int bit = 0; bit < 64 * words; bit++) {
            montgomery(power, power, power, n, inverse);
            if (n[bit / 64] >> bit % 64 & 1) montgomery(result, result, power, n, inverse);
        }
        for (int i = 0; i < words; i++) sum = mix(sum, result[i]);
        base[0]++;
    }
    return report(sum);
}
