// Bytes of the heap that this test program's C++ holds, and the most since start_peak(): operator new is replaced, in one file.
#pragma once
#include "base/types.hpp"
#include <atomic>
#include <cstdlib>
#include <malloc.h>
#include <new>

namespace mimic::devices::heap {

inline std::atomic<u64> held{0}, most{0};

inline u64 bytes() { return held.load(); }
inline u64 peak() { return most.load(); }
inline void start_peak() { most = held.load(); }

inline void* take(std::size_t n) {
    void* p = std::malloc(n ? n : 1);
    if (!p) std::abort();
    const u64 now = held += malloc_usable_size(p);
    u64 old = most.load();
    while (old < now && !most.compare_exchange_weak(old, now)) {}
    return p;
}
inline void give(void* p) {
    if (!p) return;
    held -= malloc_usable_size(p);
    std::free(p);
}

} // namespace mimic::devices::heap

void* operator new(std::size_t n) { return mimic::devices::heap::take(n); }
void* operator new[](std::size_t n) { return mimic::devices::heap::take(n); }
void operator delete(void* p) noexcept { mimic::devices::heap::give(p); }
void operator delete[](void* p) noexcept { mimic::devices::heap::give(p); }
void operator delete(void* p, std::size_t) noexcept { mimic::devices::heap::give(p); }
void operator delete[](void* p, std::size_t) noexcept { mimic::devices::heap::give(p); }
