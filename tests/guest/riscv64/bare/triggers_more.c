// Triggers, what the reference (7.2) lacks: kinds of matches, sizes, chains, misaligned accesses and those over two pages, counted
// instructions, interrupts and exceptions, contexts; what values the registers take; who may take breakpoints, and when.
#include "triggers.h"

#define ICOUNT(n) (TYPE(3) | (u64)(n) << 10)
#define ITRIGGER TYPE(4)
#define ETRIGGER TYPE(5)
// Privileges of these three.
#define IN_U (1ul << 6)
#define IN_S (1ul << 7)
#define IN_M (1ul << 9)
#define HIT_2 (1ul << 20)
#define HIT_6 (1ul << 22)

#define tcontrol "0x7a5"
#define mcontext "0x7a8"
#define scontext "0x5a8"
#define csr_put(number, v) ({ asm volatile("csrw " number ", %0" : : "r"((u64)(v)) : "memory"); })
#define csr_get(number)                                                                                                \
    ({                                                                                                                 \
        u64 v_;                                                                                                        \
        asm volatile("csrr %0, " number : "=r"(v_) : : "memory");                                                      \
        v_;                                                                                                            \
    })

// The code is tried with mte set, which mret makes of mpte; behind it the program's own instructions are met by none.
static u64 try_code(u64 (*code)(u64), u64 a, u64 privilege) {
    csr_put(tcontrol, 1 << 7);
    u64 outcome = attempt(code, a, privilege);
    csr_put(tcontrol, 0);
    return outcome;
}
#define attempt try_code

CODE(steps,
     "c.nop\n.option norvc\naddi a0, a0, 1\n.option rvc\nc.addi a0, 2\n.option norvc\naddi a0, a0, 4\n.option rvc");
CODE(load_8, "ld a0, 0(a0)\nli a0, 1");
CODE(load_4, "lw a0, 0(a0)\nli a0, 1");
CODE(load_2, "lhu a0, 0(a0)\nli a0, 1");
CODE(load_1, "lbu a0, 0(a0)\nli a0, 1");
CODE(store_8, "sd zero, 0(a0)\nli a0, 2");
CODE(store_4, "sw zero, 0(a0)\nli a0, 2");
CODE(amo_8, "amoadd.d a0, a0, (a0)\nli a0, 3");
CODE(other_load_8, "nop\nld a0, 0(a0)\nli a0, 4");
CODE(read_fp, "fld fa0, 0(a0)\nfadd.d fa0, fa0, fa0\nli a0, 5");
CODE(call, "li a0, 0\nli a1, 1\necall\nli a1, 2\nli a1, 3");
CODE(fault, "li a0, 0\nld a0, 0(zero)\nli a1, 2");
CODE(hot, "li a1, 0\n1: add a1, a1, a0\naddi a0, a0, -1\nbnez a0, 1b\nmv a0, a1");
CODE(walk, "addi a1, a0, 1024\n1: ld a2, 0(a0)\naddi a0, a0, 8\nbltu a0, a1, 1b\nli a0, 10");
CODE(enable, "csrsi sstatus, 2\nnop\nnop\ncsrci sstatus, 2\nli a0, 6");
CODE(wait, "li a1, 1\nnop\nnop\nli a0, 7");

// The handler of supervisor mode: it tells cause, address of the breakpoint and value.
static volatile u64 s_cause, s_pc, s_value;
asm(".text\n.balign 4\nsupervisor_trap:\n"
    "csrr a0, scause\nla a1, s_cause\nsd a0, 0(a1)\n"
    "csrr a0, sepc\nla a1, s_pc\nsd a0, 0(a1)\n"
    "csrr a0, stval\nla a1, s_value\nsd a0, 0(a1)\n"
    "li a0, 99\nla a1, attempt_over\njr a1\n");
// Another, which goes on behind the instruction.
asm(".text\n.balign 4\nskip_call: csrr a3, sepc\naddi a3, a3, 4\ncsrw sepc, a3\nsret\n");
extern char supervisor_trap[], skip_call[];

static void clear_triggers(void) {
    for (u64 n = 0; n < 4; ++n) set_trigger(n, 0, 0);
}
static void show_trigger(const char* what) { print("%s: %x\n", what, csr_read(tdata1)); }

static void registers(void) {
    print("-- registers\n");
    for (u64 n = 0; n < 6; ++n) {
        csr_write(tselect, n);
        print("tselect %d: %d, tdata1 %x tdata2 %x tdata3 %x tinfo %x\n", n, csr_read(tselect), csr_read(tdata1),
              csr_read(tdata2), csr_read(tdata3), csr_read(tinfo));
    }
    csr_write(tselect, -1ul);
    print("tselect -1: %d\n", csr_read(tselect));
    csr_write(tselect, 0);
    for (u64 type = 0; type < 16; ++type) {
        csr_write(tdata1, type << 60);
        print("type %d: %x", type, csr_read(tdata1));
        csr_write(tdata1, type << 60 | (-1ul >> 4));
        print(" %x", csr_read(tdata1));
        csr_write(tselect, 3);
        csr_write(tdata1, type << 60 | (-1ul >> 4)); // the last one chains to none
        print(" last %x\n", csr_read(tdata1));
        csr_write(tdata1, 0);
        csr_write(tselect, 0);
    }
    for (u64 n = 0; n < 16; ++n) {
        csr_write(tdata1, TYPE(6) | MATCH(n));
        print("match %d: %x", n, csr_read(tdata1) >> 7 & 15);
        csr_write(tdata1, TYPE(2) | SIZE_OF(2, n));
        print(", size of mcontrol %d: %x", n, csr_read(tdata1) & 0x630000);
        csr_write(tdata1, TYPE(6) | SIZE_OF(6, n & 7));
        print(", of mcontrol6 %d: %x\n", n & 7, csr_read(tdata1) >> 16 & 7);
    }
    csr_write(tdata2, 0x123456789abcdef0);
    csr_write(tdata3, -1ul);
    print("tdata2 %x tdata3 %x", csr_read(tdata2), csr_read(tdata3));
    csr_write(tdata3, 0x0004000000000002);
    print(" %x\n", csr_read(tdata3));
    csr_write(tselect, 1);
    print("of another: tdata2 %x tdata3 %x\n", csr_read(tdata2), csr_read(tdata3));
    csr_write(tselect, 0);
    csr_write(tdata3, 0);
    csr_write(tinfo, 0);
    print("tinfo %x\n", csr_read(tinfo));
    csr_put(tcontrol, -1ul), print("tcontrol %x\n", csr_get(tcontrol)), csr_put(tcontrol, 1 << 7);
    csr_put(mcontext, -1ul), print("mcontext %x\n", csr_get(mcontext)), csr_put(mcontext, 0);
    csr_put(scontext, -1ul), print("scontext %x\n", csr_get(scontext)), csr_put(scontext, 0);
    clear_triggers();
}

static void matches(u64 type) {
    u64 at = (u64)memory, load = TYPE(type) | OF_U | LOAD;
    print("-- matches, type %d\n", type);
    for (u64 n = 0; n < 3; ++n) {

        set_trigger(0, load, at + 64 + n);
        TRY("8 bytes below", load_8, at + 56, user_level);
        TRY("8 bytes", load_8, at + 64, user_level);
        TRY("byte", load_1, at + 64 + n, user_level);
        TRY("byte above", load_1, at + 65 + n, user_level);
        TRY("misaligned", load_8, at + 61, user_level);
        TRY("misaligned, below", load_4, at + 60 + n, user_level);
    }
    show_trigger("hit");
    set_trigger(0, load, at + 4096);
    TRY("two pages", load_8, at + 4089, user_level);
    TRY("two pages", load_8, at + 4095, user_level);
    TRY("one page", load_8, at + 4088, user_level);
    TRY("other page", load_8, at + 4097, user_level);
    set_trigger(0, load | STORE, at + 4095);
    TRY("two pages", store_8, at + 4092, user_level);
    TRY("amo", amo_8, at + 4088, user_level);
    // 64 to 95
    set_trigger(0, load | MATCH(1), at + 64 + 15);
    TRY("napot, below", load_8, at + 56, user_level);
    TRY("napot, first", load_8, at + 64, user_level);
    TRY("napot, last", load_1, at + 95, user_level);
    TRY("napot, above", load_1, at + 96, user_level);
    TRY("napot, walk", walk, at, user_level);
    set_trigger(0, load | MATCH(9), at + 64 + 15);
    TRY("not napot, first", load_8, at + 64, user_level);
    TRY("not napot, above", load_1, at + 96, user_level);
    set_trigger(0, load | MATCH(1), -1ul);
    TRY("napot, all", load_1, at, user_level);
    set_trigger(0, load | MATCH(2), at + 504);
    TRY(">=, walk", walk, at, user_level);
    TRY(">=, byte", load_1, at + 504, user_level);
    TRY(">=, below", load_8, at + 496, user_level);
    TRY(">=, partly", load_8, at + 497, user_level);
    set_trigger(0, load | MATCH(3), at + 8);
    TRY("<, at", load_8, at + 8, user_level);
    TRY("<, below", load_1, at + 7, user_level);
    set_trigger(0, load | MATCH(3), 0);
    TRY("<, none", load_1, at, user_level);
    set_trigger(0, load | MATCH(4), 0x00000ff8ul << 32 | ((at + 808) & 0xff8));
    TRY("low half, walk", walk, at, user_level);
    TRY("low half, other", load_8, at + 800, user_level);
    set_trigger(0, load | MATCH(12), 0x00000ff8ul << 32 | ((at + 808) & 0xff8));
    TRY("not low half", load_8, at + 808, user_level);
    TRY("not low half, other", load_8, at + 800, user_level);
    set_trigger(0, load | MATCH(5), 0xfffffffful << 32 | at >> 32);
    TRY("high half", load_8, at, user_level);
    set_trigger(0, load | MATCH(13), 0xfffffffful << 32 | at >> 32);
    TRY("not high half", load_8, at, user_level);
    set_trigger(0, load | MATCH(8), at + 16);
    TRY("not equal", load_8, at + 16, user_level);
    TRY("not equal, other", load_8, at + 24, user_level);

    static const u64 sizes[] = {0, 1, 2, 3, 5};
    for (u64 n = 0; n < 5; ++n) {
        set_trigger(0, load | SIZE_OF(type, sizes[n]), at + 32);
        print("size %d\n", sizes[n]);
        TRY("ld", load_8, at + 32, user_level);
        TRY("lw", load_4, at + 32, user_level);
        TRY("lhu", load_2, at + 32, user_level);
        TRY("lbu", load_1, at + 32, user_level);
    }
    // Fetches.
    u64 fetch = TYPE(type) | OF_U | EXECUTE, code = (u64)code_steps;
    set_trigger(0, fetch | SIZE_OF(type, 2), code + 2);
    TRY("fetch of 2 bytes", steps, 0, user_level);
    set_trigger(0, fetch | SIZE_OF(type, 3), code + 2);
    TRY("fetch of 4 bytes", steps, 0, user_level);
    set_trigger(0, fetch, code + 4);
    TRY("inside", steps, 0, user_level);
    set_trigger(0, fetch | MATCH(1), code + 4 + 1);
    TRY("fetch, napot", steps, 0, user_level);
    set_trigger(0, fetch | MATCH(2) | CHAIN, code + 5);
    set_trigger(1, fetch | MATCH(3), code + 8);
    TRY("fetch, range", steps, 0, user_level);
    set_trigger(1, fetch | MATCH(3), code + 6);
    TRY("fetch, empty range", steps, 0, user_level);
    clear_triggers();
}

static void chains(u64 type) {
    u64 at = (u64)memory, load = TYPE(type) | OF_U | LOAD, fetch = TYPE(type) | OF_U | EXECUTE;
    u64 hit = type == 6 ? HIT_6 : HIT_2;
    print("-- chains, type %d\n", type);
    set_trigger(0, load | MATCH(2) | CHAIN, at + 200);
    set_trigger(1, load | MATCH(3), at + 208);
    TRY("range, walk", walk, at, user_level);
    TRY("range, first", load_1, at + 200, user_level);
    TRY("range, last", load_1, at + 207, user_level);
    TRY("range, above", load_1, at + 208, user_level);
    TRY("range, below", load_1, at + 199, user_level);
    TRY("range, around", load_8, at + 196, user_level);
    csr_write(tselect, 0), print("hits: %d", (csr_read(tdata1) & hit) != 0);
    csr_write(tselect, 1), print(" %d\n", (csr_read(tdata1) & hit) != 0);
    // A load by one instruction only.
    set_trigger(0, fetch | CHAIN, (u64)code_other_load_8 + 2);
    set_trigger(1, load, at + 8);
    TRY("by this", other_load_8, at + 8, user_level);
    TRY("by another", load_8, at + 8, user_level);
    TRY("of another", other_load_8, at + 16, user_level);
    // In the other order, three, the middle one for another privilege.
    set_trigger(0, load | CHAIN, at + 8);
    set_trigger(1, fetch | CHAIN, (u64)code_other_load_8 + 2);
    set_trigger(2, load | MATCH(2), at);
    TRY("three", other_load_8, at + 8, user_level);
    TRY("three, by another", load_8, at + 8, user_level);
    set_trigger(1, (fetch & ~OF_U) | OF_M | CHAIN, (u64)code_other_load_8 + 2);
    TRY("three, one is not for this privilege", other_load_8, at + 8, user_level);
    set_trigger(1, 0, 0);
    TRY("three, one is off", other_load_8, at + 8, user_level);
    // Chained to one of another kind: never.
    set_trigger(0, load | CHAIN, at + 8);
    set_trigger(1, ICOUNT(1) | IN_S, 0);
    set_trigger(2, 0, 0);
    TRY("to another kind", other_load_8, at + 8, user_level);
    clear_triggers();
}

static void counts(void) {
    u64 at = (u64)memory;
    for (u64 p = 0; p < 4; ++p) {
        u64 in = p == 0 ? IN_U : p == 1 ? IN_S : IN_M;
        if (p == 2) continue;
        print("-- icount, %s\n", level_names[p]);
        for (u64 n = 1; n <= 4; ++n) {
            set_trigger(0, ICOUNT(n) | in, 0);
            TRY("steps", steps, 16, p);
            show_trigger("tdata1");
        }
        set_trigger(0, ICOUNT(0) | in, 0);
        TRY("no count", steps, 16, p);
        set_trigger(0, ICOUNT(0) | in | 1 << 8, 0); // pending
        TRY("pending", steps, 16, p);
        set_trigger(0, ICOUNT(302) | in, 0);
        TRY("hot", hot, 400, p);
        set_trigger(0, ICOUNT(1500) | in, 0);
        TRY("hot", hot, 400, p);
        set_trigger(0, ICOUNT(2) | ((IN_U | IN_S) & ~in), 0);
        TRY("not of this privilege", steps, 16, p);
        clear_triggers();
        // Floating point while its registers are clean: noted as dirty first, counted once.
        csr_clear(mstatus, 3 << 13), csr_set(mstatus, 2 << 13);
        set_trigger(0, ICOUNT(2) | in, 0);
        TRY("fp", read_fp, at, p);
        // Instructions that trap are counted with their trap. (In machine mode it would fire behind the handler.)
        set_trigger(0, ICOUNT(2) | (in & ~IN_M), 0);
        TRY("fault", fault, 0, p);
        show_trigger("tdata1");
        clear_triggers();
    }
    // To supervisor mode and back: the handler is not counted.
    print("-- icount, over a handler\n");
    csr_write(stvec, skip_call);
    csr_write(medeleg, 1 << 8);
    set_trigger(0, ICOUNT(4) | IN_U, 0);
    TRY("ecall", call, 0, user_level);
    csr_write(medeleg, 0);
    clear_triggers();
}

static void traps(void) {
    print("-- etrigger, itrigger\n");
    csr_write(stvec, supervisor_trap);
    // Exceptions that supervisor mode handles, breakpoints that machine mode does.
    csr_write(medeleg, 1 << 5 | 1 << 8);
    set_trigger(0, ETRIGGER | IN_U, 1 << 5);
    u64 out = attempt((u64(*)(u64))code_fault, 0, user_level);
    print("load fault: %x pc %d value %x, scause %d\n", out, trap_pc == (u64)supervisor_trap, trap_value,
          csr_read(scause));
    show_trigger("tdata1");
    set_trigger(0, ETRIGGER | IN_S, 1 << 5);
    print("load fault, not from there: %x\n", attempt((u64(*)(u64))code_fault, 0, user_level));
    set_trigger(0, ETRIGGER | IN_U, 1 << 7);
    print("load fault, not this one: %x\n", attempt((u64(*)(u64))code_fault, 0, user_level));
    // Machine mode's are met by none (5.4).
    set_trigger(0, ETRIGGER | IN_U | IN_S | IN_M, -1ul);
    csr_write(medeleg, 0);
    print("load fault to M: %x\n", attempt((u64(*)(u64))code_fault, 0, user_level));
    // Nor those that end where breakpoints are handled.
    csr_write(medeleg, 1 << 5 | 1 << 3);
    print("load fault, both to S: %x\n", attempt((u64(*)(u64))code_fault, 0, user_level));
    csr_write(medeleg, 0);
    // An interrupt.
    csr_write(mideleg, 2), csr_write(mie, 2), csr_write(mip, 2);
    set_trigger(0, ITRIGGER | IN_U, 2);
    out = attempt((u64(*)(u64))code_wait, 0, user_level);
    print("interrupt: %x pc %d, scause %x\n", out, trap_pc == (u64)supervisor_trap, csr_read(scause));
    show_trigger("tdata1");
    set_trigger(0, ITRIGGER | IN_U, 0x20);
    print("interrupt, not this one: %x\n", attempt((u64(*)(u64))code_wait, 0, user_level));
    csr_write(mip, 0), csr_write(mie, 0), csr_write(mideleg, 0);
    clear_triggers();
}

static void who_handles(void) {
    u64 code = (u64)code_enable;
    print("-- breakpoints to supervisor mode\n");
    csr_write(stvec, supervisor_trap);
    csr_write(medeleg, 1 << 3);
    csr_clear(mstatus, 2); // SIE
    set_trigger(0, TYPE(6) | OF_S | EXECUTE, code + 4);
    set_trigger(1, TYPE(6) | OF_S | EXECUTE, code);
    u64 out = attempt((u64(*)(u64))code_enable, 0, supervisor_level);
    print("with SIE: %x cause %d pc +%d value +%d\n", out, s_cause, s_pc - code, s_value - code);
    csr_write(tselect, 1), show_trigger("before SIE");
    s_cause = 0;
    set_trigger(0, TYPE(6) | OF_S | EXECUTE, code + 12);
    csr_clear(mstatus, 2);
    print("behind it: %x cause %d\n", attempt((u64(*)(u64))code_enable, 0, supervisor_level), s_cause);
    set_trigger(0, TYPE(6) | OF_U | EXECUTE, (u64)code_steps + 6);
    out = attempt((u64(*)(u64))code_steps, 0, user_level);
    print("of U: %x cause %d pc +%d\n", out, s_cause, s_pc - (u64)code_steps);
    csr_write(medeleg, 0);
    clear_triggers();

    print("-- machine mode\n");
    set_trigger(0, TYPE(6) | OF_M | EXECUTE, (u64)code_steps);
    TRY("mpte set", steps, 16, machine_level);
#undef attempt
    csr_put(tcontrol, 0);
    TRY("mpte clear", steps, 16, machine_level);
    print("tcontrol %x\n", csr_get(tcontrol));
    csr_put(tcontrol, 1 << 7);
    TRY("mpte set", steps, 16, machine_level);
    print("tcontrol, by two returns: %x\n", csr_get(tcontrol));
    csr_put(tcontrol, 0);
#define attempt try_code
    clear_triggers();
}

static void contexts(void) {
    print("-- contexts\n");
    u64 at = (u64)memory;
    set_trigger(0, TYPE(6) | OF_S | LOAD, at);
    csr_write(tdata3, 5ul << 51 | 4ul << 48 | 0x1234ul << 2 | 1);
    csr_put(mcontext, 5), csr_put(scontext, 0x1234);
    TRY("both", load_8, at, supervisor_level);
    csr_put(mcontext, 4);
    TRY("another mcontext", load_8, at, supervisor_level);
    csr_put(mcontext, 5), csr_put(scontext, 0x1235);
    TRY("another scontext", load_8, at, supervisor_level);
    csr_write(tdata3, 5ul << 51 | 4ul << 48 | 1ul << 36 | 0x1234ul << 2 | 1);
    TRY("the last byte masked", load_8, at, supervisor_level);
    csr_put(mcontext, 0), csr_put(scontext, 0);
    csr_write(tdata3, 0x77ul << 2 | 2);
    TRY("another ASID", load_8, at, supervisor_level);
    csr_write(tdata3, 0);
    clear_triggers();
}

// Virtual addresses; before page faults.
static u64 root[512] __attribute__((aligned(4096)));
static void paging(void) {
    u64 at = (u64)memory, apart = at + (1ul << 32);
    print("-- paging\n");
    for (u64 n = 0; n < 4; ++n) root[n] = n << 28 | 0xcf; // U clear
    for (u64 n = 4; n < 8; ++n) root[n] = (n - 4) << 28 | 0xcf;
    csr_write(satp, 8ul << 60 | 0x77ul << 44 | (u64)root >> 12);
    asm volatile("sfence.vma" : : : "memory");
    set_trigger(0, TYPE(6) | OF_S | LOAD, apart);
    TRY("another address", load_8, at, supervisor_level);
    u64 out = attempt((u64(*)(u64))code_load_8, apart, supervisor_level);
    print("this address: %x value %d\n", out, trap_value == apart);
    csr_write(tdata3, 0x77ul << 2 | 2);
    print("ASID: %x\n", attempt((u64(*)(u64))code_load_8, apart, supervisor_level));
    csr_write(tdata3, 0x76ul << 2 | 2);
    print("another ASID: %x\n", attempt((u64(*)(u64))code_load_8, apart, supervisor_level));
    csr_write(tdata3, 0);
    u64 nowhere = 9ul << 30;
    print("no trigger: %x\n", attempt((u64(*)(u64))code_load_8, nowhere, supervisor_level));
    set_trigger(0, TYPE(6) | OF_S | LOAD, nowhere);
    print("nowhere: %x\n", attempt((u64(*)(u64))code_load_8, nowhere, supervisor_level));
    set_trigger(0, TYPE(6) | OF_S | EXECUTE, nowhere);
    print("fetch from nowhere: %x\n", attempt((u64(*)(u64))nowhere, 0, supervisor_level));
    csr_write(satp, 0);
    asm volatile("sfence.vma" : : : "memory");
    clear_triggers();
}

int main(void) {
    set_up();
    with_values = 1;
    registers();
    matches(2), matches(6);
    chains(2), chains(6);
    counts();
    traps();
    who_handles();
    contexts();
    paging();
    return 0;
}
