// Pause: a sleep that can be ended. Dial: attempts to connect that can be given up, however long the network would take.
//
//   Dial dial(loop);
//   CO_TRY(int fd, co_await dial.connect(address));    // elsewhere: dial.cancel()
#pragma once
#include "base/io/socket.hpp"
#include "base/io/watch.hpp"
#include <chrono>

namespace mimic::io {

class Pause {
public:
    explicit Pause(Loop& loop) : loop_(loop) {}
    ~Pause();
    Pause(const Pause&) = delete;

    // True: the time is over; false: cancelled, or the host has no timers left. One at a time.
    Task<bool> sleep(std::chrono::nanoseconds duration);
    // This sleep and all later ones.
    void cancel();

private:
    Loop& loop_;
    int fd_ = -1;
    std::unique_ptr<Watch> watch_;
    bool cancelled_ = false;
};

class Dial {
public:
    explicit Dial(Loop& loop) : loop_(loop) {}
    Dial(const Dial&) = delete;

    // A connected, non-blocking stream socket, which is the caller's. One attempt at a time. Errors name the address; `cancelled`
    // after cancel(). Names that have to be looked up are not given up before the look-up ends.
    Task<Result<int>> connect(SocketAddress address);
    // This attempt and all later ones.
    void cancel();

private:
    Task<int> attempt(int family, const void* address, u32 length);
    Loop& loop_;
    Watch* watch_ = nullptr; // of the attempt under way
    bool cancelled_ = false;
};

} // namespace mimic::io
