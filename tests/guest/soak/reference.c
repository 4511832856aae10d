/* Runs the cases of a batch on whatever machine executes this program: REFERENCE BATCH ANSWERS. No C library: the cases
 * clobber every register, thread pointer included. arch.h gives what differs between guests. */
#define _GNU_SOURCE
#include "arch.h"
#include "protocol.h"
#include <fcntl.h>
#include <linux/mman.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>

static struct answer_head* answer;
static uint64_t regs_bytes;

/* volatile: or the compiler would call the C library. */
static void clear_page(void* page) {
    for (uint64_t k = 0; k < WINDOW_PAGE / 8; ++k) ((volatile uint64_t*)page)[k] = 0;
}
static void copy(void* to, const void* from, uint64_t n) {
    for (uint64_t k = 0; k < n; ++k) ((volatile char*)to)[k] = ((const char*)from)[k];
}
static void die(int status) {
    for (;;) system_call(SYS_exit_group, status, 0, 0, 0, 0, 0);
}
static void* map(uint64_t address, uint64_t bytes, int protection, int flags, int file) {
    long p = system_call(SYS_mmap, (long)address, (long)bytes, protection, flags, file, 0);
    if (p < 0 && p > -4096) die(3);
    return (void*)p;
}
static long open_file(const char* path, int flags) {
    long file = system_call(SYS_openat, AT_FDCWD, (long)path, flags, 0600, 0, 0);
    if (file < 0) die(4);
    return file;
}

static void on_signal(int number, siginfo_t* info, void* context) {
    answer->signal = (uint64_t)number;
    answer->address = (uint64_t)info->si_addr;
    answer->pc = save_registers((uint64_t*)(answer + 1), context);
    return_to_driver();
}

static void handle_signals(void) {
    /* Where no case's stack pointer is likely to point. */
    stack_t stack = {.ss_size = 65536};
    stack.ss_sp = map(0, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    system_call(SYS_sigaltstack, (long)&stack, 0, 0, 0, 0, 0);
    struct {
        void* handler;
        unsigned long flags, mask[2];
    } action = {(void*)on_signal, SA_SIGINFO | SA_ONSTACK | SA_NODEFER, {0, 0}};
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE};
    for (unsigned k = 0; k < sizeof numbers / sizeof *numbers; ++k)
        if (system_call(SYS_rt_sigaction, numbers[k], (long)&action, 0, 8, 0, 0) < 0) die(5);
}

void run(long argc, char** argv) {
    if (argc != 3) die(2);
    long in = open_file(argv[1], O_RDONLY), out = open_file(argv[2], O_RDWR);
    struct batch_head head;
    if (system_call(SYS_read, in, (long)&head, sizeof head, 0, 0, 0) != sizeof head) die(6);
    regs_bytes = head.regs_bytes;
    if (regs_bytes != REGISTER_BYTES) die(7); /* another model's */
    uint64_t case_bytes = sizeof(struct case_head) + regs_bytes, answer_bytes = sizeof(struct answer_head) + regs_bytes;
    char* cases = map(0, sizeof head + head.count * case_bytes, PROT_READ, MAP_PRIVATE, (int)in);
    char* answers = map(0, head.count * answer_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, (int)out);

    const int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    uint8_t* window = map(WINDOW, 2 * WINDOW_PAGE, PROT_READ | PROT_WRITE, fixed, -1);
    for (uint64_t n = 0; n < WINDOW_PAGE; ++n) window[WINDOW_PAGE + n] = (uint8_t)(n * 37 + 11);
    system_call(SYS_mprotect, (long)(window + WINDOW_PAGE), WINDOW_PAGE, PROT_READ, 0, 0, 0);
    uint8_t* code = map(CODE, CODE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC, fixed, -1);
    for (uint64_t n = 0; n < CODE_BYTES; n += sizeof breakpoint) copy(code + n, breakpoint, sizeof breakpoint);
    char* stub = map(STUB, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, fixed, -1);
    copy(stub, load_registers, (uint64_t)(load_registers_end - load_registers));
    finish_stub(stub, (uint64_t)(load_registers_end - load_registers));
    handle_signals();

    for (uint64_t k = 0; k < head.count; ++k) {
        struct case_head* c = (struct case_head*)(cases + sizeof head + k * case_bytes);
        answer = (struct answer_head*)(answers + k * answer_bytes);
        uint8_t* at = code + (CODE_START - CODE);
        copy(at, c->insn, c->insn_bytes);
        for (uint64_t n = c->insn_bytes; n < sizeof c->insn; n += sizeof breakpoint)
            copy(at + n, breakpoint, sizeof breakpoint);
        clear_page(window);
        copy(window, c->memory, AREA_BYTES);
        copy(window + WINDOW_PAGE - AREA_BYTES, c->memory + AREA_BYTES, AREA_BYTES);
        flush_code(at, sizeof c->insn);
        enter(stub, (const uint64_t*)(c + 1));
        copy(answer->memory, window, AREA_BYTES);
        copy(answer->memory + AREA_BYTES, window + WINDOW_PAGE - AREA_BYTES, AREA_BYTES);
        answer->between = window_sum(window);
    }
    die(0);
}
