// Soft-float against AVX-512: unsigned conversions, scaling, exponents, minimum flavours, and narrowing to BF16.
#include "softfloat/soak/host_sse.hpp"
#include "softfloat/soak/x86_rules.hpp"

namespace mimic::softfloat::soak {
namespace {

MIMIC_HOST_TO_INT(CvtSs2Usi32, 32, "vcvtss2usi %[x], %k[r]")
MIMIC_HOST_TO_INT(CvtSd2Usi64, 64, "vcvtsd2usi %[x], %q[r]")
MIMIC_HOST_TO_INT(CvttSd2Usi32, 32, "vcvttsd2usi %[x], %k[r]")
MIMIC_HOST_TO_INT(CvttSs2Usi64, 64, "vcvttss2usi %[x], %q[r]")
MIMIC_HOST_FROM_INT(CvtUsi2Ss64, 32, "vcvtusi2ss %q[r], %[x], %[x]")
MIMIC_HOST_FROM_INT(CvtUsi2Sd64, 64, "vcvtusi2sd %q[r], %[x], %[x]")
MIMIC_HOST_XMM(ScalefSs, 32, "vscalefss %[y], %[x], %[x]")
MIMIC_HOST_XMM(ScalefSd, 64, "vscalefsd %[y], %[x], %[x]")
MIMIC_HOST_XMM(GetexpSd, 64, "vgetexpsd %[x], %[x], %[x]")
MIMIC_HOST_XMM(RndscaleSs, 32, "vrndscaless $0x34, %[x], %[x], %[x]")
MIMIC_HOST_XMM(RangeMinSd, 64, "vrangesd $4, %[y], %[x], %[x]")
MIMIC_HOST_XMM(RangeMaxSs, 32, "vrangess $5, %[y], %[x], %[x]")
MIMIC_HOST_XMM(RangeAbsMinSs, 32, "vrangess $6, %[y], %[x], %[x]")
MIMIC_HOST_XMM(RangeAbsMaxSd, 64, "vrangesd $7, %[y], %[x], %[x]")
MIMIC_HOST_XMM(CvtNePs2Bf16, 16, "vcvtneps2bf16 %[x], %[x]")

// VSCALEF with a small integer as its second operand is scaleB.
template <class F, class HostOp>
void scale_with_host(std::string_view name, Random& random, Report& report) {
    BitsOf<F> a = random_value<F>(random);
    i32 n = i32(random.below(random.one_in(2) ? 16 : 4400));
    if (random.one_in(2)) n = -n;
    SseMode mode(random);
    Env scratch;
    Outcome expected = HostOp::run(a, from_int<F>(n, scratch), 0, mode.mxcsr);
    u128 got = scale_b<F>(a, n, mode.env);
    report.check(name, {a, u128(u32(n))}, mode.mxcsr, expected, {got, x86_flags(mode.env.flags)});
}

// VGETEXP is logB without divide-by-zero.
constexpr auto soft_getexp = [](auto a, auto, auto, Env& e) -> u128 {
    u128 r = log_b<F64>(a, e);
    e.flags &= ~flag::divide_by_zero;
    return r;
};
// VRNDSCALE with three fraction bits: 2^-3 * round(2^3 * a); the value is the same unless 2^3 * a overflows.
constexpr auto soft_rndscale = [](u32 a, auto, auto, Env& e) -> u128 {
    Parts p = unpack<F32>(a, e);
    p.exponent += 3;
    Parts r = round_to_integral(p, e.rounding, true, e);
    if (r.is_normal()) r.exponent -= 3;
    e.flags &= ~flag::denormal_used; // VRNDSCALE signals no denormal operand
    return round_pack<F32>(r, e);
};
template <class F, bool max, bool magnitude>
constexpr auto soft_range = [](auto a, auto b, auto, Env& e) -> u128 {
    e.nan.order = NanOrder::signalling_first; // VRANGE's own rule
    return min_max<F>(a, b, {.max = max, .magnitude = magnitude, .nan = MinMaxNan::number}, e);
};
// VCVTNEPS2BF16: to nearest, denormals are zero on both sides, no flags, MXCSR is not looked at.
constexpr auto soft_narrow_bf16 = [](u32 a, auto, auto, Env& e) -> u128 {
    Env own = env::x86_sse;
    own.flush.inputs = own.flush.outputs = true;
    e.flags = 0;
    return convert<BF16, F32>(a, own);
};

} // namespace

void add_avx512_checks(std::vector<Check>& checks) {
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) {
        const Check avx512[] = {
            {"to_u32.f32", compare_with_host<F32, CvtSs2Usi32, soft_to_int<F32, 32, false, false>>},
            {"to_u64.f64", compare_with_host<F64, CvtSd2Usi64, soft_to_int<F64, 64, false, false>>},
            {"truncate_u32.f64", compare_with_host<F64, CvttSd2Usi32, soft_to_int<F64, 32, true, false>>},
            {"truncate_u64.f32", compare_with_host<F32, CvttSs2Usi64, soft_to_int<F32, 64, true, false>>},
            {"from_u64.f32", compare_from_int<CvtUsi2Ss64, soft_from_uint<F32>>},
            {"from_u64.f64", compare_from_int<CvtUsi2Sd64, soft_from_uint<F64>>},
            {"scale.f32", scale_with_host<F32, ScalefSs>},
            {"scale.f64", scale_with_host<F64, ScalefSd>},
            {"log_b.f64", compare_with_host<F64, GetexpSd, soft_getexp>},
            {"round_eighths.f32", compare_with_host<F32, RndscaleSs, soft_rndscale>},
            {"min_number.f64", compare_with_host<F64, RangeMinSd, soft_range<F64, false, false>>},
            {"max_number.f32", compare_with_host<F32, RangeMaxSs, soft_range<F32, true, false>>},
            {"min_magnitude.f32", compare_with_host<F32, RangeAbsMinSs, soft_range<F32, false, true>>},
            {"max_magnitude.f64", compare_with_host<F64, RangeAbsMaxSd, soft_range<F64, true, true>>},
        };
        checks.insert(checks.end(), std::begin(avx512), std::end(avx512));
    }
    if (__builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vl"))
        checks.push_back({"convert.f32.bf16", compare_with_host<F32, CvtNePs2Bf16, soft_narrow_bf16>});
}

} // namespace mimic::softfloat::soak
