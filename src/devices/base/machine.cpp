#include "devices/base/machine.hpp"
#include "base/check.hpp"
#include "base/nearest.hpp"
#include "block/graph.hpp"
#include "devices/base/counted.hpp"
#include "devices/base/timers.hpp"
#include "devices/base/watch.hpp"
#include <algorithm>
#include <cerrno>
#include <ctime>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

namespace mimic::devices {

namespace {

u64 host_nanoseconds(clockid_t clock) {
    timespec t{};
    clock_gettime(clock, &t);
    return u64(t.tv_sec) * 1000000000 + u64(t.tv_nsec);
}

// The root of the tree, and plain containers below it.
class Container final : public Device {
public:
    explicit Container(std::string_view type) : type_(type) {}
    std::string_view type() const override { return type_; }
    void describe(Describe&) override {}
    std::string_view bus_type() const override { return "system"; }
    Result<void> plug(Device&) override { return {}; }
    bool bus_full() const override { return false; }

private:
    std::string_view type_;
};

} // namespace

// Makes the regions of a device as describe() names them, in order.
struct RegionMaker final : Describe {
    Device& device;
    explicit RegionMaker(Device& d) : device(d) {}
    bool wants_handlers() const override { return true; }
    void on_handler(std::string_view name, std::unique_ptr<memory::Handler> handler, const memory::AccessRules& rules,
                    u64 size) override {
        std::string full = name.empty() ? device.id() : fmt::format("{}.{}", device.id(), name);
        device.handlers_.push_back(std::move(handler));
        device.made_.push_back(
            std::make_unique<memory::Region>(std::move(full), *device.handlers_.back(), rules, size));
        device.regions_.push_back(device.made_.back().get());
    }
    void on_region(memory::Region& region) override { device.regions_.push_back(&region); }
};

Machine::Machine(const Options& options)
    : options_([&] {
        Options o = options;
        o.manual_clock |= o.counted;
        return o;
    }())
    , random_state_(options.random_seed)
    , system_("system", ~u64{0})
    , memory_(std::make_unique<memory::AddressSpace>("memory", system_))
    , context_("machine")
    , timers_(std::make_unique<TimerQueue>(*this)) {
    auto root = std::make_unique<Container>("machine");
    root_ = root.get();
    root_->id_ = "machine";
    root_->machine_ = this;
    root_->context_ = &context_;
    devices_.push_back(std::move(root));
    input_ = std::make_unique<InputQueue>(*root_);
    if (options_.loop) options_.loop->hold();
}

Machine::~Machine() {
    set_running(false);
    while (devices_.size() > 1) {
        Device& last = *devices_.back();
        remove(last).ignore();
        if (!devices_.empty() && devices_.back().get() == &last) devices_.pop_back();
    }
    for (const auto& [id, fd] : random_sources_)
        if (fd >= 0) close(fd);
    while (!nets.empty())
        nets.erase(std::ranges::max_element(nets, {}, [](const auto& net) { return net.second.order; }));
    chardevs_.clear();
    input_.reset();
    devices_.clear();
    timers_.reset();
    if (options_.loop) options_.loop->release();
}

// ---- ports ------------------------------------------------------------------------------------------------------------

u64 Machine::now() const {
    const u64 clock = clock_.load(std::memory_order_acquire), base = clock >> 1;
    if (options_.manual_clock || !(clock & 1)) return counted_ ? counted_now() : base;
    return (host_nanoseconds(CLOCK_MONOTONIC) - base) & ~u64{0} >> 1;
}

u64 Machine::wall_clock() const {
    if (options_.manual_clock) return u64(options_.rtc_start) * 1000000000 + now();
    return host_nanoseconds(CLOCK_REALTIME) + u64(options_.rtc_offset) * 1000000000;
}

void Machine::random(std::span<u8> out) {
    std::lock_guard lock(random_mutex_);
    arrivals_[u8(Port::random)]++;
    if (on_counting_thread()) counted_->note(Port::random);
    if (options_.random_seed) {
        for (u8& byte : out) { // splitmix64
            u64 z = random_state_ += 0x9e3779b97f4a7c15u;
            z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
            z = (z ^ z >> 27) * 0x94d049bb133111ebu;
            byte = u8((z ^ z >> 31) >> 56);
        }
        return;
    }
    for (size_t done = 0; done < out.size();) {
        ssize_t n = getrandom(out.data() + done, out.size() - done, 0);
        if (n > 0) done += size_t(n);
    }
}

Result<void> Machine::add_random_source(const std::string& id, const std::string& path) {
    int fd = path.empty() ? -1 : open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && !path.empty()) return Error::from_errno(errno, "random source '{}': cannot open {}", id, path);
    random_sources_[id] = fd;
    return {};
}

u64 Machine::random_of(std::string_view id, std::span<u8> out) {
    auto at = random_sources_.find(id);
    if (at == random_sources_.end() || at->second < 0 || options_.random_seed) {
        random(out);
        return out.size();
    }
    arrivals_[u8(Port::random)]++;
    const ssize_t n = read(at->second, out.data(), out.size());
    return n > 0 ? u64(n) : 0;
}

void Machine::arrive(Port port, Device& device, const std::function<void()>& f) {
    arrivals_[u8(port)]++;
    Context::Entry entry(device.context());
    if (!entry) return;
    f();
    if (watch) watch(device, Moment::change);
}

void Machine::post(std::function<void()> f) {
    if (options_.loop)
        options_.loop->call(std::move(f));
    else
        f();
}

void Machine::advance(u64 nanoseconds) {
    const u64 running = clock_.load() & 1, target = now() + nanoseconds;
    for (;;) {
        u64 next = timers_->next();
        clock_.store(std::max(now(), std::min(next, target)) << 1 | running);
        if (next > target) break;
        timers_->run_due();
    }
}

u64 Machine::next_deadline() const { return timers_->next(); }

void Machine::set_running(bool running) {
    const u64 clock = clock_.load();
    if ((clock & 1) == u64{running}) return;
    // Host time less the one is the other.
    const u64 base = options_.manual_clock ? clock >> 1 : host_nanoseconds(CLOCK_MONOTONIC) - (clock >> 1);
    clock_.store(base << 1 | u64{running}, std::memory_order_release);
    timers_->clock_changed();
}

void Machine::set_now(u64 nanoseconds, u64 count) {
    MIMIC_CHECK(!running(), "the clock is set while it runs");
    if (counted_) {
        counted_->set(nanoseconds, count);
        agenda_->forget();
        for (auto& [id, net] : nets) net.peer->forget();
        timers_ran_at_ = Timer::never;
    }
    clock_.store(nanoseconds << 1, std::memory_order_release);
    timers_->clock_changed();
}

void Machine::freeze() {
    if (std::exchange(frozen_, true)) return;
    hurry(true);
    for (auto& [id, drive] : drives)
        if (drive.node) hurried_.push_back(std::make_shared<block::Hurried>(*drive.node));
}

void Machine::thaw() {
    if (!std::exchange(frozen_, false)) return;
    hurry(false);
    hurried_.clear();
    struct Waker final : Describe {
        void on_chardev(std::string_view, CharPort& port, std::string_view) override { port.thawed(); }
    };
    each([](Device& d) {
        Waker waker;
        d.describe(waker);
        d.thawed();
    });
}

u32 Machine::in_flight() const {
    u32 n = 0;
    each([&](Device& d) {
        Context::Entry entry(d.context());
        n += d.in_flight();
    });
    const u32 answered = agenda_ ? agenda_->answered() : 0; // for the guest they come when its time goes on
    return n > answered ? n - answered : 0;
}

void Machine::settle() {
    if (!loop() || !in_flight()) return;
    std::vector<block::Hurried> without_limits;
    for (auto& [id, drive] : drives)
        if (drive.node) without_limits.emplace_back(*drive.node);
    loop()->run_until([this] { return !in_flight(); });
}

void Machine::request(Request r) {
    const bool stands = on_counting_thread(); // nobody goes on before it was heard
    if (stands) counted_->hold();
    post([this, stands, r = std::move(r)] {
        arrivals_[u8(Port::command)]++;
        if (on_request) on_request(r);
        if (stands) counted_->release();
    });
}

void Machine::tell(std::string_view name, Json data) {
    post([this, name = std::string(name), data = std::move(data)]() mutable {
        if (on_event) on_event(name, std::move(data));
    });
}

// ---- tree -------------------------------------------------------------------------------------------------------------

const DeviceType* Machine::find_type(std::string_view name) const {
    for (const DeviceType* t : options_.types)
        if (t->name == name || (!t->alias.empty() && t->alias == name)) return t;
    return nullptr;
}

Result<Device*> Machine::create(std::string_view type, std::string id, const PropertyList& properties, Device* parent) {
    const DeviceType* t = find_type(type);
    if (!t) {
        std::vector<std::string_view> names;
        for (const DeviceType* known : options_.types) names.push_back(known->name);
        return Error::not_found("'{}' is no device type{}", type, did_you_mean(type, names));
    }
    return add(t->make(), std::move(id), properties, parent);
}

Result<Device*> Machine::add(std::unique_ptr<Device> device, std::string id, const PropertyList& properties,
                             Device* parent) {
    Device& d = *device;
    if (id.empty()) id = fmt::format("device[{}]", next_id_++);
    if (find(id)) return Error::exists("device '{}': the id is taken", id);
    d.id_ = std::move(id);
    d.machine_ = this;
    d.parent_ = parent ? parent : root_;
    if (d.context_rank()) {
        d.own_context_ = std::make_unique<Context>(d.id_, d.context_rank());
        d.context_ = d.own_context_.get();
    } else {
        d.context_ = &context_;
    }
    for (const GlobalProperty& g : options_.globals)
        if (g.type == d.type()) TRY(set_property(d, g.name, g.value).in("-global"));
    for (const auto& [name, text] : properties) TRY(set_property(d, name, text));
    TRY(link_back_ends(d).in("{}", d.type()));
    Result<void> ready = [&]() -> Result<void> {
        Context::Entry entry(*d.context_);
        return d.realize();
    }();
    if (!ready) {
        detach_back_ends(d);
        return std::move(ready).error().in(d.type());
    }
    make_regions(d);
    d.realized_ = true;
    d.parent_->children_.push_back(&d);
    devices_.push_back(std::move(device));
    Result<void> plugged = d.parent_->plug(d);
    if (!plugged) {
        remove(d).ignore();
        return std::move(plugged).error();
    }
    return &d;
}

Result<void> Machine::remove(Device& device) {
    while (!device.children_.empty()) TRY(remove(*device.children_.back()));
    {
        Context::Entry entry(device.context());
        if (watch) watch(device, Moment::end);
        device.unrealize();
    }
    detach_back_ends(device);
    for (memory::Region* r : device.regions_)
        if (r->parent()) r->parent()->remove(*r);
    if (device.parent_) std::erase(device.parent_->children_, &device);
    std::erase_if(devices_, [&](const auto& d) { return d.get() == &device; });
    return {};
}

Device* Machine::find(std::string_view path_or_id) const {
    for (const auto& d : devices_)
        if (d->id() == path_or_id || (path_or_id.starts_with('/') && d->path() == path_or_id)) return d.get();
    return nullptr;
}

void Machine::each(const std::function<void(Device&)>& f) const {
    for (size_t i = 0; i < devices_.size(); i++) f(*devices_[i]);
}

Device* Machine::find_bus(std::string_view type) const {
    for (size_t i = devices_.size(); i-- > 0;)
        if (devices_[i]->bus_type() == type && !devices_[i]->bus_full()) return devices_[i].get();
    return nullptr;
}

void Machine::make_regions(Device& device) {
    RegionMaker maker(device);
    device.describe(maker);
}

void Machine::mount(Device& device, u32 region, u64 at, int priority) {
    system_.add(device.region(region), at, priority);
}

void Machine::connect(Device& device, std::string_view line, LineSink& sink, u32 number) {
    struct Finder final : Describe {
        std::string_view wanted;
        Line* found = nullptr;
        void on_line(std::string_view name, Line& l) override {
            if (full(name) == wanted) found = &l;
        }
    } finder;
    finder.wanted = line;
    device.describe(finder);
    MIMIC_CHECK(finder.found, "a board connects a line that the device does not have");
    finder.found->connect(sink, number);
}

// ---- back ends --------------------------------------------------------------------------------------------------------

void Machine::add_chardev(std::unique_ptr<chardev::Chardev> dev) { chardevs_.push_back(std::move(dev)); }

void Machine::remove_chardev(std::string_view id) {
    auto at = std::ranges::find_if(chardevs_, [&](const auto& c) { return c->id() == id && !c->busy(); });
    if (at == chardevs_.end()) return;
    // Its end may take turns of the loop: the list is as it should be by then.
    const std::unique_ptr<chardev::Chardev> ends = std::move(*at);
    chardevs_.erase(at);
}

chardev::Chardev* Machine::find_chardev(std::string_view id) const {
    for (const auto& c : chardevs_)
        if (c->id() == id) return c.get();
    return nullptr;
}

namespace {
// The references of a device to back ends; the first trouble is kept.
struct Linker final : Describe {
    Machine& machine;
    Device& device;
    bool attach;
    Result<void> result;
    std::vector<std::pair<CharPort*, chardev::Chardev*>> ports;
    Linker(Machine& m, Device& d, bool a) : machine(m), device(d), attach(a) {}

    void fail(Error e) {
        if (result) result = std::move(e);
    }
    void on_chardev(std::string_view name, CharPort& port, std::string_view) override {
        if (!attach) {
            ports.emplace_back(&port, nullptr);
            return;
        }
        if (port.id.empty()) return;
        chardev::Chardev* c = machine.find_chardev(port.id);
        if (!c) return fail(Error::not_found("property '{}': there is no chardev '{}'", full(name), port.id));
        if (c->busy()) return fail(Error::busy("property '{}': chardev '{}' is in use", full(name), port.id));
        ports.emplace_back(&port, c);
    }
    void on_drive(std::string_view name, DriveRef& drive, std::string_view) override {
        if (drive.id.empty()) return;
        auto found = machine.drives.find(drive.id);
        if (!attach) {
            if (found != machine.drives.end() && found->second.user == &device) found->second.user = nullptr;
            drive.node.reset();
            return;
        }
        if (found == machine.drives.end())
            return fail(Error::not_found("property '{}': there is no drive '{}'", full(name), drive.id));
        if (found->second.user)
            return fail(Error::busy("property '{}': drive '{}' is in use by '{}'", full(name), drive.id,
                                    found->second.user->id()));
        found->second.user = &device;
        drive.node = found->second.node;
        drive.read_only = found->second.read_only;
        drive.on_write_error = found->second.on_write_error;
        drive.on_read_error = found->second.on_read_error;
    }
    void on_netdev(std::string_view name, NetRef& net, std::string_view) override {
        if (net.id.empty()) return;
        auto found = machine.nets.find(net.id);
        if (!attach) {
            if (found != machine.nets.end() && found->second.user == &device) found->second.user = nullptr;
            net.peer = nullptr;
            return;
        }
        if (found == machine.nets.end())
            return fail(Error::not_found("property '{}': there is no netdev '{}'", full(name), net.id));
        if (found->second.user)
            return fail(Error::busy("property '{}': netdev '{}' is in use by '{}'", full(name), net.id,
                                    found->second.user->id()));
        if (found->second.peer->attached())
            return fail(Error::busy("property '{}': netdev '{}' is in use by another netdev", full(name), net.id));
        found->second.user = &device;
        net.peer = found->second.peer.get();
    }
};
} // namespace

// ---- host networks ----------------------------------------------------------------------------------------------------

namespace {

// A character device where a network's forwarded connections end.
class NetStream final : public net::Stream, chardev::FrontEnd {
public:
    NetStream(Machine& machine, chardev::Chardev& dev, bool ours, Reader& reader)
        : machine_(machine)
        , dev_(dev)
        , ours_(ours)
        , reader_(reader) {
        dev_.attach(this);
    }
    ~NetStream() override {
        dev_.attach(nullptr);
        if (ours_) machine_.remove_chardev(std::string(dev_.id()));
    }
    u32 write(std::span<const u8> bytes) override { return dev_.write(bytes); }
    void accept_input() override { dev_.accept_input(); }
    void drain() override { dev_.drain(); }

private:
    u32 room() override { return reader_.room(); }
    void receive(std::span<const u8> bytes) override { reader_.receive(bytes); }
    void writable() override { reader_.writable(); }

    Machine& machine_;
    chardev::Chardev& dev_;
    bool ours_;
    Reader& reader_;
};

Result<std::unique_ptr<net::Stream>> open_stream(Machine& machine, const std::string& name, const std::string& text,
                                                 net::Stream::Reader& reader) {
    constexpr std::string_view given = "chardev:";
    if (text.starts_with(given)) {
        const std::string id = text.substr(given.size());
        chardev::Chardev* dev = machine.find_chardev(id);
        if (!dev) return Error::not_found("there is no chardev '{}'", id);
        if (dev->busy()) return Error::busy("chardev '{}' is in use", id);
        return std::unique_ptr<net::Stream>(std::make_unique<NetStream>(machine, *dev, false, reader));
    }
    if (!machine.open_chardev) return Error::unsupported("'{}', expected chardev:ID", text);
    if (machine.find_chardev(name)) return Error::exists("the id '{}' is taken", name);
    auto dev = TRY(machine.open_chardev(name, text));
    if (!dev) return Error::invalid_argument("'{}', expected a character device", text);
    chardev::Chardev& made = *dev;
    machine.add_chardev(std::move(dev));
    return std::unique_ptr<net::Stream>(std::make_unique<NetStream>(machine, made, true, reader));
}

} // namespace

Result<void> Machine::add_net(net::Options options) {
    MIMIC_CHECK(options_.loop, "a host network needs a loop");
    if (!net_context_) {
        net_context_ = std::make_unique<net::Context>(net::Context{*options_.loop});
        net_context_->find = [this](std::string_view id) -> net::BackEnd* {
            auto at = nets.find(id);
            return at == nets.end() ? nullptr : at->second.peer.get();
        };
        net_context_->open_stream = [this](const std::string& name, const std::string& text,
                                           net::Stream::Reader& reader) {
            return open_stream(*this, name, text, reader);
        };
        net_context_->on_event = [this](std::string_view name, Json data) {
            if (on_event) on_event(name, std::move(data));
        };
    }
    for (const auto& [name, value] : options.values)
        if (name == "id" && nets.contains(value)) return Error::exists("Duplicate ID '{}' for netdev", value);
    auto peer = TRY(net::open(*net_context_, std::move(options)));
    // All of them, since hubs join those without a card to those that have one.
    if (is_counted()) peer->pace([this](std::function<void()> f) { ask(Port::network, std::move(f)); });
    std::string id = peer->id();
    nets[id] = {std::move(peer), nullptr, next_net_++};
    return {};
}

Result<void> Machine::remove_net(std::string_view id) {
    auto at = nets.find(id);
    if (at == nets.end()) return Error::not_found("Device '{}' not found", id);
    if (at->second.user) return Error::busy("netdev '{}' is used by device '{}'", at->first, at->second.user->id());
    if (at->second.peer->attached() && at->second.peer->kind() != "hubport")
        return Error::busy("netdev '{}' is used by another netdev", at->first);
    nets.erase(at);
    return {};
}

Result<void> Machine::link_back_ends(Device& device) {
    Linker linker(*this, device, true);
    device.describe(linker);
    if (!linker.result) {
        detach_back_ends(device);
        return linker.result;
    }
    for (auto& [port, dev] : linker.ports) {
        port->chardev_ = dev;
        dev->attach(port);
    }
    return {};
}

void Machine::detach_back_ends(Device& device) {
    Linker linker(*this, device, false);
    device.describe(linker);
    for (auto& [port, none] : linker.ports) {
        port->write_out();
        if (port->chardev_) port->chardev_->attach(nullptr);
        port->chardev_ = nullptr;
        port->waiting_.clear();
    }
}

} // namespace mimic::devices
