// What two blocks claim, and what no block can have.
#include "block/formats/map.hpp"
#include <algorithm>
#include <array>

namespace mimic::block {

// The places that blocks have, to find those that two have. Blocks mostly lie at multiples of their size from one another, and
// take a bit each; others are listed.
class BlockMap::Places {
public:
    explicit Places(u64 block_size) : size_(block_size) {}

    // False: another block is there, in whole.
    bool add(u64 place, u64 block) {
        if (place != last_ + size_ && count_) fragments_++;
        last_ = place;
        end_ = std::max(end_, place + size_);
        if (count_++ == 0) origin_ = place % size_;
        if (place % size_ != origin_) {
            odd_.emplace_back(place, block);
            return true;
        }
        auto& words = bits_[place / size_ / page_bits];
        u64 bit = place / size_ % page_bits, mask = u64(1) << bit % 64;
        bool fresh = !(words[bit / 64] & mask);
        words[bit / 64] |= mask;
        return fresh;
    }
    // Of those that are listed: each (place and block) that lies over another.
    std::vector<std::pair<u64, u64>> overlapping() {
        std::vector<std::pair<u64, u64>> found;
        std::ranges::sort(odd_);
        for (size_t i = 0; i < odd_.size(); i++) {
            u64 place = odd_[i].first;
            u64 below = (place < origin_ ? 0 : (place - origin_) / size_) * size_ + origin_;
            bool over = i && place - odd_[i - 1].first < size_;
            for (u64 other : {below, below + size_})
                over = over || (other < place + size_ && place < other + size_ && has(other));
            if (over) found.push_back(odd_[i]);
        }
        return found;
    }
    u64 count() const { return count_; }
    u64 fragments() const { return fragments_; }
    u64 end() const { return end_; }

private:
    static constexpr u64 page_bits = 256; // small: blocks may lie far apart
    bool has(u64 place) const {
        auto at = bits_.find(place / size_ / page_bits);
        u64 bit = place / size_ % page_bits;
        return at != bits_.end() && at->second[bit / 64] >> bit % 64 & 1;
    }
    u64 size_, origin_ = 0, last_ = 0, end_ = 0, count_ = 0, fragments_ = 0;
    std::map<u64, std::array<u64, page_bits / 64>> bits_;
    std::vector<std::pair<u64, u64>> odd_;
};

Task<Result<void>> BlockMap::forget_entry(u64 block, Fix fix, CheckReport& report) {
    if (!(u8(fix) & u8(Fix::errors))) {
        report.corruptions++;
        co_return Result<void>();
    }
    CO_CHECK(co_await set_entry(block, hole_entry()));
    report.corruptions_fixed++;
    co_return Result<void>();
}

// A block whose end is not in the file: it was cut off, and what is lost reads as zeros. They get their place back.
Task<Result<void>> BlockMap::check_end(u64 number, const Block& b, Fix fix, CheckReport& report) {
    const u64 end = b.offset + std::min(l_.block_size, l_.size - number * l_.block_size), have = file_.size();
    if (end <= have) co_return Result<void>();
    report.say(fmt::format("ERROR: block {} of '{}' ends at {:#x}, past the end of the file at {:#x}", number,
                           file_.filename(), end, have));
    if (!(u8(fix) & u8(Fix::errors))) {
        report.corruptions++;
        co_return Result<void>();
    }
    CO_CHECK(co_await file_.truncate(end));
    report.corruptions_fixed++;
    co_return Result<void>();
}

Task<Result<void>> BlockMap::check_page(u64 number, Fix fix, CheckReport& report, Places& seen) {
    auto loaded = co_await page(number);
    if (!loaded) {
        report.say(loaded.error().message());
        report.check_errors++;
        co_return Result<void>();
    }
    u64 first = number * l_.page_entries, count = std::min(l_.page_entries, l_.blocks() - first);
    for (u64 i = 0; i < count; i++) {
        u64 value = (*loaded)->entries[i];
        auto b = decoded(first + i, value);
        if (b && b->kind == Block::hole) continue;
        if (!b) {
            report.say("ERROR: " + b.error().message());
            CO_CHECK(co_await forget_entry(first + i, fix, report));
            continue;
        }
        report.allocated_clusters++;
        if (b->kind == Block::packed) report.compressed_clusters++;
        if (b->kind != Block::data) continue;
        CO_CHECK(co_await check_end(first + i, *b, fix, report));
        if (seen.add(b->offset, first + i)) continue;
        report.say(fmt::format("ERROR: block {} of '{}' lies at {:#x}, where another one does", first + i,
                               file_.filename(), b->offset));
        CO_CHECK(co_await forget_entry(first + i, fix, report));
    }
    co_return Result<void>();
}

Task<Result<void>> BlockMap::check(Fix fix, CheckReport& report) {
    Places seen(l_.block_size);
    report.total_clusters += l_.blocks();
    for (u64 t = 0; l_.two_levels && t < directory_.size(); t++) {
        if (!directory_[t] || directory_place(directory_[t]) < file_.size()) continue;
        report.say(fmt::format("ERROR: {} {} of '{}' lies at {:#x}, past the end of the file", table_name(), t,
                               file_.filename(), directory_place(directory_[t])));
        if (u8(fix) & u8(Fix::errors)) {
            change_directory(t, 0);
            report.corruptions_fixed++;
        } else {
            report.corruptions++;
        }
    }
    for (u64 n = 0; n < l_.pages(); n++) {
        // A table that isn't there has nothing to say, however many a header claims.
        if (l_.two_levels && !table_is_there(n)) {
            n = round_down(n, l_.table_pages) + l_.table_pages - 1;
            continue;
        }
        CO_CHECK(co_await check_page(n, fix, report, seen));
    }
    allocated_ = seen.count();
    report.fragmented_clusters += seen.fragments();
    report.image_end_offset = std::max(report.image_end_offset, std::min(seen.end(), file_.size()));
    for (auto& [place, block] : seen.overlapping()) {
        report.say(
            fmt::format("ERROR: block {} of '{}' lies at {:#x}, over another one", block, file_.filename(), place));
        CO_CHECK(co_await forget_entry(block, fix, report));
    }
    if (report.corruptions_fixed) co_return co_await flush();
    co_return Result<void>();
}

} // namespace mimic::block
