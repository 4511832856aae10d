// Floating-point lanes: by the host's instruction, with MXCSR as scalars have it. What guest and host do differently
// (which NaN, which integer for a number out of range) is seen in the result and done again by the interpreter's body, in
// cold code. A 64-bit vector stands in both halves, so that the upper one raises what the lower one does.
#include "ir/operands.hpp"
#include "jit/host/x86_64/backend.hpp"
#include "jit/host/x86_64/lower.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::imm;
using asmjit::Operand;
using IrInst = ir::Inst;
using ir::FpArg;
using ir::Lane;
using ir::Round;
using ir::VBin;
using ir::VNarrow;
using ir::VReduce;
using ir::VRel;
using ir::VTern;
using ir::VUn;

namespace {

namespace X = asmjit::x86::Inst;

enum class Shape : u8 { plain, absolute, minimum, maximum };
struct FpRow {
    VBin kind;
    Shape shape;
    bool pairs;
    u32 sse[2], avx[2]; // f32, f64
};
constexpr u32 sse_min[2] = {X::kIdMinps, X::kIdMinpd}, avx_min[2] = {X::kIdVminps, X::kIdVminpd};
constexpr u32 sse_max[2] = {X::kIdMaxps, X::kIdMaxpd}, avx_max[2] = {X::kIdVmaxps, X::kIdVmaxpd};
// Names as asmjit spells them: Addps, Vaddps.
#define MIMIC_IDS(sse, avx)                                                                                            \
    {X::kId##sse##ps, X::kId##sse##pd}, { X::kIdV##avx##ps, X::kIdV##avx##pd }
constexpr FpRow fp_rows[] = {
    {VBin::fadd, Shape::plain, false, MIMIC_IDS(Add, add)},
    {VBin::fsub, Shape::plain, false, MIMIC_IDS(Sub, sub)},
    {VBin::fmul, Shape::plain, false, MIMIC_IDS(Mul, mul)},
    {VBin::fdiv, Shape::plain, false, MIMIC_IDS(Div, div)},
    {VBin::fabd, Shape::absolute, false, MIMIC_IDS(Sub, sub)},
    {VBin::faddp, Shape::plain, true, MIMIC_IDS(Add, add)},
    {VBin::fmin, Shape::minimum, false, MIMIC_IDS(Min, min)},
    {VBin::fmax, Shape::maximum, false, MIMIC_IDS(Max, max)},
    {VBin::fminnm, Shape::minimum, false, MIMIC_IDS(Min, min)},
    {VBin::fmaxnm, Shape::maximum, false, MIMIC_IDS(Max, max)},
    {VBin::fmin_number, Shape::minimum, false, MIMIC_IDS(Min, min)},
    {VBin::fmax_number, Shape::maximum, false, MIMIC_IDS(Max, max)},
    {VBin::fminp, Shape::minimum, true, MIMIC_IDS(Min, min)},
    {VBin::fmaxp, Shape::maximum, true, MIMIC_IDS(Max, max)},
    {VBin::fminnmp, Shape::minimum, true, MIMIC_IDS(Min, min)},
    {VBin::fmaxnmp, Shape::maximum, true, MIMIC_IDS(Max, max)},
};
#undef MIMIC_IDS

const FpRow* row_of(VBin kind) {
    for (const FpRow& r : fp_rows)
        if (r.kind == kind) return &r;
    return nullptr;
}

} // namespace

bool Lowering::vector_fp(u32 n) {
    const IrInst& i = inst(n);
    if (i.lane != Lane::f32 && i.lane != Lane::f64) return false;
    if (i.type == Type::v64 && i.lane == Lane::f64 && i.op != Op::vcmp && i.op != Op::vbin) return false;
    switch (i.op) {
    case Op::vbin: return vector_fp_binary(n);
    case Op::vun: return vector_fp_unary(n);
    case Op::vtern: return vector_fma(n);
    case Op::vcmp: return vector_fp_compare(n);
    case Op::vwiden: return vector_fp_widen(n);
    case Op::vnarrow: return vector_fp_narrow(n);
    case Op::vreduce: return vector_fp_reduce(n);
    default: return false;
    }
}

// ---- cold paths

Lowering::Operands Lowering::keep_operands(u32 n) {
    const IrInst& i = inst(n);
    Operands o;
    Type types[3] = {};
    const ValueId values[3] = {i.a, i.b, i.c};
    for (u32 k = 0; k < ir::info(i.op).operands && values[k] != none; ++k) {
        o.regs[k] = vec(values[k]);
        types[k] = type(values[k]);
        o.count = k + 1;
    }
    for (u32 k = 0; k < o.count; ++k) use(values[k]);
    o.record = records_->operation(*unit_, i, types);
    return o;
}

// Lets the interpreter's body compute `out`, in cold code.
void Lowering::redo_body(const Operands& o, Xmm out) {
    auto scratch = [&](u32 k) { return state(at_.header(u32(offsetof(ir::CpuHeader, scratch)) + 16 * k), 16); };
    for (u32 k = 0; k < o.count; ++k) f_.avx ? a_.vmovups(scratch(k), o.regs[k]) : a_.movups(scratch(k), o.regs[k]);
    call_keeping(o.record);
    f_.avx ? a_.vmovups(out, scratch(first_result)) : a_.movups(out, scratch(first_result));
}
Label Lowering::redo(const Operands& o, Xmm out, Label back) {
    Label entry = a_.newLabel();
    redo_at(entry, o, out, back);
    return entry;
}

// t may change. Between this jump and its way back nothing may be moved to or from memory: registers and spill places
// are then what they were at the jump, so every temporary is taken before.
void Lowering::jump_if_nan(Xmm a, Xmm b, Xmm t, bool f64, Label to) {
    constexpr u32 unordered = 3;
    if (f_.avx512vl) {
        a_.emit(f64 ? X::kIdVcmppd : X::kIdVcmpps, k1, a, b, imm(unordered));
        a_.kortestb(k1, k1);
    } else {
        v_op(f64 ? Pair{X::kIdCmppd, X::kIdVcmppd} : Pair{X::kIdCmpps, X::kIdVcmpps}, t, a, b, unordered);
        f_.avx ? a_.vptest(t, t) : a_.ptest(t, t);
    }
    a_.jnz(to);
}

void Lowering::jump_if_lane(Xmm r, Xmm t, u32 L, u64 value, Label to) {
    Mem m = lanes(L, value);
    if (f_.avx512vl) {
        a_.emit(L == 3 ? X::kIdVpcmpeqq : X::kIdVpcmpeqd, k1, r, m);
        a_.kortestb(k1, k1);
    } else {
        v_op(L == 3 ? Pair{X::kIdPcmpeqq, X::kIdVpcmpeqq} : Pair{X::kIdPcmpeqd, X::kIdVpcmpeqd}, t, r, m);
        f_.avx ? a_.vptest(t, t) : a_.ptest(t, t);
    }
    a_.jnz(to);
}

// Has a lane the least normal number, of either sign? t becomes something else, where there are no masks.
void Lowering::jump_if_smallest(Xmm r, Xmm t, bool f64, Label to) {
    const u64 least = f64 ? smallest_f64 : smallest_f32, sign = u64{1} << (f64 ? 63 : 31);
    if (f_.avx512vl) {
        a_.emit(f64 ? X::kIdVpcmpeqq : X::kIdVpcmpeqd, k1, r, lanes(f64 ? 3 : 2, least));
        a_.emit(f64 ? X::kIdVpcmpeqq : X::kIdVpcmpeqd, k3, r, lanes(f64 ? 3 : 2, least | sign));
        a_.kortestb(k1, k3);
        a_.jnz(to);
        return;
    }
    v_op({X::kIdAndps, X::kIdVandps}, t, r, lanes(f64 ? 3 : 2, ~u64{0} >> (f64 ? 1 : 33)));
    jump_if_lane(t, t, f64 ? 3 : 2, least, to);
}

// A 64-bit vector in both halves; a temporary changes in place, its upper half being nobody's.
Xmm Lowering::both_halves(Xmm a, Type t) {
    if (t != Type::v64) return a;
    Xmm to = a.id() < vec_temps(f_) ? a : vec_temp();
    known_[to.id()] = {};
    v_double(to, a, a);
    return to;
}

// ---- arithmetic

// Does n's result wait for its checks as scalars' do? See lower_owed.cpp.
bool Lowering::in_group(u32 n) const {
    const IrInst& i = inst(n);
    const bool fp = i.lane == Lane::f32 || i.lane == Lane::f64;
    if (!f_.avx512vl || i.type != Type::v128 || !fp || FpArg::from(i.imm).round != Round::dynamic) return false;
    const FpRow* row = i.op == Op::vbin && i.c == none ? row_of(VBin(i.sub)) : nullptr;
    return i.op == Op::vtern ? f_.fma && ir::is_fp_operation(i) : row && row->shape == Shape::plain && !row->pairs;
}

bool Lowering::vector_fp_binary(u32 n) {
    const IrInst& i = inst(n);
    const bool d = i.lane == Lane::f64;
    if (FpArg::from(i.imm).round != Round::dynamic || i.c != none) return false;
    const FpRow* row = row_of(VBin(i.sub));
    if (!row || (row->pairs && d && i.type == Type::v64)) return false;
    const Pair op{row->sse[d], row->avx[d]};
    const bool extreme = row->shape == Shape::minimum || row->shape == Shape::maximum;
    Xmm a = vec(i.a), b = vec(i.b);
    if (in_group(n)) return lanes_result(n, op, a, b), true;
    const u32 copies = row->pairs            ? 2
                       : i.type == Type::v64 ? u32(a.id() >= vec_temps(f_)) + u32(b.id() >= vec_temps(f_))
                                             : 0;
    const bool late = rounds_late(n);
    if (!room(copies + (row->pairs || (f_.avx512vl && !extreme) ? 1 : 2) + (late && !f_.avx512vl))) return false;
    Xmm x = a, y = b;
    if (row->pairs) {
        x = vec_temp(), y = vec_temp();
        Xmm first = a, second = b;
        if (i.type == Type::v64) v_double(x, a, b), first = second = x;
        v_op({X::kIdShufps, X::kIdVshufps}, y, first, second, d ? 0xee : 0xdd);
        v_op({X::kIdShufps, X::kIdVshufps}, x, first, second, d ? 0x44 : 0x88);
    } else {
        x = both_halves(a, i.type);
        y = i.a == i.b ? x : both_halves(b, i.type);
    }
    Operands o = keep_operands(n);
    Label back = a_.newLabel();
    if (!extreme) {
        Xmm spare = row->pairs ? x : vec_temp(), out = vec_out(n, spare), r = o.has(out) ? spare : out;
        Xmm t = row->pairs ? y : f_.avx512vl ? r : vec_temp();
        v_op(op, r, x, y);
        if (late) {
            Label rounded = a_.newLabel();
            jump_if_smallest(r, f_.avx512vl ? r : vec_temp(), d, redo(o, r, rounded));
            a_.bind(rounded);
        }
        if (nan_rules_ != NanRules::host) jump_if_nan(r, r, t, d, redo(o, out, back));
        if (row->shape == Shape::absolute)
            v_op({X::kIdAndps, X::kIdVandps}, out, r, lanes(d ? 3 : 2, ~u64{0} >> (d ? 1 : 33)));
        else
            v_move(out, r);
        a_.bind(back);
        return true;
    }
    // Zeros of two signs: both orders, joined. NaNs are not for the host, which would raise invalid for quiet ones.
    Xmm r = row->pairs ? x : vec_temp();
    Xmm s = vec_temp(), out = vec_out(n, r);
    jump_if_nan(x, y, s, d, redo(o, out, back));
    v_op(op, s, y, x);
    v_op(op, r, x, y);
    v_op(row->shape == Shape::minimum ? Pair{X::kIdOrps, X::kIdVorps} : Pair{X::kIdAndps, X::kIdVandps}, out, r, s);
    a_.bind(back);
    return true;
}

bool Lowering::vector_fma(u32 n) {
    const IrInst& i = inst(n);
    FpArg arg = FpArg::from(i.imm);
    const bool d = i.lane == Lane::f64, minus = (VTern(i.sub) == VTern::fmls) != arg.neg_product;
    if (!f_.fma || arg.round != Round::dynamic) return false;
    arg.neg_product = minus;
    if (in_group(n)) return fused(n, arg), true;
    constexpr u32 table[2][2][2] = {
        {{X::kIdVfmadd231ps, X::kIdVfmadd231pd}, {X::kIdVfmsub231ps, X::kIdVfmsub231pd}},
        {{X::kIdVfnmadd231ps, X::kIdVfnmadd231pd}, {X::kIdVfnmsub231ps, X::kIdVfnmsub231pd}}};
    const u32 id = table[minus][arg.neg_addend][d];
    const bool half = i.type == Type::v64;
    Xmm a = vec(i.a), b = vec(i.b), c = vec(i.c);
    const u32 copies = half ? u32(a.id() >= vec_temps(f_)) + u32(b.id() >= vec_temps(f_)) : 0;
    const bool late = rounds_late(n);
    if (!room(copies + 1 + (f_.avx512vl ? 0 : 1 + late))) return false;
    Xmm x = both_halves(a, i.type), y = i.a == i.b ? x : both_halves(b, i.type);
    Xmm spare = vec_temp(), t = f_.avx512vl ? spare : vec_temp(), absolute = late && !f_.avx512vl ? vec_temp() : t;
    Operands o = keep_operands(n);
    Xmm out = vec_out(n, spare), r = out;
    if (out.id() == c.id() && out.id() != a.id() && out.id() != b.id() && !half) {
        a_.vmovaps(spare, c); // for the cold path
        o.regs[2] = spare;
    } else {
        if (o.has(out)) r = spare;
        half ? v_double(r, c, c) : v_move(r, c);
    }
    a_.emit(id, r, x, y);
    if (late) {
        Label rounded = a_.newLabel();
        jump_if_smallest(r, absolute, d, redo(o, r, rounded));
        a_.bind(rounded);
    }
    Label back = a_.newLabel();
    jump_if_nan(r, r, t, d, redo(o, out, back)); // whatever the rules: of three NaNs another might win
    v_move(out, r);
    a_.bind(back);
    return true;
}

// ---- one operand

bool Lowering::vector_fp_unary(u32 n) {
    const IrInst& i = inst(n);
    const bool d = i.lane == Lane::f64;
    const Round round = FpArg::from(i.imm).round;
    const VUn kind = VUn(i.sub);
    const bool to_int = kind == VUn::ftos || kind == VUn::ftou, from_int = kind == VUn::stof || kind == VUn::utof;
    const bool rounds = kind == VUn::fround || kind == VUn::fround_exact;
    if (!to_int && !from_int && !rounds && kind != VUn::fsqrt) return false;
    if (round == Round::nearest_away || ((from_int || kind == VUn::fsqrt) && round != Round::dynamic)) return false;
    const bool is_signed = kind == VUn::ftos || kind == VUn::stof;
    if ((to_int || from_int) && (d || !is_signed) && !f_.avx512vl) return false;
    constexpr Pair from[2][2] = {{{X::kIdCvtdq2ps, X::kIdVcvtdq2ps}, {0, X::kIdVcvtqq2pd}},
                                 {{0, X::kIdVcvtudq2ps}, {0, X::kIdVcvtuqq2pd}}};
    constexpr Pair to[2][2][2] = {
        {{{X::kIdCvtps2dq, X::kIdVcvtps2dq}, {0, X::kIdVcvtpd2qq}}, {{0, X::kIdVcvtps2udq}, {0, X::kIdVcvtpd2uqq}}},
        {{{X::kIdCvttps2dq, X::kIdVcvttps2dq}, {0, X::kIdVcvttpd2qq}},
         {{0, X::kIdVcvttps2udq}, {0, X::kIdVcvttpd2uqq}}}};
    const Pair round_op = f_.avx512vl ? (d ? Pair{0, X::kIdVrndscalepd} : Pair{0, X::kIdVrndscaleps})
                          : d         ? Pair{X::kIdRoundpd, X::kIdVroundpd}
                                      : Pair{X::kIdRoundps, X::kIdVroundps};
    constexpr u32 modes[8] = {0, 3, 1, 2, 0, 4, 4, 4}; // of the host's rounding instruction; 8: inexact is not raised
    Xmm a = vec(i.a);
    if (!room(3)) return false;
    Xmm x = both_halves(a, i.type), spare = vec_temp(), t = vec_temp();
    Operands o = keep_operands(n);
    Xmm out = vec_out(n, spare), r = o.has(out) ? spare : out;
    Label back = a_.newLabel();
    if (from_int) {
        v_one(from[!is_signed][d], out, x);
        return true;
    }
    if (to_int) {
        // A number out of range is invalid and not inexact: of what may have a fraction and be out of range all the
        // same, inexact is raised when the range is known.
        const bool fixed = round != Round::dynamic && round != Round::toward_zero, late = fixed && !is_signed;
        Xmm integral = x;
        if (fixed) v_one(round_op, integral = r, x, modes[u32(round)] | (late ? 8 : 0));
        v_one(to[round != Round::dynamic][!is_signed][d], r, integral);
        if (nan_rules_ != NanRules::host || late)
            jump_if_lane(r, t, d ? 3 : 2, is_signed ? u64{1} << (d ? 63 : 31) : ~u64{0}, redo(o, out, back));
        if (late) v_one(round_op, t, x, modes[u32(round)]);
    } else {
        if (rounds)
            v_one(round_op, r, x, modes[u32(round)] | (kind == VUn::fround ? 8 : 0));
        else
            v_one(d ? Pair{X::kIdSqrtpd, X::kIdVsqrtpd} : Pair{X::kIdSqrtps, X::kIdVsqrtps}, r, x);
        if (nan_rules_ != NanRules::host) jump_if_nan(r, r, t, d, redo(o, out, back));
    }
    v_move(out, r);
    a_.bind(back);
    return true;
}

// ---- comparisons: the host raises invalid as the guest does, and false is false

bool Lowering::vector_fp_compare(u32 n) {
    const IrInst& i = inst(n);
    const bool d = i.lane == Lane::f64, other = i.imm & 1;
    const VRel rel = VRel(i.sub);
    if (other && !f_.avx) return false;
    u32 predicate = 0; // Intel SDM vol. 2, table 3-1 of CMPPD; bit 4 exchanges quiet and signalling
    switch (rel) {
    case VRel::feq: predicate = 0; break;
    case VRel::funord: predicate = 3; break;
    case VRel::fgt:
    case VRel::facgt: predicate = 1; break; // less, with operands exchanged
    default: predicate = 2;
    }
    if (other) predicate |= 16;
    const bool exchanged = rel != VRel::feq && rel != VRel::funord;
    const Type t = type(i.a);
    Xmm a = vec(i.a), b = vec(i.b);
    const bool absolute = rel == VRel::facgt || rel == VRel::facge;
    const u32 copies = t == Type::v64 ? u32(a.id() >= vec_temps(f_)) + u32(b.id() >= vec_temps(f_)) : 0;
    if (!room(copies + (absolute ? 2 : 1))) return false;
    Xmm x = both_halves(a, t), y = i.a == i.b ? x : both_halves(b, t), spare = vec_temp();
    if (absolute) {
        const Mem mask = lanes(d ? 3 : 2, ~u64{0} >> (d ? 1 : 33));
        Xmm u = vec_temp();
        v_op({X::kIdAndps, X::kIdVandps}, spare, x, mask);
        v_op({X::kIdAndps, X::kIdVandps}, u, y, mask);
        x = spare, y = u;
    }
    if (exchanged) std::swap(x, y);
    use(i.a);
    use(i.b);
    Xmm out = vec_out(n, spare);
    const Pair op = d ? Pair{X::kIdCmppd, X::kIdVcmppd} : Pair{X::kIdCmpps, X::kIdVcmpps};
    if (f_.avx512vl && (x.id() >= 16 || y.id() >= 16 || out.id() >= 16)) {
        a_.emit(op.avx, k1, x, y, imm(predicate));
        d ? a_.vpmovm2q(out, k1) : a_.vpmovm2d(out, k1);
    } else {
        v_op(op, out, x, y, predicate);
    }
    return true;
}

// ---- other widths

bool Lowering::vector_fp_widen(u32 n) {
    const IrInst& i = inst(n);
    if (i.lane != Lane::f32 || i.type != Type::v128) return false;
    Xmm a = vec(i.a);
    if (!room(3)) return false;
    Xmm spare = vec_temp(), t = vec_temp();
    Operands o = keep_operands(n);
    Xmm out = vec_out(n, spare), r = o.has(out) ? spare : out;
    if (i.sub & 1) v_one({X::kIdPshufd, X::kIdVpshufd}, r, a, 0xee), a = r;
    v_one({X::kIdCvtps2pd, X::kIdVcvtps2pd}, r, a);
    Label back = a_.newLabel();
    if (nan_rules_ != NanRules::host) jump_if_nan(r, r, t, true, redo(o, out, back));
    v_move(out, r);
    a_.bind(back);
    return true;
}

bool Lowering::vector_fp_narrow(u32 n) {
    const IrInst& i = inst(n);
    if (VNarrow(i.sub) != VNarrow::fcvt || i.lane != Lane::f64 || i.type != Type::v128) return false;
    if (FpArg::from(i.imm).round != Round::dynamic) return false;
    Xmm a = vec(i.a), b = i.b == none ? a : vec(i.b);
    if (!room(2)) return false;
    Operands o = keep_operands(n);
    Xmm r = vec_temp(), t = vec_temp(), out = vec_out(n, r);
    constexpr Pair convert{X::kIdCvtpd2ps, X::kIdVcvtpd2ps};
    v_one(convert, r, a);
    if (i.b != none) {
        v_one(convert, t, b);
        v_double(r, r, t);
    }
    Label back = a_.newLabel(), rounded = a_.newLabel();
    if (rounds_late(n)) jump_if_smallest(r, t, false, redo(o, r, rounded)), a_.bind(rounded);
    if (nan_rules_ != NanRules::host) jump_if_nan(r, r, t, false, redo(o, out, back));
    v_move(out, r);
    a_.bind(back);
    return true;
}

// ---- all lanes: two, or four whose order cannot be told

bool Lowering::vector_fp_reduce(u32 n) {
    const IrInst& i = inst(n);
    const bool d = i.lane == Lane::f64, sum = VReduce(i.sub) == VReduce::fadd;
    const Type t = type(i.a);
    const u32 count = ir::size_of(t) / (d ? 8 : 4);
    if (FpArg::from(i.imm).round != Round::dynamic || count < 2 || (sum && count > 2)) return false;
    const bool least = VReduce(i.sub) == VReduce::fmin || VReduce(i.sub) == VReduce::fminnm;
    Xmm a = vec(i.a);
    if (!room(a.id() < vec_temps(f_) || t != Type::v64 ? 3 : 4)) return false;
    Xmm x = both_halves(a, t);
    Operands o = keep_operands(n);
    Xmm r = vec_temp(), s = vec_temp(), u = vec_temp(), out = vec_out(n, r);
    Label back = a_.newLabel();
    if (sum) {
        d ? v_op({X::kIdPunpckhqdq, X::kIdVpunpckhqdq}, s, x, x) : v_one({X::kIdPshufd, X::kIdVpshufd}, s, x, 0x55);
        v_op(d ? Pair{X::kIdAddsd, X::kIdVaddsd} : Pair{X::kIdAddss, X::kIdVaddss}, r, x, s);
        if (nan_rules_ != NanRules::host) {
            d ? v_one({X::kIdUcomisd, X::kIdVucomisd}, r, r) : v_one({X::kIdUcomiss, X::kIdVucomiss}, r, r);
            a_.jp(redo(o, out, back));
        }
        v_move(out, r);
        a_.bind(back);
        return true;
    }
    jump_if_nan(x, x, s, d, redo(o, out, back));
    const Pair op = least ? Pair{sse_min[d], avx_min[d]} : Pair{sse_max[d], avx_max[d]};
    const Pair join = least ? Pair{X::kIdOrps, X::kIdVorps} : Pair{X::kIdAndps, X::kIdVandps};
    v_move(r, x);
    constexpr u32 halves = 0x4e, neighbours = 0xb1;
    for (u32 step : {halves, neighbours}) {
        if (d ? step == neighbours : t == Type::v64 && step == halves) continue;
        v_one({X::kIdPshufd, X::kIdVpshufd}, s, r, step);
        v_op(op, u, s, r);
        v_op(op, r, r, s);
        v_op(join, r, r, u);
    }
    v_move(out, r);
    a_.bind(back);
    return true;
}

} // namespace mimic::jit::x86
