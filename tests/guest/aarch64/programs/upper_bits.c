// A double that is made of a word has bits above that word: a single taken from it must not bring them along. Each block
// runs often enough to be translated.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void say(const char* what, int holds) { printf("%s: %s\n", what, holds ? "yes" : "no"); }

#ifdef __aarch64__
#    define ROUNDED(op)                                                                                                \
        static int op##_holds(uint32_t word) {                                                                         \
            uint64_t all;                                                                                              \
            double made;                                                                                               \
            asm volatile("fmov s0, %w2\n" #op " d4, d0\nfrintz s0, s4\numov %0, v0.d[0]\nfmov %d1, d4"                 \
                         : "=r"(all), "=w"(made)                                                                       \
                         : "r"(word)                                                                                   \
                         : "v0", "v4");                                                                                \
            uint64_t bits;                                                                                             \
            float low, rounded;                                                                                        \
            memcpy(&bits, &made, 8), memcpy(&low, &bits, 4);                                                           \
            rounded = truncf(low);                                                                                     \
            uint32_t expected;                                                                                         \
            memcpy(&expected, &rounded, 4);                                                                            \
            return bits >> 32 != 0 && all == expected;                                                                 \
        }
ROUNDED(fsqrt)
ROUNDED(fneg)
#else
static int fsqrt_holds(uint32_t word) { return word != 0; }
static int fneg_holds(uint32_t word) { return word != 0; }
#endif

int main(void) {
    int root = 1, negated = 1;
    for (uint32_t n = 1; n < 200; ++n) root &= fsqrt_holds(0x45e80000u + n), negated &= fneg_holds(0x45e80000u + n);
    say("a root's upper half stays out", root);
    say("a sign stays out", negated);
    return 0;
}
