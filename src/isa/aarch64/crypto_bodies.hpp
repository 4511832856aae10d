// Bodies of cryptographic steps that only Arm has in this shape: SHA-1 (FIPS 180-4), SM3 (GB/T 32905-2016),
// SM4 (GB/T 32907-2016), as the Arm ARM's C7.2 defines the instructions.
#pragma once
#include "ir/intrinsic.hpp"

namespace mimic::isa::aarch64 {

// Arguments: the registers Vd, Vn, Vm (SM3SS1: Vn, Vm, Va; SM4E: Vd, Vn), then numbers. The result is the new Vd.
extern const ir::Intrinsic sha1c_body, sha1p_body, sha1m_body;
// Their fourth argument is the number of Vm's word.
extern const ir::Intrinsic sm3tt1a_body, sm3tt1b_body, sm3tt2a_body, sm3tt2b_body;
extern const ir::Intrinsic sm3ss1_body, sm3partw1_body, sm3partw2_body, sm4e_body, sm4ekey_body;

} // namespace mimic::isa::aarch64
