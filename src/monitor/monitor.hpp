// Monitor: what people and programs may ask of a machine while it runs: the commands of QMP and HMP, and events. It serves any
// number of connections over character devices.
//
//   monitor::Monitor monitor(services);
//   monitor.serve_qmp(*chardev, false);
//   monitor.serve_human(*chardev);
//   auto status = monitor.execute("query-status", Json::object());
//
// All of it runs on the loop's thread; no command waits for the guest longer than until its processors stand still.
#pragma once
#include "chardev/open.hpp"
#include "machines/run_control.hpp"
#include "qmp/server.hpp"
#include "qmp/version.hpp"

namespace mimic::migration {
class Migrator;
class Snapshots;
} // namespace mimic::migration

namespace mimic::monitor {

using qmp::Arguments, qmp::Command, qmp::EventInfo, qmp::Family, qmp::Schema, qmp::of;

// A device as -device and device_add name it.
struct DeviceRequest {
    std::string driver, id, bus;
    devices::PropertyList properties;
};

// What the program lends to its monitor.
struct Services {
    machines::Board& board;
    machines::RunControl& run;
    migration::Migrator& migrator;
    migration::Snapshots& snapshots;
    const machines::BoardType& type;
    chardev::OpenContext& chardevs;
    block::Storage& storage;
    std::string name, uuid;
    std::function<Result<void>(const DeviceRequest&)> add_device;
    // Changes what is logged: items of -d; "none" for nothing.
    std::function<Result<void>(std::string_view)> set_log;
    std::string log_help; // its items, a line each
    // The memory backend that RAM is of; empty: it is the board's own.
    std::string ram_backend;
    // Options of the command line, with their parameters.
    std::vector<std::string> options;
    // HMP gdbserver: a debugger at a chardev, named as -gdb does; the answer for the user.
    std::function<Result<std::string>(const std::string&)> serve_debugger;
};

// What a person at a terminal has chosen.
struct Human {
    u32 cpu = 0;
    u64 next = 0; // the address after the last one shown
};

// The last dump-guest-memory, or the one under way.
struct DumpState {
    std::string_view status = "none";
    std::atomic<u64> done{0};
    std::atomic<bool> cancelled{false}; // for good: the program leaves
    u64 total = 0;
};

// The commands of QMP, a table in Markdown.
std::string documentation();

class Monitor : public qmp::Server {
public:
    explicit Monitor(Services services);
    ~Monitor() override;

    Services& vm() { return services_; }
    machines::Board& board() { return services_.board; }
    std::string_view guest() { return vm().type.guest.empty() ? board().options().guest : vm().type.guest; }
    devices::Machine& machine() { return services_.board.machine(); }
    machines::RunControl& run() { return services_.run; }

    // Runs one line of HMP; the answer as shown.
    std::string human(std::string_view line, Human& person);
    void serve_human(chardev::Chardev& dev);

    DumpState dump;
    u32 mouse_buttons = 0;         // those that HMP's mouse_button holds
    bool migration_events = false; // the migration capability "events"

    // By number; errors list what is expected.
    Result<cpu::Vcpu*> vcpu(u64 index);

    std::span<const std::unique_ptr<chardev::Chardev>> chardevs() const override;
    void add_chardev(std::unique_ptr<chardev::Chardev> dev) override;
    void remove_chardev(std::string_view id) override;
    block::Storage& storage() override { return services_.storage; }
    std::vector<std::string> option_names() const override { return services_.options; }

private:
    Services services_;
    u32 watcher_ = 0;
};

// A connection of a monitor other than QMP's.
class Session : public qmp::Session {
public:
    Session(Monitor& monitor, chardev::Chardev& dev) : qmp::Session(dev), monitor_(monitor) {}

protected:
    Monitor& monitor_;
};

std::unique_ptr<Session> make_human_session(Monitor& m, chardev::Chardev& dev);

} // namespace mimic::monitor
