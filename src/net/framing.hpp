// Frames over a stream of bytes: each behind its length in four bytes, big endian.
#pragma once
#include "net/net.hpp"
#include <cstring>

namespace mimic::net {

class Deframer {
public:
    static constexpr size_t most_read = 64 << 10;

    // Where the next bytes of the stream go, and how many did.
    std::span<u8> room() {
        if (at_) bytes_.erase(bytes_.begin(), bytes_.begin() + i64(at_)), end_ -= at_, at_ = 0;
        bytes_.resize(end_ + most_read);
        return {bytes_.data() + end_, most_read};
    }
    void filled(size_t n) { end_ += n; }

    enum class Next : u8 {
        frame,
        more, // bytes are needed
        bad,  // a length that no frame has: what follows can't be told apart
    };
    // `frame` lasts until room().
    Next next(std::span<const u8>& frame) {
        if (end_ - at_ < 4) return Next::more;
        const u8* p = bytes_.data() + at_;
        size_t length = size_t{p[0]} << 24 | size_t{p[1]} << 16 | size_t{p[2]} << 8 | p[3];
        if (length > max_frame) return Next::bad;
        if (end_ - at_ - 4 < length) return Next::more;
        frame = {p + 4, length};
        at_ += 4 + length;
        return Next::frame;
    }
    void forget() { at_ = end_ = 0; }

private:
    std::vector<u8> bytes_;
    size_t at_ = 0, end_ = 0; // what was not taken yet
};

inline void append_framed(std::vector<u8>& out, std::span<const u8> frame) {
    const size_t n = frame.size();
    const u8 length[] = {u8(n >> 24), u8(n >> 16), u8(n >> 8), u8(n)};
    out.insert(out.end(), length, length + 4);
    out.insert(out.end(), frame.begin(), frame.end());
}

} // namespace mimic::net
