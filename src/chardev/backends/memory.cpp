// Back ends without a host side: null takes everything, ringbuf keeps the last bytes.
#include "chardev/options.hpp"
#include "chardev/ringbuf.hpp"
#include <algorithm>

namespace mimic::chardev {

namespace {
class Null final : public Chardev {
public:
    using Chardev::Chardev;
    std::string filename() const override { return "null"; }
    u32 write(std::span<const u8> bytes) override { return u32(bytes.size()); }
};
} // namespace

u32 RingBuffer::write(std::span<const u8> bytes) {
    std::lock_guard lock(mutex_);
    for (u8 b : bytes) {
        if (bytes_.size() >= size_) bytes_.pop_front();
        bytes_.push_back(b);
    }
    return u32(bytes.size());
}

std::string RingBuffer::read(u64 max) {
    std::lock_guard lock(mutex_);
    u64 n = std::min<u64>(max, bytes_.size());
    std::string out(bytes_.begin(), bytes_.begin() + i64(n));
    bytes_.erase(bytes_.begin(), bytes_.begin() + i64(n));
    return out;
}

u64 RingBuffer::type(std::span<const u8> bytes) {
    u64 n = front() ? std::min<u64>(front()->room(), bytes.size()) : 0;
    if (n) front()->receive(bytes.first(n));
    return n;
}

Result<std::unique_ptr<Chardev>> open_null(OpenContext&, Options& o) {
    return std::unique_ptr<Chardev>(std::make_unique<Null>(o.id()));
}

Result<std::unique_ptr<Chardev>> open_ringbuf(OpenContext&, Options& o) {
    u64 size = o.number("size", 65536, 1, 1 << 30);
    if (size & (size - 1))
        return Error::invalid_argument("chardev '{}': option 'size': {}, expected a power of two", o.id(), size);
    return std::unique_ptr<Chardev>(std::make_unique<RingBuffer>(o.id(), size));
}

} // namespace mimic::chardev
