// PacketNet: a back end over a descriptor that keeps frames apart (datagram sockets, tap): one read or write is a frame.
#pragma once
#include "base/io/dial.hpp"
#include "base/io/scope.hpp"
#include "net/backends/backends.hpp"

namespace mimic::net {

class PacketNet : public BackEnd {
public:
    PacketNet(io::Loop& loop, std::string id);
    ~PacketNet() override;

protected:
    // Takes the descriptor over, and begins.
    void start(int fd);
    // Nothing is read or written any more, and the descriptor is closed. Destructors of derived classes call it first.
    void end();
    int fd() const { return fd_; }
    // Both give bytes or a negative errno, and never wait. What read gives beyond the room is a frame that was too long.
    virtual i64 read(std::span<u8> room) = 0;
    virtual i64 write(std::span<const u8> frame) = 0;
    // Bytes in front of a frame.
    virtual u32 header() const { return 0; }

private:
    void transmit(std::span<const u8> frame) final;
    bool can_transmit() final { return stuck_.empty(); }
    void taken() final { room_.wake_all(); }
    io::Task<Result<void>> read_loop();
    io::Task<Result<void>> write_loop();

    int fd_ = -1;
    std::unique_ptr<io::Watch> watch_;
    io::Pause pause_;
    io::WaitList room_, output_;
    io::Scope tasks_;
    Frame stuck_; // the host has no room for it yet
    bool closing_ = false;
};

} // namespace mimic::net
