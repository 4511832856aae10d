// Clocks and timers. Most go through `pass`.
#include "user/linux/calls/handlers.hpp"
#include <cerrno>
#include <csignal>
#include <sys/syscall.h>
#include <time.h>

namespace mimic::user {

// By the C library, which asks the host's vDSO: there is no cheaper clock.
i64 sys_clock_gettime(Thread& t, const Args& a) {
    int clock = a.i(0);
    struct timespec now {};
    if (clock < 0) { // a process's, a thread's or a descriptor's: the kernel's business
        i64 r = t.syscall(SYS_clock_gettime, clock, &now);
        if (r < 0) return r;
    } else if (clock_gettime(clock, &now) != 0) {
        return -EINVAL;
    }
    return t.write(S::timespec, a[1], &now) ? 0 : -EFAULT;
}

i64 sys_timer_create(Thread& t, const Args& a) {
    SigEvent guest{};
    struct sigevent event {};
    if (a[1] != 0) {
        if (!t.read(S::sigevent, a[1], &guest)) return -EFAULT;
        event.sigev_value.sival_ptr = reinterpret_cast<void*>(guest.value);
        event.sigev_signo = guest.signo;
        event.sigev_notify = guest.notify;
        event._sigev_un._tid = guest.tid;
    }
    i32 id = 0;
    i64 r = t.syscall(SYS_timer_create, a.i(0), a[1] ? &event : nullptr, &id);
    if (r < 0) return r;
    if (t.write(S::i32, a[2], &id)) return 0;
    process::raw_syscall(SYS_timer_delete, u64(id));
    return -EFAULT;
}

} // namespace mimic::user
