// A futex that counts events: one thread sleeps, any thread wakes it. Guest time has nothing to do with it.
#pragma once
#include "base/types.hpp"
#include <atomic>

namespace mimic::cpu {

class Event {
public:
    u32 now() const { return count_.load(std::memory_order_seq_cst); }
    void signal();
    // Until an event after `seen`, or for `nanoseconds` (~0: for ever).
    void wait(u32 seen, u64 nanoseconds = ~u64{0});

private:
    std::atomic<u32> count_{0}, waiting_{0};
};

} // namespace mimic::cpu
