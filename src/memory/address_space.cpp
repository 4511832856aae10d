#include "memory/address_space.hpp"
#include "base/check.hpp"
#include "memory/dispatch.hpp"
#include "memory/flatten.hpp"
#include <algorithm>
#include <cstring>
#include <sched.h>

namespace mimic::memory {

struct AddressSpace::View {
    std::vector<Range> ranges;
};

// Readers count themselves in and out of a phase, in a cell that few threads share; a writer publishes, then waits until
// either phase was once empty. A reader is inside only while it looks an address up, so nobody waits long; a reader
// never waits.
struct AddressSpace::Impl {
    static constexpr u32 cells = 32;
    struct alignas(64) Cell {
        std::atomic<u32> inside[2];
    };
    std::atomic<const View*> view{nullptr};
    std::atomic<u32> phase{0};
    Cell cell[cells];
    std::vector<Listener*> listeners;
    int changes = 0; // Change objects alive
    bool pending = false;

    Cell& own_cell() {
        // The address of a thread's control block tells threads apart.
        u64 id = u64(reinterpret_cast<uintptr_t>(__builtin_thread_pointer()));
        return cell[(id * 0x9e3779b97f4a7c15u) >> 59];
    }
    void wait_empty(u32 which) {
        for (const Cell& c : cell)
            while (c.inside[which].load(std::memory_order_seq_cst)) sched_yield();
    }
    void synchronize() {
        for (int i = 0; i < 2; i++) {
            u32 old = phase.fetch_xor(1, std::memory_order_seq_cst);
            wait_empty(old);
        }
    }
};

AddressSpace::AddressSpace(std::string name, Region& root)
    : name_(std::move(name))
    , root_(root)
    , impl_(std::make_unique<Impl>()) {
    root_.spaces_.push_back(this);
    publish();
}

AddressSpace::~AddressSpace() {
    std::erase(root_.spaces_, this);
    delete impl_->view.load();
}

void AddressSpace::publish() {
    Flattening flat;
    flat.render(root_);
    auto* fresh = new View{std::move(flat.ranges)};
    const View* old = impl_->view.exchange(fresh, std::memory_order_seq_cst);
    impl_->pending = false;
    if (!old) return;
    impl_->synchronize();
    delete old;
    for (size_t i = 0; i < impl_->listeners.size(); i++) impl_->listeners[i]->topology_changed(*this);
}

void AddressSpace::tree_changed() {
    if (impl_->changes)
        impl_->pending = true;
    else
        publish();
}

void AddressSpace::add(Listener& l) { impl_->listeners.push_back(&l); }
void AddressSpace::remove(Listener& l) { std::erase(impl_->listeners, &l); }

Place AddressSpace::find(u64 address) const {
    Place place;
    std::atomic<u32>& inside = impl_->own_cell().inside[impl_->phase.load(std::memory_order_seq_cst)];
    inside.fetch_add(1, std::memory_order_seq_cst);
    const std::vector<Range>& ranges = impl_->view.load(std::memory_order_seq_cst)->ranges;
    auto at =
        std::upper_bound(ranges.begin(), ranges.end(), address, [](u64 a, const Range& r) { return a < r.first; });
    if (at != ranges.begin() && (at - 1)->last >= address) {
        const Range& r = *(at - 1);
        place.left = r.last - address + 1;
        if (place.left == 0) place.left = ~u64{0};
        place.handler = r.handler;
        place.rules = r.rules;
        u64 inner = address - r.first;
        bool memory = r.block && (r.kind != Region::Kind::rom_device || r.readable);
        place.kind = !memory ? Place::Kind::device : r.read_only ? Place::Kind::rom : Place::Kind::ram;
        place.block = memory ? r.block : nullptr;
        place.offset = inner + (memory ? r.block_offset : r.offset);
    } else {
        place.left = at == ranges.end() ? ~u64{0} - address : at->first - address;
        if (place.left == 0) place.left = 1;
    }
    inside.fetch_sub(1, std::memory_order_release);
    return place;
}

Outcome AddressSpace::access_device(const Place& place, u64 offset, u32 bytes, u64& value, bool write,
                                    Attributes attributes) {
    return write ? device_write(*place.handler, place.rules, offset, bytes, value, attributes)
                 : device_read(*place.handler, place.rules, offset, bytes, value, attributes);
}

namespace {

// Bytes of one device access of a longer transfer: aligned, no more than the device takes.
u32 device_step(const AccessRules& rules, u64 offset, u64 bytes) {
    u32 step = rules.max;
    while (step > 1 && (step > bytes || offset % step)) step /= 2;
    return step;
}

// What processors of a machine share with devices is read and written whole where it is aligned (ring indices).
void copy_in(u8* to, const u8* from, u64 bytes) {
    u64 at = u64(reinterpret_cast<uintptr_t>(to));
    if (bytes == 8 && at % 8 == 0)
        return __atomic_store_n(reinterpret_cast<u64*>(to), load<u64>(from), __ATOMIC_RELEASE);
    if (bytes == 4 && at % 4 == 0)
        return __atomic_store_n(reinterpret_cast<u32*>(to), load<u32>(from), __ATOMIC_RELEASE);
    if (bytes == 2 && at % 2 == 0)
        return __atomic_store_n(reinterpret_cast<u16*>(to), load<u16>(from), __ATOMIC_RELEASE);
    std::memcpy(to, from, bytes);
}

void copy_out(u8* to, const u8* from, u64 bytes) {
    u64 at = u64(reinterpret_cast<uintptr_t>(from));
    u64 value = 0;
    if (bytes == 8 && at % 8 == 0)
        value = __atomic_load_n(reinterpret_cast<const u64*>(from), __ATOMIC_ACQUIRE);
    else if (bytes == 4 && at % 4 == 0)
        value = __atomic_load_n(reinterpret_cast<const u32*>(from), __ATOMIC_ACQUIRE);
    else if (bytes == 2 && at % 2 == 0)
        value = __atomic_load_n(reinterpret_cast<const u16*>(from), __ATOMIC_ACQUIRE);
    else {
        std::memcpy(to, from, bytes);
        return;
    }
    std::memcpy(to, &value, bytes);
}

} // namespace

Outcome AddressSpace::read(u64 address, void* out, u64 bytes, Attributes attributes) {
    u8* to = static_cast<u8*>(out);
    while (bytes) {
        Place place = find(address);
        u64 n = std::min(bytes, place.left);
        if (place.kind == Place::Kind::nothing) return Outcome::decode_error;
        if (place.kind == Place::Kind::device) {
            n = device_step(place.rules, place.offset, n);
            u64 value = 0;
            Outcome outcome = access_device(place, place.offset, u32(n), value, false, attributes);
            if (outcome != Outcome::ok) return outcome;
            std::memcpy(to, &value, n);
        } else {
            copy_out(to, place.host(), n);
        }
        to += n, address += n, bytes -= n;
    }
    return Outcome::ok;
}

Outcome AddressSpace::write(u64 address, const void* in, u64 bytes, Attributes attributes) {
    const u8* from = static_cast<const u8*>(in);
    while (bytes) {
        Place place = find(address);
        u64 n = std::min(bytes, place.left);
        if (place.kind == Place::Kind::nothing) return Outcome::decode_error;
        bool ram = place.kind == Place::Kind::ram || (place.kind == Place::Kind::rom && attributes.debug);
        if (ram) {
            copy_in(place.host(), from, n);
            place.block->note_write(place.offset, n);
        } else if (place.handler) {
            n = device_step(place.rules, place.offset, n);
            u64 value = 0;
            std::memcpy(&value, from, n);
            Outcome outcome = access_device(place, place.offset, u32(n), value, true, attributes);
            if (outcome != Outcome::ok) return outcome;
        } // else ROM: lost, as on a board
        from += n, address += n, bytes -= n;
    }
    return Outcome::ok;
}

Outcome AddressSpace::read_value(u64 address, u32 bytes, u64& value, Attributes attributes) {
    value = 0;
    Place place = find(address);
    if (place.kind == Place::Kind::device && bytes <= place.left)
        return access_device(place, place.offset, bytes, value, false, attributes);
    return read(address, &value, bytes, attributes);
}

Outcome AddressSpace::write_value(u64 address, u32 bytes, u64 value, Attributes attributes) {
    Place place = find(address);
    bool device =
        place.kind == Place::Kind::device || (place.kind == Place::Kind::rom && place.handler && !attributes.debug);
    if (device && bytes <= place.left) return access_device(place, place.offset, bytes, value, true, attributes);
    return write(address, &value, bytes, attributes);
}

std::string AddressSpace::tree() const {
    std::vector<const Region*> targets;
    std::string out = fmt::format("address-space: {}\n", name_);
    root_.tree_text(out, 0, 0, targets);
    for (size_t i = 0; i < targets.size(); i++) {
        out += fmt::format("\nmemory-region: {}\n", targets[i]->name());
        targets[i]->tree_text(out, 0, 0, targets);
    }
    return out;
}

std::string AddressSpace::flat() const {
    std::string out = fmt::format(" AS \"{}\", root: {}\n Root memory region: {}\n", name_, root_.name(), root_.name());
    // The tree's thread asks, so the view stays.
    for (const Range& r : impl_->view.load()->ranges) {
        out += fmt::format("  {:016x}-{:016x} (prio {}, {}): {}", r.first, r.last, r.priority, r.region->type_text(),
                           r.region->name());
        if (r.offset) out += fmt::format(" @{:016x}", r.offset);
        out += '\n';
    }
    return out;
}

std::vector<RamRange> AddressSpace::ram() const {
    std::vector<RamRange> all;
    for (const Range& r : impl_->view.load()->ranges) {
        Place p = find(r.first);
        if (p.kind == Place::Kind::ram) all.push_back({r.first, r.last - r.first + 1, p.block, p.offset});
    }
    return all;
}

Change::Change(AddressSpace& space) : space_(space) { space_.impl_->changes++; }
Change::~Change() {
    if (--space_.impl_->changes == 0 && space_.impl_->pending) space_.publish();
}

} // namespace mimic::memory
