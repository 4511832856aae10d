#include "app/system/session.hpp"
#include "app/system/options_host.hpp"
#include "app/system/sandbox.hpp"
#include "base/io/scope.hpp"
#include "base/nearest.hpp"
#include "base/trace.hpp"
#include "block/objects.hpp"
#include "devices/types.hpp"
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace mimic::app {

// ---- making -----------------------------------------------------------------------------------------------------------

Result<void> Session::create() {
    TRY(open_log());
    if (options_.sandbox.on) TRY(enter_sandbox(options_.sandbox).in("-sandbox"));
    loop_ = TRY(io::Loop::create());
    watch_signals(); // before any thread is made, so that all have them blocked
    blocks_ = std::make_unique<block::Context>(block::Context{.loop = *loop_});
    storage_ = std::make_unique<block::Storage>(*blocks_);
    storage_->find_device = [this](std::string_view id) -> std::shared_ptr<block::Root> {
        for (const auto& [name, drive] : drives_)
            if (name == id) return drive.node;
        return nullptr;
    };
    auto tell = [this](const std::string& line) { options_.messages.tell(line); };
    blocks_->warn = tell;
    chardev_context_ = std::make_unique<chardev::OpenContext>(
        chardev::OpenContext{*loop_, [this] { run_ ? run_->quit("host-ui") : leave(0); }, tell});
    chardev_context_->escape = options_.escape;
    chardev_context_->tls = qmp::find_tls(*blocks_);
    if (options_.machine.empty()) {
        std::string list;
        for (const machines::BoardType* b : machines::boards())
            if (b->guest == options_.guest) list += fmt::format(" {}", b->alias.empty() ? b->name : b->alias);
        return Error::invalid_argument("no machine was chosen, expected -M with one of:{}", list);
    }
    type_ = TRY(machines::find_board(options_.guest, options_.machine).in("-M"));
    TRY(open_drives());
    TRY(open_chardevs());
    TRY(make_board());
    TRY(make_devices());
    TRY(board_->load());
    if (!options_.board.dump_dtb.empty()) {
        done_ = true;
        return {};
    }
    created_ = true;
    make_control();
    TRY(open_monitors());
    if (!options_.qtest.empty()) TRY(open_qtest().in("-qtest"));
    if (!options_.debugger.empty()) TRY(open_debugger(options_.debugger).in("-gdb"));
    TRY(lock_memory(options_.memory_lock));
    return board_->reset(devices::ResetKind::power_on);
}

Result<void> Session::open_log() {
    if (!options_.log_file.empty()) {
        logs_.text = std::fopen(options_.log_file.c_str(), "we");
        if (!logs_.text) return Error::from_errno(errno, "-D: cannot open {}", options_.log_file);
        std::setvbuf(logs_.text, nullptr, _IOLBF, 0);
    }
    std::FILE* to = logs_.text ? logs_.text : stderr;
    trace::set_sink([to](std::string_view line) { std::fprintf(to, "%.*s\n", int(line.size()), line.data()); });
    if (options_.guest_errors) trace::show_guest_errors(true);
    if (!options_.trace_file.empty()) {
        std::FILE* file = logs_.events = std::fopen(options_.trace_file.c_str(), "we");
        if (!file) return Error::from_errno(errno, "-trace file: cannot open {}", options_.trace_file);
        std::setvbuf(file, nullptr, _IOLBF, 0);
        trace::set_event_sink([file](std::string_view line) { fmt::print(file, "{}\n", line); });
    }
    for (std::string_view glob : options_.trace) {
        const bool on = !glob.starts_with('-');
        if (!on) glob.remove_prefix(1);
        if (!trace::enable(glob, on))
            return Error::not_found("-trace: no event is called '{}', expected a name or glob of '-trace help'", glob);
    }
    cpu::Options& t = options_.board.translation;
    t.log = options_.log;
    t.owner = &logs_;
    t.write_log = [](void* owner, std::string_view text) {
        std::FILE* file = static_cast<Logs*>(owner)->text;
        std::fwrite(text.data(), 1, text.size(), file ? file : stderr);
    };
    if (options_.perf_map) TRY(open_perf_map());
    t.on_mismatch = [](void*, const cpu::Mismatch& m) {
        std::fprintf(stderr, "mimic: verify: unit at %#lx: %s\n%s\n", (unsigned long)m.pc, m.difference.c_str(),
                     m.report.c_str());
        std::_Exit(70);
    };
    return {};
}

// perf's documentation of its JIT interface: /tmp/perf-PID.map, lines of START SIZE symbolname, in hexadecimal without 0x.
// The code space's lock is held while lines are written.
Result<void> Session::open_perf_map() {
    std::string path = fmt::format("/tmp/perf-{}.map", getpid());
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0) return Error::from_errno(errno, "-perfmap: {}", path);
    logs_.perf_map = fdopen(fd, "a");
    std::setvbuf(logs_.perf_map, nullptr, _IOLBF, 0);
    options_.board.translation.on_code = [](void* owner, const void* code, u64 bytes, u64 pc) {
        fmt::print(static_cast<Logs*>(owner)->perf_map, "{:x} {:x} guest_{:#x}\n", u64(code), bytes, pc);
    };
    return {};
}

Result<block::NodePtr> Session::open_drive(const DriveOptions& d) {
    block::OpenRequest request;
    request.filename = d.file;
    request.format = d.format;
    request.cache = d.cache;
    request.discard = d.discard ? block::DiscardMode::unmap : block::DiscardMode::ignore;
    request.options = Json::object();
    for (const auto& [key, value] : d.rest) request.options.set(key, value);
    request.options = TRY(block::nest(std::move(request.options)));
    if (!d.snapshot) {
        request.writable = !d.read_only;
        return loop_->run(block::open_node(*blocks_, std::move(request)));
    }
    // Writes go to a layer that is gone with the process.
    char name[] = "/var/tmp/mimic-snapshot-XXXXXX";
    int fd = mkstemp(name);
    if (fd < 0) return Error::from_errno(errno, "snapshot=on: cannot make a file in /var/tmp");
    close(fd);
    temporary_.emplace_back(name);
    auto base = TRY(loop_->run(block::open_node(*blocks_, request)));
    std::string format(base->driver().name);
    u64 size = base->size();
    TRY(loop_->run(base->close()));
    base.reset();
    char* full = realpath(d.file.c_str(), nullptr);
    std::string path = full ? full : d.file;
    std::free(full);
    Json create = Json::object();
    create.set("backing_file", path);
    create.set("backing_fmt", format);
    create.set("size", size);
    block::CreateArguments arguments{name, std::move(create)};
    TRY(loop_->run(block::qcow2_driver.create(*blocks_, arguments)));
    block::OpenRequest overlay;
    overlay.filename = name;
    overlay.format = "qcow2";
    overlay.cache = "unsafe";
    overlay.writable = true;
    return loop_->run(block::open_node(*blocks_, std::move(overlay)));
}

Result<void> Session::add_drive(const std::string& id, block::NodePtr node, bool read_only) {
    u8 perms = block::perm::consistent_read;
    if (!read_only) perms |= block::perm::write | block::perm::resize;
    constexpr u8 shared = block::perm::consistent_read | block::perm::write_unchanged;
    auto root = TRY(block::Root::attach(node, id, perms, shared));
    for (block::Node* below = node.get(); below; below = block::backing_of(below))
        TRY(loop_->run(block::skip_filters(below)->load_bitmaps()));
    drives_.emplace_back(id, devices::Machine::Drive{std::move(root), read_only, nullptr});
    return {};
}

// A device may name a node of -blockdev or blockdev-add in place of a -drive.
Result<void> Session::drive_of_node(const DeviceOptions& d) {
    for (const auto& [key, value] : d.properties) {
        if (key != "drive" || storage_->find_device(value)) continue;
        auto node = storage_->find_node(value);
        if (!node) continue;
        TRY(add_drive(value, *node, (*node)->read_only()));
        board_->machine().drives[value] = drives_.back().second;
    }
    return {};
}

// The last drive has the limits that it was given.
Result<void> Session::limit_drive(const DriveOptions& d) {
    Json given = Json::object();
    for (auto& [key, value] : d.limits) given.set(key, value);
    block::ThrottleOptions options;
    block::OptionReader reader(given, "-drive throttling");
    options.describe(reader);
    TRY(reader.finish());
    if (!options.any() && d.group.empty()) return {};
    auto group = block::throttle_group(*blocks_, d.group.empty() ? d.id : d.group);
    // The last one that has limits counts for the whole group.
    block::ThrottleLimits limits;
    TRY(options.apply(limits));
    if (options.any()) group->set(limits);
    drives_.back().second.node->set_throttle(std::move(group));
    return {};
}

// Drives without an id are called by their interface and place there; those that name their place have it.
void Session::name_drives() {
    auto taken = [this](const std::string& id) {
        return std::ranges::any_of(options_.drives, [&](const DriveOptions& d) { return d.id == id; });
    };
    for (DriveOptions& d : options_.drives)
        if (d.id.empty() && d.unit != ~u32{0}) d.id = fmt::format("{}{}", d.interface, d.unit);
    for (DriveOptions& d : options_.drives)
        for (u32 n = 0; d.id.empty(); n++)
            if (std::string id = fmt::format("{}{}", d.interface, n); !taken(id)) d.id = std::move(id);
}

Result<void> Session::open_drives() {
    for (const std::string& text : options_.objects) {
        Json object =
            TRY((text.starts_with('{') ? Json::parse(text) : block::parse_flat(text, "qom-type")).in("-object"));
        TRY(block::add_object(*blocks_, std::move(object)).in("-object"));
    }
    for (const std::string& text : options_.blockdevs) {
        Json options =
            TRY((text.starts_with('{') ? Json::parse(text) : block::parse_flat(text, "driver")).in("-blockdev"));
        TRY(loop_->run(storage_->add(std::move(options))).in("-blockdev"));
    }
    name_drives();
    for (DriveOptions& d : options_.drives) {
        for (const auto& [id, other] : drives_)
            if (id == d.id) return Error::exists("-drive: the id '{}' is taken", d.id);
        if (storage_->find_node(d.id)) return Error::exists("-drive: the id '{}' is taken by a node", d.id);
        d.snapshot |= options_.snapshot && !d.read_only;
        auto node = TRY(open_drive(d).in("-drive {}", d.file));
        TRY(add_drive(d.id, std::move(node), d.read_only).in("-drive {}", d.file));
        TRY(limit_drive(d).in("-drive {}", d.file));
        drives_.back().second.on_write_error = d.on_write_error;
        drives_.back().second.on_read_error = d.on_read_error;
        if (d.interface == "pflash") {
            size_t unit = d.unit == ~u32{0} ? options_.board.flash.size() : d.unit;
            if (unit > 15) return Error::invalid_argument("-drive unit: {}, expected at most 15", unit);
            if (options_.board.flash.size() <= unit) options_.board.flash.resize(unit + 1);
            options_.board.flash[unit] = d.id;
        } else if (d.interface == "virtio") {
            options_.devices.push_back({"virtio-blk-pci", "", "", {{"drive", d.id}}});
        }
    }
    return {};
}

Result<std::string> Session::open_serial(u32 n, const std::string& text) {
    if (text.starts_with("chardev:")) return text.substr(8);
    std::string id = fmt::format("serial{}", n);
    auto dev = TRY(chardev::open_legacy(*chardev_context_, id, text).in("-serial"));
    if (!dev) return std::string();
    for (const auto& other : chardevs_)
        if (other->id() == id) return Error::exists("-serial: the id '{}' is taken, expected another of -chardev", id);
    chardevs_.push_back(std::move(dev));
    if (text.starts_with("mon:")) options_.monitors.push_back({{}, id, false, false});
    return id;
}

Result<void> Session::open_chardevs() {
    for (const ChardevOptions& c : options_.chardevs) {
        for (const auto& other : chardevs_)
            if (other->id() == c.id) return Error::exists("-chardev: the id '{}' is taken", c.id);
        chardevs_.push_back(TRY(chardev::open(*chardev_context_, c.id, c.options).in("-chardev")));
    }
    // The first serial port is this terminal unless somebody said otherwise.
    if (options_.serials.empty() && !options_.no_defaults) {
        bool terminal = (options_.nographic || options_.display.empty()) && !options_.daemonize;
        for (const MonitorOptions& m : options_.monitors) terminal &= m.device != "stdio";
        options_.serials.emplace_back(!terminal ? "null" : options_.no_monitor ? "stdio" : "mon:stdio");
    }
    for (u32 i = 0; i < options_.serials.size(); i++)
        options_.board.serial.push_back(TRY(open_serial(i, options_.serials[i])));
    return {};
}

Result<void> Session::make_board() {
    machines::BoardOptions& b = options_.board;
    if (b.ram_bytes == 0) b.ram_bytes = type_->default_ram;
    if (b.smp.cpus > type_->max_cpus)
        return Error::invalid_argument("-smp cpus: {}, expected at most {} for machine '{}'", b.smp.cpus,
                                       type_->max_cpus, type_->name);
    b.type_name = type_->name;
    b.guest = options_.guest;
    b.machine.loop = loop_.get();
    b.machine.types = devices::types();
    b.machine.manual_clock = b.accelerator == "qtest"; // time passes by clock_step
    board_ = type_->make(b);
    devices::Machine& machine = board_->machine();
    for (auto& dev : chardevs_) machine.add_chardev(std::move(dev));
    chardevs_.clear();
    for (auto& [id, drive] : drives_) machine.drives[id] = drive;
    machine.open_chardev = [this](const std::string& id, const std::string& text) {
        return chardev::open_legacy(*chardev_context_, id, text);
    };
    for (const auto& [id, path] : b.random_sources) TRY(machine.add_random_source(id, path).in("-object"));
    for (NetdevOptions& n : options_.netdevs) {
        net::Options o{n.type, n.options};
        o.values.emplace_back("id", n.id);
        TRY(machine.add_net(std::move(o)).in("-netdev"));
    }
    add_default_card();
    return board_->build();
}

// Where nobody said what network there is, the board's own card sits in a user network.
void Session::add_default_card() {
    if (options_.no_defaults || options_.network_chosen || type_->default_card.empty()) return;
    DeviceOptions card{std::string(type_->default_card), "", "", {}};
    if (auto made = board_->machine().add_net({"user", {{"id", "#net0"}}}))
        card.properties.emplace_back("netdev", "#net0");
    else
        options_.messages.warn(fmt::format("the network card leads nowhere: {}", made.error().message()));
    options_.cards.push_back(std::move(card));
}

Result<void> Session::make_device(const DeviceOptions& d) {
    devices::Machine& machine = board_->machine();
    const devices::DeviceType* type = machine.find_type(d.driver);
    if (!type || !type->user) {
        std::vector<std::string_view> names;
        for (const devices::DeviceType* t : devices::types())
            if (t->user) names.push_back(t->name);
        const std::string near = did_you_mean(d.driver, names);
        return Error::not_found("'{}' is no device that can be added{} '-device help' lists them", d.driver,
                                near.empty() ? ";" : near);
    }
    devices::Device* parent = nullptr;
    if (!d.bus.empty()) {
        std::string id = d.bus;
        // The reference calls a transport's bus "virtio-mmio-bus.N".
        if (id.starts_with("virtio-mmio-bus.")) id = fmt::format("virtio-mmio[{}]", id.substr(16));
        parent = machine.find(id);
        if (!parent || parent->bus_type() != type->bus)
            return Error::not_found("bus '{}' is not there, or no {}", d.bus, type->bus);
    } else {
        parent = machine.find_bus(type->bus);
        if (!parent) return Error::not_found("there is no free {}", type->bus);
    }
    if (created_ && !parent->hotplug())
        return Error::unsupported("Bus '{}' does not support hotplugging", parent->id());
    TRY(drive_of_node(d));
    TRY(machine.create(d.driver, d.id, d.properties, parent));
    return {};
}

Result<void> Session::make_devices() {
    for (const DeviceOptions& d : options_.cards) TRY(make_device(d).in("network card {}", d.driver));
    for (const DeviceOptions& d : options_.devices) TRY(make_device(d).in("-device {}", d.driver));
    return {};
}

// Jobs end first; then each disk is written back with its last user.
void Session::close_drives() {
    if (!storage_) return;
    auto told = [this](Result<void> r) {
        if (!r) options_.messages.say(r.error().message());
    };
    loop_->run(storage_->jobs().shut_down());
    for (auto& [id, drive] : drives_) {
        block::NodePtr node = drive.node->ptr();
        loop_->run(drive.node->rest());
        drive.node.reset();
        if (node->parents().empty()) told(loop_->run(node->close()));
    }
    drives_.clear();
    told(loop_->run(storage_->shut_down()));
    storage_.reset();
}

// ---- running ----------------------------------------------------------------------------------------------------------

void Session::watch_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int s : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, s);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);
    signal_fd_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    signal_watch_ = std::make_unique<io::Watch>(*loop_, signal_fd_);
    watching_ = true;
    io::spawn(signals(), [](const Error&) {});
}

io::Task<Result<void>> Session::signals() {
    while (!stopped_) {
        bool ready = co_await signal_watch_->readable();
        if (!ready) break;
        signalfd_siginfo info{};
        if (read(signal_fd_, &info, sizeof info) != sizeof info) continue;
        options_.messages.say(fmt::format("terminating on signal {} from pid {}", info.ssi_signo, info.ssi_pid));
        run_ ? run_->quit("host-signal") : leave(0);
    }
    watching_ = false;
    co_return Result<void>{};
}

void Session::leave(int status) {
    if (done_) return;
    if (monitor_) monitor_->dump.cancelled = true;
    status_ = status;
    done_ = true;
    if (chardev_context_->interrupt) chardev_context_->interrupt();
}

// Lets the machine run, or what is to come in decides.
Result<void> Session::start() {
    const std::string& from = options_.incoming;
    if (!options_.load_snapshot.empty()) {
        if (!from.empty()) return Error::invalid_argument("-loadvm: there is -incoming, expected one of them");
        auto disks = TRY(migration::Snapshots::disks(board_->machine()).in("-loadvm"));
        TRY(loop_->run(snapshots_->load(options_.load_snapshot, std::move(disks), 0)).in("-loadvm"));
    }
    if (from.empty()) {
        if (!options_.paused) run_->resume().ignore(); // it was never run
        return {};
    }
    run_->set_state(machines::RunState::inmigrate);
    if (from == "defer") return {}; // migrate-incoming says from where
    return migrator_->load_from(from, !options_.paused).in("-incoming");
}

// Locked as long as the process lives: two machines with one file would each take the other's number away.
Result<void> Session::write_pid_file() {
    const std::string& path = options_.pid_file;
    if (path.empty()) return {};
    pid_fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (pid_fd_ < 0) return Error::from_errno(errno, "-pidfile: cannot write {}", path);
    const std::string text = fmt::format("{}\n", getpid());
    if (lockf(pid_fd_, F_TLOCK, 0) != 0) {
        const int why = errno;
        close(std::exchange(pid_fd_, -1));
        return Error::from_errno(why, "-pidfile: cannot lock {}, which another machine has", path);
    }
    if (ftruncate(pid_fd_, 0) != 0 || write(pid_fd_, text.data(), text.size()) != ssize_t(text.size()))
        return Error::from_errno(errno, "-pidfile: cannot write {}", path);
    return {};
}

int Session::run() {
    if (done_) return status_;
    if (auto written = write_pid_file(); !written) {
        options_.messages.say(written.error().message());
        return 1;
    }
    if (on_ready) on_ready();
    if (auto started = start(); !started) {
        options_.messages.say(started.error().message());
        return 1;
    }
    loop_->run_until([this] { return done_; });
    board_->stop();
    return status_;
}

Session::~Session() {
    // What keeps the machine looks at its RAM and disks until it has ended; migrations end with their Migrator.
    if (monitor_) monitor_->dump.cancelled = true;
    if (snapshots_) snapshots_->cancel();
    if (run_)
        loop_->run_until([this] {
            return run_->keeper() == machines::Keeper::nobody || run_->keeper() == machines::Keeper::migration;
        });
    if (storage_) storage_->on_event = [](std::string_view, Json) {};
    if (board_) board_->stop();
    qtest_.reset();
    if (qtest_log_) std::fclose(qtest_log_);
    debugger_.reset();
    monitor_.reset();
    snapshots_.reset();
    migrator_.reset();
    run_.reset();
    if (board_) board_->machine().settle(); // requests that were said to the loop and are not under way yet
    for (auto& [id, drive] : drives_)
        if (drive.node) loop_->run(drive.node->rest());
    board_.reset();
    chardevs_.clear();
    close_drives();
    for (const std::string& path : temporary_) unlink(path.c_str());
    stopped_ = true;
    if (signal_watch_) {
        signal_watch_->cancel();
        loop_->run_until([this] { return !watching_; });
    }
    signal_watch_.reset();
    if (signal_fd_ >= 0) close(signal_fd_);
    if (pid_fd_ >= 0) {
        unlink(options_.pid_file.c_str());
        close(pid_fd_);
    }
    trace::set_sink({});
    trace::set_event_sink({});
    for (std::FILE* file : {logs_.text, logs_.perf_map, logs_.events})
        if (file) std::fclose(file);
}

} // namespace mimic::app
