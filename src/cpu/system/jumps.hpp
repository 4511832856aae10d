// Branch tables of one vCPU for generated code: one a pair of mode and context, so that neither a system call nor another
// process clears any. Used by the vCPU's thread; any thread may forget entries.
#pragma once
#include "jit/tlb.hpp"
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
    struct Table {
        u32 mode = 0;
        u64 context = 0, stamp = 0;
        bool used = false, filled = false;
        u64 pages[16] = {}; // a bit for each page that may have entries, by its number modulo 1024
        jit::JumpEntry* entries = nullptr;
    };
    u64 number(u64 pc) const { return pc >> shift_ & (jit::jump_count - 1); }
    // The pc of an entry that holds nothing: one that belongs to another.
    static u64 no_pc(u64 number) { return number == 0 ? ~u64{0} : 0; }
    void note(Table& t, u64 pc) { t.pages[pc >> 18 & 15] |= u64{1} << (pc >> 12 & 63); }
    bool noted(const Table& t, u64 pc) const { return t.pages[pc >> 18 & 15] >> (pc >> 12 & 63) & 1; }
    void clear(Table& t);

    u32 shift_;
    jit::JumpEntry* memory_;
    std::vector<Table> tables_;
    u64 now_ = 0;
};

} // namespace mimic::cpu
