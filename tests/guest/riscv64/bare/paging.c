// Address translation: what entries of each level, rights and controls give to accesses of each privilege.
#include "bare.h"

#define PAGE 4096ul
#define V 1ul
#define R 2ul
#define W 4ul
#define X 8ul
#define U 16ul
#define A 64ul
#define D 128ul
#define N (1ul << 63)

static u64 tables[8][512] __attribute__((aligned(4096)));
static u64 pages[32][512] __attribute__((aligned(65536)));
static u64 next_table, mode;

static u64 ppn(void* p) { return (u64)p >> 12 << 10; }
static int levels(void) { return (int)mode - 5; }

// The entry of an address at a level (0: 4 KiB), with tables down to it.
static u64* entry(u64 address, int level) {
    u64* t = tables[0];
    for (int l = levels() - 1; l > level; --l) {
        u64* e = &t[address >> (12 + 9 * l) & 511];
        if (!(*e & V)) *e = ppn(tables[next_table++]) | V;
        t = (u64*)((*e >> 10) << 12);
    }
    return &t[address >> (12 + 9 * level) & 511];
}
static u64 satp_value(u64 asid) { return mode << 60 | asid << 44 | (u64)tables[0] >> 12; }
static void start(u64 m) {
    mode = m, next_table = 1;
    memset(tables, 0, sizeof tables);
    // RAM and devices as they are, for the code under test: both privileges get their own alias.
    *entry(0x80000000, 2) = 0x80000000ul >> 2 | V | R | W | X | A | D;
    // ...a user's at 1 GiB more
    *entry(0xc0000000, 2) = 0x80000000ul >> 2 | V | R | W | X | U | A | D;
    csr_write(satp, satp_value(1));
    asm volatile("sfence.vma" : : : "memory");
}

asm(".text\n.balign 8\n"
    ".globl do_load\ndo_load: ld a0, 0(a0)\nj over\n"
    ".globl do_store\ndo_store: sd a0, 8(a0)\nli a0, 1\nj over\n"
    ".globl do_fetch\ndo_fetch: mv t0, a0\nla ra, over\njr t0\n"
    ".globl do_amo\ndo_amo: amoor.d a0, x0, (a0)\nj over\n"
    ".globl do_cross\ndo_cross: ld a0, -4(a0)\nj over\n"
    ".globl do_cross_store\ndo_cross_store: sw a0, -2(a0)\nli a0, 2\nj over\n"
    "over: ecall\n");
extern char do_load[], do_store[], do_fetch[], do_amo[], do_cross[], do_cross_store[];

// By the privilege's own alias of the code.
static void try(const char* what, char* code, u64 address, u64 privilege) {
    u64 at = (u64)code + (privilege == user_level && csr_read(satp) ? 0x40000000 : 0);
    u64 r = attempt((u64(*)(u64))at, address, privilege);
    if ((r & TRAPPED) && trap_cause != 8 && trap_cause != 9 && trap_cause != 11)
        print(" %s:%d/%x", what, trap_cause, trap_value - address);
    else
        print(" %s:ok", what);
}
static void all(u64 address, u64 privilege) {
    try("r", do_load, address, privilege);
    try("w", do_store, address, privilege);
    try("x", do_fetch, address, privilege);
    try("a", do_amo, address, privilege);
}

// A leaf with each set of rights, for each privilege and control.
static void rights(u64 address) {
    for (u64 bits = 0; bits < 16; ++bits) {
        u64 perms = (bits & 7) << 1 | (bits & 8 ? U : 0);
        *entry(address, 0) = ppn(pages[0]) | V | perms | A | D;
        asm volatile("sfence.vma" : : : "memory");
        print("rights %x:", perms);
        all(address, user_level);
        all(address, supervisor_level);
        csr_set(mstatus, 1 << 18); // SUM
        print(" SUM");
        all(address, supervisor_level);
        csr_set(mstatus, 1 << 19); // MXR
        print(" MXR");
        try("r", do_load, address, user_level);
        try("r", do_load, address, supervisor_level);
        csr_clear(mstatus, 3 << 18);
        print("\n");
    }
}

static void odd(const char* what, u64 address, u64 value, int level) {
    u64* e = entry(address, level);
    *e = value;
    asm volatile("sfence.vma" : : : "memory");
    print("%s:", what);
    all(address, supervisor_level);
    print("\n");
    *e = 0;
    asm volatile("sfence.vma" : : : "memory");
}

static u64 load_as(u64 address, u64 privilege) { // by MPRV
    u64 v = 99;
    csr_clear(mstatus, 3 << 11);
    csr_set(mstatus, privilege << 11 | 1 << 17);
    asm volatile("ld %0, 0(%1)" : "=r"(v) : "r"(address) : "memory");
    csr_clear(mstatus, 1 << 17);
    return v;
}

int main(void) {
    csr_write(pmpaddr0, -1ul >> 10);
    csr_write(pmpcfg0, 0x1f);
    for (u64 n = 0; n < 32; ++n)
        for (u64 k = 0; k < 512; ++k) pages[n][k] = 0x0000808200008082ul; // c.jr ra; illegal
    for (u64 m = 8; m <= 10; ++m) {
        start(m);
        print("-- mode %d satp %x\n", m, csr_read(satp) >> 60);
        rights(0x10000000);
        u64 ok = V | R | W | X | A | D, at = 0x20000000;
        odd("invalid", at, 0, 0);
        odd("reserved bit 54", at, ppn(pages[0]) | ok | 1ul << 54, 0);
        odd("reserved bit 60", at, ppn(pages[0]) | ok | 1ul << 60, 0);
        odd("write only", at, ppn(pages[0]) | V | W | A | D, 0);
        odd("pointer at the last level", at, ppn(pages[0]) | V, 0);
        odd("pointer with A", at, ppn(tables[7]) | V | A, 1);
        odd("2 MiB misaligned", at, ppn(pages[1]) | ok, 1);
        odd("2 MiB", at, 0x80000000ul >> 2 | V | R | A | D, 1);
        odd("software bits", at, ppn(pages[0]) | ok | 3 << 8, 0);
        odd("beyond memory", at, 0x4000000000ul >> 2 | ok, 0);
        odd("global", at, ppn(pages[0]) | ok | 32, 0);
        print("not canonical:");
        all(1ul << (12 + 9 * levels() - 1), supervisor_level);
        all(1ul << 62, user_level);
        print("\n");
        // Accesses over the end of a page
        *entry(at, 0) = ppn(pages[2]) | ok | U, *entry(at + PAGE, 0) = ppn(pages[5]) | ok | U;
        asm volatile("sfence.vma" : : : "memory");
        print("crossing:");
        pages[2][511] = 0x1111111122222222ul, pages[5][0] = 0x3333333344444444ul;
        try("r", do_cross, at + PAGE, user_level);
        print(" %x", attempt((u64(*)(u64))((u64)do_cross + 0x40000000), at + PAGE, user_level));
        try("w", do_cross_store, at + PAGE, user_level);
        print(" %x %x", pages[2][511], pages[5][0]);
        *entry(at + PAGE, 0) = 0;
        asm volatile("sfence.vma" : : : "memory");
        try("r", do_cross, at + PAGE, user_level);
        try("w", do_cross_store, at + PAGE, user_level);
        print(" %x\n", pages[2][511]);
        // Another address space
        *entry(at, 0) = ppn(pages[3]) | ok;
        pages[3][0] = 3, pages[4][0] = 4;
        asm volatile("sfence.vma" : : : "memory");
        print("mprv: %d", load_as(at, supervisor_level));
        *entry(at, 0) = ppn(pages[4]) | ok;
        asm volatile("sfence.vma %0, x0" : : "r"(at) : "memory");
        print(" %d", load_as(at, supervisor_level));
        *entry(at, 0) = ppn(pages[3]) | ok;
        asm volatile("sfence.vma x0, %0" : : "r"(1) : "memory");
        print(" %d", load_as(at, supervisor_level));
        *entry(at, 0) = ppn(pages[4]) | ok;
        asm volatile("sfence.vma %0, %1" : : "r"(at), "r"(1) : "memory");
        print(" %d", load_as(at, supervisor_level));
        csr_write(satp, 0);
        print(" bare %d\n", load_as((u64)pages[3], supervisor_level));
        pages[2][511] = pages[5][0] = pages[3][0] = pages[4][0] = 0x0000808200008082ul;
    }
    // Protection of physical memory: a granule inside a page, locked rules, the order of rules
    csr_write(satp, 0);
    print("-- pmp\n");
    u64 p = (u64)pages[8];
    csr_write(pmpaddr1, -1ul >> 10);
    for (u64 cfg = 0; cfg < 8; ++cfg) {
        if ((cfg & 3) == 2) continue;
        csr_write(pmpcfg0, 0);
        csr_write(pmpaddr0, p >> 2 | 1); // 16 bytes
        csr_write(pmpcfg0, 0x1f00 | 0x18 | cfg);
        print("napot %x:", cfg);
        all(p, supervisor_level);
        all(p + 16, supervisor_level);
        all(p + 16, machine_level);
        try("r", do_load, p - 8, supervisor_level);
        try("c", do_cross, p + 16, supervisor_level);
        print("\n");
    }
    csr_write(pmpcfg0, 0);
    csr_write(pmpaddr0, p >> 2), csr_write(pmpaddr1, (p + 8) >> 2), csr_write(pmpaddr2, -1ul >> 10);
    csr_write(pmpcfg0, 0x1f0900); // [p, p + 8): read only, by its top
    print("tor:");
    all(p, supervisor_level), all(p + 8, supervisor_level), all(p, user_level);
    print("\n");
    csr_write(pmpcfg0, 0x1f9900); // locked
    print("locked:");
    csr_write(pmpcfg0, 0), csr_write(pmpaddr1, 0), csr_write(pmpaddr0, 0);
    print(" %x %x %x", csr_read(pmpcfg0), csr_read(pmpaddr1) - (p >> 2), csr_read(pmpaddr0) == p >> 2);
    all(p, machine_level);
    all(p + 8, machine_level);
    print("\n");
    return 0;
}
