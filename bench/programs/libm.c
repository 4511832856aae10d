// class: fp  size: 1000000  quick: 60000
// The C library's sin, cos, exp, log, pow, atan2 and their like, SIZE times each.
#include "bench.h"
#include <math.h>

static uint64_t all_bits;

// Two builds of the C library may differ in the last bit: the common checksum takes 30 bits of the fraction.
static double keep(double value) {
    all_bits = mix_double(all_bits, value);
    int exponent;
    double fraction = frexp(value, &exponent);
    return ldexp(floor(fraction * 1073741824.0 + 0.5), exponent - 30);
}

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), seed = 10, sum = 0;
    for (uint64_t i = 0; i < size; i++) {
        double x = (double)(chance(&seed) >> 11) / 9007199254740992.0 * 20 + 0.001;
        double y = (double)(chance(&seed) >> 11) / 9007199254740992.0 * 4 - 2;
        sum = mix_double(sum, keep(sin(x)));
        sum = mix_double(sum, keep(cos(y)));
        sum = mix_double(sum, keep(exp(y)));
        sum = mix_double(sum, keep(log(x)));
        sum = mix_double(sum, keep(pow(x, y)));
        sum = mix_double(sum, keep(atan2(y, x)));
        sum = mix_double(sum, keep(cbrt(x)));
        sum = mix_double(sum, keep(sqrt(x)));
        sum = mix_double(sum, keep(tanh(y)));
        sum = mix_double(sum, keep(hypot(x, y)));
    }
    printf("bits %016llx\n", (unsigned long long)all_bits);
    return report(sum);
}
