# RISC-V 64: loading a case's registers, and the way back.
    .option norelax
    .text

    .globl _start
_start:
    ld a0, 0(sp)
    addi a1, sp, 8
    andi sp, sp, -16
    j run

# Copied to STUB. x31: the registers of the case.
    .option norvc
    .globl load_registers, load_registers_end
load_registers:
    .irp r, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld f\r, (31 + \r) * 8(x31)
    .endr
    .option push
    .option arch, +v
    addi x1, x31, 68 * 8
    .irp r, 0,8,16,24
    vl8re8.v v\r, (x1)
    addi x1, x1, 128
    .endr
    ld x1, 65 * 8(x31)
    ld x2, 66 * 8(x31)
    vsetvl x0, x1, x2
    ld x1, 67 * 8(x31)
    csrw vcsr, x1
    ld x1, 64 * 8(x31)
    csrw vstart, x1
    .option pop
    ld x1, 63 * 8(x31)
    fscsr x1
    .irp r, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    ld x\r, (\r - 1) * 8(x31)
    .endr
    ld x31, 30 * 8(x31)
load_registers_end:

# enter(stub, registers)
    .globl enter
enter:
    la t0, driver
    sd ra, 0(t0)
    sd sp, 8(t0)
    sd s0, 16(t0)
    sd s1, 24(t0)
    sd s2, 32(t0)
    sd s3, 40(t0)
    sd s4, 48(t0)
    sd s5, 56(t0)
    sd s6, 64(t0)
    sd s7, 72(t0)
    sd s8, 80(t0)
    sd s9, 88(t0)
    sd s10, 96(t0)
    sd s11, 104(t0)
    mv t0, a0
    mv t6, a1
    jr t0

    .globl return_to_driver
return_to_driver:
    la t0, driver
    ld ra, 0(t0)
    ld sp, 8(t0)
    ld s0, 16(t0)
    ld s1, 24(t0)
    ld s2, 32(t0)
    ld s3, 40(t0)
    ld s4, 48(t0)
    ld s5, 56(t0)
    ld s6, 64(t0)
    ld s7, 72(t0)
    ld s8, 80(t0)
    ld s9, 88(t0)
    ld s10, 96(t0)
    ld s11, 104(t0)
    ret

    .bss
    .balign 8
driver:
    .zero 112
