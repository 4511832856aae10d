// The software TLB of one vCPU: tables of 4 KiB pages that translate without asking, one a pair of context (ASID) and
// privilege index, so that a switch of context or privilege chooses tables and clears nothing. Only pages of RAM and ROM
// are in it. Filled and read by the vCPU's thread; any thread may take away rights to write (drop_writes).
#pragma once
#include "jit/tlb.hpp"
#include <array>
#include <vector>

namespace mimic::cpu {

using jit::TlbEntry;

class Tlb {
public:
    static constexpr u64 page = 4096;
    static constexpr u32 page_bits = jit::tlb_page_bits, first_entries = 256, most_entries = 8192, most_tables = 64,
                         most_indices = jit::tlb_indices;

    Tlb();
    ~Tlb();
    Tlb(const Tlb&) = delete;

    // The table that accesses with `index` use from now on.
    void select(u32 index, u64 context);
    // From now on the views of its indices stand there, for generated code to read.
    void show(jit::TlbViews* views);
    bool relied_on() const { return views_->relied_on; } // jit::TlbViews
    TlbEntry& entry(u32 index, u64 address) const {
        const jit::TlbView& v = views_->index[index];
        return *reinterpret_cast<TlbEntry*>(v.base + (address >> (page_bits - jit::tlb_entry_bits) & v.mask));
    }
    // Is [address, address + bytes) inside the page that `right` holds?
    static bool hits(u64 right, u64 address, u64 bytes) { return address - right <= page - bytes; }

    struct Page {
        u64 address = 0; // any in the page
        u64 host = 0;    // of the page's first byte
        u8 bits = 12;    // log2 of the block of addresses that its translation is part of
        bool read = false, write = false, fetch = false;
    };
    // The entry that it was given; its right to write may have to be taken back (take_write).
    TlbEntry& fill(u32 index, const Page& p);
    static void take_write(TlbEntry& e);

    void flush();
    void flush_context(u64 context);
    // True: the address lies in a block above 4 KiB, so that all of a table went.
    bool flush_address(u64 address);
    bool flush_address_in(u64 address, u64 context);
    // From any thread: pages at this host address may not be written any more without asking.
    void drop_writes(u64 host);
    // The same for all pages.
    void drop_all_writes();

private:
    struct Table {
        u64 context = 0;
        u32 index = 0;
        bool used = false;
        u32 entries = first_entries, filled = 0; // since it was cleared. Other threads read both
        u32 misses = 0;                          // since it grew
        u64 large_low = ~u64{0}, large_high = 0; // where translations of blocks above 4 KiB were put
        u64 stamp = 0;
        TlbEntry* base = nullptr;
    };
    void clear(Table& t);
    bool flush_address(Table& t, u64 address);
    Table& table_for(u32 index, u64 context);

    TlbEntry* memory_;
    std::vector<Table> tables_;
    jit::TlbViews own_views_;
    jit::TlbViews* views_ = &own_views_;
    std::array<Table*, most_indices> selected_{};
    u64 now_ = 0;
    // Executable blocks above 4 KiB since the last flush of everything: tables of branches know pages of theirs that no entry
    // here stands for any more.
    bool is_in_large_code(u64 address) const {
        const u64 bare = jit::without_tag(address);
        return bare >= code_low_ && bare <= code_high_;
    }
    u64 code_low_ = ~u64{0}, code_high_ = 0;
};

} // namespace mimic::cpu
