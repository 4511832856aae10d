// A user network on libslirp 4.4 or newer. The library is opened when the first network is made, so that programs which
// need none neither load it nor fail without it.
//
// Its sockets and deadlines are gathered in one epoll descriptor with a timerfd inside, and that is what the loop watches.
#include "net/user.hpp"
#include "base/io/scope.hpp"
#include "base/io/watch.hpp"
#include "base/trace.hpp"
#include "net/backends/backends.hpp"
#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <map>
#include <slirp/libslirp.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace mimic::net {

namespace {

// What we call of the library.
struct Library {
    decltype(&slirp_new) make = nullptr;
    decltype(&slirp_cleanup) cleanup = nullptr;
    decltype(&slirp_pollfds_fill) fill = nullptr;
    decltype(&slirp_pollfds_poll) poll = nullptr;
    decltype(&slirp_input) input = nullptr;
    decltype(&slirp_add_hostfwd) add_hostfwd = nullptr;
    decltype(&slirp_remove_hostfwd) remove_hostfwd = nullptr;
    decltype(&slirp_add_exec) add_exec = nullptr;
    decltype(&slirp_add_guestfwd) add_guestfwd = nullptr;
    decltype(&slirp_socket_can_recv) can_recv = nullptr;
    decltype(&slirp_socket_recv) recv = nullptr;
    decltype(&slirp_connection_info) connections = nullptr;

    static Result<Library> open();
};

Result<Library> Library::open() {
    constexpr const char* name = "libslirp.so.0";
    void* handle = dlopen(name, RTLD_NOW | RTLD_LOCAL); // stays: the process may make more networks
    if (!handle) return Error::not_found("user networks need {}, expected the package libslirp0", name);
    Library l;
    bool all = true;
    auto find = [&](auto& pointer, const char* symbol) {
        pointer = reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(dlsym(handle, symbol));
        all &= pointer != nullptr;
    };
    find(l.make, "slirp_new");
    find(l.cleanup, "slirp_cleanup");
    find(l.fill, "slirp_pollfds_fill");
    find(l.poll, "slirp_pollfds_poll");
    find(l.input, "slirp_input");
    find(l.add_hostfwd, "slirp_add_hostfwd");
    find(l.remove_hostfwd, "slirp_remove_hostfwd");
    find(l.add_exec, "slirp_add_exec");
    find(l.add_guestfwd, "slirp_add_guestfwd");
    find(l.can_recv, "slirp_socket_can_recv");
    find(l.recv, "slirp_socket_recv");
    find(l.connections, "slirp_connection_info");
    if (!all) return Error::unsupported("{} is too old, expected version 4.4 or newer", name);
    return l;
}

struct Settings {
    in_addr net{}, mask{}, host{}, dhcp{}, dns{};
    in6_addr prefix6{}, host6{}, dns6{};
    u8 prefix6_length = 64;
    bool restricted = false, v4 = true, v6 = true;
    std::string hostname, tftp, bootfile, tftp_server, domain;
    std::vector<std::string> search;
};

struct Forward {
    bool udp = false;
    in_addr host{}, guest{};
    u16 host_port = 0, guest_port = 0;
    std::string command, stream; // guestfwd: one of the two
};

class User final : public BackEnd {
public:
    User(io::Loop& loop, std::string id, const Library& library, Settings settings)
        : BackEnd(loop, std::move(id))
        , library_(library)
        , s_(std::move(settings)) {}
    ~User() override;
    Result<void> start();
    Result<void> forward(const Forward& f);
    Result<void> end_forward(const Forward& f);
    Result<void> forward_out(const Forward& f, Context& context);
    const Settings& settings() const { return s_; }
    std::string connections() {
        char* text = library_.connections(slirp_);
        std::string out = text ? text : "";
        std::free(text);
        return out;
    }

    std::string_view kind() const override { return "user"; }
    std::string info() const override {
        char net[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &s_.net, net, sizeof net);
        return fmt::format("net={},restrict={}", net, s_.restricted ? "on" : "off");
    }

private:
    struct Wake {
        int events = 0; // as asked
        int ready = 0;  // SLIRP_POLL_*
    };
    static constexpr size_t most_waiting = 256 << 10;
    // Connections of the guest to an address of the network's that end at a stream of the host.
    struct Channel final : Stream::Reader {
        User& user;
        in_addr address;
        u16 port;
        std::vector<u8> out; // the library takes a write for done
        std::unique_ptr<Stream> stream;
        bool waiting = false; // bytes came that the guest had no room for
        Channel(User& u, in_addr a, u16 p) : user(u), address(a), port(p) {}
        u32 room() override {
            const auto free = user.library_.can_recv(user.slirp_, address, port);
            waiting = free == 0;
            return u32(std::min<size_t>(free, most_waiting));
        }
        void receive(std::span<const u8> bytes) override {
            user.library_.recv(user.slirp_, address, port, bytes.data(), int(bytes.size()));
            user.refill();
        }
        void writable() override {
            flush();
            user.transmit_more();
        }
        void flush() {
            while (!out.empty()) {
                const u32 taken = stream->write(out);
                if (taken == 0) break;
                out.erase(out.begin(), out.begin() + taken);
            }
        }
    };
    struct Alarm {
        SlirpTimerCb callback;
        void* argument;
        i64 due = -1; // ms
    };
    void transmit(std::span<const u8> frame) override {
        // A paced network is not asked what it can take; the guest sends again what is lost here.
        if (slirp_ && (!paced() || can_transmit())) library_.input(slirp_, frame.data(), int(frame.size()));
    }
    bool can_transmit() override {
        return std::ranges::none_of(channels_, [](const auto& c) { return c->out.size() >= most_waiting; });
    }
    void transmitted() override { refill(); }
    io::Task<Result<void>> serve();
    void refill();
    void look();
    void run_alarms();
    void set_timer(u32 milliseconds);
    int watch(int fd, int events);
    SlirpConfig config() const;
    static const SlirpCb callbacks;

    static User& self(void* p) { return *static_cast<User*>(p); }
    static i64 now_ns() {
        timespec t{};
        clock_gettime(CLOCK_MONOTONIC, &t);
        return i64(t.tv_sec) * 1000000000 + t.tv_nsec;
    }

    Library library_;
    Settings s_;
    Slirp* slirp_ = nullptr;
    int epoll_ = -1, timer_ = -1;
    std::unique_ptr<io::Watch> watch_;
    std::map<int, int> watched_; // descriptor to epoll events
    std::map<int, Wake> wakes_;  // of this round
    std::vector<std::unique_ptr<Channel>> channels_;
    std::vector<std::unique_ptr<Alarm>> alarms_;
    std::vector<const char*> search_;
    bool stop_ = false, served_ = true, busy_ = false;
};

const SlirpCb User::callbacks = {
    .send_packet = [](const void* data, size_t n, void* p) -> ssize_t {
        self(p).deliver({static_cast<const u8*>(data), n});
        return ssize_t(n);
    },
    .guest_error = [](const char* text, void* p) { trace::guest_error(self(p).id(), "{}", text); },
    .clock_get_ns = [](void*) -> int64_t { return now_ns(); },
    .timer_new = [](SlirpTimerCb f, void* argument, void* p) -> void* {
        self(p).alarms_.push_back(std::make_unique<Alarm>(Alarm{f, argument}));
        return self(p).alarms_.back().get();
    },
    .timer_free = [](void* timer,
                     void* p) { std::erase_if(self(p).alarms_, [&](auto& a) { return a.get() == timer; }); },
    .timer_mod = [](void* timer, int64_t due, void*) { static_cast<Alarm*>(timer)->due = due; },
    .register_poll_fd = [](int, void*) {},
    // The number may come back as another socket, which epoll does not know.
    .unregister_poll_fd = [](int fd, void* p) { self(p).watched_.erase(fd); },
    .notify = [](void*) {},
    .init_completed = nullptr,
    .timer_new_opaque = nullptr,
};

SlirpConfig User::config() const {
    SlirpConfig c{};
    auto text = [](const std::string& s) { return s.empty() ? nullptr : s.c_str(); };
    c.version = 1;
    c.restricted = s_.restricted;
    c.in_enabled = s_.v4;
    c.vnetwork = s_.net;
    c.vnetmask = s_.mask;
    c.vhost = s_.host;
    c.in6_enabled = s_.v6;
    c.vprefix_addr6 = s_.prefix6;
    c.vprefix_len = s_.prefix6_length;
    c.vhost6 = s_.host6;
    c.vhostname = text(s_.hostname);
    c.tftp_server_name = text(s_.tftp_server);
    c.tftp_path = text(s_.tftp);
    c.bootfile = text(s_.bootfile);
    c.vdhcp_start = s_.dhcp;
    c.vnameserver = s_.dns;
    c.vnameserver6 = s_.dns6;
    c.vdnssearch = search_.size() > 1 ? const_cast<const char**>(search_.data()) : nullptr;
    c.vdomainname = text(s_.domain);
    return c;
}

Result<void> User::start() {
    for (const std::string& s : s_.search) search_.push_back(s.c_str());
    search_.push_back(nullptr);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    timer_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    epoll_event e{.events = EPOLLIN, .data = {.fd = timer_}};
    if (epoll_ < 0 || timer_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, timer_, &e) < 0)
        return Error::from_errno(errno, "make an epoll descriptor");
    SlirpConfig c = config();
    slirp_ = library_.make(&c, &callbacks, this);
    if (!slirp_) return Error::invalid_argument("libslirp refuses the network's settings");
    watch_ = std::make_unique<io::Watch>(loop(), epoll_);
    served_ = false;
    io::spawn(serve(), [](const Error&) {});
    refill();
    return {};
}

User::~User() {
    stop_ = true;
    attach(nullptr);
    if (watch_) {
        watch_->cancel();
        loop().run_until([this] { return served_; });
    }
    // The guest takes for sent what its peers here have not read yet.
    const i64 end = now_ns() + 1'000'000'000;
    for (auto& c : channels_)
        for (c->flush(); !c->out.empty() && now_ns() < end; c->flush()) c->stream->drain();
    if (slirp_) library_.cleanup(std::exchange(slirp_, nullptr));
    channels_.clear();
    if (timer_ >= 0) close(timer_);
    if (epoll_ >= 0) close(epoll_);
}

io::Task<Result<void>> User::serve() {
    while (!stop_) {
        bool ready = co_await watch_->readable();
        if (!ready || stop_) break;
        look();
    }
    served_ = true;
    co_return Result<void>{};
}

// Hands the library what is ready.
void User::look() {
    epoll_event events[64];
    int n = epoll_wait(epoll_, events, 64, 0);
    for (int i = 0; i < n; i++) {
        u32 e = events[i].events;
        if (events[i].data.fd == timer_) {
            u64 expirations = 0;
            static_cast<void>(!::read(timer_, &expirations, sizeof expirations));
            continue;
        }
        int ready = (e & EPOLLIN ? SLIRP_POLL_IN : 0) | (e & EPOLLOUT ? SLIRP_POLL_OUT : 0) |
                    (e & EPOLLPRI ? SLIRP_POLL_PRI : 0) | (e & EPOLLERR ? SLIRP_POLL_ERR : 0) |
                    (e & EPOLLHUP ? SLIRP_POLL_HUP : 0);
        wakes_[events[i].data.fd].ready = ready;
    }
    library_.poll(
        slirp_, n < 0,
        [](int fd, void* p) {
            auto& wakes = self(p).wakes_;
            auto at = wakes.find(fd);
            return at == wakes.end() ? 0 : at->second.ready;
        },
        this);
    run_alarms();
    refill();
}

void User::run_alarms() {
    if (paced()) return;
    i64 now = now_ns() / 1000000;
    for (size_t i = 0; i < alarms_.size(); i++) {
        Alarm& a = *alarms_[i];
        if (a.due < 0 || a.due > now) continue;
        a.due = -1;
        a.callback(a.argument);
    }
}

int User::watch(int fd, int events) {
    wakes_[fd].events = events;
    return fd; // the index that the library asks with later
}

// Asks the library what it waits for, and changes the epoll set accordingly.
void User::refill() {
    if (!slirp_) return;
    wakes_.clear();
    u32 timeout = 1u << 30;
    library_.fill(
        slirp_, &timeout, [](int fd, int events, void* p) { return self(p).watch(fd, events); }, this);
    for (auto& [fd, wake] : wakes_) {
        u32 want = 0;
        if (wake.events & SLIRP_POLL_IN) want |= EPOLLIN;
        if (wake.events & SLIRP_POLL_OUT) want |= EPOLLOUT;
        if (wake.events & SLIRP_POLL_PRI) want |= EPOLLPRI;
        auto known = watched_.find(fd);
        if (known != watched_.end() && known->second == int(want)) continue;
        epoll_event e{.events = want, .data = {.fd = fd}};
        if (epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &e) < 0 && errno == ENOENT) epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &e);
        watched_[fd] = int(want);
    }
    for (auto it = watched_.begin(); it != watched_.end();) {
        if (wakes_.contains(it->first)) {
            ++it;
            continue;
        }
        epoll_ctl(epoll_, EPOLL_CTL_DEL, it->first, nullptr);
        it = watched_.erase(it);
    }
    i64 now = now_ns() / 1000000;
    for (auto& a : alarms_)
        if (a->due >= 0 && !paced()) timeout = std::min(timeout, u32(std::clamp<i64>(a->due - now, 0, 1 << 30)));
    set_timer(timeout);
    for (auto& c : channels_)
        if (c->waiting && library_.can_recv(slirp_, c->address, c->port)) {
            c->waiting = false;
            c->stream->accept_input();
        }
}

void User::set_timer(u32 milliseconds) {
    itimerspec t{};
    if (milliseconds < 1u << 30) {
        t.it_value.tv_sec = milliseconds / 1000;
        t.it_value.tv_nsec = long(milliseconds % 1000) * 1000000 + 1;
    }
    timerfd_settime(timer_, 0, &t, nullptr);
}

Result<void> User::forward(const Forward& f) {
    if (library_.add_hostfwd(slirp_, f.udp, f.host, f.host_port, f.guest, f.guest_port) == 0) {
        refill();
        return {};
    }
    return Error::from_errno(errno, "listen on port {} of the host", f.host_port);
}

Result<void> User::end_forward(const Forward& f) {
    if (library_.remove_hostfwd(slirp_, f.udp, f.host, f.host_port) != 0)
        return Error::not_found("nothing is forwarded from port {} of the host", f.host_port);
    refill(); // what it no longer waits for
    return {};
}

Result<void> User::forward_out(const Forward& f, Context& context) {
    in_addr guest = f.guest;
    int failed = 0;
    if (!f.command.empty()) {
        failed = library_.add_exec(slirp_, f.command.c_str(), &guest, f.guest_port);
    } else {
        if (!context.open_stream)
            return Error::unsupported("'{}', expected cmd:COMMAND: nothing else is here", f.stream);
        auto channel = std::make_unique<Channel>(*this, f.guest, f.guest_port);
        char address[INET_ADDRSTRLEN];
        inet_ntop(AF_INET, &f.guest, address, sizeof address);
        channel->stream =
            TRY(context.open_stream(fmt::format("guestfwd.{}.{}", address, f.guest_port), f.stream, *channel));
        auto write = [](const void* bytes, size_t n, void* p) -> ssize_t {
            auto& c = *static_cast<Channel*>(p);
            const auto* from = static_cast<const u8*>(bytes);
            c.out.insert(c.out.end(), from, from + n);
            c.flush();
            return ssize_t(n);
        };
        failed = library_.add_guestfwd(slirp_, write, channel.get(), &guest, f.guest_port);
        channel->address = guest; // chosen by the library where nobody said it
        if (failed == 0) channels_.push_back(std::move(channel));
    }
    if (failed == 0) return {};
    return Error::invalid_argument("address and port are taken, or outside of the network");
}

// ---- options ----------------------------------------------------------------------------------------------------------

Result<in_addr> address(std::string_view name, const std::string& text) {
    in_addr a{};
    if (inet_pton(AF_INET, text.c_str(), &a) != 1) return bad_option(name, text, "an IPv4 address");
    return a;
}

Result<in6_addr> address6(std::string_view name, const std::string& text) {
    in6_addr a{};
    if (inet_pton(AF_INET6, text.c_str(), &a) != 1) return bad_option(name, text, "an IPv6 address");
    return a;
}

bool port(std::string_view text, u16& out, bool zero) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc() && end == text.data() + text.size() && (zero || out);
}

// "10.0.2.0/24", "10.0.2.0/255.255.255.0", "10.0.2.0".
Result<void> parse_net(Settings& s, const std::string& text) {
    constexpr std::string_view expected = "an IPv4 network like 10.0.2.0/24";
    size_t slash = text.find('/');
    auto net = address("net", text.substr(0, slash));
    if (!net) return bad_option("net", text, expected);
    u32 mask = 0xffffff00;
    if (slash != std::string::npos) {
        std::string tail = text.substr(slash + 1);
        u16 bits = 0;
        if (auto dotted = address("net", tail))
            mask = ntohl(dotted->s_addr);
        else if (port(tail, bits, false) && bits <= 30)
            mask = ~u32{0} << (32 - bits);
        else
            return bad_option("net", text, expected);
    }
    s.mask.s_addr = htonl(mask);
    s.net.s_addr = net->s_addr & s.mask.s_addr;
    return {};
}

in_addr inside(const Settings& s, u32 number) { return {s.net.s_addr | (htonl(number) & ~s.mask.s_addr)}; }

Result<in_addr> address_inside(const Settings& s, Options& o, std::string_view name, u32 number) {
    std::string text = o.take(name);
    if (text.empty()) return inside(s, number);
    in_addr a = TRY(address(name, text));
    if ((a.s_addr & s.mask.s_addr) != s.net.s_addr) return bad_option(name, text, "an address inside of the network");
    return a;
}

Result<void> parse_v6(Settings& s, Options& o) {
    std::string prefix = o.take("ipv6-net", "fec0::/64"), host = o.take("ipv6-host"), dns = o.take("ipv6-dns");
    size_t slash = prefix.find('/');
    u16 length = 64;
    if (slash != std::string::npos && (!port(std::string_view(prefix).substr(slash + 1), length, true) || length > 126))
        return bad_option("ipv6-net", prefix, "an IPv6 network like fec0::/64");
    s.prefix6 = TRY(address6("ipv6-net", prefix.substr(0, slash)));
    s.prefix6_length = u8(length);
    s.host6 = s.dns6 = s.prefix6;
    s.host6.s6_addr[15] |= 2;
    s.dns6.s6_addr[15] |= 3;
    if (!host.empty()) s.host6 = TRY(address6("ipv6-host", host));
    if (!dns.empty()) s.dns6 = TRY(address6("ipv6-dns", dns));
    return {};
}

Result<Settings> parse_settings(Options& o) {
    Settings s;
    TRY(parse_net(s, o.take("net", "10.0.2.0/24")));
    s.host = TRY(address_inside(s, o, "host", 2));
    s.dhcp = TRY(address_inside(s, o, "dhcpstart", 15));
    s.dns = TRY(address_inside(s, o, "dns", 3));
    if (s.host.s_addr == s.dns.s_addr) return Error::invalid_argument("options 'host' and 'dns' are the same address");
    s.restricted = TRY(o.flag("restrict", false));
    s.v4 = TRY(o.flag("ipv4", true));
    s.v6 = TRY(o.flag("ipv6", true));
    TRY(parse_v6(s, o));
    s.hostname = o.take("hostname");
    s.tftp = o.take("tftp");
    s.bootfile = o.take("bootfile");
    s.tftp_server = o.take("tftp-server-name");
    s.domain = o.take("domainname");
    s.search = o.take_all("dnssearch");
    if (s.hostname.size() > 33) return bad_option("hostname", s.hostname, "at most 33 characters");
    return s;
}

// "[tcp|udp]:[hostaddr]:hostport"
Result<Forward> parse_host_end(const std::string& text) {
    constexpr std::string_view expected = "[tcp|udp]:[hostaddr]:hostport";
    Forward f;
    const size_t a = text.find(':'), b = text.find(':', a + 1);
    if (a == std::string::npos || b == std::string::npos) return bad_option("hostfwd", text, expected);
    const std::string protocol = text.substr(0, a), host = text.substr(a + 1, b - a - 1);
    if (!protocol.empty() && protocol != "tcp" && protocol != "udp") return bad_option("hostfwd", text, expected);
    f.udp = protocol == "udp";
    if (!host.empty()) f.host = TRY(address("hostfwd", host));
    if (!port(std::string_view(text).substr(b + 1), f.host_port, true)) return bad_option("hostfwd", text, expected);
    return f;
}

// "[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport"
Result<Forward> parse_hostfwd(const Settings& s, const std::string& text) {
    constexpr std::string_view expected = "[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport";
    Forward f;
    size_t a = text.find(':'), b = text.find(':', a + 1), dash = text.find('-', b == std::string::npos ? b : b + 1);
    size_t c = dash == std::string::npos ? dash : text.find(':', dash);
    if (a == std::string::npos || b == std::string::npos || c == std::string::npos)
        return bad_option("hostfwd", text, expected);
    std::string protocol = text.substr(0, a), host = text.substr(a + 1, b - a - 1),
                guest = text.substr(dash + 1, c - dash - 1);
    std::string_view whole = text;
    if (!protocol.empty() && protocol != "tcp" && protocol != "udp") return bad_option("hostfwd", text, expected);
    f.udp = protocol == "udp";
    if (!host.empty()) f.host = TRY(address("hostfwd", host));
    f.guest = guest.empty() ? s.dhcp : TRY(address("hostfwd", guest));
    if (!port(whole.substr(b + 1, dash - b - 1), f.host_port, true) || !port(whole.substr(c + 1), f.guest_port, false))
        return bad_option("hostfwd", text, expected);
    return f;
}

// "[tcp]:server:port-dev", where dev is cmd:command or a character device.
Result<Forward> parse_guestfwd(const std::string& text) {
    constexpr std::string_view expected = "[tcp]:[server]:port-cmd:command or -DEV";
    Forward f;
    size_t a = text.find(':'), b = text.find(':', a + 1), dash = text.find('-', b == std::string::npos ? b : b + 1);
    if (a == std::string::npos || b == std::string::npos || dash == std::string::npos)
        return bad_option("guestfwd", text, expected);
    std::string protocol = text.substr(0, a), target = text.substr(dash + 1);
    if ((!protocol.empty() && protocol != "tcp") || target.empty() || target == "cmd:")
        return bad_option("guestfwd", text, expected);
    if (b > a + 1) f.guest = TRY(address("guestfwd", text.substr(a + 1, b - a - 1)));
    if (!port(std::string_view(text).substr(b + 1, dash - b - 1), f.guest_port, false))
        return bad_option("guestfwd", text, expected);
    if (target.starts_with("cmd:"))
        f.command = target.substr(4);
    else
        f.stream = target;
    return f;
}

} // namespace

Result<std::unique_ptr<BackEnd>> open_user(Context& context, const std::string& id, Options& o) {
    Settings s = TRY(parse_settings(o));
    std::vector<Forward> forwards, outward;
    for (const std::string& text : o.take_all("hostfwd")) forwards.push_back(TRY(parse_hostfwd(s, text)));
    for (const std::string& text : o.take_all("guestfwd")) outward.push_back(TRY(parse_guestfwd(text)));
    TRY(o.finish());
    Library library = TRY(Library::open());
    auto user = std::make_unique<User>(context.loop, id, library, std::move(s));
    TRY(user->start());
    for (const Forward& f : forwards) TRY(user->forward(f).in("hostfwd"));
    for (const Forward& f : outward) TRY(user->forward_out(f, context).in("guestfwd"));
    return std::unique_ptr<BackEnd>(std::move(user));
}

namespace {
Result<User*> user_of(BackEnd& net) {
    if (auto* user = dynamic_cast<User*>(&net)) return user;
    return Error::invalid_argument("netdev '{}' is of kind {}, expected user", net.id(), net.kind());
}
} // namespace

Result<void> add_forward(BackEnd& net, const std::string& rule) {
    User* user = TRY(user_of(net));
    return user->forward(TRY(parse_hostfwd(user->settings(), rule)));
}
Result<void> remove_forward(BackEnd& net, const std::string& rule) {
    User* user = TRY(user_of(net));
    return user->end_forward(TRY(parse_host_end(rule)));
}
Result<std::string> connections(BackEnd& net) {
    User* user = TRY(user_of(net));
    return user->connections();
}

} // namespace mimic::net
