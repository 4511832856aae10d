// class: system  size: 20  quick: 2
// Mappings made, touched, protected, moved and removed, SIZE x 1000 times.
#define _GNU_SOURCE
#include "bench.h"
#include <sys/mman.h>

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), seed = 16, sum = 0;
    for (uint64_t i = 0; i < size * 1000; i++) {
        size_t pages = 1 + (chance(&seed) >> 60), length = pages * 4096;
        unsigned char* p = mmap(0, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED) return 1;
        for (size_t k = 0; k < length; k += 4096) p[k] = (unsigned char)(i + k / 4096);
        if (mprotect(p, 4096, PROT_READ)) return 1;
        sum = mix(sum, p[0] + p[length - 4096]);
        if (mprotect(p, 4096, PROT_READ | PROT_WRITE)) return 1; // mremap takes one mapping only
        if (i % 4 == 0) {
            p = mremap(p, length, length + 16 * 4096, MREMAP_MAYMOVE);
            if (p == MAP_FAILED) return 1;
            length += 16 * 4096;
            sum = mix(sum, p[length - 1] + p[0]);
        }
        if (munmap(p, length)) return 1;
    }
    return report(sum);
}
