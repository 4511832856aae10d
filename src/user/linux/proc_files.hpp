// Files of /proc that must tell the guest's story: what they hold, and which paths name them.
#pragma once
#include "user/linux/thread.hpp"
#include <optional>
#include <string>

namespace mimic::user {

// What /proc/PID/exe of this or another emulated process shall lead to, by whatever path from `directory` (a descriptor or
// AT_FDCWD) it is named; empty for every other path.
std::string proc_exe(Thread& t, i64 directory, const std::string& path);
// The path itself, or where it shall lead to.
std::string redirect_proc(Thread& t, i64 directory, const std::string& path);
// The text of a file that we make up, by its name without links; nothing when the host's is right.
std::optional<std::string> proc_text(Thread& t, const std::string& path);
// The same of what the kernel has opened: whatever path led to it, and with the kernel's word that it may be opened.
std::optional<std::string> proc_text(Thread& t, int fd);
// The text of a file that only the guest's architecture has.
std::optional<std::string> guest_file(Thread& t, const std::string& path);

} // namespace mimic::user
