// class: start  size: 1  quick: 1
// Start-up: the smallest static program.
#include <stdio.h>

int main(void) {
    puts("Hello, world!");
    return 0;
}
