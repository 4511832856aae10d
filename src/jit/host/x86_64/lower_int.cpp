// Integer operations. Values of 8 and 16 bits live in 32-bit registers with unspecified upper bits; so do 32-bit values
// in 64-bit registers: extension is an operation.
#include "jit/host/x86_64/widths.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::imm;
using asmjit::Operand;
using IrInst = ir::Inst;
using ir::Cond;
using ir::Rel;
using Id = asmjit::x86::Inst::Id;
namespace ids = asmjit::x86;

bool Lowering::integer(u32 n) {
    const IrInst& i = inst(n);
    Type t = i.type;
    bool ok = native(t) || small(t);
    switch (i.op) {
    case Op::add:
    case Op::sub: return ok ? add_sub(n), true : false;
    case Op::and_: return ok ? logic(n, ids::Inst::kIdAnd), true : false;
    case Op::or_: return ok ? logic(n, ids::Inst::kIdOr), true : false;
    case Op::xor_: return ok ? logic(n, ids::Inst::kIdXor), true : false;
    case Op::mul: return ok ? multiply(n), true : false;
    case Op::mulhu:
    case Op::mulhs: return native(t) ? multiply_high(n), true : false;
    case Op::udiv:
    case Op::sdiv:
    case Op::urem:
    case Op::srem: return native(t) ? divide(n), true : false;
    case Op::shl:
    case Op::lshr:
    case Op::ashr:
    case Op::rotr: return native(t) || ((t == Type::i8 || t == Type::i16) && is_const(i.b)) ? shift(n), true : false;
    case Op::not_:
    case Op::neg: {
        if (!ok) return false;
        Gp d = def_from(n, i.a);
        if (i.op == Op::neg)
            a_.neg(as(d, wide(t)));
        else if (t == Type::i1)
            a_.xor_(d.r32(), 1);
        else
            a_.not_(as(d, wide(t)));
        return true;
    }
    case Op::clz:
    case Op::ctz:
    case Op::popcnt:
    case Op::bswap:
        return native(t) && (i.op != Op::clz || f_.lzcnt) && (i.op != Op::ctz || f_.bmi1) ? bits(n), true : false;
    case Op::bitrev: return native(t) ? reverse_bits(n), true : false;
    case Op::ubfx:
    case Op::sbfx:
    case Op::bfi: return native(t) ? bits(n), true : false;
    case Op::sext:
    case Op::zext:
    case Op::trunc: return t == Type::i128 || type(i.a) == Type::i128 ? false : (convert(n), true);
    case Op::icmp: return t == Type::i128 ? false : (set_condition(n), true);
    case Op::select: return !in_vec(t) && ir::size_of(t) <= 8 ? select(n), true : false;
    case Op::bitcast: { // narrow ones: into vector registers alone
        const bool narrow = ir::size_of(t) < 4 || (ir::size_of(type(i.a)) < 4 && !in_vec(t));
        return narrow ? false : (convert(n), true);
    }
    case Op::pair:
    case Op::half:
        return t == Type::i128 || type(i.a) == Type::i128 || type(i.a) == Type::i64 ? convert(n), true : false;
    default: return false;
    }
}

// The second operand of an operation of type t, ready to be read while the first is turned into the result.
Operand Lowering::second(ValueId v, Type t) {
    i64 c;
    if (imm32(v, c)) return imm(c);
    return small(type(v)) ? Operand(gpr(v, t)) : rm(v, t);
}

void Lowering::add_sub(u32 n) {
    const IrInst& i = inst(n);
    Type t = wide(i.type);
    i64 c = 0;
    if (i.op == Op::add && (an_->value[i.a].deferred || an_->value[i.b].deferred)) { // a + b << k
        const ValueId shifted = an_->value[i.b].deferred ? i.b : i.a, other = shifted == i.b ? i.a : i.b;
        const IrInst& k = inst(shifted);
        Gp base = gpr(other), index = gpr(k.a);
        use(other), use(k.a), use(k.b);
        a_.lea(as(def_over(n, base), t), ptr(base.r64(), index.r64(), u32(inst(k.b).imm)));
        return;
    }
    if (i.op == Op::add && imm32(i.b, c)) {
        use(i.b);
        if (place_[i.a].gpr < 0 && !is_const(i.a)) return a_.add(as(def_from(n, i.a), t), imm(c)), void();
        Gp a = gpr(i.a);
        use(i.a);
        Gp d = def_over(n, a), x = as(d, t);
        if (d.id() == a.id())
            c == 1 ? a_.inc(x) : a_.add(x, imm(c)), void();
        else
            a_.lea(x, ptr(a.r64(), i32(c)));
        return;
    }
    if (i.op == Op::add && place_[i.a].gpr >= 0 && place_[i.b].gpr >= 0 && !is_const(i.b)) {
        Gp a = gpr(i.a), b = gpr(i.b);
        use(i.a);
        use(i.b);
        Gp d = def_over(n, a), x = as(d, t);
        if (d.id() == a.id())
            a_.add(x, as(b, t));
        else if (d.id() == b.id())
            a_.add(x, as(a, t));
        else
            a_.lea(x, ptr(a.r64(), b.r64()));
        return;
    }
    Operand b = second(i.b, t);
    Gp d = def_from(n, i.a);
    a_.emit(i.op == Op::add ? ids::Inst::kIdAdd : ids::Inst::kIdSub, as(d, t), b);
    use(i.b);
}

void Lowering::logic(u32 n, u32 id) {
    const IrInst& i = inst(n);
    Type t = wide(i.type);
    i64 c;
    // A zero-extending mask is a move.
    if (i.op == Op::and_ && t == Type::i64 && is_const(i.b) &&
        (inst(i.b).imm == 0xff || inst(i.b).imm == 0xffff || inst(i.b).imm == 0xffffffff)) {
        u64 m = inst(i.b).imm;
        Gp a = gpr(i.a);
        use(i.a);
        use(i.b);
        Gp d = def_over(n, a);
        m == 0xff ? a_.movzx(d.r32(), a.r8()) : m == 0xffff ? a_.movzx(d.r32(), a.r16()) : a_.mov(d.r32(), a.r32());
        return;
    }
    ValueId x = i.a, y = i.b;
    if (wants(n, y) && !wants(n, x)) std::swap(x, y); // the result's register is where y is
    Operand b = second(y, t);
    Gp d = def_from(n, x);
    // A mask that is positive in 32 bits needs no 64-bit operation.
    bool narrow = i.op == Op::and_ && imm32(y, c) && c >= 0;
    a_.emit(id, narrow ? d.r32() : as(d, t), b);
    use(y);
}

void Lowering::multiply(u32 n) {
    const IrInst& i = inst(n);
    Type t = wide(i.type);
    i64 c;
    if (other_half_came_first(n)) return;
    if (imm32(i.b, c)) {
        Gp a = gpr(i.a);
        use(i.a);
        use(i.b);
        a_.imul(as(def_over(n, a), t), as(a, t), imm(c));
        return;
    }
    if (u32 m = other_half(n); m != none) return both_halves_of_product(n, m);
    ValueId x = i.a, y = i.b;
    if (wants(n, y) && !wants(n, x)) std::swap(x, y);
    Operand b = second(y, t);
    Gp d = def_from(n, x);
    a_.emit(ids::Inst::kIdImul, as(d, t), b);
    use(y);
}

void Lowering::multiply_high(u32 n) {
    const IrInst& i = inst(n);
    Type t = i.type;
    if (other_half_came_first(n)) return;
    if (u32 m = other_half(n); m != none) return both_halves_of_product(n, m);
    if (i.op == Op::mulhu && f_.bmi2) {
        take(2); // rdx
        move_to(rdx, i.a);
        Gp b = gpr(i.b);
        use(i.a);
        use(i.b);
        Gp d = def(n);
        a_.mulx(as(d, t), as(d, t), as(b, t)); // the high half is written last
        return;
    }
    take(0); // rax
    take(2); // rdx
    move_to(rax, i.a);
    Gp b = gpr(i.b);
    i.op == Op::mulhu ? a_.mul(as(b, t)) : a_.imul(as(b, t));
    use(i.a);
    use(i.b);
    def_in(n, rdx);
}

// The other half of n's unsigned product, when it is asked for soon: the host makes both at once.
u32 Lowering::other_half(u32 n) const {
    constexpr u32 soon = 12;
    const IrInst& i = inst(n);
    if (!f_.bmi2 || i.type != Type::i64 || i.op == Op::mulhs) return none;
    const Op wanted = i.op == Op::mul ? Op::mulhu : Op::mul;
    const u32 end = std::min(unit_->blocks[block_].end, n + soon);
    for (u32 m = n + 1; m < end; ++m) {
        const IrInst& k = inst(m);
        const bool same = (k.a == i.a && k.b == i.b) || (k.a == i.b && k.b == i.a);
        if (k.op == wanted && k.type == i.type && same && !an_->value[m].dead && !an_->value[m].deferred) return m;
    }
    return none;
}

// m's result waits in a temporary until its turn, when its operands' uses end, too.
void Lowering::both_halves_of_product(u32 n, u32 m) {
    const IrInst& i = inst(n);
    take(2); // rdx
    move_to(rdx, i.a);
    Gp b = gpr(i.b);
    use(i.a);
    use(i.b);
    Gp d = def(n);
    i.op == Op::mul ? a_.mulx(rdx, d, b) : a_.mulx(d, rdx, b);
    activate(m);
    set_gpr(m, i32(rdx.id()));
}

bool Lowering::other_half_came_first(u32 n) {
    if (!place_[n].active) return false;
    use(inst(n).a);
    use(inst(n).b);
    return true;
}

// x86 division traps on zero and on min / -1; the IR's is total.
void Lowering::divide(u32 n) {
    const IrInst& i = inst(n);
    Type t = i.type;
    bool is_signed = i.op == Op::sdiv || i.op == Op::srem, rem = i.op == Op::urem || i.op == Op::srem;
    take(0);
    take(2);
    move_to(rax, i.a);
    Gp b = gpr(i.b);
    if (b.id() == 0 || b.id() == 2) return void(failed_ = true);
    bool b_const = is_const(i.b) && inst(i.b).imm != 0 && inst(i.b).imm != (t == Type::i64 ? ~u64{0} : 0xffffffffu);
    Label zero = a_.newLabel(), minus = a_.newLabel(), done = a_.newLabel();
    if (!b_const) {
        a_.test(as(b, t), as(b, t));
        a_.jz(zero);
        if (is_signed) {
            a_.cmp(as(b, t), -1);
            a_.je(minus);
        }
    }
    if (is_signed) {
        t == Type::i64 ? a_.cqo() : a_.cdq();
        a_.idiv(as(b, t));
    } else {
        a_.xor_(edx, edx);
        a_.div(as(b, t));
    }
    a_.bind(done);
    bool zero_gives_zero = i.sub == 1;
    if (!b_const) {
        cold(zero, [=, this] {
            if (rem)
                a_.mov(as(rdx, t), as(rax, t));
            else if (zero_gives_zero)
                a_.xor_(eax, eax);
            else
                a_.mov(as(rax, t), -1);
            a_.jmp(done);
        });
        if (is_signed)
            cold(minus, [=, this] {
                rem ? a_.xor_(edx, edx) : a_.neg(as(rax, t));
                a_.jmp(done);
            });
    }
    use(i.a);
    use(i.b);
    def_in(n, rem ? rdx : rax);
}

void Lowering::shift(u32 n) {
    const IrInst& i = inst(n);
    Type t = i.type;
    u32 id = i.op == Op::shl    ? u32(ids::Inst::kIdShl)
             : i.op == Op::lshr ? u32(ids::Inst::kIdShr)
             : i.op == Op::ashr ? u32(ids::Inst::kIdSar)
                                : u32(ids::Inst::kIdRor);
    if (is_const(i.b)) {
        u32 k = u32(inst(i.b).imm) & (ir::bits_of(t) - 1);
        use(i.b);
        if (place_[i.a].gpr < 0) return a_.emit(id, as(def_from(n, i.a), t), imm(k)), void();
        Gp a = gpr(i.a);
        use(i.a);
        Gp d = def_over(n, a);
        if (i.op == Op::shl && k <= 3 && d.id() != a.id() && native(t)) {
            k == 1 ? a_.lea(as(d, t), ptr(a.r64(), a.r64())) : a_.lea(as(d, t), ptr(0, a.r64(), k));
            return;
        }
        if (i.op == Op::rotr && f_.bmi2 && native(t)) return void(a_.rorx(as(d, t), as(a, t), k));
        if (d.id() != a.id()) a_.mov(as(d, wide(t)), as(a, wide(t)));
        a_.emit(id, as(d, t), imm(k));
        return;
    }
    if (f_.bmi2 && i.op != Op::rotr) {
        Gp a = gpr(i.a), c = gpr(i.b);
        use(i.a);
        use(i.b);
        Gp d = def(n);
        u32 bmi = i.op == Op::shl    ? u32(ids::Inst::kIdShlx)
                  : i.op == Op::lshr ? u32(ids::Inst::kIdShrx)
                                     : u32(ids::Inst::kIdSarx);
        a_.emit(bmi, as(d, t), as(a, t), as(c, t));
        return;
    }
    take(1); // rcx
    move_to(rcx, i.b);
    Gp x = temp();
    move_to(x, i.a);
    a_.emit(id, as(x, t), cl);
    use(i.a);
    use(i.b);
    def_in(n, x);
}

void Lowering::convert(u32 n) {
    const IrInst& i = inst(n);
    Type t = i.type, from = type(i.a);
    switch (i.op) {
    case Op::trunc:
        if (is_const(i.a)) {
            Gp d = (use(i.a), def(n));
            load_const(d, inst(i.a).imm);
            return;
        }
        return t == Type::i1 ? ([&] {
            Gp a = gpr(i.a);
            use(i.a);
            Gp d = def(n);
            a_.mov(d.r32(), a.r32());
            a_.and_(d.r32(), 1);
        })()
                             : alias(n, i.a);
    case Op::sext:
    case Op::zext: {
        if (an_->value[i.a].deferred) return set_condition(n);
        if (is_free_extension(*unit_, i) && !is_const(i.a)) return alias(n, i.a);
        const Place& p = place_[i.a];
        bool s = i.op == Op::sext;
        Operand src = p.gpr < 0 && p.vec < 0 && p.mem != no_mem && p.spill < 0 && !is_const(i.a)
                          ? Operand(state(p.mem, ir::size_of(from)))
                          : Operand(gpr(i.a, from));
        use(i.a);
        Gp d = src.isReg() ? def_over(n, gpq(src.id())) : def(n);
        if (from == Type::i32) {
            if (s)
                t == Type::i64 ? a_.emit(ids::Inst::kIdMovsxd, d.r64(), src) : a_.emit(ids::Inst::kIdMov, d.r32(), src);
            else
                a_.emit(ids::Inst::kIdMov, d.r32(), src);
        } else if (from == Type::i1) {
            a_.emit(ids::Inst::kIdMovzx, d.r32(), src);
            if (s) a_.neg(as(d, wide(t)));
        } else {
            a_.emit(s ? ids::Inst::kIdMovsx : ids::Inst::kIdMovzx, s ? as(d, wide(t)) : d.r32(), src);
        }
        return;
    }
    case Op::bitcast: {
        if (in_vec(t) && in_vec(from)) {
            u32 small_size = ir::size_of(from);
            if (small_size == ir::size_of(t)) return alias(n, i.a);
            if (ir::is_fp(from) && small_size >= 4) return widen_scalar(n);
            Xmm a = vec(i.a);
            use(i.a);
            Xmm d = def_vec(n);
            if (small_size == 8) {
                f_.avx ? a_.vmovq(d, a) : a_.movq(d, a);
            } else {
                Gp x = temp();
                f_.avx ? a_.vpextrw(x.r32(), a, 0) : a_.pextrw(x.r32(), a, 0);
                f_.avx ? a_.vmovd(d, x.r32()) : a_.movd(d, x.r32());
            }
            return;
        }
        if (in_vec(t) && is_const(i.a)) {
            const u64 c = inst(i.a).imm & ~u64{0} >> (64 - 8 * ir::size_of(from));
            use(i.a);
            Xmm d = def_vec(n);
            known_[d.id()] = {.clear = u8(c >> 32 ? 64 : 32)};
            return c ? v_move(d, words(c, 0)) : v_zero(d);
        }
        if (in_vec(t)) {
            if (place_[i.a].vec >= 0) return alias(n, i.a); // a mirror
            Gp a = gpr(i.a);
            if (ir::size_of(from) < 8 && ir::size_of(t) > ir::size_of(from) && from != Type::i32) {
                Gp z = temp();
                a_.movzx(z.r32(), as(a, from));
                a = z;
            }
            use(i.a);
            Xmm d = def_vec(n);
            if (ir::size_of(from) <= 4)
                f_.avx ? a_.vmovd(d, a.r32()) : a_.movd(d, a.r32());
            else
                f_.avx ? a_.vmovq(d, a.r64()) : a_.movq(d, a.r64());
            known_[d.id()] = {.clear = u8(ir::size_of(from) <= 4 ? 32 : 64)};
            return;
        }
        if (in_vec(from)) {
            Xmm a = vec(i.a);
            use(i.a);
            Gp d = def(n);
            if (ir::size_of(from) <= 4)
                f_.avx ? a_.vmovd(d.r32(), a) : a_.movd(d.r32(), a);
            else
                f_.avx ? a_.vmovq(d.r64(), a) : a_.movq(d.r64(), a);
            return;
        }
        if (ir::size_of(from) < ir::size_of(t)) {
            Gp a = gpr(i.a);
            use(i.a);
            return void(a_.mov(def(n).r32(), a.r32()));
        }
        return alias(n, i.a);
    }
    case Op::pair: {
        if (t == Type::i64) {
            Gp a = gpr(i.a), b = gpr(i.b), x = temp();
            a_.mov(x, b);
            a_.shl(x, 32);
            use(i.b);
            use(i.a);
            if (an_->value[n].uses == 0) return;
            Gp low = a;
            Gp d = def(n);
            a_.mov(d.r32(), low.r32());
            a_.or_(d.r64(), x);
            return;
        }
        Gp a = gpr(i.a), b = gpr(i.b);
        use(i.a);
        use(i.b);
        Xmm d = def_vec(n);
        if (f_.avx) {
            a_.vmovq(d, a);
            a_.vpinsrq(d, d, b, 1);
        } else {
            a_.movq(d, a);
            a_.pinsrq(d, b, 1);
        }
        return;
    }
    case Op::half:
        if (in_vec(type(i.a))) {
            Xmm a = vec(i.a);
            use(i.a);
            Gp d = def(n);
            if (i.sub)
                f_.avx ? a_.vpextrq(d, a, 1) : a_.pextrq(d, a, 1);
            else
                f_.avx ? a_.vmovq(d, a) : a_.movq(d, a);
        } else {
            if (!i.sub) return alias(n, i.a);
            Gp a = gpr(i.a);
            use(i.a);
            Gp d = def(n);
            if (d.id() != a.id()) a_.mov(d, a);
            a_.shr(d, 32);
        }
        return;
    default: failed_ = true;
    }
}

void Lowering::bits(u32 n) {
    const IrInst& i = inst(n);
    Type t = i.type;
    u32 pos = u32(i.imm & 0xff), len = u32(i.imm >> 8 & 0xff), width = ir::bits_of(t);
    if (i.op == Op::bfi) {
        Gp x = temp();
        move_to(x, i.b);
        u64 m = (len >= 64 ? ~u64{0} : (u64{1} << len) - 1);
        // b's bits in place, then a without them
        if (pos + len < width || pos) {
            a_.shl(as(x, t), width - len);
            if (width - len - pos) a_.shr(as(x, t), width - len - pos);
        }
        Gp a = gpr(i.a);
        use(i.a);
        use(i.b);
        Gp d = def(n);
        if (d.id() != a.id()) a_.mov(as(d, t), as(a, t));
        u64 keep = ~(m << pos);
        if (t == Type::i32) keep = u32(keep);
        if (t == Type::i32)
            a_.and_(d.r32(), imm(i32(keep)));
        else if (i64(keep) == i32(i64(keep)))
            a_.and_(d, imm(i64(keep)));
        else {
            // rotate the field to the bottom, clear it there, rotate back: no 64-bit immediate needed
            a_.ror(d, pos);
            if (len < 32) {
                a_.shr(d, len);
                a_.shl(d, len);
            } else {
                a_.shr(d, len), a_.shl(d, len);
            }
            if (pos) a_.rol(d, pos);
        }
        a_.or_(as(d, t), as(x, t));
        return;
    }
    Gp a = gpr(i.a);
    use(i.a);
    Gp d = def_over(n, a);
    switch (i.op) {
    case Op::clz: a_.lzcnt(as(d, t), as(a, t)); return;
    case Op::ctz: a_.tzcnt(as(d, t), as(a, t)); return;
    case Op::popcnt: a_.popcnt(as(d, t), as(a, t)); return;
    case Op::bswap:
        if (d.id() != a.id()) a_.mov(as(d, t), as(a, t));
        a_.bswap(as(d, t));
        return;
    case Op::ubfx:
    case Op::sbfx: {
        bool s = i.op == Op::sbfx;
        if (pos == 0 && len == 8) return void(s ? a_.movsx(as(d, t), a.r8()) : a_.movzx(d.r32(), a.r8()));
        if (pos == 0 && len == 16) return void(s ? a_.movsx(as(d, t), a.r16()) : a_.movzx(d.r32(), a.r16()));
        if (pos == 0 && len == 32 && t == Type::i64) return void(s ? a_.movsxd(d, a.r32()) : a_.mov(d.r32(), a.r32()));
        if (d.id() != a.id()) a_.mov(as(d, t), as(a, t));
        if (!s && len < 32) {
            if (pos) a_.shr(as(d, t), pos);
            a_.and_(d.r32(), imm(i32((u32{1} << len) - 1)));
            return;
        }
        a_.shl(as(d, t), width - pos - len);
        s ? a_.sar(as(d, t), width - len) : a_.shr(as(d, t), width - len);
        return;
    }
    default: failed_ = true;
    }
}

// Bytes, then nibbles, pairs and neighbours change places.
void Lowering::reverse_bits(u32 n) {
    const IrInst& i = inst(n);
    Type t = i.type;
    Gp x = temp(), y = temp(), m = temp();
    move_to(x, i.a);
    use(i.a);
    a_.bswap(as(x, t));
    constexpr u64 masks[] = {0x0f0f0f0f0f0f0f0f, 0x3333333333333333, 0x5555555555555555};
    for (u32 k = 0; k < 3; ++k) {
        u32 by = 4u >> k;
        a_.mov(as(m, t), imm(t == Type::i64 ? i64(masks[k]) : i64(u32(masks[k]))));
        a_.mov(as(y, t), as(x, t));
        a_.shr(as(y, t), by);
        a_.and_(as(y, t), as(m, t));
        a_.and_(as(x, t), as(m, t));
        a_.shl(as(x, t), by);
        a_.or_(as(x, t), as(y, t));
    }
    def_in(n, x);
}

} // namespace mimic::jit::x86
