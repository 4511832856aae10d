// Delivery of signals: host handlers, masks, frames, default actions. signal(7), sigaction(2), sigaltstack(2).
#include "user/debug/crash.hpp"
#include "user/debug/debugger.hpp"
#include "user/linux/strace.hpp"
#include "user/linux/thread.hpp"
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace mimic::user {
namespace {

using process::raw_syscall;

u64 host_mask(u64 guest_mask) { return guest_mask & ~own_signals & ~unblockable; }

void set_host_mask(u64 mask) { raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, u64(&mask), 0, 8); }

// What signal(7) says of signals without a handler.
enum class Default { ignore, stop, terminate };
Default default_of(int signal) {
    switch (signal) {
    case SIGCHLD:
    case SIGCONT:
    case SIGURG:
    case SIGWINCH: return Default::ignore;
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU: return Default::stop;
    default: return Default::terminate;
    }
}

// Which member of the union a siginfo uses: the kernel's siginfo_layout, as sigaction(2) describes it.
S kind_of(const siginfo_t& info) {
    int code = info.si_code;
    if (code == SI_USER || code == SI_TKILL) return S::siginfo_kill;
    if (code == SI_TIMER) return S::siginfo_timer;
    if (code == SI_SIGIO) return S::siginfo_poll;
    if (code < 0) return S::siginfo_queue;
    if (code == SI_KERNEL) return S::siginfo_kill;
    switch (info.si_signo) {
    case SIGILL:
    case SIGFPE:
    case SIGSEGV:
    case SIGBUS:
    case SIGTRAP: return S::siginfo_fault;
    case SIGCHLD: return S::siginfo_child;
    case SIGPOLL: return S::siginfo_poll;
    case SIGSYS: return S::siginfo_sys;
    default: return S::siginfo_kill;
    }
}

constexpr u32 siginfo_bytes = 128;

// Signals that an instruction of the process causes when the kernel is their sender.
constexpr u64 instruction_signals = own_signals | fp_signal | 1ull << (SIGILL - 1);

char* hexadecimal(char* to, u64 v) {
    *to++ = '0', *to++ = 'x';
    for (int shift = 60; shift >= 0; shift -= 4) *to++ = "0123456789abcdef"[v >> shift & 15];
    return to;
}

// One line without the help of a C library that may be what broke, then the signal's own end.
void report_own_fault(Thread* thread, int signal, siginfo_t* info) {
    char line[160] = "mimic: internal fault, address ";
    char* at = hexadecimal(line + std::strlen(line), u64(info->si_addr));
    std::memcpy(at, ", guest pc ", 11);
    at = hexadecimal(at + 11, thread ? thread->header().pc : 0);
    *at++ = '\n';
    raw_syscall(SYS_write, 2, u64(line), u64(at - line));
    process::set_fatal(signal); // the instruction is executed again, and ends it
}

} // namespace

u32 siginfo_to_guest(const Abi& abi, const siginfo_t& info, u8* to) {
    std::memset(to, 0, siginfo_bytes);
    // Where host and guest agree byte for byte, rare members (si_addr_lsb, si_lower...) come along.
    if (abi.model == host_model)
        std::memcpy(to, &info, siginfo_bytes);
    else
        to_guest(abi.layout(kind_of(info)), abi.model, &info, to);
    return siginfo_bytes;
}

void siginfo_from_guest(const Abi& abi, const u8* from, siginfo_t& info) {
    if (abi.model == host_model) {
        std::memcpy(&info, from, siginfo_bytes);
        return;
    }
    from_guest(abi.layout(S::siginfo_head), abi.model, from, &info);
    S kind = kind_of(info);
    from_guest(abi.layout(kind), abi.model, from, &info);
}

void catch_guest_signal(int signal, u64 flags) { process::on_signal(signal, Thread::on_host_signal, flags); }

// Does its default action end the program here instead of in the kernel? A core file and a debugger want it.
static bool ends_with_us(int signal, bool debugged) {
    if (signal_bit(signal) & unblockable || default_of(signal) != Default::terminate) return false;
    // The first process of a namespace has no default actions: the kernel drops such signals (pid_namespaces(7)).
    return (debugged || dumps_core(signal)) && raw_syscall(SYS_getpid) != 1;
}

int set_host_disposition(int signal, const SigAction& action) {
    // These stay ours whatever the guest wants; delivery looks at its wish.
    if (signal_bit(signal) & (own_signals | fp_signal)) return catch_guest_signal(signal, 0), 0;
    if (action.handler == sa::ign) return process::set_ignored(signal);
    Thread* self = current_thread();
    if (action.handler == sa::dfl && ends_with_us(signal, self && self->process().debugger))
        return catch_guest_signal(signal, action.flags), 0;
    if (action.handler == sa::dfl) return process::set_default(signal, action.flags);
    return catch_guest_signal(signal, action.flags), 0;
}

void catch_fatal_signals(SignalTable& signals, bool debugged) {
    std::lock_guard guard(signals.lock);
    for (int signal = 1; signal <= 64; signal++)
        if (signals.actions[signal].handler == sa::dfl && ends_with_us(signal, debugged)) catch_guest_signal(signal, 0);
}

void release_fatal_signals(SignalTable& signals) {
    std::lock_guard guard(signals.lock);
    for (int signal = 1; signal <= 64; signal++)
        if (signals.actions[signal].handler == sa::dfl) set_host_disposition(signal, signals.actions[signal]);
}

void SignalTable::copy_to(SignalTable& other) {
    std::lock_guard guard(lock);
    std::copy(std::begin(actions), std::end(actions), std::begin(other.actions));
}

void SignalTable::reset_handlers() {
    std::lock_guard guard(lock);
    for (int signal = 1; signal <= 64; signal++) {
        SigAction& action = actions[signal];
        if (action.handler == sa::dfl || action.handler == sa::ign) continue;
        action = {};
        set_host_disposition(signal, action);
    }
}

// Runs with all signals blocked, at any instruction of ours or of translated code.
void Thread::on_host_signal(int signal, siginfo_t* info, void* context) {
    Thread* self = current_thread();
    // A fault of Mimic's own code: returning would meet it again for ever.
    if (signal_bit(signal) & instruction_signals && process::is_fault(*info, context))
        return report_own_fault(self, signal, info);
    if (!self) return;
    self->infos_[signal] = *info;
    self->arrived_.fetch_or(signal_bit(signal), std::memory_order_relaxed);
    __atomic_store_n(&self->pending_, 1u, __ATOMIC_SEQ_CST);
    self->cpu_->kick();
    // Further signals wait in the kernel, which queues and merges them as it should.
    process::set_return_mask(context, ~own_signals & (self->mask_ | ~fp_signal));
    process::leave_restart_window(context);
}

// But for faults: one of ours in the meantime, in memory that the guest named, would be the process's end.
u64 Thread::block_all() {
    u64 all = ~own_signals, old = 0;
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, u64(&all), u64(&old), 8);
    return old;
}
void Thread::unblock(u64 mask) { set_host_mask(mask); }

// With a signal recorded, delivery sets the host's mask afterwards; until then everything stays blocked, and the
// interruptible form makes sure of that whenever the signal comes.
void Thread::show_mask() {
    u64 mask = host_mask(mask_);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, 0, 8);
}

void Thread::set_mask(u64 mask) {
    mask_ = mask & ~unblockable;
    show_mask();
    if (arrived_.load(std::memory_order_relaxed) & ~mask_) pending_ = 1;
}

i64 Thread::write_own(int fd, const void* from, u64 bytes) {
    const u64 set = signal_bit(SIGXFSZ);
    u64 waiting = 0;
    process::raw_syscall(SYS_rt_sigpending, u64(&waiting), 8);
    waiting |= arrived_.load(std::memory_order_relaxed);
    i64 n = process::raw_syscall(SYS_write, u64(i64(fd)), u64(from), bytes);
    if (n != -EFBIG || waiting & set) return n; // the guest's own is there, which ours is the same as
    // It was sent to this thread: it came, or it is blocked and waits.
    const timespec now{};
    arrived_.fetch_and(~set, std::memory_order_relaxed);
    process::raw_syscall(SYS_rt_sigtimedwait, u64(&set), 0, u64(&now), 8);
    return n;
}

void Thread::suspend_mask(u64 mask) {
    saved_mask_ = mask_;
    mask_saved_ = true;
    mask_ = mask & ~unblockable;
    if (arrived_.load(std::memory_order_relaxed) & ~mask_) pending_ = 1; // what the host never blocks came before
}

void Thread::restore_mask() {
    if (!mask_saved_) return;
    mask_saved_ = false;
    mask_ = saved_mask_;
}

void Thread::deliver_signals() {
    for (;;) {
        __atomic_store_n(&pending_, 0u, __ATOMIC_SEQ_CST);
        cpu_->clear_kick();
        u64 ready = arrived_.load(std::memory_order_relaxed) & ~mask_;
        if (ready == 0) break;
        int signal = __builtin_ctzll(ready) + 1;
        siginfo_t info = infos_[signal];
        arrived_.fetch_and(~signal_bit(signal), std::memory_order_relaxed);
        deliver(signal, info);
    }
    restore_mask();
    restarting_ = false;
    show_mask(); // signals that waited arrive here, and set pending_ again
}

// What a debugger makes of it; false: nothing.
bool Thread::may_deliver(int& signal, siginfo_t& info) {
    if (process_.debugger) [[unlikely]]
        signal = process_.debugger->deliver(*this, signal, info);
    return signal != 0;
}

void Thread::deliver(int signal, siginfo_t info) {
    if (may_deliver(signal, info)) deliver_now(signal, info);
}

void Thread::deliver_now(int signal, const siginfo_t& info) {
    SigAction action;
    {
        std::lock_guard guard(signals_.lock);
        action = signals_.actions[signal];
        bool handled = action.handler != sa::dfl && action.handler != sa::ign;
        if (handled && action.flags & sa::resethand) {
            signals_.actions[signal].handler = sa::dfl;
            set_host_disposition(signal, signals_.actions[signal]);
        }
    }
    if (process_.options.strace) strace_signal(*this, signal, info);
    if (action.handler == sa::ign) return;
    if (action.handler == sa::dfl) return default_action(signal, info);
    if (!enter_handler(signal, action, info)) {
        // No room for the frame: SIGSEGV, and fatal when that was the signal.
        if (signal == SIGSEGV) die(SIGSEGV, info);
        force_signal(SIGSEGV, SI_KERNEL, 0);
    }
}

void Thread::default_action(int signal, const siginfo_t& info) {
    switch (default_of(signal)) {
    case Default::ignore: return;
    case Default::stop: raw_syscall(SYS_kill, u64(raw_syscall(SYS_getpid)), SIGSTOP); return;
    case Default::terminate:
        if (raw_syscall(SYS_getpid) == 1) return; // those that an instruction causes don't come this way
        die(signal, info);
    }
}

bool Thread::enter_handler(int signal, const SigAction& action, const siginfo_t& info) {
    if (restarting_) {
        restarting_ = false;
        // A wait that its own mask let be interrupted ends, whatever SA_RESTART says (ERESTARTNOHAND).
        if (mask_saved_ || !(action.flags & sa::restart)) {
            header().pc += abi().syscall_bytes;
            set(process_.map.result, u64(-EINTR));
        }
    }
    u8 guest_info[siginfo_bytes];
    FrameRequest request{};
    request.signal = signal;
    request.handler = action.handler;
    request.flags = action.flags;
    request.restorer = action.restorer;
    request.info = guest_info;
    request.info_bytes = siginfo_to_guest(abi(), info, guest_info);
    request.mask = mask_saved_ ? saved_mask_ : mask_;
    request.altstack = altstack;
    request.trampoline = process_.trampoline;
    request.fault_address = info.si_code > 0 && kind_of(info) == S::siginfo_fault ? u64(info.si_addr) : 0;
    request.sp = sp();
    bool nested = on_altstack(request.sp) && !(altstack.flags & SS_DISABLE);
    request.altstack.flags = altstack.flags | (nested ? SS_ONSTACK : 0);
    if (action.flags & sa::onstack && !nested && !(altstack.flags & SS_DISABLE))
        request.sp = altstack.sp + altstack.size;
    if (!abi().push_frame(memory(), process_.map, header(), request)) return false;
    if (altstack.flags & i32(1u << 31)) altstack = {0, SS_DISABLE, 0}; // SS_AUTODISARM
    mask_saved_ = false;
    mask_ |= action.mask;
    if (!(action.flags & sa::nodefer)) mask_ |= signal_bit(signal);
    mask_ &= ~unblockable;
    if (process_.debugger) [[unlikely]]
        process_.debugger->entered_handler(*this);
    return true;
}

i64 Thread::sigreturn() {
    FrameResult result{};
    if (!abi().pop_frame(memory(), process_.map, header(), result)) {
        force_signal(SIGSEGV, SI_KERNEL, 0);
        return keep_registers;
    }
    if (!on_altstack(sp()) || altstack.flags & SS_DISABLE) {
        altstack = result.altstack;
        altstack.flags &= ~SS_ONSTACK;
    }
    set_mask(result.mask);
    return keep_registers;
}

void Thread::force_signal(int signal, int code, u64 address) {
    siginfo_t info{};
    info.si_signo = signal;
    info.si_code = code;
    info.si_addr = reinterpret_cast<void*>(address);
    force_signal(info);
}

void Thread::force_signal(const siginfo_t& given) {
    siginfo_t info = given;
    const int wanted = info.si_signo;
    int signal = wanted;
    if (!may_deliver(signal, info)) return;
    if (signal != wanted) return deliver_now(signal, info);
    bool caught;
    {
        std::lock_guard guard(signals_.lock);
        SigAction& action = signals_.actions[signal];
        caught = action.handler != sa::dfl && action.handler != sa::ign && !(mask_ & signal_bit(signal));
        if (!caught) action.handler = sa::dfl;
    }
    if (!caught) {
        if (process_.options.strace) strace_signal(*this, signal, info);
        die(signal, info);
    }
    deliver_now(signal, info);
    show_mask();
}

// The process dies of the signal as a native one would: same status, and a core where the limits allow one.
void Thread::die(int signal, const siginfo_t& info) {
    block_all();
    set_host_mask(~own_signals); // but for what looking at memory may raise
    if (!borrowed && process_.dying.exchange(true)) wait_for_death();
    tell_crash(*this, signal, info);
    if (process_.debugger) process_.debugger->dies(*this, signal);
    process::set_fatal(signal);
    raw_syscall(SYS_tgkill, u64(raw_syscall(SYS_getpid)), u64(raw_syscall(SYS_gettid)), u64(signal));
    u64 only = ~signal_bit(signal);
    set_host_mask(only);
    raw_syscall(SYS_exit_group, u64(128 + signal)); // a signal whose default action doesn't kill
    __builtin_unreachable();
}

} // namespace mimic::user
