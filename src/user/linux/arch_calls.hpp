// Calls that one architecture has; their bodies stand with the family they belong to.
#pragma once
#include "base/types.hpp"

namespace mimic::user {
class Thread;
struct Args;

i64 riscv_hwprobe(Thread& t, const Args& a);
i64 flush_icache(Thread& t, const Args& a);
i64 arch_prctl(Thread& t, const Args& a);

} // namespace mimic::user
