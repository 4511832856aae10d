// Guest pages that code was made from: invalidation, and pages that guests write while code in them runs.
//
// A page that may be written is write-protected as long as there is code of it; a write drops that code. A page that
// this happened to `writes_to_busy` times is busy: it stays writable, and units of it compare their own bytes when they
// are entered. When no unit of it was found changed for a while (counted in exits from translated code), it is a page
// like others again; each time, the while doubles.
#include "cpu/space.hpp"
#include <algorithm>

namespace mimic::cpu {

namespace {

constexpr u32 writes_to_busy = 8, exits_a_look = 1024;
constexpr u64 longest_calm = u64{1} << 24;

} // namespace

// Not found any more, by look-up or jump cache.
void CodeSpace::Impl::hide(Node& n) {
    n.valid.store(false, std::memory_order_seq_cst);
    table.remove(n);
    if (backend && !stepwise)
        for (Cpu* c : cpus) c->map_ ? c->map_->forget_jump(n.pc) : backend->clear_jump(&c->header(), n.pc);
}

// Not found any more, by look-up, link word or jump cache. What runs it goes on until it leaves.
void CodeSpace::Impl::drop(Translation* t) {
    if (!t->valid) return;
    t->valid = false;
    for (Node* n = t->first_node; n; n = n->sibling) hide(*n);
    auto leads_here = [&](u32 k) {
        return __atomic_load_n(&cache->links()[k], __ATOMIC_RELAXED) - u64(t->code) < t->bytes;
    };
    auto unlink = [&](u32 k, const Link& l) {
        if (l.from) __atomic_store_n(&cache->links()[k], u64(l.from->code + l.stub), __ATOMIC_RELEASE);
    };
    for (u32 k : t->incoming)
        if (leads_here(k)) unlink(k, link(k));
    t->incoming.clear();
    // Its own edges may be linked to each other from the start (cpu/unit_group.hpp): loops through them end here.
    for (u32 k = 0; t->code && k < t->link_count; ++k)
        if (leads_here(t->first_link + k)) unlink(t->first_link + k, t->link(k));
}

void CodeSpace::Impl::drop_of_modes(u32 bits) {
    for (Region& r : regions)
        for (auto* list : {&r.translations, &r.plain})
            for (auto& t : *list)
                if (t->mode & bits) drop(t.get());
    poll_inside();
}

// Of a machine, before it is read: what is fetched then is what the unit is made of.
void CodeSpace::Impl::watch_page(u64 place) {
    const u64 number = place >> page_bits;
    CodePage& page = page_of(number);
    if (source.protect_code(number << page_bits, false) == Watch::from_now) unsettle(number, page);
}

// anew, from_now: the unit is to be translated again, since a page of it was not watched until now; not_watched: since it needs
// a check.
Watch CodeSpace::Impl::enter_pages(Translation& t) {
    Watch all = enter_range(t, t.low, t.high);
    for (const ExitFlags::Range& r : t.relies_on) all = std::max(all, enter_range(t, r.low, r.high));
    return all;
}

Watch CodeSpace::Impl::enter_range(Translation& t, u64 low, u64 high) {
    Watch all = Watch::as_before;
    for (u64 number = low >> page_bits; high > low && number <= (high - 1) >> page_bits; ++number) {
        CodePage& page = page_of(number);
        page.taken |= !t.own;
        const auto& there = page.translations;
        // Whoever ends the watching drops all code of the page.
        const bool watched = !options.paged && !page.busy && !there.empty() && there.back()->valid;
        Watch w = watched ? Watch::as_before : source.protect_code(number << page_bits, page.busy);
        if (w == Watch::not_watched && !page.busy) make_busy(number, page);
        if (w == Watch::from_now && options.paged) unsettle(number, page);
        if (page.busy) w = t.checked ? Watch::as_before : Watch::not_watched;
        all = std::max(all, w);
        if (there.empty() || there.back() != &t) page.translations.push_back(&t);
    }
    return all;
}

// Forgets what was dropped, before it is freed.
void CodeSpace::Impl::leave_pages() {
    last_page = {};
    for (auto it = pages.begin(); it != pages.end();) {
        CodePage& page = it->second;
        std::erase_if(page.translations, [](Translation* t) { return !t->valid; });
        if (options.paged && page.translations.empty()) source.release_code(it->first << page_bits);
        bool unused = !page.unsettled && page.translations.empty() && page.writes == 0 && !page.busy;
        it = unused ? pages.erase(it) : std::next(it);
    }
}

// A translation that nobody has seen yet goes away.
void CodeSpace::Impl::discard(Translation& t) {
    auto leave = [&](u64 low, u64 high) {
        for (u64 number = low >> page_bits; high > low && number <= (high - 1) >> page_bits; ++number)
            if (auto it = pages.find(number); it != pages.end()) std::erase(it->second.translations, &t);
    };
    leave(t.low, t.high);
    for (const ExitFlags::Range& r : t.relies_on) leave(r.low, r.high);
}

// ---- pages of machines that could be written until now

void CodeSpace::Impl::unsettle(u64 number, CodePage& page) {
    if (!page.unsettled) unsettled.push_back(number);
    page.unsettled = epoch.fetch_add(1, std::memory_order_seq_cst) + 1;
    unsettled_count = u32(unsettled.size());
}

bool CodeSpace::Impl::is_unsettled(u64 place, u64 second) const {
    auto is = [this](u64 at) {
        auto it = pages.find(at >> page_bits);
        return it != pages.end() && it->second.unsettled;
    };
    return unsettled_count && (is(place) || (second && is(second)));
}

bool CodeSpace::Impl::changed(const Translation& t) {
    std::vector<u8> now(t.own->seen.size());
    if (options.paged)
        fetch_paged(t, t.low - t.place + t.pc, now);
    else
        now.resize(source.fetch(t.low, now.data(), u32(now.size())));
    return now != t.own->seen;
}

void CodeSpace::settle() {
    Impl& s = *impl_;
    if (!s.unsettled_count.load(std::memory_order_seq_cst)) return;
    std::lock_guard lock(s.mutex);
    std::erase_if(s.unsettled, [&](u64 number) {
        auto it = s.pages.find(number);
        if (it == s.pages.end()) return true;
        CodePage& page = it->second;
        bool all_told = s.quiescent(page.unsettled); // before the bytes are looked at
        std::atomic_thread_fence(std::memory_order_seq_cst);
        std::erase_if(page.translations, [&](Translation* t) {
            if (t->valid && !t->own->seen.empty() && s.changed(*t)) s.drop(t);
            return !t->valid;
        });
        if (all_told) page.unsettled = 0;
        return all_told;
    });
    s.unsettled_count = u32(s.unsettled.size());
}

// ----

bool CodeSpace::Impl::is_busy(u64 low, u64 high) {
    for (u64 number = low >> page_bits; number <= (high - 1) >> page_bits; ++number)
        if (auto it = pages.find(number); it != pages.end() && it->second.busy) return true;
    return false;
}

bool CodeSpace::Impl::drop_in(CodePage& page, u64 low, u64 high) {
    bool any = false;
    std::erase_if(page.translations, [&](Translation* t) {
        if (!t->valid) return true;
        bool hit = t->high > low && t->low < high;
        for (const ExitFlags::Range& r : t->relies_on) hit |= r.high > low && r.low < high;
        if (!hit) return false;
        drop(t);
        return any = true;
    });
    return any;
}

void CodeSpace::Impl::note_write(u64 number, CodePage& page) {
    if (!options.paged && !page.busy && ++page.writes >= writes_to_busy) make_busy(number, page);
}

void CodeSpace::Impl::make_busy(u64 number, CodePage& page) {
    page.busy = true;
    page.changed = exits.load(std::memory_order_relaxed);
    busy_pages.push_back(number);
    busy = u32(busy_pages.size());
    ++counters.busy_pages;
}

void CodeSpace::invalidate(u64 low, u64 high) {
    if (low >= high) return;
    Impl& s = *impl_;
    std::lock_guard lock(s.mutex);
    bool any = false;
    u64 first = low >> Impl::page_bits, last = (high - 1) >> Impl::page_bits;
    auto page = [&](u64 number, CodePage& p) {
        bool dropped = s.drop_in(p, low, high);
        if (s.options.paged && p.translations.empty()) s.source.release_code(number << Impl::page_bits);
        if (!dropped) return;
        any = true;
        s.note_write(number, p);
    };
    if (last - first > s.pages.size()) {
        for (auto& [number, p] : s.pages)
            if (number >= first && number <= last) page(number, p);
    } else {
        for (u64 number = first; number <= last; ++number)
            if (auto it = s.pages.find(number); it != s.pages.end()) page(number, it->second);
    }
    if (any) s.poll_inside();
}

void CodeSpace::flush(u64 low, u64 high) {
    Impl& s = *impl_;
    if (low >= high || s.busy.load(std::memory_order_relaxed) == 0) return;
    std::lock_guard lock(s.mutex);
    bool any = false;
    for (u64 number : s.busy_pages) {
        if (number < low >> Impl::page_bits || number > (high - 1) >> Impl::page_bits) continue;
        CodePage& page = s.pages.at(number);
        std::erase_if(page.translations, [&](Translation* t) {
            if (!t->valid) return true;
            if (t->high <= low || t->low >= high || !t->own || t->own->seen.empty() || !s.changed(*t)) return false;
            s.drop(t);
            page.changed = s.exits.load(std::memory_order_relaxed);
            return any = true;
        });
    }
    if (any) s.poll_inside();
}

void CodeSpace::guard_pages() {
    {
        std::lock_guard lock(impl_->mutex);
        if (impl_->guards) return;
        impl_->guards = true;
    }
    invalidate_all();
}

void CodeSpace::invalidate_all() {
    Impl& s = *impl_;
    std::lock_guard lock(s.mutex);
    for (auto& [number, p] : s.pages)
        for (Translation* t : p.translations) s.drop(t);
    if (s.options.paged)
        for (auto& [number, p] : s.pages) s.source.release_code(number << Impl::page_bits);
    for (Region& r : s.regions)
        for (auto* list : {&r.translations, &r.plain})
            for (auto& t : *list) s.drop(t.get());
    s.pages.clear(), s.last_page = {};
    s.unsettled.clear(), s.unsettled_count = 0;
    s.busy_pages.clear(), s.busy = 0;
    s.poll_inside();
}

// Whoever runs a unit that was dropped leaves it: by its next branch to another one, which is no dropped one, or where its loops
// poll. The jump caches have lost it (hide), so a program's stay as they are: filling them anew costs more than the rest.
void CodeSpace::Impl::poll_inside() {
    if (!options.paged) dropped = epoch.fetch_add(1, std::memory_order_seq_cst) + 1;
    for (Cpu* c : cpus)
        if (c->inside_.load(std::memory_order_seq_cst)) c->map_ ? c->request(Cpu::internal) : c->poll(Cpu::internal);
}

void CodeSpace::await_dropped() {
    Impl& s = *impl_;
    const u64 since = s.dropped.load(std::memory_order_seq_cst);
    std::unique_lock lock(s.mutex);
    ++s.waiting;
    while (!s.quiescent(since)) {
        s.kick_inside();
        s.outside.wait(lock);
    }
    --s.waiting;
}

// Everybody comes out of translated code.
void CodeSpace::Impl::kick_inside() {
    for (Cpu* c : cpus)
        if (c->inside_.load(std::memory_order_seq_cst)) c->request(Cpu::internal);
}

// A unit of a busy page found that its bytes are others now.
void CodeSpace::Impl::unit_changed(u64 place, u32 mode) {
    std::lock_guard lock(mutex);
    Node* n = find(mode, place);
    if (!n || !n->translation->checked) return;
    Translation* t = n->translation;
    drop(t);
    ++counters.stale_units;
    for (u64 number = t->low >> page_bits; number <= (t->high - 1) >> page_bits; ++number) {
        auto it = pages.find(number);
        if (it == pages.end()) continue;
        it->second.changed = exits.load(std::memory_order_relaxed);
        std::erase_if(it->second.translations, [](Translation* x) { return !x->valid; });
    }
    poll_inside(); // whoever runs a loop of it
}

// Called now and then while there are busy pages: those that nobody writes any more get plain code again.
void CodeSpace::Impl::calm_down() {
    if (exits.fetch_add(1, std::memory_order_relaxed) % exits_a_look) return;
    std::lock_guard lock(mutex);
    u64 now = exits.load(std::memory_order_relaxed);
    bool any = false;
    std::erase_if(busy_pages, [&](u64 number) {
        CodePage& page = pages.at(number);
        if (now - page.changed < page.calm_after) return false;
        page.busy = false;
        page.writes = 0;
        page.calm_after = std::min(2 * page.calm_after, longest_calm);
        any |= drop_in(page, 0, ~u64{0});
        return true;
    });
    busy = u32(busy_pages.size());
    if (any) poll_inside();
}

} // namespace mimic::cpu
