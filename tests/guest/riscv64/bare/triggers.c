// Address triggers of both types, with equal addresses: fetches, loads, stores, atomic and compressed instructions, each privilege;
// code that ran before its trigger was set.
#include "triggers.h"

// +0, +2, +6, +8
CODE(steps,
     "c.nop\n.option norvc\naddi a0, a0, 1\n.option rvc\nc.addi a0, 2\n.option norvc\naddi a0, a0, 4\n.option rvc");
CODE(load_8, "ld a0, 0(a0)");
CODE(load_4, "lw a0, 0(a0)");
CODE(load_2, "lhu a0, 0(a0)");
CODE(load_1, "lbu a0, 0(a0)");
CODE(load_fp, "fld fa0, 0(a0)\nli a0, 5");
CODE(c_load_8, "mv a5, a0\nc.ld a0, 0(a5)");
CODE(c_load_4, "mv a5, a0\nc.lw a0, 0(a5)");
CODE(store_8, "sd zero, 0(a0)\nli a0, 1");
CODE(store_4, "sw zero, 0(a0)\nli a0, 2");
CODE(store_1, "sb zero, 0(a0)\nli a0, 3");
CODE(c_store_4, "mv a5, a0\nc.li a0, 4\nc.sw a0, 0(a5)");
CODE(amo_8, "amoadd.d a0, a0, (a0)\nli a0, 6");
CODE(amo_4, "amoswap.w a0, a0, (a0)\nli a0, 7");
CODE(lr, "lr.d a0, (a0)\nli a0, 8");
CODE(sc, "lr.d a1, (a0)\nsc.d a0, a1, (a0)");
CODE(two, "ld a1, 8(a0)\nsd a1, 16(a0)\nld a0, 0(a0)\nli a0, 9");
// Sum of a0 turns, so that it is hot.
CODE(hot, "li a1, 0\n1: add a1, a1, a0\naddi a0, a0, -1\nbnez a0, 1b\nmv a0, a1");
// Stores zeros over 256 words.
CODE(fill, "addi a1, a0, 2047\naddi a1, a1, 1\n1: sd zero, 0(a0)\naddi a0, a0, 8\nbltu a0, a1, 1b\nli a0, 10");

static void of_privilege(u64 type, u64 p) {
    u64 at = (u64)memory, here = TYPE(type) | level_bits[p], elsewhere = TYPE(type) | (OF_ALL & ~level_bits[p]);
    print("-- type %d, %s\n", type, level_names[p]);
    for (u64 offset = 0; offset <= 8; offset += 2) {
        if (offset == 4) continue;
        set_trigger(0, here | EXECUTE, (u64)code_steps + offset);
        TRY("step", steps, 16, p);
    }
    set_trigger(0, elsewhere | EXECUTE, (u64)code_steps + 2);
    TRY("step, not of this privilege", steps, 16, p);
    set_trigger(0, here | LOAD | STORE, (u64)code_steps + 2);
    TRY("step, no fetch", steps, 16, p);

    set_trigger(0, here | LOAD, at);
    TRY("ld", load_8, at, p);
    TRY("lw", load_4, at, p);
    TRY("lhu", load_2, at, p);
    TRY("lbu", load_1, at, p);
    TRY("fld", load_fp, at, p);
    TRY("c.ld", c_load_8, at, p);
    TRY("c.lw", c_load_4, at, p);
    TRY("sd", store_8, at, p);
    TRY("amoadd.d", amo_8, at, p);
    TRY("lr.d", lr, at, p);
    TRY("ld, next", load_8, at + 8, p);
    TRY("two", two, at, p);
    TRY("two, before", two, at - 8, p);
    set_trigger(0, elsewhere | LOAD, at);
    TRY("ld, not of this privilege", load_8, at, p);

    set_trigger(0, here | STORE, at + 64);
    TRY("sd", store_8, at + 64, p);
    TRY("sw", store_4, at + 64, p);
    TRY("sb", store_1, at + 64, p);
    TRY("c.sw", c_store_4, at + 64, p);
    TRY("amoadd.d", amo_8, at + 64, p);
    TRY("amoswap.w", amo_4, at + 64, p);
    TRY("sc.d", sc, at + 64, p);
    TRY("ld", load_8, at + 64, p);
    TRY("sd, before", store_8, at + 56, p);
    TRY("fill", fill, at, p);

    set_trigger(0, here | LOAD | STORE, at + 128);
    TRY("ld", load_8, at + 128, p);
    TRY("sd", store_8, at + 128, p);

    // Two triggers.
    set_trigger(0, here | STORE, at + 8);
    set_trigger(1, here | EXECUTE, (u64)code_store_8 + 4);
    TRY("first", store_8, at + 8, p);
    TRY("second", store_8, at + 16, p);
    set_trigger(0, 0, 0);
    set_trigger(1, 0, 0);
    TRY("none", store_8, at + 8, p);
    TRY("none", steps, 16, p);
}

// Code that is hot already.
static void of_hot_code(u64 p) {
    u64 at = (u64)memory;
    TRY("hot", hot, 5000, p);
    set_trigger(1, TYPE(2) | level_bits[p] | EXECUTE, (u64)code_hot + 4);
    TRY("hot", hot, 5000, p);
    set_trigger(1, 0, 0);
    TRY("hot", hot, 5000, p);
    for (u64 n = 0; n < 50; ++n) attempt((u64(*)(u64))code_fill, at, p);
    set_trigger(1, TYPE(2) | level_bits[p] | STORE, at + 1024);
    TRY("fill", fill, at, p);
    set_trigger(1, 0, 0);
    TRY("fill", fill, at, p);
}

int main(void) {
    set_up();
    for (u64 type = 2; type <= 6; type += 4)
        for (u64 p = 0; p < 4; ++p)
            if (p != 2) of_privilege(type, p);
    for (u64 p = 0; p < 4; ++p)
        if (p != 2) of_hot_code(p);
    return 0;
}
