// A translated unit of user mode as bytes, for other processes of the same program, guest and host: its code without what
// depends on where it lies, all that is known of it, and the guest bytes that it was made from. Guest pcs are absolute.
//
// Layout (host's byte order): Head, then in the order of its counts Entry..., Edge..., Fault..., Reference..., Range...,
// records, host code, guest bytes of [low, high) and of each range. Link-word displacements in the code are those of code at
// address 0 whose link words begin at 0; record numbers are places among the records (in bytes), each a u32 length and bytes.
#pragma once
#include "base/types.hpp"
#include <span>

namespace mimic::cpu {

namespace saved {

struct Head {
    u64 pc = 0, low = 0, high = 0;
    u32 mode = 0, flavour = 0, guest_insns = 0, whole = 0;
    u32 entries = 0, edges = 0, faults = 0, references = 0, ranges = 0;
    u32 record_bytes = 0, code_bytes = 0, guest_bytes = 0;
};
struct Entry {
    u64 pc = 0;
    u32 block = 0, offset = 0;
};
struct Edge { // jit::Emitted::Edge
    u64 pc = 0;
    u32 mode = 0, stub = 0, word = 0, counted = 0;
};
struct Fault { // jit::Emitted::Fault
    u32 offset = 0, inst = 0;
    u64 pc = 0;
    u32 owed[4] = {};
};
struct Reference { // jit::Emitted::Reference
    u32 offset = 0, is_record = 0;
};
struct Range {
    u64 low = 0, high = 0;
};

// Most of guest code that a unit covers, in bytes; and of ranges that it relies on.
inline constexpr u64 most_guest_bytes = 1 << 16;
inline constexpr u32 most_items = 1 << 16;

} // namespace saved

// What stands in such bytes; it points into them.
struct SavedUnit {
    saved::Head head;
    std::span<const saved::Entry> entries; // the unit's own first
    std::span<const saved::Edge> edges;
    std::span<const saved::Fault> faults; // by rising offset
    std::span<const saved::Reference> references;
    std::span<const saved::Range> ranges;
    std::span<const u8> records, code, guest;

    // The record at a place; empty: there is none.
    std::span<const u8> record(u32 at) const;
};

// False when `bytes` (aligned to 8) are not such a unit: counts and offsets are in bounds when they are.
bool parse_saved_unit(std::span<const u8> bytes, SavedUnit& out);

// Where units are kept beyond the process. Called with the code space's lock held.
class UnitStore {
public:
    virtual ~UnitStore() = default;
    // The bytes of a unit with an entry at pc, which are as they were saved; empty: there is none. They stay until the next call.
    virtual std::span<const u8> find(u64 pc, u32 mode) = 0;
};

} // namespace mimic::cpu
