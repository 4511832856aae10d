// `verify=on`: a unit runs in generated code first, for real, logging what it reads and does; the interpreter then runs
// the same unit over a copy of the state with the log for a world. What differs is a mistake in one of them. Other
// threads may change memory between the two runs: that is why the log. Internal to the room; docs/verify.md.
#pragma once
#include "ir/access_log.hpp"
#include "ir/interpreter.hpp"
#include <array>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>

namespace mimic::cpu {

// Does the accesses that generated code leaves to C++, and logs them.
class LoggingAccess final : public ir::Access {
public:
    explicit LoggingAccess(ir::Access& real) : real_(real) {}
    bool load(ir::CpuHeader& cpu, u64 address, void* out, u32 bytes, const ir::MemArg& m) override;
    bool store(ir::CpuHeader& cpu, u64 address, const void* in, u32 bytes, const ir::MemArg& m) override;
    bool rmw(ir::CpuHeader& cpu, u64 address, ir::Rmw op, u64 operand, u64& old, u32 bytes,
             const ir::MemArg& m) override;
    bool cas(ir::CpuHeader& cpu, u64 address, const void* expected, const void* desired, void* old, u32 bytes,
             const ir::MemArg& m) override;
    bool probe(ir::CpuHeader& cpu, u64 address, u64 bytes, bool write) override;
    void fence(u32 before, u32 after) override { real_.fence(before, after); }
    int call(const ir::Intrinsic& f, ir::CpuHeader& cpu, const ir::Wide* args, ir::Wide* results) override;

private:
    static void add(ir::CpuHeader& cpu, const ir::AccessEntry& e);
    ir::Access& real_;
};

// The world of the second run: the log. The first access that is not the logged one is kept as the difference and fails.
class ReplayAccess final : public ir::Access {
public:
    // `faulted`: the first run left with a fault, so the access after the last entry does.
    void start(const ir::AccessEntry* log, const ir::AccessEntry* end, bool faulted);
    // What was different; empty: nothing.
    const std::string& difference() const { return difference_; }
    // After the run: entries that the interpreter had no use for.
    std::string left_over() const;
    // The access that faulted lay in [low, high).
    u64 fault_low() const { return fault_low_; }
    u64 fault_high() const { return fault_high_; }

    bool load(ir::CpuHeader& cpu, u64 address, void* out, u32 bytes, const ir::MemArg& m) override;
    bool store(ir::CpuHeader& cpu, u64 address, const void* in, u32 bytes, const ir::MemArg& m) override;
    bool rmw(ir::CpuHeader& cpu, u64 address, ir::Rmw op, u64 operand, u64& old, u32 bytes,
             const ir::MemArg& m) override;
    bool cas(ir::CpuHeader& cpu, u64 address, const void* expected, const void* desired, void* old, u32 bytes,
             const ir::MemArg& m) override;
    bool probe(ir::CpuHeader& cpu, u64 address, u64 bytes, bool write) override;
    void fence(u32, u32) override {}
    int call(const ir::Intrinsic& f, ir::CpuHeader& cpu, const ir::Wide* args, ir::Wide* results) override;

private:
    const ir::AccessEntry* next(ir::CpuHeader& cpu, ir::AccessEntry::Kind kind, u32 op, u64 address, u64 bytes);
    bool same(const char* what, const ir::AccessEntry& e, const u64* logged, const void* now);
    const ir::AccessEntry *at_ = nullptr, *end_ = nullptr;
    bool faulted_ = false;
    u64 fault_low_ = 0, fault_high_ = 0;
    std::string difference_;
};

// The verifier of one vCPU.
class Verifier {
public:
    Verifier(const ir::GuestState& state, u32 vector_bytes, ir::Access& real);

    LoggingAccess& logging() { return logging_; }
    // Before generated code runs the unit: keeps the state, empties the log.
    void begin(ir::CpuHeader& cpu);
    enum class Outcome { same, different, log_full };
    // After it left: runs the interpreter from the same state and compares. A fault's pc and guest address are known,
    // its address unless fault_unknown.
    Outcome check(const ir::Unit& unit, ir::BlockId from, ir::CpuHeader& cpu);
    const std::string& difference() const { return difference_; }
    // Guest instructions of the unit that was checked.
    u32 guest_insns() const { return interpreter_.guest_insns(); }
    // Slots before, after generated code, after the interpreter; a mark where the two differ.
    std::string states(ir::CpuHeader& cpu);

private:
    static constexpr u32 entries = 8192;
    ir::CpuHeader& header(std::vector<u8>& bytes) { return *reinterpret_cast<ir::CpuHeader*>(bytes.data()); }
    void compare(ir::CpuHeader& cpu);
    void compare_exit(const ir::CpuHeader& cpu, const ir::CpuHeader& replay);
    bool slot_differs(u32 n, ir::CpuHeader& cpu);

    const ir::GuestState& state_;
    u32 vector_bytes_;
    LoggingAccess logging_;
    ReplayAccess replay_;
    ir::Interpreter interpreter_;
    struct Free {
        void operator()(void* p) const { std::free(p); }
    };
    std::unique_ptr<ir::AccessEntry[], Free> log_; // one more than `entries`, which is written when it is full
    std::vector<u8> before_, after_;               // state blocks without the back end's area
    std::string difference_;
};

} // namespace mimic::cpu
