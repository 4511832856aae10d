// blocks read|write|randread|randwrite SIZE COUNT FILE: COUNT transfers of SIZE bytes past the page cache, in order or at
// random places, one at a time; writes end with a flush. Small enough to run from an initial RAM disk.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char** argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: blocks read|write|randread|randwrite SIZE COUNT FILE\n");
        return 2;
    }
    const int random = strncmp(argv[1], "rand", 4) == 0;
    const int writes = strstr(argv[1], "write") != NULL;
    const size_t size = strtoul(argv[2], NULL, 0);
    const long count = strtol(argv[3], NULL, 0);
    const int file = open(argv[4], (writes ? O_WRONLY : O_RDONLY) | O_DIRECT);
    if (file < 0) {
        perror(argv[4]);
        return 1;
    }
    const off_t blocks = lseek(file, 0, SEEK_END) / (off_t)size;
    void* buffer;
    if (blocks == 0 || posix_memalign(&buffer, 4096, size) != 0) {
        fprintf(stderr, "%s: expected a file of at least %zu bytes\n", argv[4], size);
        return 1;
    }
    memset(buffer, 0x5a, size);
    uint64_t state = 88172645463325252u;
    for (long i = 0; i < count; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17; // xorshift64 (Marsaglia 2003)
        const off_t place = (off_t)(random ? state % (uint64_t)blocks : (uint64_t)i % (uint64_t)blocks) * (off_t)size;
        const ssize_t done = writes ? pwrite(file, buffer, size, place) : pread(file, buffer, size, place);
        if (done != (ssize_t)size) {
            perror(argv[1]);
            return 1;
        }
    }
    if (writes && fsync(file) != 0) {
        perror("fsync");
        return 1;
    }
    return 0;
}
