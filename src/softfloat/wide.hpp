// 128- and 256-bit integers for significands. All functions are total; `jam` ORs lost bits into bit 0.
#pragma once
#include "base/types.hpp"

namespace mimic::softfloat {

inline constexpr u128 top_bit = u128(1) << 127;

struct U256 {
    u128 high = 0;
    u128 low = 0;
};

// 128 for zero.
constexpr int count_leading_zeros(u128 v) {
    if (u64 high = u64(v >> 64)) return __builtin_clzll(high);
    return u64(v) ? 64 + __builtin_clzll(u64(v)) : 128;
}

constexpr u128 shift_right_jam(u128 v, u32 n) {
    if (n == 0) return v;
    if (n >= 128) return v != 0;
    return v >> n | ((v << (128 - n)) != 0);
}

constexpr U256 shift_right_jam(U256 v, u32 n) {
    if (n == 0) return v;
    if (n >= 128) return {0, shift_right_jam(v.high, n - 128) | (v.low != 0)};
    return {v.high >> n, v.high << (128 - n) | v.low >> n | ((v.low << (128 - n)) != 0)};
}

// 0 <= n < 256.
constexpr U256 shift_left(U256 v, int n) {
    if (n == 0) return v;
    if (n >= 128) return {v.low << (n - 128), 0};
    return {v.high << n | v.low >> (128 - n), v.low << n};
}

constexpr int count_leading_zeros(U256 v) {
    return v.high ? count_leading_zeros(v.high) : 128 + count_leading_zeros(v.low);
}

constexpr bool less(U256 a, U256 b) { return a.high < b.high || (a.high == b.high && a.low < b.low); }

constexpr U256 subtract(U256 a, U256 b) { return {a.high - b.high - (a.low < b.low), a.low - b.low}; }

// `carry` is set when the sum needs a 257th bit.
constexpr U256 add(U256 a, U256 b, bool& carry) {
    u128 low = a.low + b.low;
    u128 high = a.high + b.high;
    carry = high < a.high;
    bool from_low = low < a.low;
    high += from_low;
    carry |= from_low && high == 0;
    return {high, low};
}

constexpr U256 multiply(u128 a, u128 b) {
    u64 a1 = u64(a >> 64), a0 = u64(a), b1 = u64(b >> 64), b0 = u64(b);
    if ((a0 | b0) == 0) return {u128(a1) * b1, 0}; // every format up to 64 bits of precision
    u128 low = u128(a0) * b0, middle1 = u128(a1) * b0, middle2 = u128(a0) * b1, high = u128(a1) * b1;
    u128 middle = (low >> 64) + u64(middle1) + u64(middle2);
    return {high + (middle1 >> 64) + (middle2 >> 64) + (middle >> 64), middle << 64 | u64(low)};
}

// One 64-bit digit of a long division: floor(r * 2^64 / d) for r < d and d's top bit set; r becomes the remainder.
constexpr u64 divide_digit(u128& r, u128 d) {
    u64 d1 = u64(d >> 64), d0 = u64(d);
    u128 q = u64(r >> 64) >= d1 ? ~u64(0) : r / d1; // never too small, at most 2 too large (Knuth 4.3.1, theorem B)
    u128 rest = r - q * d1;
    while (!(rest >> 64) && rest << 64 < q * d0) {
        q -= 1;
        rest += d1;
    }
    r = (rest << 64) - q * d0;
    return u64(q);
}

// floor(n * 2^128 / d), jammed, for n < d and d's top bit set.
constexpr u128 divide_jam(u128 n, u128 d) {
    u64 high = divide_digit(n, d);
    u64 low = divide_digit(n, d);
    return u128(high) << 64 | low | (n != 0);
}

} // namespace mimic::softfloat
