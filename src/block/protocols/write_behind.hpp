// WriteBehind: which bytes of what is written are to go to the disk although nobody has asked for it yet.
//
// The host keeps what it was given until it is old, memory is short, or somebody flushes, who then waits for all of it. What
// is written in order is hardly written again soon: it goes out beside what comes behind it. What is written here and there
// may be written again, and stays.
#pragma once
#include "base/types.hpp"
#include <cerrno>
#include <fcntl.h>
#include <utility>

namespace mimic::block {

class WriteBehind {
public:
    // As many as make a call of their own worth its while.
    static constexpr u64 least = 8u << 20;

    struct Range {
        u64 offset = 0, length = 0;
    };

    // A write begins. Requests end in any order, so this is where one sees theirs.
    void begins(u64 offset, u64 length) {
        if (offset != end_) begin_ = offset;
        end_ = offset + length;
    }
    // What is to go out now; length 0: nothing. The last bytes may still be under way: then they stay.
    Range take() {
        if (end_ - begin_ < least) return {};
        const u64 from = std::exchange(begin_, end_);
        return {from, end_ - from};
    }

private:
    u64 begin_ = 0, end_ = 0; // of what was written in order and has not been told to go
};

// Tells the host to begin; returns an errno, or 0. Any thread.
inline int start_writing(int fd, WriteBehind::Range range) {
    return sync_file_range(fd, off_t(range.offset), off_t(range.length), SYNC_FILE_RANGE_WRITE) < 0 ? errno : 0;
}
// Tests put another in its place.
inline int (*begin_write_out)(int fd, WriteBehind::Range range) = start_writing;

} // namespace mimic::block
