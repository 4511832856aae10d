// The privileged side of AArch64: fields of its registers, and the state as C++ sees it. Arm Architecture Reference
// Manual for A-profile (DDI 0487): exceptions D1, translation D8, timers D11, registers D19. Secure state is
// there with EL3. Not there: Secure EL2, AArch32, nested virtualization, SVE, MTE, warm resets by RMR_ELx, traps of pointer
// authentication (SCR_EL3.API and APK, HCR_EL2.API and APK: RES0).
#pragma once
#include "isa/aarch64/isa.hpp"
#include "isa/aarch64/system.hpp"
#include "isa/system.hpp"

namespace mimic::isa::aarch64 {

// PSTATE as SPSR_ELx has it (C5.2.18).
namespace pstate {
inline constexpr u64 SP = 1, EL = 3 << 2, M = 0x1f, F = 1 << 6, I = 1 << 7, A = 1 << 8, D = 1 << 9,
                     DAIF = F | I | A | D, BTYPE = 3 << 10, SSBS = 1 << 12, IL = 1 << 20, SS = 1 << 21, PAN = 1 << 22,
                     UAO = 1 << 23, DIT = 1 << 24;
} // namespace pstate

// SCTLR_ELx (D19.2.118)
namespace sctlr {
inline constexpr u64 M = 1, A = 2, UMA = 1 << 9, DZE = 1 << 14, UCT = 1 << 15, nTWI = 1 << 16, nTWE = 1 << 18,
                     WXN = 1 << 19, SPAN = 1 << 23, UCI = 1 << 26, EnDB = 1 << 13, EnDA = 1 << 27, EnIB = 1 << 30,
                     EnIA = u64{1} << 31, DSSBS = u64{1} << 44;
}

// HCR_EL2 (D19.2.48)
namespace hcr {
inline constexpr u64 VM = 1, PTW = 1 << 2, FMO = 1 << 3, IMO = 1 << 4, AMO = 1 << 5, VF = 1 << 6, VI = 1 << 7,
                     VSE = 1 << 8, DC = 1 << 12, TWI = 1 << 13, TID1 = 1 << 16, TID2 = 1 << 17, TID3 = 1 << 18,
                     TSC = 1 << 19, TACR = 1 << 21, TSW = 1 << 22, TPC = 1 << 23, TPU = 1 << 24, TTLB = 1 << 25,
                     TVM = 1 << 26, TGE = 1 << 27, TDZ = 1 << 28, HCD = 1 << 29, TRVM = 1 << 30, RW = u64{1} << 31,
                     CD = u64{1} << 32, ID = u64{1} << 33, E2H = u64{1} << 34, TLOR = u64{1} << 35;
// What makes instructions of EL1 and EL0 trap, so that they are looked at one by one.
inline constexpr u64 traps = TID1 | TID2 | TID3 | TACR | TSW | TPC | TPU | TTLB | TVM | TRVM | TDZ | TGE;
} // namespace hcr

// SCR_EL3 (D19.2.116)
namespace scr {
inline constexpr u64 NS = 1, IRQ = 2, FIQ = 4, EA = 8, SMD = 1 << 7, HCE = 1 << 8, SIF = 1 << 9, RW = 1 << 10,
                     ST = 1 << 11, TWI = 1 << 12, TWE = 1 << 13, TLOR = 1 << 14;
}

// MDCR_EL3 (D19.3.18)
namespace mdcr3 {
inline constexpr u64 TPM = 1 << 6, TDA = 1 << 9, TDOSA = 1 << 10, SDD = 1 << 16, SPME = 1 << 17;
}

// MDCR_EL2 (D19.3.17). HPMD is not there: ID_AA64DFR0_EL1 tells of PMUv3 without FEAT_PMUv3p1 (models.cpp).
namespace mdcr2 {
inline constexpr u64 HPMN = 31, HPME = 1 << 7, TDE = 1 << 8;
}

// MDSCR_EL1 (D19.3.20)
namespace mdscr {
inline constexpr u64 SS = 1, KDE = 1 << 13, MDE = 1 << 15;
}

// ESR_ELx.EC (D19.2.37)
namespace ec {
enum : u64 {
    unknown = 0x00,
    wfx = 0x01,
    fp = 0x07,
    illegal_state = 0x0e,
    svc = 0x15,
    hvc = 0x16,
    smc = 0x17,
    sysreg = 0x18,
    fpac = 0x1c,
    fetch_abort = 0x20, // of a lower level; one more: of the same
    pc_alignment = 0x22,
    data_abort = 0x24, // as fetch_abort
    serror = 0x2f,
    breakpoint = 0x30, // of a lower level; one more: of the same
    software_step = 0x32,
    watchpoint = 0x34,
    brk = 0x3c
};
}
inline constexpr u64 esr_il = 1 << 25;
constexpr u64 syndrome(u64 ec_, u64 iss = 0) { return ec_ << 26 | esr_il | iss; }

// Exception::cause: the syndrome, and above it what else decides how it is entered. value: FAR_ELx; value2: HPFAR_EL2.
namespace cause {
inline constexpr u64 has_far = u64{1} << 40, to_el2 = u64{1} << 41, to_el3 = u64{1} << 42,
                     next = u64{1} << 43, // the preferred return address is that of the next instruction
    strip_pc = u64{1} << 44,              // no exception: the pc has a tag, which goes (D8.8, address tagging)
    external = u64{1} << 45,              // a synchronous external abort (SCR_EL3.EA)
    has_hpfar = u64{1} << 46,             // stage 2
    to_el1 = u64{1} << 47;                // at least
inline constexpr u64 esr = (u64{1} << 37) - 1;
} // namespace cause

// What the trap op of a privileged instruction asks for (its detail): the request, Rt << 8, write << 13, and above 16 the
// register or operation as sysreg encodes it with op0's low bit, or an immediate.
enum class Request : u32 {
    resync, // state was written that decides what comes next, e.g. PSTATE.I cleared
    eret,
    wfi,
    wfe,
    hvc,
    smc,
    msr, // MRS or MSR
    sys,
    barrier, // DSB: flushes that others were asked for
    pstate,  // MSR (immediate): op1 << 16 | CRm << 20 | op2 << 24
    fp_trap,
    illegal_state,
};

// Leaves for System::execute with a request; `fields` as said above. privileged_rows.cpp
void ask(A64& t, Request what, u64 fields = 0);
// MRS and MSR of the system form: what is read and written often stays in translated code.
void mrs_system(A64& t, const I& i);
void msr_system(A64& t, const I& i);
// SYS of the system form. False: as in user mode.
bool sys_system(A64& t, const I& i);

// Input lines and output lines. Those of group 1 come from an interrupt controller with two Security states, and are an IRQ
// in their own state and an FIQ in the other and at EL3 (Arm IHI 0069, 4.6.2).
enum Line : u32 { line_irq, line_fiq, line_virq, line_vfiq, line_serror, line_group1_secure, line_group1 };
enum Output : u32 { output_cntp, output_cntv, output_cnthp, output_cntps, output_cnthv, output_pmu, output_count };

// The slots of a vCPU.
class State {
public:
    State(ir::CpuHeader& cpu, const Model& model) : cpu_(cpu), model_(model) {}
    ir::CpuHeader& cpu() const { return cpu_; }
    const Model& model() const { return model_; }
    u64& operator[](u32 slot) const {
        return *reinterpret_cast<u64*>(slots() + state_aarch64_system.slots[slot_system].offset +
                                       8 * (slot - slot_system));
    }
    u64 x(u32 n) const { return n == 31 ? 0 : *reinterpret_cast<u64*>(slots() + 8 * n); }
    void x(u32 n, u64 v) const {
        if (n != 31) *reinterpret_cast<u64*>(slots() + 8 * n) = v;
    }
    u64& at(u32 slot) const { return *reinterpret_cast<u64*>(slots() + state_aarch64_system.slots[slot].offset); }
    u32& at32(u32 slot) const { return *reinterpret_cast<u32*>(slots() + state_aarch64_system.slots[slot].offset); }

    u32 level() const { return u32((*this)[slot_pstate] >> 2 & 3); }
    bool has_el2() const { return model_.has(Feature::el2); }
    bool has_el3() const { return model_.has(Feature::el3); }
    u32 highest() const { return has_el3() ? 3 : has_el2() ? 2 : 1; }
    // SCR_EL3 as it acts: without EL3, all is non-secure. EL3 itself is secure.
    u64 scr() const { return has_el3() ? (*this)[slot_scr_el3] : scr::NS | scr::HCE | scr::RW; }
    bool secure() const { return !(scr() & scr::NS); } // below EL3
    bool el2_enabled() const { return has_el2() && !secure(); }
    // HCR_EL2 as it acts on EL1 and EL0 (D19.2.48): 0 when EL2 is not there; with TGE, interrupts are EL2's.
    u64 hcr() const;
    bool e2h() const { return has_el2() && model_.has(Feature::vhe) && ((*this)[slot_hcr_el2] & hcr::E2H); }
    // EL0 belongs to EL2 (the EL2&0 regime).
    bool host_el0() const { return el2_enabled() && e2h() && ((*this)[slot_hcr_el2] & hcr::TGE); }
    u64& sctlr(u32 level) const;
    // Of the regime that EL0's own controls (UCT, DZE, nTWI...) are of.
    u64 el0_sctlr() const { return sctlr(host_el0() ? 2 : 1); }
    u64 el0_cntkctl() const { return (*this)[host_el0() ? slot_cnthctl_el2 : slot_cntkctl_el1]; }

    u64 lines() const; // as they are at this level, in this Security state
    u64 spsr() const;  // PSTATE, as an exception saves it
    // PSTATE of an SPSR that is legal to return to.
    void set_pstate(u64 spsr) const;
    // Leaves the stack pointer in use for that of (level, SP bit), in slot_pstate.
    void switch_stack(u64 level_and_sp) const;
    u64& bank(u64 level_and_sp) const { return (*this)[slot_sp_el0 + (level_and_sp & 1 ? level_and_sp >> 2 & 3 : 0)]; }
    // 0: not; else the level that floating point traps to (CPACR_EL1.FPEN, CPTR_EL2, CPTR_EL3).
    u32 fp_traps_to() const;
    u32 mode() const;
    void refresh() const; // mode bits, and what is kept of SCTLR_ELx for pointer authentication

    u64 clock() const { return cpu_.clock ? cpu_.clock(cpu_) : 0; }
    u64 count() const { return u64(static_cast<unsigned __int128>(clock()) * model_.clock_hz / 1'000'000'000); }

private:
    u8* slots() const { return reinterpret_cast<u8*>(&cpu_) + ir::slots_offset; }
    ir::CpuHeader& cpu_;
    const Model& model_;
};

// exceptions.cpp
void enter(const State& s, const Exception& e);
// Bits 24 to 14 of the syndrome of a data abort, which stage 2 has: ISV and what the instruction does; 0 without ISV.
bool is_access_of_stage2(const Exception& e);
u64 access_syndrome(u32 instruction);
bool exception_return(const State& s, Exception& e);
// The exception for what is not there, or not allowed, at this level.
inline Exception undefined_instruction() { return {syndrome(ec::unknown)}; }
// Enters the handler of the most urgent interrupt; false: none can be taken now.
bool take_interrupt(const State& s);
bool interrupt_pending(const State& s); // for WFI: masks don't count

// registers.cpp: MRS and MSR, by what the trap's detail says. False: e.
bool access_register(const State& s, u64 detail, Effects& f, Exception& e);
bool register_answered(const State& s, const BoardRequest& r, bool done, Exception& e);

// maintenance.cpp: SYS: TLBI, AT, DC, IC.
bool system_operation(const State& s, PhysicalMemory& memory, u64 detail, Effects& f, Exception& e);
// The exception of a trapped access (EC 0x18) to at least `level`.
Exception trapped(const State& s, u64 detail, u32 level);

// self_hosted.cpp: debug exceptions.
// Those of EL0 and EL1 are EL2's.
bool debug_of_el2(const State& s);
// AArch64.GenerateDebugExceptionsFrom: may debug exceptions but BRK be taken at this level, with PSTATE.D as said?
bool debug_enabled(const State& s, u32 level, bool secure, bool masked);
// DebugExceptionReturnSS, before the level changes: PSTATE.SS that an exception return to where SPSR says leaves.
bool step_after_return(const State& s, u64 spsr);
// An address breakpoint may match at this level, whatever PSTATE.D says (mode_debug).
bool may_meet_breakpoint(const State& s);
// Debug exceptions wait for PSTATE.D to be cleared.
bool debug_masked(const State& s);
bool debug_steps(const State& s);
// An address without its tag: watchpoints are compared with bits 55 to 0.
inline u64 canonical(u64 address) { return u64(i64(address << 8) >> 8); }
void debug_points(const State& s, std::vector<DebugPoint>& out);
bool debug_before(const State& s, const CodeAt& code, Exception& e);
bool debug_after(const State& s, std::span<const u8> code, Exception& e);
bool debug_access(const State& s, const DebugAccess& a, Exception& e);

// pmu.cpp: performance monitors.
inline constexpr u32 pmu_counters = 6; // beside that of cycles
u64 pmu_read(const State& s, u32 number);
void pmu_write(const State& s, u32 number, u64 v);
bool pmu_running(const State& s);
// Counts what has passed since this was done last; before anything changes of what is counted.
void pmu_sync(const State& s);
bool pmu_output(const State& s);
u64 pmu_next(const State& s); // when an overflow raises it; ~0: never

// timers.cpp
u64 timer_outputs(const State& s);
u64 next_timer(const State& s);
bool timer_condition(const State& s, u32 ctl_slot); // ISTATUS
u64 timer_offset(const State& s, u32 ctl_slot);     // of the count it compares with

// walk.cpp
bool walk(const State& s, PhysicalMemory& memory, u64 address, u32 bytes, AccessType type, u32 index, bool debug,
          Mapping& out, Exception& e);
u64 context_of(const State& s, u32 index);
u64 context_of_asid(const State& s, u32 index, u64 asid);
// AT with stage 1 only: as walk, but without stage 2. attributes: those of MAIR_ELx, and shareability << 8.
bool walk_stage1(const State& s, PhysicalMemory& memory, u64 address, AccessType type, u32 index, Mapping& out,
                 u64& attributes, Exception& e);

// `model` outlives it.
std::unique_ptr<System> make_system_of(const Model& model);

} // namespace mimic::isa::aarch64
