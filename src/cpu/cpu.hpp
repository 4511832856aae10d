// vCPUs and the code they share.
//
//   auto space = TRY(cpu::CodeSpace::create(guest, source, options));   // one an address space
//   cpu::Cpu cpu(*space, access);                                      // one a vCPU; used by one thread at a time
//   cpu.header().pc = entry;
//   cpu.run();                                                         // until it must leave: header().exit_kind
#pragma once
#include "base/result.hpp"
#include "ir/interpreter.hpp"
#include "isa/guest.hpp"
#include <atomic>
#include <memory>

namespace mimic::cpu {

// Where code comes from; the owner of guest memory implements it. Called with the code space's lock held: it must not
// call back into the space, and whoever calls the space must not hold a lock that these functions take.
class CodeSource {
public:
    virtual ~CodeSource() = default;
    // Copies up to max bytes that are readable and executable at pc; 0: pc itself is not.
    virtual u32 fetch(u64 pc, u8* out, u32 max) = 0;
    // Code in the page that holds this address is translated from now on: a write to it must lead to invalidate().
    virtual void protect_code(u64 address) = 0;
};

enum class Accel : u8 { jit, interp };

// What -d shows of translation: guest instructions, IR, host code, units entered.
namespace log {
inline constexpr u32 in_asm = 1, op = 2, out_asm = 4, exec = 8;
}

struct Options {
    Accel accel = Accel::jit;
    bool verify = false;       // run each unit in both engines and compare
    bool one_insn = false;     // a guest instruction a unit
    bool stop_at_known = true; // a unit ends where a translation is already; off: units don't depend on what was run
    u64 code_bytes = 64 << 20; // of translated code
    u64 guest_base = 0;        // host address of guest address 0 (user mode)
    u32 host_level = ~0u;      // tests: the JIT uses no more of the host than jit::make_backend says of its level
    u32 log = 0;               // Log bits
    u64 log_low = 0, log_high = ~u64{0}; // only code in this range
    void (*write_log)(void* owner, std::string_view text) = nullptr;
    void* log_owner = nullptr;
};

class Cpu;

// What was translated, shared by the vCPUs of one address space. Thread-safe.
class CodeSpace {
public:
    static Result<std::unique_ptr<CodeSpace>> create(const isa::Guest& guest, CodeSource& source, const Options& o);
    ~CodeSpace();

    const isa::Guest& guest() const;
    const Options& options() const;

    // Bytes in [low, high) changed or went away: their translations are not entered any more. The calling vCPU's own
    // effect is immediate; others follow at their next poll.
    void invalidate(u64 low, u64 high);
    void invalidate_all();

    // Around fork(2), in this order; only the forking thread's vCPU goes on in the child.
    void before_fork();
    void after_fork_parent();
    Result<void> after_fork_child(Cpu& survivor);

    struct Counters {
        u64 units = 0, guest_insns = 0, code_bytes = 0, flushes = 0, refused = 0;
        u64 refused_by_op[ir::op_count] = {}; // units left to the interpreter, by the operation that had no lowering
    };
    Counters counters() const;

    struct Impl;
    Impl& impl() { return *impl_; }

private:
    CodeSpace() = default;
    std::unique_ptr<Impl> impl_;
};

class Cpu {
public:
    // `access` reaches guest memory for the interpreter and for what generated code leaves to it.
    Cpu(CodeSpace& space, ir::Access& access);
    ~Cpu();
    Cpu(const Cpu&) = delete;
    Cpu& operator=(const Cpu&) = delete;

    ir::CpuHeader& header() { return *header_; }
    // Home of a slot; a register's truth while run() is not active.
    u8* slot(ir::SlotId n) { return ir::home(header_, state_.slots[n]); }
    u64& slot64(ir::SlotId n) { return *reinterpret_cast<u64*>(slot(n)); }
    // Copies all slots, FP environment and pc: for clone(2).
    void copy_state(const Cpu& from);

    // Runs guest code on the calling thread until header().exit_kind is trap, fault or poll. pc and slots are then
    // those of the instruction's start (a fault, a trap) or of the next one (poll). For a poll the caller calls
    // clear_kick() before it looks for the reason.
    void run();
    // Runs one unit from pc, with poll set, and returns however it left (link and lookup included): for comparisons of
    // engines. Not to be mixed with run() on the same vCPU.
    void run_unit();
    // Makes run() return with poll soon; from any thread or signal handler.
    void kick() {
        external_.store(true);
        __atomic_store_n(&header_->poll, 1u, __ATOMIC_SEQ_CST);
    }
    // The reason of a kick is being looked into: later kicks count anew.
    void clear_kick() {
        external_.store(false);
        if (!internal_.load()) __atomic_store_n(&header_->poll, 0u, __ATOMIC_SEQ_CST);
        if (external_.load()) __atomic_store_n(&header_->poll, 1u, __ATOMIC_SEQ_CST);
    }

private:
    friend class CodeSpace;
    friend struct CodeSpace::Impl;
    void run_interpreter();
    void run_jit();
    void bind_thread();
    bool clear_internal();
    void leave();
    void resolve_fault();
    // The code space wants something of this vCPU; the guest's owner need not know.
    void kick_internal() {
        internal_.store(true);
        __atomic_store_n(&header_->poll, 1u, __ATOMIC_SEQ_CST);
    }
    CodeSpace::Impl& space_;
    const ir::GuestState& state_;
    ir::CpuHeader* header_ = nullptr;
    u64 bytes_ = 0;
    ir::Interpreter interpreter_;
    long thread_ = 0;                                     // that GS was set for
    bool gs_instructions_ = false;                        // rdgsbase and wrgsbase work
    std::atomic<bool> stale_{false};                      // the jump cache may lead to dropped code
    std::atomic<bool> internal_{false}, external_{false}; // who set poll
};

} // namespace mimic::cpu
