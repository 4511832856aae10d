// seccomp and prctl's forms of it: seccomp(2), prctl(2).
#include "user/linux/seccomp.hpp"
#include "user/linux/calls/handlers.hpp"
#include <cerrno>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

namespace mimic::user {
namespace {

using process::raw_syscall;
using Mode = SeccompState::Mode;

// With a filter of the host's around Mimic (a container's) the guest has that mode, as a native program would.
i64 mode_of(const Thread& t) {
    if (t.seccomp.mode() != Mode::none) return i64(t.seccomp.mode());
    i64 host = raw_syscall(SYS_prctl, PR_GET_SECCOMP);
    return host > 0 ? host : 0;
}

bool may_filter(Thread& t) {
    if (raw_syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS) == 1 || t.seccomp.no_new_privs_due) return true;
    if (t.process().pretends_ids()) return t.credentials.privileged();
    struct __user_cap_header_struct header {
        _LINUX_CAPABILITY_VERSION_3, 0
    };
    struct __user_cap_data_struct data[2] = {};
    if (raw_syscall(SYS_capget, u64(&header), u64(data)) < 0) return false;
    return data[0].effective >> CAP_SYS_ADMIN & 1;
}

i64 set_strict(Thread& t) {
    if (mode_of(t) == i64(Mode::filter)) return -EINVAL;
    t.seccomp.be_strict();
    return 0;
}

bool inherits(const SeccompFilter* newer, const SeccompFilter* old) {
    for (; newer; newer = newer->older.get())
        if (newer == old) return true;
    return old == nullptr;
}

// All threads of the process, or none and the id of one that has filters which the caller has not. members_lock is held.
i64 synchronise(Thread& t, std::shared_ptr<const SeccompFilter> filter) {
    const SeccompFilter* present = t.seccomp.filters();
    Process& p = t.process();
    if (!t.borrowed)
        for (Thread* other : p.members)
            if (other->seccomp.mode() == Mode::strict || !inherits(present, other->seccomp.filters()))
                return other->tid();
    const bool no_new_privs = raw_syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS) == 1;
    t.seccomp.install(filter);
    if (t.borrowed) return 0;
    for (Thread* other : p.members) {
        if (other == &t) continue;
        if (no_new_privs) other->seccomp.no_new_privs_due = true;
        other->seccomp.install(filter);
    }
    return 0;
}

i64 set_filter(Thread& t, u32 flags, u64 address) {
    constexpr u32 known = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW |
                          SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
    if (flags & ~known) return -EINVAL;
    SockFprog given;
    if (!t.read(S::sock_fprog, address, &given)) return -EFAULT;
    if (given.length == 0 || given.length > max_filter) return -EINVAL;
    if (!may_filter(t)) return -EACCES;
    std::vector<BpfInsn> program;
    if (!t.read_array(S::sock_filter, given.filter, program, given.length)) return -EFAULT;
    if (!check_filter(program) || t.seccomp.mode() == Mode::strict) return -EINVAL;
    // From what the filter comes behind to its place: another thread may put one on all of them.
    std::lock_guard guard(t.process().members_lock);
    auto filter = std::make_shared<const SeccompFilter>(t.seccomp.owner(), std::move(program));
    if (filter->cost > max_filter_cost) return -ENOMEM;
    if (flags & SECCOMP_FILTER_FLAG_TSYNC) {
        i64 other = synchronise(t, std::move(filter));
        return other && flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : other;
    }
    t.seccomp.install(std::move(filter));
    return 0;
}

i64 action_available(Thread& t, u64 address) {
    u32 action;
    if (!t.read(S::u32, address, &action)) return -EFAULT;
    switch (action) {
    case SECCOMP_RET_KILL_PROCESS:
    case SECCOMP_RET_KILL_THREAD:
    case SECCOMP_RET_TRAP:
    case SECCOMP_RET_ERRNO:
    case SECCOMP_RET_TRACE:
    case SECCOMP_RET_LOG:
    case SECCOMP_RET_ALLOW: return 0;
    default: return -EOPNOTSUPP; // SECCOMP_RET_USER_NOTIF: there are no listeners
    }
}

} // namespace

i64 sys_seccomp(Thread& t, const Args& a) {
    switch (a.u(0)) {
    case SECCOMP_SET_MODE_STRICT: return a.u(1) || a[2] ? -EINVAL : set_strict(t);
    case SECCOMP_SET_MODE_FILTER: return set_filter(t, a.u(1), a[2]);
    case SECCOMP_GET_ACTION_AVAIL: return a.u(1) ? -EINVAL : action_available(t, a[2]);
    default: return -EINVAL; // SECCOMP_GET_NOTIF_SIZES: as before Linux 5.0
    }
}

i64 prctl_seccomp(Thread& t, const Args& a) {
    if (a.i(0) == PR_GET_SECCOMP) return mode_of(t);
    if (a[1] == SECCOMP_MODE_STRICT) return set_strict(t);
    return a[1] == SECCOMP_MODE_FILTER ? set_filter(t, 0, a[2]) : -EINVAL;
}

} // namespace mimic::user
