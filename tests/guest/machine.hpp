// A bare machine for tests of instructions: registers, some pages of memory, and an engine that runs units. It knows no
// guest; what it needs of one is isa::Guest.
#pragma once
#include "ir/interpreter.hpp"
#include "isa/system.hpp"
#include "isa/translate.hpp"
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace mimic::test {

// Guest memory: pages of 4 KiB in the low 4 GiB, mapped at base() so that generated code can reach them too. All other
// addresses fault, at the first byte that is out of reach.
class Memory final : public ir::Access {
public:
    static constexpr u64 page_bytes = 4096, span = u64{1} << 32;

    Memory();
    ~Memory() override;
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    u8* base() const { return base_; }
    // Makes the page of `address` (below 4 GiB) zero and readable, and writable if asked.
    void map(u64 address, bool writable);
    void protect(u64 address, bool writable);
    void unmap_all();
    bool mapped(u64 address) const { return pages_.contains(address / page_bytes); }
    // Host address of mapped guest memory.
    u8* at(u64 address) const { return base_ + address; }
    // Pages by number, and whether they are writable.
    const std::map<u64, bool>& pages() const { return pages_; }

    bool load(ir::CpuHeader& cpu, u64 address, void* out, u32 bytes, const ir::MemArg& m) override;
    bool store(ir::CpuHeader& cpu, u64 address, const void* in, u32 bytes, const ir::MemArg& m) override;
    bool rmw(ir::CpuHeader& cpu, u64 address, ir::Rmw op, u64 operand, u64& old, u32 bytes,
             const ir::MemArg& m) override;
    bool cas(ir::CpuHeader& cpu, u64 address, const void* expected, const void* desired, void* old, u32 bytes,
             const ir::MemArg& m) override;
    bool probe(ir::CpuHeader& cpu, u64 address, u64 bytes, bool write) override;
    void fence(u32, u32) override {}

private:
    bool reaches(ir::CpuHeader& cpu, u64 address, u64 bytes, bool write) const;

    u8* base_;
    std::map<u64, bool> pages_;
};

// Something that runs units.
class Engine {
public:
    virtual ~Engine() = default;
    virtual std::string_view name() const = 0;
    // Runs the unit from its entry until it leaves; header and slots then tell why, as ir::Interpreter::run says.
    virtual void run(const ir::Unit& unit, const ir::GuestState& guest, ir::CpuHeader& cpu, Memory& memory) = 0;
};
std::unique_ptr<Engine> make_interpreter();
// Every engine of this host: a test runs on each.
std::vector<std::unique_ptr<Engine>> engines();

// Why code stopped.
struct Outcome {
    enum class Kind { done, trap, fault, endless } kind = Kind::done; // done: the pc left the code
    ir::TrapKind trap{};
    ir::FaultKind fault{};
    u64 address = 0; // of a fault; the detail of a trap
    u64 pc = 0;
    // With the guest's privileged side: what an instruction asked of the processor ("wait", "flush_all", ...).
    std::string_view asked;
    // "illegal", "load_page_fault" ...; empty when done.
    std::string name() const;
};

class Machine {
public:
    explicit Machine(const isa::Guest& guest);

    const isa::Guest& guest() const { return guest_; }
    ir::CpuHeader& cpu() { return *reinterpret_cast<ir::CpuHeader*>(state_.get()); }
    Memory& memory() { return memory_; }
    // All registers zero (with a privileged side: as after power-on), no memory, no FP flags.
    void reset();
    void set(u32 reg, const void* value) { guest_.write_register(cpu(), reg, static_cast<const u8*>(value)); }
    std::vector<u8> get(u32 reg);

    // Runs `code`, which stands at `pc` for fetches only, until the pc leaves it. Traps end it; with a privileged side, which takes
    // them, they are done: the handler was entered, and registers say why.
    Outcome run(std::span<const u8> code, u64 pc, Engine& engine);

private:
    struct Free {
        void operator()(u8* p) const;
    };
    bool take_trap(std::span<const u8> code, Outcome& out);
    const isa::Guest& guest_;
    isa::Translator translator_;
    Memory memory_;
    std::unique_ptr<u8[], Free> state_;
    std::size_t state_bytes_;
};

} // namespace mimic::test
