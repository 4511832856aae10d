#include "base/spawn.hpp"
#include <csignal>
#include <spawn.h>
#include <unistd.h>
#include <vector>

namespace mimic {

Result<pid_t> spawn(std::span<const std::string> words, Streams streams) {
    sigset_t none, usual;
    sigemptyset(&none), sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    posix_spawnattr_t how;
    posix_spawnattr_init(&how);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &usual);
    posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    if (streams.in >= 0) posix_spawn_file_actions_adddup2(&files, streams.in, STDIN_FILENO);
    if (streams.out >= 0) posix_spawn_file_actions_adddup2(&files, streams.out, STDOUT_FILENO);
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str())); // it isn't written to
    arguments.push_back(nullptr);
    pid_t child = -1;
    const int why = posix_spawn(&child, arguments[0], &files, &how, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&how);
    if (why) return Error::from_errno(why, "cannot run {}", words[0]);
    return child;
}

} // namespace mimic
