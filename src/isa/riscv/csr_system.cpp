// Control and status registers of the privileged architecture: a row each. Volume II (20240411), chapters 2, 3, 6 and 12;
// Sstc: stimecmp; counters 3.1.10 to 3.1.12; the RISC-V Advanced Interrupt Architecture 1.0 (AIA), chapters 2 and 5. Registers of vectors, of hypervisors and of the debug mode are not there; those of its triggers are.
// Counters for performance events are there and read as zero.
#include "isa/riscv/csr.hpp"
#include "isa/riscv/system.hpp"
#include "isa/riscv/trigger.hpp"

namespace mimic::isa::riscv {

namespace {

constexpr u64 all = ~u64{0};
constexpr u16 no_slot = 0;

struct Access { // one access under way
    const State& s;
    u32 number;
    u64 lines, clock, detail = 0;
    bool resync = false;
    u64& operator[](u32 slot) const { return s[slot]; }
    bool sstc() const { return s[slot_menvcfg] & envcfg::STCE; }
};

struct CsrRow {
    u16 number, count; // of consecutive registers
    u16 slot;          // where it is, when it is there as it reads
    u64 writable;
    u64 (*read)(const Access&) = nullptr;
    void (*write)(Access&, u64) = nullptr;
    // RMW instructions change this instead of what is read (mip: 3.1.9).
    u64 (*stored)(const Access&) = nullptr;
};

// ---- status

u64 read_mstatus(const Access& a) {
    u64 v = a[slot_mstatus] | mstatus::fixed;
    return (v & mstatus::FS) == mstatus::FS ? v | mstatus::SD : v;
}
void write_mstatus(Access& a, u64 v) {
    u64 old = a[slot_mstatus], now = (old & ~mstatus::writable) | (v & mstatus::writable);
    if ((now >> mstatus::MPP_at & 3) == 2) now = (now & ~mstatus::MPP) | (old & mstatus::MPP); // reserved
    a[slot_mstatus] = now;
}
u64 read_sstatus(const Access& a) { return read_mstatus(a) & (mstatus::of_sstatus | mstatus::UXL | mstatus::SD); }
void write_sstatus(Access& a, u64 v) {
    write_mstatus(a, (a[slot_mstatus] & ~mstatus::of_sstatus) | (v & mstatus::of_sstatus));
}

u64 read_misa(const Access&) {
    constexpr auto bit = [](char c) { return u64{1} << (c - 'A'); };
    return u64{2} << 62 | bit('A') | bit('C') | bit('D') | bit('F') | bit('I') | bit('M') | bit('S') | bit('U');
}

// ---- interrupts

u64 mip_writable(const Access& a) {
    u64 m = irq::supervisor & ~(a[slot_mvien] & 1 << irq::SEI);
    return a.sstc() ? m & ~(u64{1} << irq::STI) : m;
}
u64 stored_mip(const Access& a) { return a[slot_mip]; }
u64 read_mip(const Access& a) { return a.s.pending(a.lines); }
void write_mip(Access& a, u64 v) {
    u64 m = mip_writable(a);
    a[slot_mip] = (a[slot_mip] & ~m) | (v & m);
}
u64 virtual_sip(const Access& a) { return a.s.virtual_pending() & a.s.filter(); }
u64 stored_sip(const Access& a) { return (a[slot_mip] & a[slot_mideleg]) | virtual_sip(a); }
u64 read_sip(const Access& a) { return (read_mip(a) & a[slot_mideleg]) | virtual_sip(a); }
void assign(u64& slot, u64 bits, u64 v) { slot = (slot & ~bits) | (v & bits); }
void write_sip(Access& a, u64 v) {
    constexpr u64 SSI = 1 << irq::SSI, SEI = 1 << irq::SEI;
    assign(a[slot_mip], (a[slot_mideleg] & SSI) | (a.s.filter() & SEI), v);
    assign(a[slot_mvip], a.s.filter() & SSI, v);
}
u64 read_sie(const Access& a) { return (a[slot_mie] & a[slot_mideleg]) | (a[slot_sie_virtual] & a.s.filter()); }
void write_sie(Access& a, u64 v) {
    assign(a[slot_mie], a[slot_mideleg], v);
    assign(a[slot_sie_virtual], a.s.filter(), v);
}

// ---- AIA. Priorities of major interrupts cannot be chosen, so that IPRIO is always 1 (5.2.3, 5.4.2).

// Bits 1, 5 and 9 of mvip: SSIP has a bit of its own while mvien filters it; STIP is mip's while that can be written; SEIP
// is the one that software writes, which mvien only takes out of mip.
u64 mvip_in_mip(const Access& a) {
    u64 m = (u64{1} << irq::SSI & ~a[slot_mvien]) | 1 << irq::SEI;
    return a.sstc() ? m : m | 1 << irq::STI;
}
u64 read_mvip(const Access& a) {
    return (a[slot_mip] & mvip_in_mip(a)) | (a[slot_mvip] & a[slot_mvien] & 1 << irq::SSI);
}
void write_mvip(Access& a, u64 v) {
    assign(a[slot_mip], mvip_in_mip(a), v);
    assign(a[slot_mvip], a[slot_mvien] & 1 << irq::SSI, v);
}
u64 top_of(u64 ready) { return ready ? u64(State::most_urgent(ready)) << 16 | 1 : 0; }
u64 read_mtopi(const Access& a) { return top_of(a.s.ready_for_machine(a.lines)); }
u64 read_stopi(const Access& a) { return top_of(a.s.ready_for_supervisor(a.lines)); }

// ---- vectors and addresses

template <u16 Slot>
void write_tvec(Access& a, u64 v) {
    if ((v & 3) < 2) a[Slot] = v; // other modes are reserved
}
void write_satp(Access& a, u64 v) {
    u64 mode = v >> 60, old = a[slot_satp];
    if (mode != 0 && (mode < 8 || mode > 10)) return; // 12.1.11: no effect at all
    a[slot_satp] = v;
    if (v == old) return;
    a.detail |= resync_contexts;
    // A table under an identifier that was another's a moment ago: guests without identifiers rely on it.
    if ((v ^ old) << 4 >> 48 == 0) a.detail |= resync_flush_asid;
    if (mode && mode != old >> 60) a.detail |= resync_flush;
}
void write_menvcfg(Access& a, u64 v) {
    constexpr u64 m = envcfg::of_senvcfg | envcfg::ADUE | envcfg::PBMTE | envcfg::STCE;
    u64 old = a[slot_menvcfg];
    if ((v & envcfg::CBIE) == 2 << 4) v = (v & ~envcfg::CBIE) | (old & envcfg::CBIE);
    a[slot_menvcfg] = v & m;
    if ((v ^ old) & (envcfg::ADUE | envcfg::PBMTE)) a.detail |= resync_flush;
    a.resync |= (v ^ old) & envcfg::STCE;
    if (v & envcfg::STCE) a[slot_mip] &= ~(u64{1} << irq::STI); // Sstc, chapter 2: from now on stimecmp alone says so
}
void write_senvcfg(Access& a, u64 v) {
    if ((v & envcfg::CBIE) == 2 << 4) v = (v & ~envcfg::CBIE) | (a[slot_senvcfg] & envcfg::CBIE);
    a[slot_senvcfg] = v & envcfg::of_senvcfg;
}
void write_stimecmp(Access& a, u64 v) {
    a[slot_stimecmp] = v;
    a.resync = true; // the timer is set anew
}

// ---- counters: nanoseconds of the machine's clock; `time` ticks at 10 MHz

constexpr u64 ns_a_tick = 100;

u64 read_time(const Access& a) { return a.clock / ns_a_tick; }
template <u16 Slot, u32 Bit>
u64 read_counter(const Access& a) {
    return a[Slot] + (a[slot_mcountinhibit] >> Bit & 1 ? 0 : a.clock);
}
template <u16 Slot, u32 Bit>
void write_counter(Access& a, u64 v) {
    a[Slot] = v - (a[slot_mcountinhibit] >> Bit & 1 ? 0 : a.clock);
}
void write_mcountinhibit(Access& a, u64 v) {
    v &= 5;
    u64 cycle = read_counter<slot_mcycle, 0>(a), instret = read_counter<slot_minstret, 2>(a);
    a[slot_mcountinhibit] = v;
    write_counter<slot_mcycle, 0>(a, cycle);
    write_counter<slot_minstret, 2>(a, instret);
}

// ---- physical memory protection

u32 pmp_entry(const Access& a, u32 n) { return u32(a[n < 8 ? slot_pmpcfg0 : slot_pmpcfg2] >> 8 * (n % 8) & 0xff); }
bool pmp_locked(const Access& a, u32 n) { return (pmp_entry(a, n) & 0x80) && !(a[slot_mseccfg] & mseccfg::RLB); }

u64 read_pmpcfg(const Access& a) {
    return a.number == 0x3a0 ? a[slot_pmpcfg0] : a.number == 0x3a2 ? a[slot_pmpcfg2] : 0;
}
void write_pmpcfg(Access& a, u64 v) {
    if (a.number != 0x3a0 && a.number != 0x3a2) return; // there are 16 entries
    u32 first = a.number == 0x3a0 ? 0 : 8;
    u64 mml = a[slot_mseccfg] & mseccfg::MML, now = 0;
    for (u32 n = 0; n < 8; ++n) {
        u32 old = pmp_entry(a, first + n), cfg = u32(v >> 8 * n & 0x9f);
        bool keep = pmp_locked(a, first + n);
        // R clear and W set is reserved without MML; with it, no new rule may let machine mode execute (6.2).
        if (!mml && (cfg & 3) == 2) cfg &= ~3u;
        if (mml && !(a[slot_mseccfg] & mseccfg::RLB) && (cfg & 0x80)) {
            u32 x = cfg & 7;
            keep |= x == 4 || x == 5 || x == 2 || x == 6;
        }
        now |= u64(keep ? old : cfg) << 8 * n;
    }
    u64& slot = a[first ? slot_pmpcfg2 : slot_pmpcfg0];
    if (slot != now) a.detail |= resync_flush;
    slot = now;
}
u64 read_pmpaddr(const Access& a) {
    u32 n = a.number - 0x3b0;
    return n < 16 ? a[slot_pmpaddr0 + n] : 0;
}
void write_pmpaddr(Access& a, u64 v) {
    u32 n = a.number - 0x3b0;
    if (n >= 16 || pmp_locked(a, n)) return;
    // The base of a locked top-of-range entry is locked, too (3.7.1).
    if (n < 15 && pmp_locked(a, n + 1) && (pmp_entry(a, n + 1) >> 3 & 3) == 1) return;
    v &= (u64{1} << 54) - 1;
    if (a[slot_pmpaddr0 + n] != v) a.detail |= resync_flush;
    a[slot_pmpaddr0 + n] = v;
}
void write_mseccfg(Access& a, u64 v) {
    u64 old = a[slot_mseccfg];
    bool locked = false;
    for (u32 n = 0; n < 16; ++n) locked |= bool(pmp_entry(a, n) & 0x80);
    u64 now = (v & (mseccfg::MML | mseccfg::MMWP | mseccfg::RLB)) | (old & (mseccfg::MML | mseccfg::MMWP));
    if (!(old & mseccfg::RLB) && locked) now &= ~mseccfg::RLB; // stays zero once something is locked
    if (now != old) a.detail |= resync_flush;
    a[slot_mseccfg] = now;
}

// ---- debug triggers (Debug Specification 1.0, 5.7)

void write_tselect(Access& a, u64 v) {
    if (v < trigger_count) a[slot_tselect] = v; // who looks for the last one reads it back
}
template <u16 First>
u64 read_tdata(const Access& a) {
    return a[First + u32(a[slot_tselect])];
}
void write_tdata1(Access& a, u64 v) {
    u32 n = u32(a[slot_tselect]);
    a[slot_tdata1 + n] = trigger::legal_tdata1(n, v);
    a[slot_trigger_begun] = 0;
    a[slot_trigger_modes] = trigger_modes(a.s);
    a.detail |= resync_triggers;
}
void write_tdata2(Access& a, u64 v) {
    a[slot_tdata2 + u32(a[slot_tselect])] = v;
    a.detail |= resync_triggers;
}
void write_tdata3(Access& a, u64 v) { a[slot_tdata3 + u32(a[slot_tselect])] = trigger::legal_tdata3(v); }
u64 read_tinfo(const Access&) { return trigger::info; }

// ---- numbers

u64 zero(const Access&) { return 0; }
void ignore(Access&, u64) {}

// clang-format off
constexpr CsrRow rows[] = {
    {0x100, 1, no_slot, all, read_sstatus, write_sstatus},
    {0x104, 1, no_slot, all, read_sie, write_sie},
    {0x105, 1, slot_stvec, all, nullptr, write_tvec<slot_stvec>},
    {0x106, 1, slot_scounteren, 7},
    {0x10a, 1, slot_senvcfg, all, nullptr, write_senvcfg},
    {0x140, 1, slot_sscratch, all},
    {0x141, 1, slot_sepc, ~u64{1}},
    {0x142, 1, slot_scause, all},
    {0x143, 1, slot_stval, all},
    {0x144, 1, no_slot, all, read_sip, write_sip, stored_sip},
    {0x14d, 1, slot_stimecmp, all, nullptr, write_stimecmp},
    {0x180, 1, slot_satp, all, nullptr, write_satp},

    {0x300, 1, no_slot, all, read_mstatus, write_mstatus},
    {0x301, 1, no_slot, all, read_misa, ignore},
    {0x302, 1, slot_medeleg, cause::delegable},
    {0x303, 1, slot_mideleg, irq::supervisor},
    {0x304, 1, slot_mie, irq::supervisor | irq::machine},
    {0x305, 1, slot_mtvec, all, nullptr, write_tvec<slot_mtvec>},
    {0x306, 1, slot_mcounteren, 7},
    {0x30a, 1, slot_menvcfg, all, nullptr, write_menvcfg},
    {0x320, 1, slot_mcountinhibit, all, nullptr, write_mcountinhibit},
    {0x323, 29, no_slot, 0, zero, ignore}, // mhpmevent3
    {0x340, 1, slot_mscratch, all},
    {0x341, 1, slot_mepc, ~u64{1}},
    {0x342, 1, slot_mcause, all},
    {0x343, 1, slot_mtval, all},
    {0x344, 1, no_slot, all, read_mip, write_mip, stored_mip},
    {0x3a0, 1, no_slot, all, read_pmpcfg, write_pmpcfg},
    {0x3a2, 1, no_slot, all, read_pmpcfg, write_pmpcfg},
    {0x3a4, 1, no_slot, all, read_pmpcfg, write_pmpcfg},
    {0x3a6, 1, no_slot, all, read_pmpcfg, write_pmpcfg},
    {0x3a8, 1, no_slot, all, read_pmpcfg, write_pmpcfg},
    {0x3aa, 1, no_slot, all, read_pmpcfg, write_pmpcfg},
    {0x3ac, 1, no_slot, all, read_pmpcfg, write_pmpcfg},
    {0x3ae, 1, no_slot, all, read_pmpcfg, write_pmpcfg},
    {0x3b0, 64, no_slot, all, read_pmpaddr, write_pmpaddr},
    {0x747, 1, slot_mseccfg, all, nullptr, write_mseccfg},

    {0xb00, 1, no_slot, all, read_counter<slot_mcycle, 0>, write_counter<slot_mcycle, 0>},
    {0xb02, 1, no_slot, all, read_counter<slot_minstret, 2>, write_counter<slot_minstret, 2>},
    {0xb03, 29, no_slot, 0, zero, ignore}, // mhpmcounter3
    {0xc00, 1, no_slot, 0, read_counter<slot_mcycle, 0>},
    {0xc01, 1, no_slot, 0, read_time},
    {0xc02, 1, no_slot, 0, read_counter<slot_minstret, 2>},
    {0xc03, 29, no_slot, 0, zero}, // hpmcounter3

    {0xf11, 3, no_slot, 0, zero}, // mvendorid, marchid, mimpid
    {0xf14, 1, slot_mhartid, 0},
    {0xf15, 1, no_slot, 0, zero}, // mconfigptr
};
// clang-format on

constexpr CsrRow machine_aia_rows[] = {
    {0x308, 1, slot_mvien, irq::filtered},
    {0x309, 1, no_slot, all, read_mvip, write_mvip},
    {0x350, 1, slot_miselect, 0x1ff},
    {0xfb0, 1, no_slot, 0, read_mtopi},
};
constexpr CsrRow supervisor_aia_rows[] = {
    {0x150, 1, slot_siselect, 0x1ff},
    {0xdb0, 1, no_slot, 0, read_stopi},
};

constexpr CsrRow trigger_rows[] = {
    {0x5a8, 1, slot_scontext, trigger::of_scontext},
    {0x7a0, 1, slot_tselect, all, nullptr, write_tselect},
    {0x7a1, 1, no_slot, all, read_tdata<slot_tdata1>, write_tdata1},
    {0x7a2, 1, no_slot, all, read_tdata<slot_tdata2>, write_tdata2},
    {0x7a3, 1, no_slot, all, read_tdata<slot_tdata3>, write_tdata3},
    {0x7a4, 1, no_slot, 0, read_tinfo, ignore},
    {0x7a5, 1, slot_tcontrol, trigger::mte | trigger::mpte},
    {0x7a8, 1, slot_mcontext, trigger::of_mcontext},
};

const CsrRow* find(std::span<const CsrRow> in, u32 number) {
    for (const CsrRow& r : in)
        if (number >= r.number && number < u32(r.number + r.count)) return &r;
    return nullptr;
}
const CsrRow* find(u32 number, u32 parts) {
    const CsrRow* r = find(rows, number);
    if (!r && (parts & aia_machine)) r = find(machine_aia_rows, number);
    if (!r && (parts & aia_supervisor)) r = find(supervisor_aia_rows, number);
    if (!r && (parts & debug_triggers)) r = find(trigger_rows, number);
    return r;
}

// Beside the privilege in the number: TVM, counter enables, Sstc's.
bool permitted(const State& s, u32 number) {
    u32 priv = s.privilege();
    if ((number >> 8 & 3) > priv) return false;
    if (priv == machine_level) return true;
    if (number == 0x180) return priv != supervisor_level || !(s[slot_mstatus] & mstatus::TVM);
    if (number == 0x14d) return (s[slot_menvcfg] & envcfg::STCE) && (s[slot_mcounteren] & 2);
    if (number >= 0xc00 && number < 0xc20) {
        u64 enabled = s[slot_mcounteren] & (priv == user_level ? s[slot_scounteren] : all);
        return enabled >> (number & 31) & 1;
    }
    return true;
}

} // namespace

bool csr_reads_clock(u32 number) {
    return number == 0x320 || number == 0xb00 || number == 0xb02 || (number >= 0xc00 && number <= 0xc02);
}

bool csr_exists(u32 number, u32 parts) { return find(number, parts); }

CsrOutcome csr_access(const State& s, u32 number, const CsrAccess& how, u64& old, u64& detail) {
    const CsrRow* r = find(number, how.parts);
    if (!r || !permitted(s, number) || (how.writes && is_read_only(number))) return CsrOutcome::illegal;
    Access a{s, number, how.lines, how.clock};
    old = r->read ? r->read(a) : s[r->slot];
    if (!how.writes) return CsrOutcome::done;
    u64 from = r->stored ? r->stored(a) : old, v = how.operand;
    if (how.how == CsrAccess::set) v = from | how.operand;
    if (how.how == CsrAccess::clear) v = from & ~how.operand;
    if (r->write)
        r->write(a, v);
    else
        s[r->slot] = (s[r->slot] & ~r->writable) | (v & r->writable);
    detail = a.detail;
    bool resync = a.resync || a.detail || s.mode() != s.cpu().mode || s.interrupt(a.lines).number >= 0;
    return resync ? CsrOutcome::resync : CsrOutcome::done;
}

} // namespace mimic::isa::riscv
