// Soft-float operations with the meaning of x86's scalar instructions, as compare_with_host takes them.
#pragma once
#include "softfloat/soak/soak.hpp"

namespace mimic::softfloat::soak {

template <class F>
constexpr auto soft_add = [](auto a, auto b, auto, Env& e) -> u128 { return add<F>(a, b, e); };
template <class F>
constexpr auto soft_sub = [](auto a, auto b, auto, Env& e) -> u128 { return sub<F>(a, b, e); };
template <class F>
constexpr auto soft_mul = [](auto a, auto b, auto, Env& e) -> u128 { return mul<F>(a, b, e); };
template <class F>
constexpr auto soft_div = [](auto a, auto b, auto, Env& e) -> u128 { return div<F>(a, b, e); };
template <class F>
constexpr auto soft_sqrt = [](auto a, auto, auto, Env& e) -> u128 { return sqrt<F>(a, e); };
template <class F, bool max>
constexpr auto soft_min_max = [](auto a, auto b, auto, Env& e) -> u128 {
    return min_max<F>(a, b, {.max = max, .nan = MinMaxNan::second_signalling}, e);
};
template <class To, class From>
constexpr auto soft_convert = [](auto a, auto, auto, Env& e) -> u128 { return convert<To, From>(a, e); };
template <class F, bool exact, int rc>
constexpr auto soft_round = [](auto a, auto, auto, Env& e) -> u128 {
    Rounding rounding = rc == 4 ? e.rounding : x86_rounding(rc);
    u128 r = round_to_integral<F>(a, rounding, exact, e);
    e.flags &= ~flag::denormal_used; // ROUNDSS and ROUNDSD signal no denormal operand
    return r;
};
template <class F, u8 bits, bool truncate, bool is_signed = true>
constexpr auto soft_to_int = [](auto a, auto, auto, Env& e) -> u128 {
    return to_int<F>(a, {bits, is_signed}, truncate ? Rounding::toward_zero : e.rounding, e) & ~u64(0) >> (64 - bits);
};
template <class F, class Int>
constexpr auto soft_from_int = [](u64 a, Env& e) -> u128 { return from_int<F>(Int(a), e); };
template <class F>
constexpr auto soft_from_uint = [](u64 a, Env& e) -> u128 { return from_uint<F>(a, e); };
// AH after LAHF: ZF, PF and CF by the order, bit 1 always set.
template <class F, bool signalling>
constexpr auto soft_compare = [](auto a, auto b, auto, Env& e) -> u128 {
    constexpr u8 ah[] = {0x03, 0x42, 0x02, 0x47};
    return ah[int(compare<F>(a, b, signalling, e))];
};
template <class F, bool negate_product, bool negate_addend>
constexpr auto soft_fma = [](auto a, auto b, auto c, Env& e) -> u128 {
    // NaNs are looked for in the order of the formula; the 213 form computes second * first + third.
    return mul_add<F>(b, a, c, e, {.negate_product = negate_product, .negate_addend = negate_addend});
};

} // namespace mimic::softfloat::soak
