// Socket: a connected stream socket for coroutines. Listener: accepts them. Both go through io_uring where the host has it,
// so that a turn of the loop costs one system call for files and sockets together; else through epoll.
//
//   CO_TRY(auto socket, co_await connect(loop, address));
//   CO_TRY(size_t n, co_await socket->receive(memory, sizeof memory));    // 0: the peer has closed
#pragma once
#include "base/io/task.hpp"
#include "base/types.hpp"
#include <memory>
#include <span>
#include <string>
#include <sys/uio.h>

namespace mimic::io {

class Loop;

class Socket {
public:
    // Takes over a connected descriptor of a stream socket.
    static Result<std::unique_ptr<Socket>> adopt(Loop& loop, int fd);
    ~Socket();
    Socket(const Socket&) = delete;

    // At least one byte, or 0 when the peer has closed. One task at a time. The memory stays until the task ends.
    Task<Result<size_t>> receive(void* data, size_t length);
    // All bytes. One task at a time; the vectors are changed.
    Task<Result<void>> send(std::span<iovec> vectors);
    // Ends what is under way, from any place of the loop: receive gives 0, send an error.
    void shut();
    int fd() const { return fd_; }

private:
    struct Ways;
    Socket(Loop& loop, int fd);
    int fd_;
    std::unique_ptr<Ways> ways_;
};

// Where a socket is: inet (host and port), unix (path; a leading '@' is Linux's abstract name space), or a descriptor.
struct SocketAddress {
    enum class Kind : u8 { inet, unix_path, descriptor } kind = Kind::unix_path;
    std::string host, port; // port: a number or a service's name
    std::string path;
    int fd = -1;
    // "host:port" or the path.
    std::string text() const;
};

// Errors name the address. Names are resolved on a thread that may block.
Task<Result<std::unique_ptr<Socket>>> connect(Loop& loop, SocketAddress address);

class Listener {
public:
    // Binds and listens. A unix path that no one listens on any more is taken over; it is removed with the listener.
    static Result<std::unique_ptr<Listener>> create(Loop& loop, const SocketAddress& address, int backlog);
    ~Listener();
    Listener(const Listener&) = delete;

    // The next connection. Errors: cancelled after stop().
    Task<Result<std::unique_ptr<Socket>>> accept();
    void stop();
    int fd() const { return fd_; }
    // The bound port of inet; 0 elsewhere.
    u16 port() const;

private:
    struct Ways;
    Listener(Loop& loop, int fd, std::string remove);
    Loop& loop_;
    int fd_;
    bool stopped_ = false;
    std::string remove_;
    std::unique_ptr<Ways> ways_;
};

} // namespace mimic::io
