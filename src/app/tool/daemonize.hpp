// Programs in the background (-daemonize): the program goes on in a child that has no terminal. The parent leaves once the child is ready, so that who started
// it knows that sockets listen, or saw what was wrong.
#pragma once
#include "base/result.hpp"
#include <memory>

namespace mimic::tool {

class Background {
public:
    // Forks; before any thread is made. `option` is named in errors. Returns in the child only.
    static Result<std::unique_ptr<Background>> begin(std::string_view option);
    ~Background();
    Background(const Background&) = delete;
    // Leaves the terminal and lets the parent go.
    void ready();

private:
    explicit Background(int fd) : fd_(fd) {}
    int fd_; // of a pipe to the parent; -1: it has gone
};

} // namespace mimic::tool
