#include "isa/aarch64/semantics_fp.hpp"

namespace mimic::isa::aarch64 {

softfloat::Env fp_environment(const ir::CpuHeader& cpu) {
    softfloat::Env env = softfloat::env::aarch64;
    u32 mode = cpu.fp.mode, round = mode & 7;
    env.rounding = softfloat::Rounding(round <= 4 ? round : 0);
    env.default_nan = mode & ir::fpmode::default_nan;
    env.flush.inputs = mode & ir::fpmode::flush_inputs;
    env.flush.outputs = mode & ir::fpmode::flush_outputs;
    env.flush_half.inputs = env.flush_half.outputs = mode & ir::fpmode::flush_f16;
    return env;
}

void keep_flags(ir::CpuHeader& cpu, const softfloat::Env& env) { cpu.fp.flags |= env.flags & state_aarch64.fp_flags; }

} // namespace mimic::isa::aarch64
