#include "user/root/ids.hpp"
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mimic::user {
namespace {

constexpr u64 wanted_ids = 65536;

std::string text_of(const std::string& path) {
    std::string text;
    int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    char buffer[4096];
    for (ssize_t n; fd >= 0 && (n = read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, size_t(n));
    if (fd >= 0) close(fd);
    return text;
}

std::vector<std::string_view> fields(std::string_view line) {
    std::vector<std::string_view> parts;
    for (;;) {
        size_t end = line.find(':');
        parts.push_back(line.substr(0, end));
        if (end == std::string::npos) return parts;
        line.remove_prefix(end + 1);
    }
}

template <class F>
void each_line(std::string_view text, F f) {
    while (!text.empty()) {
        size_t end = text.find('\n');
        f(text.substr(0, end));
        text.remove_prefix(end == std::string::npos ? text.size() : end + 1);
    }
}

bool number(std::string_view text, u64& value) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::string program(const char* name) {
    for (const char* directory : {"/usr/bin", "/bin", "/usr/sbin", "/usr/local/bin"}) {
        std::string path = fmt::format("{}/{}", directory, name);
        if (access(path.c_str(), X_OK) == 0) return path;
    }
    return {};
}

IdRange own_range(const char* file, u32 id) {
    return subordinate_ids(text_of(file), user_name(text_of("/etc/passwd"), id), id);
}

Result<void> put(const std::string& path, const std::string& text) {
    int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : write(fd, text.data(), text.size());
    int error = errno;
    if (fd >= 0) close(fd);
    if (n == ssize_t(text.size())) return {};
    return Error::from_errno(error, "write '{}' to {}", text, path);
}

// newuidmap PID 0 OWN 1 1 FIRST COUNT
Result<void> map_with(const char* tool, int pid, u32 own, IdRange range) {
    std::string path = program(tool);
    std::vector<std::string> words{path,
                                   std::to_string(pid),
                                   "0",
                                   std::to_string(own),
                                   "1",
                                   "1",
                                   std::to_string(range.first),
                                   std::to_string(range.count)};
    std::vector<char*> arguments;
    for (auto& w : words) arguments.push_back(w.data());
    arguments.push_back(nullptr);
    int child = fork();
    if (child == 0) {
        execv(path.c_str(), arguments.data());
        _exit(127);
    }
    int status = -1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (status == 0) return {};
    return Error::from_errno(EPERM, "{} gave no ids (see /etc/subuid and /etc/subgid)", tool);
}

} // namespace

IdRange subordinate_ids(std::string_view text, std::string_view name, u32 uid) {
    IdRange found;
    each_line(text, [&](std::string_view line) {
        auto parts = fields(line);
        u64 who, first, count;
        if (found.count || parts.size() != 3 || !number(parts[1], first) || !number(parts[2], count)) return;
        bool ours = (!name.empty() && parts[0] == name) || (number(parts[0], who) && who == uid);
        if (ours && count >= wanted_ids) found = {first, std::min(count, wanted_ids)};
    });
    return found;
}

std::string user_name(std::string_view passwd, u32 uid) {
    std::string name;
    each_line(passwd, [&](std::string_view line) {
        auto parts = fields(line);
        u64 id;
        if (name.empty() && parts.size() >= 3 && number(parts[2], id) && id == uid) name = parts[0];
    });
    return name;
}

// Subordinate groups are given to users, too: /etc/subgid is searched for the user.
bool can_map_ids() {
    return !program("newuidmap").empty() && !program("newgidmap").empty() && own_range("/etc/subuid", getuid()).count &&
           own_range("/etc/subgid", getuid()).count;
}

Result<void> write_id_maps(int pid, bool mapped, u32 uid, u32 gid) {
    if (mapped) {
        TRY(map_with("newuidmap", pid, uid, own_range("/etc/subuid", getuid())));
        return map_with("newgidmap", pid, gid, own_range("/etc/subgid", getuid()));
    }
    std::string proc = "/proc/" + std::to_string(pid);
    TRY(put(proc + "/setgroups", "deny"));
    TRY(put(proc + "/uid_map", "0 " + std::to_string(uid) + " 1"));
    return put(proc + "/gid_map", "0 " + std::to_string(gid) + " 1");
}

u64 known_ids() {
    u64 total = 0;
    each_line(text_of("/proc/self/uid_map"), [&](std::string_view line) {
        size_t at = line.find_last_of(" \t");
        u64 count;
        if (at != std::string::npos && number(line.substr(at + 1), count)) total += count;
    });
    return total;
}

} // namespace mimic::user
