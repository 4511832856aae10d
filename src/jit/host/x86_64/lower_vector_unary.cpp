// Integer lanes of one operand: unary operations, and shifts by a constant. As in lower_vector_int.cpp, a sequence writes
// the result's register last.
#include "jit/host/x86_64/vector_ids.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::Operand;
using IrInst = ir::Inst;
using ir::VBin;
using ir::VRel;
using ir::VShift;
using ir::VUn;

bool Lowering::vector_unary(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane);
    const VUn kind = VUn(i.sub);
    const u64 sign = u64{1} << ((8u << L) - 1), ones = ~u64{0};
    auto with = [&](Pair op, Mem m) {
        Xmm a = vec(i.a);
        use(i.a);
        v_op(op, def_vec(n), a, m);
        return true;
    };
    constexpr Pair abs_ids[] = {
        {X::kIdPabsb, X::kIdVpabsb}, {X::kIdPabsw, X::kIdVpabsw}, {X::kIdPabsd, X::kIdVpabsd}, {0, X::kIdVpabsq}};
    switch (kind) {
    case VUn::not_: return with(xor_ids, lanes(3, ones));
    case VUn::fneg: return with(xor_ids, lanes(L, sign));
    case VUn::fabs: return with(and_ids, lanes(L, sign - 1));
    case VUn::rev16:
    case VUn::rev32:
    case VUn::rev64: {
        const u32 group = kind == VUn::rev16 ? 2 : kind == VUn::rev32 ? 4 : 8, flip = group - (1u << L);
        u64 low = 0, high = 0; // lanes keep the order of their bytes
        for (u32 k = 0; k < 8; ++k) low |= u64(k ^ flip) << 8 * k, high |= u64((k ^ flip) + 8) << 8 * k;
        return with({X::kIdPshufb, X::kIdVpshufb}, words(low, high));
    }
    case VUn::abs: {
        if (L == 3 && !f_.avx512vl) return false;
        Xmm a = vec(i.a);
        use(i.a);
        v_one(abs_ids[L], def_vec(n), a);
        return true;
    }
    case VUn::neg: {
        Xmm a = vec(i.a), t = vec_temp();
        v_zero(t);
        use(i.a);
        v_op(sub_ids[L], vec_out(n, t), t, a);
        return true;
    }
    case VUn::sqabs:
    case VUn::sqneg: { // the least value came out unchanged: one less
        if (L == 3 && kind == VUn::sqabs && !f_.avx512vl) return false;
        Xmm a = vec(i.a);
        if (!room(2)) return false;
        Xmm t = vec_temp(), u = vec_temp();
        v_move(u, a);
        v_op(equal_ids[L], u, u, lanes(L, sign));
        if (kind == VUn::sqabs) {
            v_one(abs_ids[L], t, a);
        } else {
            v_zero(t);
            v_op(sub_ids[L], t, t, a);
        }
        use(i.a);
        v_op(add_ids[L], vec_out(n, t), t, u);
        note_saturation(u, i.type);
        return true;
    }
    case VUn::clz:
        if (L >= 2 && f_.avx512cd) {
            Xmm a = vec(i.a);
            use(i.a);
            v_one({0, L == 2 ? u32(X::kIdVplzcntd) : u32(X::kIdVplzcntq)}, def_vec(n), a);
            return true;
        }
        return L == 0 && nibbles(n, 0x0505050506060708, 0x0404040404040404, 0x0101010102020308, 0x0000000000000000,
                                 {X::kIdPminub, X::kIdVpminub});
    case VUn::cnt:
        if (L < 2 && f_.bitalg) {
            Xmm a = vec(i.a);
            use(i.a);
            v_one({0, L ? u32(X::kIdVpopcntw) : u32(X::kIdVpopcntb)}, def_vec(n), a);
            return true;
        }
        return L == 0 && nibbles(n, 0x0302020102010100, 0x0403030203020201, 0x0302020102010100, 0x0403030203020201,
                                 {X::kIdPaddb, X::kIdVpaddb});
    case VUn::bitrev:
        if (L == 0 && f_.gfni) {
            Xmm a = vec(i.a);
            use(i.a);
            v_op({0, X::kIdVgf2p8affineqb}, def_vec(n), a, lanes(3, 0x8040201008040201), 0);
            return true;
        }
        return L == 0 && nibbles(n, 0xe060a020c0408000, 0xf070b030d0509010, 0x0e060a020c040800, 0x0f070b030d050901,
                                 {X::kIdPaddb, X::kIdVpaddb});
    case VUn::saddlp:
    case VUn::uaddlp: return pair_sums(n);
    default: return false;
    }
}

// A function of bytes that two tables of nibbles, low and high ones, make together.
bool Lowering::nibbles(u32 n, u64 low_low, u64 low_high, u64 high_low, u64 high_high, Pair join) {
    const IrInst& i = inst(n);
    Xmm a = vec(i.a);
    if (!room(3)) return false;
    Xmm t = vec_temp(), u = vec_temp(), index = vec_temp();
    const Mem nibble = lanes(0, 15);
    v_by({X::kIdPsrlw, X::kIdVpsrlw}, index, a, 4);
    v_op(and_ids, index, index, nibble);
    v_move(t, words(high_low, high_high));
    v_op({X::kIdPshufb, X::kIdVpshufb}, t, t, index);
    v_op(and_ids, index, a, nibble);
    v_move(u, words(low_low, low_high));
    v_op({X::kIdPshufb, X::kIdVpshufb}, u, u, index);
    use(i.a);
    v_op(join, vec_out(n, t), t, u);
    return true;
}

bool Lowering::pair_sums(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane);
    const bool is_signed = VUn(i.sub) == VUn::saddlp;
    Xmm a = vec(i.a);
    if (!room(2)) return false;
    Xmm t = vec_temp(), u = vec_temp();
    if (L == 0 && is_signed) { // the host's first operand is unsigned, the second signed
        v_move(t, lanes(0, 1));
        use(i.a);
        v_op({X::kIdPmaddubsw, X::kIdVpmaddubsw}, vec_out(n, t), t, a);
    } else if (L == 0 || (L == 1 && is_signed)) {
        use(i.a);
        v_op(L ? Pair{X::kIdPmaddwd, X::kIdVpmaddwd} : Pair{X::kIdPmaddubsw, X::kIdVpmaddubsw}, vec_out(n, t), a,
             lanes(L, 1));
    } else if (!is_signed) {
        v_by(L == 1 ? Pair{X::kIdPsrld, X::kIdVpsrld} : Pair{X::kIdPsrlq, X::kIdVpsrlq}, t, a, 8u << L);
        v_op(and_ids, u, a, lanes(L + 1, (u64{1} << (8u << L)) - 1));
        use(i.a);
        v_op(add_ids[L + 1], vec_out(n, t), t, u);
    } else {
        constexpr Pair multiply{X::kIdPmuldq, X::kIdVpmuldq}; // by one: extends the even lanes
        v_by({X::kIdPsrlq, X::kIdVpsrlq}, t, a, 32);
        v_op(multiply, t, t, lanes(2, 1));
        v_op(multiply, u, a, lanes(2, 1));
        use(i.a);
        v_op(add_ids[3], vec_out(n, t), t, u);
    }
    return true;
}

// ---- shifts by a constant

bool Lowering::rotate_lanes(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane), width = 8u << L;
    const u32 by = u32(i.imm % width);
    Xmm a = vec(i.a), t = vec_temp();
    if (L >= 2 && f_.avx512vl) {
        use(i.a);
        v_by({0, L == 2 ? u32(X::kIdVprord) : u32(X::kIdVprorq)}, vec_out(n, t), a, by);
        return true;
    }
    v_zero(t);
    if (by) v_shift(VShift::shl, L, t, a, width - by);
    use(i.a);
    Xmm out = def_vec(n);
    v_shift(VShift::lshr, L, out, a, by);
    v_op(or_ids, out, out, t);
    return true;
}

// What is shifted out last decides.
bool Lowering::rounding_shift(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane), width = 8u << L;
    const VShift kind = VShift(i.sub);
    const u32 by = u32(std::min<u64>(i.imm, 127));
    if (by > width) return false;
    Xmm a = vec(i.a), t = vec_temp();
    use(i.a);
    if (by == 0) return v_move(vec_out(n, t), a), true;
    v_by(L == 3   ? Pair{X::kIdPsrlq, X::kIdVpsrlq}
         : L == 2 ? Pair{X::kIdPsrld, X::kIdVpsrld}
                  : Pair{X::kIdPsrlw, X::kIdVpsrlw},
         t, a, by - 1);
    v_op(and_ids, t, t, lanes(L, 1));
    if (by == width) {
        Xmm out = vec_out(n, t);
        kind == VShift::urshr ? v_move(out, t) : v_zero(out);
        return true;
    }
    Xmm out = def_vec(n);
    v_shift(kind == VShift::urshr ? VShift::lshr : VShift::ashr, L, out, a, by);
    v_op(add_ids[L], out, out, t);
    return true;
}

// Shifted back it must be what it was.
bool Lowering::saturating_shift(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane), width = 8u << L;
    const VShift kind = VShift(i.sub);
    const u32 by = u32(std::min<u64>(i.imm, 127));
    if (by >= width) return false;
    const bool is_signed = kind == VShift::sqshl;
    Xmm a = vec(i.a);
    if (!room(is_signed ? 3 : 2)) return false;
    Xmm t = vec_temp(), u = vec_temp();
    v_shift(VShift::shl, L, t, a, by);
    v_shift(is_signed ? VShift::ashr : VShift::lshr, L, u, t, by);
    v_op(xor_ids, u, u, a);
    note_saturation(u, i.type);
    const Mem zero = state(at_.host(offsetof(HostArea, zero)), 16);
    v_op(equal_ids[L], u, u, zero);
    if (is_signed) {
        Xmm s = vec_temp();
        v_shift(VShift::ashr, L, s, a, width - 1);
        v_op(xor_ids, s, s, lanes(L, (u64{1} << (width - 1)) - 1));
        use(i.a);
        v_blend(vec_out(n, t), u, t, s);
    } else {
        v_op(equal_ids[L], u, u, zero);
        use(i.a);
        v_op(or_ids, vec_out(n, t), t, u);
    }
    return true;
}

bool Lowering::vector_shift(u32 n) {
    const IrInst& i = inst(n);
    const u32 L = lane_log(i.lane), width = 8u << L;
    const VShift kind = VShift(i.sub);
    switch (kind) {
    case VShift::shl:
    case VShift::lshr:
    case VShift::ashr: {
        const u32 by = u32(std::min<u64>(i.imm, kind == VShift::ashr ? width - 1 : width));
        Xmm a = vec(i.a);
        use(i.a);
        Xmm out = def_vec(n);
        by < width ? v_shift(kind, L, out, a, by) : v_zero(out);
        return true;
    }
    case VShift::rotr: return rotate_lanes(n);
    case VShift::urshr:
    case VShift::srshr: return rounding_shift(n);
    case VShift::sqshl:
    case VShift::uqshl: return saturating_shift(n);
    default: return false;
    }
}

} // namespace mimic::jit::x86
