// --trace=syscall --json: what -strace logs, one JSON object a line (docs/user-mode.md has its members).
#pragma once
#include "user/linux/strace.hpp"

namespace mimic::user {

// As strace_call and strace_arch_call.
i64 json_call(Thread& t, const Args& a, Handler handler);
i64 json_arch_call(Thread& t, const Args& a, const ArchCall& arch);
// A call that was not made: by_filter, or because its number is unknown.
void json_result(Thread& t, const Args& a, i64 result, bool by_filter);
void json_signal(Thread& t, int signal, const siginfo_t& info);

} // namespace mimic::user
