// -strace: a line a system call, as "PID name(arguments) = result", and one a signal.
#pragma once
#include "user/linux/table.hpp"
#include <csignal>
#include <vector>

namespace mimic::user {

// Makes the call by `handler` and prints it. Calls that don't come back (exit, exec) are printed before.
i64 strace_call(Thread& t, const Args& a, Handler handler);
i64 strace_arch_call(Thread& t, const Args& a, const ArchCall& arch);
// A call that a filter did not let through.
void strace_refused(Thread& t, const Args& a, i64 result);
void strace_unknown(Thread& t, const Args& a);
// An argument of a call as it is printed; `after` the call with its result, or before it.
std::string strace_argument(Thread& t, const Args& a, u32 n, i64 result, bool after);
// The strings of an ArgKind::vector, `most` at most; false: it can't be read to its end or to there.
bool read_strings(Thread& t, u64 address, size_t most, std::vector<std::string>& to);
// Ends a program, or puts another one in its place: nothing comes after the call.
bool does_not_return(const CallRow& row);
// A line of a call that was made: with its result, or without when it has none yet.
std::string strace_text(Thread& t, Args a, i64 result, bool done);
void strace_signal(Thread& t, int signal, const siginfo_t& info);

// "ENOENT" and the like; nullptr for a number without a name.
const char* errno_name(int number);
// "SIGINT"; real-time signals as SIGRT_n.
std::string signal_name(int number);

} // namespace mimic::user
