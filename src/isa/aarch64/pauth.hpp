// The keys of pointer authentication, as user mode's kernel sets them.
#pragma once
#include "base/types.hpp"

namespace mimic::isa::aarch64 {

// In the order of slots: each has APxKeyLo_EL1, then APxKeyHi_EL1. ga cannot be switched off.
enum class Key : u32 { ia, ib, da, db, ga, count };

} // namespace mimic::isa::aarch64
