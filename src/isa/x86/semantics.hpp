// Shapes of meaning that several rows share.
#pragma once
#include "isa/x86/x86.hpp"

namespace mimic::isa::x86 {

// The two-operand operations of opcodes 00 to 3F.
struct Add {
    static constexpr ir::Rmw rmw = ir::Rmw::add;
    static Val result(X86&, Val a, Val b) { return a + b; }
    static Val flags(X86& t, Val a, Val b, Val) { return t.flags_add(a, b); }
};
struct Sub {
    static constexpr ir::Rmw rmw = ir::Rmw::sub;
    static Val result(X86&, Val a, Val b) { return a - b; }
    static Val flags(X86& t, Val a, Val b, Val) { return t.flags_sub(a, b); }
};
// AF is undefined after the logical ones; processors clear it.
struct Or {
    static constexpr ir::Rmw rmw = ir::Rmw::or_;
    static Val result(X86&, Val a, Val b) { return a | b; }
    static Val flags(X86& t, Val, Val, Val r) { return t.flags_logic(r); }
};
struct And {
    static constexpr ir::Rmw rmw = ir::Rmw::and_;
    static Val result(X86&, Val a, Val b) { return a & b; }
    static Val flags(X86& t, Val, Val, Val r) { return t.flags_logic(r); }
};
struct Xor {
    static constexpr ir::Rmw rmw = ir::Rmw::xor_;
    static Val result(X86&, Val a, Val b) { return a ^ b; }
    static Val flags(X86& t, Val, Val, Val r) { return t.flags_logic(r); }
};

template <class Op>
void alu(X86& t, const I& i) {
    Place p = t.place(i, 0);
    if (i.lock) {
        Val b = t.read(i, 1);
        Val a = t.rmw(Op::rmw, p.address, b, {.memory = p.type, .order = ir::Order::seq_cst});
        return t.flags(Op::flags(t, a, b, Op::result(t, a, b)));
    }
    Val a = t.read(p), b = t.read(i, 1), r = Op::result(t, a, b);
    t.write(p, r);
    t.flags(Op::flags(t, a, b, r));
}
// adc and sbb.
template <bool Subtract>
void alu_carry(X86& t, const I& i) {
    auto sum = [&](Val a, Val b) {
        Val c = t.carry().zext(a.type());
        return Subtract ? a - b - c : a + b + c;
    };
    auto set = [&](Val a, Val b) { t.flags(Subtract ? t.flags_sub(a, b, t.carry()) : t.flags_add(a, b, t.carry())); };
    if (i.lock) {
        Val a = t.locked(i, 0, [&](Val old) { return sum(old, t.read(i, 1)); });
        return set(a, t.read(i, 1));
    }
    Place p = t.place(i, 0);
    Val a = t.read(p), b = t.read(i, 1);
    t.write(p, sum(a, b));
    set(a, b);
}
template <class Op>
void compare(X86& t, const I& i) {
    Val a = t.read(i, 0), b = t.read(i, 1);
    t.flags(Op::flags(t, a, b, Op::result(t, a, b)));
}

} // namespace mimic::isa::x86
