// Stream sockets: unix and inet, client or server; telnet, WebSocket and TLS on them. A server serves one peer at a time and waits
// for the next; a client may connect anew when its peer goes.
#include "base/io/dial.hpp"
#include "chardev/options.hpp"
#include "chardev/stream.hpp"
#include "crypto/authz.hpp"
#include "crypto/tls.hpp"
#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mimic::chardev {

namespace {

struct Settings {
    io::SocketAddress address;
    bool server = false, telnet = false, websocket = false;
    u64 reconnect_ms = 0; // of a client; 0: it has one peer, and gives up
    TlsParts tls;

    std::string name() const {
        std::string_view kind = telnet ? "telnet" : websocket ? "websocket" : "tcp";
        std::string s = fmt::format("{}:{}", kind, address.text());
        if (address.kind == io::SocketAddress::Kind::unix_path) s = "unix:" + address.path;
        if (address.kind == io::SocketAddress::Kind::descriptor) s = fmt::format("fd:{}", address.fd);
        return s + (server ? ",server=on" : "");
    }
    // What a connection speaks; null: the bytes as they are.
    Result<std::unique_ptr<Layer>> layer() const {
        std::unique_ptr<Layer> upper = telnet ? make_telnet() : websocket ? make_websocket() : nullptr;
        if (!tls.credentials) return upper;
        auto lower = TRY(make_tls(tls.credentials, tls.clients, server ? std::string() : address.host));
        return upper ? stack(std::move(lower), std::move(upper)) : std::move(lower);
    }
};

class Socket final : public Stream {
public:
    Socket(io::Loop& loop, std::string id, Settings settings)
        : Stream(loop, std::move(id))
        , s_(std::move(settings))
        , dial_(loop)
        , pause_(loop)
        , gone_(loop)
        , tasks_(loop) {}
    ~Socket() override {
        closing_ = true;
        dial_.cancel();
        pause_.cancel();
        if (listener_) listener_->stop();
        gone_.wake_all();
        if (tasks_.running()) loop().run_until([this] { return tasks_.running() == 0; });
        drain();
        say_goodbye();
        disconnect();
        if (peer_ >= 0) close(peer_);
    }
    std::string filename() const override { return s_.name(); }
    bool is_open() const override { return open_; }

    // Errors name the address.
    Result<void> listen(u64 last_port);
    // Blocks until a peer is there (wait=on).
    Result<void> wait_for_peer(OpenContext& context);
    Result<void> begin();

private:
    io::Task<Result<void>> accept_loop();
    io::Task<Result<void>> connect_loop();
    io::Task<Result<void>> hung_up() override;
    Result<void> take(int fd);
    void came() override {
        open_ = true;
        if (front()) front()->event(Event::opened);
    }
    // One at a time: the next one waits in the listener's queue.
    io::Task<void> until_gone() {
        while (peer_ >= 0 && !closing_) co_await gone_.wait();
    }

    Settings s_;
    std::unique_ptr<io::Listener> listener_;
    io::Dial dial_;
    io::Pause pause_;
    int peer_ = -1;
    bool closing_ = false, open_ = false;
    io::WaitList gone_; // the peer
    io::Scope tasks_;
};

Result<void> Socket::take(int fd) {
    auto layer = s_.layer();
    if (!layer) {
        close(fd);
        return std::move(layer).error();
    }
    peer_ = fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connect(fd, fd, {.layer = *std::move(layer)});
    return {};
}

Result<void> Socket::listen(u64 last_port) {
    auto made = io::Listener::create(loop(), s_.address, 1);
    while (!made && made.error().host_errno() == EADDRINUSE && last_port) {
        u64 next = std::stoul(s_.address.port) + 1;
        if (next > last_port) break;
        s_.address.port = std::to_string(next);
        made = io::Listener::create(loop(), s_.address, 1);
    }
    listener_ = TRY(std::move(made));
    if (u16 port = listener_->port()) s_.address.port = std::to_string(port);
    return {};
}

Result<void> Socket::wait_for_peer(OpenContext& context) {
    while (!open_) {
        context.interrupt = [this] { listener_->stop(); };
        auto accepted = loop().run(listener_->accept());
        context.interrupt = {};
        auto socket = TRY(std::move(accepted).in("nobody came"));
        int fd = fcntl(socket->fd(), F_DUPFD_CLOEXEC, 0);
        if (fd < 0) return Error::from_errno(errno, "accept");
        TRY(take(fd));
        socket.reset();
        loop().run_until([this] { return open_ || peer_ < 0; });
    }
    return {};
}

Result<void> Socket::begin() {
    if (listener_) {
        tasks_.spawn(accept_loop());
        return {};
    }
    if (s_.reconnect_ms) {
        tasks_.spawn(connect_loop());
        return {};
    }
    return take(TRY(loop().run(dial_.connect(s_.address))));
}

io::Task<Result<void>> Socket::accept_loop() {
    while (!closing_) {
        co_await until_gone();
        if (closing_) break;
        auto socket = co_await listener_->accept();
        if (closing_) break;
        int fd = socket ? fcntl((*socket)->fd(), F_DUPFD_CLOEXEC, 0) : -1;
        bool taken = fd >= 0 && bool(take(fd));
        if (!taken && !co_await pause_.sleep(std::chrono::milliseconds(100))) break;
    }
    co_return Result<void>{};
}

io::Task<Result<void>> Socket::connect_loop() {
    while (!closing_) {
        auto fd = co_await dial_.connect(s_.address);
        if (closing_) {
            if (fd) close(*fd);
            break;
        }
        if (fd && take(*fd)) co_await until_gone();
        if (closing_ || !co_await pause_.sleep(std::chrono::milliseconds(s_.reconnect_ms))) break;
    }
    co_return Result<void>{};
}

io::Task<Result<void>> Socket::hung_up() {
    co_await stop();
    if (peer_ >= 0) close(peer_);
    peer_ = -1;
    const bool was_open = std::exchange(open_, false);
    gone_.wake_all();
    if (was_open && front() && !closing_) front()->event(Event::closed);
    co_return Result<void>{};
}

Result<io::SocketAddress> address_of(Options& o, bool server) {
    io::SocketAddress a;
    a.path = o.text("path");
    a.host = o.text("host");
    a.port = o.text("port");
    const bool abstract = o.flag("abstract", false), tight = o.flag("tight", true);
    o.flag("nodelay", false);                                              // small writes are never held back
    for (std::string_view family : {"ipv4", "ipv6"}) o.flag(family, true); // the host's resolver chooses
    u64 fd = o.number("fd", ~u64{0}, 0, 0x7fffffff);
    const int given = int(!a.path.empty()) + int(!a.port.empty()) + int(fd != ~u64{0});
    if (given != 1)
        return Error::invalid_argument("chardev '{}': expected 'path', or 'host' and 'port', or 'fd'", o.id());
    if (!tight) return Error::unsupported("chardev '{}': option 'tight': off, expected on", o.id());
    if (!a.port.empty()) {
        a.kind = io::SocketAddress::Kind::inet;
        if (a.host.empty() && !server) a.host = "127.0.0.1";
    }
    if (abstract) a.path = fmt::format("@{}", a.path);
    if (fd != ~u64{0}) {
        a.kind = io::SocketAddress::Kind::descriptor;
        a.fd = int(fd);
    }
    return a;
}

} // namespace

Result<std::unique_ptr<Chardev>> open_socket(OpenContext& c, Options& o) {
    Settings s;
    s.server = o.flag("server", false);
    const bool wait = o.flag("wait", s.server);
    s.address = TRY(address_of(o, s.server));
    s.telnet = o.flag("telnet", false);
    s.websocket = o.flag("websocket", false);
    u64 seconds = o.number("reconnect", 0, 0, 1u << 20), last_port = o.number("to", 0, 1, 65535);
    s.reconnect_ms = o.number("reconnect-ms", seconds * 1000, 0, u64{1} << 30);
    std::string credentials = o.text("tls-creds"), authorization = o.text("tls-authz");
    TRY(o.finish());
    auto expect = [&](bool good, std::string_view option, std::string_view expected) -> Result<void> {
        if (good) return {};
        return Error::invalid_argument("chardev '{}': option '{}', expected {}", o.id(), option, expected);
    };
    TRY(expect(!s.telnet || !s.websocket, "websocket", "telnet=off"));
    TRY(expect(!s.websocket || s.server, "websocket", "server=on"));
    TRY(expect(!s.reconnect_ms || !s.server, "reconnect-ms", "server=off"));
    TRY(expect(!last_port || (s.server && !s.address.port.empty()), "to", "server=on and a port"));
    TRY(expect(authorization.empty() || (s.server && !credentials.empty()), "tls-authz", "server=on and tls-creds"));
    if (last_port && (s.address.port.size() > 5 || s.address.port.find_first_not_of("0123456789") != std::string::npos))
        TRY(expect(false, "to", "a port that is a number"));
    if (!credentials.empty())
        s.tls = TRY(c.tls(credentials, authorization, s.server).in("chardev '{}': tls-creds", o.id()));
    auto dev = std::make_unique<Socket>(c.loop, o.id(), s);
    if (s.server) TRY(dev->listen(last_port).in("chardev '{}'", o.id()));
    if (s.server && wait) {
        c.say(fmt::format("chardev '{}': waiting for a connection on {}", o.id(), dev->filename()));
        TRY(dev->wait_for_peer(c).in("chardev '{}'", o.id()));
    }
    TRY(dev->begin().in("chardev '{}'", o.id()));
    return std::unique_ptr<Chardev>(std::move(dev));
}

} // namespace mimic::chardev
