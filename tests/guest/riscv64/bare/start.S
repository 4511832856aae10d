// Entry of all harts, and the trap handler: it saves what C may change, calls trap(), and goes on where that says.
    .section .text.start, "ax"
    .globl _start
_start:
    csrr t0, mhartid
    la sp, stacks_end
    slli t1, t0, 14
    sub sp, sp, t1
    la t1, machine_trap
    csrw mtvec, t1
    li t1, 0x6000           // FS dirty
    csrs mstatus, t1
    mv a0, t0
    bnez t0, 1f
    call main
    call finish
1:  call secondary
2:  wfi
    j 2b

// The interrupted code's stack is not trusted: mscratch holds the handler's frame while code under test runs.
    .balign 4
    .globl machine_trap
machine_trap:
    csrrw sp, mscratch, sp
    bnez sp, 1f
    csrrw sp, mscratch, sp  // from a place without a frame: nothing can be done
    j .
1:  addi sp, sp, -256
    sd ra, 8(sp)
    sd gp, 24(sp)
    sd tp, 32(sp)
    sd t0, 40(sp)
    sd t1, 48(sp)
    sd t2, 56(sp)
    sd s0, 64(sp)
    sd s1, 72(sp)
    sd a0, 80(sp)
    sd a1, 88(sp)
    sd a2, 96(sp)
    sd a3, 104(sp)
    sd a4, 112(sp)
    sd a5, 120(sp)
    sd a6, 128(sp)
    sd a7, 136(sp)
    sd t3, 144(sp)
    sd t4, 152(sp)
    sd t5, 160(sp)
    sd t6, 168(sp)
    mv a0, sp
    call trap
    ld ra, 8(sp)
    ld gp, 24(sp)
    ld tp, 32(sp)
    ld t0, 40(sp)
    ld t1, 48(sp)
    ld t2, 56(sp)
    ld s0, 64(sp)
    ld s1, 72(sp)
    ld a0, 80(sp)
    ld a1, 88(sp)
    ld a2, 96(sp)
    ld a3, 104(sp)
    ld a4, 112(sp)
    ld a5, 120(sp)
    ld a6, 128(sp)
    ld a7, 136(sp)
    ld t3, 144(sp)
    ld t4, 152(sp)
    ld t5, 160(sp)
    ld t6, 168(sp)
    addi sp, sp, 256
    csrrw sp, mscratch, sp
    mret

// u64 attempt(code, a, privilege): calls code(a) at a privilege; what it returns, or the cause of its trap | 1 << 63.
// The code returns with `ecall` (cause 8, 9 or 11) and its value in a0.
    .globl attempt
attempt:
    addi sp, sp, -128
    sd ra, 0(sp)
    sd s0, 8(sp)
    sd s1, 16(sp)
    sd s2, 24(sp)
    sd s3, 32(sp)
    sd s4, 40(sp)
    sd s5, 48(sp)
    sd s6, 56(sp)
    sd s7, 64(sp)
    sd s8, 72(sp)
    sd s9, 80(sp)
    sd s10, 88(sp)
    sd s11, 96(sp)
    la t0, attempt_sp
    sd sp, 0(t0)
    la t0, frames_end
    csrw mscratch, t0
    li t0, 0x1800
    csrc mstatus, t0
    slli a2, a2, 11
    csrs mstatus, a2
    csrw mepc, a0
    mv a0, a1
    la ra, attempt_over
    mret
    .globl attempt_over
attempt_over:               // here in the tried privilege, when its code returns
    ecall
// trap() comes back here in machine mode with the outcome in a0.
    .globl attempt_end
attempt_end:
    la t0, attempt_sp
    ld sp, 0(t0)
    ld ra, 0(sp)
    ld s0, 8(sp)
    ld s1, 16(sp)
    ld s2, 24(sp)
    ld s3, 32(sp)
    ld s4, 40(sp)
    ld s5, 48(sp)
    ld s6, 56(sp)
    ld s7, 64(sp)
    ld s8, 72(sp)
    ld s9, 80(sp)
    ld s10, 88(sp)
    ld s11, 96(sp)
    addi sp, sp, 128
    ret

    .bss
    .balign 16
attempt_sp: .space 16
    .space 16384
    .globl frames_end
frames_end:
    .space 16
    .space 65536
stacks_end:
