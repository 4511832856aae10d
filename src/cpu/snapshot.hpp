// Guest code as one translation saw it: a byte that is fetched twice is the same, whatever other threads write
// meanwhile. Internal to the room.
#pragma once
#include "cpu/cpu.hpp"
#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <span>

namespace mimic::cpu {

// By lines, each of which lies in one page and is fetched once.
class Snapshot {
public:
    void clear() { lines_.clear(), used_ = 0; }
    u32 fetch(CodeSource& source, u64 pc, std::span<u8> out) {
        return fetch(pc, out, [&](u64 at, std::span<u8> to) { return source.fetch(at, to.data(), u32(to.size())); });
    }
    // from(pc, out): the bytes that there are, how many.
    template <class From>
    u32 fetch(u64 pc, std::span<u8> out, From&& from) {
        u64 done = 0;
        while (done < out.size()) {
            const u64 at = pc + done, start = at & ~(line_bytes - 1);
            if (!has(start)) {
                if (used_ == bytes_.size()) bytes_.emplace_back();
                Line line{start, bytes_[used_].data(), 0};
                ++used_;
                line.count = from(start, std::span(line.bytes, line_bytes));
                lines_.push_back(line);
            }
            const u64 count = copy(at, out.subspan(done));
            done += count;
            if (count == 0) break;
        }
        return u32(done);
    }
    // Bytes that were fetched. False: not all were.
    bool read(u64 pc, std::span<u8> out) const {
        u64 done = 0;
        for (u64 count; done < out.size(); done += count)
            if (count = copy(pc + done, out.subspan(done)); count == 0) return false;
        return true;
    }
    // Those of the bytes at pc that were fetched become what was fetched; the others stay.
    void put_over(u64 pc, std::span<u8> out) const {
        for (u64 done = 0, count; done < out.size(); done += count)
            if (count = copy(pc + done, out.subspan(done)); count == 0)
                count = std::min<u64>(line_bytes - (pc + done) % line_bytes, out.size() - done);
    }

private:
    static constexpr u64 line_bytes = 256;
    struct Line {
        u64 start;
        u8* bytes;
        u64 count;
    };
    bool has(u64 start) const {
        return std::any_of(lines_.rbegin(), lines_.rend(), [&](const Line& l) { return l.start == start; });
    }
    // What a line has of these bytes, from the first one on: how many.
    u64 copy(u64 at, std::span<u8> out) const {
        for (auto l = lines_.rbegin(); l != lines_.rend(); ++l) { // the last ones are asked for most
            const u64 offset = at - l->start;
            if (offset >= l->count) continue;
            const u64 count = std::min<u64>(l->count - offset, out.size());
            std::memcpy(out.data(), l->bytes + offset, count);
            return count;
        }
        return 0;
    }
    std::vector<Line> lines_;
    std::deque<std::array<u8, line_bytes>> bytes_; // which stay where they are
    u64 used_ = 0;
};

} // namespace mimic::cpu
