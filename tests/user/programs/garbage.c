// Every system call with arguments that make no sense: what it says must be what Linux says natively. Calls that would end
// the process, act on the machine or on others, or wait for ever are left out, and what a translator can't give in the same words; so is renameat, which riscv64 lacks.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct call {
    const char* name;
    int number;
};
// Numbers from 424 on are the same everywhere; headers may be older than the table.
static const struct call calls[] = {
    {"io_setup", SYS_io_setup},
    {"io_destroy", SYS_io_destroy},
    {"io_submit", SYS_io_submit},
    {"io_cancel", SYS_io_cancel},
    {"io_getevents", SYS_io_getevents},
    {"setxattr", SYS_setxattr},
    {"lsetxattr", SYS_lsetxattr},
    {"fsetxattr", SYS_fsetxattr},
    {"getxattr", SYS_getxattr},
    {"lgetxattr", SYS_lgetxattr},
    {"fgetxattr", SYS_fgetxattr},
    {"listxattr", SYS_listxattr},
    {"llistxattr", SYS_llistxattr},
    {"flistxattr", SYS_flistxattr},
    {"removexattr", SYS_removexattr},
    {"lremovexattr", SYS_lremovexattr},
    {"fremovexattr", SYS_fremovexattr},
    {"getcwd", SYS_getcwd},
    {"lookup_dcookie", SYS_lookup_dcookie},
    {"eventfd2", SYS_eventfd2},
    {"epoll_create1", SYS_epoll_create1},
    {"epoll_ctl", SYS_epoll_ctl},
    {"epoll_pwait", SYS_epoll_pwait},
    {"dup", SYS_dup},
    {"dup3", SYS_dup3},
    {"fcntl", SYS_fcntl},
    {"inotify_init1", SYS_inotify_init1},
    {"inotify_add_watch", SYS_inotify_add_watch},
    {"inotify_rm_watch", SYS_inotify_rm_watch},
    {"ioctl", SYS_ioctl},
    {"ioprio_get", SYS_ioprio_get},
    {"flock", SYS_flock},
    {"mknodat", SYS_mknodat},
    {"mkdirat", SYS_mkdirat},
    {"unlinkat", SYS_unlinkat},
    {"symlinkat", SYS_symlinkat},
    {"linkat", SYS_linkat},
    {"umount2", SYS_umount2},
    {"mount", SYS_mount},
    {"pivot_root", SYS_pivot_root},
    {"statfs", SYS_statfs},
    {"fstatfs", SYS_fstatfs},
    {"truncate", SYS_truncate},
    {"ftruncate", SYS_ftruncate},
    {"fallocate", SYS_fallocate},
    {"faccessat", SYS_faccessat},
    {"chdir", SYS_chdir},
    {"fchdir", SYS_fchdir},
    {"chroot", SYS_chroot},
    {"fchmod", SYS_fchmod},
    {"fchmodat", SYS_fchmodat},
    {"fchownat", SYS_fchownat},
    {"fchown", SYS_fchown},
    {"openat", SYS_openat},
    {"close", SYS_close},
    {"pipe2", SYS_pipe2},
    {"quotactl", SYS_quotactl},
    {"getdents64", SYS_getdents64},
    {"lseek", SYS_lseek},
    {"read", SYS_read},
    {"write", SYS_write},
    {"readv", SYS_readv},
    {"writev", SYS_writev},
    {"pread64", SYS_pread64},
    {"pwrite64", SYS_pwrite64},
    {"preadv", SYS_preadv},
    {"pwritev", SYS_pwritev},
    {"sendfile", SYS_sendfile},
    {"pselect6", SYS_pselect6},
    {"ppoll", SYS_ppoll},
    {"signalfd4", SYS_signalfd4},
    {"vmsplice", SYS_vmsplice},
    {"splice", SYS_splice},
    {"tee", SYS_tee},
    {"readlinkat", SYS_readlinkat},
    {"newfstatat", SYS_newfstatat},
    {"fstat", SYS_fstat},
    {"fsync", SYS_fsync},
    {"fdatasync", SYS_fdatasync},
    {"sync_file_range", SYS_sync_file_range},
    {"timerfd_create", SYS_timerfd_create},
    {"timerfd_settime", SYS_timerfd_settime},
    {"timerfd_gettime", SYS_timerfd_gettime},
    {"utimensat", SYS_utimensat},
    {"capget", SYS_capget},
    {"capset", SYS_capset},
    {"waitid", SYS_waitid},
    {"set_tid_address", SYS_set_tid_address},
    {"unshare", SYS_unshare},
    {"futex", SYS_futex},
    {"set_robust_list", SYS_set_robust_list},
    {"nanosleep", SYS_nanosleep},
    {"getitimer", SYS_getitimer},
    {"setitimer", SYS_setitimer},
    {"timer_create", SYS_timer_create},
    {"timer_gettime", SYS_timer_gettime},
    {"timer_getoverrun", SYS_timer_getoverrun},
    {"timer_settime", SYS_timer_settime},
    {"timer_delete", SYS_timer_delete},
    {"clock_gettime", SYS_clock_gettime},
    {"clock_getres", SYS_clock_getres},
    {"clock_nanosleep", SYS_clock_nanosleep},
    {"sched_setparam", SYS_sched_setparam},
    {"sched_setscheduler", SYS_sched_setscheduler},
    {"sched_getscheduler", SYS_sched_getscheduler},
    {"sched_getparam", SYS_sched_getparam},
    {"sched_setaffinity", SYS_sched_setaffinity},
    {"sched_getaffinity", SYS_sched_getaffinity},
    {"sched_get_priority_max", SYS_sched_get_priority_max},
    {"sched_get_priority_min", SYS_sched_get_priority_min},
    {"sched_rr_get_interval", SYS_sched_rr_get_interval},
    {"sigaltstack", SYS_sigaltstack},
    {"rt_sigsuspend", SYS_rt_sigsuspend},
    {"rt_sigaction", SYS_rt_sigaction},
    {"rt_sigprocmask", SYS_rt_sigprocmask},
    {"rt_sigpending", SYS_rt_sigpending},
    {"rt_sigtimedwait", SYS_rt_sigtimedwait},
    {"getpriority", SYS_getpriority},
    {"setregid", SYS_setregid},
    {"setgid", SYS_setgid},
    {"setreuid", SYS_setreuid},
    {"setuid", SYS_setuid},
    {"setresuid", SYS_setresuid},
    {"getresuid", SYS_getresuid},
    {"setresgid", SYS_setresgid},
    {"getresgid", SYS_getresgid},
    {"setfsuid", SYS_setfsuid},
    {"setfsgid", SYS_setfsgid},
    {"times", SYS_times},
    {"getpgid", SYS_getpgid},
    {"getsid", SYS_getsid},
    {"getgroups", SYS_getgroups},
    {"setgroups", SYS_setgroups},
    {"uname", SYS_uname},
    {"getrlimit", SYS_getrlimit},
    {"setrlimit", SYS_setrlimit},
    {"getrusage", SYS_getrusage},
    {"prctl", SYS_prctl},
    {"getcpu", SYS_getcpu},
    {"gettimeofday", SYS_gettimeofday},
    {"adjtimex", SYS_adjtimex},
    {"getpid", SYS_getpid},
    {"getppid", SYS_getppid},
    {"getuid", SYS_getuid},
    {"geteuid", SYS_geteuid},
    {"getgid", SYS_getgid},
    {"getegid", SYS_getegid},
    {"gettid", SYS_gettid},
    {"sysinfo", SYS_sysinfo},
    {"mq_open", SYS_mq_open},
    {"mq_unlink", SYS_mq_unlink},
    {"mq_timedsend", SYS_mq_timedsend},
    {"mq_timedreceive", SYS_mq_timedreceive},
    {"mq_notify", SYS_mq_notify},
    {"mq_getsetattr", SYS_mq_getsetattr},
    {"msgsnd", SYS_msgsnd},
    {"semtimedop", SYS_semtimedop},
    {"semop", SYS_semop},
    {"shmat", SYS_shmat},
    {"shmdt", SYS_shmdt},
    {"socket", SYS_socket},
    {"socketpair", SYS_socketpair},
    {"bind", SYS_bind},
    {"listen", SYS_listen},
    {"accept", SYS_accept},
    {"connect", SYS_connect},
    {"getsockname", SYS_getsockname},
    {"getpeername", SYS_getpeername},
    {"sendto", SYS_sendto},
    {"recvfrom", SYS_recvfrom},
    {"setsockopt", SYS_setsockopt},
    {"getsockopt", SYS_getsockopt},
    {"shutdown", SYS_shutdown},
    {"sendmsg", SYS_sendmsg},
    {"recvmsg", SYS_recvmsg},
    {"readahead", SYS_readahead},
    {"munmap", SYS_munmap},
    {"add_key", SYS_add_key},
    {"request_key", SYS_request_key},
    {"keyctl", SYS_keyctl},
    {"execve", SYS_execve},
    {"mmap", SYS_mmap},
    {"fadvise64", SYS_fadvise64},
    {"mprotect", SYS_mprotect},
    {"msync", SYS_msync},
    {"mlock", SYS_mlock},
    {"munlock", SYS_munlock},
    {"mincore", SYS_mincore},
    {"madvise", SYS_madvise},
    {"mbind", SYS_mbind},
    {"get_mempolicy", SYS_get_mempolicy},
    {"set_mempolicy", SYS_set_mempolicy},
    {"accept4", SYS_accept4},
    {"recvmmsg", SYS_recvmmsg},
    {"wait4", SYS_wait4},
    {"fanotify_init", SYS_fanotify_init},
    {"fanotify_mark", SYS_fanotify_mark},
    {"name_to_handle_at", SYS_name_to_handle_at},
    {"open_by_handle_at", SYS_open_by_handle_at},
    {"clock_adjtime", SYS_clock_adjtime},
    {"setns", SYS_setns},
    {"sendmmsg", SYS_sendmmsg},
    {"process_vm_readv", SYS_process_vm_readv},
    {"process_vm_writev", SYS_process_vm_writev},
    {"sched_setattr", SYS_sched_setattr},
    {"sched_getattr", SYS_sched_getattr},
    {"renameat2", SYS_renameat2},
    {"getrandom", SYS_getrandom},
    {"memfd_create", SYS_memfd_create},
    {"execveat", SYS_execveat},
    {"membarrier", SYS_membarrier},
    {"mlock2", SYS_mlock2},
    {"copy_file_range", SYS_copy_file_range},
    {"preadv2", SYS_preadv2},
    {"pwritev2", SYS_pwritev2},
    {"statx", SYS_statx},
    {"io_pgetevents", SYS_io_pgetevents},
    {"pidfd_send_signal", 424},
    {"open_tree", 428},
    {"move_mount", 429},
    {"fsopen", 430},
    {"fsconfig", 431},
    {"fsmount", 432},
    {"fspick", 433},
    {"pidfd_open", 434},
    {"close_range", 436},
    {"openat2", 437},
    {"pidfd_getfd", 438},
    {"faccessat2", 439},
    {"epoll_pwait2", 441},
    {"mount_setattr", 442},
    {"quotactl_fd", 443},
    {"memfd_secret", 447},
    {"futex_waitv", 449},
    {"set_mempolicy_home_node", 450},
    {"cachestat", 451},
    {"fchmodat2", 452},
    {"futex_wake", 454},
    {"futex_wait", 455},
    {"futex_requeue", 456},
    {"statmount", 457},
    {"listmount", 458},
    {"lsm_get_self_attr", 459},
    {"lsm_set_self_attr", 460},
    {"lsm_list_modules", 461},
    {"setxattrat", 463},
    {"getxattrat", 464},
    {"listxattrat", 465},
    {"removexattrat", 466},
    {"open_tree_attr", 467},
    {"file_getattr", 468},
    {"file_setattr", 469},
};

enum { minus, null, low, high, file, patterns };
static const char* const names[] = {"-1", "0", "low", "high", "file"};

static long value(int pattern, int n, int fd) {
    switch (pattern) {
    case minus: return -1;
    case null: return 0;
    case low: return 8;                          // an address that nobody has mapped
    case high: return (long)0xffff800000000000u; // the kernel's
    default: return n == 0 ? fd : 8;
    }
}

// In a child: what the call does to the process is over with it.
static void try(const struct call* c, int pattern, int fd) {
    int result[2] = {0, 0}, told[2], status;
    if (pattern == null && (c->number == SYS_ppoll || c->number == SYS_pselect6)) return; // no end of waiting
    if (pipe(told)) return;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(20);
        long a[6];
        for (int i = 0; i < 6; i++) a[i] = value(pattern, i, fd);
        errno = 0;
        long r = syscall(c->number, a[0], a[1], a[2], a[3], a[4], a[5]);
        result[0] = r < 0 && r > -4096 ? -1 : 0;
        result[1] = errno;
        if (write(told[1], result, sizeof result) < 0) _exit(1);
        _exit(0);
    }
    close(told[1]);
    long n = read(told[0], result, sizeof result);
    close(told[0]);
    waitpid(pid, &status, 0);
    printf("%s(%s): ", c->name, names[pattern]);
    if (n != sizeof result)
        printf("ends with %x\n", status);
    else
        printf("%s\n", result[0] ? strerrorname_np(result[1]) : "done");
}

int main(void) {
    int fd = memfd_create("file", 0); // ours alone, with 0 for standard input: some of the calls succeed
    if (fd < 0 || dup2(fd, 0) < 0) return 1;
    for (unsigned n = 0; n < sizeof calls / sizeof calls[0]; n++)
        for (int pattern = 0; pattern < patterns; pattern++) try(&calls[n], pattern, fd);
    return 0;
}
