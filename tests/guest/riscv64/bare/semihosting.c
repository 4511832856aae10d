// Semihosting by the sequence around ebreak, in machine mode and, where the host lets it, in user mode.
static void user(void);
#include "../../system/semihosting.h"

// Its three instructions are uncompressed and in one page.
asm(".pushsection .text\n.option push\n.option norelax\n.balign 16\n.option norvc\nsemihosting_call: slli x0, x0, "
    "0x1f\n"
    "ebreak\nsrai x0, x0, 7\n.option pop\nret\n.popsection");
u64 semihosting_call(u64 operation, u64 parameter);

static u64 host_call(u64 operation, u64 parameter) { return semihosting_call(operation, parameter); }

static u64 from_user(u64 operation) { return host_call(operation, 0); }

static void user(void) {
    csr_write(pmpaddr0, ~0ul);
    csr_write(pmpcfg0, 0x1f);
    u64 value = attempt(from_user, SYS_TICKFREQ, user_level);
    if (value & TRAPPED)
        print("trapped: cause %x\n", value & ~TRAPPED);
    else
        print("tickfreq: %d\n", value);
}
