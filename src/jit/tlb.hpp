// What generated code of the tlb address model reads of a vCPU's software TLB and jump caches; cpu/system/ fills them.
#pragma once
#include "base/types.hpp"

namespace mimic::jit {

// A 4 KiB page that is reached without asking. Each right holds the page's guest address, or an address that no access
// which looks here has.
struct alignas(32) TlbEntry {
    u64 read = 0, write = 0, fetch = 0;
    u64 host = 0; // of the page's first byte
};
inline constexpr u32 tlb_page_bits = 12, tlb_entry_bits = 5, tlb_indices = 16;
static_assert(sizeof(TlbEntry) == 1 << tlb_entry_bits);

// Guests may ignore the top byte of addresses: rights hold it as the access had it, and flushes of an address are of all tags.
constexpr u64 without_tag(u64 address) { return address << 8 >> 8; }

// What a right holds that nobody has: a page no translation is for, since bits 63 and 62 differ, that no guest can know. All
// entries that were ever filled hold it in the place of what was taken away, so that any of them may be asked about any address.
u64 nobodys_page();
// The table of one index: that of `address` stands at base + (address >> (page bits - entry bits) & mask).
struct TlbView {
    u64 base = 0;
    u64 mask = 0; // in bytes: (entries - 1) * sizeof(TlbEntry)
};

// Of an entry that was a hit: what is wanted of it, side by side and without a look at the table. The vCPU's thread writes these and
// reads them; any thread may take `write` away where it finds `host`.
struct alignas(32) TlbRecent {
    u64 read = 0, write = 0; // as in the entry
    u64 delta = 0;           // of the page's host address from the guest's
    u64 host = 0;
};

// All that code reads of a vCPU's TLB. `recent`: copies of entries of the index's present table; code that goes through memory
// in steps, and accesses to the stack, ask theirs before they look at the table.
inline constexpr u32 tlb_recent = 16;
struct TlbViews {
    TlbView index[tlb_indices];
    TlbRecent recent[tlb_indices][tlb_recent];
    u64 nobody = nobodys_page();
    // The call that is under way comes from code which goes on to use pages that it has looked up before: it may not reach a
    // device, which could put something else in their places, and fails instead.
    u32 relied_on = 0;

    // Those of index n. With an address: those of its page.
    void forget_recent(u32 n);
    void forget_recent(u32 n, u64 address);
    // From any thread, which has taken that right from all entries: those with this host address; of all.
    void drop_writes(u64 host);
    void drop_all_writes();
};

// Indirect branches and edges to other pages: entry number (pc >> log2 of the instructions' alignment) & (jump_count - 1).
struct JumpEntry {
    u64 pc = 0, code = 0;
};
inline constexpr u32 jump_count = 1 << 15;

} // namespace mimic::jit
