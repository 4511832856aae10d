// Regions of the code memory: giving up the oldest, and waiting until nobody runs it.
#include "base/check.hpp"
#include "cpu/space.hpp"

namespace mimic::cpu {

Result<void> CodeSpace::Impl::start_cache() {
    u8* code = cache->code();
    TRY(backend->emit_shared(code, cache->writable(code), u32(jit::CodeCache::head_bytes)));
    return {};
}

// No vCPU is inside since before epoch `since`.
bool CodeSpace::Impl::quiescent(u64 since) const {
    for (const Cpu* c : cpus) {
        u64 inside = c->inside_.load(std::memory_order_seq_cst);
        if (inside != 0 && inside < since) return false;
    }
    return true;
}

// Goes on with the next region. The lock may be given up meanwhile; then another thread may have done it.
void CodeSpace::Impl::next_region(std::unique_lock<std::mutex>& lock) {
    u32 at = current, next = (current + 1) % u32(regions.size());
    Region& r = regions[next];
    if (!r.translations.empty() || !r.plain.empty()) {
        if (r.given_up == 0) give_up(r);
        if (!quiescent(r.given_up)) {
            ++counters.waits;
            ++waiting;
            while (current == at && !quiescent(r.given_up)) {
                kick_inside();
                outside.wait(lock);
            }
            --waiting;
            if (current != at) return;
        }
    }
    r.translations.clear(), r.plain.clear(); // their memory is the arena's
    r = {};
    current = next;
    if (cache) {
        auto ready = cache->next_region();
        MIMIC_CHECK(ready, "memory for translated code cannot be mapped again"); // no way on without it
    }
    // Early, so that everybody has left it when its turn comes.
    Region& after = regions[(next + 1) % regions.size()];
    if (regions.size() > 2 && (!after.translations.empty() || !after.plain.empty())) {
        give_up(after);
        kick_inside();
    }
}

// Of units that are kept as IR: their memory has the bound that code has.
bool CodeSpace::Impl::region_is_full() const {
    u64 most = options.code_bytes / regions.size() * (options.verify ? 16 : 1);
    return regions[current].plain_bytes > most;
}

// Its code is not entered any more.
void CodeSpace::Impl::give_up(Region& r) {
    ++counters.evictions;
    for (auto* list : {&r.translations, &r.plain})
        for (auto& t : *list) drop(t.get());
    leave_pages();
    r.given_up = epoch.fetch_add(1, std::memory_order_seq_cst) + 1;
}

} // namespace mimic::cpu
