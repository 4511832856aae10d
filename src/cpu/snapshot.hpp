// Guest code as one translation saw it: a byte that is fetched twice is the same, whatever other threads write
// meanwhile. Internal to the room.
#pragma once
#include "cpu/cpu.hpp"
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
        if (used_ == windows_.size()) windows_.emplace_back();
        Window& w = windows_[used_++];
        w.pc = pc;
        w.count = from(pc, std::span(w.bytes).first(std::min(out.size(), sizeof w.bytes)));
        for (u32 n = 0; n + 1 < used_; ++n) overlay(windows_[n], w);
        std::memcpy(out.data(), w.bytes, w.count);
        return w.count;
    }
    // Bytes that were fetched. False: not all were.
    bool read(u64 pc, std::span<u8> out) const {
        u64 found = 0;
        for (u32 n = 0; n < used_ && found < out.size(); ++n) {
            const Window& w = windows_[n];
            if (pc + found < w.pc || pc + found >= w.pc + w.count) continue;
            u64 at = pc + found - w.pc, count = std::min<u64>(w.count - at, out.size() - found);
            std::memcpy(out.data() + found, w.bytes + at, count);
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
            if (low < high) std::memcpy(out.data() + (low - pc), w.bytes + (low - w.pc), high - low);
        }
    }

private:
    struct Window {
        u64 pc = 0;
        u32 count = 0;
        u8 bytes[256];
    };
    static void overlay(const Window& from, Window& to) {
        u64 low = std::max(from.pc, to.pc), high = std::min(from.pc + from.count, to.pc + to.count);
        if (low < high) std::memcpy(to.bytes + (low - to.pc), from.bytes + (low - from.pc), high - low);
    }
    std::vector<Window> windows_;
    u32 used_ = 0;
};

} // namespace mimic::cpu
