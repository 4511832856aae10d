// Address translation of EL1&0: what descriptors of each granule and level, rights and controls give to accesses of EL0 and EL1;
// flags that hardware sets; what TLB maintenance makes seen; AT.
#include "bare.h"

#define V 1ul
#define TABLE 3ul
#define ATTR_DEVICE (1ul << 2)
#define AP_USER (1ul << 6)
#define AP_RO (1ul << 7)
#define AF (1ul << 10)
#define NG (1ul << 11)
#define DBM (1ul << 51)
#define PXN (1ul << 53)
#define UXN (1ul << 54)

static u64 tables[8][8192] __attribute__((aligned(65536)));
static u64 pages[8][8192] __attribute__((aligned(65536)));
static u64 next_table, grain;

static u64 stride(void) { return grain - 3; }
static u64 shift_of(int level) { return grain + (u64)(3 - level) * stride(); }
static int first_level(void) { return grain == 16 ? 2 : 1; } // T0SZ 25 (39 bits); 64 KiB granules begin at level 2
static u64 block(int level) { return level == 3 ? 3 : 1; }

// The descriptor of an address at a level, with tables down to it.
static u64* entry(u64 address, int level) {
    u64* t = tables[0];
    for (int l = first_level(); l < level; ++l) {
        u64* e = &t[(address & ((1ul << 39) - 1)) >> shift_of(l) & ((1ul << stride()) - 1)];
        if (!(*e & V)) *e = (u64)tables[next_table++] | TABLE;
        t = (u64*)(*e & 0xffffffff0000ul);
    }
    return &t[(address & ((1ul << 39) - 1)) >> shift_of(level) & ((1ul << stride()) - 1)];
}
static void flush(void) { asm volatile("dsb ishst\n tlbi vmalle1is\n dsb ish\n isb" : : : "memory"); }

#define HIGH 0xffffff8000000000ul
static void start(u64 g, u64 more) {
    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) & ~1ul);
    grain = g, next_table = 1;
    memset(tables, 0, sizeof tables);
    static const u64 tg0[] = {0, 2, 1}, tg1[] = {2, 1, 3};
    u64 k = (g - 12) / 2;
    // RAM for EL1, and by the high range's alias (the same tables) nothing else; EL0's own alias at 2 GiB.
    int level = g == 12 ? 1 : 2;
    for (u64 a = 0x40000000; a < 0x44000000; a += 1ul << shift_of(level)) {
        *entry(a, level) = (a & ~((1ul << shift_of(level)) - 1)) | block(level) | AF;
        *entry(a + 0x40000000, level) =
            (a & ~((1ul << shift_of(level)) - 1)) | block(level) | AF | AP_USER | AP_RO | PXN;
        if (g == 12) break;
    }
    for (u64 a = 0x08000000; a < 0x0a000000; a += 1ul << shift_of(2))
        *entry(a, 2) = (a & ~((1ul << shift_of(2)) - 1)) | block(2) | AF | ATTR_DEVICE | UXN | PXN;
    write_sysreg(mair_el1, 0x00ff | 0x4400000);
    u64 tcr = 25 | 25ul << 16 | tg0[k] << 14 | tg1[k] << 30 | 0x3500ul | 0x3500ul << 16 | 5ul << 32 | 1ul << 36 | more;
    tcr &= ~(1ul << 22); // A1
    write_sysreg(tcr_el1, tcr);
    write_sysreg(ttbr0_el1, (u64)tables[0] | 1ul << 48);
    write_sysreg(ttbr1_el1, (u64)tables[0]);
    flush();
    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) | 1 | 1ul << 23);
    flush();
}
static void stop(void) {
    write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) & ~1ul);
    flush();
}

#define CODE(name, text)                                                                                               \
    asm(".text\n.balign 4\n.globl " #name "\n" #name ":\n" text "\nret\n");                                            \
    extern char name[]
CODE(do_load, "ldr x0, [x0]");
CODE(do_store, "str x0, [x0, #8]\nmov x0, #1");
CODE(do_fetch, "br x0");
CODE(do_ldtr, "ldtr x0, [x0]");
CODE(do_sttr, "sttr x0, [x0, #16]\nmov x0, #1");
CODE(do_cross, "ldr x0, [x0, #-4]\nmov x0, #1");
CODE(do_swap, "swp x0, x1, [x0]\nmov x0, #1");
CODE(do_exclusive, "ldxr x1, [x0]\nstxr w2, x1, [x0]\nmov x0, #1");
CODE(do_exclusive_pair, "ldxp x1, x2, [x0]\nstxp w3, x1, x2, [x0]\nmov x0, #1");

static void try(const char* what, char* code, u64 address, u64 level) {
    u64 at = (u64)code + (level == 0 && (read_sysreg(sctlr_el1) & 1) ? 0x40000000 : 0);
    u64 r = attempt(at, address, level);
    if (r == TRAPPED)
        print(" %s%d:%x/%x", what, level, trap_esr, trap_far - address);
    else
        print(" %s%d:ok", what, level);
}
static void all(u64 address) {
    for (u64 level = 0; level < 2; ++level) {
        try("r", do_load, address, level);
        try("w", do_store, address, level);
        try("x", do_fetch, address, level);
    }
    try("t", do_ldtr, address, 1);
    try("T", do_sttr, address, 1);
    print("\n");
}
#define AT(op, a)                                                                                                      \
    ({                                                                                                                 \
        asm volatile("at " #op ", %0\n isb" : : "r"((u64)(a)) : "memory");                                             \
        read_sysreg(par_el1);                                                                                          \
    })

static void rights(u64 g) {
    print("granule %d\n", g);
    start(g, 0);
    for (int level = 3; level >= 2; --level) {
        u64 address = 0x100000000ul + ((u64)level << 33);
        u64 size = 1ul << shift_of(level), pa = (u64)pages[0] & ~(size - 1), inside = (u64)pages[0] & (size - 1);
        // 0xd65f03c0 is RET, for fetches
        for (int k = 0; k < 8192; ++k) pages[0][k] = 0xd65f03c0d65f03c0ul;
        static const u64 cases[] = {AF,
                                    AF | AP_USER,
                                    AF | AP_RO,
                                    AF | AP_USER | AP_RO,
                                    AF | AP_USER | UXN,
                                    AF | AP_USER | PXN,
                                    AF | PXN,
                                    AF | UXN | PXN,
                                    AP_USER,
                                    AF | AP_USER | AP_RO | PXN | NG};
        for (u64 k = 0; k < sizeof cases / sizeof *cases; ++k) {
            *entry(address, level) = pa | block(level) | cases[k];
            flush();
            print("%d %x:", (u64)level, cases[k]);
            all(address + inside);
            pages[0][0] = pages[0][1] = pages[0][2] = 0xd65f03c0d65f03c0ul;
        }
        *entry(address, level) = 0;
        flush();
        print("%d none:", (u64)level);
        all(address + inside);
    }
    print("outside:");
    try("r", do_load, 1ul << 40, 1);
    try("r", do_load, HIGH - 8, 1);
    try("r", do_load, 0x5500000040000000ul, 1);
    try("r", do_load, HIGH + 0x40000000, 1);
    try("x", do_fetch, HIGH + (u64)pages[0], 1);
    print("\n");
    stop();
}

static void tags(void) {
    start(12, 1ul << 37);
    print("tags:");
    try("r", do_load, 0x5500000040200000ul, 1);
    try("w", do_store, 0xff00000000000000ul | (u64)pages[1], 1);
    try("r", do_load, 0x5500000000000000ul, 1);
    try("x", do_fetch, 0xaa00000000000000ul | (u64)pages[0], 1);
    try("r", do_load, 0x5500000000000000ul | HIGH, 1);
    print(" %x\n", pages[1][1]);
    stop();
}

static void hierarchy(void) {
    start(12, 0);
    u64 address = 0x200000000ul;
    *entry(address, 3) = (u64)pages[0] | 3 | AF | AP_USER;
    u64* table = entry(address, 1);
    static const u64 bits[] = {0, 1ul << 59, 1ul << 60, 1ul << 61, 1ul << 62};
    u64 was = *table;
    for (int k = 0; k < 5; ++k) {
        *table = was | bits[k];
        flush();
        print("table %x:", bits[k]);
        all(address);
        pages[0][0] = pages[0][1] = pages[0][2] = 0xd65f03c0d65f03c0ul;
    }
    stop();
}

static void pan(void) {
    start(12, 0);
    u64 address = 0x200000000ul;
    *entry(address, 3) = (u64)pages[1] | 3 | AF | AP_USER;
    flush();
    // Exceptions keep PAN here (SPAN); attempt() sets PSTATE anew, so that it is tried in place.
    asm volatile(".arch_extension pan\n msr pan, #1");
    u64 far = 0;
    asm volatile("at s1e1r, %1\n isb\n mrs %0, par_el1" : "=r"(far) : "r"(address));
    u64 with = AT(s1e1rp, address);
    asm volatile("msr pan, #0");
    print("pan: %d %x", far & 1, with & 0xfff);
    print(" off %d\n", AT(s1e1rp, address) & 1);
    stop();
}

static void flags(void) {
    start(12, 1ul << 39 | 1ul << 40); // HA, HD
    u64 address = 0x200000000ul;
    u64* e = entry(address, 3);
    *e = (u64)pages[1] | 3 | AP_USER | AP_RO | DBM;
    flush();
    print("flags:");
    try("r", do_load, address, 1);
    print(" %x", *e & ~(u64)pages[1]);
    try("w", do_store, address, 0);
    print(" %x", *e & ~(u64)pages[1]);
    *e = (u64)pages[1] | 3 | AP_USER | AP_RO;
    flush();
    try("w", do_store, address, 1);
    try("s", do_swap, address, 1);
    print(" %x\n", *e & ~(u64)pages[1]);
    print("exclusive:"); // what was read may not be written: faults of a write
    *e = (u64)pages[1] | 3 | AF | AP_RO;
    flush();
    try("e", do_exclusive, address, 1);
    try("p", do_exclusive_pair, address, 1);
    try("s", do_swap, address, 1);
    *e |= AP_USER;
    flush();
    try("e", do_exclusive, address, 0);
    print("\n");
    stop();
}

static void identifiers(void) {
    start(12, 0);
    u64 address = 0x200000000ul;
    u64* e = entry(address, 3);
    volatile u64* p = (volatile u64*)address;
    pages[1][0] = 111, pages[2][0] = 222, pages[3][0] = 333;
    *e = (u64)pages[1] | 3 | AF | NG;
    flush();
    print("asid: %d", *p);
    *e = (u64)pages[2] | 3 | AF | NG;
    asm volatile("dsb ish");
    write_sysreg(ttbr0_el1, (u64)tables[0] | 2ul << 48);
    print(" other %d", *p);
    asm volatile("tlbi aside1, %0\n dsb nsh\n isb" : : "r"(1ul << 48) : "memory");
    write_sysreg(ttbr0_el1, (u64)tables[0] | 1ul << 48);
    print(" flushed %d", *p);
    *e = (u64)pages[3] | 3 | AF | NG;
    asm volatile("dsb ishst\n tlbi vae1is, %0\n dsb ish\n isb" : : "r"(1ul << 48 | address >> 12) : "memory");
    print(" address %d", *p);
    *e = (u64)pages[1] | 3 | AF;
    asm volatile("dsb ishst\n tlbi vaale1, %0\n dsb nsh\n isb" : : "r"(address >> 12) : "memory");
    print(" global %d", *p);
    write_sysreg(ttbr0_el1, (u64)tables[0] | 2ul << 48);
    *e = (u64)pages[2] | 3 | AF;
    asm volatile("dsb ishst\n tlbi vae1, %0\n dsb nsh\n isb" : : "r"(2ul << 48 | address >> 12) : "memory");
    write_sysreg(ttbr0_el1, (u64)tables[0] | 1ul << 48);
    print(" by another %d\n", *p);
    stop();
}

static void at(void) {
    start(12, 0);
    u64 address = 0x200000000ul;
    *entry(address, 3) = (u64)pages[1] | 3 | AF | AP_RO | 3 << 8;
    flush();
    u64 base = (u64)pages[1];
    print("at: %x", AT(s1e1r, address + 8) - base);
    print(" %x", AT(s1e1w, address));
    print(" %x", AT(s1e0r, address));
    print(" %x", AT(s1e1r, address + 4096));
    print(" %x", (AT(s1e1r, 0x09000000) - 0x09000000) & ~0x180ul);
    print(" %x\n", AT(s1e1r, 1ul << 41));
    // Pages side by side, and memory of devices.
    *entry(address + 4096, 3) = (u64)pages[2] | 3 | AF;
    flush();
    print("cross:");
    try("r", do_cross, address + 4096, 1);
    *entry(address, 3) = 0;
    flush();
    try("r", do_cross, address + 4096, 1);
    print("\n");
    stop();
}

int main(void) {
    static const u64 granules[] = {12, 14, 16};
    for (int k = 0; k < 3; ++k) rights(granules[k]);
    tags();
    hierarchy();
    pan();
    flags();
    identifiers();
    at();
    return 0;
}
