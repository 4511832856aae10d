// A program without an operating system for gdb_test.py: two harts that count.
typedef unsigned long u64;
volatile u64 counter = 0, watched = 0, spare = 7;
volatile double ratio = 0;
volatile u64 others[4];

__attribute__((noinline)) u64 twice(u64 n) { return 2 * n; }

__attribute__((noinline)) void work(u64 n) {
    counter += twice(n);
    ratio += 0.5;
    if (n % 16 == 3) watched = n;
    if (spare == 0) counter = 0;
}

__attribute__((noinline)) void other(u64 hart) { others[hart]++; }

void start_c(u64 hart) {
    while (hart) other(hart);
    for (u64 n = 0;; n++) work(n);
}

__asm__(".pushsection .boot, \"ax\"\n.global _start\n_start:\n"
        "li t0, 0x2000\ncsrs mstatus, t0\n" // FS: initial
        "csrr a0, mhartid\nla sp, stacks\naddi t0, a0, 1\nslli t0, t0, 12\nadd sp, sp, t0\nj start_c\n"
        ".popsection\n.pushsection .bss\n.balign 16\nstacks: .skip 0x4000\n.popsection\n");
