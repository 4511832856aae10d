// What must hold between results, for the roundings and formats no host offers: the directed results enclose the
// others, `odd` is the odd one of them, to nearest takes the nearer; sums commute; a / b * b and sqrt(a)^2 lie on the
// side of a that the rounding says.
#include "softfloat/soak/soak.hpp"

namespace mimic::softfloat::soak {
namespace {

template <class F, int operation>
BitsOf<F> operate(BitsOf<F> a, BitsOf<F> b, BitsOf<F> c, Env& env) {
    if constexpr (operation == 0) return add<F>(a, b, env);
    if constexpr (operation == 1) return mul<F>(a, b, env);
    if constexpr (operation == 2) return div<F>(a, b, env);
    if constexpr (operation == 3) return sqrt<F>(a, env);
    return mul_add<F>(a, b, c, env);
}

// The neighbours down and up of the exact result; rest of the roundings by what IEEE 754-2019 section 4.3 says of them.
template <class F, int operation>
void roundings_agree(std::string_view name, Random& random, Report& report) {
    const auto a = random_value<F>(random), b = random_second<F>(random, a), c = random_addend<F>(random, a, b);
    BitsOf<F> results[6];
    bool inexact = false;
    for (int i = 0; i < 6; ++i) {
        Env env = env::riscv;
        env.rounding = Rounding(i);
        results[i] = operate<F, operation>(a, b, c, env);
        inexact = env.flags & flag::inexact;
    }
    auto of = [&](Rounding r) { return raw(results[int(r)]); };
    const u128 down = of(Rounding::down), up = of(Rounding::up);
    if (!inexact) {
        const Parts zero_aside = [&] {
            Env e;
            return unpack<F>(results[0], e);
        }();
        // Exact: all the same, but for the sign of a zero sum.
        if (!zero_aside.is_zero())
            for (int i = 1; i < 6; ++i)
                report.check(name, {raw(a), raw(b), raw(c)}, u32(i), {of(Rounding(0))}, {raw(results[i])});
        return;
    }
    Env env;
    const bool negative = F::sign(results[int(Rounding::odd)]);
    const u128 odd = of(Rounding::odd);
    const u128 inward = negative ? up : down, outward = negative ? down : up;
    report.check(name, {raw(a), raw(b), raw(c)}, 1, {inward}, {of(Rounding::toward_zero)});
    report.check(name, {raw(a), raw(b), raw(c)}, 5, {inward & 1 ? inward : outward & 1 ? outward : inward}, {odd});
    for (Rounding r : {Rounding::nearest_even, Rounding::nearest_away})
        report.check(name, {raw(a), raw(b), raw(c)}, u32(r), {of(r) == inward ? inward : outward}, {of(r)});
    // The neighbours are ordered and next to each other.
    if (F::biased(results[int(Rounding::down)]) != F::max_biased &&
        F::biased(results[int(Rounding::up)]) != F::max_biased && !F::explicit_integer)
        report.check(name, {raw(a), raw(b), raw(c)}, 9, {inward + 1}, {outward});
    report.check(name, {raw(a), raw(b), raw(c)}, 8, {u128(Ordering::less)},
                 {u128(compare<F>(results[int(Rounding::down)], results[int(Rounding::up)], false, env))});
}

// Rounded down, q = a / b has q * b <= a; rounded up, q * b >= a. The product is compared exactly, by one fused
// operation; the same for the root. Positive normal operands whose residue is in range.
template <class F>
void residues(std::string_view name, Random& random, Report& report) {
    auto draw = [&] {
        return F::make(false, F::bias + int(random.below(40)) - 20, true, random_fraction(random, F::fraction_bits));
    };
    if (F::exponent_bits < 8) return;
    const auto a = draw(), b = draw();
    for (Rounding rounding : {Rounding::down, Rounding::up}) {
        Env env = env::riscv, exact = env::riscv;
        env.rounding = rounding;
        const auto quotient = div<F>(a, b, env);
        const auto rest = mul_add<F>(quotient, b, a, exact, {.negate_product = true}); // a - q * b
        const auto root = sqrt<F>(a, env);
        const auto root_rest = mul_add<F>(root, root, a, exact, {.negate_product = true});
        const bool wrong_side = rounding == Rounding::down;
        for (auto r : {rest, root_rest}) {
            const Parts p = unpack<F>(r, exact);
            report.check(name, {raw(a), raw(b)}, u32(rounding), {0}, {u128(!p.is_zero() && p.sign == wrong_side)});
        }
    }
}

template <class F>
void commutes(std::string_view name, Random& random, Report& report) {
    const auto a = random_value<F>(random), b = random_second<F>(random, a);
    Env x = env::riscv, y = env::riscv;
    x.rounding = y.rounding = Rounding(random.below(6));
    const auto ab = add<F>(a, b, x), ba = add<F>(b, a, y);
    report.check(name, {raw(a), raw(b)}, 0, {raw(ab), x.flags}, {raw(ba), y.flags});
    // Widening to binary128 and back is the identity, but for a signalling NaN and x87's unsupported encodings.
    const auto back = convert<F, F128>(convert<F128, F>(ab, x), x);
    report.check(name, {raw(ab)}, 1, {raw(ab)}, {raw(back)});
}

template <class F>
void add_format(std::vector<Check>& checks) {
    const std::string format(name_of<F>);
    checks.push_back({"roundings.add." + format, roundings_agree<F, 0>});
    checks.push_back({"roundings.mul." + format, roundings_agree<F, 1>});
    checks.push_back({"roundings.div." + format, roundings_agree<F, 2>});
    checks.push_back({"roundings.sqrt." + format, roundings_agree<F, 3>});
    checks.push_back({"roundings.fma." + format, roundings_agree<F, 4>});
    checks.push_back({"residues." + format, residues<F>});
    checks.push_back({"commutes." + format, commutes<F>});
}

} // namespace

void add_property_checks(std::vector<Check>& checks) {
    add_format<BF16>(checks);
    add_format<F16>(checks);
    add_format<F32>(checks);
    add_format<F64>(checks);
    add_format<F80>(checks);
    add_format<F128>(checks);
    checks.push_back({"roundings.fma.f80m68k", roundings_agree<F80M68k, 4>});
    checks.push_back({"roundings.div.f80m68k", roundings_agree<F80M68k, 2>});
}

} // namespace mimic::softfloat::soak
