/* Functions made at run time, for each guest and the host: what a just-in-time compiler does, in small. */
#pragma once
#include <stdint.h>
#include <string.h>

/* int f(void) { return value; }, 0 <= value < 2048; at most 8 bytes. Returns its length. */
static inline unsigned make_constant(void* at, unsigned value) {
#if defined(__riscv)
    uint32_t code[] = {0x00000513u | value << 20, 0x00008067u}; /* li a0, value; ret */
#elif defined(__aarch64__)
    uint32_t code[] = {0x52800000u | value << 5, 0xd65f03c0u}; /* mov w0, value; ret */
#elif defined(__x86_64__)
    uint8_t code[] = {0xb8, (uint8_t)value, (uint8_t)(value >> 8), 0, 0, 0xc3}; /* mov eax, value; ret */
#endif
    memcpy(at, code, sizeof code);
    return sizeof code;
}

/* long f(long *p) { return ++*p; }; at most 24 bytes. */
static inline unsigned make_counter(void* at) {
#if defined(__riscv)
    uint32_t code[] = {0x00053583, 0x00158593, 0x00b53023, 0x00058513, 0x00008067};
#elif defined(__aarch64__)
    uint32_t code[] = {0xf9400001, 0x91000421, 0xf9000001, 0xaa0103e0, 0xd65f03c0};
#elif defined(__x86_64__)
    uint8_t code[] = {0x48, 0x8b, 0x07, 0x48, 0xff, 0xc0, 0x48, 0x89, 0x07, 0xc3};
#endif
    memcpy(at, code, sizeof code);
    return sizeof code;
}

/* long f(long n): n times around an empty loop, then value; at most 24 bytes. */
static inline unsigned make_loop(void* at, unsigned value) {
#if defined(__riscv)
    uint32_t code[] = {0xfff50513, 0xfe051ee3, 0x00000513u | value << 20, 0x00008067};
#elif defined(__aarch64__)
    uint32_t code[] = {0xf1000400, 0x54ffffe1, 0xd2800000u | value << 5, 0xd65f03c0};
#elif defined(__x86_64__)
    uint8_t code[] = {0x48, 0xff, 0xcf, 0x75, 0xfb, 0xb8, (uint8_t)value, (uint8_t)(value >> 8), 0, 0, 0xc3};
#endif
    memcpy(at, code, sizeof code);
    return sizeof code;
}

/* void f(long *p): adds to *p for ever, until its first instruction becomes a return; at most 16 bytes. */
static inline void make_adding(void* at) {
#if defined(__riscv)
    uint32_t code[] = {0x00053583, 0x00158593, 0x00b53023, 0xff5ff06f};
#elif defined(__aarch64__)
    uint32_t code[] = {0xf9400001, 0x91000421, 0xf9000001, 0x17fffffd};
#elif defined(__x86_64__)
    uint8_t code[] = {0x48, 0xff, 0x07, 0xeb, 0xfb};
#endif
    memcpy(at, code, sizeof code);
}

/* void f(void): goes on for ever, until its first instruction becomes a return. */
static inline void make_endless(void* at) {
#if defined(__riscv)
    __atomic_store_n((uint32_t*)at, 0x0000006f, __ATOMIC_RELEASE);
#elif defined(__aarch64__)
    __atomic_store_n((uint32_t*)at, 0x14000000, __ATOMIC_RELEASE);
#elif defined(__x86_64__)
    __atomic_store_n((uint16_t*)at, 0xfeeb, __ATOMIC_RELEASE);
#endif
}
static inline void make_return(void* at) {
#if defined(__riscv)
    __atomic_store_n((uint32_t*)at, 0x00008067, __ATOMIC_RELEASE);
#elif defined(__aarch64__)
    __atomic_store_n((uint32_t*)at, 0xd65f03c0, __ATOMIC_RELEASE);
#elif defined(__x86_64__)
    __atomic_store_n((uint16_t*)at, 0x90c3, __ATOMIC_RELEASE);
#endif
}

static inline void flush(void* at, unsigned bytes) { __builtin___clear_cache((char*)at, (char*)at + bytes); }
