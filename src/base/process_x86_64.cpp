// The parts of base/process that are machine code: x86-64 hosts. System V ABI; see the Linux syscall(2) page for the
// registers of a system call, and the Intel SDM vol. 3, 9.1.1 for the atomicity of aligned accesses.
#include "base/process_asm.hpp"

// guarded_table lists {begin, end, continue-at} as offsets from itself; a fault in [begin, end) goes on at the third.
// 16-byte loads and stores are single-copy atomic on every CPU with AVX.
asm(R"(
    .text
    .balign 16
    .globl mimic_guarded_begin
    .hidden mimic_guarded_begin
mimic_guarded_begin:

    .macro ENTRY name
    .balign 16
    .globl \name
    .hidden \name
    .type \name, @function
\name:
    .endm

ENTRY mimic_guarded_load1
    movzbl (%rdi), %eax
    movb %al, (%rsi)
    xorl %eax, %eax
    ret
ENTRY mimic_guarded_load2
    movzwl (%rdi), %eax
    movw %ax, (%rsi)
    xorl %eax, %eax
    ret
ENTRY mimic_guarded_load4
    movl (%rdi), %eax
    movl %eax, (%rsi)
    xorl %eax, %eax
    ret
ENTRY mimic_guarded_load8
    movq (%rdi), %rax
    movq %rax, (%rsi)
    xorl %eax, %eax
    ret
ENTRY mimic_guarded_load16
    movups (%rdi), %xmm0
    movups %xmm0, (%rsi)
    xorl %eax, %eax
    ret
ENTRY mimic_guarded_store1
    movzbl (%rsi), %eax
    movb %al, (%rdi)
    xorl %eax, %eax
    ret
ENTRY mimic_guarded_store2
    movzwl (%rsi), %eax
    movw %ax, (%rdi)
    xorl %eax, %eax
    ret
ENTRY mimic_guarded_store4
    movl (%rsi), %eax
    movl %eax, (%rdi)
    xorl %eax, %eax
    ret
ENTRY mimic_guarded_store8
    movq (%rsi), %rax
    movq %rax, (%rdi)
    xorl %eax, %eax
    ret
ENTRY mimic_guarded_store16
    movups (%rsi), %xmm0
    movups %xmm0, (%rdi)
    xorl %eax, %eax
    ret
    # (address, expected, desired, old)
ENTRY mimic_guarded_cas1
    movzbl (%rsi), %eax
    movzbl (%rdx), %edx
    lock cmpxchgb %dl, (%rdi)
    movb %al, (%rcx)
    xorl %eax, %eax
    ret
ENTRY mimic_guarded_cas2
    movzwl (%rsi), %eax
    movzwl (%rdx), %edx
    lock cmpxchgw %dx, (%rdi)
    movw %ax, (%rcx)
    xorl %eax, %eax
    ret
ENTRY mimic_guarded_cas4
    movl (%rsi), %eax
    movl (%rdx), %edx
    lock cmpxchgl %edx, (%rdi)
    movl %eax, (%rcx)
    xorl %eax, %eax
    ret
ENTRY mimic_guarded_cas8
    movq (%rsi), %rax
    movq (%rdx), %rdx
    lock cmpxchgq %rdx, (%rdi)
    movq %rax, (%rcx)
    xorl %eax, %eax
    ret
mimic_guarded_simple_end:
    .balign 16
mimic_guarded_fail:
    movl $1, %eax
    ret

ENTRY mimic_guarded_cas16
    movq %rbx, %r11
    movq %rcx, %r10
    movq %rdx, %r9
    movq (%rsi), %rax
    movq 8(%rsi), %rdx
    movq (%r9), %rbx
    movq 8(%r9), %rcx
mimic_guarded_cas16_at:
    lock cmpxchg16b (%rdi)
mimic_guarded_cas16_end:
    movq %r11, %rbx
    movq %rax, (%r10)
    movq %rdx, 8(%r10)
    xorl %eax, %eax
    ret
mimic_guarded_cas16_fail:
    movq %r11, %rbx
    movl $1, %eax
    ret

    # (to, from, n): bytes left. Most copies are short, for which rep movsb takes long to begin; it goes on where a wider
    # access faults, so that what there is up to the fault is copied.
ENTRY mimic_guarded_copy
    movq %rdx, %rcx
    movq %rdi, %r8
    cmpq $2048, %rcx
    ja mimic_guarded_copy_at
mimic_guarded_wide_at:
    subq $16, %rcx
    jb 2f
1:  movups (%rsi), %xmm0
    movups %xmm0, (%rdi)
    addq $16, %rsi
    addq $16, %rdi
    subq $16, %rcx
    jae 1b
2:  addq $16, %rcx
    testb $8, %cl
    je 3f
    movq (%rsi), %rax
    movq %rax, (%rdi)
    addq $8, %rsi
    addq $8, %rdi
    subq $8, %rcx
3:  testb $4, %cl
    je 4f
    movl (%rsi), %eax
    movl %eax, (%rdi)
    addq $4, %rsi
    addq $4, %rdi
    subq $4, %rcx
4:  jrcxz 6f
5:  movzbl (%rsi), %eax
    movb %al, (%rdi)
    incq %rsi
    incq %rdi
    decq %rcx
    jne 5b
6:  xorl %eax, %eax
    ret
mimic_guarded_wide_end:
mimic_guarded_wide_fail:
    movq %rdi, %rax          # rcx is off by 16 in the loop: from what is done, instead
    subq %r8, %rax
    movq %rdx, %rcx
    subq %rax, %rcx
mimic_guarded_copy_at:
    rep movsb
mimic_guarded_copy_end:
    movq %rcx, %rax
    ret
    # (to, n): bytes left
ENTRY mimic_guarded_zero
    movq %rsi, %rcx
    xorl %eax, %eax
mimic_guarded_zero_at:
    rep stosb
mimic_guarded_zero_end:
    movq %rcx, %rax
    ret
    # (string, max): length, or -1
ENTRY mimic_guarded_strnlen
    xorl %eax, %eax
mimic_guarded_strnlen_at:
1:  cmpq %rsi, %rax
    jae 2f
    cmpb $0, (%rdi,%rax)
    je 2f
    incq %rax
    jmp 1b
2:  ret
mimic_guarded_strnlen_end:
mimic_guarded_strnlen_fail:
    movq $-1, %rax
    ret
    .globl mimic_guarded_end
    .hidden mimic_guarded_end
mimic_guarded_end:

    # (pending, number, arguments[6])
ENTRY mimic_interruptible_syscall
    pushq %rbx
    movq %rdi, %rbx
    movq %rsi, %rax
    movq %rdx, %r11
    movq (%r11), %rdi
    movq 8(%r11), %rsi
    movq 16(%r11), %rdx
    movq 24(%r11), %r10
    movq 32(%r11), %r8
    movq 40(%r11), %r9
    xorl %ecx, %ecx          # the kernel leaves the pc behind the call in it, also when it backs up to it
    .globl mimic_restart_begin
    .hidden mimic_restart_begin
mimic_restart_begin:
    cmpl $0, (%rbx)
    jne mimic_restart_leave
    .globl mimic_restart_end
    .hidden mimic_restart_end
mimic_restart_end:           # the pc of the system call instruction: still inside the window
    syscall
    popq %rbx
    ret
    .globl mimic_restart_leave
    .hidden mimic_restart_leave
mimic_restart_leave:
    movq $-513, %rax
    popq %rbx
    ret
    .globl mimic_restart_again
    .hidden mimic_restart_again
mimic_restart_again:
    movq $-512, %rax
    popq %rbx
    ret

ENTRY mimic_signal_restorer
    movl $15, %eax           # rt_sigreturn
    syscall

    .section .rodata
    .balign 8
    .globl mimic_guarded_table
    .hidden mimic_guarded_table
mimic_guarded_table:
    .quad mimic_guarded_begin - mimic_guarded_table, mimic_guarded_simple_end - mimic_guarded_table, mimic_guarded_fail - mimic_guarded_table
    .quad mimic_guarded_cas16_at - mimic_guarded_table, mimic_guarded_cas16_end - mimic_guarded_table, mimic_guarded_cas16_fail - mimic_guarded_table
    .quad mimic_guarded_wide_at - mimic_guarded_table, mimic_guarded_wide_end - mimic_guarded_table, mimic_guarded_wide_fail - mimic_guarded_table
    .quad mimic_guarded_copy_at - mimic_guarded_table, mimic_guarded_copy_end - mimic_guarded_table, mimic_guarded_copy_end - mimic_guarded_table
    .quad mimic_guarded_zero_at - mimic_guarded_table, mimic_guarded_zero_end - mimic_guarded_table, mimic_guarded_zero_end - mimic_guarded_table
    .quad mimic_guarded_strnlen_at - mimic_guarded_table, mimic_guarded_strnlen_end - mimic_guarded_table, mimic_guarded_strnlen_fail - mimic_guarded_table
    .quad 0, 0, 0
    .text
)");
