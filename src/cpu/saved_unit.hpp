// Translated units of user mode as bytes, for other processes of the same program, guest and host: their code without what
// depends on where it lies, all that is known of it, and the hash of the guest's bytes that it was made from. Guest pcs are
// absolute. One unit, or several of neighbouring guest code that were joined (cpu/unit_group.hpp), whose edges to each other are
// linked then.
//
// Layout (host's byte order): Head, then Range..., Edge..., Entry..., Fault..., Owed..., references, records, host code. Link-word displacements in the code are those of code at address 0 whose link words begin at 0; record
// numbers are places among the records (in bytes), each a u32 length and bytes.
#pragma once
#include "base/sha256.hpp"
#include "base/types.hpp"
#include <span>
#include <vector>

namespace mimic::cpu {

namespace saved {

// Guest code that is covered, in bytes, at most.
inline constexpr u64 most_guest_bytes = 1 << 16;
inline constexpr u32 most_items = 1 << 16;
inline constexpr u32 most_ranges = 1 << 10, most_range_bytes = 1 << 12;
inline constexpr u64 most_bytes = 4 << 20; // of all

struct Head {
    u64 pc = 0; // where the first unit begins
    u64 low = 0, high = 0;
    u32 mode = 0, flavour = 0, units = 0;
    u32 runs =
        0; // so many of the ranges come first that are within [low, high): what was looked at there; 0: all of it
    u32 edges = 0, ranges = 0, entries = 0, faults = 0, owed = 0, references = 0;
    u32 record_bytes = 0, code_bytes = 0;
    Sha256Digest made_from{}; // of the guest's bytes [low, high) if there are no runs, then those of each range
};
struct Edge { // jit::Emitted::Edge
    static constexpr u32 nowhere = ~u32{0};
    u64 pc = 0;
    u32 stub = 0;
    u32 to = nowhere; // what the word is to hold from the start, in the code: of an edge that stays inside
    u16 mode = 0;
    u8 word = 0, counted = 0;
    u32 unused = 0;
};
struct Range { // of guest code that was looked at
    u64 low = 0, high = 0;
};
struct Entry {
    u32 offset = 0;
    u16 pc = 0;   // from low on
    u8 own = 0;   // a unit begins there
    u8 whole = 0; // see Node::whole
};
struct Fault { // jit::Emitted::Fault
    u32 offset = 0;
    u16 pc = 0; // from low on
    u16 mode = 0;
};
struct Owed { // of a fault by number, when it isn't 0
    u32 fault = 0;
    u32 what[4] = {};
};
// jit::Emitted::Reference: the offset, and whether it is a record's. By rising offset, 4 bytes each.
inline constexpr u32 is_record = 1u << 31;

} // namespace saved

// What stands in such bytes; it points into them.
struct SavedUnit {
    saved::Head head;
    std::span<const saved::Edge> edges;
    std::span<const saved::Range> ranges;
    std::span<const saved::Entry> entries; // by rising pc, of which each has one
    std::span<const saved::Fault> faults;  // by rising offset
    std::span<const saved::Owed> owed;     // by rising fault
    std::span<const u32> references;
    std::span<const u8> records, code;

    // The bytes of what is needed as long as the code is there: edges, entries, faults and what they owe; and the same unit with
    // these elsewhere.
    std::span<const u8> kept() const;
    SavedUnit with_kept_at(const u8* place) const;
    u64 pc_of(const saved::Entry& e) const { return head.low + e.pc; }
    // Null: none.
    const saved::Entry* entry_at(u64 pc) const;
    // The record at a place; empty: there is none.
    std::span<const u8> record(u32 at) const;
};

// The entry at a pc, of entries by rising pc. Null: none.
const saved::Entry* find_entry(std::span<const saved::Entry> entries, u64 low, u64 pc);

// False when `bytes` (aligned to 8) are none of these: counts and offsets are in bounds when they are.
bool parse_saved_unit(std::span<const u8> bytes, SavedUnit& out);

// Of an aligned buffer, for a unit.
using UnitBytes = std::vector<u64>;

// Where units are kept beyond the process. Called with the code space's lock held.
class UnitStore {
public:
    virtual ~UnitStore() = default;
    // What is said to be kept for pc, nothing of which is looked at: a unit with an entry there, or that the place ran in an
    // earlier process, too seldom for a translation.
    enum class Has : u8 { nothing, ran, unit };
    struct Said {
        Has has = Has::nothing;
        u32 at = 0; // where it is kept
    };
    virtual Said look(u64 pc, u32 mode) = 0;
    // The unit that was told of last, which has an entry at pc; put into `into`, as it was saved. False: it is not what was saved.
    virtual bool take(const Said& said, u64 pc, u32 mode, UnitBytes& into, SavedUnit& unit) = 0;
};

} // namespace mimic::cpu
