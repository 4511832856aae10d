// The back end that keeps the last bytes written, for monitors (ringbuf-read, ringbuf-write) and tests.
#pragma once
#include "chardev/chardev.hpp"
#include <deque>
#include <mutex>

namespace mimic::chardev {

class RingBuffer final : public Chardev {
public:
    RingBuffer(std::string id, u64 size) : Chardev(std::move(id)), size_(size) {}
    std::string filename() const override { return "ringbuf"; }
    u32 write(std::span<const u8> bytes) override;
    // Takes up to `max` bytes out, oldest first. Any thread.
    std::string read(u64 max);
    // Input for the front end; how many bytes it took. On the loop's thread.
    u64 type(std::span<const u8> bytes);

private:
    u64 size_;
    std::mutex mutex_;
    std::deque<u8> bytes_;
};

} // namespace mimic::chardev
