// Programs that Mimic starts on the host.
#pragma once
#include "base/result.hpp"
#include <span>
#include <string>
#include <sys/types.h>

namespace mimic {

// What a program of the host has as standard input and output; -1: what Mimic has.
struct Streams {
    int in = -1, out = -1;
};

// Starts words[0], a path, with Mimic's environment and the signals of a fresh program: none blocked (they are in Mimic's
// threads), SIGPIPE ends it. The caller waits for the child (waitpid). Error: what posix_spawn gives, with words[0].
Result<pid_t> spawn(std::span<const std::string> words, Streams streams = {});

} // namespace mimic
