// What every bare-metal test program has, whatever its guest: text on the board's UART, and what gcc asks of a library.
#include "bare.h"
#include <stdarg.h>

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

void* memset(void* to, int v, u64 n) {
    for (u64 k = 0; k < n; ++k) ((volatile char*)to)[k] = (char)v;
    return to;
}
void* memcpy(void* to, const void* from, u64 n) {
    for (u64 k = 0; k < n; ++k) ((volatile char*)to)[k] = ((const char*)from)[k];
    return to;
}
__attribute__((weak)) void secondary(u64 processor) { (void)processor; }
