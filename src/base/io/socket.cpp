#include "base/io/socket.hpp"
#include "base/io/engine.hpp"
#include "base/io/pool.hpp"
#include "base/io/watch.hpp"
#include <cerrno>
#include <climits>
#include <cstring>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace mimic::io {

// How requests reach the kernel: one of the two is there.
struct SocketWays {
    FileEngine* ring = nullptr;
    std::optional<Watch> watch;
    SocketWays(Loop& loop, int fd) {
        if (auto engine = loop.engine(Aio::io_uring); engine && (*engine)->has_sockets()) {
            ring = *engine;
            // The ring would give requests on a descriptor that doesn't wait back at once, again and again.
            fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
            return;
        }
        // Shared with whoever gave us the descriptor, like every flag of the open file.
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        watch.emplace(loop, fd);
    }
};
struct Socket::Ways : SocketWays {
    using SocketWays::SocketWays;
};
struct Listener::Ways : SocketWays {
    using SocketWays::SocketWays;
};

namespace {

constexpr size_t most_vectors = IOV_MAX;

bool again(i64 n) { return n == -EINTR || n == -EAGAIN || n == -EWOULDBLOCK; }

// Drops `n` bytes from the front.
std::span<iovec> drop_front(std::span<iovec> vectors, size_t n) {
    while (!vectors.empty() && n >= vectors[0].iov_len) {
        n -= vectors[0].iov_len;
        vectors = vectors.subspan(1);
    }
    if (n) {
        vectors[0].iov_base = static_cast<u8*>(vectors[0].iov_base) + n;
        vectors[0].iov_len -= n;
    }
    return vectors;
}

struct AddressList {
    addrinfo* first = nullptr;
    std::string error;
    ~AddressList() {
        if (first) freeaddrinfo(first);
    }
};

void resolve(AddressList& list, const SocketAddress& a, bool passive) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = passive ? AI_PASSIVE : 0;
    int e = getaddrinfo(a.host.empty() ? nullptr : a.host.c_str(), a.port.empty() ? nullptr : a.port.c_str(), &hints,
                        &list.first);
    if (e) list.error = e == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(e);
}

Result<socklen_t> unix_address(const std::string& path, sockaddr_un& out) {
    out.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof out.sun_path)
        return Error::invalid_argument("socket path '{}' has {} bytes, expected 1 to {}", path, path.size(),
                                       sizeof out.sun_path - 1);
    std::memcpy(out.sun_path, path.c_str(), path.size() + 1);
    if (path[0] != '@') return socklen_t(sizeof out);
    out.sun_path[0] = 0;
    return socklen_t(offsetof(sockaddr_un, sun_path) + path.size());
}

// What a blocking thread does: gives a descriptor or a negative errno.
int connect_blocking(const SocketAddress& a, std::string& error) {
    auto attempt = [](int family, const sockaddr* address, socklen_t length) {
        int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) return -errno;
        int r = 0;
        do r = ::connect(fd, address, length);
        while (r < 0 && errno == EINTR);
        if (r == 0) return fd;
        int e = errno;
        ::close(fd);
        return -e;
    };
    if (a.kind == SocketAddress::Kind::unix_path) {
        sockaddr_un un{};
        auto length = unix_address(a.path, un);
        if (!length) {
            error = length.error().message();
            return -EINVAL;
        }
        return attempt(AF_UNIX, reinterpret_cast<sockaddr*>(&un), *length);
    }
    AddressList list;
    resolve(list, a, false);
    if (!list.error.empty()) {
        error = fmt::format("address resolution failed for {}: {}", a.text(), list.error);
        return -EINVAL;
    }
    int fd = -EINVAL;
    for (addrinfo* at = list.first; at && fd < 0; at = at->ai_next)
        fd = attempt(at->ai_family, at->ai_addr, at->ai_addrlen);
    return fd;
}

// True if a socket is there that nobody listens on.
bool is_stale(const sockaddr_un& un, socklen_t length) {
    struct stat st;
    if (un.sun_path[0] == 0 || stat(un.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode)) return false;
    int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    bool refused = ::connect(fd, reinterpret_cast<const sockaddr*>(&un), length) < 0 && errno == ECONNREFUSED;
    ::close(fd);
    return refused;
}

Result<int> listen_unix(const std::string& path, int backlog) {
    sockaddr_un un{};
    socklen_t length = TRY(unix_address(path, un));
    if (is_stale(un, length)) unlink(un.sun_path);
    int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return Error::from_errno(errno, "create a socket");
    if (::bind(fd, reinterpret_cast<sockaddr*>(&un), length) < 0 || ::listen(fd, backlog) < 0) {
        int e = errno;
        ::close(fd);
        return Error::from_errno(e, "Failed to bind socket to {}", path);
    }
    return fd;
}

Result<int> listen_inet(const SocketAddress& a, int backlog) {
    AddressList list;
    resolve(list, a, true);
    if (!list.error.empty())
        return Error::invalid_argument("address resolution failed for {}: {}", a.text(), list.error);
    int e = EADDRNOTAVAIL;
    for (addrinfo* at = list.first; at; at = at->ai_next) {
        int fd = ::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
        if (fd < 0) continue;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (::bind(fd, at->ai_addr, at->ai_addrlen) == 0 && ::listen(fd, backlog) == 0) return fd;
        e = errno;
        ::close(fd);
    }
    return Error::from_errno(e, "Failed to bind socket to {}", a.text());
}

} // namespace

std::string SocketAddress::text() const {
    if (kind == Kind::unix_path) return path;
    if (kind == Kind::descriptor) return fmt::format("descriptor {}", fd);
    return fmt::format("{}:{}", host, port);
}

Result<std::unique_ptr<Socket>> Socket::adopt(Loop& loop, int fd) {
    int type = 0;
    socklen_t length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0)
        return Error::from_errno(errno, "descriptor {} is no socket", fd);
    if (type != SOCK_STREAM) return Error::invalid_argument("descriptor {} is no stream socket", fd);
    // Replies are sent whole; waiting for more only delays them. Not TCP: nothing to set.
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return std::unique_ptr<Socket>(new Socket(loop, fd));
}

Socket::Socket(Loop& loop, int fd) : fd_(fd), ways_(std::make_unique<Ways>(loop, fd)) {}
Socket::~Socket() {
    ways_.reset();
    ::close(fd_);
}

void Socket::shut() { ::shutdown(fd_, SHUT_RDWR); }

Task<Result<size_t>> Socket::receive(void* data, size_t length) {
    iovec one{data, length};
    for (;;) {
        i64 n = 0;
        if (ways_->ring) {
            FileRequest request{.op = FileOp::receive, .fd = fd_, .vectors = &one, .count = 1};
            n = co_await ways_->ring->perform(request);
        } else {
            n = ::readv(fd_, &one, 1);
            if (n < 0) n = -errno;
            if (again(n) && n != -EINTR) co_await ways_->watch->readable();
        }
        if (n >= 0) co_return size_t(n);
        if (!again(n)) co_return Error::from_errno(int(-n), "receive");
    }
}

Task<Result<void>> Socket::send(std::span<iovec> vectors) {
    vectors = drop_front(vectors, 0);
    while (!vectors.empty()) {
        auto count = unsigned(std::min(vectors.size(), most_vectors));
        i64 n = 0;
        if (ways_->ring) {
            // Mostly there is room in the socket; then a detour through the ring costs more than the call.
            msghdr message{};
            message.msg_iov = vectors.data();
            message.msg_iovlen = count;
            n = ::sendmsg(fd_, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n > 0) {
                vectors = drop_front(vectors, size_t(n));
                continue;
            }
            // A pending error is told once.
            if (n < 0 && !again(-errno)) co_return Error::from_errno(errno, "send");
            FileRequest request{.op = FileOp::send, .fd = fd_, .vectors = vectors.data(), .count = count};
            n = co_await ways_->ring->perform(request);
        } else {
            msghdr message{};
            message.msg_iov = vectors.data();
            message.msg_iovlen = count;
            n = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
            if (n < 0) n = -errno;
            if (again(n) && n != -EINTR) co_await ways_->watch->writable();
        }
        if (n < 0 && !again(n)) co_return Error::from_errno(int(-n), "send");
        if (n > 0) vectors = drop_front(vectors, size_t(n));
    }
    co_return Result<void>();
}

Task<Result<std::unique_ptr<Socket>>> connect(Loop& loop, SocketAddress address) {
    if (address.kind == SocketAddress::Kind::descriptor) co_return Socket::adopt(loop, address.fd);
    std::string error;
    auto work = [&] { return connect_blocking(address, error); };
    int fd = co_await loop.blocking().run(loop, work);
    if (fd < 0 && !error.empty()) co_return Error::invalid_argument("{}", error);
    if (fd < 0) co_return Error::from_errno(-fd, "Failed to connect to '{}'", address.text());
    co_return Socket::adopt(loop, fd);
}

Listener::Listener(Loop& loop, int fd, std::string remove)
    : loop_(loop)
    , fd_(fd)
    , remove_(std::move(remove))
    , ways_(std::make_unique<Ways>(loop, fd)) {}

Listener::~Listener() {
    ways_.reset();
    ::close(fd_);
    if (!remove_.empty()) unlink(remove_.c_str());
}

Result<std::unique_ptr<Listener>> Listener::create(Loop& loop, const SocketAddress& address, int backlog) {
    int fd = address.fd;
    std::string remove;
    if (address.kind == SocketAddress::Kind::descriptor) {
        int listening = 0;
        socklen_t length = sizeof listening;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &length) < 0 || !listening)
            return Error::invalid_argument("descriptor {} is no listening socket", fd);
    } else if (address.kind == SocketAddress::Kind::unix_path) {
        fd = TRY(listen_unix(address.path, backlog));
        if (address.path[0] != '@') remove = address.path;
    } else {
        fd = TRY(listen_inet(address, backlog));
    }
    return std::unique_ptr<Listener>(new Listener(loop, fd, std::move(remove)));
}

Task<Result<std::unique_ptr<Socket>>> Listener::accept() {
    while (!stopped_) {
        i64 n = 0;
        if (ways_->ring) {
            FileRequest request{.op = FileOp::accept, .fd = fd_};
            n = co_await ways_->ring->perform(request);
        } else {
            n = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
            if (n < 0) n = -errno;
            if (again(n) && n != -EINTR) co_await ways_->watch->readable();
        }
        if (n >= 0) co_return Socket::adopt(loop_, int(n));
        // The peer gave up before we came to it.
        if (!again(n) && n != -ECONNABORTED && !stopped_) co_return Error::from_errno(int(-n), "accept a connection");
    }
    co_return Error::cancelled("the listener was stopped");
}

void Listener::stop() {
    stopped_ = true;
    ::shutdown(fd_, SHUT_RDWR);
    if (ways_->watch) ways_->watch->cancel();
}

u16 Listener::port() const {
    sockaddr_storage at{};
    socklen_t length = sizeof at;
    if (getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &length) < 0) return 0;
    if (at.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in*>(&at)->sin_port);
    if (at.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6*>(&at)->sin6_port);
    return 0;
}

} // namespace mimic::io
