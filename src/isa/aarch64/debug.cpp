// Registers as gdb names them. GDB manual, G.5.1 "AArch64 Features": core (x0 to x30, sp, pc, cpsr), fpu (v0 to v31, fpsr,
// fpcr), pauth (masks of pointer authentication), tls (tpidr); the system registers stand in a feature of our own, spelled as the
// Arm ARM does.
#include "isa/aarch64/debug.hpp"
#include "isa/aarch64/privileged.hpp"
#include <cctype>
#include <cstring>
#include <deque>
#include <vector>

namespace mimic::isa::aarch64 {

namespace {

constexpr std::string_view core = "org.gnu.gdb.aarch64.core", fpu = "org.gnu.gdb.aarch64.fpu",
                           pauth = "org.gnu.gdb.aarch64.pauth", tls = "org.gnu.gdb.aarch64.tls",
                           system_feature = "mimic.aarch64.system";

constexpr std::string_view core_types = R"(<flags id="cpsr_flags" size="4">
<field name="SP" start="0" end="0"/><field name="EL" start="2" end="3"/><field name="F" start="6" end="6"/>
<field name="I" start="7" end="7"/><field name="A" start="8" end="8"/><field name="D" start="9" end="9"/>
<field name="BTYPE" start="10" end="11"/><field name="SSBS" start="12" end="12"/><field name="IL" start="20" end="20"/>
<field name="SS" start="21" end="21"/><field name="PAN" start="22" end="22"/><field name="UAO" start="23" end="23"/>
<field name="DIT" start="24" end="24"/><field name="TCO" start="25" end="25"/><field name="V" start="28" end="28"/>
<field name="C" start="29" end="29"/><field name="Z" start="30" end="30"/><field name="N" start="31" end="31"/>
</flags>
)";
// A vector register in each of its views: lanes of 64 to 8 bits, the whole.
constexpr std::string_view fpu_types = R"(<vector id="v2d" type="ieee_double" count="2"/>
<vector id="v2u" type="uint64" count="2"/><vector id="v2i" type="int64" count="2"/>
<vector id="v4f" type="ieee_single" count="4"/><vector id="v4u" type="uint32" count="4"/>
<vector id="v4i" type="int32" count="4"/><vector id="v8f" type="ieee_half" count="8"/>
<vector id="v8u" type="uint16" count="8"/><vector id="v8i" type="int16" count="8"/>
<vector id="v16u" type="uint8" count="16"/><vector id="v16i" type="int8" count="16"/>
<vector id="v1u" type="uint128" count="1"/><vector id="v1i" type="int128" count="1"/>
<union id="vnd"><field name="f" type="v2d"/><field name="u" type="v2u"/><field name="s" type="v2i"/></union>
<union id="vns"><field name="f" type="v4f"/><field name="u" type="v4u"/><field name="s" type="v4i"/></union>
<union id="vnh"><field name="f" type="v8f"/><field name="u" type="v8u"/><field name="s" type="v8i"/></union>
<union id="vnb"><field name="u" type="v16u"/><field name="s" type="v16i"/></union>
<union id="vnq"><field name="u" type="v1u"/><field name="s" type="v1i"/></union>
<union id="aarch64v"><field name="d" type="vnd"/><field name="s" type="vns"/><field name="h" type="vnh"/>
<field name="b" type="vnb"/><field name="q" type="vnq"/></union>
)";

// Bits of a pointer in the lower half that hold a code: pauth.cpp's addresses.
constexpr u64 code_bits = u64{0x7f} << 48;

class View final : public DebugView {
public:
    View(const Guest& guest, const Model& model) : guest_(guest), model_(model) {
        auto names = guest.registers();
        bool system = guest.system();
        for (u32 n = 0; n < 31; ++n) add(n, {names[n].name, core, 8, "int", "general", true});
        add(31, {"sp", core, 8, "data_ptr", "general", true});
        add(at_pc, {"pc", core, 8, "code_ptr", "general", true});
        add(at_cpsr, {"cpsr", core, 4, "cpsr_flags", "general", true});
        for (u32 n = 0; n < 32; ++n) add(register_v + n, {names[register_v + n].name, fpu, 16, "aarch64v", "vector"});
        add(register_fpsr, {"fpsr", fpu, 4, "int", "float"});
        add(register_fpcr, {"fpcr", fpu, 4, "int", "float"});
        if (model.has(Feature::pauth) && !system) {
            add(at_pac_mask, {"pauth_dmask", pauth, 8, "int", "system"});
            add(at_pac_mask, {"pauth_cmask", pauth, 8, "int", "system"});
        }
        add(register_tpidr, {"tpidr", tls, 8, "data_ptr", "system"});
        if (!system) return;
        add_system(register_tpidr, names[register_tpidr].name);
        add_system(register_internal, names[register_internal].name); // TPIDRRO_EL0
        for (u32 level = 0; level < 4; ++level) add_system(at_stack + level, fmt::format("sp_el{}", level));
        for (u32 n = register_system; n < register_system + u32(slot_sp_el0) - u32(slot_system); ++n)
            add_system(n, names[n].name);
    }
    std::string_view architecture() const override { return "aarch64"; }
    std::span<const DebugRegister> registers() const override { return all_; }
    bool watches_before_access() const override { return true; }
    std::string_view types(std::string_view feature) const override {
        return feature == core ? core_types : feature == fpu ? fpu_types : std::string_view();
    }

    bool read(ir::CpuHeader& cpu, u32 n, u8* out) const override {
        u32 of = of_[n], cpsr;
        u64 mask = code_bits;
        switch (of) {
        case at_pc: std::memcpy(out, &cpu.pc, 8); return true;
        case at_pac_mask: std::memcpy(out, &mask, 8); return true;
        case at_cpsr:
            cpsr = read_cpsr(cpu);
            std::memcpy(out, &cpsr, 4);
            return true;
        default: break;
        }
        if (of >= at_stack)
            std::memcpy(out, &stack(State(cpu, model_), of - at_stack), 8);
        else
            guest_.read_register(cpu, of, out);
        return true;
    }
    bool write(ir::CpuHeader& cpu, u32 n, const u8* in) const override {
        u32 of = of_[n], cpsr;
        switch (of) {
        case at_pc:
            std::memcpy(&cpu.pc, in, 8);
            cpu.mode &= ~mode_btype; // nobody branched there
            return true;
        case at_pac_mask: return false;
        case at_cpsr:
            std::memcpy(&cpsr, in, 4);
            write_cpsr(cpu, cpsr);
            return true;
        default: break;
        }
        if (of >= at_stack)
            std::memcpy(&stack(State(cpu, model_), of - at_stack), in, 8);
        else
            guest_.write_register(cpu, of, in);
        return true;
    }

private:
    enum : u32 { at_pc = 0x10000, at_cpsr, at_pac_mask, at_stack }; // four of at_stack
    void add(u32 of, const DebugRegister& r) { all_.push_back(r), of_.push_back(of); }
    void add_system(u32 of, std::string_view name) {
        std::string& upper = names_.emplace_back(name);
        for (char& c : upper) c = char(std::toupper(static_cast<unsigned char>(c)));
        add(of, {upper, system_feature, 8, "int", "system"});
    }
    // SP_ELx: the one in use is sp, and nowhere else.
    static u64& stack(const State& s, u32 level) {
        u64& banked = s[slot_sp_el0 + level];
        return &banked == &s.bank(s[slot_pstate]) ? s.at(slot_sp) : banked;
    }

    u32 read_cpsr(ir::CpuHeader& cpu) const {
        if (guest_.system()) return u32(State(cpu, model_).spsr());
        u32 nzcv;
        guest_.read_register(cpu, register_nzcv, reinterpret_cast<u8*>(&nzcv));
        return nzcv | (cpu.mode & mode_btype) << 10;
    }
    // In the system form all of PSTATE but the exception level and the stack pointer's choice, which change what other
    // registers are.
    void write_cpsr(ir::CpuHeader& cpu, u32 v) const {
        if (guest_.system()) {
            State s(cpu, model_);
            s.set_pstate((v & ~u64{0x1f}) | (s.spsr() & 0x1f));
            s.refresh();
            return;
        }
        u32 nzcv = v & 0xf0000000;
        guest_.write_register(cpu, register_nzcv, reinterpret_cast<const u8*>(&nzcv));
        cpu.mode = (cpu.mode & ~mode_btype) | (v >> 10 & mode_btype);
    }

    const Guest& guest_;
    const Model& model_;
    std::vector<DebugRegister> all_;
    std::vector<u32> of_;           // numbers of Guest::registers(), or above
    std::deque<std::string> names_; // of system registers
};

} // namespace

std::unique_ptr<DebugView> make_debug_view(const Guest& guest, const Model& model) {
    return std::make_unique<View>(guest, model);
}

} // namespace mimic::isa::aarch64
