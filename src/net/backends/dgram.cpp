// A datagram a frame: to one other machine (UDP, unix sockets, a descriptor), or to all that have joined a multicast group.
//
// A member of a group sends by a socket of its own, so that it knows its frames when the group returns them: on a wire nobody
// hears himself. Over a descriptor of somebody else's they can't be told apart.
#include "net/backends/dgram.hpp"
#include "net/backends/packets.hpp"
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace mimic::net {

namespace {

struct Address {
    sockaddr_storage storage{};
    socklen_t length = 0;
    int family() const { return storage.ss_family; }
    sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
    const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
    const sockaddr_in& in() const { return reinterpret_cast<const sockaddr_in&>(storage); }
    bool multicast() const { return family() == AF_INET && IN_MULTICAST(ntohl(in().sin_addr.s_addr)); }
};

// `family`: AF_UNSPEC takes any.
Result<Address> resolve(std::string_view option, const io::SocketAddress& a, int family) {
    Address out;
    if (a.kind == io::SocketAddress::Kind::unix_path) {
        auto& un = reinterpret_cast<sockaddr_un&>(out.storage);
        if (a.path.empty() || a.path.size() >= sizeof un.sun_path)
            return bad_option(fmt::format("{}.path", option), a.path,
                              fmt::format("1 to {} bytes", sizeof un.sun_path - 1));
        un.sun_family = AF_UNIX;
        std::memcpy(un.sun_path, a.path.data(), a.path.size());
        out.length = sizeof un;
        if (a.path[0] == '@') {
            un.sun_path[0] = 0;
            out.length = socklen_t(offsetof(sockaddr_un, sun_path) + a.path.size());
        }
        return out;
    }
    addrinfo hints{}, *list = nullptr;
    hints.ai_family = family;
    hints.ai_socktype = SOCK_DGRAM;
    int e = getaddrinfo(a.host.c_str(), a.port.empty() ? nullptr : a.port.c_str(), &hints, &list);
    if (e) return bad_option(option, a.text(), fmt::format("an address ({})", gai_strerror(e)));
    std::memcpy(&out.storage, list->ai_addr, list->ai_addrlen);
    out.length = list->ai_addrlen;
    freeaddrinfo(list);
    return out;
}

class Descriptor {
public:
    explicit Descriptor(int fd = -1) : fd_(fd) {}
    Descriptor(Descriptor&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& o) noexcept {
        std::swap(fd_, o.fd_);
        return *this;
    }
    ~Descriptor() {
        if (fd_ >= 0) close(fd_);
    }
    int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }

private:
    int fd_;
};

Result<Descriptor> make_socket(int family) {
    Descriptor d(socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (d.get() < 0) return Error::from_errno(errno, "make a socket");
    return d;
}

class DatagramNet final : public PacketNet {
public:
    DatagramNet(io::Loop& loop, std::string id, DatagramSettings s)
        : PacketNet(loop, std::move(id))
        , s_(std::move(s)) {}
    ~DatagramNet() override {
        end();
        if (!remove_.empty()) unlink(remove_.c_str());
    }
    Result<void> open();

    std::string_view kind() const override { return s_.kind; }
    std::string info() const override { return s_.info; }

private:
    i64 read(std::span<u8> room) override;
    i64 write(std::span<const u8> frame) override;
    Result<void> join(Address group);
    Result<void> bind_to(const Address& local);

    DatagramSettings s_;
    std::optional<Address> to_;
    Descriptor sender_;         // of a group's member
    std::optional<Address> me_; // what its frames come from
    std::string remove_;
};

i64 DatagramNet::read(std::span<u8> room) {
    Address from;
    from.length = sizeof from.storage;
    ssize_t n = recvfrom(fd(), room.data(), room.size(), MSG_TRUNC, from.raw(), &from.length);
    if (n < 0) return -errno;
    bool mine = me_ && from.family() == AF_INET && from.in().sin_port == me_->in().sin_port &&
                from.in().sin_addr.s_addr == me_->in().sin_addr.s_addr;
    return mine ? 0 : n;
}

i64 DatagramNet::write(std::span<const u8> frame) {
    ssize_t n = 0;
    if (sender_.get() >= 0)
        n = ::send(sender_.get(), frame.data(), frame.size(), MSG_NOSIGNAL);
    else
        n = sendto(fd(), frame.data(), frame.size(), MSG_NOSIGNAL, to_ ? to_->raw() : nullptr, to_ ? to_->length : 0);
    return n < 0 ? -errno : n;
}

// RFC 1112. `local` names the interface by its address.
Result<void> DatagramNet::join(Address group) {
    in_addr interface {};
    if (s_.local) interface = TRY(resolve(s_.local_option, *s_.local, AF_INET)).in().sin_addr;
    Descriptor receiver = TRY(make_socket(AF_INET));
    sender_ = TRY(make_socket(AF_INET));
    int on = 1;
    setsockopt(receiver.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(receiver.get(), group.raw(), group.length) < 0)
        return Error::from_errno(errno, "cannot bind to {}", s_.remote->text());
    ip_mreq request{.imr_multiaddr = group.in().sin_addr, .imr_interface = interface};
    if (setsockopt(receiver.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) < 0)
        return Error::from_errno(errno, "cannot join the group {}", s_.remote->text());
    setsockopt(sender_.get(), IPPROTO_IP, IP_MULTICAST_LOOP, &on, sizeof on); // others on this host
    if (s_.local && setsockopt(sender_.get(), IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof interface) < 0)
        return Error::from_errno(errno, "cannot send from {}", s_.local->host);
    if (connect(sender_.get(), group.raw(), group.length) < 0)
        return Error::from_errno(errno, "cannot send to {}", s_.remote->text());
    me_.emplace();
    me_->length = sizeof me_->storage;
    getsockname(sender_.get(), me_->raw(), &me_->length);
    start(receiver.release());
    return {};
}

Result<void> DatagramNet::bind_to(const Address& local) {
    Descriptor d = TRY(make_socket(local.family()));
    const std::string& path = s_.local->path;
    const bool is_file = local.family() == AF_UNIX && path[0] != '@';
    if (is_file) {
        // A socket that nobody has open any more is in the way.
        struct stat st;
        if (stat(path.c_str(), &st) == 0 && S_ISSOCK(st.st_mode)) {
            Descriptor probe = TRY(make_socket(AF_UNIX));
            if (connect(probe.get(), local.raw(), local.length) < 0 && errno == ECONNREFUSED) unlink(path.c_str());
        }
    }
    if (bind(d.get(), local.raw(), local.length) < 0)
        return Error::from_errno(errno, "cannot bind to {}", s_.local->text());
    if (is_file) remove_ = path;
    start(d.release());
    return {};
}

Result<void> DatagramNet::open() {
    if (s_.local && s_.local->kind == io::SocketAddress::Kind::descriptor) {
        int type = 0;
        socklen_t length = sizeof type;
        const int given = s_.local->fd;
        if (getsockopt(given, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
            return Error::from_errno(errno, "descriptor {} is no socket", given);
        if (type != SOCK_DGRAM) return Error::invalid_argument("descriptor {} is no datagram socket", given);
        if (s_.remote) to_ = TRY(resolve(s_.remote_option, *s_.remote, AF_UNSPEC));
        start(given);
        return {};
    }
    if (!s_.remote)
        return Error::invalid_argument("option '{}' is missing, expected the other machine's address",
                                       s_.remote_option);
    Address remote = TRY(resolve(s_.remote_option, *s_.remote, AF_UNSPEC));
    if (s_.group && !remote.multicast())
        return bad_option(s_.remote_option, s_.remote->text(), "a group from 224.0.0.0 to 239.255.255.255");
    if (remote.multicast()) return join(remote);
    if (!s_.local)
        return Error::invalid_argument("option '{}' is missing, expected this machine's address", s_.local_option);
    Address local = TRY(resolve(s_.local_option, *s_.local, remote.family() == AF_UNIX ? AF_UNSPEC : remote.family()));
    if (local.family() != remote.family())
        return Error::invalid_argument("options '{}' and '{}' are of different kinds", s_.local_option,
                                       s_.remote_option);
    to_ = remote;
    return bind_to(local);
}

std::string text_of(const std::optional<io::SocketAddress>& a) {
    if (!a) return "-";
    switch (a->kind) {
    case io::SocketAddress::Kind::inet: return "udp:" + a->text();
    case io::SocketAddress::Kind::unix_path: return "unix:" + a->path;
    case io::SocketAddress::Kind::descriptor: break;
    }
    return fmt::format("fd:{}", a->fd);
}

} // namespace

Result<std::unique_ptr<BackEnd>> make_dgram(Context& context, const std::string& id, DatagramSettings settings) {
    if (settings.remote && settings.remote->kind == io::SocketAddress::Kind::descriptor)
        return bad_option(fmt::format("{}.type", settings.remote_option), "fd", "inet or unix");
    auto net = std::make_unique<DatagramNet>(context.loop, id, std::move(settings));
    TRY(net->open());
    return std::unique_ptr<BackEnd>(std::move(net));
}

Result<std::unique_ptr<BackEnd>> open_dgram(Context& context, const std::string& id, Options& o) {
    DatagramSettings s{.kind = "dgram"};
    s.local = TRY(o.address("local"));
    s.remote = TRY(o.address("remote"));
    TRY(o.finish());
    s.info = fmt::format("local={},remote={}", text_of(s.local), text_of(s.remote));
    return make_dgram(context, id, std::move(s));
}

} // namespace mimic::net
