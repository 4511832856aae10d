// Scalar floating point on the host's unit, exactly: MXCSR holds the guest's rounding mode and gathers the sticky
// flags. What the host does otherwise than the guest (which NaN, which integer for one out of range) happens in cold
// code. Operations with a static rounding mode other than the one at hand go to the interpreter's body.
#include "jit/host/x86_64/backend.hpp"
#include "jit/host/x86_64/lower.hpp"
#include "softfloat/env.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::imm;
using IrInst = ir::Inst;
using ir::FpArg;
using ir::FRel;
using ir::Round;

namespace {
namespace X = asmjit::x86::Inst;
bool scalar(Type t) { return t == Type::f32 || t == Type::f64; }
} // namespace

// The sticky flags: five in MXCSR, in another place each; what MXCSR has no bit for stays in memory. CpuHeader::fp.flags
// never holds one of the five that MXCSR lacks.
void Lowering::fp_flags(u32 n) {
    const IrInst& i = inst(n);
    Mem image = state(at_.header(offsetof(ir::CpuHeader, mxcsr)), 4);
    Mem others = state(at_.header(offsetof(ir::CpuHeader, fp) + offsetof(ir::FpEnv, flags)), 4);
    static_assert(softfloat::flag::divide_by_zero == 2 && softfloat::flag::inexact == 16);
    if (i.op == Op::fpflags) {
        Gp d = def(n), t = temp();
        f_.avx ? a_.vstmxcsr(image) : a_.stmxcsr(image);
        a_.mov(t.r32(), image);
        a_.mov(d.r32(), t.r32());
        a_.and_(d.r32(), 1);
        a_.shr(t.r32(), 1);
        a_.and_(t.r32(), 0x1e);
        a_.or_(d.r32(), t.r32());
        a_.or_(d.r32(), others);
        return;
    }
    Gp v = gpr(i.a), t = temp(), u = temp();
    a_.mov(others, v.r32());
    a_.mov(t.r32(), v.r32());
    a_.and_(t.r32(), 0x1e);
    a_.lea(t.r32(), ptr(0, t, 1));
    a_.mov(u.r32(), v.r32());
    a_.and_(u.r32(), 1);
    a_.or_(t.r32(), u.r32());
    f_.avx ? a_.vstmxcsr(image) : a_.stmxcsr(image);
    a_.mov(u.r32(), image);
    a_.and_(u.r32(), -64);
    a_.or_(u.r32(), t.r32());
    a_.mov(image, u.r32());
    f_.avx ? a_.vldmxcsr(image) : a_.ldmxcsr(image);
    use(i.a);
}

bool Lowering::fp(u32 n) {
    const IrInst& i = inst(n);
    if (i.op == Op::fpflags || i.op == Op::fpflags_set) {
        constexpr u32 in_mxcsr = softfloat::flag::ieee | softfloat::flag::denormal_used;
        return i.sub == 0 && (guest_.fp_flags & in_mxcsr) == softfloat::flag::ieee ? (fp_flags(n), true) : false;
    }
    Type t = i.type;
    bool d = t == Type::f64;
    if (i.op == Op::fbox || i.op == Op::funbox) {
        Type narrow = i.op == Op::fbox ? type(i.a) : t;
        if (narrow != Type::f32 || ir::size_of(i.op == Op::fbox ? t : type(i.a)) != 8) return false;
        Xmm a = vec(i.a);
        Mem ones = state(at_.host(offsetof(HostArea, box_f32)), 16);
        if (i.op == Op::fbox) {
            use(i.a);
            Xmm r = def_vec(n);
            if (f_.avx) {
                a_.vorps(r, a, ones);
            } else {
                if (r.id() != a.id()) a_.movaps(r, a);
                a_.orps(r, ones);
            }
            return true;
        }
        Label bad = a_.newLabel(), back = a_.newLabel();
        Gp high = temp();
        f_.avx ? a_.vpextrd(high.r32(), a, 1) : a_.pextrd(high.r32(), a, 1);
        use(i.a);
        Xmm r = def_vec(n);
        a_.inc(high.r32());
        if (r.id() != a.id()) f_.avx ? a_.vmovaps(r, a) : a_.movaps(r, a);
        a_.jnz(bad);
        a_.bind(back);
        cold(bad, [=, this] {
            Mem nan = state(at_.host(offsetof(HostArea, nan_f32)), 16);
            f_.avx ? a_.vmovaps(r, nan) : a_.movaps(r, nan);
            a_.jmp(back);
        });
        return true;
    }
    if (!scalar(t) && !(i.op == Op::ftos || i.op == Op::ftou)) return false;
    FpArg arg = FpArg::from(i.imm);
    switch (i.op) {
    case Op::fadd:
    case Op::fsub:
    case Op::fmul:
    case Op::fdiv:
    case Op::fsqrt:
        if (arg.round != Round::dynamic) return false;
        fp_binary(n);
        return true;
    case Op::fneg:
    case Op::fabs: {
        Xmm a = vec(i.a);
        use(i.a);
        Xmm r = def_vec(n);
        bool neg = i.op == Op::fneg;
        u32 at = d ? (neg ? offsetof(HostArea, sign_f64) : offsetof(HostArea, abs_f64))
                   : (neg ? offsetof(HostArea, sign_f32) : offsetof(HostArea, abs_f32));
        Mem mask = state(at_.host(i32(at)), 16);
        if (f_.avx) {
            neg ? a_.vxorps(r, a, mask) : a_.vandps(r, a, mask);
        } else {
            if (r.id() != a.id()) a_.movaps(r, a);
            neg ? a_.xorps(r, mask) : a_.andps(r, mask);
        }
        return true;
    }
    case Op::fcopysign: {
        Xmm a = vec(i.a), b = vec(i.b), s = vec_temp();
        Mem sign = state(at_.host(d ? offsetof(HostArea, sign_f64) : offsetof(HostArea, sign_f32)), 16);
        Mem rest = state(at_.host(d ? offsetof(HostArea, abs_f64) : offsetof(HostArea, abs_f32)), 16);
        if (f_.avx) {
            a_.vandps(s, b, sign);
        } else {
            a_.movaps(s, b);
            a_.andps(s, sign);
        }
        use(i.a);
        use(i.b);
        Xmm r = def_vec(n);
        if (f_.avx) {
            a_.vandps(r, a, rest);
            a_.vorps(r, r, s);
        } else {
            if (r.id() != a.id()) a_.movaps(r, a);
            a_.andps(r, rest);
            a_.orps(r, s);
        }
        return true;
    }
    case Op::fcvt: {
        Type from = type(i.a);
        bool exact = from == Type::f32 && d; // then the rounding mode says nothing
        if ((arg.round != Round::dynamic && !exact) || !scalar(from) || from == t) return false;
        Xmm a = vec(i.a), r = vec_temp();
        if (d)
            f_.avx ? a_.vcvtss2sd(r, a, a) : a_.cvtss2sd(r, a);
        else
            f_.avx ? a_.vcvtsd2ss(r, a, a) : a_.cvtsd2ss(r, a);
        fp_result(n, r);
        return true;
    }
    case Op::stof:
    case Op::utof: {
        Type from = type(i.a);
        bool exact = from == Type::i32 && d;
        if (from != Type::i32 && from != Type::i64) return false;
        if (arg.round != Round::dynamic && !exact) return static_stof(n);
        bool wide = from == Type::i64;
        if (i.op == Op::utof && wide && !f_.avx512vl) return false;
        Gp a = gpr(i.a);
        if (i.op == Op::utof && !wide) { // zero-extended it is a positive 64-bit integer
            Gp z = temp();
            a_.mov(z.r32(), a.r32());
            a = z;
            wide = true;
        }
        use(i.a);
        Xmm r = def_vec(n);
        // the conversion merges into the old register: break the dependency
        f_.avx ? a_.vxorps(r, r, r) : a_.xorps(r, r);
        if (i.op == Op::utof && from == Type::i64)
            d ? a_.vcvtusi2sd(r, r, a) : a_.vcvtusi2ss(r, r, a);
        else if (f_.avx)
            d ? a_.vcvtsi2sd(r, r, wide ? a : Gp(a.r32())) : a_.vcvtsi2ss(r, r, wide ? a : Gp(a.r32()));
        else
            d ? a_.cvtsi2sd(r, wide ? a : Gp(a.r32())) : a_.cvtsi2ss(r, wide ? a : Gp(a.r32()));
        return true;
    }
    case Op::ftos: return fp_to_int(n);
    case Op::ftou: return fp_to_int(n);
    case Op::fcmp: set_fp_condition(n); return true;
    case Op::fmin:
    case Op::fmax: fp_extreme(n); return true;
    case Op::fround: return fp_round(n);
    case Op::fma: {
        if (!f_.fma || arg.round != Round::dynamic) return false;
        Xmm a = vec(i.a), b = vec(i.b), c = vec(i.c);
        // r = a; r = +-(r * b) +- c
        Xmm r = vec_temp();
        a_.vmovaps(r, a);
        namespace X = asmjit::x86::Inst;
        u32 id = arg.neg_product ? (arg.neg_addend ? (d ? X::kIdVfnmsub213sd : X::kIdVfnmsub213ss)
                                                   : (d ? X::kIdVfnmadd213sd : X::kIdVfnmadd213ss))
                                 : (arg.neg_addend ? (d ? X::kIdVfmsub213sd : X::kIdVfmsub213ss)
                                                   : (d ? X::kIdVfmadd213sd : X::kIdVfmadd213ss));
        a_.emit(id, r, b, c);
        fp_result(n, r);
        return true;
    }
    default: return false;
    }
}

// From i64 with a rounding mode of its own: which one does not matter to what f64 holds exactly, up to 53 bits.
bool Lowering::static_stof(u32 n) {
    const IrInst& i = inst(n);
    if (i.op != Op::stof || type(i.a) != Type::i64 || i.type != Type::f64) return false;
    Gp a = gpr(i.a), t = temp();
    Type types[3] = {Type::i64};
    u32 record = records_->operation(*unit_, i, types);
    use(i.a);
    Xmm r = def_vec(n);
    Label large = a_.newLabel(), back = a_.newLabel();
    a_.mov(t, imm(i64(1) << 53));
    a_.add(t, a);
    a_.shr(t, 54);
    a_.jnz(large);
    f_.avx ? a_.vxorps(r, r, r) : a_.xorps(r, r);
    f_.avx ? a_.vcvtsi2sd(r, r, a) : a_.cvtsi2sd(r, a);
    a_.bind(back);
    cold(large, [=, this] {
        i32 scratch = at_.header(u32(offsetof(ir::CpuHeader, scratch)));
        a_.mov(state(scratch, 8), a);
        call_keeping(record);
        Mem m = state(scratch + 16 * i32(first_result), 16);
        f_.avx ? a_.vmovups(r, m) : a_.movdqu(r, m);
        a_.jmp(back);
    });
    return true;
}

// The result is in temporary r. What guest and host do differently with NaNs is put right in cold code; then the
// operands' uses are over.
void Lowering::fp_result(u32 n, Xmm r) {
    const IrInst& i = inst(n);
    bool d = (i.op == Op::fcvt ? i.type : type(n)) == Type::f64;
    u32 count = ir::info(i.op).operands;
    ValueId operands[3] = {i.a, i.b, i.c};
    Xmm regs[3];
    Type types[3] = {};
    for (u32 k = 0; k < count; ++k) regs[k] = vec(operands[k]), types[k] = type(operands[k]);
    for (u32 k = 0; k < count; ++k) use(operands[k]);
    // The slot's own register, or where the result is already.
    i32 slot = an_->value[n].target;
    bool direct = slot >= 0 && plan_.vec[u32(slot)] >= 0 && !vec_count_[plan_.vec[u32(slot)]];
    activate(n);
    set_vec(n, direct ? plan_.vec[u32(slot)] : i8(r.id()));
    Xmm to = xmm(u32(place_[n].vec));
    auto move = [&] {
        if (to.id() != r.id()) f_.avx ? a_.vmovaps(to, r) : a_.movaps(to, r);
    };
    if (nan_rules_ == NanRules::host && i.op != Op::fma) return move(); // of three NaNs another might win
    Label bad = a_.newLabel(), back = a_.newLabel();
    if (d)
        f_.avx ? a_.vucomisd(r, r) : a_.ucomisd(r, r);
    else
        f_.avx ? a_.vucomiss(r, r) : a_.ucomiss(r, r);
    a_.jp(bad);
    move();
    a_.bind(back);
    if (nan_rules_ == NanRules::canonical)
        return cold(bad, [=, this] {
            Mem nan = state(at_.host(d ? offsetof(HostArea, nan_f64) : offsetof(HostArea, nan_f32)), 16);
            f_.avx ? a_.vmovaps(to, nan) : a_.movaps(to, nan);
            a_.jmp(back);
        });
    u32 record = records_->operation(*unit_, i, types);
    cold(bad, [=, this] {
        for (u32 k = 0; k < count; ++k) {
            Mem m = state(at_.header(u32(offsetof(ir::CpuHeader, scratch)) + 16 * k), 16);
            f_.avx ? a_.vmovups(m, regs[k]) : a_.movdqu(m, regs[k]);
        }
        call_keeping(record);
        Mem m = state(at_.header(u32(offsetof(ir::CpuHeader, scratch)) + 16 * first_result), 16);
        f_.avx ? a_.vmovups(to, m) : a_.movdqu(to, m);
        a_.jmp(back);
    });
}

void Lowering::fp_binary(u32 n) {
    const IrInst& i = inst(n);
    bool d = i.type == Type::f64;
    namespace X = asmjit::x86::Inst;
    u32 avx = 0, sse = 0;
    switch (i.op) {
    case Op::fadd: avx = d ? X::kIdVaddsd : X::kIdVaddss, sse = d ? X::kIdAddsd : X::kIdAddss; break;
    case Op::fsub: avx = d ? X::kIdVsubsd : X::kIdVsubss, sse = d ? X::kIdSubsd : X::kIdSubss; break;
    case Op::fmul: avx = d ? X::kIdVmulsd : X::kIdVmulss, sse = d ? X::kIdMulsd : X::kIdMulss; break;
    case Op::fdiv: avx = d ? X::kIdVdivsd : X::kIdVdivss, sse = d ? X::kIdDivsd : X::kIdDivss; break;
    default: avx = d ? X::kIdVsqrtsd : X::kIdVsqrtss, sse = d ? X::kIdSqrtsd : X::kIdSqrtss; break;
    }
    bool unary = i.op == Op::fsqrt;
    Xmm a = vec(i.a);
    asmjit::Operand b = unary ? asmjit::Operand(a) : vec_rm(i.b);
    if (f_.avx && nan_rules_ != NanRules::guest) {
        // straight into the result's register: what puts a NaN right needs no operands
        use(i.a);
        if (!unary) use(i.b);
        Xmm r = def_vec(n);
        a_.emit(avx, r, a, b);
        if (nan_rules_ == NanRules::host) return;
        Label bad = a_.newLabel(), back = a_.newLabel();
        d ? a_.vucomisd(r, r) : a_.vucomiss(r, r);
        a_.jp(bad);
        a_.bind(back);
        Mem nan = state(at_.host(d ? offsetof(HostArea, nan_f64) : offsetof(HostArea, nan_f32)), 16);
        cold(bad, [=, this] {
            a_.vmovaps(r, nan);
            a_.jmp(back);
        });
        return;
    }
    Xmm r = vec_temp();
    if (f_.avx) {
        a_.emit(avx, r, a, b);
    } else {
        a_.movaps(r, a);
        a_.emit(sse, r, b);
    }
    fp_result(n, r);
}

// To an integer. The host gives a sentinel for what has no integer, which leads to the guest's rules in cold code; its
// flags are right: invalid alone for those, inexact for the others.
bool Lowering::fp_to_int(u32 n) {
    const IrInst& i = inst(n);
    FpArg arg = FpArg::from(i.imm);
    Type from = type(i.a), t = i.type;
    if (!scalar(from) || (t != Type::i32 && t != Type::i64)) return false;
    bool is_signed = i.op == Op::ftos;
    const bool hosts = arg.round == Round::toward_zero || arg.round == Round::dynamic;
    if (!hosts || (!is_signed && !f_.avx512vl)) return fp_round_to_int(n);
    bool d = from == Type::f64, truncate = arg.round == Round::toward_zero, wide = t == Type::i64;
    Xmm a = vec(i.a);
    use(i.a);
    Gp r = def(n);
    Gp x = wide ? r : Gp(r.r32());
    namespace X = asmjit::x86::Inst;
    u32 id;
    if (!is_signed)
        id = d ? (truncate ? X::kIdVcvttsd2usi : X::kIdVcvtsd2usi) : (truncate ? X::kIdVcvttss2usi : X::kIdVcvtss2usi);
    else if (d)
        id = truncate ? (f_.avx ? X::kIdVcvttsd2si : X::kIdCvttsd2si) : (f_.avx ? X::kIdVcvtsd2si : X::kIdCvtsd2si);
    else
        id = truncate ? (f_.avx ? X::kIdVcvttss2si : X::kIdCvttss2si) : (f_.avx ? X::kIdVcvtss2si : X::kIdCvtss2si);
    a_.emit(id, x, a);
    if (nan_rules_ == NanRules::host) return true;
    Label odd = a_.newLabel(), back = a_.newLabel();
    a_.cmp(x, is_signed ? 1 : -1);
    is_signed ? a_.jo(odd) : a_.je(odd);
    a_.bind(back);
    softfloat::IntResult nan = guest_.fp->to_int.nan;
    cold(odd, [=, this] {
        Mem zero = state(at_.host(offsetof(HostArea, zero)), d ? 8 : 4);
        if (d)
            f_.avx ? a_.vucomisd(a, zero) : a_.ucomisd(a, zero);
        else
            f_.avx ? a_.vucomiss(a, zero) : a_.ucomiss(a, zero);
        Label is_nan = a_.newLabel();
        a_.jp(is_nan);
        if (is_signed) { // the sentinel is the least integer: right for negative operands
            a_.jb(back);
            wide ? a_.mov(x, imm(INT64_MAX)) : a_.mov(x, imm(INT32_MAX));
            a_.jmp(back);
        } else { // the sentinel is the greatest one: right for positive operands
            a_.ja(back);
            a_.xor_(r.r32(), r.r32());
            a_.jmp(back);
        }
        a_.bind(is_nan);
        u64 greatest = is_signed ? (wide ? u64(INT64_MAX) : u64(INT32_MAX)) : (wide ? ~u64{0} : 0xffffffff);
        u64 least = is_signed ? (wide ? u64(1) << 63 : 0x80000000) : 0;
        bool max = nan == softfloat::IntResult::maximum || nan == softfloat::IntResult::saturate;
        load_const(r, nan == softfloat::IntResult::zero ? 0 : max ? greatest : least);
        a_.jmp(back);
    });
    return true;
}

// r = a rounded to an integral value; `raise`: inexact. A tie goes away from zero by half of what is cut off; numbers
// without a fraction, infinities and NaNs have no place there: those go `beyond`.
void Lowering::v_round(Xmm r, Xmm a, Round round, bool d, bool raise, Label beyond) {
    constexpr u32 modes[8] = {0, 3, 1, 2, 3, 4, 4, 4}; // Intel SDM vol. 2, ROUNDSD; 4: MXCSR's
    const u32 mode = modes[u32(round)] | (raise ? 0 : 8);
    const bool away = round == Round::nearest_away;
    auto lane = [&](u64 f64, u32 f32) { return words(d ? f64 : f32, 0); };
    Xmm t = away ? vec_temp() : r, u = away ? vec_temp() : r;
    const Pair compare = d ? Pair{X::kIdUcomisd, X::kIdVucomisd} : Pair{X::kIdUcomiss, X::kIdVucomiss};
    if (away) {
        v_op({X::kIdAndps, X::kIdVandps}, t, a, lane(~u64{0} >> 1, ~0u >> 1));
        v_move(u, lane(0x4330000000000000, 0x4b000000)); // 2^52, 2^23
        v_one(compare, u, t);
        a_.jbe(beyond);
    }
    if (f_.avx512vl)
        a_.emit(d ? X::kIdVrndscalesd : X::kIdVrndscaless, r, a, a, imm(mode));
    else if (f_.avx)
        a_.emit(d ? X::kIdVroundsd : X::kIdVroundss, r, a, a, imm(mode));
    else
        a_.emit(d ? X::kIdRoundsd : X::kIdRoundss, r, a, imm(mode));
    if (!away) return;
    const Pair sub = d ? Pair{X::kIdSubsd, X::kIdVsubsd} : Pair{X::kIdSubss, X::kIdVsubss};
    const Pair add = d ? Pair{X::kIdAddsd, X::kIdVaddsd} : Pair{X::kIdAddss, X::kIdVaddss};
    const Pair less = d ? Pair{X::kIdCmpsd, X::kIdVcmpsd} : Pair{X::kIdCmpss, X::kIdVcmpss};
    const Mem sign = lane(u64{1} << 63, 1u << 31);
    v_op(sub, t, a, r); // exact, as the sum below is
    v_op({X::kIdAndps, X::kIdVandps}, t, t, lane(~u64{0} >> 1, ~0u >> 1));
    constexpr u32 not_less = 5;
    v_move(u, lane(0x3fe0000000000000, 0x3f000000));
    v_op(less, t, t, u, not_less);
    v_op({X::kIdAndps, X::kIdVandps}, t, t, lane(0x3ff0000000000000, 0x3f800000));
    v_op({X::kIdAndps, X::kIdVandps}, u, a, sign);
    v_op({X::kIdOrps, X::kIdVorps}, t, t, u);
    v_op(add, r, r, t);
}

bool Lowering::fp_round(u32 n) {
    const IrInst& i = inst(n);
    const FpArg arg = FpArg::from(i.imm);
    const bool d = i.type == Type::f64, away = arg.round == Round::nearest_away;
    if (away && arg.exact) return false;
    Xmm a = vec(i.a), r = vec_temp();
    if (!away) {
        v_round(r, a, arg.round, d, arg.exact, {});
        fp_result(n, r);
        return true;
    }
    Operands o = keep_operands(n);
    Xmm out = vec_out(n, r);
    Label back = a_.newLabel();
    if (!room(2)) return void(failed_ = true), true;
    v_round(r, a, arg.round, d, false, redo(o, out, back));
    v_move(out, r);
    a_.bind(back);
    return true;
}

// By rounding first. A number out of range is invalid and not inexact: inexact is raised when the range is known. What is
// out of range, the interpreter's body does.
bool Lowering::fp_round_to_int(u32 n) {
    const IrInst& i = inst(n);
    const FpArg arg = FpArg::from(i.imm);
    const bool d = type(i.a) == Type::f64, wide = i.type == Type::i64, is_signed = i.op == Op::ftos;
    if (wide && !is_signed && !f_.avx512vl) return false;
    Xmm a = vec(i.a), r = vec_temp();
    if (!room(2)) return false;
    Gp check = temp();
    Operands o = keep_operands(n);
    Gp out = def(n);
    Label beyond = a_.newLabel(), back = a_.newLabel();
    cold(beyond, [=, this] {
        auto scratch = [&](u32 k) { return at_.header(u32(offsetof(ir::CpuHeader, scratch)) + 16 * k); };
        a_.emit(f_.avx ? X::kIdVmovups : X::kIdMovups, state(scratch(0), 16), a);
        call_keeping(o.record);
        a_.mov(out, state(scratch(first_result)));
        a_.jmp(back);
    });
    v_round(r, a, arg.round, d, false, beyond);
    if (wide && !is_signed) {
        a_.emit(d ? X::kIdVcvttsd2usi : X::kIdVcvttss2usi, out, r);
        a_.cmp(out, -1);
        a_.je(beyond);
    } else {
        a_.emit(d ? (f_.avx ? X::kIdVcvttsd2si : X::kIdCvttsd2si) : (f_.avx ? X::kIdVcvttss2si : X::kIdCvttss2si), out,
                r);
        if (wide) {
            a_.cmp(out, 1);
            a_.jo(beyond);
        } else {
            is_signed ? a_.movsxd(check, out.r32()) : a_.mov(check.r32(), out.r32());
            a_.cmp(check, out);
            a_.jne(beyond);
        }
    }
    const Round cut = arg.round == Round::nearest_away ? Round::toward_zero : arg.round; // as inexact as the other
    v_round(r, a, cut, d, true, {});
    a_.bind(back);
    return true;
}

// Zeros of two signs: both orders, joined. NaNs are not for the host.
void Lowering::fp_extreme(u32 n) {
    const IrInst& i = inst(n);
    const bool d = i.type == Type::f64, least = i.op == Op::fmin;
    constexpr Pair table[2][2] = {{{X::kIdMaxss, X::kIdVmaxss}, {X::kIdMaxsd, X::kIdVmaxsd}},
                                  {{X::kIdMinss, X::kIdVminss}, {X::kIdMinsd, X::kIdVminsd}}};
    const Pair op = table[least][d];
    Xmm a = vec(i.a), b = vec(i.b), r = vec_temp(), s = vec_temp();
    Operands o = keep_operands(n);
    Xmm out = vec_out(n, r);
    if (ir::MinMax(i.sub) == ir::MinMax::x86) return v_op(op, out, a, b);
    Label back = a_.newLabel();
    v_one(d ? Pair{X::kIdUcomisd, X::kIdVucomisd} : Pair{X::kIdUcomiss, X::kIdVucomiss}, a, b);
    a_.jp(redo(o, out, back));
    v_op(op, s, b, a);
    v_op(op, r, a, b);
    v_op(least ? Pair{X::kIdOrps, X::kIdVorps} : Pair{X::kIdAndps, X::kIdVandps}, out, r, s);
    a_.bind(back);
}

// ---- comparisons

// lt and le are taken with exchanged operands, so that "above" is false when unordered.
CondCode Lowering::fp_condition(ValueId v) {
    const IrInst& i = inst(v);
    bool d = i.type == Type::f64, quiet = i.imm == 0;
    FRel rel = FRel(i.sub);
    bool swap = rel == FRel::lt || rel == FRel::le;
    ValueId x = swap ? i.b : i.a, y = swap ? i.a : i.b;
    Xmm a = vec(x);
    asmjit::Operand b = x == y ? asmjit::Operand(a) : vec_rm(y);
    namespace X = asmjit::x86::Inst;
    u32 id = d ? (quiet ? (f_.avx ? X::kIdVucomisd : X::kIdUcomisd) : (f_.avx ? X::kIdVcomisd : X::kIdComisd))
               : (quiet ? (f_.avx ? X::kIdVucomiss : X::kIdUcomiss) : (f_.avx ? X::kIdVcomiss : X::kIdComiss));
    a_.emit(id, a, b);
    use(i.a);
    use(i.b);
    switch (rel) {
    case FRel::lt: return CondCode::kA;
    case FRel::le: return CondCode::kAE;
    case FRel::unordered: return CondCode::kP;
    default: return CondCode::kE; // and not parity: the caller looks
    }
}

void Lowering::set_fp_condition(u32 n) {
    const IrInst& i = inst(n);
    bool equal = FRel(i.sub) == FRel::eq;
    CondCode c = fp_condition(n);
    Gp r = def(n);
    a_.set(c, r.r8());
    if (equal) {
        Gp p = temp();
        a_.setnp(p.r8());
        a_.and_(r.r8(), p.r8());
    }
    a_.movzx(r.r32(), r.r8());
}

} // namespace mimic::jit::x86
