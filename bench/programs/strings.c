// class: strings  size: 10  quick: 1
// The C library's string functions over 20 000 lines of 1 to 200 characters, SIZE x 10 times.
#include "bench.h"

enum { lines = 20000, longest = 200 };
static char* line[lines];

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), seed = 14, sum = 0;
    char copy[longest + 32];
    for (int i = 0; i < lines; i++) {
        int n = 1 + (int)(chance(&seed) >> 33) % longest;
        line[i] = malloc((size_t)n + 1);
        for (int k = 0; k < n; k++) line[i][k] = (char)('a' + (chance(&seed) >> 33) % 20);
        line[i][n] = 0;
    }
    for (uint64_t round = 0; round < size * 10; round++)
        for (int i = 0; i < lines; i++) {
            const char *s = line[i], *other = line[(i + 1) % lines];
            size_t n = strlen(s);
            const char *found = strchr(s, 'z'), *last = strrchr(s, 'a'), *part = strstr(s, "abc");
            strcpy(copy, s);
            strcat(copy, "-the end");
            sum += n + (size_t)(found != 0) + (size_t)(last ? last - s : 0) + (size_t)(part ? part - s : 0);
            sum += (size_t)(strcmp(s, other) < 0) + (size_t)(strcmp(copy, s) > 0) + (size_t)(strncmp(copy, s, n) == 0);
            sum += strcspn(s, "xyz") + strspn(s, "abcdefghijklmnopqrs");
            sum += (size_t)((const char*)memchr(copy, '-', n + 8) - copy);
        }
    return report(sum);
}
