#include "user/linux/proc_files.hpp"
#include "user/linux/proc_process.hpp"
#include <algorithm>
#include <climits>
#include <cstdlib>
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace mimic::user {
namespace {

bool is_number(std::string_view s) {
    return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Processors that are online ("0-3,6"), as /sys tells: what the guest's C library counts there, /proc/cpuinfo lists.
u32 cpu_count() {
    const std::string list = read_host("/sys/devices/system/cpu/online");
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

// A file of a processor's directory in /sys that the guest's architecture has.
std::optional<std::string> cpu_file(Thread& t, std::string_view path) {
    constexpr std::string_view directory = "/sys/devices/system/cpu/cpu";
    if (!path.starts_with(directory) || !t.abi().cpu_file) return {};
    const std::string_view rest = path.substr(directory.size());
    const size_t slash = rest.find('/');
    if (slash == std::string_view::npos || !is_number(rest.substr(0, slash))) return {};
    if (u32(std::atoi(rest.data())) >= cpu_count()) return {};
    return t.abi().cpu_file(t.process().options.cpu_model, rest.substr(slash + 1));
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
    std::string raw = read_host(directory + "auxv");
    u64 word = t.word_bytes();
    for (size_t at = 0; at + 2 * word <= raw.size(); at += 2 * word) {
        auto* entry = reinterpret_cast<const u8*>(raw.data()) + at;
        if (load_int(entry, u32(word), t.abi().model.big) == type)
            return load_int(entry + word, u32(word), t.abi().model.big);
    }
    return 0;
}

// /proc/PID/exe of another process under Mimic: its program's name lies on its stack (AT_EXECFN).
std::string program_of_other(Thread& t, const std::string& pid) {
    std::string directory = "/proc/" + pid + "/";
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

std::string proc_exe(Thread& t, const std::string& path) {
    if (path.size() < 6 || path[0] != '/' || path[1] != 'p') return {};
    if (auto own = own_entry(t, path); own && own->name == "exe") return t.process().exe;
    if (!path.starts_with("/proc/") || !path.ends_with("/exe")) return {};
    std::string pid = path.substr(6, path.size() - 10);
    return is_number(pid) ? program_of_other(t, pid) : std::string();
}

std::string redirect_proc(Thread& t, const std::string& path) {
    std::string exe = proc_exe(t, path);
    return exe.empty() ? path : exe;
}

std::optional<std::string> proc_text(Thread& t, const std::string& path) {
    if (path.size() < 6 || path[0] != '/') return {};
    if (path[1] == 's') return cpu_file(t, path);
    if (path[1] != 'p') return {};
    if (path == "/proc/cpuinfo") return t.abi().cpuinfo(t.process().options.cpu_model, cpu_count());
    auto own = own_entry(t, path);
    return own ? own_text(t, *own) : std::nullopt;
}

std::string proc_path(i64 directory, const std::string& path) {
    constexpr std::string_view names[] = {"maps",  "smaps",  "smaps_rollup", "numa_maps", "auxv", "cmdline", "stat",
                                          "statm", "status", "limits",       "syscall",   "exe",  "cpuinfo"};
    if (path.empty() || path[0] == '/' || directory == AT_FDCWD) return path;
    const std::string_view last = std::string_view(path).substr(path.rfind('/') + 1);
    if (std::find(std::begin(names), std::end(names), last) == std::end(names)) return path;
    char target[PATH_MAX];
    const std::string link = "/proc/self/fd/" + std::to_string(directory);
    const i64 n =
        process::raw_syscall(SYS_readlinkat, u64(i64(AT_FDCWD)), u64(link.c_str()), u64(target), sizeof target);
    std::string whole = std::string(target, size_t(std::max<i64>(n, 0))) + "/" + path;
    return whole.starts_with("/proc/") ? whole : path;
}

} // namespace mimic::user
