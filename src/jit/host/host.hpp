// What a host back end does. Everything that knows the host's instructions, registers and calling convention is behind
// this interface; everything that knows blocks, links, invalidation and threads is in front of it.
#pragma once
#include "base/result.hpp"
#include "ir/interpreter.hpp"
#include "ir/state.hpp"
#include "jit/analysis.hpp"
#include "jit/tlb.hpp"
#include <memory>
#include <span>
#include <string>

namespace mimic::jit {

// How code reaches guest memory.
enum class AddressModel : u8 {
    direct, // host address = GS base + guest address (user mode)
    logged, // as direct, and each access leaves an AccessEntry at CpuHeader::log_next (verify)
    slow,   // every access is a call of the accessor (watchpoints)
    tlb,    // through the tables of tlb_views, else a call of the accessor (machines)
    tlb_logged,
};

// What emission gives beside the bytes. Offsets are from the start of the unit's code.
struct Emitted {
    struct Entry {
        ir::BlockId block;
        u32 offset;
    };
    // What a link word holds: where an edge goes; where a counted edge goes while it is counted (the word behind its own);
    // how often it may before it is told (the one behind that).
    enum class Word : u8 { target, counted, count };
    struct Edge { // link word first_link + n is edge n's
        u64 pc;
        u32 mode;
        u32 stub; // where the word points while the edge has no target
        Word word = Word::target;
        bool is_counted = false; // two more words follow
    };
    // Host registers that are not yet what the guest should see: their NaNs (of 64 bits in f64, else of 32), the ones
    // above 32 bits in bare, and in late those whose value is in a temporary, as the back end codes it.
    struct Owed {
        u32 nans = 0, f64 = 0, bare = 0, late = 0;
    };
    struct Fault {
        u32 offset; // of a host instruction that may fault
        u32 mode;   // of the guest instruction
        u64 pc;     // guest instruction
        Owed owed;  // for Backend::settle
    };
    // What stands in the code of where it lies or what it was made with: 4 bytes at `offset`, the distance of a link word from
    // what follows the instruction, or (is_record) the number of what is called (Backend::save_record).
    struct Reference {
        u32 offset;
        bool is_record;
    };
    static constexpr u32 words_a_block = 3; // at most
    u32 bytes = 0;
    bool no_room = false;         // emission failed, since the code is longer than the room
    ir::Op refused = ir::Op::nop; // what had no lowering, when emission failed otherwise
    bool counts_turns = false;   // wanted: jumps back to other units count down before they leave to be linked for good
    std::string* text = nullptr; // when set, gets the host code as text
    std::vector<Entry> entries;
    std::vector<Edge> edges;
    std::vector<Fault> faults; // by rising offset
    std::vector<Reference> references;
};

// For the jump cache. Of pcs whose upper 16 bits are alike, and only these are put into it, no two have the same key; nor does one
// that merely has other upper bits, as a pointer with a tag, have that of another mode. Modes below 65536.
constexpr u64 jump_key(u64 pc, u32 mode) { return pc ^ (u64(mode) << 48 | u64(u16(mode * 0x9e37)) << 32); }

class Backend {
public:
    virtual ~Backend() = default;

    virtual const RegisterPlan& plan() const = 0;
    // Bytes the back end wants in the state block behind the guest's slots, and their initial contents.
    virtual u32 host_area() const = 0;
    virtual void init(ir::CpuHeader* cpu) const = 0;
    // Names all of the host that code depends on, beside its architecture.
    virtual std::string host() const { return {}; }
    // Code that another process of the same program executes: what a record number in it (Emitted::Reference) stands for,
    // appended to `out`; and the number here of what was saved. False: it can't be saved; it makes no sense.
    virtual bool save_record(u32 /*record*/, std::vector<u8>& /*out*/) const { return false; }
    virtual bool load_record(std::span<const u8> /*saved*/, u32& /*record*/) { return false; }

    // Writes the routines that all units share (enter, leave, calls out) to the start of the code memory; bytes used.
    virtual Result<u32> emit_shared(const u8* code, u8* writable, u32 room) = 0;
    // Emits a unit to be executed at `code`, written through `writable`. False when it doesn't fit or can't be done.
    virtual bool emit(const ir::Unit& unit, const Analysis& analysis, AddressModel model, const u8* code, u8* writable,
                      u64 room, const u64* first_link, Emitted& out) = 0;
    // Runs generated code until it leaves.
    virtual void enter(ir::CpuHeader* cpu, const u8* code) const = 0;
    // Redirects a fault at a host pc in generated code: changes the machine context to leave with ExitKind::fault;
    // CpuHeader::host_pc tells where. Async-signal-safe.
    virtual void leave_on_fault(void* context, u64 address, bool known, bool write, u64 host_pc) const = 0;
    // An FP exception that the host reported (SIGFPE) at a pc in generated code: changes the machine context to go on with
    // exceptions masked. False: it is not one of these. Async-signal-safe.
    virtual bool resume_masked(void* context) const = 0;
    // After a fault: pays in the homes of slots what the code owed at that place.
    virtual void settle(ir::CpuHeader* cpu, const Emitted::Owed& owed) const = 0;
    // The jump cache of indirect branches: jump_key of guest pc and mode there to code. A vCPU sets its own entries; any thread may clear them,
    // also while generated code runs: a look-up that is under way may still hit.
    virtual void set_jump(ir::CpuHeader* cpu, u64 key, const u8* code) const = 0;
    virtual void clear_jump(ir::CpuHeader* cpu, u64 pc) const = 0; // under any mode; async-signal-safe, as the next
    virtual void clear_jumps(ir::CpuHeader* cpu) const = 0;

    // Of paged code (ir::flavour::paged), which has no jump cache of its own: the tables of jit/tlb.hpp, by index, and the
    // one of branches, jump_count entries; any thread may set the latter.
    virtual TlbViews* tlb_views(ir::CpuHeader* cpu) const = 0;
    virtual void use_jumps(ir::CpuHeader* cpu, const JumpEntry* table) const = 0;
};

// The back end for this host, or an error that says that there is none. Tests pass a `level`: it uses no more of the host
// than that level of its architecture has (x86-64-v2, -v3, -v4).
inline constexpr u32 highest_level = ~0u;
Result<std::unique_ptr<Backend>> make_backend(const ir::GuestState& guest, u32 min_insn_bytes,
                                              u32 level = highest_level);

} // namespace mimic::jit
