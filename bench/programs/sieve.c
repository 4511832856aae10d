// class: integer  size: 50  quick: 4
// Primes below two million by the sieve of Eratosthenes, SIZE times.
#include "bench.h"

enum { limit = 2000000 };
static unsigned char composite[limit];

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), sum = 0;
    for (uint64_t round = 0; round < size; round++) {
        memset(composite, 0, limit);
        for (unsigned i = 2; i * i < limit; i++)
            if (!composite[i])
                for (unsigned j = i * i; j < limit; j += i) composite[j] = 1;
        unsigned count = 0;
        for (unsigned i = 2; i < limit; i++) count += !composite[i];
        sum = mix(sum, count + round);
    }
    return report(sum);
}
