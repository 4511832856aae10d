#include "app/system/options_devices.hpp"
#include "base/nearest.hpp"
#include "block/throttle.hpp"
#include "devices/types.hpp"
#include <algorithm>

namespace mimic::app {

Result<void> add_drive(SystemOptions& o, std::string_view value) {
    if (asks_help(value)) {
        o.help = Help::drives;
        return {};
    }
    Keys keys("-drive", value);
    DriveOptions d;
    d.file = keys.text("file");
    d.format = keys.text("format");
    d.id = keys.text("id");
    d.cache = keys.text("cache", d.cache);
    d.interface = keys.text("if", d.interface);
    constexpr std::string_view interfaces[] = {"none", "virtio", "pflash"};
    keys.choice("if", interfaces, 1);
    d.unit = u32(keys.number("unit", keys.number("index", ~u32{0}, 0, 255), 0, 255 | ~u32{0}));
    d.snapshot = keys.flag("snapshot", false);
    d.read_only = keys.flag("readonly", keys.flag("read-only", false));
    constexpr std::string_view media[] = {"disk", "cdrom"};
    if (keys.choice("media", media, 0) == 1) d.read_only = true;
    constexpr std::string_view discards[] = {"ignore", "unmap", "off", "on"};
    d.discard = keys.choice("discard", discards, 0) % 2 == 1;
    keys.text("aio"); // accepted: the host's fastest
    constexpr std::string_view read_errors[] = {"ignore", "report", "stop"};
    if (keys.has("rerror")) d.on_read_error = read_errors[keys.choice("rerror", read_errors, 0)];
    constexpr std::string_view write_errors[] = {"ignore", "report", "stop", "enospc"};
    if (keys.has("werror")) d.on_write_error = write_errors[keys.choice("werror", write_errors, 0)];
    if (d.interface == "pflash" && (keys.has("rerror") || keys.has("werror")))
        return Error::unsupported("-drive rerror, werror: flash has no choice, expected a disk");
    d.group = keys.text("throttling.group", keys.text("group"));
    for (auto& [key, text] : keys.rest()) {
        constexpr std::string_view prefix = "throttling.";
        std::string limit = key.starts_with(prefix) ? key.substr(prefix.size()) : block::throttle_option(key);
        (limit.empty() ? d.rest : d.limits).emplace_back(limit.empty() ? key : limit, text);
    }
    TRY(keys.finish());
    if (d.file.empty() && d.rest.empty())
        return Error::invalid_argument("-drive: 'file' is missing, expected file=PATH");
    o.drives.push_back(std::move(d));
    return {};
}

Result<void> add_device(SystemOptions& o, std::string_view value) {
    if (asks_help(value)) {
        o.help = Help::devices;
        return {};
    }
    Keys keys = TRY(Keys::parse("-device", value, "driver"));
    DeviceOptions d;
    d.driver = keys.text("driver");
    if (keys.has("help")) {
        o.help = Help::device;
        o.help_about = d.driver;
        return {};
    }
    d.id = keys.text("id");
    d.bus = keys.text("bus");
    d.properties = keys.rest();
    o.devices.push_back(std::move(d));
    return {};
}

Result<void> add_chardev(SystemOptions& o, std::string_view value) {
    if (asks_help(value)) {
        o.help = Help::chardevs;
        return {};
    }
    Keys keys("-chardev", value, "backend");
    ChardevOptions c;
    c.id = keys.text("id");
    if (c.id.empty()) return Error::invalid_argument("-chardev: 'id' is missing, expected id=NAME");
    c.options = keys.rest();
    o.chardevs.push_back(std::move(c));
    return {};
}

// "driver.property=value", or the three as keys.
Result<void> add_global(SystemOptions& o, std::string_view value) {
    size_t equals = value.find('='), dot = value.find('.');
    if (equals == std::string_view::npos)
        return Error::invalid_argument("-global: '{}', expected DRIVER.PROPERTY=VALUE", value);
    devices::GlobalProperty g;
    if (dot != std::string_view::npos && equals != std::string_view::npos && dot < equals) {
        g = {std::string(value.substr(0, dot)), std::string(value.substr(dot + 1, equals - dot - 1)),
             std::string(value.substr(equals + 1))};
    } else {
        Keys keys("-global", value);
        g = {keys.text("driver"), keys.text("property"), keys.text("value")};
        TRY(keys.finish());
    }
    if (g.type.empty() || g.name.empty())
        return Error::invalid_argument("-global: '{}', expected DRIVER.PROPERTY=VALUE", value);
    const auto all = devices::types();
    auto type = std::find_if(all.begin(), all.end(), [&](const devices::DeviceType* t) {
        return t->name == g.type || (!t->alias.empty() && t->alias == g.type);
    });
    if (type == all.end()) {
        // Scripts give defaults to devices that only some machines have.
        std::vector<std::string_view> names;
        for (const devices::DeviceType* t : all) names.push_back(t->name);
        o.messages.warn(fmt::format("-global: there is no device type '{}'{}", g.type, did_you_mean(g.type, names)));
        return {};
    }
    g.type = (*type)->name;
    TRY(devices::set_property(*(*type)->make(), g.name, g.value).in("-global"));
    o.board.machine.globals.push_back(std::move(g));
    return {};
}

Result<void> add_netdev(SystemOptions& o, std::string_view value) {
    if (asks_help(value)) {
        o.help = Help::netdevs;
        return {};
    }
    NetdevOptions n;
    if (value.starts_with('{')) {
        const Json object = TRY(Json::parse(value).in("-netdev"));
        net::Options given = TRY(net::parse_object(object).in("-netdev"));
        n = {given.kind, given.take("id"), std::move(given.values)};
    } else {
        Keys keys("-netdev", value, "type");
        n.type = keys.text("type");
        n.id = keys.text("id");
        n.options = keys.rest();
    }
    if (n.id.empty()) return Error::invalid_argument("-netdev: 'id' is missing, expected id=NAME");
    o.network_chosen = true;
    o.netdevs.push_back(std::move(n));
    return {};
}

namespace {

std::string unnamed_network(const SystemOptions& o) { return fmt::format("#net{}", o.netdevs.size()); }

// A card of -nic or -net, in network `netdev`; `keys` may say what it is.
DeviceOptions card_in(const std::string& netdev, Keys& keys, std::string_view mac) {
    DeviceOptions card;
    card.driver = keys.text("model", "virtio-net-pci");
    if (card.driver == "virtio" || card.driver == "virtio-net") card.driver = "virtio-net-pci";
    card.properties.emplace_back("netdev", netdev);
    if (keys.has(mac)) card.properties.emplace_back("mac", keys.text(mac));
    return card;
}

// A port of the hub that all of -net share: a network for a card, or the place where network `netdev` joins it.
std::string add_hub_port(SystemOptions& o, const std::string& netdev) {
    const auto taken = std::count_if(o.netdevs.begin(), o.netdevs.end(), [](const NetdevOptions& n) {
        return n.type == "hubport" && n.id.starts_with("hub0port");
    });
    NetdevOptions port{"hubport", fmt::format("hub0port{}", taken), {{"hubid", "0"}}};
    if (!netdev.empty()) port.options.emplace_back("netdev", netdev);
    o.netdevs.push_back(port);
    return port.id;
}

} // namespace

// A host network and the card in it.
Result<void> add_nic(SystemOptions& o, std::string_view value) {
    o.network_chosen = true;
    if (value == "none") return {};
    if (asks_help(value)) {
        o.help = Help::netdevs;
        return {};
    }
    Keys keys("-nic", value, "type");
    NetdevOptions n;
    n.type = keys.text("type");
    n.id = keys.text("id", unnamed_network(o));
    DeviceOptions card = card_in(n.id, keys, "mac");
    n.options = keys.rest();
    TRY(keys.finish());
    o.netdevs.push_back(std::move(n));
    o.cards.push_back(std::move(card));
    return {};
}

// The older way to say the same: cards (nic) and networks that one hub joins.
Result<void> add_net(SystemOptions& o, std::string_view value) {
    o.network_chosen = true;
    if (value == "none") return {};
    if (asks_help(value)) {
        o.help = Help::netdevs;
        return {};
    }
    Keys keys("-net", value, "type");
    const std::string type = keys.text("type");
    if (type == "nic") {
        const std::string id = keys.text("id", keys.text("name"));
        const std::string netdev = keys.text("netdev");
        DeviceOptions card = card_in(netdev.empty() ? add_hub_port(o, "") : netdev, keys, "macaddr");
        card.id = id;
        if (keys.has("vectors")) card.properties.emplace_back("vectors", keys.text("vectors"));
        TRY(keys.finish());
        o.cards.push_back(std::move(card));
        return {};
    }
    if (type == "hubport")
        return Error::invalid_argument("-net: 'hubport', expected nic, none, or a network of -netdev");
    NetdevOptions n{type, keys.text("id", keys.text("name")), {}};
    if (n.id.empty()) n.id = unnamed_network(o);
    n.options = keys.rest();
    TRY(keys.finish());
    o.netdevs.push_back(n);
    add_hub_port(o, n.id);
    return {};
}

Result<void> add_disk(SystemOptions& o, std::string_view path, u32 index, bool cdrom) {
    DriveOptions d;
    d.file = path;
    d.id = fmt::format("virtio{}", index);
    d.unit = index;
    d.read_only = cdrom;
    o.drives.push_back(std::move(d));
    return {};
}

} // namespace mimic::app
