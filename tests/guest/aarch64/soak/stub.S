// AArch64: loading a case's registers, and the way back.
    .text

    .globl _start
_start:
    ldr x0, [sp]
    add x1, sp, #8
    b run

// Copied to STUB. x30: the registers of the case.
    .globl load_registers, load_registers_end
load_registers:
    .irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ldr q\r, [x30, #256 + 16 * \r]
    .endr
    ldr x0, [x30, #776]
    msr fpcr, x0
    ldr x0, [x30, #784]
    msr fpsr, x0
    ldr x0, [x30, #792]
    msr tpidr_el0, x0
    ldr x0, [x30, #248]
    mov sp, x0
    ldr x0, [x30, #768]
    msr nzcv, x0
    .irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    ldr x\r, [x30, #8 * \r]
    .endr
load_registers_end:

// enter(stub, registers)
    .globl enter
enter:
    adrp x9, driver
    add x9, x9, :lo12:driver
    stp x19, x20, [x9]
    stp x21, x22, [x9, #16]
    stp x23, x24, [x9, #32]
    stp x25, x26, [x9, #48]
    stp x27, x28, [x9, #64]
    stp x29, x30, [x9, #80]
    mov x10, sp
    str x10, [x9, #96]
    mov x9, x0
    mov x30, x1
    br x9

    .globl return_to_driver
return_to_driver:
    adrp x9, driver
    add x9, x9, :lo12:driver
    ldp x19, x20, [x9]
    ldp x21, x22, [x9, #16]
    ldp x23, x24, [x9, #32]
    ldp x25, x26, [x9, #48]
    ldp x27, x28, [x9, #64]
    ldp x29, x30, [x9, #80]
    ldr x10, [x9, #96]
    mov sp, x10
    ret

    .bss
    .balign 16
driver:
    .zero 112
