// String instructions. Intel SDM vol. 2, REP/REPE/REPNE and the instructions by name. A repeated one does one element
// and goes to itself: after each the state is that of an instruction boundary, as interrupts and faults want it.
#include "isa/x86/semantics.hpp"

namespace mimic::isa::x86 {

namespace {

// A pointer register and its counter have the width of the address size.
Type address_type(const I& i) { return i.addr32 ? Type::i32 : Type::i64; }
Val pointer(X86& t, const I& i, u8 reg) {
    Val a = t.r(reg, address_type(i));
    return i.addr32 ? a.zext(Type::i64) : a;
}
Val source(X86& t, const I& i) {
    Val base = t.segment_base(i.segment), a = pointer(t, i, rsi);
    return base ? a + base : a;
}
void advance(X86& t, const I& i, u8 reg, Type element) {
    i64 size = bits_of(element) / 8;
    Type ty = address_type(i);
    Val down = t.get(slot_df, Type::i8) != 0;
    t.r(reg, t.r(reg, ty) + down.select(t.imm(u64(-size), ty), t.imm(u64(size), ty)));
}

// Once, or as often as rcx says.
template <class F>
void repeat(X86& t, const I& i, F&& once) {
    if (!i.rep) return once();
    Type ty = address_type(i);
    t.when(t.r(rcx, ty) != 0, [&] {
        once();
        t.r(rcx, t.r(rcx, ty) - 1);
        t.goto_pc(t.pc());
    });
}
// The same for comparisons, which end early when ZF is not as the prefix wants it. `once` gives the flags; a fault finds
// them as they were before the first element (CMPS: "EFLAGS value is restored"), so only the last one's are written.
template <class F>
void repeat_compare(X86& t, const I& i, F&& once) {
    if (!i.rep) return t.flags(once());
    Type ty = address_type(i);
    t.when(t.r(rcx, ty) != 0, [&] {
        Val f = once(), n = t.r(rcx, ty) - 1;
        t.r(rcx, n);
        t.put(slot_temp, t.flags_bits(f));
        Val last = (n == 0) | t.cond(i.rep == 0xf3 ? Cond::nz : Cond::z, f);
        t.when(last, [&] {
            t.flags(t.flags_from(t.get(slot_temp, Type::i32)));
            t.goto_pc(t.next_pc());
        });
        t.goto_pc(t.pc());
    });
}

Type element_of(const I& i) { return i.opcode & 1 ? int_type(i.bytes(Size::v)) : Type::i8; }

void movs(X86& t, const I& i) {
    Type e = element_of(i);
    repeat(t, i, [&] {
        t.store(pointer(t, i, rdi), t.load(source(t, i), e));
        advance(t, i, rsi, e);
        advance(t, i, rdi, e);
    });
}
void stos(X86& t, const I& i) {
    Type e = element_of(i);
    repeat(t, i, [&] {
        t.store(pointer(t, i, rdi), t.r(rax, e));
        advance(t, i, rdi, e);
    });
}
void lods(X86& t, const I& i) {
    Type e = element_of(i);
    repeat(t, i, [&] {
        t.r(rax, t.load(source(t, i), e));
        advance(t, i, rsi, e);
    });
}
void cmps(X86& t, const I& i) {
    Type e = element_of(i);
    repeat_compare(t, i, [&] {
        Val a = t.load(source(t, i), e), b = t.load(pointer(t, i, rdi), e);
        advance(t, i, rsi, e);
        advance(t, i, rdi, e);
        return t.flags_sub(a, b);
    });
}
void scas(X86& t, const I& i) {
    Type e = element_of(i);
    repeat_compare(t, i, [&] {
        Val b = t.load(pointer(t, i, rdi), e);
        advance(t, i, rdi, e);
        return t.flags_sub(t.r(rax, e), b);
    });
}

// clang-format off
constexpr Row rows[] = {
    {"movs {Yb},{Xb}",   "A4 rep",   movs},
    {"movs {Yv},{Xv}",   "A5 rep",   movs},
    {"cmps {Xb},{Yb}",   "A6 rep",   cmps},
    {"cmps {Xv},{Yv}",   "A7 rep",   cmps},
    {"stos {Yb},{AL}",   "AA rep",   stos},
    {"stos {Yv},{rAX}",  "AB rep",   stos},
    {"lods {AL},{Xb}",   "AC rep",   lods},
    {"lods {rAX},{Xv}",  "AD rep",   lods},
    {"scas {AL},{Yb}",   "AE rep",   scas},
    {"scas {rAX},{Yv}",  "AF rep",   scas},
};
// clang-format on

} // namespace

constinit const Table string_rows{"string", Feature::base, rows};

} // namespace mimic::isa::x86
