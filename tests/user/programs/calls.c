// run: arguments
// A walk through files, memory, processes, sockets and IPC; prints what must be the same on every machine.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

extern char** environ;
#define SHOW(e)                                                                                                        \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        long r_ = (long)(e);                                                                                           \
        printf("%s = %ld %s\n", #e, r_, r_ < 0 ? strerror(errno) : "");                                                \
    } while (0)

static void files(void) {
    char dir[] = "/tmp/mimic-calls-XXXXXX";
    if (!mkdtemp(dir) || chdir(dir)) return;
    int fd;
    SHOW((fd = open("a", O_RDWR | O_CREAT | O_EXCL, 0640)) >= 0);
    SHOW(open("a", O_RDWR | O_CREAT | O_EXCL, 0640));
    SHOW(write(fd, "0123456789", 10));
    SHOW(pwrite(fd, "AB", 2, 4));
    SHOW(lseek(fd, 0, SEEK_SET));
    char buffer[64] = "";
    struct iovec v[2] = {{buffer, 3}, {buffer + 10, 20}};
    SHOW(readv(fd, v, 2));
    printf("%s %s\n", buffer, buffer + 10);
    struct stat st;
    SHOW(fstat(fd, &st));
    printf("size %ld mode %o links %ld blksize %ld\n", (long)st.st_size, st.st_mode, (long)st.st_nlink,
           (long)st.st_blksize);
    SHOW(symlink("a", "l"));
    SHOW(lstat("l", &st));
    printf("link %d size %ld\n", S_ISLNK(st.st_mode), (long)st.st_size);
    SHOW(open("l", O_RDONLY | O_NOFOLLOW));
    SHOW(open("a", O_RDONLY | O_DIRECTORY));
    memset(buffer, 0, sizeof buffer);
    SHOW(readlink("l", buffer, sizeof buffer));
    struct statx sx;
    SHOW(statx(AT_FDCWD, "a", 0, STATX_ALL, &sx));
    printf("statx size %ld mode %o\n", (long)sx.stx_size, sx.stx_mode);
    struct timespec ts[2] = {{1000, 5}, {2000, 7}};
    SHOW(utimensat(AT_FDCWD, "a", ts, 0));
    SHOW(stat("a", &st));
    printf("mtime %ld.%ld\n", (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    SHOW(link("a", "b"));
    SHOW(rename("b", "c"));
    SHOW(mkdir("d", 0700));
    SHOW(rmdir("a"));
    SHOW(truncate("a", 4));
    SHOW(ftruncate(fd, 4097));
    SHOW(chmod("a", 0600));
    SHOW(access("a", X_OK) == (getuid() ? -1 : -1));
    SHOW((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
    SHOW(fcntl(fd, F_SETFL, O_APPEND));
    SHOW(!!(fcntl(fd, F_GETFL) & O_APPEND));
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10};
    SHOW(fcntl(fd, F_SETLK, &lock));
    pid_t child = fork();
    if (child == 0) {
        struct flock other = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int e = fcntl(fd, F_GETLK, &other);
        _exit(e == 0 && other.l_type == F_WRLCK && other.l_len == 10 && other.l_pid == getppid() ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    printf("lock seen %d\n", WEXITSTATUS(status));
    SHOW(flock(fd, LOCK_EX | LOCK_NB));
    SHOW(posix_fallocate(fd, 0, 8192));
    SHOW(setxattr("a", "user.x", "y", 1, 0) < 0 ? 0 : 0);
    DIR* d = opendir(".");
    int entries = 0;
    for (struct dirent* e; (e = readdir(d));) entries++;
    closedir(d);
    printf("entries %d\n", entries);
    int in = inotify_init1(IN_NONBLOCK);
    SHOW(inotify_add_watch(in, ".", IN_CREATE));
    close(open("new", O_CREAT | O_WRONLY, 0600));
    char events[256];
    SHOW(read(in, events, sizeof events));
    printf("event %s\n", ((struct inotify_event*)events)->name);
    struct statfs sf;
    SHOW(statfs("/proc", &sf));
    printf("proc %lx\n", (long)sf.f_type);
    SHOW(copy_file_range(fd, &(off_t){0}, open("new", O_WRONLY), NULL, 4, 0));
    SHOW(close(fd));
    SHOW(close(fd));
    char cwd[200];
    SHOW(strcmp(getcwd(cwd, sizeof cwd), dir));
    if (system("rm -rf ./*")) {}
    if (chdir("/")) {}
    SHOW(rmdir(dir));
}

static void memory(void) {
    char* p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 1, 1 << 20);
    SHOW(mprotect(p, 4096, PROT_NONE));
    SHOW(munmap(p + 8192, 4096));
    SHOW(mprotect(p, 16384, PROT_READ));
    SHOW(msync(p + 16384, 4096, MS_SYNC));
    char* q = mremap(p + 16384, 65536, 1 << 18, MREMAP_MAYMOVE);
    printf("moved %d byte %d\n", q != MAP_FAILED, q[100]);
    SHOW(madvise(q, 4096, MADV_DONTNEED));
    printf("byte %d\n", q[100]);
    SHOW(mmap(p, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED);
    SHOW(mlock(q, 4096));
    unsigned char vec[4];
    SHOW(mincore(q, 4096 * 4, vec));
    char* big = mmap(NULL, 16ul << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    printf("big reservation %d\n", big != MAP_FAILED);
    SHOW(munmap(big, 16ul << 30));
    SHOW(munmap((void*)1, 4096));
    void* b = sbrk(0);
    printf("brk %d\n", sbrk(100000) == b && sbrk(0) == (char*)b + 100000);
    int m = memfd_create("x", MFD_CLOEXEC);
    SHOW(ftruncate(m, 8192));
    int *s1 = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, m, 0),
        *s2 = mmap(NULL, 4096, PROT_READ, MAP_SHARED, m, 0);
    s1[3] = 77;
    printf("shared %d\n", s2[3]);
    if (fork() == 0) {
        s1[4] = 88;
        _exit(0);
    }
    wait(NULL);
    printf("shared with child %d\n", s2[4]);
    FILE* maps = fopen("/proc/self/maps", "r");
    char line[400];
    int stack = 0, heap = 0, mimic = 0;
    while (fgets(line, sizeof line, maps)) {
        unsigned long lo, hi;
        sscanf(line, "%lx-%lx", &lo, &hi);
        if (strstr(line, "[stack]") && (char*)&lo >= (char*)lo && (char*)&lo < (char*)hi) stack = 1;
        if (strstr(line, "[heap]")) heap = 1;
        if (strstr(line, "mimic_run")) mimic = 1;
    }
    printf("maps: stack %d heap %d mimic %d\n", stack, heap, mimic);
}

static void waiting(void) {
    int e = eventfd(3, EFD_NONBLOCK), ep = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = 0x123456789abcdefull}, out[4];
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, e, &ev));
    SHOW(epoll_wait(ep, out, 4, 0));
    printf("%x %llx\n", out[0].events, (unsigned long long)out[0].data.u64);
    struct pollfd pf[2] = {{e, POLLIN, 0}, {-1, POLLIN, 0}};
    SHOW(poll(pf, 2, 0));
    printf("revents %x\n", pf[0].revents);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(e, &set);
    struct timeval tv = {0, 0};
    SHOW(select(e + 1, &set, NULL, NULL, &tv));
    SHOW(!!FD_ISSET(e, &set));
    unsigned long long v;
    SHOW(read(e, &v, 8));
    printf("value %llu\n", v);
    SHOW(read(e, &v, 8));
    int t = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec it = {{0, 0}, {0, 1000000}};
    SHOW(timerfd_settime(t, 0, &it, NULL));
    SHOW(read(t, &v, 8));
    struct timespec ts = {0, 1000}, a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    SHOW(nanosleep(&ts, NULL));
    SHOW(clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL));
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("later %d\n", b.tv_sec > a.tv_sec || b.tv_nsec > a.tv_nsec);
    SHOW(clock_gettime(99, &a));
}

static void sockets(void) {
    int s[2];
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
    int pipes[2];
    if (pipe(pipes)) return;
    char data[] = "payload", control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {data, sizeof data};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr* c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &pipes[1], sizeof(int));
    SHOW(sendmsg(s[0], &m, 0));
    char got[32] = "";
    iov = (struct iovec){got, sizeof got};
    memset(control, 0, sizeof control);
    SHOW(recvmsg(s[1], &m, MSG_CMSG_CLOEXEC));
    int passed;
    memcpy(&passed, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof passed);
    printf("%s flags %x len %d\n", got, m.msg_flags, (int)m.msg_controllen == (int)sizeof control);
    SHOW(write(passed, "q", 1));
    SHOW(read(pipes[0], got, 1));
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    SHOW(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one));
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    SHOW(bind(l, (struct sockaddr*)&in, sizeof in));
    SHOW(listen(l, 5));
    socklen_t n = sizeof in;
    SHOW(getsockname(l, (struct sockaddr*)&in, &n));
    int k = socket(AF_INET, SOCK_STREAM, 0);
    SHOW(connect(k, (struct sockaddr*)&in, sizeof in));
    n = sizeof in;
    int acc = accept(l, (struct sockaddr*)&in, &n);
    SHOW(n);
    SHOW(send(k, "hello", 5, MSG_NOSIGNAL));
    SHOW(recv(acc, got, 5, MSG_WAITALL));
    struct timeval tv = {1, 500000}, back;
    n = sizeof back;
    SHOW(setsockopt(k, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
    SHOW(getsockopt(k, SOL_SOCKET, SO_RCVTIMEO, &back, &n));
    printf("timeout %ld %ld\n", (long)back.tv_sec, (long)back.tv_usec);
    int type = 0;
    n = sizeof type;
    SHOW(getsockopt(k, SOL_SOCKET, SO_TYPE, &type, &n));
    printf("type %d\n", type);
    SHOW(shutdown(k, SHUT_WR));
    SHOW(recv(acc, got, 5, 0));
    SHOW(connect(k, NULL, 5));
    struct mmsghdr mm[2] = {};
    struct iovec i2[2] = {{"one", 3}, {"three", 5}};
    mm[0].msg_hdr.msg_iov = &i2[0], mm[0].msg_hdr.msg_iovlen = 1;
    mm[1].msg_hdr.msg_iov = &i2[1], mm[1].msg_hdr.msg_iovlen = 1;
    int dg[2];
    SHOW(socketpair(AF_UNIX, SOCK_DGRAM, 0, dg));
    SHOW(sendmmsg(dg[0], mm, 2, 0));
    printf("lens %u %u\n", mm[0].msg_len, mm[1].msg_len);
    i2[0] = (struct iovec){got, 16}, i2[1] = (struct iovec){got + 16, 16};
    SHOW(recvmmsg(dg[1], mm, 2, MSG_DONTWAIT, NULL));
    printf("lens %u %u\n", mm[0].msg_len, mm[1].msg_len);
}

static void processes(char** argv) {
    struct utsname u;
    SHOW(uname(&u));
    printf("%s\n", u.sysname);
    struct rlimit rl = {};
    SHOW(getrlimit(RLIMIT_NOFILE, &rl));
    printf("nofile %d\n", rl.rlim_cur > 0);
    struct rusage ru;
    SHOW(getrusage(RUSAGE_SELF, &ru));
    struct sysinfo si;
    SHOW(sysinfo(&si));
    printf("ram %d unit %u\n", si.totalram > 1000, si.mem_unit);
    struct tms tm;
    SHOW(times(&tm) != -1);
    cpu_set_t cpus;
    SHOW(sched_getaffinity(0, sizeof cpus, &cpus));
    char name[17] = "";
    SHOW(prctl(PR_SET_NAME, "a-name"));
    SHOW(prctl(PR_GET_NAME, name));
    printf("%s\n", name);
    SHOW(getpgid(0) == getpgrp());
    SHOW(getsid(0) > 0);
    SHOW(getppid() > 0);
    int fds[2];
    if (pipe2(fds, O_CLOEXEC)) return;
    posix_spawn_file_actions_t fa;
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, fds[1], 1);
    pid_t pid;
    char* args[] = {argv[0], "child", "x y", NULL};
    SHOW(posix_spawn(&pid, "/proc/self/exe", &fa, NULL, args, environ));
    close(fds[1]);
    char out[200] = "";
    for (long n, at = 0; (n = read(fds[0], out + at, sizeof out - 1 - at)) > 0;) at += n;
    int status;
    SHOW(waitpid(pid, &status, 0) == pid);
    printf("child said '%s' status %x\n", out, status);
    SHOW(posix_spawn(&pid, "/does/not/exist", NULL, NULL, args, environ));
    pid = vfork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", "exit 42", (char*)0);
        _exit(1);
    }
    waitpid(pid, &status, 0);
    printf("sh exit %d\n", WEXITSTATUS(status));
    FILE* p = popen("echo from the shell; echo $0", "r");
    while (fgets(out, sizeof out, p)) printf("popen: %s", out);
    SHOW(pclose(p));
    SHOW(execl("/etc/passwd", "x", (char*)0));
    SHOW(execl("/tmp", "x", (char*)0));
    SHOW(kill(99999999, 0));
    SHOW(syscall(9999));
}

static void ipc(void) {
    int id = shmget(IPC_PRIVATE, 8192, 0600);
    int* p = shmat(id, NULL, 0);
    p[5] = 99;
    int* q = shmat(id, NULL, SHM_RDONLY);
    printf("shm %d\n", q[5]);
    struct shmid_ds ds;
    SHOW(shmctl(id, IPC_STAT, &ds));
    printf("segsz %ld nattch %ld\n", (long)ds.shm_segsz, (long)ds.shm_nattch);
    SHOW(shmdt(p));
    SHOW(shmdt(p));
    SHOW(shmdt(q));
    SHOW(shmctl(id, IPC_RMID, NULL));
    int sem = semget(IPC_PRIVATE, 2, 0600);
    unsigned short all[2] = {3, 4};
    union semun {
        int val;
        unsigned short* array;
        struct semid_ds* buf;
    } arg = {.array = all};
    SHOW(semctl(sem, 0, SETALL, arg));
    struct sembuf op = {1, -2, 0};
    SHOW(semop(sem, &op, 1));
    SHOW(semctl(sem, 1, GETVAL));
    struct semid_ds sds;
    arg.buf = &sds;
    SHOW(semctl(sem, 0, IPC_STAT, arg));
    printf("nsems %ld\n", (long)sds.sem_nsems);
    SHOW(semctl(sem, 0, IPC_RMID));
    int q2 = msgget(IPC_PRIVATE, 0600);
    struct {
        long type;
        char text[16];
    } msg = {7, "message"};
    SHOW(msgsnd(q2, &msg, 8, 0));
    memset(&msg, 0, sizeof msg);
    SHOW(msgrcv(q2, &msg, 16, 7, IPC_NOWAIT));
    printf("%ld %s\n", msg.type, msg.text);
    SHOW(msgctl(q2, IPC_RMID, NULL));
}

int main(int argc, char** argv) {
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc > 1 && !strcmp(argv[1], "child")) {
        printf("child %s", argv[2]);
        return 3;
    }
    files(), memory(), waiting(), sockets(), processes(argv), ipc();
    return 0;
}
