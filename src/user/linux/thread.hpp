// A guest process and its threads: the loop that runs guest code, takes system calls and delivers signals.
//
// One host thread runs one guest thread, so ids, masks, priorities and affinities are the host's own. The host's signal
// mask is the guest's (SIGSEGV and SIGBUS excepted, which Mimic needs itself), so pending signals, sigwait and signalfd
// work in the kernel. A host handler records one signal, blocks all others and makes the thread leave guest code; the
// loop then builds the guest's frame.
#pragma once
#include "base/process.hpp"
#include "user/engine.hpp"
#include "user/linux/abi.hpp"
#include "user/linux/credentials.hpp"
#include "user/linux/paths.hpp"
#include "user/linux/seccomp.hpp"
#include <algorithm>
#include <array>
#include <atomic>
#include <climits>
#include <csignal>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace mimic::user {

struct CallRow;
struct Tracee;
class Debugger;
class Owners;

// Arguments of a system call as the guest's registers hold them.
struct Args {
    u64 v[6] = {};
    u64 number = 0;
    const CallRow* row = nullptr;
    u64 operator[](u32 n) const { return v[n]; }
    i32 i(u32 n) const { return i32(v[n]); }
    u32 u(u32 n) const { return u32(v[n]); }
};

// What a handler returns when the guest's registers are already as they shall be (sigreturn, a new program).
inline constexpr i64 keep_registers = -(1 << 20);

struct RunOptions {
    std::string sysroot;                       // -L
    std::string cpu_model;                     // -cpu
    std::string uname_release;                 // -r
    bool strace = false, strace_brief = false; // brief: without the data that calls move
    bool strace_json = false;                  // --json
    // When a signal ends the program: a report if an instruction caused it, always, or never.
    enum class Crash : u8 { faults, always, never } crash = Crash::faults;
    int log = 2;                       // where strace lines and crash reports go
    u64 log_file[2] = {};              // which file that was at the start: device and inode
    u64 stack_size = 0;                // -s; 0: RLIMIT_STACK
    std::vector<std::string> relaunch; // our own path and the options that a child gets when it executes a program
};

// Guest dispositions; shared by the threads of a process, copied at fork.
struct SignalTable {
    std::mutex lock;
    SigAction actions[65] = {};

    void copy_to(SignalTable& other);
    // Handlers become the default action, here and on the host (exec, CLONE_CLEAR_SIGHAND).
    void reset_handlers();
};

// A descriptor of ours that the program may not close; -1: none. A debugger changes it while the program looks.
struct KeptDescriptor {
    std::atomic<int> fd{-1};
    operator int() const { return fd.load(std::memory_order_relaxed); }
    void operator=(int n) { fd.store(n, std::memory_order_relaxed); }
};

// Limits that would hit Mimic's own memory instead of the guest's are kept by us: RLIMIT_AS, RLIMIT_DATA, {soft, hard} each.
struct OwnLimits {
    u64 v[2][2] = {{~0ull, ~0ull}, {~0ull, ~0ull}};
    static int index(int resource); // -1: the kernel's to keep
    void from_kernel();             // what Mimic was started with
    std::string text() const;       // the value of -limits
    bool parse(std::string_view text);
};

// What all threads of a process share.
struct Process {
    const Abi& abi;
    RunOptions options;
    AddressSpace& memory;
    Engine& engine;
    RegisterMap map;
    Paths paths;
    std::string exe;                    // the guest's path of the program: /proc/self/exe
    std::vector<std::string> arguments; // for /proc/self/cmdline
    std::vector<u8> auxv;
    bool same_model = false;                  // structures are laid out as on the host
    std::array<bool, struct_count> same = {}; // the same, one by one
    u64 stack_start = 0;
    u64 trampoline = 0;
    std::atomic<u32> threads{1};
    Owners* owners = nullptr; // pretended owners and devices; nullptr: the kernel's are told
    bool pretends = false;    // owners and ids are among what is pretended
    // Our own descriptors: Mimic's file, the database of owners, the log and the cache of translated code where they came with
    // the program, then a debugger's.
    static constexpr u32 kept_from_start = 4;
    std::array<KeptDescriptor, 64> kept;
    std::atomic<int> lowest_kept{INT_MAX};
    void keep_from_start(const std::array<int, kept_from_start>& fds);
    // The files of Mimic, the database and the cache: {device, inode} each; 0, 0: none.
    std::array<std::pair<u64, u64>, kept_from_start> kept_files = {};
    u64 home = 0; // device of the root's files
    bool pretends_ids() const { return pretends; }
    bool keeps_any() const { return lowest_kept.load(std::memory_order_relaxed) != INT_MAX; }
    bool keeps(int fd) const {
        return fd >= lowest_kept.load(std::memory_order_relaxed) &&
               std::find(kept.begin(), kept.end(), fd) != kept.end();
    }
    // First parts of absolute paths, a bit each by their hash, that lead out of the root's mount now and then; all once the root may be
    // another one, or is /proc. The last: it was asked what the root is. See open_near.
    std::atomic<u64> far_paths{0};
    // Makes a descriptor ours, under a number that the program does not expect; it is closed at exec. -errno: it was closed.
    int keep(int fd);
    int keep_there(int fd); // under its number
    void forget(int fd);
    Debugger* debugger = nullptr; // null: none was asked for
    // Its threads, for whoever must look at all of them.
    std::mutex members_lock;
    std::vector<Thread*> members;
    // Neither returns once the process dies: who looks at the others then may keep them.
    void join(Thread* t);
    void part(Thread* t);
    std::atomic<bool> dying{false}; // no thread runs guest code any more, but for the one that dies
    std::mutex aio_lock;
    std::map<u64, u64> aio; // contexts of io_setup: the guest's name, the kernel's
    std::mutex limits_lock;
    OwnLimits limits;
};

class Thread {
public:
    Thread(Process& process, SignalTable& signals, std::unique_ptr<Vcpu> cpu);
    ~Thread();
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;

    Process& process() { return process_; }
    const Abi& abi() const { return process_.abi; }
    AddressSpace& memory() { return process_.memory; }
    SignalTable& signals() { return signals_; }
    Vcpu& cpu() { return *cpu_; }
    ir::CpuHeader& header() { return cpu_->header(); }
    int tid() const { return tid_; }

    // The host thread that calls becomes this guest thread: signals find it from here on.
    void adopt();
    // Runs until the thread exits; returns its exit status.
    int run();
    // Makes run() return after the current system call.
    void leave(int status) { leaving_ = true, exit_status_ = status; }

    // ---- registers ----
    u64 get(u32 offset) { return reg(header(), offset); }
    void set(u32 offset, u64 value) { reg(header(), offset) = value; }
    u64 sp() { return get(process_.map.sp); }

    // ---- system calls ----
    // A call to the host's kernel that a signal may interrupt: result or -errno; -process::restart when it must be
    // made again after the signal, if its handler has SA_RESTART; -process::not_entered, whatever it has.
    template <class... A>
    i64 syscall(long number, A... a) {
        host_calls++;
        return process::interruptible_syscall(&pending_, number, u64(a)...);
    }
    // A host pointer to guest memory that the kernel reads or writes; nullptr when the range is not the guest's.
    void* reading(u64 address, u64 length) {
        return memory().in_range(address, length) ? memory().host(address) : nullptr;
    }
    void* writing(u64 address, u64 length) {
        if (!memory().in_range(address, length)) return nullptr;
        memory().prepare_write(address, length);
        return memory().host(address);
    }
    // Structures: false when the guest has no access there.
    bool read(S s, u64 address, void* host);
    bool write(S s, u64 address, const void* host);
    template <class T>
    bool read_array(S s, u64 address, std::vector<T>& to, u64 count);
    // A path argument: 0 or -errno.
    i64 path(u64 address, std::string& to);
    // A pointer-sized word.
    bool read_word(u64 address, u64& value);
    u64 word_bytes() const { return abi().model.long_bytes; }

    u64 host_calls = 0;      // made so far: tells whether a handler came to one
    Credentials credentials; // where ids are pretended
    SeccompState seccomp;
    std::optional<OwnLimits> limits; // of a borrowed one that set some

    // ---- signals ----
    u64 mask() const { return mask_; }
    // Sets the guest's mask, and the host's with it.
    void set_mask(u64 mask);
    // The mask of a new thread, whose host thread sets its own.
    void inherit_mask(u64 mask) { mask_ = mask; }
    // Until the next delivery the mask is `mask`; handlers then restore the present one (sigsuspend, ppoll...).
    void suspend_mask(u64 mask);
    // Undoes suspend_mask when no handler ran.
    void restore_mask();
    // Signals that arrived but are blocked here in software.
    u64 held_signals() const { return arrived_.load(std::memory_order_relaxed) & mask_; }
    SigStack altstack; // flags: SS_DISABLE, SS_AUTODISARM
    bool on_altstack(u64 sp) const { return sp - altstack.sp - 1 < altstack.size; }
    // A write of our own to a file: that RLIMIT_FSIZE forbids it is none of the program's business.
    i64 write_own(int fd, const void* from, u64 bytes);
    // The last system calls, the newest last.
    struct Recent {
        Args args;
        i64 result = 0;
        bool done = false;
    };
    std::vector<Recent> recent_calls() const;
    // A signal that the current instruction caused.
    void force_signal(int signal, int code, u64 address);
    void force_signal(const siginfo_t& info);
    // The process ends by the signal, whatever it wants to make of it.
    [[noreturn]] void die(int signal, const siginfo_t& info);
    i64 sigreturn();
    // Blocks everything that is not ours on the host while a thread or process is made; returns what unblock_all takes.
    static u64 block_all();
    static void unblock(u64 host_mask);

    // ---- death ----
    bool borrowed = false; // a vfork child: counts as no thread of the process whose memory it uses
    u64 clear_child_tid = 0;
    u64 robust_list = 0;
    void finish_thread(); // robust futexes, clear_child_tid
    void refresh_tid();

    // ---- debuggers
    Tracee* tracee = nullptr; // null: nobody may debug it
    void deliver_now(int signal, const siginfo_t& info);
    void handle_exit();                       // of cpu().run()
    bool retries() const { return retries_; } // the last one was a fault that is gone: the access is to be made again

    u32 pending_ = 0; // non-zero: deliver signals before entering the kernel or guest code

private:
    static void on_host_signal(int signal, siginfo_t* info, void* context);
    friend void catch_guest_signal(int signal, u64 flags);
    void on_trap();
    void on_fault();
    void on_system_call();
    void deliver_signals();
    void show_mask();
    void deliver(int signal, siginfo_t info);
    bool may_deliver(int& signal, siginfo_t& info);
    void default_action(int signal, const siginfo_t& info);
    bool enter_handler(int signal, const SigAction& action, const siginfo_t& info);

    Process& process_;
    SignalTable& signals_;
    std::unique_ptr<Vcpu> cpu_;
    int tid_ = 0;
    bool leaving_ = false, retries_ = false;
    int exit_status_ = 0;
    bool restarting_ = false; // pc stands at a call that must be made again
    u64 mask_ = 0;
    u64 saved_mask_ = 0;
    bool mask_saved_ = false;
    std::atomic<u64> arrived_{0}; // bit n-1: infos_[n] is waiting
    u64 last_fault_[2] = {};
    u32 same_faults_ = 0;
    siginfo_t infos_[65];
    static constexpr u32 kept_calls = 8; // a power of two
    Recent calls_[kept_calls];
    u32 call_count_ = 0;
    process::SignalStack* stack_ = nullptr;
};

// For a thread of a process that dies by another.
[[noreturn]] void wait_for_death();
// A path by a link of /proc to a descriptor of ours.
bool path_names_kept(const Process& p, const std::string& path);

// The guest thread that this host thread runs, or nullptr.
Thread* current_thread();
void set_current_thread(Thread* thread);

// The host's disposition for a guest's: caught by us, default or ignored. `flags`: the guest's sa_flags.
void catch_guest_signal(int signal, u64 flags);
int set_host_disposition(int signal, const SigAction& action);
// Signals without a handler that would leave a core file, or with a debugger end the process, come to us first.
void catch_fatal_signals(SignalTable& signals, bool debugged);
// In the first process of a new namespace, which none of them ends.
void release_fatal_signals(SignalTable& signals);
// siginfo in the guest's layout; returns its size (128 on every ABI).
u32 siginfo_to_guest(const Abi& abi, const siginfo_t& info, u8* to);
void siginfo_from_guest(const Abi& abi, const u8* from, siginfo_t& info);

inline u64 signal_bit(int signal) { return 1ull << (signal - 1); }
// Signals whose host handler is always ours.
inline constexpr u64 own_signals = 1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1);
// How the host tells code of FP exceptions, which it lets trap only while the guest does not block the signal.
inline constexpr u64 fp_signal = 1ull << (SIGFPE - 1);
inline constexpr u64 unblockable = 1ull << (SIGKILL - 1) | 1ull << (SIGSTOP - 1);

namespace sa {
inline constexpr u64 nocldstop = 1, nocldwait = 2, siginfo = 4, onstack = 0x08000000, restart = 0x10000000,
                     nodefer = 0x40000000, resethand = 0x80000000;
inline constexpr u64 dfl = 0, ign = 1;
} // namespace sa

template <class T>
bool Thread::read_array(S s, u64 address, std::vector<T>& to, u64 count) {
    const Layout& l = abi().layout(s);
    u64 bytes = size_of(l, abi().model);
    std::vector<u8> raw(size_t(bytes * count));
    if (!memory().read(address, raw.data(), raw.size())) return false;
    to.resize(size_t(count));
    for (size_t i = 0; i < count; i++) from_guest(l, abi().model, raw.data() + i * bytes, &to[i]);
    return true;
}

} // namespace mimic::user
