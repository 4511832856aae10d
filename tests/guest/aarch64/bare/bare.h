// What programs without an operating system share. Devices are where Arm's `virt` board has them.
#pragma once
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long i64;

#define UART ((volatile u32*)0x09000000)
#define GICD ((volatile u32*)0x08000000)
#define GICC ((volatile u32*)0x08010000)

#define read_sysreg(name)                                                                                              \
    ({                                                                                                                 \
        u64 v_;                                                                                                        \
        asm volatile("mrs %0, " #name : "=r"(v_) : : "memory");                                                        \
        v_;                                                                                                            \
    })
#define write_sysreg(name, v) ({ asm volatile("msr " #name ", %0\n isb" : : "r"((u64)(v)) : "memory"); })

void* memset(void* to, int v, u64 n);
void print(const char* format, ...); // %s %d %x (64 bits) %c
void finish(void);
u64 psci(u64 function, u64 a, u64 b, u64 c);

struct frame {
    u64 x[31], elr, spsr, esr, far;
};
// The last exception.
extern volatile u64 trap_esr, trap_far, trap_elr, trap_spsr;
#define EC(esr) ((esr) >> 26)
// While set: gets exceptions that are no end of attempt(); true: go on at f->elr.
extern int (*volatile on_trap)(struct frame* f);
// Interrupts.
extern void (*volatile on_irq)(void);
// Calls code(a) at exception level 0 or 1. Its value, or TRAPPED when it did not return.
u64 attempt(u64 code, u64 a, u64 level);
#define TRAPPED (1ul << 63)
void secondary(u64 cpu);
extern char _start_secondary[];
