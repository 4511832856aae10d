// Generic timers (Arm ARM D11): five comparators of one count; a comparator's compare value stands behind its control.
#include "isa/aarch64/privileged.hpp"
#include <algorithm>

namespace mimic::isa::aarch64 {

namespace {

constexpr u32 controls[] = {slot_cntp_ctl_el0, slot_cntv_ctl_el0, slot_cnthp_ctl_el2, slot_cntps_ctl_el1,
                            slot_cnthv_ctl_el2}; // in order of Output
constexpr u64 enable = 1, mask = 2;

} // namespace

u64 timer_offset(const State& s, u32 ctl_slot) {
    return ctl_slot == slot_cntv_ctl_el0 && s.has_el2() ? s[slot_cntvoff_el2] : 0;
}

bool timer_condition(const State& s, u32 ctl_slot) {
    return (s[ctl_slot] & enable) && s.count() - timer_offset(s, ctl_slot) >= s[ctl_slot + 1];
}

u64 timer_outputs(const State& s) {
    u64 out = 0;
    for (u32 n = 0; n < std::size(controls); ++n)
        if (!(s[controls[n]] & mask) && timer_condition(s, controls[n])) out |= u64{1} << n;
    return out;
}

u64 next_timer(const State& s) {
    u64 next = ~u64{0};
    for (u32 slot : controls) {
        if ((s[slot] & (enable | mask)) != enable || timer_condition(s, slot)) continue;
        u64 at = s[slot + 1] + timer_offset(s, slot);
        if (at < s[slot + 1]) continue; // beyond the end of the count
        auto ns = (static_cast<unsigned __int128>(at) * 1'000'000'000 + s.model().clock_hz - 1) / s.model().clock_hz;
        if (ns < ~u64{0}) next = std::min(next, u64(ns));
    }
    return next;
}

} // namespace mimic::isa::aarch64
