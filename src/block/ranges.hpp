// RangeLocks: byte ranges of the guest's disk that are being written. Shared holders may overlap; an exclusive one excludes
// all others, first come first served.
#pragma once
#include "base/io/sync.hpp"
#include <list>

namespace mimic::block {

class RangeLocks {
    struct Range {
        u64 start, end;
        bool exclusive;
    };

public:
    explicit RangeLocks(io::Loop& loop) : changed_(loop) {}

    class [[nodiscard]] Guard {
    public:
        Guard(RangeLocks* owner, std::list<Range>::iterator at) : owner_(owner), at_(at) {}
        Guard(Guard&& o) noexcept : owner_(std::exchange(o.owner_, nullptr)), at_(o.at_) {}
        Guard& operator=(Guard&&) = delete;
        ~Guard() { unlock(); }
        void unlock() {
            if (!owner_) return;
            auto* owner = std::exchange(owner_, nullptr);
            owner->held_.erase(at_);
            owner->changed_.wake_all();
        }

    private:
        RangeLocks* owner_;
        std::list<Range>::iterator at_;
    };

    io::Task<Guard> lock(u64 start, u64 length, bool exclusive) {
        // The list is in the order of asking; whoever stands before and overlaps comes first, whether it has begun or not.
        auto self = held_.insert(held_.end(), {start, start + length, exclusive});
        while (conflicts(self)) co_await changed_.wait();
        co_return Guard(this, self);
    }

private:
    bool conflicts(std::list<Range>::iterator self) const {
        for (auto at = held_.begin(); at != std::list<Range>::const_iterator(self); ++at)
            if (at->start < self->end && self->start < at->end && (at->exclusive || self->exclusive)) return true;
        return false;
    }
    std::list<Range> held_;
    io::WaitList changed_;
};

} // namespace mimic::block
