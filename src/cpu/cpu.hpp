// vCPUs and the code they share.
//
//   auto space = TRY(cpu::CodeSpace::create(guest, source, options));   // one an address space
//   cpu::Cpu cpu(*space, access);                                      // one a vCPU; used by one thread at a time
//   cpu.header().pc = entry;
//   cpu.run();                                                         // until it must leave: header().exit_kind
#pragma once
#include "base/result.hpp"
#include "ir/interpreter.hpp"
#include "isa/translate.hpp"
#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace mimic::jit {
class Backend;
struct JumpEntry;
struct TlbViews;
} // namespace mimic::jit

namespace mimic::cpu {

class KeptBlocks;
class UnitStore;
class Snapshot;
class Verifier;
struct KeptBlock;
struct Node;
struct Translation;
namespace saved {
struct Head;
}

// How a page of code is watched: it was already or cannot be written; from now on, so what was fetched before may have
// changed (anew), and somebody who could write it until now may not have ended (from_now); it is not, since the host cannot or
// need not.
enum class Watch : u8 { as_before, anew, from_now, not_watched };

// Where code comes from; the owner of guest memory implements it. Called with the code space's lock held: it must not
// call back into the space, and whoever calls the space must not hold a lock that these functions take.
class CodeSource {
public:
    virtual ~CodeSource() = default;
    // Copies up to max bytes that are readable and executable at pc; 0: pc itself is not.
    virtual u32 fetch(u64 pc, u8* out, u32 max) = 0;
    // Code in the page that holds this address is translated from now on: a write to it must lead to invalidate(),
    // unless stays_writable: the code looks after itself, and only an end of the mapping or of the right to execute it
    // must.
    virtual Watch protect_code(u64 address, bool stays_writable) = 0;
    // Is the page one that branches enter at fit places only? (isa::Guest::may_enter)
    virtual bool guarded(u64 /*pc*/) { return false; }
    // There is no code of this page any more.
    virtual void release_code(u64 address) { (void)address; }
};

// Where the code of a machine lies: one a vCPU, since each has its own page tables. A place is a number that stands for
// the bytes at an address whatever guest addresses they have: what translations are keyed by and invalidated by, beside
// the mode. A page may be seen at several addresses (a library in processes with random layouts): its units serve at all. Pages are of 4 KiB, in the guest and in places. User mode has none: guest addresses are places.
class CodeMap {
public:
    virtual ~CodeMap() = default;
    // False: nothing can be executed there; the vCPU leaves with ExitKind::fault, FaultKind::fetch and fault_address.
    virtual bool locate(ir::CpuHeader& cpu, u64 pc, u64& place) = 0;
    // Tables of branches for generated code (jit/tlb.hpp): that of the present mode and mapping; one without entries; what
    // stands in all of them for pcs at this offset of any page goes (any thread). The TLB's views are to stand at `views` from now on.
    virtual jit::JumpEntry* jumps(ir::CpuHeader& cpu) = 0;
    virtual const jit::JumpEntry* no_jumps() const = 0;
    virtual void add_jump(jit::JumpEntry* table, u64 pc, const u8* code, bool reaches_on) = 0;
    virtual void forget_jump(u64 offset) = 0;
    virtual void show(jit::TlbViews* views) = 0;
};

enum class Accel : u8 { jit, interp };

// What -d shows of translation: guest instructions, IR as translated and as handed to the back end, host code, units
// entered, the registers there; and what guests meet: traps and faults, their mistakes (both for the owner of the vCPUs).
namespace log {
inline constexpr u32 in_asm = 1, op = 2, out_asm = 4, exec = 8, op_opt = 16, interrupts = 32, guest_error = 64,
                     registers = 128;
}

// Guest addresses [low, high); high 0: to the end.
struct Range {
    u64 low = 0, high = 0;
    bool contains(u64 at) const { return at >= low && (high == 0 || at < high); }
    bool operator==(const Range&) const = default;
};

namespace log {
// The value of -dfilter: START+LENGTH, START-LENGTH (the LENGTH bytes before START) or START..END (END included), several with
// commas; decimal, hexadecimal with 0x or octal with 0. Fails naming the range that is none.
Result<std::vector<Range>> parse_ranges(std::string_view text);
} // namespace log

// verify=on found a difference between the engines.
struct Mismatch {
    u64 pc = 0;             // of the unit
    std::string difference; // the first one, one line
    std::string report;     // guest code, IR, host code, states
};

struct Options {
    Accel accel = Accel::jit;
    bool verify = false;   // run each unit in both engines and compare
    bool one_insn = false; // a guest instruction a unit
    // Code that is met for the first time runs in the interpreter, block by block, and is translated when it is met again:
    // what runs once costs half as much (JIT only; not with verify, one_insn and logs of
    // translation).
    bool interpret_first = false;
    // The first so many blocks that are met again are interpreted, too: their IR is kept, for so many runs. A translation
    // costs as much as some 16 of them (measured on a static hello). 0 blocks: what is met again is translated.
    u32 keep_blocks = 256, keep_runs = 16;
    bool paged = false;        // a machine: vCPUs have a CodeMap, `CodeSource` and invalidate() deal in places
    bool counted = false;      // paged only, not with verify: guest instructions are counted (see Cpu::settle_count)
    bool stop_at_known = true; // a unit ends where a translation is already; off: units don't depend on what was run
    // Of a jump back between units, after which the loop that it closes is translated as a whole; 0: never.
    u32 whole_after = 4096;
    UnitStore* store =
        nullptr; // of units that other processes made (user mode with interpret_first only); outlives the space
    u64 code_bytes = 64 << 20; // of translated code, 1 MiB to 1 GiB
    u64 guest_base = 0;        // host address of guest address 0 (user mode)
    // Guests may put what they like into the top byte of a 64-bit address below 2^55 (Arm's TBI). Accesses work
    // unchanged until one of a unit has such an address; then the unit is translated anew.
    bool top_byte_ignored = false;
    u32 host_level = ~0u;          // tests: the JIT uses no more of the host than jit::make_backend says of its level
    u32 log = 0;                   // log bits
    std::vector<Range> log_ranges; // only code in these; empty: all
    void* owner = nullptr;         // of the functions below; each may be null
    void (*write_log)(void* owner, std::string_view text) = nullptr;
    // May end the process; when it returns, the guest goes on with what generated code did.
    void (*on_mismatch)(void* owner, const Mismatch& m) = nullptr;
    // Host code of a unit was made, of guest code at pc. Called with the space's lock held.
    void (*on_code)(void* owner, const void* code, u64 bytes, u64 pc) = nullptr;
    // Tests put a wrong one in its place; null: the host's.
    std::unique_ptr<jit::Backend> (*wrap_backend)(std::unique_ptr<jit::Backend>) = nullptr;
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
    // The guest says that code in [low, high) may have changed: units of busy pages whose bytes did are left, also by loops in
    // them (others were told of the write).
    void flush(u64 low, u64 high);
    // Returns when no vCPU runs code any more that was dropped before: what a flush on all processors promises. The caller's
    // is outside of code.
    void await_dropped();
    // From now on there may be guarded pages: branches tell their kind, and are looked at.
    void guard_pages();
    // A machine's instruction-cache flush on one vCPU, which is outside of code: afterwards it finds no translation of bytes
    // that are others now, whoever wrote them before. (Writes are told by those who do them; but one that was already
    // past its check when its page became code tells nobody.)
    void settle();

    // Around fork(2), in this order; only the forking thread's vCPU goes on in the child.
    void before_fork();
    void after_fork_parent();
    Result<void> after_fork_child(Cpu& survivor);

    struct Counters {
        u64 units = 0, guest_insns = 0, code_bytes = 0; // translated
        u64 restored = 0;                               // units taken from the store instead
        u64 whole_units = 0;                            // of them made of hot loops that were in pieces
        u64 evictions = 0, waits = 0;                   // regions given up; how often somebody had to wait for one
        u64 busy_pages = 0, stale_units = 0;            // pages found to be busy; units whose bytes had changed
        u64 interpreted_insns = 0;                      // guest instructions in the next
        u64 interpreted = 0;                            // runs of blocks that were not worth translating yet
        u64 refused = 0;                                // units left to the interpreter
        u64 refused_by_op[ir::op_count] = {};           // by the operation that had no lowering
        // verify=on: units run and guest instructions in them; those not verified by reason
        u64 verified_units = 0, verified_insns = 0, mismatches = 0;
        u64 unverified_insns = 0, log_full_insns = 0;
        u64 unverified_by_op[ir::op_count] = {};
    };
    Counters counters() const;
    // What verify=on could not verify, by reason, as text; empty when that is nothing.
    std::string verify_report() const;
    // Options::log from now on; exec and registers only if it had one of them. Any thread.
    void set_log(u32 items);
    // vCPUs stop before the instruction at pc (Cpu::stopped_at_breakpoint). Drops all translations.
    void set_breakpoint(u64 pc, bool on);
    // All units that may go to a store, with the lock held (cpu/saved_unit.hpp). `into` says from where a unit begins where its
    // bytes are appended (null: nowhere), `take` that they are there, with the unit's number (0: another process's). `ran`:
    // places of which the store had no unit when they were met.
    void save_units(const std::function<std::vector<u8>*(u64 low)>& into,
                    const std::function<void(const saved::Head& head, u64 number)>& take,
                    const std::function<void(u64 pc)>& ran);
    // Where each unit begins that was made here, with its number in order; some may be gone. And each place that ran without
    // one, numbered, too.
    void new_units(const std::function<void(u64 low, u64 number)>& take,
                   const std::function<void(u64 pc, u64 number)>& ran) const;
    // Both numbers of the last ones, 0: none.
    std::pair<u64, u64> last_units() const;
    // What there is now is another process's to save.
    void units_are_others();
    // All of the host that code depends on, as text; empty without translation.
    std::string host() const;
    // Calls Options::on_code for all code there is.
    void tell_code();

    struct Impl;
    Impl& impl() { return *impl_; }

private:
    CodeSpace() = default;
    std::unique_ptr<Impl> impl_;
};

class Cpu {
public:
    // `access` reaches guest memory for the interpreter and for what generated code leaves to it.
    Cpu(CodeSpace& space, ir::Access& access, CodeMap* map = nullptr);
    ~Cpu();
    Cpu(const Cpu&) = delete;
    Cpu& operator=(const Cpu&) = delete;

    ir::CpuHeader& header() { return *header_; }
    void* client = nullptr; // whoever made it, for functions of the header
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
    // Runs one instruction, in the interpreter; it leaves as run() does.
    void step_instruction();
    // From now on run() executes in the interpreter alone, whose accesses all go through header().access (watchpoints);
    // only while the vCPU is outside.
    void interpret_only(bool on) { interpret_only_ = on; }
    // Counted code runs while CpuHeader::budget is above 0; then run() leaves with poll. Every instruction that was begun has
    // been paid, one that ends with a trap or fault, too, and CpuHeader::behind is 0 whenever run() or step_instruction() has left.
    bool counted() const;
    // In, or about to enter, translated or interpreted code; from any thread.
    bool inside() const { return inside_.load(std::memory_order_seq_cst) != 0; }
    // run() left with poll since there is a breakpoint at the pc.
    bool stopped_at_breakpoint() const { return at_breakpoint_; }
    // The guest's own breakpoints of this vCPU (isa::DebugPoint): in modes of isa::System::debug_mode run() leaves with poll
    // before instructions that begin there. On its thread, outside code.
    void set_stops(std::vector<Range> stops);
    bool stops_at(u64 pc) const {
        return std::any_of(stops_.begin(), stops_.end(), [&](const Range& r) { return r.contains(pc); });
    }
    // Is a breakpoint of CodeSpace::set_breakpoint at the pc?
    bool has_breakpoint() const;
    // Makes run() return with poll soon; from any thread or signal handler.
    void kick() { request(external); }
    // The reason of a kick is being looked into: later kicks count anew.
    void clear_kick() { done(external); }

private:
    friend class CodeSpace;
    friend struct CodeSpace::Impl;
    enum Request : u32 { external = 1, internal = 2 }; // internal: the code space wants us out of translated code
    void request(Request r);
    void poll(Request r); // where loops poll, alone
    bool done(u32 which); // true: nothing else is wanted
    bool wanted() const { return requests_.load(std::memory_order_seq_cst) != 0; }
    void bind_thread();
    // What to run next: a unit, which then stays until leave_unit; code without a translation, which is to be forgotten or
    // kept; nothing, since the vCPU has left (exit_kind tells why).
    enum class Next : u8 { unit, first, again, left };
    Next enter_unit(Node*& unit, bool interpret);
    Next no_code();
    bool may_enter();
    ir::Unit* translate_once(bool one_insn, Snapshot* seen = nullptr);
    KeptBlock* kept();
    bool is_current(const KeptBlock& b);
    const ir::Unit* take_kept();
    void run_once(bool keep);
    void leave_unit();
    void execute(Node& n);
    bool jump_to(Node& n, u32 mode);
    bool jump_to_paged(Node& n);
    void step(Node& n);
    void verify(Node& n);
    Translation* locate_fault();
    void explain_fault();
    void settle_count();

    CodeSpace::Impl& space_;
    CodeMap* map_ = nullptr;
    const ir::GuestState& state_;
    ir::CpuHeader* header_ = nullptr;
    u64 bytes_ = 0;
    ir::Interpreter interpreter_;
    std::unique_ptr<isa::Translator> first_;                 // of blocks that are met for the first time
    std::unique_ptr<KeptBlocks> kept_;                       // null: nothing is kept
    std::atomic<u64> interpreted_{0}, interpreted_insns_{0}; // not yet in the space's counters
    std::unique_ptr<Verifier> verifier_;
    std::atomic<u64> verified_units_{0}, verified_insns_{0}; // not yet in the space's counters
    void tell_counts(CodeSpace::Counters& c) const;
    bool gs_instructions_ = false; // rdgsbase and wrgsbase work
    std::atomic<u32> requests_{0}; // poll is set while it is not 0
    std::atomic<u64> inside_{0};   // in or about to enter translated code: the space's epoch then; else 0
    bool at_breakpoint_ = false, interpret_only_ = false;
    std::vector<Range> stops_;
    const u32 debug_mode_;
    bool rest_ = false;         // counted: the budget ends inside the block that comes next
    const u64* word_ = nullptr; // link word that generated code left through
};

} // namespace mimic::cpu
