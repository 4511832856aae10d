// V: the state while a body runs, element-wise instructions, and what is legal. The RISC-V Instruction Set Manual,
// Volume I (20240411), chapter 31.
#include "isa/riscv/vector.hpp"
#include <algorithm>

namespace mimic::isa::riscv {

namespace {

u64& slot(ir::CpuHeader* cpu, u16 which) {
    u8* slots = reinterpret_cast<u8*>(cpu) + ir::slots_offset;
    return *reinterpret_cast<u64*>(slots + vector_slots_at + 8 * (which - slot_vstart));
}

} // namespace

Vec::Vec(ir::CpuHeader* c, const ir::Wide* args)
    : env(softfloat::env::riscv)
    , cpu(c)
    , v(reinterpret_cast<u8*>(c) + ir::slots_offset + v_at) {
    u32 insn = u32(args[0].w[0]);
    VConfig config = vconfig(u32(args[0].w[0] >> 32));
    rd = insn >> 7 & 31, rs1 = insn >> 15 & 31, rs2 = insn >> 20 & 31, nf = (insn >> 29) + 1, width = insn >> 12 & 7;
    vm = insn >> 25 & 1;
    sew = config.sew, lmul = config.lmul, bits = 8u << sew;
    vl = std::min(slot(c, slot_vl), vlmax(config)); // a debugger may have written anything
    vstart = slot(c, slot_vstart);
    vxrm = u32(slot(c, slot_vxrm)) & 3;
    scalar = args[1].w[0];
    env.rounding = softfloat::Rounding(c->fp.mode & 7);
}

void Vec::finish() {
    slot(cpu, slot_vstart) = 0;
    cpu->fp.flags |= (env.flags & softfloat::flag::ieee) | (saturated ? ir::fpflag::saturated : 0);
}

void run_elements(Vec& v, ElementFn f, const Shape& s) {
    i32 d_width = v.sew + s.d, a_width = v.sew + s.a, b_width = v.sew + s.b;
    u64 scalar = s.from == From::none ? 0 : v.extend(v.scalar, b_width, s.b_signed);
    for (u64 n = v.vstart; n < v.vl; ++n) {
        if (s.carry)
            v.carry = !v.vm && v.bit(0, n);
        else if (!v.active(n))
            continue;
        u64 a = s.no_a ? 0 : v.extend(v.get(v.rs2, n, a_width), a_width, s.a_signed);
        u64 b = s.from == From::vector ? v.extend(v.get(v.rs1, n, b_width), b_width, s.b_signed) : scalar;
        if (s.to_mask)
            v.set_bit(v.rd, n, f(v, a, b, 0));
        else
            v.set(v.rd, n, d_width, f(v, a, b, v.get(v.rd, n, d_width)));
    }
    v.finish();
}

bool groups_meet(i64 a, i32 a_lmul, i64 b, i32 b_lmul) {
    i64 a_end = a + (1 << std::max(a_lmul, 0)), b_end = b + (1 << std::max(b_lmul, 0));
    return a < b_end && b < a_end;
}

// 31.5.2
bool overlap_fits(i64 d, i32 d_width, i32 d_lmul, i64 rs, i32 s_width, i32 s_lmul) {
    if (d_width == s_width || !groups_meet(d, d_lmul, rs, s_lmul)) return true;
    if (d_width < s_width) return d == rs;
    return s_lmul >= 0 && rs == d + (1 << d_lmul) - (1 << s_lmul);
}

bool legal(const I& i, const Shape& s) {
    VConfig c = vconfig(i);
    bool v0_fits = s.to_mask || (s.carry && !s.selects) || i[vm];
    auto fits = [&](const Field& reg, i32 by, bool fp) {
        i32 log = c.sew + by, lmul = c.lmul + by;
        return log >= (fp ? 2 : 0) && log <= 3 && group_fits(i[reg], lmul) && (i[reg] != 0 || v0_fits);
    };
    if (!c.valid || (s.any_fp() && i.context.bad_frm)) return false;
    i32 d_width = s.to_mask ? -3 : c.sew + s.d, d_lmul = s.to_mask ? 0 : c.lmul + s.d;
    if (!s.to_mask && (!fits(rd, s.d, s.d_fp) || !mask_fits(i))) return false;
    if (!s.no_a &&
        (!fits(rs2, s.a, s.a_fp) || !overlap_fits(i[rd], d_width, d_lmul, i[rs2], c.sew + s.a, c.lmul + s.a)))
        return false;
    if (s.from == From::f && c.sew + s.b < 2) return false;
    auto meet = [&](const Field& x, i8 x_by, const Field& y, i8 y_by) {
        return !sources_fit(i[x], c.sew + x_by, c.lmul + x_by, i[y], c.sew + y_by, c.lmul + y_by);
    };
    if (s.d_read && (meet(rd, s.d, rs2, s.a) || (s.from == From::vector && meet(rd, s.d, rs1, s.b)))) return false;
    if (!s.no_a && s.from == From::vector && meet(rs2, s.a, rs1, s.b)) return false;
    return s.from != From::vector ||
           (fits(rs1, s.b, s.b_fp) && overlap_fits(i[rd], d_width, d_lmul, i[rs1], c.sew + s.b, c.lmul + s.b));
}

Val second_source(Rv& t, const I& i, From from) {
    switch (from) {
    case From::x: return t.x(i[rs1]);
    case From::imm_signed: return t.imm(u64(i[simm]));
    case From::imm_unsigned: return t.imm(u64(i[uimm]));
    case From::f:
        return vconfig(i).sew == 3 ? t.f(i[rs1], Type::f64).bitcast(Type::i64)
                                   : t.f(i[rs1], Type::f32).bitcast(Type::i32).zext(Type::i64);
    default: return t.imm(0);
    }
}

void leave_unless_full(Rv& t) {
    u32 full = mode_v_full << mode_v_at;
    if (!(t.mode() & full)) return;
    Val max = t.imm(vlmax(vconfig(t.mode() >> mode_v_at)));
    t.when(t.get(slot_vl, Type::i64) != max, [&] { t.exit_to(t.next_pc(), t.mode() & ~full); });
}

void trap_unless_from_start(Rv& t) {
    t.when(t.get(slot_vstart, Type::i64) != 0, [&] { t.illegal(); });
}

} // namespace mimic::isa::riscv
