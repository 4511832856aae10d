#include "user/linux/proc_files.hpp"
#include "user/debug/debugger.hpp"
#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <elf.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace mimic::user {
namespace {

u32 cpu_count() {
    u64 mask[16] = {};
    i64 n = process::raw_syscall(SYS_sched_getaffinity, 0, sizeof mask, u64(mask));
    u32 count = 0;
    for (i64 i = 0; i < n / 8; i++) count += u32(__builtin_popcountll(mask[i]));
    return count ? count : 1;
}

std::string read_host(const char* path) {
    std::string text;
    i64 fd = process::raw_syscall(SYS_open, u64(path), 0x80000);
    char buffer[4096];
    for (i64 n; fd >= 0 && (n = process::raw_syscall(SYS_read, u64(fd), u64(buffer), sizeof buffer)) > 0;)
        text.append(buffer, size_t(n));
    if (fd >= 0) process::raw_syscall(SYS_close, u64(fd));
    return text;
}

// /proc/self/stat (proc(5)): the kernel's line with our name, and the guest's addresses in fields 26 to 30 and 45 to 51.
std::string stat_text(Thread& t) {
    std::string host = read_host("/proc/self/stat");
    size_t open = host.find('('), close = host.rfind(')');
    if (open == std::string::npos || close == std::string::npos) return host;
    const std::string& exe = t.process().exe;
    std::string line = host.substr(0, open + 1) + exe.substr(exe.rfind('/') + 1).substr(0, 15) + ")";
    size_t at = close + 1;
    for (u32 field = 3; at < host.size(); field++) {
        size_t end = host.find_first_of(" \n", at + 1);
        if (end == std::string::npos) end = host.size();
        std::string value = host.substr(at, end - at);
        if (field == 20 && t.process().debugger && t.process().debugger->traces()) // threads, without ours
            value = " " + std::to_string(std::atoi(value.c_str()) - 1);
        if (field == 28) value = " " + std::to_string(t.process().stack_start);
        if ((field >= 26 && field <= 27) || (field >= 29 && field <= 30) || (field >= 45 && field <= 51)) value = " 0";
        line += value;
        at = end;
    }
    return line + (line.back() == '\n' ? "" : "\n");
}

std::string cmdline_text(Thread& t) {
    std::string text;
    for (auto& argument : t.process().arguments) text += argument + '\0';
    return text;
}

std::string auxv_text(Thread& t) {
    auto& raw = t.process().auxv;
    return {reinterpret_cast<const char*>(raw.data()), raw.size()};
}

// /proc/self/status where ids are pretended: the kernel's text with the thread's own.
std::string status_text(Thread& t) {
    std::string host = read_host("/proc/thread-self/status"), text;
    const Credentials& c = t.credentials;
    auto ids = [](const char* name, const Ids& i) {
        return name + std::to_string(i.real) + "\t" + std::to_string(i.effective) + "\t" + std::to_string(i.saved) +
               "\t" + std::to_string(i.fs) + "\n";
    };
    for (size_t at = 0; at < host.size();) {
        size_t end = std::min(host.find('\n', at), host.size() - 1) + 1;
        std::string line = host.substr(at, end - at);
        at = end;
        if (line.starts_with("Uid:")) line = ids("Uid:\t", c.uid);
        if (line.starts_with("Gid:")) line = ids("Gid:\t", c.gid);
        if (line.starts_with("Groups:")) {
            line = "Groups:\t";
            for (u32 g : c.groups) line += (line.back() == '\t' ? "" : " ") + std::to_string(g);
            line += " \n";
        }
        text += line;
    }
    return text;
}

} // namespace

std::string own_proc_entry(Thread& t, const std::string& path) {
    if (!path.starts_with("/proc/")) return {};
    std::string rest = path.substr(6);
    size_t slash = rest.find('/');
    if (slash == std::string::npos) return {};
    std::string who = rest.substr(0, slash);
    bool own = who == "self" || who == "thread-self" || who == std::to_string(process::raw_syscall(SYS_getpid));
    (void)t;
    return own ? rest.substr(slash + 1) : std::string();
}

namespace {

bool same_file(const char* a, const char* b) {
    struct stat x, y;
    constexpr u64 here = u64(i64(AT_FDCWD));
    return process::raw_syscall(SYS_newfstatat, here, u64(a), u64(&x), 0) == 0 &&
           process::raw_syscall(SYS_newfstatat, here, u64(b), u64(&y), 0) == 0 && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

// A word of another process's auxiliary vector, which is the guest's where the kernel let us say so; 0: none.
u64 auxiliary_of(Thread& t, const std::string& directory, u64 type) {
    std::string raw = read_host((directory + "auxv").c_str());
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

bool is_number(std::string_view s) {
    return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) { return c >= '0' && c <= '9'; });
}

} // namespace

std::string proc_exe(Thread& t, const std::string& path) {
    if (path.size() < 6 || path[0] != '/' || path[1] != 'p') return {};
    if (own_proc_entry(t, path) == "exe") return t.process().exe;
    if (!path.starts_with("/proc/") || !path.ends_with("/exe")) return {};
    std::string pid = path.substr(6, path.size() - 10);
    return is_number(pid) ? program_of_other(t, pid) : std::string();
}

std::string redirect_proc(Thread& t, const std::string& path) {
    std::string exe = proc_exe(t, path);
    return exe.empty() ? path : exe;
}

std::optional<std::string> proc_text(Thread& t, const std::string& path) {
    if (path.size() < 6 || path[0] != '/' || path[1] != 'p') return {};
    if (path == "/proc/cpuinfo") return t.abi().cpuinfo(t.process().options.cpu_model, cpu_count());
    std::string entry = own_proc_entry(t, path);
    if (entry == "maps") return t.memory().maps_text();
    if (entry == "auxv") return auxv_text(t);
    if (entry == "cmdline") return cmdline_text(t);
    if (entry == "stat") return stat_text(t);
    if (entry == "status" && t.process().pretends_ids()) return status_text(t);
    return {};
}

} // namespace mimic::user
