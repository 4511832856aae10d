// What scalar and vector FP share. Internal to the room.
#pragma once
#include "ir/interpreter_run.hpp"
#include "softfloat/softfloat.hpp"

namespace mimic::ir {

constexpr softfloat::MinMax min_max_of(MinMax kind, bool max) {
    using softfloat::MinMaxNan;
    constexpr MinMaxNan rules[] = {MinMaxNan::number_2019, MinMaxNan::number, MinMaxNan::propagate,
                                   MinMaxNan::second_signalling};
    return {.max = max, .nan = rules[u8(kind)]};
}

// Arm ARM, FPUnpackCV and FPRoundCV: conversions between formats do not flush half precision. Restores on destruction.
struct UnflushedHalves {
    softfloat::Env& env;
    softfloat::Flush before;
    ~UnflushedHalves() { env.flush_half = before; }
};
[[nodiscard]] inline UnflushedHalves unflushed_halves(softfloat::Env& env) {
    UnflushedHalves guard{env, env.flush_half};
    env.flush_half.inputs = env.flush_half.outputs = false;
    return guard;
}

} // namespace mimic::ir
