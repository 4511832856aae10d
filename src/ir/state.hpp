// The state of a vCPU as generated code and the interpreter see it: a header that is the same for every guest, then the
// guest's slots. `Slot`s describe the latter; their homes are byte offsets from the header.
#pragma once
#include "base/types.hpp"
#include "ir/type.hpp"
#include <span>
#include <string_view>

namespace mimic::softfloat {
struct Env;
}

namespace mimic::ir {

// Why generated code came back.
enum class ExitKind : u32 {
    none,
    link,   // at an edge without a target: pc is where to go on, exit_arg the link word
    lookup, // indirect branch that missed the jump cache
    poll,   // `poll` was set
    trap,   // a trap op: exit_arg holds TrapKind | detail << 8, fault_address the detail in full
    fault,  // a memory access faulted: fault_* tell
    budget, // counted code: the block at pc has more guest instructions than the budget
};

// Did an instruction raise something, so that what stands behind it in its block was not done?
constexpr bool is_exception(ExitKind k) { return k == ExitKind::trap || k == ExitKind::fault; }

// The FP environment; the JIT keeps the host's control register in step with it while guest code runs.
struct FpEnv {
    u32 flags = 0; // softfloat::flag bits that GuestState::fp_flags names, and fpflag bits; sticky
    u32 mode = 0;  // bits 0..2 Round (5 to 7 act as nearest_even), then fpmode bits
};
// Sticky bits of FpEnv::flags beside softfloat's.
namespace fpflag {
inline constexpr u32 saturated = 1u << 27; // a saturating vector op clamped a lane (Arm's QC, RISC-V's vxsat)
}

// The five flags of IEEE 754, softfloat::flag::ieee, in the opposite order.
constexpr u32 reversed_flags(u32 flags) {
    u32 out = 0;
    for (u32 n = 0; n < 5; ++n) out |= (flags >> n & 1) << (4 - n);
    return out;
}

enum class FaultKind : u32 { read, write, fetch, misaligned };

class Access;
struct AccessEntry;

struct CpuHeader {
    u32 poll = 0; // set (atomically, by any thread) to make the vCPU leave at its next poll
    ExitKind exit_kind = ExitKind::none;
    u64 pc = 0;
    u32 mode = 0; // the guest's mode bits of the block key for pc
    u64 exit_arg = 0;
    u64 fault_address = 0;
    FaultKind fault_kind = FaultKind::read;
    FpEnv fp;
    FpEnv fp80;         // of operations with an f80 operand or result: the x87's own control and status
    u32 mxcsr = 0x1f80; // the host back end's image of fp while generated code runs
    u32 host_mxcsr = 0x1f80;
    bool fp_traps =
        false;       // this thread does not block SIGFPE: generated code may let FP exceptions trap, to know of them
    u64 host_sp = 0; // back ends: where C++ is
    const void* const* helpers = nullptr; // table of functions that generated code calls
    void* owner = nullptr;                // the cpu::Cpu
    Access* access = nullptr;             // guest memory for what generated code leaves to C++
    u64 host_pc = 0;                      // after a fault in generated code: where; else 0
    bool misaligned_write = false;        // FaultKind::misaligned of paged code: the access writes
    bool fault_unknown = false;           // the host didn't tell fault_address (Intel SDM: #GP for non-canonical ones)
    u64 lines = 0; // levels of the vCPU's input lines (isa/system.hpp), set atomically by any thread
    u64 (*clock)(CpuHeader&) = nullptr;         // the machine's clock port, in nanoseconds; null: time stands still
    bool (*random)(CpuHeader&, u64&) = nullptr; // the machine's random port; false or null: no number now
    AccessEntry* log_next = nullptr;            // where code that logs its accesses writes the next one, and
    AccessEntry* log_end = nullptr;             // where it stops: the entry there is written again and again
    u64 code_base = 0; // what pcs in the running unit count from: the page of its code (flavour::paged), else 0
    // Of counted code (flavour::icount): guest instructions that may still be begun, paid by whole blocks at their entry; and
    // those of the present block behind the present instruction, where generated code calls out or faults. The vCPU's thread.
    i64 budget = 0;
    u32 behind = 0;
    alignas(16) u64 scratch[16 * 2] = {}; // arguments and results of intrinsics, spills
};

// Bytes from the header to the first slot; homes of hot slots follow at once, so that short displacements reach them.
inline constexpr u32 slots_offset = 512;
static_assert(sizeof(CpuHeader) <= slots_offset);

// temp: carries values between blocks of one guest instruction (and on to later ones in line); nobody sees it outside the
// unit, and it is lost where the unit may leave: a block that an edge which polls leads to must not read an old one.
enum class SlotClass : u8 { gpr, flag, fp, vec, sys, temp };

// One piece of guest state. `priority`: higher wins a host register in the register plan; 0: stays in memory.
struct Slot {
    std::string_view name;
    u16 offset = 0; // from slots_offset
    Type type = Type::i64;
    SlotClass cls = SlotClass::gpr;
    u8 priority = 0;
};

// What ir, passes and back ends must know of a guest. One constant object a guest.
struct GuestState {
    std::string_view name;
    std::span<const Slot> slots;
    u32 bytes = 0; // of all slots
    // NaN, tininess, flushing and conversion rules: constants of softfloat::env. FpEnv::mode is applied on top; null: no FP.
    const softfloat::Env* fp = nullptr;
    const softfloat::Env* fp80 = nullptr; // for f80; null: as fp
    u32 fp_flags = 0x1f;                  // the sticky bits that the guest can see; others are not kept
    // Mode bits that tell how a place was branched to (Arm's PSTATE.BTYPE): they are looked at when it is entered
    // (isa::Guest::may_enter), and units have them clear.
    u32 entry_mode = 0;
    // Mode bits under which floating point is the guest's own: hosts would flush what is tiny to zero with other sticky flags
    // (Arm's FPCR.FZ: underflow alone for a result, input denormal for an operand). Back ends let the interpreter's bodies
    // compute there, and need no flushing of the host's for this guest. 0: they flush as FpEnv::mode says.
    u32 fp_by_body = 0;
    // The slot that points to the stack by the guest's ABI, whose accesses meet one page for long; none: back ends know nothing.
    u32 stack = ~u32{0};
};

inline u8* home(CpuHeader* cpu, const Slot& slot) { return reinterpret_cast<u8*>(cpu) + slots_offset + slot.offset; }

} // namespace mimic::ir
