// `mimic bugreport`: what a maintainer needs to know, in one text that its sender can read and cut.
//
// No secrets: of the environment only what begins with MIMIC_ or QEMU_, without the values of -E; of files their names,
// sizes and hashes; of system calls no data that they move (-d calls). The command's own words are in it, and it says so.
#include "base/sha256.hpp"
#include "user/loader/elf.hpp"
#include "user/run.hpp"
#include "user/symbols.hpp"
#include "user/unit_cache.hpp"
#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <poll.h>
#include <set>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mimic::user {
namespace {

constexpr std::string_view usage =
    "usage: mimic bugreport [-o FILE] [--lines N] [--timeout SECONDS] [--] [OPTIONS of run] [PROGRAM [ARGUMENTS]]\n\n"
    "Writes a text for a report of a bug: version, host, limits, settings of Mimic; with a program, runs it and adds "
    "its\n"
    "command, its files' hashes, how it ended, the crash report and the last system calls.\n\n"
    "  -o FILE            where to (default: mimic-bugreport-DATE.txt here; -: standard output)\n"
    "  --lines N          how many lines of the log (default: 200)\n"
    "  --timeout SECONDS  ends a program that hangs by SIGQUIT, whose crash report tells where it was\n\n"
    "In it are names of files and the words of your command, but no data, no other variable of the environment and no\n"
    "file's contents. Look through it before you send it.\n";

struct Wish {
    std::string file;
    u64 lines = 200, timeout = 0;
    std::vector<std::string> words; // of `mimic run`
    bool help = false;
};

bool number(std::string_view text, u64 most, u64& value) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && !text.empty() && value <= most;
}

Result<Wish> parse(std::span<const std::string_view> words) {
    Wish w;
    size_t n = 0;
    for (; n < words.size(); n++) {
        const std::string_view word = words[n];
        if (word == "--help" || word == "-h" || word == "-help") return w.help = true, w;
        if (word == "--") {
            n++;
            break;
        }
        if (word != "-o" && word != "--lines" && word != "--timeout") break;
        if (++n == words.size()) return Error::invalid_argument("bugreport: option {} needs a value", word);
        if (word == "-o") {
            w.file = words[n];
            continue;
        }
        constexpr u64 most = 100'000;
        if (!number(words[n], most, word == "--lines" ? w.lines : w.timeout))
            return Error::invalid_argument("bugreport: {} {}: expected a number up to {}", word, words[n], most);
    }
    w.words.assign(words.begin() + ptrdiff_t(n), words.end());
    if (!w.words.empty() && w.words[0] == "run") w.words.erase(w.words.begin()); // a whole command was pasted
    return w;
}

// ---- pieces ----

std::string whole(const std::string& path, size_t most = 1 << 20) {
    std::string text;
    if (std::FILE* f = std::fopen(path.c_str(), "re")) {
        char buffer[4096];
        for (size_t k; text.size() < most && (k = std::fread(buffer, 1, sizeof buffer, f)) > 0;) text.append(buffer, k);
        std::fclose(f);
    }
    while (text.ends_with('\n')) text.pop_back();
    return text;
}

// The rest of the first line that begins with `key`.
std::string field(const std::string& text, std::string_view key) {
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line(text.data() + at, end - at);
        if (line.starts_with(key)) {
            const size_t begin = line.find_first_not_of(" \t:=\"", key.size());
            std::string value(begin == std::string_view::npos ? "" : line.substr(begin));
            while (value.ends_with('"')) value.pop_back();
            return value;
        }
        at = end + 1;
    }
    return "unknown";
}

std::string hex(std::span<const u8> bytes) {
    std::string text;
    for (u8 b : bytes) text += fmt::format("{:02x}", b);
    return text;
}

// As a shell reads it back.
std::string quoted(const std::string& word) {
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
    if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
    std::string text = "'";
    for (char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return text + "'";
}

// Size, SHA-256 and what kind of program; nothing of what is in it.
std::string file_text(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return fmt::format("{}: {}\n", path, Error::system(errno, "open").message());
    struct stat st;
    std::string text = path;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        void* p = st.st_size ? mmap(nullptr, size_t(st.st_size), PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
        text += fmt::format(": {} bytes", st.st_size);
        if (p != MAP_FAILED) {
            text += fmt::format(", sha256 {}", hex(sha256({static_cast<const u8*>(p), size_t(st.st_size)})));
            munmap(p, size_t(st.st_size));
        }
        const DescriptorBytes bytes(fd);
        if (auto id = identify_elf(bytes)) {
            text += ", " + describe(*id);
            if (std::string build = elf_build_id(bytes); !build.empty()) text += ", build id " + build;
            if (auto image = parse_elf(bytes, 4096, 1ull << 47); image && !image->interpreter.empty())
                text += ", interpreter " + image->interpreter;
        }
    } else {
        text += ": no regular file";
    }
    close(fd);
    return text + "\n";
}

// ---- sections ----

std::string mimic_text() {
    char self[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self);
    return fmt::format("[mimic]\nversion 0.1, build id {}\n{}compiler {}\n", build_id(),
                       file_text(n > 0 ? std::string(self, size_t(n)) : "/proc/self/exe"), __VERSION__);
}

std::string host_text() {
    utsname u;
    uname(&u);
    const std::string cpu = whole("/proc/cpuinfo"), os = whole("/etc/os-release"), memory = whole("/proc/meminfo");
    std::string text = fmt::format("\n[host]\nkernel {} {} {} {}\nsystem {}\n", u.sysname, u.release, u.version,
                                   u.machine, field(os, "PRETTY_NAME="));
    text += fmt::format("cpu {}, {} online\nflags {}\n", field(cpu, "model name"), sysconf(_SC_NPROCESSORS_ONLN),
                        field(cpu, "flags"));
    text += fmt::format("memory {}, free {}\n", field(memory, "MemTotal"), field(memory, "MemAvailable"));
    for (const char* name :
         {"vm/overcommit_memory", "vm/max_map_count", "vm/mmap_min_addr", "kernel/randomize_va_space",
          "kernel/unprivileged_userns_clone", "user/max_user_namespaces", "kernel/core_pattern"})
        if (std::string v = whole(fmt::format("/proc/sys/{}", name)); !v.empty())
            text += fmt::format("{} {}\n", name, v);
    const std::string status = whole("/proc/self/status");
    text += fmt::format("uid {}, seccomp {}, no_new_privs {}, capabilities {}\n", getuid(), field(status, "Seccomp:"),
                        field(status, "NoNewPrivs"), field(status, "CapEff"));
    return text + "limits:\n" + whole("/proc/self/limits") + "\n";
}

// Of what concerns us; a list of variables for the program loses its values.
std::string environment_text() {
    std::string text = "\n[environment]\n";
    std::set<std::string> lines;
    for (char** e = environ; *e; e++) {
        const std::string_view entry = *e;
        if (!entry.starts_with("MIMIC_") && !entry.starts_with("QEMU_")) continue;
        const size_t equals = entry.find('=');
        const std::string_view name = entry.substr(0, equals);
        lines.insert(name.ends_with("_SET_ENV") ? fmt::format("{}=(left out)\n", name) : fmt::format("{}\n", entry));
    }
    for (auto& line : lines) text += line;
    return text + (lines.empty() ? "nothing of MIMIC_* or QEMU_*\n" : "");
}

// -E NAME=VALUE: the value is the program's.
std::string command_text(const std::vector<std::string>& words) {
    std::string text = "\n[command]\nmimic run";
    bool set = false;
    for (const std::string& word : words) {
        text += ' ';
        text += set ? quoted(word.substr(0, word.find('='))) + "=..." : quoted(word);
        set = word == "-E";
    }
    return text + "\n";
}

// ---- the run ----

struct Run {
    int status = 0;
    bool timed_out = false;
    double seconds = 0;
};

double now() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}

// Waits for the program; SIGQUIT after the time, SIGKILL five seconds later.
void wait_for(pid_t pid, u64 timeout, Run& run) {
    const int fd = int(syscall(SYS_pidfd_open, pid, 0));
    pollfd p{fd, POLLIN, 0};
    constexpr int patience = 5000; // ms
    if (timeout && fd >= 0 && poll(&p, 1, int(timeout * 1000)) == 0) {
        run.timed_out = true;
        kill(pid, SIGQUIT);
        if (poll(&p, 1, patience) == 0) kill(pid, SIGKILL);
    }
    if (fd >= 0) close(fd);
    while (waitpid(pid, &run.status, 0) < 0 && errno == EINTR) {}
}

Result<Run> run_logged(const Wish& w, const std::string& log) {
    std::vector<std::string> words{"mimic", "run", "-d", "calls,crash", "-D", log};
    words.insert(words.end(), w.words.begin(), w.words.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    Run run;
    const double start = now();
    const pid_t pid = fork();
    if (pid < 0) return Error::from_errno(errno, "start the program");
    if (pid == 0) {
        execv("/proc/self/exe", arguments.data());
        _exit(127);
    }
    // Ctrl-C is for the program; the report is written all the same.
    std::signal(SIGINT, SIG_IGN);
    std::signal(SIGQUIT, SIG_IGN);
    wait_for(pid, w.timeout, run);
    run.seconds = now() - start;
    return run;
}

std::string last_lines(const std::string& text, u64 lines) {
    size_t at = text.size();
    for (u64 n = 0; n <= lines && at != std::string::npos && at > 0; n++) at = text.rfind('\n', at - 1);
    return at == std::string::npos || at == 0 ? text : text.substr(at + 1);
}

// The log's end: at most 64 MiB of it are looked at.
std::string tail_of(const std::string& path) {
    constexpr off_t most = 64 << 20;
    std::string text;
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return text;
    struct stat st;
    if (fstat(fd, &st) == 0) {
        text.resize(size_t(std::min(st.st_size, most)));
        const ssize_t n = pread(fd, text.data(), text.size(), std::max<off_t>(st.st_size - most, 0));
        text.resize(size_t(std::max<ssize_t>(n, 0)));
    }
    close(fd);
    return text;
}

// Files that the program opened as code: shared objects of the log's openat lines.
std::set<std::string> libraries(const std::string& log) {
    std::set<std::string> found;
    constexpr std::string_view call = "openat(AT_FDCWD,\"";
    for (size_t at = 0; (at = log.find(call, at)) != std::string::npos;) {
        at += call.size();
        const size_t end = log.find('"', at), line = log.find('\n', at);
        if (end == std::string::npos || line == std::string::npos || end > line) continue;
        const std::string path = log.substr(at, end - at);
        const bool opened = log.substr(end, line - end).find(") = -1") == std::string::npos;
        const size_t version = path.rfind(".so.");
        const bool versioned =
            version != std::string::npos && std::isdigit(u8(path[std::min(version + 4, path.size() - 1)]));
        if (opened && (path.ends_with(".so") || versioned)) found.insert(path);
    }
    return found;
}

std::string ending_text(const Run& run) {
    std::string text =
        fmt::format("\n[end]\nafter {:.1f} s{}: ", run.seconds, run.timed_out ? ", which were too many" : "");
    if (WIFSIGNALED(run.status))
        return text + fmt::format("signal {} ({})\n", WTERMSIG(run.status), sigabbrev_np(WTERMSIG(run.status)));
    return text + fmt::format("exit status {}\n", WEXITSTATUS(run.status));
}

Result<std::string> program_text(const Wish& w) {
    std::vector<std::string_view> words(w.words.begin(), w.words.end());
    RunCommand command = TRY(parse_run(words, [](const char* name) -> const char* { return getenv(name); }));
    if (command.action != RunCommand::Action::run)
        return Error::invalid_argument("bugreport: expected a program to run");
    if (!command.log_file.empty()) return Error::invalid_argument("bugreport: leave -D out, the log is in the report");
    char log[] = "/tmp/mimic-bugreport-XXXXXX";
    const int fd = mkstemp(log);
    if (fd < 0) return Error::from_errno(errno, "{}: expected a file that can be made", log);
    close(fd);
    auto run = run_logged(w, log);
    const std::string lines = tail_of(log);
    unlink(log);
    if (!run) return std::move(run).error();
    Paths paths;
    paths.set_sysroot(command.options.sysroot);
    std::string text = command_text(w.words) + "\n[files]\n";
    // Inside of a root, names are its own.
    auto host = [&](const std::string& path) {
        return command.root.directory.empty() ? paths.lookup(path) : command.root.directory + "/" + path;
    };
    if (!command.program.empty()) text += file_text(host(command.program[0]));
    for (auto& path : libraries(lines)) text += file_text(host(path));
    return text + ending_text(*run) + fmt::format("\n[log] (the last {} lines)\n", w.lines) +
           last_lines(lines, w.lines);
}

Result<void> write_report(const std::string& file, const std::string& text) {
    const int fd = file == "-" ? 1 : open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return Error::from_errno(errno, "bugreport: -o {}: expected a new file", file);
    for (size_t done = 0; done < text.size();) {
        const ssize_t n = write(fd, text.data() + done, text.size() - done);
        if (n <= 0) return Error::from_errno(errno, "bugreport: write {}", file);
        done += size_t(n);
    }
    if (fd != 1) {
        close(fd);
        std::fprintf(stderr, "mimic: bug report in %s; look through it before you send it\n", file.c_str());
    }
    return {};
}

Result<void> report(Wish& w) {
    if (w.file.empty()) {
        char name[64];
        const time_t t = time(nullptr);
        tm broken;
        std::strftime(name, sizeof name, "mimic-bugreport-%Y%m%d-%H%M%S.txt", localtime_r(&t, &broken));
        w.file = name;
    }
    std::string text = mimic_text() + host_text() + environment_text();
    if (!w.words.empty()) text += TRY(program_text(w));
    return write_report(w.file, text);
}

} // namespace

int bugreport_main(std::span<const std::string_view> words) {
    auto wish = parse(words);
    if (wish && wish->help) return std::fwrite(usage.data(), 1, usage.size(), stdout), 0;
    auto done = wish ? report(*wish) : Result<void>(std::move(wish).error());
    if (done) return 0;
    std::fprintf(stderr, "mimic: %s\n", done.error().message().c_str());
    return 1;
}

} // namespace mimic::user
