// class: calls  size: 40  quick: 34
// fib(SIZE) by its definition: nothing but calls and returns.
#include "bench.h"

static NOINLINE uint64_t fib(uint64_t n) {
    if (n < 2) return n;
    uint64_t a = fib(n - 1);
    return a + fib(n - 2);
}

int main(int argc, char** argv) { return report(fib(size_argument(argc, argv))); }
