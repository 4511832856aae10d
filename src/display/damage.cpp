#include "display/damage.hpp"
#include <algorithm>

namespace mimic::display {

namespace {
// Together they are a rectangle.
bool fit(const Rect& a, const Rect& b) {
    if (a.x == b.x && a.width == b.width) return a.y <= b.bottom() && b.y <= a.bottom();
    if (a.y == b.y && a.height == b.height) return a.x <= b.right() && b.x <= a.right();
    return false;
}
} // namespace

void Damage::add(const Rect& r) {
    if (r.empty()) return;
    Rect fresh = r;
    // What the new one takes in makes it larger, and then it may take in more.
    for (size_t i = 0; i < rects_.size();) {
        if (rects_[i].contains(fresh)) return;
        if (fresh.contains(rects_[i]) || fit(fresh, rects_[i])) {
            fresh = united(fresh, rects_[i]);
            rects_.erase(rects_.begin() + std::ptrdiff_t(i));
            i = 0;
        } else {
            i++;
        }
    }
    rects_.push_back(fresh);
    if (rects_.size() <= max_rects) return;
    for (const Rect& other : rects_) fresh = united(fresh, other);
    rects_ = {fresh};
}

} // namespace mimic::display
