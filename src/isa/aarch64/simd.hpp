// Shapes of Advanced SIMD meaning: Arm ARM C7.2. Operations are the IR's vector families; a 64-bit form works on the low
// half and clears the upper one.
#pragma once
#include "isa/aarch64/semantics_fp.hpp"

namespace mimic::isa::aarch64 {

using ir::VBin;
using ir::VNarrow;
using ir::VReduce;
using ir::VRel;
using ir::VShift;
using ir::VTern;
using ir::VUn;

inline Type vector_type(const I& i) { return i[Q] ? Type::v128 : Type::v64; }
inline Lane int_lane(const I& i) { return Lane(i[size_]); }
inline Lane fp_lane(const I& i) { return i[sz] ? Lane::f64 : Lane::f32; }
// Lanes of a floating-point row: as sz says, or halfwords.
enum class Fp : u8 { by_sz, half };
template <Fp F>
Lane fp_lane(const I& i) {
    return F == Fp::half ? Lane::f16 : fp_lane(i);
}
inline bool halfwords_or_words(const I& i) { return i[size_] == 1 || i[size_] == 2; }
constexpr Lane wider(Lane l) { return Lane(u8(l) + 1); }

inline bool full_doublewords(const I& i) { return i[size_] != 3 || i[Q]; }
inline bool not_doublewords(const I& i) { return i[size_] != 3; }
inline bool full_fp(const I& i) { return !i[sz] || i[Q]; }

inline Val vector(A64& t, i64 n, const I& i) { return t.v(n, vector_type(i)); }
inline Val compare(A64& t, VRel rel, Lane lane, Val a, Val b) {
    return t.op(Op::vcmp, a.type(), a, b, {}, 0, u8(rel), lane);
}
inline Val zero_vector(A64& t, Type type) {
    return type == Type::v64 ? t.imm(0).bitcast(Type::v64) : t.wide(0, 0, Type::v128);
}
inline Val splat(A64& t, Type type, Lane lane, Val scalar) {
    return t.op(Op::vsplat, type, scalar, {}, {}, 0, 0, lane);
}
inline Val shifted_lanes(A64& t, VShift kind, Lane lane, Val a, u32 n) {
    return t.op(Op::vshift, a.type(), a, {}, {}, n, u8(kind), lane);
}
// A scalar is a vector whose other lanes are zero: what saturates or raises there is nothing, and the result's are zero.
inline Val one_lane(A64& t, i64 n, Lane lane) {
    constexpr Type types[] = {Type::i8, Type::i16, Type::i32, Type::i64, Type::f16, Type::f32, Type::f64};
    return t.v(n, types[u8(lane)]).bitcast(Type::v64);
}
inline void put_lane(A64& t, i64 n, Lane lane, Val v) {
    constexpr Type types[] = {Type::i8, Type::i16, Type::i32, Type::i64, Type::i16, Type::i32, Type::i64};
    t.v(n, t.op(Op::vget, types[u8(lane)], v, {}, {}, 0, 0, lane));
}
// The low half as a 64-bit vector's bits.
inline Val low_half(A64& t, Val v) { return t.op(Op::vget, Type::i64, v, {}, {}, 0, 0, Lane::i64); }
// The half of a register that Q names, each lane widened.
inline Val widened(A64& t, i64 n, const I& i, Lane lane, bool is_signed) {
    return t.op(Op::vwiden, Type::v128, vector(t, n, i), {}, {}, 0, u8(i[Q] | is_signed << 1), lane);
}
// SQDMULL: twice the product of lanes that are already widened, clamped.
inline Val doubling_product(A64& t, Lane wide, Val a, Val b) {
    return shifted_lanes(t, VShift::sqshl, wide, t.vbin(VBin::mul, wide, a, b), 1);
}
// Lanes of v narrowed into the half of Rd that Q names; the lower one clears the upper.
inline void narrow(A64& t, const I& i, VNarrow kind, Lane wide_lane, Val v) {
    u64 imm = kind == VNarrow::fcvt || kind == VNarrow::fcvt_odd ? ir::FpArg{}.bits() : 0;
    Val low = t.op(Op::vnarrow, Type::v128, v, {}, {}, imm, u8(kind), wide_lane);
    if (i[Q])
        t.put(u16(slot_v + i[Rd]), low_half(t, low), 8);
    else
        t.v(i[Rd], low);
}

} // namespace mimic::isa::aarch64
