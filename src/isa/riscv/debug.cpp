// Registers as gdb names them. GDB manual, G.5.12 "RISC-V Features": cpu (x0 to x31 by their ABI names, pc), fpu, csr, virtual.
#include "isa/debug.hpp"
#include "isa/riscv/csr.hpp"
#include "isa/riscv/system.hpp"
#include <cstring>
#include <vector>

namespace mimic::isa::riscv {

namespace {

constexpr u32 first_f = 33, first_csr = 65;

struct Named {
    u32 number; // of the CSR; privilege for "priv"
    std::string name;
};
constexpr u32 privilege = 0x1000;

class View final : public DebugView {
public:
    View(bool system, u32 parts) : system_(system), parts_(parts) {
        for (u32 n = 0; n < 32; ++n)
            add({x_names[n], "org.gnu.gdb.riscv.cpu", 8, n == 2 ? "data_ptr" : "int", "general", true});
        add({"pc", "org.gnu.gdb.riscv.cpu", 8, "code_ptr", "general", true});
        for (u32 n = 0; n < 32; ++n) add({f_names[n], "org.gnu.gdb.riscv.fpu", 8, "ieee_double", "float"});
        for (u32 n = 1; n <= 3; ++n) csrs_.push_back({n, csr_name(n)});
        for (u32 n = 4; system && n < 0x1000; ++n)
            if (exists(n)) csrs_.push_back({n, csr_name(n)});
        if (system) csrs_.push_back({privilege, "priv"});
        for (const Named& c : csrs_)
            add({c.name,
                 c.number <= 3           ? "org.gnu.gdb.riscv.fpu"
                 : c.number == privilege ? "org.gnu.gdb.riscv.virtual"
                                         : "org.gnu.gdb.riscv.csr",
                 u16(c.number <= 3 ? 4 : 8), "int", c.number <= 3 ? "float" : "system"});
    }
    std::string_view architecture() const override { return "riscv:rv64"; }
    std::span<const DebugRegister> registers() const override { return all_; }
    bool watches_before_access() const override { return true; }

    bool read(ir::CpuHeader& cpu, u32 n, u8* out) const override {
        if (n >= first_csr) return read_csr(cpu, csrs_[n - first_csr].number, out);
        u64 zero = 0;
        const void* from = n == 0 ? &zero : n == 32 ? static_cast<const void*>(&cpu.pc) : slot(cpu, n);
        std::memcpy(out, from, 8);
        return true;
    }
    bool write(ir::CpuHeader& cpu, u32 n, const u8* in) const override {
        if (n >= first_csr) return write_csr(cpu, csrs_[n - first_csr].number, in);
        if (n == 0) return true; // it stays zero
        std::memcpy(n == 32 ? static_cast<void*>(&cpu.pc) : slot(cpu, n), in, 8);
        return true;
    }

private:
    void add(const DebugRegister& r) { all_.push_back(r); }
    static void* slot(ir::CpuHeader& cpu, u32 n) {
        const ir::GuestState& s = state_rv64;
        return ir::home(&cpu, s.slots[n < first_f ? slot_x + n : slot_f + n - first_f]);
    }
    bool exists(u32 number) const {
        std::string name = csr_name(number);
        return !name.starts_with("0x") && csr_exists(number, parts_);
    }

    bool read_csr(ir::CpuHeader& cpu, u32 number, u8* out) const;
    bool write_csr(ir::CpuHeader& cpu, u32 number, const u8* in) const;

    bool system_;
    u32 parts_; // parts_of
    std::vector<Named> csrs_;
    std::vector<DebugRegister> all_;
};

// With the rights of machine mode, whatever the vCPU's are.
class AsMachine {
public:
    explicit AsMachine(const State& s) : s_(s), was_(s[slot_priv]) { s_[slot_priv] = machine_level; }
    ~AsMachine() { s_[slot_priv] = was_; }

private:
    const State& s_;
    u64 was_;
};

bool View::read_csr(ir::CpuHeader& cpu, u32 number, u8* out) const {
    if (number <= 3) {
        u32 v = get_fcsr(cpu);
        v = number == 1 ? v & 31 : number == 2 ? v >> 5 & 7 : v;
        std::memcpy(out, &v, 4);
        return true;
    }
    State s(cpu);
    u64 value = s[slot_priv], detail = 0;
    if (number != privilege) {
        AsMachine rights(s);
        CsrAccess a{.how = CsrAccess::set,
                    .writes = false,
                    .lines = s.lines(),
                    .clock = cpu.clock ? cpu.clock(cpu) : 0,
                    .parts = parts_};
        if (csr_access(s, number, a, value, detail) == CsrOutcome::illegal) return false;
    }
    std::memcpy(out, &value, 8);
    return true;
}

bool View::write_csr(ir::CpuHeader& cpu, u32 number, const u8* in) const {
    if (number <= 3) {
        u32 v, old = get_fcsr(cpu);
        std::memcpy(&v, in, 4);
        set_fcsr(cpu, number == 1 ? (old & ~31u) | (v & 31) : number == 2 ? (old & 31) | (v & 7) << 5 : v, system_);
        return true;
    }
    State s(cpu);
    u64 value, old, detail = 0;
    std::memcpy(&value, in, 8);
    if (number == privilege) {
        if (value > 3 || value == 2) return false;
        s[slot_priv] = value;
    } else {
        AsMachine rights(s);
        CsrAccess a{.how = CsrAccess::swap,
                    .operand = value,
                    .lines = s.lines(),
                    .clock = cpu.clock ? cpu.clock(cpu) : 0,
                    .parts = parts_};
        if (csr_access(s, number, a, old, detail) == CsrOutcome::illegal) return false;
    }
    s.refresh_mode();
    return true;
}

template <u32 Parts>
const View& machine_view() {
    static const View view(true, Parts);
    return view;
}

} // namespace

const DebugView& debug_view(bool system, u32 parts) {
    static const View program(false, 0);
    constexpr const View& (*machines[])() = {machine_view<0>, machine_view<1>, machine_view<2>, machine_view<3>,
                                             machine_view<4>, machine_view<5>, machine_view<6>, machine_view<7>};
    static_assert(std::size(machines) == all_parts + 1);
    return system ? machines[parts]() : program;
}

} // namespace mimic::isa::riscv
