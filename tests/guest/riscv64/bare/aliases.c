// Code that is seen at several addresses: where it thinks it is, what lies behind it, and what becomes of that.
#include "bare.h"

#define PAGE 4096ul
#define LEAF 0xcful // V R W X A D
#define AT(n) (0x40000000ul + (n)*0x200000ul)

static u64 root[512] __attribute__((aligned(4096))), middle[512] __attribute__((aligned(4096)));
static u64 last[4][512] __attribute__((aligned(4096)));
static u64 other[512] __attribute__((aligned(4096)));

// The first page loops, calls into itself and into the next page, and hashes the addresses that it sees on the way.
asm(".text\n.option push\n.option norvc\n.balign 4096\n"
    ".globl near_page, far_page, far_end\n"
    "near_page: mv t6, ra\n"
    "auipc t0, 0\nli a1, 0\nli t1, 50\n"
    "1: addi t1, t1, -1\nslli a1, a1, 1\nadd a1, a1, t1\nbnez t1, 1b\n"
    "jal 3f\n"
    "jal far_page\n"
    "2: la t2, 2b\nadd a1, a1, t2\nslli a1, a1, 1\nadd a1, a1, t0\nadd a0, a0, a1\nmv ra, t6\nret\n"
    "3: add a1, a1, ra\nret\n"
    ".balign 4096\n"
    "far_page: auipc t3, 0\nadd a1, a1, ra\nadd a1, a1, t3\naddi a1, a1, 5\nret\n"
    ".balign 4096\nfar_end: .option pop\n");
extern char near_page[], far_page[], far_end[];

static u64 leaf(void* p) { return (u64)p >> 12 << 10 | LEAF; }
static u64 run(u64 n) { return attempt((u64(*)(u64))AT(n), n, supervisor_level); }

int main(void) {
    csr_write(pmpaddr0, -1ul >> 10);
    csr_write(pmpcfg0, 0x1f);
    memset(root, 0, sizeof root), memset(middle, 0, sizeof middle), memset(last, 0, sizeof last);
    root[2] = 0x80000000ul >> 2 | LEAF; // RAM as it is
    root[1] = (u64)middle >> 12 << 10 | 1;
    for (u64 n = 0; n < 4; ++n) {
        middle[n] = (u64)last[n] >> 12 << 10 | 1;
        last[n][0] = leaf(near_page), last[n][1] = leaf(far_page);
    }
    for (u64 k = 0; k < 512; ++k) other[k] = ((u64*)far_page)[k];
    for (u32 k = 0; k < 8; ++k) // addi a1, a1, 5 there: 9 here
        if (((u32*)other)[k] == 0x00558593) ((u32*)other)[k] = 0x00958593;
    asm volatile("fence.i");
    csr_write(satp, 8ul << 60 | (u64)root >> 12);
    asm volatile("sfence.vma" : : : "memory");
    for (u64 round = 0; round < 3; ++round)
        for (u64 n = 0; n < 4; ++n) print("round %d at %x: %x\n", round, AT(n), run(n));
    // Another page behind one of them: who sees it goes there, the others don't.
    last[2][1] = leaf(other);
    asm volatile("sfence.vma" : : : "memory");
    for (u64 round = 0; round < 2; ++round)
        for (u64 n = 0; n < 4; ++n) print("another behind %x, at %x: %x\n", AT(2), AT(n), run(n));
    // No page behind one of them
    last[1][1] = 0;
    asm volatile("sfence.vma" : : : "memory");
    for (u64 n = 0; n < 4; ++n) {
        u64 r = run(n);
        print("none behind %x, at %x: %x cause %d value %x\n", AT(1), AT(n), r, trap_cause, trap_value);
    }
    // Changed, through an alias
    last[1][1] = leaf(far_page);
    asm volatile("sfence.vma" : : : "memory");
    for (u32 k = 0; k < 8; ++k)
        if (((u32*)far_page)[k] == 0x00558593) ((u32*)far_page)[k] = 0x00758593;
    asm volatile("fence.i");
    for (u64 n = 0; n < 4; ++n) print("changed, at %x: %x\n", AT(n), run(n));
    return 0;
}
