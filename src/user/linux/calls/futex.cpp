// Futexes: the kernel works on guest memory. futex(2), futex_waitv(2), set_robust_list(2).
#include "user/linux/calls/handlers.hpp"
#include <cerrno>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <vector>

namespace mimic::user {
namespace {

// Which commands take a timeout in the fourth argument; for the others it is a number.
bool has_timeout(int command) {
    switch (command) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET:
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_WAIT_REQUEUE_PI: return true;
    default: return false;
    }
}

} // namespace

// The kernel compares words in its own byte order: for a big-endian guest the expected value is swapped.
i64 sys_futex(Thread& t, const Args& a) {
    int op = a.i(1), command = op & FUTEX_CMD_MASK;
    if (u32(command) > FUTEX_LOCK_PI2) return -ENOSYS;
    if (a[0] % 4 != 0) return -EINVAL;
    u32* word = static_cast<u32*>(t.writing(a[0], 4));
    if (!word) return -EFAULT;
    u32 value = a.u(2), value3 = a.u(5);
    if (t.abi().model.big) {
        if (command == FUTEX_WAIT || command == FUTEX_WAIT_BITSET) value = __builtin_bswap32(value);
        if (command == FUTEX_CMP_REQUEUE) value3 = __builtin_bswap32(value3);
        if (command == FUTEX_WAKE_OP || command == FUTEX_LOCK_PI) return -ENOSYS; // arithmetic on the word
    }
    struct timespec timeout;
    u64 fourth = a.u(3);
    if (has_timeout(command)) {
        fourth = 0;
        if (a[3] != 0) {
            if (!t.read(S::timespec, a[3], &timeout)) return -EFAULT;
            fourth = u64(&timeout);
        }
    }
    void* second = nullptr;
    bool two = command == FUTEX_REQUEUE || command == FUTEX_CMP_REQUEUE || command == FUTEX_WAKE_OP ||
               command == FUTEX_WAIT_REQUEUE_PI || command == FUTEX_CMP_REQUEUE_PI;
    if (two && !(second = t.writing(a[4], 4))) return -EFAULT;
    return t.syscall(SYS_futex, word, op, value, fourth, second, value3);
}

i64 sys_futex_waitv(Thread& t, const Args& a) {
    u32 count = a.u(1);
    std::vector<FutexWaitv> waiters;
    if (count == 0 || count > 128) return -EINVAL;
    if (!t.read_array(S::futex_waitv, a[0], waiters, count)) return -EFAULT;
    for (FutexWaitv& w : waiters) {
        void* host = t.writing(w.address, 4);
        if (!host) return -EFAULT;
        w.address = u64(host);
        if (t.abi().model.big) w.value = __builtin_bswap32(u32(w.value));
    }
    struct timespec timeout;
    if (a[3] != 0 && !t.read(S::timespec, a[3], &timeout)) return -EFAULT;
    return t.syscall(SYS_futex_waitv, waiters.data(), count, a.u(2), a[3] ? &timeout : nullptr, a.i(4));
}

namespace {
// The size bits of a futex2 flag word; only 32-bit words exist in the kernel so far, and it says EINVAL to the others.
i64 futex2_word(Thread& t, u64 address, void*& host) {
    if (address % 4 != 0) return -EINVAL;
    return (host = t.writing(address, 4)) ? 0 : -EFAULT;
}
} // namespace

i64 sys_futex_wake(Thread& t, const Args& a) {
    void* word;
    if (i64 r = futex2_word(t, a[0], word)) return r;
    return t.syscall(a.row->host, word, a[1], a.i(2), a.u(3));
}

i64 sys_futex_wait(Thread& t, const Args& a) {
    void* word;
    struct timespec timeout;
    if (i64 r = futex2_word(t, a[0], word)) return r;
    if (a[4] != 0 && !t.read(S::timespec, a[4], &timeout)) return -EFAULT;
    u64 value = t.abi().model.big ? __builtin_bswap32(u32(a[1])) : a[1];
    return t.syscall(a.row->host, word, value, a[2], a.u(3), a[4] ? &timeout : nullptr, a.i(5));
}

i64 sys_futex_requeue(Thread& t, const Args& a) {
    std::vector<FutexWaitv> waiters;
    if (a[0] == 0) return -EINVAL;
    if (!t.read_array(S::futex_waitv, a[0], waiters, 2)) return -EFAULT;
    for (FutexWaitv& w : waiters) {
        void* host;
        if (i64 r = futex2_word(t, w.address, host)) return r;
        w.address = u64(host);
        if (t.abi().model.big) w.value = __builtin_bswap32(u32(w.value));
    }
    return t.syscall(a.row->host, waiters.data(), a.u(1), a.i(2), a.i(3));
}

i64 sys_set_robust_list(Thread& t, const Args& a) {
    if (a[1] != size_of(t.abi().layout(S::robust_list_head), t.abi().model)) return -EINVAL;
    t.robust_list = a[0];
    // Where the list's addresses are the host's too, the kernel walks it even when the process is killed.
    if (t.memory().base() == 0 && t.process().same_model && t.memory().in_range(a[0], 24))
        return t.syscall(SYS_set_robust_list, a[0], 24);
    return 0;
}

i64 sys_get_robust_list(Thread& t, const Args& a) {
    u64 head = t.robust_list, size = size_of(t.abi().layout(S::robust_list_head), t.abi().model);
    if (a.i(0) != 0 && a.i(0) != t.tid()) { // others' lists are not visible
        u64 theirs[2];
        i64 r = t.syscall(SYS_get_robust_list, a.i(0), &theirs[0], &theirs[1]);
        return r < 0 ? r : -EPERM;
    }
    if (!t.write(S::ulong, a[1], &head) || !t.write(S::ulong, a[2], &size)) return -EFAULT;
    return 0;
}

} // namespace mimic::user
