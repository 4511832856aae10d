#include "isa/x86/semantics.hpp"
namespace mimic::isa::x86 {
constinit const Table sse_rows{"SSE2", Feature::base, {}}, sse_fp_rows{"SSE2 FP", Feature::base, {}};
}
