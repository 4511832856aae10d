// The interpreter: runs a unit's IR in portable C++. It is the oracle of the JIT, its fallback where there is no back
// end, and the way to run code that runs once.
#pragma once
#include "ir/intrinsic.hpp"
#include "ir/state.hpp"
#include "ir/unit.hpp"

namespace mimic::ir {

// Guest memory as the interpreter sees it. Each call does one access and returns true, or false after filling
// cpu.fault_address and cpu.fault_kind; then nothing was written. `m` holds memory type, alignment rule, ordering and
// privilege index; byte order and extension are the interpreter's business: bytes are in memory order. Accesses of 1,
// 2, 4, 8 and 16 bytes at naturally aligned addresses are single-copy atomic where the host can.
class Access {
public:
    virtual ~Access() = default;
    virtual bool load(CpuHeader& cpu, u64 address, void* out, u32 bytes, const MemArg& m) = 0;
    virtual bool store(CpuHeader& cpu, u64 address, const void* in, u32 bytes, const MemArg& m) = 0;
    // Atomically: value at address := op(value, operand) as little-endian (m.big: big-endian) integers; `old` gets the
    // former value as a host integer. bytes: 1, 2, 4, 8.
    virtual bool rmw(CpuHeader& cpu, u64 address, Rmw op, u64 operand, u64& old, u32 bytes, const MemArg& m) = 0;
    // Atomically: if the bytes at address equal `expected`, store `desired`; `old` gets what was there. bytes to 16.
    virtual bool cas(CpuHeader& cpu, u64 address, const void* expected, const void* desired, void* old, u32 bytes,
                     const MemArg& m) = 0;
    // Would an access of `bytes` bytes fault? Touches nothing.
    virtual bool probe(CpuHeader& cpu, u64 address, u64 bytes, bool write) = 0;
    virtual void fence(u32 before, u32 after) = 0;
    // Did the access that failed last fail for a watchpoint, where memory would have allowed it?
    virtual bool met_watch() const { return false; }
    // Calls an impure intrinsic: what it reads comes from outside as memory does.
    virtual int call(const Intrinsic& f, CpuHeader& cpu, const Wide* args, Wide* results) {
        return f.body(&cpu, args, results);
    }
};

// A value in the frame. Bigger values (v256, v512, vs, mask) stand in the arena; w[0] is their byte offset there.
// Integers are zero extended to 64 bits.
struct alignas(16) Place {
    u64 w[2];
};

// Buffers that calls reuse; one a thread.
class Interpreter {
public:
    // Runs from the unit's entry (or block `from`) until it leaves, then cpu.exit_kind, pc, exit_arg and fault_* tell
    // why, as if generated code had run: at a fault or trap, pc and slots are those of the guest instruction's start.
    // Polls on edges that unit.hpp's polls_on says. The unit must be one that verify accepts.
    void run(const Unit& unit, const GuestState& guest, CpuHeader& cpu, Access& memory, BlockId from = 0);
    // Guest instructions that the last run began.
    u32 guest_insns() const { return guest_insns_; }

private:
    u32 guest_insns_ = 0;
    std::vector<Place> frame_;
    std::vector<u8> arena_;
    std::vector<u8> args_;
};

// One operation for a back end that has no lowering of it. code[0..2] are its operands as `arg`s, code[3] is the
// operation, code[4] a trap. Returns 0, or 1 when a memory operation faulted (fault_* are set).
int evaluate(const Unit& unit, const GuestState& guest, CpuHeader& cpu, Access* memory, const Wide* args, Wide& result);

} // namespace mimic::ir
