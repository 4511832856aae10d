// The tables of rows, in the manual's order.
#pragma once
#include "isa/aarch64/isa.hpp"

namespace mimic::isa::aarch64 {

extern const Table<AArch64> data_immediate, cssc_immediate, data_register, crc32, flagm, cssc_register;
extern const Table<AArch64> branches, speculation_barrier, system_instructions, flagm_system, flagm2;
extern const Table<AArch64> loads, loads_vector, pairs, pairs_vector, exclusives, lse, lrcpc, lrcpc2;
extern const Table<AArch64> fp, fp_half, frintts, jscvt;
extern const Table<AArch64> simd_same, simd_same_scalar, simd_misc, simd_pairwise_scalar, simd_move, simd_shift;
extern const Table<AArch64> simd_shift_scalar, simd_long, simd_structures;
extern const Table<AArch64> simd_misc_scalar, simd_shift_scalar_rest, simd_fixed, simd_different_scalar, simd_element,
    simd_element_scalar;
extern const Table<AArch64> simd_same_half, simd_misc_half, simd_scalar_half, simd_element_half, simd_move_half;
extern const Table<AArch64> simd_rdm, simd_dot, simd_i8mm, simd_complex, simd_fhm, simd_bf16, simd_frintts;
extern const Table<AArch64> crypto_aes, crypto_pmull, crypto_sha1, crypto_sha256, crypto_sha512, crypto_sha3,
    crypto_sm3, crypto_sm4;
extern const Table<AArch64> limited_ordering, lrcpc3, lrcpc3_vector, mops, consistent_branches, waits_with_timeout,
    barriers_without_xs, pointer_authentication, pointer_authentication_hints, branch_targets;
extern const Table<AArch64> privileged, privileged_pan, privileged_uao, privileged_dit, privileged_ssbs;

inline constexpr Table<AArch64> const* all_tables[] = {&data_immediate,
                                                       &cssc_immediate,
                                                       &data_register,
                                                       &crc32,
                                                       &flagm,
                                                       &cssc_register,
                                                       &branches,
                                                       &speculation_barrier,
                                                       &system_instructions,
                                                       &flagm_system,
                                                       &flagm2,
                                                       &loads,
                                                       &loads_vector,
                                                       &pairs,
                                                       &pairs_vector,
                                                       &exclusives,
                                                       &lse,
                                                       &lrcpc,
                                                       &lrcpc2,
                                                       &fp,
                                                       &fp_half,
                                                       &frintts,
                                                       &jscvt,
                                                       &simd_same,
                                                       &simd_same_scalar,
                                                       &simd_misc,
                                                       &simd_pairwise_scalar,
                                                       &simd_move,
                                                       &simd_shift,
                                                       &simd_shift_scalar,
                                                       &simd_long,
                                                       &simd_structures,
                                                       &simd_misc_scalar,
                                                       &simd_shift_scalar_rest,
                                                       &simd_fixed,
                                                       &simd_different_scalar,
                                                       &simd_element,
                                                       &simd_element_scalar,
                                                       &simd_same_half,
                                                       &simd_misc_half,
                                                       &simd_scalar_half,
                                                       &simd_element_half,
                                                       &simd_move_half,
                                                       &simd_rdm,
                                                       &simd_dot,
                                                       &simd_i8mm,
                                                       &simd_complex,
                                                       &simd_fhm,
                                                       &simd_bf16,
                                                       &simd_frintts,
                                                       &crypto_aes,
                                                       &crypto_pmull,
                                                       &crypto_sha1,
                                                       &crypto_sha256,
                                                       &crypto_sha512,
                                                       &crypto_sha3,
                                                       &crypto_sm3,
                                                       &crypto_sm4,
                                                       &limited_ordering,
                                                       &lrcpc3,
                                                       &lrcpc3_vector,
                                                       &mops,
                                                       &consistent_branches,
                                                       &waits_with_timeout,
                                                       &barriers_without_xs,
                                                       &pointer_authentication,
                                                       &branch_targets,
                                                       &privileged,
                                                       &privileged_pan,
                                                       &privileged_uao,
                                                       &privileged_dit,
                                                       &privileged_ssbs};

} // namespace mimic::isa::aarch64
