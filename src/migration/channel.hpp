// Where a saved machine goes to or comes from: a stream of bytes to a file, a program or a socket, named by a migration URI.
//
//   auto c = TRY(Channel::make("tcp:127.0.0.1:4444", Channel::Direction::out));
//   TRY(c->open());                    // blocks, as all below: on a thread of its own
//   TRY(c->write(bytes)); TRY(c->close());
//
// URIs (QEMU QMP reference, MigrationAddress): file:PATH[,offset=N], exec:COMMAND, fd:NUMBER, unix:PATH, tcp:HOST:PORT. Going
// out, sockets connect; coming in, they listen, and one peer is taken.
#pragma once
#include "base/result.hpp"
#include <memory>
#include <span>
#include <sys/types.h>

namespace mimic::migration {

class Channel {
public:
    enum class Direction : u8 { out, in };
    // What is wrong with the URI is an error at once; nothing is opened yet.
    static Result<std::unique_ptr<Channel>> make(std::string_view uri, Direction direction);
    ~Channel();
    Channel(const Channel&) = delete;

    Result<void> open();
    Result<void> write(std::span<const u8> bytes);
    // All of `out`; fewer bytes are an error.
    Result<void> read(std::span<u8> out);
    // Once open: can the other side answer?
    bool two_way() const;
    // The end of what goes out; the program of exec: must end well.
    Result<void> close();
    // Any thread: what blocks, now and later, ends with an error.
    void cancel();

private:
    enum class Kind : u8 { file, exec, fd, unix_socket, tcp };
    Channel(Kind kind, Direction direction) : kind_(kind), direction_(direction) {}
    Result<void> parse_file(std::string_view rest);
    Result<void> parse_tcp(std::string_view rest);
    Result<void> open_file();
    Result<void> open_program();
    Result<void> open_unix();
    Result<void> open_tcp();
    Result<void> accept_one(int listener);
    Result<void> wait(int fd, short events);

    Kind kind_;
    Direction direction_;
    std::string path_, port_; // of tcp, path_ is the host
    u64 offset_ = 0, done_ = 0;
    int fd_ = -1, cancel_ = -1;
    pid_t child_ = -1;
};

} // namespace mimic::migration
