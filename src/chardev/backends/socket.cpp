// Sockets: unix and TCP, client or server; a server serves one peer at a time and waits for the next.
#include "chardev/options.hpp"
#include "chardev/stream.hpp"
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace mimic::chardev {

namespace {

// A bound or connected socket of the address that the options name.
Result<int> open_address(const std::string& id, const std::string& path, const std::string& host,
                         const std::string& port, bool server) {
    auto use = [&](int family, const sockaddr* address, socklen_t length) -> Result<int> {
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) return Error::from_errno(errno, "chardev '{}': socket", id);
        int on = 1;
        if (server) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        bool ok = server ? bind(fd, address, length) == 0 && listen(fd, 1) == 0 : connect(fd, address, length) == 0;
        if (ok) return fd;
        int why = errno;
        close(fd);
        return Error::from_errno(why, "chardev '{}': cannot {} {}", id, server ? "listen at" : "connect to",
                                 path.empty() ? host + ":" + port : path);
    };
    if (!path.empty()) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (path.size() >= sizeof address.sun_path)
            return Error::invalid_argument("chardev '{}': option 'path': longer than {} bytes", id,
                                           sizeof address.sun_path - 1);
        std::memcpy(address.sun_path, path.c_str(), path.size());
        if (server) unlink(path.c_str());
        return use(AF_UNIX, reinterpret_cast<sockaddr*>(&address), sizeof address);
    }
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = server ? AI_PASSIVE : 0;
    int why = getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &found);
    if (why) return Error::invalid_argument("chardev '{}': '{}:{}': {}", id, host, port, gai_strerror(why));
    Result<int> fd = use(found->ai_family, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return fd;
}

class Socket final : public Stream {
public:
    Socket(io::Loop& loop, std::string id, std::string name, int listener)
        : Stream(loop, std::move(id))
        , name_(std::move(name))
        , listener_(listener)
        , gone_(loop)
        , accepting_(loop) {}
    ~Socket() override {
        closing_ = true;
        if (watch_) watch_->cancel();
        gone_.wake_all();
        if (accepting_.running()) loop().run_until([this] { return accepting_.running() == 0; });
        drain();
        disconnect();
        if (peer_ >= 0) close(peer_);
        if (listener_ >= 0) close(listener_);
    }
    std::string filename() const override { return name_; }
    bool is_open() const override { return peer_ >= 0; }

    void serve() {
        watch_ = std::make_unique<io::Watch>(loop(), listener_);
        accepting_.spawn(accept_loop());
    }
    // Blocks until a peer comes (wait=on).
    Result<void> wait_for_peer() {
        int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) return Error::from_errno(errno, "chardev '{}': accept", id());
        take(fd);
        return {};
    }
    void take(int fd) {
        peer_ = fd;
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connect(fd, fd);
        if (front()) front()->event(Event::opened);
    }

private:
    io::Task<Result<void>> accept_loop() {
        while (!closing_) {
            if (peer_ >= 0) { // one at a time: the next one waits in the listener's queue
                co_await gone_.wait();
                continue;
            }
            co_await watch_->readable();
            if (closing_) break;
            int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (fd >= 0) take(fd);
        }
        co_return Result<void>{};
    }
    io::Task<Result<void>> hung_up() override {
        co_await stop();
        if (peer_ >= 0) close(peer_);
        peer_ = -1;
        gone_.wake_all();
        if (front() && !closing_) front()->event(Event::closed);
        co_return Result<void>{};
    }

    std::string name_;
    int listener_, peer_ = -1;
    bool closing_ = false;
    std::unique_ptr<io::Watch> watch_;
    io::WaitList gone_; // the peer
    io::Scope accepting_;
};

} // namespace

Result<std::unique_ptr<Chardev>> open_socket(OpenContext& c, Options& o) {
    std::string path = o.text("path"), host = o.text("host"), port = o.text("port");
    bool server = o.flag("server", false), wait = o.flag("wait", server);
    bool no_delay = o.flag("nodelay", false), ipv4 = o.flag("ipv4", true), ipv6 = o.flag("ipv6", true);
    (void)no_delay, (void)ipv4, (void)ipv6; // small writes are never held back; the host's resolver chooses
    if (path.empty() && port.empty())
        return Error::invalid_argument("chardev '{}': expected 'path', or 'host' and 'port'", o.id());
    TRY(o.finish());
    int fd = TRY(open_address(o.id(), path, host, port, server));
    std::string name = (path.empty() ? "tcp:" + host + ":" + port : "unix:" + path) + (server ? ",server=on" : "");
    auto dev = std::make_unique<Socket>(c.loop, o.id(), name, server ? fd : -1);
    if (!server) {
        dev->take(fd);
    } else if (wait) {
        c.say(fmt::format("chardev '{}': waiting for a connection on {}", o.id(), name));
        TRY(dev->wait_for_peer());
    }
    if (server) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        dev->serve();
    }
    return std::unique_ptr<Chardev>(std::move(dev));
}

} // namespace mimic::chardev
