// What the programs about debug triggers share: RISC-V Debug Specification 1.0, chapter 5.
#pragma once
#include "bare.h"

// Bits of mcontrol and mcontrol6 (5.7.11, 5.7.12).
#define LOAD 1ul
#define STORE 2ul
#define EXECUTE 4ul
#define OF_U (1ul << 3)
#define OF_S (1ul << 4)
#define OF_M (1ul << 6)
#define OF_ALL (OF_U | OF_S | OF_M)
#define MATCH(n) ((u64)(n) << 7)
#define CHAIN (1ul << 11)
#define TYPE(n) ((u64)(n) << 60)
#define SIZE_OF(type, n) ((type) == 6 ? (u64)(n) << 16 : ((u64)(n)&3) << 16 | ((u64)(n) >> 2) << 21)

static const char* const level_names[] = {"U", "S", "", "M"};
static const u64 level_bits[] = {OF_U, OF_S, 0, OF_M};

static void set_trigger(u64 n, u64 tdata1, u64 tdata2) {
    csr_write(tselect, n);
    csr_write(tdata1, 0);
    csr_write(tdata2, tdata2);
    csr_write(tdata1, tdata1);
}

#define CODE(name, text)                                                                                               \
    asm(".text\n.balign 8\ncode_" #name ":\n" text "\nret\n");                                                         \
    extern char code_##name[]

static u64 memory[1024] __attribute__((aligned(4096))); // two pages

// What became of code(argument): where a trap was, as an offset, and what it tells as its address; the reference (7.2) tells none.
static int with_values;
static void tell(const char* what, u64 outcome, char* code) {
    u64 value = trap_value - (u64)memory < sizeof memory ? trap_value - (u64)memory : trap_value - (u64)code;
    if (!(outcome & TRAPPED))
        print("%s: %x\n", what, outcome);
    else if (!with_values)
        print("%s: cause %d pc +%d\n", what, trap_cause, trap_pc - (u64)code);
    else if (trap_value == 0)
        print("%s: cause %d pc +%d value 0\n", what, trap_cause, trap_pc - (u64)code);
    else
        print("%s: cause %d pc +%d %s +%d\n", what, trap_cause, trap_pc - (u64)code,
              value == trap_value - (u64)code ? "code" : "memory", value);
}
#define TRY(what, name, argument, privilege)                                                                           \
    tell(what, attempt((u64(*)(u64))code_##name, argument, privilege), code_##name)

// An instruction that the processor does not have is passed over.
static u64 pass_over(struct frame* f) { return f && trap_cause == 2 ? trap_pc + 4 : 0; }
static char passing_frame[8192] __attribute__((aligned(16)));

// Lower privileges see all of memory. Triggers work in machine mode, where attempt() goes by mret (5.7.6: mpte), and in its
// handler they do not.
static void set_up(void) {
    csr_write(pmpaddr0, -1ul >> 10);
    csr_write(pmpcfg0, 0x1f);
    csr_write(mscratch, passing_frame + sizeof passing_frame);
    on_trap = pass_over;
    asm volatile("csrw 0x7a5, %0" : : "r"(1 << 7)); // tcontrol
    on_trap = 0;
}
