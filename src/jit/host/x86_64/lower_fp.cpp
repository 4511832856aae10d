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
using ir::VBin;

namespace {
namespace X = asmjit::x86::Inst;
bool scalar(Type t) { return t == Type::f32 || t == Type::f64; }
} // namespace

bool Lowering::fp(u32 n) {
    const IrInst& i = inst(n);
    if (i.op == Op::fpmode_set) return i.sub == 0 ? fp_mode(n), true : false;
    if (i.op == Op::fpflags || i.op == Op::fpflags_set) {
        constexpr u32 in_mxcsr = softfloat::flag::ieee | softfloat::flag::denormal_used;
        if ((guest_.fp_flags & in_mxcsr) != softfloat::flag::ieee) return false;
        if (i.sub == 2) return reversed_fp_flags(n), true;
        return i.sub == 0 ? (fp_flags(n), true) : false;
    }
    Type t = i.type;
    bool d = t == Type::f64;
    if (i.op == Op::fbox || i.op == Op::funbox) {
        Type narrow = i.op == Op::fbox ? type(i.a) : t;
        if (narrow != Type::f32 || ir::size_of(i.op == Op::fbox ? t : type(i.a)) != 8) return false;
        i.op == Op::fbox ? box(n) : unbox(n);
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
    case Op::fma:
    case Op::fcvt: return arithmetic(n, arg);
    case Op::fneg:
    case Op::fabs: {
        Xmm a = vec(i.a);
        use(i.a);
        const Known known = known_[a.id()];
        Xmm r = def_vec(n);
        bool neg = i.op == Op::fneg;
        known_[r.id()] = {.clear = std::max<u8>(neg ? known.clear : 0, d ? 64 : 32), .boxed = neg && !d && known.boxed};
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
        known_[r.id()] = {.clear = u8(d ? 64 : 32)};
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
        known_[r.id()] = {.clear = u8(d ? 64 : 32)};
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

// Into the slot of a wider format. A result that stands in the slot's register already gets its ones when somebody could
// miss them.
void Lowering::box(u32 n) {
    const IrInst& i = inst(n);
    Xmm a = vec(i.a);
    const u32 r = a.id();
    const i32 slot = an_->value[n].target;
    const bool there = slot >= 0 && plan_.vec[u32(slot)] == i8(r) && vec_count_[r] == 1;
    if (there || known_[r].boxed) {
        if (!known_[r].boxed) bare_ |= bit(r);
        activate(n);
        set_vec(n, i32(r));
        return use(i.a);
    }
    if (owed_ >> r & 1) settle_nans();
    use(i.a);
    Xmm to = def_vec(n);
    v_op({X::kIdOrps, X::kIdVorps}, to, a, state(at_.host(offsetof(HostArea, box_f32)), 16));
    known_[to.id()].boxed = true;
}

// Without its box a number is the canonical NaN.
void Lowering::unbox(u32 n) {
    const IrInst& i = inst(n);
    Xmm a = vec(i.a);
    if (known_[a.id()].boxed) {
        activate(n);
        set_vec(n, i32(a.id()));
        return use(i.a);
    }
    if (a.id() >= vec_temps(f_)) asked_ |= bit(a.id());
    Gp bits = temp();
    use(i.a);
    Xmm r = def_vec(n);
    known_[r.id()].boxed = true;
    Label bad = a_.newLabel(), back = a_.newLabel();
    f_.avx ? a_.vmovq(bits, a) : a_.movq(bits, a);
    v_move(r, a);
    a_.cmp(bits, state(at_.host(offsetof(HostArea, box_f32)), 8)); // ones above zeros: the least that is boxed
    a_.jb(bad);
    a_.bind(back);
    const Mem nan = words(0xffffffff7fc00000, 0);
    cold(bad, [=, this] {
        v_move(r, nan);
        a_.jmp(back);
    });
}

// Into a vector, with zeros above. What stands in the slot's register, or waits for it in a temporary, stays there.
void Lowering::widen_scalar(u32 n) {
    const ValueId v = inst(n).a;
    const u32 width = type(v) == Type::f64 ? 64 : 32;
    Xmm a = vec(v);
    const u32 r = a.id();
    const i32 slot = an_->value[n].target;
    const bool late = r < vec_temps(f_) && may_be_late(n);
    const bool there = ((slot >= 0 && plan_.vec[u32(slot)] == i8(r)) || late) && inst(n).type == Type::v128;
    const bool clear = known_[r].clear <= width;
    auto zeros_above = [&](Xmm to) {
        if (width == 64)
            f_.avx ? a_.vmovq(to, a) : a_.movq(to, a);
        else
            f_.avx ? a_.vinsertps(to, a, a, 0x0e) : a_.insertps(to, a, 0x0e);
        known_[to.id()] = {.clear = u8(width)};
    };
    if (there && (clear || vec_count_[r] == 1)) {
        if (!clear && (in_kept_ >> r & 1)) settle(); // what is read there, in case it is computed again
        if (!clear) zeros_above(a);
        activate(n);
        set_vec(n, i32(r));
        return use(v);
    }
    if (owes(v)) settle();
    use(v);
    zeros_above(def_vec(n));
}

// What gives a NaN to whoever looks. `emit` puts the result into a register, which may be an operand's, and tells what is
// known of the bits above it.
template <class Emit>
void Lowering::fp_result(u32 n, Emit&& emit) {
    const IrInst& i = inst(n);
    const bool lanes = i.type == Type::v128, f64 = lanes ? i.lane == ir::Lane::f64 : i.type == Type::f64;
    // Of three NaNs another might win; with a NaN added to infinity times zero, the flags differ.
    const bool watched = nan_rules_ != NanRules::host || i.op == Op::fma || i.op == Op::vtern;
    const bool keeps = watched && (nan_rules_ != NanRules::canonical || i.op == Op::fma || lanes);
    if (watched)
        begin_group(!lanes ? 1 : f64 ? 2 : 4);
    else if (owed_sources(n))
        settle_nans(); // nobody would compute this again
    if (keeps) keep(n);
    const u32 sources = owed_sources(n);
    const ValueId operands[3] = {i.a, i.b, i.c};
    for (u32 k = 0; k < ir::info(i.op).operands && operands[k] != none; ++k) use(operands[k]);
    consumed_ = sources;
    pending_ = keeps;
    Xmm r = def_vec(n);
    pending_ = false;
    consumed_ = 0;
    known_[r.id()] = emit(r);
    if (i.type == Type::f64) known_[r.id()].clear = std::max<u8>(known_[r.id()].clear, 64); // an operand may be shorter
    if (i.type != Type::f32) known_[r.id()].boxed = false; // a box that was read as a NaN: another NaN may replace it
    if (keeps) kept_.back().reg = i8(r.id());
    if (watched) owe(n, r.id(), sources);
    if (keeps && rounds_late(n)) lanes ? join_smallest(r, f64) : check_smallest(r, f64);
}

// May result n be tiny before it is rounded and not behind that, where the guest looks at it before (IEEE 754-2008, 7.5) and
// the host behind? Sums that small are exact.
bool Lowering::rounds_late(u32 n) const {
    const IrInst& i = inst(n);
    const bool narrows = (i.op == Op::fcvt && i.type == Type::f32) || i.op == Op::vnarrow;
    const bool lanes =
        (i.op == Op::vbin && (VBin(i.sub) == VBin::fmul || VBin(i.sub) == VBin::fdiv)) || i.op == Op::vtern;
    return nan_rules_ == NanRules::guest && guest_.fp->tininess_before_rounding &&
           (i.op == Op::fmul || i.op == Op::fdiv || i.op == Op::fma || narrows || lanes);
}

// Such a result is the least normal number: the operation again, by the interpreter's body, which tells. In line the exponent is
// looked at, which is that small for few but zero. (Joined in the mask as those of lanes are, matmul takes a third more.)
void Lowering::check_smallest(Xmm r, bool f64) {
    Gp bits = temp();
    Label round = a_.newLabel(), back = a_.newLabel();
    if (f64) {
        f_.avx ? a_.vmovq(bits, r) : a_.movq(bits, r);
        a_.test(state(at_.host(offsetof(HostArea, exponents_f64)), 8), bits);
    } else {
        f_.avx ? a_.vmovd(bits.r32(), r) : a_.movd(bits.r32(), r);
        a_.test(bits.r32(), 0x7f00'0000); // but the last bit
    }
    a_.jz(round);
    a_.bind(back);
    Mem least = words(2 * smallest_f64, 0);
    least.setSize(8);
    cold(round, [=, this, kept = last_kept()] {
        f64 ? a_.add(bits, bits) : a_.add(bits.r32(), bits.r32());
        f64 ? a_.cmp(bits, least) : a_.cmp(bits.r32(), u32(2 * smallest_f32));
        a_.jne(back);
        redo(kept);
        a_.jmp(back);
    });
}

bool Lowering::arithmetic(u32 n, FpArg arg) {
    const IrInst& i = inst(n);
    const Type from = type(i.a);
    const bool exact = i.op == Op::fcvt && from == Type::f32 && i.type == Type::f64; // the rounding mode says nothing
    if (arg.round != Round::dynamic && !exact) return false;
    if (i.op == Op::fma) return f_.fma ? fused(n, arg), true : false;
    if (i.op != Op::fcvt) return fp_binary(n), true;
    return scalar(from) && from != i.type ? fp_convert(n), true : false;
}

// The bits above the result are the first operand's: of two that commute, rather the one whose are known. Where zeros are
// wanted and no operand has them, the operation on vectors clears every lane but the first, which alone raises flags.
void Lowering::fp_binary(u32 n) {
    const IrInst& i = inst(n);
    const bool d = i.type == Type::f64;
    constexpr Pair table[5][2] = {{{X::kIdAddss, X::kIdVaddss}, {X::kIdAddsd, X::kIdVaddsd}},
                                  {{X::kIdSubss, X::kIdVsubss}, {X::kIdSubsd, X::kIdVsubsd}},
                                  {{X::kIdMulss, X::kIdVmulss}, {X::kIdMulsd, X::kIdVmulsd}},
                                  {{X::kIdDivss, X::kIdVdivss}, {X::kIdDivsd, X::kIdVdivsd}},
                                  {{X::kIdSqrtss, X::kIdVsqrtss}, {X::kIdSqrtsd, X::kIdVsqrtsd}}};
    const Pair op = table[u32(i.op) - u32(Op::fadd)][d];
    const bool unary = i.op == Op::fsqrt, keeps = nan_rules_ == NanRules::guest;
    Xmm a = vec(i.a);
    asmjit::Operand b = unary ? asmjit::Operand(a) : keeps ? asmjit::Operand(vec(i.b)) : vec_rm(i.b);
    if ((i.op == Op::fadd || i.op == Op::fmul) && nan_rules_ != NanRules::host && b.isReg()) {
        const Known x = known_[a.id()], y = known_[b.id()];
        if (nan_rules_ == NanRules::canonical ? y.boxed > x.boxed : y.clear < x.clear) {
            const Xmm first = b.as<Xmm>();
            b = a, a = first;
        }
    }
    const Known above = known_[a.id()];
    if (keeps && clears(n, above)) {
        constexpr u32 packed[5][2] = {{X::kIdVaddps, X::kIdVaddpd},
                                      {X::kIdVsubps, X::kIdVsubpd},
                                      {X::kIdVmulps, X::kIdVmulpd},
                                      {X::kIdVdivps, X::kIdVdivpd},
                                      {X::kIdVsqrtps, X::kIdVsqrtpd}};
        return fp_result(n, [&](Xmm r) -> Known {
            const u32 id = packed[u32(i.op) - u32(Op::fadd)][d];
            a_.k(first_lane).z();
            unary ? a_.emit(id, r, a) : a_.emit(id, r, a, b);
            return {.clear = u8(d ? 64 : 32)};
        });
    }
    fp_result(n, [&](Xmm r) {
        v_op(op, r, a, b);
        return above;
    });
}

// Does result n go into a vector whose lanes above want zeros, which `above` does not have?
bool Lowering::clears(u32 n, Known above) const {
    const i32 slot = an_->value[n].target;
    return f_.avx512vl && slot >= 0 && guest_.slots[u32(slot)].type == Type::v128 &&
           above.clear > (inst(n).type == Type::f64 ? 64 : 32);
}

void Lowering::lanes_result(u32 n, Pair op, Xmm a, Xmm b) {
    fp_result(n, [&](Xmm r) -> Known {
        v_op(op, r, a, b);
        return {};
    });
}

// r = a * b + c in whatever form needs no copy, of scalars or of all lanes.
void Lowering::fused(u32 n, FpArg arg) {
    const IrInst& i = inst(n);
    const bool wide = i.type == Type::v128, d = wide ? i.lane == ir::Lane::f64 : i.type == Type::f64;
    Xmm a = vec(i.a), b = vec(i.b), c = vec(i.c);
    Known of_a = known_[a.id()], of_b = known_[b.id()], of_c = known_[c.id()];
    if (wide) of_a = of_b = of_c = {};
    constexpr u32 table[2][2][2][2] = {
        {{{X::kIdVfmadd213ss, X::kIdVfmadd213sd}, {X::kIdVfmsub213ss, X::kIdVfmsub213sd}},
         {{X::kIdVfnmadd213ss, X::kIdVfnmadd213sd}, {X::kIdVfnmsub213ss, X::kIdVfnmsub213sd}}},
        {{{X::kIdVfmadd231ss, X::kIdVfmadd231sd}, {X::kIdVfmsub231ss, X::kIdVfmsub231sd}},
         {{X::kIdVfnmadd231ss, X::kIdVfnmadd231sd}, {X::kIdVfnmsub231ss, X::kIdVfnmsub231sd}}}};
    constexpr u32 packed[2][2][2][2] = {
        {{{X::kIdVfmadd213ps, X::kIdVfmadd213pd}, {X::kIdVfmsub213ps, X::kIdVfmsub213pd}},
         {{X::kIdVfnmadd213ps, X::kIdVfnmadd213pd}, {X::kIdVfnmsub213ps, X::kIdVfnmsub213pd}}},
        {{{X::kIdVfmadd231ps, X::kIdVfmadd231pd}, {X::kIdVfmsub231ps, X::kIdVfmsub231pd}},
         {{X::kIdVfnmadd231ps, X::kIdVfnmadd231pd}, {X::kIdVfnmsub231ps, X::kIdVfnmsub231pd}}}};
    const bool zeros = !wide && nan_rules_ == NanRules::guest && clears(n, {});
    fp_result(n, [&](Xmm r) {
        auto emit = [&](bool onto_addend, Xmm x, Xmm y) {
            if (zeros) a_.k(first_lane).z();
            a_.emit((zeros || wide ? packed : table)[onto_addend][arg.neg_product][arg.neg_addend][d], r, x, y);
            if (zeros) of_a.clear = of_b.clear = of_c.clear = d ? 64 : 32;
        };
        if (r.id() == a.id() && r.id() != c.id()) return emit(false, b, c), of_a;
        if (r.id() == b.id() && r.id() != c.id()) return emit(false, a, c), of_b;
        if (r.id() == c.id() && r.id() != a.id() && r.id() != b.id()) return emit(true, a, b), of_c;
        if (r.id() == c.id()) { // and a factor's
            const bool both = a.id() == b.id();
            emit(false, both ? c : r.id() == a.id() ? b : a, c);
            return of_c;
        }
        if (of_c.clear < of_a.clear || of_c.boxed > of_a.boxed) {
            a_.vmovaps(r, c);
            return emit(true, a, b), of_c;
        }
        a_.vmovaps(r, a);
        return emit(false, b, c), of_a;
    });
}

void Lowering::fp_convert(u32 n) {
    const bool widens = inst(n).type == Type::f64;
    Xmm a = vec(inst(n).a);
    const Known above = known_[a.id()];
    const bool packed = !widens && f_.avx && above.clear <= 64 && nan_rules_ == NanRules::guest;
    fp_result(n, [&](Xmm r) -> Known {
        if (packed) { // a zero above is a zero: the rest becomes zero, too
            a_.vcvtpd2ps(r, a);
            return {.clear = 32};
        }
        const Pair op = widens ? Pair{X::kIdCvtss2sd, X::kIdVcvtss2sd} : Pair{X::kIdCvtsd2ss, X::kIdVcvtsd2ss};
        f_.avx ? v_op(op, r, a, a) : v_one(op, r, a);
        return {.clear = u8(!f_.avx || above.clear == 128 || !widens ? 128 : 64)};
    });
}

bool Lowering::fp_round(u32 n) {
    const IrInst& i = inst(n);
    const FpArg arg = FpArg::from(i.imm);
    const bool d = i.type == Type::f64, away = arg.round == Round::nearest_away;
    if (away && arg.exact) return false;
    Xmm a = vec(i.a);
    if (!away) {
        const Known above = f_.avx ? known_[a.id()] : Known{};
        fp_result(n, [&](Xmm r) {
            v_round(r, a, arg.round, d, arg.exact, {});
            return above;
        });
        return true;
    }
    if (owing()) settle();
    Xmm r = vec_temp();
    Operands o = keep_operands(n);
    Xmm out = vec_out(n, r);
    Label back = a_.newLabel();
    if (!room(2)) return void(failed_ = true), true;
    v_round(r, a, arg.round, d, false, redo(o, out, back));
    v_move(out, r);
    a_.bind(back);
    return true;
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

// ---- comparisons

// lt and le are taken with exchanged operands, so that "above" is false when unordered.
CondCode Lowering::fp_condition(ValueId v) {
    const IrInst& i = inst(v);
    bool d = i.type == Type::f64, quiet = i.imm == 0;
    FRel rel = FRel(i.sub);
    bool swap = rel == FRel::lt || rel == FRel::le;
    ValueId x = swap ? i.b : i.a, y = swap ? i.a : i.b;
    Xmm a = vec(x);
    const bool raises = !silent(v); // otherwise with all exceptions suppressed, which only registers can be
    asmjit::Operand b = x == y ? asmjit::Operand(a) : raises ? vec_rm(y) : asmjit::Operand(vec(y));
    namespace X = asmjit::x86::Inst;
    if (!raises) a_.sae();
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
