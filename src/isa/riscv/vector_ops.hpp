// V: what an element becomes, where several files need it. The RISC-V Instruction Set Manual, Volume I (20240411),
// chapters 31.11 and 31.13. a is of vs2, b of vs1 or a scalar, d the old element of vd; all extended to 64 bits.
#pragma once
#include "isa/riscv/vector.hpp"
#include <algorithm>

namespace mimic::isa::riscv {

inline u64 add_(Vec&, u64 a, u64 b, u64) { return a + b; }
inline u64 and_(Vec&, u64 a, u64 b, u64) { return a & b; }
inline u64 or_(Vec&, u64 a, u64 b, u64) { return a | b; }
inline u64 xor_(Vec&, u64 a, u64 b, u64) { return a ^ b; }
inline u64 minu(Vec&, u64 a, u64 b, u64) { return std::min(a, b); }
inline u64 maxu(Vec&, u64 a, u64 b, u64) { return std::max(a, b); }
inline u64 mins(Vec&, u64 a, u64 b, u64) { return u64(std::min(mimic::i64(a), mimic::i64(b))); }
inline u64 maxs(Vec&, u64 a, u64 b, u64) { return u64(std::max(mimic::i64(a), mimic::i64(b))); }
inline u64 merge(Vec& v, u64 a, u64 b, u64) { return v.carry ? b : a; }
inline u64 second(Vec&, u64, u64 b, u64) { return b; }

// Calls f with the format of 1 << log bytes, 4 or 8.
template <class F>
u64 in_format(i32 log, F&& f) {
    return log == 2 ? u64(f(softfloat::F32{})) : u64(f(softfloat::F64{}));
}
template <class Format>
softfloat::BitsOf<Format> bits_of(u64 v) {
    return softfloat::BitsOf<Format>(v);
}
inline u64 float_widened(Vec& v, u64 a) { return softfloat::convert<softfloat::F64, softfloat::F32>(u32(a), v.env); }
inline u64 fadd(Vec& v, u64 a, u64 b, u64) {
    return in_format(v.sew, [&]<class F>(F) { return softfloat::add<F>(bits_of<F>(a), bits_of<F>(b), v.env); });
}
template <bool Max>
u64 fmin_max(Vec& v, u64 a, u64 b, u64) {
    softfloat::MinMax kind{.max = Max, .nan = softfloat::MinMaxNan::number_2019};
    return in_format(v.sew,
                     [&]<class F>(F) { return softfloat::min_max<F>(bits_of<F>(a), bits_of<F>(b), kind, v.env); });
}

} // namespace mimic::isa::riscv
