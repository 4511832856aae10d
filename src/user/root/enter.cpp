#include "user/root/enter.hpp"
#include "base/process.hpp"
#include "user/root/cache.hpp"
#include "user/root/ids.hpp"
#include "user/root/mounts.hpp"
#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mimic::user {
namespace {

constexpr int set_up_failed = 125; // as chroot(1) and env(1) say "it was we who failed"

[[noreturn]] void fail(const Error& error) {
    std::string line = "mimic: " + error.message() + "\n";
    (void)!write(2, line.data(), line.size());
    _exit(set_up_failed);
}

// The signals as they were, for the program.
struct Signals {
    sigset_t mask;
    bool child_ignored;
    // Blocks everything: the processes around the program take signals one by one.
    void take() {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &mask);
        struct sigaction old {
        }, plain{};
        plain.sa_handler = SIG_DFL;
        sigaction(SIGCHLD, &plain, &old);
        child_ignored = old.sa_handler == SIG_IGN;
    }
    void give_back() const {
        if (child_ignored) signal(SIGCHLD, SIG_IGN);
        sigprocmask(SIG_SETMASK, &mask, nullptr);
    }
};

// Waits for `child` to end and hands signals on to it; other children are reaped. What comes from the terminal has
// reached the child already. Returns the wait status.
int attend(pid_t child, bool stops) {
    sigset_t all;
    sigfillset(&all);
    for (;;) {
        int status;
        for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
            if (pid == child) return status;
        siginfo_t info{};
        int signal = sigwaitinfo(&all, &info);
        if (signal <= 0 || signal == SIGCHLD) continue;
        bool terminal = info.si_code == SI_KERNEL;
        if (signal == SIGTSTP && stops) {
            if (!terminal) kill(child, SIGTSTP);
            raise(SIGSTOP);
        } else if (!terminal || signal == SIGHUP) {
            kill(child, signal);
        }
    }
}

// Ends as the child ended.
[[noreturn]] void end_like(int status) {
    if (WIFSIGNALED(status)) {
        int signal = WTERMSIG(status);
        struct rlimit none {};
        setrlimit(RLIMIT_CORE, &none);
        struct sigaction plain {};
        plain.sa_handler = SIG_DFL;
        sigaction(signal, &plain, nullptr);
        sigset_t set;
        sigemptyset(&set);
        raise(signal);
        sigprocmask(SIG_SETMASK, &set, nullptr);
        _exit(128 + signal);
    }
    _exit(WEXITSTATUS(status));
}

struct Pipe {
    int fd[2] = {-1, -1};
    bool open() { return pipe2(fd, O_CLOEXEC) == 0; }
    void shut(int end) {
        close(fd[end]);
        fd[end] = -1;
    }
};

struct Plan {
    std::string directory;
    u32 uid = 0, gid = 0; // who is root inside, where one id is known
    IdMode mode;
    Result<std::string> cache = Error::unsupported("by --no-cache or without a home of this user's"); // on the host
    EnteredRoot entered;
    Pipe go, outcome; // the caller to pid 1: maps are there; pid 1 to the caller: the program's wait status
};

// Ids inside: root. One that is mapped alone may have no other groups (setgroups is denied there).
Result<void> become_namespace_root(IdMode mode) {
    if (mode == IdMode::real) return {};
    if (mode == IdMode::mapped && setgroups(0, nullptr) != 0) return Error::from_errno(errno, "drop groups");
    if (setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
        return Error::from_errno(errno, "become root of the namespace");
    return {};
}

// While we are still who may look at the caller's files. Without a cache all goes on.
void open_cache(Plan& plan) {
    auto fd = plan.cache ? open_apart(*plan.cache) : Result<int>(std::move(plan.cache).error());
    const int kept = fd ? keep_descriptor(*fd) : -1;
    if (kept >= 0)
        plan.entered.cache = kept;
    else
        plan.entered.no_cache = fd ? "no descriptor is left" : fd.error().message();
}

// Pid 1. Returns in the program's process.
void first_process(Plan& plan, const RootOptions& options) {
    plan.go.shut(1), plan.outcome.shut(0);
    char byte;
    if (read(plan.go.fd[0], &byte, 1) != 1) _exit(set_up_failed); // the caller said why
    plan.go.shut(0);
    auto ready = [&]() -> Result<void> {
        open_cache(plan);
        TRY(become_namespace_root(plan.mode));
        prctl(PR_SET_PDEATHSIG, SIGKILL); // without the caller nobody wants the result
        return mount_root(plan.directory, options);
    }();
    if (!ready) fail(ready.error());
    pid_t program = fork();
    if (program < 0) fail(Error::from_errno(errno, "start a process in the root"));
    if (program == 0) {
        plan.outcome.shut(1);
        return;
    }
    prctl(PR_SET_NAME, "mimic-init");
    int status = attend(program, false);
    (void)!write(plan.outcome.fd[1], &status, sizeof status);
    _exit(0);
}

[[noreturn]] void caller(Plan& plan, pid_t first) {
    plan.go.shut(0), plan.outcome.shut(1);
    if (plan.mode != IdMode::real) {
        auto maps = write_id_maps(first, plan.mode == IdMode::mapped, plan.uid, plan.gid);
        if (!maps) {
            kill(first, SIGKILL);
            fail(maps.error());
        }
    }
    (void)!write(plan.go.fd[1], "g", 1);
    plan.go.shut(1);
    int status = attend(first, true), inner;
    if (read(plan.outcome.fd[0], &inner, sizeof inner) == sizeof inner) end_like(inner);
    end_like(status);
}

Error namespace_error(int error, IdMode mode) {
    std::string_view what = mode == IdMode::real ? "mount and pid namespaces" : "a user namespace";
    if (error == EPERM)
        return Error::from_errno(error,
                                 "{} for --root: the host forbids it (kernel.unprivileged_userns_clone, AppArmor, or a "
                                 "container's seccomp profile)",
                                 what);
    if (error == ENOSPC)
        return Error::from_errno(error, "{} for --root: the limit in /proc/sys/user/max_user_namespaces is reached",
                                 what);
    return Error::from_errno(error, "{} for --root", what);
}

Result<void> open_database(Plan& plan, const RootOptions& options) {
    std::string file = options.owners.empty() ? plan.directory + ".mimic-owners" : options.owners;
    bool exists = access(file.c_str(), F_OK) == 0;
    if (plan.mode == IdMode::real && !exists) return {};
    plan.entered.owners = TRY(Owners::open(file, {.pretend_ids = plan.mode == IdMode::pretended}));
    if (plan.entered.owners->pretend_ids() != (plan.mode == IdMode::pretended) && plan.mode != IdMode::real)
        return Error::invalid_argument("{} was made with {} owners; give --ids {} or another --owners FILE", file,
                                       plan.mode == IdMode::pretended ? "mapped" : "pretended",
                                       plan.mode == IdMode::pretended ? "mapped" : "pretended");
    struct stat st;
    if (stat(plan.directory.c_str(), &st) != 0) return Error::from_errno(errno, "{}", plan.directory);
    plan.entered.owners->set_home(st.st_dev);
    int fd = keep_descriptor(plan.entered.owners->fd());
    if (fd < 0) return Error::from_errno(-fd, "keep {} open", file);
    plan.entered.owners->set_fd(fd);
    return {};
}

Result<Plan> make_plan(const RootOptions& options) {
    Plan plan;
    char absolute[PATH_MAX];
    struct stat st;
    if (!realpath(options.directory.c_str(), absolute) || stat(absolute, &st) != 0)
        return Error::from_errno(errno, "--root {}", options.directory);
    if (!S_ISDIR(st.st_mode)) return Error::from_errno(ENOTDIR, "--root {}", options.directory);
    plan.directory = absolute;
    // Root works for the directory's owner, so that both find the same files their own.
    bool root = geteuid() == 0;
    plan.uid = root ? st.st_uid : geteuid(), plan.gid = root ? st.st_gid : getegid();
    if (plan.directory == "/") return Error::invalid_argument("--root /: expected a directory below /");
    std::string reason;
    RootOptions given = options;
    given.directory = plan.directory;
    plan.mode = choose_ids(given, reason);
    TRY(open_database(plan, options));
    int self = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    if (self < 0 || (self = keep_descriptor(self)) < 0) return Error::from_errno(errno, "open Mimic's own file");
    plan.entered.self = self;
    const bool real = plan.mode == IdMode::real;
    if (!options.cache.empty())
        plan.cache = make_root_cache(options.cache, {real ? geteuid() : plan.uid, plan.gid, real, plan.directory});
    if (!plan.go.open() || !plan.outcome.open()) return Error::from_errno(errno, "make a pipe");
    return plan;
}

} // namespace

IdMode choose_ids(const RootOptions& options, std::string& reason) {
    if (options.ids != IdMode::automatic) return reason = "as told", options.ids;
    std::string file = options.owners.empty() ? options.directory + ".mimic-owners" : options.owners;
    if (access(file.c_str(), F_OK) == 0) {
        auto owners = Owners::open(file, {});
        if (owners) close((*owners)->fd());
        if (owners && (*owners)->pretend_ids()) return reason = file + " is there", IdMode::pretended;
    }
    constexpr u64 enough = 65536;
    if (geteuid() == 0 && known_ids() >= enough) return reason = "started by root", IdMode::real;
    if (geteuid() != 0 && can_map_ids()) return reason = "newuidmap and /etc/subuid are there", IdMode::mapped;
    return reason = "without newuidmap and /etc/subuid", IdMode::pretended;
}

int keep_descriptor(int fd) {
    struct rlimit limit {};
    getrlimit(RLIMIT_NOFILE, &limit);
    constexpr u64 usual = 1024, room = 8;
    u64 soft = limit.rlim_cur;
    int kept = -1;
    if (soft <= usual && limit.rlim_max >= soft + room) {
        struct rlimit more = limit;
        more.rlim_cur = soft + room;
        setrlimit(RLIMIT_NOFILE, &more);
        kept = fcntl(fd, F_DUPFD, int(soft));
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (kept < 0) kept = fcntl(fd, F_DUPFD, int(std::min(soft, usual) - room));
    if (kept < 0) return -errno;
    close(fd);
    return kept;
}

Result<EnteredRoot> enter_root(const RootOptions& options) {
    Plan plan = TRY(make_plan(options));
    Signals signals;
    signals.take();
    u64 flags = CLONE_NEWNS | CLONE_NEWPID | (plan.mode == IdMode::real ? 0 : CLONE_NEWUSER) | SIGCHLD;
    i64 first = process::raw_syscall(SYS_clone, flags, 0, 0, 0, 0);
    if (first < 0) {
        signals.give_back();
        return namespace_error(int(-first), plan.mode);
    }
    if (first > 0) caller(plan, pid_t(first));
    first_process(plan, options);
    signals.give_back();
    return std::move(plan.entered);
}

} // namespace mimic::user
