// Shapes of meaning that several rows share.
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
void binary(Rv& t, const I& i) {
    t.x(i[rd], Op(t.x(i[rs1]), t.x(i[rs2])));
}
template <auto Op>
void binary_w(Rv& t, const I& i) {
    t.w(i[rd], Op(t.w(i[rs1]), t.w(i[rs2])));
}
template <auto Op>
void immediate(Rv& t, const I& i) {
    t.x(i[rd], Op(t.x(i[rs1]), t.imm(u64(i[imm_i]))));
}
template <auto Op>
void immediate_w(Rv& t, const I& i) {
    t.w(i[rd], Op(t.w(i[rs1]), t.imm(u64(i[imm_i]), Type::i32)));
}
template <auto Op>
void shift(Rv& t, const I& i) {
    t.x(i[rd], Op(t.x(i[rs1]), t.imm(u64(i[shamt]), Type::i8)));
}
template <auto Op>
void shift_w(Rv& t, const I& i) {
    t.w(i[rd], Op(t.w(i[rs1]), t.imm(u64(i[shamtw]), Type::i8)));
}
template <auto Rel>
void branch(Rv& t, const I& i) {
    t.branch_to(Rel(t.x(i[rs1]), t.x(i[rs2])), t.pc() + u64(i[imm_b]), t.next_pc());
}
template <Type T, bool Sign>
void load(Rv& t, const I& i) {
    t.x(i[rd], t.load(Type::i64, t.x(i[rs1]) + i[imm_i], {.memory = T, .sign = Sign}));
}
template <Type T>
void store(Rv& t, const I& i) {
    t.store(t.x(i[rs1]) + i[imm_s], t.x(i[rs2]).trunc(T), {.memory = T});
}

} // namespace mimic::isa::riscv
