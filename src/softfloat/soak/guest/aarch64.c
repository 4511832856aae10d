// Prints random FP instructions of an AArch64 machine and what it made of them, for `softfloat_soak --lines`:
//   aarch64-linux-gnu-gcc -O1 -static -march=armv8.3-a+fp16 aarch64.c -o aarch64 && ./aarch64 SEED COUNT
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state;
static uint64_t next(void) {
    uint64_t z = (state += 0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}
static uint64_t value(int exponent_bits, int fraction_bits) {
    uint64_t max = (1u << exponent_bits) - 1, bias = max >> 1, e = next() & max;
    uint64_t ones = (1ull << fraction_bits) - 1, f = next() & ones;
    switch (next() % 8) {
    case 0: e = 0; break;
    case 1: e = max; break;
    case 2: e = next() % 3; break;
    case 3: e = max - next() % 3; break;
    case 4: e = bias + next() % 9 - 4; break;
    }
    switch (next() % 6) {
    case 0: f = 0; break;
    case 1: f = ones; break;
    case 2: f = 1ull << next() % fraction_bits; break;
    case 3: f = ones << next() % fraction_bits & ones; break;
    }
    return (next() & 1) << (exponent_bits + fraction_bits) | e << fraction_bits | f;
}

static uint64_t fpcr;
static void print(const char* op, int operands, uint64_t a, uint64_t b, uint64_t c, uint64_t r, uint64_t fpsr) {
    static const char* const rounding[] = {"rne", "rup", "rdn", "rtz"};
    printf("%s | 0x%llx", op, (unsigned long long)a);
    if (operands > 1) printf(" 0x%llx", (unsigned long long)b);
    if (operands > 2) printf(" 0x%llx", (unsigned long long)c);
    printf(" | aarch64 %s%s%s%s => 0x%llx%s%s%s%s%s%s\n", rounding[fpcr >> 22 & 3], fpcr >> 25 & 1 ? " dn" : "",
           fpcr >> 24 & 1 ? " fz" : "", fpcr >> 19 & 1 ? " fz16" : "", (unsigned long long)r, fpsr & 1 ? " NV" : "",
           fpsr & 2 ? " DZ" : "", fpsr & 4 ? " OF" : "", fpsr & 8 ? " UF" : "", fpsr & 16 ? " NX" : "",
           fpsr & 128 ? " ID" : "");
}

#define RUN(name, operands, r_type, r_in, instruction)                                                                 \
    do {                                                                                                               \
        uint64_t r, fpsr;                                                                                              \
        asm volatile("msr fpcr, %5\n msr fpsr, xzr\n fmov d0, %2\n fmov d1, %3\n fmov d2, %4\n" instruction            \
                     "\n mrs %1, fpsr\n msr fpcr, xzr\n" r_in                                                          \
                     : "=&r"(r), "=&r"(fpsr)                                                                           \
                     : "r"(a), "r"(b), "r"(c), "r"(fpcr)                                                               \
                     : "v0", "v1", "v2", "v3");                                                                        \
        print(name, operands, a, b, c, (r_type)r, fpsr);                                                               \
    } while (0)
#define FP(name, operands, type, instruction) RUN(name, operands, type, "fmov %0, d3", instruction)
#define INT(name, type, instruction) RUN(name, 1, type, "", instruction)

#define FORMAT(f, v, type)                                                                                             \
    FP("add " f, 2, type, "fadd " v "3, " v "0, " v "1");                                                              \
    FP("sub " f, 2, type, "fsub " v "3, " v "0, " v "1");                                                              \
    FP("mul " f, 2, type, "fmul " v "3, " v "0, " v "1");                                                              \
    FP("div " f, 2, type, "fdiv " v "3, " v "0, " v "1");                                                              \
    FP("sqrt " f, 1, type, "fsqrt " v "3, " v "0");                                                                    \
    FP("fma " f, 3, type, "fmadd " v "3, " v "0, " v "1, " v "2");                                                     \
    FP("minimum " f, 2, type, "fmin " v "3, " v "0, " v "1");                                                          \
    FP("maximum " f, 2, type, "fmax " v "3, " v "0, " v "1");                                                          \
    FP("min_num " f, 2, type, "fminnm " v "3, " v "0, " v "1");                                                        \
    FP("max_num " f, 2, type, "fmaxnm " v "3, " v "0, " v "1");                                                        \
    FP("round " f, 1, type, "frinti " v "3, " v "0");                                                                  \
    FP("round_exact " f, 1, type, "frintx " v "3, " v "0")

int main(int argc, char** argv) {
    state = argc > 1 ? strtoull(argv[1], 0, 0) : 1;
    long count = argc > 2 ? atol(argv[2]) : 1000;
    while (count-- > 0) {
        fpcr = (next() & 3) << 22;
        if (next() % 2) fpcr |= (next() & 1) << 24 | (next() & 1) << 25 | (next() & 1) << 19;
        uint64_t a = value(8, 23), b = value(8, 23), c = value(8, 23);
        if (next() % 4 == 0) b = a ^ next() % 4 ^ (next() & 1) << 31;
        FORMAT("f32", "s", uint32_t);
        FP("convert f32 f64", 1, uint64_t, "fcvt d3, s0");
        a = value(11, 52), b = value(11, 52), c = value(11, 52);
        if (next() % 4 == 0) b = a ^ next() % 4 ^ next() << 63;
        FORMAT("f64", "d", uint64_t);
        FP("convert f64 f32", 1, uint32_t, "fcvt s3, d0");
        fpcr &= ~(1ull << 19); // FCVT between half and the others ignores FZ16
        FP("convert f64 f16", 1, uint16_t, "fcvt h3, d0");
        fpcr &= ~(3ull << 22);
        fpcr |= 3ull << 22;
        INT("to_i32 f64", uint32_t, "fcvtzs %w0, d0");
        INT("to_u64 f64", uint64_t, "fcvtzu %0, d0");
        fpcr = (next() & 3) << 22 | (next() & 1) << 19;
        a = value(5, 10), b = value(5, 10), c = value(5, 10);
        FORMAT("f16", "h", uint16_t);
    }
    return 0;
}
