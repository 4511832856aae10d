// Flushing to zero (FPCR.FZ) that is switched on and off in the middle of what runs often, in a signal handler, and by a
// handler that changes the frame: a flushed operand raises IDC alone, a flushed result UFC alone, and what does not flush UFC
// with IXC or nothing.
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <ucontext.h>

enum { flush = 1 << 24 };

#ifdef __aarch64__
static void set(uint64_t fpcr) { asm volatile("msr fpcr,%0" : : "r"(fpcr)); }
static uint64_t mode(void) {
    uint64_t v;
    asm volatile("mrs %0,fpcr" : "=r"(v));
    return v;
}
// FPSR of a product: the least normal number by a half is exact, by a third is not; a denormal number by one has a flushed operand.
static uint64_t raised(float a, float b) {
    uint64_t flags;
    float product;
    asm volatile("msr fpsr,xzr\n fmul %s0,%s2,%s3\n mrs %1,fpsr" : "=&w"(product), "=r"(flags) : "w"(a), "w"(b));
    return flags;
}
// The same under both modes, one after the other.
static uint64_t both(float a, float b) {
    uint64_t off, on;
    float product;
    asm volatile("msr fpcr,xzr\n msr fpsr,xzr\n fmul %s0,%s3,%s4\n mrs %1,fpsr\n"
                 "msr fpcr,%5\n msr fpsr,xzr\n fmul %s0,%s3,%s4\n mrs %2,fpsr\n msr fpcr,xzr"
                 : "=&w"(product), "=&r"(off), "=&r"(on)
                 : "w"(a), "w"(b), "r"((uint64_t)flush));
    return off << 8 | on;
}
static uint32_t* saved_mode(void* context) {
    return &((struct fpsimd_context*)((ucontext_t*)context)->uc_mcontext.__reserved)->fpcr; // the first record
}
#else // what aarch64 does
static uint64_t now;
static uint32_t frame;
static void set(uint64_t fpcr) { now = fpcr; }
static uint64_t mode(void) { return now; }
static uint64_t raised(float a, float b) {
    if (now) return a < 0x1p-126f ? 0x80 : 8;
    return b == 0.5f || b == 1 ? 0 : 0x18;
}
static uint64_t both(float a, float b) {
    set(0);
    uint64_t off = raised(a, b);
    set(flush);
    uint64_t on = raised(a, b);
    set(0);
    return off << 8 | on;
}
static uint32_t* saved_mode(void* context) { return (void)context, &frame; }
#endif

static const float numbers[3][2] = {{0x1p-126f, 0.5f}, {0x1p-126f, 0.333f}, {0x1p-127f, 1}};

static void show(const char* when) {
    uint64_t flags[3];
    for (int k = 0; k < 3; k++) flags[k] = raised(numbers[k][0], numbers[k][1]);
    printf("%s: mode %#x, flags %#x %#x %#x\n", when, (unsigned)mode(), (unsigned)flags[0], (unsigned)flags[1],
           (unsigned)flags[2]);
}

static volatile int change_frame;

static void handler(int number, siginfo_t* info, void* context) {
    (void)number, (void)info;
    show("as the handler begins");
    uint64_t other = mode() ^ flush;
    set(other);
    show("in the handler, switched");
#ifndef __aarch64__
    frame = (uint32_t)(other ^ flush);
#endif
    if (change_frame) *saved_mode(context) ^= flush;
#ifndef __aarch64__
    set(frame); // as the kernel does behind it
#endif
}

int main(void) {
    uint64_t sums[3] = {0};
    for (int n = 0; n < 3000; n++)
        for (int k = 0; k < 3; k++) sums[k] += both(numbers[k][0], numbers[k][1]);
    for (int k = 0; k < 3; k++) printf("%#x, each time\n", (unsigned)(sums[k] / 3000 | sums[k] % 3000 << 16));
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, 0);
    for (int round = 0; round < 8; round++) {
        change_frame = round & 1;
        show("before");
        raise(SIGUSR1);
        show("behind");
        if (round == 3) set(mode() ^ flush);
    }
    return 0;
}
