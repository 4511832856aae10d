// HMP: host networks that live.
#include "monitor/human/human.hpp"
#include "net/user.hpp"

namespace mimic::monitor {

namespace {

// The user network that is named, or the first.
Result<net::BackEnd*> user_net(HumanCall& c, const std::string& id) {
    auto& nets = c.m.machine().nets;
    if (!id.empty()) {
        auto at = nets.find(id);
        if (at == nets.end()) return Error::not_found("unrecognized netdev id '{}'", id);
        return at->second.peer.get();
    }
    const devices::Machine::Net* first = nullptr;
    for (auto& [name, net] : nets)
        if (net.peer->kind() == "user" && (!first || net.order < first->order)) first = &net;
    if (!first) return Error::not_found("there is no user network");
    return first->peer.get();
}

// "[netdev] rule"
Result<net::BackEnd*> net_and_rule(HumanCall& c, std::string& rule) {
    std::string id = c.word();
    rule = c.word();
    if (rule.empty()) std::swap(id, rule);
    return user_net(c, id);
}

Result<void> add(HumanCall& c) {
    std::string rule;
    net::BackEnd* net = TRY(net_and_rule(c, rule));
    return net::add_forward(*net, rule);
}

Result<void> remove(HumanCall& c) {
    std::string rule;
    net::BackEnd* net = TRY(net_and_rule(c, rule));
    auto removed = net::remove_forward(*net, rule);
    if (!removed && removed.error().kind() == ErrorKind::not_found)
        return Error::not_found("host forwarding rule for {} not found", rule);
    TRY(std::move(removed));
    return c.print("host forwarding rule for {} removed\n", rule), Result<void>();
}

constexpr HumanCommand commands[] = {
    {"hostfwd_add", "[netdev] [tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport",
     "forwards connections of the host to the guest", add},
    {"hostfwd_remove", "[netdev] [tcp|udp]:[hostaddr]:hostport", "no more of them", remove},
};

} // namespace

Result<void> show_usernet(HumanCall& c) {
    for (auto& [id, net] : c.m.machine().nets)
        if (net.peer->kind() == "user") c.print("{}:\n{}", id, TRY(net::connections(*net.peer)));
    return {};
}

constinit const std::span<const HumanCommand> network_commands = commands;

} // namespace mimic::monitor
