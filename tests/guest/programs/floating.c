// Floating point: rounding modes, sticky flags, conversions at the edges, NaN and infinity, long double.
#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint64_t bits(double d) {
    uint64_t u;
    memcpy(&u, &d, 8);
    return u;
}

static void flags(const char* what) {
    int f = fetestexcept(FE_ALL_EXCEPT);
    printf("%s:%s%s%s%s%s\n", what, f & FE_INVALID ? " invalid" : "", f & FE_DIVBYZERO ? " divbyzero" : "",
           f & FE_OVERFLOW ? " overflow" : "", f & FE_UNDERFLOW ? " underflow" : "", f & FE_INEXACT ? " inexact" : "");
    feclearexcept(FE_ALL_EXCEPT);
}

int main(void) {
    volatile double one = 1, three = 3, zero = 0, huge = DBL_MAX, tiny = DBL_MIN, minus = -1;
    volatile float small = 1e-30f;
    const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    feclearexcept(FE_ALL_EXCEPT);
    for (int i = 0; i < 4; i++) {
        fesetround(modes[i]);
        printf("%d: %016llx %016llx %.3g %ld %ld %g\n", i, (unsigned long long)bits(one / three),
               (unsigned long long)bits(minus / three), (double)(float)(one / three), lrint(2.5 * one),
               lrint(-2.5 * one), rint(three / 2));
    }
    fesetround(FE_TONEAREST);
    flags("rounding");
    volatile double r = one + one;
    flags("exact");
    r = one / zero, flags("1/0");
    printf("%g\n", r);
    r = huge * huge, flags("huge");
    r = tiny * tiny, flags("tiny");
    r = tiny / 3, flags("denormal");
    r = sqrt(minus), flags("sqrt(-1)");
    printf("%d %d\n", isnan(r), r == r);
    volatile float f = small * small;
    flags("float");
    printf("%g %d\n", f, (int)(float)16777217);
    volatile int64_t big = INT64_MAX;
    volatile uint64_t all = UINT64_MAX;
    printf("%.1f %.1f %d %u %lld\n", (double)big, (double)all, (int)(-2.9 * one), (unsigned)(3e9 * one),
           (long long)(-1e18 * one));
    flags("convert");
    printf("%g %g %g %g\n", fmin(one, NAN), fmax(zero, -zero), copysign(three, -zero), nextafter(one, 2));
    printf("%d %d %d %d\n", isless(one, NAN), NAN != NAN, INFINITY > huge, isunordered(one, NAN));
    printf("%.15g %.15g %.15g\n", fma(three, three, one), ldexp(0.75, -1070), fmod(10 * one, three));
    int exponent;
    double whole, fraction = frexp(48 * one, &exponent), rest = modf(-3.75 * one, &whole);
    printf("%g %d %g %g\n", fraction, exponent, rest, whole);
    for (double x = 0.5; x < 1e6; x *= 37)
        printf("%.10g %.10g %.10g %.10g\n", sin(x), exp(-x / 100), log(x), pow(x, 0.3));
    volatile long double wide = 1;
    printf("%.12Lg %.12Lg\n", wide / 7, sqrtl(wide * 2));
    return 0;
}
