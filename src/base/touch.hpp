// Pages that are about to be used come to be at once, by one call of the kernel: each would take a fault, as long as twenty
// pages take this way. For speed only: where it can't be (Linux before 5.14), they fault.
#pragma once
#include "base/types.hpp"

namespace mimic {

void touch_to_write(void* at, u64 bytes);
void touch_to_read(const void* at, u64 bytes);

// What malloc has got from the kernel since the last time (`top`: where that ended; 0 at first).
void touch_heap(u64& top);
// It gets its memory in pieces that are worth that, and keeps them. For a program's start.
void let_heap_be_touched();

} // namespace mimic
