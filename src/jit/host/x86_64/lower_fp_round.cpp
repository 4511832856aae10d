// Scalar floating point: to integral values and integers with a rounding mode of their own, minimum and maximum.
#include "jit/host/x86_64/backend.hpp"
#include "jit/host/x86_64/lower.hpp"
#include "softfloat/env.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::imm;
using IrInst = ir::Inst;
using ir::FpArg;
using ir::Round;

namespace {
namespace X = asmjit::x86::Inst;
} // namespace

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

} // namespace mimic::jit::x86
