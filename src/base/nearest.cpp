#include "base/nearest.hpp"
#include <algorithm>
#include <vector>

namespace mimic {

namespace {
// Insertions, deletions, replacements and swaps of neighbours that turn a into b.
size_t distance(std::string_view a, std::string_view b) {
    std::vector<size_t> before(b.size() + 1), row(b.size() + 1), next(b.size() + 1);
    for (size_t j = 0; j <= b.size(); j++) row[j] = j;
    for (size_t i = 1; i <= a.size(); i++) {
        next[0] = i;
        for (size_t j = 1; j <= b.size(); j++) {
            size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
            next[j] = std::min({next[j - 1] + 1, row[j] + 1, row[j - 1] + cost});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                next[j] = std::min(next[j], before[j - 2] + 1);
        }
        before.swap(row);
        row.swap(next);
    }
    return row[b.size()];
}
} // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> names) {
    std::string_view best;
    if (word.size() > 100) return best;
    size_t least = word.size() / 3 + 1;
    for (std::string_view name : names) {
        // What begins alike is a good guess, too.
        size_t d = word.size() >= 3 && name.starts_with(word) ? 1 : distance(word, name);
        if (d <= least && d < word.size() && (best.empty() || d < least)) {
            best = name;
            least = d;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> names) {
    std::string_view name = nearest(word, names);
    return name.empty() ? std::string() : ", did you mean '" + std::string(name) + "'?";
}

} // namespace mimic
