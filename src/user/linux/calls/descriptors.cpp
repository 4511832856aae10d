// Descriptors that Mimic keeps for itself (a way to execute itself again inside a foreign root, the database of owners, the
// log, the root's cache of translated code) lie where programs have none, and are none for them: calls answer EBADF, and
// directories of /proc don't list them.
#include "user/linux/calls/handlers.hpp"
#include "user/linux/proc_process.hpp"
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <climits>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

namespace mimic::user {

bool names_kept(Thread& t, const Args& a) {
    for (u32 n = 0; n < 6; n++) {
        const ArgKind kind = a.row->args[n].kind;
        if ((kind != ArgKind::fd && kind != ArgKind::dirfd) || !t.process().keeps(a.i(n))) continue;
        if (a.row->handler == sys_mmap && a.u(3) & MAP_ANONYMOUS) continue; // which ignores it
        u8 first = 0;                                                       // as whoever has an absolute path does
        if (kind == ArgKind::dirfd && t.memory().read(a[n + 1], &first, 1) && first == '/') continue;
        return true;
    }
    return false;
}

bool path_names_kept(const Process& p, const std::string& path) {
    for (std::string_view name : {"/fd/", "/fdinfo/"}) {
        const size_t at = path.find(name);
        if (at == std::string::npos) continue;
        int number = -1;
        const char* digits = path.c_str() + at + name.size();
        const char* end = std::from_chars(digits, path.c_str() + path.size(), number).ptr;
        if ((*end != 0 && *end != '/') || !p.keeps(number)) continue;
        const std::string above = path.substr(0, at);
        if (above == "/dev" || above == "/proc/self" || above == "/proc/thread-self") return true;
        if (above.starts_with("/proc/self/task/")) return true;
        if (!above.starts_with("/proc/")) continue;
        // Those of other programs in the root have the same numbers.
        struct stat st;
        const std::string exe = above + "/exe";
        const bool is = process::raw_syscall(SYS_newfstatat, u64(i64(AT_FDCWD)), u64(exe.c_str()), u64(&st), 0) == 0;
        if (own_entry(above + "/fd") || (is && std::pair<u64, u64>(st.st_dev, st.st_ino) == p.kept_files[0]))
            return true;
    }
    return false;
}

int opened_kept(const Process& p, u64 device, u64 inode, i64 directory, const std::string& path) {
    const auto found = std::find(p.kept_files.begin(), p.kept_files.end(), std::pair(device, inode));
    if (inode == 0 || found == p.kept_files.end()) return -1;
    OpenHow how{.flags = O_PATH | O_CLOEXEC, .mode = 0, .resolve = RESOLVE_NO_MAGICLINKS};
    const i64 fd = process::raw_syscall(SYS_openat2, u64(directory), u64(path.c_str()), u64(&how), sizeof how);
    if (fd >= 0) process::raw_syscall(SYS_close, u64(fd));
    return fd == -ELOOP ? int(found - p.kept_files.begin()) : -1; // else it has a name of its own
}

i64 sys_close_range(Thread& t, const Args& a) {
    u32 first = a.u(0), last = a.u(1);
    std::vector<u32> kept;
    for (int fd : t.process().kept)
        if (fd >= 0 && u32(fd) >= first && u32(fd) <= last) kept.push_back(u32(fd));
    if (kept.empty() || first > last) return pass(t, a);
    std::sort(kept.begin(), kept.end());
    kept.push_back(last + 1);
    i64 r = 0;
    for (u32 next : kept) {
        if (next > first || (next == 0 && last == ~0u)) r = t.syscall(SYS_close_range, first, next - 1, a.u(2));
        if (r < 0) return r;
        first = next + 1;
    }
    return r;
}

namespace {

// Is it /proc/PID/fd or fdinfo, or a thread's, of this process?
bool lists_own_descriptors(int fd) {
    struct statfs fs;
    if (process::raw_syscall(SYS_fstatfs, u64(fd), u64(&fs)) < 0 || fs.f_type != PROC_SUPER_MAGIC) return false;
    char text[PATH_MAX];
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    const i64 n = process::raw_syscall(SYS_readlinkat, u64(i64(AT_FDCWD)), u64(link.c_str()), u64(text), sizeof text);
    const std::string_view name(text, size_t(std::max<i64>(n, 0)));
    const std::string own = "/proc/" + std::to_string(process::raw_syscall(SYS_getpid)) + "/";
    return name.starts_with(own) && (name.ends_with("/fd") || name.ends_with("/fdinfo"));
}

} // namespace

// struct linux_dirent64, getdents64(2): ino and offset, 8 bytes each, the entry's length, a type, the name.
bool hide_kept(Thread& t, int fd, u64 buffer, i64& bytes) {
    if (bytes <= 0 || !t.process().keeps_any() || !lists_own_descriptors(fd)) return false;
    constexpr u64 at_length = 16, at_name = 19;
    std::vector<u8> all(static_cast<size_t>(bytes)), left;
    if (!t.memory().read(buffer, all.data(), all.size())) return false;
    for (size_t at = 0; at + at_name < all.size();) {
        const size_t length = load_int(&all[at + at_length], 2, t.abi().model.big);
        if (length <= at_name || length > all.size() - at) return false;
        const char* name = reinterpret_cast<const char*>(&all[at + at_name]);
        int number = -1;
        std::from_chars(name, name + strnlen(name, length - at_name), number);
        if (!t.process().keeps(number)) left.insert(left.end(), &all[at], &all[at] + length);
        at += length;
    }
    const bool nothing_is_left = left.empty();
    bytes = t.memory().write(buffer, left.data(), left.size()) ? i64(left.size()) : -EFAULT;
    return nothing_is_left;
}

} // namespace mimic::user
