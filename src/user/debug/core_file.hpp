// Core files of guest programs as Linux writes them. core(5); System V ABI, chapter 5; linux/elfcore.h, linux/elf.h.
#pragma once
#include "base/result.hpp"
#include "user/linux/thread.hpp"
#include <string>

namespace mimic::user {

// Writes the file that the kernel would write of the guest's process, with its threads as they stand (`t` first), to the
// working directory, under the name mimic_PROGRAM_YYYYMMDD-HHMMSS_PID.core; returns the name. What of memory is in it says
// /proc/self/coredump_filter; it is cut off at RLIMIT_CORE, `limit` bytes. Errors name the file.
Result<std::string> write_core(Thread& t, const std::vector<Thread*>& threads, int signal, const siginfo_t& info,
                               u64 limit);

} // namespace mimic::user
