// From a tree of regions to the sorted, disjoint ranges that are visible: children by falling priority claim addresses
// first; what they leave is their parent's.
#pragma once
#include "memory/region.hpp"

namespace mimic::memory {

struct Range {
    u64 first = 0, last = 0; // addresses, inclusive
    const Region* region = nullptr;
    u64 offset = 0; // of `first` in the region
    // Copies of what readers need, so that they don't look at a region that its owner changes.
    RamBlock* block = nullptr;
    u64 block_offset = 0;
    Handler* handler = nullptr;
    AccessRules rules;
    Region::Kind kind = Region::Kind::device;
    bool readable = true, read_only = false;
    int priority = 0;
};

struct Flattening {
    std::vector<Range> ranges;
    void render(const Region& root);

private:
    void render(const Region& region, i128 base, i128 low, i128 high, int depth);
    void claim(const Region& region, i128 base, i128 low, i128 high);
    void merge();
};

} // namespace mimic::memory
