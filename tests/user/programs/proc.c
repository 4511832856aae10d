// /proc and /sys tell of this program and its machine, and agree with themselves: proc(5).
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static char text[1 << 20];
static const char* read_file(const char* path) {
    int fd = open(path, O_RDONLY);
    long all = 0, n;
    while (fd >= 0 && (n = read(fd, text + all, sizeof text - 1 - all)) > 0) all += n;
    text[all] = 0;
    if (fd >= 0) close(fd);
    return fd < 0 ? NULL : text;
}
// The number behind "Name:" in a file like status.
static long number(const char* path, const char* name) {
    if (!read_file(path)) return -1;
    for (char* line = text; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
            return strtol(line + strlen(name) + 1, NULL, 0);
    return -1;
}
static uint64_t mask(const char* path, const char* name) {
    char key[64];
    snprintf(key, sizeof key, "%s:", name);
    const char* at = read_file(path) ? strstr(text, key) : NULL;
    return at ? strtoull(at + strlen(key), NULL, 16) : 0;
}
static void say(const char* what, int yes) { printf("%s: %s\n", what, yes ? "yes" : "no"); }

// One area of smaps: its first line, and numbers by name.
static int area_of(const void* address, char line[512]) {
    read_file("/proc/self/smaps");
    for (char* at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
        unsigned long low, high;
        char permissions[5];
        if (sscanf(at, "%lx-%lx %4s", &low, &high, permissions) == 3 && (unsigned long)address >= low &&
            (unsigned long)address < high) {
            snprintf(line, 512, "%.*s", (int)(strchr(at, '\n') - at), at);
            memmove(text, strchr(at, '\n') + 1, strlen(strchr(at, '\n') + 1) + 1);
            return 1;
        }
    }
    return 0;
}
static long of_area(const char* name) {
    for (char* at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
        if (!strncmp(at, name, strlen(name)) && at[strlen(name)] == ':') return strtol(at + strlen(name) + 1, NULL, 10);
        if (!strncmp(at, "VmFlags", 7)) break;
    }
    return -1;
}

static void smaps(void) {
    char line[512];
    long size = 1 << 20, page = sysconf(_SC_PAGESIZE);
    char* hole = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char* p = hole + page;
    mprotect(p, size, PROT_READ | PROT_WRITE);
    madvise(p, size, MADV_NOHUGEPAGE);
    for (long i = 0; i < size / 2; i += page) p[i] = 1;
    say("an area of ours", area_of(p, line) && strstr(line, " rw-p 00000000 00:00 0"));
    printf("Size %ld Rss %ld Private_Dirty %ld Anonymous %ld Shared_Clean %ld KernelPageSize %d\n", of_area("Size"),
           of_area("Rss"), of_area("Private_Dirty"), of_area("Anonymous"), of_area("Shared_Clean"),
           of_area("KernelPageSize") == page / 1024);
    say("rd wr", strstr(text, "VmFlags: rd wr mr mw me") != NULL);
    say("guard", area_of(hole, line) && strstr(line, "---p") && of_area("Size") == page / 1024 && of_area("Rss") == 0);
    say("code", area_of((void*)smaps, line) && strstr(line, " r-xp ") && strstr(line, "proc") &&
                    strstr(text, "VmFlags: rd ex"));
    say("stack", area_of(line, line) && strstr(line, "[stack]") && of_area("Rss") > 0);
    long rss = 0, pss = 0;
    read_file("/proc/self/smaps");
    for (char* at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
        if (!strncmp(at, "Rss:", 4)) rss += strtol(at + 4, NULL, 10);
        if (!strncmp(at, "Pss:", 4)) pss += strtol(at + 4, NULL, 10);
    }
    long rolled = number("/proc/self/smaps_rollup", "Rss");
    say("smaps_rollup", strstr(text, "[rollup]\n") && labs(rolled - rss) < 256 &&
                            labs(number("/proc/self/smaps_rollup", "Pss") - pss) < 256);
    munmap(hole, size + 2 * page);
}

static void sizes(void) {
    unsigned long mapped = 0, low, high;
    FILE* f = fopen("/proc/self/maps", "r");
    char line[512];
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%lx-%lx", &low, &high) == 2 && low < 1ul << 63 && !strstr(line, "[vsyscall]"))
            mapped += high - low;
    fclose(f);
    long kib = mapped / 1024, page = sysconf(_SC_PAGESIZE) / 1024;
    say("VmSize is what maps has", labs(number("/proc/self/status", "VmSize") - kib) < 64);
    unsigned long size, resident;
    read_file("/proc/self/statm");
    sscanf(text, "%lu %lu", &size, &resident);
    say("statm", labs((long)(size * page) - kib) < 64 && resident > 0 && resident <= size);
    unsigned long vsize = 0;
    read_file("/proc/self/stat");
    sscanf(strrchr(text, ')') + 2,
           "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %*u %lu", &vsize);
    say("stat", labs((long)(vsize / 1024) - kib) < 64);
    say("VmRSS <= VmSize", number("/proc/self/status", "VmRSS") <= number("/proc/self/status", "VmSize"));
    say("stack and data", number("/proc/self/status", "VmStk") > 0 && number("/proc/self/status", "VmData") > 0);
}

static void handler(int s) {}
static void signals(void) {
    sigset_t set;
    signal(SIGUSR1, handler);
    signal(SIGUSR2, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigaddset(&set, SIGSEGV);
    sigprocmask(SIG_SETMASK, &set, NULL);
    printf("SigBlk %lx SigIgn %lx SigCgt %lx\n", (long)mask("/proc/self/status", "SigBlk"),
           (long)mask("/proc/self/status", "SigIgn"), (long)mask("/proc/self/status", "SigCgt"));
    sigemptyset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
}

static int told[2], go_on[2];
static volatile int tid;
static void* thread(void* argument) {
    char byte;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    prctl(PR_SET_NAME, "the second");
    tid = (int)syscall(SYS_gettid);
    say("thread-self", number("/proc/thread-self/status", "Pid") == tid);
    write(told[1], "", 1);
    read(go_on[0], &byte, 1);
    return argument;
}
static void threads(void) {
    pthread_t t;
    char path[64], byte;
    int number_of_call = -1, fd = -1;
    pipe(told), pipe(go_on);
    pthread_create(&t, NULL, thread, NULL);
    read(told[0], &byte, 1);
    say("two threads", number("/proc/self/status", "Threads") == 2);
    snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    say("its status",
        number(path, "Pid") == tid && number(path, "Tgid") == getpid() && mask(path, "SigBlk") == 1ul << (SIGTERM - 1));
    say("its name", strstr(text, "Name:\tthe second\n") != NULL);
    snprintf(path, sizeof path, "/proc/%d/task/%d/comm", getpid(), tid);
    printf("comm: %s", read_file(path));
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    read_file(path);
    say("its stat", atoi(text) == tid && strstr(text, " (the second) "));
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
    for (int i = 0; i < 1000 && number_of_call != SYS_read; i++)
        if (read_file(path) && sscanf(text, "%d 0x%x", &number_of_call, &fd) != 2) number_of_call = -1;
    if (getuid() == 0)
        say("it reads", number_of_call == SYS_read && fd == go_on[0]);
    else
        printf("it reads: yes\n");
    snprintf(path, sizeof path, "/proc/self/task/%d/maps", tid);
    say("its maps", read_file(path) && strstr(text, "[stack]"));
    say("nobody's", read_file("/proc/self/task/1/status") == NULL && errno == ENOENT);
    write(go_on[1], "", 1);
    pthread_join(t, NULL);
    prctl(PR_SET_NAME, "a (name) of it");
    read_file("/proc/self/stat");
    say("renamed", strstr(text, " (a (name) of it) ") != NULL);
}

static void limits(void) {
    struct rlimit as = {1ul << 34, 1ul << 35}, data = {1ul << 33, RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &as);
    setrlimit(RLIMIT_DATA, &data);
    read_file("/proc/self/limits");
    for (char* line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (!strncmp(line, "Max data", 8) || !strncmp(line, "Max addr", 8)) printf("%s|\n", line);
}

static void machine(void) {
    long processors = 0;
    read_file("/proc/cpuinfo");
    for (char* at = text; (at = strstr(at, "processor\t:")) != NULL; at++) processors++;
    say("cpuinfo has the processors that are online", processors == sysconf(_SC_NPROCESSORS_ONLN));
#if defined(__aarch64__)
    unsigned long told, midr;
    __asm__("mrs %0, midr_el1" : "=r"(midr));
    read_file("/sys/devices/system/cpu/cpu0/regs/identification/midr_el1");
    told = strtoul(text, NULL, 0);
    read_file("/proc/cpuinfo");
    char part[64];
    snprintf(part, sizeof part, "CPU part\t: 0x%03lx\n", midr >> 4 & 0xfff);
    say("midr_el1", told == midr && strstr(text, part));
    say("of no processor", !read_file("/sys/devices/system/cpu/cpu9999/regs/identification/midr_el1"));
#else
    say("midr_el1", 1);
    say("of no processor", 1);
#endif
}

static void directories(void) {
    int self = open("/proc/self", O_PATH | O_DIRECTORY), n;
    char by_descriptor[4096], link[4096];
    int fd = openat(self, "cmdline", O_RDONLY);
    n = read(fd, by_descriptor, sizeof by_descriptor);
    read_file("/proc/self/cmdline");
    say("cmdline by a descriptor", n > 0 && !memcmp(text, by_descriptor, n) && strstr(text, "proc"));
    n = readlinkat(self, "exe", link, sizeof link - 1);
    link[n > 0 ? n : 0] = 0;
    say("exe by a descriptor", strstr(link, "proc") && !strstr(link, "mimic"));
    fd = openat(self, "status", O_RDONLY);
    say("status by a descriptor", fd >= 0);
}

static unsigned long in_stack;
// Does it tell of this program's stack?
static int tells_maps(int fd) {
    static char all[1 << 20];
    long n, size = 0;
    while (fd >= 0 && (n = read(fd, all + size, sizeof all - 1 - size)) > 0) size += n;
    if (fd >= 0) close(fd);
    all[size] = 0;
    for (char* line = all; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        unsigned long low, high;
        if (sscanf(line, "%lx-%lx", &low, &high) == 2 && in_stack >= low && in_stack < high)
            return !strncmp(line + strcspn(line, "\n") - 7, "[stack]", 7);
    }
    return 0;
}
static int tells_exe(int directory, const char* path) {
    char link[4096];
    int n = readlinkat(directory, path, link, sizeof link - 1);
    link[n > 0 ? n : 0] = 0;
    return strstr(link, "proc") && !strstr(link, "mimic");
}
static void* of_thread(void* nothing) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)syscall(SYS_gettid));
    say("maps of a thread as a process", tells_maps(open(path, O_RDONLY)));
    return nothing;
}
// By whatever path a file is found it is the same.
static void ways(void) {
    static const char* const paths[] = {"/proc//self/maps",        "//proc/self/maps",
                                        "/proc/./self/./maps",     "/proc/thread-self/maps",
                                        "/proc/self/../self/maps", "/proc/self/root/proc/self/maps"};
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++)
        printf("%s: %s\n", paths[i], tells_maps(open(paths[i], O_RDONLY)) ? "yes" : "no");
    char work[] = "/tmp/mimic-proc-XXXXXX", before[4096];
    getcwd(before, sizeof before);
    if (!mkdtemp(work) || chdir(work)) abort();
    symlink("/proc/self/maps", "link");
    say("a link", tells_maps(open("link", O_RDONLY)));
    char whole[64];
    snprintf(whole, sizeof whole, "%s/link", work);
    say("a link, by its whole path", tells_maps(open(whole, O_RDONLY)));
    say("and again", tells_maps(open(whole, O_RDONLY)));
    unlink("link");
    rmdir(work);
    chdir("/proc/self");
    say("maps", tells_maps(open("maps", O_RDONLY)));
    say("./maps", tells_maps(open("./maps", O_RDONLY)));
    say("exe", tells_exe(AT_FDCWD, "exe"));
    chdir(before);
    int self = open("/proc/self", O_PATH | O_DIRECTORY);
    say("openat ./maps", tells_maps(openat(self, "./maps", O_RDONLY)));
    say("readlinkat ./exe", tells_exe(self, "./exe"));
    say("//proc/self/exe", tells_exe(AT_FDCWD, "//proc/self/exe"));
    struct {
        uint64_t flags, mode, resolve;
    } how = {O_RDONLY, 0, 4 | 2}; // RESOLVE_NO_SYMLINKS, RESOLVE_NO_MAGICLINKS
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/maps", getpid());
    say("openat2", tells_maps(syscall(437, AT_FDCWD, path, &how, sizeof how)));
    close(self);
    pthread_t t;
    pthread_create(&t, NULL, of_thread, NULL);
    pthread_join(t, NULL);
}
static void opened_with(const char* what, int flags) {
    char byte;
    errno = 0;
    int fd = open("/proc/self/maps", flags);
    printf("maps, %s: %s", what, fd < 0 ? strerrorname_np(errno) : "open");
    if (fd >= 0) {
        printf(", mode %d, cloexec %d", fcntl(fd, F_GETFL) & O_ACCMODE, fcntl(fd, F_GETFD));
        printf(", read %s", read(fd, &byte, 1) == 1 ? "done" : strerrorname_np(errno));
        printf(", write %s", write(fd, "x", 1) == 1 ? "done" : strerrorname_np(errno));
        close(fd);
    }
    printf("\n");
}
static void flags(void) {
    opened_with("nothing", O_RDONLY);
    opened_with("O_CLOEXEC", O_RDONLY | O_CLOEXEC);
    opened_with("O_DIRECTORY", O_RDONLY | O_DIRECTORY);
    opened_with("O_CREAT | O_EXCL", O_RDONLY | O_CREAT | O_EXCL);
    opened_with("O_NOFOLLOW", O_RDONLY | O_NOFOLLOW);
    int first = open("/", O_PATH), second;
    close(first);
    second = open("/proc/self/status", O_RDONLY);
    say("the lowest descriptor", first == second);
    close(second);
}

// stat has the signals of status, as far as a number there goes.
static void stat_signals(void) {
    sigset_t set;
    unsigned long in_stat[4];
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pthread_kill(pthread_self(), SIGUSR1);
    read_file("/proc/self/stat");
    char* at = strrchr(text, ')');
    for (int field = 2; field < 31; field++) at = strchr(at + 1, ' ');
    sscanf(at, "%lu %lu %lu %lu", &in_stat[0], &in_stat[1], &in_stat[2], &in_stat[3]);
    static const char* const names[] = {"SigPnd", "SigBlk", "SigIgn", "SigCgt"};
    for (int i = 0; i < 4; i++)
        printf("%s %lx, in stat %lx\n", names[i], (long)mask("/proc/self/status", names[i]) & 0x7fffffff, in_stat[i]);
    signal(SIGUSR1, SIG_IGN);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    printf("NoNewPrivs %ld\n", number("/proc/self/status", "NoNewPrivs"));
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    printf("NoNewPrivs %ld\n", number("/proc/self/status", "NoNewPrivs"));
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    in_stack = (unsigned long)__builtin_frame_address(0);
    smaps();
    sizes();
    signals();
    threads();
    limits();
    machine();
    directories();
    ways();
    flags();
    stat_signals();
    return 0;
}
