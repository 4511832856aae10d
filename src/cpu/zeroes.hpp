// Zeroes in memory of their own, whose pages come to be at once: calloc might take what was freed, and each page would take a
// fault. Internal to the room.
#pragma once
#include "base/touch.hpp"
#include "base/types.hpp"
#include <span>
#include <sys/mman.h>

namespace mimic::cpu {

template <class T>
class Zeroes {
public:
    explicit Zeroes(u64 count)
        : count_(count)
        , at_(mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
        if (*this) touch_to_write(at_, bytes());
    }
    Zeroes(const Zeroes&) = delete;
    Zeroes& operator=(const Zeroes&) = delete;
    ~Zeroes() {
        if (*this) munmap(at_, bytes());
    }
    explicit operator bool() const { return at_ != MAP_FAILED; } // there was memory
    T& operator[](u64 n) const { return static_cast<T*>(at_)[n]; }
    std::span<T> all() const { return {static_cast<T*>(at_), count_}; }

private:
    u64 bytes() const { return count_ * sizeof(T); }
    u64 count_;
    void* at_;
};

} // namespace mimic::cpu
