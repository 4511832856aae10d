// The /init of tracer_test.py: what programs ask of debug registers and performance monitors, through Linux: single steps,
// hardware breakpoints and watchpoints of a traced child, the same counted by perf, and a cycle counter that samples.
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURNS 1000
long counted(long turns, long* where); // adds one to *where in each
extern char counted_head[], counted_store[], counted_end[];
__asm__(".text\n.balign 4\n.globl counted\ncounted: mov x2, x0\n"
        ".globl counted_head\ncounted_head: ldr x3, [x1]\nadd x3, x3, #1\n"
        ".globl counted_store\ncounted_store: str x3, [x1]\nsubs x2, x2, #1\nb.ne counted_head\n"
        ".globl counted_end\ncounted_end: ret\n");
static long total, other;

struct debug_state { // user_hwdebug_state
    unsigned info, pad;
    struct {
        unsigned long address;
        unsigned control, pad;
    } at[16];
};

static unsigned long pc_of(pid_t child) {
    unsigned long registers[34];
    struct iovec io = {registers, sizeof registers};
    ptrace(PTRACE_GETREGSET, child, NT_PRSTATUS, &io);
    return registers[32];
}

static void set(pid_t child, int kind, const void* address, unsigned control) {
    struct debug_state s = {0};
    s.at[0].address = (unsigned long)address, s.at[0].control = control;
    struct iovec io = {&s, offsetof(struct debug_state, at) + sizeof s.at[0]};
    if (ptrace(PTRACE_SETREGSET, child, kind, &io)) perror("PTRACE_SETREGSET");
}
static int slots(pid_t child, int kind) {
    struct debug_state s = {0};
    struct iovec io = {&s, sizeof s};
    if (ptrace(PTRACE_GETREGSET, child, kind, &io)) perror("PTRACE_GETREGSET");
    return s.info & 0xff;
}

// A child that stops, then counts.
static pid_t start(long turns) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        counted(turns, &total);
        getppid();
        _exit(total == turns ? 7 : 8);
    }
    int status;
    waitpid(child, &status, 0);
    return child;
}

static void single_steps(void) {
    pid_t child = start(TURNS);
    long all = 0, inside = 0, heads = 0;
    int status;
    for (;;) {
        if (ptrace(PTRACE_SINGLESTEP, child, 0, 0)) perror("PTRACE_SINGLESTEP");
        waitpid(child, &status, 0);
        if (!WIFSTOPPED(status)) break;
        unsigned long pc = pc_of(child);
        ++all;
        inside += pc >= (unsigned long)counted && pc <= (unsigned long)counted_end;
        heads += pc == (unsigned long)counted_head;
        if (WSTOPSIG(status) != SIGTRAP) printf("signal %d\n", WSTOPSIG(status));
    }
    printf("steps: inside %ld, at the head %ld, more outside %d, exit %d\n", inside, heads, all > inside,
           WEXITSTATUS(status));
}

// Each time it stops: steps over what it stopped at, without it.
static void stops(const char* what, int kind, const void* address, unsigned control, const void* data) {
    pid_t child = start(TURNS);
    long hits = 0, odd = 0;
    int status;
    printf("%s: slots %d", what, slots(child, kind));
    set(child, kind, address, control);
    for (;;) {
        ptrace(PTRACE_CONT, child, 0, 0);
        waitpid(child, &status, 0);
        if (!WIFSTOPPED(status)) break;
        siginfo_t info;
        ptrace(PTRACE_GETSIGINFO, child, 0, &info);
        ++hits;
        odd += WSTOPSIG(status) != SIGTRAP || info.si_code != TRAP_HWBKPT || info.si_addr != data;
        set(child, kind, address, control & ~1u);
        ptrace(PTRACE_SINGLESTEP, child, 0, 0);
        waitpid(child, &status, 0);
        if (!WIFSTOPPED(status)) break;
        set(child, kind, address, control);
    }
    printf(" hits %ld, odd %ld, exit %d\n", hits, odd, WEXITSTATUS(status));
}

// Of this task; of the processor, which the kernel's own addresses want.
static int open_counter(struct perf_event_attr* a, int of_processor) {
    a->size = sizeof *a;
    int fd = (int)syscall(SYS_perf_event_open, a, of_processor ? -1 : 0, of_processor ? 0 : -1, -1, 0);
    if (fd < 0) perror("perf_event_open");
    return fd;
}
static long read_counter(int fd) {
    long v = -1;
    if (read(fd, &v, sizeof v) != sizeof v) perror("read");
    return v;
}

static void count_hits(const char* what, unsigned type, unsigned long address, void (*work)(void)) {
    struct perf_event_attr a = {.type = PERF_TYPE_BREAKPOINT, .sample_period = 1 << 30};
    a.bp_type = type, a.bp_addr = address, a.bp_len = type == HW_BREAKPOINT_X ? 4 : 8;
    int fd = open_counter(&a, (long)address < 0);
    if (fd < 0) return;
    work();
    // In the kernel, an interrupt while it steps over the breakpoint has it met again.
    const long hits = read_counter(fd), most = (long)address < 0 ? TURNS + TURNS / 10 : TURNS;
    printf("perf, %s: ", what);
    hits >= TURNS&& hits <= most ? printf("as many\n") : printf("%ld\n", hits);
    close(fd);
}
static void count(void) { counted(TURNS, &other); }
static void call_kernel(void) {
    for (int n = 0; n < TURNS; ++n) syscall(SYS_getppid);
}
static unsigned long kernel_symbol(const char* wanted) {
    FILE* f = fopen("/proc/kallsyms", "r");
    char line[512], name[256];
    unsigned long address = 0, at;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "%lx %*c %255s", &at, name) == 2 && !strcmp(name, wanted)) address = at;
    if (f) fclose(f);
    return address;
}

static volatile int signals;
static void on_signal(int n) { signals += n == SIGUSR1; }

static void cycles(void) {
    struct perf_event_attr a = {.type = PERF_TYPE_HARDWARE, .config = PERF_COUNT_HW_CPU_CYCLES, .exclude_kernel = 1};
    int fd = open_counter(&a, 0);
    long before = read_counter(fd);
    count();
    long after = read_counter(fd);
    printf("cycles: %s\n", before > 0 && after > before ? "go on" : "stand");
    ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
    before = read_counter(fd);
    count();
    printf("cycles, disabled: %s\n", read_counter(fd) > before ? "go on" : "stand");
    close(fd);

    signal(SIGUSR1, on_signal);
    a.sample_period = 2000000, a.disabled = 1;
    fd = open_counter(&a, 0);
    fcntl(fd, F_SETFL, O_ASYNC);
    fcntl(fd, F_SETSIG, SIGUSR1);
    fcntl(fd, F_SETOWN, getpid());
    ioctl(fd, PERF_EVENT_IOC_REFRESH, 5);
    while (signals < 5) count();
    for (int n = 0; n < 10000; ++n) count();
    printf("samples: %d, %s\n", signals, read_counter(fd) >= 5 * 2000000 ? "as many cycles" : "too few cycles");
    close(fd);
}

int main(void) {
    mkdir("/proc", 0755);
    mount("proc", "/proc", "proc", 0, 0);
    printf("TRACER\n");
    single_steps();
    // Lengths (a bit a byte), kind (1 load, 2 store), EL0, enabled.
    stops("breakpoint", NT_ARM_HW_BREAK, counted_store, 15 << 5 | 2 << 1 | 1, counted_store);
    stops("stores", NT_ARM_HW_WATCH, &total, 255 << 5 | 2 << 3 | 2 << 1 | 1, &total);
    stops("loads", NT_ARM_HW_WATCH, &total, 255 << 5 | 1 << 3 | 2 << 1 | 1, &total);
    stops("elsewhere", NT_ARM_HW_WATCH, &other, 255 << 5 | 3 << 3 | 2 << 1 | 1, &other);
    count_hits("instruction", HW_BREAKPOINT_X, (unsigned long)counted_head, count);
    count_hits("stores", HW_BREAKPOINT_W, (unsigned long)&other, count);
    count_hits("kernel's instruction", HW_BREAKPOINT_X, kernel_symbol("__arm64_sys_getppid"), call_kernel);
    cycles();
    printf("TRACER-END\n");
    fflush(stdout);
    reboot(RB_POWER_OFF);
    for (;;) pause();
}
