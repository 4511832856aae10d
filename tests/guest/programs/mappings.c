// mmap of all sorts: private and shared files, protection, fixed places, moving, discarding; code made at run time.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int (*make_function(void* page, int value))(void) {
#if defined(__x86_64__)
    unsigned char code[] = {0xb8, (unsigned char)value, (unsigned char)(value >> 8), 0, 0, 0xc3};
#elif defined(__aarch64__)
    uint32_t code[] = {0x52800000u | (uint32_t)value << 5, 0xd65f03c0u};
#elif defined(__riscv)
    uint32_t code[] = {0x00000513u | (uint32_t)value << 20, 0x00008067u};
#endif
    memcpy(page, code, sizeof code);
    __builtin___clear_cache(page, (char*)page + sizeof code);
    return (int (*)(void))(uintptr_t)page;
}

int main(void) {
    long page = sysconf(_SC_PAGESIZE);
    printf("%ld\n", page);
    char* p = mmap(0, (size_t)page * 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 16; i++) p[i * page] = (char)i;
    printf("%d", madvise(p + page, (size_t)page, MADV_DONTNEED));
    printf(" %d\n", p[page] + p[2 * page]);
    printf("%d", munmap(p + 4 * page, (size_t)page * 2));
    printf(" %d\n", mprotect(p, (size_t)page, PROT_READ));
    char* again =
        mmap(p + 4 * page, (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    printf("%d %d\n", again == p + 4 * page, *again);
    char* moved = mremap(p + 8 * page, (size_t)page * 4, (size_t)page * 64, MREMAP_MAYMOVE);
    printf("%d %d %d\n", moved != MAP_FAILED, moved[0], moved[63 * page]);
    void* taken = mmap(p, (size_t)page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    printf("%d %s\n", taken == MAP_FAILED, strerrorname_np(errno));
    void* none = mmap(0, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    printf("%d %s\n", none == MAP_FAILED, strerrorname_np(errno));

    char name[] = "/tmp/mimic-mappings-XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    if (ftruncate(fd, page * 2)) return 1;
    char* shared = mmap(0, (size_t)page * 2, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char* private = mmap(0, (size_t)page, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, page);
    strcpy(shared + page, "seen in the file");
    printf("%s\n", private);
    strcpy(private, "mine");
    char text[32] = "";
    if (pread(fd, text, 16, page) != 16) return 1;
    printf("%s, %s\n", text, private);
    if (fork() == 0) {
        strcpy(shared, "from the child");
        strcpy(private, "gone");
        _exit(0);
    }
    wait(0);
    printf("%s, %s\n", shared, private);

    void* code = mmap(0, (size_t)page, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int sum = 0;
    for (int i = 0; i < 500; i++) sum += make_function(code, i)();
    printf("%d\n", sum);
    int memory = memfd_create("code", 0);
    if (ftruncate(memory, page)) return 1;
    void* writable = mmap(0, (size_t)page, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    void* executable = mmap(0, (size_t)page, PROT_READ | PROT_EXEC, MAP_SHARED, memory, 0);
    sum = 0;
    for (int i = 0; i < 100; i++) {
        make_function(writable, i * 3);
        __builtin___clear_cache(executable, (char*)executable + 64);
        sum += ((int (*)(void))(uintptr_t)executable)();
    }
    printf("%d\n", sum);
    char *old = sbrk(0), *grown = sbrk(page), *now = sbrk(0);
    printf("%d %d\n", grown == old, now - old == page);
    return 0;
}
