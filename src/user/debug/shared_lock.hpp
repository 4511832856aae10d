// A lock and an event for threads and for the children that run in their memory: such a child may be killed while it holds
// or awaits either, which the C library's do not survive. futex(2).
#pragma once
#include "base/process.hpp"
#include "base/types.hpp"
#include <atomic>
#include <climits>
#include <linux/futex.h>
#include <mutex>
#include <sys/syscall.h>

namespace mimic::user {

class SharedLock {
public:
    void lock() {
        u32 self = u32(process::raw_syscall(SYS_gettid)), v = 0;
        if (word_.compare_exchange_strong(v, self)) return;
        for (;;) {
            if (v == 0) {
                if (word_.compare_exchange_strong(v, self | awaited)) return;
            } else if (v & awaited || word_.compare_exchange_strong(v, v | awaited)) {
                process::raw_syscall(SYS_futex, u64(&word_), FUTEX_WAIT_PRIVATE, v | awaited, 0);
                v = word_.load();
            }
        }
    }
    void unlock() {
        if (word_.exchange(0) & awaited) process::raw_syscall(SYS_futex, u64(&word_), FUTEX_WAKE_PRIVATE, 1);
    }
    // Of a thread that is dead.
    void free_of(u32 tid) {
        u32 v = word_.load();
        while ((v & ~awaited) == tid)
            if (word_.compare_exchange_weak(v, 0))
                return void(process::raw_syscall(SYS_futex, u64(&word_), FUTEX_WAKE_PRIVATE, 1));
    }

private:
    static constexpr u32 awaited = 1u << 31; // beside the number of the thread that holds it
    std::atomic<u32> word_{0};
};

class SharedEvent {
public:
    template <class F>
    void wait(std::unique_lock<SharedLock>& lock, F until) {
        while (!until()) {
            u32 seen = count_.load();
            lock.unlock();
            process::raw_syscall(SYS_futex, u64(&count_), FUTEX_WAIT_PRIVATE, seen, 0);
            lock.lock();
        }
    }
    void notify_all() {
        count_.fetch_add(1);
        process::raw_syscall(SYS_futex, u64(&count_), FUTEX_WAKE_PRIVATE, INT_MAX);
    }

private:
    std::atomic<u32> count_{0};
};

} // namespace mimic::user
