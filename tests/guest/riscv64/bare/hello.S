// Prints and ends: the least that a machine must do.
#include "bare.h"
    .globl _start
_start:
    csrr t0, mhartid
    bnez t0, park
    la sp, stack_end
    la a0, text
    call print
    la t0, handler
    csrw mtvec, t0
    // a trap: the cause is printed
    .word 0
after:
    li t0, FINISHER
    li t1, 0x5555
    sw t1, 0(t0)
park:
    wfi
    j park
    .balign 4
handler:
    csrr a0, mcause
    addi a0, a0, '0'
    li t0, UART
    sb a0, 0(t0)
    li a0, '\n'
    sb a0, 0(t0)
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret
print:
    li t0, UART
1:  lbu t1, 0(a0)
    beqz t1, 2f
    sb t1, 0(t0)
    addi a0, a0, 1
    j 1b
2:  ret
text: .asciz "hello, bare machine\n"
    .balign 16
    .space 4096
stack_end:
