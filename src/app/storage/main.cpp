#include "app/storage/daemon.hpp"
#include "app/storage/storage.hpp"
#include "app/tool/daemonize.hpp"
#include "app/tool/tool.hpp"
#include "base/io/scope.hpp"
#include "base/io/watch.hpp"
#include "base/module.hpp"
#include "block/objects.hpp"
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace mimic::storage_daemon {

namespace {

using tool::Arguments;

enum : char {
    opt_blockdev = 1,
    opt_chardev,
    opt_daemonize,
    opt_export,
    opt_monitor,
    opt_nbd_server,
    opt_object,
    opt_pidfile
};

constexpr Arguments::Long longs[] = {
    {"help", false, 'h'},
    {"version", false, 'V'},
    {"trace", true, 'T'},
    {"blockdev", true, opt_blockdev},
    {"chardev", true, opt_chardev},
    {"daemonize", false, opt_daemonize},
    {"export", true, opt_export},
    {"monitor", true, opt_monitor},
    {"nbd-server", true, opt_nbd_server},
    {"object", true, opt_object},
    {"pidfile", true, opt_pidfile},
};

constexpr std::string_view help = R"([OPTIONS]
Disks, jobs on them and exports, without a machine. Options are carried out in their order.

  -h, --help             display this help and exit
  -V, --version          output version information and exit

  --blockdev [driver=]DRIVER[,node-name=NAME][,read-only=on|off][,...] or JSON
                         open a node: raw, qcow2, file, nbd, ...
  --export [type=]nbd,id=ID,node-name=NODE[,name=EXPORT][,writable=on|off][,bitmaps.0=NAME]
                         export a node over NBD (after --nbd-server)
  --nbd-server addr.type=inet,addr.host=HOST,addr.port=PORT[,max-connections=N]
  --nbd-server addr.type=unix,addr.path=PATH[,max-connections=N]
                         listen for NBD clients
  --chardev BACKEND,id=ID[,...]
                         a character device: stdio, socket, ...
  --monitor [chardev=]ID[,mode=control][,pretty=on|off]
                         QMP on a character device
  --object secret,id=ID,data=TEXT|file=PATH
                         a secret for encrypted images
  --daemonize            go to the background once everything is there
  --pidfile PATH         write the process ID to a file
)";

int complain(const std::string& message) {
    std::fprintf(stderr, "%s: %s\n", tool::program_name("storage-daemon").c_str(), message.c_str());
    return 1;
}

class Program {
public:
    explicit Program(Arguments arguments) : arguments_(std::move(arguments)) {}

    Result<void> start() {
        loop_ = TRY(io::Loop::create());
        watch_signals();
        context_ = std::make_unique<block::Context>(block::Context{.loop = *loop_});
        context_->warn = [](const std::string& line) { complain(line); };
        chardevs_ = std::make_unique<chardev::OpenContext>(
            chardev::OpenContext{*loop_, [this] { daemon_->stop(); }, [](const std::string& line) { complain(line); }});
        chardevs_->tls = qmp::find_tls(*context_);
        daemon_ = std::make_unique<Daemon>(*context_, *chardevs_);
        for (auto& o : arguments_.options()) TRY(take(o));
        return {};
    }
    // The exit status.
    int run() {
        io::spawn(signals(), [](const Error&) {});
        loop_->run_until([this] { return daemon_->stopped(); });
        return finish();
    }
    int finish() {
        int status = 0;
        if (daemon_)
            if (Result<void> closed = daemon_->close(); !closed) status = complain(closed.error().message());
        leaving_ = true;
        if (signal_watch_) {
            signal_watch_->cancel();
            loop_->run_until([this] { return !watching_; });
        }
        daemon_.reset();
        signal_watch_.reset();
        if (signal_fd_ >= 0) close(signal_fd_);
        return status;
    }

private:
    Result<void> take(const Arguments::Option& o) {
        switch (o.letter) {
        case opt_blockdev: return command("blockdev-add", o.value, "driver", "--blockdev");
        case opt_nbd_server: return nbd_server(o.value);
        case opt_export: return command("block-export-add", o.value, "type", "--export");
        case opt_object: {
            Json options = TRY(parse(o.value, "qom-type").in("--object"));
            return block::add_object(*context_, std::move(options)).in("--object");
        }
        case opt_chardev: return chardev(o.value);
        case opt_monitor: return monitor(o.value);
        default: return {};
        }
    }

    static Result<Json> parse(const std::string& text, std::string_view implied) {
        return text.starts_with('{') ? Json::parse(text) : block::parse_flat(text, implied);
    }

    // What the option says as the command's arguments: their types are those of the command.
    Result<void> command(std::string_view name, const std::string& text, std::string_view implied,
                         std::string_view option) {
        Json arguments = TRY(parse(text, implied).in("{}", option));
        const qmp::Command& c = *daemon_->schema().find(name);
        daemon_->schema().convert(arguments, daemon_->schema().arguments(c));
        TRY(loop_->run(daemon_->execute(c, std::move(arguments))).in("{}", option));
        return {};
    }

    Result<void> nbd_server(const std::string& text) { return command("nbd-server-start", text, "", "--nbd-server"); }

    Result<void> chardev(const std::string& text) {
        Json parsed = TRY(block::parse_flat(text, "backend").in("--chardev"));
        Json id = parsed.take("id");
        if (!id.string()) return Error::invalid_argument("--chardev: 'id' is missing");
        if (daemon_->find_chardev(*id.string())) return Error::exists("--chardev: the id '{}' is taken", *id.string());
        chardev::OptionList list;
        for (auto& [name, value] : *parsed.members())
            if (value.string()) list.emplace_back(name, *value.string());
        daemon_->add_chardev(TRY(chardev::open(*chardevs_, *id.string(), list).in("--chardev")));
        return {};
    }

    Result<void> monitor(const std::string& text) {
        Json options = TRY(parse(text, "chardev").in("--monitor"));
        std::optional<std::string> name, mode, id;
        bool pretty = false;
        block::OptionReader reader(options, "--monitor");
        reader.string("chardev", name, "");
        reader.string("mode", mode, "");
        reader.string("id", id, "");
        reader.flag("pretty", pretty, "");
        TRY(reader.finish());
        if (mode.value_or("control") != "control")
            return Error::unsupported("--monitor: mode '{}' is not there, expected control", *mode);
        chardev::Chardev* dev = name ? daemon_->find_chardev(*name) : nullptr;
        if (!dev) return Error::invalid_argument("--monitor: there is no chardev '{}'", name.value_or(""));
        if (dev->busy()) return Error::busy("--monitor: chardev '{}' is in use", *name);
        daemon_->serve_qmp(*dev, pretty);
        return {};
    }

    void watch_signals() {
        sigset_t set;
        sigemptyset(&set);
        for (int s : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, s);
        pthread_sigmask(SIG_BLOCK, &set, nullptr);
        signal(SIGPIPE, SIG_IGN);
        signal_fd_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        signal_watch_ = std::make_unique<io::Watch>(*loop_, signal_fd_);
    }
    io::Task<Result<void>> signals() {
        watching_ = true;
        while (!leaving_ && co_await signal_watch_->readable()) {
            signalfd_siginfo info{};
            if (read(signal_fd_, &info, sizeof info) == sizeof info) daemon_->stop();
        }
        watching_ = false;
        co_return Result<void>();
    }

    Arguments arguments_;
    std::unique_ptr<io::Loop> loop_;
    std::unique_ptr<block::Context> context_;
    std::unique_ptr<chardev::OpenContext> chardevs_;
    std::unique_ptr<Daemon> daemon_;
    int signal_fd_ = -1;
    std::unique_ptr<io::Watch> signal_watch_;
    bool watching_ = false, leaving_ = false;
};

bool write_pid(const std::string& path) {
    std::FILE* f = std::fopen(path.c_str(), "we");
    bool ok = f && std::fprintf(f, "%d\n", int(getpid())) > 0;
    if (f && std::fclose(f) != 0) ok = false;
    return ok;
}

} // namespace

int storage_daemon_main(std::span<const std::string_view> args) {
    Arguments arguments(args, "hT:V", longs);
    bool background = false;
    std::string pid_file;
    for (auto& o : arguments.options()) switch (o.letter) {
        case 'h':
            std::fputs(("Usage: " + tool::program_name("storage-daemon") + " " + std::string(help)).c_str(), stdout);
            return 0;
        case 'V': std::puts(tool::version_line("storage-daemon").c_str()); return 0;
        case opt_daemonize: background = true; break;
        case opt_pidfile: pid_file = o.value; break;
        default: break;
        }
    if (!arguments.error().empty()) return complain(arguments.error());
    if (!arguments.names().empty()) return complain("Unexpected argument: " + arguments.names()[0]);
    modules::hand_over(); // later commands may need modules when it is too late for that
    std::unique_ptr<tool::Background> parent;
    if (background) {
        auto begun = tool::Background::begin("--daemonize");
        if (!begun) return complain(begun.error().message());
        parent = std::move(*begun);
    }
    Program p(std::move(arguments));
    if (Result<void> r = p.start(); !r) {
        int status = complain(r.error().message());
        p.finish();
        return status;
    }
    if (!pid_file.empty() && !write_pid(pid_file)) {
        int status = complain(fmt::format("--pidfile: cannot write {}: {}", pid_file, std::strerror(errno)));
        p.finish();
        return status;
    }
    if (parent) parent->ready();
    int status = p.run();
    if (!pid_file.empty()) unlink(pid_file.c_str());
    return status;
}

} // namespace mimic::storage_daemon
