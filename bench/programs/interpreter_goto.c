// class: calls  size: 150000  quick: 10000
// The same interpreter with computed gotos: an indirect jump at the end of each operation.
#include "bytecode.h"

static NOINLINE uint64_t interpret(const struct instruction* code, uint64_t* r) {
    static const void* const labels[] = {&&add, &&mul, &&and_, &&shr, &&less, &&jz, &&jmp, &&halt};
    const struct instruction* pc = code;
    struct instruction i;
#define NEXT                                                                                                           \
    i = *pc++;                                                                                                         \
    goto* labels[i.op]
    NEXT;
add:
    r[i.to] = r[i.a] + r[i.b];
    NEXT;
mul:
    r[i.to] = r[i.a] * r[i.b];
    NEXT;
and_:
    r[i.to] = r[i.a] & r[i.b];
    NEXT;
shr:
    r[i.to] = r[i.a] >> r[i.b];
    NEXT;
less:
    r[i.to] = r[i.a] < r[i.b];
    NEXT;
jz:
    if (r[i.a] == 0) pc = code + i.to;
    NEXT;
jmp:
    pc = code + i.to;
    NEXT;
halt:
    return r[total];
}

int main(int argc, char** argv) {
    static const struct instruction code[] = COLLATZ;
    uint64_t r[registers] = {[n] = 1, [limit] = size_argument(argc, argv), [one] = 1, [three] = 3};
    return report(interpret(code, r));
}
