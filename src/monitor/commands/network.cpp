// Host networks. QEMU QMP reference manual, "Net devices".
#include "monitor/commands.hpp"

namespace mimic::monitor {

namespace {

std::string text_of(const Json& v) {
    if (const bool* b = v.boolean()) return *b ? "on" : "off";
    if (const std::string* s = v.string()) return *s;
    return v.dump();
}

// The options of -netdev that those of QMP mean: a list ([{"str": "tcp::2222-:22"}]) is a name several times.
Result<net::Options> options_of(const Json& all) {
    net::Options o;
    for (const auto& [name, value] : *all.members()) {
        if (name == "type") o.kind = text_of(value);
        if (name == "type") continue;
        if (value.members())
            return Error::invalid_argument("Parameter '{}': an object, expected what -netdev takes", name);
        const Json one[] = {value};
        std::span<const Json> items = one;
        if (value.items()) items = *value.items();
        for (const Json& item : items) {
            const Json* inner = item.find("str");
            o.values.emplace_back(name, text_of(inner ? *inner : item));
        }
    }
    return o;
}

Result<Json> netdev_add(Monitor& m, const Arguments& a) {
    std::string id = a.text("id");
    auto& nets = m.machine().nets;
    if (nets.contains(id)) return Error::exists("Duplicate ID '{}' for netdev", id);
    auto peer = TRY(net::open(m.loop(), TRY(options_of(a.all()))));
    nets[id].peer = std::move(peer);
    return Json::object();
}

Result<Json> netdev_del(Monitor& m, const Arguments& a) {
    auto at = m.machine().nets.find(a.text("id"));
    if (at == m.machine().nets.end()) return Error::not_found("Device '{}' not found", a.text("id"));
    if (at->second.user) return Error::busy("netdev '{}' is used by device '{}'", at->first, at->second.user->id());
    m.machine().nets.erase(at);
    return Json::object();
}

constexpr Command commands[] = {
    {"netdev_add", "type str, id str, ...", "", "opens a host network, with the options of -netdev", of<netdev_add>},
    {"netdev_del", "id str", "", "closes one that no device has", of<netdev_del>},
};

} // namespace

constinit const Family network_family{"", commands};

} // namespace mimic::monitor
