// Exception entry, return and interrupts. Arm ARM D1: exception levels, entry D1.3, return D1.4, asynchronous exceptions
// D1.3.6; J1.1.2 AArch64.TakeException, AArch64.ExceptionReturn, ELStateUsingAArch32 left out.
#include "isa/aarch64/privileged.hpp"
#include <algorithm>

namespace mimic::isa::aarch64 {

u64 State::hcr() const {
    if (!el2_enabled()) return 0;
    u64 v = (*this)[slot_hcr_el2];
    if (v & hcr::TGE) v |= hcr::IMO | hcr::FMO | hcr::AMO;
    if ((v & hcr::TGE) && host_el0()) v &= ~(hcr::VM | hcr::DC | hcr::traps) | hcr::TGE;
    return v;
}

u64 State::lines() const {
    constexpr u64 secure_bit = u64{1} << line_group1_secure, other_bit = u64{1} << line_group1;
    u64 l = __atomic_load_n(&cpu_.lines, __ATOMIC_ACQUIRE);
    if (!(l & (secure_bit | other_bit))) return l;
    u64 own = level() == 3 ? 0 : secure() ? secure_bit : other_bit;
    bool irq = l & own, fiq = l & (secure_bit | other_bit) & ~own;
    return (l & ~(secure_bit | other_bit)) | u64{irq} << line_irq | u64{fiq} << line_fiq;
}

u64& State::sctlr(u32 level) const {
    return (*this)[level == 3 ? slot_sctlr_el3 : level == 2 ? slot_sctlr_el2 : slot_sctlr_el1];
}

u64 State::spsr() const {
    return (*this)[slot_pstate] | (*this)[slot_daif] | u64(nzcv_of(at32(slot_nzcv))) |
           u64(cpu_.mode & mode_btype) << 10;
}

void State::switch_stack(u64 to) const {
    u64& now = (*this)[slot_pstate];
    bank(now) = at(slot_sp);
    now = (now & ~(pstate::EL | pstate::SP)) | (to & (pstate::EL | pstate::SP));
    at(slot_sp) = bank(to);
}

void State::set_pstate(u64 v) const {
    constexpr u64 kept = pstate::SSBS | pstate::IL | pstate::SS | pstate::PAN | pstate::UAO | pstate::DIT;
    u64 there = pstate::IL | pstate::SS;
    if (model_.has(Feature::pan)) there |= pstate::PAN;
    if (model_.has(Feature::uao)) there |= pstate::UAO;
    if (model_.has(Feature::dit)) there |= pstate::DIT;
    if (model_.has(Feature::ssbs)) there |= pstate::SSBS;
    switch_stack(v);
    (*this)[slot_pstate] = ((*this)[slot_pstate] & ~kept) | (v & kept & there);
    (*this)[slot_daif] = v & pstate::DAIF;
    at32(slot_nzcv) = flags_of_nzcv(u32(v));
    cpu_.mode = (cpu_.mode & ~mode_btype) | u32(v >> 10 & 3);
}

u32 State::fp_traps_to() const {
    u32 el = level();
    const State& s = *this;
    // FPEN: 01 traps EL0 only, x0 traps both. With E2H and TGE it is CPTR_EL2's for EL0.
    auto fpen_traps = [&](u64 v) { return (v >> 20 & 3) == 3 ? false : (v >> 20 & 3) == 1 ? el == 0 : true; };
    if (el < 2 && !host_el0() && fpen_traps(s[slot_cpacr_el1])) return 1;
    if (el < 3 && el2_enabled()) {
        u64 cptr = s[slot_cptr_el2];
        bool tge = s[slot_hcr_el2] & hcr::TGE;
        if (e2h()) {
            bool el0_of_el1 = el == 0 && !tge;
            if ((cptr >> 20 & 1) == 0 || ((cptr >> 20 & 3) == 1 && el == 0 && tge && !el0_of_el1)) return 2;
        } else if (cptr >> 10 & 1) {
            return 2;
        }
    }
    if (has_el3() && (s[slot_cptr_el3] >> 10 & 1)) return 3;
    return 0;
}

namespace {

u32 data_index_of(const State& s) {
    u64 p = s[slot_pstate];
    bool pan_on = p & pstate::PAN;
    switch (s.level()) {
    case 0: return s.host_el0() ? el20_user : el10_user;
    case 1: return pan_on ? el1_pan : el1;
    case 2: return s.e2h() ? (pan_on ? el20_pan : el20) : el2;
    default: return el3;
    }
}
// LDTR (C6.2): as EL0 would, unless PSTATE.UAO, or no EL0 belongs to the level.
u32 unprivileged_index_of(const State& s, u32 data) {
    if (s[slot_pstate] & pstate::UAO) return data;
    if (s.level() == 1) return el10_user;
    if (s.level() == 2 && s.host_el0()) return el20_user;
    return data;
}
bool aligned_only(const State& s) {
    u32 el = s.level();
    u64 v = el == 0 ? s.el0_sctlr() : s.sctlr(el);
    // Untranslated accesses are of Device memory (D8.2.9), unless HCR_EL2.DC makes them Normal.
    return (v & sctlr::A) || (!(v & sctlr::M) && !(el < 2 && (s.hcr() & hcr::DC)));
}

} // namespace

u32 State::mode() const {
    const State& s = *this;
    u32 el = level(), data = data_index_of(s);
    u32 m =
        mode_of({.level = el, .data = data, .unprivileged = unprivileged_index_of(s, data)}) | (cpu_.mode & mode_btype);
    m |= mode_of_fpcr(at32(slot_fpcr));
    if (fp_traps_to()) m |= mode_fp_traps;
    if (aligned_only(s)) m |= mode_aligned;
    if (el < 2 && (hcr() & hcr::traps)) m |= mode_el1_traps;
    if (el < 2 && el2_enabled() && (s[slot_mdcr_el2] & 0xf60)) m |= mode_el1_traps;
    if (el < 2 && has_el3() && (s[slot_mdcr_el3] & mdcr3::TDA)) m |= mode_el1_traps;
    if (el == 0 && (!(el0_sctlr() & sctlr::DZE) || (hcr() & hcr::TDZ))) m |= mode_no_zva;
    if (el == 0 && !(el0_cntkctl() & 2)) m |= mode_no_counter;
    if (el != 0 && !(s[slot_pstate] & pstate::SP)) m |= mode_sp0;
    if (s[slot_pstate] & pstate::IL) m |= mode_illegal;
    if (may_meet_breakpoint(s)) m |= mode_debug;
    return m;
}

void State::refresh() const {
    cpu_.mode = mode();
    if (!model_.has(Feature::pauth)) return;
    u32 el = level();
    u64 v = el == 0 ? el0_sctlr() : sctlr(el);
    at32(slot_pac_off) = u32(!(v & sctlr::EnIA)) | u32(!(v & sctlr::EnIB)) << 1 | u32(!(v & sctlr::EnDA)) << 2 |
                         u32(!(v & sctlr::EnDB)) << 3;
}

namespace {

enum Kind : u32 { synchronous = 0, irq = 0x80, fiq = 0x100, serror = 0x180 };

// AArch64.TakeException
void take(const State& s, u32 target, u32 kind, u64 return_address) {
    u32 from = s.level();
    if (pmu_running(s)) pmu_sync(s);
    u64 spsr = s.spsr(), p = s[slot_pstate];
    u64 offset = kind + (target > from ? 0x400 : p & pstate::SP ? 0x200 : 0);
    s.switch_stack(u64(target) << 2 | 1);
    u64& now = s[slot_pstate];
    now &= ~(pstate::IL | pstate::SS | pstate::UAO);
    u64 control = s.sctlr(target);
    bool two_ranges = target == 1 || (target == 2 && s.host_el0());
    if (s.model().has(Feature::pan) && two_ranges && !(control & sctlr::SPAN)) now |= pstate::PAN;
    if (s.model().has(Feature::ssbs)) now = (now & ~pstate::SSBS) | (control & sctlr::DSSBS ? pstate::SSBS : 0);
    s[slot_daif] = pstate::DAIF;
    s.cpu().mode &= ~mode_btype;
    constexpr u32 spsrs[] = {0, slot_spsr_el1, slot_spsr_el2, slot_spsr_el3},
                  elrs[] = {0, slot_elr_el1, slot_elr_el2, slot_elr_el3},
                  vbars[] = {0, slot_vbar_el1, slot_vbar_el2, slot_vbar_el3};
    s[spsrs[target]] = spsr;
    s[elrs[target]] = return_address;
    s.cpu().pc = s[vbars[target]] + offset;
    s.refresh();
}

// Where a synchronous exception goes (AArch64.RouteToEL2 and its like).
u32 target_of(const State& s, const Exception& e) {
    u32 from = s.level();
    if (e.cause & cause::to_el3) return 3;
    if ((e.cause & cause::external) && s.has_el3() && (s[slot_scr_el3] & scr::EA)) return 3;
    if (e.cause & cause::to_el2) return std::max(from, 2u);
    if (from == 0 && s.el2_enabled() && (s[slot_hcr_el2] & hcr::TGE)) return 2;
    return std::max(from, 1u);
}

} // namespace

void enter(const State& s, const Exception& e) {
    if (e.cause & cause::strip_pc) {
        s.cpu().pc = e.value;
        return;
    }
    constexpr u32 esrs[] = {0, slot_esr_el1, slot_esr_el2, slot_esr_el3},
                  fars[] = {0, slot_far_el1, slot_far_el2, slot_far_el3};
    u32 target = target_of(s, e);
    u64 esr = e.cause & cause::esr, code = esr >> 26;
    const bool tells_level = code == ec::fetch_abort || code == ec::data_abort || code == ec::breakpoint ||
                             code == ec::software_step || code == ec::watchpoint;
    if (tells_level && target == s.level()) esr += u64{1} << 26;
    // SSAdvance: the instruction was executed.
    if ((e.cause & cause::next) && (s[slot_mdscr_el1] & mdscr::SS)) s[slot_pstate] &= ~pstate::SS;
    s[esrs[target]] = esr;
    if (e.cause & cause::has_far) s[fars[target]] = e.value;
    if (target == 2 && (e.cause & cause::has_hpfar)) s[slot_hpfar_el2] = e.value2;
    take(s, target, synchronous, s.cpu().pc + (e.cause & cause::next ? 4 : 0));
}

// ---- what is said of an access (ISS encoding for an exception from a Data Abort)

bool is_access_of_stage2(const Exception& e) {
    constexpr u64 S1PTW = 1 << 7;
    return (e.cause & cause::has_hpfar) && (e.cause & cause::esr) >> 26 == ec::data_abort && !(e.cause & S1PTW);
}

// Only of one general-purpose register without writeback, exclusive ones excluded. Encodings: section C4.1, Loads and Stores.
u64 access_syndrome(u32 i) {
    auto is = [&](u32 mask, u32 value) { return (i & mask) == value; };
    auto say = [&](u32 size, bool sign, bool wide, bool ordered) {
        return u64{1} << 24 | u64{size} << 22 | u64{sign} << 21 | u64{i & 31} << 16 | u64{wide} << 15 |
               u64{ordered} << 14;
    };
    const u32 size = i >> 30, opc = i >> 22 & 3;
    if (is(0x3fa00000, 0x08800000) || is(0x3fe0fc00, 0x38a0c000))
        return say(size, false, size == 3, true);                                       // LDAR, STLR, LDAPR
    if (is(0xbf000000, 0x18000000)) return say(2 + (size & 1), false, size & 1, false); // LDR (literal)
    if (is(0xff000000, 0x98000000)) return say(2, true, true, false);                   // LDRSW (literal)
    const bool ordered = is(0x3f200c00, 0x19000000);                                    // LDAPUR, STLUR
    if (!ordered && !is(0x3f000000, 0x39000000) && !is(0x3f200400, 0x38000000) && !is(0x3f200c00, 0x38200800)) return 0;
    return say(size, opc > 1, opc > 1 ? opc == 2 : size == 3, ordered);
}

// ---- interrupts

namespace {

struct Source {
    u32 line, virtual_line, kind;
    u64 mask, scr_bit, hcr_route, hcr_virtual;
};
constexpr Source sources[] = {
    {line_serror, ~0u, serror, pstate::A, scr::EA, hcr::AMO, hcr::VSE},
    {line_fiq, line_vfiq, fiq, pstate::F, scr::FIQ, hcr::FMO, hcr::VF},
    {line_irq, line_virq, irq, pstate::I, scr::IRQ, hcr::IMO, hcr::VI},
};

// Table D1-13: the level that takes a physical interrupt, and whether it can now.
bool physical_target(const State& s, const Source& i, u32& target) {
    u32 from = s.level();
    target = s.has_el3() && (s[slot_scr_el3] & i.scr_bit) ? 3 : s.hcr() & i.hcr_route ? 2 : 1;
    if (target < from) return false;
    if (target > from && target > 1) return true; // masks are of the same level and of EL0 to EL1
    return !(s[slot_daif] & i.mask);
}
bool virtual_pending(const State& s, const Source& i, u64 lines) {
    u64 h = s.hcr();
    if (!(h & i.hcr_route) || (h & hcr::TGE)) return false;
    return (h & i.hcr_virtual) || (i.virtual_line != ~0u && (lines >> i.virtual_line & 1));
}

} // namespace

bool take_interrupt(const State& s) {
    u64 lines = s.lines();
    s[slot_masked] = debug_masked(s);
    if (lines == 0 && !(s.has_el2() && (s[slot_hcr_el2] & (hcr::VI | hcr::VF | hcr::VSE)))) return false;
    for (const Source& i : sources) {
        u32 target;
        if (lines >> i.line & 1) {
            if (physical_target(s, i, target)) {
                if (i.kind == serror) {
                    constexpr u32 esrs[] = {0, slot_esr_el1, slot_esr_el2, slot_esr_el3};
                    s[esrs[target]] = syndrome(ec::serror);
                }
                take(s, target, i.kind, s.cpu().pc);
                return true;
            }
            s[slot_masked] = 1;
        }
        if (virtual_pending(s, i, lines) && s.level() < 2) {
            if (!(s[slot_daif] & i.mask)) {
                if (i.kind == serror) s[slot_hcr_el2] &= ~hcr::VSE, s[slot_esr_el1] = syndrome(ec::serror);
                take(s, 1, i.kind, s.cpu().pc);
                return true;
            }
            s[slot_masked] = 1;
        }
    }
    return false;
}

bool interrupt_pending(const State& s) {
    u64 lines = s.lines();
    for (const Source& i : sources)
        if ((lines >> i.line & 1) || (s.level() < 2 && virtual_pending(s, i, lines))) return true;
    return false;
}

// ---- return

// AArch64.ExceptionReturn; IllegalExceptionReturn (D1.4.3).
bool exception_return(const State& s, Exception&) {
    constexpr u32 spsrs[] = {0, slot_spsr_el1, slot_spsr_el2, slot_spsr_el3},
                  elrs[] = {0, slot_elr_el1, slot_elr_el2, slot_elr_el3};
    u32 from = s.level();
    u64 spsr = s[spsrs[from]], pc = s[elrs[from]];
    u32 to = u32(spsr >> 2 & 3);
    bool illegal = (spsr & 0x10) || (spsr & 2) || to > from || (to == 0 && (spsr & 1)) || (to == 2 && !s.has_el2()) ||
                   (to == 2 && from == 3 && s.secure()) || (to == 1 && s.el2_enabled() && (s[slot_hcr_el2] & hcr::TGE));
    if (illegal) { // level and stack pointer stay; IL tells when the next instruction is executed
        spsr = (spsr & ~(pstate::EL | pstate::SP)) | (s[slot_pstate] & (pstate::EL | pstate::SP)) | pstate::IL;
    }
    if (pmu_running(s)) pmu_sync(s);
    const bool steps = step_after_return(s, spsr);
    s.set_pstate((spsr & ~pstate::SS) | (steps ? pstate::SS : 0));
    s.at(slot_ex_address) = 0; // B2.12: the local monitor is cleared
    s.cpu().pc = pc;
    s.refresh();
    return true;
}

} // namespace mimic::isa::aarch64
