// AArch64 as isa::System: requests of privileged instructions, traps, reset. Arm ARM D1 and the files that do the parts.
#include "isa/aarch64/privileged.hpp"
#include <algorithm>
#include <cstring>
#include <fmt/core.h>

namespace mimic::isa::aarch64 {

namespace {

constexpr std::string_view line_names[] = {"IRQ", "FIQ", "VIRQ", "VFIQ", "SError", "G1S", "G1NS"};
constexpr std::string_view output_names[] = {"CNTP", "CNTV", "CNTHP", "CNTPS", "CNTHV", "PMU"};
static_assert(std::size(output_names) == output_count);

constexpr u64 condition_always = 1 << 24 | 0xe << 20; // ISS of trapped instructions that have no condition

u64 fault_status(AccessType t, u64 status) { return status | (t == AccessType::write ? 1u << 6 : 0); }

class AArch64System final : public System {
public:
    explicit AArch64System(const Model& model) : model_(model) {}

    u32 indices() const override { return index_count; }
    u32 fetch_index(u32 mode) const override {
        u32 n = mode_fields(mode).data;
        return n == el1_pan ? u32(el1) : n == el20_pan ? u32(el20) : n;
    }
    u32 data_index(u32 mode) const override { return mode_fields(mode).data; }
    u32 physical_bits() const override { return model_.physical_bits; }

    bool translate(ir::CpuHeader& cpu, PhysicalMemory& memory, u64 address, u32 bytes, AccessType type, u32 index,
                   bool debug, Mapping& out, Exception& e) const override {
        return walk(State(cpu, model_), memory, address, bytes, type, index, debug, out, e);
    }
    u64 context(const ir::CpuHeader& cpu, u32 index) const override { return context_of(state(cpu), index); }

    void keep_apart(ir::CpuHeader& cpu) const override { State(cpu, model_)[slot_private] = 1; }

    Exception bus_error(ir::CpuHeader&, u64 address, AccessType type) const override {
        u64 code = type == AccessType::fetch ? ec::fetch_abort : ec::data_abort;
        return {syndrome(code, fault_status(type, 16)) | cause::has_far | cause::external, address};
    }
    Exception misaligned(ir::CpuHeader&, u64 address, AccessType type) const override {
        if (type == AccessType::fetch) return {syndrome(ec::pc_alignment) | cause::has_far, address};
        return {syndrome(ec::data_abort, fault_status(type, 33)) | cause::has_far, address};
    }
    Exception trap(ir::CpuHeader& cpu, std::span<const u8> code) const override;
    bool execute(ir::CpuHeader& cpu, PhysicalMemory& memory, std::span<const u8> code, Effects& f,
                 Exception& e) const override;
    bool answered(ir::CpuHeader& cpu, const BoardRequest& r, bool done, Effects& f, Exception& e) const override;
    void add_syndrome(ir::CpuHeader& cpu, const CodeAt& code, Exception& e) const override {
        if (u8 bytes[4]; is_access_of_stage2(e) && code(cpu.pc, bytes) == 4)
            e.cause |= access_syndrome(bytes[0] | bytes[1] << 8 | bytes[2] << 16 | u32(bytes[3]) << 24);
    }
    void raise(ir::CpuHeader& cpu, const Exception& e) const override { enter(State(cpu, model_), e); }

    std::span<const std::string_view> lines() const override { return line_names; }
    bool take_interrupt(ir::CpuHeader& cpu) const override { return aarch64::take_interrupt(State(cpu, model_)); }
    bool wakes(const ir::CpuHeader& cpu) const override { return interrupt_pending(state(cpu)); }
    void tick(ir::CpuHeader&) const override {} // timers are outputs
    u64 next_timer(const ir::CpuHeader& cpu) const override {
        return std::min(aarch64::next_timer(state(cpu)), pmu_next(state(cpu)));
    }
    std::span<const std::string_view> outputs() const override { return output_names; }
    u64 output_levels(ir::CpuHeader& cpu) const override {
        State s(cpu, model_);
        return timer_outputs(s) | u64{pmu_output(s)} << output_pmu;
    }
    void budget_changed(ir::CpuHeader& cpu, i64 by, u32 shift) const override {
        State s(cpu, model_);
        s[slot_pm_end] += u64(by);
        s[slot_pm_shift] = 1 + shift;
    }

    void debug_points(const ir::CpuHeader& cpu, std::vector<DebugPoint>& out) const override {
        aarch64::debug_points(state(cpu), out);
    }
    u64 debug_address(u64 address) const override { return canonical(address); }
    u32 debug_mode() const override { return mode_debug; }
    bool steps(const ir::CpuHeader& cpu) const override { return debug_steps(state(cpu)); }
    bool before_instruction(ir::CpuHeader& cpu, const CodeAt& code, Exception& e) const override {
        return debug_before(State(cpu, model_), code, e);
    }
    bool after_instruction(ir::CpuHeader& cpu, std::span<const u8> code, Exception& e) const override {
        return debug_after(State(cpu, model_), code, e);
    }
    bool before_access(ir::CpuHeader& cpu, const DebugAccess& a, Exception& e) const override {
        return debug_access(State(cpu, model_), a, e);
    }

    Result<void> check_state(const ir::CpuHeader& cpu) const override;
    void reset(ir::CpuHeader& cpu, ResetKind kind) const override;
    bool enter_level(ir::CpuHeader& cpu, u32 level) const override;
    void set_identity(ir::CpuHeader& cpu, u64 id) const override { State(cpu, model_)[slot_mpidr] = id & 0xff00ffffff; }
    bool host_call(ir::CpuHeader& cpu, const CodeAt& code, HostCall& out) const override;
    void finish_host_call(ir::CpuHeader& cpu, u64 result) const override {
        state(cpu).x(0, result);
        cpu.pc += 4;
    }
    void set_pc(ir::CpuHeader& cpu, u64 pc) const override { cpu.pc = pc; }
    std::string describe(const ir::CpuHeader& cpu, const Exception& e) const override;
    void flushes_done(ir::CpuHeader& cpu) const override { State(cpu, model_)[slot_sync] = 0; }
    // ELF for the Arm 64-bit Architecture; Linux arch/arm64 user_pt_regs: x0 to x30, sp, pc, pstate.
    u16 elf_machine() const override { return 183; }
    u32 core_registers() const override { return 34; }
    u64 core_register(ir::CpuHeader& cpu, u32 n) const override {
        if (n == 32) return cpu.pc;
        State s = state(cpu);
        return n == 33 ? s.spsr() : s.at(n < 31 ? u16(slot_x + n) : u16(slot_sp));
    }

private:
    State state(const ir::CpuHeader& cpu) const { return State(const_cast<ir::CpuHeader&>(cpu), model_); }
    bool write_pstate(const State& s, u64 detail, Exception& e) const;
    bool wait(const State& s, Effects& f, Exception& e) const;
    bool monitor_call(const State& s, Request r, Effects& f) const;
    const Model& model_;
};

Exception AArch64System::trap(ir::CpuHeader& cpu, std::span<const u8> code) const {
    u64 detail = cpu.fault_address;
    u32 bits = 0;
    if (code.size() >= 4) std::memcpy(&bits, code.data(), 4);
    switch (ir::TrapKind(cpu.exit_arg & 0xff)) {
    case ir::TrapKind::syscall: return {syndrome(ec::svc, detail & 0xffff) | cause::next};
    case ir::TrapKind::breakpoint: {
        State s(cpu, model_);
        return {syndrome(ec::brk, detail & 0xffff) | (s.level() < 2 && debug_of_el2(s) ? cause::to_el2 : u64{0})};
    }
    case ir::TrapKind::illegal:
        // FPAC. ISS: bit 0 the B key, bit 1 a data key; of the hints and combined branches all are instruction keys.
        if (detail == ir::illegal_operand) {
            bool data_operation = (bits & 0xfffff000) == 0xdac11000;
            u64 iss = data_operation                      ? bits >> 10 & 3
                      : (bits & 0xfffff01f) == 0xd503201f ? bits >> 6 & 1
                                                          : bits >> 10 & 1;
            return {syndrome(ec::fpac, iss)};
        }
        return undefined_instruction();
    default: return undefined_instruction();
    }
}

// Semihosting for AArch32 and AArch64, 3.1: HLT #0xf000, the operation in W0.
bool AArch64System::host_call(ir::CpuHeader& cpu, const CodeAt& code, HostCall& out) const {
    constexpr u32 hlt_f000 = 0xd45e0000;
    if (ir::TrapKind(cpu.exit_arg & 0xff) != ir::TrapKind::illegal) return false;
    u32 bits = 0;
    if (code(cpu.pc, {reinterpret_cast<u8*>(&bits), 4}) != 4 || bits != hlt_f000) return false;
    State s = state(cpu);
    out = {.operation = u32(s.x(0)), .parameter = s.x(1), .privileged = s.level() != 0};
    return true;
}

// MSR (immediate): op1 << 16 | CRm << 20 | op2 << 24.
bool AArch64System::write_pstate(const State& s, u64 detail, Exception& e) const {
    u32 op1_ = u32(detail >> 16 & 7), value = u32(detail >> 20 & 15), op2_ = u32(detail >> 24 & 7);
    u64& p = s[slot_pstate];
    auto bit = [&](u64 mask) { p = (p & ~mask) | (value & 1 ? mask : 0); };
    bool of_el0 = op1_ == 3;
    if (s.level() == 0 && !of_el0) return e = undefined_instruction(), false;
    if (of_el0 && op2_ >= 6) {
        // From EL0 alone: other levels do it in line. Reported as MSR DAIF (D19.2.37, EC 0x18).
        if (!(s.el0_sctlr() & sctlr::UMA)) {
            u64 as_register =
                u64(op1_ << 11 | 4 << 7 | value << 3 | op2_) << 16 | 31 << 8 | 1 << 13 | u64(Request::pstate);
            e = trapped(s, as_register, 1);
            e.cause &= ~(u64{3} << 20); // op0 is 0
            return false;
        }
        u64 mask = u64(value) << 6;
        s[slot_daif] = op2_ == 6 ? s[slot_daif] | mask : s[slot_daif] & ~mask;
        return true;
    }
    switch (op1_ << 3 | op2_) {
    case 5: s.switch_stack((p & pstate::EL) | (value & 1)); break;
    case 4: bit(pstate::PAN); break;
    case 3: bit(pstate::UAO); break;
    case 3 << 3 | 2: bit(pstate::DIT); break;
    case 3 << 3 | 1: bit(pstate::SSBS); break;
    default: return e = undefined_instruction(), false;
    }
    return true;
}

// WFI (D1.6). What would not wait does not trap; WFE never does, since events come at any time.
bool AArch64System::wait(const State& s, Effects& f, Exception& e) const {
    u32 el = s.level();
    Exception trapped_wait{syndrome(ec::wfx, condition_always)};
    if (interrupt_pending(s)) return true;
    if (el == 0 && !(s.el0_sctlr() & sctlr::nTWI)) return e = trapped_wait, false;
    trapped_wait.cause |= cause::to_el2;
    if (el < 2 && (s.hcr() & hcr::TWI)) return e = trapped_wait, false;
    trapped_wait.cause |= cause::to_el3;
    if (el < 3 && s.has_el3() && (s[slot_scr_el3] & scr::TWI)) return e = trapped_wait, false;
    f.wait = true;
    return true;
}

bool AArch64System::monitor_call(const State& s, Request r, Effects& f) const {
    f.request = {
        .kind = BoardRequest::Kind::call, .number = r == Request::smc, .level = u8(s.level()), .secure = s.secure()};
    for (u32 n = 0; n < 8; ++n) f.request.values[n] = s.x(n);
    return true;
}

bool AArch64System::execute(ir::CpuHeader& cpu, PhysicalMemory& memory, std::span<const u8>, Effects& f,
                            Exception& e) const {
    State s(cpu, model_);
    u64 detail = cpu.fault_address;
    bool done = true;
    switch (Request(detail & 0xff)) {
    case Request::resync: return s.refresh(), true;
    case Request::eret:
        f.contexts = true; // EL0 of EL2 or of EL1
        return exception_return(s, e);
    case Request::smc:
        // A hypervisor has its guest's calls before any firmware.
        if (s.level() == 1 && (s.hcr() & hcr::TSC))
            return e = {syndrome(ec::smc, detail >> 16 & 0xffff) | cause::to_el2}, false;
        [[fallthrough]];
    case Request::hvc: return monitor_call(s, Request(detail & 0xff), f);
    case Request::wfi: done = wait(s, f, e); break;
    case Request::wfe: f.pause = true; break;
    case Request::msr:
        done = access_register(s, detail, f, e);
        if (done && f.request.kind != BoardRequest::Kind::none) return true;
        break;
    case Request::sys: done = system_operation(s, memory, detail, f, e); break;
    case Request::barrier: s[slot_sync] = 0, f.settle = true; break;
    case Request::pstate: done = write_pstate(s, detail, e); break;
    case Request::illegal_state: return e = {syndrome(ec::illegal_state)}, false;
    case Request::fp_trap: {
        u32 to = s.fp_traps_to();
        e = {syndrome(ec::fp, condition_always) | (to == 3 ? cause::to_el3 : to == 2 ? cause::to_el2 : 0)};
        return false;
    }
    }
    if (!done) return false;
    cpu.pc += 4;
    s.refresh();
    return true;
}

bool AArch64System::answered(ir::CpuHeader& cpu, const BoardRequest& r, bool done, Effects&, Exception& e) const {
    State s(cpu, model_);
    if (r.kind != BoardRequest::Kind::call) {
        if (!register_answered(s, r, done, e)) return false;
        cpu.pc += 4;
        return true;
    }
    u64 immediate = cpu.fault_address >> 16 & 0xffff;
    if (done) {
        for (u32 n = 0; n < 4; ++n) s.x(n, r.values[n]);
        cpu.pc += 4;
        s.refresh();
        return true;
    }
    bool smc = r.number;
    if (smc) {
        bool there = s.has_el3() && !(s[slot_scr_el3] & scr::SMD);
        return e = there ? Exception{syndrome(ec::smc, immediate) | cause::to_el3 | cause::next}
                         : undefined_instruction(),
               false;
    }
    bool there = s.has_el2() && (s.has_el3() ? s[slot_scr_el3] & scr::HCE : !(s[slot_hcr_el2] & hcr::HCD)) &&
                 (s.level() != 1 || s.el2_enabled());
    return e = there ? Exception{syndrome(ec::hvc, immediate) | cause::to_el2 | cause::next} : undefined_instruction(),
           false;
}

// D1.3.1 and each register's reset value; what is UNKNOWN is zero.
Result<void> AArch64System::check_state(const ir::CpuHeader& cpu) const {
    State s(const_cast<ir::CpuHeader&>(cpu), model_);
    if (s.level() > s.highest() || (s.level() == 2 && !s.has_el2()))
        return Error::corrupt("register 'pstate': exception level {}, which this model has not", s.level());
    return {};
}

void AArch64System::reset(ir::CpuHeader& cpu, ResetKind) const {
    State s(cpu, model_);
    u64 id = s[slot_mpidr];
    std::memset(reinterpret_cast<u8*>(&cpu) + ir::slots_offset, 0, state_aarch64_system.bytes);
#define REG(name, op0, op1, crn, crm, op2, writable, value, ...) s[slot_##name] = value;
#include "isa/aarch64/registers.def"
#undef REG
    s[slot_mpidr] = id;
    s[slot_cntfrq_el0] = model_.clock_hz;
    s[slot_vpidr_el2] = model_.midr;
    s[slot_vmpidr_el2] = u64{1} << 31 | id;
    s[slot_pstate] = u64(s.highest()) << 2 | pstate::SP;
    s[slot_daif] = pstate::DAIF;
    s[slot_os_lock] = 1;
    cpu.mode = 0;
    cpu.pc = 0;
    cpu.fp = {};
    s.at32(slot_nzcv) = flags_of_nzcv(0);
    s.refresh();
}

// Linux, Documentation/arch/arm64/booting.rst: what firmware leaves for a kernel that it enters at this level.
bool AArch64System::enter_level(ir::CpuHeader& cpu, u32 level) const {
    State s(cpu, model_);
    if (level < 1 || level > s.highest() || (level == 2 && !s.has_el2())) return false;
    // Nothing is at EL3 then: what the board's firmware does not answer is undefined.
    if (level < 3 && s.has_el3())
        s[slot_scr_el3] |= scr::NS | scr::RW | scr::HCE | scr::SMD, s[slot_cptr_el3] = 0, s[slot_mdcr_el3] = 0;
    if (level < 2 && s.has_el2()) s[slot_hcr_el2] = hcr::RW, s[slot_cptr_el2] = 0x33ff, s[slot_mdcr_el2] = pmu_counters;
    s.switch_stack(u64(level) << 2 | pstate::SP);
    s.refresh();
    return true;
}

std::string AArch64System::describe(const ir::CpuHeader& cpu, const Exception& e) const {
    constexpr struct {
        u64 code;
        std::string_view name;
    } names[] = {{ec::unknown, "undefined instruction"},
                 {ec::wfx, "trapped WFI or WFE"},
                 {ec::fp, "trapped floating point"},
                 {ec::illegal_state, "illegal execution state"},
                 {ec::svc, "SVC"},
                 {ec::hvc, "HVC"},
                 {ec::smc, "SMC"},
                 {ec::sysreg, "trapped system register"},
                 {ec::fpac, "pointer authentication"},
                 {ec::fetch_abort, "instruction abort"},
                 {ec::pc_alignment, "misaligned pc"},
                 {ec::data_abort, "data abort"},
                 {ec::breakpoint, "breakpoint"},
                 {ec::software_step, "software step"},
                 {ec::watchpoint, "watchpoint"},
                 {ec::brk, "BRK"}};
    u64 code = (e.cause & cause::esr) >> 26;
    std::string_view name = "exception";
    for (auto& n : names)
        if (n.code == code) name = n.name;
    return fmt::format("{} (ESR {:#x}, FAR {:#x}) at {:#x}, EL{}", name, e.cause & cause::esr, e.value, cpu.pc,
                       state(cpu).level());
}

} // namespace

std::unique_ptr<System> make_system_of(const Model& model) { return std::make_unique<AArch64System>(model); }

} // namespace mimic::isa::aarch64
