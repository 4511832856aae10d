#include "user/linux/pretended.hpp"
#include "user/linux/calls/handlers.hpp"
#include "user/root/owners.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

namespace mimic::user {
namespace {

using process::raw_syscall;

FileKey key_of(const struct statx& st) {
    constexpr i64 second = 1000000000;
    bool known = st.stx_mask & STATX_BTIME;
    return {makedev(st.stx_dev_major, st.stx_dev_minor), st.stx_ino,
            known ? st.stx_btime.tv_sec * second + st.stx_btime.tv_nsec : 0};
}

// The kernel's 32-bit form of a device number, as mknod gets it.
u32 major_of(u32 dev) { return dev >> 8 & 0xfff; }
u32 minor_of(u32 dev) { return (dev & 0xff) | (dev >> 12 & 0xfff00); }

// Devices that an ordinary user may open on any host.
struct Device {
    u32 major, minor;
    const char* path;
};
constexpr Device devices[] = {{1, 3, "/dev/null"},    {1, 5, "/dev/zero"}, {1, 7, "/dev/full"}, {1, 8, "/dev/random"},
                              {1, 9, "/dev/urandom"}, {5, 0, "/dev/tty"},  {5, 2, "/dev/ptmx"}};

i64 host_device(u32 rdev, u64 flags) {
    for (const Device& d : devices) {
        if (d.major != major_of(rdev) || d.minor != minor_of(rdev)) continue;
        i64 fd = raw_syscall(SYS_openat, u64(i64(AT_FDCWD)), u64(d.path), flags & ~u64(O_CREAT | O_EXCL | O_TRUNC), 0);
        struct stat st;
        if (fd < 0) return fd;
        if (raw_syscall(SYS_fstat, u64(fd), u64(&st)) == 0 && S_ISCHR(st.st_mode)) return fd;
        raw_syscall(SYS_close, u64(fd));
    }
    return -ENXIO;
}

} // namespace

i64 pretended_statx(Thread& t, i64 directory, const char* path, int flags, u32 mask, struct statx& st) {
    i64 r = t.syscall(SYS_statx, directory, path, flags, mask | STATX_BASIC_STATS | STATX_BTIME, &st);
    if (r < 0 || !t.process().owners) return r;
    const Owners& owners = *t.process().owners;
    // The host's files that are seen inside (devices, what is bound) belong to nobody whom the namespace knows.
    constexpr u32 overflow = 65534;
    bool foreign = t.process().pretends && makedev(st.stx_dev_major, st.stx_dev_minor) != owners.home();
    if (foreign && st.stx_uid == overflow) st.stx_uid = 0;
    if (foreign && st.stx_gid == overflow) st.stx_gid = 0;
    auto record = owners.find(key_of(st));
    if (!record) return 0;
    if (owners.pretend_ids()) st.stx_uid = record->uid, st.stx_gid = record->gid;
    if (record->type) {
        st.stx_mode = u16((st.stx_mode & ~S_IFMT) | record->type);
        st.stx_rdev_major = major_of(record->rdev), st.stx_rdev_minor = minor_of(record->rdev);
    }
    return 0;
}

struct stat stat_of(const struct statx& st) {
    struct stat plain {};
    plain.st_dev = makedev(st.stx_dev_major, st.stx_dev_minor);
    plain.st_ino = st.stx_ino;
    plain.st_mode = st.stx_mode;
    plain.st_nlink = st.stx_nlink;
    plain.st_uid = st.stx_uid, plain.st_gid = st.stx_gid;
    plain.st_rdev = makedev(st.stx_rdev_major, st.stx_rdev_minor);
    plain.st_size = i64(st.stx_size);
    plain.st_blksize = st.stx_blksize;
    plain.st_blocks = i64(st.stx_blocks);
    plain.st_atim = {st.stx_atime.tv_sec, st.stx_atime.tv_nsec};
    plain.st_mtim = {st.stx_mtime.tv_sec, st.stx_mtime.tv_nsec};
    plain.st_ctim = {st.stx_ctime.tv_sec, st.stx_ctime.tv_nsec};
    return plain;
}

// In a directory with the set-group-id bit a new file has the directory's group (inode(7)).
NewOwner owner_of_new(Thread& t, i64 directory, const std::string& path) {
    if (!t.process().pretends_ids()) return {};
    NewOwner owner{t.credentials.uid.fs, t.credentials.gid.fs};
    size_t end = path.find_last_not_of('/');
    size_t slash = end == std::string::npos ? std::string::npos : path.rfind('/', end);
    std::string parent = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    struct statx st;
    if (pretended_statx(t, directory, parent.c_str(), 0, 0, st) == 0 && st.stx_mode & S_ISGID) owner.gid = st.stx_gid;
    return owner;
}

void record_new(Thread& t, const NewOwner& owner, i64 directory, const char* path, int flags) {
    struct statx st;
    if (owner.plain()) return;
    i64 r = raw_syscall(SYS_statx, u64(directory), u64(path), u64(flags), STATX_BASIC_STATS | STATX_BTIME, u64(&st));
    if (r == 0) t.process().owners->set_owner(key_of(st), owner.uid, owner.gid);
}

i64 open_device(Thread& t, i64 fd, u64 flags) {
    const Owners* owners = t.process().owners;
    if (fd < 0 || !owners || !owners->has_devices() || flags & (O_PATH | O_DIRECTORY)) return fd;
    struct statx st;
    i64 r = raw_syscall(SYS_statx, u64(fd), u64(""), AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, u64(&st));
    if (r < 0 || !S_ISREG(st.stx_mode)) return fd;
    auto record = owners->find(key_of(st));
    if (!record || record->type == 0) return fd;
    raw_syscall(SYS_close, u64(fd));
    return record->type == S_IFCHR ? host_device(record->rdev, flags) : -ENXIO;
}

namespace {

// A file that goes with this name, when its record would outlive it.
struct Ending {
    bool any = false;
    FileKey key;
    Ending(Thread& t, i64 directory, const std::string& path) {
        struct statx st;
        Owners* owners = t.process().owners;
        if (!owners || !owners->has_birthless()) return;
        i64 r = raw_syscall(SYS_statx, u64(directory), u64(path.c_str()), AT_SYMLINK_NOFOLLOW,
                            STATX_BASIC_STATS | STATX_BTIME, u64(&st));
        any = r == 0 && (S_ISDIR(st.stx_mode) || st.stx_nlink == 1);
        key = key_of(st);
    }
    i64 done(Thread& t, i64 r) {
        if (any && r == 0) t.process().owners->forget(key);
        return r;
    }
};

i64 make_device(Thread& t, const Args& a, const std::string& path, u32 mode) {
    bool root = t.process().pretends_ids() ? t.credentials.privileged() : raw_syscall(SYS_geteuid) == 0;
    if (!root) return -EPERM;
    u64 flags = O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
    i64 fd = t.syscall(SYS_openat, a.i(0), path.c_str(), flags, mode & 07777);
    if (fd < 0) return fd;
    NewOwner owner = owner_of_new(t, a.i(0), path);
    struct statx st;
    i64 r = raw_syscall(SYS_statx, u64(fd), u64(""), AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, u64(&st));
    if (r == 0) r = t.process().owners->set_device(key_of(st), mode & S_IFMT, a.u(3), owner.uid, owner.gid);
    raw_syscall(SYS_close, u64(fd));
    if (r < 0) raw_syscall(SYS_unlinkat, u64(i64(a.i(0))), u64(path.c_str()), 0);
    return r;
}

// chown's rules for a caller without CAP_CHOWN: an owner may give a file to a group of its own.
bool may_chown(Thread& t, const struct statx& st, u32 uid, u32 gid) {
    const Credentials& c = t.credentials;
    if (c.privileged()) return true;
    constexpr u32 unchanged = ~0u;
    bool in_group = gid == unchanged || gid == st.stx_gid || gid == c.gid.fs;
    for (u32 g : c.groups) in_group |= g == gid;
    return st.stx_uid == c.uid.fs && (uid == unchanged || uid == st.stx_uid) && in_group;
}

i64 change_owner(Thread& t, i64 directory, const char* path, int flags, u32 uid, u32 gid) {
    struct statx st;
    if (i64 r = pretended_statx(t, directory, path, flags, 0, st); r < 0) return r;
    if (!may_chown(t, st, uid, gid)) return -EPERM;
    // The kernel does the rest: it checks that the file may be changed, and clears set-id bits.
    i64 r = t.syscall(SYS_fchownat, directory, path, -1, -1, flags);
    return r < 0 ? r : t.process().owners->set_owner(key_of(st), uid, gid);
}

} // namespace

i64 sys_fstat(Thread& t, const Args& a) {
    if (!t.process().owners) return pass(t, a);
    struct statx st;
    if (i64 r = pretended_statx(t, a.i(0), "", AT_EMPTY_PATH, 0, st); r < 0) return r;
    struct stat plain = stat_of(st);
    return t.write(S::stat, a[1], &plain) ? 0 : -EFAULT;
}

i64 sys_fchownat(Thread& t, const Args& a) {
    if (!t.process().pretends_ids()) return pass(t, a);
    constexpr int known = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH;
    std::string path;
    if (a.i(4) & ~known) return -EINVAL;
    if (i64 r = t.path(a[1], path)) return r;
    return change_owner(t, a.i(0), path.c_str(), a.i(4), a.u(2), a.u(3));
}
i64 sys_fchown(Thread& t, const Args& a) {
    if (!t.process().pretends_ids()) return pass(t, a);
    return change_owner(t, a.i(0), "", AT_EMPTY_PATH, a.u(1), a.u(2));
}

i64 sys_mknodat(Thread& t, const Args& a) {
    if (!t.process().owners) return pass(t, a);
    std::string path;
    if (i64 r = t.path(a[1], path)) return r;
    u32 mode = a.u(2), type = mode & S_IFMT;
    bool whiteout = type == S_IFCHR && a.u(3) == 0; // overlayfs's; anyone may make one
    if ((type == S_IFCHR || type == S_IFBLK) && !whiteout) return make_device(t, a, path, mode);
    i64 r = pass(t, a);
    if (r == 0) record_new(t, owner_of_new(t, a.i(0), path), a.i(0), path.c_str(), AT_SYMLINK_NOFOLLOW);
    return r;
}

namespace {
// A call that makes the file named by arguments `at` and at + 1.
i64 making(Thread& t, const Args& a, u32 at) {
    i64 r = pass(t, a);
    std::string path;
    if (r != 0 || !t.process().pretends_ids() || t.path(a[at + 1], path) != 0) return r;
    record_new(t, owner_of_new(t, a.i(at), path), a.i(at), path.c_str(), AT_SYMLINK_NOFOLLOW);
    return r;
}
} // namespace

i64 sys_mkdirat(Thread& t, const Args& a) { return making(t, a, 0); }
i64 sys_symlinkat(Thread& t, const Args& a) { return making(t, a, 1); }

i64 sys_bind(Thread& t, const Args& a) {
    i64 r = pass(t, a);
    if (r != 0 || !t.process().pretends_ids()) return r;
    struct {
        u16 family;
        char path[108];
    } address{};
    if (!t.memory().read(a[1], &address, std::min<u64>(a[2], sizeof address))) return r;
    if (address.family != 1 /* AF_UNIX */ || address.path[0] == '\0') return r;
    std::string path(address.path, strnlen(address.path, sizeof address.path));
    record_new(t, owner_of_new(t, AT_FDCWD, path), AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW);
    return r;
}

i64 sys_unlinkat(Thread& t, const Args& a) {
    std::string path;
    if (!t.process().owners || t.path(a[1], path) != 0) return pass(t, a);
    Ending ending(t, a.i(0), path);
    return ending.done(t, pass(t, a));
}

// renameat and renameat2: what had the new name ends, unless the two are exchanged.
i64 sys_renameat(Thread& t, const Args& a) {
    constexpr u32 exchange = 2;
    std::string path;
    bool exchanges = a.row->host == SYS_renameat2 && a.u(4) & exchange;
    if (!t.process().owners || exchanges || t.path(a[3], path) != 0) return pass(t, a);
    Ending ending(t, a.i(2), path);
    return ending.done(t, pass(t, a));
}

// Entries tell a type, which programs believe instead of asking for each file.
i64 sys_getdents64(Thread& t, const Args& a) {
    i64 n = pass(t, a);
    while (hide_kept(t, a.i(0), a[1], n)) n = pass(t, a);
    const Owners* owners = t.process().owners;
    struct statx st;
    if (n <= 0 || !owners || !owners->has_devices() || !t.process().same_model) return n;
    if (raw_syscall(SYS_statx, u64(i64(a.i(0))), u64(""), AT_EMPTY_PATH, STATX_INO, u64(&st)) < 0) return n;
    constexpr u64 at_length = 16, at_type = 18, head = 19;
    constexpr u8 regular = 8;
    for (u64 at = 0; at + head <= u64(n);) {
        u64 ino = 0;
        u16 length = 0;
        u8 type = 0;
        if (!t.memory().read(a[1] + at, &ino, 8) || !t.memory().read(a[1] + at + at_length, &length, 2) ||
            !t.memory().read(a[1] + at + at_type, &type, 1) || length < head)
            break;
        auto record = type == regular ? owners->find_any_birth(key_of(st).dev, ino) : std::nullopt;
        if (record && record->type) {
            type = u8(record->type >> 12); // DT_ is the type's bits of a mode
            t.memory().write(a[1] + at + at_type, &type, 1);
        }
        at += length;
    }
    return n;
}

} // namespace mimic::user
