// F128 against the compiler's run time (libgcc reads MXCSR's rounding and raises its flags) and the C library's
// binary128 functions. NaN results are the library's own choice, so only their class is compared.
#include "softfloat/soak/soak.hpp"
#include <bit>
#include <cmath>

namespace mimic::softfloat::soak {
namespace {

using Quad = _Float128;
extern "C" Quad fmaf128(Quad, Quad, Quad) noexcept;
extern "C" Quad sqrtf128(Quad) noexcept;
extern "C" Quad remainderf128(Quad, Quad) noexcept;
extern "C" Quad fmodf128(Quad, Quad) noexcept;
extern "C" Quad rintf128(Quad) noexcept;

constexpr u32 ieee_x86 = 0x3d; // without DE

// Sets MXCSR and clears the x87 flags; returns the old MXCSR with both units' flags: libgcc raises overflow and
// underflow in the x87 status word.
u32 exchange_mxcsr(u32 value) {
    u32 old;
    u16 status;
    asm volatile("stmxcsr %0\n\tldmxcsr %2\n\tfnstsw %1\n\tfnclex" : "=m"(old), "=m"(status) : "m"(value) : "memory");
    return old | (status & 0x3f);
}

u128 one_nan(u128 bits) {
    Env env = env::riscv;
    return classify<F128>(bits, env) >= NumberClass::signalling_nan ? ~u128(0) : bits;
}

// `exact`: the operation rounds nothing, but the C library's version errs in a zero's sign unless to nearest.
template <auto host, auto soft, bool exact = false>
void compare_quad(std::string_view name, Random& random, Report& report) {
    u128 a = random_value<F128>(random), b = random_second<F128>(random, a), c = random_addend<F128>(random, a, b);
    const u32 rc = exact ? 0 : random.below(4);
    volatile Quad x = std::bit_cast<Quad>(a), y = std::bit_cast<Quad>(b), z = std::bit_cast<Quad>(c), r;
    const u32 mxcsr = 0x1f80 | rc << 13;
    const u32 saved = exchange_mxcsr(mxcsr) & ~0x3fu;
    r = host(x, y, z);
    const u32 flags = exchange_mxcsr(saved);
    Env env = env::riscv;
    env.rounding = x86_rounding(rc);
    const u128 got = soft(a, b, c, env);
    const Quad result = r;
    report.check(name, {a, b, c}, mxcsr, {one_nan(std::bit_cast<u128>(result)), flags & ieee_x86},
                 {one_nan(got), x86_flags(env.flags) & ieee_x86});
}

template <auto host, auto soft>
void compare_narrow(std::string_view name, Random& random, Report& report) {
    u128 a = random_value<F128>(random);
    if (random.one_in(2))
        a = F128::make(random.one_in(2), F128::bias - 1100 + int(random.below(2200)), true, F128::fraction(a));
    const u32 rc = random.below(4);
    volatile Quad x = std::bit_cast<Quad>(a);
    const u32 mxcsr = 0x1f80 | rc << 13;
    const u32 saved = exchange_mxcsr(mxcsr) & ~0x3fu;
    volatile auto r = host(x);
    const u32 flags = exchange_mxcsr(saved);
    Env env = env::x86_sse;
    env.rounding = x86_rounding(rc);
    const auto got = soft(a, env);
    const auto result = r;
    report.check(name, {a}, mxcsr, {std::bit_cast<decltype(got)>(result), flags & ieee_x86},
                 {u128(got), x86_flags(env.flags) & ieee_x86});
}

constexpr auto host_add = [](Quad a, Quad b, Quad) -> Quad { return a + b; };
constexpr auto host_sub = [](Quad a, Quad b, Quad) -> Quad { return a - b; };
constexpr auto host_mul = [](Quad a, Quad b, Quad) -> Quad { return a * b; };
constexpr auto host_div = [](Quad a, Quad b, Quad) -> Quad { return a / b; };
constexpr auto host_fma = [](Quad a, Quad b, Quad c) -> Quad { return fmaf128(a, b, c); };
constexpr auto host_sqrt = [](Quad a, Quad, Quad) -> Quad { return sqrtf128(a); };
constexpr auto host_remainder = [](Quad a, Quad b, Quad) -> Quad { return remainderf128(a, b); };
constexpr auto host_fmod = [](Quad a, Quad b, Quad) -> Quad { return fmodf128(a, b); };
constexpr auto host_rint = [](Quad a, Quad, Quad) -> Quad { return rintf128(a); };
constexpr auto soft_add = [](u128 a, u128 b, u128, Env& e) { return add<F128>(a, b, e); };
constexpr auto soft_sub = [](u128 a, u128 b, u128, Env& e) { return sub<F128>(a, b, e); };
constexpr auto soft_mul = [](u128 a, u128 b, u128, Env& e) { return mul<F128>(a, b, e); };
constexpr auto soft_div = [](u128 a, u128 b, u128, Env& e) { return div<F128>(a, b, e); };
constexpr auto soft_fma = [](u128 a, u128 b, u128 c, Env& e) { return mul_add<F128>(a, b, c, e); };
constexpr auto soft_sqrt = [](u128 a, u128, u128, Env& e) { return sqrt<F128>(a, e); };
constexpr auto soft_remainder = [](u128 a, u128 b, u128, Env& e) { return remainder<F128>(a, b, e); };
constexpr auto soft_fmod = [](u128 a, u128 b, u128, Env& e) {
    return remainder<F128>(a, b, e, RemainderKind::truncate);
};
constexpr auto soft_rint = [](u128 a, u128, u128, Env& e) { return round_to_integral<F128>(a, e.rounding, true, e); };
constexpr auto host_narrow_64 = [](Quad a) -> double { return double(a); };
constexpr auto host_narrow_32 = [](Quad a) -> float { return float(a); };
constexpr auto soft_narrow_64 = [](u128 a, Env& e) -> u64 { return convert<F64, F128>(a, e); };
constexpr auto soft_narrow_32 = [](u128 a, Env& e) -> u32 { return convert<F32, F128>(a, e); };

} // namespace

void add_quad_checks(std::vector<Check>& checks) {
    const Check quad[] = {
        {"add.f128", compare_quad<host_add, soft_add>},
        {"sub.f128", compare_quad<host_sub, soft_sub>},
        {"mul.f128", compare_quad<host_mul, soft_mul>},
        {"div.f128", compare_quad<host_div, soft_div>},
        {"fma.f128", compare_quad<host_fma, soft_fma>},
        {"sqrt.f128", compare_quad<host_sqrt, soft_sqrt>},
        {"remainder.f128", compare_quad<host_remainder, soft_remainder, true>},
        {"remainder_truncate.f128", compare_quad<host_fmod, soft_fmod, true>},
        {"round.f128", compare_quad<host_rint, soft_rint>},
        {"convert.f128.f64", compare_narrow<host_narrow_64, soft_narrow_64>},
        {"convert.f128.f32", compare_narrow<host_narrow_32, soft_narrow_32>},
    };
    checks.insert(checks.end(), std::begin(quad), std::end(quad));
}

} // namespace mimic::softfloat::soak
