// Executing programs. A guest's program is executed by Mimic again, with the same options; a program of the host runs
// natively. execve(2).
#include "user/debug/debugger.hpp"
#include "user/linux/calls/handlers.hpp"
#include "user/linux/pretended.hpp"
#include "user/linux/proc_files.hpp"
#include "user/loader/program.hpp"
#include "user/run.hpp"
#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

namespace mimic::user {
namespace {

using process::raw_syscall;

constexpr u64 here = u64(i64(AT_FDCWD));
constexpr u64 max_words = 1 << 20;

// An argument or environment vector: pointers to strings, ended by a null.
i64 read_vector(Thread& t, u64 address, std::vector<std::string>& to) {
    if (address == 0) return 0;
    for (u64 n = 0; n < max_words; n++) {
        u64 pointer;
        if (!t.read_word(address + n * t.word_bytes(), pointer)) return -EFAULT;
        if (pointer == 0) return 0;
        constexpr u64 longest = 128 << 10; // MAX_ARG_STRLEN
        to.emplace_back();
        if (!t.memory().read_string(pointer, to.back(), longest)) {
            u8 byte;
            return t.memory().read(pointer, &byte, 1) ? -E2BIG : -EFAULT;
        }
    }
    return -E2BIG;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> p;
    for (auto& s : strings) p.push_back(s.data());
    p.push_back(nullptr);
    return p;
}

enum class Target { guest, host, script };

// What the file is, or -errno as execve would say.
i64 inspect(Thread& t, int fd, Target& target, ScriptLine& line) {
    struct stat st;
    if (i64 r = raw_syscall(SYS_newfstatat, u64(fd), u64(""), u64(&st), AT_EMPTY_PATH); r < 0) return r;
    if (!S_ISREG(st.st_mode)) return -EACCES;
    if (i64 r = raw_syscall(SYS_faccessat2, u64(fd), u64(""), 1, AT_EMPTY_PATH | AT_EACCESS); r < 0) return r;
    char start[256] = {};
    i64 n = raw_syscall(SYS_pread64, u64(fd), u64(start), sizeof start, 0);
    if (n < 0) return n;
    std::string_view text(start, size_t(n));
    if (text.starts_with("#!")) {
        auto parsed = parse_script_line(text);
        if (!parsed) return -ENOEXEC;
        line = *parsed;
        target = Target::script;
        return 0;
    }
    auto identity = identify_elf(MemoryBytes({reinterpret_cast<const u8*>(start), size_t(n)}));
    if (!identity) return -ENOEXEC;
    bool same = identity->machine == t.abi().elf_machine;
    bool known = std::any_of(abis().begin(), abis().end(), [&](const Abi* abi) {
        return abi->elf_machine == identity->machine && abi->elf_class == identity->elf_class &&
               abi->model.big == identity->big;
    });
    target = same || (known && identity->machine != host_machine) ? Target::guest : Target::host;
    return 0;
}

// Opens a program by the guest's path, as for reading. A file that may only be executed can't be run by us.
i64 open_program(Thread& t, int directory, const std::string& path, u64 flags) {
    std::string host = t.process().paths.lookup(redirect_proc(t, directory, path), !(flags & AT_SYMLINK_NOFOLLOW));
    u64 nofollow = flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0;
    return raw_syscall(SYS_openat, u64(i64(directory)), u64(host.c_str()), O_RDONLY | O_CLOEXEC | nofollow);
}

// The interpreter of a script must be there before this program is given up. `target` becomes what runs in the end.
i64 check_interpreter(Thread& t, const ScriptLine& line, u32 depth, Target& target) {
    if (depth > 4) return -ELOOP;
    i64 fd = open_program(t, AT_FDCWD, line.interpreter, 0);
    if (fd < 0) return fd;
    ScriptLine next;
    i64 r = inspect(t, int(fd), target, next);
    raw_syscall(SYS_close, u64(fd));
    if (r == 0 && target == Target::script) return check_interpreter(t, next, depth + 1, target);
    return r;
}

// What the program runs as: with a pretended owner a set-id file changes ids, and every program starts with saved and
// file system ids equal to the effective ones (execve(2)).
Inherited handed_on(Thread& t, int fd) {
    Process& p = t.process();
    Inherited i{.self = p.kept[0],
                .owners = p.kept[1],
                .log = p.kept[2],
                .cache = p.kept[3],
                .home = p.home,
                .ids = t.credentials};
    struct statx st;
    const bool no_more = t.seccomp.no_new_privs_due || raw_syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS) == 1;
    if (p.pretends_ids() && !no_more && pretended_statx(t, fd, "", AT_EMPTY_PATH, 0, st) == 0) {
        if (st.stx_mode & S_ISUID) i.ids.uid.effective = st.stx_uid;
        if ((st.stx_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)) i.ids.gid.effective = st.stx_gid;
    }
    for (Ids* ids : {&i.ids.uid, &i.ids.gid}) {
        ids->saved = ids->fs = ids->effective;
        i.secure |= ids->real != ids->effective;
    }
    return i;
}

OwnLimits limits_of(Thread& t) {
    std::lock_guard guard(t.process().limits_lock);
    return t.limits ? *t.limits : t.process().limits;
}

// -seccomp, in pieces: a word has an end (MAX_ARG_STRLEN).
void add_filters(const Thread& t, std::vector<std::string>& words) {
    constexpr size_t piece = 100'000;
    const std::string text = filters_text(t.seccomp);
    for (size_t at = 0; at < text.size(); at += piece) words.insert(words.end(), {"-seccomp", text.substr(at, piece)});
}

// What came with this program goes with one that runs under Mimic, and with no other.
void hand_on(Thread& t, bool on) {
    for (u32 n = 0; n < Process::kept_from_start; n++)
        if (int fd = t.process().kept[n]; fd >= 0) raw_syscall(SYS_fcntl, u64(fd), F_SETFD, on ? 0 : FD_CLOEXEC);
}

i64 run_again(Thread& t, const Inherited& inherited, const std::string& path, std::vector<std::string>& argv,
              std::vector<std::string>& envp) {
    std::vector<std::string> words = t.process().options.relaunch;
    std::string self = words.front();
    if (inherited.any()) words.insert(words.begin() + 2, {"-inherit", inherited.text()});
    add_filters(t, words);
    OwnLimits kernels; // that the program would begin with
    kernels.from_kernel();
    if (std::string limits = limits_of(t).text(); limits != kernels.text())
        words.insert(words.end(), {"-limits", limits});
    if (!argv.empty()) words.insert(words.end(), {"-0", argv.front()});
    words.push_back("--");
    words.push_back(path);
    if (!argv.empty()) words.insert(words.end(), argv.begin() + 1, argv.end());
    Debugger* debugger = t.process().debugger;
    if (debugger) {
        auto more = debugger->before_exec(t);
        words.insert(words.begin() + 2, more.begin(), more.end());
    }
    if (!t.borrowed) t.process().engine.save_code();
    auto arguments = pointers(words), environment = pointers(envp);
    i64 r;
    hand_on(t, true);
    // In a root our own file is open; elsewhere the kernel has a name for it, and the path is for where /proc isn't.
    if (inherited.any()) {
        r = t.syscall(SYS_execveat, inherited.self, "", arguments.data(), environment.data(), AT_EMPTY_PATH);
    } else {
        r = t.syscall(SYS_execve, "/proc/self/exe", arguments.data(), environment.data());
        if (r == -ENOENT) r = t.syscall(SYS_execve, self.c_str(), arguments.data(), environment.data());
    }
    if (debugger) debugger->exec_failed(t);
    return r;
}

// While it lives, a program that is executed inherits that SIGFPE is ignored; our own handler is away.
struct IgnoredFpe {
    bool is;
    explicit IgnoredFpe(SignalTable& signals) {
        std::lock_guard guard(signals.lock);
        is = signals.actions[SIGFPE].handler == sa::ign;
        if (is) process::leave_fpe_ignored(true);
    }
    ~IgnoredFpe() {
        if (is) process::leave_fpe_ignored(false);
    }
    IgnoredFpe(const IgnoredFpe&) = delete;
    IgnoredFpe& operator=(const IgnoredFpe&) = delete;
};

// A hard limit can't be raised again when the program does not start after all: Mimic sets it, executed again.
bool lowers_hard(const OwnLimits& own) {
    OwnLimits kernels;
    kernels.from_kernel();
    return own.v[0][1] < kernels.v[0][1] || own.v[1][1] < kernels.v[1][1];
}

// While it lives, the kernel has the soft limits that we keep: a native program goes by them.
struct NativeLimits {
    static constexpr int resources[2] = {RLIMIT_AS, RLIMIT_DATA};
    rlimit before[2] = {};
    explicit NativeLimits(const OwnLimits& own) {
        for (u32 n = 0; n < 2; n++) {
            raw_syscall(SYS_getrlimit, u64(resources[n]), u64(&before[n]));
            rlimit wanted{std::min<u64>(own.v[n][0], before[n].rlim_max), before[n].rlim_max};
            raw_syscall(SYS_setrlimit, u64(resources[n]), u64(&wanted));
        }
    }
    ~NativeLimits() {
        for (u32 n = 0; n < 2; n++) raw_syscall(SYS_setrlimit, u64(resources[n]), u64(&before[n]));
    }
    NativeLimits(const NativeLimits&) = delete;
    NativeLimits& operator=(const NativeLimits&) = delete;
};

i64 execute(Thread& t, int directory, const std::string& path, u64 argv_at, u64 envp_at, u64 flags) {
    std::vector<std::string> argv, envp;
    if (i64 r = read_vector(t, argv_at, argv)) return r;
    if (i64 r = read_vector(t, envp_at, envp)) return r;
    std::string name = path;
    bool by_descriptor = path.empty() || (path[0] != '/' && directory != AT_FDCWD);
    i64 fd;
    if (path.empty()) {
        fd = raw_syscall(SYS_openat, here, u64(("/proc/self/fd/" + std::to_string(directory)).c_str()),
                         O_RDONLY | O_CLOEXEC);
        if (fd < 0) return fd == -ENOENT ? -EBADF : fd;
    } else {
        fd = open_program(t, directory, path, flags);
        if (fd < 0) return fd;
    }
    Target target;
    ScriptLine line;
    i64 r = inspect(t, int(fd), target, line);
    Target runs = target;
    if (r == 0 && target == Target::script) r = check_interpreter(t, line, 0, runs);
    Inherited inherited = handed_on(t, target == Target::guest ? int(fd) : -1);
    raw_syscall(SYS_close, u64(fd));
    if (r < 0) return r;
    // In a root Mimic runs a script's interpreter natively, too. Outside of Mimic nobody obeys the filters, which know the
    // guest's numbers.
    const bool native = target == Target::host || (runs == Target::host && inherited.any());
    if (native && t.seccomp.mode() != SeccompState::Mode::none) return -EPERM;
    const IgnoredFpe ignored(t.signals());
    if (by_descriptor && target != Target::host) {
        // The program is opened again by us after exec: it needs a name that lives until then.
        i64 kept = path.empty() ? raw_syscall(SYS_dup, u64(directory))
                                : raw_syscall(SYS_openat, u64(i64(directory)), u64(path.c_str()), O_RDONLY);
        if (kept < 0) return kept;
        name = "/proc/self/fd/" + std::to_string(kept);
        r = run_again(t, inherited, name, argv, envp);
        raw_syscall(SYS_close, u64(kept));
        return r;
    }
    if (target != Target::host || (inherited.any() && !by_descriptor && lowers_hard(limits_of(t))))
        return run_again(t, inherited, redirect_proc(t, directory, name), argv, envp);
    auto arguments = pointers(argv), environment = pointers(envp);
    std::string host = t.process().paths.lookup(redirect_proc(t, directory, name));
    const NativeLimits limits(limits_of(t));
    hand_on(t, false);
    return t.syscall(SYS_execveat, directory, host.c_str(), arguments.data(), environment.data(), flags);
}

} // namespace

i64 sys_execve(Thread& t, const Args& a) {
    std::string path;
    if (i64 r = t.path(a[0], path)) return r;
    if (path.empty()) return -ENOENT;
    return execute(t, AT_FDCWD, path, a[1], a[2], 0);
}

i64 sys_execveat(Thread& t, const Args& a) {
    std::string path;
    if (i64 r = t.path(a[1], path)) return r;
    if (a.i(4) & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) return -EINVAL;
    if (path.empty() && !(a.i(4) & AT_EMPTY_PATH)) return -ENOENT;
    return execute(t, a.i(0), path, a[2], a[3], u64(a.i(4)));
}

} // namespace mimic::user
