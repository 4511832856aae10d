// Shapes of floating-point meaning: Arm ARM J1.3, shared pseudocode of floating point.
#pragma once
#include "isa/aarch64/semantics.hpp"
#include "softfloat/softfloat.hpp"

namespace mimic::isa::aarch64 {

// The format that ftype (bits 23:22) names.
inline Type fp_type(const I& i) {
    constexpr Type types[] = {Type::f32, Type::f64, Type::none, Type::f16};
    return types[i.bits >> 22 & 3];
}
// The integer type as wide as a format.
constexpr Type bits_type(Type t) { return t == Type::f16 ? Type::i16 : t == Type::f32 ? Type::i32 : Type::i64; }

// VFPExpandImm
constexpr u64 expand_immediate(u32 imm, Type t) {
    u32 exponent_bits = t == Type::f16 ? 5 : t == Type::f32 ? 8 : 11;
    u32 fraction_bits = t == Type::f16 ? 10 : t == Type::f32 ? 23 : 52;
    u64 b6 = imm >> 6 & 1;
    u64 exponent =
        (b6 ^ 1) << (exponent_bits - 1) | (b6 ? ((u64{1} << (exponent_bits - 3)) - 1) << 2 : 0) | (imm >> 4 & 3);
    return u64(imm >> 7 & 1) << (exponent_bits + fraction_bits) | exponent << fraction_bits |
           u64(imm & 15) << (fraction_bits - 4);
}

// The guest's FP rules and modes for an intrinsic; its flags go back with `keep`.
softfloat::Env fp_environment(const ir::CpuHeader& cpu);
void keep_flags(ir::CpuHeader& cpu, const softfloat::Env& env);

} // namespace mimic::isa::aarch64
