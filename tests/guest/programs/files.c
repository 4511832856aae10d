// Files: stdio, descriptors, positions, directories, links, permissions, vectors of buffers, errors by name.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int by_name(const struct dirent** a, const struct dirent** b) { return strcmp((*a)->d_name, (*b)->d_name); }
static void failed(const char* what, long result) {
    printf("%s: %ld %s\n", what, result, result < 0 ? strerrorname_np(errno) : "-");
}

int main(void) {
    char folder[] = "/tmp/mimic-files-XXXXXX", line[64];
    if (!mkdtemp(folder) || chdir(folder)) return 1;
    char* volatile nowhere = (char*)1;
    FILE* file = fopen("text", "w+");
    for (int i = 0; i < 1000; i++) fprintf(file, "line %d of the file\n", i);
    fseek(file, 500, SEEK_SET);
    fputs(fgets(line, sizeof line, file), stdout);
    printf("%ld\n", ftell(file));
    fseek(file, 0, SEEK_END);
    fputs("the end\n", file);
    rewind(file);
    int lines = 0;
    while (fgets(line, sizeof line, file)) lines++;
    printf("%d %s", lines, line);
    fclose(file);

    umask(022);
    int fd = open("data", O_RDWR | O_CREAT | O_EXCL, 0640);
    struct iovec parts[] = {{"one ", 4}, {"two ", 4}, {"three", 5}};
    failed("writev", writev(fd, parts, 3));
    failed("position", lseek(fd, 0, SEEK_CUR));
    char buffer[32] = "";
    failed("pread", pread(fd, buffer, 3, 4));
    puts(buffer);
    failed("ftruncate", ftruncate(fd, 100000));
    failed("pwrite", pwrite(fd, "x", 1, 99999));
    struct stat s;
    fstat(fd, &s);
    printf("%o %ld %d %d\n", s.st_mode & 0777, (long)s.st_size, S_ISREG(s.st_mode), (int)s.st_nlink);
    failed("fchmod", fchmod(fd, 0600));
    failed("flags", fcntl(fd, F_GETFL) & O_ACCMODE);
    int copy = dup(fd);
    lseek(fd, 7, SEEK_SET);
    printf("%ld %d\n", (long)lseek(copy, 0, SEEK_CUR), fcntl(copy, F_GETFD));
    close(copy);
    close(fd);

    failed("link", link("data", "hard"));
    failed("symlink", symlink("data", "soft"));
    failed("mkdir", mkdir("sub", 0755));
    ssize_t n = readlink("soft", buffer, sizeof buffer);
    printf("%.*s\n", (int)n, buffer);
    failed("rename", rename("hard", "sub/moved"));
    failed("access", access("sub/moved", R_OK | W_OK));
    struct dirent** list;
    int count = scandir(".", &list, 0, by_name);
    for (int i = 0; i < count; i++)
        printf("%s%s ", list[i]->d_name, list[i]->d_type == DT_DIR ? "/" : list[i]->d_type == DT_LNK ? "@" : "");
    puts("");
    failed("open", open("missing", O_RDONLY));
    failed("exclusive", open("data", O_CREAT | O_EXCL, 0600));
    failed("folder", open("sub", O_WRONLY));
    failed("rmdir", rmdir("sub"));
    failed("read", read(77, buffer, 1));
    failed("bad buffer", write(1, nowhere, 1));
    unlink("sub/moved"), rmdir("sub"), unlink("soft"), unlink("data"), unlink("text");
    printf("%d\n", chdir("/") || rmdir(folder));
    return 0;
}
