// Internal to the room: make_accelerator's "qtest".
#pragma once
#include "cpu/vcpu.hpp"

namespace mimic::cpu {

Result<std::unique_ptr<Accelerator>> make_qtest_accelerator(AcceleratorOptions options);

} // namespace mimic::cpu
