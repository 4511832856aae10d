// The control side of a session: its run-state and its monitors.
#include "app/system/session.hpp"
#include "base/trace.hpp"
#include <cerrno>

namespace mimic::app {

void Session::make_control() {
    run_ = std::make_unique<machines::RunControl>(*board_, options_.actions);
    run_->on_quit = [this](int status) { leave(status); };
    run_->say = [this](const std::string& line) { options_.messages.say(line); };
    migrator_ = std::make_unique<migration::Migrator>(*run_);
    migrator_->on_load_failed = [this](const Error& e) {
        options_.messages.say(fmt::format("-incoming: {}", e.message()));
        leave(1);
    };
    snapshots_ = std::make_unique<migration::Snapshots>(*run_);
    monitor::Services services{*board_,
                               *run_,
                               *migrator_,
                               *snapshots_,
                               *type_,
                               *chardev_context_,
                               *storage_,
                               options_.messages.guest,
                               options_.board.uuid};
    services.add_device = [this](const monitor::DeviceRequest& d) {
        return make_device({d.driver, d.id, d.bus, d.properties});
    };
    services.set_log = [this](std::string_view items) { return set_log(items); };
    services.log_help = log_items_help();
    services.ram_backend = options_.memory_backend;
    services.options = option_names();
    services.serve_debugger = [this](const std::string& device) { return open_debugger(device); };
    monitor_ = std::make_unique<monitor::Monitor>(std::move(services));
    storage_->on_event = [this](std::string_view name, Json data) { monitor_->event(name, std::move(data)); };
}

// The chardev of a monitor: one that -chardev made, the other side of a mux, or one of its own.
Result<chardev::Chardev*> Session::monitor_chardev(MonitorOptions& m, const std::string& id) {
    devices::Machine& machine = board_->machine();
    if (m.device.starts_with("chardev:")) m.chardev = m.device.substr(8);
    if (m.chardev.empty()) {
        auto dev = TRY(chardev::open_legacy(*chardev_context_, id, m.device));
        if (!dev) return nullptr;
        machine.add_chardev(std::move(dev));
        return machine.find_chardev(id);
    }
    chardev::Chardev* dev = machine.find_chardev(m.chardev);
    if (!dev) return Error::not_found("there is no chardev '{}'", m.chardev);
    if (!dev->busy()) return dev;
    auto port = chardev::mux_port(*dev, id);
    if (!port) return Error::busy("chardev '{}' is in use, expected one with mux=on", m.chardev);
    machine.add_chardev(std::move(*port));
    return machine.find_chardev(id);
}

Result<void> Session::open_monitors() {
    u32 n = 0;
    for (MonitorOptions& m : options_.monitors) {
        std::string_view option = m.device.empty() ? "-mon" : m.control ? "-qmp" : "-monitor";
        chardev::Chardev* dev = TRY(monitor_chardev(m, fmt::format("compat_monitor{}", n++)).in("{}", option));
        if (!dev) continue;
        if (m.control)
            monitor_->serve_qmp(*dev, m.pretty);
        else
            monitor_->serve_human(*dev);
    }
    return {};
}

Result<void> Session::open_qtest() {
    const std::string& log = options_.qtest_log;
    if (!log.empty() && log != "none") {
        qtest_log_ = std::fopen(log.c_str(), "we");
        if (!qtest_log_) return Error::from_errno(errno, "-qtest-log: cannot open {}", log);
    }
    MonitorOptions m{options_.qtest, {}, false, false};
    chardev::Chardev* dev = TRY(monitor_chardev(m, "qtest"));
    if (dev) qtest_ = std::make_unique<monitor::Qtest>(*monitor_, *dev, qtest_log_);
    return {};
}

Result<std::string> Session::open_debugger(const std::string& device) {
    devices::Machine& machine = board_->machine();
    constexpr std::string_view id = "gdb";
    if (debugger_ && debugger_->busy()) return Error::busy("gdb itself asks for it, expected another monitor");
    debugger_.reset();
    machine.remove_chardev(id);
    if (device == "none") return std::string("Disabled gdbserver");
    std::string text = device;
    chardev::Chardev* dev = nullptr;
    if (text.starts_with("chardev:")) {
        dev = machine.find_chardev(text.substr(8));
        if (!dev) return Error::not_found("there is no chardev '{}'", text.substr(8));
        if (dev->busy()) return Error::busy("chardev '{}' is in use", dev->id());
    } else {
        // Debuggers come and go.
        if (text.starts_with("tcp:") || text.starts_with("unix:")) text += ",server=on,wait=off";
        auto made = TRY(chardev::open_legacy(*chardev_context_, std::string(id), text));
        if (!made) return std::string("Disabled gdbserver");
        dev = made.get();
        machine.add_chardev(std::move(made));
    }
    debugger_ = TRY(monitor::Debugger::create(*monitor_, *dev));
    return fmt::format("Waiting for gdb connection on device '{}'", device);
}

// What is logged from now on, beside trace events that are on. Units that come back after each are made so from the start.
Result<void> Session::set_log(std::string_view items) {
    SystemOptions o;
    if (items == "none")
        trace::disable_all();
    else
        TRY(parse_log_items(o, items));
    constexpr u32 by_unit = cpu::log::exec | cpu::log::registers;
    if ((o.log & by_unit) && !(options_.log & by_unit))
        return Error::unsupported("log: exec and cpu are logged by machines that began with one of them (-d)");
    for (const std::string& glob : o.trace)
        if (!trace::enable(glob)) return Error::not_found("log: no trace event is called '{}'", glob);
    trace::show_guest_errors(o.guest_errors);
    if (cpu::Accelerator* a = board_->accelerator()) a->set_log(o.log);
    return {};
}

} // namespace mimic::app
