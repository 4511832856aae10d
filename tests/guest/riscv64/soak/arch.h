/* RISC-V 64 for soak/reference.c. Registers of a case: x1 to x31, f0 to f31, fcsr, vstart, vl,
 * vtype, vcsr, v0 to v31 (16 bytes: VLEN is 128). */
#pragma once
#include "protocol.h"
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

#define REGISTER_BYTES ((31 + 32 + 1 + 4) * 8 + 32 * 16)

static const uint8_t breakpoint[2] = {0x02, 0x90}; /* c.ebreak */

extern const char load_registers[], load_registers_end[];
/* Runs the stub with the registers of a case; comes back when return_to_driver is called. */
void enter(const void* stub, const uint64_t* registers);
void return_to_driver(void);

static inline long system_call(long number, long a, long b, long c, long d, long e, long f) {
    register long a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c, a3 __asm__("a3") = d;
    register long a4 __asm__("a4") = e, a5 __asm__("a5") = f, a7 __asm__("a7") = number;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a7) : "memory");
    return a0;
}

static inline void flush_code(const void* at, uint64_t bytes) {
    (void)at, (void)bytes;
    __asm__ volatile("fence.i" ::: "memory");
}

/* The stub ends with a jump to the case's code. */
static inline void finish_stub(char* stub, uint64_t bytes) {
    int32_t d = (int32_t)(CODE_START - (STUB + bytes));
    uint32_t jal = 0x6fu | (uint32_t)(d >> 20 & 1) << 31 | (uint32_t)(d >> 1 & 0x3ff) << 21 |
                   (uint32_t)(d >> 11 & 1) << 20 | (uint32_t)(d >> 12 & 0xff) << 12;
    for (int k = 0; k < 4; ++k) stub[bytes + (uint64_t)k] = (char)(jal >> 8 * k);
}

/* Copies the registers at a signal; gives the pc. */
static inline uint64_t save_registers(uint64_t* to, void* context) {
    const mcontext_t* m = &((ucontext_t*)context)->uc_mcontext;
    for (int n = 1; n < 32; ++n) *to++ = m->__gregs[n];
    for (int n = 0; n < 32; ++n) *to++ = m->__fpregs.__d.__f[n];
    *to++ = m->__fpregs.__d.__fcsr;
    /* The frame need not have V's state; the registers are still as they were. Whole stores begin at vstart. */
    __asm__ volatile(".option push\n.option arch, +v\n"
                     "csrr t0, vstart\n sd t0, 0(%0)\n csrr t0, vl\n sd t0, 8(%0)\n"
                     "csrr t0, vtype\n sd t0, 16(%0)\n csrr t0, vcsr\n sd t0, 24(%0)\n"
                     "csrw vstart, zero\n addi t0, %0, 32\n vs8r.v v0, (t0)\n addi t0, t0, 128\n vs8r.v v8, (t0)\n"
                     "addi t0, t0, 128\n vs8r.v v16, (t0)\n addi t0, t0, 128\n vs8r.v v24, (t0)\n"
                     ".option pop" ::"r"(to)
                     : "t0", "memory");
    return m->__gregs[0];
}
