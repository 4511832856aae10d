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
#include "monitor/schema.hpp"

namespace mimic::migration {
class Migrator;
}

namespace mimic::monitor {

inline constexpr std::string_view version = "0.1";      // of Mimic
inline constexpr u32 compatible_version[] = {10, 0, 0}; // of the reference whose manual the commands follow

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
    const machines::BoardType& type;
    chardev::OpenContext& chardevs;
    std::string name, uuid;
    std::function<Result<void>(const DeviceRequest&)> add_device;
    // Changes what is logged: items of -d; "none" for nothing.
    std::function<Result<void>(std::string_view)> set_log;
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

// The commands of QMP, a table in Markdown.
std::string documentation();

class Session;

class Monitor {
public:
    explicit Monitor(Services services);
    ~Monitor();
    Monitor(const Monitor&) = delete;

    Services& vm() { return services_; }
    machines::Board& board() { return services_.board; }
    devices::Machine& machine() { return services_.board.machine(); }
    machines::RunControl& run() { return services_.run; }
    const Schema& schema() const { return *schema_; }

    // Checks the arguments and runs a QMP command. Errors: `not_found` is DeviceNotFound, all others are GenericError.
    Result<Json> execute(const Command& command, const Json& arguments);
    Result<Json> execute(std::string_view name, const Json& arguments = Json::object());
    // Runs one line of HMP; the answer as shown.
    std::string human(std::string_view line, Human& person);

    // Connections. The chardev has no other front end and outlives the monitor.
    void serve_qmp(chardev::Chardev& dev, bool pretty);
    void serve_human(chardev::Chardev& dev);
    // Sends an event to all QMP clients.
    void event(std::string_view name, Json data = {});

    bool migration_events = false; // the migration capability "events"

    // By number; errors list what is expected.
    Result<cpu::Vcpu*> vcpu(u64 index);

private:
    Services services_;
    std::unique_ptr<Schema> schema_;
    std::vector<std::unique_ptr<Session>> sessions_;
    u32 watcher_ = 0;
};

// A front end of a chardev that speaks: output that waits for the peer, input in time.
class Session : public chardev::FrontEnd {
public:
    Session(Monitor& monitor, chardev::Chardev& dev);
    ~Session() override;
    chardev::Chardev& chardev() const { return dev_; }
    virtual void event(std::string_view /*name*/, const Json& /*message*/) {}
    using FrontEnd::event;

    u32 room() override;
    void writable() override;

protected:
    static constexpr size_t max_waiting = 64 << 20; // bytes of answers that nobody takes; then the oldest peer is lost
    void send(std::string_view text);
    void forget_output() { waiting_.clear(); }
    Monitor& monitor_;

private:
    chardev::Chardev& dev_;
    std::string waiting_;
};

std::unique_ptr<Session> make_qmp_session(Monitor& m, chardev::Chardev& dev, bool pretty);
std::unique_ptr<Session> make_human_session(Monitor& m, chardev::Chardev& dev);

} // namespace mimic::monitor
