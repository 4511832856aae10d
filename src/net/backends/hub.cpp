// A hub: what one port hears, all others get. A port is a network like any other, for a card; or it has another network in a
// card's place (netdev=).
#include "net/backends/backends.hpp"
#include <algorithm>

namespace mimic::net {

namespace {
class Port;
}

class Hub {
public:
    explicit Hub(u32 number) : number_(number) {}
    u32 number() const { return number_; }
    std::vector<Port*> ports;

private:
    u32 number_;
};

namespace {

// Two networks that are each other's card.
class Joint {
public:
    Joint(BackEnd& a, BackEnd& b) : a_(a, b), b_(b, a) {
        a.attach(&a_);
        b.attach(&b_);
    }
    ~Joint() {
        a_.here.attach(nullptr);
        b_.here.attach(nullptr);
    }
    Joint(const Joint&) = delete;

private:
    struct Side final : FrontEnd {
        BackEnd &here, &there;
        Side(BackEnd& h, BackEnd& t) : here(h), there(t) {}
        // The two need not agree about offloads: nobody has asked for any, so headers are of zeros.
        bool receive(std::span<const u8> frame) override {
            if (here.offloads()) frame = frame.subspan(offload_header);
            const size_t header = there.offloads() ? offload_header : 0;
            Frame out(header + frame.size());
            std::copy(frame.begin(), frame.end(), out.begin() + i64(header));
            return there.send(std::move(out));
        }
        void writable() override { there.accept_input(); }
    };
    Side a_, b_;
};

class Port final : public BackEnd {
public:
    Port(io::Loop& loop, std::string id, std::shared_ptr<Hub> hub)
        : BackEnd(loop, std::move(id))
        , hub_(std::move(hub)) {
        hub_->ports.push_back(this);
    }
    ~Port() override {
        joint_.reset();
        std::erase(hub_->ports, this);
    }
    void join(BackEnd& other) { joint_ = std::make_unique<Joint>(*this, other); }

    std::string_view kind() const override { return "hubport"; }
    std::string info() const override {
        auto at = std::ranges::find(hub_->ports, this);
        return fmt::format("hubid={},port={}", hub_->number(), at - hub_->ports.begin());
    }

private:
    void transmit(std::span<const u8> frame) override {
        for (Port* p : hub_->ports)
            if (p != this) p->deliver(frame);
    }

    std::shared_ptr<Hub> hub_;
    std::unique_ptr<Joint> joint_;
};

} // namespace

Result<std::unique_ptr<BackEnd>> open_hubport(Context& context, const std::string& id, Options& o) {
    if (!o.has("hubid")) return Error::invalid_argument("option 'hubid' is missing, expected a number");
    u32 number = u32(TRY(o.number("hubid", 0, 0, 0x7fffffff)));
    std::string netdev = o.take("netdev");
    TRY(o.finish());
    BackEnd* other = nullptr;
    if (!netdev.empty()) {
        other = context.find(netdev);
        if (!other) return Error::not_found("option 'netdev': there is no netdev '{}'", netdev);
        if (other->attached()) return Error::busy("option 'netdev': netdev '{}' is in use", netdev);
    }
    std::shared_ptr<Hub> hub = context.hubs[number].lock();
    if (!hub) context.hubs[number] = hub = std::make_shared<Hub>(number);
    auto port = std::make_unique<Port>(context.loop, id, std::move(hub));
    if (other) port->join(*other);
    return std::unique_ptr<BackEnd>(std::move(port));
}

} // namespace mimic::net
