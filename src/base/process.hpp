// What a process has only one of: fault and signal handlers, the registry of code ranges, raw system calls.
//
// Everything of Mimic that must be process-wide lives here and is listed by inventory(); the rest of the tree has no
// mutable globals. Handlers are installed on first need and pass on what is not theirs.
//
//   process::register_code_range({low, high, redirect, cache});        // faults between low and high go to redirect
//   if (process::guarded_copy(to, from, n) != 0) return -EFAULT;       // a copy that may fault
//   i64 r = process::interruptible_syscall(&pending, SYS_read, fd, p, n);
#pragma once
#include "base/result.hpp"
#include "base/types.hpp"
#include <csignal>
#include <cstring>
#include <span>
#include <string_view>

namespace mimic::process {

// ---- faults -----------------------------------------------------------------------------------------------------

// A SIGSEGV, SIGBUS or SIGFPE while `pc` was executed. A redirector changes `context` so that execution goes on elsewhere.
struct Fault {
    int signal;
    u64 pc;
    u64 address; // si_addr; 0 when the host doesn't tell (a non-canonical address)
    bool write;  // the access was a store
    siginfo_t* info;
    void* context; // ucontext_t
};
// Runs in a signal handler: async-signal-safe code only. Returns false to pass the fault on.
using Redirect = bool (*)(void* owner, Fault& fault);

struct CodeRange {
    const void* low = nullptr;
    const void* high = nullptr;
    Redirect redirect = nullptr;
    void* owner = nullptr;
};
inline constexpr u32 max_code_ranges = 256;

// Faults at pcs in [low, high) go to the redirector from now on; installs the fault handlers on first use. Fails when
// max_code_ranges are registered. The range must be removed before its memory is reused, while no thread runs in it.
Result<void> register_code_range(const CodeRange& range);
void unregister_code_range(const void* low);

// Installs the handlers of SIGSEGV, SIGBUS and SIGFPE; what they don't redirect goes to the hook of on_signal or, failing that, to
// the handlers that were there before. Idempotent.
void install_fault_handlers();

// Is a signal that the kernel sent the fault of the instruction under it? A child's end may be told by any signal (clone(2)),
// with codes, CLD_*, that are numbered as those of faults. For handlers.
bool is_fault(const siginfo_t& info, const void* context);

// Gives the calling thread an alternate signal stack for its lifetime. Threads that run guest code need one.
class SignalStack {
public:
    SignalStack();
    ~SignalStack();
    SignalStack(const SignalStack&) = delete;
    SignalStack& operator=(const SignalStack&) = delete;

private:
    void* memory_ = nullptr;
};

// ---- guarded accesses -------------------------------------------------------------------------------------------
// Accesses to memory that may not be there. They install the fault handlers' part they need through
// install_fault_handlers(), which the caller has called once.

// Copies n bytes; returns how many at the end were not copied (0: all).
u64 guarded_copy(void* to, const void* from, u64 n);
// Copies to memory that is there, but whose pages may not have been touched yet: by one call of the kernel, where that is allowed,
// which takes less than a fault for each page. At most 8.
struct Copy {
    void* to;
    const void* from;
    u64 bytes;
};
void copy_to_new(std::span<const Copy> all);
// Sets n bytes to zero; returns how many were not set.
u64 guarded_zero(void* to, u64 n);
// One access of 1, 2, 4, 8 or 16 bytes, single-copy atomic where aligned. False: it faulted, nothing was done.
bool guarded_load(const void* address, void* out, u32 bytes);
bool guarded_store(void* address, const void* in, u32 bytes);
// If the bytes at address equal `expected`, stores `desired`, atomically; `old` gets what was there.
bool guarded_cas(void* address, const void* expected, const void* desired, void* old, u32 bytes);
// Length of the string at address, or -1 when a fault comes before its end, or `max` when there is no end by then.
i64 guarded_strnlen(const char* address, u64 max);
// value := update(value), atomically; `old` gets the former value. bytes: 1, 2, 4, 8.
template <class Update>
bool guarded_rmw(void* address, u64& old, u32 bytes, Update update) {
    u64 expected = 0, seen = 0;
    if (!guarded_load(address, &expected, bytes)) return false;
    for (;;) {
        u64 desired = update(expected);
        if (!guarded_cas(address, &expected, &desired, &seen, bytes)) return false;
        if (std::memcmp(&seen, &expected, bytes) == 0) break;
        std::memcpy(&expected, &seen, bytes);
    }
    old = expected;
    return true;
}

// ---- system calls -----------------------------------------------------------------------------------------------

// The system call `number`; returns its result or -errno. Never touches errno.
i64 raw_syscall(long number, u64 a = 0, u64 b = 0, u64 c = 0, u64 d = 0, u64 e = 0, u64 f = 0);

// As raw_syscall, unless *pending is non-zero when the kernel would be entered: then it returns -not_entered. A signal
// handler that sets *pending and calls leave_restart_window closes the race between the check and the call. Calls that the
// kernel would restart (ERESTARTSYS) give -restart when the handler has SA_RESTART.
i64 interruptible_syscall(const u32* pending, long number, u64 a = 0, u64 b = 0, u64 c = 0, u64 d = 0, u64 e = 0,
                          u64 f = 0);
// The kernel's own ERESTARTSYS and ERESTARTNOINTR, which user space never sees.
inline constexpr i64 restart = 512, not_entered = 513;
constexpr bool is_made_again(i64 result) { return result == -restart || result == -not_entered; }

// ---- signals ----------------------------------------------------------------------------------------------------

using Hook = void (*)(int signal, siginfo_t* info, void* context);

// Calls hook for the signal (1..64), with all signals blocked, on the alternate stack, with SA_RESTART. For SIGSEGV,
// SIGBUS and SIGFPE it gets what no code range redirected. nullptr: no hook for them any more. `flags`: SA_NOCLDSTOP and
// SA_NOCLDWAIT, which only the kernel can honour. -errno on failure.
int on_signal(int signal, Hook hook, u64 flags = 0);
// Sets the disposition to SIG_DFL or SIG_IGN. SIGSEGV, SIGBUS and SIGFPE keep their handler, and lose the hook.
int set_default(int signal, u64 flags = 0);
int set_ignored(int signal);
// What a program executed next will inherit of SIGFPE while its handler stays ours otherwise: that it is ignored.
int leave_fpe_ignored(bool ignored);
// Sets SIG_DFL even for those: the process is about to die of it.
int set_fatal(int signal);

// Called by a hook: if the thread was interrupted in the restart window of interruptible_syscall, it will return
// -not_entered, or -restart where the kernel was about to make the call again. Returns whether it was.
bool leave_restart_window(void* context);
// What sigprocmask will be when the handler returns.
void set_return_mask(void* context, u64 mask);
u64 return_mask(const void* context);

// Names of the process-wide things that live here, for the test that lists them.
std::span<const std::string_view> inventory();

} // namespace mimic::process
