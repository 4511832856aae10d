// Vectored input and output, and waiting for descriptors.
#include "user/linux/calls/import.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>

namespace mimic::user {
namespace {

i64 vectored(Thread& t, const Args& a, long number, bool written, u64 low, u64 high, u64 flags) {
    std::vector<struct iovec> iov;
    bool at_offset = number == SYS_preadv || number == SYS_pwritev;
    if (at_offset && i64(low) < 0) return -EINVAL;
    if (i64 r = import_iovec(t, a[1], a[2], written, iov)) {
        i64 open = r == -EINVAL ? t.syscall(SYS_fcntl, a.i(0), F_GETFD) : 0;
        return open < 0 ? open : r;
    }
    return t.syscall(number, a.i(0), iov.data(), iov.size(), low, high, flags);
}

bool is_v2(const Args& a) { return a.row->host == SYS_preadv2 || a.row->host == SYS_pwritev2; }

// The guest's timeout, to be given to the kernel and, where it tells what is left, written back.
struct Timeout {
    struct timespec value {};
    struct timespec* host = nullptr;
    i64 read(Thread& t, u64 address) {
        if (address == 0) return 0;
        if (!t.read(S::timespec, address, &value)) return -EFAULT;
        host = &value;
        return 0;
    }
    void write_back(Thread& t, u64 address) {
        if (host) t.write(S::timespec, address, host); // a failure is not reported: the kernel doesn't either
    }
};

// A set of select: bits in longs of the guest's size and byte order.
struct FdSet {
    std::vector<u64> bits;
    i64 read(Thread& t, u64 address, u32 n) {
        if (address == 0) return 0;
        u64 per = t.word_bytes() * 8, count = (n + per - 1) / per;
        std::vector<u64> words;
        if (!t.read_array(S::ulong, address, words, count)) return -EFAULT;
        bits.assign(std::max<u64>((n + 63) / 64, 1), 0);
        for (u64 i = 0; i < count; i++) bits[i * per / 64] |= words[i] << (i * per % 64);
        return 0;
    }
    i64 write(Thread& t, u64 address, u32 n) {
        if (address == 0) return 0;
        u64 per = t.word_bytes() * 8, count = (n + per - 1) / per;
        for (u64 i = 0; i < count; i++) {
            u64 word = bits[i * per / 64] >> (i * per % 64);
            if (!t.write(S::ulong, address + i * t.word_bytes(), &word)) return -EFAULT;
        }
        return 0;
    }
    u64* host() { return bits.empty() ? nullptr : bits.data(); }
};

i64 epoll_wait(Thread& t, const Args& a, long number, u64 timeout) {
    int max = a.i(2);
    if (max <= 0 || max > i32(0x7fffffff / sizeof(struct epoll_event))) return -EINVAL;
    // As many as there may be descriptors (fs.nr_open's usual value); of this memory only what is filled is touched.
    constexpr int most = 1 << 20;
    size_t room = size_t(std::min(max, most));
    auto events = std::make_unique_for_overwrite<struct epoll_event[]>(room);
    TemporaryMask mask(t);
    if (i64 r = mask.set(a[4], a[5])) return r;
    i64 r = mask.done(t.syscall(number, a.i(0), events.get(), room, timeout, mask.host(), 8));
    u64 bytes = size_of(t.abi().layout(S::epoll_event), t.abi().model);
    for (i64 i = 0; i < r; i++)
        if (!t.write(S::epoll_event, a[1] + u64(i) * bytes, &events[size_t(i)])) return -EFAULT;
    return r;
}

} // namespace

i64 sys_readv(Thread& t, const Args& a) { return vectored(t, a, SYS_readv, true, 0, 0, 0); }
i64 sys_writev(Thread& t, const Args& a) { return vectored(t, a, SYS_writev, false, 0, 0, 0); }
i64 sys_preadv(Thread& t, const Args& a) {
    return vectored(t, a, a.row->host, true, a[3], a[4], is_v2(a) ? a.u(5) : 0);
}
i64 sys_pwritev(Thread& t, const Args& a) {
    return vectored(t, a, a.row->host, false, a[3], a[4], is_v2(a) ? a.u(5) : 0);
}

i64 sys_vmsplice(Thread& t, const Args& a) {
    std::vector<struct iovec> iov;
    if (i64 r = import_iovec(t, a[1], a[2], true, iov)) return r;
    return t.syscall(SYS_vmsplice, a.i(0), iov.data(), iov.size(), a.u(3));
}

namespace {

// poll and ppoll, with a host timeout or none.
i64 poll_descriptors(Thread& t, u64 address, u32 n, struct timespec* timeout, TemporaryMask& mask) {
    struct {
        u64 soft, hard;
    } limit{};
    constexpr u32 rlimit_nofile = 7;
    process::raw_syscall(SYS_getrlimit, rlimit_nofile, u64(&limit));
    if (n > limit.soft) return -EINVAL;
    std::vector<struct pollfd> fds;
    if (!t.read_array(S::pollfd, address, fds, n)) return -EFAULT;
    i64 r = mask.done(t.syscall(SYS_ppoll, fds.data(), n, timeout, mask.host(), 8));
    u64 bytes = size_of(t.abi().layout(S::pollfd), t.abi().model);
    for (u32 i = 0; r >= 0 && i < n; i++)
        if (!t.write(S::pollfd, address + i * bytes, &fds[i])) return -EFAULT;
    return r;
}

} // namespace

i64 sys_ppoll(Thread& t, const Args& a) {
    Timeout timeout;
    if (i64 r = timeout.read(t, a[2])) return r;
    TemporaryMask mask(t);
    if (i64 r = mask.set(a[3], a[4])) return r;
    i64 r = poll_descriptors(t, a[0], a.u(1), timeout.host, mask);
    if (!process::is_made_again(r)) timeout.write_back(t, a[2]);
    return r;
}

// The older form counts milliseconds; a negative number waits for ever.
i64 old_poll(Thread& t, const Args& a) {
    i32 milliseconds = a.i(2);
    struct timespec timeout {
        milliseconds / 1000, milliseconds % 1000 * 1000000
    };
    TemporaryMask mask(t);
    return poll_descriptors(t, a[0], a.u(1), milliseconds < 0 ? nullptr : &timeout, mask);
}

i64 sys_pselect6(Thread& t, const Args& a) {
    Timeout timeout;
    if (i64 r = timeout.read(t, a[4])) return r;
    TemporaryMask mask(t);
    if (a[5] != 0) { // {pointer, size}
        u64 pair[2];
        if (!t.read_word(a[5], pair[0]) || !t.read_word(a[5] + t.word_bytes(), pair[1])) return -EFAULT;
        if (i64 r = mask.set(pair[0], pair[1])) return r;
    }
    if (a.i(0) < 0) return mask.done(-EINVAL);
    u32 n = std::min(a.u(0), 1u << 20);
    FdSet sets[3];
    for (u32 i = 0; i < 3; i++)
        if (i64 r = sets[i].read(t, a[1 + i], n)) return mask.done(r);
    struct {
        const u64* mask;
        u64 size;
    } host_mask{mask.host(), 8};
    i64 r = mask.done(t.syscall(SYS_pselect6, n, sets[0].host(), sets[1].host(), sets[2].host(), timeout.host,
                                mask.host() ? &host_mask : nullptr));
    if (!process::is_made_again(r)) timeout.write_back(t, a[4]);
    if (r < 0) return r;
    for (u32 i = 0; i < 3; i++)
        if (i64 e = sets[i].write(t, a[1 + i], n)) return e;
    return r;
}

i64 sys_epoll_pwait(Thread& t, const Args& a) { return epoll_wait(t, a, SYS_epoll_pwait, u64(i64(a.i(3)))); }

i64 sys_epoll_pwait2(Thread& t, const Args& a) {
    Timeout timeout;
    if (i64 r = timeout.read(t, a[3])) return r;
    return epoll_wait(t, a, SYS_epoll_pwait2, u64(timeout.host));
}

} // namespace mimic::user
