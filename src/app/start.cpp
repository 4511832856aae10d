// Where the static program begins, before the C library's own start: that relocates pointers in a hundred pages of tables, which
// would each fault once. One call makes them all; without it (Linux before 5.14) they fault. The stack pointer and rdx are the C
// library's (System V ABI, x86-64, 3.4.1).
asm(R"(
    .text
    .globl mimic_start
    .hidden mimic_start
    .type mimic_start, @function
mimic_start:
    mov %rdx, %r8
    lea __init_array_start(%rip), %rdi
    and $-4096, %rdi
    lea _end(%rip), %rsi
    sub %rdi, %rsi
    mov $23, %edx             # MADV_POPULATE_WRITE
    mov $28, %eax             # madvise
    syscall
    mov %r8, %rdx
    jmp _start
    .size mimic_start, . - mimic_start
)");
