// Half precision against AVX512-FP16 and F16C, and, on every host, f16 and bf16 against f64: for p <= 11 a result
// computed in 53 bits, to odd, rounds to the same narrow result (53 >= 2p + 2), whatever the rounding.
#include "softfloat/soak/host_sse.hpp"
#include "softfloat/soak/x86_rules.hpp"

namespace mimic::softfloat::soak {
namespace {

MIMIC_HOST_XMM(AddSh, 16, "vaddsh %[y], %[x], %[x]")
MIMIC_HOST_XMM(SubSh, 16, "vsubsh %[y], %[x], %[x]")
MIMIC_HOST_XMM(MulSh, 16, "vmulsh %[y], %[x], %[x]")
MIMIC_HOST_XMM(DivSh, 16, "vdivsh %[y], %[x], %[x]")
MIMIC_HOST_XMM(SqrtSh, 16, "vsqrtsh %[x], %[x], %[x]")
MIMIC_HOST_XMM(MinSh, 16, "vminsh %[y], %[x], %[x]")
MIMIC_HOST_XMM(FmaddSh, 16, "vfmadd213sh %[z], %[y], %[x]")
MIMIC_HOST_XMM(CvtSh2Ss, 32, "vcvtsh2ss %[x], %[x], %[x]")
MIMIC_HOST_XMM(CvtSh2Sd, 64, "vcvtsh2sd %[x], %[x], %[x]")
MIMIC_HOST_XMM(CvtSs2Sh, 16, "vcvtss2sh %[x], %[x], %[x]")
MIMIC_HOST_XMM(CvtSd2Sh, 16, "vcvtsd2sh %[x], %[x], %[x]")
MIMIC_HOST_TO_INT(CvtSh2Si32, 32, "vcvtsh2si %[x], %k[r]")
MIMIC_HOST_TO_INT(CvtSh2Usi64, 64, "vcvtsh2usi %[x], %q[r]")
MIMIC_HOST_FROM_INT(CvtSi2Sh64, 16, "vcvtsi2sh %q[r], %[x], %[x]")
MIMIC_HOST_TO_INT(UcomiSh, 8, "xor %k[r], %k[r]\n\tvucomish %[y], %[x]\n\tlahf\n\tmovzbl %%ah, %k[r]")
MIMIC_HOST_XMM(CvtPs2Ph, 16, "vcvtps2ph $4, %[x], %[x]")

// a op b of the narrow format F, computed in F64 rounded to odd and then narrowed, must be what F gives directly.
template <class F, int operation>
void narrow_from_f64(std::string_view name, Random& random, Report& report) {
    BitsOf<F> a = random_value<F>(random), b = random_second<F>(random, a);
    const BitsOf<F> c = random_addend<F>(random, a, b);
    Env env = env::riscv, wide = env::riscv;
    env.rounding = Rounding(random.below(6));
    wide.rounding = Rounding::odd;
    u64 wa = convert<F64, F>(a, wide), wb = convert<F64, F>(b, wide), wc = convert<F64, F>(c, wide), r = 0;
    u128 direct = 0;
    const u32 widening = wide.flags; // a signalling NaN was quieted
    switch (operation) {
    case 0: r = add<F64>(wa, wb, wide), direct = add<F>(a, b, env); break;
    case 1: r = mul<F64>(wa, wb, wide), direct = mul<F>(a, b, env); break;
    case 2: r = div<F64>(wa, wb, wide), direct = div<F>(a, b, env); break;
    case 3: r = sqrt<F64>(wa, wide), direct = sqrt<F>(a, env); break;
    case 4: r = mul_add<F64>(wa, wb, wc, wide), direct = mul_add<F>(a, b, c, env); break;
    }
    // The sign of an exact zero sum depends on the rounding.
    if ((operation == 0 || operation == 4) && env.rounding == Rounding::down && r << 1 == 0) {
        Env down = env::riscv;
        down.rounding = Rounding::down;
        r = operation == 0 ? add<F64>(wa, wb, down) : mul_add<F64>(wa, wb, wc, down);
    }
    wide.rounding = env.rounding;
    u128 expected = convert<F, F64>(r, wide);
    constexpr u32 looked_at = flag::ieee & ~flag::invalid;
    const bool exact_flags = !(widening & flag::invalid);
    report.check(name, {a, b, c}, u32(env.rounding), {expected, exact_flags ? wide.flags & looked_at : 0},
                 {direct, exact_flags ? env.flags & looked_at : 0});
}

} // namespace

void add_half_checks(std::vector<Check>& checks) {
    const Check narrow[] = {
        {"add.f16.by_f64", narrow_from_f64<F16, 0>},    {"mul.f16.by_f64", narrow_from_f64<F16, 1>},
        {"div.f16.by_f64", narrow_from_f64<F16, 2>},    {"sqrt.f16.by_f64", narrow_from_f64<F16, 3>},
        {"fma.f16.by_f64", narrow_from_f64<F16, 4>},    {"add.bf16.by_f64", narrow_from_f64<BF16, 0>},
        {"mul.bf16.by_f64", narrow_from_f64<BF16, 1>},  {"div.bf16.by_f64", narrow_from_f64<BF16, 2>},
        {"sqrt.bf16.by_f64", narrow_from_f64<BF16, 3>}, {"fma.bf16.by_f64", narrow_from_f64<BF16, 4>},
    };
    checks.insert(checks.end(), std::begin(narrow), std::end(narrow));
    if (__builtin_cpu_supports("f16c"))
        checks.push_back({"convert.f32.f16.f16c", compare_with_host<F32, CvtPs2Ph, soft_convert<F16, F32>>});
    if (!__builtin_cpu_supports("avx512fp16")) return;
    const Check fp16[] = {
        {"add.f16", compare_with_host<F16, AddSh, soft_add<F16>>},
        {"sub.f16", compare_with_host<F16, SubSh, soft_sub<F16>>},
        {"mul.f16", compare_with_host<F16, MulSh, soft_mul<F16>>},
        {"div.f16", compare_with_host<F16, DivSh, soft_div<F16>>},
        {"sqrt.f16", compare_with_host<F16, SqrtSh, soft_sqrt<F16>>},
        {"min.f16", compare_with_host<F16, MinSh, soft_min_max<F16, false>>},
        {"fma.f16", compare_with_host<F16, FmaddSh, soft_fma<F16, false, false>>},
        {"convert.f16.f32", compare_with_host<F16, CvtSh2Ss, soft_convert<F32, F16>>},
        {"convert.f16.f64", compare_with_host<F16, CvtSh2Sd, soft_convert<F64, F16>>},
        {"convert.f32.f16", compare_with_host<F32, CvtSs2Sh, soft_convert<F16, F32>>},
        {"convert.f64.f16", compare_with_host<F64, CvtSd2Sh, soft_convert<F16, F64>>},
        {"to_i32.f16", compare_with_host<F16, CvtSh2Si32, soft_to_int<F16, 32, false>>},
        {"to_u64.f16", compare_with_host<F16, CvtSh2Usi64, soft_to_int<F16, 64, false, false>>},
        {"from_i64.f16", compare_from_int<CvtSi2Sh64, soft_from_int<F16, i64>>},
        {"compare.f16", compare_with_host<F16, UcomiSh, soft_compare<F16, false>>},
    };
    checks.insert(checks.end(), std::begin(fp16), std::end(fp16));
}

} // namespace mimic::softfloat::soak
