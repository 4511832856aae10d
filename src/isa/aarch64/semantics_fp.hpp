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

// FPRoundIntN: rounds to an integer of `bits` bits, in the environment's mode or toward zero; what does not fit is the
// least integer, and invalid.
template <class F>
softfloat::BitsOf<F> round_to_size(softfloat::BitsOf<F> a, u32 bits, bool toward_zero, softfloat::Env& env) {
    softfloat::Env trial = env;
    auto rounding = toward_zero ? softfloat::Rounding::toward_zero : env.rounding;
    trial.flags = 0;
    softfloat::to_int<F>(a, {.bits = u8(bits)}, rounding, trial);
    if (!(trial.flags & softfloat::flag::invalid)) return softfloat::round_to_integral<F>(a, rounding, true, env);
    env.raise(softfloat::flag::invalid);
    return softfloat::BitsOf<F>(u64(1) << (F::exponent_bits + F::fraction_bits) | u64(F::bias + i32(bits) - 1)
                                                                                      << F::fraction_bits);
}

} // namespace mimic::isa::aarch64
