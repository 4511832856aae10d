// Vectors of up to 128 bits: the families, what their files share, and what is one host instruction a kind: to add such
// a kind, add a row. Bits of a register above a 64-bit vector are unspecified, as above every narrower value: what
// would look at them (flags, sums over lanes) must not.
//
// With AVX-512 the plan uses xmm16 to xmm31, which only EVEX encodings reach: an instruction without one (comparisons
// into vectors, ptest, blends by sign) may have temporaries only. Logic is done by the FP forms, which have both.
#include "ir/operands.hpp"
#include "jit/host/x86_64/vector_ids.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::imm;
using asmjit::Operand;
using IrInst = ir::Inst;
using ir::VBin;
using ir::VShift;

namespace {

struct BinaryRow {
    VBin kind;
    u32 lanes; // bit L: of lanes of 1 << L bytes
    u32 sse, avx;
    bool exchanged = false; // the host's first operand is b
};
// Without an SSE form: AVX-512 (VL, BW, DQ).
constexpr u32 all = 15;
constexpr BinaryRow binary_rows[] = {
    {VBin::add, 1, X::kIdPaddb, X::kIdVpaddb},
    {VBin::add, 2, X::kIdPaddw, X::kIdVpaddw},
    {VBin::add, 4, X::kIdPaddd, X::kIdVpaddd},
    {VBin::add, 8, X::kIdPaddq, X::kIdVpaddq},
    {VBin::sub, 1, X::kIdPsubb, X::kIdVpsubb},
    {VBin::sub, 2, X::kIdPsubw, X::kIdVpsubw},
    {VBin::sub, 4, X::kIdPsubd, X::kIdVpsubd},
    {VBin::sub, 8, X::kIdPsubq, X::kIdVpsubq},
    {VBin::mul, 2, X::kIdPmullw, X::kIdVpmullw},
    {VBin::mul, 4, X::kIdPmulld, X::kIdVpmulld},
    {VBin::and_, all, X::kIdAndps, X::kIdVandps},
    {VBin::or_, all, X::kIdOrps, X::kIdVorps},
    {VBin::xor_, all, X::kIdXorps, X::kIdVxorps},
    {VBin::andn, all, X::kIdAndnps, X::kIdVandnps, true},
    {VBin::umin, 1, X::kIdPminub, X::kIdVpminub},
    {VBin::umin, 2, X::kIdPminuw, X::kIdVpminuw},
    {VBin::umin, 4, X::kIdPminud, X::kIdVpminud},
    {VBin::umin, 8, 0, X::kIdVpminuq},
    {VBin::umax, 1, X::kIdPmaxub, X::kIdVpmaxub},
    {VBin::umax, 2, X::kIdPmaxuw, X::kIdVpmaxuw},
    {VBin::umax, 4, X::kIdPmaxud, X::kIdVpmaxud},
    {VBin::umax, 8, 0, X::kIdVpmaxuq},
    {VBin::smin, 1, X::kIdPminsb, X::kIdVpminsb},
    {VBin::smin, 2, X::kIdPminsw, X::kIdVpminsw},
    {VBin::smin, 4, X::kIdPminsd, X::kIdVpminsd},
    {VBin::smin, 8, 0, X::kIdVpminsq},
    {VBin::smax, 1, X::kIdPmaxsb, X::kIdVpmaxsb},
    {VBin::smax, 2, X::kIdPmaxsw, X::kIdVpmaxsw},
    {VBin::smax, 4, X::kIdPmaxsd, X::kIdVpmaxsd},
    {VBin::smax, 8, 0, X::kIdVpmaxsq},
    {VBin::uavg, 1, X::kIdPavgb, X::kIdVpavgb},
    {VBin::uavg, 2, X::kIdPavgw, X::kIdVpavgw},
    {VBin::mulhs, 2, X::kIdPmulhw, X::kIdVpmulhw},
    {VBin::mulhu, 2, X::kIdPmulhuw, X::kIdVpmulhuw},
    {VBin::shl, 2, 0, X::kIdVpsllvw},
    {VBin::shl, 4, 0, X::kIdVpsllvd},
    {VBin::shl, 8, 0, X::kIdVpsllvq},
    {VBin::lshr, 2, 0, X::kIdVpsrlvw},
    {VBin::lshr, 4, 0, X::kIdVpsrlvd},
    {VBin::lshr, 8, 0, X::kIdVpsrlvq},
    {VBin::ashr, 2, 0, X::kIdVpsravw},
    {VBin::ashr, 4, 0, X::kIdVpsravd},
    {VBin::ashr, 8, 0, X::kIdVpsravq},
};
struct BinaryTable {
    u8 row[256][4] = {}; // 1 + index
    constexpr BinaryTable() {
        for (u32 n = 0; n < std::size(binary_rows); ++n)
            for (u32 L = 0; L < 4; ++L)
                if (binary_rows[n].lanes >> L & 1) row[u8(binary_rows[n].kind)][L] = u8(n + 1);
    }
};
constexpr BinaryTable binary_table;

// Is operand x that register?
bool is(const Operand& x, Xmm r) { return x.isReg() && x.as<asmjit::x86::Reg>().isXmm() && x.id() == r.id(); }

} // namespace

bool Lowering::vector(u32 n) {
    const IrInst& i = inst(n);
    if (i.op == Op::select) return vector_select(n);
    if (i.op < Op::vbin || i.op > Op::vselect) return false;
    // Wider vectors and masks have no lowering.
    auto fits = [&](Type t) { return t != Type::vs && t != Type::mask && ir::size_of(t) <= 16; };
    const u32 operands = ir::info(i.op).operands;
    if (!fits(i.type) || !fits(type(i.a)) || (operands > 1 && i.b != none && !fits(type(i.b))) ||
        (operands > 2 && i.c != none && !fits(type(i.c))))
        return false;
    if (ir::lane_bytes(i.lane) > 8) return vector_crypto(n);
    if (ir::is_fp_operation(i)) return vector_fp(n);
    switch (i.op) {
    case Op::vbin: return vector_binary(n);
    case Op::vun: return vector_unary(n);
    case Op::vtern: return vector_ternary(n);
    case Op::vshift: return vector_shift(n);
    case Op::vcmp: return vector_compare(n);
    case Op::vwiden: return widen(n);
    case Op::vnarrow: return narrow(n);
    case Op::vreduce: return reduce(n);
    case Op::vselect: return bitwise_select(n);
    default: return lane_moves(n);
    }
}

bool Lowering::vector_binary(u32 n) {
    const IrInst& i = inst(n);
    if (i.c != none) return false;
    const u32 L = lane_log(i.lane);
    if (u8 k = binary_table.row[i.sub][L]) {
        const BinaryRow& row = binary_rows[k - 1];
        if (row.sse || f_.avx512vl) {
            ValueId first = row.exchanged ? i.b : i.a, second = row.exchanged ? i.a : i.b;
            Xmm a = vec(first);
            Operand b = first == second ? Operand(a) : vec_operand(second);
            use(i.a);
            use(i.b);
            v_op({row.sse, row.avx}, def_vec(n), a, b);
            return true;
        }
    }
    return differences(n) || saturating(n) || pairwise(n) || multiply_lanes(n) || doubling_high(n) ||
           variable_shift(n) || vector_crypto(n);
}

bool Lowering::vector_ternary(u32 n) {
    const IrInst& i = inst(n);
    if (ir::VTern(i.sub) == ir::VTern::bsl) return bitwise_select(n);
    if (ir::VTern(i.sub) != ir::VTern::mla && ir::VTern(i.sub) != ir::VTern::mls) return false;
    const u32 L = lane_log(i.lane);
    Xmm a = vec(i.a), b = vec(i.b), c = vec(i.c);
    const bool simple = L == 1 || L == 2 || (L == 3 && fits_half(i.a) && fits_half(i.a) == fits_half(i.b));
    if (!room(simple ? 1 : 3)) return false;
    Xmm t = vec_temp();
    v_multiply(L, t, a, i.a, b, i.b, simple ? t : vec_temp(), simple ? t : vec_temp());
    use(i.a);
    use(i.b);
    use(i.c);
    v_op(ir::VTern(i.sub) == ir::VTern::mla ? add_ids[L] : sub_ids[L], vec_out(n, t), c, t);
    return true;
}

// Of a vector: (a & b) | (~a & c).
bool Lowering::bitwise_select(u32 n) {
    const IrInst& i = inst(n);
    Xmm a = vec(i.a), b = vec(i.b), c = vec(i.c);
    if (!room(1)) return false;
    Xmm t = vec_temp();
    if (f_.avx512vl) {
        use(i.a);
        use(i.b);
        use(i.c);
        Xmm out = vec_out(n, t);
        // in place, whichever operand the result overwrites
        if (out.id() == b.id() && out.id() != c.id() && out.id() != a.id())
            a_.vpternlogd(out, a, c, 0xe2);
        else if (out.id() == c.id() && out.id() != a.id())
            a_.vpternlogd(out, a, b, 0xb8);
        else {
            v_move(out, a);
            a_.vpternlogd(out, b, c, 0xca);
        }
        return true;
    }
    v_op(xor_ids, t, b, c);
    v_op(and_ids, t, t, a);
    use(i.a);
    use(i.b);
    use(i.c);
    v_op(xor_ids, vec_out(n, t), t, c);
    return true;
}

// A scalar's select of what lives in vector registers. Up to 64 bits: without a branch, through general registers,
// if there are enough of them.
bool Lowering::vector_select(u32 n) {
    const IrInst& i = inst(n);
    if (!in_vec(i.type) || ir::size_of(i.type) > 16) return false;
    if (ir::size_of(i.type) <= 8 && !compares_two_unsettled(i.a)) {
        Gp x = temp();
        move_to(x, i.c);
        locked_ = 1u << x.id();
        Gp b = gpr(i.b); // before the condition: loading it may change the flags
        CondCode cond = condition(i.a);
        a_.emit(X::cmovccFromCond(cond), x, b);
        use(i.b);
        use(i.c);
        activate(n);
        set_gpr(n, i32(x.id()));
        return true;
    }
    Xmm c = vec(i.c), r = vec_temp();
    v_move(r, c);
    vec_locked_ = 1u << r.id();
    Xmm b = vec(i.b);
    Label skip = a_.newLabel();
    CondCode cond = condition(i.a);
    a_.j(asmjit::x86::negateCond(cond), skip);
    v_move(r, b);
    a_.bind(skip);
    use(i.b);
    use(i.c);
    activate(n);
    set_vec(n, i32(r.id()));
    return true;
}

// ---- what the families share

Operand Lowering::vec_operand(ValueId v) {
    const Place& p = place_[v];
    if (p.vec >= 0 || ir::size_of(type(v)) != 16) return vec(v);
    if (inst(v).op == Op::constant) return words(unit_->wide[inst(v).imm], unit_->wide[inst(v).imm + 1]);
    if (p.gpr < 0 && p.mem != no_mem && p.uses == 1 && p.spill < 0 && (f_.avx || (p.mem & 15) == 0))
        return state(p.mem, 16);
    return vec(v);
}

bool Lowering::room(u32 temps) const {
    u32 unlocked = 0;
    for (u32 r = 0; r < vec_temps(f_); ++r) unlocked += !(vec_locked_ >> r & 1);
    return unlocked >= temps;
}

Xmm Lowering::vec_out(u32 n, Xmm spare) {
    i32 slot = an_->value[n].target;
    bool direct = slot >= 0 && plan_.vec[u32(slot)] >= 0 && !vec_count_[plan_.vec[u32(slot)]];
    activate(n);
    if (direct) redefined(u32(plan_.vec[u32(slot)]));
    set_vec(n, direct ? plan_.vec[u32(slot)] : i32(spare.id()));
    return xmm(u32(place_[n].vec));
}

Mem Lowering::words(u64 low, u64 high) {
    u64 w[2] = {low, high};
    return ptr(literal(w, 16));
}
Mem Lowering::lanes(u32 L, u64 lane) {
    for (u32 width = 8u << L; width < 64; width *= 2) lane = (lane & ((u64{1} << width) - 1)) | lane << width;
    return words(lane, lane);
}

void Lowering::v_op(Pair id, Xmm d, Xmm a, const Operand& b) {
    if (f_.avx) return void(a_.emit(id.avx, d, a, b));
    if (d.id() != a.id() && is(b, d)) {
        Mem park = state(at_.host(offsetof(HostArea, park)), 16);
        a_.movaps(park, d);
        a_.movaps(d, a);
        return void(a_.emit(id.sse, d, park));
    }
    v_move(d, a);
    a_.emit(id.sse, d, b);
}
void Lowering::v_op(Pair id, Xmm d, Xmm a, const Operand& b, u32 immediate) {
    if (f_.avx) return void(a_.emit(id.avx, d, a, b, imm(immediate)));
    if (d.id() != a.id() && is(b, d)) {
        Mem park = state(at_.host(offsetof(HostArea, park)), 16);
        a_.movaps(park, d);
        a_.movaps(d, a);
        return void(a_.emit(id.sse, d, park, imm(immediate)));
    }
    v_move(d, a);
    a_.emit(id.sse, d, b, imm(immediate));
}
void Lowering::v_one(Pair id, Xmm d, const Operand& a) { a_.emit(f_.avx ? id.avx : id.sse, d, a); }
void Lowering::v_one(Pair id, Xmm d, const Operand& a, u32 immediate) {
    a_.emit(f_.avx ? id.avx : id.sse, d, a, imm(immediate));
}
void Lowering::v_by(Pair id, Xmm d, Xmm a, u32 immediate) {
    if (f_.avx) return void(a_.emit(id.avx, d, a, imm(immediate)));
    v_move(d, a);
    a_.emit(id.sse, d, imm(immediate));
}
void Lowering::v_move(Xmm d, const Operand& a) {
    if (is(a, d)) return;
    a_.emit(f_.avx ? X::kIdVmovaps : X::kIdMovaps, d, a);
}
void Lowering::v_zero(Xmm d) { f_.avx ? a_.vxorps(d, d, d) : a_.xorps(d, d); }
void Lowering::v_double(Xmm d, Xmm a, Xmm b) {
    if (a.id() == b.id())
        v_one({X::kIdMovddup, X::kIdVmovddup}, d, a);
    else
        v_op({X::kIdPunpcklqdq, X::kIdVpunpcklqdq}, d, a, b);
}

// There are no shifts of bytes, nor an arithmetic one of 64 bits before AVX-512: bits of the neighbour are masked, the
// sign is extended by (x ^ m) - m, m being where it stands.
void Lowering::v_shift(VShift kind, u32 L, Xmm d, Xmm a, u32 by) {
    constexpr Pair left[] = {{}, {X::kIdPsllw, X::kIdVpsllw}, {X::kIdPslld, X::kIdVpslld}, {X::kIdPsllq, X::kIdVpsllq}};
    constexpr Pair right[] = {
        {}, {X::kIdPsrlw, X::kIdVpsrlw}, {X::kIdPsrld, X::kIdVpsrld}, {X::kIdPsrlq, X::kIdVpsrlq}};
    constexpr Pair arithmetic[] = {{}, {X::kIdPsraw, X::kIdVpsraw}, {X::kIdPsrad, X::kIdVpsrad}, {0, X::kIdVpsraq}};
    if (by == 0) return v_move(d, a);
    if (kind == VShift::ashr && (L == 1 || L == 2 || (L == 3 && f_.avx512vl))) return v_by(arithmetic[L], d, a, by);
    v_by(kind == VShift::shl ? left[L ? L : 1] : right[L ? L : 1], d, a, by);
    const u64 full = 0xff;
    if (L == 0) v_op(and_ids, d, d, lanes(0, kind == VShift::shl ? full << by & full : full >> by));
    if (kind != VShift::ashr) return;
    Mem m = lanes(L, u64{1} << ((8u << L) - 1 - by));
    v_op(xor_ids, d, d, m);
    v_op(sub_ids[L], d, d, m);
}

void Lowering::v_blend(Xmm d, Xmm mask, Xmm yes, Xmm no) {
    if (f_.avx512vl) {
        a_.vpternlogd(mask, yes, no, 0xca);
        return v_move(d, mask);
    }
    // yes is no operand of the last instruction: d may be it
    v_op(xor_ids, yes, yes, no);
    v_op(and_ids, mask, mask, yes);
    v_op(xor_ids, d, mask, no);
}

void Lowering::note_saturation(Xmm bits, Type t) {
    if (!(guest_.fp_flags & ir::fpflag::saturated)) return;
    Label raised = a_.newLabel(), back = a_.newLabel();
    if (t == Type::v64) {
        Mem low = words(~u64{0}, 0);
        f_.avx ? a_.vptest(bits, low) : a_.ptest(bits, low);
    } else {
        f_.avx ? a_.vptest(bits, bits) : a_.ptest(bits, bits);
    }
    a_.jnz(raised);
    a_.bind(back);
    cold(raised, [=, this] {
        Mem flags = state(at_.header(offsetof(ir::CpuHeader, fp) + offsetof(ir::FpEnv, flags)), 4);
        a_.or_(flags, ir::fpflag::saturated);
        a_.jmp(back);
    });
}

} // namespace mimic::jit::x86
