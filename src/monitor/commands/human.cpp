// The monitor for people, as a command. QEMU QMP reference manual, "Miscellanea".
#include "monitor/commands.hpp"

namespace mimic::monitor {

namespace {

Result<Json> human_monitor_command(Monitor& m, const Arguments& a) {
    Human person;
    if (a.has("cpu-index")) person.cpu = TRY(m.vcpu(a.number("cpu-index")))->index();
    std::string out = m.human(a.text("command-line"), person), lines;
    for (char c : out) lines += c == '\n' ? "\r\n" : std::string(1, c);
    return Json(lines);
}

constexpr Command commands[] = {
    {"human-monitor-command", "command-line str, ?cpu-index int", "str", "runs a line of the monitor for people",
     of<human_monitor_command>},
};

} // namespace

constinit const Family human_family{"", commands};

} // namespace mimic::monitor
