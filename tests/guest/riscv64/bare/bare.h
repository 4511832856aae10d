// What programs without an operating system share. Devices are where RISC-V's `virt` board has them.
#pragma once
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long i64;

#define UART ((volatile u8*)0x10000000)
#define FINISHER ((volatile u32*)0x100000)
#define MSIP ((volatile u32*)0x2000000)
#define MTIMECMP ((volatile u64*)0x2004000)
#define MTIME ((volatile u64*)0x200bff8)

#define csr_read(name)                                                                                                 \
    ({                                                                                                                 \
        u64 v_;                                                                                                        \
        asm volatile("csrr %0, " #name : "=r"(v_) : : "memory");                                                       \
        v_;                                                                                                            \
    })
#define csr_write(name, v) ({ asm volatile("csrw " #name ", %0" : : "r"((u64)(v)) : "memory"); })
#define csr_set(name, v) ({ asm volatile("csrs " #name ", %0" : : "r"((u64)(v)) : "memory"); })
#define csr_clear(name, v) ({ asm volatile("csrc " #name ", %0" : : "r"((u64)(v)) : "memory"); })

enum { user_level = 0, supervisor_level = 1, machine_level = 3 };

void* memset(void* to, int v, u64 n);
void print(const char* format, ...); // %s %d %x (64 bits) %c
void finish(void);

struct frame {
    u64 reg[32]; // by number, those that C may change
};
// What the last trap was.
extern volatile u64 trap_cause, trap_value, trap_pc;
// While set: gets traps that are no end of attempt(); returns the pc to go on at.
extern u64 (*volatile on_trap)(struct frame* f);
// Calls code(a) at a privilege. Its value, or the cause of its trap with bit 63 set when it did not return.
u64 attempt(u64 (*code)(u64), u64 a, u64 privilege);
#define TRAPPED (1ul << 63)
void secondary(u64 hart);
