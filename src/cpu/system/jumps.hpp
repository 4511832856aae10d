// Branch tables of one vCPU for generated code: one a pair of mode and context, so that neither a system call nor another
// process clears any. Used by the vCPU's thread; any thread may forget entries.
//
// Tables are large, since places share an entry by their low address bits: with 4096 entries the kernel's boot met another place
// in two look-ups of three. Only what was filled of them is touched, looked at or cleared: `groups` tells.
#pragma once
#include "jit/tlb.hpp"
#include <atomic>
#include <vector>

namespace mimic::cpu {

class Jumps {
public:
    explicit Jumps(u32 alignment_bits);
    ~Jumps();
    Jumps(const Jumps&) = delete;

    jit::JumpEntry* select(u32 mode, u64 context);
    const jit::JumpEntry* none() const { return memory_; } // a table where nothing is ever found
    void add(jit::JumpEntry* table, u64 pc, const u8* code, bool reaches_on);
    void forget(u64 offset); // in its page, whichever that is

    void flush();
    void flush_context(u64 context);
    void flush_address(u64 address);

private:
    static constexpr u32 table_count = 24;
    static constexpr u32 group = 256; // entries; a host page of them
    static constexpr u32 group_words = jit::jump_count / group / 64;
    static_assert(group_words * group * 64 == jit::jump_count);
    struct Table {
        u32 mode = 0;
        u64 context = 0, stamp = 0;
        bool used = false, filled = false;
        u64 pages[16] = {}; // a bit for each page that may have entries, by its number modulo 1024
        // A bit for each group that may have entries. Written by the vCPU's thread, before the entry.
        std::atomic<u64> groups[group_words] = {};
        jit::JumpEntry* entries = nullptr;
    };
    u64 number(u64 pc) const { return pc >> shift_ & (jit::jump_count - 1); }
    // The pc of an entry that holds nothing: one that belongs to another.
    static u64 no_pc(u64 number) { return number == 0 ? ~u64{0} : 0; }
    void note(Table& t, u64 pc) { t.pages[pc >> 18 & 15] |= u64{1} << (pc >> 12 & 63); }
    bool noted(const Table& t, u64 pc) const { return t.pages[pc >> 18 & 15] >> (pc >> 12 & 63) & 1; }
    // Calls f(entry's number) for each that may be filled and stands a multiple of `step` (a power of two) behind `first`.
    template <class F>
    static void each(const Table& t, u64 first, u64 step, F&& f);
    void clear(Table& t);

    u32 shift_;
    jit::JumpEntry* memory_;
    std::vector<Table> tables_;
    u64 now_ = 0;
};

} // namespace mimic::cpu
