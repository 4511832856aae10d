// What the soak program's checks share: a seeded generator of edge-biased operands, and the report of differences.
#pragma once
#include "softfloat/softfloat.hpp"
#include <string>
#include <string_view>
#include <vector>

namespace mimic::softfloat::soak {

// SplitMix64: small, seedable, the same everywhere.
class Random {
public:
    explicit Random(u64 seed) : state_(seed) {}
    u64 next() {
        u64 z = (state_ += 0x9e3779b97f4a7c15);
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }
    u128 wide() { return u128(next()) << 64 | next(); }
    u32 below(u32 n) { return u32(next() >> 32) % n; }
    bool one_in(u32 n) { return below(n) == 0; }

private:
    u64 state_;
};

// Bits as one integer, for printing and comparing: an F80 is sign_exponent:significand.
constexpr u128 raw(u128 bits) { return bits; }
constexpr u128 raw(Extended bits) { return u128(bits.sign_exponent) << 64 | bits.significand; }

// A fraction of `bits` bits: zeros, ones, single bits, runs, or noise.
inline u128 random_fraction(Random& random, int bits) {
    const u128 mask = (u128(1) << bits) - 1;
    const int at = int(random.below(u32(bits)));
    switch (random.below(10)) {
    case 0: return 0;
    case 1: return mask;
    case 2: return u128(1) << at;
    case 3: return mask & ~(u128(1) << at);
    case 4: return mask >> at;
    case 5: return mask & (mask << at);
    case 6: return random.below(4);
    case 7: return mask - random.below(4);
    case 8: return random.wide() & mask & (mask << at);
    default: return random.wide() & mask;
    }
}

template <class F>
int random_exponent(Random& random) {
    switch (random.below(8)) {
    case 0: return 0;
    case 1: return int(random.below(4));
    case 2: return F::max_biased - int(random.below(4));
    case 3: return F::bias + int(random.below(8)) - 4;
    case 4: return F::max_biased;
    default: return int(random.below(F::max_biased + 1));
    }
}

template <class F>
BitsOf<F> random_value(Random& random) {
    int biased = random_exponent<F>(random);
    bool integer = biased != 0;
    if (F::explicit_integer && random.one_in(16)) integer = !integer;
    return F::make(random.one_in(2), biased, integer, random_fraction(random, F::fraction_bits));
}

// A value of a's neighbourhood: near exponent or near equal.
template <class F>
BitsOf<F> random_near(Random& random, BitsOf<F> a, int distance) {
    int biased = F::biased(a) + int(random.below(u32(2 * distance + 1))) - distance;
    biased = biased < 0 ? 0 : biased > F::max_biased ? F::max_biased : biased;
    u128 fraction = F::fraction(a);
    if (random.one_in(2))
        fraction = random_fraction(random, F::fraction_bits);
    else
        fraction = (fraction + random.below(5) - 2) & ((u128(1) << F::fraction_bits) - 1);
    return F::make(random.one_in(2), biased, biased != 0, fraction);
}

template <class F>
BitsOf<F> random_second(Random& random, BitsOf<F> a) {
    return random.one_in(2) ? random_value<F>(random)
                            : random_near<F>(random, a, random.one_in(2) ? 2 : F::precision + 3);
}

// An addend that often nearly cancels the product.
template <class F>
BitsOf<F> random_addend(Random& random, BitsOf<F> a, BitsOf<F> b) {
    if (random.one_in(3)) return random_value<F>(random);
    Env scratch;
    return random_near<F>(random, mul<F>(a, b, scratch), random.one_in(2) ? 1 : 2 * F::precision + 3);
}

template <class F>
constexpr std::string_view name_of = "?";
template <>
inline constexpr std::string_view name_of<F16> = "f16";
template <>
inline constexpr std::string_view name_of<BF16> = "bf16";
template <>
inline constexpr std::string_view name_of<F32> = "f32";
template <>
inline constexpr std::string_view name_of<F64> = "f64";
template <>
inline constexpr std::string_view name_of<F80> = "f80";
template <>
inline constexpr std::string_view name_of<F128> = "f128";

// A result and the flags it raised, in the oracle's bits.
struct Outcome {
    u128 bits = 0;
    u32 flags = 0;
    bool operator==(const Outcome&) const = default;
};

class Report {
public:
    // Counts a comparison and prints the first few that differ. `mode` says how both sides were set.
    void check(std::string_view name, std::initializer_list<u128> operands, u32 mode, Outcome expected, Outcome got) {
        if (expected == got) [[likely]]
            ++passed;
        else
            differ(name, operands, mode, expected, got);
    }
    u64 passed = 0;
    u64 failed = 0;

private:
    void differ(std::string_view name, std::initializer_list<u128> operands, u32 mode, Outcome expected, Outcome got);
    std::vector<std::string> seen_; // names already printed, once an entry
};

// One operation: `run` draws a case, runs both sides and reports.
struct Check {
    std::string name; // operation.format, e.g. "add.f64"
    void (*run)(std::string_view name, Random&, Report&) = nullptr;
};

// Each appends the checks whose oracle this host has.
void add_sse_checks(std::vector<Check>& checks);
void add_avx512_checks(std::vector<Check>& checks);
void add_half_checks(std::vector<Check>& checks);
void add_x87_checks(std::vector<Check>& checks);
void add_quad_checks(std::vector<Check>& checks);
void add_property_checks(std::vector<Check>& checks);

// MXCSR's and x87's common layout: IE DE ZE OE UE PE in bits 0 to 5.
constexpr u32 x86_flags(u32 flags) {
    u32 x = 0;
    if (flags & flag::invalid) x |= 1;
    if (flags & flag::denormal_used) x |= 2;
    if (flags & flag::divide_by_zero) x |= 4;
    if (flags & flag::overflow) x |= 8;
    if (flags & flag::underflow) x |= 16;
    if (flags & flag::inexact) x |= 32;
    return x;
}
// The RC field's encoding.
constexpr Rounding x86_rounding(u32 rc) {
    constexpr Rounding order[] = {Rounding::nearest_even, Rounding::down, Rounding::up, Rounding::toward_zero};
    return order[rc & 3];
}

// A random MXCSR with all exceptions masked and no flag set, and the environment that matches it.
struct SseMode {
    u32 mxcsr = 0x1f80;
    Env env = env::x86_sse;
    explicit SseMode(Random& random) {
        u32 bits = random.below(32);
        env.rounding = x86_rounding(bits);
        mxcsr |= (bits & 3) << 13;
        if ((bits & 12) == 0) return;
        env.flush.inputs = bits & 4;
        env.flush.outputs = bits & 8;
        mxcsr |= (bits & 4 ? 1u << 6 : 0) | (bits & 8 ? 1u << 15 : 0);
    }
};

} // namespace mimic::softfloat::soak
