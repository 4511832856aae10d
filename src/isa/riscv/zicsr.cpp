// Zicsr, access to control and status registers: The RISC-V Instruction Set Manual, Volume I (20240411), chapter 7; the
// registers that user mode has: fcsr 20.2, Zicntr 8.1. Every other register is illegal.
#include "isa/riscv/csr.hpp"
#include "isa/riscv/semantics.hpp"
#include "isa/riscv/system.hpp"
#include "isa/riscv/tables.hpp"

namespace mimic::isa::riscv {

namespace {

// ---- fcsr. The sticky flags are softfloat's, in the opposite order of fflags.

constexpr u8 reversed = 2; // Op::fpflags
Val fflags(Rv& t) { return t.op(ir::Op::fpflags, Type::i32, {}, {}, {}, 0, reversed); }
void fflags(Rv& t, Val v) { t.op(ir::Op::fpflags_set, Type::none, v, {}, {}, 0, reversed); }
Val frm(Rv& t) { return t.get(slot_frm, Type::i32); }
// A reserved mode is kept. Some modes make the code that follows another: see mode_of_frm.
void frm(Rv& t, const I& i, Val v) {
    t.put(slot_frm, v);
    t.op(ir::Op::fpmode_set, Type::none, v);
    auto leave = [&](u32 mode) { t.exit_to(t.next_pc(), (t.mode() & ~mode_frm) | mode); };
    auto usual = [&] { return frm(t).ult(t.imm(frm_away, Type::i32)); }; // for the block that asks
    auto away = [&] { return frm(t) == frm_away; };
    if (i.context.away) {
        t.when(usual(), [&] { leave(0); });
        t.when(~away(), [&] { leave(mode_bad_frm); });
    } else if (i.context.bad_frm) {
        t.when(usual(), [&] { leave(0); });
        t.when(away(), [&] { leave(mode_away); });
    } else {
        t.when(~usual(), [&] {
            t.when(away(), [&] { leave(mode_away); });
            leave(mode_bad_frm);
        });
    }
}

// ---- V, 31.3

Val vxsat(Rv& t) { return t.op(ir::Op::fpflags, Type::i32).ubfx(std::countr_zero(ir::fpflag::saturated), 1); }
void vxsat(Rv& t, Val v) {
    Val flags = t.op(ir::Op::fpflags, Type::i32);
    t.op(ir::Op::fpflags_set, Type::none, flags.bfi(v, std::countr_zero(ir::fpflag::saturated), 1));
}
Val vxrm(Rv& t) { return t.get(slot_vxrm, Type::i32); }
void vxrm(Rv& t, Val v) { t.put(slot_vxrm, (v & 3).zext(Type::i64)); }

// ---- Zicntr: user mode has one clock. It ticks at 1 GHz for cycle and instret, at 10 MHz for time.

int read_clock(ir::CpuHeader* cpu, const ir::Wide*, ir::Wide* results) {
    results[0].w[0] = cpu->clock ? cpu->clock(*cpu) : 0;
    return 0;
}
constexpr ir::Intrinsic clock_ns{.name = "clock_ns", .body = read_clock, .effects = ir::Intrinsic::impure};

// ----

// An i32 of what can be written, an i64 of the rest.
Val read(Rv& t, Csr number) {
    switch (number) {
    case Csr::fflags: return fflags(t);
    case Csr::frm: return frm(t);
    case Csr::fcsr: return frm(t).shl(5) | fflags(t);
    case Csr::time: return t.call(clock_ns, Type::i64, {}).udiv(t.imm(100));
    case Csr::cycle:
    case Csr::instret: return t.call(clock_ns, Type::i64, {});
    case Csr::vstart: return t.get(slot_vstart, Type::i32);
    case Csr::vxsat: return vxsat(t);
    case Csr::vxrm: return vxrm(t);
    case Csr::vcsr: return vxrm(t).shl(1) | vxsat(t);
    case Csr::vl: return t.get(slot_vl, Type::i64);
    case Csr::vtype: return t.get(slot_vtype, Type::i64) ^ i64(vtype_vill);
    case Csr::vlenb: return t.imm(vlen_bytes);
    }
    return {};
}
void write(Rv& t, const I& i, Csr number, Val v) {
    switch (number) {
    case Csr::fflags: fflags(t, v); break;
    case Csr::frm: frm(t, i, v & 7); break;
    case Csr::fcsr: fflags(t, v), frm(t, i, v.ubfx(5, 3)); break;
    case Csr::vstart:
        t.put(slot_vstart, (v & i64(8 * vlen_bytes - 1)).zext(Type::i64));
        if (u32 full = mode_v_full << mode_v_at; t.mode() & full) t.exit_to(t.next_pc(), t.mode() & ~full);
        break;
    case Csr::vxsat: vxsat(t, v); break;
    case Csr::vxrm: vxrm(t, v); break;
    case Csr::vcsr: vxsat(t, v), vxrm(t, v.lshr(1)); break;
    default: break;
    }
}
bool exists(Rv& t, Csr number) {
    switch (number) {
    case Csr::fflags:
    case Csr::frm:
    case Csr::fcsr: return t.model().has(Ext::f);
    case Csr::cycle:
    case Csr::time:
    case Csr::instret: return t.model().has(Ext::zicntr);
    case Csr::vstart:
    case Csr::vxsat:
    case Csr::vxrm:
    case Csr::vcsr:
    case Csr::vl:
    case Csr::vtype:
    case Csr::vlenb: return t.model().has(Ext::v);
    }
    return false;
}

enum class Change { swap, set, clear };

// ---- the system form: everything but fcsr is a call, since what a register allows depends on others

int read_lines(ir::CpuHeader* cpu, const ir::Wide*, ir::Wide* results) {
    results[0].w[0] = __atomic_load_n(&cpu->lines, __ATOMIC_ACQUIRE);
    return 0;
}
constexpr ir::Intrinsic lines_now{.name = "lines", .body = read_lines, .effects = ir::Intrinsic::impure};

// Arguments: the number, the Change above it, bit 16 when it writes and parts_of from bit 17 on; operand; lines; clock. Results: the old value;
// CsrOutcome; the detail of the trap.
int run_csr(ir::CpuHeader* cpu, const ir::Wide* args, ir::Wide* results) {
    u64 what = args[0].w[0], old = 0, detail = 0;
    CsrAccess a{.how = CsrAccess::How(what >> 12 & 3),
                .writes = bool(what >> 16 & 1),
                .operand = args[1].w[0],
                .lines = args[2].w[0],
                .clock = args[3].w[0],
                .parts = u32(what >> 17 & 7)};
    results[1].w[0] = u64(csr_access(State(*cpu), u32(what & 0xfff), a, old, detail));
    results[0].w[0] = old, results[2].w[0] = detail;
    return 0;
}
constexpr ir::Intrinsic csr_call{.name = "csr",
                                 .body = run_csr,
                                 .args = 4,
                                 .results = 3,
                                 .effects = ir::Intrinsic::reads_state | ir::Intrinsic::writes_state};

// fcsr: of the mode that FS says.
bool is_fcsr(Csr n) { return n == Csr::fflags || n == Csr::frm || n == Csr::fcsr; }

void change_system(Rv& t, const I& i, Change how, bool writes, Val operand) {
    u32 number = u32(i[csr]), parts = parts_of(t.model());
    Val what = t.imm(number | u32(how) << 12 | u32(writes) << 16 | parts << 17);
    Val clock = csr_reads_clock(number) ? t.call(clock_ns, Type::i64, {}) : t.imm(0);
    Val old = t.call(csr_call, Type::i64, {what, operand, t.call(lines_now, Type::i64, {}), clock});
    Val outcome = t.result(old, 1, Type::i64), detail = t.result(old, 2, Type::i64);
    t.put(slot_csr_old, old);
    t.put(slot_csr_outcome, outcome);
    t.put(slot_csr_detail, detail);
    t.when(outcome == i64(CsrOutcome::illegal), [&] { t.illegal(); });
    t.x(i[rd], t.get(slot_csr_old, Type::i64));
    if (!writes) return;
    t.when(t.get(slot_csr_outcome, Type::i64) == i64(CsrOutcome::resync),
           [&] { t.trap(ir::TrapKind::guest, t.next_pc(), t.get(slot_csr_detail, Type::i64)); });
}

// The whole instruction is left to System::execute, which decodes it again.
template <Change How, bool Immediate>
void leave_to_system(Rv& t, const I& i) {
    u32 insn =
        u32(i[csr]) << 20 | u32(i[rs1]) << 15 | (u32(How) + 1 + (Immediate ? 4 : 0)) << 12 | u32(i[rd]) << 7 | 0x73;
    t.trap(ir::TrapKind::guest, t.pc(), t.imm(u64(Request::window) | u64{insn} << 32));
}

// 7.1: csrrw does not read for x0; csrrs and csrrc do not write when the operand is x0 or 0.
template <Change How, bool Immediate>
void change(Rv& t, const I& i) {
    Csr number = Csr(i[csr]);
    bool reads = How != Change::swap || i[rd] != 0, writes = How == Change::swap || i[rs1] != 0;
    if (t.has_system() && is_window(u32(number), parts_of(t.model()))) return leave_to_system<How, Immediate>(t, i);
    if (t.has_system() && !is_fcsr(number))
        return change_system(t, i, How, writes, Immediate ? t.imm(u64(i[uimm])) : t.x(i[rs1]));
    if (i.context.fs && t.model().has(Ext::system)) return i.context.fs & mode_fs_off ? t.illegal() : make_fs_dirty(t);
    if (!exists(t, number) || (writes && is_read_only(u32(number)))) return t.illegal();
    Val operand = Immediate ? t.imm(u64(i[uimm]), Type::i32) : t.w(i[rs1]);
    Val old = reads ? read(t, number) : Val{};
    if (reads) t.x(i[rd], old.zext(Type::i64));
    if (!writes) return;
    if (How == Change::swap) return write(t, i, number, operand);
    write(t, i, number, How == Change::set ? old | operand : old & ~operand);
}

// clang-format off
constexpr R rows[] = {
    {"csrrw   {rd}, {csr}, {rs1}",      "csr rs1 001 rd 1110011",           change<Change::swap, false>},
    {"csrrs   {rd}, {csr}, {rs1}",      "csr rs1 010 rd 1110011",           change<Change::set, false>},
    {"csrrc   {rd}, {csr}, {rs1}",      "csr rs1 011 rd 1110011",           change<Change::clear, false>},
    {"csrrwi  {rd}, {csr}, {uimm}",     "csr uimm 101 rd 1110011",          change<Change::swap, true>},
    {"csrrsi  {rd}, {csr}, {uimm}",     "csr uimm 110 rd 1110011",          change<Change::set, true>},
    {"csrrci  {rd}, {csr}, {uimm}",     "csr uimm 111 rd 1110011",          change<Change::clear, true>},
};
// clang-format on

} // namespace

constinit const Table<RiscV> zicsr{"Zicsr", needs(Ext::zicsr), rows};

} // namespace mimic::isa::riscv
