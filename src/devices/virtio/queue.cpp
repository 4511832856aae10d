#include "devices/virtio/queue.hpp"
#define VIRTIO_RING_NO_LEGACY 1 // that part of the header is C only
#include <linux/virtio_ring.h>

namespace mimic::devices::virtio {

namespace {
// 2.7.6, 2.7.8: flags, index, ring, event.
constexpr u64 ring_flags = 0, ring_index = 2, ring_entries = 4;
// 2.8.14: the event suppression structure of packed rings.
constexpr u64 event_place = 0, event_flags = 2;
constexpr u16 packed_avail = 1 << VRING_PACKED_DESC_F_AVAIL, packed_used = 1 << VRING_PACKED_DESC_F_USED;

void fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
} // namespace

void Chain::describe(Describe& d) {
    d.state("id", id);
    d.state("slots", slots, {.high = max_queue_size});
    auto each = [](Describe& e, Segment& s) {
        e.state("address", s.address);
        e.state("bytes", s.bytes);
    };
    d.list("out", out, max_segments, each);
    d.list("in", in, max_segments, each);
}

void Queue::describe(Describe& d) {
    d.state("size", size, {.high = max_queue_size});
    d.state("ready", ready, {.high = 1});
    d.state("descriptors", descriptors);
    d.state("driver", driver);
    d.state("device", device);
    d.state("pending", pending, {.high = 1});
    d.state("next_avail", next_avail_);
    d.state("next_used", next_used_);
    d.state("avail_wrap", avail_wrap_, {.reset = 1, .high = 1});
    d.state("used_wrap", used_wrap_, {.reset = 1, .high = 1});
    d.state("signalled", signalled_);
    d.state("signalled_wrap", signalled_wrap_, {.reset = 1, .high = 1});
    d.state("in_flight", in_flight_, {.high = max_queue_size});
}

void Queue::clear() {
    u16 most = maximum;
    *this = Queue();
    maximum = most;
}

std::string_view Queue::check(const Mode& mode) {
    if (size == 0 || size > maximum) return "its size is 0 or above the maximum";
    if (!mode.packed && (size & (size - 1))) return "its size is no power of two";
    // 2.7 and 2.8.10.1: alignment of the areas.
    if (descriptors % 16) return "the descriptors are not aligned to 16 bytes";
    if (driver % (mode.packed ? 4 : 2)) return "the driver area is not aligned";
    if (device % 4) return "the device area is not aligned to 4 bytes";
    u64 table = u64{size} * 16, small = mode.packed ? 4 : 6 + u64{size} * 2, used = mode.packed ? 4 : 6 + u64{size} * 8;
    if (descriptors + table < table || driver + small < small || device + used < used)
        return "an area wraps around the address space";
    if (mode.packed && (next_avail_ >= size || next_used_ >= size)) return "its state lies outside of the ring";
    if (in_flight_ > size) return "more is in flight than it holds";
    table_.set(descriptors, table);
    driver_area_.set(driver, small);
    device_area_.set(device, used);
    return {};
}

bool Queue::read_descriptor(const Dma& dma, Area& area, u64 index, Descriptor& d) {
    u64 at = index * 16;
    return area.load(dma, at, d.address) && area.load(dma, at + 8, d.bytes) && area.load(dma, at + 12, d.a) &&
           area.load(dma, at + 14, d.b);
}

Queue::Pop Queue::add(Chain& chain, u64 address, u32 bytes, bool write) {
    if (chain.out.size() + chain.in.size() >= max_segments)
        return broken("a chain has too many descriptors, or a loop");
    if (!write && !chain.in.empty()) return broken("a chain has a readable descriptor behind a writable one");
    if (address + bytes < address) return broken("a descriptor wraps around the address space");
    (write ? chain.in : chain.out).push_back({address, bytes});
    return Pop::chain;
}

Queue::Pop Queue::read_indirect(const Dma& dma, const Mode& mode, const Descriptor& table, Chain& chain) {
    if (!mode.indirect) return broken("an indirect descriptor was not negotiated");
    u32 count = table.bytes / 16;
    if (table.bytes % 16 || count == 0 || count > max_segments)
        return broken("an indirect table's length is no number of descriptors that is allowed");
    Area area;
    area.set(table.address, table.bytes);
    u32 index = 0;
    for (u32 n = 0; n < count; n++) {
        Descriptor d;
        if (!read_descriptor(dma, area, index, d)) return broken("an indirect table is not in memory");
        u16 flags = mode.packed ? d.b : d.a;
        if (flags & VRING_DESC_F_INDIRECT) return broken("an indirect table holds an indirect descriptor");
        Pop result = add(chain, d.address, d.bytes, flags & VRING_DESC_F_WRITE);
        if (result == Pop::broken) return result;
        // Packed tables are whole (2.8.7); split ones are linked.
        if (mode.packed) {
            index++;
            continue;
        }
        if (!(flags & VRING_DESC_F_NEXT)) return Pop::chain;
        index = d.b;
        if (index >= count) return broken("a link leads out of its indirect table");
    }
    return mode.packed ? Pop::chain : broken("an indirect table has a loop");
}

// ---- split rings ------------------------------------------------------------------------------------------------------

Queue::Pop Queue::collect_split(const Dma& dma, const Mode& mode, Chain& chain) {
    u16 index = chain.id;
    for (u32 n = 0; n < size; n++) {
        Descriptor d;
        if (!read_descriptor(dma, table_, index, d)) return broken("the descriptors are not in memory");
        if (d.a & VRING_DESC_F_INDIRECT) {
            if (d.a & VRING_DESC_F_NEXT) return broken("an indirect descriptor has a successor");
            return read_indirect(dma, mode, d, chain);
        }
        Pop result = add(chain, d.address, d.bytes, d.a & VRING_DESC_F_WRITE);
        if (result == Pop::broken || !(d.a & VRING_DESC_F_NEXT)) return result;
        index = d.b;
        if (index >= size) return broken("a link leads out of the descriptors");
    }
    return broken("a chain has a loop");
}

Queue::Pop Queue::pop_split(const Dma& dma, const Mode& mode, Chain& chain) {
    u16 index = 0;
    if (!driver_area_.load(dma, ring_index, index)) return broken("the driver area is not in memory");
    u16 waiting = u16(index - next_avail_);
    if (waiting == 0) return Pop::none;
    if (waiting > size) return broken("the driver's index jumped by more than the ring holds");
    if (in_flight_ >= size) return broken("more chains are available than the ring holds");
    u16 head = 0;
    if (!driver_area_.load(dma, ring_entries + 2 * u64(next_avail_ & (size - 1)), head))
        return broken("the driver area is not in memory");
    if (head >= size) return broken("a head lies outside of the descriptors");
    chain.id = head;
    chain.slots = 1;
    Pop result = collect_split(dma, mode, chain);
    if (result != Pop::chain) return result;
    next_avail_++;
    in_flight_++;
    return result;
}

// ---- packed rings -----------------------------------------------------------------------------------------------------

bool Queue::packed_available(const Dma& dma, u16 index, bool wrap, u16& flags, bool& available) {
    if (!table_.load(dma, u64{index} * 16 + 14, flags)) return false;
    bool avail = flags & packed_avail, used = flags & packed_used;
    available = avail == wrap && used != wrap;
    return true;
}

Queue::Pop Queue::pop_packed(const Dma& dma, const Mode& mode, Chain& chain) {
    u16 flags = 0;
    bool available = false;
    if (!packed_available(dma, next_avail_, avail_wrap_, flags, available))
        return broken("the descriptors are not in memory");
    if (!available) return Pop::none;
    u16 at = next_avail_, count = 0;
    for (;;) {
        if (count + in_flight_ >= size) return broken("a chain has more descriptors than the ring");
        Descriptor d;
        if (!read_descriptor(dma, table_, at, d)) return broken("the descriptors are not in memory");
        count++;
        chain.id = d.a;
        Pop result = Pop::chain;
        if (d.b & VRING_DESC_F_INDIRECT) {
            if (count > 1 || d.b & VRING_DESC_F_NEXT) return broken("an indirect descriptor is part of a chain");
            result = read_indirect(dma, mode, d, chain);
        } else {
            result = add(chain, d.address, d.bytes, d.b & VRING_DESC_F_WRITE);
        }
        if (result == Pop::broken) return result;
        if (!(d.b & VRING_DESC_F_NEXT)) break;
        at = u16(at + 1 == size ? 0 : at + 1);
    }
    chain.slots = count;
    u32 next = u32{next_avail_} + count;
    if (next >= size) {
        next -= size;
        avail_wrap_ ^= 1;
    }
    next_avail_ = u16(next);
    in_flight_ = u16(in_flight_ + count);
    return Pop::chain;
}

bool Queue::push_packed(const Dma& dma, std::span<const Chain> chains, std::span<const u32> written) {
    bool good = true;
    u64 first = u64{next_used_} * 16;
    u16 first_flags = 0;
    for (size_t i = 0; i < chains.size(); i++) {
        u64 at = u64{next_used_} * 16;
        u16 flags = used_wrap_ ? packed_avail | packed_used : 0;
        if (written[i]) flags |= VRING_DESC_F_WRITE;
        good &= table_.store(dma, at + 8, written[i]) && table_.store(dma, at + 12, chains[i].id);
        if (i == 0)
            first_flags = flags;
        else
            good &= table_.store(dma, at + 14, flags);
        u32 next = u32{next_used_} + chains[i].slots;
        if (next >= size) {
            next -= size;
            used_wrap_ ^= 1;
        }
        next_used_ = u16(next);
    }
    // The first one's flags last: they make all of them visible.
    return good && table_.store(dma, first + 14, first_flags);
}

// ---- both -------------------------------------------------------------------------------------------------------------

Queue::Pop Queue::pop(const Dma& dma, const Mode& mode, Chain& chain) {
    chain.out.clear();
    chain.in.clear();
    return mode.packed ? pop_packed(dma, mode, chain) : pop_split(dma, mode, chain);
}

void Queue::unpop(const Mode& mode, const Chain& chain) {
    in_flight_ = u16(in_flight_ - chain.slots);
    if (!mode.packed) {
        next_avail_--;
        return;
    }
    if (next_avail_ < chain.slots) {
        next_avail_ = u16(next_avail_ + size);
        avail_wrap_ ^= 1;
    }
    next_avail_ = u16(next_avail_ - chain.slots);
}

bool Queue::push(const Dma& dma, const Mode& mode, std::span<const Chain> chains, std::span<const u32> written) {
    error_ = "the ring is not in memory";
    for (const Chain& c : chains) in_flight_ = u16(in_flight_ - std::min(in_flight_, c.slots));
    if (mode.packed) return push_packed(dma, chains, written);
    bool good = true;
    for (size_t i = 0; i < chains.size(); i++) {
        u64 at = ring_entries + 8 * u64(next_used_ & (size - 1));
        good &= device_area_.store(dma, at, u32{chains[i].id}) && device_area_.store(dma, at + 4, written[i]);
        next_used_++;
    }
    return good && device_area_.store(dma, ring_index, next_used_);
}

bool Queue::wants_interrupt(const Dma& dma, const Mode& mode) {
    fence(); // the used index is visible before the driver's wish is read
    u16 old = signalled_;
    bool old_wrap = signalled_wrap_;
    signalled_ = next_used_;
    signalled_wrap_ = used_wrap_;
    u16 flags = 0, event = 0;
    if (mode.packed) {
        if (!driver_area_.load(dma, event_flags, flags)) return true;
        if (flags == VRING_PACKED_EVENT_FLAG_DISABLE) return false;
        if (flags != VRING_PACKED_EVENT_FLAG_DESC || !mode.event_index) return true;
        if (!driver_area_.load(dma, event_place, event)) return true;
        // Distances from the old place on, in slots.
        u32 passed = (next_used_ + size - old) % size;
        if (old_wrap != bool(used_wrap_) && passed == 0) passed = size;
        u32 wanted = u32(event & 0x7fff) + (bool(event >> 15) != old_wrap ? size : 0);
        return wanted >= old && wanted - old < passed;
    }
    if (mode.notify_on_empty && in_flight_ == 0) {
        u16 index = 0;
        if (driver_area_.load(dma, ring_index, index) && index == next_avail_) return true;
    }
    if (mode.event_index) {
        if (!driver_area_.load(dma, ring_entries + 2 * u64{size}, event)) return true;
        return u16(next_used_ - event - 1) < u16(next_used_ - old);
    }
    return !driver_area_.load(dma, ring_flags, flags) || !(flags & VRING_AVAIL_F_NO_INTERRUPT);
}

bool Queue::arm(const Dma& dma, const Mode& mode) {
    if (mode.packed) {
        // The device area stays zero: the driver tells of each chain.
        u16 flags = 0;
        bool available = false;
        return packed_available(dma, next_avail_, avail_wrap_, flags, available) && available;
    }
    if (!mode.event_index) return false; // used.flags stays zero: the driver tells of each chain
    static_cast<void>(device_area_.store(dma, ring_entries + 8 * u64{size}, next_avail_));
    fence();
    u16 index = 0;
    return driver_area_.load(dma, ring_index, index) && index != next_avail_;
}

} // namespace mimic::devices::virtio
