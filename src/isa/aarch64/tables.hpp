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

} // namespace mimic::isa::aarch64
