#include "user/linux/thread.hpp"
#include "ir/unit.hpp"
#include "user/debug/debugger.hpp"
#include "user/linux/table.hpp"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mimic::user {
namespace {

using process::raw_syscall;

// A thread that host signals find. Part of base/process's list of process-wide things in spirit: one a host thread.
constinit thread_local Thread* current = nullptr;

constexpr u32 max_same_faults = 1000;

} // namespace

Thread* current_thread() { return current; }
void set_current_thread(Thread* thread) { current = thread; }

Thread::Thread(Process& process, SignalTable& signals, std::unique_ptr<Vcpu> cpu)
    : process_(process)
    , signals_(signals)
    , cpu_(std::move(cpu)) {
    altstack = {0, SS_DISABLE, 0};
}

Thread::~Thread() {
    process_.part(this);
    if (current == this) current = nullptr;
    delete stack_;
}

void Thread::refresh_tid() { tid_ = int(raw_syscall(SYS_gettid)); }

int Process::keep(int fd) {
    if (fd < 0) return -errno;
    struct rlimit limit {};
    getrlimit(RLIMIT_NOFILE, &limit);
    int most = int(std::clamp<u64>(limit.rlim_cur, 32, 1024));
    int high = fcntl(fd, F_DUPFD_CLOEXEC, most - std::min(most / 2, int(kept.size()))), error = errno;
    close(fd);
    return high < 0 ? -error : keep_there(high);
}
int Process::keep_there(int fd) {
    int lowest = lowest_kept.load();
    while (fd < lowest && !lowest_kept.compare_exchange_weak(lowest, fd)) {}
    for (size_t n = kept_from_start; n < kept.size(); n++)
        if (int none = -1; kept[n].fd.compare_exchange_strong(none, fd)) return fd;
    return close(fd), -EMFILE;
}
void Process::keep_from_start(const std::array<int, kept_from_start>& fds) {
    for (u32 n = 0; n < kept_from_start; n++) {
        kept[n] = fds[n];
        if (fds[n] >= 0) lowest_kept = std::min(lowest_kept.load(), fds[n]);
        // The log may be opened by its name.
        const std::string link = "/proc/self/" + (n == 0 ? "exe" : "fd/" + std::to_string(fds[n]));
        struct stat st;
        if (n == 2 || (n > 0 && fds[n] < 0)) continue;
        if (stat(link.c_str(), &st) == 0) kept_files[n] = {st.st_dev, st.st_ino};
    }
}
void Process::forget(int fd) {
    for (KeptDescriptor& k : kept)
        if (int now = fd; k.fd.compare_exchange_strong(now, -1)) return;
}

void Thread::adopt() {
    refresh_tid();
    if (!stack_) stack_ = new process::SignalStack;
    current = this;
    process_.join(this);
}

void Process::join(Thread* t) {
    {
        std::lock_guard guard(members_lock);
        if (!dying) return members.push_back(t);
    }
    wait_for_death();
}
void Process::part(Thread* t) {
    {
        std::lock_guard guard(members_lock);
        if (!dying || t->borrowed) return void(std::erase(members, t));
    }
    wait_for_death();
}

std::vector<Thread::Recent> Thread::recent_calls() const {
    std::vector<Recent> all;
    for (u32 n = call_count_ < kept_calls ? 0 : call_count_ - kept_calls; n < call_count_; n++)
        all.push_back(calls_[n % kept_calls]);
    return all;
}

void wait_for_death() {
    if (Thread* t = current_thread(); t && t->process().debugger) t->process().debugger->stands_for_ever(*t);
    for (;;) raw_syscall(SYS_pause);
}

int Thread::run() {
    while (!leaving_) {
        if (pending_ != 0) deliver_signals();
        if (leaving_) break;
        // Whoever dies sets it before he kicks, so that one kick that was lost above does no harm.
        if (process_.dying.load() && !borrowed) [[unlikely]]
            wait_for_death();
        header().fp_traps = !(mask_ & fp_signal);
        if (process_.debugger) [[unlikely]] {
            if (!process_.debugger->run(*this)) continue;
        } else {
            cpu_->run();
        }
        handle_exit();
        if (process_.debugger) [[unlikely]]
            process_.debugger->ran(*this);
    }
    return exit_status_;
}

void Thread::handle_exit() {
    retries_ = false;
    switch (header().exit_kind) {
    case ir::ExitKind::trap: return on_trap();
    case ir::ExitKind::fault: return on_fault();
    default:
        cpu_->clear_kick();
        if (process_.dying.load(std::memory_order_relaxed) && !borrowed) wait_for_death();
    }
}

void Thread::on_trap() {
    auto kind = ir::TrapKind(header().exit_arg & 0xff);
    u64 detail = header().fault_address, pc = header().pc;
    switch (kind) {
    case ir::TrapKind::syscall: return on_system_call();
    case ir::TrapKind::breakpoint: return force_signal(SIGTRAP, TRAP_BRKPT, pc);
    case ir::TrapKind::misaligned_fetch: return force_signal(SIGBUS, BUS_ADRALN, detail);
    case ir::TrapKind::fetch_fault: {
        int p = memory().protection(pc);
        if (p >= 0 && p & prot::exec) return force_signal(SIGBUS, BUS_ADRERR, pc);
        return force_signal(SIGSEGV, p < 0 ? SEGV_MAPERR : SEGV_ACCERR, pc);
    }
    case ir::TrapKind::divide: return force_signal(SIGFPE, FPE_INTDIV, pc);
    case ir::TrapKind::overflow: return force_signal(SIGFPE, FPE_INTOVF, pc);
    case ir::TrapKind::fp: return force_signal(SIGFPE, FPE_FLTINV, pc);
    case ir::TrapKind::privileged: return force_signal(SIGILL, ILL_PRVOPC, pc);
    case ir::TrapKind::flush_code: {
        constexpr u64 line = 2048; // the largest that CTR_EL0 can tell
        u64 at = memory().untagged(detail) & ~(line - 1);
        return detail ? memory().flush_code(at, at + line) : memory().flush_code(0, memory().high());
    }
    case ir::TrapKind::wait: raw_syscall(SYS_sched_yield); return;
    default: return force_signal(SIGILL, detail == ir::illegal_operand ? ILL_ILLOPN : ILL_ILLOPC, pc);
    }
}

void Thread::on_fault() {
    u64 address = header().fault_address, pc = header().pc;
    ir::FaultKind kind = header().fault_kind;
    if (kind == ir::FaultKind::misaligned) return force_signal(SIGBUS, BUS_ADRALN, address);
    if (kind == ir::FaultKind::fetch) {
        int p = memory().protection(address);
        if (p >= 0 && p & prot::exec) return force_signal(SIGBUS, BUS_ADRERR, address);
        return force_signal(SIGSEGV, p < 0 ? SEGV_MAPERR : SEGV_ACCERR, address);
    }
    switch (memory().explain_fault(address, kind == ir::FaultKind::write)) {
    case AddressSpace::FaultResult::retry:
        // An access that faults for ever though nothing forbids it would hang the guest.
        same_faults_ = last_fault_[0] == pc && last_fault_[1] == address ? same_faults_ + 1 : 0;
        last_fault_[0] = pc, last_fault_[1] = address;
        retries_ = same_faults_ < max_same_faults;
        if (retries_) return;
        return force_signal(SIGSEGV, SEGV_ACCERR, address);
    case AddressSpace::FaultResult::no_mapping: return force_signal(SIGSEGV, SEGV_MAPERR, address);
    case AddressSpace::FaultResult::no_permission: return force_signal(SIGSEGV, SEGV_ACCERR, address);
    case AddressSpace::FaultResult::bus: return force_signal(SIGBUS, BUS_ADRERR, address);
    }
}

void Thread::on_system_call() {
    const RegisterMap& map = process_.map;
    Args a;
    a.number = get(map.number);
    for (u32 i = 0; i < 6; i++) a.v[i] = get(map.args[i]);
    header().pc += abi().syscall_bytes;
    if (process_.debugger) [[unlikely]]
        process_.debugger->calls(*this, a.number);
    Recent& kept = calls_[call_count_++ % kept_calls];
    kept.args = a;
    kept.done = false;
    i64 r = call(*this, a);
    kept.result = r;
    kept.done = true;
    if (r == -process::restart || r == -process::not_entered) {
        header().pc -= abi().syscall_bytes;
        restarting_ = r == -process::restart;
    } else if (r != keep_registers) {
        set(map.result, u64(r));
    }
    if (process_.debugger) [[unlikely]]
        process_.debugger->returned(*this, a.number);
}

bool Thread::read(S s, u64 address, void* host) {
    const Layout& l = abi().layout(s);
    u8 raw[max_struct];
    if (!memory().read(address, raw, size_of(l, abi().model))) return false;
    from_guest(l, abi().model, raw, host);
    return true;
}

bool Thread::write(S s, u64 address, const void* host) {
    const Layout& l = abi().layout(s);
    u8 raw[max_struct];
    to_guest(l, abi().model, host, raw);
    return memory().write(address, raw, size_of(l, abi().model));
}

bool Thread::read_word(u64 address, u64& value) { return read(S::ulong, address, &value); }

i64 Thread::path(u64 address, std::string& to) {
    constexpr u64 path_max = 4096;
    if (memory().read_string(address, to, path_max - 1))
        return process().keeps_any() && path_names_kept(process(), to) ? -ENOENT : 0;
    u8 byte;
    // Too long and unreadable look alike to read_string; the page after PATH_MAX bytes tells.
    if (address != 0 && memory().read(address, &byte, 1) && memory().read(address + path_max - 1, &byte, 1))
        return -ENAMETOOLONG;
    return -EFAULT;
}

// What the kernel does for a thread that ends: futex(2) and set_robust_list(2). A list that loops is cut off where the
// kernel cuts it (ROBUST_LIST_LIMIT).
void Thread::finish_thread() {
    process_.part(this);
    if (process_.debugger) process_.debugger->leave(*this);
    RobustListHead head{};
    auto release = [&](u64 entry) {
        u64 address = (entry & ~1ull) + head.offset;
        u32 word = 0;
        if (address % 4 != 0 || !memory().read(address, &word, 4)) return;
        u32 value = u32(load_int(reinterpret_cast<u8*>(&word), 4, abi().model.big));
        if ((value & FUTEX_TID_MASK) != u32(tid_)) return;
        u8 dead[4];
        store_int(dead, 4, abi().model.big, (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED);
        if (memory().write(address, dead, 4) && value & FUTEX_WAITERS)
            raw_syscall(SYS_futex, u64(memory().host(address)), FUTEX_WAKE, 1);
    };
    if (robust_list && read(S::robust_list_head, robust_list, &head)) {
        u64 entry = head.next;
        for (u32 n = 0; n < 2048 && entry != robust_list; n++) {
            u64 next;
            bool more = read_word(entry & ~1ull, next);
            if (entry != head.pending) release(entry);
            if (!more) break;
            entry = next;
        }
        if (head.pending) release(head.pending);
        raw_syscall(SYS_set_robust_list, 0, 24);
    }
    if (clear_child_tid) {
        u32 zero = 0;
        if (memory().write(clear_child_tid, &zero, 4))
            raw_syscall(SYS_futex, u64(memory().host(clear_child_tid)), FUTEX_WAKE, 1);
        clear_child_tid = 0;
    }
}

} // namespace mimic::user
