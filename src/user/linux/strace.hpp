// -strace: a line a system call, as "PID name(arguments) = result", and one a signal.
#pragma once
#include "user/linux/table.hpp"
#include <csignal>

namespace mimic::user {

// Makes the call by `handler` and prints it. Calls that don't come back (exit, exec) are printed before.
i64 strace_call(Thread& t, const Args& a, Handler handler);
i64 strace_arch_call(Thread& t, const Args& a, const ArchCall& arch);
// A call that a filter did not let through.
void strace_refused(Thread& t, const Args& a, i64 result);
void strace_unknown(Thread& t, const Args& a);
// A line of a call that was made: with its result, or without when it has none yet.
std::string strace_text(Thread& t, Args a, i64 result, bool done);
void strace_signal(Thread& t, int signal, const siginfo_t& info);

// "ENOENT" and the like; nullptr for a number without a name.
const char* errno_name(int number);
// "SIGINT"; real-time signals as SIGRT_n.
std::string signal_name(int number);

} // namespace mimic::user
