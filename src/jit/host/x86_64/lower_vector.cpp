// Vectors of up to 128 bits.
#include "jit/host/x86_64/lower.hpp"

namespace mimic::jit::x86 {

bool Lowering::vector(u32) { return false; }

} // namespace mimic::jit::x86
