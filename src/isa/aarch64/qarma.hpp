// QARMA, the tweakable block cipher of pointer authentication: Arm ARM (DDI 0487) J1.1.3, aarch64/functions/pac/computepac;
// R. Avanzi, The QARMA Block Cipher Family (2016), whose names for the parts are used.
#pragma once
#include "base/types.hpp"

namespace mimic::isa::aarch64 {

struct PacKey {
    u64 low = 0, high = 0; // APxKeyLo_EL1, APxKeyHi_EL1
};

// ComputePACQARMA5 (FEAT_PACQARMA5): QARMA-64 with sigma_2 and five rounds a direction.
u64 qarma5(u64 data, u64 modifier, PacKey key);

} // namespace mimic::isa::aarch64
