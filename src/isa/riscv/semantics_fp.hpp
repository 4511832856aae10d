// Shapes of floating-point meaning, templates over the format. The RISC-V Instruction Set Manual, Volume I (20240411),
// chapter 20; NaN boxing 21.2.
#pragma once
#include "isa/riscv/semantics.hpp"

namespace mimic::isa::riscv {

using ir::Op;

constexpr Type int_as_wide(Type t) { return t == Type::f16 ? Type::i16 : t == Type::f32 ? Type::i32 : Type::i64; }

// 20.2: 101 and 110 are reserved, 111 takes frm, which may hold a reserved value itself. Round has rm's numbers.
inline bool rounds(const I& i) { return i[rm] != 5 && i[rm] != 6 && !(i[rm] == 7 && i.context.bad_frm); }
inline ir::FpArg rounding(const I& i) {
    return {.round = i[rm] == 7 && i.context.away ? ir::Round::nearest_away : ir::Round(i[rm])};
}

template <Type T, const Field& Rd = rd, const Field& Base = rs1, const Field& Offset = imm_i>
void fp_load(Rv& t, const I& i) {
    t.f(i[Rd], t.load(T, t.x(i[Base]) + i[Offset], {.memory = T}));
}
template <Type T, const Field& Value = rs2, const Field& Base = rs1, const Field& Offset = imm_s>
void fp_store(Rv& t, const I& i) {
    t.store(t.x(i[Base]) + i[Offset], t.f_bits(i[Value], T), {.memory = T});
}

template <Op O, Type T>
void fp_unary(Rv& t, const I& i) {
    t.f(i[rd], t.fp(O, T, t.f(i[rs1], T), {}, {}, rounding(i)));
}
template <Op O, Type T>
void fp_binary(Rv& t, const I& i) {
    t.f(i[rd], t.fp(O, T, t.f(i[rs1], T), t.f(i[rs2], T), {}, rounding(i)));
}
template <Type T, bool NegateProduct, bool NegateAddend>
void fused(Rv& t, const I& i) {
    ir::FpArg arg = rounding(i);
    arg.neg_product = NegateProduct;
    arg.neg_addend = NegateAddend;
    t.f(i[rd], t.fp(Op::fma, T, t.f(i[rs1], T), t.f(i[rs2], T), t.f(i[rs3], T), arg));
}
template <Op O, Type T, ir::MinMax Flavour>
void min_max(Rv& t, const I& i) {
    t.f(i[rd], t.fp(O, T, t.f(i[rs1], T), t.f(i[rs2], T), {}, {}, u8(Flavour)));
}
template <ir::FRel Rel, Type T, bool Signaling>
void fp_compare(Rv& t, const I& i) {
    t.x(i[rd], t.fcmp(Rel, t.f(i[rs1], T), t.f(i[rs2], T), Signaling).zext(Type::i64));
}

// 20.6: of equal operands fsgnj moves, fsgnjn negates, fsgnjx gives the magnitude.
template <Type T>
void sign_inject(Rv& t, const I& i) {
    Val a = t.f(i[rs1], T);
    t.f(i[rd], i[rs1] == i[rs2] ? a : t.op(Op::fcopysign, T, a, t.f(i[rs2], T)));
}
template <Type T>
void sign_inject_negated(Rv& t, const I& i) {
    Val a = t.f(i[rs1], T), flipped = t.op(Op::fneg, T, t.f(i[rs2], T));
    t.f(i[rd], i[rs1] == i[rs2] ? flipped : t.op(Op::fcopysign, T, a, flipped));
}
template <Type T>
void sign_inject_xor(Rv& t, const I& i) {
    Val a = t.f(i[rs1], T);
    if (i[rs1] == i[rs2]) return t.f(i[rd], t.op(Op::fabs, T, a));
    constexpr Type bits = int_as_wide(T);
    Val sign = t.f(i[rs2], T).bitcast(bits) & i64(u64{1} << (ir::bits_of(bits) - 1));
    t.f(i[rd], (a.bitcast(bits) ^ sign).bitcast(T));
}

template <Op O, Type T, Type Int>
void fp_to_int(Rv& t, const I& i) {
    t.x(i[rd], t.fp(O, Int, t.f(i[rs1], T), {}, {}, rounding(i)).sext(Type::i64));
}
template <Op O, Type T, Type Int>
void int_to_fp(Rv& t, const I& i) {
    t.f(i[rd], t.fp(O, T, t.x(i[rs1]).trunc(Int), {}, {}, rounding(i)));
}
template <Type To, Type From>
void fp_convert(Rv& t, const I& i) {
    t.f(i[rd], t.fp(Op::fcvt, To, t.f(i[rs1], From), {}, {}, rounding(i)));
}
template <Type T>
void fp_to_bits(Rv& t, const I& i) {
    t.x(i[rd], t.f_bits(i[rs1], T).bitcast(int_as_wide(T)).sext(Type::i64));
}
template <Type T>
void fp_from_bits(Rv& t, const I& i) {
    t.f(i[rd], t.x(i[rs1]).trunc(int_as_wide(T)).bitcast(T));
}

// 20.9: one bit of ten. In f.cpp.
template <Type T>
void classify(Rv& t, const I& i);
extern template void classify<Type::f16>(Rv&, const I&);
extern template void classify<Type::f32>(Rv&, const I&);
extern template void classify<Type::f64>(Rv&, const I&);

} // namespace mimic::isa::riscv
