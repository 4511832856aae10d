// What is told when a signal ends a program: a report for people, a core file for gdb.
#pragma once
#include "user/linux/thread.hpp"
#include <string>

namespace mimic::user {

// Called by the thread that the signal ends, with all signals blocked, after Process::dying was set; a child that borrows
// memory speaks for itself alone. Writes the report to the log and the core file where the options and limits say so; the
// host then writes none of Mimic.
void tell_crash(Thread& t, int signal, const siginfo_t& info);

// The text. `core`: its last line, what became of the core file.
std::string crash_report(Thread& t, int signal, const siginfo_t& info, const std::string& core);

// Does the signal leave a core file by default (signal(7))?
bool dumps_core(int signal);

} // namespace mimic::user
