#include "bare.h"
#include <stdarg.h>

volatile u64 trap_cause, trap_value, trap_pc;
u64 (*volatile on_trap)(struct frame* f);
extern char attempt_end[], attempt_over[];

static void put(char c) { *UART = (u8)c; }
static void number(u64 v, u64 base) {
    char text[24];
    int n = 0;
    do text[n++] = "0123456789abcdef"[v % base];
    while (v /= base);
    while (n) put(text[--n]);
}
void print(const char* f, ...) {
    va_list args;
    va_start(args, f);
    for (; *f; ++f) {
        if (*f != '%') {
            put(*f);
            continue;
        }
        switch (*++f) {
        case 's':
            for (const char* s = va_arg(args, const char*); *s; ++s) put(*s);
            break;
        case 'd': number(va_arg(args, u64), 10); break;
        case 'x': number(va_arg(args, u64), 16); break;
        case 'c': put((char)va_arg(args, int)); break;
        default: put(*f);
        }
    }
    va_end(args);
}

void finish(void) {
    *FINISHER = 0x5555;
    for (;;) asm volatile("wfi");
}

// From machine_trap. An ecall at attempt_over, or any trap that nobody else wants, ends attempt().
void trap(struct frame* f) {
    trap_cause = csr_read(mcause), trap_value = csr_read(mtval), trap_pc = csr_read(mepc);
    if (on_trap) {
        u64 to = on_trap(f);
        if (to) {
            csr_write(mepc, to);
            return;
        }
    }
    if (trap_pc != (u64)attempt_over) f->reg[10] = trap_cause | TRAPPED;
    csr_set(mstatus, 0x1800); // to machine mode
    csr_write(mepc, attempt_end);
}

void* memset(void* to, int v, u64 n) {
    for (u64 k = 0; k < n; ++k) ((volatile char*)to)[k] = (char)v;
    return to;
}
void* memcpy(void* to, const void* from, u64 n) {
    for (u64 k = 0; k < n; ++k) ((volatile char*)to)[k] = ((const char*)from)[k];
    return to;
}
__attribute__((weak)) void secondary(u64 hart) { (void)hart; }
