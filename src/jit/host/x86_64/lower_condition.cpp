// Conditions: comparisons that leave a truth in the host's flags, as values, and selections by them.
#include "jit/host/x86_64/widths.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::imm;
using asmjit::Operand;
using IrInst = ir::Inst;
using ir::Rel;
namespace ids = asmjit::x86;

namespace {

// Between operands of type t, which are bytes of 0 and 1 when it is i1: there, what is set is the lesser one by signs.
CondCode of(Rel r, Type t) {
    if (t == Type::i1 && r >= Rel::slt) r = Rel(u8(r) - (r < Rel::sgt ? 2 : 6)); // ugt, uge, ult, ule
    constexpr CondCode table[] = {CondCode::kE,  CondCode::kNE, CondCode::kB,  CondCode::kBE, CondCode::kA,
                                  CondCode::kAE, CondCode::kL,  CondCode::kLE, CondCode::kG,  CondCode::kGE};
    return table[u8(r)];
}

} // namespace

// Emits what leaves the truth of v in the host's flags, and ends this use of v.
CondCode Lowering::condition(ValueId v) {
    const IrInst& i = inst(v);
    if (!an_->value[v].deferred) {
        Gp r = gpr(v);
        a_.test(r.r8(), r.r8());
        use(v);
        return CondCode::kNE;
    }
    if (i.op == Op::fcmp) return fp_condition(v);
    if (i.op == Op::cond) return flag_condition(v);
    if (i.op != Op::icmp) return failed_ = true, CondCode::kNE; // joined ones are last_condition's
    if (an_->value[i.a].deferred) return test_bits(i);
    Type t = i.type;
    i64 c;
    Rel rel = Rel(i.sub);
    if (imm32(i.b, c) && c == 0 && place_[i.a].gpr >= 0) {
        Gp a = gpr(i.a);
        a_.test(as(a, t), as(a, t));
    } else {
        const Place& p = place_[i.a];
        bool mem = p.gpr < 0 && p.vec < 0 && p.mem != no_mem && p.spill < 0 && p.uses == 1 && !is_const(i.a);
        Operand a = mem ? Operand(state(p.mem, ir::size_of(t))) : Operand(gpr(i.a, t));
        Operand b = imm32(i.b, c) ? Operand(imm(c)) : mem ? Operand(gpr(i.b, t)) : rm(i.b, t);
        a_.emit(ids::Inst::kIdCmp, a, b);
    }
    use(i.a);
    use(i.b);
    return of(rel, t);
}

// Are bits of a word zero, without a copy of it?
CondCode Lowering::test_bits(const IrInst& compares) {
    const IrInst& word = inst(compares.a);
    const bool wide = word.type == Type::i64, if_zero = Rel(compares.sub) == Rel::eq;
    const u64 mask = wide ? inst(word.b).imm : u32(inst(word.b).imm);
    CondCode c = if_zero ? CondCode::kE : CondCode::kNE;
    if (mask != u32(mask) && i64(mask) != i32(i64(mask))) {
        a_.bt(gpr(word.a).r64(), u32(std::countr_zero(mask)));
        c = if_zero ? CondCode::kAE : CondCode::kB; // the bit is the carry
    } else {
        const Type t = mask < 0x100 ? Type::i8 : mask == u32(mask) ? Type::i32 : Type::i64;
        const Place& p = place_[word.a];
        const bool mem = p.gpr < 0 && p.vec < 0 && p.mem != no_mem && p.spill < 0 && p.uses == 1 && !is_const(word.a);
        Operand bits = imm(t == Type::i64 ? i64(mask) : t == Type::i32 ? i64(i32(mask)) : i64(i8(mask)));
        a_.emit(ids::Inst::kIdTest, mem ? Operand(state(p.mem, ir::size_of(t))) : Operand(as(gpr(word.a), t)), bits);
    }
    use(word.a);
    use(word.b);
    use(compares.b);
    return c;
}

// A condition as a value: i1 itself, or extended at once.
void Lowering::set_condition(u32 n) {
    const IrInst& i = inst(n);
    bool extends = i.op == Op::zext || i.op == Op::sext;
    CondCode c;
    const bool cleared = clear_early(n);
    if (extends) {
        c = condition(i.a);
    } else { // the icmp itself
        const IrInst& k = inst(n);
        i64 v;
        Operand a = gpr(k.a, k.type), b = imm32(k.b, v) ? Operand(imm(v)) : rm(k.b, k.type);
        a_.emit(ids::Inst::kIdCmp, a, b);
        use(k.a);
        use(k.b);
        c = of(Rel(k.sub), k.type);
    }
    if (cleared)
        a_.set(c, gpr(n).r8());
    else
        set(n, c);
    if (i.op == Op::sext) a_.neg(as(gpr(n), wide(i.type)));
}
// Where the result's register is free before the comparison, it is cleared there: nothing has to be extended behind it.
bool Lowering::clear_early(u32 n) {
    const i32 slot = an_->value[n].target;
    const i8 r = slot >= 0 ? plan_.gpr[u32(slot)] : i8(-1);
    if (r < 0 || gpr_count_[r]) return false;
    Gp d = def(n);
    a_.xor_(d.r32(), d.r32());
    return true;
}
void Lowering::set(u32 n, CondCode c) {
    Gp d = def(n);
    a_.set(c, d.r8());
    a_.movzx(d.r32(), d.r8());
}

bool Lowering::in_temp(ValueId v) const { return place_[v].gpr >= 0 && u32(place_[v].gpr) < temp_count; }
bool Lowering::settled(ValueId v) const {
    i64 c;
    return imm32(v, c) || place_[v].gpr >= i8(temp_count);
}

// A condition that needs two temporaries of its own.
bool Lowering::compares_two_unsettled(ValueId condition) const {
    const IrInst& k = inst(condition);
    return an_->value[condition].deferred && k.op == Op::icmp && !settled(k.a) && !settled(k.b);
}

void Lowering::select(u32 n) {
    const IrInst& i = inst(n);
    Type t = wide(i.type);
    // The result is built before the comparison's operands are released: it may not share a register with them.
    Gp x = temp();
    move_to(x, i.c);
    locked_ = 1u << x.id(); // where c was is free for what follows
    const Place& p = place_[i.b];
    bool mem = p.gpr < 0 && p.vec < 0 && p.mem != no_mem && !small(type(i.b));
    if (!mem) gpr(i.b); // before the comparison: loading a constant may change the flags
    // A comparison of two values that are in no register yet wants the third temporary and one more.
    if (!mem && in_temp(i.b) && compares_two_unsettled(i.a)) {
        spill(i.b);
        mem = true;
        locked_ = 1u << x.id();
    }
    CondCode c = condition(i.a);
    Operand b;
    if (mem)
        b = is_const(i.b) ? ptr(literal(&inst(i.b).imm, 8)) : state(p.mem, ir::size_of(t));
    else
        b = gpr(i.b, t);
    a_.emit(asmjit::x86::Inst::cmovccFromCond(c), as(x, t), b);
    use(i.b);
    use(i.c);
    activate(n);
    set_gpr(n, i32(x.id()));
}

} // namespace mimic::jit::x86
