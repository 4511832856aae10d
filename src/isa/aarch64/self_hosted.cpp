// Self-hosted debug: breakpoints, watchpoints and software step as exceptions of the guest's own. Arm ARM D2: enabling D2.4,
// routing D2.4.1, breakpoints D2.8, watchpoints D2.9, software step D2.11; J1.1.1 AArch64.BreakpointMatch and the like. Not
// there: halting debug, AArch32's mismatch breakpoints and vector catch.
#include "isa/aarch64/privileged.hpp"
#include <cstring>

namespace mimic::isa::aarch64 {

namespace {

constexpr u32 breakpoints = 6, watchpoints = 4, first_context = 4; // as ID_AA64DFR0_EL1 says
constexpr u64 fault_status = 0x22;                                 // debug exception

// DBGBCR<n>_EL1 and DBGWCR<n>_EL1: what both have, and what is one's alone (BT; LSC, BAS, WT and MASK).
struct Control {
    u64 v;
    bool enabled() const { return v & 1; }
    u32 levels() const { return v >> 1 & 3; } // PMC, PAC: EL0, EL1
    bool higher() const { return v >> 13 & 1; }
    u32 states() const { return v >> 14 & 3; } // SSC
    u32 linked_to() const { return v >> 16 & 15; }
    u32 type() const { return v >> 20 & 15; }
    bool is_address() const { return !(type() & 0b1010); }
    u32 accesses() const { return v >> 3 & 3; }
    u32 bytes() const { return v >> 5 & 0xff; }
    bool watch_linked() const { return v >> 20 & 1; }
    u32 mask() const { return v >> 24 & 31; }
};
constexpr u32 linked = 1; // of a type

Control breakpoint_control(const State& s, u32 n) { return {s[slot_dbgbcr0_el1 + 2 * n]}; }
u64 breakpoint_value(const State& s, u32 n) { return s[slot_dbgbvr0_el1 + 2 * n]; }
Control watchpoint_control(const State& s, u32 n) { return {s[slot_dbgwcr0_el1 + 2 * n]}; }
// Of addresses: the bits that are compared, the others as they have to be.
u64 address_of(u64 value) { return u64(i64(value << 15) >> 15) & ~u64{3}; }
u64 watched_address(const State& s, u32 n) { return address_of(s[slot_dbgwvr0_el1 + 2 * n]); }

bool in_secure_state(const State& s) { return s.level() == 3 || s.secure(); }

// EL3 has its registers while it runs, too; it is never the target.
bool enabled_now(const State& s) { return debug_enabled(s, s.level(), in_secure_state(s), s[slot_daif] & pstate::D); }
bool monitors(const State& s) { return s[slot_mdscr_el1] & mdscr::MDE; }
bool step_enabled(const State& s) { return (s[slot_mdscr_el1] & mdscr::SS) && enabled_now(s); }

// AArch64.BreakpointValueMatch of a context breakpoint, alone or linked to.
bool context_matches(const State& s, u32 n, bool as_link) {
    const Control c = breakpoint_control(s, n);
    const u32 type = c.type();
    const u64 value = breakpoint_value(s, n);
    if (n < first_context || n >= breakpoints || !c.enabled() || c.is_address() || (type & linked) != as_link)
        return false;
    const bool vhe = s.model().has(Feature::vhe), guest = s.level() < 2 && !s.host_el0();
    if ((type & 0b1000) && !s.has_el2()) return false;
    if (((type & 0b0110) == 0b0110 || (type & 0b1100) == 0b1100) && !vhe) return false;
    bool match = true;
    switch (type >> 1) {
    case 0b001: // CONTEXTIDR of who runs
        if (s.host_el0() || (s.level() == 2 && s.e2h()))
            match = u32(s[slot_contextidr_el2]) == u32(value);
        else
            match = s.level() < 2 && u32(s[slot_contextidr_el1]) == u32(value);
        break;
    case 0b011: // CONTEXTIDR_EL1
    case 0b101: // with the VMID
    case 0b111: // with CONTEXTIDR_EL2
        match = guest && u32(s[slot_contextidr_el1]) == u32(value);
        break;
    default: break; // 100: the VMID alone, 110: CONTEXTIDR_EL2 alone
    }
    const bool wide = s[slot_vtcr_el2] >> 19 & 1;
    if ((type & 0b1100) == 0b1000)
        match &=
            guest && s.el2_enabled() && (s[slot_vttbr_el2] >> 48 & (wide ? 0xffff : 0xff)) == (value >> 32 & 0xffff);
    if ((type & 0b1100) == 0b1100)
        match &= s.level() != 3 && !s.secure() && u32(s[slot_contextidr_el2]) == u32(value >> 32);
    return match;
}

// AArch64.StateMatch: is it for what runs now? What is reserved matches never.
bool state_matches(const State& s, Control c, bool is_linked, bool of_code, bool privileged) {
    const u32 higher = c.higher(), ssc = c.states(), levels = c.levels(), all = higher << 4 | ssc << 2 | levels;
    if ((all & 0b11100) == 0b01100 && levels >= 2) return false;
    if ((all & 0b11101) == 0b10000 || (all & 0b11101) == 0b10100 || all == 0b11010 || all == 0b11101 ||
        (all & 0b11110) == 0b11110)
        return false;
    if (!higher && !levels) return false;
    if ((ssc == 1 || ssc == 2) && !s.has_el3()) return false;
    if ((all >> 2) != 0 && (all >> 2) != 7 && !s.has_el3() && !s.has_el2()) return false;
    if (all == 0b11100 && !s.has_el2()) return false;
    bool match;
    const u32 level = !privileged && !of_code ? 0 : s.level();
    switch (level) {
    case 0: match = levels & 2; break;
    case 1: match = levels & 1; break;
    case 2: match = (higher && (ssc << 2 | levels) != 0b1000) || ssc == 3; break;
    default: match = higher && !(ssc & 1); break;
    }
    if (ssc == 1) match &= !in_secure_state(s);
    if (ssc == 2) match &= in_secure_state(s);
    if (ssc == 3) match &= higher || in_secure_state(s);
    return match && (!is_linked || context_matches(s, c.linked_to(), true));
}

bool breakpoint_matches(const State& s, u32 n, u64 pc) {
    const Control c = breakpoint_control(s, n);
    if (!c.enabled()) return false;
    if (c.is_address()) {
        const bool here = (c.bytes() & 1) && address_of(breakpoint_value(s, n)) == (pc & ~u64{3});
        return here && c.type() <= linked && state_matches(s, c, c.type() & linked, true, s.level() != 0);
    }
    return context_matches(s, n, false) && state_matches(s, c, false, true, s.level() != 0);
}

// The range of addresses that it compares: at least those that match.
DebugPoint range_of(const State& s, u32 n) {
    const Control c = watchpoint_control(s, n);
    const u64 bytes = c.mask() >= 3 ? u64{1} << c.mask() : 8;
    return {.address = watched_address(s, n) & ~(bytes - 1),
            .bytes = bytes,
            .read = (c.accesses() & 1) != 0,
            .write = (c.accesses() & 2) != 0};
}

// AArch64.WatchpointByteMatch. Of choices that the architecture leaves: masks of 1 and 2 bits do nothing, BAS does nothing
// beside a mask.
bool byte_matches(const State& s, u32 n, u64 address) {
    const Control c = watchpoint_control(s, n);
    const DebugPoint r = range_of(s, n);
    if (address - r.address >= r.bytes) return false;
    if (c.mask() >= 3) return true;
    const u64 value = watched_address(s, n);
    // A value that is no multiple of 8 has a word, which the lower half of BAS is of.
    if (value & 4) return address >= value && (c.bytes() >> (address & 3) & 1);
    return c.bytes() >> (address & 7) & 1;
}

Exception exception(const State& s, u64 code, u64 iss) {
    return {syndrome(code, iss | fault_status) | (s.level() < 2 && debug_of_el2(s) ? cause::to_el2 : 0)};
}

} // namespace

bool debug_of_el2(const State& s) {
    return s.el2_enabled() && ((s[slot_hcr_el2] & hcr::TGE) || (s[slot_mdcr_el2] & mdcr2::TDE));
}

bool debug_enabled(const State& s, u32 level, bool secure, bool masked) {
    if (s[slot_os_lock] || (s[slot_osdlr_el1] & 1)) return false;
    if (s.has_el3() && secure && (s[slot_mdcr_el3] & mdcr3::SDD)) return false;
    const bool to_el2 = s.has_el2() && !secure && debug_of_el2(s);
    const u32 target = to_el2 ? 2 : 1;
    return level == target ? (s[slot_mdscr_el1] & mdscr::KDE) && !masked : target > level;
}

bool step_after_return(const State& s, u64 spsr) {
    if (!(spsr & pstate::SS) || !(s[slot_mdscr_el1] & mdscr::SS) || enabled_now(s)) return false;
    const u32 to = u32(spsr >> 2 & 3);
    return debug_enabled(s, to, to == 3 || s.secure(), spsr & pstate::D);
}

bool may_meet_breakpoint(const State& s) {
    if (!monitors(s) || !debug_enabled(s, s.level(), in_secure_state(s), false)) return false;
    for (u32 n = 0; n < breakpoints; ++n)
        if (const Control c = breakpoint_control(s, n); c.enabled() && c.is_address()) return true;
    return false;
}

bool debug_masked(const State& s) {
    constexpr u64 own_steps = mdscr::SS | mdscr::KDE;
    return (s[slot_mdscr_el1] & own_steps) == own_steps;
}

// Breakpoints that have no address meet any instruction.
bool debug_steps(const State& s) {
    if (!(s[slot_mdscr_el1] & (mdscr::SS | mdscr::MDE)) || !enabled_now(s)) return false;
    if (s[slot_mdscr_el1] & mdscr::SS) return true;
    for (u32 n = first_context; n < breakpoints; ++n)
        if (const Control c = breakpoint_control(s, n); c.enabled() && !c.is_address() && !(c.type() & linked))
            return true;
    return false;
}

void debug_points(const State& s, std::vector<DebugPoint>& out) {
    if (!monitors(s) || s[slot_os_lock] || (s[slot_osdlr_el1] & 1)) return;
    for (u32 n = 0; n < breakpoints; ++n)
        if (const Control c = breakpoint_control(s, n); c.enabled() && c.is_address())
            out.push_back({.address = address_of(breakpoint_value(s, n)), .bytes = 4, .execute = true});
    for (u32 n = 0; n < watchpoints; ++n)
        if (watchpoint_control(s, n).enabled() && watchpoint_control(s, n).accesses()) out.push_back(range_of(s, n));
}

bool debug_before(const State& s, const CodeAt& code, Exception& e) {
    if (step_enabled(s) && !(s[slot_pstate] & pstate::SS))
        return e = exception(s, ec::software_step, 0), true; // nothing was stepped: ISV is 0
    if (!monitors(s) || !enabled_now(s)) return false;
    bool match = false;
    for (u32 n = 0; n < breakpoints; ++n) match |= breakpoint_matches(s, n, s.cpu().pc);
    u8 bits[4];
    if (!match || code(s.cpu().pc, bits) != 4) return false; // what cannot be fetched has priority
    return e = exception(s, ec::breakpoint, 0), true;
}

bool debug_after(const State& s, std::span<const u8> code, Exception& e) {
    constexpr u64 isv = 1 << 24, ex = 1 << 6;
    s[slot_pstate] &= ~pstate::SS;
    if (!step_enabled(s)) return false;
    u32 bits = 0;
    if (code.size() >= 4) std::memcpy(&bits, code.data(), 4);
    // Loads exclusive: LDXR, LDAXR of any size; LDXP, LDAXP of 32 and 64 bits.
    const bool pair = bits >> 21 & 1, exclusive = (bits & 0x3fc00000) == 0x08400000 && (!pair || bits >> 31);
    return e = exception(s, ec::software_step, isv | (exclusive ? ex : 0)), true;
}

bool debug_access(const State& s, const DebugAccess& a, Exception& e) {
    constexpr u64 write = 1 << 6;
    if (!monitors(s) || !enabled_now(s)) return false;
    const bool privileged = a.index != el10_user && a.index != el20_user;
    for (u32 n = 0; n < watchpoints; ++n) {
        const Control c = watchpoint_control(s, n);
        const bool reads = a.read && (c.accesses() & 1), writes = a.write && (c.accesses() & 2);
        if (!c.enabled() || (!reads && !writes) || !state_matches(s, c, c.watch_linked(), false, privileged)) continue;
        for (u64 at = a.address; at != a.address + a.bytes; ++at) {
            if (!byte_matches(s, n, canonical(at))) continue;
            e = exception(s, ec::watchpoint, reads ? 0 : write);
            e.cause |= cause::has_far;
            e.value = at;
            return true;
        }
    }
    return false;
}

} // namespace mimic::isa::aarch64
