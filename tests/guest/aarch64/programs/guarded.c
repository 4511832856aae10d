// Branch target identification: code in pages with PROT_BTI is entered by indirect branches at landing pads only. What
// the host's build prints is what must hold.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <ucontext.h>

static void say(const char* what, int holds) { printf("%s: %s\n", what, holds ? "yes" : "no"); }

#ifdef __aarch64__
static sigjmp_buf back;
static volatile uint64_t btype;
static void* volatile where;
static volatile int code;
static void illegal(int number, siginfo_t* info, void* context) {
    code = info->si_code;
    where = info->si_addr;
    btype = ((ucontext_t*)context)->uc_mcontext.pstate >> 10 & 3;
    siglongjmp(back, number);
}

// nop, bti, bti c, bti j, bti jc, paciasp; each is followed by ret
static const uint32_t pads[] = {0xd503201f, 0xd503241f, 0xd503245f, 0xd503249f, 0xd50324df, 0xd503233f};
enum { call, jump, veneer, kinds };

static void check(void) {
    struct sigaction a = {.sa_sigaction = illegal, .sa_flags = SA_SIGINFO};
    sigaction(SIGILL, &a, 0);
    say("told", getauxval(AT_HWCAP2) >> 17 & 1);
    uint32_t* page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (unsigned n = 0; n < 6; n++) {
        page[2 * n] = pads[n];
        page[2 * n + 1] = 0xd65f03c0;                                           // ret
        if (n == 5) page[2 * n + 1] = 0xd50323bf, page[2 * n + 2] = 0xd65f03c0; // autiasp, ret
    }
    uint32_t* trampolines = page + 64;
    const uint32_t through[kinds][5] = {
        {0xd503245f, 0xf81f0ffe, 0xd63f0000, 0xf84107fe,
         0xd65f03c0},                         // bti c; str x30,[sp,-16]!; blr x0; ldr x30,[sp],16; ret
        {0xd503245f, 0xd61f0000},             // bti c; br x0
        {0xd503245f, 0xaa0003f0, 0xd61f0200}, // bti c; mov x16, x0; br x16
    };
    memcpy(trampolines, through, sizeof through);
    __builtin___clear_cache((char*)page, (char*)page + 4096);
    // What each kind of branch finds: BTYPE of the exception, 0: it may.
    static const int want[kinds][6] = {{2, 2, 0, 2, 0, 0}, {3, 3, 3, 0, 0, 3}, {1, 1, 0, 0, 0, 0}};
    for (int guarded = 0; guarded < 2; guarded++) {
        mprotect(page, 4096, PROT_READ | PROT_EXEC | (guarded ? 0x10 : 0));
        int right = 0;
        for (int round = 0; round < 100; round++)
            for (int kind = 0; kind < kinds; kind++)
                for (int n = 0; n < 6; n++) {
                    void* at = page + 2 * n;
                    code = 0;
                    int got = 0;
                    if (sigsetjmp(back, 1) == 0)
                        ((void (*)(void*))(trampolines + 5 * kind))(at);
                    else
                        got = where == at && code == ILL_ILLOPC ? (int)btype : -1;
                    if (got == (guarded ? want[kind][n] : 0))
                        right++;
                    else if (round == 0)
                        printf("kind %d pad %d: %d\n", kind, n, got);
                }
        say(guarded ? "guarded" : "not guarded", right == 100 * kinds * 6);
    }
    // From a page that is not guarded, a BR is like a veneer's.
    if (sigsetjmp(back, 1) == 0) {
        asm volatile("adr x30, 1f\n br %0\n1:" : : "r"(page + 4) : "x30", "memory");
        say("from outside", 1);
    }
    // A page that is guarded no more.
    mprotect(page, 4096, PROT_READ | PROT_EXEC);
    if (sigsetjmp(back, 1) == 0) {
        ((void (*)(void))page)();
        say("free again", 1);
    }
}
#else
static void check(void) {
    static const char* const all[] = {"told", "not guarded", "guarded", "from outside", "free again"};
    for (unsigned n = 0; n < sizeof all / sizeof *all; n++) say(all[n], 1);
}
#endif

int main(void) {
    setvbuf(stdout, 0, _IONBF, 0);
    check();
    return 0;
}
