// AddressSpace: a region tree flattened to sorted ranges. Readers (vCPUs, DMA) walk the current view without a lock; a
// change of the tree publishes a new view, and the old one is freed when no reader is inside it.
#pragma once
#include "base/result.hpp"
#include "memory/region.hpp"
#include <string>

namespace mimic::memory {

// What lies at an address.
struct Place {
    enum class Kind : u8 { nothing, ram, rom, device };
    Kind kind = Kind::nothing;
    u64 left = 0;               // bytes from the address to the end of the range
    RamBlock* block = nullptr;  // ram, rom
    u64 offset = 0;             // into the block or of the handler
    Handler* handler = nullptr; // device; rom: takes the writes (flash), null when they are ignored
    AccessRules rules;
    u8* host() const { return block->host() + offset; }
};

// A range of RAM as an address space shows it.
struct RamRange {
    u64 address = 0, bytes = 0;
    RamBlock* block = nullptr;
    u64 offset = 0;
};

class AddressSpace {
public:
    // `root` is a container and outlives the space.
    AddressSpace(std::string name, Region& root);
    ~AddressSpace();
    AddressSpace(const AddressSpace&) = delete;
    const std::string& name() const { return name_; }

    // What lies at `address`. Valid until the topology changes: whoever keeps it registers a listener.
    Place find(u64 address) const;

    // DMA and slow accesses of any size and alignment; they may cross ranges. RAM is copied, devices are called in the
    // sizes that they implement, ascending. The first outcome that is not ok ends it. Writes note dirty pages and code.
    // A device that is already being entered by the calling thread answers device_error (its DMA to itself).
    Outcome read(u64 address, void* out, u64 bytes, Attributes attributes = {});
    Outcome write(u64 address, const void* in, u64 bytes, Attributes attributes = {});
    // One access of 1, 2, 4 or 8 bytes as a processor makes it: one device access where the rules allow. Little-endian
    // value; a big-endian device's bytes are swapped.
    Outcome read_value(u64 address, u32 bytes, u64& value, Attributes attributes);
    Outcome write_value(u64 address, u32 bytes, u64 value, Attributes attributes);

    // Told after a new view is published, in the changing thread: TLBs and KVM slots follow.
    class Listener {
    public:
        virtual ~Listener() = default;
        virtual void topology_changed(AddressSpace& space) = 0;
    };
    void add(Listener& l);
    void remove(Listener& l);

    std::string tree() const; // `info mtree`
    std::string flat() const; // `info mtree -f`
    // All RAM that is seen, ascending; not ROM. On the thread that changes the tree.
    std::vector<RamRange> ram() const;

private:
    friend class Region;
    friend class Change;
    void publish();
    void tree_changed();
    Outcome access_device(const Place& place, u64 offset, u32 bytes, u64& value, bool write, Attributes attributes);
    struct View;
    std::string name_;
    Region& root_;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// While one lives, changes below the space's root are gathered; the end of the outermost publishes them together.
class Change {
public:
    explicit Change(AddressSpace& space);
    ~Change();
    Change(const Change&) = delete;

private:
    AddressSpace& space_;
};

} // namespace mimic::memory
