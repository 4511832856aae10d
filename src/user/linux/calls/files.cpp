// Opening, naming and describing files.
#include "user/linux/calls/import.hpp"
#include "user/linux/pretended.hpp"
#include "user/linux/proc_files.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

namespace mimic::user {
namespace {

using process::raw_syscall;

// The host's numbers of the flags that OpenFlags names (x86-64: asm-generic's).
constexpr OpenFlags host_flags{};
constexpr u32 o_nofollow = host_flags.nofollow, o_creat = 0100, o_tmpfile_bit = 020000000;

u32 swap_flags(u32 flags, const OpenFlags& from, const OpenFlags& to) {
    u32 moved = from.direct | from.largefile | from.directory | from.nofollow, result = flags & ~moved;
    if (flags & from.direct) result |= to.direct;
    if (flags & from.largefile) result |= to.largefile;
    if (flags & from.directory) result |= to.directory;
    if (flags & from.nofollow) result |= to.nofollow;
    return result;
}
u64 flags_in(Thread& t, u64 flags) { return swap_flags(u32(flags), t.abi().open, host_flags); }
u64 flags_out(Thread& t, u64 flags) { return swap_flags(u32(flags), host_flags, t.abi().open); }

// Where RLIMIT_FSIZE forbids files: a pipe that holds all of it, which can be read once.
i64 pipe_text(const std::string& text, u64 flags) {
    i32 fds[2];
    if (i64 r = raw_syscall(SYS_pipe2, u64(fds), flags & O_CLOEXEC); r < 0) return r;
    raw_syscall(SYS_fcntl, u64(fds[1]), F_SETPIPE_SZ, text.size());
    raw_syscall(SYS_fcntl, u64(fds[1]), F_SETFL, O_NONBLOCK);
    i64 n = raw_syscall(SYS_write, u64(fds[1]), u64(text.data()), text.size());
    raw_syscall(SYS_close, u64(fds[1]));
    if (n == i64(text.size())) return fds[0];
    raw_syscall(SYS_close, u64(fds[0]));
    return n < 0 ? n : -EFBIG;
}

// A file whose text is made up: a memfd from its start on, or a pipe.
i64 write_text(Thread& t, const std::string& text, u64 flags) {
    i64 fd = raw_syscall(SYS_memfd_create, u64("mimic"), flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
    if (fd < 0) return fd;
    for (size_t done = 0; done < text.size();) {
        i64 n = t.write_own(int(fd), text.data() + done, text.size() - done);
        if (n <= 0) {
            raw_syscall(SYS_close, u64(fd));
            return n == -EFBIG ? pipe_text(text, flags) : n < 0 ? n : -EIO;
        }
        done += size_t(n);
    }
    raw_syscall(SYS_lseek, u64(fd), 0, SEEK_SET);
    return fd;
}

// `from` in the place of fd. On an error both are closed.
i64 move_descriptor(i64 from, i64 fd, u64 flags) {
    const i64 r = raw_syscall(SYS_dup3, u64(from), u64(fd), flags & O_CLOEXEC);
    raw_syscall(SYS_close, u64(from));
    if (r < 0) raw_syscall(SYS_close, u64(fd));
    return r;
}

// Such a memfd opened again for reading alone, under its number, where /proc is there and a descriptor is left.
i64 read_only(i64 fd, u64 flags) {
    if (fd < 0 || (raw_syscall(SYS_fcntl, u64(fd), F_GETFL) & O_ACCMODE) == O_RDONLY) return fd;
    const std::string name = "/proc/self/fd/" + std::to_string(fd);
    const u64 wanted = flags & u64(O_CLOEXEC | O_NONBLOCK);
    const i64 again = raw_syscall(SYS_openat, u64(i64(AT_FDCWD)), u64(name.c_str()), O_RDONLY | wanted);
    return again < 0 ? fd : move_descriptor(again, fd, flags);
}

i64 open_text(Thread& t, const std::string& text, u64 flags) { return read_only(write_text(t, text, flags), flags); }

// The text in the place of what the kernel opened. It takes one descriptor more.
i64 replace_text(Thread& t, i64 fd, const std::string& text, u64 flags) {
    std::lock_guard no_forks(t.process().members_lock); // no child is to have the descriptors in between
    const i64 made = write_text(t, text, flags);
    if (made < 0) return raw_syscall(SYS_close, u64(fd)), made;
    return read_only(move_descriptor(made, fd, flags), flags);
}

// What is opened may be a file of /proc that must tell the guest's story (for writing alone nobody reads it), or one of ours
// by a link of /proc: Mimic's own stands for the program.
i64 opened(Thread& t, i64 fd, u64 flags, i64 directory, const std::string& path) {
    const bool is_read = !(flags & u64(O_PATH | O_DIRECTORY)) && (flags & O_ACCMODE) != O_WRONLY;
    if (fd < 0 || (!is_read && !t.process().keeps_any())) return fd;
    struct stat st; // asked first, as it takes less: files of /proc say that they are empty
    if (raw_syscall(SYS_fstat, u64(fd), u64(&st)) < 0) return fd;
    if (const int kept = opened_kept(t.process(), st.st_dev, st.st_ino, directory, path); kept >= 0) [[unlikely]] {
        raw_syscall(SYS_close, u64(fd));
        if (kept != 0) return -ENOENT;
        return raw_syscall(SYS_openat, u64(i64(AT_FDCWD)), u64(t.process().exe.c_str()), flags & ~u64(O_CREAT));
    }
    if (!is_read || !S_ISREG(st.st_mode) || st.st_size != 0) return fd;
    const auto text = proc_text(t, int(fd));
    return text ? replace_text(t, fd, *text, flags) : fd;
}

// What the kernel doesn't have, since it is of the guest's architecture: proc_files.hpp.
i64 open_guest_file(Thread& t, const std::string& path, u64 flags) {
    const auto text = guest_file(t, path);
    if (!text) return -ENOENT;
    if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) return -EEXIST;
    if (flags & O_DIRECTORY) return -ENOTDIR;
    return (flags & O_ACCMODE) == O_RDONLY ? open_text(t, *text, flags) : -EACCES;
}

u64 cstr(const std::string& s) { return u64(s.c_str()); }

// `strict`: openat2, which refuses flags that openat ignores.
struct Opening : OpenHow {
    bool strict = false;
};

i64 open_host(Thread& t, i64 directory, const std::string& path, const Opening& how) {
    if (!how.strict) return t.syscall(SYS_openat, directory, cstr(path), how.flags, how.mode);
    return t.syscall(SYS_openat2, directory, cstr(path), static_cast<const OpenHow*>(&how), sizeof(OpenHow));
}

// With pretended owners: who makes a file owns it, and a pretended device is the host's.
i64 open_file(Thread& t, i64 directory, const std::string& path, const Opening& how) {
    if (!t.process().owners) return open_host(t, directory, path, how);
    NewOwner owner;
    if (how.flags & (O_CREAT | o_tmpfile_bit)) owner = owner_of_new(t, directory, path);
    if (owner.plain()) return open_device(t, open_host(t, directory, path, how), how.flags);
    // O_EXCL tells whether the file is new; a link at the end of the path is left to the second try.
    Opening exclusive = how;
    if (how.flags & O_CREAT) exclusive.flags |= O_EXCL;
    i64 fd = open_host(t, directory, path, exclusive);
    if (fd >= 0) record_new(t, owner, fd, "", AT_EMPTY_PATH);
    if (fd == -EEXIST && exclusive.flags != how.flags)
        fd = open_device(t, open_host(t, directory, path, how), how.flags);
    return fd;
}

constexpr i64 not_near = -EXDEV;

// By a path that stays in the root's mount, as the kernel says (RESOLVE_NO_XDEV, openat2(2)): what it leads to is no file of
// /proc, and need not be looked at. not_near: asked for again, by the usual way.
i64 open_near(Thread& t, const std::string& path, const Opening& how) {
    Process& p = t.process();
    const bool is_read = !(how.flags & u64(O_PATH | O_DIRECTORY)) && (how.flags & O_ACCMODE) != O_WRONLY;
    if (!is_read || how.strict || path.size() < 2 || path[0] != '/' || p.owners || p.keeps_any()) return not_near;
    constexpr u64 asked = u64{1} << 63;
    if (!(p.far_paths.load(std::memory_order_relaxed) & asked)) {
        struct statfs root;
        const bool plain = raw_syscall(SYS_statfs, u64("/"), u64(&root)) == 0 && root.f_type != PROC_SUPER_MAGIC;
        p.far_paths.fetch_or(plain ? asked : ~u64{0}, std::memory_order_relaxed);
    }
    const std::string_view first = std::string_view(path).substr(1, path.find('/', 1) - 1);
    const u64 bit = u64{1} << std::hash<std::string_view>()(first) % 63;
    if (p.far_paths.load(std::memory_order_relaxed) & bit) return not_near;
    OpenHow near = how; // no mode where none is asked for
    near.mode = how.flags & (O_CREAT | o_tmpfile_bit) ? how.mode & 07777 : 0;
    near.resolve = RESOLVE_NO_XDEV;
    const i64 r = t.syscall(SYS_openat2, AT_FDCWD, cstr(path), &near, sizeof near);
    // Flags that openat ignores; a kernel or a container that doesn't know the call.
    const bool refused = r == -EXDEV || r == -EINVAL || r == -ENOSYS || r == -EPERM || r == -EAGAIN;
    if (refused && r != -EINVAL) p.far_paths.fetch_or(r == -ENOSYS ? ~u64{0} : bit, std::memory_order_relaxed);
    return refused ? not_near : r;
}

i64 open_any(Thread& t, i64 directory, std::string& path, const Opening& how) {
    // With conditions the path is the kernel's alone to resolve.
    const bool follow = !(how.flags & o_nofollow);
    if (how.resolve == 0) path = t.process().paths.lookup(follow ? redirect_proc(t, directory, path) : path, follow);
    if (const i64 fd = how.resolve == 0 ? open_near(t, path, how) : not_near; fd != not_near)
        return fd == -ENOENT ? open_guest_file(t, path, how.flags) : fd;
    const i64 fd = open_file(t, directory, path, how);
    return fd == -ENOENT ? open_guest_file(t, path, how.flags) : opened(t, fd, how.flags, directory, path);
}

} // namespace

i64 sys_openat(Thread& t, const Args& a) {
    std::string path;
    if (i64 r = t.path(a[1], path)) return r;
    u64 flags = flags_in(t, a[2]);
    return open_any(t, a.i(0), path, {{.flags = flags, .mode = a.u(3), .resolve = 0}});
}

// chroot, pivot_root, setns: the root may be another one then.
i64 sys_new_root(Thread& t, const Args& a) {
    t.process().far_paths.store(~u64{0}, std::memory_order_relaxed);
    return pass(t, a);
}

i64 sys_openat2(Thread& t, const Args& a) {
    std::string path;
    OpenHow how{};
    u64 size = a[3];
    if (size < 24) return -EINVAL;
    if (size > 4096) return -E2BIG;
    if (i64 r = t.path(a[1], path)) return r;
    if (!t.read(S::open_how, a[2], &how)) return -EFAULT;
    for (u64 at = 24; at < size; at++) { // a newer, larger structure is fine while its rest is zero
        u8 byte = 0;
        if (!t.memory().read(a[2] + at, &byte, 1)) return -EFAULT;
        if (byte) return -E2BIG;
    }
    how.flags = (how.flags >> 32 << 32) | flags_in(t, how.flags);
    return open_any(t, a.i(0), path, {how, true});
}

i64 sys_pipe2(Thread& t, const Args& a) {
    i32 fds[2];
    i64 r = raw_syscall(SYS_pipe2, u64(fds), flags_in(t, a[1]));
    if (r < 0) return r;
    if (t.write(S::fd_pair, a[0], fds)) return 0;
    raw_syscall(SYS_close, u64(fds[0])), raw_syscall(SYS_close, u64(fds[1]));
    return -EFAULT;
}

i64 sys_fcntl(Thread& t, const Args& a) {
    int command = a.i(1);
    u64 argument = a[2];
    switch (command) {
    case F_GETFL: {
        i64 r = t.syscall(SYS_fcntl, a.i(0), F_GETFL);
        return r < 0 ? r : i64(flags_out(t, u64(r)));
    }
    case F_SETFL: return t.syscall(SYS_fcntl, a.i(0), F_SETFL, flags_in(t, argument));
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW: {
        struct flock lock;
        if (!t.read(S::flock, argument, &lock)) return -EFAULT;
        i64 r = t.syscall(SYS_fcntl, a.i(0), command, &lock);
        bool get = command == F_GETLK || command == F_OFD_GETLK;
        if (r == 0 && get && !t.write(S::flock, argument, &lock)) return -EFAULT;
        return r;
    }
    case F_SETOWN_EX:
    case F_GETOWN_EX: {
        struct f_owner_ex owner {};
        if (command == F_SETOWN_EX && !t.read(S::f_owner, argument, &owner)) return -EFAULT;
        i64 r = t.syscall(SYS_fcntl, a.i(0), command, &owner);
        if (r == 0 && command == F_GETOWN_EX && !t.write(S::f_owner, argument, &owner)) return -EFAULT;
        return r;
    }
    case 1036 ... 1039: { // F_GET_RW_HINT to F_SET_FILE_RW_HINT: a 64-bit value
        u64 hint = 0;
        if (!t.read(S::u64, argument, &hint)) return -EFAULT;
        i64 r = t.syscall(SYS_fcntl, a.i(0), command, &hint);
        if (r == 0 && !t.write(S::u64, argument, &hint)) return -EFAULT;
        return r;
    }
    default: return t.syscall(SYS_fcntl, a.i(0), command, argument);
    }
}

i64 sys_readlinkat(Thread& t, const Args& a) {
    std::string path;
    if (i64 r = t.path(a[1], path)) return r;
    u64 size = a[3];
    if (i64(i32(size)) <= 0) return -EINVAL;
    if (std::string exe = proc_exe(t, a.i(0), path); !exe.empty()) {
        u64 n = std::min<u64>(exe.size(), size);
        return t.memory().write(a[2], exe.data(), n) ? i64(n) : -EFAULT;
    }
    path = t.process().paths.lookup(path, false);
    void* to = t.writing(a[2], size);
    return to ? t.syscall(SYS_readlinkat, a.i(0), cstr(path), to, size) : -EFAULT;
}

i64 sys_newfstatat(Thread& t, const Args& a) {
    std::string path;
    bool follow = !(a.i(3) & AT_SYMLINK_NOFOLLOW);
    if (a[1] == 0 ? !(a.i(3) & AT_EMPTY_PATH) : false) return -EFAULT;
    if (a[1] != 0) {
        if (i64 r = t.path(a[1], path)) return r;
        if (follow) path = redirect_proc(t, a.i(0), path);
        path = t.process().paths.lookup(path, follow);
    }
    struct stat st;
    i64 r;
    if (t.process().owners) {
        struct statx x;
        r = pretended_statx(t, a.i(0), path.c_str(), a.i(3), 0, x);
        if (r == 0) st = stat_of(x);
    } else {
        r = t.syscall(SYS_newfstatat, a.i(0), cstr(path), &st, a.i(3));
    }
    if (r < 0) return r;
    return t.write(S::stat, a[2], &st) ? 0 : -EFAULT;
}

i64 sys_statx(Thread& t, const Args& a) {
    std::string path;
    bool follow = !(a.i(2) & AT_SYMLINK_NOFOLLOW);
    if (a[1] == 0 && !(a.i(2) & AT_EMPTY_PATH)) return -EFAULT;
    if (a[1] != 0) {
        if (i64 r = t.path(a[1], path)) return r;
        if (follow) path = redirect_proc(t, a.i(0), path);
        path = t.process().paths.lookup(path, follow);
    }
    struct statx st;
    i64 r = t.process().owners ? pretended_statx(t, a.i(0), path.c_str(), a.i(2), a.u(3), st)
                               : t.syscall(SYS_statx, a.i(0), cstr(path), a.i(2), a.u(3), &st);
    if (r < 0) return r;
    return t.write(S::statx, a[4], &st) ? 0 : -EFAULT;
}

i64 sys_fchmodat2(Thread& t, const Args& a) {
    std::string path;
    if (i64 r = host_path(t, a.i(0), a[1], !(a.i(3) & AT_SYMLINK_NOFOLLOW), path)) return r;
    return t.syscall(a.row->host, a.i(0), cstr(path), a.u(2), a.i(3));
}

i64 sys_utimensat(Thread& t, const Args& a) {
    std::string path;
    std::vector<struct timespec> times;
    if (a[1] != 0)
        if (i64 r = host_path(t, a.i(0), a[1], !(a.i(3) & AT_SYMLINK_NOFOLLOW), path)) return r;
    if (a[2] != 0 && !t.read_array(S::timespec, a[2], times, 2)) return -EFAULT;
    return t.syscall(SYS_utimensat, a.i(0), a[1] ? path.c_str() : nullptr, times.empty() ? nullptr : times.data(),
                     a.i(3));
}

i64 sys_name_to_handle_at(Thread& t, const Args& a) {
    std::string path;
    struct file_handle head;
    if (i64 r = t.path(a[1], path)) return r;
    path = t.process().paths.lookup(path, false);
    if (!t.read(S::file_handle, a[2], &head)) return -EFAULT;
    if (head.handle_bytes > MAX_HANDLE_SZ) return -EINVAL;
    alignas(struct file_handle) u8 buffer[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    auto* handle = reinterpret_cast<struct file_handle*>(buffer);
    handle->handle_bytes = head.handle_bytes;
    i32 mount = 0;
    i64 r = t.syscall(SYS_name_to_handle_at, a.i(0), cstr(path), handle, &mount, a.i(4));
    if (r == 0 || r == -EOVERFLOW) {
        if (!t.write(S::file_handle, a[2], handle)) return -EFAULT;
        u64 body = a[2] + size_of(t.abi().layout(S::file_handle), t.abi().model);
        if (r == 0 && !t.memory().write(body, handle->f_handle, handle->handle_bytes)) return -EFAULT;
        if (!t.write(S::i32, a[3], &mount)) return -EFAULT;
    }
    return r;
}

i64 sys_open_by_handle_at(Thread& t, const Args& a) {
    alignas(struct file_handle) u8 buffer[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    auto* handle = reinterpret_cast<struct file_handle*>(buffer);
    if (!t.read(S::file_handle, a[1], handle)) return -EFAULT;
    if (handle->handle_bytes > MAX_HANDLE_SZ) return -EINVAL;
    u64 body = a[1] + size_of(t.abi().layout(S::file_handle), t.abi().model);
    if (!t.memory().read(body, handle->f_handle, handle->handle_bytes)) return -EFAULT;
    return t.syscall(SYS_open_by_handle_at, a.i(0), handle, flags_in(t, a[2]));
}

i64 enosys(Thread&, const Args&) { return -ENOSYS; }
i64 enospc(Thread&, const Args&) { return -ENOSPC; }
i64 einval(Thread&, const Args&) { return -EINVAL; }

} // namespace mimic::user
