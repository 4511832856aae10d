// Floating point where the guest flushes what is tiny to zero, with sticky flags of its own (GuestState::fp_by_body). The host
// does not flush; what it computes for good is neither tiny nor made of denormal numbers:
//   - operands are looked at, unless they come of such an operation;
//   - with AVX-512 a first computation rounds toward zero and raises nothing: its result is less than normal exactly if the true
//     one is. Without, the exponents of factors tell that a product is large enough, with little to spare; sums that are
//     tiny are exact, and so raise nothing that would have to be taken back.
// Where that finds something, or a NaN, the interpreter's body computes instead, in cold code. Everything else, and hosts
// without AVX2, have the bodies for all.
#include "ir/operands.hpp"
#include "jit/host/x86_64/backend.hpp"
#include "jit/host/x86_64/lower.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::imm;
using IrInst = ir::Inst;
using ir::FpArg;
using ir::FRel;
using ir::Lane;
using ir::Round;
using ir::VBin;
using ir::VTern;
using ir::VUn;

namespace {

namespace X = asmjit::x86::Inst;

// Classes of numbers: Intel SDM vol. 2, VFPCLASSPD.
constexpr u32 is_zero = 0x06, is_infinite = 0x18, is_denormal = 0x20, is_negative = 0x50, is_nan = 0x81;

bool scalar(Type t) { return t == Type::f32 || t == Type::f64; }

// k = the lanes of x, or its first one, that are of these classes.
void classify(Assembler& a, KReg k, Xmm x, bool f64, bool all, u32 classes) {
    constexpr u32 ids[2][2] = {{X::kIdVfpclassss, X::kIdVfpclasssd}, {X::kIdVfpclassps, X::kIdVfpclasspd}};
    a.emit(ids[all][f64], k, x, imm(classes));
}

// How the host computes an operation: of one lane, and of all; f32, f64 (of what is computed from).
struct Host {
    u32 one[2] = {}, all[2] = {};
    u8 result = 0; // classes of the first computation's result that ask for the body; 0: there is no first computation
    u8 operand = is_denormal;        // the same of operands
    bool other_width = false;        // the result has
    bool is_fma = false;             // c + a * b and the like
    u8 zero_of_a = 0, zero_of_b = 0; // classes of operands whose result is zero, and not because it would be tiny
};
constexpr u8 exact = is_denormal | is_nan; // what is tiny is exact: zero is zero
constexpr u8 inexact = is_denormal | is_nan | is_zero;
constexpr Host adds{{X::kIdVaddss, X::kIdVaddsd}, {X::kIdVaddps, X::kIdVaddpd}, exact};
constexpr Host subtracts{{X::kIdVsubss, X::kIdVsubsd}, {X::kIdVsubps, X::kIdVsubpd}, exact};
constexpr Host multiplies{.one = {X::kIdVmulss, X::kIdVmulsd},
                          .all = {X::kIdVmulps, X::kIdVmulpd},
                          .result = inexact,
                          .zero_of_a = is_zero,
                          .zero_of_b = is_zero};
constexpr Host divides{.one = {X::kIdVdivss, X::kIdVdivsd},
                       .all = {X::kIdVdivps, X::kIdVdivpd},
                       .result = inexact,
                       .zero_of_a = is_zero,
                       .zero_of_b = is_infinite};
constexpr Host roots{.one = {X::kIdVsqrtss, X::kIdVsqrtsd},
                     .all = {X::kIdVsqrtps, X::kIdVsqrtpd},
                     .operand = is_denormal | is_nan | is_negative};
constexpr Host widens{
    .one = {X::kIdVcvtss2sd, 0}, .all = {X::kIdVcvtps2pd, 0}, .operand = is_denormal | is_nan, .other_width = true};
constexpr Host narrows{.one = {0, X::kIdVcvtsd2ss},
                       .all = {0, X::kIdVcvtpd2ps},
                       .result = inexact,
                       .other_width = true,
                       .zero_of_a = is_zero};
// Names as asmjit spells them: Vfmadd231ss and its like.
#define MIMIC_FUSED(name)                                                                                              \
    Host {                                                                                                             \
        .one = {X::kId##name##231ss, X::kId##name##231sd}, .all = {X::kId##name##231ps, X::kId##name##231pd},          \
        .result = inexact, .is_fma = true                                                                              \
    }
constexpr Host fuses[2][2] = {{MIMIC_FUSED(Vfmadd), MIMIC_FUSED(Vfmsub)},
                              {MIMIC_FUSED(Vfnmadd), MIMIC_FUSED(Vfnmsub)}}; // by the signs of product and addend
#undef MIMIC_FUSED

const Host* scalar_host(const IrInst& i, Type from) {
    const FpArg arg = FpArg::from(i.imm);
    const bool widening = i.op == Op::fcvt && from == Type::f32; // exact: the rounding mode says nothing
    if (!scalar(from) || !scalar(i.type) || (arg.round != Round::dynamic && !widening)) return nullptr;
    switch (i.op) {
    case Op::fadd: return &adds;
    case Op::fsub: return &subtracts;
    case Op::fmul: return &multiplies;
    case Op::fdiv: return &divides;
    case Op::fsqrt: return &roots;
    case Op::fma: return &fuses[arg.neg_product][arg.neg_addend];
    case Op::fcvt: return from == i.type ? nullptr : widening ? &widens : &narrows;
    default: return nullptr;
    }
}
const Host* lanes_host(const IrInst& i) {
    const FpArg arg = FpArg::from(i.imm);
    const bool f32 = i.lane == Lane::f32, f64 = i.lane == Lane::f64;
    if (!(i.type == Type::v128 && (f32 || f64)) && !(i.type == Type::v64 && f32)) return nullptr;
    if (arg.round != Round::dynamic) return nullptr;
    if (i.op == Op::vun) return VUn(i.sub) == VUn::fsqrt ? &roots : nullptr;
    if (i.op == Op::vtern) {
        if (VTern(i.sub) != VTern::fmla && VTern(i.sub) != VTern::fmls) return nullptr;
        return &fuses[(VTern(i.sub) == VTern::fmls) != arg.neg_product][arg.neg_addend];
    }
    if (i.op != Op::vbin || i.c != ir::none) return nullptr;
    switch (VBin(i.sub)) {
    case VBin::fadd: return &adds;
    case VBin::fsub: return &subtracts;
    case VBin::fmul: return &multiplies;
    case VBin::fdiv: return &divides;
    default: return nullptr;
    }
}

// Lanes: is a result of operands that are not denormal never tiny, and has it a lowering of its own for sure? That wants more
// temporaries than hosts without AVX-512 have, but for comparisons and extremes of lanes.
bool only_operands_flush(const IrInst& i, Type from, bool avx512) {
    const bool f32 = i.lane == Lane::f32, f64 = i.lane == Lane::f64;
    if (!(from == Type::v128 && (f32 || f64)) && !(from == Type::v64 && f32)) return false;
    if (!avx512 && (from != Type::v128 || (i.op != Op::vcmp && i.op != Op::vbin))) return false;
    if (i.op == Op::vcmp) return true;
    if (i.op == Op::vwiden) return f32 && i.type == Type::v128;
    const Round round = FpArg::from(i.imm).round;
    if (i.op == Op::vun) {
        const VUn kind = VUn(i.sub);
        const bool known = kind == VUn::fround || kind == VUn::fround_exact || kind == VUn::ftos || kind == VUn::ftou;
        return known && round != Round::nearest_away;
    }
    if (i.op != Op::vbin || i.c != ir::none || round != Round::dynamic) return false;
    switch (VBin(i.sub)) {
    case VBin::fmin:
    case VBin::fmax:
    case VBin::fminnm:
    case VBin::fmaxnm:
    case VBin::fmin_number:
    case VBin::fmax_number: return true;
    case VBin::fminp:
    case VBin::fmaxp:
    case VBin::fminnmp:
    case VBin::fmaxnmp: return avx512;
    default: return false;
    }
}

} // namespace

// False: it has no form here.
bool Lowering::fp_flushing(u32 n) {
    const IrInst& i = inst(n);
    if (!f_.avx2 || !f_.fma) return false;
    switch (i.op) {
    case Op::vbin:
    case Op::vun:
    case Op::vtern:
    case Op::vcmp:
    case Op::vwiden: return flushing_lanes(n) || flushing_arithmetic(n, true);
    case Op::fcmp:
    case Op::flags_fcmp: return flushing_compare(n);
    case Op::ftos:
    case Op::ftou: return flushing_to_int(n);
    case Op::fmin:
    case Op::fmax: return flushing_extreme(n);
    case Op::fround: return flushing_round(n);
    default: return flushing_arithmetic(n, false);
    }
}

// Collects in k1 what asks for the body, as all looks but the last have it; jump_if_found jumps if there is something.
void Lowering::look(Xmm x, bool f64, bool all, u32 classes) {
    if (looks_ == 2) a_.korb(k1, k1, k3);
    classify(a_, looks_ ? k3 : k1, x, f64, all, classes);
    looks_ = looks_ ? 2 : 1;
}
void Lowering::look_at_operands(const Operands& o, bool f64, bool all, u32 classes) {
    for (u32 k = 0; k < o.count; ++k) {
        const bool again = std::any_of(o.regs, o.regs + k, [&](Xmm x) { return x.id() == o.regs[k].id(); });
        const u32 asked = known_[o.regs[k].id()].normal == (f64 ? 64 : 32) ? classes & ~is_denormal : classes;
        if (!again && asked) look(o.regs[k], f64, all, asked);
    }
}
// Without AVX-512; t changes. Jumps if a lane of x, or the first one, is denormal (not zero: one less, from the least integer on).
void Lowering::jump_if_denormal(Xmm x, bool f64, bool all, Xmm t, Label to) {
    const u32 L = f64 ? 3 : 2;
    const u64 least = f64 ? smallest_f64 : smallest_f32, top = u64{1} << (f64 ? 63 : 31);
    a_.vandps(t, x, lanes(L, top - 1));
    f64 ? a_.vpaddq(t, t, lanes(L, top - 1)) : a_.vpaddd(t, t, lanes(L, top - 1));
    jump_unless_above(t, f64, all, (least - 2) ^ top, to);
}
// Jumps unless all lanes of t, or its first one, are integers above `limit`.
void Lowering::jump_unless_above(Xmm t, bool f64, bool all, u64 limit, Label to) {
    const u32 L = f64 ? 3 : 2;
    f64 ? a_.vpcmpgtq(t, t, lanes(L, limit)) : a_.vpcmpgtd(t, t, lanes(L, limit));
    a_.vptest(t, all ? words(~u64{0}, ~u64{0}) : words(f64 ? ~u64{0} : ~0u, 0));
    a_.jnc(to);
}
// False: there is nothing to look at. t: a temporary, for hosts without AVX-512.
bool Lowering::check_operands(const Operands& o, bool f64, bool all, u32 classes, Xmm t, Label to) {
    if (f_.avx512vl) return look_at_operands(o, f64, all, classes), jump_if_found(to);
    for (u32 k = 0; k < o.count; ++k) {
        jump_if_denormal(o.regs[k], f64, all, t, to);
        if (classes & is_nan) jump_if_result(o.regs[k], f64, all, is_nan, t, to);
    }
    return true;
}
// Without AVX-512: is r, or a lane of it, a NaN, or of the classes besides?
void Lowering::jump_if_result(Xmm r, bool f64, bool all, u32 classes, Xmm t, Label to) {
    constexpr u32 unordered = 3;
    if (classes & is_denormal) jump_if_denormal(r, f64, all, t, to);
    if (!all) {
        f64 ? a_.vucomisd(r, r) : a_.vucomiss(r, r);
        return void(a_.jp(to));
    }
    f64 ? a_.vcmppd(t, r, r, unordered) : a_.vcmpps(t, r, r, unordered);
    a_.vptest(t, t);
    a_.jnz(to);
}

// False: nothing was looked at.
bool Lowering::jump_if_found(Label to) {
    if (!looks_) return false;
    a_.kortestb(k1, looks_ == 2 ? k3 : k1);
    a_.jnz(to);
    looks_ = 0;
    return true;
}

// A zero that comes of operands is no tiny number: in cold code, falls through if there is another reason to be here.
void Lowering::go_if_zeros(const Operands& from, Xmm t, u32 zero_of_a, u32 zero_of_b, bool f64, bool to_f64, bool all,
                           Label go) {
    Label odd = a_.newLabel();
    const Xmm a = from.regs[0], b = from.regs[from.count - 1];
    looks_ = 0;
    for (u32 k = 0; k < from.count; ++k) look(from.regs[k], f64, all, is_denormal);
    look(t, to_f64, all, exact);
    jump_if_found(odd);
    classify(a_, k1, t, to_f64, all, is_zero);
    classify(a_, k3, a, f64, all, zero_of_a);
    a_.kandnb(k1, k3, k1);
    classify(a_, k3, b, f64, all, zero_of_b);
    a_.kandnb(k1, k3, k1);
    a_.kortestb(k1, k1);
    a_.jz(go);
    a_.bind(odd);
}

bool Lowering::flushing_arithmetic(u32 n, bool all) {
    const IrInst& i = inst(n);
    const Host* host = all ? lanes_host(i) : scalar_host(i, type(i.a));
    if (!host) return false;
    const bool d = all ? i.lane == Lane::f64 : type(i.a) == Type::f64, half = i.type == Type::v64;
    const bool unary = ir::info(i.op).operands == 1, to_f64 = d != host->other_width;
    for (ValueId v : {i.a, unary ? i.a : i.b, host->is_fma ? i.c : i.a}) vec(v);
    if (!room((half ? 3 : 0) + (f_.avx512vl ? 1 : 2))) return false;
    const Operands o = keep_operands(n);
    Operands from = o;
    if (half) // in both halves, so that the upper one raises what the lower one does
        for (u32 k = 0; k < o.count; ++k) v_double(from.regs[k] = vec_temp(), o.regs[k], o.regs[k]);
    const Xmm t = vec_temp(), a = from.regs[0], b = unary ? a : from.regs[1], c = from.regs[2];
    Label body = a_.newLabel(), go = a_.newLabel(), back = a_.newLabel();
    auto compute = [&](bool first, Xmm r) {
        const bool one = first || !f_.avx512vl;
        const u32 id = all || !one ? host->all[d] : host->one[d];
        if (host->is_fma) a_.vmovaps(r, c);
        if (first) a_.rz_sae();
        if (!one && !all) a_.k(first_lane).z(); // zeros above
        const bool wide = all && first;         // as which lanes suppress exceptions; those above have zeros
        if (unary && !(one && !all && (host->other_width || !first)))
            a_.emit(id, r, a);
        else if (wide)
            a_.emit(id, r.zmm(), a.zmm(), b.zmm());
        else
            a_.emit(id, r, a, b);
    };
    if (!f_.avx512vl) {
        const Xmm r = vec_temp(), out = vec_out(n, r);
        check_operands(from, d, all, is_denormal, t, body);
        jump_if_small(n, from, d, all, r, t, body);
        compute(false, r);
        jump_if_result(r, to_f64, all, host->result == exact || host->is_fma ? exact : is_nan, t, body);
        v_move(out, r);
        a_.bind(back);
        redo_at(body, o, out, back);
        return true;
    }
    look_at_operands(from, d, all, host->operand);
    if (host->result) {
        compute(true, t);
        look(t, to_f64, all, host->result);
    }
    jump_if_found(body);
    a_.bind(go);
    Xmm out = vec_out(n, t);
    compute(false, host->is_fma ? t : out);
    if (host->is_fma) v_move(out, t);
    a_.bind(back);
    if (!half) known_[out.id()] = {.clear = u8(all ? 128 : to_f64 ? 64 : 32), .normal = u8(to_f64 ? 64 : 32)};
    cold(body, [=, this] {
        if (host->zero_of_a) go_if_zeros(from, t, host->zero_of_a, host->zero_of_b, d, to_f64, all, go);
        redo_body(o, out);
        a_.jmp(back);
    });
    return true;
}

// Without AVX-512; t and u change. Jumps where a product or quotient may be tiny, or that of a fused operation so small that it
// could have bits below the least denormal number's. An exponent and the fraction behind it, as an integer, are a number's
// logarithm, or less by up to 0.09: what truncates here is halved, so that sums fit.
void Lowering::jump_if_small(u32 n, const Operands& from, bool f64, bool all, Xmm t, Xmm u, Label to) {
    const IrInst& i = inst(n);
    const u32 L = f64 ? 3 : 2, unit = f64 ? 51 : 22;
    const i64 zero = f64 ? 1023 : 127; // exponent of 1
    auto halved = [&](Xmm r, Xmm x) {  // logarithm + zero
        a_.vandps(r, x, lanes(L, (u64{1} << (f64 ? 63 : 31)) - 1));
        f64 ? a_.vpsrlq(r, r, 1) : a_.vpsrld(r, r, 1);
    };
    const bool fused = i.op == Op::fma || i.op == Op::vtern, lane = i.op == Op::vbin;
    const bool product = fused || i.op == Op::fmul || (lane && VBin(i.sub) == VBin::fmul);
    const bool quotient = i.op == Op::fdiv || (lane && VBin(i.sub) == VBin::fdiv);
    i64 limit; // in steps of an exponent
    if (i.op == Op::fcvt && f64) {
        halved(t, from.regs[0]);
        limit = zero - 126;
    } else if (product || quotient) {
        halved(t, from.regs[0]);
        halved(u, from.regs[1]);
        if (product)
            f64 ? a_.vpaddq(t, t, u) : a_.vpaddd(t, t, u);
        else
            f64 ? a_.vpsubq(t, t, u) : a_.vpsubd(t, t, u);
        const i64 lowest_bit = f64 ? -1074 + 104 : -149 + 46;
        limit = fused ? 2 * zero + lowest_bit + 2 : product ? zero + 1 : 2 - zero;
    } else {
        return;
    }
    jump_unless_above(t, f64, all, u64(limit * (i64{1} << unit)) - (quotient ? 0 : 1), to);
}

bool Lowering::flushing_compare(u32 n) {
    const IrInst& i = inst(n);
    if (!scalar(type(i.a))) return false;
    const bool d = type(i.a) == Type::f64, flags = i.op == Op::flags_fcmp;
    const bool quiet = flags ? i.sub == 0 : i.imm == 0;
    const bool exchanged = !flags && (FRel(i.sub) == FRel::lt || FRel(i.sub) == FRel::le);
    vec(i.a), vec(i.b);
    if (!room(1)) return false;
    const Xmm u = vec_temp();
    Operands o = keep_operands(n);
    Gp r = an_->value[n].uses ? def(n) : temp(), t = temp(); // or for its exceptions alone
    Label body = a_.newLabel(), back = a_.newLabel();
    const bool looked = check_operands(o, d, false, is_denormal, u, body);
    a_.emit(d ? (quiet ? X::kIdVucomisd : X::kIdVcomisd) : (quiet ? X::kIdVucomiss : X::kIdVcomiss), o.regs[exchanged],
            o.regs[!exchanged]);
    if (flags) {
        fcmp_flags(r, t, i.imm & ir::flags_invert_c);
    } else {
        constexpr CondCode holds[] = {CondCode::kE, CondCode::kA, CondCode::kAE, CondCode::kP}; // by FRel
        static_assert(u32(FRel::eq) == 0 && u32(FRel::lt) == 1 && u32(FRel::le) == 2 && u32(FRel::unordered) == 3);
        a_.set(holds[i.sub], r.r8());
        if (FRel(i.sub) == FRel::eq) a_.setnp(t.r8()), a_.and_(r.r8(), t.r8());
        a_.movzx(r.r32(), r.r8());
    }
    a_.bind(back);
    if (!looked) return true;
    redo_at(body, o, r, back);
    return true;
}

// What the host tells by a sentinel is invalid, which the body raises again.
bool Lowering::flushing_to_int(u32 n) {
    const IrInst& i = inst(n);
    const Round round = FpArg::from(i.imm).round;
    if (!scalar(type(i.a)) || (i.type != Type::i32 && i.type != Type::i64)) return false;
    if (round != Round::toward_zero && round != Round::dynamic) return false;
    const bool d = type(i.a) == Type::f64, cuts = round == Round::toward_zero, is_signed = i.op == Op::ftos;
    if (!is_signed && !f_.avx512vl) return false;
    constexpr u32 ids[2][2][2] = {{{X::kIdVcvtss2usi, X::kIdVcvttss2usi}, {X::kIdVcvtsd2usi, X::kIdVcvttsd2usi}},
                                  {{X::kIdVcvtss2si, X::kIdVcvttss2si}, {X::kIdVcvtsd2si, X::kIdVcvttsd2si}}};
    const Xmm t = vec_temp();
    Operands o = keep_operands(n);
    Gp r = def(n), x = i.type == Type::i64 ? r : Gp(r.r32());
    Label body = a_.newLabel(), back = a_.newLabel();
    check_operands(o, d, false, is_denormal, t, body);
    a_.emit(ids[is_signed][d][cuts], x, o.regs[0]);
    a_.cmp(x, is_signed ? 1 : -1);
    is_signed ? a_.jo(body) : a_.je(body);
    a_.bind(back);
    redo_at(body, o, r, back);
    return true;
}

// As fp_extreme.
bool Lowering::flushing_extreme(u32 n) {
    const IrInst& i = inst(n);
    if (!scalar(i.type) || ir::MinMax(i.sub) == ir::MinMax::x86) return false;
    const bool d = i.type == Type::f64, least = i.op == Op::fmin;
    constexpr u32 ids[2][2] = {{X::kIdVmaxss, X::kIdVmaxsd}, {X::kIdVminss, X::kIdVminsd}};
    vec(i.a), vec(i.b);
    if (!room(2)) return false;
    Operands o = keep_operands(n);
    Xmm r = vec_temp(), s = vec_temp(), out = vec_out(n, r);
    Label body = a_.newLabel(), back = a_.newLabel();
    check_operands(o, d, false, is_denormal | is_nan, s, body);
    a_.emit(ids[least][d], s, o.regs[1], o.regs[0]);
    a_.emit(ids[least][d], r, o.regs[0], o.regs[1]);
    a_.emit(least ? X::kIdVorps : X::kIdVandps, out, r, s);
    a_.bind(back);
    redo_at(body, o, out, back);
    return true;
}

bool Lowering::flushing_round(u32 n) {
    const IrInst& i = inst(n);
    const FpArg arg = FpArg::from(i.imm);
    if (!scalar(i.type) || arg.round == Round::nearest_away) return false;
    const bool d = i.type == Type::f64;
    const Xmm t = vec_temp();
    Operands o = keep_operands(n);
    Xmm out = vec_out(n, t);
    Label body = a_.newLabel(), back = a_.newLabel();
    check_operands(o, d, false, is_denormal | is_nan, t, body);
    v_round(out, o.regs[0], arg.round, d, arg.exact, {});
    a_.bind(back);
    redo_at(body, o, out, back);
    return true;
}

// As without flushing, behind a look at the operands. Behind that nothing may be moved to memory: the temporaries are had before.
bool Lowering::flushing_lanes(u32 n) {
    const IrInst& i = inst(n);
    if (!only_operands_flush(i, type(i.a), f_.avx512vl)) return false;
    Operands o;
    Type types[3] = {};
    const ValueId values[2] = {i.a, i.b};
    for (; o.count < ir::info(i.op).operands && o.count < 2 && values[o.count] != none; ++o.count)
        o.regs[o.count] = vec(values[o.count]), types[o.count] = type(values[o.count]);
    o.record = records_->operation(*unit_, i, types);
    const u32 locked = vec_locked_;
    const Xmm t = vec_temp();
    while (room(1)) vec_temp();
    vec_locked_ = locked;
    Label body = a_.newLabel(), back = a_.newLabel();
    const bool looked = check_operands(o, i.lane == Lane::f64, true, is_denormal, t, body);
    if (!vector_fp(n)) return failed_ = true;
    a_.bind(back);
    if (!looked) return true;
    redo_at(body, o, xmm(u32(place_[n].vec)), back);
    return true;
}

// Into a general register.
void Lowering::redo_body(const Operands& o, Gp out) {
    auto scratch = [&](u32 k) { return at_.header(u32(offsetof(ir::CpuHeader, scratch)) + 16 * k); };
    for (u32 k = 0; k < o.count; ++k) a_.vmovups(state(scratch(k), 16), o.regs[k]);
    call_keeping(o.record);
    a_.mov(out, state(scratch(first_result)));
}

} // namespace mimic::jit::x86
