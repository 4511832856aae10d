#include "user/linux/paths.hpp"
#include "base/process.hpp"
#include <cstdlib>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mimic::user {
namespace {

using process::raw_syscall;

constexpr u64 here = u64(i64(AT_FDCWD));

bool status(const std::string& path, struct stat& st) {
    return raw_syscall(SYS_newfstatat, here, u64(path.c_str()), u64(&st), AT_SYMLINK_NOFOLLOW) == 0;
}

// Do the path's ".." lead above where it begins, somewhere on its way?
bool goes_out(std::string_view path) {
    for (i64 depth = 0; !path.empty();) {
        size_t slash = path.find('/');
        std::string_view part = path.substr(0, slash);
        if (part == "..")
            depth--;
        else if (!part.empty() && part != ".")
            depth++;
        if (depth < 0) return true;
        path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    }
    return false;
}

} // namespace

void Paths::set_sysroot(std::string_view sysroot) {
    sysroot_.clear();
    if (sysroot.empty()) return;
    std::string given(sysroot);
    char buffer[4096];
    if (const char* absolute = realpath(given.c_str(), buffer)) given = absolute;
    while (given.size() > 1 && given.back() == '/') given.pop_back();
    if (given != "/") sysroot_ = given;
}

// The kernel resolves with the sysroot as root directory; the descriptor's name is the answer.
std::string Paths::inside(const std::string& path, bool follow) const {
    i64 root = raw_syscall(SYS_openat, here, u64(sysroot_.c_str()), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return {};
    struct open_how how {};
    how.flags = O_PATH | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW);
    how.resolve = RESOLVE_IN_ROOT;
    i64 fd = raw_syscall(SYS_openat2, u64(root), u64(path.c_str()), u64(&how), sizeof how);
    std::string result;
    if (fd >= 0) {
        char buffer[4096];
        std::string name = "/proc/self/fd/" + std::to_string(fd);
        i64 n = raw_syscall(SYS_readlinkat, here, u64(name.c_str()), u64(buffer), sizeof buffer);
        if (n > 0) result.assign(buffer, size_t(n));
        raw_syscall(SYS_close, u64(fd));
    }
    raw_syscall(SYS_close, u64(root));
    return result;
}

std::string Paths::lookup(const std::string& path, bool follow) const {
    if (sysroot_.empty() || path.empty() || path[0] != '/') return path;
    // A program that already knows the sysroot names its files directly.
    std::string_view below = path;
    if (path.starts_with(sysroot_) && path[sysroot_.size()] == '/') below.remove_prefix(sysroot_.size());
    if (path == sysroot_ || (below != path && goes_out(below))) return path;
    std::string candidate = sysroot_ + std::string(below);
    struct stat st;
    if (status(candidate, st) && (!S_ISLNK(st.st_mode) || !follow)) return candidate;
    std::string resolved = inside(std::string(below), follow);
    return resolved.empty() ? path : resolved;
}

} // namespace mimic::user
