// udp: what is written goes to one peer, a datagram at a time; what comes to the local address is input, whoever sends it is the
// peer's host.
#include "chardev/options.hpp"
#include "chardev/stream.hpp"
#include <cerrno>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

namespace mimic::chardev {

namespace {

class Udp final : public Stream {
public:
    Udp(io::Loop& loop, std::string id, std::string name, int fd)
        : Stream(loop, std::move(id))
        , name_(std::move(name))
        , fd_(fd) {
        connect(fd, fd, {.datagrams = true});
    }
    ~Udp() override {
        drain();
        disconnect();
        close(fd_);
    }
    std::string filename() const override { return name_; }

private:
    std::string name_;
    int fd_;
};

struct Addresses {
    addrinfo* first = nullptr;
    Addresses() = default;
    Addresses(const Addresses&) = delete;
    ~Addresses() {
        if (first) freeaddrinfo(first);
    }
};

Result<void> resolve(const Options& o, const std::string& host, const std::string& port, int family, bool local,
                     Addresses& out) {
    addrinfo hints{};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_DGRAM;
    hints.ai_flags = local ? AI_PASSIVE : 0;
    int e = getaddrinfo(host.empty() ? nullptr : host.c_str(), port.c_str(), &hints, &out.first);
    if (e) return Error::invalid_argument("chardev '{}': '{}:{}': {}", o.id(), host, port, gai_strerror(e));
    return {};
}

} // namespace

Result<std::unique_ptr<Chardev>> open_udp(OpenContext& c, Options& o) {
    std::string host = o.text("host", "localhost"), port = o.text("port"), local_host = o.text("localaddr"),
                local_port = o.text("localport", "0");
    const bool ipv4 = o.flag("ipv4", true), ipv6 = o.flag("ipv6", true);
    TRY(o.finish());
    if (port.empty()) return Error::invalid_argument("chardev '{}': option 'port' is missing, expected a port", o.id());
    Addresses remote, local;
    TRY(resolve(o, host, port, !ipv6 ? AF_INET : !ipv4 ? AF_INET6 : AF_UNSPEC, false, remote));
    TRY(resolve(o, local_host, local_port, remote.first->ai_family, true, local));
    int fd = socket(remote.first->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return Error::from_errno(errno, "chardev '{}': socket", o.id());
    int why = 0;
    std::string what;
    if (bind(fd, local.first->ai_addr, local.first->ai_addrlen) < 0)
        why = errno, what = fmt::format("cannot bind to {}:{}", local_host, local_port);
    else if (connect(fd, remote.first->ai_addr, remote.first->ai_addrlen) < 0)
        why = errno, what = fmt::format("cannot send to {}:{}", host, port);
    if (why) {
        close(fd);
        return Error::from_errno(why, "chardev '{}': {}", o.id(), what);
    }
    std::string name = fmt::format("udp:{}:{}", host, port);
    if (!local_host.empty() || local_port != "0") name += fmt::format("@{}:{}", local_host, local_port);
    return std::unique_ptr<Chardev>(std::make_unique<Udp>(c.loop, o.id(), name, fd));
}

} // namespace mimic::chardev
