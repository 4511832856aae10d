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

} // namespace mimic::ir
