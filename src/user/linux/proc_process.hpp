// Texts of /proc/self and its threads (/proc/self/task/TID): the kernel's, with the guest's addresses, sizes, signals, ids
// and filters in the place of Mimic's. proc(5).
#pragma once
#include "user/linux/thread.hpp"
#include <optional>
#include <string>
#include <string_view>

namespace mimic::user {

// A file of this process or of one of its threads.
struct OwnEntry {
    std::string name; // "maps"
    i32 tid = 0;      // of the thread whose directory it is in; 0: the process's
};
// What `path` names: /proc/self/NAME, /proc/thread-self/NAME, /proc/PID/NAME and their task/TID/NAME; else nothing.
std::optional<OwnEntry> own_entry(Thread& t, std::string_view path);
// Its text; nothing where the kernel's is right, or there is no such file.
std::optional<std::string> own_text(Thread& t, const OwnEntry& entry);

// A file of the host as a whole; empty when it can't be read.
std::string read_host(const std::string& path);

} // namespace mimic::user
