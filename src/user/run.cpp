#include "user/run.hpp"
#include "base/json.hpp"
#include "base/touch.hpp"
#include "isa/guest.hpp"
#include "user/loader/program.hpp"
#include "user/proc_start.hpp"
#include "user/unit_cache.hpp"
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mimic::user {

std::string run_help();

namespace {

using process::raw_syscall;

void print(int fd, const std::string& text) {
    for (size_t done = 0; done < text.size();) {
        i64 n = raw_syscall(SYS_write, u64(fd), u64(text.data() + done), text.size() - done);
        if (n <= 0) return;
        done += size_t(n);
    }
}

int fail(const Error& error, int status) {
    print(2, "mimic: " + error.message() + "\n");
    return status;
}

// A program that was found: open, with scripts replaced by their interpreters.
struct Found {
    int fd = -1;
    std::string path; // the guest's name for the file that is loaded
    std::string host; // the host's
    std::vector<std::string> arguments;
    const Abi* abi = nullptr;
};

Result<int> open_program(const Paths& paths, const std::string& path, std::string& host) {
    host = paths.lookup(path);
    int fd = open(host.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return Error::from_errno(errno, "{}", path);
    struct stat st;
    int error = fstat(fd, &st) != 0 ? errno : S_ISDIR(st.st_mode) ? EISDIR : S_ISREG(st.st_mode) ? 0 : EACCES;
    if (error == 0 && raw_syscall(SYS_faccessat2, u64(fd), u64(""), X_OK, AT_EMPTY_PATH | AT_EACCESS) == -EACCES)
        error = EACCES;
    if (error != 0) {
        close(fd);
        return Error::from_errno(error, "{}: expected an executable file", path);
    }
    return fd;
}

Result<const Abi*> abi_of(const ElfIdentity& id) {
    std::string names;
    for (const Abi* abi : abis()) {
        names.append(names.empty() ? "" : ", ").append(abi->name);
        if (abi->elf_machine != id.machine) continue;
        ElfIdentity wanted{abi->elf_class, abi->model.big, id.machine, id.type};
        if (id == wanted) return abi;
        return Error::unsupported("program is {}, expected {}", describe(id), describe(wanted));
    }
    return Error::unsupported("program is {}, expected one of the guests {}", describe(id), names);
}

// Follows "#!" lines to an ELF program.
Result<Found> find_program(const Paths& paths, std::vector<std::string> arguments, std::string path) {
    Found found;
    std::string script; // that wants the one at `path`
    for (u32 depth = 0; depth < 5; depth++) {
        found.path = path;
        auto opened = open_program(paths, path, found.host);
        if (!opened && !script.empty())
            return std::move(opened).error().in(fmt::format("interpreter of script {}", script));
        found.fd = TRY(std::move(opened));
        char start[256];
        ssize_t n = pread(found.fd, start, sizeof start, 0);
        if (n < 0) return Error::from_errno(errno, "read {}", path);
        ScriptLine line = TRY(parse_script_line({start, size_t(n)}).in("{}", path));
        if (line.interpreter.empty()) {
            ElfIdentity id = TRY(identify_elf(DescriptorBytes(found.fd)).in("{}", path));
            found.abi = TRY(abi_of(id).in("{}", path));
            found.arguments = std::move(arguments);
            return found;
        }
        close(found.fd);
        std::vector<std::string> words{line.interpreter};
        if (!line.argument.empty()) words.push_back(line.argument);
        words.push_back(path);
        words.insert(words.end(), arguments.begin() + 1, arguments.end());
        arguments = std::move(words);
        script = path;
        path = line.interpreter;
    }
    return Error::from_errno(ELOOP, "{}: too many scripts that run scripts", path);
}

std::vector<std::string> environment(const RunCommand& c) {
    std::vector<std::string> result;
    auto name_is = [](std::string_view entry, std::string_view name) {
        return entry.size() > name.size() && entry[name.size()] == '=' && entry.starts_with(name);
    };
    for (char** e = environ; *e; e++) {
        std::string_view entry = *e;
        bool dropped = std::any_of(c.unset.begin(), c.unset.end(), [&](auto& u) { return name_is(entry, u); }) ||
                       std::any_of(c.set.begin(), c.set.end(),
                                   [&](auto& s) { return name_is(entry, std::string_view(s).substr(0, s.find('='))); });
        if (!dropped) result.emplace_back(entry);
    }
    result.insert(result.end(), c.set.begin(), c.set.end());
    return result;
}

const char* variable(const char* name) { return getenv(name); }

// What a child of ours gets in front of its program.
std::vector<std::string> relaunch(RunCommand& c) {
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self);
    std::vector<std::string> words{n > 0 ? std::string(self, size_t(n)) : std::string("mimic"), "run"};
    auto add = [&](const char* option, const std::string& value) {
        if (!value.empty()) words.insert(words.end(), {option, value});
    };
    if (c.inherited.any()) c.log_file.clear(); // inherited as a descriptor
    add("-L", c.options.sysroot);
    add("-cpu", c.options.cpu_model);
    add("-r", c.options.uname_release);
    add("-D", c.log_file);
    if (c.seed) add("-seed", std::to_string(*c.seed));
    add("-d", c.log_items);
    add("-dfilter", c.log_filter);
    if (c.engine.perf_map) words.emplace_back("-perfmap");
    using Crash = RunOptions::Crash;
    if (c.options.crash != Crash::faults) add("-crash-report", c.options.crash == Crash::never ? "never" : "always");
    if (c.options.stack_size) add("-s", std::to_string(c.options.stack_size));
    if (c.page) add("-p", std::to_string(c.page));
    if (c.has_base) add("-B", std::to_string(c.base_address));
    if (c.reserved) add("-R", std::to_string(c.reserved));
    if (c.options.strace) words.emplace_back("-strace");
    if (c.options.strace_json) words.emplace_back("--json");
    if (c.engine.one_insn) words.emplace_back("-one-insn-per-tb");
    if (getenv("MIMIC_GDB") || getenv("QEMU_GDB")) words.insert(words.end(), {"-g", ""}); // it was for this program
    std::string accel = c.engine.interpreter ? "interp" : "jit";
    if (c.no_cache) words.emplace_back("--no-cache");
    if (c.engine.cache_bytes) add("--cache-size", std::to_string(c.engine.cache_bytes));
    if (c.engine.verify) accel += ",verify=on";
    if (c.engine.code_bytes) accel += ",tb-size=" + std::to_string(c.engine.code_bytes >> 20);
    if (accel != "jit") add("-accel", accel);
    return words;
}

u64 stack_size(const RunCommand& c) {
    if (c.options.stack_size) return c.options.stack_size;
    struct rlimit limit;
    constexpr u64 usual = 8 << 20, most = 1ull << 30;
    if (getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return usual;
    return std::clamp<u64>(limit.rlim_cur, 128 << 10, most);
}

Result<std::unique_ptr<AddressSpace>> make_space(const RunCommand& c, const Abi& abi) {
    SpaceShape shape{
        .low = abi.low, .high = abi.high, .page = c.page ? c.page : abi.page, .top_byte_ignored = abi.top_byte_ignored};
    if (abi.guards && abi.guards(c.options.cpu_model)) shape.protections |= prot::guarded;
    if (c.has_base && c.base_address == 0) shape.base = SpaceShape::Base::zero;
    if ((c.has_base && c.base_address != 0) || c.reserved) {
        shape.base = SpaceShape::Base::reserve;
        shape.base_address = c.base_address;
        if (c.reserved) shape.high = std::min(abi.high, c.reserved) & ~u64(shape.page - 1);
    }
    shape.low = (shape.low + shape.page - 1) & ~u64(shape.page - 1);
    std::string options = c.has_base ? fmt::format("-B {:#x}", c.base_address) : std::string();
    if (c.reserved) options += fmt::format("{}-R {:#x}", options.empty() ? "" : " ", c.reserved);
    auto space = AddressSpace::create(shape);
    return options.empty() ? std::move(space) : std::move(space).in("{}", options);
}

// The path that the guest knows the program by: without the sysroot in front.
std::string exe_path(const Paths& paths, const Found& found) {
    char absolute[PATH_MAX];
    std::string host = realpath(found.host.c_str(), absolute) ? absolute : found.host;
    const std::string& root = paths.sysroot();
    if (!root.empty() && host.starts_with(root) && host[root.size()] == '/') return host.substr(root.size());
    return host;
}

struct InterpreterContext {
    const Paths* paths;
};
int open_interpreter(void* context, const std::string& path) {
    std::string host = static_cast<InterpreterContext*>(context)->paths->lookup(path);
    int fd = open(host.c_str(), O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

// A command without a slash is looked for as a shell does.
std::string search_path(const std::string& name) {
    if (name.find('/') != std::string::npos) return name;
    const char* variable = getenv("PATH");
    std::string_view path =
        variable && *variable ? variable : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    while (!path.empty()) {
        size_t end = path.find(':');
        std::string candidate = fmt::format("{}/{}", path.substr(0, end), name);
        struct stat st;
        if (stat(candidate.c_str(), &st) == 0 && S_ISREG(st.st_mode) && access(candidate.c_str(), X_OK) == 0)
            return candidate;
        path.remove_prefix(end == std::string::npos ? path.size() : end + 1);
    }
    return name;
}

// Goes into the root, or takes over what the process that executed this one had of it.
Result<std::unique_ptr<Owners>> go_in(RunCommand& c) {
    Inherited& i = c.inherited;
    if (!c.root.directory.empty()) {
        if (!c.no_cache) c.root.cache = cache_directory(variable);
        EnteredRoot entered = TRY(enter_root(c.root));
        i.self = entered.self, i.cache = entered.cache;
        c.why_no_root_cache = entered.no_cache;
        if (entered.owners) i.owners = entered.owners->fd(), i.home = entered.owners->home();
        if (c.program.empty()) c.program = {"/bin/sh"};
        c.program[0] = search_path(c.program[0]);
        if (c.log_file.empty()) return std::move(entered.owners);
        i.log = keep_descriptor(c.engine.log_fd);
        if (i.log < 0) return Error::from_errno(-i.log, "keep the log open");
        c.engine.log_fd = c.options.log = i.log;
        return std::move(entered.owners);
    }
    if (i.owners < 0) return std::unique_ptr<Owners>();
    auto owners = TRY(Owners::attach(i.owners));
    owners->set_home(i.home);
    return owners;
}

// Where the cache of translated code is, if anywhere; says why not where the log is to say it.
void choose_cache(RunCommand& c) {
    const char* why = "by --no-cache or MIMIC_NO_CACHE";
    if (!c.no_cache && c.inherited.any()) {
        if (!c.inherited.secure) c.engine.cache_fd = c.inherited.cache;
        why = c.inherited.secure             ? "a set-id program in a root"
              : !c.why_no_root_cache.empty() ? c.why_no_root_cache.c_str()
                                             : "the root was entered without";
    } else if (!c.no_cache) {
        c.engine.cache = cache_directory(variable);
        why = "expected XDG_CACHE_HOME, or HOME, to be a directory of this user's, and no set-id program";
    }
    if (c.engine.log_cache && c.engine.cache.empty() && c.engine.cache_fd < 0)
        print(c.engine.log_fd, fmt::format("cache: there is none: {}\n", why));
}

// A root of the host's own architecture, or a program of it in another one: what chroot would run.
bool is_native(const RunCommand& c, const Found& found) {
    return c.inherited.any() && c.guest.empty() && found.abi->elf_machine == host_machine;
}

// Limits that the program before it set, which Mimic kept: the kernel's from here on.
void set_native_limits(const OwnLimits& own) {
    for (int resource : {RLIMIT_AS, RLIMIT_DATA}) {
        rlimit now{};
        raw_syscall(SYS_getrlimit, u64(resource), u64(&now));
        const u64* v = own.v[OwnLimits::index(resource)];
        const rlim_t hard = std::min<u64>(v[1], now.rlim_max);
        const rlimit wanted{std::min<u64>(v[0], hard), hard};
        raw_syscall(SYS_setrlimit, u64(resource), u64(&wanted));
    }
}

// Where the log of calls would go on.
std::string native_note(const RunCommand& c) {
    if (!c.options.strace_json)
        return fmt::format("{} {}: a program of the host's runs natively, its calls are not logged\n", getpid(),
                           c.program[0]);
    return Json(Json::Object{{"type", "native"}, {"pid", getpid()}, {"path", c.program[0]}}).dump() + "\n";
}

// Returns when it failed.
Error run_native(const RunCommand& c) {
    if (c.debugger && c.debugger->left.empty())
        return Error::unsupported("-g: {} is a program of the host's, which runs natively: expected one of a guest",
                                  c.program[0]);
    // They know the guest's numbers, and nobody would obey them.
    if (!c.filters.empty())
        return Error::from_errno(EPERM, "{}: expected a program of a guest under seccomp filters", c.program[0]);
    if (c.options.strace) print(c.options.log, native_note(c));
    for (int fd : {c.inherited.self, c.inherited.owners, c.inherited.log, c.inherited.cache})
        if (fd >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
    std::vector<std::string> words = c.program, variables = environment(c);
    if (c.has_argv0) words[0] = c.argv0;
    auto pointers = [](std::vector<std::string>& all) {
        std::vector<char*> p;
        for (std::string& s : all) p.push_back(s.data());
        p.push_back(nullptr);
        return p;
    };
    auto argv = pointers(words), envp = pointers(variables);
    OwnLimits limits;
    if (!c.limits_text.empty() && limits.parse(c.limits_text)) set_native_limits(limits);
    execve(c.program[0].c_str(), argv.data(), envp.data());
    return Error::from_errno(errno, "{}", c.program[0]);
}

Result<int> run_program(RunCommand& c) {
    std::unique_ptr<Owners> owners = TRY(go_in(c));
    Paths paths;
    paths.set_sysroot(c.options.sysroot);
    if (!paths.sysroot().empty()) c.options.sysroot = paths.sysroot();
    std::vector<std::string> arguments = c.program;
    if (c.has_argv0) arguments[0] = c.argv0;
    Found found = TRY(find_program(paths, std::move(arguments), c.program[0]));
    if (is_native(c, found)) return run_native(c);
    if (!c.guest.empty() && found.abi->name != c.guest)
        return fail(
            Error::unsupported("{}: program is for {}, expected one for {}", found.path, found.abi->name, c.guest),
            other_guest_status);

    SignalTable signals;
    u64 mask = inherit_signals(signals);
    process::install_fault_handlers();
    const Abi& abi = *found.abi;
    auto made = make_space(c, abi);
    if (!made) return fail(made.error(), bad_option_status);
    auto space = std::move(*made);
    choose_cache(c);
    c.engine.guest = abi.name;
    c.engine.model = c.options.cpu_model;
    auto made_engine = make_engine(c.engine, *space);
    if (!made_engine) return fail(made_engine.error(), bad_option_status);
    auto engine = std::move(*made_engine);
    StartStack start{found.arguments, environment(c), found.path, c.options.cpu_model, stack_size(c), c.seed};
    bool pretends = owners && owners->pretend_ids();
    start.secure = c.inherited.secure;
    if (pretends) start.uid = c.inherited.ids.uid, start.gid = c.inherited.ids.gid;
    keep_stack_free(*space, start);
    InterpreterContext context{&paths};
    LoadedProgram program = TRY(load_program(*space, abi, found.fd, found.path, open_interpreter, &context));
    close(found.fd);
    space->set_brk(program.brk);

    c.options.relaunch = relaunch(c);
    Process process{.abi = abi, .options = c.options, .memory = *space, .engine = *engine};
    process.paths = paths;
    process.exe = exe_path(paths, found);
    process.arguments = found.arguments;
    process.owners = owners.get();
    process.pretends = pretends;
    process.home = c.inherited.home;
    if (c.limits_text.empty())
        process.limits.from_kernel();
    else
        process.limits.parse(c.limits_text);
    process.keep_from_start({c.inherited.self, c.inherited.owners, c.inherited.log, c.inherited.cache});
    std::unique_ptr<Debugger> debugger;
    if (c.debugger) forget_left(c.debugger->left);
    if (c.debugger && c.debugger->left.empty()) {
        debugger = TRY(Debugger::open(process, *c.debugger));
        process.debugger = debugger.get();
    }
    start.credentials = c.inherited.ids;
    start.filters = TRY(filters_from_text(c.filters));
    return start_process(process, signals, mask, program, start);
}

Result<int> open_log(RunCommand& c) {
    if (c.inherited.log >= 0) return c.inherited.log;
    if (c.log_file.empty()) return 2;
    // Programs that this one executes may be elsewhere, and have names of their own where there is an id in it.
    char here[PATH_MAX];
    if (c.log_file[0] != '/' && getcwd(here, sizeof here)) c.log_file = fmt::format("{}/{}", here, c.log_file);
    std::string name = c.log_file;
    for (size_t at = 0; (at = name.find("%d", at)) != std::string::npos;)
        name.replace(at, 2, std::to_string(raw_syscall(SYS_getpid)));
    int fd = open(name.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) return Error::from_errno(errno, "-D {}: expected a file that can be written", name);
    // High, so that the program's descriptors have the numbers that it expects.
    struct rlimit limit {};
    getrlimit(RLIMIT_NOFILE, &limit);
    int high = fcntl(fd, F_DUPFD_CLOEXEC, int(std::min<u64>(limit.rlim_cur, 1024)) - 1);
    if (high >= 0) close(fd), fd = high;
    return fd;
}

// -cpu MODEL,help: what the guests that have the model say of such a property.
std::string list_properties(std::string_view words) {
    const std::string model(words.substr(0, words.find(',')));
    std::string text;
    for (const isa::GuestInfo* g : isa::guests())
        if (std::find(g->models.begin(), g->models.end(), model) != g->models.end())
            if (auto made = g->make(model + ",help"); !made) {
                const bool none = made.error().message().find("is unknown") != std::string::npos;
                text += fmt::format("{} {}:\n{}\n", g->name, model, none ? "no properties" : made.error().message());
            }
    return text;
}

std::string list_all_models() {
    std::string text;
    for (const Abi* abi : abis()) {
        std::string models = list_models(abi->name);
        if (!models.empty()) text.append(abi->name).append(":\n").append(models);
    }
    return text;
}

} // namespace

namespace {
int run_command(Result<RunCommand> command) {
    u64 heap_top = 0;
    let_heap_be_touched();
    touch_heap(heap_top);
    if (!command) return fail(command.error(), bad_option_status);
    switch (command->action) {
    case RunCommand::Action::help: print(1, run_help()); return 0;
    case RunCommand::Action::version: print(1, "mimic version 0.1 (user mode)\n"); return 0;
    case RunCommand::Action::list_cpus: {
        if (command->options.cpu_model.empty()) return print(1, list_all_models()), 0;
        const std::string properties = list_properties(command->options.cpu_model);
        if (properties.empty())
            return fail(
                Error::invalid_argument("-cpu {},help: expected a model of -cpu help", command->options.cpu_model),
                bad_option_status);
        return print(1, properties), 0;
    }
    case RunCommand::Action::list_log_items: print(1, list_log_items()); return 0;
    case RunCommand::Action::list_accels: print(1, list_accels()); return 0;
    case RunCommand::Action::run: break;
    }
    auto log = open_log(*command);
    if (!log) return fail(log.error(), bad_option_status);
    command->options.log = *log;
    command->engine.log_fd = *log;
    if (struct stat st; fstat(*log, &st) == 0)
        command->options.log_file[0] = st.st_dev, command->options.log_file[1] = st.st_ino;
    auto status = run_program(*command);
    return status ? *status : fail(status.error(), exit_status_of(status.error()));
}

// The shell of root in text like /etc/passwd.
std::string root_shell(const std::string& directory) {
    for (const char* shell : {"/bin/bash", "/bin/sh"}) {
        struct stat st;
        std::string path = fmt::format("{}/usr{}", directory, shell); // merged /usr: /bin is a link
        std::string plain = fmt::format("{}{}", directory, shell);
        if (stat(path.c_str(), &st) == 0 || lstat(plain.c_str(), &st) == 0) return shell;
    }
    return "/bin/sh";
}

void set_default(RunCommand& c, const std::string& name, const std::string& value) {
    bool given = std::any_of(c.set.begin(), c.set.end(), [&](auto& s) { return s.starts_with(name + "="); });
    if (!given) c.set.push_back(name + "=" + value);
}
} // namespace

int run_main(std::span<const std::string_view> words) { return run_command(parse_run(words, variable)); }

// As a login of root: its own environment but for what describes the terminal and the way out.
int shell_main(std::span<const std::string_view> words) {
    auto command = parse_run(words, variable, true);
    if (!command || command->action != RunCommand::Action::run) return run_command(std::move(command));
    RunCommand& c = *command;
    if (c.program.empty()) c.program = {root_shell(c.root.directory)};
    for (const char* name : {"USER", "LOGNAME"}) set_default(c, name, "root");
    set_default(c, "HOME", "/root");
    set_default(c, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    for (const char* name : {"SHELL", "TMPDIR", "XDG_RUNTIME_DIR", "LD_LIBRARY_PATH", "LD_PRELOAD", "OLDPWD"})
        c.unset.emplace_back(name);
    char here[PATH_MAX];
    if (c.root.work == "/" && getcwd(here, sizeof here)) {
        c.root.binds.insert(c.root.binds.begin(), {here, "/mnt"});
        c.root.work = "/mnt";
    }
    return run_command(std::move(command));
}

} // namespace mimic::user
