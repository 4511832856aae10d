// NaN results that a fault interrupts: what stands in registers then, and is stored later, is the guest's own NaN, boxed or
// with zeros above as the architecture wants it, and the sticky flags are right. Each access faults once: the handler maps
// the page and goes back. The host's build only prints what the others must find.
#include <fenv.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static char* page;
static int faults;
static uint64_t seen[2]; // AArch64's v1 where the last access faulted

static void on_fault(int number, siginfo_t* info, void* context) {
    if ((char*)info->si_addr < page || (char*)info->si_addr >= page + 4096) _Exit(3);
    faults++;
#if defined(__aarch64__)
    const struct fpsimd_context* f = (void*)((ucontext_t*)context)->uc_mcontext.__reserved; // the first one
    seen[0] = (uint64_t)f->vregs[1], seen[1] = (uint64_t)(f->vregs[1] >> 64);
#endif
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void expect(const char* what, uint64_t got, uint64_t wanted) {
    if (got != wanted)
        printf("%s: %016llx, expected %016llx\n", what, (unsigned long long)got, (unsigned long long)wanted);
}

static const uint64_t infinity = 0x7ff0000000000000, quiet = 0x7ff8000000000000, minus_quiet = 0xfff8000000000000,
                      payload = 0x7ff8000000001234, signalling = 0x7ff0000000005678, one = 0x3ff0000000000000;

static void fresh(void) {
    *(uint64_t*)page = one;
    mprotect(page, 4096, PROT_NONE);
    feclearexcept(FE_ALL_EXCEPT);
}

#if defined(__riscv)
#    define CHANGES "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "memory"
static void doubles(void) {
    uint64_t r, s, flags;
    fresh();
    asm volatile("fmv.d.x ft1,%3\n fmv.d.x ft2,zero\n fmul.d ft0,ft1,ft2\n fadd.d ft3,ft0,ft1\n fld ft4,0(%4)\n"
                 "fmv.x.d %0,ft0\n fmv.x.d %1,ft3\n frflags %2"
                 : "=&r"(r), "=&r"(s), "=&r"(flags)
                 : "r"(infinity), "r"(page)
                 : CHANGES);
    expect("product", r, quiet), expect("sum", s, quiet), expect("flags", flags, 16);
    fresh(); // a payload is lost, and a sign
    asm volatile("fmv.d.x ft1,%3\n fmv.d.x ft2,%4\n fmul.d ft1,ft1,ft1\n fsub.d ft2,ft2,ft1\n fsqrt.d ft3,ft2\n"
                 "fsd ft3,0(%5)\n fmv.x.d %0,ft1\n fmv.x.d %1,ft2\n frflags %2"
                 : "=&r"(r), "=&r"(s), "=&r"(flags)
                 : "r"(payload), "r"(minus_quiet), "r"(page)
                 : CHANGES);
    expect("square", r, quiet), expect("difference", s, quiet), expect("no flags", flags, 0);
    expect("stored", *(uint64_t*)page, quiet);
    fresh(); // what was loaded stays as it is
    asm volatile(
        "fmv.d.x ft1,%2\n fmv.d.x ft0,%3\n fadd.d ft0,ft0,ft0\n fmv.d ft0,ft1\n fadd.d ft2,ft1,ft1\n fld ft3,0(%4)\n"
        "fmv.x.d %0,ft0\n fmv.x.d %1,ft2"
        : "=&r"(r), "=&r"(s)
        : "r"(payload), "r"(signalling), "r"(page)
        : CHANGES);
    expect("moved", r, payload), expect("doubled", s, quiet);
}
static void floats(void) {
    uint64_t r, s, u, flags;
    const uint64_t box = 0xffffffff00000000;
    fresh();
    asm volatile("fmv.w.x ft1,%4\n fmv.w.x ft2,zero\n fmul.s ft0,ft1,ft2\n fadd.s ft3,ft0,ft1\n fadd.s ft5,ft2,ft1\n"
                 "flw ft4,0(%5)\n fmv.x.d %0,ft0\n fmv.x.d %1,ft3\n fmv.x.d %2,ft5\n frflags %3"
                 : "=&r"(r), "=&r"(s), "=&r"(u), "=&r"(flags)
                 : "r"(0x7f800000), "r"(page)
                 : CHANGES);
    expect("product", r, box | 0x7fc00000), expect("sum", s, box | 0x7fc00000);
    expect("infinity", u, box | 0x7f800000), expect("flags", flags, 16);
    // two registers have it: neither may be forgotten
    asm volatile("fmv.w.x ft1,%2\n fmv.w.x ft2,zero\n fmv.w.x ft3,%3\n fmadd.s ft0,ft1,ft2,ft3\n fmv.d ft4,ft0\n"
                 "beqz zero,1f\n 1: fmv.x.d %0,ft0\n fmv.x.d %1,ft4"
                 : "=&r"(r), "=&r"(s)
                 : "r"(0x7f800000), "r"(0x3f800000)
                 : CHANGES);
    expect("fused", r, box | 0x7fc00000), expect("its copy", s, box | 0x7fc00000);
}
static void boxes(void) {
    static float kept[2] = {1.5f, 2.5f};
    uint64_t r, s, u;
    fresh();
    asm volatile("flw ft0,0(%3)\n flw ft1,4(%3)\n fmv.d.x ft2,%5\n flw ft3,0(%4)\n fmv.x.d %0,ft0\n fmv.x.d %1,ft1\n"
                 "fadd.s ft2,ft2,ft0\n fmv.x.d %2,ft2"
                 : "=&r"(r), "=&r"(s), "=&r"(u)
                 : "r"(kept), "r"(page), "r"(0xfffffffe3f800000)
                 : CHANGES);
    expect("first", r, 0xffffffff3fc00000), expect("second", s, 0xffffffff40200000);
    expect("unboxed", u, 0xffffffff7fc00000);
}
static void loops(void) { // the page begins some turns on
    static double kept[8];
    uint64_t r, s, u, flags;
    fresh();
    asm volatile("mv t0,%4\n mv t1,%5\n fmv.d.x ft0,%6\n fmv.d.x ft1,zero\n fmv.d.x ft5,zero\n li t2,0\n"
                 "1: fmul.d ft2,ft0,ft1\n fadd.d ft5,ft5,ft2\n fsd ft2,0(t0)\n addi t0,t0,8\n fmv.d.x ft4,t2\n"
                 "fadd.d ft3,ft4,ft0\n fmv.x.d t2,ft3\n bne t0,t1,1b\n"
                 "fmv.x.d %0,ft2\n fmv.x.d %1,ft5\n mv %2,t2\n frflags %3"
                 : "=&r"(r), "=&r"(s), "=&r"(u), "=&r"(flags)
                 : "r"(page - 40), "r"(page + 40), "r"(infinity)
                 : CHANGES, "t0", "t1", "t2");
    expect("product", r, quiet), expect("sum", s, quiet), expect("infinite", u, infinity), expect("flags", flags, 16);
    expect("stored before", *(uint64_t*)(page - 40), quiet), expect("stored", *(uint64_t*)(page + 32), quiet);
    for (int loses = 0; loses < 2; loses++) { // constants change places at each turn; one may have no box
        fresh();
        asm volatile("mv t0,%3\n mv t1,%4\n fmv.d.x ft0,%5\n fmv.d.x ft1,%6\n fmv.w.x ft2,zero\n"
                     "1: fadd.s ft3,ft0,ft1\n fadd.s ft2,ft2,ft3\n fsw ft3,0(t0)\n addi t0,t0,4\n fmv.d ft4,ft0\n"
                     "fmv.d ft0,ft1\n fmv.d ft1,ft4\n bne t0,t1,1b\n"
                     "fmv.x.d %0,ft0\n fmv.x.d %1,ft2\n fmv.x.d %2,ft3"
                     : "=&r"(r), "=&r"(s), "=&r"(u)
                     : "r"(page - 12), "r"(page + 16), "r"(0xffffffff3f800000),
                       "r"(loses ? 0xfffffffe3f800000 : 0xffffffff3f800000)
                     : CHANGES, "t0", "t1");
        expect("constant", r, loses ? 0xfffffffe3f800000 : 0xffffffff3f800000);
        expect("sum of singles", s, loses ? 0xffffffff7fc00000 : 0xffffffff41600000);
        expect("last of singles", u, loses ? 0xffffffff7fc00000 : 0xffffffff40000000);
        expect("single stored", *(uint32_t*)page, loses ? 0x7fc00000 : 0x40000000);
    }
    for (int n = 0; n < 8; n++) kept[n] = n;
    asm volatile("mv t0,%2\n mv t1,%3\n fmv.d.x ft0,zero\n li t2,0\n"
                 "1: fld ft1,0(t0)\n addi t0,t0,8\n fmv.d.x ft2,t2\n fadd.d ft0,ft2,ft1\n fmv.x.d t2,ft0\n"
                 "bne t0,t1,1b\n mv %0,t2\n fmv.x.d %1,ft0"
                 : "=&r"(r), "=&r"(s)
                 : "r"(kept), "r"(kept + 8)
                 : CHANGES, "t0", "t1", "t2");
    expect("sum in both", r, 0x403c000000000000), expect("its twin", s, r);
}
static void fused(void) {
    uint64_t r, flags;
    fresh();
    asm volatile("fmv.d.x ft1,%2\n fmv.d.x ft2,zero\n fmv.d.x ft3,%3\n fmadd.d ft0,ft1,ft2,ft3\n fld ft4,0(%4)\n"
                 "fmv.x.d %0,ft0\n frflags %1"
                 : "=&r"(r), "=&r"(flags)
                 : "r"(infinity), "r"(payload), "r"(page)
                 : CHANGES);
    expect("fused", r, quiet), expect("fused flags", flags, 16);
    fresh(); // the result is gone, its flags are not
    asm volatile("fmv.d.x ft1,%2\n fmv.d.x ft2,zero\n fmv.d.x ft3,%3\n fmadd.d ft0,ft1,ft2,ft3\n fadd.d ft0,ft0,ft1\n"
                 "fmv.d ft0,ft1\n fld ft0,0(%4)\n fmv.x.d %0,ft0\n frflags %1"
                 : "=&r"(r), "=&r"(flags)
                 : "r"(infinity), "r"(payload), "r"(page)
                 : CHANGES);
    expect("loaded", r, one), expect("flags of what is gone", flags, 16);
}
static void quietly(void) { // flags that are put back behind comparisons
    uint64_t before, less, equal, after;
    feclearexcept(FE_ALL_EXCEPT);
    asm volatile("fmv.d.x ft1,%4\n fmv.d.x ft2,%5\n frflags %0\n flt.d %1,ft1,ft2\n feq.d %2,ft2,ft1\n fsflags %0\n"
                 "frflags %3"
                 : "=&r"(before), "=&r"(less), "=&r"(equal), "=&r"(after)
                 : "r"(one), "r"(signalling)
                 : CHANGES);
    expect("before", before, 0), expect("less", less, 0), expect("equal", equal, 0), expect("after", after, 0);
    asm volatile("fmv.d.x ft1,%4\n fmv.d.x ft2,%5\n frflags %0\n flt.d %1,ft1,ft2\n fsflags %0\n fle.d %2,ft2,ft1\n"
                 "frflags %3"
                 : "=&r"(before), "=&r"(less), "=&r"(equal), "=&r"(after)
                 : "r"(one), "r"(payload)
                 : CHANGES);
    expect("before", before, 0), expect("less", less, 0), expect("equal", equal, 0), expect("raised", after, 16);
}
static void modes(void) { // ties away, as the mode of code that follows
    uint64_t r, s, u;
    asm volatile("fmv.d.x ft1,%3\n fmv.d.x ft2,%4\n fsrmi 4\n fadd.d ft0,ft1,ft2\n fsrmi 0\n fadd.d ft3,ft1,ft2\n"
                 "li %0,4\n fsrm %0\n frrm %0\n fadd.d ft4,ft1,ft2\n fsrmi 0\n"
                 "fmv.x.d %0,ft0\n fmv.x.d %1,ft3\n fmv.x.d %2,ft4"
                 : "=&r"(r), "=&r"(s), "=&r"(u)
                 : "r"(one), "r"(0x3ca0000000000000) // 2^-53
                 : CHANGES);
    expect("away", r, one + 1), expect("even", s, one), expect("away again", u, one + 1);
}
#elif defined(__aarch64__)
#    define CHANGES "v0", "v1", "v2", "v3", "v4", "v5", "memory"
static uint64_t invalid(void) { return (uint64_t) !!fetestexcept(FE_INVALID); }
static void doubles(void) {
    uint64_t r, s, u;
    fresh();
    asm volatile("fmov d1,%3\n movi d2,#0\n fmul d0,d1,d2\n fadd d3,d0,d1\n ldr d4,[%4]\n"
                 "fmov %0,d0\n fmov %1,d3\n fmov %2,v0.d[1]"
                 : "=&r"(r), "=&r"(s), "=&r"(u)
                 : "r"(infinity), "r"(page)
                 : CHANGES);
    expect("product", r, quiet), expect("sum", s, quiet), expect("above", u, 0), expect("invalid", invalid(), 1);
    fresh(); // payloads and signs stay; of two NaNs a signalling one wins, wherever it stands
    asm volatile(
        "fmov d1,%3\n fmov d2,%4\n fmov d3,%5\n fmul d1,d1,d1\n fadd d1,d1,d2\n fsub d2,d2,d3\n fadd d3,d1,d3\n"
        "str d2,[%6]\n fmov %0,d1\n fmov %1,d2\n fmov %2,d3"
        : "=&r"(r), "=&r"(s), "=&r"(u)
        : "r"(payload), "r"(minus_quiet), "r"(signalling), "r"(page)
        : CHANGES);
    expect("square", r, payload), expect("difference", s, signalling | 0x0008000000000000);
    expect("last", u, signalling | 0x0008000000000000), expect("stored", *(uint64_t*)page, s);
    fresh(); // operands that their result overwrites
    asm volatile("fmov d1,%3\n fmov d2,%3\n mov v3.d[0],%3\n mov v3.d[1],%3\n fsub d1,d1,d2\n fmul d2,d2,d1\n"
                 "fdiv d3,d3,d2\n ldr d1,[%4]\n fmov %0,d1\n fmov %1,d2\n fmov %2,v3.d[1]"
                 : "=&r"(r), "=&r"(s), "=&r"(u)
                 : "r"(infinity), "r"(page)
                 : CHANGES);
    expect("loaded", r, one), expect("product of a NaN", s, quiet), expect("above", u, 0);
}
static void floats(void) {
    uint64_t r, s, u;
    fresh();
    asm volatile("mov v0.d[0],%3\n mov v0.d[1],%3\n fmov s1,%w4\n movi d2,#0\n fmul s0,s1,s2\n fmadd s3,s1,s2,s0\n"
                 "fadd s5,s1,s1\n ldr s4,[%5]\n fmov %0,d0\n fmov %1,d3\n fmov %2,v0.d[1]"
                 : "=&r"(r), "=&r"(s), "=&r"(u)
                 : "r"(minus_quiet), "r"(0x7f800000), "r"(page)
                 : CHANGES);
    expect("product", r, 0x7fc00000), expect("fused", s, 0x7fc00000), expect("above", u, 0);
}
static void boxes(void) {}
// A loaded operand whose result overwrites it, and between them a load that faults and shows it.
static void loops(void) {
    static uint64_t kept[10];
    uint64_t r, s;
    for (int n = 0; n < 10; n++) kept[n] = signalling + (uint64_t)n;
    for (int first = 4; first < 6; first++) { // the page begins so many turns on
        uint64_t* to = (uint64_t*)page - first;
        for (int n = 0; n < first; n++) to[n] = one;
        fresh();
        asm volatile("mov x9,%2\n mov x10,%3\n fmov d2,%4\n"
                     "1: ldr d1,[x10],#8\n ldr d0,[x9]\n fmul d1,d1,d2\n fadd d0,d0,d1\n str d0,[x9],#8\n"
                     "cmp x9,%5\n b.ne 1b\n fmov %0,d1\n fmov %1,d0"
                     : "=&r"(r), "=&r"(s)
                     : "r"(to), "r"(kept), "r"(payload), "r"(page + 8)
                     : CHANGES, "x9", "x10", "cc");
        expect("operand", seen[0], kept[first]), expect("above it", seen[1], 0);
        expect("product", r, kept[first] | 0x0008000000000000), expect("sum", s, r);
        expect("stored before", to[0], kept[0] | 0x0008000000000000), expect("stored", to[first], r);
    }
    fresh(); // what waits is not what is read last, or makes room for others
    asm volatile("mov v1.d[1],%3\n ldr d1,[%2]\n fneg d3,d1\n ldr d4,[%2,#8]\n ldr d5,[%4]\n fsub d4,d5,d4\n"
                 "fmul d1,d3,d1\n fmov %0,d1\n fmov %1,d4"
                 : "=&r"(r), "=&r"(s)
                 : "r"(kept), "r"(one), "r"(page)
                 : CHANGES);
    expect("operand", seen[0], kept[0]), expect("above it", seen[1], 0);
    expect("negative", r, kept[0] | minus_quiet), expect("difference", s, kept[1] | 0x0008000000000000);
    fresh();
    asm volatile("mov v1.d[1],%3\n ldr s1,[%2]\n ldr s0,[%4]\n fmadd s1,s1,s0,s1\n fmov %0,d1\n fmov %1,d0"
                 : "=&r"(r), "=&r"(s)
                 : "r"(&one), "r"(one), "r"(page)
                 : CHANGES);
    expect("single", seen[0], 0), expect("above it", seen[1], 0);
    expect("fused", r, 0), expect("loaded", s, 0);
}
static void fused(void) {
    uint64_t r, s;
    fresh();
    asm volatile(
        "fmov d1,%2\n movi d2,#0\n fmov d3,%3\n fmov d4,%4\n fmadd d0,d1,d2,d3\n fmadd d4,d4,d3,d0\n ldr d5,[%5]\n"
        "fmov %0,d0\n fmov %1,d4"
        : "=&r"(r), "=&r"(s)
        : "r"(infinity), "r"(payload), "r"(signalling), "r"(page)
        : CHANGES);
    expect("fused", r, quiet), expect("signalling", s, signalling | 0x0008000000000000);
    expect("invalid", invalid(), 1);
}
static void quietly(void) {}
static void modes(void) { // default NaN: from the next instruction on
    uint64_t r, s;
    asm volatile("fmov d1,%2\n fadd d0,d1,d1\n mrs %0,fpcr\n orr %1,%0,#0x2000000\n msr fpcr,%1\n fadd d2,d1,d1\n"
                 "fmul d3,d0,d2\n msr fpcr,%0\n fmov %0,d0\n fmov %1,d3"
                 : "=&r"(r), "=&r"(s)
                 : "r"(payload)
                 : CHANGES);
    expect("payload", r, payload), expect("default", s, quiet);
}
#else
static void doubles(void) {}
static void floats(void) {}
static void boxes(void) {}
static void loops(void) {}
static void fused(void) {}
static void quietly(void) {}
static void modes(void) {}
#endif

int main(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, 0);
    page = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page += 4096; // with one before it
    for (int round = 0; round < 50; round++) doubles(), floats(), boxes(), loops(), fused(), quietly(), modes();
#if defined(__riscv) || defined(__aarch64__)
    if (faults < 200) printf("%d faults\n", faults);
#endif
    puts("done");
    return 0;
}
