// Units from a store instead of a translation, and units for it.
#include "base/check.hpp"
#include "cpu/space.hpp"
#include <algorithm>
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

// The copy of the code that was taken is made to fit its place. False: a record makes no sense here.
bool CodeSpace::Impl::place_code(const SavedUnit& u, const u8* code, u32 first_link) {
    u8* own = const_cast<u8*>(u.code.data()); // of stored_unit
    const u32 distance = u32(u64(cache->links() + first_link) - u64(code));
    std::vector<std::pair<u32, u32>> records; // places among the records, numbers
    for (u32 r : u.references) {
        u8* place = own + (r & ~saved::is_record);
        if (!(r & saved::is_record)) {
            add_at(place, distance);
            continue;
        }
        u32 at;
        std::memcpy(&at, place, 4);
        auto known = std::find_if(records.begin(), records.end(), [at](auto& k) { return k.first == at; });
        if (known == records.end()) {
            const auto record = u.record(at);
            u32 number;
            if (record.empty() || !backend->load_record(record, number)) return false;
            known = records.insert(known, {at, number});
        }
        std::memcpy(place, &known->second, 4);
    }
    return true;
}

// Code, link words and what is kept of the rest go to their places, by the kernel: most of their pages are new.
void CodeSpace::Impl::fill(Translation& t, const SavedUnit& u, const u8* code, u32 first_link) {
    const std::span<const u8> kept = u.kept();
    u8* room = regions[current].arena.room(kept.size());
    const SavedUnit there = u.with_kept_at(room);
    t.stored_edges = there.edges, t.stored_entries = there.entries;
    t.stored_faults = there.faults, t.stored_owed = there.owed;
    t.code = code, t.bytes = u32(u.code.size());
    t.first_link = first_link, t.link_count = u32(u.edges.size());
    stored_words.clear();
    for (const saved::Edge& e : u.edges) {
        const bool counts = jit::Emitted::Word(e.word) == jit::Emitted::Word::count;
        stored_words.push_back(counts ? options.whole_after : u64(code + (e.to == e.nowhere ? e.stub : e.to)));
    }
    const process::Copy all[] = {{cache->writable(code), u.code.data(), u.code.size()},
                                 {cache->links() + first_link, stored_words.data(), stored_words.size() * 8},
                                 {room, kept.data(), kept.size()}};
    process::copy_to_new(all);
    touch_to_read(code, u.code.size());
}

// saved::Head::made_from: of what the translation saw. Bytes between a unit's blocks that nobody looked at are taken as they
// are; so all count alike.
Sha256Digest CodeSpace::Impl::hash_of(const Translation& t) {
    Sha256 hash;
    auto add = [&](u64 low, u64 high) {
        hashed.resize(std::max<u64>(hashed.size(), high - low));
        const std::span bytes(hashed.data(), high - low);
        if (!snapshot.read(low, bytes)) {
            const u32 n = source.fetch(low, bytes.data(), u32(bytes.size()));
            std::memset(bytes.data() + n, 0, bytes.size() - n);
            snapshot.put_over(low, bytes);
        }
        hash.add(bytes);
    };
    add(t.low, t.high);
    for (const ExitFlags::Range& r : t.relies_on) add(r.low, r.high);
    return hash.digest();
}

// Do the guest's bytes that such units were made from stand there now?
bool CodeSpace::Impl::is_made_from_now(const SavedUnit& u) {
    auto fetch = [this](u64 low, u64 high) {
        hashed.resize(std::max<u64>(hashed.size(), high - low));
        return source.fetch(low, hashed.data(), u32(high - low)) == high - low;
    };
    const saved::Head& h = u.head;
    if (!fetch(h.low, h.high)) return false;
    Sha256 hash;
    if (h.runs == 0) hash.add(std::span(hashed).first(h.high - h.low));
    for (const saved::Range& r : u.ranges.first(h.runs))
        hash.add(std::span(hashed).subspan(r.low - h.low, r.high - r.low));
    for (const saved::Range& r : u.ranges.subspan(h.runs)) {
        if (!fetch(r.low, r.high)) return false;
        hash.add(std::span(hashed).first(r.high - r.low));
    }
    return hash.digest() == h.made_from;
}

// An entry of units that were taken already, whether somebody has come to it or not.
const saved::Entry* CodeSpace::Impl::taken_entry(u64 pc, u32 mode, Translation*& of) const {
    auto page = pages.find(pc >> page_bits);
    if (page == pages.end() || !page->second.taken) return nullptr;
    for (Translation* t : page->second.translations) {
        if (t->stored_entries.empty() || !t->valid || t->mode != mode) continue;
        if (const saved::Entry* e = find_entry(t->stored_entries, t->low, pc)) return of = t, e;
    }
    return nullptr;
}

// From now on it is found. False: there is none.
bool CodeSpace::Impl::enter_taken(u64 pc, u32 mode) {
    Translation* t = nullptr;
    const saved::Entry* e = taken_entry(pc, mode, t);
    return e && add_node(pc, 0, t->code + e->offset, t, e->whole != 0);
}

// Units of the store one of which may be entered at pc become ours, if it says that it has such. User mode only, where places are
// pcs.
CodeSpace::Impl::Restored CodeSpace::Impl::restore(u64 pc, u32 mode, const UnitStore::Said& said) {
    if (said.has != UnitStore::Has::unit || guards || breakpoint_count) return Restored::no;
    const u64 name = u64{said.at} << 32 ^ pc >> page_bits;
    if (other_bytes.contains(name)) return Restored::no;
    SavedUnit u;
    if (!options.store->take(said, pc, mode, stored_unit, u) || u.head.mode != mode) return Restored::no;
    if (u.head.flavour != flavour_at(u.head.pc, u.head.pc) || !backend) return Restored::no;
    touch_heap(heap_top);
    Arena& arena = regions[current].arena;
    u8* mark = arena.mark();
    TranslationOf t(arena.make<Translation>());
    auto without = [&](Restored why) {
        discard(*t);
        t.reset();
        arena.back_to(mark);
        return why;
    };
    t->pc = t->place = u.head.pc, t->mode = mode, t->flavour = u.head.flavour;
    t->low = u.head.low, t->high = u.head.high;
    for (const saved::Range& r : u.ranges.subspan(u.head.runs)) t->relies_on.push_back({r.low, r.high});
    // Once its pages are watched, what is found there stays true until somebody tells of a write.
    if (enter_pages(*t) == Watch::not_watched) return without(Restored::no);
    if (!is_made_from_now(u)) {
        other_bytes.insert(name);
        return without(Restored::no);
    }
    u64 room = 0;
    auto space = cache->room_to_copy_to(room);
    MIMIC_CHECK(space, "memory for translated code cannot be mapped again");
    if (room < u.code.size() || cache->links_left() < u.edges.size()) { return without(Restored::no_room); }
    const u32 first_link = cache->next_link();
    if (!place_code(u, *space, first_link)) { return without(Restored::no); }
    cache->commit(u.code.size());
    cache->commit_links(u32(u.edges.size()));
    fill(*t, u, *space, first_link);
    const saved::Entry& e = *u.entry_at(pc); // the others when somebody comes: most are never entered
    if (!find(mode, pc)) add_node(pc, 0, t->code + e.offset, t.get(), e.whole != 0);
    link_taken(*t);
    counters.restored += u.head.units;
    if (options.on_code) tell_taken(*t);
    regions[current].translations.push_back(std::move(t));
    return Restored::yes;
}

// Edges of what was taken that lead to what is there go to it at once: each would come back to C++ for that.
void CodeSpace::Impl::link_taken(Translation& t) {
    for (u32 k = 0; k < t.link_count; ++k) {
        const Link l = t.link(k);
        Node* to = l.pc - t.low < t.high - t.low ? nullptr : find(l.mode, l.pc);
        if (to && to->code && may_link(l, *to)) set_link(t.first_link + k, l.counted, *to);
        if (l.counted) k += 2; // its further words
    }
}

// Each unit's code by itself.
void CodeSpace::Impl::tell_taken(const Translation& t) const {
    std::vector<std::pair<u32, u64>> units; // where they are entered, and their pcs
    for (const saved::Entry& e : t.stored_entries)
        if (e.own) units.emplace_back(e.offset, t.low + e.pc);
    std::sort(units.begin(), units.end());
    for (u64 n = 0; n < units.size(); ++n) {
        const u32 end = n + 1 < units.size() ? units[n + 1].first : t.bytes;
        options.on_code(options.owner, t.code + units[n].first, end - units[n].first, units[n].second);
    }
}

CodeSpace::Impl::Stored CodeSpace::Impl::take_stored(u64 pc, u32 mode) {
    std::unique_lock lock(mutex);
    for (;;) {
        if (find(mode, pc) || enter_taken(pc, mode)) return Stored::taken;
        const UnitStore::Said said = options.store->look(pc, mode);
        const Restored r = restore(pc, mode, said);
        if (r == Restored::no_room && cache->used() != 0) { // else it is longer than a region
            next_region(lock);
            continue;
        }
        if (r == Restored::yes) return Stored::taken;
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
    saved::Edge* to = grow<saved::Edge>(out, t.link_count);
    for (const jit::Emitted::Edge& e : t.own->edges)
        *to++ = {.pc = e.pc, .stub = e.stub, .mode = u16(e.mode), .word = u8(e.word), .counted = u8(e.is_counted)};
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
    h.units = 1, h.made_from = t.own->made_from;
    h.edges = t.link_count, h.ranges = u32(t.relies_on.size()), h.references = u32(t.own->references.size());
    grow<saved::Head>(b, 1); // written last
    saved::Range* ranges = grow<saved::Range>(b, h.ranges);
    for (const ExitFlags::Range& r : t.relies_on) *ranges++ = {r.low, r.high};
    save_edges(t, b);
    bool own = false; // its own entry may have become another unit's
    const u64 entries = b.size();
    for (const Node* n = t.first_node; n; n = n->sibling)
        if (n->valid && n->pc >= t.low && n->pc < t.high) {
            own |= n->pc == t.pc;
            append(b, saved::Entry{u32(n->code - t.code), u16(n->pc - t.low), n->pc == t.pc, n->whole});
            ++h.entries;
        }
    auto* first = reinterpret_cast<saved::Entry*>(b.data() + entries);
    std::sort(first, first + h.entries, [](const saved::Entry& x, const saved::Entry& y) { return x.pc < y.pc; });
    if (!own || !save_faults(t, b, h)) return false;
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
