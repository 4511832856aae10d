// The guest's mappings: the truth about what is mapped where, with which protection. Pure data: no system calls.
//
// Addresses are guest addresses. Neighbours that continue each other are merged, so the table is what /proc/self/maps
// shows.
#pragma once
#include "base/types.hpp"
#include <array>
#include <atomic>
#include <map>
#include <span>
#include <vector>

namespace mimic::user {

namespace prot {
inline constexpr u8 none = 0, read = 1, write = 2, exec = 4; // as PROT_* of every Linux ABI
inline constexpr u8 guarded = 16; // branches enter the code at fit places only: arm64's PROT_BTI
} // namespace prot

// One mapping. Two are mergeable when all but their ranges agree and a file's offset goes on.
struct Mapping {
    u64 start = 0, end = 0;
    u8 prot = 0;
    bool shared = false;
    bool file = false; // backed by a file (or a shared-memory segment) at `offset`
    bool shm = false;  // attached by shmat: one shmdt removes it all
    u64 offset = 0;
    u64 id = 0;                  // tells files apart, so that mappings of two files don't merge
    const char* label = nullptr; // "[heap]", "[stack]", ...; a string constant

    u64 size() const { return end - start; }
};

// What RLIMIT_DATA counts; the stack is mapped as a whole, where the kernel's grows, and counts nowhere.
inline bool is_data(u8 protection, bool shared) { return protection & prot::write && !shared; }
inline constexpr char stack_label[] = "[stack]";

class PageTable {
public:
    // The mapping that holds `address`, or nullptr.
    const Mapping* find(u64 address) const;
    // The first mapping that ends above `address`, or nullptr.
    const Mapping* next(u64 address) const;
    // True when something is mapped in [low, high).
    bool overlaps(u64 low, u64 high) const;
    // True when all of [low, high) is mapped with at least the protection `needed`.
    bool covers(u64 low, u64 high, u8 needed = 0) const;
    // Puts a mapping in, in place of what was there.
    void insert(const Mapping& mapping);
    void erase(u64 low, u64 high);
    // Changes protection up to the first hole; returns where it stopped (high: all done).
    u64 protect(u64 low, u64 high, u8 to);
    // The parts of mappings that lie in [low, high).
    std::vector<Mapping> in(u64 low, u64 high) const;
    // The highest address in [low, high) that is a multiple of `align` with `size` free bytes behind it; 0: none. Searches one
    // after the other for as much take no longer for what lies above.
    u64 find_gap(u64 size, u64 align, u64 low, u64 high) const;
    u64 count() const { return map_.size(); }
    // Another number when there was an edit; may be read while one is made, and is higher then or behind it.
    u64 edits() const { return edits_.load(std::memory_order_acquire); }
    struct Sizes { // in bytes, without the stack
        u64 all = 0, data = 0;
        Sizes& operator+=(const Mapping& m);
        Sizes& operator-=(const Mapping& m);
    };
    const Sizes& sizes() const { return sizes_; }
    auto begin() const { return map_.begin(); }
    auto end() const { return map_.end(); }

private:
    using Map = std::map<u64, Mapping>;
    void split(u64 at);
    void merge_around(Map::iterator it);
    Map map_; // by start
    Sizes sizes_;
    // What the last searches for gaps went past: there are none of this size and alignment from `from` to `high`. Several, as
    // programs map what is small and what is large or aligned in turns.
    struct Full {
        u64 size = ~u64{0}, align = 0, from = 0, high = 0;
    };
    mutable std::array<Full, 3> full_;
    mutable u32 next_full_ = 0; // the one that goes
    std::atomic<u64> edits_{0};
};

} // namespace mimic::user
