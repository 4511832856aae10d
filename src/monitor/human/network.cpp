// HMP: host networks that live.
#include "monitor/human/human.hpp"
#include "monitor/objects.hpp"
#include "net/user.hpp"
#include <algorithm>

namespace mimic::monitor {

namespace {

// In the order that they were made in.
std::vector<const devices::Machine::Net*> by_order(HumanCall& c) {
    std::vector<const devices::Machine::Net*> out;
    for (const auto& [id, net] : c.m.machine().nets) out.push_back(&net);
    std::sort(out.begin(), out.end(), [](auto* a, auto* b) { return a->order < b->order; });
    return out;
}

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

// Networks that no card has, then the cards, each with its network behind it.
Result<void> show_network(HumanCall& c) {
    auto show = [&](const net::BackEnd& net) { c.print("{}: index=0,type={},{}\n", net.id(), net.kind(), net.info()); };
    const auto nets = by_order(c);
    for (const devices::Machine::Net* net : nets)
        if (!net->user) show(*net->peer);
    for (const NetworkCard& card : network_cards(c.m.machine())) {
        c.print("{}: index=0,type=nic,model={},macaddr={}\n", card.name, card.model,
                TRY(devices::get_property(*card.device, "mac")));
        for (const devices::Machine::Net* net : nets)
            if (net->user == card.device) c.out += " \\ ", show(*net->peer);
    }
    return {};
}

Result<void> show_usernet(HumanCall& c) {
    // The reference's head line; the number is that of a hub, which these are not in.
    for (const devices::Machine::Net* net : by_order(c))
        if (net->peer->kind() == "user")
            c.print("Hub -1 ({}):\n{}", net->peer->id(), TRY(net::connections(*net->peer)));
    return {};
}

constinit const std::span<const HumanCommand> network_commands = commands;

} // namespace mimic::monitor
