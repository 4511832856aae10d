// One scalar instruction of the host under a given MXCSR. x is the destination and first source.
#pragma once
#include "softfloat/soak/soak.hpp"
#include <bit>

namespace mimic::softfloat::soak {

template <class F>
struct HostType;
template <>
struct HostType<F16> {
    using type = u16;
};
template <>
struct HostType<F32> {
    using type = float;
};
template <>
struct HostType<F64> {
    using type = double;
};

// An XMM register's worth, with the operand in its lowest lane.
struct alignas(16) Lane {
    u64 low = 0;
    u64 high = 0;
};
using Xmm = double __attribute__((vector_size(16)));
inline Xmm to_xmm(u64 bits) { return std::bit_cast<Xmm>(Lane{bits, 0}); }
inline u64 from_xmm(Xmm x) { return std::bit_cast<Lane>(x).low; }

#define MIMIC_UNDER(mxcsr, flags, instruction, outputs, ...)                                                           \
    do {                                                                                                               \
        u32 saved_, csr_ = (mxcsr);                                                                                    \
        asm volatile("stmxcsr %[saved]\n\tldmxcsr %[csr]\n\t" instruction "\n\tstmxcsr %[csr]\n\tldmxcsr %[saved]"     \
                     : [csr] "+m"(csr_), [saved] "=m"(saved_), outputs:__VA_ARGS__                                     \
                     : "cc");                                                                                          \
        flags = csr_ & 0x3f;                                                                                           \
    } while (false)

// Defines struct name { static Outcome run(x, y, z, mxcsr); } for an instruction on XMM registers x, y and z that
// leaves `width` bits in x.
#define MIMIC_HOST_XMM(name, width, instruction)                                                                       \
    struct name {                                                                                                      \
        static Outcome run(u64 a, u64 b, u64 c, u32 mxcsr) {                                                           \
            Xmm x = to_xmm(a), y = to_xmm(b), z = to_xmm(c);                                                           \
            Outcome o;                                                                                                 \
            MIMIC_UNDER(mxcsr, o.flags, instruction, [x] "+x"(x), [y] "x"(y), [z] "x"(z));                             \
            o.bits = from_xmm(x) & ~u64(0) >> (64 - width);                                                            \
            return o;                                                                                                  \
        }                                                                                                              \
    };

// The same with the result in RAX, named %k[r] or %q[r].
#define MIMIC_HOST_TO_INT(name, width, instruction)                                                                    \
    struct name {                                                                                                      \
        static Outcome run(u64 a, u64 b, u64, u32 mxcsr) {                                                             \
            Xmm x = to_xmm(a), y = to_xmm(b);                                                                          \
            u64 r = 0;                                                                                                 \
            Outcome o;                                                                                                 \
            MIMIC_UNDER(mxcsr, o.flags, instruction, [r] "=&a"(r), [x] "x"(x), [y] "x"(y));                            \
            o.bits = r & ~u64(0) >> (64 - width);                                                                      \
            return o;                                                                                                  \
        }                                                                                                              \
    };

// An integer r into x.
#define MIMIC_HOST_FROM_INT(name, width, instruction)                                                                  \
    struct name {                                                                                                      \
        static Outcome run(u64 r, u64, u64, u32 mxcsr) {                                                               \
            Xmm x = to_xmm(0);                                                                                         \
            Outcome o;                                                                                                 \
            MIMIC_UNDER(mxcsr, o.flags, instruction, [x] "+x"(x), [r] "r"(r));                                         \
            o.bits = from_xmm(x) & ~u64(0) >> (64 - width);                                                            \
            return o;                                                                                                  \
        }                                                                                                              \
    };

// Draws operands of F and a mode, runs `Host` and `soft(a, b, c, env)` and compares bits and flags.
template <class F, class HostOp, auto soft>
void compare_with_host(std::string_view name, Random& random, Report& report) {
    BitsOf<F> a = random_value<F>(random);
    BitsOf<F> b = random_second<F>(random, a);
    BitsOf<F> c = random_addend<F>(random, a, b);
    if (random.one_in(8)) c = a;
    SseMode mode(random);
    Outcome expected = HostOp::run(a, b, c, mode.mxcsr);
    u128 got = soft(a, b, c, mode.env);
    report.check(name, {a, b, c}, mode.mxcsr, expected, {got, x86_flags(mode.env.flags)});
}

// The same for operations from an integer, which is drawn near every power of two.
template <class HostOp, auto soft>
void compare_from_int(std::string_view name, Random& random, Report& report) {
    u64 a = random.next() >> random.below(64);
    if (random.one_in(2)) a = -a;
    if (random.one_in(4)) a = u64(random_fraction(random, 64));
    SseMode mode(random);
    Outcome expected = HostOp::run(a, 0, 0, mode.mxcsr);
    u128 got = soft(a, mode.env);
    report.check(name, {a}, mode.mxcsr, expected, {got, x86_flags(mode.env.flags)});
}

} // namespace mimic::softfloat::soak
