// Interrupts that machine level filters for supervisor level, or makes of nothing: mvien and mvip of the Advanced Interrupt
// Architecture 1.0, 5.3. A hart without an IMSIC.
#include "bare.h"

#define SSI 2ul
#define SEI 0x200ul

static u64 skip(struct frame* f) {
    f->reg[10] = trap_cause | TRAPPED;
    return trap_pc + 4;
}
static void show(const char* what) {
    print("%s: mvien %x mvip %x mip %x sip %x sie %x stopi %x mtopi %x\n", what, csr_read(0x308), csr_read(0x309),
          csr_read(mip) & 0x222, csr_read(sip), csr_read(sie), csr_read(0xdb0), csr_read(0xfb0));
}

// Enables interrupts; the handler returns scause.
static u64 wait_in_supervisor(u64 a) {
    u64 cause;
    asm volatile("la t0, 1f\n"
                 "csrw stvec, t0\n"
                 "csrs sstatus, 2\n"
                 "wfi\n"
                 "2: j 2b\n"
                 ".balign 4\n"
                 "1: csrr %0, scause\n"
                 : "=r"(cause)
                 : "r"(a)
                 : "t0", "memory");
    return cause;
}
static u64 file_of_supervisor(u64 a) { return csr_read(0x15c) + a; }
static char frame_space[16384] __attribute__((aligned(16)));

int main(void) {
    csr_write(mscratch, frame_space + sizeof frame_space);
    csr_write(0x3b0, -1ul >> 10);
    csr_write(0x3a0, 0x1f);
    on_trap = skip;
    csr_write(0x308, -1ul);
    print("mvien of ones: %x\n", csr_read(0x308));
    csr_write(0x308, 0);
    csr_write(mideleg, 0);
    csr_write(mie, 0);
    // While nothing is filtered, mvip shows mip.
    csr_write(0x309, -1ul);
    show("mvip of ones");
    csr_write(0x309, 0);
    csr_write(mip, SSI | SEI);
    show("mip");
    csr_write(mip, 0);
    // Filtered: bits of their own.
    csr_write(0x308, SSI | SEI);
    csr_write(mip, SSI | SEI);
    show("filtered, mip written");
    csr_write(mip, 0);
    csr_write(0x309, SSI | SEI);
    show("filtered, mvip written");
    csr_write(sie, -1ul);
    show("enabled");
    csr_write(sip, SEI);
    show("sip written");
    on_trap = 0;
    print("taken: %x\n", attempt(wait_in_supervisor, 0, supervisor_level));
    csr_write(0x309, SSI);
    print("taken: %x\n", attempt(wait_in_supervisor, 0, supervisor_level));
    print("interrupt file: %x\n", attempt(file_of_supervisor, 0, supervisor_level));
    on_trap = skip;
    csr_write(mscratch, frame_space + sizeof frame_space);
    // Machine level takes what it filters.
    csr_clear(mstatus, 8);
    csr_write(0x309, 0);
    csr_write(mie, SSI);
    csr_write(mip, SSI);
    show("for machine level");
    csr_write(mip, 0);
    // Delegated: mvien does not matter.
    csr_write(mideleg, SSI | SEI);
    csr_write(mip, SSI);
    csr_write(sie, SSI);
    show("delegated");
    return 0;
}
