#include "memory/flatten.hpp"
#include <algorithm>

namespace mimic::memory {

namespace {
constexpr int max_depth = 32;
constexpr i128 whole = i128{1} << 64;

i128 extent(u64 size) { return size == ~u64{0} ? whole : i128{size}; }
} // namespace

void Flattening::render(const Region& root) {
    ranges.clear();
    render(root, 0, 0, whole, 0);
    merge();
}

// Shows `region` with its first byte at `base`, as far as it lies in [low, high).
void Flattening::render(const Region& region, i128 base, i128 low, i128 high, int depth) {
    if (!region.enabled_ || depth > max_depth) return;
    low = std::max(low, base);
    high = std::min(high, base + extent(region.size_));
    if (low >= high) return;
    switch (region.kind_) {
    case Region::Kind::container:
        for (const Region* child : region.children_) render(*child, base + child->at_, low, high, depth + 1);
        break;
    case Region::Kind::alias:
        if (region.target_) render(*region.target_, base - i128{region.offset_}, low, high, depth + 1);
        break;
    default: claim(region, base, low, high);
    }
}

// The addresses of [low, high) that nobody has yet become the region's.
void Flattening::claim(const Region& region, i128 base, i128 low, i128 high) {
    std::vector<Range> pieces;
    auto next = std::lower_bound(ranges.begin(), ranges.end(), low, [](const Range& r, i128 a) { return r.last < a; });
    for (i128 at = low; at < high;) {
        i128 hole_end = next == ranges.end() ? high : std::min<i128>(high, next->first);
        if (at < hole_end) {
            Range r;
            r.first = u64(at);
            r.last = u64(hole_end - 1);
            r.region = &region;
            r.offset = u64(at - base);
            r.block = region.block_;
            r.block_offset = region.offset_ + r.offset;
            r.handler = region.handler_;
            r.rules = region.rules_;
            r.kind = region.kind_;
            r.readable = region.readable_;
            r.read_only = region.read_only_;
            r.priority = region.priority_;
            pieces.push_back(r);
        }
        if (next == ranges.end()) break;
        at = std::max(at, i128{next->last} + 1);
        ++next;
    }
    for (const Range& r : pieces) {
        auto place = std::lower_bound(ranges.begin(), ranges.end(), r.first,
                                      [](const Range& a, u64 first) { return a.first < first; });
        ranges.insert(place, r);
    }
}

// Neighbours that go on in the same region (two aliases side by side) are one.
void Flattening::merge() {
    std::vector<Range> out;
    for (const Range& r : ranges) {
        if (!out.empty()) {
            Range& before = out.back();
            if (before.region == r.region && before.last + 1 == r.first &&
                before.offset + (r.first - before.first) == r.offset) {
                before.last = r.last;
                continue;
            }
        }
        out.push_back(r);
    }
    ranges = std::move(out);
}

} // namespace mimic::memory
