// Run-state. QEMU QMP reference manual, "VM run state" and parts of "Machines".
#include "monitor/commands.hpp"
#include <algorithm>

namespace mimic::monitor {

namespace {

Json none() { return Json::object(); }

Result<Json> query_status(Monitor& m, const Arguments&) {
    Json j = Json::object();
    j.set("running", m.run().running());
    j.set("status", machines::to_string(m.run().state()));
    return j;
}

// What the disks work at is done when it answers.
io::Task<Result<Json>> stop(Monitor& m, const Arguments&) {
    m.run().stop();
    while (m.machine().in_flight()) co_await m.loop().sleep(std::chrono::milliseconds(1));
    co_return none();
}

Result<Json> cont(Monitor& m, const Arguments&) {
    TRY(m.run().resume());
    return none();
}

Result<Json> quit(Monitor& m, const Arguments&) {
    m.run().quit("host-qmp-quit");
    return none();
}

Result<Json> system_reset(Monitor& m, const Arguments&) {
    m.run().request({devices::Request::Kind::reset, "host-qmp-system-reset"});
    return none();
}

Result<Json> system_powerdown(Monitor& m, const Arguments&) {
    m.run().power_down();
    return none();
}

Result<Json> system_wakeup(Monitor&, const Arguments&) {
    return Error::unsupported("wake-up from suspend is not supported by this guest");
}

Result<Json> inject_nmi(Monitor& m, const Arguments&) {
    return Error::unsupported("machine '{}' has no non-maskable interrupt", m.vm().type.name);
}

template <class E>
void choose(const Arguments& a, std::string_view name, std::span<const std::string_view> names, E& out) {
    if (!a.has(name)) return;
    auto at = std::find(names.begin(), names.end(), a.text(name));
    if (at != names.end()) out = E(at - names.begin());
}

Result<Json> set_action(Monitor& m, const Arguments& a) {
    machines::Actions& to = m.run().actions;
    choose(a, "reboot", machines::reboot_actions, to.reboot);
    choose(a, "shutdown", machines::shutdown_actions, to.shutdown);
    choose(a, "panic", machines::panic_actions, to.panic);
    return none();
}

constexpr Command commands[] = {
    {"query-status", "", "StatusInfo", "the run-state", of<query_status>, true},
    {"stop", "", "", "stops the processors; what the disks work at is finished", nullptr, false, of<stop>},
    {"cont", "", "", "lets them go on", of<cont>},
    {"quit", "", "", "ends the program", of<quit>},
    {"system_reset", "", "", "resets the machine", of<system_reset>},
    {"system_powerdown", "", "", "presses the power button", of<system_powerdown>},
    {"system_wakeup", "", "", "wakes a suspended guest", of<system_wakeup>},
    {"inject-nmi", "", "", "a non-maskable interrupt", of<inject_nmi>},
    {"set-action", "?reboot RebootAction, ?shutdown ShutdownAction, ?panic PanicAction", "",
     "what reboot, power-off and panic of the guest lead to", of<set_action>},
};

constexpr EventInfo events[] = {
    {"STOP", "", "the processors were stopped"},
    {"RESUME", "", "they go on"},
    {"RESET", "guest bool, reason ShutdownCause", "the machine was reset"},
    {"SHUTDOWN", "guest bool, reason ShutdownCause", "the guest is off, or the program leaves"},
    {"POWERDOWN", "", "the power button was pressed"},
    {"MIGRATION", "status MigrationStatus", "a migration came to another step; the capability `events` turns it on"},
    {"MIGRATION_PASS", "pass int", "a pass over RAM has ended; the capability `events` turns it on"},
    {"DEVICE_DELETED", "?device str, path str", "a device is gone"},
};

} // namespace

constinit const Family run_family{R"(
enum RunState: debug inmigrate internal-error io-error paused postmigrate prelaunch finish-migrate restore-vm running save-vm shutdown suspended watchdog guest-panicked colo
struct StatusInfo: running bool, status RunState
enum ShutdownCause: none host-error host-qmp-quit host-qmp-system-reset host-signal host-ui guest-shutdown guest-reset guest-panic subsystem-reset snapshot-load
enum RebootAction: reset shutdown
enum ShutdownAction: poweroff pause
enum PanicAction: pause shutdown exit-failure none
)",
                                  commands, events};

} // namespace mimic::monitor
