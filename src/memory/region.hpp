// Regions: the tree that says what lies where. RAM, ROM, device, alias and container as QEMU's manual names them; a
// region's owner keeps it alive as long as it is mapped.
#pragma once
#include "memory/access.hpp"
#include "memory/ram.hpp"
#include <string>
#include <vector>

namespace mimic::memory {

class AddressSpace;
struct Flattening;

class Region {
public:
    enum class Kind : u8 { container, ram, rom, rom_device, device, alias };
    // rom_device: reads are RAM reads while `readable` (flash in array mode), writes go to the handler.
    Region(std::string name, u64 size); // container
    Region(std::string name, RamBlock& block, u64 offset, u64 size, bool read_only);
    Region(std::string name, RamBlock& block, Handler& handler, const AccessRules& rules); // rom_device
    Region(std::string name, Handler& handler, const AccessRules& rules, u64 size);
    Region(std::string name, Region& target, u64 offset, u64 size); // alias
    ~Region();
    Region(const Region&) = delete;

    // Changes of the tree. They take effect at once, or, in an AddressSpace that a Change (address_space.hpp) holds, when
    // the outermost one ends; no vCPU needs to stop. Any one thread at a time (the machine's topology lock).
    // A size of ~0 means the whole 2^64 bytes.
    void add(Region& child, u64 at, int priority = 0);
    void remove(Region& child);
    void set_enabled(bool enabled);
    void set_readable(bool readable); // rom_device
    void move(u64 at);                // inside its parent
    void resize(u64 size);

    const std::string& name() const { return name_; }
    u64 size() const { return size_; }
    Kind kind() const { return kind_; }
    Region* parent() const { return parent_; }
    u64 at() const { return at_; } // inside its parent
    bool enabled() const { return enabled_; }
    RamBlock* block() const { return block_; } // of ram, rom and rom_device; else null

private:
    void changed();
    void collect(std::vector<AddressSpace*>& out, int depth) const;
    void tree_text(std::string& out, u64 base, int depth, std::vector<const Region*>& targets) const;
    std::string_view type_text() const;
    friend class AddressSpace;
    friend struct Flattening;
    std::string name_;
    Kind kind_;
    u64 size_ = 0;
    bool enabled_ = true, read_only_ = false, readable_ = true;
    RamBlock* block_ = nullptr;
    Handler* handler_ = nullptr;
    Region* target_ = nullptr;
    u64 offset_ = 0; // into block or target
    AccessRules rules_;
    Region* parent_ = nullptr;
    u64 at_ = 0;
    int priority_ = 0;
    std::vector<Region*> children_;     // by falling priority; of equal ones the last added wins
    std::vector<Region*> aliases_;      // that show this one
    std::vector<AddressSpace*> spaces_; // of which it is the root
};

} // namespace mimic::memory
