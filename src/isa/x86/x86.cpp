#include "isa/x86/x86.hpp"

namespace mimic::isa::x86 {

Val X86::holds(u8 opcode) {
    constexpr Cond table[] = {Cond::v, Cond::c, Cond::z, Cond::ule, Cond::n, Cond::p, Cond::slt, Cond::sle};
    Cond c = table[opcode >> 1 & 7];
    return cond(opcode & 1 ? negate(c) : c, flags());
}
Val X86::carry_overflow(Val c, Val v) {
    Val bits = c.zext(Type::i32);
    if (v) bits = bits | v.zext(Type::i32).shl(11u);
    return flags_from(bits);
}

Val X86::load(Val a, Type t, Type as) {
    return Builder::load(as == Type::none ? t : as, a, {.memory = t, .order = ir::Order::acquire});
}
void X86::store(Val a, Val v) { Builder::store(a, v, {.memory = v.type(), .order = ir::Order::release}); }

Val X86::segment_base(u8 prefix) {
    if (prefix == 0x64) return get(slot_fs_base, Type::i64);
    if (prefix == 0x65) return get(slot_gs_base, Type::i64);
    return {}; // flat in 64-bit mode
}
Val X86::address(const I& i) {
    Val a;
    if (i.base == x86::rip)
        a = code_address(i.pc + i.length);
    else if (i.base != no_register)
        a = r(i.base);
    if (i.index != no_register) {
        Val x = r(i.index).shl(u32(i.scale));
        a = a ? a + x : x;
    }
    a = a ? a + i64(i.disp) : imm(u64(i64(i.disp)));
    if (i.addr32) a = a.trunc(Type::i32).zext(Type::i64);
    Val base = i.kind(0).where == Where::mem && i.kind(0).memory == Size::none ? Val{} : segment_base(i.segment);
    return base ? a + base : a;
}

Place X86::place(const I& i, u32 n) {
    const Kind& k = i.kind(n);
    Place p{.type = int_type(i.bytes(n))};
    if (i.is_memory(n)) {
        p.memory = true;
        p.address = address(i);
    } else if (k.where == Where::moffs) {
        p.memory = true;
        p.address = imm(i.addr32 ? u64(u32(i.imm)) : u64(i.imm));
        if (Val base = segment_base(i.segment)) p.address = p.address + base;
    } else {
        p.reg = i.register_of(n);
        p.high = p.type == Type::i8 && !i.rex && p.reg >= 4 && p.reg < 8;
        if (p.high) p.reg -= 4;
    }
    return p;
}
Val X86::read(const Place& p) {
    if (p.memory) return load(p.address, p.type);
    return p.high ? get(u16(slot_r + p.reg), Type::i8, 1) : r(p.reg, p.type);
}
void X86::write(const Place& p, Val v) {
    if (p.memory)
        store(p.address, v);
    else if (p.high)
        put(u16(slot_r + p.reg), v, 1);
    else
        r(p.reg, v);
}

Val X86::scalar(const I& i, u32 n, Type t) { return i.is_memory(n) ? load(address(i), t) : xmm(i.register_of(n), t); }
// SDM vol. 1, 10.2.2 and 11.3: legacy SSE takes aligned 16-byte operands, else #GP.
Val X86::vector(const I& i, u32 n, bool aligned) {
    if (!i.is_memory(n)) return xmm(i.register_of(n));
    ir::MemArg m{.memory = Type::v128, .align = aligned ? ir::Align::natural : ir::Align::any};
    return Builder::load(Type::v128, address(i), m);
}

void X86::vector(const I& i, u32 n, Val v, bool aligned) {
    if (!i.is_memory(n)) return xmm(i.register_of(n), v);
    ir::MemArg m{.memory = Type::v128, .align = aligned ? ir::Align::natural : ir::Align::any};
    Builder::store(address(i), v, m);
}

void X86::push(Val v) {
    Val sp = r(rsp) - i64(bits_of(v.type()) / 8);
    store(sp, v);
    r(rsp, sp);
}

} // namespace mimic::isa::x86
