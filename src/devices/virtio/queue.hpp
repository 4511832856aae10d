// Virtqueues (VIRTIO 1.2, 2.6 to 2.8): split and packed rings, indirect descriptors, event suppression. Guest bytes become a
// Chain whose count, order and lengths are checked; nothing is done with them here.
#pragma once
#include "devices/base/describe.hpp"
#include "devices/virtio/dma.hpp"

namespace mimic::devices::virtio {

constexpr u16 max_queue_size = 1024;
// Descriptors of a chain, indirect ones among them.
constexpr u32 max_segments = 1024;

// Buffers that the driver made available together.
struct Chain {
    u16 id = 0;                   // split: its head; packed: its buffer id
    u16 slots = 0;                // ring slots that it takes (packed)
    std::vector<Segment> out, in; // that the device reads, writes

    void describe(Describe& d);
};

class Queue {
public:
    struct Mode {
        bool packed = false, event_index = false, indirect = false;
        bool notify_on_empty = false; // legacy
    };
    enum class Pop : u8 { none, chain, broken };

    // ---- what the driver sets up ----------------------------------------------------------------------------------
    u16 maximum = max_queue_size; // 0: there is no such queue
    u16 size = 0;
    u8 ready = 0;
    u64 descriptors = 0, driver = 0, device = 0; // addresses of the three areas
    u8 pending = 0;                              // is to be looked at again

    void describe(Describe& d);
    // Why the set-up is refused; empty: it is good. Makes the areas known.
    std::string_view check(const Mode& mode);
    // As after a reset: not ready, no addresses.
    void clear();

    // ---- the device's side ----------------------------------------------------------------------------------------
    // The next chain. broken: error() says why, the device needs a reset.
    Pop pop(const Dma& dma, const Mode& mode, Chain& chain);
    // Gives the last popped chain back, as if it had not been popped. Before any other pop.
    void unpop(const Mode& mode, const Chain& chain);
    // The device is done with the chain, after writing `written` bytes to its `in` segments. False: broken.
    bool push(const Dma& dma, const Mode& mode, const Chain& chain, u32 written) {
        return push(dma, mode, {&chain, 1}, {&written, 1});
    }
    // Buffers of one message: the driver sees all of them or none.
    bool push(const Dma& dma, const Mode& mode, std::span<const Chain> chains, std::span<const u32> written);
    // After pushes: does the driver want to be interrupted?
    bool wants_interrupt(const Dma& dma, const Mode& mode);
    // Asks for a notification of the next chain. True: there is one already.
    bool arm(const Dma& dma, const Mode& mode);
    std::string_view error() const { return error_; }
    u32 in_flight() const { return in_flight_; }

private:
    struct Descriptor {
        u64 address;
        u32 bytes;
        u16 a, b; // split: flags, next; packed: id, flags
    };
    Pop broken(std::string_view why) {
        error_ = why;
        return Pop::broken;
    }
    bool read_descriptor(const Dma& dma, Area& area, u64 index, Descriptor& d);
    Pop pop_split(const Dma& dma, const Mode& mode, Chain& chain);
    Pop pop_packed(const Dma& dma, const Mode& mode, Chain& chain);
    Pop collect_split(const Dma& dma, const Mode& mode, Chain& chain);
    Pop read_indirect(const Dma& dma, const Mode& mode, const Descriptor& table, Chain& chain);
    Pop add(Chain& chain, u64 address, u32 bytes, bool write);
    bool packed_available(const Dma& dma, u16 index, bool wrap, u16& flags, bool& available);
    bool push_packed(const Dma& dma, std::span<const Chain> chains, std::span<const u32> written);

    u16 next_avail_ = 0, next_used_ = 0; // packed: slots, with their wrap counters; split: free-running
    u8 avail_wrap_ = 1, used_wrap_ = 1;
    u16 signalled_ = 0; // next_used_ when the driver was last asked whether it wants an interrupt
    u8 signalled_wrap_ = 1;
    u16 in_flight_ = 0;
    Area table_, driver_area_, device_area_;
    std::string_view error_;
};

} // namespace mimic::devices::virtio
