// printf and scanf of all kinds of values, widths and precisions.
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

int main(void) {
    printf("[%d] [%5d] [%-5d] [%05d] [%+d] [% d]\n", 42, 42, 42, 42, 42, 42);
    printf("[%i] [%u] [%x] [%X] [%#x] [%o] [%#o]\n", -1, 4000000000u, 255, 255, 255, 8, 8);
    printf("[%hhd] [%hd] [%ld] [%lld] [%jd] [%zu] [%td]\n", (signed char)-5, (short)-300, LONG_MIN, LLONG_MAX,
           (intmax_t)-7, sizeof(int), (ptrdiff_t)-9);
    printf("[%" PRIu64 "] [%" PRIx64 "] [%" PRId32 "]\n", UINT64_MAX, UINT64_C(0x123456789abcdef0), INT32_MIN);
    double values[] = {
        0, -0.0, 1, 0.1, 1.0 / 3, 1e100, -1e-100, 123456789.125, 5e-324, 1.7976931348623157e308, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        printf("[%f] [%.3e] [%g] [%.17g] [%a] [%12.4f] [%-12.2g]\n", values[i], values[i], values[i], values[i],
               values[i], values[i], values[i]);
    printf("[%s] [%10s] [%-10s] [%.2s] [%c] [%5c] [%%] [%ls]\n", "text", "text", "text", "text", 'x', 'y', L"wide");
    printf("[%*d] [%-*d] [%.*f]\n", 6, 7, 6, 7, 2, 3.14159);
    printf("[%2$d %1$d]\n", 1, 2);
    int stored;
    printf("count%n", &stored);
    printf(" %d\n", stored);
    char buffer[16];
    const char* volatile longer = "a text that is longer than the buffer";
    int wanted = snprintf(buffer, sizeof buffer, "%s", longer);
    printf("%d %zu %s\n", wanted, strlen(buffer), buffer);
    int a, b;
    unsigned x;
    double d;
    char word[16], set[16];
    int n = sscanf("12 -34 0xff 2.5e3 hello abc123", "%d %i %x %lf %15s %15[a-c]", &a, &b, &x, &d, word, set);
    printf("%d: %d %d %u %g %s %s\n", n, a, b, x, d, word, set);
    return 0;
}
