#include "memory/region.hpp"
#include "base/check.hpp"
#include "memory/address_space.hpp"
#include <algorithm>

namespace mimic::memory {

namespace {
// Aliases of aliases deeper than this are a mistake of the board (a ring of aliases).
constexpr int max_depth = 32;
} // namespace

Region::Region(std::string name, u64 size) : name_(std::move(name)), kind_(Kind::container), size_(size) {}

Region::Region(std::string name, RamBlock& block, u64 offset, u64 size, bool read_only)
    : name_(std::move(name))
    , kind_(read_only ? Kind::rom : Kind::ram)
    , size_(size)
    , read_only_(read_only)
    , block_(&block)
    , offset_(offset) {
    MIMIC_CHECK(offset <= block.size() && size <= block.size() - offset, "a region lies outside of its RAM block");
}

Region::Region(std::string name, RamBlock& block, Handler& handler, const AccessRules& rules)
    : name_(std::move(name))
    , kind_(Kind::rom_device)
    , size_(block.size())
    , read_only_(true)
    , block_(&block)
    , handler_(&handler)
    , rules_(rules) {}

Region::Region(std::string name, Handler& handler, const AccessRules& rules, u64 size)
    : name_(std::move(name))
    , kind_(Kind::device)
    , size_(size)
    , handler_(&handler)
    , rules_(rules) {}

Region::Region(std::string name, Region& target, u64 offset, u64 size)
    : name_(std::move(name))
    , kind_(Kind::alias)
    , size_(size)
    , target_(&target)
    , offset_(offset) {
    target.aliases_.push_back(this);
}

Region::~Region() {
    if (parent_) parent_->remove(*this);
    for (Region* child : children_) child->parent_ = nullptr;
    if (target_) std::erase(target_->aliases_, this);
    for (Region* alias : aliases_) alias->target_ = nullptr;
}

void Region::add(Region& child, u64 at, int priority) {
    MIMIC_CHECK(kind_ == Kind::container, "only containers have children");
    MIMIC_CHECK(!child.parent_, "a region is added twice");
    child.parent_ = this;
    child.at_ = at;
    child.priority_ = priority;
    auto place = std::find_if(children_.begin(), children_.end(), [&](Region* r) { return r->priority_ <= priority; });
    children_.insert(place, &child);
    changed();
}

void Region::remove(Region& child) {
    MIMIC_CHECK(child.parent_ == this, "a region is removed from where it is not");
    std::erase(children_, &child);
    child.parent_ = nullptr;
    changed();
}

void Region::set_enabled(bool enabled) {
    if (enabled_ == enabled) return;
    enabled_ = enabled;
    changed();
}

void Region::set_readable(bool readable) {
    MIMIC_CHECK(kind_ == Kind::rom_device, "only a rom_device changes what reads do");
    if (readable_ == readable) return;
    readable_ = readable;
    changed();
}

void Region::move(u64 at) {
    if (at_ == at) return;
    at_ = at;
    changed();
}

void Region::resize(u64 size) {
    if (block_)
        MIMIC_CHECK(offset_ <= block_->size() && size <= block_->size() - offset_, "a region outgrows its RAM block");
    if (size_ == size) return;
    size_ = size;
    changed();
}

void Region::collect(std::vector<AddressSpace*>& out, int depth) const {
    if (depth > max_depth) return;
    for (AddressSpace* space : spaces_)
        if (std::find(out.begin(), out.end(), space) == out.end()) out.push_back(space);
    if (parent_) parent_->collect(out, depth + 1);
    for (Region* alias : aliases_) alias->collect(out, depth + 1);
}

void Region::changed() {
    std::vector<AddressSpace*> spaces;
    collect(spaces, 0);
    for (AddressSpace* space : spaces) space->tree_changed();
}

std::string_view Region::type_text() const {
    switch (kind_) {
    case Kind::ram: return "ram";
    case Kind::rom: return "rom";
    case Kind::rom_device: return readable_ ? "romd" : "i/o";
    case Kind::alias: return target_ ? target_->type_text() : "i/o";
    default: return "i/o";
    }
}

// One line a region, children by address, as `info mtree` shows them.
void Region::tree_text(std::string& out, u64 base, int depth, std::vector<const Region*>& targets) const {
    u64 last = base + (size_ == ~u64{0} ? size_ : size_ - 1);
    out += fmt::format("{:{}}{:016x}-{:016x} (prio {}, {}): ", "", 2 + 2 * depth, base, last, priority_, type_text());
    if (kind_ == Kind::alias && target_) {
        out += fmt::format("alias {} @{} {:016x}-{:016x}", name_, target_->name_, offset_, offset_ + size_ - 1);
        if (std::find(targets.begin(), targets.end(), target_) == targets.end()) targets.push_back(target_);
    } else {
        out += name_;
    }
    out += enabled_ ? "\n" : " [disabled]\n";
    std::vector<Region*> sorted = children_;
    std::stable_sort(sorted.begin(), sorted.end(), [](Region* a, Region* b) { return a->at_ < b->at_; });
    if (depth < max_depth)
        for (const Region* child : sorted) child->tree_text(out, base + child->at_, depth + 1, targets);
}

} // namespace mimic::memory
