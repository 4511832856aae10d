#include "cpu/system/tlb.hpp"
#include "base/check.hpp"
#include <algorithm>
#include <atomic>
#include <sys/mman.h>

namespace mimic::cpu {

namespace {

template <class T>
void store(T& to, T v) {
    __atomic_store_n(&to, v, __ATOMIC_RELAXED);
}
template <class T>
T load(const T& from) {
    return __atomic_load_n(&from, __ATOMIC_RELAXED);
}
void take_rights(TlbEntry& e) {
    const u64 nobody = jit::nobodys_page();
    store(e.read, nobody), store(e.write, nobody), store(e.fetch, nobody);
}
constexpr u64 mask_of(u32 entries) { return u64(entries - 1) * sizeof(TlbEntry); }
constexpr u64 table_bytes = Tlb::most_entries * sizeof(TlbEntry);

} // namespace

// Address space, touched where it is used.
Tlb::Tlb() {
    void* p = mmap(nullptr, most_tables * table_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MIMIC_CHECK(p != MAP_FAILED, "no memory for a TLB");
    memory_ = static_cast<TlbEntry*>(p);
    tables_.resize(most_tables);
    for (u32 n = 0; n < most_tables; ++n) tables_[n].base = memory_ + n * most_entries;
    for (u32 n = 0; n < most_indices; ++n) select(n, 0);
}
void Tlb::show(jit::TlbViews* views) {
    *views = own_views_;
    views_ = views;
}
Tlb::~Tlb() { munmap(memory_, most_tables * table_bytes); }

Tlb::Table& Tlb::table_for(u32 index, u64 context) {
    Table* oldest = nullptr;
    for (Table& t : tables_) {
        if (t.used && t.index == index && t.context == context) return t;
        bool in_use = std::find(selected_.begin(), selected_.end(), &t) != selected_.end();
        if (in_use) continue;
        if (!oldest || (!t.used && oldest->used) || (t.used == oldest->used && t.stamp < oldest->stamp)) oldest = &t;
    }
    Table& t = *oldest;
    clear(t);
    t.used = true, t.index = index, t.context = context;
    return t;
}

void Tlb::select(u32 index, u64 context) {
    Table& t = table_for(index, context);
    t.stamp = ++now_;
    if (selected_[index] != &t) views_->forget_recent(index);
    selected_[index] = &t;
    views_->index[index] = {u64(t.base), mask_of(t.entries)};
    // Of entries that were never filled, and are zeros, this one alone could be taken for page 0.
    if (t.filled == 0) take_rights(*t.base);
}

void Tlb::clear(Table& t) {
    if (selected_[t.index] == &t) views_->forget_recent(t.index);
    if (t.filled)
        for (u32 n = 0; n < t.entries; ++n) {
            // What was never filled is zeros, and stays untouched.
            if (TlbEntry& e = t.base[n]; n == 0 || e.host) take_rights(e);
        }
    store(t.filled, 0u);
    t.misses = 0;
    t.large_low = ~u64{0}, t.large_high = 0;
}

void Tlb::take_write(TlbEntry& e) { store(e.write, jit::nobodys_page()); }

TlbEntry& Tlb::fill(u32 index, const Page& p) {
    Table& t = *selected_[index];
    if (++t.misses > 2 * t.entries && t.filled > t.entries / 2 && t.entries < most_entries) {
        clear(t);
        store(t.entries, std::min(t.entries * 4, most_entries));
        views_->index[index].mask = mask_of(t.entries);
    }
    u64 address = p.address & ~(page - 1), number = address >> page_bits & (t.entries - 1);
    TlbEntry& e = t.base[number];
    store(t.filled, t.filled + 1);
    // A right never stands beside another page's host address.
    take_rights(e);
    std::atomic_thread_fence(std::memory_order_release);
    store(e.host, p.host);
    if (p.read) store(e.read, address);
    if (p.write) store(e.write, address);
    if (p.fetch) store(e.fetch, address);
    if (p.bits > page_bits) {
        const u64 block = u64{1} << p.bits, low = jit::without_tag(address & ~(block - 1)), high = low | (block - 1);
        t.large_low = std::min(t.large_low, low);
        t.large_high = std::max(t.large_high, high);
        if (p.fetch) {
            code_low_ = std::min(code_low_, low);
            code_high_ = std::max(code_high_, high);
        }
    }
    return e;
}

void Tlb::flush() {
    for (Table& t : tables_) clear(t);
    code_low_ = ~u64{0}, code_high_ = 0;
}

void Tlb::flush_context(u64 context) {
    for (Table& t : tables_)
        if (t.used && t.context == context) clear(t);
}

bool Tlb::flush_address(Table& t, u64 address) {
    if (t.filled == 0) return false;
    const u64 bare = jit::without_tag(address);
    if (bare >= t.large_low && bare <= t.large_high) return clear(t), true;
    u64 number = address >> page_bits & (t.entries - 1);
    take_rights(t.base[number]);
    if (selected_[t.index] == &t) views_->forget_recent(t.index, address);
    return false;
}

bool Tlb::flush_address(u64 address) {
    bool large = is_in_large_code(address);
    for (Table& t : tables_)
        if (t.used) large |= flush_address(t, address);
    return large;
}
bool Tlb::flush_address_in(u64 address, u64 context) {
    bool large = is_in_large_code(address);
    for (Table& t : tables_)
        if (t.used && t.context == context) large |= flush_address(t, address);
    return large;
}

void Tlb::drop_writes(u64 host) {
    for (Table& t : tables_) {
        if (!load(t.filled)) continue;
        const u32 entries = load(t.entries);
        for (u32 n = 0; n < entries; ++n)
            if (load(t.base[n].host) == host) take_write(t.base[n]);
    }
    views_->drop_writes(host);
}

void Tlb::drop_all_writes() {
    for (Table& t : tables_) {
        if (!load(t.filled)) continue;
        const u32 entries = load(t.entries);
        for (u32 n = 0; n < entries; ++n)
            if (load(t.base[n].host)) take_write(t.base[n]);
    }
    views_->drop_all_writes();
}

} // namespace mimic::cpu
