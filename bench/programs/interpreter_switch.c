// class: calls  size: 150000  quick: 10000
// A byte-code interpreter with a switch; it counts Collatz steps of the numbers below SIZE.
#include "bytecode.h"

static NOINLINE uint64_t interpret(const struct instruction* code, uint64_t* r) {
    const struct instruction* pc = code;
    for (;;) {
        struct instruction i = *pc++;
        switch (i.op) {
        case ADD: r[i.to] = r[i.a] + r[i.b]; break;
        case MUL: r[i.to] = r[i.a] * r[i.b]; break;
        case AND: r[i.to] = r[i.a] & r[i.b]; break;
        case SHR: r[i.to] = r[i.a] >> r[i.b]; break;
        case LESS: r[i.to] = r[i.a] < r[i.b]; break;
        case JZ:
            if (r[i.a] == 0) pc = code + i.to;
            break;
        case JMP: pc = code + i.to; break;
        default: return r[total];
        }
    }
}

int main(int argc, char** argv) {
    static const struct instruction code[] = COLLATZ;
    uint64_t r[registers] = {[n] = 1, [limit] = size_argument(argc, argv), [one] = 1, [three] = 3};
    return report(interpret(code, r));
}
