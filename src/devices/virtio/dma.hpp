// A device's way to guest memory: values of rings with their byte order, and the memory of requests as the host sees it.
#pragma once
#include "base/io/buffer.hpp"
#include "memory/address_space.hpp"
#include <atomic>
#include <span>
#include <vector>

namespace mimic::devices::virtio {

// A piece of guest memory as a descriptor names it.
struct Segment {
    u64 address = 0;
    u32 bytes = 0;
};

u64 total(std::span<const Segment> segments);
// The part [offset, offset + bytes), cut to what is there.
std::vector<Segment> slice(std::span<const Segment> segments, u64 offset, u64 bytes);

struct Dma {
    memory::AddressSpace* space = nullptr;
    const std::atomic<u64>* topology = nullptr; // counts changes of what lies where
    bool big_endian = false;                    // of ring values (legacy devices of big-endian guests)

    // Bytes copied from or to segments, from `offset` on: fewer than asked when the segments end or memory refuses.
    u64 gather(std::span<const Segment> segments, u64 offset, void* out, u64 bytes) const;
    u64 scatter(std::span<const Segment> segments, u64 offset, const void* in, u64 bytes) const;
    template <class T>
    T ordered(T value) const {
        if (!big_endian) return value;
        if constexpr (sizeof(T) == 2) return T(__builtin_bswap16(value));
        if constexpr (sizeof(T) == 4) return T(__builtin_bswap32(value));
        if constexpr (sizeof(T) == 8) return T(__builtin_bswap64(value));
        return value;
    }
};

// Guest memory that is looked at again and again: a ring. Where it is RAM in one piece, its place is kept until the topology
// changes. Naturally aligned values are read and written whole, with acquire and release order.
class Area {
public:
    void set(u64 address, u64 bytes) {
        address_ = address;
        bytes_ = bytes;
        known_ = false;
    }
    u64 address() const { return address_; }
    // False: no memory is there, or the offset lies outside.
    template <class T>
    bool load(const Dma& dma, u64 offset, T& value) {
        if (offset + sizeof(T) > bytes_) return false;
        if (const u8* at = host(dma, offset))
            value = __atomic_load_n(reinterpret_cast<const T*>(at), __ATOMIC_ACQUIRE);
        else if (dma.space->read(address_ + offset, &value, sizeof value) != memory::Outcome::ok)
            return false;
        value = dma.ordered(value);
        return true;
    }
    template <class T>
    bool store(const Dma& dma, u64 offset, T value) {
        if (offset + sizeof(T) > bytes_) return false;
        value = dma.ordered(value);
        if (u8* at = host(dma, offset)) {
            __atomic_store_n(reinterpret_cast<T*>(at), value, __ATOMIC_RELEASE);
            u64 in_block = block_offset_ + offset;
            block_->note_write(in_block, sizeof value);
            return true;
        }
        return dma.space->write(address_ + offset, &value, sizeof value) == memory::Outcome::ok;
    }

private:
    u8* host(const Dma& dma, u64 offset) {
        u64 now = dma.topology->load(std::memory_order_acquire);
        if (!known_ || now != topology_) resolve(dma, now);
        return host_ ? host_ + offset : nullptr;
    }
    void resolve(const Dma& dma, u64 now);
    u64 address_ = 0, bytes_ = 0;
    bool known_ = false;
    u64 topology_ = 0;
    u8* host_ = nullptr; // null: not plain RAM, or not aligned
    memory::RamBlock* block_ = nullptr;
    u64 block_offset_ = 0;
};

// The memory of a request. RAM is used where it lies; the rest goes through a buffer of limited size.
class Mapping {
public:
    static constexpr u64 max_bounce = 64u << 10;

    // False: an address where nothing is, a device that refuses, or too much memory of devices. `apart`: RAM goes through a buffer,
    // too, so that it is read now, or written by written().
    bool map(const Dma& dma, std::span<const Segment> segments, bool device_writes, bool apart = false);
    const io::IoVec& memory() const { return memory_; }
    // The device wrote the first `bytes` bytes: pages are dirty, code in them is stale, devices get theirs.
    void written(const Dma& dma, u64 bytes);
    // Nobody wants the request any more: what of it is in RAM may have been written, the rest goes nowhere.
    void forgotten();

private:
    struct Piece {
        memory::RamBlock* block = nullptr; // null: bounced
        u64 at = 0;                        // in the block; bounced: guest address
        u64 bytes = 0;
        u8* host = nullptr;
    };
    io::IoVec memory_;
    std::vector<Piece> pieces_;
    std::vector<io::Buffer> bounces_;
    bool device_writes_ = false;
};

} // namespace mimic::devices::virtio
