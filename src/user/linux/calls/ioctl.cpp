// ioctl: each request's argument, and how an unknown one is read from its number (asm-generic/ioctl.h). One that tells nothing
// is passed as it came: a pointer in it is right only while guest_base is 0.
#include "user/linux/calls/handlers.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/fs.h>
#include <linux/hdreg.h>
#include <linux/kd.h>
#include <linux/loop.h>
#include <linux/route.h>
#include <linux/serial.h>
#include <linux/sockios.h>
#include <linux/vt.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>

namespace mimic::user {
namespace {

constexpr u64 nobodys = 1ull << 63; // an address that no program has

enum class Way : u8 { value, in, out, inout };
struct Request {
    u32 number;
    Way way;
    S type; // or S::none: `bytes` that host and guest share
    u16 bytes = 0;
};
// asm-generic/ioctls.h, linux/sockios.h, linux/fs.h: those whose number tells nothing about the argument.
constexpr Request requests[] = {
    {TCGETS, Way::out, S::termios},
    {TCSETS, Way::in, S::termios},
    {TCSETSW, Way::in, S::termios},
    {TCSETSF, Way::in, S::termios},
    {TIOCGWINSZ, Way::out, S::winsize},
    {TIOCSWINSZ, Way::in, S::winsize},
    {TIOCGPGRP, Way::out, S::i32},
    {TIOCSPGRP, Way::in, S::i32},
    {TIOCGSID, Way::out, S::i32},
    {TIOCOUTQ, Way::out, S::i32},
    {FIONREAD, Way::out, S::i32},
    {FIONBIO, Way::in, S::i32},
    {FIOASYNC, Way::in, S::i32},
    {TIOCMGET, Way::out, S::i32},
    {TIOCMSET, Way::in, S::i32},
    {TIOCMBIS, Way::in, S::i32},
    {TIOCMBIC, Way::in, S::i32},
    {TIOCGSOFTCAR, Way::out, S::i32},
    {TIOCSSOFTCAR, Way::in, S::i32},
    {TIOCPKT, Way::in, S::i32},
    {TIOCSETD, Way::in, S::i32},
    {TIOCGETD, Way::out, S::i32},
    {TIOCSTI, Way::in, S::none, 1},
    {TCSBRK, Way::value, S::none},
    {TCSBRKP, Way::value, S::none},
    {TCXONC, Way::value, S::none},
    {TCFLSH, Way::value, S::none},
    {TIOCEXCL, Way::value, S::none},
    {TIOCNXCL, Way::value, S::none},
    {TIOCSCTTY, Way::value, S::none},
    {TIOCNOTTY, Way::value, S::none},
    {TIOCSBRK, Way::value, S::none},
    {TIOCCBRK, Way::value, S::none},
    {FIOCLEX, Way::value, S::none},
    {FIONCLEX, Way::value, S::none},
    {TIOCVHANGUP, Way::value, S::none},
    {TIOCGPTPEER, Way::value, S::none},
    {FICLONE, Way::value, S::none},
    {FIOSETOWN, Way::in, S::i32},
    {SIOCSPGRP, Way::in, S::i32},
    {FIOGETOWN, Way::out, S::i32},
    {SIOCGPGRP, Way::out, S::i32},
    {SIOCATMARK, Way::out, S::i32},
    {SIOCOUTQ, Way::out, S::i32},
    {FS_IOC_GETFLAGS, Way::out, S::i32},
    {FS_IOC_SETFLAGS, Way::in, S::i32},
    {FS_IOC_GETVERSION, Way::out, S::i32},
    {FIGETBSZ, Way::out, S::i32},
    {FIBMAP, Way::inout, S::i32},
    {SIOCGIFNAME, Way::inout, S::none, 40},
    {SIOCGIFINDEX, Way::inout, S::none, 40},
    {SIOCGIFFLAGS, Way::inout, S::none, 40},
    {SIOCGIFADDR, Way::inout, S::none, 40},
    {SIOCGIFNETMASK, Way::inout, S::none, 40},
    {SIOCGIFBRDADDR, Way::inout, S::none, 40},
    {SIOCGIFMTU, Way::inout, S::none, 40},
    {SIOCGIFHWADDR, Way::inout, S::none, 40},
    {SIOCGIFTXQLEN, Way::inout, S::none, 40},
    {SIOCGIFMETRIC, Way::inout, S::none, 40},
    {SIOCETHTOOL, Way::inout, S::none, 40},
    {SIOCSIFFLAGS, Way::in, S::none, 40},
    {SIOCSIFADDR, Way::in, S::none, 40},
    {SIOCSIFNETMASK, Way::in, S::none, 40},
    {SIOCSIFBRDADDR, Way::in, S::none, 40},
    {SIOCGIFDSTADDR, Way::inout, S::none, 40},
    {SIOCSIFDSTADDR, Way::in, S::none, 40},
    {SIOCSIFMTU, Way::in, S::none, 40},
    {SIOCSIFMETRIC, Way::in, S::none, 40},
    {SIOCSIFNAME, Way::in, S::none, 40},
    {SIOCSIFHWADDR, Way::in, S::none, 40},
    {SIOCSIFHWBROADCAST, Way::in, S::none, 40},
    {SIOCSIFTXQLEN, Way::in, S::none, 40},
    {SIOCSIFPFLAGS, Way::in, S::none, 40},
    {SIOCGIFPFLAGS, Way::inout, S::none, 40},
    {SIOCGIFMAP, Way::inout, S::none, 40},
    {SIOCSIFMAP, Way::in, S::none, 40},
    {SIOCADDMULTI, Way::in, S::none, 40},
    {SIOCDELMULTI, Way::in, S::none, 40},
    {SIOCBRADDIF, Way::in, S::none, 40},
    {SIOCBRDELIF, Way::in, S::none, 40},
    {SIOCGIFCOUNT, Way::out, S::i32},
    {SIOCGARP, Way::inout, S::none, 68},
    {SIOCSARP, Way::in, S::none, 68},
    {SIOCDARP, Way::in, S::none, 68},
    {SIOCBRADDBR, Way::in, S::none, 16},
    {SIOCBRDELBR, Way::in, S::none, 16},
    {BLKROSET, Way::in, S::i32},
    {BLKROGET, Way::out, S::i32},
    {BLKSSZGET, Way::out, S::i32},
    {BLKGETSIZE, Way::out, S::ulong},
    {BLKFLSBUF, Way::value, S::none},
    {BLKRRPART, Way::value, S::none},
    {BLKRAGET, Way::out, S::ulong},
    {BLKRASET, Way::value, S::none},
    {BLKFRAGET, Way::out, S::ulong},
    {BLKFRASET, Way::value, S::none},
    {BLKSECTGET, Way::out, S::none, 2},
    {BLKROTATIONAL, Way::out, S::none, 2},
    {BLKIOMIN, Way::out, S::i32},
    {BLKIOOPT, Way::out, S::i32},
    {BLKALIGNOFF, Way::out, S::i32},
    {BLKPBSZGET, Way::out, S::i32},
    {BLKDISCARDZEROES, Way::out, S::i32},
    {BLKDISCARD, Way::in, S::none, 16},
    {BLKSECDISCARD, Way::in, S::none, 16},
    {BLKZEROOUT, Way::in, S::none, 16},
    {HDIO_GETGEO, Way::out, S::none, sizeof(struct hd_geometry)},
    {LOOP_SET_STATUS64, Way::in, S::none, sizeof(struct loop_info64)},
    {LOOP_GET_STATUS64, Way::out, S::none, sizeof(struct loop_info64)},
    {LOOP_CONFIGURE, Way::in, S::none, sizeof(struct loop_config)},
    {TIOCGSERIAL, Way::out, S::none, sizeof(struct serial_struct)},
    {TIOCSSERIAL, Way::in, S::none, sizeof(struct serial_struct)},
    {TIOCGICOUNT, Way::out, S::none, sizeof(struct serial_icounter_struct)},
    {TIOCLINUX, Way::inout, S::none, 1},
    {KDGETMODE, Way::out, S::ulong},
    {KDGKBMODE, Way::out, S::ulong},
    {KDGKBTYPE, Way::out, S::none, 1},
    {KDGETLED, Way::out, S::none, 1},
    {VT_OPENQRY, Way::out, S::i32},
    {VT_GETMODE, Way::out, S::none, sizeof(struct vt_mode)},
    {VT_SETMODE, Way::in, S::none, sizeof(struct vt_mode)},
    {VT_GETSTATE, Way::out, S::none, sizeof(struct vt_stat)},
};

const Request* find(u32 number) {
    for (const Request& r : requests)
        if (r.number == number) return &r;
    return nullptr;
}

// struct ifconf holds a pointer to the array that the kernel fills with struct ifreq, 40 bytes each on 64-bit ABIs.
i64 get_interfaces(Thread& t, const Args& a) {
    struct {
        i32 length;
        void* buffer;
    } host{};
    u64 buffer = 0;
    if (!t.read(S::i32, a[2], &host.length) || !t.read_word(a[2] + t.word_bytes(), buffer)) return -EFAULT;
    if (host.length < 0) return -EINVAL;
    host.buffer = buffer ? t.writing(buffer, u64(host.length)) : nullptr;
    if (buffer && !host.buffer) return -EFAULT;
    i64 r = t.syscall(SYS_ioctl, a.i(0), SIOCGIFCONF, &host);
    if (r == 0 && !t.write(S::i32, a[2], &host.length)) return -EFAULT;
    return r;
}

// struct rtentry, 120 bytes on 64-bit ABIs, holds a pointer to the interface's name; what other families have in its place, none.
i64 change_route(Thread& t, const Args& a, u32 number) {
    int family = 0;
    socklen_t bytes = sizeof family;
    struct rtentry host;
    const bool internet = getsockopt(a.i(0), SOL_SOCKET, SO_DOMAIN, &family, &bytes) == 0 && family == AF_INET;
    if (!internet || !t.memory().read(a[2], &host, sizeof host)) {
        void* there = t.writing(a[2], 1);
        return t.syscall(SYS_ioctl, a.i(0), number, there ? u64(there) : nobodys);
    }
    if (u64 name = u64(host.rt_dev)) {
        void* there = t.writing(name, 1);
        host.rt_dev = there ? static_cast<char*>(there) : reinterpret_cast<char*>(nobodys);
    }
    return t.syscall(SYS_ioctl, a.i(0), number, &host);
}

i64 with_structure(Thread& t, const Args& a, const Request& r) {
    u8 host[max_struct];
    if (r.way != Way::out && !t.read(r.type, a[2], host)) return -EFAULT;
    i64 result = t.syscall(SYS_ioctl, a.i(0), a.u(1), host);
    if (result >= 0 && r.way != Way::in && !t.write(r.type, a[2], host)) return -EFAULT;
    return result;
}

// Does a request name a descriptor that is Mimic's as the source or a target of its bytes? linux/fs.h.
bool clones_kept(Thread& t, u32 number, u64 argument) {
    if (number == FICLONE) return t.process().keeps(i32(argument));
    file_clone_range range{};
    if (number == FICLONERANGE)
        return t.memory().read(argument, &range, sizeof range) && t.process().keeps(i32(range.src_fd));
    file_dedupe_range head{};
    if (number != FIDEDUPERANGE || !t.memory().read(argument, &head, sizeof head)) return false;
    file_dedupe_range_info target{};
    for (u64 n = 0; n < head.dest_count; n++)
        if (!t.memory().read(argument + sizeof head + n * sizeof target, &target, sizeof target))
            return false;
        else if (t.process().keeps(i32(target.dest_fd)))
            return true;
    return false;
}

} // namespace

i64 sys_ioctl(Thread& t, const Args& a) {
    u32 number = a.u(1);
    if (t.process().keeps_any() && clones_kept(t, number, a[2])) [[unlikely]]
        return -EBADF;
    if (number == SIOCGIFCONF) return get_interfaces(t, a);
    if ((number == SIOCADDRT || number == SIOCDELRT) && t.process().same_model) return change_route(t, a, number);
    const Request* r = find(number);
    if (r && r->way == Way::value) return t.syscall(SYS_ioctl, a.i(0), number, a[2]);
    if (r && r->type != S::none) return with_structure(t, a, *r);
    u64 bytes = r ? r->bytes : _IOC_SIZE(number);
    bool pointer = r || (_IOC_DIR(number) != _IOC_NONE && bytes != 0);
    if (!pointer) return t.syscall(SYS_ioctl, a.i(0), number, a[2]);
    // The kernel works on the guest's bytes: right wherever guest and host lay structures out alike.
    if (!t.process().same_model) return -ENOTTY;
    void* host = t.writing(a[2], bytes);
    if (!host) host = reinterpret_cast<void*>(a[2] | nobodys); // which the kernel says after all else
    return t.syscall(SYS_ioctl, a.i(0), number, host);
}

} // namespace mimic::user
