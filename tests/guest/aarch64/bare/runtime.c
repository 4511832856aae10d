#include "bare.h"
#include <stdarg.h>

volatile u64 trap_esr, trap_far, trap_elr, trap_spsr;
int (*volatile on_trap)(struct frame* f);
void (*volatile on_irq)(void);
extern u64 attempt_value;

static void put(char c) { *UART = (u32)(u8)c; }
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

u64 psci(u64 function, u64 a, u64 b, u64 c) {
    register u64 x0 asm("x0") = function, x1 asm("x1") = a, x2 asm("x2") = b, x3 asm("x3") = c;
    asm volatile("hvc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
    return x0;
}
void finish(void) {
    psci(0x84000008, 0, 0, 0); // SYSTEM_OFF
    for (;;) asm volatile("wfi");
}

// From the vectors. Not 0: go on by the frame; 0: attempt() ends.
int trap(struct frame* f) {
    if (on_trap && on_trap(f)) return 1;
    int over = EC(f->esr) == 0x15 && (f->esr & 0xffff) == 0x77;
    attempt_value = over ? f->x[0] : TRAPPED;
    if (!over) trap_esr = f->esr, trap_far = f->far, trap_elr = f->elr, trap_spsr = f->spsr;
    return 0;
}
void interrupt(void) {
    if (on_irq) on_irq();
}

void* memset(void* to, int v, u64 n) {
    for (u64 k = 0; k < n; ++k) ((volatile char*)to)[k] = (char)v;
    return to;
}
void* memcpy(void* to, const void* from, u64 n) {
    for (u64 k = 0; k < n; ++k) ((volatile char*)to)[k] = ((const char*)from)[k];
    return to;
}
__attribute__((weak)) void secondary(u64 cpu) { (void)cpu; }
