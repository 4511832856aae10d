// Damage: the rectangles of a screen that were drawn since somebody looked. Bounded: when there are many, what they have in
// common becomes coarser, never smaller.
#pragma once
#include "display/pixels.hpp"
#include <utility>
#include <vector>

namespace mimic::display {

class Damage {
public:
    static constexpr size_t max_rects = 32;
    void add(const Rect& r);
    bool empty() const { return rects_.empty(); }
    std::span<const Rect> rects() const { return rects_; }
    std::vector<Rect> take() { return std::exchange(rects_, {}); }

private:
    std::vector<Rect> rects_;
};

} // namespace mimic::display
