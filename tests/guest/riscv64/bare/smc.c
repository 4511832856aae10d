// Code that changes: through the same address, through another address of the page, in a loop, across two pages, by a page
// table that shows another page, and data beside code.
#include "bare.h"

#define PAGE 4096ul
#define BITS (1 | 2 | 4 | 8 | 64 | 128) // V R W X A D

static u64 root[512] __attribute__((aligned(4096))), middle[512] __attribute__((aligned(4096))),
    low[512] __attribute__((aligned(4096)));
static u32 code[4][1024] __attribute__((aligned(4096)));
static const u64 alias = 0x40000000;

static u32 li(u64 n) { return 0x00000513u | (u32)n << 20; } // addi a0, x0, n
#define RET 0x00008067u
typedef u64 (*function)(u64);

static void map(u64 page, void* to) { low[page] = (u64)to >> 12 << 10 | BITS; }

// In supervisor mode.
static u64 test(u64 unused) {
    (void)unused;
    u64 sum = 0;
    volatile u32* direct = code[0];
    volatile u32* other = (volatile u32*)alias;
    function at_direct = (function)(u64)code[0], at_alias = (function)alias;
    // by either address, run at either
    for (u64 n = 1; n <= 200; ++n) {
        (n & 1 ? direct : other)[0] = li(n);
        (n & 2 ? direct : other)[1] = RET;
        asm volatile("fence.i" : : : "memory");
        sum = sum * 31 + at_direct(0);
        sum = sum * 31 + at_alias(0);
    }
    // data beside code: code stays
    for (u64 n = 0; n < 1000; ++n) {
        direct[100 + n % 50] = (u32)n;
        sum += at_alias(0) + other[100 + n % 50];
    }
    // an instruction over the end of a page: the second half comes from what lies behind
    volatile unsigned short* h = (volatile unsigned short*)(alias + PAGE - 2);
    for (u64 n = 1; n <= 20; ++n) {
        h[0] = (unsigned short)li(n), h[1] = (unsigned short)(li(n) >> 16);
        h[2] = 0x8082;
        asm volatile("fence.i" : : : "memory");
        sum = sum * 31 + ((function)(alias + PAGE - 2))(0);
    }
    // another page behind it
    code[2][0] = (0x8082u << 16) | (li(77) >> 16);
    low[1] = (u64)code[2] >> 12 << 10 | BITS;
    asm volatile("sfence.vma %0, x0" : : "r"(alias + PAGE) : "memory");
    asm volatile("fence.i" : : : "memory");
    sum = sum * 31 + ((function)(alias + PAGE - 2))(0);
    // the same address shows one page, then another
    code[3][8] = li(5), code[3][9] = RET, code[2][8] = li(6), code[2][9] = RET;
    asm volatile("fence.i" : : : "memory");
    for (u64 n = 0; n < 50; ++n) {
        low[3] = (u64)code[n & 1 ? 2 : 3] >> 12 << 10 | BITS;
        asm volatile("sfence.vma %0, x0" : : "r"(alias + 3 * PAGE) : "memory");
        sum = sum * 31 + ((function)(alias + 3 * PAGE + 32))(0);
    }
    return sum & ~TRAPPED;
}

int main(void) {
    csr_write(pmpaddr0, -1ul >> 10);
    csr_write(pmpcfg0, 0x1f);
    root[2] = 0x80000000ul >> 2 | BITS;
    root[1] = (u64)middle >> 12 << 10 | 1;
    middle[0] = (u64)low >> 12 << 10 | 1;
    for (u64 n = 0; n < 3; ++n) map(n, code[n]);
    csr_write(satp, 8ul << 60 | (u64)root >> 12);
    asm volatile("sfence.vma" : : : "memory");
    u64 result = attempt(test, 0, supervisor_level);
    print("supervisor: %x, last cause %d value %x\n", result, trap_cause, trap_value);
    csr_write(satp, 0);
    print("machine: ");
    for (u64 n = 1; n < 5; ++n) {
        code[0][0] = li(n), code[0][1] = RET;
        asm volatile("fence.i" : : : "memory");
        print("%d ", ((function)(u64)code[0])(0));
    }
    print("\n");
    return 0;
}
