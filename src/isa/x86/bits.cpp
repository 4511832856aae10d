// Shifts, rotates and bits. Intel SDM vol. 2, instructions by name. Where the manual leaves a flag undefined: shifts
// clear AF; OF of a shift or rotate by more than one is what the rule for one gives on the last step.
#include "isa/x86/semantics.hpp"

namespace mimic::isa::x86 {

namespace {

Val bit(Val v, u32 n) { return v.lshr(n).trunc(Type::i1); }
Val top_bit(Val v) { return bit(v, bits_of(v.type()) - 1); }

// The count, an i8 masked to 5 or 6 bits: an immediate, 1 or cl.
Val count_of(X86& t, const I& i, u32 width) {
    Val n = i.row->imm == Imm::b           ? t.imm(u64(i.imm), Type::i8)
            : (i.opcode & 2) || i.row->map ? t.r(rcx, Type::i8)
                                           : t.imm(1, Type::i8);
    return n & (width == 64 ? 63 : 31);
}
// New flags unless the count is zero, which changes nothing.
void put_flags(X86& t, Val n, Val f) {
    if (n.is_const()) {
        if (n.const_value()) t.flags(f);
        return;
    }
    t.flags(t.flags_from((n == 0).select(t.flags_bits(t.flags()), t.flags_bits(f))));
}

enum class Shift { shl, shr, sar };

// In 64 bits, so that a count beyond a narrow operand's width gives what the manual's loop gives.
template <Shift Kind>
void shift(X86& t, const I& i) {
    Place p = t.place(i, 0);
    u32 width = bits_of(p.type);
    Val n = count_of(t, i, width), a = t.read(p), r, c;
    Val less_one = n - 1; // wraps for 0: put_flags drops the flags then
    if (width == 64) {
        r = Kind == Shift::shl ? a.shl(n) : Kind == Shift::shr ? a.lshr(n) : a.ashr(n);
        Val before = Kind == Shift::shl ? a.shl(less_one) : Kind == Shift::shr ? a.lshr(less_one) : a.ashr(less_one);
        c = Kind == Shift::shl ? top_bit(before) : before.trunc(Type::i1);
    } else {
        Val x = Kind == Shift::sar ? a.sext(Type::i64) : a.zext(Type::i64);
        Val whole = Kind == Shift::shl ? x.shl(n) : Kind == Shift::shr ? x.lshr(n) : x.ashr(n);
        r = whole.trunc(p.type);
        if (Kind == Shift::shl) {
            c = whole.lshr(width).trunc(Type::i1);
        } else {
            Val before = Kind == Shift::shr ? x.lshr(less_one) : x.ashr(less_one);
            c = before.trunc(Type::i1);
        }
    }
    t.write(p, r);
    Val v = Kind == Shift::shl ? top_bit(r) ^ c : Kind == Shift::shr ? top_bit(a) : t.imm(0, Type::i1);
    put_flags(t, n, t.flags_merge(t.flags_logic(r), t.carry_overflow(c, v), flag::c | flag::v));
}

template <bool Left>
void rotate(X86& t, const I& i) {
    Place p = t.place(i, 0);
    u32 width = bits_of(p.type);
    Val n = count_of(t, i, width), a = t.read(p);
    Val r = a.rotr(Left ? t.imm(0, Type::i8) - n : n);
    t.write(p, r);
    Val c = Left ? r.trunc(Type::i1) : top_bit(r);
    Val v = Left ? top_bit(r) ^ c : top_bit(r) ^ bit(r, width - 2);
    put_flags(t, n, t.flags_merge(t.flags(), t.carry_overflow(c, v), flag::c | flag::v));
}

// Through the carry: width + 1 bits go round.
template <bool Left>
void rotate_carry(X86& t, const I& i) {
    Place p = t.place(i, 0);
    u32 width = bits_of(p.type);
    Val n = count_of(t, i, width), a = t.read(p), c = t.carry(), r, out;
    if (width < 32) n = n.urem(t.imm(width + 1, Type::i8)); // 8 and 16: the count may go round more than once
    if (width == 64) {
        // n in 1..63; for 0 the results are not used
        Val cw = c.zext(Type::i64), less_one = n - 1, rest = t.imm(64, Type::i8) - n;
        Val turned =
            Left ? a.shl(n) | cw.shl(less_one) | a.lshr(1u).lshr(rest) : a.lshr(n) | cw.shl(rest) | a.shl(1u).shl(rest);
        out = Left ? a.lshr(rest).trunc(Type::i1) : a.lshr(less_one).trunc(Type::i1);
        r = (n == 0).select(a, turned);
    } else {
        Val x = a.zext(Type::i64) | c.zext(Type::i64).shl(width);
        Val back = t.imm(width + 1, Type::i8) - n;
        Val turned = Left ? x.shl(n) | x.lshr(back) : x.lshr(n) | x.shl(back);
        r = turned.trunc(p.type);
        out = turned.lshr(width).trunc(Type::i1);
    }
    t.write(p, r);
    Val v = Left ? top_bit(r) ^ out : top_bit(r) ^ bit(r, width - 2);
    Val f = t.flags_merge(t.flags(), t.carry_overflow(out, v), flag::c | flag::v);
    put_flags(t, n, f);
}

// 16 bits by more than 16 is undefined: as if the source came twice.
template <bool Left>
void shift_double(X86& t, const I& i) {
    Place p = t.place(i, 0);
    u32 width = bits_of(p.type);
    Val n = count_of(t, i, width), a = t.read(p), b = t.read(i, 1), r, c;
    Val less_one = n - 1;
    if (width == 16) {
        Val aw = a.zext(Type::i64), bw = b.zext(Type::i64);
        // 48 bits: a, then b, then a again (left); a b a from the other end (right)
        Val x = Left ? aw.shl(32u) | bw.shl(16u) | aw : aw.shl(32u) | bw.shl(16u) | aw;
        Val whole = Left ? x.shl(n) : x.lshr(n);
        r = (Left ? whole.lshr(32u) : whole).trunc(p.type);
        c = Left ? whole.lshr(48u).trunc(Type::i1) : x.lshr(less_one).trunc(Type::i1);
    } else if (width == 32) {
        Val x = Left ? a.zext(Type::i64).shl(32u) | b.zext(Type::i64) : b.zext(Type::i64).shl(32u) | a.zext(Type::i64);
        r = Left ? x.shl(n).lshr(32u).trunc(p.type) : x.lshr(n).trunc(p.type);
        c = Left ? x.shl(less_one).lshr(63u).trunc(Type::i1) : x.lshr(less_one).trunc(Type::i1);
    } else {
        Val rest = t.imm(64, Type::i8) - n;
        Val turned = Left ? a.shl(n) | b.lshr(1u).lshr(n ^ 63) : a.lshr(n) | b.shl(1u).shl(n ^ 63);
        r = (n == 0).select(a, turned);
        c = Left ? a.lshr(rest).trunc(Type::i1) : a.lshr(less_one).trunc(Type::i1);
    }
    t.write(p, r);
    Val v = top_bit(r) ^ top_bit(a);
    put_flags(t, n, t.flags_merge(t.flags_logic(r), t.carry_overflow(c, v), flag::c | flag::v));
}

enum class Bit { test, set, reset, complement };

// CF is the bit; the other flags are undefined or (ZF) unchanged: all stay. A register offset reaches beyond a memory
// operand.
template <Bit Kind>
void bit_test(X86& t, const I& i) {
    Place p = t.place(i, 0);
    u32 width = bits_of(p.type);
    Val offset = t.read(i, 1);
    if (offset.type() == Type::i8) offset = offset.zext(p.type);
    if (p.memory && !offset.is_const()) {
        Val far = width == 64 ? offset : offset.sext(Type::i64);
        u32 shift = width == 64 ? 6 : width == 32 ? 5 : 4;
        p.address = p.address + far.ashr(shift).shl(shift - 3);
    }
    Val at = offset & i64(width - 1), one = t.imm(1, p.type).shl(at), a;
    if (i.lock) {
        ir::Rmw op = Kind == Bit::set ? ir::Rmw::or_ : Kind == Bit::reset ? ir::Rmw::andn : ir::Rmw::xor_;
        a = t.rmw(op, p.address, one, {.memory = p.type, .order = ir::Order::seq_cst});
    } else {
        a = t.read(p);
        if (Kind == Bit::set) t.write(p, a | one);
        if (Kind == Bit::reset) t.write(p, a & ~one);
        if (Kind == Bit::complement) t.write(p, a ^ one);
    }
    t.flags(t.carry_overflow(a.lshr(at).trunc(Type::i1), {}), flag::c);
}

Val only_zero_flag(X86& t, Val is_zero) { return t.flags_from(is_zero.zext(Type::i32).shl(6u)); }

// A zero source leaves the destination as it is; ZF says so, the other flags are undefined and stay.
template <bool Reverse>
void bit_scan(X86& t, const I& i) {
    Val a = t.read(i, 1), zero = a == 0;
    Type ty = a.type();
    Val n = Reverse ? t.imm(bits_of(ty) - 1, ty) - a.clz() : a.ctz();
    if (ty == Type::i32)
        t.r(i.register_of(0), zero.select(t.r(i.register_of(0)), n.zext(Type::i64)));
    else
        t.write(i, 0, zero.select(t.read(i, 0), n));
    t.flags(only_zero_flag(t, zero), flag::z);
}
// CF: the source was zero; ZF: the result is. The others are undefined: they stay.
template <bool Leading>
void zeros(X86& t, const I& i) {
    Val a = t.read(i, 1), n = Leading ? a.clz() : a.ctz();
    t.write(i, 0, n);
    Val c = (a == 0).zext(Type::i32), z = (n == 0).zext(Type::i32).shl(6u);
    t.flags(t.flags_from(c | z), flag::c | flag::z);
}
void popcnt(X86& t, const I& i) {
    Val a = t.read(i, 1);
    t.write(i, 0, a.popcnt());
    t.flags(only_zero_flag(t, a == 0));
}

#define SHIFTS(name, digit, meaning)                                                                                   \
    {name " {r/m8},1", "D0 " digit, meaning}, {name " {r/mv},1", "D1 " digit, meaning},                                \
        {name " {r/m8},{imm8}", "C0 " digit " ib", meaning}, {name " {r/mv},{imm8}", "C1 " digit " ib", meaning},      \
        {name " {r/m8},cl", "D2 " digit, meaning}, {                                                                   \
        name " {r/mv},cl", "D3 " digit, meaning                                                                        \
    }

// clang-format off
constexpr Row rows[] = {
    SHIFTS("rol", "/0", rotate<true>),
    SHIFTS("ror", "/1", rotate<false>),
    SHIFTS("rcl", "/2", rotate_carry<true>),
    SHIFTS("rcr", "/3", rotate_carry<false>),
    SHIFTS("shl", "/4", shift<Shift::shl>),
    SHIFTS("shr", "/5", shift<Shift::shr>),
    SHIFTS("sar", "/7", shift<Shift::sar>),
    {"shld {r/mv},{rv},{imm8}",  "0F A4 /r ib",       shift_double<true>},
    {"shld {r/mv},{rv},cl",      "0F A5 /r",          shift_double<true>},
    {"shrd {r/mv},{rv},{imm8}",  "0F AC /r ib",       shift_double<false>},
    {"shrd {r/mv},{rv},cl",      "0F AD /r",          shift_double<false>},
    {"bt {r/mv},{rv}",           "0F A3 /r",          bit_test<Bit::test>},
    {"bts {r/mv},{rv}",          "0F AB /r lock",     bit_test<Bit::set>},
    {"btr {r/mv},{rv}",          "0F B3 /r lock",     bit_test<Bit::reset>},
    {"btc {r/mv},{rv}",          "0F BB /r lock",     bit_test<Bit::complement>},
    {"bt {r/mv},{imm8}",         "0F BA /4 ib",       bit_test<Bit::test>},
    {"bts {r/mv},{imm8}",        "0F BA /5 ib lock",  bit_test<Bit::set>},
    {"btr {r/mv},{imm8}",        "0F BA /6 ib lock",  bit_test<Bit::reset>},
    {"btc {r/mv},{imm8}",        "0F BA /7 ib lock",  bit_test<Bit::complement>},
    {"bsf {rv},{r/mv}",          "0F BC /r",          bit_scan<false>},
    {"bsr {rv},{r/mv}",          "0F BD /r",          bit_scan<true>},
};
constexpr Row bmi1[] = {{"tzcnt {rv},{r/mv}",  "F3 0F BC /r", zeros<false>}};
constexpr Row lzcnt[] = {{"lzcnt {rv},{r/mv}", "F3 0F BD /r", zeros<true>}};
constexpr Row popcnt_[] = {{"popcnt {rv},{r/mv}", "F3 0F B8 /r", popcnt}};
// clang-format on

} // namespace

constinit const Table bit_rows{"bits", Feature::base, rows}, bmi1_rows{"BMI1", Feature::bmi1, bmi1},
    lzcnt_rows{"LZCNT", Feature::lzcnt, lzcnt}, popcnt_rows{"POPCNT", Feature::popcnt, popcnt_};

} // namespace mimic::isa::x86
