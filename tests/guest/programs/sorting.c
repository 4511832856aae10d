// qsort and bsearch with callbacks, strtol and its errors, environment and arguments.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void* a, const void* b) {
    int x = *(const int*)a, y = *(const int*)b;
    return (x > y) - (x < y);
}
static int by_text(const void* a, const void* b) { return strcmp(*(char* const*)a, *(char* const*)b); }

int main(int argc, char** argv) {
    int values[5000];
    unsigned state = 1;
    for (int i = 0; i < 5000; i++) values[i] = (int)((state = state * 1103515245u + 12345u) >> 8);
    qsort(values, 5000, sizeof *values, by_value);
    int ordered = 1, key = values[1234];
    for (int i = 1; i < 5000; i++) ordered &= values[i - 1] <= values[i];
    int* found = bsearch(&key, values, 5000, sizeof *values, by_value);
    printf("%d %d %d\n", ordered, *found == key, values[2500]);
    char* words[] = {"pear", "apple", "fig", "banana", "cherry", "date"};
    qsort(words, 6, sizeof *words, by_text);
    for (int i = 0; i < 6; i++) printf("%s%c", words[i], i == 5 ? '\n' : ' ');
    const char* numbers[] = {"12", "-0x1f", "077", "99999999999999999999", "12abc", ""};
    for (int i = 0; i < 6; i++) {
        char* end;
        errno = 0;
        long value = strtol(numbers[i], &end, 0);
        printf("%ld %d '%s'\n", value, errno, end);
    }
    printf("%g %g %g\n", strtod("1e-5x", 0), strtod("0x1.8p3", 0), atof("  -inf"));
    setenv("MIMIC_TEST", "value", 1);
    printf("%d %s %s %s\n", argc, argc > 1 ? argv[1] : "-", getenv("MIMIC_TEST"),
           getenv("NOT_SET") ? "set" : "not set");
    return 7;
}
