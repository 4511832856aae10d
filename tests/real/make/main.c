#include "generated.h"
#include "part.h"
#include <stdio.h>
int main(int count, char** words) {
    for (int i = 1; i < count; i++) printf("%s ", words[i]);
    printf("%s %d\n", WORDS, part(count));
    return 0;
}
