// Entry of both processors at EL1, the vectors, and attempt().
    .section .text.start, "ax"
    .globl _start
_start:
    mov x20, #0
    b 1f
    .globl _start_secondary
_start_secondary:               // by CPU_ON: x0 is the context
    mov x20, x0
1:  adrp x1, stacks_end
    add x1, x1, :lo12:stacks_end
    sub x1, x1, x20, lsl #14
    mov sp, x1
    adrp x1, vectors
    add x1, x1, :lo12:vectors
    msr vbar_el1, x1
    isb
    mov x0, x20
    cbnz x0, 2f
    bl main
    bl finish
2:  bl secondary
3:  wfi
    b 3b

    .macro vector handler
    .balign 128
    b \handler
    .endm
    .balign 2048
vectors:
    .rept 4                     // from EL1 with SP_EL0
    vector synchronous
    .endr
    vector synchronous          // from EL1
    vector irq
    vector bad
    vector bad
    vector synchronous          // from EL0
    vector irq
    vector bad
    vector bad
    .rept 4
    vector bad
    .endr
bad:
    b bad

    .macro save
    msr spsel, #1
    sub sp, sp, #288
    stp x0, x1, [sp]
    stp x2, x3, [sp, #16]
    stp x4, x5, [sp, #32]
    stp x6, x7, [sp, #48]
    stp x8, x9, [sp, #64]
    stp x10, x11, [sp, #80]
    stp x12, x13, [sp, #96]
    stp x14, x15, [sp, #112]
    stp x16, x17, [sp, #128]
    stp x18, x19, [sp, #144]
    stp x20, x21, [sp, #160]
    stp x22, x23, [sp, #176]
    stp x24, x25, [sp, #192]
    stp x26, x27, [sp, #208]
    stp x28, x29, [sp, #224]
    mrs x1, elr_el1
    mrs x2, spsr_el1
    mrs x3, esr_el1
    mrs x4, far_el1
    stp x30, x1, [sp, #240]
    stp x2, x3, [sp, #256]
    str x4, [sp, #272]
    .endm
    .macro restore
    ldp x30, x1, [sp, #240]
    ldr x2, [sp, #256]
    msr elr_el1, x1
    msr spsr_el1, x2
    ldp x28, x29, [sp, #224]
    ldp x26, x27, [sp, #208]
    ldp x24, x25, [sp, #192]
    ldp x22, x23, [sp, #176]
    ldp x20, x21, [sp, #160]
    ldp x18, x19, [sp, #144]
    ldp x16, x17, [sp, #128]
    ldp x14, x15, [sp, #112]
    ldp x12, x13, [sp, #96]
    ldp x10, x11, [sp, #80]
    ldp x8, x9, [sp, #64]
    ldp x6, x7, [sp, #48]
    ldp x4, x5, [sp, #32]
    ldp x2, x3, [sp, #16]
    ldp x0, x1, [sp]
    add sp, sp, #288
    eret
    .endm
synchronous:
    save
    mov x0, sp
    bl trap
    cbz x0, attempt_end         // an end of attempt(): x1 is its value
    restore
irq:
    save
    bl interrupt
    restore

// u64 attempt(code, a, level)
    .globl attempt
attempt:
    sub sp, sp, #112
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    adrp x3, attempt_sp
    add x3, x3, :lo12:attempt_sp
    mov x4, sp
    str x4, [x3]
    msr elr_el1, x0
    mov x4, #0x3c0              // interrupts masked
    cbz x2, 1f
    add x4, x4, #5              // EL1h
1:  msr spsr_el1, x4
    adrp x3, user_stack_end
    add x3, x3, :lo12:user_stack_end
    msr sp_el0, x3
    adrp x30, attempt_over
    add x30, x30, :lo12:attempt_over
    mov x0, x1
    eret
    .globl attempt_over
attempt_over:
    svc #0x77
attempt_end:
    adrp x3, attempt_sp
    add x3, x3, :lo12:attempt_sp
    ldr x4, [x3]
    mov sp, x4
    adrp x3, attempt_value
    add x3, x3, :lo12:attempt_value
    ldr x0, [x3]
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    add sp, sp, #112
    ret

    .bss
    .balign 4096
    .globl attempt_value
attempt_sp: .skip 8
attempt_value: .skip 8
    .balign 4096
    .skip 8 * 16384
stacks_end:
    .skip 16384
user_stack_end:
