// malloc, realloc, calloc, aligned blocks and the string functions over them.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 1;
static unsigned chance(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33);
}

int main(void) {
    enum { blocks = 500 };
    unsigned char* block[blocks] = {0};
    size_t size[blocks] = {0};
    unsigned long wrong = 0, sum = 0;
    for (int i = 0; i < 60000; i++) {
        unsigned at = chance() % blocks;
        for (size_t k = 0; k < size[at]; k += 97) wrong += block[at][k] != (unsigned char)(at + k);
        size_t wanted = chance() % (i % 100 == 0 ? 400000 : 3000);
        switch (chance() % 3) {
        case 0: free(block[at]), block[at] = malloc(wanted + 1); break;
        case 1: block[at] = realloc(block[at], wanted + 1); break;
        default:
            free(block[at]);
            block[at] = calloc(1, wanted + 1);
            for (size_t k = 0; k <= wanted; k += 61) wrong += block[at][k] != 0;
        }
        size[at] = wanted;
        for (size_t k = 0; k < wanted; k++) block[at][k] = (unsigned char)(at + k);
        sum += wanted;
    }
    void* aligned;
    for (size_t alignment = 16; alignment <= 65536; alignment *= 4) {
        if (posix_memalign(&aligned, alignment, 100)) return 1;
        wrong += (uintptr_t)aligned % alignment;
        free(aligned);
    }
    printf("%lu wrong, %lu bytes\n", wrong, sum);
    char text[300];
    for (int from = 0; from < 32; from++)
        for (int n = 0; n < 200; n += 7) {
            memset(text, 'a', sizeof text);
            text[from + n] = 0;
            if (strlen(text + from) != (size_t)n) wrong++;
            memmove(text + from + 5, text + from, (size_t)n + 1);
            if (strlen(text + from + 5) != (size_t)n) wrong++;
            if (memchr(text + from + 5, 0, 250) != text + from + 5 + n) wrong++;
        }
    printf("%lu wrong, %d %d %s\n", wrong, strcmp("abc", "abd") < 0, memcmp("b", "a", 1) > 0, strstr("needle", "dl"));
    return wrong != 0;
}
