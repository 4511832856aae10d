// The same for a RISC-V machine:
//   riscv64-linux-gnu-gcc -O1 -static riscv64.c -o riscv64 && ./riscv64 SEED COUNT
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
    case 4: e = bias + next() % 40 - 4; break;
    }
    switch (next() % 6) {
    case 0: f = 0; break;
    case 1: f = ones; break;
    case 2: f = 1ull << next() % fraction_bits; break;
    case 3: f = ones << next() % fraction_bits & ones; break;
    }
    return (next() & 1) << (exponent_bits + fraction_bits) | e << fraction_bits | f;
}

static uint64_t rounding;
static void print(const char* op, int operands, uint64_t a, uint64_t b, uint64_t c, uint64_t r, uint64_t flags) {
    static const char* const names[] = {"rne", "rtz", "rdn", "rup", "rna"};
    printf("%s | 0x%llx", op, (unsigned long long)a);
    if (operands > 1) printf(" 0x%llx", (unsigned long long)b);
    if (operands > 2) printf(" 0x%llx", (unsigned long long)c);
    printf(" | riscv %s => 0x%llx%s%s%s%s%s\n", names[rounding], (unsigned long long)r, flags & 16 ? " NV" : "",
           flags & 8 ? " DZ" : "", flags & 4 ? " OF" : "", flags & 2 ? " UF" : "", flags & 1 ? " NX" : "");
}

#define RUN(name, operands, w, r_type, r_out, instruction)                                                             \
    do {                                                                                                               \
        uint64_t r, flags;                                                                                             \
        asm volatile("fsrm %5\n fsflags x0\n fmv." w ".x fa0, %2\n fmv." w ".x fa1, %3\n fmv." w                       \
                     ".x fa2, %4\n" instruction "\n" r_out "\n frflags %1\n fsrm x0"                                   \
                     : "=&r"(r), "=&r"(flags)                                                                          \
                     : "r"(a), "r"(b), "r"(c), "r"(rounding)                                                           \
                     : "fa0", "fa1", "fa2", "fa3");                                                                    \
        print(name, operands, a, b, c, (r_type)r, flags);                                                              \
    } while (0)
#define FP(name, operands, w, type, instruction) RUN(name, operands, w, type, "fmv.x." w " %0, fa3", instruction)
#define INT(name, operands, w, type, instruction) RUN(name, operands, w, type, "", instruction)

#define FORMAT(f, s, w, type)                                                                                          \
    FP("add " f, 2, w, type, "fadd." s " fa3, fa0, fa1");                                                              \
    FP("sub " f, 2, w, type, "fsub." s " fa3, fa0, fa1");                                                              \
    FP("mul " f, 2, w, type, "fmul." s " fa3, fa0, fa1");                                                              \
    FP("div " f, 2, w, type, "fdiv." s " fa3, fa0, fa1");                                                              \
    FP("sqrt " f, 1, w, type, "fsqrt." s " fa3, fa0");                                                                 \
    FP("fma " f, 3, w, type, "fmadd." s " fa3, fa0, fa1, fa2");                                                        \
    FP("fms " f, 3, w, type, "fmsub." s " fa3, fa0, fa1, fa2");                                                        \
    FP("fnma " f, 3, w, type, "fnmadd." s " fa3, fa0, fa1, fa2");                                                      \
    FP("fnms " f, 3, w, type, "fnmsub." s " fa3, fa0, fa1, fa2");                                                      \
    FP("minimum_number " f, 2, w, type, "fmin." s " fa3, fa0, fa1");                                                   \
    FP("maximum_number " f, 2, w, type, "fmax." s " fa3, fa0, fa1");                                                   \
    INT("to_i32 " f, 1, w, uint32_t, "fcvt.w." s " %0, fa0");                                                          \
    INT("to_u32 " f, 1, w, uint32_t, "fcvt.wu." s " %0, fa0");                                                         \
    INT("to_i64 " f, 1, w, uint64_t, "fcvt.l." s " %0, fa0");                                                          \
    INT("to_u64 " f, 1, w, uint64_t, "fcvt.lu." s " %0, fa0");                                                         \
    INT("class " f, 1, w, uint32_t, "fclass." s " %0, fa0");                                                           \
    FP("from_i64 " f, 1, w, type, "fcvt." s ".l fa3, %2");                                                             \
    FP("from_u64 " f, 1, w, type, "fcvt." s ".lu fa3, %2")

int main(int argc, char** argv) {
    state = argc > 1 ? strtoull(argv[1], 0, 0) : 1;
    long count = argc > 2 ? atol(argv[2]) : 1000;
    while (count-- > 0) {
        rounding = next() % 5;
        uint64_t a = value(8, 23), b = value(8, 23), c = value(8, 23);
        if (next() % 4 == 0) b = a ^ next() % 4 ^ (next() & 1) << 31;
        FORMAT("f32", "s", "w", uint32_t);
        RUN("convert f32 f64", 1, "w", uint64_t, "fmv.x.d %0, fa3", "fcvt.d.s fa3, fa0");
        a = value(11, 52), b = value(11, 52), c = value(11, 52);
        if (next() % 4 == 0) b = a ^ next() % 4 ^ next() << 63;
        FORMAT("f64", "d", "d", uint64_t);
        FP("convert f64 f32", 1, "d", uint32_t, "fcvt.s.d fa3, fa0");
    }
    return 0;
}
