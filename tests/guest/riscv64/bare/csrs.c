// Every register of machine and supervisor mode: what it holds at the start, after zeros, ones and random bits.
#include "bare.h"

static u64 seed = 88172645463325252ul;
static u64 random_bits(void) {
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}
static u64 skip(struct frame* f) { return f ? trap_pc + 4 : 0; }
static char frame_space[16384] __attribute__((aligned(16)));

#define SHOW(name)                                                                                                     \
    do {                                                                                                               \
        trap_cause = 99;                                                                                               \
        u64 first = csr_read(name), r = random_bits();                                                                 \
        if (trap_cause != 99) {                                                                                        \
            print("%s: cause %d\n", #name, trap_cause);                                                                \
            break;                                                                                                     \
        }                                                                                                              \
        print("%s: %x", #name, first);                                                                                 \
        csr_write(name, 0);                                                                                            \
        print(" %x", csr_read(name));                                                                                  \
        csr_write(name, -1ul);                                                                                         \
        print(" %x", csr_read(name));                                                                                  \
        csr_write(name, r);                                                                                            \
        print(" %x", csr_read(name));                                                                                  \
        csr_write(name, 0);                                                                                            \
        csr_set(name, r >> 3);                                                                                         \
        print(" %x", csr_read(name));                                                                                  \
        csr_clear(name, r >> 5);                                                                                       \
        print(" %x\n", csr_read(name));                                                                                \
        csr_write(name, first);                                                                                        \
    } while (0)

int main(void) {
    csr_write(mscratch, frame_space + sizeof frame_space);
    on_trap = skip;
    SHOW(mvendorid);
    SHOW(mhartid);
    SHOW(mconfigptr);
    SHOW(medeleg);
    SHOW(mideleg);
    SHOW(mie);
    SHOW(mip);
    SHOW(sie);
    SHOW(sip);
    csr_write(mideleg, 0x222);
    SHOW(sie);
    SHOW(sip);
    csr_write(mideleg, 0);
    SHOW(mcounteren);
    SHOW(scounteren);
    SHOW(stvec);
    SHOW(sscratch);
    SHOW(sepc);
    SHOW(scause);
    SHOW(stval);
    SHOW(mepc);
    SHOW(mtval);
    SHOW(tselect);
    SHOW(senvcfg);
    SHOW(stimecmp);
    for (u64 n = 0; n < 16; ++n) {
        u64 v = random_bits() & ~(3ul << 60);
        v = (v & ~(15ul << 60)) | n << 60;
        csr_write(satp, 0);
        csr_write(satp, v);
        print("satp mode %d: %x\n", n, csr_read(satp));
    }
    csr_write(satp, 0);
    SHOW(pmpaddr0);
    SHOW(pmpaddr15);
    csr_write(pmpcfg0, 0);
    for (u64 n = 0; n < 8; ++n) {
        csr_write(pmpcfg0, (n & 7) | 0x18);
        print("pmpcfg0 %x: %x\n", (n & 7) | 0x18, csr_read(pmpcfg0));
    }
    csr_write(pmpcfg0, 0x6f);
    print("pmpcfg0: %x\n", csr_read(pmpcfg0));
    // mstatus by what a program may rely on
    csr_write(mstatus, 0);
    print("mstatus: %x\n", csr_read(mstatus));
    csr_write(mstatus, 0x1888);
    print("mstatus: %x\n", csr_read(mstatus));
    csr_write(mstatus, 0x7e79aa);
    print("mstatus: %x sstatus: %x\n", csr_read(mstatus), csr_read(sstatus));
    csr_write(sstatus, 0);
    print("mstatus: %x sstatus: %x\n", csr_read(mstatus), csr_read(sstatus));
    csr_write(sstatus, -1ul & ~(3ul << 13));
    print("mstatus: %x sstatus: %x\n", csr_read(mstatus) & ~0x600ul, csr_read(sstatus) & ~0x600ul);
    return 0;
}
