// Files of /proc that must tell the guest's story: what they hold, and which paths name them.
#pragma once
#include "user/linux/thread.hpp"
#include <optional>
#include <string>

namespace mimic::user {

// What /proc/PID/exe of this or another emulated process shall lead to; empty for every other path.
std::string proc_exe(Thread& t, const std::string& path);
// /proc/self/exe and its other names lead to the guest's program; every other path comes back as it is.
std::string redirect_proc(Thread& t, const std::string& path);
// The text of a file that we make up, or nothing when the host's is right.
std::optional<std::string> proc_text(Thread& t, const std::string& path);
// A path relative to a directory of /proc, made absolute where it may name one of those files; every other path as it is.
std::string proc_path(i64 directory, const std::string& path);

} // namespace mimic::user
