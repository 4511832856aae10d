#include "jit/tlb.hpp"
#include <atomic>
#include <sys/random.h>

namespace mimic::jit {

u64 nobodys_page() {
    static const u64 page = [] {
        u64 chance = 0;
        if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) != ssize_t(sizeof chance))
            chance = u64(&chance) * 0x9e3779b97f4a7c15;
        return (chance >> 2 | u64{1} << 62) & ~((u64{1} << tlb_page_bits) - 1);
    }();
    return page;
}

namespace {
void store(u64& to, u64 v) { __atomic_store_n(&to, v, __ATOMIC_RELAXED); }
u64 load(const u64& from) { return __atomic_load_n(&from, __ATOMIC_RELAXED); }
} // namespace

void TlbViews::forget_recent(u32 n) {
    for (TlbRecent& r : recent[n]) store(r.read, nobody), store(r.write, nobody);
}
void TlbViews::forget_recent(u32 n, u64 address) {
    const u64 page = without_tag(address) >> tlb_page_bits;
    auto is_it = [page, this](u64 right) { return right != nobody && without_tag(right) >> tlb_page_bits == page; };
    for (TlbRecent& r : recent[n]) {
        if (is_it(load(r.read))) store(r.read, nobody);
        if (is_it(load(r.write))) store(r.write, nobody);
    }
}

// Whoever copies an entry looks at its right once more when the copy is there: one of us sees the other.
void TlbViews::drop_writes(u64 host) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    for (auto& of_index : recent)
        for (TlbRecent& r : of_index)
            if (load(r.host) == host) store(r.write, nobody);
}
void TlbViews::drop_all_writes() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    for (auto& of_index : recent)
        for (TlbRecent& r : of_index) store(r.write, nobody);
}

} // namespace mimic::jit
