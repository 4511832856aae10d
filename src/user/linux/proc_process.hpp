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
    std::string directory; // "/proc/12/"
    std::string name;      // "maps"
    i32 tid = 0;           // of the thread whose directory it is in; 0: the process's
};
// What `path` is, a name without links: PID/NAME or PID/task/TID/NAME below a place where proc is mounted; PID may be a
// thread's. Nothing: another one's.
std::optional<OwnEntry> own_entry(std::string_view path);
// Its text; nothing where the kernel's is right.
std::optional<std::string> own_text(Thread& t, const OwnEntry& entry);

// A file of the host as a whole; empty when it can't be read. No child that another thread forks gets its descriptor:
// members_lock must be free.
std::string read_host(Thread& t, const std::string& path);

} // namespace mimic::user
