// Units from a store instead of a translation, and units for it.
#include "cpu/restore.hpp"
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

// Are the guest bytes what the unit was made from?
bool is_current(CodeSource& source, const SavedUnit& u, std::vector<u8>& now) {
    const u8* was = u.guest.data();
    auto same = [&](u64 low, u64 high) {
        const u32 n = u32(high - low);
        now.resize(n);
        u32 got = 0;
        while (got < n) {
            const u32 more = source.fetch(low + got, now.data() + got, n - got);
            if (more == 0) return false;
            got += more;
        }
        const bool equal = std::memcmp(now.data(), was, n) == 0;
        was += n;
        return equal;
    };
    if (!same(u.head.low, u.head.high)) return false;
    return std::all_of(u.ranges.begin(), u.ranges.end(), [&](const saved::Range& r) { return same(r.low, r.high); });
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
    for (const saved::Reference& r : u.references) {
        if (!r.is_record) {
            add_at(to + r.offset, distance);
            continue;
        }
        u32 at, number;
        std::memcpy(&at, to + r.offset, 4);
        auto record = u.record(at);
        if (record.empty() || !backend->load_record(record, number)) return false;
        std::memcpy(to + r.offset, &number, 4);
    }
    return true;
}

void CodeSpace::Impl::fill(Translation& t, const SavedUnit& u, const u8* code, u32 first_link) {
    t.code = code;
    t.bytes = u32(u.code.size());
    t.restored = true;
    t.guest_insns = u.head.guest_insns;
    t.faults.reserve(u.faults.size());
    for (const saved::Fault& f : u.faults)
        t.faults.push_back({f.offset, f.inst, f.pc, {f.owed[0], f.owed[1], f.owed[2], f.owed[3]}});
    t.references.reserve(u.references.size());
    for (const saved::Reference& r : u.references) t.references.push_back({r.offset, r.is_record != 0});
    t.first_link = first_link;
    t.link_count = u32(u.edges.size());
    if (links.size() < first_link + t.link_count) links.resize(first_link + t.link_count);
    for (u32 k = 0; k < t.link_count; ++k) {
        const saved::Edge& e = u.edges[k];
        const bool counts = jit::Emitted::Word(e.word) == jit::Emitted::Word::count;
        links[first_link + k] = {&t, e.pc, e.mode, e.stub, e.counted != 0};
        __atomic_store_n(&cache->links()[first_link + k], counts ? options.whole_after : u64(code + e.stub),
                         __ATOMIC_RELEASE);
    }
}

// A unit of the store that may be entered at pc becomes ours. User mode only, where places are pcs.
CodeSpace::Impl::Restored CodeSpace::Impl::restore(u64 pc, u32 mode) {
    if (guards || breakpoint_count) return Restored::no;
    SavedUnit u;
    if (!parse_saved_unit(options.store->find(pc, mode), u) || u.head.mode != mode) return Restored::no;
    if (u.head.flavour != flavour_at(u.head.pc, u.head.pc) || !backend) return Restored::no;
    auto t = std::make_unique<Translation>();
    t->pc = t->place = u.head.pc, t->mode = mode, t->flavour = u.head.flavour, t->whole = u.head.whole != 0;
    t->low = u.head.low, t->high = u.head.high;
    for (const saved::Range& r : u.ranges) t->relies_on.push_back({r.low, r.high});
    for (;;) {
        if (!is_current(source, u, saved_bytes)) return Restored::no;
        Watch w = enter_pages(*t);
        if (w == Watch::as_before) break;
        discard(*t);
        if (w == Watch::not_watched) return Restored::no;
    }
    u64 room = 0;
    auto space = cache->room(room);
    MIMIC_CHECK(space, "memory for translated code cannot be mapped again");
    if (room < u.code.size() || cache->links_left() < u.edges.size()) {
        discard(*t);
        return Restored::no_room;
    }
    const u32 first_link = cache->next_link();
    if (!place_code(u, *space, first_link)) {
        discard(*t);
        return Restored::no;
    }
    cache->commit(u.code.size());
    cache->commit_links(u32(u.edges.size()));
    fill(*t, u, *space, first_link);
    for (const saved::Entry& e : u.entries)
        if (!find(mode, e.pc)) add_node(e.pc, e.block, t->code + e.offset, t.get());
    ++counters.restored;
    if (options.on_code) options.on_code(options.owner, t->code, t->bytes, t->pc);
    regions[current].translations.push_back(std::move(t));
    return Restored::yes;
}

bool CodeSpace::Impl::take_stored(u64 pc, u32 mode) {
    std::unique_lock lock(mutex);
    for (;;) {
        if (find(mode, pc)) return true;
        const Restored r = restore(pc, mode);
        if (r == Restored::no) return false;
        if (r == Restored::no_room) {
            if (cache->used() == 0) return false; // longer than a region
            next_region(lock);
        }
    }
}

// False: it can't be saved.
bool CodeSpace::Impl::save(const Translation& t, UnitToSave& out) {
    if (!t.valid || t.checked || !t.code || t.nodes.empty()) return false;
    std::vector<saved::Entry> entries;
    for (const Node* n : t.nodes)
        if (n->valid) entries.push_back({n->pc, n->block, u32(n->code - t.code)});
    // Its own entry may have become another unit's, or have been one's before.
    if (entries.empty() || entries[0].pc != t.pc) return false;
    std::vector<u8> code(t.code, t.code + t.bytes), records, bytes(t.high - t.low);
    const u32 distance = u32(u64(cache->links() + t.first_link) - u64(t.code));
    for (const jit::Emitted::Reference& r : t.references) {
        if (!r.is_record) {
            add_at(code.data() + r.offset, -distance);
            continue;
        }
        u32 number;
        std::vector<u8> record;
        std::memcpy(&number, code.data() + r.offset, 4);
        if (!backend->save_record(number, record)) return false;
        const u32 at = u32(records.size());
        append(records, u32(record.size()));
        records.insert(records.end(), record.begin(), record.end());
        std::memcpy(code.data() + r.offset, &at, 4);
    }
    auto read = [&](u64 low, u64 high, u64 at) {
        bytes.resize(at + (high - low));
        while (low < high) {
            const u32 n = source.fetch(low, bytes.data() + at, u32(high - low));
            if (n == 0) return false;
            low += n, at += n;
        }
        return true;
    };
    if (!read(t.low, t.high, 0)) return false;
    for (const ExitFlags::Range& r : t.relies_on)
        if (!read(r.low, r.high, bytes.size())) return false;
    out.head = {.pc = t.pc, .low = t.low, .high = t.high, .mode = t.mode, .flavour = t.flavour};
    out.head.guest_insns = t.guest_insns, out.head.whole = t.whole;
    out.head.entries = u32(entries.size()), out.head.edges = t.link_count, out.head.faults = u32(t.faults.size());
    out.head.references = u32(t.references.size()), out.head.ranges = u32(t.relies_on.size());
    out.head.record_bytes = u32(records.size()), out.head.code_bytes = t.bytes;
    out.head.guest_bytes = u32(bytes.size());
    out.is_new = !t.restored;
    out.entries.clear();
    std::vector<u8>& b = out.bytes;
    b.clear();
    append(b, out.head);
    for (const saved::Entry& e : entries) append(b, e), out.entries.push_back(e.pc);
    using Word = jit::Emitted::Word;
    for (u32 k = 0; k < t.link_count; ++k) {
        const Link& l = links[t.first_link + k];
        auto counted = [&](u32 back) { return k >= back && links[t.first_link + k - back].counted; };
        const Word word = counted(1) ? Word::counted : counted(2) ? Word::count : Word::target;
        append(b, saved::Edge{l.pc, l.mode, l.stub, u32(word), l.counted});
    }
    for (const jit::Emitted::Fault& f : t.faults)
        append(b, saved::Fault{f.offset, f.inst, f.pc, {f.owed.nans, f.owed.f64, f.owed.bare, f.owed.late}});
    for (const jit::Emitted::Reference& r : t.references) append(b, saved::Reference{r.offset, r.is_record});
    for (const ExitFlags::Range& r : t.relies_on) append(b, saved::Range{r.low, r.high});
    for (const auto* part : {&records, &code, &bytes}) b.insert(b.end(), part->begin(), part->end());
    return true;
}

void CodeSpace::save_units(const std::function<void(const UnitToSave&)>& take) {
    Impl& s = *impl_;
    std::lock_guard lock(s.mutex);
    if (!s.options.store || s.guards) return;
    UnitToSave u;
    for (const Region& r : s.regions)
        for (const auto& t : r.translations)
            if (s.save(*t, u)) take(u);
}

std::string CodeSpace::host() const { return impl_->backend ? impl_->backend->host() : std::string(); }

u64 CodeSpace::units_made() const {
    std::lock_guard lock(impl_->mutex);
    return impl_->counters.units;
}

} // namespace mimic::cpu
