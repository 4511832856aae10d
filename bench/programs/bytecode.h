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

#define COLLATZ                                                                                                        \
    {                                                                                                                  \
        {LESS, t, n, limit},     /* 0: while n < limit */                                                              \
            {JZ, 14, t, 0},                                                                                            \
            {ADD, x, n, zero},                                                                                         \
            {LESS, t, one, x},   /* 3: while 1 < x */                                                                  \
            {JZ, 12, t, 0},                                                                                            \
            {ADD, total, total, one},                                                                                  \
            {AND, t, x, one},                                                                                          \
            {JZ, 10, t, 0},                                                                                            \
            {MUL, x, x, three},                                                                                        \
            {ADD, x, x, one},                                                                                          \
            {SHR, x, x, one},    /* 10 */                                                                              \
            {JMP, 3, 0, 0},                                                                                            \
            {ADD, n, n, one},    /* 12 */                                                                              \
            {JMP, 0, 0, 0},                                                                                            \
            {HALT, 0, 0, 0},                                                                                           \
    }
#endif
