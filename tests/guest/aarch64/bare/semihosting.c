// Semihosting by HLT #0xf000, at EL1 and, where the host lets it, at EL0.
static void user(void);
#include "../../system/semihosting.h"

static u64 host_call(u64 operation, u64 parameter) {
    register u64 x0 asm("x0") = operation, x1 asm("x1") = parameter;
    asm volatile("hlt #0xf000" : "+r"(x0) : "r"(x1) : "memory");
    return x0;
}

asm(".pushsection .text\nuser_code: mov x1, #0\n hlt #0xf000\n ret\n.popsection");
extern char user_code[];

static void user(void) {
    u64 value = attempt((u64)user_code, SYS_TICKFREQ, 0);
    if (value == TRAPPED)
        print("trapped: ec %x\n", EC(trap_esr));
    else
        print("tickfreq: %d\n", value);
}
