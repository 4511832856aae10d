// AES rounds, carry-less products and SHA-256 by the host's own instructions, where it has them. The host's AES rounds end
// with a key, which is zero here. SHA has no VEX or EVEX form: it reaches xmm0 to xmm15, and the words of two rounds stand
// in xmm0.
#include "jit/host/x86_64/lower.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::Operand;
using IrInst = ir::Inst;
using ir::VBin;
using ir::VTern;
using ir::VUn;

namespace {
namespace X = asmjit::x86::Inst;
} // namespace

bool Lowering::vector_crypto(u32 n) {
    const IrInst& i = inst(n);
    if (i.type != Type::v128) return false;
    if (i.op == Op::vun) return aes(n);
    if (i.op == Op::vtern) return f_.sha && VTern(i.sub) == VTern::sha256_rounds2 && sha256_rounds(n);
    const VBin kind = VBin(i.sub);
    if (i.op != Op::vbin || i.c != none) return false;
    if (kind == VBin::pmull_even || kind == VBin::pmull_odd) {
        if (!f_.pclmul || i.lane != ir::Lane::i64) return false;
        Xmm a = vec(i.a), b = vec(i.b);
        if (!room(1 + 2 * !f_.vpclmul)) return false;
        Xmm t = vec_temp();
        a = legacy(a, f_.vpclmul), b = i.a == i.b ? a : legacy(b, f_.vpclmul);
        use(i.a);
        use(i.b);
        Xmm out = vec_out(n, t), r = out.id() < 16 || f_.vpclmul ? out : t;
        v_op({X::kIdPclmulqdq, X::kIdVpclmulqdq}, r, a, b, kind == VBin::pmull_odd ? 0x11 : 0);
        v_move(out, r);
        return true;
    }
    if ((kind != VBin::sha256_msg1 && kind != VBin::sha256_msg2) || !f_.sha) return false;
    Xmm a = vec(i.a), b = vec(i.b);
    if (!room(2)) return false;
    Xmm r = vec_temp();
    b = legacy(b, false);
    v_move(r, a);
    a_.emit(kind == VBin::sha256_msg1 ? X::kIdSha256msg1 : X::kIdSha256msg2, r, b);
    use(i.a);
    use(i.b);
    v_move(vec_out(n, r), r);
    return true;
}

// In a register that an encoding without EVEX reaches, unless there is one with.
Xmm Lowering::legacy(Xmm a, bool evex) {
    if (evex || a.id() < 16) return a;
    Xmm t = vec_temp();
    v_move(t, a);
    return t;
}

// The substitution whose value is mixed, and nothing else, waits for it: the host does both at once.
bool Lowering::aes_waits(u32 n) const {
    const IrInst& i = inst(n);
    if (i.op != Op::vun || (VUn(i.sub) != VUn::aes_enc && VUn(i.sub) != VUn::aes_dec) || an_->value[n].uses != 1)
        return false;
    const VUn mix = VUn(i.sub) == VUn::aes_enc ? VUn::aes_mix : VUn::aes_imix;
    const ir::Block& block = unit_->blocks[block_];
    for (u32 k = n + 1; k < block.end; ++k)
        if (inst(k).op == Op::vun && inst(k).a == n) return VUn(inst(k).sub) == mix && !an_->value[k].dead;
    return false;
}

bool Lowering::aes(u32 n) {
    const IrInst& i = inst(n);
    const VUn kind = VUn(i.sub);
    if (!f_.aes || i.lane != ir::Lane::i128) return false;
    if (kind != VUn::aes_enc && kind != VUn::aes_dec && kind != VUn::aes_mix && kind != VUn::aes_imix) return false;
    if (aes_waits(n)) return true;
    const bool both = aes_waits(i.a);
    const ValueId from = both ? inst(i.a).a : i.a;
    Xmm a = vec(from);
    if (!room(2)) return false;
    a = legacy(a, f_.vaes && kind != VUn::aes_imix);
    Xmm t = vec_temp();
    const Mem zero = state(at_.host(offsetof(HostArea, zero)), 16);
    use(from);
    constexpr Pair enc{X::kIdAesenc, X::kIdVaesenc}, dec{X::kIdAesdec, X::kIdVaesdec},
        enc_last{X::kIdAesenclast, X::kIdVaesenclast}, dec_last{X::kIdAesdeclast, X::kIdVaesdeclast};
    if (both) {
        v_op(kind == VUn::aes_mix ? enc : dec, t, a, zero);
    } else if (kind == VUn::aes_mix) { // undo what comes before mixing
        v_op(dec_last, t, a, zero);
        v_op(enc, t, t, zero);
    } else if (kind == VUn::aes_imix) {
        v_one({X::kIdAesimc, X::kIdVaesimc}, t, a);
    } else {
        v_op(kind == VUn::aes_enc ? enc_last : dec_last, t, a, zero);
    }
    v_move(vec_out(n, t), t);
    return true;
}

bool Lowering::sha256_rounds(u32 n) {
    const IrInst& i = inst(n);
    Xmm a = vec(i.a), b = vec(i.b), c = vec(i.c);
    // c's own register, when it is a temporary that nobody wants any more; never xmm0, the words' place
    const bool in_place = c.id() < vec_temps(f_) && c.id() != 0 && place_[i.c].uses == 1 && vec_count_[c.id()] == 1;
    const u32 copies = a.id() >= 16;
    if (!room(copies + !in_place)) return false;
    Xmm r = in_place ? c : vec_temp();
    if (r.id() == 0) {
        if (!room(copies + 1)) return false;
        r = vec_temp();
    }
    a = legacy(a, false);
    const Mem park = state(at_.host(offsetof(HostArea, park)), 16);
    const bool words_there = b.id() == 0;
    v_move(r, c);
    if (!words_there) {
        a_.movaps(park, xmm0);
        v_move(xmm0, b);
    }
    a_.emit(X::kIdSha256rnds2, r, a.id() == 0 && !words_there ? Operand(park) : Operand(a), xmm0);
    if (!words_there) a_.movaps(xmm0, park);
    use(i.a);
    use(i.b);
    use(i.c);
    v_move(vec_out(n, r), r);
    return true;
}

} // namespace mimic::jit::x86
