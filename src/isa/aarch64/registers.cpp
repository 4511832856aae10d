// Accesses to system registers by MRS and MSR: who may, what they give and change. Arm ARM D19, D13 (timers), D12
// (performance monitors); traps D1.11 (configurable instruction controls). What only keeps a value stands in registers.def.
#include "isa/aarch64/privileged.hpp"
#include <algorithm>

namespace mimic::isa::aarch64 {

namespace {

constexpr u64 all = ~u64{0};

// What a write changes beside the register.
enum class Effect : u8 {
    none,
    mode,     // mode bits (always looked at), timers
    contexts, // which translations are in use
    regime,   // what cached translations were made from
    debug,    // which debug exceptions there may be
};
// Controls that trap accesses.
enum class Group : u8 {
    none,
    vm,
    acr,
    cpacr,
    cptr,
    id1,
    id2,
    id3,
    debug,
    os_lock,
    pmu,
    counter,
    timer_p,
    timer_v,
    lor
};

struct Stored {
    u32 number;
    u16 slot;
    u64 writable;
    Effect effect;
    Group group;
};
constexpr Stored stored[] = {
#define REG(name, op0, op1, crn, crm, op2, writable, reset, effect, group)                                             \
    {system_register(op0, op1, crn, crm, op2), slot_##name, writable, Effect::effect, Group::group},
#include "isa/aarch64/registers.def"
#undef REG
};

struct Access { // one under way
    const State& s;
    u32 number;
    Effects& f;
};
// Registers that are more than a value. No read: write-only; no write: read-only.
struct Computed {
    u32 number;
    u64 (*read)(const Access&);
    void (*write)(const Access&, u64);
    Group group = Group::none;
    Feature feature = Feature::base;
};

constexpr u32 sr(u32 o0_, u32 o1_, u32 n, u32 m, u32 o2_) { return system_register(o0_, o1_, n, m, o2_); }

u64 zero(const Access&) { return 0; }
void ignore(const Access&, u64) {}

// ---- PSTATE and stack pointers

template <u64 Bits>
u64 read_pstate(const Access& a) {
    return a.s[slot_pstate] & Bits;
}
template <u64 Bits>
void write_pstate(const Access& a, u64 v) {
    a.s[slot_pstate] = (a.s[slot_pstate] & ~Bits) | (v & Bits);
}
u64 read_level(const Access& a) { return a.s.level() << 2; }
u64 read_spsel(const Access& a) { return a.s[slot_pstate] & 1; }
void write_spsel(const Access& a, u64 v) { a.s.switch_stack((a.s[slot_pstate] & pstate::EL) | (v & 1)); }
u64 read_daif(const Access& a) { return a.s[slot_daif]; }
void write_daif(const Access& a, u64 v) { a.s[slot_daif] = v & pstate::DAIF; }
// The bank of a level; it is that in use at times.
u64& stack_of(const Access& a, u32 level) {
    bool used = (a.s[slot_pstate] & 1 ? a.s.level() : 0) == level;
    return used ? a.s.at(slot_sp) : a.s[slot_sp_el0 + level];
}
template <u32 Level>
u64 read_sp(const Access& a) {
    return stack_of(a, Level);
}
template <u32 Level>
void write_sp(const Access& a, u64 v) {
    stack_of(a, Level) = v;
}
template <u32 Slot>
u64 read_slot(const Access& a) {
    return a.s.at(Slot);
}
template <u32 Slot>
void write_slot(const Access& a, u64 v) {
    a.s.at(Slot) = v;
}

// ---- identification

u64 read_midr(const Access& a) {
    return a.s.level() == 1 && a.s.el2_enabled() ? a.s[slot_vpidr_el2] : a.s.model().midr;
}
u64 read_mpidr(const Access& a) {
    return a.s.level() == 1 && a.s.el2_enabled() ? a.s[slot_vmpidr_el2] : u64{1} << 31 | a.s[slot_mpidr];
}
u64 read_ccsidr(const Access& a) { return cache_size_id(a.s[slot_csselr_el1]); }
u64 read_isr(const Access& a) {
    u64 l = a.s.lines(), h = a.s.hcr();
    bool guest = a.s.level() == 1;
    auto pending = [&](u32 line, u32 virtual_line, u64 route, u64 bit) {
        if (!guest || !(h & route)) return (l >> line & 1) != 0;
        return (h & bit) || (virtual_line < 64 && (l >> virtual_line & 1));
    };
    return u64(pending(line_irq, line_virq, hcr::IMO, hcr::VI)) << 7 |
           u64(pending(line_fiq, line_vfiq, hcr::FMO, hcr::VF)) << 6 |
           u64(pending(line_serror, 64, hcr::AMO, hcr::VSE)) << 8;
}

// ---- timers

u64 virtual_offset(const Access& a) {
    return a.s.has_el2() && !(a.s.e2h() && (a.s.level() == 2 || a.s.host_el0())) ? a.s[slot_cntvoff_el2] : 0;
}
u64 read_cntpct(const Access& a) { return a.s.count(); }
u64 read_cntvct(const Access& a) { return a.s.count() - virtual_offset(a); }
template <u32 Slot>
u64 read_ctl(const Access& a) {
    return a.s[Slot] | (timer_condition(a.s, Slot) ? 4 : 0);
}
template <u32 Slot>
void write_ctl(const Access& a, u64 v) {
    a.s[Slot] = v & 3;
}
// The compare value stands behind its control register.
template <u32 Slot>
u64 read_tval(const Access& a) {
    return u32(a.s[Slot + 1] - (a.s.count() - timer_offset(a.s, Slot)));
}
template <u32 Slot>
void write_tval(const Access& a, u64 v) {
    a.s[Slot + 1] = a.s.count() - timer_offset(a.s, Slot) + u64(i64(i32(v)));
}

// ---- performance monitors

u64 read_pmu(const Access& a) { return pmu_read(a.s, a.number); }
void write_pmu(const Access& a, u64 v) { pmu_write(a.s, a.number, v); }

// ---- debug

void write_oslar(const Access& a, u64 v) { a.s[slot_os_lock] = v & 1, a.f.debug = true; }
constexpr u64 claim_tags = 0xff;
u64 read_claimset(const Access&) { return claim_tags; }
void write_claimset(const Access& a, u64 v) { a.s[slot_dbgclaimset_el1] |= v & claim_tags; }
u64 read_claimclr(const Access& a) { return a.s[slot_dbgclaimset_el1]; }
void write_claimclr(const Access& a, u64 v) { a.s[slot_dbgclaimset_el1] &= ~v; }
u64 read_oslsr(const Access& a) { return 8 | a.s[slot_os_lock] << 1; } // OSLM: implemented

// clang-format off
constexpr Computed computed[] = {
    {sr(3, 0, 4, 1, 0), read_sp<0>, write_sp<0>},
    {sr(3, 4, 4, 1, 0), read_sp<1>, write_sp<1>},
    {sr(3, 6, 4, 1, 0), read_sp<2>, write_sp<2>},
    {sr(3, 0, 4, 2, 0), read_spsel, write_spsel},
    {sr(3, 0, 4, 2, 2), read_level, nullptr},
    {sr(3, 0, 4, 2, 3), read_pstate<pstate::PAN>, write_pstate<pstate::PAN>, Group::none, Feature::pan},
    {sr(3, 0, 4, 2, 4), read_pstate<pstate::UAO>, write_pstate<pstate::UAO>, Group::none, Feature::uao},
    {sr(3, 3, 4, 2, 1), read_daif, write_daif},
    {sr(3, 3, 4, 2, 5), read_pstate<pstate::DIT>, write_pstate<pstate::DIT>, Group::none, Feature::dit},
    {sr(3, 3, 4, 2, 6), read_pstate<pstate::SSBS>, write_pstate<pstate::SSBS>, Group::none, Feature::ssbs},
    {reg::tpidr_el0, read_slot<slot_tpidr>, write_slot<slot_tpidr>},
    {reg::tpidrro_el0, read_slot<slot_tpidrro>, write_slot<slot_tpidrro>},

    {sr(3, 0, 0, 0, 0), read_midr, nullptr},
    {sr(3, 0, 0, 0, 5), read_mpidr, nullptr},
    {sr(3, 0, 0, 0, 6), zero, nullptr, Group::id1},             // REVIDR
    {sr(3, 1, 0, 0, 0), read_ccsidr, nullptr, Group::id2},
    {sr(3, 0, 12, 0, 1), zero, nullptr},                        // RVBAR_EL1
    {sr(3, 4, 12, 0, 1), zero, nullptr},
    {sr(3, 6, 12, 0, 1), zero, nullptr},
    {sr(3, 0, 12, 1, 0), read_isr, nullptr},
    {sr(3, 0, 10, 4, 0), zero, ignore, Group::lor, Feature::lor}, // LORSA_EL1: no regions
    {sr(3, 0, 10, 4, 1), zero, ignore, Group::lor, Feature::lor},
    {sr(3, 0, 10, 4, 2), zero, ignore, Group::lor, Feature::lor},
    {sr(3, 0, 10, 4, 3), zero, ignore, Group::lor, Feature::lor},
    {sr(3, 0, 10, 4, 7), zero, nullptr, Group::lor, Feature::lor},

    {sr(3, 3, 14, 0, 1), read_cntpct, nullptr, Group::counter},
    {reg::cntvct_el0, read_cntvct, nullptr, Group::counter},
    {sr(3, 3, 14, 2, 0), read_tval<slot_cntp_ctl_el0>, write_tval<slot_cntp_ctl_el0>, Group::timer_p},
    {sr(3, 3, 14, 2, 1), read_ctl<slot_cntp_ctl_el0>, write_ctl<slot_cntp_ctl_el0>, Group::timer_p},
    {sr(3, 3, 14, 3, 0), read_tval<slot_cntv_ctl_el0>, write_tval<slot_cntv_ctl_el0>, Group::timer_v},
    {sr(3, 3, 14, 3, 1), read_ctl<slot_cntv_ctl_el0>, write_ctl<slot_cntv_ctl_el0>, Group::timer_v},
    {sr(3, 4, 14, 2, 0), read_tval<slot_cnthp_ctl_el2>, write_tval<slot_cnthp_ctl_el2>},
    {sr(3, 4, 14, 2, 1), read_ctl<slot_cnthp_ctl_el2>, write_ctl<slot_cnthp_ctl_el2>},
    {sr(3, 4, 14, 3, 0), read_tval<slot_cnthv_ctl_el2>, write_tval<slot_cnthv_ctl_el2>, Group::none, Feature::vhe},
    {sr(3, 4, 14, 3, 1), read_ctl<slot_cnthv_ctl_el2>, write_ctl<slot_cnthv_ctl_el2>, Group::none, Feature::vhe},
    {sr(3, 7, 14, 2, 0), read_tval<slot_cntps_ctl_el1>, write_tval<slot_cntps_ctl_el1>},
    {sr(3, 7, 14, 2, 1), read_ctl<slot_cntps_ctl_el1>, write_ctl<slot_cntps_ctl_el1>},

    {sr(3, 3, 9, 12, 0), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 9, 12, 1), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 9, 12, 2), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 9, 12, 3), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 9, 12, 4), nullptr, write_pmu, Group::pmu},
    {sr(3, 3, 9, 12, 6), read_pmu, nullptr, Group::pmu},
    {sr(3, 3, 9, 12, 7), read_pmu, nullptr, Group::pmu},
    {sr(3, 3, 9, 13, 0), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 9, 13, 1), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 9, 13, 2), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 9, 14, 3), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 14, 15, 7), read_pmu, write_pmu, Group::pmu},
    {sr(3, 0, 9, 14, 1), read_pmu, write_pmu, Group::pmu},
    {sr(3, 0, 9, 14, 2), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 14, 8, 0), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 14, 8, 1), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 14, 8, 2), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 14, 8, 3), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 14, 8, 4), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 14, 8, 5), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 14, 12, 0), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 14, 12, 1), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 14, 12, 2), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 14, 12, 3), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 14, 12, 4), read_pmu, write_pmu, Group::pmu},
    {sr(3, 3, 14, 12, 5), read_pmu, write_pmu, Group::pmu},

    {sr(2, 0, 1, 0, 0), zero, nullptr, Group::debug},           // MDRAR_EL1
    {sr(2, 0, 1, 0, 4), nullptr, write_oslar, Group::os_lock},
    {sr(2, 0, 1, 1, 4), read_oslsr, nullptr, Group::os_lock},
    {sr(2, 0, 1, 4, 4), zero, ignore, Group::os_lock},          // DBGPRCR_EL1
    {sr(2, 0, 7, 8, 6), read_claimset, write_claimset, Group::debug},
    {sr(2, 0, 7, 9, 6), read_claimclr, write_claimclr, Group::debug},
    {sr(2, 0, 7, 14, 6), zero, nullptr, Group::debug},          // DBGAUTHSTATUS_EL1
    {sr(2, 3, 0, 1, 0), zero, nullptr, Group::debug},           // MDCCSR_EL0
    {sr(2, 3, 0, 4, 0), zero, ignore, Group::debug},            // DBGDTR_EL0
    {sr(2, 3, 0, 5, 0), zero, ignore, Group::debug},

    {sr(3, 0, 2, 1, 0), read_slot<slot_pac_keys>, write_slot<slot_pac_keys>, Group::none, Feature::pauth},
    {sr(3, 0, 2, 1, 1), read_slot<slot_pac_keys + 1>, write_slot<slot_pac_keys + 1>, Group::none, Feature::pauth},
    {sr(3, 0, 2, 1, 2), read_slot<slot_pac_keys + 2>, write_slot<slot_pac_keys + 2>, Group::none, Feature::pauth},
    {sr(3, 0, 2, 1, 3), read_slot<slot_pac_keys + 3>, write_slot<slot_pac_keys + 3>, Group::none, Feature::pauth},
    {sr(3, 0, 2, 2, 0), read_slot<slot_pac_keys + 4>, write_slot<slot_pac_keys + 4>, Group::none, Feature::pauth},
    {sr(3, 0, 2, 2, 1), read_slot<slot_pac_keys + 5>, write_slot<slot_pac_keys + 5>, Group::none, Feature::pauth},
    {sr(3, 0, 2, 2, 2), read_slot<slot_pac_keys + 6>, write_slot<slot_pac_keys + 6>, Group::none, Feature::pauth},
    {sr(3, 0, 2, 2, 3), read_slot<slot_pac_keys + 7>, write_slot<slot_pac_keys + 7>, Group::none, Feature::pauth},
    {sr(3, 0, 2, 3, 0), read_slot<slot_pac_keys + 8>, write_slot<slot_pac_keys + 8>, Group::none, Feature::pauth},
    {sr(3, 0, 2, 3, 1), read_slot<slot_pac_keys + 9>, write_slot<slot_pac_keys + 9>, Group::none, Feature::pauth},
};
// clang-format on

template <class Row, std::size_t N>
const Row* find(const Row (&rows)[N], u32 number) {
    for (const Row& r : rows)
        if (r.number == number) return &r;
    return nullptr;
}

u32 op1_of(u32 number) { return number >> 11 & 7; }
bool is_op0_2(u32 number) { return !(number >> 14); }

// D8.x, virtualization host extensions: at EL2 with E2H, names of EL1 mean EL2's registers, and names _EL12 and _EL02 mean
// EL1's. False: no such register here.
bool redirect(const State& s, u32& number) {
    u32 crn = number >> 7 & 15, crm = number >> 3 & 15;
    if (is_op0_2(number)) return true;
    auto with_op1 = [&](u32 op1_) { number = (number & ~(7u << 11)) | op1_ << 11; };
    if (op1_of(number) == 5) {
        if (!s.e2h() || s.level() < 2) return false;
        with_op1(crn == 14 && crm != 1 ? 3 : 0);
        return true;
    }
    if (s.level() != 2 || !s.e2h()) return true;
    if (number == sr(3, 0, 1, 0, 2)) return number = sr(3, 4, 1, 1, 2), true; // CPACR: CPTR_EL2
    constexpr u32 partners[] = {sr(3, 0, 1, 0, 0),  sr(3, 0, 2, 0, 0),  sr(3, 0, 2, 0, 1),  sr(3, 0, 2, 0, 2),
                                sr(3, 0, 4, 0, 0),  sr(3, 0, 4, 0, 1),  sr(3, 0, 5, 1, 0),  sr(3, 0, 5, 1, 1),
                                sr(3, 0, 5, 2, 0),  sr(3, 0, 6, 0, 0),  sr(3, 0, 10, 2, 0), sr(3, 0, 10, 3, 0),
                                sr(3, 0, 12, 0, 0), sr(3, 0, 13, 0, 1), sr(3, 0, 14, 1, 0), sr(3, 3, 14, 2, 0),
                                sr(3, 3, 14, 2, 1), sr(3, 3, 14, 2, 2), sr(3, 3, 14, 3, 0), sr(3, 3, 14, 3, 1),
                                sr(3, 3, 14, 3, 2)};
    if (std::find(std::begin(partners), std::end(partners), number) != std::end(partners)) with_op1(4);
    return true;
}

// The lowest level that may access a register of this number; 4: none.
u32 lowest_level(const State& s, u32 number) {
    constexpr u8 of_op1[] = {1, 1, 1, 0, 2, 2, 3, 3};
    u32 op1_ = op1_of(number);
    if (op1_ == 7) return s.has_el3() ? s.secure() ? 1 : 3 : 4; // the secure timer
    u32 n = of_op1[op1_];
    if (n == 2 && !s.has_el2()) return s.has_el3() ? 3 : 4;
    if (n == 3 && !s.has_el3()) return 4;
    return n;
}

// EL0's own controls: 0 allowed, else the level that it traps to.
bool el0_may(const State& s, u32 number, Group g, bool write) {
    u64 control = s.el0_sctlr(), timers = s.el0_cntkctl();
    switch (g) {
    case Group::counter:
        if (number == reg::cntfrq_el0) return !write && (timers & 3);
        return timers & (number == sr(3, 3, 14, 0, 1) ? 1 : 2);
    case Group::timer_p: return timers >> 9 & 1;
    case Group::timer_v: return timers >> 8 & 1;
    case Group::pmu: {
        u64 u = s[slot_pmuserenr_el0];
        const bool counter = number == sr(3, 3, 9, 13, 2) || (number >> 5 == sr(3, 3, 14, 8, 0) >> 5);
        return (u & 1) || (number == sr(3, 3, 9, 13, 0) && !write && (u & 4)) ||
               (number == sr(3, 3, 9, 12, 4) && (u & 2)) ||
               ((u & 8) && ((counter && !write) || number == sr(3, 3, 9, 12, 5)));
    }
    default: break;
    }
    if (number == reg::ctr_el0) return control & sctlr::UCT;
    if (number == sr(3, 3, 4, 2, 1)) return control & sctlr::UMA;
    if (number == sr(2, 3, 0, 4, 0) || number == sr(2, 3, 0, 5, 0) || number == sr(2, 3, 0, 1, 0))
        return !(s[slot_mdscr_el1] >> 12 & 1); // TDCC
    return true;
}

// EL2's controls of EL1 and EL0.
bool el2_traps(const State& s, u32 number, Group g, bool write) {
    u64 h = s.hcr(), m = s[slot_mdcr_el2], c = s[slot_cnthctl_el2];
    u32 shift = s.e2h() ? 10 : 0;
    switch (g) {
    case Group::vm: return h & (write ? hcr::TVM : hcr::TRVM);
    case Group::acr: return h & hcr::TACR;
    case Group::cpacr: return s[slot_cptr_el2] >> 31 & 1;
    case Group::id1: return h & hcr::TID1;
    case Group::id2: return h & hcr::TID2;
    case Group::id3: return h & hcr::TID3;
    case Group::debug: return m & (3 << 8); // TDE, TDA
    case Group::os_lock: return m & (1 << 10 | 1 << 8);
    case Group::pmu: return (m >> 6 & 1) || (number == sr(3, 3, 9, 12, 0) && (m >> 5 & 1));
    case Group::counter: return number == sr(3, 3, 14, 0, 1) && !(c >> shift & 1);
    case Group::timer_p: return !(c >> (shift + 1) & 1);
    case Group::lor: return h & hcr::TLOR;
    default: return false;
    }
}

// EL3's controls of the levels below.
bool el3_traps(const State& s, u32 number, Group g) {
    u64 m = s[slot_mdcr_el3];
    switch (g) {
    case Group::cpacr:
    case Group::cptr: return s[slot_cptr_el3] >> 31 & 1; // TCPAC
    case Group::debug: return m & mdcr3::TDA;
    case Group::os_lock: return m & mdcr3::TDOSA;
    case Group::pmu: return m & mdcr3::TPM;
    case Group::lor: return s[slot_scr_el3] & scr::TLOR;
    default: return op1_of(number) == 7 && !(s[slot_scr_el3] & scr::ST);
    }
}

// False: e is the exception.
bool permitted(const State& s, u32 number, Group g, u64 detail, Exception& e) {
    u32 el = s.level();
    bool write = detail >> 13 & 1;
    if (el < lowest_level(s, number)) return e = undefined_instruction(), false;
    if (el == 0 && write && (number == reg::tpidrro_el0 || number == sr(3, 3, 9, 14, 0))) // PMUSERENR_EL0
        return e = undefined_instruction(), false;
    if (el == 0 && !el0_may(s, number, g, write)) return e = trapped(s, detail, 1), false;
    if (el < 2 && s.el2_enabled() && !s.host_el0() && el2_traps(s, number, g, write))
        return e = trapped(s, detail, 2), false;
    if (el < 3 && s.has_el3() && el3_traps(s, number, g)) return e = trapped(s, detail, 3), false;
    return true;
}

// The CPU interface of a GICv3 (IHI 0069): ICC_*, ICV_*, ICH_*.
bool is_gic(u32 n) {
    u32 crn = n >> 7 & 15, crm = n >> 3 & 15;
    if (is_op0_2(n)) return false;
    if (n == sr(3, 0, 4, 6, 0)) return true;
    return crn == 12 && crm >= 8 && crm <= 15 && (op1_of(n) == 0 || op1_of(n) == 4 || op1_of(n) == 6);
}

// Which of FMO (group 0) and IMO (group 1) have the guest meet its own interface (ICV_*) at this number.
u64 virtual_by(u32 n) {
    u32 crm = n >> 3 & 15, op2_ = n & 7;
    if (n == sr(3, 0, 12, 12, 5)) return 0; // ICC_SRE_EL1
    if (crm == 8 || n == sr(3, 0, 12, 12, 6)) return hcr::FMO;
    if (crm == 9 || (crm == 12 && op2_ != 4)) return hcr::IMO;
    return hcr::IMO | hcr::FMO;
}
// ICC_SGI1R_EL1, ICC_ASGI1R_EL1, ICC_SGI0R_EL1: there are none of guests.
bool is_sgi(u32 n) { return (n >> 3 & 15) == 11 && (n & 7) >= 5 && op1_of(n) == 0; }

// Of interrupts that EL3 takes, it has the registers, too (IHI 0069, 12.2): those of a group, and those of both groups when
// it takes both.
bool gic_traps_to_el3(const State& s, u32 number) {
    u64 by = virtual_by(number), scr_ = s.scr();
    bool fiq = !(by & hcr::FMO) || (scr_ & scr::FIQ), irq = !(by & hcr::IMO) || (scr_ & scr::IRQ);
    return s.has_el3() && s.level() < 3 && op1_of(number) == 0 && by && fiq && irq;
}

bool ask_gic(const State& s, u32 number, u64 detail, Effects& f, Exception& e) {
    if (!s.model().has(Feature::gic_registers) || s.level() < lowest_level(s, number))
        return e = undefined_instruction(), false;
    bool write = detail >> 13 & 1;
    u32 rt = u32(detail >> 8 & 31);
    bool guest = s.level() == 1 && (s.hcr() & virtual_by(number));
    if (guest && is_sgi(number)) return e = trapped(s, detail, 2), false;
    if (!guest && gic_traps_to_el3(s, number)) return e = trapped(s, detail, 3), false;
    f.request = {.kind = write ? BoardRequest::Kind::write : BoardRequest::Kind::read,
                 .number = 1u << 15 | number,
                 .level = u8(s.level()),
                 .secure = s.secure(),
                 .virtual_interface = guest,
                 .secure_fiq = (s.scr() & scr::FIQ) != 0,
                 .values = {write ? s.x(rt) : 0}};
    f.request.values[7] = rt; // for register_answered
    return true;
}

void write_stored(const State& s, const Stored& r, u64 v, Effects& f) {
    u64& slot = s[r.slot];
    u64 old = slot, writable = r.writable;
    // What counts may depend on it; no register of the monitors, which are not written here.
    if (r.effect == Effect::debug || r.effect == Effect::regime) pmu_sync(s);
    if (r.slot == slot_scr_el3 && s.model().has(Feature::lor)) writable |= scr::TLOR;
    slot = (old & ~writable) | (v & writable);
    if (slot == old || r.effect == Effect::none) return;
    f.debug = r.effect == Effect::debug;
    f.contexts = r.effect == Effect::contexts || r.effect == Effect::regime;
    // HCR_EL2 and SCR_EL3: what they say of translations is part of the context.
    bool in_context = r.slot == slot_hcr_el2 || (r.slot == slot_scr_el3 && !((old ^ slot) & scr::SIF));
    if (r.effect == Effect::regime && !in_context) f.flush = Effects::Flush::all;
}

// EL3 meets EL2's registers also where there is no EL2: as RES0, but for two that read as what EL1 would see. SP_EL1 has an
// encoding among them.
bool is_of_no_el2(const State& s, u32 number) {
    return !s.has_el2() && !is_op0_2(number) && op1_of(number) == 4 && number != sr(3, 4, 4, 1, 0);
}
u64 read_without_el2(const State& s, u32 number) {
    if (number == sr(3, 4, 0, 0, 0)) return s.model().midr;                // VPIDR_EL2
    return number == sr(3, 4, 0, 0, 5) ? u64{1} << 31 | s[slot_mpidr] : 0; // VMPIDR_EL2
}
// RVBAR_ELx is there of the highest level alone.
bool is_vector_base_of_lower(const State& s, u32 number) {
    constexpr u32 all_levels[] = {sr(3, 0, 12, 0, 1), sr(3, 4, 12, 0, 1), sr(3, 6, 12, 0, 1)};
    for (u32 n = 1; n <= 3; ++n)
        if (number == all_levels[n - 1]) return n != s.highest();
    return false;
}

// CNTFRQ_EL0 is writable at the highest level alone; ID registers are not at all.
bool is_writable(const State& s, u32 number) { return number != reg::cntfrq_el0 || s.level() == s.highest(); }

} // namespace

Exception trapped(const State&, u64 detail, u32 level) {
    u64 n = detail >> 16 & 0x7fff;
    u64 op0_ = 2 | n >> 14, op1_ = n >> 11 & 7, crn = n >> 7 & 15, crm = n >> 3 & 15, op2_ = n & 7;
    if (Request(detail & 0xff) == Request::sys) op0_ = 1;
    u64 iss = op0_ << 20 | op2_ << 17 | op1_ << 14 | crn << 10 | (detail >> 8 & 31) << 5 | crm << 1 |
              (detail >> 13 & 1 ? 0 : 1);
    return {syndrome(ec::sysreg, iss) | (level == 3 ? cause::to_el3 : level == 2 ? cause::to_el2 : cause::to_el1)};
}

bool access_register(const State& s, u64 detail, Effects& f, Exception& e) {
    u32 number = u32(detail >> 16 & 0x7fff), rt = u32(detail >> 8 & 31);
    bool write = detail >> 13 & 1;
    if (!redirect(s, number)) return e = undefined_instruction(), false;
    if (is_gic(number)) return ask_gic(s, number, detail, f, e);
    Access a{s, number, f};
    if (const Computed* r = find(computed, number); r && s.model().has(r->feature)) {
        if (write ? !r->write : !r->read) return e = undefined_instruction(), false;
        if (is_vector_base_of_lower(s, number)) return e = undefined_instruction(), false;
        if (!permitted(s, number, r->group, detail, e)) return false;
        if (is_of_no_el2(s, number)) {
            if (!write) s.x(rt, 0);
            return true;
        }
        write ? r->write(a, s.x(rt)) : s.x(rt, r->read(a));
        return true;
    }
    if (const Stored* r = find(stored, number)) {
        if (write && !is_writable(s, number)) return e = undefined_instruction(), false;
        if (!permitted(s, number, r->group, detail, e)) return false;
        if (is_of_no_el2(s, number)) {
            if (!write) s.x(rt, read_without_el2(s, number));
            return true;
        }
        write ? write_stored(s, *r, s.x(rt), f) : s.x(rt, s[r->slot]);
        return true;
    }
    u64 value;
    if (write || !system_id_register(s.model(), number, value)) return e = undefined_instruction(), false;
    bool cache = number == reg::ctr_el0 || op1_of(number) == 1;
    Group g = op1_of(number) == 0 ? Group::id3 : cache ? Group::id2 : Group::none;
    if (!permitted(s, number, g, detail, e)) return false;
    s.x(rt, value);
    return true;
}

bool register_answered(const State& s, const BoardRequest& r, bool done, Exception& e) {
    if (r.trapped) return e = trapped(s, s.cpu().fault_address, 2), false;
    if (!done) return e = undefined_instruction(), false;
    if (r.kind == BoardRequest::Kind::read) s.x(u32(r.values[7]), r.values[0]);
    return true;
}

} // namespace mimic::isa::aarch64
