// The accelerator interface: what boards, monitor and gdb know of the processors of a machine. jit and interp implement
// it here; qtest, KVM and the test double that behaves like KVM (owns registers between exits, sees RAM as slots) fit behind
// it, so nothing outside an accelerator touches a running vCPU's state.
//
//   auto accel = TRY(cpu::make_accelerator("jit", {.guest = *guest, .memory = space, .clock = clock}));
//   auto vcpu = TRY(accel->make_vcpu({.index = 0}));
//   vcpu->reset(isa::ResetKind::power_on);
//   vcpu->start();                 // its thread runs until stop()
//   vcpu->set_line(n, true);       // from any thread
#pragma once
#include "base/result.hpp"
#include "cpu/cpu.hpp"
#include "isa/system.hpp"
#include "memory/address_space.hpp"

namespace mimic::cpu {

// The machine's clock port as vCPUs see it: nanoseconds of guest-visible time, which stands still while the machine is
// stopped.
class Clock {
public:
    virtual ~Clock() = default;
    virtual u64 now() = 0;
};

class CountedClock;
class Vcpu;

// What a board answers for processors, on the vCPU's thread between two instructions: nothing is locked, the vCPU's header
// may be looked at and changed, other vCPUs are reached as from any thread (run_inside, set_powered).
class BoardPort {
public:
    virtual ~BoardPort() = default;
    // A call of firmware (isa::BoardRequest::Kind::call): arguments and results in r.values. False: not known here.
    virtual bool call(Vcpu&, isa::BoardRequest&) { return false; }
    // A system register that a device of the board has: reads or writes r.values[0]. False: there is none.
    virtual bool access_register(Vcpu&, isa::BoardRequest&) { return false; }
    // An output line of the processor (isa::System::outputs) changed.
    virtual void output(Vcpu&, u32 /*line*/, bool /*level*/) {}
};

// What answers programs that call the host (semihosting), on the vCPU's thread like a BoardPort.
class HostPort {
public:
    enum class Outcome : u8 {
        refused, // the instruction traps as if nobody knew such calls
        done,
        blocked, // nothing has happened; the instruction begins again, in a while or with the next interrupt
    };
    virtual ~HostPort() = default;
    virtual Outcome call(Vcpu&, const isa::HostCall&, u64& result) = 0;
};

struct VcpuOptions {
    u32 index = 0; // of the machine's processors; the guest's own identifier is a property of the board
    u64 id = 0;    // mhartid, MPIDR affinity
    memory::AddressSpace* memory = nullptr;        // null: the accelerator's
    memory::AddressSpace* secure_memory = nullptr; // of secure accesses (isa::Mapping::secure); null: the same
};

// Why a vCPU's thread paused, beside a request to.
enum class Pause : u8 {
    none,
    breakpoint, // gdb's, at pc
    watchpoint,
    step,     // one instruction was stepped
    halted,   // the architecture stopped it for good (as powered off by the board)
    internal, // our own trouble: `message()`
};

// [address, address + bytes) and kinds of accesses.
struct Watchpoint {
    u64 address = 0, bytes = 0;
    bool read = false, write = false;
};

class Vcpu {
public:
    virtual ~Vcpu() = default;
    virtual u32 index() const = 0;
    virtual const isa::Guest& guest() const = 0;

    // Its thread: made at the first start, idle until then. start and stop return at once; wait_stopped returns when the
    // thread is outside guest code and registers may be looked at.
    virtual void start() = 0;
    virtual void stop() = 0;
    virtual void wait_stopped() = 0;
    virtual bool running() const = 0;
    virtual long thread_id() const { return 0; } // of the host; 0: none was started
    virtual Pause pause() const = 0;

    // Level of an input line. Any thread; lock-free; a vCPU that waits for an interrupt wakes.
    virtual void set_line(u32 line, bool level) = 0;
    // Powered off: does not run although started (secondary processors before PSCI or SBI HSM of the board start them).
    virtual void set_powered(bool on) = 0;
    virtual bool powered() const = 0;
    // Runs `f` on the vCPU's thread between two instructions (or at once when it is stopped); returns when it is done.
    virtual void run_inside(const std::function<void(ir::CpuHeader&)>& f) = 0;

    // Only while stopped, inside run_inside or in a port's calls. Who owns the registers may be somebody else (KVM): this is what
    // they were when it was asked for, good until the vCPU goes on.
    virtual ir::CpuHeader& header() = 0;
    virtual void reset(isa::ResetKind kind) = 0;
    virtual void set_pc(u64 pc) = 0;
    // isa::System::enter_level
    virtual bool enter_level(u32 level) = 0;
    virtual bool read_register(std::string_view name, u64& value) = 0;
    virtual bool write_register(std::string_view name, u64 value) = 0;
    // Somebody wrote into header(): what depends on it (translations, modes) follows. What was written without a word of it may
    // be lost.
    virtual void registers_written() {}
    // Dirty flags of RAM were cleared: every page's next write says so again. Any thread; a write under way may still go
    // untold, unless it is called in run_inside.
    virtual void forget_writes() {}
    // Guest virtual memory as this vCPU sees it now, without side effects (gdb, monitor). False: not mapped.
    virtual bool read_memory(u64 address, void* out, u64 bytes) = 0;
    virtual bool write_memory(u64 address, const void* in, u64 bytes) = 0;
    // The same with the rights and the effects of an access by what runs now, to RAM and (reading) ROM alone; in a port's calls.
    virtual bool program_access(u64 /*address*/, void* /*data*/, u64 /*bytes*/, bool /*write*/) { return false; }
    virtual bool translate_debug(u64 address, u64& physical) = 0;
    // What the tables in force translate (isa::System::mappings). False: addresses are physical ones.
    virtual bool mappings(std::vector<isa::Mapped>&) { return false; }

    virtual void set_breakpoint(u64 pc, bool on) = 0;
    // Instruction by instruction; interrupts wait meanwhile, so that steps stay in the code that is looked at.
    virtual void set_single_step(bool on) = 0;
    // The accesses, by virtual address, after which the vCPU pauses. False: it cannot.
    virtual bool set_watchpoints(std::span<const Watchpoint>) { return false; }
    // What it paused for.
    virtual Watchpoint watch_hit() const { return {}; }
    virtual u64 guest_instructions() const = 0; // 0 where not counted
};

struct AcceleratorOptions {
    const isa::Guest* guest = nullptr;
    memory::AddressSpace* memory = nullptr;
    Clock* clock = nullptr;
    CountedClock* counted =
        nullptr; // the same one, when it counts instructions (cpu/counted.hpp): one thread runs all vCPUs
    bool (*random)(ir::CpuHeader&, u64&) = nullptr;
    // `-accel NAME,KEY=VALUE...`: thread, tb-size, one-insn-per-tb, verify, split-wx as user mode has them.
    Options translation;
    bool single_thread = false;
    BoardPort* port = nullptr; // null: nobody answers
    HostPort* host = nullptr;  // the same
    // A vCPU paused by itself (breakpoint, halted, internal); called on its thread.
    std::function<void(Vcpu&, Pause)> on_pause;
};

// Outlives its vCPUs.
class Accelerator {
public:
    virtual ~Accelerator() = default;
    virtual std::string_view name() const = 0;
    virtual Result<std::unique_ptr<Vcpu>> make_vcpu(const VcpuOptions& options) = 0;
    virtual std::string statistics() const = 0; // `info jit`
    // What vCPUs wrote to RAM is said in its blocks' flags, where it is noted elsewhere (the logs of KVM's slots). Before flags are
    // looked at; not on a vCPU's thread.
    virtual void collect_writes() {}
    // What is logged from now on, of cpu::log; exec and registers only if it began with one of them. Any thread.
    virtual void set_log(u32 /*items*/) {}
};

// "jit" (alias "tcg"), "interp", or "qtest", where no guest code runs; unknown: an error that lists the names.
Result<std::unique_ptr<Accelerator>> make_accelerator(std::string_view name, AcceleratorOptions options);
using AcceleratorMaker = std::function<Result<std::unique_ptr<Accelerator>>(AcceleratorOptions)>;

} // namespace mimic::cpu
