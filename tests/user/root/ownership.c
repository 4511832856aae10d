// What root may do with owners, modes, devices and ids; prints what must be the same natively as root, and in a foreign
// root where an ordinary user is root by pretence. Works in the directory that is its argument.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHOW(e)                                                                                                        \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        long r_ = (long)(e);                                                                                           \
        printf("%s = %ld %s\n", #e, r_, r_ < 0 ? strerror(errno) : "");                                                \
    } while (0)

static void show(const char* path) {
    struct stat st;
    if (lstat(path, &st) != 0) {
        printf("%s: %s\n", path, strerror(errno));
        return;
    }
    printf("%s: mode %o owner %u:%u rdev %u:%u size %ld\n", path, st.st_mode, st.st_uid, st.st_gid, major(st.st_rdev),
           minor(st.st_rdev), S_ISDIR(st.st_mode) ? 0 : (long)st.st_size);
    struct statx x;
    statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &x);
    if (x.stx_uid != st.st_uid || x.stx_gid != st.st_gid || x.stx_mode != st.st_mode) printf("statx differs\n");
}

static void make(const char* path) { close(open(path, O_CREAT | O_WRONLY | O_EXCL, 0644)); }

static void owners(void) {
    make("a");
    show("a");
    SHOW(chown("a", 42, 43));
    show("a");
    SHOW(chmod("a", 06755));
    show("a");
    SHOW(chown("a", -1, 7)); // loses its set-id bits
    show("a");
    SHOW(link("a", "b"));
    SHOW(rename("a", "c"));
    show("b");
    show("c");
    SHOW(unlink("b"));
    SHOW(unlink("c"));
    make("c"); // another file
    show("c");
    SHOW(symlink("c", "link"));
    SHOW(lchown("link", 9, 9));
    show("link");
    SHOW(chown("link", 8, 8));
    show("c");
    int fd = open("c", O_RDONLY);
    SHOW(fchown(fd, 10, 11));
    SHOW(fchownat(fd, "", 12, -1, AT_EMPTY_PATH));
    show("c");
    close(fd);
    SHOW(chown("none", 1, 1));
    SHOW(fchownat(AT_FDCWD, "c", 1, 1, 0x40000000));
    SHOW(mkdir("group", 0755));
    SHOW(chown("group", 0, 50));
    SHOW(chmod("group", 02775));
    make("group/file");
    SHOW(mkdir("group/sub", 0700));
    SHOW(symlink("x", "group/link"));
    show("group/file");
    show("group/sub");
    show("group/link");
}

static void devices(void) {
    SHOW(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
    SHOW(mknod("block", S_IFBLK | 0600, makedev(7, 300)));
    SHOW(mknod("fifo", S_IFIFO | 0640, 0));
    SHOW(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
    SHOW(chown("null", 5, 6));
    show("null");
    show("block");
    show("fifo");
    int types[3] = {0};
    DIR* d = opendir(".");
    for (struct dirent* e; (e = readdir(d));)
        if (!strcmp(e->d_name, "null"))
            types[0] = e->d_type;
        else if (!strcmp(e->d_name, "block"))
            types[1] = e->d_type;
        else if (!strcmp(e->d_name, "fifo"))
            types[2] = e->d_type;
    closedir(d);
    printf("types %d %d %d\n", types[0], types[1], types[2]);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
    SHOW(bind(s, (struct sockaddr*)&name, sizeof name));
    show("socket");
    close(s);
}

static void ids(const char* when) {
    unsigned r, e, s;
    gid_t g[8];
    getresuid(&r, &e, &s);
    printf("%s: uid %u %u %u get %u %u", when, r, e, s, getuid(), geteuid());
    getresgid(&r, &e, &s);
    printf(" gid %u %u %u get %u %u groups", r, e, s, getgid(), getegid());
    int n = getgroups(8, g);
    for (int i = 0; i < n; i++) printf(" %u", g[i]);
    char line[200];
    FILE* f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "Uid", 3) || !strncmp(line, "Gid", 3) || !strncmp(line, "Groups", 6))
            printf(" | %.*s", (int)strcspn(line, "\n"), line);
    if (f) fclose(f);
    printf("\n");
}

static int has_caps(void) {
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];
    return syscall(SYS_capget, &h, d) == 0 && d[0].effective != 0;
}

// In a child, since there is no way back.
static void dropped(void) {
    gid_t groups[] = {9, 4};
    SHOW(seteuid(33));
    ids("seteuid");
    SHOW(has_caps());
    SHOW(seteuid(0));
    SHOW(has_caps());
    SHOW(setfsuid(5));
    make("open/of-5");
    SHOW(setfsuid(0));
    show("open/of-5");
    SHOW(setgroups(2, groups));
    SHOW(getgroups(1, groups));
    SHOW(setresgid(42, 42, 42));
    SHOW(setresuid(42, 42, 42));
    ids("dropped");
    SHOW(has_caps());
    SHOW(setuid(0));
    SHOW(setresuid(-1, 0, -1));
    SHOW(setgid(0));
    SHOW(setgroups(0, NULL));
    SHOW(chdir("open"));
    make("mine");
    show("mine");
    SHOW(mkdir("dir", 0755));
    show("dir");
    SHOW(chown("mine", 43, -1));
    SHOW(chown("mine", -1, 9));
    SHOW(chown("mine", -1, 10));
    SHOW(mknod("no", S_IFCHR | 0600, makedev(1, 3)));
    show("mine");
}

static void child(void (*work)(void)) {
    fflush(stdout);
    if (fork() == 0) {
        work();
        fflush(stdout);
        _exit(0);
    }
    int status;
    wait(&status);
    printf("status %x\n", status);
}

static void set_id(void) {
    SHOW(chdir("open"));
    if (setresuid(42, 42, 42)) return;
    fflush(stdout);
    execl("./set-id", "set-id", "ids", (char*)0);
    printf("exec: %s\n", strerror(errno));
}

static void set_id_in_vain(void) {
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    set_id();
}

// Of what no descriptor that the program knows of stands for.
static void clones(void) {
    int fd = open("clone", O_RDWR | O_CREAT, 0600), found = 0;
    for (int n = fd + 1; n < 5000; n++) {
        struct file_clone_range range = {.src_fd = n, .src_length = 1};
        found += ioctl(fd, FICLONE, n) == 0 || errno != EBADF;
        found += ioctl(fd, FICLONERANGE, &range) == 0 || errno != EBADF;
    }
    printf("found to clone: %d\n", found);
    close(fd);
    SHOW(unlink("clone"));
}

int main(int argc, char** argv) {
    if (argc > 1 && !strcmp(argv[1], "ids")) {
        ids("set-id program");
        return 0;
    }
    umask(022);
    if (argc < 2 || chdir(argv[1])) return 2;
    setgroups(0, NULL);
    owners();
    devices();
    ids("start");
    clones();
    SHOW(mkdir("open", 0777));
    SHOW(chmod("open", 0777));
    child(dropped);
    show("open/mine");
    if (argc < 3) return 0;
    char command[500], self[400] = "";
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) return 2;
    snprintf(command, sizeof command, "cp '%s' open/set-id", self);
    SHOW(system(command));
    SHOW(chown("open/set-id", 77, 78));
    SHOW(chmod("open/set-id", 06755));
    child(set_id);
    child(set_id_in_vain);
    return 0;
}
