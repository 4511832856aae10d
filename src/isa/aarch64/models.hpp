// CPU models: which features a model has, and what it tells of itself. Features are named as in the Arm ARM, A2.
#pragma once
#include "base/types.hpp"
#include <span>
#include <string_view>

namespace mimic::isa::aarch64 {

// Features that a CPU model may have or lack; each switches tables of rows.
enum class Feature : u32 {
    base,
    fp,        // FEAT_FP
    simd,      // FEAT_AdvSIMD
    aes,       // FEAT_AES
    pmull,     // FEAT_PMULL
    sha1,      // FEAT_SHA1
    sha256,    // FEAT_SHA256
    crc32,     // FEAT_CRC32
    lse,       // FEAT_LSE
    lor,       // FEAT_LOR
    rdm,       // FEAT_RDM
    fp16,      // FEAT_FP16, the scalar forms
    simd_fp16, // FEAT_FP16, the vector forms; programs are told of FP16 only when both are there
    dotprod,   // FEAT_DotProd
    lrcpc,     // FEAT_LRCPC
    lrcpc2,    // FEAT_LRCPC2
    lrcpc3,    // FEAT_LRCPC3
    lse2,      // FEAT_LSE2
    flagm,     // FEAT_FlagM
    flagm2,    // FEAT_FlagM2
    frintts,   // FEAT_FRINTTS
    jscvt,     // FEAT_JSCVT
    fcma,      // FEAT_FCMA
    fhm,       // FEAT_FHM
    sha512,    // FEAT_SHA512
    sha3,      // FEAT_SHA3
    sm3,       // FEAT_SM3
    sm4,       // FEAT_SM4
    bf16,      // FEAT_BF16
    i8mm,      // FEAT_I8MM
    sb,        // FEAT_SB
    dpb,       // FEAT_DPB
    dpb2,      // FEAT_DPB2
    bti,       // FEAT_BTI
    cssc,      // FEAT_CSSC
    mops,      // FEAT_MOPS
    hbc,       // FEAT_HBC
    wfxt,      // FEAT_WFxT
    rng,       // FEAT_RNG
    dgh,       // FEAT_DGH
    xs,        // FEAT_XS
    pauth,     // FEAT_PAuth with PAuth2, FPAC, FPACCOMBINE and PACQARMA5
    pan,       // FEAT_PAN, FEAT_PAN2
    uao,       // FEAT_UAO
    dit,       // FEAT_DIT
    ssbs,      // FEAT_SSBS2
    hafdbs,    // FEAT_HAFDBS with dirty state
    vhe,       // FEAT_VHE
    tlbirange, // FEAT_TLBIOS, FEAT_TLBIRANGE
    e0pd,      // FEAT_E0PD
    // Of the system form, which that for user mode lacks:
    system,
    el2,
    el3,
    gic_registers, // the board's interrupt controller has system registers (GICv3)
    count
};

static_assert(u32(Feature::count) <= 64);

struct Model {
    std::string_view name;
    u64 features; // bit per Feature
    u64 midr;
    u64 clock_hz; // CNTFRQ_EL0
    u8 physical_bits = 48;
    constexpr bool has(Feature f) const { return features >> u32(f) & 1; }
};

std::span<const Model> models();

// ID registers as user mode reads them (Linux: arch/arm64 cpu-feature-registers, the fields that are visible to EL0;
// other fields and registers of the space read as "not implemented"). `number` is op0:op1:CRn:CRm:op2 as in mrs.
// False: an access that user mode does not have.
bool id_register(const Model& m, u32 number, u64& value);

// The ID registers as privileged software reads them; false: there is none of that number in their space (op0 3, op1 0,
// CRn 0). Cache geometry (op1 1) too.
bool system_id_register(const Model& m, u32 number, u64& value);
// CCSIDR_EL1 for a value of CSSELR_EL1.
u64 cache_size_id(u64 csselr);

// What the auxiliary vector tells a program: Linux, arch/arm64 ELF hwcaps. AT_PLATFORM is "aarch64".
struct HardwareCapabilities {
    u64 hwcap = 0, hwcap2 = 0;
};
HardwareCapabilities hardware_capabilities(const Model& m);

} // namespace mimic::isa::aarch64
