// Soft-float: IEEE 754-2019 and x87 arithmetic in integers, the oracle and cold path of every guest's FP.
// Functions are templates over a format of format.hpp, instantiated for all of them; values are raw bits, rules and
// flags are in Env (env.hpp). Nothing here touches the host's FPU, allocates or keeps state.
//
//   Env env = env::riscv;
//   u64 r = mul_add<F64>(a, b, c, env);
//   i32 n = i32(to_int<F32>(x, {.bits = 32}, Rounding::toward_zero, env));
#pragma once
#include "softfloat/arithmetic.hpp"

namespace mimic::softfloat {

template <class F>
using BitsOf = typename F::Bits;

// Arithmetic: correctly rounded by env.rounding. Flags as IEEE 754-2019 section 7 and Env say.
template <class F>
BitsOf<F> add(BitsOf<F> a, BitsOf<F> b, Env& env);
template <class F>
BitsOf<F> sub(BitsOf<F> a, BitsOf<F> b, Env& env);
template <class F>
BitsOf<F> mul(BitsOf<F> a, BitsOf<F> b, Env& env);
template <class F>
BitsOf<F> div(BitsOf<F> a, BitsOf<F> b, Env& env);
template <class F>
BitsOf<F> sqrt(BitsOf<F> a, Env& env);
template <class F>
BitsOf<F> mul_add(BitsOf<F> a, BitsOf<F> b, BitsOf<F> c, Env& env, MulAdd options = {});

// IEEE remainder, or fmod with RemainderKind::truncate. Exact; raises invalid for infinity rem y and x rem 0.
template <class F>
BitsOf<F> remainder(BitsOf<F> a, BitsOf<F> b, Env& env, RemainderKind kind = RemainderKind::nearest);

// One step of x87 FPREM or FPREM1 (Intel SDM vol. 2A): an exponents' difference D of 64 or more shrinks by 32 + D % 32.
template <class F>
BitsOf<F> remainder_step(BitsOf<F> a, BitsOf<F> b, RemainderKind kind, Quotient& quotient, Env& env);

// The nearest integer by `rounding`, in the same format. `exact`: raise inexact if that is not a.
template <class F>
BitsOf<F> round_to_integral(BitsOf<F> a, Rounding rounding, bool exact, Env& env);

// a * 2^n, rounded once.
template <class F>
BitsOf<F> scale_b(BitsOf<F> a, i32 n, Env& env);
// IEEE logB: a's exponent as a number of the format; zero gives -infinity and divide_by_zero.
template <class F>
BitsOf<F> log_b(BitsOf<F> a, Env& env);

// Quiet comparison raises invalid for signalling NaNs, signalling comparison for every NaN.
template <class F>
Ordering compare(BitsOf<F> a, BitsOf<F> b, bool signalling, Env& env);

enum class MinMaxNan : u8 {
    propagate,         // IEEE 2019 minimum, Arm FMIN: a NaN operand is the result
    number,            // IEEE 2008 minNum, Arm FMINNM: the number wins over a quiet NaN, a signalling one is propagated
    number_2019,       // IEEE 2019 minimumNumber, RISC-V: the number wins over every NaN
    second,            // PowerPC xsmincdp: not (a < b), or for max not (a > b), gives b; invalid for signalling NaNs
    second_signalling, // x86 MINSS: the same, invalid for every NaN
};
// -0 is below +0, except for `second` and `second_signalling`, where equal zeros give b.
struct MinMax {
    bool max = false;
    bool magnitude = false; // compare magnitudes; equal ones are compared with their signs
    MinMaxNan nan = MinMaxNan::propagate;
};
template <class F>
BitsOf<F> min_max(BitsOf<F> a, BitsOf<F> b, MinMax kind, Env& env);

// Between formats; NaN payloads keep their leading bits, signalling NaNs become quiet and raise invalid.
// Arm's alternative half precision has no NaN or infinity: they raise invalid and give zero or the greatest number.
template <class To, class From>
BitsOf<To> convert(BitsOf<From> a, Env& env);

struct IntType {
    u8 bits = 32; // 1 to 128
    bool is_signed = true;
};
// a * 2^scale as an integer, rounded by `rounding`: sign- or zero-extended to 128 bits. Raises inexact, or invalid with
// the result that env.to_int gives. `exact = false` leaves inexact alone.
template <class F>
u128 to_int(BitsOf<F> a, IntType type, Rounding rounding, Env& env, i32 scale = 0, bool exact = true);

// The low `bits` (1 to 64) of a truncated to an integer of any size: RISC-V fcvtmod.w.d, Arm FJCVTZS. Infinities and
// NaNs give zero. Raises what a truncating to_int of that signed width raises.
template <class F>
u64 to_int_modular(BitsOf<F> a, u8 bits, Env& env);

// value * 2^scale, rounded.
template <class F>
BitsOf<F> from_int(i128 value, Env& env, i32 scale = 0);
template <class F>
BitsOf<F> from_uint(u128 value, Env& env, i32 scale = 0);

// The classes in the order of RISC-V's fclass bits; x87's encodings that are no number come last.
enum class NumberClass : u8 {
    negative_infinity,
    negative_normal,
    negative_subnormal,
    negative_zero,
    positive_zero,
    positive_subnormal,
    positive_normal,
    positive_infinity,
    signalling_nan,
    quiet_nan,
    unsupported,
};
// Raises and flushes nothing.
template <class F>
NumberClass classify(BitsOf<F> a, const Env& env);

} // namespace mimic::softfloat
