// The FP environment: MXCSR's image of sticky flags, rounding and flushing.
#include "jit/host/x86_64/lower.hpp"
#include "softfloat/env.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using IrInst = ir::Inst;

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
    a_.or_(u.r32(), mxcsr_masks);
    a_.mov(image, u.r32());
    a_.mov(state(at_.host(offsetof(HostArea, known_flags)), 4), -1);
    f_.avx ? a_.vldmxcsr(image) : a_.ldmxcsr(image);
    use(i.a);
}

// The five of IEEE 754 in the opposite order. Storing MXCSR waits for all that the host's FP unit has under way, so a read
// arms traps: until one of the clear flags is raised (Backend::resume_masked) or something else happens to MXCSR, reads
// and writes need only look at HostArea::known_flags.
void Lowering::reversed_fp_flags(u32 n) {
    const IrInst& i = inst(n);
    const Mem image = state(at_.header(offsetof(ir::CpuHeader, mxcsr)), 4);
    const Mem known = state(at_.host(offsetof(HostArea, known_flags)), 4);
    Label other = a_.newLabel(), back = a_.newLabel();
    if (i.op == Op::fpflags) {
        Gp d = def(n), t = temp();
        a_.mov(d.r32(), known);
        a_.test(d.r32(), d.r32());
        a_.js(other);
        a_.bind(back);
        return cold(other, [=, this] { ask_fp_flags(d, t, back); });
    }
    // A write takes the modes from memory, where they are as in MXCSR.
    Gp v = gpr(i.a), t = temp(), u = temp();
    a_.mov(t.r32(), v.r32());
    a_.and_(t.r32(), 31);
    a_.cmp(t.r32(), known);
    a_.jne(other);
    a_.bind(back);
    use(i.a);
    cold(other, [=, this] {
        a_.movzx(t.r32(), ptr(rbp, t, 0, at_.host(offsetof(HostArea, flags_of_reversed)), 1));
        a_.mov(u.r32(), image);
        a_.and_(u.r32(), -64);
        a_.or_(t.r32(), mxcsr_masks);
        a_.or_(u.r32(), t.r32());
        a_.mov(image, u.r32());
        a_.and_(state(at_.header(offsetof(ir::CpuHeader, fp) + offsetof(ir::FpEnv, flags)), 4), ~softfloat::flag::ieee);
        f_.avx ? a_.vldmxcsr(image) : a_.ldmxcsr(image);
        a_.mov(known, -1);
        a_.jmp(back);
    });
}

// Cold: the flags into d from MXCSR, and traps for those that are clear.
void Lowering::ask_fp_flags(Gp d, Gp t, Label back) {
    const Mem image = state(at_.header(offsetof(ir::CpuHeader, mxcsr)), 4);
    const Mem unarmed = state(at_.host(offsetof(HostArea, unarmed_reads)), 4);
    Label arm = a_.newLabel();
    f_.avx ? a_.vstmxcsr(image) : a_.stmxcsr(image);
    a_.mov(t.r32(), image);
    a_.mov(d.r32(), t.r32());
    a_.and_(d.r32(), 63);
    a_.movzx(d.r32(), ptr(rbp, d, 0, at_.host(offsetof(HostArea, reversed_flags)), 1));
    a_.cmp(state(at_.header(offsetof(ir::CpuHeader, fp_traps)), 1), 0);
    a_.je(back);
    a_.sub(unarmed, 1);
    a_.jb(arm);
    a_.jmp(back);
    a_.bind(arm);
    a_.mov(unarmed, 0);
    a_.mov(state(at_.host(offsetof(HostArea, known_flags)), 4), d.r32());
    a_.and_(image, ~mxcsr_masks);
    a_.and_(t.r32(), mxcsr_ieee);
    a_.or_(t.r32(), mxcsr_denormal);
    a_.shl(t.r32(), 7); // from the flags to their masks
    a_.or_(image, t.r32());
    f_.avx ? a_.vldmxcsr(image) : a_.ldmxcsr(image);
    a_.jmp(back);
}

// Rounding and flushing: MXCSR changes when the mode does. Flushing for guests whose own the host's is (GuestState::fp_by_body).
void Lowering::fp_mode(u32 n) {
    const IrInst& i = inst(n);
    const Mem image = state(at_.header(offsetof(ir::CpuHeader, mxcsr)), 4);
    Gp v = gpr(i.a), t = temp(), u = temp();
    a_.mov(state(at_.header(offsetof(ir::CpuHeader, fp) + offsetof(ir::FpEnv, mode)), 4), v.r32());
    a_.mov(t.r32(), v.r32());
    a_.and_(t.r32(), 7);
    a_.mov(t.r32(), ptr(rbp, t, 2, at_.host(offsetof(HostArea, mxcsr_rounding)), 4));
    const bool flushes = !guest_.fp_by_body;
    if (flushes) {
        static_assert(ir::fpmode::flush_outputs == 1 << 3 && ir::fpmode::flush_inputs == 1 << 4);
        a_.mov(u.r32(), v.r32());
        a_.and_(u.r32(), ir::fpmode::flush_outputs);
        a_.shl(u.r32(), 15 - 3);
        a_.or_(t.r32(), u.r32());
        a_.mov(u.r32(), v.r32());
        a_.and_(u.r32(), ir::fpmode::flush_inputs);
        a_.shl(u.r32(), 6 - 4);
        a_.or_(t.r32(), u.r32());
    }
    a_.mov(u.r32(), image); // its flags are old, its modes are not
    a_.xor_(u.r32(), t.r32());
    const u32 modes = mxcsr_rc | (flushes ? mxcsr_flush : 0);
    a_.test(u.r32(), modes);
    use(i.a);
    Label other = a_.newLabel(), back = a_.newLabel();
    a_.jnz(other);
    a_.bind(back);
    cold(other, [=, this] {
        f_.avx ? a_.vstmxcsr(image) : a_.stmxcsr(image);
        a_.mov(u.r32(), image);
        a_.and_(u.r32(), ~modes);
        a_.or_(u.r32(), t.r32());
        a_.mov(image, u.r32());
        f_.avx ? a_.vldmxcsr(image) : a_.ldmxcsr(image);
        a_.jmp(back);
    });
}

} // namespace mimic::jit::x86
