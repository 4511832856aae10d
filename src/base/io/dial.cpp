#include "base/io/dial.hpp"
#include "base/io/pool.hpp"
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

namespace mimic::io {

// ---- Pause ------------------------------------------------------------------------------------------------------------

Pause::~Pause() {
    watch_.reset();
    if (fd_ >= 0) ::close(fd_);
}

Task<bool> Pause::sleep(std::chrono::nanoseconds duration) {
    if (cancelled_) co_return false;
    if (fd_ < 0) fd_ = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd_ < 0) co_return false;
    if (!watch_) watch_ = std::make_unique<Watch>(loop_, fd_);
    const i64 ns = std::max<i64>(1, duration.count());
    itimerspec t{};
    t.it_value.tv_sec = ns / 1000000000;
    t.it_value.tv_nsec = ns % 1000000000;
    timerfd_settime(fd_, 0, &t, nullptr);
    bool over = co_await watch_->readable();
    u64 expirations = 0;
    static_cast<void>(!::read(fd_, &expirations, sizeof expirations));
    co_return over && !cancelled_;
}

void Pause::cancel() {
    cancelled_ = true;
    if (watch_) watch_->cancel();
}

// ---- Dial -------------------------------------------------------------------------------------------------------------

void Dial::cancel() {
    cancelled_ = true;
    if (watch_) watch_->cancel();
}

// A descriptor or a negative errno.
Task<int> Dial::attempt(int family, const void* address, u32 length) {
    int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) co_return -errno;
    int why = ::connect(fd, static_cast<const sockaddr*>(address), length) == 0 ? 0 : errno;
    if (why == EINPROGRESS) {
        Watch watch(loop_, fd);
        watch_ = &watch;
        bool ready = co_await watch.writable();
        watch_ = nullptr;
        socklen_t size = sizeof why;
        if (!ready || cancelled_)
            why = ECANCELED;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size) < 0)
            why = errno;
    }
    if (why == 0) co_return fd;
    ::close(fd);
    co_return -why;
}

Task<Result<int>> Dial::connect(SocketAddress a) {
    if (cancelled_) co_return Error::from_errno(ECANCELED, "connect to {}", a.text());
    int fd = -EINVAL;
    if (a.kind == SocketAddress::Kind::descriptor) {
        int flags = fcntl(a.fd, F_GETFL);
        if (flags < 0) co_return Error::from_errno(errno, "{}", a.text());
        fcntl(a.fd, F_SETFL, flags | O_NONBLOCK);
        co_return a.fd;
    }
    if (a.kind == SocketAddress::Kind::unix_path) {
        sockaddr_un un{};
        un.sun_family = AF_UNIX;
        if (a.path.empty() || a.path.size() >= sizeof un.sun_path)
            co_return Error::invalid_argument("socket path '{}' has {} bytes, expected 1 to {}", a.path, a.path.size(),
                                              sizeof un.sun_path - 1);
        std::memcpy(un.sun_path, a.path.data(), a.path.size());
        u32 length = sizeof un;
        if (a.path[0] == '@') {
            un.sun_path[0] = 0;
            length = u32(offsetof(sockaddr_un, sun_path) + a.path.size());
        }
        fd = co_await attempt(AF_UNIX, &un, length);
    } else {
        addrinfo hints{}, *list = nullptr;
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = AI_NUMERICHOST;
        // Numbers are known at once; only names may have to be asked for.
        auto look_up = [&] {
            return getaddrinfo(a.host.empty() ? nullptr : a.host.c_str(), a.port.c_str(), &hints, &list);
        };
        int e = look_up();
        if (e == EAI_NONAME) {
            hints.ai_flags = 0;
            e = co_await loop_.blocking().run(loop_, look_up);
        }
        if (e)
            co_return Error::invalid_argument("address resolution failed for {}: {}", a.text(),
                                              e == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(e));
        for (addrinfo* at = list; at && fd < 0 && !cancelled_; at = at->ai_next)
            fd = co_await attempt(at->ai_family, at->ai_addr, at->ai_addrlen);
        freeaddrinfo(list);
    }
    if (cancelled_ && fd >= 0) ::close(fd);
    if (cancelled_) co_return Error::from_errno(ECANCELED, "connect to {}", a.text());
    if (fd < 0) co_return Error::from_errno(-fd, "Failed to connect to '{}'", a.text());
    co_return fd;
}

} // namespace mimic::io
