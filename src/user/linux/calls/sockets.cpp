// Sockets: addresses are the same bytes everywhere; messages hold pointers and control data that are not.
#include "user/linux/calls/import.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/syscall.h>

namespace mimic::user {
namespace {

constexpr u32 max_control = 64 << 10;

// An address that the kernel writes, with its length before and after.
struct AddressOut {
    sockaddr_storage bytes;
    u32 room = 0, length = 0;
    u64 address = 0, length_at = 0;
    i64 begin(Thread& t, u64 to, u64 to_length) {
        address = to, length_at = to_length;
        if (to == 0) return 0;
        i32 given;
        if (!t.read(S::i32, to_length, &given)) return -EFAULT;
        if (given < 0) return -EINVAL;
        room = u32(given);
        length = sizeof bytes;
        return 0;
    }
    sockaddr_storage* host() { return address ? &bytes : nullptr; }
    u32* host_length() { return address ? &length : nullptr; }
    i64 end(Thread& t) {
        if (address == 0) return 0;
        u64 n = std::min<u64>({room, length, sizeof bytes});
        if (!t.memory().write(address, &bytes, n) || !t.write(S::u32, length_at, &length)) return -EFAULT;
        return 0;
    }
};

u64 up(u64 v, u64 to) { return (v + to - 1) / to * to; }

// Control data (cmsg(3)): a header whose length is the guest's long, then data aligned to that long. What the data hold
// (descriptors, credentials, addresses) are ints and bytes; timestamps are longs.
struct ControlForm {
    u64 header, align;
};
ControlForm guest_form(Thread& t) {
    return {up(size_of(t.abi().layout(S::cmsghdr), t.abi().model), t.word_bytes()), t.word_bytes()};
}

// Descriptors that are Mimic's own are none that a program can send.
bool sends_kept(Thread& t, const u8* data, u64 bytes) {
    i32 fd;
    for (u64 at = 0; at + sizeof fd <= bytes; at += sizeof fd) {
        std::memcpy(&fd, data + at, sizeof fd);
        if (t.process().keeps(fd)) return true;
    }
    return false;
}

i64 control_in(Thread& t, u64 address, u64 length, std::vector<u8>& host) {
    if (length > max_control) return -ENOBUFS;
    ControlForm g = guest_form(t);
    for (u64 at = 0; at + g.header <= length;) {
        CMsgHdr head;
        if (!t.read(S::cmsghdr, address + at, &head)) return -EFAULT;
        if (head.length < g.header || head.length > length - at) return -EINVAL;
        u64 data = head.length - g.header;
        size_t start = host.size();
        host.resize(start + CMSG_SPACE(data));
        auto* out = reinterpret_cast<struct cmsghdr*>(host.data() + start);
        out->cmsg_len = CMSG_LEN(data);
        out->cmsg_level = head.level;
        out->cmsg_type = head.type;
        if (!t.memory().read(address + at + g.header, CMSG_DATA(out), data)) return -EFAULT;
        if (head.level == SOL_SOCKET && head.type == SCM_RIGHTS && sends_kept(t, CMSG_DATA(out), data)) return -EBADF;
        at += up(head.length, g.align);
    }
    return 0;
}

// Returns the bytes written; sets `cut` when not all fitted.
i64 control_out(Thread& t, const std::vector<u8>& host, u64 host_length, u64 address, u64 room, bool& cut) {
    ControlForm g = guest_form(t);
    u64 done = 0;
    for (u64 at = 0; at + sizeof(struct cmsghdr) <= host_length;) {
        auto* in = reinterpret_cast<const struct cmsghdr*>(host.data() + at);
        if (in->cmsg_len < sizeof(struct cmsghdr) || in->cmsg_len > host_length - at) break;
        u64 data = in->cmsg_len - CMSG_LEN(0);
        if (done + g.header > room) return cut = true, i64(done);
        u64 fits = std::min(data, room - done - g.header);
        cut |= fits < data;
        CMsgHdr head{g.header + fits, in->cmsg_level, in->cmsg_type};
        if (!t.write(S::cmsghdr, address + done, &head)) return -EFAULT;
        if (!t.memory().write(address + done + g.header, CMSG_DATA(in), fits)) return -EFAULT;
        done += std::min(up(g.header + fits, g.align), room - done);
        at += up(in->cmsg_len, sizeof(u64));
    }
    return i64(done);
}

// A message header on the host's side, with everything it points to.
struct Message {
    MsgHdr guest;
    struct msghdr host {};
    sockaddr_storage name;
    std::vector<struct iovec> iov;
    std::vector<u8> control;

    i64 begin(Thread& t, bool receive) {
        if (i32(guest.name_length) < 0) return -EINVAL;
        if (guest.name) {
            host.msg_name = &name;
            host.msg_namelen = u32(std::min<u64>(guest.name_length, sizeof name));
            if (!receive && !t.memory().read(guest.name, &name, host.msg_namelen)) return -EFAULT;
        }
        if (guest.iov_length > 1024) return -EMSGSIZE;
        if (i64 r = import_iovec(t, guest.iov, guest.iov_length, receive, iov)) return r;
        host.msg_iov = iov.data();
        host.msg_iovlen = iov.size();
        host.msg_flags = int(guest.flags);
        if (guest.control == 0 || guest.control_length == 0) return 0;
        if (!receive) {
            if (i64 r = control_in(t, guest.control, guest.control_length, control)) return r;
        } else {
            control.resize(size_t(std::min<u64>(guest.control_length, max_control)));
        }
        host.msg_control = control.empty() ? nullptr : control.data();
        host.msg_controllen = control.size();
        return 0;
    }
    // After a receive: what goes back to the guest's header at `address`.
    i64 end(Thread& t, u64 address) {
        if (guest.name) {
            u64 n = std::min<u64>({host.msg_namelen, guest.name_length, sizeof name});
            if (!t.memory().write(guest.name, &name, n)) return -EFAULT;
            guest.name_length = host.msg_namelen;
        }
        bool cut = false;
        i64 bytes = control_out(t, control, host.msg_controllen, guest.control, control.size(), cut);
        if (bytes < 0) return bytes;
        guest.control_length = u64(bytes);
        guest.flags = u32(host.msg_flags) | (cut ? u32(MSG_CTRUNC) : 0);
        return t.write(S::msghdr, address, &guest) ? 0 : -EFAULT;
    }
};

bool is_time_option(int option) { return option == SO_RCVTIMEO_OLD || option == SO_SNDTIMEO_OLD; }
// Those whose value is a struct sock_fprog, with a pointer of the guest's.
bool is_filter_option(int option) { return option == SO_ATTACH_FILTER || option == SO_ATTACH_REUSEPORT_CBPF; }

} // namespace

i64 sys_accept(Thread& t, const Args& a) {
    AddressOut out;
    if (i64 r = out.begin(t, a[1], a[2])) return r;
    i64 fd = t.syscall(SYS_accept4, a.i(0), out.host(), out.host_length(), a.row->host == SYS_accept4 ? a.i(3) : 0);
    if (fd < 0) return fd;
    if (i64 r = out.end(t)) {
        process::raw_syscall(SYS_close, u64(fd));
        return r;
    }
    return fd;
}

// getsockname and getpeername.
i64 sys_getsockname(Thread& t, const Args& a) {
    AddressOut out;
    if (a[1] == 0) return -EFAULT;
    if (i64 r = out.begin(t, a[1], a[2])) return r;
    i64 r = t.syscall(a.row->host, a.i(0), out.host(), out.host_length());
    return r < 0 ? r : out.end(t);
}

i64 sys_recvfrom(Thread& t, const Args& a) {
    AddressOut out;
    void* buffer = t.writing(a[1], a[2]);
    if (!buffer) return -EFAULT;
    if (i64 r = out.begin(t, a[4], a[5])) return r;
    i64 n = t.syscall(SYS_recvfrom, a.i(0), buffer, a[2], a.i(3), out.host(), out.host_length());
    if (n < 0) return n;
    i64 r = out.end(t);
    return r < 0 ? r : n;
}

i64 sys_setsockopt(Thread& t, const Args& a) {
    int level = a.i(1), option = a.i(2);
    i32 length = a.i(4);
    if (length < 0) return t.syscall(SYS_setsockopt, a.i(0), level, option, nullptr, length);
    if (level == SOL_SOCKET && is_time_option(option)) {
        struct timeval value;
        if (u32(length) < size_of(t.abi().layout(S::timeval), t.abi().model)) return -EINVAL;
        if (!t.read(S::timeval, a[3], &value)) return -EFAULT;
        return t.syscall(SYS_setsockopt, a.i(0), level, option, &value, sizeof value);
    }
    if (length == 4 && t.abi().model.big) {
        i32 value;
        if (!t.read(S::i32, a[3], &value)) return -EFAULT;
        return t.syscall(SYS_setsockopt, a.i(0), level, option, &value, 4);
    }
    SockFprog given;
    if (level == SOL_SOCKET && is_filter_option(option) && t.read(S::sock_fprog, a[3], &given) &&
        u32(length) == size_of(t.abi().layout(S::sock_fprog), t.abi().model)) {
        void* filter = t.reading(given.filter, given.length * 8ull); // else nobody's, for the kernel to judge
        struct {
            u16 length;
            u64 filter;
        } program{given.length, filter ? u64(filter) : 1ull << 63};
        return t.syscall(SYS_setsockopt, a.i(0), level, option, &program, sizeof program);
    }
    void* value = a[3] ? t.reading(a[3], u32(length)) : nullptr;
    if (a[3] && !value) return -EFAULT;
    return t.syscall(SYS_setsockopt, a.i(0), level, option, value, length);
}

i64 sys_getsockopt(Thread& t, const Args& a) {
    int level = a.i(1), option = a.i(2);
    i32 length;
    if (!t.read(S::i32, a[4], &length)) return -EFAULT;
    if (length < 0) return -EINVAL;
    i64 r;
    if (level == SOL_SOCKET && is_time_option(option)) {
        struct timeval value {};
        u32 host_length = sizeof value;
        r = t.syscall(SYS_getsockopt, a.i(0), level, option, &value, &host_length);
        if (r < 0) return r;
        length = i32(size_of(t.abi().layout(S::timeval), t.abi().model));
        if (!t.write(S::timeval, a[3], &value)) return -EFAULT;
    } else if (t.abi().model.big && length == 4) {
        i32 value = 0;
        r = t.syscall(SYS_getsockopt, a.i(0), level, option, &value, &length);
        if (r < 0) return r;
        if (!t.write(S::i32, a[3], &value)) return -EFAULT;
    } else {
        void* value = t.writing(a[3], u32(length));
        if (!value) return -EFAULT;
        r = t.syscall(SYS_getsockopt, a.i(0), level, option, value, &length);
        if (r < 0) return r;
    }
    return t.write(S::i32, a[4], &length) ? r : -EFAULT;
}

i64 sys_sendmsg(Thread& t, const Args& a) {
    Message m;
    if (!t.read(S::msghdr, a[1], &m.guest)) return -EFAULT;
    if (i64 r = m.begin(t, false)) return r;
    return t.syscall(SYS_sendmsg, a.i(0), &m.host, a.i(2));
}

i64 sys_recvmsg(Thread& t, const Args& a) {
    Message m;
    if (!t.read(S::msghdr, a[1], &m.guest)) return -EFAULT;
    if (i64 r = m.begin(t, true)) return r;
    i64 n = t.syscall(SYS_recvmsg, a.i(0), &m.host, a.i(2));
    if (n < 0) return n;
    i64 r = m.end(t, a[1]);
    return r < 0 ? r : n;
}

// One message after the other: what the kernel does, and a failure after the first ends it with a count.
i64 sys_sendmmsg(Thread& t, const Args& a) {
    u64 bytes = size_of(t.abi().layout(S::mmsghdr), t.abi().model);
    u32 count = std::min(a.u(2), 1024u);
    if (count == 0) return t.syscall(SYS_sendmmsg, a.i(0), nullptr, 0, a.i(3));
    for (u32 i = 0; i < count; i++) {
        Message m;
        MMsgHdr both{};
        u64 at = a[1] + i * bytes;
        i64 r = t.read(S::mmsghdr, at, &both) ? 0 : -EFAULT;
        m.guest = both.header;
        if (r == 0) r = m.begin(t, false);
        if (r == 0) r = t.syscall(SYS_sendmsg, a.i(0), &m.host, a.i(3));
        if (r < 0) return i ? i64(i) : r;
        both.length = u32(r);
        if (!t.write(S::mmsghdr, at, &both)) return i ? i64(i) : -EFAULT;
    }
    return count;
}

i64 sys_recvmmsg(Thread& t, const Args& a) {
    u64 bytes = size_of(t.abi().layout(S::mmsghdr), t.abi().model);
    u32 count = std::min(a.u(2), 1024u), flags = a.u(3);
    struct timespec left {
    }, now{};
    if (a[4] != 0) {
        if (!t.read(S::timespec, a[4], &left)) return -EFAULT;
        clock_gettime(CLOCK_MONOTONIC, &now);
    }
    if (count == 0) return t.syscall(SYS_recvmmsg, a.i(0), nullptr, 0, flags, nullptr);
    for (u32 i = 0; i < count; i++) {
        Message m;
        MMsgHdr both{};
        u64 at = a[1] + i * bytes;
        i64 r = t.read(S::mmsghdr, at, &both) ? 0 : -EFAULT;
        m.guest = both.header;
        if (r == 0) r = m.begin(t, true);
        if (r == 0) r = t.syscall(SYS_recvmsg, a.i(0), &m.host, flags & ~u32(MSG_WAITFORONE));
        if (r < 0) return i ? i64(i) : r;
        if (i64 e = m.end(t, at); e < 0) return i ? i64(i) : e;
        both.header = m.guest;
        both.length = u32(r);
        if (!t.write(S::mmsghdr, at, &both)) return i ? i64(i) : -EFAULT;
        if (flags & MSG_WAITFORONE) flags |= MSG_DONTWAIT;
        if (a[4] != 0) { // looked at after each message only, as the manual's "bugs" section says
            struct timespec then {};
            clock_gettime(CLOCK_MONOTONIC, &then);
            i64 passed = (then.tv_sec - now.tv_sec) * 1000000000ll + then.tv_nsec - now.tv_nsec;
            if (passed >= left.tv_sec * 1000000000ll + left.tv_nsec) return i + 1;
        }
    }
    return count;
}

} // namespace mimic::user
