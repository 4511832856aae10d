// Units from a store instead of a translation, and units for it.
#include "base/check.hpp"
#include "cpu/space.hpp"
#include <algorithm>
#include <array>
#include <cstring>

namespace mimic::cpu {

namespace {

template <class T>
void append(std::vector<u8>& out, const T& t) {
    const u8* p = reinterpret_cast<const u8*>(&t);
    out.insert(out.end(), p, p + sizeof t);
}

// Room for so many more at the end, which must be fit for them.
template <class T>
T* grow(std::vector<u8>& out, u64 count) {
    const u64 before = out.size();
    out.resize(before + count * sizeof(T));
    return reinterpret_cast<T*>(out.data() + before);
}

void add_at(u8* at, u32 more) {
    u32 v;
    std::memcpy(&v, at, 4);
    v += more;
    std::memcpy(at, &v, 4);
}

} // namespace

// Code goes to its place, and what depends on that is made to fit. False: a record makes no sense here.
bool CodeSpace::Impl::place_code(const SavedUnit& u, u8* code, u32 first_link) {
    u8* to = cache->writable(code);
    std::memcpy(to, u.code.data(), u.code.size());
    const u32 distance = u32(u64(cache->links() + first_link) - u64(code));
    for (u32 r : u.references) {
        u8* place = to + (r & ~saved::is_record);
        if (!(r & saved::is_record)) {
            add_at(place, distance);
            continue;
        }
        u32 at, number;
        std::memcpy(&at, place, 4);
        auto record = u.record(at);
        if (record.empty() || !backend->load_record(record, number)) return false;
        std::memcpy(place, &number, 4);
    }
    return true;
}

void CodeSpace::Impl::fill(Translation& t, const SavedUnit& u, const u8* code, u32 first_link) {
    t.code = code;
    t.bytes = u32(u.code.size());
    u8* room = regions[current].arena.room(u.faults.size_bytes() + u.owed.size_bytes() + u.entries.size_bytes());
    auto keep = [&room]<class T>(std::span<const T> what) {
        std::memcpy(room, what.data(), what.size_bytes());
        const auto* at = reinterpret_cast<const T*>(room);
        room += what.size_bytes();
        return std::span(at, what.size());
    };
    t.stored_faults = keep(u.faults), t.stored_owed = keep(u.owed), t.stored_entries = keep(u.entries);
    t.first_link = first_link;
    t.link_count = u32(u.edges.size());
    for (u32 k = 0; k < t.link_count; ++k) {
        const saved::Edge& e = u.edges[k];
        const bool counts = jit::Emitted::Word(e.word) == jit::Emitted::Word::count;
        (*links)[first_link + k] = {&t, e.pc, e.mode, e.stub, e.counted != 0};
        __atomic_store_n(&cache->links()[first_link + k], counts ? options.whole_after : u64(code + e.stub),
                         __ATOMIC_RELEASE);
    }
}

// saved::Head::made_from: of what the translation saw, or (seen is null) of what stands there now. Bytes between a unit's
// blocks that nobody looked at are taken as they are; so all count alike.
// What can't be fetched now matches nothing.
Sha256Digest CodeSpace::Impl::hash_of(const Translation& t, const Snapshot* seen) {
    Sha256 hash;
    bool all = true;
    auto add = [&](u64 low, u64 high) {
        hashed.resize(std::max<u64>(hashed.size(), high - low));
        const std::span bytes(hashed.data(), high - low);
        if (!seen || !seen->read(low, bytes)) {
            const u32 n = source.fetch(low, bytes.data(), u32(bytes.size()));
            std::memset(bytes.data() + n, 0, bytes.size() - n);
            all &= n == bytes.size() || seen;
            if (seen) seen->put_over(low, bytes);
        }
        hash.add(bytes);
    };
    add(t.low, t.high);
    for (const ExitFlags::Range& r : t.relies_on) add(r.low, r.high);
    return all ? hash.digest() : Sha256Digest{};
}

// Is there an entry at pc in a unit that was taken already?
bool CodeSpace::Impl::enter_restored(u64 pc, u32 mode, u64 own) {
    Node* n = own != pc ? known(mode, own) : nullptr;
    if (!n) return false;
    Translation& t = *n->translation;
    for (const saved::Entry& e : t.stored_entries)
        if (t.low + e.pc == pc) return add_node(pc, e.block, t.code + e.offset, &t) != nullptr;
    return false;
}

// A unit of the store that may be entered at pc becomes ours, if it says that it has one. User mode only, where places are
// pcs.
CodeSpace::Impl::Restored CodeSpace::Impl::restore(u64 pc, u32 mode, const UnitStore::Said& said) {
    if (said.has != UnitStore::Has::unit || guards || breakpoint_count) return Restored::no;
    if (enter_restored(pc, mode, said.unit)) return Restored::yes;
    SavedUnit u;
    if (!options.store->take(said, pc, mode, stored_unit, u) || u.head.mode != mode) return Restored::no;
    if (u.head.flavour != flavour_at(u.head.pc, u.head.pc) || !backend) return Restored::no;
    Arena& arena = regions[current].arena;
    u8* mark = arena.mark();
    TranslationOf t(arena.make<Translation>());
    auto without = [&](Restored why) {
        discard(*t);
        t.reset();
        arena.back_to(mark);
        return why;
    };
    t->pc = t->place = u.head.pc, t->mode = mode, t->flavour = u.head.flavour, t->whole = u.head.whole != 0;
    t->low = u.head.low, t->high = u.head.high;
    for (const saved::Range& r : u.ranges) t->relies_on.push_back({r.low, r.high});
    // Once its pages are watched, what is found there stays true until somebody tells of a write.
    if (enter_pages(*t) == Watch::not_watched || hash_of(*t, nullptr) != u.head.made_from) {
        return without(Restored::no);
    }
    u64 room = 0;
    auto space = cache->room(room);
    MIMIC_CHECK(space, "memory for translated code cannot be mapped again");
    if (room < u.code.size() || cache->links_left() < u.edges.size()) { return without(Restored::no_room); }
    const u32 first_link = cache->next_link();
    if (!place_code(u, *space, first_link)) { return without(Restored::no); }
    cache->commit(u.code.size());
    cache->commit_links(u32(u.edges.size()));
    fill(*t, u, *space, first_link);
    for (const saved::Entry& e : u.entries) // the others when somebody comes: most are never entered
        if ((u.pc_of(e) == pc || u.pc_of(e) == t->pc) && !known(mode, u.pc_of(e)))
            add_node(u.pc_of(e), e.block, t->code + e.offset, t.get());
    ++counters.restored;
    if (options.on_code) options.on_code(options.owner, t->code, t->bytes, t->pc);
    taken.push_back(t.get());
    regions[current].translations.push_back(std::move(t));
    return Restored::yes;
}

// What the unit goes on to, too: it is met next. False: no more for now.
bool CodeSpace::Impl::restore_next(Translation& t) {
    struct Next {
        u64 pc;
        u32 mode;
        UnitStore::Said said;
    };
    std::array<Next, 16> next; // more edges have few
    u32 count = 0;
    for (u32 k = 0; k < t.link_count && count < next.size(); ++k) {
        const Link& l = (*links)[t.first_link + k];
        if (exists(l.mode, l.pc)) continue;
        Next& n = next[count] = {l.pc, l.mode, options.store->look(l.pc, l.mode)};
        if (n.said.has != UnitStore::Has::unit) continue;
        options.store->fetch(n.said);
        ++count;
    }
    for (const Next& n : std::span(next).first(count)) {
        if (exists(n.mode, n.pc)) continue; // two edges go there
        if (restore(n.pc, n.mode, n.said) == Restored::no_room || taken.size() >= most_taken) return false;
    }
    return true;
}

// The edges of what was taken go to their targets at once, where these are there: each would come back to C++ for it.
void CodeSpace::Impl::link_restored() {
    for (Translation* t : taken)
        for (u32 k = t->first_link; k < t->first_link + t->link_count; ++k) {
            const Link& l = (*links)[k];
            Node* to = known(l.mode, l.pc);
            const u32 next = l.counted ? 2 : 0; // its further words
            if (to && to->code && may_link(l, *to)) set_link(k, *to);
            k += next;
        }
    taken.clear();
}

CodeSpace::Impl::Stored CodeSpace::Impl::take_stored(u64 pc, u32 mode) {
    std::unique_lock lock(mutex);
    for (;;) {
        if (exists(mode, pc)) return Stored::taken;
        const UnitStore::Said said = options.store->look(pc, mode);
        const Restored r = restore(pc, mode, said);
        if (r == Restored::no_room && cache->used() != 0) { // else it is longer than a region
            next_region(lock);
            continue;
        }
        if (r == Restored::yes) {
            u64 bytes = 0;
            for (u32 n = 0; n < taken.size() && bytes < most_taken_bytes && restore_next(*taken[n]); ++n)
                bytes += taken[n]->high - taken[n]->low;
            link_restored();
            continue;
        }
        if (said.has == UnitStore::Has::ran) return Stored::ran;
        if (said.has == UnitStore::Has::nothing && ran.size() < most_ran) ran.push_back(pc);
        return Stored::nothing;
    }
}

// Of a fault at this offset of its code.
jit::Emitted::Fault Translation::fault_at(u32 offset) const {
    auto before = [offset](const auto& all) {
        auto it = std::upper_bound(all.begin(), all.end(), offset, [](u32 o, const auto& f) { return o < f.offset; });
        MIMIC_CHECK(it != all.begin(), "a fault at an instruction that may not fault");
        return std::prev(it);
    };
    if (own) return *before(own->faults);
    auto it = before(stored_faults);
    jit::Emitted::Fault f{it->offset, it->mode, low + it->pc, {}};
    const u32 number = u32(it - stored_faults.begin());
    auto owed = std::lower_bound(stored_owed.begin(), stored_owed.end(), number,
                                 [](const saved::Owed& o, u32 n) { return o.fault < n; });
    if (owed != stored_owed.end() && owed->fault == number)
        f.owed = {owed->what[0], owed->what[1], owed->what[2], owed->what[3]};
    return f;
}

// Of a unit's code, for the store: what it calls, then the code itself. False: a record can't be saved.
bool CodeSpace::Impl::save_code(const Translation& t, std::vector<u8>& out, saved::Head& h) {
    const u64 records = out.size();
    std::vector<u8> record;
    std::vector<std::pair<u32, u32>> places; // in the code, and among the records
    for (const jit::Emitted::Reference& r : t.own->references) {
        if (!r.is_record) continue;
        u32 number;
        std::memcpy(&number, t.code + r.offset, 4);
        record.clear();
        if (!backend->save_record(number, record)) return false;
        places.emplace_back(r.offset, u32(out.size() - records));
        append(out, u32(record.size()));
        out.insert(out.end(), record.begin(), record.end());
    }
    h.record_bytes = u32(out.size() - records), h.code_bytes = t.bytes;
    const u64 code = out.size();
    out.insert(out.end(), t.code, t.code + t.bytes);
    const u32 distance = u32(u64(cache->links() + t.first_link) - u64(t.code));
    for (const jit::Emitted::Reference& r : t.own->references)
        if (!r.is_record) add_at(out.data() + code + r.offset, -distance);
    for (auto [offset, at] : places) std::memcpy(out.data() + code + offset, &at, 4);
    return true;
}

void CodeSpace::Impl::save_edges(const Translation& t, std::vector<u8>& out) {
    using Word = jit::Emitted::Word;
    saved::Edge* to = grow<saved::Edge>(out, t.link_count);
    for (u32 k = 0; k < t.link_count; ++k) {
        const Link& l = (*links)[t.first_link + k];
        auto counted = [&](u32 back) { return k >= back && (*links)[t.first_link + k - back].counted; };
        const Word word = counted(1) ? Word::counted : counted(2) ? Word::count : Word::target;
        to[k] = {l.pc, l.stub, u16(l.mode), u8(word), u8(l.counted)};
    }
}

bool CodeSpace::Impl::save_faults(const Translation& t, std::vector<u8>& out, saved::Head& h) {
    const auto& faults = t.own->faults;
    h.faults = u32(faults.size());
    saved::Fault* to = grow<saved::Fault>(out, h.faults);
    for (const jit::Emitted::Fault& f : faults) {
        if (f.mode > 0xffff || f.pc < t.low || f.pc >= t.high) return false;
        *to++ = {f.offset, u16(f.pc - t.low), u16(f.mode)};
    }
    for (u32 n = 0; n < h.faults; ++n) {
        const jit::Emitted::Owed& o = faults[n].owed;
        if ((o.nans | o.f64 | o.bare | o.late) == 0) continue;
        append(out, saved::Owed{n, {o.nans, o.f64, o.bare, o.late}});
        ++h.owed;
    }
    return true;
}

// Appends it. False: it can't be saved, and what was appended is for nothing.
bool CodeSpace::Impl::save(const Translation& t, saved::Head& h, std::vector<u8>& b) {
    if (!t.valid || t.checked || t.mode > 0xffff || !t.code || t.high - t.low > saved::most_guest_bytes) return false;
    const u64 at = b.size();
    h = {.pc = t.pc, .low = t.low, .high = t.high, .mode = t.mode, .flavour = t.flavour};
    h.guest_insns = t.guest_insns, h.whole = t.whole, h.made_from = t.own->made_from;
    h.edges = t.link_count, h.ranges = u32(t.relies_on.size()), h.references = u32(t.own->references.size());
    grow<saved::Head>(b, 1); // written last
    save_edges(t, b);
    saved::Range* ranges = grow<saved::Range>(b, h.ranges);
    for (const ExitFlags::Range& r : t.relies_on) *ranges++ = {r.low, r.high};
    u64 own = 0; // its own entry may have become another unit's, or have been one's before
    for (const Node* n = t.first_node; n; n = n->sibling)
        if (n->valid && n->pc >= t.low && n->pc < t.high) {
            if (h.entries++ == 0) own = n->pc;
            append(b, saved::Entry{u32(n->code - t.code), u16(n->pc - t.low), u16(n->block)});
        }
    if (h.entries == 0 || own != t.pc || !save_faults(t, b, h)) return false;
    u32* references = grow<u32>(b, h.references);
    for (const jit::Emitted::Reference& r : t.own->references)
        *references++ = r.offset | (r.is_record ? saved::is_record : 0);
    std::sort(references - h.references, references,
              [](u32 x, u32 y) { return (x & ~saved::is_record) < (y & ~saved::is_record); });
    if (!save_code(t, b, h)) return false;
    std::memcpy(b.data() + at, &h, sizeof h);
    return true;
}

void CodeSpace::new_units(const std::function<void(u64 low, u64 number)>& take,
                          const std::function<void(u64 pc, u64 number)>& ran) const {
    std::lock_guard lock(impl_->mutex);
    const Impl& s = *impl_;
    for (const Region& r : s.regions)
        for (const auto& t : r.translations)
            if (t->valid && t->made > s.older_units && !t->checked && t->high - t->low <= saved::most_guest_bytes)
                take(t->low, t->made);
    for (u64 n = 0; n < s.ran.size(); ++n) ran(s.ran[n], n + 1);
}

std::pair<u64, u64> CodeSpace::last_units() const {
    std::lock_guard lock(impl_->mutex);
    return {impl_->counters.units, impl_->ran.size()};
}

void CodeSpace::save_units(const std::function<std::vector<u8>*(u64 low)>& into,
                           const std::function<void(const saved::Head& head, u64 number)>& take,
                           const std::function<void(u64 pc)>& ran) {
    Impl& s = *impl_;
    std::lock_guard lock(s.mutex);
    if (!s.options.store || s.guards) return;
    saved::Head head;
    for (const Region& r : s.regions)
        for (const auto& t : r.translations) {
            std::vector<u8>* to = t->made != 0 && t->valid ? into(t->low) : nullptr;
            if (!to) continue;
            const u64 before = to->size();
            if (s.save(*t, head, *to))
                take(head, t->made > s.older_units ? t->made : 0);
            else
                to->resize(before);
        }
    for (u64 pc : s.ran) ran(pc);
}

void CodeSpace::units_are_others() {
    std::lock_guard lock(impl_->mutex);
    impl_->older_units = impl_->counters.units;
    impl_->ran.clear();
}

std::string CodeSpace::host() const {
    const Impl& s = *impl_;
    if (!s.backend) return {};
    const Options& o = s.options;
    return fmt::format("{} model {} whole after {} tags {} base {}", s.backend->host(), u32(s.address_model()),
                       o.whole_after, o.top_byte_ignored, o.guest_base != 0);
}

} // namespace mimic::cpu
