// System instructions and registers: Arm ARM C4.1.94, C5 and D19. User mode has the registers that EL0 has under Linux,
// and reads the ID registers that Linux emulates for it.
#include "isa/aarch64/system.hpp"
#include "isa/aarch64/privileged.hpp"
#include "isa/aarch64/semantics.hpp"
#include "isa/aarch64/tables.hpp"
#include <charconv>
#include <fmt/core.h>

namespace mimic::isa::aarch64 {

namespace {

namespace flag = ir::flag;

// ---- NZCV (C5.2.9): N Z C V in bits 31 to 28

Val read_nzcv(A64& t) {
    Val f = t.flags_bits(t.nzcv());
    Val nz = f.ubfx(6, 2).shl(30), v = f.ubfx(11, 1).shl(28);
    return nz | ((f & 1) ^ 1).shl(29) | v;
}
void write_nzcv(A64& t, Val v) {
    Val f = v.lshr(30).shl(6) | (v.ubfx(29, 1) ^ 1) | v.ubfx(28, 1).shl(11);
    t.nzcv(t.flags_from(f));
}

// As fp_mode says. What follows goes on under the mode of the new FZ.
void write_fpcr(A64& t, Val v) {
    v = v & i64(fpcr_bits(t.model()));
    t.put(slot_fpcr, v);
    Val mode = (t.imm(0, Type::i32) - v.lshr(22)) & 3;
    auto bit = [&](u32 at, u32 to) { mode = mode | ((-v.ubfx(at, 1)) & i64(to)); };
    bit(24, ir::fpmode::flush_inputs | ir::fpmode::flush_outputs);
    bit(25, ir::fpmode::default_nan);
    bit(26, ir::fpmode::alt_half);
    bit(19, ir::fpmode::flush_f16);
    t.op(Op::fpmode_set, Type::none, mode);
    const bool flushes = t.mode() & mode_flush;
    Val other = v.ubfx(24, 1) != i64(flushes);
    if (other.is_const() && !other.const_value()) return;
    t.when(other, [&] { t.exit_to(t.next_pc(), t.mode() ^ mode_flush); });
}

// ---- the generic timer's count

int read_clock(ir::CpuHeader* cpu, const ir::Wide* args, ir::Wide* results) {
    u64 ns = cpu->clock ? cpu->clock(*cpu) : 0;
    results[0].w[0] = u64(static_cast<unsigned __int128>(ns) * args[0].w[0] / 1'000'000'000);
    return 0;
}
} // namespace
constinit const ir::Intrinsic counter{
    .name = "clock_ticks", .body = read_clock, .args = 1, .effects = ir::Intrinsic::impure};
namespace {

// RNDR, RNDRRS (C6.2.228): NZCV is 0000, or 0100 and the value 0 when there is no number in time.
int read_random(ir::CpuHeader* cpu, const ir::Wide*, ir::Wide* results) {
    results[0].w[0] = results[1].w[0] = 0;
    if (cpu->random && cpu->random(*cpu, results[0].w[0])) results[1].w[0] = 1;
    return 0;
}
constexpr ir::Intrinsic random_number{
    .name = "random_number", .body = read_random, .args = 0, .results = 2, .effects = ir::Intrinsic::impure};
void read_random_number(A64& t, const I& i) {
    if (!t.model().has(Feature::rng)) return t.illegal();
    Val v = t.call(random_number, Type::i64, {}), there = t.result(v, 1, Type::i64);
    t.nzcv(t.flags_from(((there ^ 1).shl(6) | i64(flag::c)).trunc(Type::i32)));
    t.x(i[Rt], v);
}

void mrs(A64& t, const I& i) {
    u32 number = u32(i[sysreg]);
    u64 value;
    switch (number) {
    case reg::nzcv: return t.x(i[Rt], read_nzcv(t));
    case reg::rndr:
    case reg::rndrrs: return read_random_number(t, i);
    default: break;
    }
    bool of_fp = number == reg::fpcr || number == reg::fpsr;
    if (of_fp && (t.mode() & mode_fp_traps)) return ask(t, Request::fp_trap);
    if (t.has_system() && !of_fp) return mrs_system(t, i);
    switch (number) {
    case reg::fpcr: return t.x(i[Rt], t.get(slot_fpcr, Type::i32));
    case reg::fpsr: return t.x(i[Rt], t.op(Op::fpflags, Type::i32) & i64(fpsr_bits));
    case reg::tpidr_el0: return t.x(i[Rt], t.get(slot_tpidr, Type::i64));
    case reg::tpidrro_el0: return t.x(i[Rt], t.get(slot_tpidrro, Type::i64));
    case reg::cntfrq_el0: return t.x(i[Rt], t.imm(t.model().clock_hz));
    case reg::cntvct_el0: return t.x(i[Rt], t.call(counter, Type::i64, {t.imm(t.model().clock_hz)}));
    default:
        if (id_register(t.model(), number, value)) return t.x(i[Rt], t.imm(value));
        return t.illegal();
    }
}
void msr(A64& t, const I& i) {
    Val v = t.r(i[Rt], Type::i32);
    u32 number = u32(i[sysreg]);
    bool of_fp = number == reg::fpcr || number == reg::fpsr;
    if (of_fp && (t.mode() & mode_fp_traps)) return ask(t, Request::fp_trap);
    if (t.has_system() && !of_fp && number != reg::nzcv) return msr_system(t, i);
    switch (number) {
    case reg::nzcv: return write_nzcv(t, v);
    case reg::fpcr: return write_fpcr(t, v);
    case reg::fpsr: t.op(Op::fpflags_set, Type::none, v & i64(fpsr_bits)); return;
    case reg::tpidr_el0: return t.put(slot_tpidr, t.x(i[Rt]));
    default: return t.illegal();
    }
}

// ---- cache maintenance, by op1:CRn:CRm:op2 (C5.3, C5.5)

constexpr u32 operation(u32 op1_, u32 crn, u32 crm, u32 op2_) { return op1_ << 11 | crn << 7 | crm << 3 | op2_; }

// DC ZVA: a block of 64 bytes, as DCZID_EL0 says.
void zero_block(A64& t, Val address) {
    Val block = address & ~i64{63}, zero = t.wide(0, 0, Type::v128);
    for (u32 k = 0; k < 64; k += 16) t.store(block + i64(k), zero, {.memory = Type::v128});
}
void sys(A64& t, const I& i) {
    u32 which = u32(i[sysreg]) & 0x3fff;
    if (t.has_system() && sys_system(t, i)) return;
    switch (which) {
    case operation(3, 7, 4, 1): return zero_block(t, t.x(i[Rt]));
    case operation(3, 7, 12, 1): // DC CVAP
        if (!t.model().has(Feature::dpb)) return t.illegal();
        break;
    case operation(3, 7, 13, 1): // DC CVADP
        if (!t.model().has(Feature::dpb2)) return t.illegal();
        break;
    case operation(3, 7, 10, 1):                                                                  // DC CVAC
    case operation(3, 7, 11, 1):                                                                  // DC CVAU
    case operation(3, 7, 14, 1): break;                                                           // DC CIVAC
    case operation(3, 7, 5, 1): return t.trap(ir::TrapKind::flush_code, t.next_pc(), t.x(i[Rt])); // IC IVAU
    default: return t.illegal();
    }
    t.probe(t.x(i[Rt]), t.imm(1), false); // the caches are coherent: what stays is the fault
}

// FlagM, FlagM2
void cfinv(A64& t, const I&) {
    Val f = t.nzcv();
    t.nzcv(t.flags_merge(f, t.flags_from(t.flags_bits(f) ^ 1), flag::c));
}
// C6.2: from and to the flags of an FP comparison in the alternative format.
void axflag(A64& t, const I&) {
    Val f = t.nzcv();
    Val z = t.cond(ir::Cond::z, f), c = t.carry(), v = t.cond(ir::Cond::v, f);
    Val zero = (z | v).zext(Type::i32), carry = (c & ~v).zext(Type::i32);
    t.nzcv(t.flags_from(zero.shl(6) | (carry ^ 1)));
}
void xaflag(A64& t, const I&) {
    Val f = t.nzcv();
    Val z = t.cond(ir::Cond::z, f), c = t.carry();
    auto bit = [](Val b, u32 at) { return b.zext(Type::i32).shl(at); };
    t.nzcv(t.flags_from(bit(~(c | z), 7) | bit(z & c, 6) | bit(~c & z, 11) | (bit(c | z, 0) ^ 1)));
}

// clang-format off
constexpr R rows[] = {
    {"sys     {sys}{sysxt}",    "1101010100 0 01 op1 CRn CRm op2 Rt",           sys},
    {"sysl    {Xt}, {sys}",     "1101010100 1 01 op1 CRn CRm op2 Rt",           [](A64& t, const I&) { t.illegal(); }},
    {"msr     {sysreg}, {Xt}",  "1101010100 0 1 sysreg Rt",                     msr},
    {"mrs     {Xt}, {sysreg}",  "1101010100 1 1 sysreg Rt",                     mrs},
};
constexpr R flagm_rows[] = {
    {"cfinv",                   "1101010100 0 00 000 0100 0000 000 11111",      cfinv},
};
constexpr R flagm2_rows[] = {
    {"xaflag",                  "1101010100 0 00 000 0100 0000 001 11111",      xaflag},
    {"axflag",                  "1101010100 0 00 000 0100 0000 010 11111",      axflag},
};
// clang-format on

struct Name {
    u32 number;
    std::string_view name;
};
constexpr u32 id(u32 crm, u32 op2_) { return system_register(3, 0, 0, crm, op2_); }
constexpr Name names[] = {
    {reg::nzcv, "nzcv"},
    {reg::fpcr, "fpcr"},
    {reg::fpsr, "fpsr"},
    {reg::tpidr_el0, "tpidr_el0"},
    {reg::tpidrro_el0, "tpidrro_el0"},
    {reg::ctr_el0, "ctr_el0"},
    {reg::dczid_el0, "dczid_el0"},
    {reg::cntvct_el0, "cntvct_el0"},
    {reg::rndr, "rndr"},
    {reg::rndrrs, "rndrrs"},
#define REG(name, op0, op1, crn, crm, op2, ...) {system_register(op0, op1, crn, crm, op2), #name},
#include "isa/aarch64/registers.def"
#undef REG
    {system_register(3, 0, 4, 1, 0), "sp_el0"},
    {system_register(3, 4, 4, 1, 0), "sp_el1"},
    {system_register(3, 6, 4, 1, 0), "sp_el2"},
    {system_register(3, 0, 4, 2, 0), "spsel"},
    {system_register(3, 0, 4, 2, 2), "currentel"},
    {system_register(3, 3, 4, 2, 1), "daif"},
    {system_register(3, 0, 12, 1, 0), "isr_el1"},
    {system_register(3, 3, 14, 0, 1), "cntpct_el0"},
    {system_register(2, 0, 1, 0, 4), "oslar_el1"},
    {system_register(2, 0, 1, 1, 4), "oslsr_el1"},
    {id(0, 0), "midr_el1"},
    {id(0, 5), "mpidr_el1"},
    {id(0, 6), "revidr_el1"},
    {id(4, 0), "id_aa64pfr0_el1"},
    {id(4, 1), "id_aa64pfr1_el1"},
    {id(4, 4), "id_aa64zfr0_el1"},
    {id(5, 0), "id_aa64dfr0_el1"},
    {id(5, 1), "id_aa64dfr1_el1"},
    {id(6, 0), "id_aa64isar0_el1"},
    {id(6, 1), "id_aa64isar1_el1"},
    {id(6, 2), "id_aa64isar2_el1"},
    {id(7, 0), "id_aa64mmfr0_el1"},
    {id(7, 1), "id_aa64mmfr1_el1"},
    {id(7, 2), "id_aa64mmfr2_el1"},
};

} // namespace

std::string system_register_name(u32 n) {
    for (const Name& r : names)
        if (r.number == n) return std::string(r.name);
    return fmt::format("s{}_{}_c{}_c{}_{}", 2 + (n >> 14), n >> 11 & 7, n >> 7 & 15, n >> 3 & 15, n & 7);
}

bool system_register_number(std::string_view name, u32& number) {
    for (const Name& r : names)
        if (r.name == name) return number = r.number, true;
    u32 part[5];
    constexpr std::string_view before[] = {"s", "_", "_c", "_c", "_"};
    constexpr u32 most[] = {3, 7, 15, 15, 7};
    for (u32 k = 0; k < 5; ++k) {
        if (!name.starts_with(before[k])) return false;
        name.remove_prefix(before[k].size());
        auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), part[k]);
        if (error != std::errc{} || part[k] > most[k]) return false;
        name.remove_prefix(std::size_t(end - name.data()));
    }
    number = system_register(part[0], part[1], part[2], part[3], part[4]);
    return name.empty() && part[0] >= 2;
}

constinit const Table<AArch64> system_instructions{"system", needs(Feature::base), rows};
constinit const Table<AArch64> flagm_system{"FlagM, CFINV", needs(Feature::flagm), flagm_rows};
constinit const Table<AArch64> flagm2{"FlagM2", needs(Feature::flagm2), flagm2_rows};

} // namespace mimic::isa::aarch64
