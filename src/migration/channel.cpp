#include "migration/channel.hpp"
#include "base/spawn.hpp"
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mimic::migration {

namespace {

bool take(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
}

template <class T>
bool number(std::string_view text, T& out) {
    int base = 10;
    if (take(text, "0x")) base = 16;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
    return error == std::errc() && end == text.data() + text.size();
}

Error cancelled() { return Error::cancelled("it was cancelled"); }

} // namespace

// ---- URIs -------------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<Channel>> Channel::make(std::string_view uri, Direction direction) {
    std::string_view rest = uri;
    std::unique_ptr<Channel> c;
    auto is = [&](std::string_view prefix, Kind kind) {
        if (!take(rest, prefix)) return false;
        c.reset(new Channel(kind, direction));
        c->path_ = rest;
        return true;
    };
    if (is("file:", Kind::file)) {
        TRY(c->parse_file(rest));
    } else if (is("tcp:", Kind::tcp)) {
        TRY(c->parse_tcp(rest));
    } else if (is("fd:", Kind::fd)) {
        if (!number(rest, c->fd_) || fcntl(c->fd_, F_GETFD) < 0) {
            c->fd_ = -1;
            return Error::invalid_argument("'{}': expected the number of an open file", uri);
        }
    } else if (is("unix:", Kind::unix_socket)) {
        if (rest.size() >= sizeof(sockaddr_un::sun_path))
            return Error::invalid_argument("'{}': the path is too long for a socket", uri);
    } else if (!is("exec:", Kind::exec)) {
        return Error::invalid_argument("'{}', expected file:PATH, exec:COMMAND, fd:NUMBER, unix:PATH or tcp:HOST:PORT",
                                       uri);
    }
    if (c->path_.empty()) return Error::invalid_argument("'{}': nothing stands behind the colon", uri);
    c->cancel_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->cancel_ < 0) return Error::from_errno(errno, "cannot make an event");
    return c;
}

Result<void> Channel::parse_file(std::string_view rest) {
    size_t comma = rest.rfind(",offset=");
    if (comma == std::string_view::npos) return {};
    path_ = rest.substr(0, comma);
    if (!number(rest.substr(comma + 8), offset_) || offset_ > u64(INT64_MAX))
        return Error::invalid_argument("'{}': expected offset=BYTES", rest);
    return {};
}

Result<void> Channel::parse_tcp(std::string_view rest) {
    size_t colon = rest.rfind(':');
    if (colon == std::string_view::npos || colon + 1 == rest.size())
        return Error::invalid_argument("'tcp:{}', expected tcp:HOST:PORT", rest);
    path_ = rest.substr(0, colon);
    port_ = rest.substr(colon + 1);
    if (path_.size() > 1 && path_.front() == '[' && path_.back() == ']') path_ = path_.substr(1, path_.size() - 2);
    if (path_.empty()) path_ = direction_ == Direction::in ? "0.0.0.0" : "localhost";
    return {};
}

Channel::~Channel() {
    if (fd_ >= 0) ::close(fd_);
    if (cancel_ >= 0) ::close(cancel_);
    if (child_ > 0) {
        kill(child_, SIGTERM);
        waitpid(child_, nullptr, 0);
    }
}

void Channel::cancel() { eventfd_write(cancel_, 1); }

// ---- opening ----------------------------------------------------------------------------------------------------------

Result<void> Channel::open() {
    switch (kind_) {
    case Kind::file: return open_file();
    case Kind::exec: TRY(open_program()); break;
    case Kind::fd: return {};
    case Kind::unix_socket: TRY(open_unix()); break;
    case Kind::tcp: TRY(open_tcp()); break;
    }
    fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK); // wait() waits
    return {};
}

Result<void> Channel::open_file() {
    // What lay in front of an offset is somebody's.
    int flags = direction_ == Direction::in ? O_RDONLY : O_WRONLY | O_CREAT | (offset_ ? 0 : O_TRUNC);
    fd_ = ::open(path_.c_str(), flags | O_CLOEXEC, 0600);
    if (fd_ < 0) return Error::from_errno(errno, "cannot open {}", path_);
    if (offset_ && lseek(fd_, off_t(offset_), SEEK_SET) < 0)
        return Error::from_errno(errno, "cannot go to byte {} of {}", offset_, path_);
    return {};
}

Result<void> Channel::open_program() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return Error::from_errno(errno, "cannot make a pipe");
    bool out = direction_ == Direction::out;
    fd_ = ends[out ? 1 : 0];
    int theirs = ends[out ? 0 : 1];
    const std::string words[] = {"/bin/sh", "-c", path_};
    auto child = spawn(words, out ? Streams{.in = theirs} : Streams{.out = theirs});
    ::close(theirs);
    child_ = TRY(std::move(child));
    return {};
}

Result<void> Channel::open_unix() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s < 0) return Error::from_errno(errno, "cannot make a socket");
    auto* at = reinterpret_cast<const sockaddr*>(&address);
    if (direction_ == Direction::out) {
        fd_ = s;
        if (connect(s, at, sizeof address) < 0) return Error::from_errno(errno, "cannot connect to {}", path_);
        return {};
    }
    unlink(path_.c_str());
    Result<void> taken;
    if (bind(s, at, sizeof address) < 0 || listen(s, 1) < 0)
        taken = Error::from_errno(errno, "cannot listen at {}", path_);
    else
        taken = accept_one(s);
    ::close(s);
    unlink(path_.c_str());
    return taken;
}

Result<void> Channel::open_tcp() {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = direction_ == Direction::in ? AI_PASSIVE : 0;
    if (int e = getaddrinfo(path_.c_str(), port_.c_str(), &hints, &found))
        return Error::not_found("{}:{}: {}", path_, port_, gai_strerror(e));
    Result<void> result = Error::not_found("{}:{} has no address", path_, port_);
    for (addrinfo* a = found; a; a = a->ai_next) {
        int s = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
        if (s < 0) continue;
        if (direction_ == Direction::out) {
            if (connect(s, a->ai_addr, a->ai_addrlen) == 0) {
                fd_ = s;
                result = {};
                break;
            }
            result = Error::from_errno(errno, "cannot connect to {}:{}", path_, port_);
        } else {
            setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
            if (bind(s, a->ai_addr, a->ai_addrlen) == 0 && listen(s, 1) == 0) {
                result = accept_one(s);
                ::close(s);
                break;
            }
            result = Error::from_errno(errno, "cannot listen at {}:{}", path_, port_);
        }
        ::close(s);
    }
    freeaddrinfo(found);
    return result;
}

Result<void> Channel::accept_one(int listener) {
    TRY(wait(listener, POLLIN));
    fd_ = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd_ < 0) return Error::from_errno(errno, "cannot take a connection");
    return {};
}

bool Channel::two_way() const {
    int type = 0;
    socklen_t size = sizeof type;
    return getsockopt(fd_, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

// ---- bytes ------------------------------------------------------------------------------------------------------------

// Until the file is ready or somebody cancels. Plain files always are.
Result<void> Channel::wait(int fd, short events) {
    for (;;) {
        pollfd p[2] = {{fd, events, 0}, {cancel_, POLLIN, 0}};
        if (poll(p, 2, -1) < 0) {
            if (errno == EINTR) continue;
            return Error::from_errno(errno, "cannot wait");
        }
        if (p[1].revents) return cancelled();
        if (p[0].revents) return {};
    }
}

Result<void> Channel::write(std::span<const u8> bytes) {
    while (!bytes.empty()) {
        TRY(wait(fd_, POLLOUT));
        // Somebody else's descriptor may block: a pipe that is ready has room for this much.
        size_t most = kind_ == Kind::fd ? 4096 : bytes.size();
        ssize_t n = ::write(fd_, bytes.data(), std::min(bytes.size(), most));
        if (n < 0) {
            if (errno == EINTR || errno == EAGAIN) continue;
            return Error::from_errno(errno, "cannot write behind byte {}", done_);
        }
        done_ += u64(n);
        bytes = bytes.subspan(size_t(n));
    }
    return {};
}

Result<void> Channel::read(std::span<u8> out) {
    while (!out.empty()) {
        TRY(wait(fd_, POLLIN));
        ssize_t n = ::read(fd_, out.data(), out.size());
        if (n < 0) {
            if (errno == EINTR || errno == EAGAIN) continue;
            return Error::from_errno(errno, "cannot read behind byte {}", done_);
        }
        if (n == 0) return Error::corrupt("ends after {} bytes, in the middle", done_);
        done_ += u64(n);
        out = out.subspan(size_t(n));
    }
    return {};
}

Result<void> Channel::close() {
    int fd = std::exchange(fd_, -1);
    if (kind_ == Kind::file && direction_ == Direction::out && fsync(fd) < 0) {
        int why = errno;
        ::close(fd);
        return Error::from_errno(why, "cannot write all of {}", path_);
    }
    if (fd >= 0 && ::close(fd) < 0) return Error::from_errno(errno, "cannot close {}", path_);
    if (child_ > 0) {
        int status = 0;
        waitpid(std::exchange(child_, -1), &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            return Error(ErrorKind::io, fmt::format("'{}' ended with status {}", path_,
                                                    WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)));
    }
    return {};
}

} // namespace mimic::migration
