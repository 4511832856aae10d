// Watch: waits until a descriptor (socket, terminal, pipe, timerfd) can be read or written.
#pragma once
#include "base/io/loop.hpp"

namespace mimic::io {

class Watch {
public:
    // Does not own `fd`, which must outlive the watch and be pollable (not a plain file).
    Watch(Loop& loop, int fd);
    ~Watch();
    Watch(const Watch&) = delete;

    // True: ready (or in error, or hung up: the next read or write tells). False: cancelled. One waiter each.
    Task<bool> readable();
    Task<bool> writable();
    // Those that wait get false.
    void cancel();

private:
    struct Impl;
    Task<bool> wait(bool write);
    std::unique_ptr<Impl> impl_;
};

} // namespace mimic::io
