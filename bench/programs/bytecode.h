// The byte code of a small register machine and its program, shared by the two interpreters: for each n below a limit
// it counts the steps of n's Collatz sequence.
#ifndef BYTECODE_H
#define BYTECODE_H
#include "bench.h"

enum { ADD, MUL, AND, SHR, LESS, JZ, JMP, HALT };
enum { total, n, x, t, limit, one, three, zero, registers };
struct instruction {
    unsigned char op, to, a, b; // JZ a, to; JMP to
};

// A listing:
// clang-format off
#define COLLATZ {                                     \
    /*  0 while n < limit */ {LESS, t, n, limit},     \
    /*  1 */                 {JZ, 14, t, 0},          \
    /*  2 */                 {ADD, x, n, zero},       \
    /*  3 while 1 < x */     {LESS, t, one, x},       \
    /*  4 */                 {JZ, 12, t, 0},          \
    /*  5 */                 {ADD, total, total, one},\
    /*  6 */                 {AND, t, x, one},        \
    /*  7 */                 {JZ, 10, t, 0},          \
    /*  8 x odd */           {MUL, x, x, three},      \
    /*  9 */                 {ADD, x, x, one},        \
    /* 10 */                 {SHR, x, x, one},        \
    /* 11 */                 {JMP, 3, 0, 0},          \
    /* 12 */                 {ADD, n, n, one},        \
    /* 13 */                 {JMP, 0, 0, 0},          \
    /* 14 */                 {HALT, 0, 0, 0},         \
}
// clang-format on
#endif
