// The sticky FP flags, read and written in loops around what raises them and what does not; and SIGFPE, which is the
// program's own however an emulator may use it: blocked, pending, ignored (across exec, too), caught.
#define _GNU_SOURCE
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile double one = 1, three = 3, zero = 0, large = DBL_MAX, small = DBL_MIN, quiet = NAN;
static volatile float small_f = FLT_MIN;

static double raise_it(int n) {
    switch (n) {
    case 0: return one / three;              // inexact
    case 1: return one / zero;               // division by zero
    case 2: return large * large;            // overflow, inexact
    case 3: return small * small;            // underflow, inexact
    case 4: return zero / zero;              // invalid
    case 5: return small - small * 0.5;      // exact and subnormal: nothing
    case 6: return small_f * 0.5f;           // the same, short
    case 7: return quiet + one;              // nothing
    case 8: return one + three;              // nothing
    case 9: return isless(quiet, one);       // nothing, quietly
    case 10: return quiet < one;             // invalid
    case 11: return floor(one / 2);          // nothing, or inexact
    default: return small * 0.5 * (1 / 3.0); // underflow, inexact
    }
}

// Each thing many times, flags cleared before some of the turns.
static uint64_t all_kinds(int every) {
    uint64_t hash = 0;
    for (int n = 0; n < 13; n++) {
        for (int turn = 0; turn < 50; turn++) {
            if (turn % every == 0) feclearexcept(FE_ALL_EXCEPT);
            int before = fetestexcept(FE_ALL_EXCEPT);
            double d = raise_it(n == 11 ? 8 : n);
            int after = fetestexcept(FE_ALL_EXCEPT);
            uint64_t bits;
            if (d != d) d = 0; // hosts differ in the sign of their NaN
            memcpy(&bits, &d, 8);
            int portable = (before & FE_INEXACT ? 1 : 0) | (before & FE_INVALID ? 2 : 0) |
                           (after & FE_INEXACT ? 4 : 0) | (after & FE_INVALID ? 8 : 0) |
                           (after & FE_OVERFLOW ? 16 : 0) | (after & FE_UNDERFLOW ? 32 : 0) |
                           (after & FE_DIVBYZERO ? 64 : 0);
            hash = (hash ^ bits ^ (uint64_t)portable << 32) * 0x9e3779b97f4a7c15;
        }
        int last = fetestexcept(FE_ALL_EXCEPT);
        printf("%d:%s%s%s%s%s ", n, last & FE_INEXACT ? "x" : "", last & FE_INVALID ? "v" : "",
               last & FE_OVERFLOW ? "o" : "", last & FE_UNDERFLOW ? "u" : "", last & FE_DIVBYZERO ? "z" : "");
    }
    printf("%016llx\n", (unsigned long long)hash);
    return hash;
}

static volatile sig_atomic_t caught;
static void handler(int s) { caught += s; }

int main(int argc, char** argv) {
    if (argc > 1 && !strcmp(argv[1], "again")) {
        struct sigaction now;
        sigaction(SIGFPE, NULL, &now);
        printf("after exec: ignored %d\n", now.sa_handler == SIG_IGN);
        all_kinds(3);
        raise(SIGFPE);
        return 0;
    }
    setvbuf(stdout, NULL, _IONBF, 0);
    for (int every = 1; every < 60; every = every * 3 + 1) all_kinds(every);

    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGFPE);
    sigprocmask(SIG_BLOCK, &set, NULL);
    all_kinds(7);
    signal(SIGFPE, handler);
    kill(getpid(), SIGFPE);
    sigpending(&pending);
    all_kinds(1);
    printf("pending %d caught %d\n", sigismember(&pending, SIGFPE), (int)caught);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    all_kinds(2);
    printf("caught %d\n", (int)caught);
    kill(getpid(), SIGFPE);
    kill(getpid(), SIGFPE);
    sigprocmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), SIGFPE);
    int got = 0;
    sigwait(&set, &got);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    printf("caught %d waited %d\n", (int)caught, got);

    signal(SIGFPE, SIG_IGN);
    all_kinds(1);
    raise(SIGFPE);
    if (fork() == 0) {
        execl("/proc/self/exe", argv[0], "again", NULL);
        _exit(9);
    }
    int status = 0;
    wait(&status);
    printf("child %x\n", status);
    signal(SIGFPE, SIG_DFL);
    if (fork() == 0) {
        all_kinds(5);
        raise(SIGFPE);
        _exit(9);
    }
    wait(&status);
    printf("child dies of %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
    return 0;
}
