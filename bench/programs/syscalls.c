// class: system  size: 300  quick: 20
// Cheap system calls: process numbers, reads and writes of a pipe and a file, clocks, stat; SIZE x 1000 times.
#include "bench.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char** argv) {
    uint64_t size = size_argument(argc, argv), sum = 0;
    int ends[2], zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
    char buffer[4096];
    struct stat status;
    struct timespec now;
    if (pipe(ends) || zero < 0 || null < 0) return 1;
    for (uint64_t i = 0; i < size * 1000; i++) {
        sum += (uint64_t)(syscall(SYS_getpid) > 0);
        buffer[0] = (char)i;
        sum += (uint64_t)write(ends[1], buffer, 16) + (uint64_t)read(ends[0], buffer, 16);
        sum = mix(sum, (unsigned char)buffer[0]);
        sum += (uint64_t)read(zero, buffer, sizeof buffer) + (uint64_t)write(null, buffer, sizeof buffer);
        sum += (uint64_t)(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
        if (i % 8 == 0) sum += (uint64_t)(stat("/dev/null", &status) == 0 && S_ISCHR(status.st_mode));
        sum += (uint64_t)(lseek(zero, 0, SEEK_SET) == 0);
    }
    return report(sum);
}
