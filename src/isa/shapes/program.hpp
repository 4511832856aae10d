// Bare programs for tests: assembled by a guest's own rows, run by the interpreter in a flat memory.
#pragma once
#include "ir/interpreter.hpp"
#include "isa/translate.hpp"
#include <map>

namespace mimic::isa {

// Assembles lines at `base`, in the guest's own syntax. Beside instructions: `label:`, `.word 0x...` (4 bytes in the
// guest's order), `.mode N` (mode bits of the lines that follow), `# comment`. A label in an instruction stands for its
// address.
struct Program {
    u64 base = 0;
    std::vector<u8> bytes;
    std::map<std::string, u64, std::less<>> labels;
};
Result<Program> assemble_program(const Guest& guest, u64 base, std::string_view source);

// A machine of one vCPU, RAM from ram_base on, and no devices. What is outside RAM faults.
class Machine final : ir::Access {
public:
    explicit Machine(const Guest& guest, u32 ram_bytes = 0x10000, u64 ram_base = 0);
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    void load(const Program& p);
    // Translated units are kept and run again: for programs that don't change their code.
    void keep_units() { keep_ = true; }
    // Runs from cpu.pc until a trap, a fault, or that many units: then exit_kind tells. Each unit must be one that
    // ir::verify accepts.
    void run(const Limits& limits = {}, u32 units = 100000);

    ir::CpuHeader& cpu() { return *reinterpret_cast<ir::CpuHeader*>(state_.data()); }
    std::vector<u8>& ram() { return ram_; }
    u8* at(u64 address) { return ram_.data() + (address - base_); }
    // A slot by name, as an integer of at most 64 bits; of several of one name, number n.
    u64 slot(std::string_view name, u32 n = 0);
    void set_slot(std::string_view name, u64 v, u32 n = 0);
    std::span<const u8> slots() { return std::span(state_).subspan(ir::slots_offset); }
    ir::TrapKind trap() { return ir::TrapKind(cpu().exit_arg & 0xff); }

private:
    const ir::Unit& unit_at_pc(const Limits& limits);
    bool load(ir::CpuHeader&, u64 address, void* out, u32 bytes, const ir::MemArg& m) override;
    bool store(ir::CpuHeader&, u64 address, const void* in, u32 bytes, const ir::MemArg& m) override;
    bool rmw(ir::CpuHeader&, u64 address, ir::Rmw op, u64 operand, u64& old, u32 bytes, const ir::MemArg& m) override;
    bool cas(ir::CpuHeader&, u64 address, const void* expected, const void* desired, void* old, u32 bytes,
             const ir::MemArg& m) override;
    bool probe(ir::CpuHeader&, u64 address, u64 bytes, bool write) override;
    void fence(u32, u32) override {}
    bool in_ram(u64 address, u64 bytes, ir::FaultKind kind);
    u8* slot_home(std::string_view name, u32 n, u32& bytes);

    const Guest& guest_;
    Translator translator_;
    ir::Interpreter interpreter_;
    struct alignas(64) Line {
        u8 b[64];
    };
    std::vector<Line> storage_;
    std::span<u8> state_;
    u64 base_;
    std::vector<u8> ram_;
    bool keep_ = false;
    std::map<std::pair<u64, u32>, ir::Unit> units_;
};

} // namespace mimic::isa
