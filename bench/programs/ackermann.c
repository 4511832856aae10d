// class: calls  size: 9  quick: 7
// Ackermann's function at (3, SIZE), four times: deep recursion.
#include "bench.h"

static NOINLINE unsigned ackermann(unsigned m, unsigned n) {
    if (m == 0) return n + 1;
    if (n == 0) return ackermann(m - 1, 1);
    unsigned inner = ackermann(m, n - 1);
    return ackermann(m - 1, inner);
}

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), sum = 0;
    for (int i = 0; i < 4; i++) sum = mix(sum, ackermann(3, (unsigned)size));
    return report(sum);
}
