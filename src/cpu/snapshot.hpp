// Guest code as one translation saw it: a byte that is fetched twice is the same, whatever other threads write
// meanwhile. Internal to the room.
#pragma once
#include "cpu/cpu.hpp"
#include <array>
#include <cstring>
#include <span>

namespace mimic::cpu {

class Snapshot {
public:
    void clear() { used_ = 0; }
    u32 fetch(CodeSource& source, u64 pc, std::span<u8> out) {
        return fetch(pc, out, [&](u64 at, std::span<u8> to) { return source.fetch(at, to.data(), u32(to.size())); });
    }
    template <class From>
    u32 fetch(u64 pc, std::span<u8> out, From&& from) {
        if (used_ == windows_.size()) windows_.emplace_back(), bytes_.emplace_back();
        Window& w = windows_[used_];
        u8* to = bytes_[used_].data();
        w.pc = pc;
        w.count = from(pc, std::span(to, std::min<u64>(out.size(), most_bytes)));
        put_over(pc, std::span(to, w.count)); // by those before
        ++used_;
        std::memcpy(out.data(), to, w.count);
        return w.count;
    }
    // Bytes that were fetched. False: not all were.
    bool read(u64 pc, std::span<u8> out) const {
        u64 found = 0;
        for (u32 n = 0; n < used_ && found < out.size(); ++n) {
            const Window& w = windows_[n];
            if (pc + found < w.pc || pc + found >= w.pc + w.count) continue;
            u64 at = pc + found - w.pc, count = std::min<u64>(w.count - at, out.size() - found);
            std::memcpy(out.data() + found, bytes_[n].data() + at, count);
            found += count;
            n = ~0u; // the rest may be in any
        }
        return found == out.size();
    }

    // Those of the bytes at pc that were fetched become what was fetched; the others stay.
    void put_over(u64 pc, std::span<u8> out) const {
        for (u32 n = 0; n < used_; ++n) {
            const Window& w = windows_[n];
            const u64 low = std::max(w.pc, pc), high = std::min(w.pc + w.count, pc + out.size());
            if (low < high) std::memcpy(out.data() + (low - pc), bytes_[n].data() + (low - w.pc), high - low);
        }
    }

private:
    static constexpr u64 most_bytes = 256; // of a window
    struct Window {
        u64 pc = 0;
        u32 count = 0;
    };
    std::vector<Window> windows_; // looked through often: their bytes are elsewhere
    std::vector<std::array<u8, most_bytes>> bytes_;
    u32 used_ = 0;
};

} // namespace mimic::cpu
