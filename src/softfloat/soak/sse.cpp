// Soft-float against the host's SSE2, SSE4.1 and FMA3 scalar instructions under every MXCSR rounding, DAZ and FTZ.
#include "softfloat/soak/host_sse.hpp"
#include "softfloat/soak/x86_rules.hpp"

namespace mimic::softfloat::soak {
namespace {

MIMIC_HOST_XMM(AddSs, 32, "addss %[y], %[x]")
MIMIC_HOST_XMM(AddSd, 64, "addsd %[y], %[x]")
MIMIC_HOST_XMM(SubSs, 32, "subss %[y], %[x]")
MIMIC_HOST_XMM(SubSd, 64, "subsd %[y], %[x]")
MIMIC_HOST_XMM(MulSs, 32, "mulss %[y], %[x]")
MIMIC_HOST_XMM(MulSd, 64, "mulsd %[y], %[x]")
MIMIC_HOST_XMM(DivSs, 32, "divss %[y], %[x]")
MIMIC_HOST_XMM(DivSd, 64, "divsd %[y], %[x]")
MIMIC_HOST_XMM(SqrtSs, 32, "sqrtss %[x], %[x]")
MIMIC_HOST_XMM(SqrtSd, 64, "sqrtsd %[x], %[x]")
MIMIC_HOST_XMM(MinSs, 32, "minss %[y], %[x]")
MIMIC_HOST_XMM(MinSd, 64, "minsd %[y], %[x]")
MIMIC_HOST_XMM(MaxSs, 32, "maxss %[y], %[x]")
MIMIC_HOST_XMM(MaxSd, 64, "maxsd %[y], %[x]")
MIMIC_HOST_XMM(CvtSs2Sd, 64, "cvtss2sd %[x], %[x]")
MIMIC_HOST_XMM(CvtSd2Ss, 32, "cvtsd2ss %[x], %[x]")
MIMIC_HOST_XMM(RoundSs, 32, "roundss $4, %[x], %[x]")
MIMIC_HOST_XMM(RoundSd, 64, "roundsd $4, %[x], %[x]")
MIMIC_HOST_XMM(FloorSd, 64, "roundsd $9, %[x], %[x]")
MIMIC_HOST_XMM(CeilSs, 32, "roundss $2, %[x], %[x]")
MIMIC_HOST_TO_INT(CvtSs2Si32, 32, "cvtss2si %[x], %k[r]")
MIMIC_HOST_TO_INT(CvtSs2Si64, 64, "cvtss2si %[x], %q[r]")
MIMIC_HOST_TO_INT(CvtSd2Si32, 32, "cvtsd2si %[x], %k[r]")
MIMIC_HOST_TO_INT(CvtSd2Si64, 64, "cvtsd2si %[x], %q[r]")
MIMIC_HOST_TO_INT(CvttSs2Si64, 64, "cvttss2si %[x], %q[r]")
MIMIC_HOST_TO_INT(CvttSd2Si32, 32, "cvttsd2si %[x], %k[r]")
MIMIC_HOST_FROM_INT(CvtSi2Ss32, 32, "cvtsi2ss %k[r], %[x]")
MIMIC_HOST_FROM_INT(CvtSi2Ss64, 32, "cvtsi2ss %q[r], %[x]")
MIMIC_HOST_FROM_INT(CvtSi2Sd64, 64, "cvtsi2sd %q[r], %[x]")
MIMIC_HOST_TO_INT(UcomiSs, 8, "xor %k[r], %k[r]\n\tucomiss %[y], %[x]\n\tlahf\n\tmovzbl %%ah, %k[r]")
MIMIC_HOST_TO_INT(UcomiSd, 8, "xor %k[r], %k[r]\n\tucomisd %[y], %[x]\n\tlahf\n\tmovzbl %%ah, %k[r]")
MIMIC_HOST_TO_INT(ComiSd, 8, "xor %k[r], %k[r]\n\tcomisd %[y], %[x]\n\tlahf\n\tmovzbl %%ah, %k[r]")
MIMIC_HOST_XMM(FmaddSs, 32, "vfmadd213ss %[z], %[y], %[x]")
MIMIC_HOST_XMM(FmaddSd, 64, "vfmadd213sd %[z], %[y], %[x]")
MIMIC_HOST_XMM(FmsubSd, 64, "vfmsub213sd %[z], %[y], %[x]")
MIMIC_HOST_XMM(FnmaddSs, 32, "vfnmadd213ss %[z], %[y], %[x]")
MIMIC_HOST_XMM(FnmsubSd, 64, "vfnmsub213sd %[z], %[y], %[x]")

} // namespace

void add_sse_checks(std::vector<Check>& checks) {
    const Check sse[] = {
        {"add.f32", compare_with_host<F32, AddSs, soft_add<F32>>},
        {"add.f64", compare_with_host<F64, AddSd, soft_add<F64>>},
        {"sub.f32", compare_with_host<F32, SubSs, soft_sub<F32>>},
        {"sub.f64", compare_with_host<F64, SubSd, soft_sub<F64>>},
        {"mul.f32", compare_with_host<F32, MulSs, soft_mul<F32>>},
        {"mul.f64", compare_with_host<F64, MulSd, soft_mul<F64>>},
        {"div.f32", compare_with_host<F32, DivSs, soft_div<F32>>},
        {"div.f64", compare_with_host<F64, DivSd, soft_div<F64>>},
        {"sqrt.f32", compare_with_host<F32, SqrtSs, soft_sqrt<F32>>},
        {"sqrt.f64", compare_with_host<F64, SqrtSd, soft_sqrt<F64>>},
        {"min.f32", compare_with_host<F32, MinSs, soft_min_max<F32, false>>},
        {"min.f64", compare_with_host<F64, MinSd, soft_min_max<F64, false>>},
        {"max.f32", compare_with_host<F32, MaxSs, soft_min_max<F32, true>>},
        {"max.f64", compare_with_host<F64, MaxSd, soft_min_max<F64, true>>},
        {"convert.f32.f64", compare_with_host<F32, CvtSs2Sd, soft_convert<F64, F32>>},
        {"convert.f64.f32", compare_with_host<F64, CvtSd2Ss, soft_convert<F32, F64>>},
        {"to_i32.f32", compare_with_host<F32, CvtSs2Si32, soft_to_int<F32, 32, false>>},
        {"to_i64.f32", compare_with_host<F32, CvtSs2Si64, soft_to_int<F32, 64, false>>},
        {"to_i32.f64", compare_with_host<F64, CvtSd2Si32, soft_to_int<F64, 32, false>>},
        {"to_i64.f64", compare_with_host<F64, CvtSd2Si64, soft_to_int<F64, 64, false>>},
        {"truncate_i64.f32", compare_with_host<F32, CvttSs2Si64, soft_to_int<F32, 64, true>>},
        {"truncate_i32.f64", compare_with_host<F64, CvttSd2Si32, soft_to_int<F64, 32, true>>},
        {"from_i32.f32", compare_from_int<CvtSi2Ss32, soft_from_int<F32, i32>>},
        {"from_i64.f32", compare_from_int<CvtSi2Ss64, soft_from_int<F32, i64>>},
        {"from_i64.f64", compare_from_int<CvtSi2Sd64, soft_from_int<F64, i64>>},
        {"compare.f32", compare_with_host<F32, UcomiSs, soft_compare<F32, false>>},
        {"compare.f64", compare_with_host<F64, UcomiSd, soft_compare<F64, false>>},
        {"compare_signalling.f64", compare_with_host<F64, ComiSd, soft_compare<F64, true>>},
    };
    checks.insert(checks.end(), std::begin(sse), std::end(sse));
    if (__builtin_cpu_supports("sse4.1")) {
        checks.push_back({"round.f32", compare_with_host<F32, RoundSs, soft_round<F32, true, 4>>});
        checks.push_back({"round.f64", compare_with_host<F64, RoundSd, soft_round<F64, true, 4>>});
        checks.push_back({"floor.f64", compare_with_host<F64, FloorSd, soft_round<F64, false, 1>>});
        checks.push_back({"ceil.f32", compare_with_host<F32, CeilSs, soft_round<F32, true, 2>>});
    }
    if (__builtin_cpu_supports("fma")) {
        checks.push_back({"fma.f32", compare_with_host<F32, FmaddSs, soft_fma<F32, false, false>>});
        checks.push_back({"fma.f64", compare_with_host<F64, FmaddSd, soft_fma<F64, false, false>>});
        checks.push_back({"fms.f64", compare_with_host<F64, FmsubSd, soft_fma<F64, false, true>>});
        checks.push_back({"fnma.f32", compare_with_host<F32, FnmaddSs, soft_fma<F32, true, false>>});
        checks.push_back({"fnms.f64", compare_with_host<F64, FnmsubSd, soft_fma<F64, true, true>>});
    }
}

} // namespace mimic::softfloat::soak
