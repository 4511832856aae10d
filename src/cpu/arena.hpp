// Memory for what lives as long as a region of code: handed out piece by piece, freed as a whole. Internal to the room.
//
// Large programs have megabytes of it, whose pages would each fault once: they are asked for as huge pages.
#pragma once
#include "base/check.hpp"
#include "base/touch.hpp"
#include "base/types.hpp"
#include <algorithm>
#include <memory>
#include <new>
#include <sys/mman.h>
#include <utility>
#include <vector>

namespace mimic::cpu {

class Arena {
public:
    Arena() = default;
    // Huge pages from so many bytes on.
    explicit Arena(u64 huge_from) : huge_from_(huge_from) {}
    Arena(Arena&& o) noexcept { *this = std::move(o); }
    Arena& operator=(Arena&& o) noexcept {
        std::swap(chunks_, o.chunks_);
        std::swap(at_, o.at_), std::swap(end_, o.end_), std::swap(all_, o.all_), std::swap(huge_from_, o.huge_from_);
        return *this;
    }
    ~Arena() {
        for (auto [start, bytes] : chunks_) munmap(start, bytes);
    }

    // Aligned to 16. Without memory there is no way on.
    u8* room(u64 bytes) {
        bytes = (bytes + 15) & ~u64{15};
        if (u64(end_ - at_) < bytes) grow(bytes);
        return std::exchange(at_, at_ + bytes);
    }
    // What is made is to be destroyed before the arena goes, if that matters.
    template <class T>
    T* make() {
        static_assert(alignof(T) <= 16);
        return new (room(sizeof(T))) T;
    }
    // What was handed out since `mark` is not needed.
    u8* mark() const { return at_; }
    void back_to(u8* mark) {
        if (!chunks_.empty() && mark >= chunks_.back().first && mark < at_) at_ = mark;
    }

private:
    void grow(u64 least) {
        constexpr u64 usual = 128 << 10, huge = 2 << 20;
        const bool large = all_ >= huge_from_ && least < huge;
        const u64 bytes = large ? 2 * huge : std::max(usual, (least + 4095) & ~u64{4095});
        void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        MIMIC_CHECK(p != MAP_FAILED, "no memory for what is known of translated code");
        at_ = static_cast<u8*>(p), end_ = at_ + bytes;
        chunks_.emplace_back(at_, bytes);
        all_ += bytes;
        if (!large) return touch_to_write(at_, std::min(bytes, usual));
        at_ = reinterpret_cast<u8*>((u64(at_) + huge - 1) & ~(huge - 1)), end_ = at_ + huge;
        madvise(at_, huge, MADV_HUGEPAGE); // ordinary pages do, too
    }

    std::vector<std::pair<u8*, u64>> chunks_;
    u8 *at_ = nullptr, *end_ = nullptr;
    u64 all_ = 0; // bytes
    u64 huge_from_ = 1 << 20;
};

// Of what an arena has the memory of.
struct Destroy {
    template <class T>
    void operator()(T* t) const {
        t->~T();
    }
};

} // namespace mimic::cpu
