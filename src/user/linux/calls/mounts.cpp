// Mounts: the classic call, the calls by descriptor, and what tells about mounts. mount(2), fsconfig(2),
// mount_setattr(2), open_tree_attr(2), statmount(2), listmount(2), quotactl(2).
#include "user/linux/calls/import.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/quota.h>
#include <sys/syscall.h>

namespace mimic::user {

i64 sys_mount(Thread& t, const Args& a) {
    std::string text[3], data;
    const char* host[3] = {};
    for (u32 i = 0; i < 3; i++)
        if (a[i] != 0) {
            if (i64 r = t.path(a[i], text[i])) return r;
            host[i] = text[i].c_str();
        }
    if (a[4] != 0 && !t.memory().read_string(a[4], data, 4095)) return -EFAULT;
    return t.syscall(SYS_mount, host[0], host[1], host[2], a[3], a[4] ? data.c_str() : nullptr);
}

i64 sys_fsconfig(Thread& t, const Args& a) {
    constexpr u32 set_path = 3, set_path_empty = 4, set_fd = 5; // linux/mount.h: aux is a descriptor
    if ((a.u(1) == set_fd || a.u(1) == set_path || a.u(1) == set_path_empty) && t.process().keeps(a.i(4)))
        return -EBADF;
    std::string key, value;
    if (a[2] != 0)
        if (i64 r = t.path(a[2], key)) return r;
    const void* host = nullptr;
    if (a[3] != 0) {
        // Command 2 (FSCONFIG_SET_BINARY) takes aux bytes, the others a string.
        if (a.u(1) == 2) {
            host = t.reading(a[3], a.u(4));
            if (!host) return -EFAULT;
        } else {
            if (i64 r = t.path(a[3], value)) return r;
            host = value.c_str();
        }
    }
    return t.syscall(SYS_fsconfig, a.i(0), a.u(1), a[2] ? key.c_str() : nullptr, host, a.i(4));
}

// mount_setattr and open_tree_attr.
i64 sys_mount_setattr(Thread& t, const Args& a) {
    std::string path;
    if (i64 r = t.path(a[1], path)) return r;
    if (a.row->host != SYS_mount_setattr && a[4] == 0 && a[3] == 0)
        return t.syscall(a.row->host, a.i(0), path.c_str(), a.u(2), nullptr, 0);
    MountAttr attributes;
    if (i64 r = check_extensible(t, a[3], a[4], sizeof attributes, sizeof attributes)) return r;
    if (!t.read(S::mount_attr, a[3], &attributes)) return -EFAULT;
    return t.syscall(a.row->host, a.i(0), path.c_str(), a.u(2), &attributes, sizeof attributes);
}

namespace {
// A request of statmount and listmount: 24 bytes at first, 32 since it has a namespace.
i64 read_request(Thread& t, u64 address, MntIdReq& request) {
    u32 size;
    if (!t.read(S::u32, address, &size)) return -EFAULT;
    if (i64 r = check_extensible(t, address, size, 24, sizeof request)) return r;
    u8 raw[max_struct] = {};
    if (!t.memory().read(address, raw, std::min<u64>(size, sizeof request))) return -EFAULT;
    from_guest(t.abi().layout(S::mnt_id_req), t.abi().model, raw, &request);
    request.size = std::min<u32>(size, sizeof request);
    return 0;
}
} // namespace

// The answer holds integers and offsets of strings: the kernel writes it where it has the guest's form.
i64 sys_statmount(Thread& t, const Args& a) {
    MntIdReq request{};
    if (i64 r = read_request(t, a[0], request)) return r;
    if (!t.process().same_model) return -ENOSYS;
    void* buffer = t.writing(a[1], a[2]);
    return buffer ? t.syscall(a.row->host, &request, buffer, a[2], a.u(3)) : -EFAULT;
}
i64 sys_listmount(Thread& t, const Args& a) {
    constexpr u64 most = 1000000; // the kernel's own limit
    MntIdReq request{};
    if (i64 r = read_request(t, a[0], request)) return r;
    if (a[2] > most) return -EOVERFLOW;
    std::vector<u64> ids(size_t(a[2] + 1));
    i64 n = t.syscall(a.row->host, &request, ids.data(), a[2], a.u(3));
    for (i64 i = 0; i < n; i++)
        if (!t.write(S::u64, a[1] + u64(i) * 8, &ids[size_t(i)])) return -EFAULT;
    return n;
}

namespace {
// What the last argument of quotactl points to, by the command (linux/quota.h): bytes, all of them integers of fixed
// size, so that same-model guests share them with the kernel.
u64 quota_bytes(u32 command) {
    switch (command) {
    case Q_GETFMT: return 4;
    case Q_GETINFO:
    case Q_SETINFO: return sizeof(struct if_dqinfo);
    case Q_GETQUOTA:
    case Q_SETQUOTA: return sizeof(struct if_dqblk);
    case Q_GETNEXTQUOTA: return sizeof(struct if_nextdqblk);
    default: return 0;
    }
}
i64 quota_buffer(Thread& t, u32 command, u64 address, void*& buffer) {
    constexpr u32 xfs_group = 'X' << 8;
    u64 bytes = (command & 0xff00) == xfs_group ? 256 : quota_bytes(command);
    buffer = nullptr;
    if (bytes == 0 || address == 0) return 0;
    if (!t.process().same_model) return -ENOSYS;
    return (buffer = t.writing(address, bytes)) ? 0 : -EFAULT;
}
} // namespace

i64 sys_quotactl(Thread& t, const Args& a) {
    u32 command = a.u(0) >> SUBCMDSHIFT;
    std::string device, file;
    if (a[1] != 0)
        if (i64 r = t.path(a[1], device)) return r;
    void* buffer = nullptr;
    if (command == Q_QUOTAON) {
        if (i64 r = t.path(a[3], file)) return r;
        buffer = file.data();
    } else if (i64 r = quota_buffer(t, command, a[3], buffer)) {
        return r;
    }
    return t.syscall(SYS_quotactl, a.u(0), a[1] ? device.c_str() : nullptr, a.i(2), buffer);
}
i64 sys_quotactl_fd(Thread& t, const Args& a) {
    void* buffer = nullptr;
    if (i64 r = quota_buffer(t, a.u(1) >> SUBCMDSHIFT, a[3], buffer)) return r;
    return t.syscall(SYS_quotactl_fd, a.i(0), a.u(1), a.i(2), buffer);
}

} // namespace mimic::user
