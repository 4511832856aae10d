// Calls about signals. signal(7); the kernel's asm-generic/signal.h for the flags.
#include "user/linux/calls/import.hpp"
#include <cerrno>
#include <csignal>
#include <sys/syscall.h>

namespace mimic::user {
namespace {

using process::raw_syscall;

constexpr u32 siginfo_bytes = 128;

bool read_siginfo(Thread& t, u64 address, siginfo_t& info) {
    u8 raw[siginfo_bytes];
    if (!t.memory().read(address, raw, sizeof raw)) return false;
    siginfo_from_guest(t.abi(), raw, info);
    return true;
}

i64 queue(Thread& t, const Args& a, long number, u32 at) {
    siginfo_t info{};
    if (!read_siginfo(t, a[at + 1], info)) return -EFAULT;
    if (number == SYS_rt_sigqueueinfo) return t.syscall(number, a.i(0), a.i(1), &info);
    return t.syscall(number, a.i(0), a.i(1), a.i(2), &info);
}

} // namespace

i64 sys_rt_sigaction(Thread& t, const Args& a) {
    int signal = a.i(0);
    if (a[3] != 8) return -EINVAL;
    if (signal < 1 || signal > 64) return -EINVAL;
    SigAction wanted{};
    if (a[1] != 0) {
        if (!t.read(S::sigaction, a[1], &wanted)) return -EFAULT;
        if (signal == SIGKILL || signal == SIGSTOP) return -EINVAL;
        wanted.mask &= ~unblockable;
    }
    SigAction old;
    {
        // Blocked, so that a handler can't find the table locked by its own thread; the lock is short.
        std::lock_guard guard(t.signals().lock);
        old = t.signals().actions[signal];
        if (a[1] != 0) {
            t.signals().actions[signal] = wanted;
            set_host_disposition(signal, wanted);
        }
    }
    if (a[2] != 0 && !t.write(S::sigaction, a[2], &old)) return -EFAULT;
    return 0;
}

i64 sys_rt_sigprocmask(Thread& t, const Args& a) {
    if (a[3] != 8) return -EINVAL;
    u64 old = t.mask(), set = 0;
    if (a[1] != 0) {
        if (!t.read(S::sigset, a[1], &set)) return -EFAULT;
        switch (a.i(0)) {
        case SIG_BLOCK: set = old | set; break;
        case SIG_UNBLOCK: set = old & ~set; break;
        case SIG_SETMASK: break;
        default: return -EINVAL;
        }
        t.set_mask(set);
    }
    if (a[2] != 0 && !t.write(S::sigset, a[2], &old)) return -EFAULT;
    return 0;
}

i64 sys_rt_sigpending(Thread& t, const Args& a) {
    if (a[1] > 8) return -EINVAL;
    u64 set = 0;
    i64 r = raw_syscall(SYS_rt_sigpending, u64(&set), 8);
    if (r < 0) return r;
    set |= t.held_signals();
    u8 raw[max_struct];
    to_guest(t.abi().layout(S::sigset), t.abi().model, &set, raw);
    return t.memory().write(a[0], raw, a[1]) ? 0 : -EFAULT;
}

i64 sys_rt_sigsuspend(Thread& t, const Args& a) {
    TemporaryMask mask(t);
    if (a[1] != 8) return -EINVAL;
    if (a[0] == 0) return -EFAULT;
    if (i64 r = mask.set(a[0], a[1])) return r;
    return mask.done(t.syscall(SYS_rt_sigsuspend, mask.host(), 8));
}

i64 sys_rt_sigtimedwait(Thread& t, const Args& a) {
    u64 set = 0;
    struct timespec timeout {};
    siginfo_t info{};
    if (i64 r = import_sigset(t, a[0], a[3], set)) return r;
    if (a[2] != 0 && !t.read(S::timespec, a[2], &timeout)) return -EFAULT;
    set &= ~own_signals & ~unblockable;
    i64 r = t.syscall(SYS_rt_sigtimedwait, &set, &info, a[2] ? &timeout : nullptr, 8);
    if (r <= 0 || a[1] == 0) return r;
    u8 raw[siginfo_bytes];
    return t.memory().write(a[1], raw, siginfo_to_guest(t.abi(), info, raw)) ? r : -EFAULT;
}

i64 sys_rt_sigqueueinfo(Thread& t, const Args& a) { return queue(t, a, SYS_rt_sigqueueinfo, 1); }
i64 sys_rt_tgsigqueueinfo(Thread& t, const Args& a) { return queue(t, a, SYS_rt_tgsigqueueinfo, 2); }

i64 sys_pidfd_send_signal(Thread& t, const Args& a) {
    siginfo_t info{};
    if (a[2] != 0 && !read_siginfo(t, a[2], info)) return -EFAULT;
    return t.syscall(SYS_pidfd_send_signal, a.i(0), a.i(1), a[2] ? &info : nullptr, a.u(3));
}

i64 sys_rt_sigreturn(Thread& t, const Args&) { return t.sigreturn(); }

i64 sys_sigaltstack(Thread& t, const Args& a) {
    SigStack old = t.altstack, wanted{};
    bool enabled = !(old.flags & SS_DISABLE), on_it = enabled && t.on_altstack(t.sp());
    if (on_it) old.flags |= SS_ONSTACK;
    if (a[0] != 0) {
        if (!t.read(S::stack, a[0], &wanted)) return -EFAULT;
        if (on_it) return -EPERM;
        constexpr i32 autodisarm = i32(1u << 31);
        i32 mode = wanted.flags & ~autodisarm;
        if (mode != 0 && mode != SS_DISABLE && mode != SS_ONSTACK) return -EINVAL;
        if (mode == SS_DISABLE) {
            wanted.sp = 0, wanted.size = 0;
        } else {
            if (wanted.size < 2048) return -ENOMEM; // MINSIGSTKSZ
            wanted.flags &= autodisarm;
        }
        t.altstack = wanted;
    }
    if (a[1] != 0 && !t.write(S::stack, a[1], &old)) return -EFAULT;
    return 0;
}

} // namespace mimic::user
