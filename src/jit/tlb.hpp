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

// The table of one index: that of `address` stands at base + (address >> (page bits - entry bits) & mask).
struct TlbView {
    u64 base = 0;
    u64 mask = 0; // in bytes: (entries - 1) * sizeof(TlbEntry)
};

// Indirect branches and edges to other pages: entry number (pc >> log2 of the instructions' alignment) & (jump_count - 1).
struct JumpEntry {
    u64 pc = 0, code = 0;
};
inline constexpr u32 jump_count = 4096;

} // namespace mimic::jit
