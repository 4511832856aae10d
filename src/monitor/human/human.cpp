#include "monitor/human/human.hpp"
#include "block/options.hpp"
#include "migration/migrator.hpp"
#include <algorithm>
#include <charconv>

namespace mimic::monitor {

// ---- calls ------------------------------------------------------------------------------------------------------------

std::string_view HumanCall::rest() {
    while (!arguments.empty() && arguments.front() == ' ') arguments.remove_prefix(1);
    while (!arguments.empty() && arguments.back() == ' ') arguments.remove_suffix(1);
    return arguments;
}

std::string HumanCall::word() {
    std::string_view left = rest();
    std::string taken;
    bool quoted = false;
    size_t i = 0;
    for (; i < left.size() && (quoted || left[i] != ' '); i++) {
        if (left[i] == '"')
            quoted = !quoted;
        else
            taken += left[i];
    }
    arguments = left.substr(i);
    return taken;
}

bool HumanCall::flag(char c) {
    std::string_view left = rest();
    if (left.size() < 2 || left[0] != '-' || left[1] != c || (left.size() > 2 && left[2] != ' ')) return false;
    arguments = left.substr(2);
    return true;
}

Result<u64> HumanCall::expression() {
    std::string_view left = rest();
    u64 v = TRY(evaluate(left, m.board().vcpus().empty() ? nullptr : &vcpu()));
    arguments = left;
    return v;
}

Result<void> HumanCall::qmp(std::string_view name, const Json& given) {
    TRY(m.execute(name, given));
    return {};
}

bool has_name(const HumanCommand& c, std::string_view name) {
    std::string_view names = c.names;
    for (;;) {
        size_t bar = names.find('|');
        if (names.substr(0, bar) == name) return true;
        if (bar == std::string_view::npos) return false;
        names.remove_prefix(bar + 1);
    }
}

// ---- commands ---------------------------------------------------------------------------------------------------------

namespace {

Json object(std::initializer_list<std::pair<std::string_view, Json>> members) {
    Json j = Json::object();
    for (const auto& [name, value] : members) j.set(name, value);
    return j;
}

void describe(HumanCall& c, const HumanCommand& h, std::string_view prefix = {}) {
    c.print("{}{} {} -- {}\n", prefix, h.names, h.arguments, h.help);
}

Result<void> info_help(HumanCall& c) {
    for (const HumanCommand& h : info_commands()) describe(c, h, "info ");
    return {};
}

Result<void> help(HumanCall& c) {
    std::string about = c.word();
    if (about == "info") return info_help(c);
    bool found = false;
    for (const HumanCommand& h : human_commands())
        if (about.empty() || has_name(h, about)) {
            describe(c, h);
            found = true;
        }
    if (about == "log") c.out += c.m.vm().log_help;
    if (!found) c.print("unknown command: '{}'\n", about);
    return {};
}

Result<void> info(HumanCall& c) {
    std::string about = c.word();
    if (about.empty()) return info_help(c);
    for (const HumanCommand& h : info_commands())
        if (has_name(h, about)) return h.run(c);
    c.print("unknown command: 'info {}'\n", about);
    return {};
}

Result<void> quit(HumanCall& c) { return c.qmp("quit"); }
Result<void> stop(HumanCall& c) {
    c.m.run().stop();
    c.m.machine().loop()->run_until([&] { return !c.m.machine().in_flight(); });
    return {};
}
Result<void> cont(HumanCall& c) { return c.qmp("cont"); }
Result<void> reset(HumanCall& c) { return c.qmp("system_reset"); }
Result<void> power_down(HumanCall& c) { return c.qmp("system_powerdown"); }
Result<void> wake_up(HumanCall& c) { return c.qmp("system_wakeup"); }
Result<void> nmi(HumanCall& c) { return c.qmp("inject-nmi"); }

Result<void> choose_cpu(HumanCall& c) {
    u64 n = TRY(c.expression());
    if (n >= c.m.board().vcpus().size()) return Error::invalid_argument("invalid CPU index");
    c.person.cpu = u32(n);
    return {};
}

Result<void> log(HumanCall& c) {
    if (!c.m.vm().set_log) return Error::unsupported("log: this machine has no log");
    const std::string items = c.word();
    if (items.empty() || items == "help" || items == "?") return c.out += c.m.vm().log_help, Result<void>();
    return c.m.vm().set_log(items);
}

Result<void> trace_event(HumanCall& c) {
    std::string name = c.word(), state = c.word();
    if (state != "on" && state != "off") return Error::invalid_argument("trace-event: '{}', expected on or off", state);
    return c.qmp("trace-event-set-state", object({{"name", name}, {"enable", state == "on"}}));
}

// "virtio-rng-device,id=r": as -device takes it.
Result<void> device_add(HumanCall& c) {
    Json arguments = Json::object();
    std::string text(c.rest());
    bool first = true;
    while (!text.empty()) {
        size_t comma = text.find(',');
        std::string item = text.substr(0, comma);
        text = comma == std::string::npos ? std::string() : text.substr(comma + 1);
        size_t equals = item.find('=');
        if (first && equals == std::string::npos)
            arguments.set("driver", item);
        else
            arguments.set(item.substr(0, equals), equals == std::string::npos ? "on" : item.substr(equals + 1));
        first = false;
    }
    return c.qmp("device_add", arguments);
}
// "user,id=n1,hostfwd=...": as -netdev takes it.
Result<void> netdev_add(HumanCall& c) {
    net::Options o = TRY(net::parse(c.rest()));
    std::string id = o.take("id");
    if (id.empty()) return Error::invalid_argument("netdev_add: 'id' is missing, expected id=NAME");
    Json arguments = object({{"type", o.kind}, {"id", id}});
    for (const auto& [name, value] : o.values) {
        Json list = arguments.find(name) ? *arguments.find(name) : Json::array();
        list.push(value);
        arguments.set(name, std::move(list));
    }
    return c.qmp("netdev_add", arguments);
}
Result<void> netdev_del(HumanCall& c) { return c.qmp("netdev_del", object({{"id", c.word()}})); }

Result<void> set_link(HumanCall& c) {
    std::string name = c.word(), state = c.word();
    if (state != "on" && state != "off") return Error::invalid_argument("set_link: '{}', expected on or off", state);
    Json arguments = object({{"name", name}});
    arguments.set("up", state == "on");
    return c.qmp("set_link", arguments);
}

Result<void> device_del(HumanCall& c) { return c.qmp("device_del", object({{"id", c.word()}})); }

// "ringbuf,id=r,size=4096": as -chardev takes it.
chardev::OptionList chardev_options(std::string text, std::string& id) {
    chardev::OptionList list;
    while (!text.empty()) {
        size_t comma = text.find(',');
        std::string item = text.substr(0, comma);
        text = comma == std::string::npos ? std::string() : text.substr(comma + 1);
        size_t equals = item.find('=');
        if (item.starts_with("id="))
            id = item.substr(3);
        else if (list.empty() && equals == std::string::npos)
            list.emplace_back("backend", item);
        else
            list.emplace_back(item.substr(0, equals), equals == std::string::npos ? "on" : item.substr(equals + 1));
    }
    return list;
}
Result<void> chardev_add(HumanCall& c) {
    std::string id;
    chardev::OptionList list = chardev_options(std::string(c.rest()), id);
    if (id.empty()) return Error::invalid_argument("chardev-add: 'id' is missing, expected id=NAME");
    if (c.m.machine().find_chardev(id)) return Error::exists("Chardev with id '{}' already exists", id);
    c.m.machine().add_chardev(TRY(chardev::open(c.m.vm().chardevs, id, list)));
    return {};
}
Result<void> chardev_change(HumanCall& c) {
    std::string id = c.word(), none;
    TRY(qmp::change_chardev(c.m, id, chardev_options(std::string(c.rest()), none)));
    return {};
}
Result<void> chardev_remove(HumanCall& c) { return c.qmp("chardev-remove", object({{"id", c.word()}})); }
Result<void> chardev_break(HumanCall& c) { return c.qmp("chardev-send-break", object({{"id", c.word()}})); }

Result<void> ringbuf_write(HumanCall& c) {
    std::string device = c.word();
    return c.qmp("ringbuf-write", object({{"device", device}, {"data", std::string(c.rest())}}));
}
Result<void> ringbuf_read(HumanCall& c) {
    std::string device = c.word();
    u64 size = TRY(c.expression());
    Json data = TRY(c.m.execute("ringbuf-read", object({{"device", device}, {"size", size}})));
    for (char b : *data.string()) {
        bool plain = (b >= 32 && b < 127 && b != '\\') || b == '\n';
        c.out += plain ? std::string(1, b) : b == '\\' ? "\\\\" : fmt::format("\\u{:04x}", u8(b));
    }
    c.out += '\n';
    return {};
}

Result<void> gdbserver(HumanCall& c) {
    if (!c.m.vm().serve_debugger) return Error::unsupported("gdbserver: this machine has no debugger");
    std::string device = c.word();
    c.out += TRY(c.m.vm().serve_debugger(device.empty() ? "tcp::1234" : device)) + "\n";
    return {};
}

Result<void> qom_list(HumanCall& c) {
    Json list = TRY(c.m.execute("qom-list", object({{"path", c.word()}})));
    for (const Json& p : *list.items()) c.print("{} ({})\n", *p.find("name")->string(), *p.find("type")->string());
    return {};
}
Result<void> qom_get(HumanCall& c) {
    std::string path = c.word(), name = c.word();
    c.out += TRY(c.m.execute("qom-get", object({{"path", path}, {"property", name}}))).dump() + "\n";
    return {};
}
Result<void> qom_set(HumanCall& c) {
    std::string path = c.word(), name = c.word();
    return c.qmp("qom-set", object({{"path", path}, {"property", name}, {"value", std::string(c.rest())}}));
}

// Without -d, for the end of it.
Result<void> migrate(HumanCall& c) {
    bool detach = c.flag('d');
    TRY(c.qmp("migrate", object({{"uri", std::string(c.rest())}})));
    const migration::Migrator& g = c.m.vm().migrator;
    if (!detach) c.m.machine().loop()->run_until([&] { return !migration::under_way(g.status()); });
    if (!g.error().empty()) return Error(ErrorKind::io, g.error());
    return {};
}
Result<void> migrate_incoming(HumanCall& c) {
    return c.qmp("migrate-incoming", object({{"uri", std::string(c.rest())}}));
}
Result<void> migrate_cancel(HumanCall& c) { return c.qmp("migrate_cancel"); }
Result<void> migrate_set_capability(HumanCall& c) {
    std::string name = c.word(), state = c.word();
    if (state != "on" && state != "off")
        return Error::invalid_argument("migrate_set_capability: '{}', expected on or off", state);
    Json list = Json::array();
    list.push(object({{"capability", name}, {"state", state == "on"}}));
    return c.qmp("migrate-set-capabilities", object({{"capabilities", std::move(list)}}));
}

Result<void> migrate_set_parameter(HumanCall& c) {
    std::string name = c.word();
    if (name != "max-bandwidth" && name != "downtime-limit")
        return Error::invalid_argument("migrate_set_parameter: '{}', expected one of max-bandwidth, downtime-limit",
                                       name);
    return c.qmp("migrate-set-parameters", object({{name, TRY(c.expression())}}));
}

Result<void> balloon(HumanCall& c) { return c.qmp("balloon", object({{"value", TRY(c.expression()) << 20}})); }

// "secret,id=s,data=x": as -object takes it.
Result<void> object_add(HumanCall& c) { return c.qmp("object-add", TRY(block::parse_flat(c.rest(), "qom-type"))); }
Result<void> object_del(HumanCall& c) { return c.qmp("object-del", object({{"id", c.word()}})); }

constexpr HumanCommand own[] = {
    {"balloon", "target", "asks the guest to use as many MiB of RAM", balloon},
    {"help|?", "[command]", "lists the commands", help},
    {"info", "[subcommand]", "shows something; `info` alone lists what", info},
    {"quit|q", "", "ends the program", quit},
    {"stop|s", "", "stops the processors", stop},
    {"cont|c", "", "lets them go on", cont},
    {"system_reset", "", "resets the machine", reset},
    {"system_powerdown", "", "presses the power button", power_down},
    {"system_wakeup", "", "wakes a suspended guest", wake_up},
    {"nmi", "", "a non-maskable interrupt", nmi},
    {"cpu", "index", "chooses the processor that others show", choose_cpu},
    {"log", "item[,...]", "logs these items and nothing else; `none`: nothing", log},
    {"trace-event", "name on|off", "turns trace events on and off", trace_event},
    {"device_add", "driver[,prop=value][,...]", "plugs a device", device_add},
    {"device_del", "id", "unplugs one", device_del},
    {"netdev_add", "type,id=ID[,option=value]", "opens a host network", netdev_add},
    {"netdev_del", "id", "closes one", netdev_del},
    {"set_link", "name on|off", "plugs a network's or a card's cable in, or pulls it", set_link},
    {"chardev-add", "backend,id=ID[,option=value]", "makes a character device", chardev_add},
    {"chardev-change", "id backend[,option=value]", "another in its place, behind the same device", chardev_change},
    {"chardev-remove", "id", "removes one", chardev_remove},
    {"chardev-send-break", "id", "a break on its line", chardev_break},
    {"ringbuf_write", "device data", "puts bytes into a ring buffer", ringbuf_write},
    {"ringbuf_read", "device size", "takes the oldest bytes out", ringbuf_read},
    {"object_add", "[qom-type=]type,id=ID[,prop=value][,...]", "makes an object", object_add},
    {"object_del", "id", "removes one", object_del},
    {"gdbserver", "[device]", "waits for gdb at a device (default tcp::1234); none: no more", gdbserver},
    {"qom-list", "path", "properties and children of an object", qom_list},
    {"qom-get", "path property", "the value of a property", qom_get},
    {"qom-set", "path property value", "changes one", qom_set},
    {"migrate", "[-d] uri", "saves the machine to a URI; -d: does not wait for the end", migrate},
    {"migrate_incoming", "uri", "after -incoming defer: loads a saved machine", migrate_incoming},
    {"migrate_cancel", "", "ends saving; the machine goes on", migrate_cancel},
    {"migrate_set_capability", "capability on|off", "`events` can be on", migrate_set_capability},
    {"migrate_set_parameter", "parameter value", "max-bandwidth in bytes a second, downtime-limit in milliseconds",
     migrate_set_parameter},
};

} // namespace

std::span<const HumanCommand> human_commands() {
    static const std::vector<HumanCommand> all = [] {
        std::vector<HumanCommand> v(std::begin(own), std::end(own));
        for (auto more : {memory_commands, snapshot_commands, display_commands, network_commands})
            v.insert(v.end(), more.begin(), more.end());
        std::sort(v.begin(), v.end(), [](const auto& a, const auto& b) { return a.names < b.names; });
        return v;
    }();
    return all;
}

std::string Monitor::human(std::string_view line, Human& person) {
    HumanCall call{*this, person, line, {}, {}};
    while (!call.arguments.empty() && call.arguments.front() == ' ') call.arguments.remove_prefix(1);
    size_t end = call.arguments.find_first_of(" /");
    std::string name(call.arguments.substr(0, end));
    if (name.empty() && end == std::string_view::npos) return {};
    call.arguments.remove_prefix(name.size());
    for (const HumanCommand& c : human_commands()) {
        if (!has_name(c, name)) continue;
        size_t slash = call.arguments.find_first_not_of(' ');
        if (c.formats() && slash != std::string_view::npos && call.arguments[slash] == '/') {
            call.arguments.remove_prefix(slash + 1);
            size_t space = std::min(call.arguments.find(' '), call.arguments.size());
            call.format = call.arguments.substr(0, space);
            call.arguments.remove_prefix(space);
        }
        if (auto done = c.run(call); !done) call.print("Error: {}\n", done.error().message());
        return std::move(call.out);
    }
    return fmt::format("unknown command: '{}'\n", name);
}

} // namespace mimic::monitor
