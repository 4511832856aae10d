// Host instructions by the binary logarithm of a lane's bytes, for the files of vector lowering.
#pragma once
#include "jit/host/x86_64/lower.hpp"
#include <bit>

namespace mimic::jit::x86 {

namespace X = asmjit::x86::Inst; // numbers of instructions

inline u32 lane_log(ir::Lane lane) { return u32(std::countr_zero(ir::lane_bytes(lane))); }

inline constexpr Pair add_ids[] = {
    {X::kIdPaddb, X::kIdVpaddb}, {X::kIdPaddw, X::kIdVpaddw}, {X::kIdPaddd, X::kIdVpaddd}, {X::kIdPaddq, X::kIdVpaddq}};
inline constexpr Pair sub_ids[] = {
    {X::kIdPsubb, X::kIdVpsubb}, {X::kIdPsubw, X::kIdVpsubw}, {X::kIdPsubd, X::kIdVpsubd}, {X::kIdPsubq, X::kIdVpsubq}};
inline constexpr Pair equal_ids[] = {{X::kIdPcmpeqb, X::kIdVpcmpeqb},
                                     {X::kIdPcmpeqw, X::kIdVpcmpeqw},
                                     {X::kIdPcmpeqd, X::kIdVpcmpeqd},
                                     {X::kIdPcmpeqq, X::kIdVpcmpeqq}};
inline constexpr Pair greater_ids[] = {{X::kIdPcmpgtb, X::kIdVpcmpgtb},
                                       {X::kIdPcmpgtw, X::kIdVpcmpgtw},
                                       {X::kIdPcmpgtd, X::kIdVpcmpgtd},
                                       {X::kIdPcmpgtq, X::kIdVpcmpgtq}};
// For lanes of 8 bytes: AVX-512.
inline constexpr Pair umin_ids[] = {
    {X::kIdPminub, X::kIdVpminub}, {X::kIdPminuw, X::kIdVpminuw}, {X::kIdPminud, X::kIdVpminud}, {0, X::kIdVpminuq}};
inline constexpr Pair umax_ids[] = {
    {X::kIdPmaxub, X::kIdVpmaxub}, {X::kIdPmaxuw, X::kIdVpmaxuw}, {X::kIdPmaxud, X::kIdVpmaxud}, {0, X::kIdVpmaxuq}};
inline constexpr Pair smin_ids[] = {
    {X::kIdPminsb, X::kIdVpminsb}, {X::kIdPminsw, X::kIdVpminsw}, {X::kIdPminsd, X::kIdVpminsd}, {0, X::kIdVpminsq}};
inline constexpr Pair smax_ids[] = {
    {X::kIdPmaxsb, X::kIdVpmaxsb}, {X::kIdPmaxsw, X::kIdVpmaxsw}, {X::kIdPmaxsd, X::kIdVpmaxsd}, {0, X::kIdVpmaxsq}};
inline constexpr Pair and_ids{X::kIdAndps, X::kIdVandps}, or_ids{X::kIdOrps, X::kIdVorps},
    xor_ids{X::kIdXorps, X::kIdVxorps}, andn_ids{X::kIdAndnps, X::kIdVandnps};

} // namespace mimic::jit::x86
