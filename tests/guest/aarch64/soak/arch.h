/* AArch64 for soak/reference.c. Registers of a case: x0 to x30, sp, v0 to v31 (16 bytes), nzcv, fpcr, fpsr, tpidr_el0. */
#pragma once
#include "protocol.h"
#include <asm/sigcontext.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

#define REGISTER_BYTES ((32 + 4) * 8 + 32 * 16)

static const uint8_t breakpoint[4] = {0x00, 0x00, 0x20, 0xd4}; /* brk #0 */

extern const char load_registers[], load_registers_end[];
/* Runs the stub with the registers of a case; comes back when return_to_driver is called. */
void enter(const void* stub, const uint64_t* registers);
void return_to_driver(void);

static inline long system_call(long number, long a, long b, long c, long d, long e, long f) {
    register long x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e, x5 __asm__("x5") = f, x8 __asm__("x8") = number;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5), "r"(x8) : "memory");
    return x0;
}

static inline void flush_code(const void* at, uint64_t bytes) {
    for (uint64_t n = 0; n < bytes; n += 4) {
        const char* p = (const char*)at + n;
        __asm__ volatile("dc cvau, %0; dsb ish; ic ivau, %0" ::"r"(p) : "memory");
    }
    __asm__ volatile("dsb ish; isb" ::: "memory");
}

/* The stub ends with a branch to the case's code. */
static inline void finish_stub(char* stub, uint64_t bytes) {
    int64_t d = (int64_t)(CODE_START - (STUB + bytes));
    uint32_t b = 0x14000000u | ((uint32_t)(d >> 2) & 0x3ffffff);
    for (int k = 0; k < 4; ++k) stub[bytes + (uint64_t)k] = (char)(b >> 8 * k);
}

/* Copies the registers at a signal; gives the pc. The context's extension records begin with FPSIMD's. */
static inline uint64_t save_registers(uint64_t* to, void* context) {
    const mcontext_t* m = &((ucontext_t*)context)->uc_mcontext;
    for (int n = 0; n < 31; ++n) *to++ = m->regs[n];
    *to++ = m->sp;
    const struct fpsimd_context* fp = (const struct fpsimd_context*)m->__reserved;
    while (fp->head.magic != FPSIMD_MAGIC) fp = (const struct fpsimd_context*)((const char*)fp + fp->head.size);
    const uint64_t* v = (const uint64_t*)fp->vregs;
    for (int n = 0; n < 64; ++n) *to++ = v[n];
    *to++ = m->pstate & 0xf0000000;
    *to++ = fp->fpcr;
    *to++ = fp->fpsr;
    __asm__ volatile("mrs %0, tpidr_el0" : "=r"(*to));
    return m->pc;
}
