// IoVec: the memory of a request, as a list of pieces that somebody else owns. Buffer: owned, page-aligned memory.
#pragma once
#include "base/result.hpp"
#include <memory>
#include <span>
#include <sys/uio.h>
#include <vector>

namespace mimic::io {

// True if all bytes are 0.
bool is_zero(const void* data, size_t length);

class IoVec {
public:
    IoVec() = default;
    IoVec(void* data, size_t length) { append(data, length); }
    IoVec(std::span<u8> bytes) : IoVec(bytes.data(), bytes.size()) {}
    // For writes: nothing behind a write request changes its memory.
    IoVec(std::span<const u8> bytes) : IoVec(const_cast<u8*>(bytes.data()), bytes.size()) {}

    u64 length() const { return length_; }
    bool empty() const { return length_ == 0; }
    std::span<const iovec> pieces() const {
        return more_.empty() ? std::span<const iovec>(&one_, length_ ? 1 : 0) : std::span<const iovec>(more_);
    }

    void append(void* data, size_t length);
    void append(const IoVec& other);
    // The part [offset, offset + length), which must lie inside.
    IoVec slice(u64 offset, u64 length) const;
    // The one piece's bytes if there is only one; null otherwise.
    u8* contiguous() const { return more_.empty() && length_ ? static_cast<u8*>(one_.iov_base) : nullptr; }

    void copy_from(u64 offset, const void* data, u64 length) const;
    void copy_to(u64 offset, void* data, u64 length) const;
    void fill(u64 offset, u64 length, u8 byte) const;
    bool is_zero() const;
    // All pieces' addresses and lengths are multiples of `alignment`.
    bool aligned(u64 alignment) const;

private:
    iovec one_{};
    std::vector<iovec> more_;
    u64 length_ = 0;
};

class Buffer {
public:
    Buffer() = default;
    // Not cleared. Errors: no memory.
    static Result<Buffer> create(size_t length);
    static Result<Buffer> zeroed(size_t length);

    u8* data() { return data_.get(); }
    const u8* data() const { return data_.get(); }
    size_t size() const { return size_; }
    std::span<u8> bytes() { return {data_.get(), size_}; }
    std::span<const u8> bytes() const { return {data_.get(), size_}; }
    IoVec vec() { return IoVec(data_.get(), size_); }
    explicit operator bool() const { return bool(data_); }

private:
    struct Free {
        void operator()(u8* p) const { std::free(p); }
    };
    std::unique_ptr<u8, Free> data_;
    size_t size_ = 0;
};

} // namespace mimic::io
