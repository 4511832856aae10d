/* What guest_soak and the program that runs under the reference agree on. C, for both sides.
 *
 * A batch is a file: struct batch_head, then cases of sizeof(struct case_head) + regs_bytes bytes. Registers are those of
 * isa::Guest::registers() without the internal ones, in that order, each in a multiple of 8 bytes, little-endian.
 * Answers are a file of sizeof(struct answer_head) + regs_bytes bytes a case. */
#pragma once
#include <stdint.h>

/* Two pages, the first writable, the second not, with nothing mapped around them. A case fills the first and the last
 * AREA_BYTES of the first page, zeros are between; every byte n of the second page is n * 37 + 11. */
#define WINDOW 0x40000000ul
#define WINDOW_PAGE 4096ul
#define AREA_BYTES 128
/* A page of breakpoints; a case's instructions stand in its middle. */
#define CODE 0x50000000ul
#define CODE_BYTES 4096
#define CODE_START (CODE + 2048)
/* Where the reference keeps the code that loads the registers: nobody may jump there. */
#define STUB 0x4fff0000ul

struct batch_head {
    uint64_t count, regs_bytes;
};
struct case_head {
    uint64_t insn_bytes;
    uint8_t insn[24];
    uint8_t memory[2 * AREA_BYTES];
};
struct answer_head {
    uint64_t signal, pc, address;
    uint64_t between; /* window_sum */
    uint8_t memory[2 * AREA_BYTES];
};

/* Of what an instruction made of the zeros between the areas; each byte and its place count. */
static inline uint64_t window_sum(const uint8_t* window) {
    const char* aligned = (const char*)__builtin_assume_aligned(window, sizeof(uint64_t));
    uint64_t sum = 0;
    for (uint64_t n = AREA_BYTES; n < WINDOW_PAGE - AREA_BYTES; n += 8) {
        uint64_t word;
        __builtin_memcpy(&word, aligned + n, sizeof word);
        sum = (sum << 1 | sum >> 63) ^ word;
    }
    return sum;
}
