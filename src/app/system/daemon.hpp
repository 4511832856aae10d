// -daemonize: the program goes on in a child that has no terminal. The parent leaves once the child is ready, so that who started
// it knows that sockets listen, or saw what was wrong.
#pragma once
#include "base/result.hpp"
#include <memory>

namespace mimic::app {

class Daemon {
public:
    // Forks; before any thread is made. Returns in the child only.
    static Result<std::unique_ptr<Daemon>> begin();
    ~Daemon();
    Daemon(const Daemon&) = delete;
    // Leaves the terminal and lets the parent go.
    void ready();

private:
    explicit Daemon(int fd) : fd_(fd) {}
    int fd_; // of a pipe to the parent; -1: it has gone
};

} // namespace mimic::app
