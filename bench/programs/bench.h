// What every program of the corpus shares: its size argument, its chance and its checksum.
//
// A program opens with "// class: C  size: N  quick: N": the class of the table it belongs to and the sizes that
// ./dev bench gives it. It prints lines that must be the same for every build of it; a line that starts with "bits"
// must be the same for one guest only (results of the C library's mathematics differ between its builds).
#ifndef BENCH_H
#define BENCH_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline uint64_t size_argument(int argc, char** argv) {
    char* end;
    if (argc != 2) {
        fprintf(stderr, "usage: %s SIZE\n", argv[0]);
        exit(2);
    }
    uint64_t size = strtoull(argv[1], &end, 10);
    if (*end || size == 0) {
        fprintf(stderr, "%s: '%s' is no size, expected a number from 1 on\n", argv[0], argv[1]);
        exit(2);
    }
    return size;
}

// xorshift64*: the same numbers everywhere. The state must not be 0.
static inline uint64_t chance(uint64_t* state) {
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 2685821657736338717u;
}

static inline uint64_t mix(uint64_t sum, uint64_t value) { return (sum ^ value) * 0x9e3779b97f4a7c15u + (sum >> 29); }

static inline uint64_t mix_double(uint64_t sum, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return mix(sum, bits);
}

static inline int report(uint64_t sum) {
    printf("checksum %016llx\n", (unsigned long long)sum);
    return 0;
}

#define NOINLINE __attribute__((noinline, noclone))
#endif
