// The calls that only older tables have, made from their newer forms. Sources: the manual pages of the older forms.
#include "user/linux/calls/handlers.hpp"
#include <cerrno>
#include <csignal>
#include <ctime>
#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>

namespace mimic::user {
namespace {

constexpr u64 here = u64(i64(AT_FDCWD));

// The row of another call, by the host's number.
const CallRow& row_of(i32 host) {
    for (const CallRow& row : all_calls())
        if (row.host == host) return row;
    __builtin_unreachable();
}

i64 as(Thread& t, i32 host, u64 a = 0, u64 b = 0, u64 c = 0, u64 d = 0, u64 e = 0, u64 f = 0) {
    const CallRow& row = row_of(host);
    return row.handler(t, Args{{a, b, c, d, e, f}, 0, &row});
}

} // namespace

i64 old_open(Thread& t, const Args& a) { return as(t, SYS_openat, here, a[0], a[1], a[2]); }
i64 old_creat(Thread& t, const Args& a) { return as(t, SYS_openat, here, a[0], O_CREAT | O_WRONLY | O_TRUNC, a[1]); }
i64 old_stat(Thread& t, const Args& a) { return as(t, SYS_newfstatat, here, a[0], a[1], 0); }
i64 old_lstat(Thread& t, const Args& a) { return as(t, SYS_newfstatat, here, a[0], a[1], AT_SYMLINK_NOFOLLOW); }
i64 old_access(Thread& t, const Args& a) { return as(t, SYS_faccessat, here, a[0], a[1]); }
i64 old_readlink(Thread& t, const Args& a) { return as(t, SYS_readlinkat, here, a[0], a[1], a[2]); }
i64 old_mkdir(Thread& t, const Args& a) { return as(t, SYS_mkdirat, here, a[0], a[1]); }
i64 old_rmdir(Thread& t, const Args& a) { return as(t, SYS_unlinkat, here, a[0], AT_REMOVEDIR); }
i64 old_unlink(Thread& t, const Args& a) { return as(t, SYS_unlinkat, here, a[0], 0); }
i64 old_link(Thread& t, const Args& a) { return as(t, SYS_linkat, here, a[0], here, a[1], 0); }
i64 old_symlink(Thread& t, const Args& a) { return as(t, SYS_symlinkat, a[0], here, a[1]); }
i64 old_rename(Thread& t, const Args& a) { return as(t, SYS_renameat, here, a[0], here, a[1]); }
i64 old_chmod(Thread& t, const Args& a) { return as(t, SYS_fchmodat, here, a[0], a[1]); }
i64 old_pipe(Thread& t, const Args& a) { return as(t, SYS_pipe2, a[0], 0); }
i64 old_epoll_wait(Thread& t, const Args& a) { return as(t, SYS_epoll_pwait, a[0], a[1], a[2], a[3], 0, 8); }
i64 old_epoll_create(Thread& t, const Args& a) { return a.i(0) <= 0 ? -EINVAL : as(t, SYS_epoll_create1, 0); }
i64 old_eventfd(Thread& t, const Args& a) { return as(t, SYS_eventfd2, a[0], 0); }
i64 old_getpgrp(Thread& t, const Args&) { return as(t, SYS_getpgid, 0); }
i64 old_fork(Thread& t, const Args&) { return as(t, SYS_clone, SIGCHLD); }
i64 old_vfork(Thread& t, const Args&) { return as(t, SYS_clone, CLONE_VM | CLONE_VFORK | SIGCHLD); }

// dup3 refuses equal descriptors; dup2 gives the descriptor back when it is open.
i64 old_dup2(Thread& t, const Args& a) {
    if (a.i(0) != a.i(1)) return as(t, SYS_dup3, a[0], a[1], 0);
    i64 r = t.syscall(SYS_fcntl, a.i(0), F_GETFD);
    return r < 0 ? r : a.i(0);
}

i64 old_time(Thread& t, const Args& a) {
    i64 now = ::time(nullptr);
    return a[0] == 0 || t.write(S::slong, a[0], &now) ? now : -EFAULT;
}

} // namespace mimic::user
