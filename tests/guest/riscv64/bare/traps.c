// Traps as software sees them: cause, value, pc; what privileges and their controls forbid.
#include "bare.h"

static u64 base;
static void show(const char* what, u64 outcome) {
    if (outcome & TRAPPED)
        print("%s: cause %d value %x pc +%d status %x\n", what, trap_cause, trap_value, trap_pc - base,
              csr_read(mstatus) & 0x1aa);
    else
        print("%s: %x\n", what, outcome);
}
#define TRY(name, privilege, ...)                                                                                      \
    do {                                                                                                               \
        extern char code_##name[];                                                                                     \
        base = (u64)code_##name;                                                                                       \
        show(#name, attempt((u64(*)(u64))code_##name, argument, privilege));                                           \
    } while (0)
#define CODE(name, text) asm(".text\n.balign 8\ncode_" #name ":\n" text "\nret\n")

CODE(zero, ".word 0");
CODE(ones, ".word 0xffffffff");
CODE(half, ".half 0x0000");
CODE(reserved, ".word 0x0000306f ^ 0x7000");
CODE(breakpoint, ".option norvc\nebreak\n.option rvc");
CODE(c_breakpoint, "c.ebreak");
CODE(call, "nop\necall");
CODE(load, "ld a0, 0(a0)");
CODE(load_byte, "lbu a0, 1(a0)");
CODE(store, "sd a0, 0(a0)");
CODE(amo_misaligned, "addi a0, a0, 2\namoadd.w a0, a0, (a0)");
CODE(lr_misaligned, "addi a0, a0, 4\nlr.d a0, (a0)");
CODE(sc_misaligned, "addi a0, a0, 4\nsc.d a0, a0, (a0)");
CODE(amo, "amoadd.d a0, a0, (a0)");
CODE(jump, "jr a0");
CODE(read_mstatus, "csrr a0, mstatus");
CODE(read_sstatus, "csrr a0, sstatus");
CODE(write_cycle, "csrw cycle, a0");
CODE(read_unknown, "csrr a0, 0x5c0");
CODE(read_cycle, "csrr a0, cycle\nli a0, 0");
CODE(read_time, "csrr a0, time\nli a0, 0");
CODE(read_satp, "csrr a0, satp");
CODE(set_nothing, "csrrs a0, mhartid, x0");
CODE(set_something, "csrrs a0, mhartid, a0");
CODE(do_mret, "mret");
CODE(do_sret, "sret");
CODE(do_wfi, "wfi\nli a0, 7");
CODE(do_sfence, "sfence.vma\nli a0, 8");
CODE(fp, "fadd.d fa0, fa0, fa0\nli a0, 9");
CODE(fp_load, "fld fa0, 0(a0)\nli a0, 10");
CODE(c_fp_load, "c.fld fa0, 0(a0)\nli a0, 11");
CODE(read_fcsr, "csrr a0, fcsr");
CODE(fence_i, "fence.i\nli a0, 12");

static u64 memory[4];

int main(void) {
    u64 argument = (u64)memory;
    // Lower privileges see all of memory.
    csr_write(pmpaddr0, -1ul >> 10);
    csr_write(pmpcfg0, 0x1f);
    static const char* names[] = {"U", "S", "", "M"};
    for (u64 p = 0; p < 4; ++p) {
        if (p == 2) continue;
        print("-- %s\n", names[p]);
        csr_write(mcounteren, 0), csr_write(scounteren, 0);
        csr_set(mie, 1ul << 1), csr_write(mip, 2), csr_write(mideleg, 2); // so that wfi goes on
        TRY(zero, p);
        TRY(ones, p);
        TRY(half, p);
        TRY(reserved, p);
        TRY(breakpoint, p);
        TRY(c_breakpoint, p);
        TRY(call, p);
        TRY(load, p);
        argument = 0x4000000000;
        TRY(load, p);
        TRY(load_byte, p);
        TRY(store, p);
        TRY(amo, p);
        TRY(jump, p);
        argument = (u64)memory;
        TRY(amo_misaligned, p);
        TRY(lr_misaligned, p);
        TRY(sc_misaligned, p);
        TRY(read_mstatus, p);
        TRY(read_sstatus, p);
        TRY(write_cycle, p);
        TRY(read_unknown, p);
        TRY(read_cycle, p);
        TRY(set_nothing, p);
        TRY(set_something, p);
        csr_write(mcounteren, 1);
        TRY(read_cycle, p);
        TRY(read_time, p);
        csr_write(scounteren, 3), csr_write(mcounteren, 7);
        TRY(read_cycle, p);
        TRY(read_time, p);
        TRY(do_wfi, p);
        TRY(do_sfence, p);
        TRY(read_satp, p);
        csr_set(mstatus, 7 << 20); // TVM, TW, TSR
        TRY(do_sfence, p);
        TRY(read_satp, p);
        if (p != 3) TRY(do_sret, p);
        if (p != 3) TRY(do_mret, p);
        csr_clear(mstatus, 7 << 20);
        TRY(fence_i, p);
        csr_clear(mstatus, 3 << 13); // FS off
        TRY(fp, p);
        TRY(fp_load, p);
        TRY(c_fp_load, p);
        TRY(read_fcsr, p);
        csr_set(mstatus, 1 << 13); // initial
        TRY(fp_load, p);
        print("mstatus after a load: %x\n", csr_read(mstatus) & ((3 << 13) | (1ul << 63)));
        csr_clear(mstatus, 3 << 13), csr_set(mstatus, 2 << 13);
        TRY(read_fcsr, p);
        TRY(fp, p);
        print("mstatus after an addition: %x\n", csr_read(mstatus) & ((3 << 13) | (1ul << 63)));
    }
    return 0;
}
