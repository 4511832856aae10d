// Host networks. QEMU QMP reference manual, "Net devices".
#include "monitor/commands.hpp"
#include "monitor/objects.hpp"

namespace mimic::monitor {

namespace {

Result<Json> netdev_add(Monitor& m, const Arguments& a) {
    net::Options o = TRY(net::parse_object(a.all()));
    TRY(m.machine().add_net(std::move(o)));
    return Json::object();
}

Result<Json> netdev_del(Monitor& m, const Arguments& a) {
    TRY(m.machine().remove_net(a.text("id")));
    return Json::object();
}

// The network that is called so, or whose card is.
net::BackEnd* find_net(devices::Machine& machine, const std::string& name) {
    if (auto at = machine.nets.find(name); at != machine.nets.end()) return at->second.peer.get();
    for (auto& [id, net] : machine.nets)
        for (devices::Device* d = net.user; d; d = d->parent())
            if (d->id() == name && d != &machine.root()) return net.peer.get();
    for (const NetworkCard& card : network_cards(machine))
        if (card.name == name)
            for (auto& [id, net] : machine.nets)
                if (net.user == card.device) return net.peer.get();
    return nullptr;
}

Result<Json> set_link(Monitor& m, const Arguments& a) {
    net::BackEnd* net = find_net(m.machine(), a.text("name"));
    if (!net) return Error::not_found("Device '{}' not found", a.text("name"));
    net->set_link(a.flag("up"));
    return Json::object();
}

constexpr Command commands[] = {
    {"netdev_add", "type str, id str, ...", "", "opens a host network, with the options of -netdev", of<netdev_add>},
    {"netdev_del", "id str", "", "closes one that no device has", of<netdev_del>},
    {"set_link", "name str, up bool", "", "plugs a network's or a card's cable in, or pulls it", of<set_link>},
};

constexpr qmp::EventInfo events[] = {
    {"NETDEV_STREAM_CONNECTED", "netdev-id str, addr SocketAddress", "another machine is at a network's other end"},
    {"NETDEV_STREAM_DISCONNECTED", "netdev-id str", "it has gone"},
};

} // namespace

constinit const Family network_family{R"(
union SocketAddress by type: type SocketAddressType | inet = InetSocketAddress | unix = UnixSocketAddress | fd = FdSocketAddress
)",
                                      commands, events};

} // namespace mimic::monitor
