// F80 against the host's x87 under every rounding and precision control: results, flags and C1 (rounded up).
#include "softfloat/soak/soak.hpp"
#include <cstddef>

namespace mimic::softfloat::soak {
namespace {

constexpr u32 c1_in_outcome = 1u << 9; // C1's place in the status word

struct alignas(16) Memory {
    Extended value;
};
static_assert(offsetof(Extended, sign_exponent) == 8);

// Runs an instruction with a in ST(0), b in ST(1) and control word `control`; keeps the status word.
#define MIMIC_HOST_X87(name, instruction)                                                                              \
    struct name {                                                                                                      \
        static Extended run(Extended a, Extended b, u16 control, u16& status) {                                        \
            Memory ma{a}, mb{b}, result{};                                                                             \
            u16 saved;                                                                                                 \
            asm volatile("fnstcw %[saved]\n\tfnclex\n\tfldcw %[control]\n\tfldt %[b]\n\tfldt %[a]\n\t" instruction     \
                         "\n\tfnstsw %[status]\n\tfstpt %[result]\n\tfstp %%st(0)\n\tfnclex\n\tfldcw %[saved]"         \
                         : [saved] "=m"(saved), [status] "=m"(status), [result] "=m"(result)                           \
                         : [a] "m"(ma), [b] "m"(mb), [control] "m"(control));                                          \
            return result.value;                                                                                       \
        }                                                                                                              \
    };
MIMIC_HOST_X87(Fadd, "fadd %%st(1), %%st")
MIMIC_HOST_X87(Fsub, "fsub %%st(1), %%st")
MIMIC_HOST_X87(Fmul, "fmul %%st(1), %%st")
MIMIC_HOST_X87(Fdiv, "fdiv %%st(1), %%st")
MIMIC_HOST_X87(Fsqrt, "fsqrt")
MIMIC_HOST_X87(Frndint, "frndint")
MIMIC_HOST_X87(Fprem, "fprem")
MIMIC_HOST_X87(Fprem1, "fprem1")
MIMIC_HOST_X87(Fcom, "fcom %%st(1)")
MIMIC_HOST_X87(Fucom, "fucom %%st(1)")

// Stores ST(0) in another format and puts the stored bits in place of the result.
#define MIMIC_HOST_X87_STORE(name, type, instruction)                                                                  \
    struct name {                                                                                                      \
        static u64 run(Extended a, u16 control, u16& status) {                                                         \
            Memory ma{a};                                                                                              \
            type result{};                                                                                             \
            u16 saved;                                                                                                 \
            asm volatile("fnstcw %[saved]\n\tfnclex\n\tfldcw %[control]\n\tfldt %[a]\n\t" instruction " %[result]"     \
                         "\n\tfnstsw %[status]\n\tfnclex\n\tfldcw %[saved]"                                            \
                         : [saved] "=m"(saved), [status] "=m"(status), [result] "=m"(result)                           \
                         : [a] "m"(ma), [control] "m"(control));                                                       \
            return result;                                                                                             \
        }                                                                                                              \
    };
MIMIC_HOST_X87_STORE(FstpS, u32, "fstps")
MIMIC_HOST_X87_STORE(FstpL, u64, "fstpl")
MIMIC_HOST_X87_STORE(FistpS, u16, "fistps")
MIMIC_HOST_X87_STORE(FistpL, u32, "fistpl")
MIMIC_HOST_X87_STORE(FistpQ, u64, "fistpq")
MIMIC_HOST_X87_STORE(FisttpQ, u64, "fisttpq")

struct X87Mode {
    u16 control = 0x003f;
    Env env = env::x87;
    explicit X87Mode(Random& random) {
        const u32 rc = random.below(4);
        env.rounding = x86_rounding(rc);
        u32 pc = random.below(8);
        pc = pc == 0 || pc == 2 ? pc : 3;
        env.extended_precision = pc == 0 ? 24 : pc == 2 ? 53 : 64;
        control |= rc << 10 | pc << 8;
    }
};

constexpr u32 condition(u16 status) { return status & 0x4700; } // C3, C2, C1, C0

template <class HostOp, auto soft>
void compare_x87(std::string_view name, Random& random, Report& report) {
    Extended a = random_value<F80>(random), b = random_second<F80>(random, a);
    X87Mode mode(random);
    u16 status = 0;
    Outcome expected{raw(HostOp::run(a, b, mode.control, status)), 0};
    expected.flags = (status & 0x3f) | (status & c1_in_outcome);
    Outcome got{raw(soft(a, b, mode.env)), 0};
    got.flags = x86_flags(mode.env.flags) | (mode.env.flags & flag::rounded_up ? c1_in_outcome : 0);
    report.check(name, {raw(a), raw(b)}, mode.control, expected, got);
}

// FPREM: C2 says incomplete; of a complete one C0, C3 and C1 are the quotient's low bits.
template <class HostOp, RemainderKind kind>
void compare_remainder(std::string_view name, Random& random, Report& report) {
    Extended a = random_value<F80>(random), b = random_near<F80>(random, a, random.one_in(2) ? 70 : 2);
    if (random.one_in(4)) b = random_value<F80>(random);
    X87Mode mode(random);
    u16 status = 0;
    Outcome expected{raw(HostOp::run(a, b, mode.control, status)), 0};
    Quotient q;
    mode.env.extended_precision = 64; // FPREM is exact
    const Extended rest = remainder_step<F80>(a, b, kind, q, mode.env);
    Outcome got{raw(rest), x86_flags(mode.env.flags)};
    expected.flags = status & 0x3f;
    if (classify<F80>(rest, mode.env) < NumberClass::signalling_nan) {
        expected.flags |= condition(status);
        if (!q.complete) {
            expected.flags &= ~0x4300u; // C2 alone is defined
            got.flags |= 0x400;
        } else {
            got.flags |= (q.low & 1 ? 0x200 : 0) | (q.low & 2 ? 0x4000 : 0) | (q.low & 4 ? 0x100 : 0);
        }
    }
    report.check(name, {raw(a), raw(b)}, mode.control, expected, got);
}

template <class HostOp, bool signalling>
void compare_order(std::string_view name, Random& random, Report& report) {
    Extended a = random_value<F80>(random), b = random_second<F80>(random, a);
    X87Mode mode(random);
    u16 status = 0;
    HostOp::run(a, b, mode.control, status);
    constexpr u32 codes[] = {0x0100, 0x4000, 0x0000, 0x4500}; // less, equal, greater, unordered
    const u32 code = codes[int(compare<F80>(a, b, signalling, mode.env))];
    report.check(name, {raw(a), raw(b)}, mode.control, {condition(status), u32(status & 0x3f)},
                 {code, x86_flags(mode.env.flags)});
}

template <class HostOp, auto soft>
void compare_store(std::string_view name, Random& random, Report& report) {
    Extended a = random_value<F80>(random);
    if (random.one_in(2)) a.sign_exponent = u16((a.sign_exponent & 0x8000) | (F80::bias - 160 + random.below(320)));
    X87Mode mode(random);
    u16 status = 0;
    Outcome expected{HostOp::run(a, mode.control, status), 0};
    Outcome got{soft(a, mode.env), 0};
    expected.flags = (status & 0x3f) | (status & c1_in_outcome);
    got.flags = x86_flags(mode.env.flags) | (mode.env.flags & flag::rounded_up ? c1_in_outcome : 0);
    report.check(name, {raw(a)}, mode.control, expected, got);
}

constexpr auto soft_add = [](Extended a, Extended b, Env& e) { return add<F80>(a, b, e); };
constexpr auto soft_sub = [](Extended a, Extended b, Env& e) { return sub<F80>(a, b, e); };
constexpr auto soft_mul = [](Extended a, Extended b, Env& e) { return mul<F80>(a, b, e); };
constexpr auto soft_div = [](Extended a, Extended b, Env& e) { return div<F80>(a, b, e); };
constexpr auto soft_sqrt = [](Extended a, Extended, Env& e) { return sqrt<F80>(a, e); };
constexpr auto soft_rndint = [](Extended a, Extended, Env& e) {
    e.extended_precision = 64;
    return round_to_integral<F80>(a, e.rounding, true, e);
};
template <class To>
constexpr auto soft_store = [](Extended a, Env& e) -> u64 {
    u64 r = convert<To, F80>(a, e);
    e.flags &= ~flag::denormal_used; // FST signals no denormal operand
    return r;
};
template <u8 bits, bool truncate>
constexpr auto soft_store_int = [](Extended a, Env& e) -> u64 {
    return u64(to_int<F80>(a, {bits, true}, truncate ? Rounding::toward_zero : e.rounding, e)) & ~u64(0) >> (64 - bits);
};

// FLD of 32 and 64 bits.
template <class From>
void compare_load(std::string_view name, Random& random, Report& report) {
    BitsOf<From> a = random_value<From>(random);
    Memory result{};
    u16 status = 0, saved = 0, control = 0x033f;
    if constexpr (sizeof a == 4)
        asm volatile("fnstcw %3\n\tfnclex\n\tfldcw %4\n\tflds %2\n\tfnstsw %1\n\tfstpt %0\n\tfnclex\n\tfldcw %3"
                     : "=m"(result), "=m"(status)
                     : "m"(a), "m"(saved), "m"(control)
                     : "memory");
    else
        asm volatile("fnstcw %3\n\tfnclex\n\tfldcw %4\n\tfldl %2\n\tfnstsw %1\n\tfstpt %0\n\tfnclex\n\tfldcw %3"
                     : "=m"(result), "=m"(status)
                     : "m"(a), "m"(saved), "m"(control)
                     : "memory");
    Env env = env::x87;
    Outcome got{raw(convert<F80, From>(a, env)), x86_flags(env.flags)};
    report.check(name, {a}, control, {raw(result.value), u32(status & 0x3f)}, got);
}

} // namespace

void add_x87_checks(std::vector<Check>& checks) {
    const Check x87[] = {
        {"add.f80", compare_x87<Fadd, soft_add>},
        {"sub.f80", compare_x87<Fsub, soft_sub>},
        {"mul.f80", compare_x87<Fmul, soft_mul>},
        {"div.f80", compare_x87<Fdiv, soft_div>},
        {"sqrt.f80", compare_x87<Fsqrt, soft_sqrt>},
        {"round.f80", compare_x87<Frndint, soft_rndint>},
        {"remainder_truncate.f80", compare_remainder<Fprem, RemainderKind::truncate>},
        {"remainder.f80", compare_remainder<Fprem1, RemainderKind::nearest>},
        {"compare.f80", compare_order<Fucom, false>},
        {"compare_signalling.f80", compare_order<Fcom, true>},
        {"convert.f80.f32", compare_store<FstpS, soft_store<F32>>},
        {"convert.f80.f64", compare_store<FstpL, soft_store<F64>>},
        {"convert.f32.f80", compare_load<F32>},
        {"convert.f64.f80", compare_load<F64>},
        {"to_i16.f80", compare_store<FistpS, soft_store_int<16, false>>},
        {"to_i32.f80", compare_store<FistpL, soft_store_int<32, false>>},
        {"to_i64.f80", compare_store<FistpQ, soft_store_int<64, false>>},
        {"truncate_i64.f80", compare_store<FisttpQ, soft_store_int<64, true>>},
    };
    checks.insert(checks.end(), std::begin(x87), std::end(x87));
}

} // namespace mimic::softfloat::soak
