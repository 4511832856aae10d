// Shapes of meaning that several rows share. The fields default to those of the 32-bit formats; compressed rows name
// theirs, with `zero`, `ra` and `sp` for what their format leaves out.
#pragma once
#include "isa/riscv/isa.hpp"

namespace mimic::isa::riscv {

// 2.5.1: x1 and x5 are link registers for the return-address prediction.
inline bool is_link(i64 reg) { return reg == 1 || reg == 5; }

inline constexpr auto add = [](Val a, Val b) { return a + b; };
inline constexpr auto sub = [](Val a, Val b) { return a - b; };
inline constexpr auto bit_and = [](Val a, Val b) { return a & b; };
inline constexpr auto bit_or = [](Val a, Val b) { return a | b; };
inline constexpr auto bit_xor = [](Val a, Val b) { return a ^ b; };
inline constexpr auto shl = [](Val a, Val n) { return a.shl(n); };
inline constexpr auto lshr = [](Val a, Val n) { return a.lshr(n); };
inline constexpr auto ashr = [](Val a, Val n) { return a.ashr(n); };
inline constexpr auto set_less = [](Val a, Val b) { return a.slt(b).zext(Type::i64); };
inline constexpr auto set_less_unsigned = [](Val a, Val b) { return a.ult(b).zext(Type::i64); };

inline constexpr auto equal = [](Val a, Val b) { return a == b; };
inline constexpr auto not_equal = [](Val a, Val b) { return a != b; };
inline constexpr auto less = [](Val a, Val b) { return a.slt(b); };
inline constexpr auto less_unsigned = [](Val a, Val b) { return a.ult(b); };
inline constexpr auto greater_equal = [](Val a, Val b) { return b.sle(a); };
inline constexpr auto greater_equal_unsigned = [](Val a, Val b) { return b.ule(a); };

template <auto Op>
void unary(Rv& t, const I& i) {
    t.x(i[rd], Op(t.x(i[rs1])));
}
template <auto Op>
void unary_w(Rv& t, const I& i) {
    t.w(i[rd], Op(t.w(i[rs1])));
}
template <auto Op, const Field& Rd = rd, const Field& Rs1 = rs1, const Field& Rs2 = rs2>
void binary(Rv& t, const I& i) {
    t.x(i[Rd], Op(t.x(i[Rs1]), t.x(i[Rs2])));
}
template <auto Op, const Field& Rd = rd, const Field& Rs1 = rs1, const Field& Rs2 = rs2>
void binary_w(Rv& t, const I& i) {
    t.w(i[Rd], Op(t.w(i[Rs1]), t.w(i[Rs2])));
}
template <auto Op, const Field& Rd = rd, const Field& Rs1 = rs1, const Field& Imm = imm_i>
void immediate(Rv& t, const I& i) {
    t.x(i[Rd], Op(t.x(i[Rs1]), t.imm(u64(i[Imm]))));
}
template <auto Op, const Field& Rd = rd, const Field& Rs1 = rs1, const Field& Imm = imm_i>
void immediate_w(Rv& t, const I& i) {
    t.w(i[Rd], Op(t.w(i[Rs1]), t.imm(u64(i[Imm]), Type::i32)));
}
template <auto Op, const Field& Rd = rd, const Field& Rs1 = rs1, const Field& Shamt = shamt>
void shift(Rv& t, const I& i) {
    t.x(i[Rd], Op(t.x(i[Rs1]), t.imm(u64(i[Shamt]), Type::i8)));
}
template <auto Op>
void shift_w(Rv& t, const I& i) {
    t.w(i[rd], Op(t.w(i[rs1]), t.imm(u64(i[shamtw]), Type::i8)));
}

template <const Field& Rd = rd, const Field& Imm = imm_u>
void constant(Rv& t, const I& i) {
    t.x(i[Rd], t.imm(u64(i[Imm])));
}
// 2.5: a target that no instruction can stand at raises misaligned fetch at the jump, before rd is written.
inline bool jumps_astray(Rv& t, u64 target) {
    if (t.model().has(Ext::zca) || !(target & 2)) return false;
    t.trap(ir::TrapKind::misaligned_fetch, t.pc(), t.code_address(target));
    return true;
}
template <const Field& Rd = rd, const Field& Imm = imm_j>
void jal(Rv& t, const I& i) {
    u64 target = t.pc() + u64(i[Imm]), back = t.next_pc();
    if (jumps_astray(t, target)) return;
    t.x(i[Rd], t.code_address(back));
    if (is_link(i[Rd]))
        t.call_pc(target, back);
    else
        t.goto_pc(target);
}
// 2.5.1: the lowest bit of the target is cleared; the hints follow table 3.
template <const Field& Rd = rd, const Field& Rs1 = rs1, const Field& Imm = imm_i>
void jalr(Rv& t, const I& i) {
    auto target = [&] { return (t.x(i[Rs1]) + i[Imm]) & ~i64{1}; };
    if (!t.model().has(Ext::zca))
        t.when((target() & 2) != 0, [&] { t.trap(ir::TrapKind::misaligned_fetch, t.pc(), target()); });
    Val to = target();
    u64 back = t.next_pc();
    t.x(i[Rd], t.code_address(back));
    if (is_link(i[Rd]))
        t.call_value(to, back);
    else
        t.goto_value(to, is_link(i[Rs1]) ? ir::ExitHint::ret : ir::ExitHint::jump);
}
template <auto Rel, const Field& Rs1 = rs1, const Field& Rs2 = rs2, const Field& Imm = imm_b>
void branch(Rv& t, const I& i) {
    u64 target = t.pc() + u64(i[Imm]);
    Val taken = Rel(t.x(i[Rs1]), t.x(i[Rs2]));
    if (!t.model().has(Ext::zca) && target & 2) {
        t.when(taken, [&] { jumps_astray(t, target); });
        return;
    }
    t.branch_to(taken, target, t.next_pc());
}

template <Type T, bool Sign, const Field& Rd = rd, const Field& Base = rs1, const Field& Offset = imm_i>
void load(Rv& t, const I& i) {
    t.x(i[Rd], t.load(Type::i64, t.x(i[Base]) + i[Offset], {.memory = T, .sign = Sign}));
}
template <Type T, const Field& Value = rs2, const Field& Base = rs1, const Field& Offset = imm_s>
void store(Rv& t, const I& i) {
    t.store(t.x(i[Base]) + i[Offset], t.x(i[Value]).trunc(T), {.memory = T});
}

} // namespace mimic::isa::riscv
