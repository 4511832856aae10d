// The monitor about itself. QEMU QMP reference manual, "QMP monitor control", "QMP introspection", "Tracing", and parts of "Miscellanea".
#include "base/trace.hpp"
#include "qmp/server.hpp"
#include "qmp/version.hpp"

namespace mimic::qmp {

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

Result<Json> query_version(Server&, const Arguments&) { return version_info(); }

Result<Json> query_commands(Server& m, const Arguments&) {
    Json list = Json::array();
    for (const Command* c : m.schema().commands()) {
        Json j = Json::object();
        j.set("name", c->name);
        list.push(std::move(j));
    }
    return list;
}

Result<Json> query_schema(Server& m, const Arguments&) { return m.schema().introspect(); }

Result<Json> query_options(Server& m, const Arguments& a) {
    Json list = Json::array();
    for (const std::string& name : m.option_names()) {
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

std::string event_name(const trace::Event& e) { return fmt::format("{}.{}", e.room, e.name); }

Result<Json> trace_get(Server&, const Arguments& a) {
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

Result<Json> trace_set(Server&, const Arguments& a) {
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

} // namespace mimic::qmp
