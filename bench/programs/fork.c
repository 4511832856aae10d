// class: system  size: 800  quick: 60
// SIZE children, one after the other: each changes memory that it shares with its parent and answers through a pipe.
#include "bench.h"
#include <sys/wait.h>
#include <unistd.h>

enum { length = 1 << 20 };
static unsigned char data[length];

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), sum = 0, answer;
    int ends[2], status;
    memset(data, 1, length);
    for (uint64_t i = 0; i < size; i++) {
        if (pipe(ends)) return 1;
        pid_t child = fork();
        if (child < 0) return 1;
        if (child == 0) {
            for (int k = 0; k < length; k += 65536) data[k] = (unsigned char)i;
            answer = i * i + data[65536];
            _exit(write(ends[1], &answer, sizeof answer) == sizeof answer ? (int)(i & 63) : 99);
        }
        if (read(ends[0], &answer, sizeof answer) != sizeof answer) return 1;
        waitpid(child, &status, 0);
        close(ends[0]), close(ends[1]);
        sum = mix(mix(sum, answer), (uint64_t)WEXITSTATUS(status) + data[65536]);
    }
    return report(sum);
}
