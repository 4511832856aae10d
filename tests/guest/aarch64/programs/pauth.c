// Pointer authentication as programs meet it: signed pointers, a wrong code's signal, the options of prctl. What the host's
// build prints is what must hold.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char* what, int holds) { printf("%s: %s\n", what, holds ? "yes" : "no"); }

#ifdef __aarch64__
#    define ARCH ".arch_extension pauth\n"
static uint64_t sign(uint64_t p, uint64_t with) {
    asm volatile(ARCH "pacia %0, %1" : "+r"(p) : "r"(with));
    return p;
}
static uint64_t authenticated(uint64_t p, uint64_t with) {
    asm volatile(ARCH "autia %0, %1" : "+r"(p) : "r"(with));
    return p;
}
static uint64_t stripped(uint64_t p) {
    asm volatile(ARCH "xpaci %0" : "+r"(p));
    return p;
}
static uint64_t generic(uint64_t v, uint64_t with) {
    uint64_t out;
    asm volatile(ARCH "pacga %0, %1, %2" : "=r"(out) : "r"(v), "r"(with));
    return out;
}
static sigjmp_buf back;
static volatile int code;
static void* volatile where;
static void illegal(int number, siginfo_t* info, void* context) {
    code = info->si_code;
    where = info->si_addr;
    siglongjmp(back, number);
}
// A function that signs its return address, called often enough to be linked and cached.
__attribute__((noinline, target("branch-protection=pac-ret+leaf"))) static int signs(int n) {
    return n > 1 ? signs(n - 1) + n : n;
}
static int refuses(uint64_t p, uint64_t with) {
    code = 0;
    if (sigsetjmp(back, 1) == 0) {
        authenticated(p, with);
        return 0;
    }
    return code == ILL_ILLOPN;
}

static void check(void) {
    struct sigaction a = {.sa_sigaction = illegal, .sa_flags = SA_SIGINFO};
    sigaction(SIGILL, &a, 0);
    uint64_t p = (uint64_t)&check, with = 0x1234, signed_p = 0;
    say("told", (getauxval(AT_HWCAP) >> 30 & 3) == 3);
    int differ = 0; // one of 128 codes is zero
    for (int n = 0; n < 64; n++) differ += sign(p, with + n) != p;
    say("signed", differ > 32);
    while ((signed_p = sign(p, with)) == p) with++;
    say("same top byte", signed_p >> 56 == p >> 56 && signed_p << 16 == p << 16);
    say("authentic", authenticated(signed_p, with) == p);
    say("stripped", stripped(signed_p) == p);
    say("tagged", authenticated(sign(p | 0x5aull << 56, with), with) == (p | 0x5aull << 56));
    say("wrong code", refuses(signed_p ^ 1ull << 50, with));
    say("calls", signs(2000) == 2001000);

    uint64_t g = generic(5, 7);
    say("generic", (uint32_t)g == 0 && g == generic(5, 7));
    pid_t child = fork();
    if (child == 0) _exit(authenticated(signed_p, with) == p ? 7 : 8);
    int status;
    waitpid(child, &status, 0);
    say("child has the keys", WIFEXITED(status) && WEXITSTATUS(status) == 7);

    say("reset", prctl(PR_PAC_RESET_KEYS, PR_PAC_APGAKEY, 0, 0, 0) == 0);
    say("other key", generic(5, 7) != g);
    say("kept key", authenticated(signed_p, with) == p);
    say("bad mask", prctl(PR_PAC_RESET_KEYS, 32, 0, 0, 0) == -1);
    say("enabled", prctl(PR_PAC_GET_ENABLED_KEYS, 0, 0, 0, 0) == 15);
    say("switch off", prctl(PR_PAC_SET_ENABLED_KEYS, PR_PAC_APIAKEY, 0, 0, 0) == 0);
    say("does nothing", sign(p, with) == p && authenticated(signed_p, with) == signed_p);
    say("rest", prctl(PR_PAC_GET_ENABLED_KEYS, 0, 0, 0, 0) == 14);
    say("not generic", prctl(PR_PAC_SET_ENABLED_KEYS, PR_PAC_APGAKEY, 0, 0, 0) == -1);
    say("switch on", prctl(PR_PAC_SET_ENABLED_KEYS, PR_PAC_APIAKEY, PR_PAC_APIAKEY, 0, 0) == 0);
    say("back", authenticated(signed_p, with) == p);
}
#else
static void check(void) {
    static const char* const all[] = {
        "told",    "signed",     "same top byte",      "authentic", "stripped",    "tagged",    "wrong code",
        "calls",   "generic",    "child has the keys", "reset",     "other key",   "kept key",  "bad mask",
        "enabled", "switch off", "does nothing",       "rest",      "not generic", "switch on", "back"};
    for (unsigned n = 0; n < sizeof all / sizeof *all; n++) say(all[n], 1);
}
#endif

int main(void) {
    setvbuf(stdout, 0, _IONBF, 0);
    check();
    return 0;
}
