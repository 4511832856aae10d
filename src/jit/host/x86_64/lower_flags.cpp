// Condition codes. A flags value has its bits where the host's flags register has them, so what is not folded into a
// comparison before comes from an instruction of the host that sets the same flags.
#include "jit/host/x86_64/widths.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::imm;
using asmjit::Operand;
using IrInst = ir::Inst;
using ir::Cond;
namespace flag = ir::flag;
namespace X = asmjit::x86::Inst;

namespace {

// For a carry as the host has it; ugt and ule of a flipped one want cmc before.
CondCode host_condition(Cond c, bool flipped) {
    switch (c) {
    case Cond::z: return CondCode::kE;
    case Cond::nz: return CondCode::kNE;
    case Cond::c: return flipped ? CondCode::kAE : CondCode::kB;
    case Cond::nc: return flipped ? CondCode::kB : CondCode::kAE;
    case Cond::n: return CondCode::kS;
    case Cond::nn: return CondCode::kNS;
    case Cond::v: return CondCode::kO;
    case Cond::nv: return CondCode::kNO;
    case Cond::p: return CondCode::kP;
    case Cond::np: return CondCode::kNP;
    case Cond::ugt: return CondCode::kA;
    case Cond::ule: return CondCode::kBE;
    case Cond::sge: return CondCode::kGE;
    case Cond::slt: return CondCode::kL;
    case Cond::sgt: return CondCode::kG;
    case Cond::sle: return CondCode::kLE;
    }
    return CondCode::kE;
}

} // namespace

bool Lowering::flags(u32 n) {
    const IrInst& i = inst(n);
    switch (i.op) {
    case Op::flags_add:
    case Op::flags_sub:
    case Op::flags_logic: return ir::size_of(i.type) <= 8 ? flags_value(n), true : false;
    case Op::flags_fcmp: return i.type == Type::f32 || i.type == Type::f64 ? flags_of_fcmp(n), true : false;
    case Op::flags_from: {
        if (is_const(i.a)) {
            u64 bits = inst(i.a).imm & flag::all;
            use(i.a);
            load_const(def(n), bits);
            return true;
        }
        Gp a = gpr(i.a);
        use(i.a);
        Gp d = def(n);
        if (d.id() != a.id()) a_.mov(d.r32(), a.r32());
        a_.and_(d.r32(), flag::all);
        return true;
    }
    case Op::flags_bits: alias(n, i.a); return true;
    case Op::flags_merge: {
        Gp x = temp(), b = gpr(i.b);
        move_to(x, i.a);
        a_.xor_(x.r32(), b.r32()); // what differs, where the mask says so
        a_.and_(x.r32(), u32(i.imm) & flag::all);
        Gp a = gpr(i.a);
        use(i.a);
        use(i.b);
        locked_ = 1u << x.id();
        Gp d = def(n);
        if (d.id() != a.id()) a_.mov(d.r32(), a.r32());
        a_.xor_(d.r32(), x.r32());
        return true;
    }
    case Op::cond: set(n, flag_condition(n)); return true;
    default: return false;
    }
}

// Leaves the flags of f in the host's, the carry not inverted, and ends the uses of its operands.
void Lowering::host_flags(ValueId v) {
    const IrInst& i = inst(v);
    Type t = i.type;
    i64 c;
    if (i.op == Op::flags_logic) {
        Gp a = gpr(i.a, t);
        a_.test(a, a);
        return use(i.a);
    }
    bool sub = i.op == Op::flags_sub, carry = i.c != none;
    // cmp changes nothing; the others want a copy.
    if (sub && !carry) {
        Gp a = gpr(i.a, t);
        Operand b = imm32(i.b, c) ? Operand(imm(c)) : rm(i.b, t);
        a_.emit(X::kIdCmp, a, b);
    } else {
        Gp x = temp();
        move_to(x, i.a);
        Operand b = imm32(i.b, c) ? Operand(imm(c)) : rm(i.b, t);
        if (carry) a_.bt(gpr(i.c).r32(), 0);
        a_.emit(sub ? (carry ? X::kIdSbb : X::kIdSub) : (carry ? X::kIdAdc : X::kIdAdd), as(x, t), b);
        locked_ &= ~(1u << x.id());
    }
    use(i.a);
    use(i.b);
    if (carry) use(i.c);
}

void Lowering::flags_value(u32 n) {
    const IrInst& i = inst(n);
    bool logic = i.op == Op::flags_logic;
    host_flags(n);
    if (i.imm & ir::flags_invert_c && !logic) a_.cmc();
    Gp d = read_host_flags(n, logic ? flag::n | flag::z | flag::p : flag::all);
    if (i.imm & ir::flags_invert_c && logic) a_.or_(d.r32(), flag::c);
}

// Some of the host's flags as the value of n, whose operands are used already. By lahf, which is several times faster than
// pushfq; all but overflow come to bits 8 to 15 of rax, which moves alone make free.
Gp Lowering::read_host_flags(u32 n, u32 bits) {
    if (!f_.lahf) { // the stack of generated code has room
        a_.pushfq();
        Gp d = def(n);
        a_.pop(d.r64());
        a_.and_(d.r32(), bits);
        return d;
    }
    locked_ = 0;
    take(u8(rax.id()));
    a_.lahf();
    if (bits & flag::v) a_.seto(al);
    Gp d = def(n);
    a_.mov(d.r32(), eax);
    a_.shr(d.r32(), 8);
    a_.and_(d.r32(), bits & 0xff);
    if (bits & flag::v) {
        static_assert(flag::v == 1 << 11 && (flag::all & ~flag::v) <= 0xff);
        a_.movzx(eax, al);
        a_.shl(eax, 11);
        a_.or_(d.r32(), eax);
    }
    return d;
}

// The host says less by the carry, equal by zero, and sets both and parity when unordered.
void Lowering::flags_of_fcmp(u32 n) {
    const IrInst& i = inst(n);
    bool d = i.type == Type::f64, quiet = i.sub == 0, inverted = i.imm & ir::flags_invert_c;
    Xmm a = vec(i.a);
    Operand b = i.a == i.b ? Operand(a) : vec_rm(i.b);
    u32 id = d ? (quiet ? (f_.avx ? X::kIdVucomisd : X::kIdUcomisd) : (f_.avx ? X::kIdVcomisd : X::kIdComisd))
               : (quiet ? (f_.avx ? X::kIdVucomiss : X::kIdUcomiss) : (f_.avx ? X::kIdVcomiss : X::kIdComiss));
    a_.emit(id, a, b);
    use(i.a);
    use(i.b);
    if (an_->value[n].uses == 0) return; // for its exceptions alone
    Gp r = def(n), x = temp();
    fcmp_flags(r, x, inverted);
}

void Lowering::fcmp_flags(Gp r, Gp x, bool inverted) {
    u32 not_less = inverted ? 0 : flag::c, less = inverted ? flag::c : 0;
    a_.mov(r.r32(), not_less);
    auto when = [&](CondCode c, u32 bits) {
        a_.mov(x.r32(), bits);
        a_.emit(X::cmovccFromCond(c), r.r32(), x.r32());
    };
    when(CondCode::kB, less | flag::n);
    when(CondCode::kE, not_less | flag::z);
    when(CondCode::kP, not_less | flag::v);
}

// Leaves the truth of condition v in the host's flags, and ends the use of its operand.
CondCode Lowering::flag_condition(ValueId v) {
    const IrInst& i = inst(v);
    Cond c = Cond(i.sub);
    if (!an_->value[i.a].deferred) return flag_bits_condition(i);
    const IrInst& f = inst(i.a);
    bool flipped = bool(f.imm & ir::flags_invert_c) != bool(i.imm);
    host_flags(i.a);
    if (flipped && (c == Cond::ugt || c == Cond::ule)) a_.cmc();
    return host_condition(c, flipped);
}

// From the bits in a register.
CondCode Lowering::flag_bits_condition(const IrInst& i) {
    Gp r = gpr(i.a);
    Cond c = Cond(i.sub), base = Cond(i.sub & ~1u);
    bool opposite = i.sub & 1, inverted = i.imm;
    auto done = [&](bool when_zero) {
        use(i.a);
        return when_zero != opposite ? CondCode::kE : CondCode::kNE;
    };
    auto test = [&](u32 bits) { a_.test(r.r32(), bits); };
    switch (base) {
    case Cond::z: test(flag::z); return done(false);
    case Cond::c: test(flag::c); return done(inverted);
    case Cond::n: test(flag::n); return done(false);
    case Cond::v: test(flag::v); return done(false);
    case Cond::p: test(flag::p); return done(false);
    case Cond::ugt: {
        if (!inverted) return test(flag::c | flag::z), done(true);
        Gp x = temp();
        a_.mov(x.r32(), r.r32());
        a_.and_(x.r32(), flag::c | flag::z);
        a_.cmp(x.r32(), flag::c);
        return done(true);
    }
    default: { // n against v; z beside it falls on a bit that the shift leaves empty
        static_assert(flag::v >> 4 == flag::n && !((flag::all >> 4) & flag::z));
        Gp x = temp();
        a_.mov(x.r32(), r.r32());
        a_.shr(x.r32(), 4);
        a_.xor_(x.r32(), r.r32());
        a_.test(x.r32(), c == Cond::sge || c == Cond::slt ? flag::n : flag::n | flag::z);
        return done(true);
    }
    }
}

} // namespace mimic::jit::x86
