// The monitor about itself. QEMU QMP reference manual, "QMP monitor control", "QMP introspection", "Tracing", and parts of "Miscellanea".
#include "base/trace.hpp"
#include "monitor/commands.hpp"
#include "monitor/version.hpp"

namespace mimic::monitor {

Json version_info() {
    Json j = Json::object(), triple = Json::object();
    triple.set("major", compatible_version[0]);
    triple.set("minor", compatible_version[1]);
    triple.set("micro", compatible_version[2]);
    j.set("qemu", std::move(triple));
    j.set("package", fmt::format("Mimic {}", version));
    return j;
}

namespace {

Result<Json> query_version(Monitor&, const Arguments&) { return version_info(); }

Result<Json> query_commands(Monitor& m, const Arguments&) {
    Json list = Json::array();
    for (const Command* c : m.schema().commands()) {
        Json j = Json::object();
        j.set("name", c->name);
        list.push(std::move(j));
    }
    return list;
}

Result<Json> query_schema(Monitor& m, const Arguments&) { return m.schema().introspect(); }

Result<Json> query_options(Monitor& m, const Arguments& a) {
    Json list = Json::array();
    for (const std::string& name : m.vm().options) {
        if (a.has("option") && a.text("option") != name) continue;
        Json j = Json::object();
        j.set("option", name);
        j.set("parameters", Json::array());
        list.push(std::move(j));
    }
    if (a.has("option") && list.items()->empty())
        return Error::invalid_argument("Parameter 'option': there is no command-line option '{}'", a.text("option"));
    return list;
}

Result<Json> human_monitor_command(Monitor& m, const Arguments& a) {
    Human person;
    if (a.has("cpu-index")) person.cpu = TRY(m.vcpu(a.number("cpu-index")))->index();
    std::string out = m.human(a.text("command-line"), person), lines;
    for (char c : out) lines += c == '\n' ? "\r\n" : std::string(1, c);
    return Json(lines);
}

std::string event_name(const trace::Event& e) { return fmt::format("{}.{}", e.room, e.name); }

Result<Json> trace_get(Monitor&, const Arguments& a) {
    Json list = Json::array();
    for (const trace::Event& e : trace::events()) {
        if (!trace::matches(a.text("name"), event_name(e))) continue;
        Json j = Json::object();
        j.set("name", event_name(e));
        j.set("state", e.on ? "enabled" : "disabled");
        list.push(std::move(j));
    }
    if (list.items()->empty()) return Error::invalid_argument("unknown event \"{}\"", a.text("name"));
    return list;
}

Result<Json> trace_set(Monitor&, const Arguments& a) {
    bool found = false;
    for (const trace::Event& e : trace::events())
        if (trace::matches(a.text("name"), event_name(e))) {
            e.on = a.flag("enable");
            found = true;
        }
    if (!found) return Error::invalid_argument("unknown event \"{}\"", a.text("name"));
    return Json::object();
}

constexpr Command commands[] = {
    {"qmp_capabilities", "?enable [QMPCapability]", "", "ends the negotiation", nullptr, true},
    {"query-version", "", "VersionInfo", "version of the protocol and of the program", query_version, true},
    {"query-commands", "", "[CommandInfo]", "the commands that there are", query_commands, true},
    {"query-qmp-schema", "", "[any]", "types, commands and events", query_schema},
    {"query-command-line-options", "?option str", "[CommandLineOptionInfo]", "the options that there are",
     query_options},
    {"human-monitor-command", "command-line str, ?cpu-index int", "str", "runs a line of the monitor for people",
     human_monitor_command},
    {"trace-event-get-state", "name str", "[TraceEventInfo]", "are trace events on?", trace_get},
    {"trace-event-set-state", "name str, enable bool, ?ignore-unavailable bool", "", "turns trace events on and off",
     trace_set},
};

} // namespace

constinit const Family self_family{R"(
enum QMPCapability: oob
struct VersionTriple: major int, minor int, micro int
struct VersionInfo: qemu VersionTriple, package str
struct CommandInfo: name str
struct CommandLineOptionInfo: option str, parameters [CommandLineParameterInfo]
struct CommandLineParameterInfo: name str, type str
enum TraceEventState: unavailable disabled enabled
struct TraceEventInfo: name str, state TraceEventState
)",
                                   commands};

} // namespace mimic::monitor
