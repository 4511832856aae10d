// `mimic binfmt`: registrations with the host's kernel, so that programs of other architectures start like its own.
// Documentation/admin-guide/binfmt-misc.rst of the kernel: the form of a registration and its flags.
#include "user/binfmt.hpp"
#include "user/linux/abi.hpp"
#include "user/run.hpp"
#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace mimic::user {
namespace {

constexpr std::string_view usual_folder = "/proc/sys/fs/binfmt_misc", prefix = "mimic-";

struct Request {
    std::string command, folder{usual_folder}, path;
    std::vector<std::string_view> guests;
    std::vector<std::string> program; // of `private`
    bool credentials = false, open_late = false, print = false;
};

std::string read_file(const std::string& path) {
    std::string text;
    int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    char buffer[4096];
    for (ssize_t n; fd >= 0 && (n = read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, size_t(n));
    if (fd >= 0) close(fd);
    return text;
}

Result<void> write_file(const std::string& path, const std::string& text) {
    int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0) return Error::from_errno(errno, "{}", path);
    ssize_t n = write(fd, text.data(), text.size());
    int error = errno;
    close(fd);
    if (n == ssize_t(text.size())) return {};
    return Error::from_errno(n < 0 ? error : EIO, "write to {}", path);
}

std::string escaped(const u8 (&bytes)[20]) {
    std::string text;
    for (u8 b : bytes) text += fmt::format("\\x{:02x}", b);
    return text;
}

std::string self_path() {
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path);
    return n > 0 ? std::string(path, size_t(n)) : "";
}

// One existing entry.
struct Entry {
    std::string name, interpreter, flags, magic;
    bool enabled = false;
};

Entry parse_entry(const std::string& name, std::string_view text) {
    Entry e{.name = name};
    while (!text.empty()) {
        size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string::npos ? text.size() : end + 1);
        if (line == "enabled") e.enabled = true;
        auto value = [&](std::string_view key, std::string& to) {
            if (line.starts_with(key)) to = line.substr(key.size());
        };
        value("interpreter ", e.interpreter);
        value("flags: ", e.flags);
        value("magic ", e.magic);
    }
    return e;
}

std::vector<Entry> entries(const std::string& folder) {
    std::vector<Entry> found;
    if (DIR* list = opendir(folder.c_str())) {
        while (struct dirent* d = readdir(list)) {
            std::string name = d->d_name;
            if (name == "." || name == ".." || name == "register" || name == "status") continue;
            found.push_back(parse_entry(name, read_file(folder + "/" + name)));
        }
        closedir(list);
    }
    std::sort(found.begin(), found.end(), [](auto& a, auto& b) { return a.name < b.name; });
    return found;
}

// The guest whose programs an entry takes, by the machine in its magic; nullptr: none of ours.
const Abi* guest_of(const Entry& e) {
    for (const Abi* abi : abis()) {
        Registration r = registration(*abi, "", "");
        // Class, byte order and machine decide; others mask the rest differently.
        auto hex = [&](size_t from, size_t to) {
            std::string text;
            for (size_t n = from; n < to; n++) text += fmt::format("{:02x}", r.magic[n]);
            return text;
        };
        bool same = e.magic.size() >= 40 && e.magic.substr(8, 4) == hex(4, 6) && e.magic.substr(36, 4) == hex(18, 20);
        if (same) return abi;
    }
    return nullptr;
}

Result<void> expect_binfmt(const Request& q) {
    if (access((q.folder + "/register").c_str(), F_OK) == 0) return {};
    if (q.folder != usual_folder) return Error::not_found("{}: expected a file named register in it", q.folder);
    if (read_file("/proc/filesystems").find("binfmt_misc") == std::string::npos)
        return Error::unsupported("this kernel has no binfmt_misc (CONFIG_BINFMT_MISC, or modprobe binfmt_misc); "
                                  "`mimic run` and `mimic run --root` need none");
    return Error::not_found("binfmt_misc is not mounted; as root: mount -t binfmt_misc binfmt_misc {}", usual_folder);
}

Result<std::vector<const Abi*>> chosen(const Request& q) {
    std::vector<const Abi*> list;
    for (std::string_view name : q.guests) {
        const Abi* abi = find_abi(name);
        if (!abi) return Error::invalid_argument("{} is no guest, expected one that `mimic help` lists", name);
        list.push_back(abi);
    }
    struct utsname host {};
    uname(&host);
    for (const Abi* abi : abis())
        if (q.guests.empty() && abi->machine != host.machine) list.push_back(abi); // the host's own run natively
    return list;
}

Result<void> register_guests(const Request& q) {
    std::string flags = "P";
    if (!q.open_late) flags += "F";
    if (q.credentials) flags += "OC";
    std::string path = q.path.empty() ? self_path() : q.path;
    if (path.empty() || path[0] != '/') return Error::invalid_argument("--path {}: expected an absolute path", path);
    if (path.size() > 127) return Error::invalid_argument("--path {}: binfmt_misc takes at most 127 bytes", path);
    if (path.find(':') != std::string::npos)
        return Error::invalid_argument("--path {}: binfmt_misc takes no ':'", path);
    if (access(path.c_str(), X_OK) != 0) return Error::from_errno(errno, "--path {}", path);
    auto guests = TRY(chosen(q));
    if (!q.print) TRY(expect_binfmt(q));
    for (const Abi* abi : guests) {
        Registration r = registration(*abi, path, flags);
        if (q.print) {
            std::printf("%s\n", r.line.c_str());
            continue;
        }
        // An entry of the same name is replaced.
        std::string old = q.folder + "/" + r.name;
        if (access(old.c_str(), F_OK) == 0) TRY(write_file(old, "-1"));
        auto done = write_file(q.folder + "/register", r.line);
        if (!done && (done.error().host_errno() == EACCES || done.error().host_errno() == EPERM))
            return Error::from_errno(EPERM, "register {}: only root may; `mimic run --root` needs no registration",
                                     r.name);
        TRY(std::move(done).in("register {}", r.name));
        if (q.command == "register") std::printf("%s: %s with flags %s\n", r.name.c_str(), path.c_str(), flags.c_str());
    }
    return {};
}

Result<void> unregister_guests(const Request& q) {
    TRY(expect_binfmt(q));
    auto guests = TRY(chosen(q));
    u32 removed = 0;
    for (const Abi* abi : guests) {
        std::string path = q.folder + "/" + std::string(prefix) + std::string(abi->name);
        if (access(path.c_str(), F_OK) != 0) {
            if (!q.guests.empty()) return Error::not_found("{}{} is not registered", prefix, abi->name);
            continue;
        }
        TRY(write_file(path, "-1"));
        std::printf("%s%s: removed\n", std::string(prefix).c_str(), std::string(abi->name).c_str());
        removed++;
    }
    if (removed == 0) std::puts("nothing of Mimic is registered");
    return {};
}

Result<void> list_entries(const Request& q) {
    TRY(expect_binfmt(q));
    for (const Entry& e : entries(q.folder)) {
        const Abi* abi = guest_of(e);
        std::printf("%-20s %-9s %-12s flags %-5s %s\n", e.name.c_str(), e.enabled ? "enabled" : "disabled",
                    abi ? std::string(abi->name).c_str() : "-", e.flags.c_str(), e.interpreter.c_str());
    }
    return {};
}

// What keeps foreign programs from starting, a line each; false when something does.
bool doctor(const Request& q) {
    auto say = [](const char* verdict, const std::string& text) { std::printf("%-5s %s\n", verdict, text.c_str()); };
    struct utsname host {};
    uname(&host);
    auto there = expect_binfmt(q);
    if (!there) {
        say("bad", there.error().message());
        say("note", "without it: mimic run PROGRAM, mimic run --root DIR, mimic shell --root DIR");
        return false;
    }
    say("ok", q.folder + " is mounted");
    bool good = true;
    if (read_file(q.folder + "/status").starts_with("disabled"))
        say("bad", "binfmt_misc is switched off; as root: echo 1 > " + q.folder + "/status"), good = false;
    if (access((q.folder + "/register").c_str(), W_OK) != 0) say("note", "only root may register here");
    auto all = entries(q.folder);
    for (const Abi* abi : abis()) {
        if (abi->machine == host.machine) continue;
        std::string guest(abi->name), first;
        bool ours = false;
        for (const Entry& e : all) {
            if (guest_of(e) != abi || !e.enabled) continue;
            bool mimic = e.name.starts_with(prefix);
            ours |= mimic;
            if (!mimic) say("note", guest + ": " + e.name + " is registered, too; the later registration wins");
            if (e.flags.find('F') == std::string::npos)
                say("bad", e.name + ": without flag F the interpreter must lie inside each foreign root"), good = false;
            else if (access(e.interpreter.c_str(), X_OK) != 0)
                say("note", e.name + ": " + e.interpreter + " is gone; the kernel still has the file open");
            if (mimic && e.flags.find('P') == std::string::npos)
                say("bad", e.name + ": without flag P programs lose their argument 0; register again"), good = false;
            if (mimic && e.flags.find('C') == std::string::npos)
                say("note", e.name + ": set-user-id programs start without their owner's rights (--credentials)");
        }
        say(ours ? "ok" : "note",
            guest + (ours ? " is registered" : " is not registered: mimic binfmt register " + guest));
    }
    return good;
}

// A user namespace in which the caller's ids are these. user_namespaces(7).
Result<void> enter_namespace(int more, uid_t uid, gid_t gid) {
    const uid_t from_uid = geteuid();
    const gid_t from_gid = getegid();
    if (unshare(CLONE_NEWUSER | more) != 0) return Error::from_errno(errno, "make a user namespace");
    TRY(write_file("/proc/self/setgroups", "deny"));
    TRY(write_file("/proc/self/uid_map", fmt::format("{} {} 1\n", uid, from_uid)));
    return write_file("/proc/self/gid_map", fmt::format("{} {} 1\n", gid, from_gid));
}

// Returns when it failed. The kernel goes by the registrations of a process's user namespace, or the next one around it that has
// any; only its root may write them, so the command is in a second one, with the ids that it had.
Result<void> run_privately(const Request& q) {
    const uid_t uid = geteuid();
    const gid_t gid = getegid();
    TRY(enter_namespace(CLONE_NEWNS, 0, 0));
    if (mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
        return Error::from_errno(errno, "keep mounts from the host");
    if (mount("binfmt_misc", q.folder.c_str(), "binfmt_misc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
        return errno == EPERM ? Error::unsupported("{}: this kernel has no binfmt_misc of a user namespace's own, "
                                                   "expected Linux 6.7; `mimic run --root` needs none",
                                                   q.folder)
                              : Error::from_errno(errno, "mount binfmt_misc at {}", q.folder);
    TRY(register_guests(q));
    TRY(enter_namespace(0, uid, gid));
    std::vector<std::string> words = q.program;
    const char* shell = getenv("SHELL");
    if (words.empty()) words.emplace_back(shell && *shell ? shell : "/bin/sh");
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    execvp(pointers[0], pointers.data());
    return Error::from_errno(errno, "{}", words[0]);
}

int usage(const std::string& error) {
    if (!error.empty()) std::fprintf(stderr, "mimic: binfmt: %s\n", error.c_str());
    std::fputs("usage: mimic binfmt register [GUEST...] [--credentials] [--open-late] [--path FILE] [--print]\n"
               "       mimic binfmt unregister [GUEST...]\n"
               "       mimic binfmt list\n"
               "       mimic binfmt doctor\n"
               "       mimic binfmt private [GUEST...] [--path FILE] [-- COMMAND [ARGUMENTS]]\n\n"
               "Registers Mimic with the kernel, so that programs of other architectures start like the host's own.\n"
               "`private` does so for COMMAND (default: a shell) and what it starts alone, as any user (Linux 6.7).\n"
               "Only root may do the rest; `mimic run --root` and `mimic shell` need no registration. GUEST: all but "
               "the host's own.\n\n"
               "  --credentials   flag C: set-user-id programs run with their owner's rights, given to Mimic\n"
               "  --open-late     without flag F: the interpreter is looked for in the root of each program\n"
               "  --path FILE     the interpreter (default: this program)\n"
               "  --print         print the lines that would be written, write nothing\n"
               "  --dir DIR       where binfmt_misc is mounted (default: /proc/sys/fs/binfmt_misc)\n\n"
               "Flags that are always set: P (programs keep their argument 0) and, without --open-late, F (the kernel\n"
               "opens Mimic once, so that it works inside containers and foreign roots; Mimic is a static program).\n",
               error.empty() ? stdout : stderr);
    return error.empty() ? 0 : 1;
}

} // namespace

// The identification's padding is left free: AppImages write there.
Registration registration(const Abi& abi, std::string_view path, std::string_view flags) {
    Registration r;
    r.name = std::string(prefix) + std::string(abi.name);
    u8 mask[20] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    constexpr u8 executable = 2; // ET_EXEC; ET_DYN is 3
    u8 head[] = {0x7f, 'E', 'L', 'F', abi.elf_class, u8(abi.model.big ? 2 : 1), 1};
    std::copy(std::begin(head), std::end(head), r.magic);
    store_int(r.magic + 16, 2, abi.model.big, executable);
    store_int(r.magic + 18, 2, abi.model.big, abi.elf_machine);
    mask[abi.model.big ? 17 : 16] = 0xfe;
    r.line = fmt::format(":{}:M::{}:{}:{}:{}", r.name, escaped(r.magic), escaped(mask), path, flags);
    return r;
}

std::vector<std::string_view> binfmt_words(std::span<const std::string_view> words) {
    std::vector<std::string_view> result;
    if (words.size() < 2) return {words.begin(), words.end()};
    result.insert(result.end(), {"-0", words[1], "--", words[0]});
    result.insert(result.end(), words.begin() + 2, words.end());
    return result;
}

int binfmt_main(std::span<const std::string_view> words) {
    Request q;
    for (size_t i = 0; i < words.size(); i++) {
        std::string_view w = words[i];
        bool more = i + 1 < words.size();
        if (w == "--help" || w == "-h") return usage("");
        if (w == "--" && q.command == "private") {
            q.program.assign(words.begin() + ssize_t(i) + 1, words.end());
            break;
        }
        if (w == "--credentials")
            q.credentials = true;
        else if (w == "--open-late")
            q.open_late = true;
        else if (w == "--print")
            q.print = true;
        else if (w == "--path" && more)
            q.path = words[++i];
        else if (w == "--dir" && more)
            q.folder = words[++i];
        else if (w.starts_with('-'))
            return usage("unknown option " + std::string(w));
        else if (q.command.empty())
            q.command = w;
        else
            q.guests.push_back(w);
    }
    Result<void> done;
    if (q.command == "register")
        done = register_guests(q);
    else if (q.command == "unregister")
        done = unregister_guests(q);
    else if (q.command == "list")
        done = list_entries(q);
    else if (q.command == "doctor")
        return doctor(q) ? 0 : 1;
    else if (q.command == "private")
        done = run_privately(q);
    else
        return usage(q.command.empty() ? "expected register, unregister, list, doctor or private"
                                       : "unknown command '" + q.command + "'");
    if (done) return 0;
    std::fprintf(stderr, "mimic: binfmt: %s\n", done.error().message().c_str());
    return 1;
}

} // namespace mimic::user
