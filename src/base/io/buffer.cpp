#include "base/io/buffer.hpp"
#include "base/check.hpp"
#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace mimic::io {

namespace {
constexpr size_t buffer_alignment = 4096;
}

bool is_zero(const void* data, size_t length) {
    auto* p = static_cast<const u8*>(data);
    constexpr size_t head = 16;
    for (size_t i = 0; i < std::min(head, length); i++)
        if (p[i]) return false;
    // The rest equals what lies 16 bytes before it, and so on down to the head: libc's widest compare does the work.
    return length <= head || std::memcmp(p, p + head, length - head) == 0;
}

void IoVec::append(void* data, size_t length) {
    if (length == 0) return;
    iovec piece{data, length};
    if (length_ == 0) {
        one_ = piece;
    } else {
        if (more_.empty()) more_.push_back(one_);
        iovec& last = more_.back();
        if (static_cast<u8*>(last.iov_base) + last.iov_len == data)
            last.iov_len += length;
        else
            more_.push_back(piece);
        if (more_.size() == 1) {
            one_ = more_[0];
            more_.clear();
        }
    }
    length_ += length;
}

void IoVec::append(const IoVec& other) {
    for (auto& piece : other.pieces()) append(piece.iov_base, piece.iov_len);
}

namespace {
// Calls f(bytes) for the pieces' parts within [offset, offset + length).
template <class F>
void for_each_part(std::span<const iovec> pieces, u64 offset, u64 length, F f) {
    for (auto& piece : pieces) {
        if (length == 0) return;
        if (offset >= piece.iov_len) {
            offset -= piece.iov_len;
            continue;
        }
        u64 n = std::min<u64>(piece.iov_len - offset, length);
        f(static_cast<u8*>(piece.iov_base) + offset, n);
        offset = 0;
        length -= n;
    }
}
} // namespace

IoVec IoVec::slice(u64 offset, u64 length) const {
    MIMIC_DCHECK(offset + length <= length_, "a slice lies inside its vector");
    IoVec part;
    for_each_part(pieces(), offset, length, [&](u8* p, u64 n) { part.append(p, n); });
    return part;
}

void IoVec::copy_from(u64 offset, const void* data, u64 length) const {
    auto* from = static_cast<const u8*>(data);
    for_each_part(pieces(), offset, length, [&](u8* p, u64 n) {
        std::memcpy(p, from, n);
        from += n;
    });
}

void IoVec::copy_to(u64 offset, void* data, u64 length) const {
    auto* to = static_cast<u8*>(data);
    for_each_part(pieces(), offset, length, [&](u8* p, u64 n) {
        std::memcpy(to, p, n);
        to += n;
    });
}

void IoVec::fill(u64 offset, u64 length, u8 byte) const {
    for_each_part(pieces(), offset, length, [&](u8* p, u64 n) { std::memset(p, byte, n); });
}

bool IoVec::is_zero() const {
    return std::ranges::all_of(pieces(), [](const iovec& p) { return io::is_zero(p.iov_base, p.iov_len); });
}

bool IoVec::aligned(u64 alignment) const {
    return std::ranges::all_of(pieces(), [&](const iovec& p) {
        return (reinterpret_cast<uintptr_t>(p.iov_base) | p.iov_len) % alignment == 0;
    });
}

Result<Buffer> Buffer::create(size_t length) {
    size_t rounded = std::max<size_t>((length + buffer_alignment - 1) / buffer_alignment, 1) * buffer_alignment;
    auto* p = static_cast<u8*>(std::aligned_alloc(buffer_alignment, rounded));
    if (!p) return Error::out_of_memory("no memory for a buffer of {} bytes", length);
    Buffer b;
    b.data_.reset(p);
    b.size_ = length;
    return b;
}

Result<Buffer> Buffer::zeroed(size_t length) {
    Buffer b = TRY(create(length));
    std::memset(b.data(), 0, length);
    return b;
}

} // namespace mimic::io
