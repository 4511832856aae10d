// Performance monitors (PMUv3). Arm ARM D12 (the extension), D19.4 (registers): the counter of cycles, of a processor of 1 GHz,
// and counters of events: SW_INCR, CPU_CYCLES, CHAIN, and INST_RETIRED where instructions are counted (-icount).
//
// Counters stand still in their slots; what has passed since slot_pm_since is counted when somebody looks, and before anything
// changes of what is counted: a level, a filter.
#include "isa/aarch64/privileged.hpp"
#include <algorithm>
#include <utility>

namespace mimic::isa::aarch64 {

namespace {

constexpr u32 cycle = 31; // the cycle counter's bit
constexpr u64 cycle_bit = u64{1} << cycle, filters = 0xfc000000, event_bits = 0x3ff;
enum Event : u64 { sw_incr = 0x00, inst_retired = 0x08, cpu_cycles = 0x11, chain = 0x1e };

namespace pmcr {
constexpr u64 E = 1, P = 2, C = 4, D = 8, X = 16, DP = 32, LC = 64, stored = E | D | DP | LC | X;
constexpr u64 implementer = u64{0x41} << 24;
} // namespace pmcr

constexpr u32 sr(u32 o1_, u32 n, u32 m, u32 o2_) { return system_register(3, o1_, n, m, o2_); }

u64& counter_of(const State& s, u32 n) { return s[slot_pmevcntr0_el0 + 2 * n]; }
u64& type_of(const State& s, u32 n) { return s[slot_pmevtyper0_el0 + 2 * n]; }
u64 event_of(const State& s, u32 n) { return type_of(s, n) & event_bits; }

// MDCR_EL2.HPMN: from this counter on they are EL2's.
u32 first_of_el2(const State& s) {
    return s.el2_enabled() ? std::min(u32(s[slot_mdcr_el2] & mdcr2::HPMN), pmu_counters) : pmu_counters;
}
u32 counters_here(const State& s) { return s.level() < 2 ? first_of_el2(s) : pmu_counters; }
u64 bits_of(u32 counters) { return cycle_bit | ((u64{1} << counters) - 1); }

bool knows_instructions(const State& s) { return s[slot_pm_shift] != 0; }
u64 instructions(const State& s) { return s[slot_pm_end] - u64(s.cpu().budget); }

// Switched on, by PMCR_EL0.E or, those of EL2, by MDCR_EL2.HPME.
u64 enabled_bits(const State& s) {
    const u64 lower = bits_of(first_of_el2(s));
    return (s[slot_pmcr_el0] & pmcr::E ? lower : 0) |
           (s[slot_mdcr_el2] & mdcr2::HPME ? bits_of(pmu_counters) & ~lower : 0);
}

// Does this one count at the level and in the state that are?
bool counts(const State& s, u32 n) {
    if (!(s[slot_pmcntenset_el0] & enabled_bits(s) & (u64{1} << n))) return false;
    const bool secure = s.level() == 3 || s.secure(), is_cycle = n == cycle;
    const bool prohibited = s.has_el3() && secure && !(s[slot_mdcr_el3] & mdcr3::SPME);
    if (prohibited && (!is_cycle || (s[slot_pmcr_el0] & pmcr::DP))) return false;
    const u64 f = is_cycle ? s[slot_pmccfiltr_el0] : type_of(s, n);
    const bool p = f >> 31 & 1, u = f >> 30 & 1, nsk = f >> 29 & 1, nsu = f >> 28 & 1, nsh = f >> 27 & 1,
               m = f >> 26 & 1;
    switch (s.level()) {
    case 0: return secure || !s.has_el3() ? !u : u == nsu;
    case 1: return secure || !s.has_el3() ? !p : p == nsk;
    case 2: return nsh;
    default: return p == m;
    }
}

void overflow(const State& s, u32 n) { s[slot_pmovsset_el0] |= u64{1} << n; }

void add_events(const State& s, u32 n, u64 events) {
    const u64 sum = counter_of(s, n) + events;
    counter_of(s, n) = u32(sum);
    if (!(sum >> 32)) return;
    overflow(s, n);
    if (n % 2 == 0 && n + 1 < pmu_counters && event_of(s, n + 1) == chain && counts(s, n + 1))
        add_events(s, n + 1, sum >> 32);
}

bool divides(const State& s) { return (s[slot_pmcr_el0] & (pmcr::D | pmcr::LC)) == pmcr::D; }

void add_cycles(const State& s, u64 cycles) {
    if (divides(s)) {
        cycles += s[slot_pm_fraction];
        s[slot_pm_fraction] = cycles % 64;
        cycles /= 64;
    }
    const u64 old = s[slot_pmccntr_el0], now = old + cycles;
    s[slot_pmccntr_el0] = now;
    const bool is_long = s[slot_pmcr_el0] & pmcr::LC;
    if (is_long ? now < old : (now ^ old) >> 32 != 0) overflow(s, cycle);
}

void count_by_software(const State& s, u64 bits) {
    for (u32 n = 0; n < counters_here(s); ++n)
        if ((bits >> n & 1) && event_of(s, n) == sw_incr && counts(s, n)) add_events(s, n, 1);
}

void write_control(const State& s, u64 v) {
    // Nothing prohibits counting without EL3 (nor with EL2, before FEAT_PMUv3p1).
    s[slot_pmcr_el0] = v & pmcr::stored & ~(s.has_el3() ? 0 : pmcr::DP);
    if (v & pmcr::C) s[slot_pmccntr_el0] = s[slot_pm_fraction] = 0;
    if (v & pmcr::P)
        for (u32 n = 0; n < counters_here(s); ++n) counter_of(s, n) = 0;
}

u64 filter_bits(const State& s) {
    return filters & ~(s.has_el3() ? 0 : u64{0x34000000}) & ~(s.has_el2() ? 0 : u64{0x08000000});
}

// The counter or type register that a number names, or PMSELR_EL0 selects; ~0: none that is there for who asks.
constexpr u32 no_counter = ~0u;
u32 counter_named(const State& s, u32 number, u32 selecting) {
    u32 n = number == selecting ? u32(s[slot_pmselr_el0]) : number & 0xf;
    return n < counters_here(s) || (number == selecting && n == cycle) ? n : no_counter;
}
constexpr u32 xevcntr = sr(3, 9, 13, 2), xevtyper = sr(3, 9, 13, 1), ccfiltr = sr(3, 14, 15, 7);

u64 read_event(const State& s, u32 number) {
    const u32 n = counter_named(s, number, xevcntr);
    return n == no_counter || n == cycle ? 0 : counter_of(s, n);
}
u64 read_type(const State& s, u32 number) {
    const u32 n = counter_named(s, number, xevtyper);
    return n == no_counter ? 0 : n == cycle ? s[slot_pmccfiltr_el0] : type_of(s, n);
}
void write_type(const State& s, u32 number, u64 v) {
    const u32 n = counter_named(s, number, xevtyper);
    if (n == cycle) s[slot_pmccfiltr_el0] = v & filter_bits(s);
    if (n < pmu_counters) type_of(s, n) = v & (filter_bits(s) | event_bits);
}

// Of cycles or instructions, until it overflows.
u64 left_of(const State& s, u32 n) {
    if (n != cycle) return (u64{1} << 32) - counter_of(s, n);
    const u64 v = s[slot_pmccntr_el0];
    if (s[slot_pmcr_el0] & pmcr::LC && v == 0) return ~u64{0}; // 2^64
    const u64 left = s[slot_pmcr_el0] & pmcr::LC ? 0 - v : (u64{1} << 32) - u32(v);
    if (!divides(s)) return left;
    return left >> 58 ? ~u64{0} : left * 64 - s[slot_pm_fraction];
}

} // namespace

bool pmu_running(const State& s) { return s[slot_pmcntenset_el0] & enabled_bits(s); }

void pmu_sync(const State& s) {
    const u64 now = s.clock(), then = std::exchange(s[slot_pm_since], now);
    const u64 begun = instructions(s), before = std::exchange(s[slot_pm_retired], begun);
    if (!pmu_running(s)) return;
    const u64 cycles = now > then ? now - then : 0, retired = knows_instructions(s) ? begun - before : 0;
    if (counts(s, cycle)) add_cycles(s, cycles);
    for (u32 n = 0; n < pmu_counters; ++n) {
        const u64 event = event_of(s, n);
        if ((event != cpu_cycles && event != inst_retired) || !counts(s, n)) continue;
        add_events(s, n, event == cpu_cycles ? cycles : retired);
    }
}

bool pmu_output(const State& s) {
    if (!s[slot_pmintenset_el1]) return false;
    if (pmu_running(s)) pmu_sync(s);
    return s[slot_pmovsset_el0] & s[slot_pmintenset_el1] & enabled_bits(s);
}

u64 pmu_next(const State& s) {
    const u64 wanted = s[slot_pmintenset_el1];
    if (!wanted || !pmu_running(s)) return ~u64{0};
    u64 next = ~u64{0};
    const u64 now = s.clock(); // what is due by then is seen with the outputs, and hides nothing that is to come
    auto in = [&](u64 from, u64 ns) {
        if (from + ns >= from && from + ns > now) next = std::min(next, from + ns);
    };
    if ((wanted & cycle_bit) && counts(s, cycle)) in(s[slot_pm_since], left_of(s, cycle));
    for (u32 n = 0; n < pmu_counters; ++n) {
        const bool chained =
            n % 2 == 0 && n + 1 < pmu_counters && (wanted >> (n + 1) & 1) && event_of(s, n + 1) == chain;
        if ((!(wanted >> n & 1) && !chained) || !counts(s, n)) continue;
        if (event_of(s, n) == cpu_cycles) in(s[slot_pm_since], left_of(s, n));
        if (event_of(s, n) == inst_retired && knows_instructions(s)) {
            const u64 done = instructions(s) - s[slot_pm_retired], left = left_of(s, n);
            in(s.clock(), (left > done ? left - done : 0) << (s[slot_pm_shift] - 1));
        }
    }
    return next;
}

u64 pmu_read(const State& s, u32 number) {
    const u64 here = bits_of(counters_here(s));
    pmu_sync(s);
    switch (number) {
    case sr(3, 9, 12, 0): return s[slot_pmcr_el0] | pmcr::implementer | u64{counters_here(s)} << 11;
    case sr(3, 9, 12, 1):
    case sr(3, 9, 12, 2): return s[slot_pmcntenset_el0] & here;
    case sr(3, 9, 12, 3):
    case sr(3, 9, 14, 3): return s[slot_pmovsset_el0] & here;
    case sr(0, 9, 14, 1):
    case sr(0, 9, 14, 2): return s[slot_pmintenset_el1] & here;
    case sr(3, 9, 12, 6): // PMCEID0_EL0
        return u64{1} << sw_incr | u64{1} << cpu_cycles | u64{1} << chain |
               (knows_instructions(s) ? u64{1} << inst_retired : 0);
    case sr(3, 9, 12, 7): return 0; // PMCEID1_EL0
    case sr(3, 9, 13, 0): return s[slot_pmccntr_el0];
    case ccfiltr: return s[slot_pmccfiltr_el0];
    default: break;
    }
    const bool of_count = number == xevcntr || number >> 4 == sr(3, 14, 8, 0) >> 4;
    return of_count ? read_event(s, number) : read_type(s, number);
}

void pmu_write(const State& s, u32 number, u64 v) {
    const u64 bits = v & bits_of(counters_here(s));
    pmu_sync(s);
    switch (number) {
    case sr(3, 9, 12, 0): return write_control(s, v);
    case sr(3, 9, 12, 1): s[slot_pmcntenset_el0] |= bits; return;
    case sr(3, 9, 12, 2): s[slot_pmcntenset_el0] &= ~bits; return;
    case sr(3, 9, 12, 3): s[slot_pmovsset_el0] &= ~bits; return;
    case sr(3, 9, 14, 3): s[slot_pmovsset_el0] |= bits; return;
    case sr(0, 9, 14, 1): s[slot_pmintenset_el1] |= bits; return;
    case sr(0, 9, 14, 2): s[slot_pmintenset_el1] &= ~bits; return;
    case sr(3, 9, 12, 4): return count_by_software(s, v); // PMSWINC_EL0
    case sr(3, 9, 13, 0): s[slot_pmccntr_el0] = v, s[slot_pm_fraction] = 0; return;
    case ccfiltr: s[slot_pmccfiltr_el0] = v & filter_bits(s); return;
    default: break;
    }
    const bool of_count = number == xevcntr || number >> 4 == sr(3, 14, 8, 0) >> 4;
    if (!of_count) return write_type(s, number, v);
    if (const u32 n = counter_named(s, number, xevcntr); n < pmu_counters) counter_of(s, n) = u32(v);
}

} // namespace mimic::isa::aarch64
