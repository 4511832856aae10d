// Integer lanes that take more than one host instruction. A sequence writes the result's register last, because that
// may be an operand's too.
#include "jit/host/x86_64/vector_ids.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::Operand;
using IrInst = ir::Inst;
using ir::VBin;
using ir::VRel;
using ir::VShift;
using ir::VUn;

// Averages and differences, from the carries: a + b is (a ^ b) + 2 (a & b), a - b is (a ^ b) - 2 (~a & b).
bool Lowering::differences(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane);
    struct Row {
        VBin kind;
        bool is_signed;
        Pair carry;     // joins a and b
        bool minus, up; // the carries are subtracted; the half is subtracted from them
    };
    constexpr Row rows[] = {
        {VBin::uavg, false, or_ids, false, true},        {VBin::srhadd_up, true, or_ids, false, true},
        {VBin::uavg_down, false, and_ids, false, false}, {VBin::savg_down, true, and_ids, false, false},
        {VBin::usub_half, false, andn_ids, true, false}, {VBin::ssub_half, true, andn_ids, true, false},
    };
    const VBin kind = VBin(i.sub);
    if (kind == VBin::uabd || kind == VBin::sabd) {
        if (L == 3 && !f_.avx512vl) return false;
        Xmm a = vec(i.a), b = vec(i.b);
        if (!room(2)) return false;
        Xmm t = vec_temp(), u = vec_temp();
        v_op(kind == VBin::uabd ? umax_ids[L] : smax_ids[L], t, a, b);
        v_op(kind == VBin::uabd ? umin_ids[L] : smin_ids[L], u, a, b);
        use(i.a);
        use(i.b);
        v_op(sub_ids[L], vec_out(n, t), t, u);
        return true;
    }
    if (kind == VBin::orn) {
        Xmm a = vec(i.a), b = vec(i.b);
        if (!room(1)) return false;
        Xmm t = vec_temp();
        v_op(xor_ids, t, b, lanes(3, ~u64{0}));
        use(i.a);
        use(i.b);
        v_op(or_ids, vec_out(n, t), t, a);
        return true;
    }
    for (const Row& row : rows) {
        if (row.kind != kind) continue;
        Xmm a = vec(i.a), b = vec(i.b);
        if (!room(2)) return false;
        Xmm half = vec_temp(), carry = vec_temp();
        v_op(xor_ids, half, a, b);
        v_shift(row.is_signed ? VShift::ashr : VShift::lshr, L, half, half, 1);
        v_op(row.carry, carry, a, b);
        use(i.a);
        use(i.b);
        Xmm out = vec_out(n, half);
        if (row.up)
            v_op(sub_ids[L], out, carry, half);
        else
            v_op(row.minus ? sub_ids[L] : add_ids[L], out, half, carry);
        return true;
    }
    return false;
}

// QC rises where the wrapped result is another.
bool Lowering::saturating(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane);
    const VBin kind = VBin(i.sub);
    const bool add = kind == VBin::uadd_sat || kind == VBin::sadd_sat;
    const bool is_signed = kind == VBin::sadd_sat || kind == VBin::ssub_sat;
    if (!add && kind != VBin::usub_sat && kind != VBin::ssub_sat) return false;
    if (L == 3 && !is_signed && !f_.avx512vl) return false;
    Xmm a = vec(i.a), b = vec(i.b);
    if (!room(L >= 2 && is_signed ? 3 : 2)) return false;
    Xmm t = vec_temp(), u = vec_temp();
    if (L < 2) {
        constexpr Pair table[4][2] = {{{X::kIdPaddusb, X::kIdVpaddusb}, {X::kIdPaddusw, X::kIdVpaddusw}},
                                      {{X::kIdPaddsb, X::kIdVpaddsb}, {X::kIdPaddsw, X::kIdVpaddsw}},
                                      {{X::kIdPsubusb, X::kIdVpsubusb}, {X::kIdPsubusw, X::kIdVpsubusw}},
                                      {{X::kIdPsubsb, X::kIdVpsubsb}, {X::kIdPsubsw, X::kIdVpsubsw}}};
        v_op(table[(add ? 0 : 2) + is_signed][L], t, a, b);
        v_op(add ? add_ids[L] : sub_ids[L], u, a, b);
        v_op(xor_ids, u, u, t);
        use(i.a);
        use(i.b);
        v_move(vec_out(n, t), t);
        note_saturation(u, i.type);
        return true;
    }
    if (!is_signed) { // clamp an operand so that nothing is carried
        if (add) {
            v_op(xor_ids, t, b, lanes(3, ~u64{0}));
            v_op(umin_ids[L], t, t, a);
        } else {
            v_op(umax_ids[L], t, a, b);
        }
        v_op(xor_ids, u, t, a);
        use(i.a);
        use(i.b);
        v_op(add ? add_ids[L] : sub_ids[L], vec_out(n, t), t, b);
        note_saturation(u, i.type);
        return true;
    }
    // t: wrapped; u: all ones where the sign is wrong; s: the bound on the other side of the sign that came out
    Xmm s = vec_temp();
    v_op(add ? add_ids[L] : sub_ids[L], t, a, b);
    v_op(xor_ids, u, a, t);
    v_op(xor_ids, s, add ? b : a, add ? t : b);
    v_op(and_ids, u, u, s);
    v_shift(VShift::ashr, L, u, u, (8u << L) - 1);
    v_shift(VShift::ashr, L, s, t, (8u << L) - 1);
    v_op(xor_ids, s, s, lanes(L, u64{1} << ((8u << L) - 1)));
    use(i.a);
    use(i.b);
    Xmm out = vec_out(n, t);
    note_saturation(u, i.type);
    v_blend(out, u, s, t);
    return true;
}

// x[2n] op x[2n + 1] of x = a:b. Even and odd lanes are gathered where one instruction does it; else neighbours are joined
// where they stand, then the results are gathered.
bool Lowering::pairwise(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane);
    Pair op;
    switch (VBin(i.sub)) {
    case VBin::addp: op = add_ids[L]; break;
    case VBin::umaxp: op = umax_ids[L]; break;
    case VBin::uminp: op = umin_ids[L]; break;
    case VBin::smaxp: op = smax_ids[L]; break;
    case VBin::sminp: op = smin_ids[L]; break;
    default: return false;
    }
    if (!op.sse && !f_.avx512vl) return false;
    if (L == 3 && i.type == Type::v64) return false;
    Xmm a = vec(i.a), b = vec(i.b);
    if (!room(2)) return false;
    Xmm t = vec_temp(), u = vec_temp();
    const bool same = a.id() == b.id() || i.type == Type::v64;
    constexpr u64 ones = 0x0101010101010101;
    if (i.type == Type::v64) v_double(t, a, b), a = b = t;
    use(i.a);
    use(i.b);
    if (L == 3) {
        v_op({X::kIdPunpckhqdq, X::kIdVpunpckhqdq}, u, a, b);
        v_op({X::kIdPunpcklqdq, X::kIdVpunpcklqdq}, t, a, b);
        v_op(op, vec_out(n, t), t, u);
    } else if (L == 2) {
        v_op({X::kIdShufps, X::kIdVshufps}, u, a, b, 0xdd);
        v_op({X::kIdShufps, X::kIdVshufps}, t, a, b, 0x88);
        v_op(op, vec_out(n, t), t, u);
    } else if (same) {
        constexpr Pair pick{X::kIdPshufb, X::kIdVpshufb};
        const u64 even = L ? 0x0d0c090805040100 : 0x0e0c0a0806040200, odd = L ? even + 0x0202020202020202 : even + ones;
        v_op(pick, u, a, words(odd, odd));
        v_op(pick, t, a, words(even, even));
        v_op(op, vec_out(n, t), t, u);
    } else if (L == 0 && f_.vbmi) { // the index is overwritten
        const u64 even = 0x0e0c0a0806040200, second = 16 * ones;
        v_move(u, words(even + ones, even + ones + second));
        v_move(t, words(even, even + second));
        a_.vpermi2b(u, a, b);
        a_.vpermi2b(t, a, b);
        v_op(op, vec_out(n, t), t, u);
    } else {
        const Mem low = lanes(L + 1, L ? 0xffff : 0xff);
        auto join = [&](Xmm to, Xmm from) {
            v_by(L ? Pair{X::kIdPsrld, X::kIdVpsrld} : Pair{X::kIdPsrlw, X::kIdVpsrlw}, u, from, 8u << L);
            v_op(op, to, u, from);
            v_op(and_ids, to, to, low);
        };
        Pair pack = L ? Pair{X::kIdPackusdw, X::kIdVpackusdw} : Pair{X::kIdPackuswb, X::kIdVpackuswb};
        join(t, a);
        join(u, b);
        v_op(pack, vec_out(n, t), t, u);
    }
    return true;
}

// 1: v's 64-bit lanes are zero-extended 32-bit numbers, 2: sign-extended ones, 0: unknown.
u32 Lowering::fits_half(ValueId v) const {
    const IrInst& i = inst(v);
    if (i.op == Op::vwiden && i.lane == ir::Lane::i32) return i.sub & 2 ? 2 : 1;
    if (i.op != Op::vsplat || i.lane != ir::Lane::i64) return 0;
    const IrInst& s = inst(i.a);
    if ((s.op == Op::zext || s.op == Op::sext) && type(s.a) == Type::i32) return s.op == Op::zext ? 1 : 2;
    return 0;
}

// d, t and u are temporaries; d, t and u may be one where lanes have 2 or 4 bytes, or fit in half their width.
void Lowering::v_multiply(u32 L, Xmm d, Xmm a, ValueId va, Xmm b, ValueId vb, Xmm t, Xmm u) {
    if (L == 1) return v_op({X::kIdPmullw, X::kIdVpmullw}, d, a, b);
    if (L == 2) return v_op({X::kIdPmulld, X::kIdVpmulld}, d, a, b);
    if (L == 3) {
        constexpr Pair low{X::kIdPmuludq, X::kIdVpmuludq};
        u32 half = fits_half(va) & fits_half(vb);
        if (half) return v_op(half == 1 ? low : Pair{X::kIdPmuldq, X::kIdVpmuldq}, d, a, b);
        if (f_.avx512vl) return void(a_.vpmullq(d, a, b));
        v_by({X::kIdPsrlq, X::kIdVpsrlq}, t, a, 32);
        v_op(low, t, t, b);
        v_by({X::kIdPsrlq, X::kIdVpsrlq}, u, b, 32);
        v_op(low, u, u, a);
        v_op(add_ids[3], t, t, u);
        v_by({X::kIdPsllq, X::kIdVpsllq}, t, t, 32);
        v_op(low, d, a, b);
        return v_op(add_ids[3], d, d, t);
    }
    // bytes: the even ones in the low halves of words, the odd ones in the high halves
    v_by({X::kIdPsrlw, X::kIdVpsrlw}, t, a, 8);
    v_op(and_ids, u, b, lanes(1, 0xff00));
    v_op({X::kIdPmullw, X::kIdVpmullw}, t, t, u);
    v_op({X::kIdPmullw, X::kIdVpmullw}, u, a, b);
    v_op(and_ids, u, u, lanes(1, 0x00ff));
    v_op(or_ids, d, t, u);
}

bool Lowering::multiply_lanes(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane);
    if (VBin(i.sub) != VBin::mul) return false;
    Xmm a = vec(i.a), b = vec(i.b);
    if (!room(2)) return false;
    // the last step writes d: it may stand for u, which is read before
    Xmm t = vec_temp(), u = vec_temp();
    v_multiply(L, L ? u : t, a, i.a, b, i.b, t, u);
    use(i.a);
    use(i.b);
    v_move(vec_out(n, L ? u : t), L ? u : t);
    return true;
}

// SQDMULH and SQRDMULH: only the square of the least value overflows, and gives the least value here.
bool Lowering::doubling_high(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane);
    const bool rounded = VBin(i.sub) == VBin::sqrdmulh;
    if ((VBin(i.sub) != VBin::sqdmulh && !rounded) || L == 0 || L == 3) return false;
    Xmm a = vec(i.a), b = vec(i.b);
    if (!room(2)) return false;
    Xmm t = vec_temp(), u = vec_temp();
    if (L == 1 && rounded) {
        v_op({X::kIdPmulhrsw, X::kIdVpmulhrsw}, t, a, b);
    } else if (L == 1) {
        v_op({X::kIdPmullw, X::kIdVpmullw}, u, a, b);
        v_by({X::kIdPsrlw, X::kIdVpsrlw}, u, u, 15);
        v_op({X::kIdPmulhw, X::kIdVpmulhw}, t, a, b);
        v_op(add_ids[1], t, t, t);
        v_op(or_ids, t, t, u);
    } else { // even lanes in t, odd ones in u, 64 bits each
        constexpr Pair multiply{X::kIdPmuldq, X::kIdVpmuldq};
        v_by({X::kIdPsrlq, X::kIdVpsrlq}, t, a, 32);
        v_by({X::kIdPsrlq, X::kIdVpsrlq}, u, b, 32);
        v_op(multiply, u, u, t);
        v_op(multiply, t, a, b);
        for (Xmm x : {t, u}) {
            v_op(add_ids[3], x, x, x);
            if (rounded) v_op(add_ids[3], x, x, lanes(3, u64{1} << 31));
        }
        v_by({X::kIdPsrlq, X::kIdVpsrlq}, t, t, 32);
        v_op(and_ids, u, u, lanes(3, u64{0xffffffff} << 32));
        v_op(or_ids, t, t, u);
    }
    use(i.a);
    use(i.b);
    v_move(u, t);
    v_op(equal_ids[L], u, u, lanes(L, u64{1} << ((8u << L) - 1)));
    Xmm out = vec_out(n, t);
    v_op(xor_ids, out, t, u);
    note_saturation(u, i.type);
    return true;
}

// USHL and SSHL, without saturation or rounding. The host's variable shifts take counts as unsigned and give zero (all
// sign) for great ones: a negative count's shift the other way does.
bool Lowering::variable_shift(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane);
    const bool is_signed = VBin(i.sub) == VBin::sshl_signed;
    if (VBin(i.sub) != VBin::ushl_signed && !is_signed) return false;
    if (!f_.avx2 || L == 0 || ((L == 1 || (L == 3 && is_signed)) && !f_.avx512vl)) return false;
    Xmm a = vec(i.a), b = vec(i.b);
    if (!room(is_signed ? 3 : 2)) return false;
    constexpr Pair left[] = {{}, {0, X::kIdVpsllvw}, {0, X::kIdVpsllvd}, {0, X::kIdVpsllvq}};
    constexpr Pair right[] = {{}, {0, X::kIdVpsrlvw}, {0, X::kIdVpsrlvd}, {0, X::kIdVpsrlvq}};
    constexpr Pair arithmetic[] = {{}, {0, X::kIdVpsravw}, {0, X::kIdVpsravd}, {0, X::kIdVpsravq}};
    Xmm t = vec_temp(), u = vec_temp();
    const u32 unused = (8u << L) - 8; // the count is the low byte
    v_shift(VShift::shl, L, t, b, unused);
    v_shift(VShift::ashr, L, t, t, unused);
    v_zero(u);
    v_op(sub_ids[L], u, u, t); // u: right
    if (!is_signed) {
        v_op(right[L], u, a, u);
        v_op(left[L], t, a, t);
        use(i.a);
        use(i.b);
        v_op(or_ids, vec_out(n, t), t, u);
        return true;
    }
    Xmm mask = vec_temp();
    v_shift(VShift::ashr, L, mask, t, (8u << L) - 1);
    v_op(arithmetic[L], u, a, u);
    v_op(left[L], t, a, t);
    use(i.a);
    use(i.b);
    v_blend(vec_out(n, t), mask, u, t);
    return true;
}

// ---- comparisons

bool Lowering::vector_compare(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane);
    const VRel rel = VRel(i.sub);
    Xmm a = vec(i.a);
    Operand b = i.a == i.b ? Operand(a) : vec_operand(i.b);
    i32 slot = an_->value[n].target;
    const bool direct = rel == VRel::eq || rel == VRel::sgt;
    const bool low = a.id() < 16 && (!b.isReg() || b.id() < 16) && (slot < 0 || plan_.vec[u32(slot)] < 16);
    if (f_.avx512vl && !(direct && low)) { // into a mask register, and back
        constexpr u32 is_signed[] = {X::kIdVpcmpb, X::kIdVpcmpw, X::kIdVpcmpd, X::kIdVpcmpq};
        constexpr u32 is_unsigned[] = {X::kIdVpcmpub, X::kIdVpcmpuw, X::kIdVpcmpud, X::kIdVpcmpuq};
        constexpr u32 test[] = {X::kIdVptestmb, X::kIdVptestmw, X::kIdVptestmd, X::kIdVptestmq};
        constexpr u32 expand[] = {X::kIdVpmovm2b, X::kIdVpmovm2w, X::kIdVpmovm2d, X::kIdVpmovm2q};
        constexpr u32 equal = 0, not_less = 5, greater = 6;
        if (rel == VRel::tst)
            a_.emit(test[L], k1, a, b);
        else
            a_.emit(rel == VRel::ugt || rel == VRel::uge ? is_unsigned[L] : is_signed[L], k1, a, b,
                    asmjit::imm(rel == VRel::eq                        ? equal
                                : rel == VRel::uge || rel == VRel::sge ? not_less
                                                                       : greater));
        use(i.a);
        use(i.b);
        a_.emit(expand[L], def_vec(n), k1);
        return true;
    }
    if (direct) {
        use(i.a);
        use(i.b);
        v_op(rel == VRel::eq ? equal_ids[L] : greater_ids[L], def_vec(n), a, b);
        return true;
    }
    if (!room(1)) return false;
    Xmm t = vec_temp();
    const Mem zero = state(at_.host(offsetof(HostArea, zero)), 16);
    bool invert = true;
    if (rel == VRel::tst) {
        v_op(and_ids, t, a, b);
        v_op(equal_ids[L], t, t, zero);
    } else if (L == 3) { // unsigned: with the signs exchanged
        if (!b.isReg()) b = vec(i.b);
        if (rel == VRel::sge) { // not b > a
            v_op(greater_ids[3], t, b.as<Xmm>(), a);
        } else {
            if (!room(1)) return false;
            Xmm u = vec_temp();
            Mem sign = lanes(3, u64{1} << 63);
            v_op(xor_ids, t, rel == VRel::ugt ? a : b.as<Xmm>(), sign);
            v_op(xor_ids, u, rel == VRel::ugt ? b.as<Xmm>() : a, sign);
            v_op(greater_ids[3], t, t, u);
            invert = rel != VRel::ugt;
        }
    } else { // a >= b: the greater one is a; a > b: not so the smaller one
        Pair join = rel == VRel::ugt ? umin_ids[L] : rel == VRel::uge ? umax_ids[L] : smax_ids[L];
        v_op(join, t, a, b);
        v_op(equal_ids[L], t, t, a);
        invert = rel == VRel::ugt;
    }
    use(i.a);
    use(i.b);
    Xmm out = vec_out(n, t);
    if (invert)
        v_op(xor_ids, out, t, lanes(3, ~u64{0}));
    else
        v_move(out, t);
    return true;
}

} // namespace mimic::jit::x86
