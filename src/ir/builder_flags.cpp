// Condition codes: producers, and conditions folded into comparisons where the producer is in sight.
#include "ir/builder.hpp"

namespace mimic::ir {

namespace {

// What a condition says after a subtraction without overflow of meaning: a relation of its operands.
// `borrow`: does flag C, as tested, mean that the subtraction borrowed? Otherwise it means the opposite.
bool relation_of(Cond c, bool borrow, Rel& rel) {
    switch (c) {
    case Cond::z: rel = Rel::eq; return true;
    case Cond::nz: rel = Rel::ne; return true;
    case Cond::c: rel = borrow ? Rel::ult : Rel::uge; return true;
    case Cond::nc: rel = borrow ? Rel::uge : Rel::ult; return true;
    case Cond::ugt: rel = borrow ? Rel::ugt : Rel::ult; return true;
    case Cond::ule: rel = borrow ? Rel::ule : Rel::uge; return true;
    case Cond::sge: rel = Rel::sge; return true;
    case Cond::slt: rel = Rel::slt; return true;
    case Cond::sgt: rel = Rel::sgt; return true;
    case Cond::sle: rel = Rel::sle; return true;
    default: return false;
    }
}

bool holds(Cond c, u32 flags, bool inverted) {
    if (inverted) flags ^= flag::c;
    bool z = flags & flag::z, cf = flags & flag::c, n = flags & flag::n, v = flags & flag::v;
    bool yes = !z && n == v; // sgt
    switch (Cond(u8(c) & ~1u)) {
    case Cond::z: yes = z; break;
    case Cond::c: yes = cf; break;
    case Cond::n: yes = n; break;
    case Cond::v: yes = v; break;
    case Cond::p: yes = flags & flag::p; break;
    case Cond::ugt: yes = !cf && !z; break;
    case Cond::sge: yes = n == v; break;
    default: break;
    }
    return yes != bool(u8(c) & 1);
}
// Conditions stand in pairs of opposites.
static_assert(negate(Cond::ugt) == Cond::ule && negate(Cond::sge) == Cond::slt && negate(Cond::sgt) == Cond::sle &&
              u8(Cond::ugt) % 2 == 0 && u8(Cond::sge) % 2 == 0 && u8(Cond::sgt) % 2 == 0);

} // namespace

// ---- condition codes

Val Builder::flags_add(Val a, Val b, Val carry, bool invert_c) {
    return emit({.op = Op::flags_add,
                 .type = a.type(),
                 .a = a.id(),
                 .b = b.id(),
                 .c = carry ? carry.id() : none,
                 .imm = invert_c ? flags_invert_c : 0});
}
Val Builder::flags_sub(Val a, Val b, Val borrow, bool invert_c) {
    return emit({.op = Op::flags_sub,
                 .type = a.type(),
                 .a = a.id(),
                 .b = b.id(),
                 .c = borrow ? borrow.id() : none,
                 .imm = invert_c ? flags_invert_c : 0});
}
Val Builder::flags_logic(Val a, bool invert_c) {
    return emit({.op = Op::flags_logic, .type = a.type(), .a = a.id(), .imm = invert_c ? flags_invert_c : 0});
}
Val Builder::flags_fcmp(Val a, Val b, bool signaling, bool invert_c) {
    return emit({.op = Op::flags_fcmp,
                 .type = a.type(),
                 .sub = signaling,
                 .a = a.id(),
                 .b = b.id(),
                 .imm = invert_c ? flags_invert_c : 0});
}
Val Builder::flags_from(Val bits) { return emit({.op = Op::flags_from, .type = Type::flags, .a = bits.id()}); }
Val Builder::flags_bits(Val flags) { return emit({.op = Op::flags_bits, .type = Type::i32, .a = flags.id()}); }
Val Builder::flags_merge(Val old, Val now, u32 mask) {
    return emit({.op = Op::flags_merge, .type = Type::flags, .a = old.id(), .b = now.id(), .imm = mask});
}
// Null when a condition stays one.
Val Builder::cond_of_sub(Cond c, const Inst& f, bool borrow) {
    Val a{this, f.a}, b{this, f.b};
    bool sign = c == Cond::n || c == Cond::nn;
    Rel rel = c == Cond::n ? Rel::slt : Rel::sge; // of the difference and zero, where the sign is asked for
    if (!sign && !relation_of(c, borrow, rel)) return {};
    // The difference itself, where it stands in a slot: the operand may be gone from its register by now.
    if (sign || rel == Rel::eq || rel == Rel::ne) {
        if (Val d = held_difference(f); d || sign) {
            if (!d) d = a - b;
            Val zero = imm(0, d.type());
            return compare(rel, d, zero);
        }
    }
    return compare(rel, a, b);
}

// The value a - b of a flags_sub, or a + b of a flags_add, if a slot holds it.
Val Builder::held_difference(const Inst& f) {
    Val b{this, f.b};
    bool sub = f.op == Op::flags_sub;
    for (const Known& k : known_) {
        if (k.stamp != stamp_ || k.value == none) continue;
        const Inst& i = unit_.code[k.value];
        if (i.type != f.type) continue;
        if (i.op == (sub ? Op::sub : Op::add) && i.a == f.a && i.b == f.b) return {this, k.value};
        if (sub && i.op == Op::add && i.a == f.a && b.is_const() && unit_.code[i.b].op == Op::constant &&
            unit_.code[i.b].imm == Val(imm(0 - b.const_value(), f.type)).const_value())
            return {this, k.value};
    }
    return {};
}

Val Builder::cond_of_add(Cond c, const Inst& f, bool carry) {
    Val a{this, f.a}, b{this, f.b};
    Val sum = held_difference(f);
    switch (c) {
    case Cond::z:
    case Cond::nz:
    case Cond::n:
    case Cond::nn: {
        if (!sum) sum = a + b;
        Rel rel = c == Cond::z ? Rel::eq : c == Cond::nz ? Rel::ne : c == Cond::n ? Rel::slt : Rel::sge;
        return compare(rel, sum, imm(0, sum.type()));
    }
    case Cond::c:
    case Cond::nc:
        if (!sum) sum = a + b;
        return compare((c == Cond::c) == carry ? Rel::ult : Rel::uge, sum, a);
    default: return {};
    }
}

Val Builder::cond_of_logic(Cond c, const Inst& f, bool c_set) {
    Val a{this, f.a}, zero = imm(0, a.type());
    switch (c) {
    case Cond::z: return compare(Rel::eq, a, zero);
    case Cond::nz: return compare(Rel::ne, a, zero);
    case Cond::n:
    case Cond::slt: return compare(Rel::slt, a, zero);
    case Cond::nn:
    case Cond::sge: return compare(Rel::sge, a, zero);
    case Cond::sgt: return compare(Rel::sgt, a, zero);
    case Cond::sle: return compare(Rel::sle, a, zero);
    case Cond::c: return imm(c_set, Type::i1);
    case Cond::nc: return imm(!c_set, Type::i1);
    case Cond::v: return imm(0, Type::i1);
    case Cond::nv: return imm(1, Type::i1);
    case Cond::ugt: return c_set ? imm(0, Type::i1) : compare(Rel::ne, a, zero);
    case Cond::ule: return c_set ? imm(1, Type::i1) : compare(Rel::eq, a, zero);
    default: return {};
    }
}

// `less`: flag C, as tested, means less; otherwise not less.
Val Builder::cond_of_fcmp(Cond c, const Inst& f, bool less) {
    // The modes must be those of the comparison.
    for (u32 n = f.a; n < unit_.code.size(); ++n)
        if (unit_.code[n].op == Op::fpmode_set || unit_.code[n].op == Op::call) return {};
    Val a{this, f.a}, b{this, f.b};
    auto compare_fp = [&](FRel rel, bool swap = false) { return fcmp(rel, swap ? b : a, swap ? a : b, f.sub); };
    switch (c) {
    case Cond::z: return compare_fp(FRel::eq);
    case Cond::n: return compare_fp(FRel::lt);
    case Cond::v: return compare_fp(FRel::unordered);
    case Cond::c: return less ? compare_fp(FRel::lt) : ~compare_fp(FRel::lt);
    case Cond::ugt: return less ? ~compare_fp(FRel::le) : compare_fp(FRel::lt);
    case Cond::sge: return compare_fp(FRel::le, true);
    case Cond::sgt: return compare_fp(FRel::lt, true);
    case Cond::p: return {};
    default: {
        Val opposite = c == Cond::np ? Val{} : cond_of_fcmp(negate(c), f, less);
        return opposite ? ~opposite : opposite;
    }
    }
}

Val Builder::cond(Cond c, Val flags, bool inverted) {
    const Inst f = inst(flags); // a copy: the code moves
    const bool flipped = bool(f.imm & flags_invert_c) != inverted;
    Val v;
    switch (f.op) {
    case Op::flags_sub:
        if (f.c == none) v = cond_of_sub(c, f, !flipped);
        break;
    case Op::flags_add:
        if (f.c == none) v = cond_of_add(c, f, !flipped);
        break;
    case Op::flags_logic: v = cond_of_logic(c, f, flipped); break;
    case Op::flags_fcmp: v = cond_of_fcmp(c, f, flipped); break;
    case Op::flags_from:
        if (Val bits{this, f.a}; bits.is_const()) return imm(holds(c, u32(bits.const_value()), inverted), Type::i1);
        break;
    case Op::select: // a conditional comparison
        if (inst({this, f.c}).op == Op::flags_from && Val(this, inst({this, f.c}).a).is_const()) {
            Val k = cond(c, {this, f.c}, inverted), taken{this, f.a}, then = cond(c, {this, f.b}, inverted);
            return k.const_value() ? ~taken | then : taken & then;
        }
        break;
    default: break;
    }
    if (v) return v;
    return emit({.op = Op::cond, .type = Type::i1, .sub = u8(c), .a = flags.id(), .imm = inverted});
}

} // namespace mimic::ir
