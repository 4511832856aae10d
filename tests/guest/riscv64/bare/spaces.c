// Address spaces under identifiers: pages that are global and pages that are not, of data and of code, over switches of satp that
// flush nothing; and what each form of sfence.vma takes away.
#include "bare.h"

#define LEAF 0xcful // V R W X A D
#define G 0x20ul
#define OWN 0x40000000ul    // another page in each space
#define GLOBAL 0x40001000ul // the same page in both
#define CODE 0x40002000ul   // other code in each

static u64 root[2][512] __attribute__((aligned(4096))), middle[2][512] __attribute__((aligned(4096)));
static u64 last[2][512] __attribute__((aligned(4096)));
static u64 data[3][512] __attribute__((aligned(4096)));
static u32 code[2][1024] __attribute__((aligned(4096)));

asm(".text\n.globl load_it\nload_it: ld a0, 0(a0)\nret\n");
extern char load_it[];

static u64 leaf(void* p) { return (u64)p >> 12 << 10 | LEAF; }
static void enter(u64 space) { csr_write(satp, 8ul << 60 | (space + 1) << 44 | (u64)root[space] >> 12); }
static u64 load(u64 at) { return attempt((u64(*)(u64))load_it, at, supervisor_level); }
static u64 run(u64 n) { return attempt((u64(*)(u64))CODE, n, supervisor_level); }
static void show(const char* what) {
    for (u64 s = 0; s < 2; ++s) {
        enter(s);
        print("%s, space %d: %x %x %x\n", what, s, load(OWN), load(GLOBAL), run(0x100));
    }
}

// above: G of RAM as it is. pointer: G stands in the pointer to the table, and not in the leaves.
static void rounds(u64 above, u64 pointer) {
    csr_write(satp, 0);
    for (u64 s = 0; s < 2; ++s) {
        memset(root[s], 0, 4096), memset(middle[s], 0, 4096), memset(last[s], 0, 4096);
        root[s][2] = 0x80000000ul >> 2 | LEAF | above;
        root[s][1] = (u64)middle[s] >> 12 << 10 | 1;
        middle[s][0] = (u64)last[s] >> 12 << 10 | 1;
        last[s][0] = leaf(data[s]);
        last[s][1] = leaf(data[2]) | G;
        last[s][2] = leaf(code[s]);
        middle[s][1] = (u64)last[s] >> 12 << 10 | 1 | pointer; // a second way to all that
        data[s][0] = 0x1000 + s;
        code[s][0] = 0x00050513 | (s ? 7 : 3) << 20; // addi a0, a0, 7 or 3
        code[s][1] = 0x00008067;                     // ret
    }
    data[2][0] = 0x2222;
    asm volatile("fence.i\nsfence.vma" : : : "memory");
    u64 sum = 0;
    for (u64 r = 0; r < 700; ++r) {
        enter((r * 5 >> 1) & 1);
        sum = sum * 31 + load(OWN);
        sum = sum * 31 + load(GLOBAL);
        sum = sum * 31 + run(r);
        if (pointer) sum = sum * 31 + load(GLOBAL + 0x200000);
        if (r % 100 == 99) print("above %x pointer %x, round %d: %x\n", above, pointer, r, sum);
    }
    show("before");
    last[0][1] = last[1][1] = leaf(data[0]) | G;
    asm volatile("sfence.vma %0, x0" : : "r"(GLOBAL) : "memory");
    show("another global page");
    last[1][0] = leaf(data[2]);
    asm volatile("sfence.vma %0, %1" : : "r"(OWN), "r"(2ul) : "memory");
    show("another page of the second space's");
    last[0][2] = leaf(code[1]), last[0][0] = 0;
    asm volatile("sfence.vma x0, %0" : : "r"(1ul) : "memory");
    show("other code in the first, and no page");
}

int main(void) {
    csr_write(pmpaddr0, -1ul >> 10);
    csr_write(pmpcfg0, 0x1f);
    rounds(G, 0);
    rounds(0, 0);
    rounds(G, G);
    csr_write(satp, 0);
    return 0;
}
