#include "user/linux/proc_files.hpp"
#include "user/linux/proc_process.hpp"
#include <algorithm>
#include <climits>
#include <cstdlib>
#include <elf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

namespace mimic::user {
namespace {

bool is_number(std::string_view s) {
    return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Processors that are online ("0-3,6"), as /sys tells: what the guest's C library counts there, /proc/cpuinfo lists.
u32 cpu_count(Thread& t) {
    const std::string list = read_host(t, "/sys/devices/system/cpu/online");
    u32 count = 0;
    for (const char* at = list.c_str(); *at >= '0' && *at <= '9';) {
        char* end;
        const u64 first = std::strtoull(at, &end, 10), last = *end == '-' ? std::strtoull(end + 1, &end, 10) : first;
        if (last < first || last - first > 65536) return 1;
        count += u32(last - first + 1);
        at = *end == ',' ? end + 1 : end;
    }
    return count ? count : 1;
}

// The name without links of what a descriptor is of; empty where that lies in another kind of file system.
std::string name_of(i64 fd, u64 kind) {
    struct statfs fs;
    if (process::raw_syscall(SYS_fstatfs, u64(fd), u64(&fs)) < 0 || u64(fs.f_type) != kind) return {};
    char text[PATH_MAX];
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    const i64 n = process::raw_syscall(SYS_readlinkat, u64(i64(AT_FDCWD)), u64(link.c_str()), u64(text), sizeof text);
    return std::string(text, size_t(std::max<i64>(n, 0)));
}

bool same_file(const char* a, const char* b) {
    struct stat x, y;
    constexpr u64 here = u64(i64(AT_FDCWD));
    return process::raw_syscall(SYS_newfstatat, here, u64(a), u64(&x), 0) == 0 &&
           process::raw_syscall(SYS_newfstatat, here, u64(b), u64(&y), 0) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

// A word of another process's auxiliary vector, which is the guest's where the kernel let us say so; 0: none.
u64 auxiliary_of(Thread& t, const std::string& directory, u64 type) {
    std::string raw = read_host(t, directory + "auxv");
    u64 word = t.word_bytes();
    for (size_t at = 0; at + 2 * word <= raw.size(); at += 2 * word) {
        auto* entry = reinterpret_cast<const u8*>(raw.data()) + at;
        if (load_int(entry, u32(word), t.abi().model.big) == type)
            return load_int(entry + word, u32(word), t.abi().model.big);
    }
    return 0;
}

// The program of another process under Mimic, by its directory in /proc: the name lies on its stack (AT_EXECFN).
std::string program_of_other(Thread& t, const std::string& directory) {
    if (!same_file((directory + "exe").c_str(), "/proc/self/exe")) return {};
    u64 name = auxiliary_of(t, directory, AT_EXECFN);
    if (name == 0 || !t.memory().in_range(name, 1)) return {};
    char text[PATH_MAX] = {};
    i64 fd =
        process::raw_syscall(SYS_openat, u64(i64(AT_FDCWD)), u64((directory + "mem").c_str()), O_RDONLY | O_CLOEXEC);
    i64 n =
        fd < 0 ? fd : process::raw_syscall(SYS_pread64, u64(fd), u64(text), sizeof text - 1, name + t.memory().base());
    if (fd >= 0) process::raw_syscall(SYS_close, u64(fd));
    if (n <= 0 || text[0] != '/') return {};
    char absolute[PATH_MAX];
    std::string host = t.process().paths.lookup(text);
    return realpath(host.c_str(), absolute) ? absolute : text;
}

} // namespace

std::string proc_exe(Thread& t, i64 directory, const std::string& path) {
    constexpr std::string_view name = "exe";
    if (!path.ends_with(name) || (path.size() > name.size() && path[path.size() - name.size() - 1] != '/')) return {};
    // By the usual names without a descriptor, of which none may be left.
    if (path == "/proc/self/exe" || path == "/proc/thread-self/exe" ||
        path == "/proc/" + std::to_string(process::raw_syscall(SYS_getpid)) + "/exe") {
        char first;
        const bool is = process::raw_syscall(SYS_readlinkat, u64(i64(AT_FDCWD)), u64(path.c_str()), u64(&first), 1) > 0;
        return is ? t.process().exe : std::string();
    }
    std::string link;
    {
        std::lock_guard no_forks(t.process().members_lock); // no child is to have the descriptor
        const i64 fd =
            process::raw_syscall(SYS_openat, u64(directory), u64(path.c_str()), O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) return {};
        link = name_of(fd, PROC_SUPER_MAGIC);
        process::raw_syscall(SYS_close, u64(fd));
    }
    if (!link.ends_with("/exe")) return {};
    if (own_entry(link)) return t.process().exe;
    return program_of_other(t, link.substr(0, link.size() - name.size()));
}

std::string redirect_proc(Thread& t, i64 directory, const std::string& path) {
    std::string exe = proc_exe(t, directory, path);
    return exe.empty() ? path : exe;
}

std::optional<std::string> proc_text(Thread& t, const std::string& path) {
    constexpr std::string_view cpus = "/cpuinfo";
    auto own = own_entry(path);
    if (!own && path.ends_with(cpus)) return t.abi().cpuinfo(t.process().options.cpu_model, cpu_count(t));
    return own ? own_text(t, *own) : std::nullopt;
}

std::optional<std::string> proc_text(Thread& t, int fd) {
    const std::string name = name_of(fd, PROC_SUPER_MAGIC);
    return name.empty() ? std::nullopt : proc_text(t, name);
}

std::optional<std::string> guest_file(Thread& t, const std::string& path) {
    constexpr std::string_view directory = "/sys/devices/system/cpu/cpu";
    if (!path.starts_with(directory) || !t.abi().cpu_file) return {};
    const std::string_view rest = std::string_view(path).substr(directory.size());
    const size_t slash = rest.find('/');
    if (slash == std::string_view::npos || !is_number(rest.substr(0, slash))) return {};
    if (u32(std::atoi(rest.data())) >= cpu_count(t)) return {};
    return t.abi().cpu_file(t.process().options.cpu_model, rest.substr(slash + 1));
}

} // namespace mimic::user
