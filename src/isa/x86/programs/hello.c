/* What a static C program of the distribution's compiler does on its way to printf and back. No %f: that is x87. */
#include <stdio.h>
#include <string.h>

int main(int argc, char** argv) {
    char text[64];
    snprintf(text, sizeof text, "%s-%05d-%x-%lld-%c", "hello", 42, 0xbeefu, -123456789012345, 'z');
    printf("%s %zu %d %s\n", text, strlen(text), argc, strrchr(argv[0], 'p') ? "found" : "not found");
    return strcmp(text, "hello") > 0 ? 7 : 8;
}
