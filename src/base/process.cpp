#include "base/process.hpp"
#include "base/process_asm.hpp"
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>

namespace mimic::process {
namespace {

// The kernel's struct sigaction: glibc's wrapper refuses signals 32 and 33, which guests own too.
struct KernelAction {
    void* handler;
    u64 flags;
    void* restorer;
    u64 mask;
};
constexpr u64 sa_restorer = 0x04000000;

constexpr int fault_signals[] = {SIGSEGV, SIGBUS, SIGFPE};

// A registered range. `high` is written last and cleared first, so a handler that sees it sees the rest.
struct Entry {
    std::atomic<u64> low{0}, high{0};
    Redirect redirect = nullptr;
    void* owner = nullptr;
};

struct Registry {
    std::atomic<u32> used{0}; // entries ever used: how far a handler looks
    Entry entries[max_code_ranges];
    std::atomic<Hook> hooks[65];
    std::atomic<bool> installed{false};
    KernelAction previous[3] = {}; // of fault_signals
};

constinit Registry registry;
constinit std::mutex registry_lock;
constexpr std::string_view names[] = {"code ranges", "fault handlers", "signal hooks", "lock of the registry",
                                      "log sink and trace flags"};

int set_action(int signal, const KernelAction& action, KernelAction* old = nullptr) {
    return int(raw_syscall(SYS_rt_sigaction, u64(signal), u64(&action), u64(old), 8));
}

bool redirect_guarded(ucontext_t* context) {
    greg_t& pc = context->uc_mcontext.gregs[REG_RIP];
    if (u64(pc) < u64(mimic_guarded_begin) || u64(pc) >= u64(mimic_guarded_end)) return false;
    u64 base = u64(mimic_guarded_table);
    for (auto* row = mimic_guarded_table; (*row)[1] != 0; row++)
        if (u64(pc) >= base + u64((*row)[0]) && u64(pc) < base + u64((*row)[1])) {
            pc = greg_t(base + u64((*row)[2]));
            return true;
        }
    return false;
}

bool redirect_registered(int signal, siginfo_t* info, ucontext_t* context) {
    u64 pc = u64(context->uc_mcontext.gregs[REG_RIP]);
    u32 used = registry.used.load(std::memory_order_acquire);
    for (u32 i = 0; i < used; i++) {
        Entry& e = registry.entries[i];
        u64 high = e.high.load(std::memory_order_acquire);
        if (pc >= high || pc < e.low.load(std::memory_order_relaxed)) continue;
        // Bit 1 of the page-fault error code: a write (Intel SDM vol. 3, 4.7). Only trap 14 has an address.
        bool page_fault = context->uc_mcontext.gregs[REG_TRAPNO] == 14;
        bool write = page_fault && (context->uc_mcontext.gregs[REG_ERR] & 2);
        Fault fault{signal, pc, page_fault ? u64(info->si_addr) : 0, write, info, context};
        return e.redirect(e.owner, fault);
    }
    return false;
}

// What was there before us decides; without a handler the fault is fatal, as if we weren't here.
void chain(int signal, siginfo_t* info, void* context) {
    const KernelAction& old = registry.previous[std::ranges::find(fault_signals, signal) - fault_signals];
    if (old.handler == reinterpret_cast<void*>(SIG_DFL) || old.handler == reinterpret_cast<void*>(SIG_IGN)) {
        KernelAction fatal{};
        set_action(signal, fatal);
        return; // the instruction faults again
    }
    if (old.flags & SA_SIGINFO)
        reinterpret_cast<void (*)(int, siginfo_t*, void*)>(old.handler)(signal, info, context);
    else
        reinterpret_cast<void (*)(int)>(old.handler)(signal);
}

void on_fault(int signal, siginfo_t* info, void* context) {
    auto* uc = static_cast<ucontext_t*>(context);
    if (is_fault(*info, context) && (redirect_guarded(uc) || redirect_registered(signal, info, uc))) return;
    if (Hook hook = registry.hooks[signal].load(std::memory_order_acquire)) return hook(signal, info, context);
    chain(signal, info, context);
}

void on_any(int signal, siginfo_t* info, void* context) {
    if (Hook hook = registry.hooks[signal].load(std::memory_order_acquire)) hook(signal, info, context);
}

KernelAction action_for(void (*handler)(int, siginfo_t*, void*)) {
    return {reinterpret_cast<void*>(handler), SA_SIGINFO | SA_ONSTACK | SA_RESTART | sa_restorer,
            reinterpret_cast<void*>(mimic_signal_restorer), ~u64(0)};
}

bool is_fault_signal(int signal) { return std::ranges::find(fault_signals, signal) != std::end(fault_signals); }

constexpr u64 child_flags = SA_NOCLDSTOP | SA_NOCLDWAIT;
constexpr u64 signal_stack_bytes = 64 << 10, guard_bytes = 4096;

} // namespace

Result<void> register_code_range(const CodeRange& range) {
    install_fault_handlers();
    std::lock_guard guard(registry_lock);
    for (u32 i = 0; i < max_code_ranges; i++) {
        Entry& e = registry.entries[i];
        if (e.high.load(std::memory_order_relaxed) != 0) continue;
        e.redirect = range.redirect;
        e.owner = range.owner;
        e.low.store(u64(range.low), std::memory_order_relaxed);
        e.high.store(u64(range.high), std::memory_order_release);
        if (registry.used.load(std::memory_order_relaxed) <= i) registry.used.store(i + 1, std::memory_order_release);
        return {};
    }
    return Error::no_space("more than {} code ranges in this process", max_code_ranges);
}

void unregister_code_range(const void* low) {
    std::lock_guard guard(registry_lock);
    for (Entry& e : registry.entries)
        if (e.low.load(std::memory_order_relaxed) == u64(low)) {
            e.high.store(0, std::memory_order_release);
            e.low.store(0, std::memory_order_relaxed);
        }
}

bool is_fault(const siginfo_t& info, const void* context) {
    if (info.si_code <= 0) return false; // kill(2) and its like
    if (info.si_code > CLD_CONTINUED || info.si_addr == nullptr) return true;
    // The address of a fault is that of the access, which is in cr2, or of the instruction; a child's number is neither.
    auto& g = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs;
    return u64(info.si_addr) == u64(g[REG_CR2]) || u64(info.si_addr) == u64(g[REG_RIP]);
}

void install_fault_handlers() {
    if (registry.installed.load(std::memory_order_acquire)) return;
    std::lock_guard guard(registry_lock);
    if (registry.installed.load(std::memory_order_relaxed)) return;
    for (u32 n = 0; n < std::size(fault_signals); ++n)
        set_action(fault_signals[n], action_for(on_fault), &registry.previous[n]);
    registry.installed.store(true, std::memory_order_release);
}

SignalStack::SignalStack() {
    void* memory = mmap(nullptr, signal_stack_bytes + guard_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return; // handlers then run on the thread's own stack
    mprotect(memory, guard_bytes, PROT_NONE);
    stack_t stack{static_cast<u8*>(memory) + guard_bytes, 0, signal_stack_bytes};
    sigaltstack(&stack, nullptr);
    memory_ = memory;
}

SignalStack::~SignalStack() {
    if (!memory_) return;
    stack_t stack{nullptr, SS_DISABLE, 0};
    sigaltstack(&stack, nullptr);
    munmap(memory_, signal_stack_bytes + guard_bytes);
}

u64 guarded_copy(void* to, const void* from, u64 n) { return mimic_guarded_copy(to, from, n); }
// process_vm_writev(2), to ourselves.
void copy_to_new(std::span<const Copy> all) {
    iovec from[8], to[8];
    u64 count = 0, bytes = 0;
    for (const Copy& c : all) {
        if (count == std::size(from)) break;
        from[count] = {const_cast<void*>(c.from), c.bytes};
        to[count++] = {c.to, c.bytes};
        bytes += c.bytes;
    }
    const u64 pid = u64(raw_syscall(SYS_getpid));
    if (count == all.size() &&
        raw_syscall(SYS_process_vm_writev, pid, u64(from), count, u64(to), count, 0) == i64(bytes))
        return;
    for (const Copy& c : all) std::memcpy(c.to, c.from, c.bytes);
}
u64 guarded_zero(void* to, u64 n) { return mimic_guarded_zero(to, n); }
i64 guarded_strnlen(const char* address, u64 max) { return mimic_guarded_strnlen(address, max); }

bool guarded_load(const void* address, void* out, u32 bytes) {
    switch (bytes) {
    case 1: return mimic_guarded_load1(address, out) == 0;
    case 2: return mimic_guarded_load2(address, out) == 0;
    case 4: return mimic_guarded_load4(address, out) == 0;
    case 8: return mimic_guarded_load8(address, out) == 0;
    case 16: return mimic_guarded_load16(address, out) == 0;
    default: return mimic_guarded_copy(out, address, bytes) == 0;
    }
}

bool guarded_store(void* address, const void* in, u32 bytes) {
    switch (bytes) {
    case 1: return mimic_guarded_store1(address, in) == 0;
    case 2: return mimic_guarded_store2(address, in) == 0;
    case 4: return mimic_guarded_store4(address, in) == 0;
    case 8: return mimic_guarded_store8(address, in) == 0;
    case 16: return mimic_guarded_store16(address, in) == 0;
    default: return mimic_guarded_copy(address, in, bytes) == 0;
    }
}

bool guarded_cas(void* address, const void* expected, const void* desired, void* old, u32 bytes) {
    switch (bytes) {
    case 1: return mimic_guarded_cas1(address, expected, desired, old) == 0;
    case 2: return mimic_guarded_cas2(address, expected, desired, old) == 0;
    case 4: return mimic_guarded_cas4(address, expected, desired, old) == 0;
    case 8: return mimic_guarded_cas8(address, expected, desired, old) == 0;
    default: return mimic_guarded_cas16(address, expected, desired, old) == 0;
    }
}

i64 raw_syscall(long number, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
    register u64 r10 asm("r10") = d;
    register u64 r8 asm("r8") = e;
    register u64 r9 asm("r9") = f;
    i64 result;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    return result;
}

i64 interruptible_syscall(const u32* pending, long number, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f) {
    const u64 arguments[6] = {a, b, c, d, e, f};
    return mimic_interruptible_syscall(pending, number, arguments);
}

int on_signal(int signal, Hook hook, u64 flags) {
    if (signal < 1 || signal > 64) return -EINVAL;
    registry.hooks[signal].store(hook, std::memory_order_release);
    if (is_fault_signal(signal)) return install_fault_handlers(), 0;
    if (!hook) return set_default(signal);
    KernelAction action = action_for(on_any);
    action.flags |= flags & child_flags;
    return set_action(signal, action);
}

int set_default(int signal, u64 flags) {
    if (signal < 1 || signal > 64) return -EINVAL;
    if (is_fault_signal(signal) && registry.installed.load(std::memory_order_acquire)) {
        registry.hooks[signal].store(nullptr, std::memory_order_release);
        return 0;
    }
    return set_action(signal, {nullptr, flags & child_flags, nullptr, 0});
}

int leave_fpe_ignored(bool ignored) {
    KernelAction ignore{reinterpret_cast<void*>(SIG_IGN), 0, nullptr, 0};
    return set_action(SIGFPE, ignored ? ignore : action_for(on_fault));
}

int set_ignored(int signal) {
    if (signal < 1 || signal > 64) return -EINVAL;
    if (is_fault_signal(signal) && registry.installed.load(std::memory_order_acquire)) {
        registry.hooks[signal].store(nullptr, std::memory_order_release);
        return 0;
    }
    return set_action(signal, {reinterpret_cast<void*>(SIG_IGN), 0, nullptr, 0});
}

int set_fatal(int signal) { return set_action(signal, {}); }

bool leave_restart_window(void* context) {
    auto& g = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    greg_t& pc = g[REG_RIP];
    if (u64(pc) < u64(mimic_restart_begin) || u64(pc) > u64(mimic_restart_end)) return false;
    const bool entered = u64(pc) == u64(mimic_restart_end) && g[REG_RCX] != 0;
    pc = greg_t(u64(entered ? mimic_restart_again : mimic_restart_leave));
    return true;
}

void set_return_mask(void* context, u64 mask) {
    std::memcpy(&static_cast<ucontext_t*>(context)->uc_sigmask, &mask, sizeof mask);
}

u64 return_mask(const void* context) {
    u64 mask;
    std::memcpy(&mask, &static_cast<const ucontext_t*>(context)->uc_sigmask, sizeof mask);
    return mask;
}

std::span<const std::string_view> inventory() { return names; }

} // namespace mimic::process
