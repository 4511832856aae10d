// The look-up table, and translation from guest bytes to an entry of it.
#include "cpu/space.hpp"
#include "base/check.hpp"
#include <algorithm>
#include <cerrno>

namespace mimic::cpu {

Result<std::unique_ptr<CodeSpace>> CodeSpace::create(const isa::Guest& guest, CodeSource& source, const Options& o) {
    auto space = std::unique_ptr<CodeSpace>(new CodeSpace);
    space->impl_ = std::make_unique<Impl>(guest, source, o);
    Impl& s = *space->impl_;
    s.stepwise = o.verify || (o.log & (log::exec | log::registers));
    if (!s.table || !s.met.words) return Error::system(ENOMEM, "no memory for the table of translations");
    constexpr u32 shows_translations = log::in_asm | log::op | log::op_opt | log::out_asm;
    s.interprets_first =
        o.interpret_first && o.accel == Accel::jit && !s.stepwise && !o.one_insn && !(o.log & shows_translations);
    s.kept_left = i32(o.keep_blocks);
    if (!s.interprets_first || o.paged) s.options.store = nullptr;
    s.regions.resize(1);
    if (o.accel == Accel::jit || o.verify) {
        s.backend = TRY(jit::make_backend(guest.state(), guest.min_insn_bytes(), o.host_level));
        if (o.wrap_backend) s.backend = o.wrap_backend(std::move(s.backend));
        s.cache = std::make_unique<jit::CodeCache>(TRY(jit::CodeCache::create(o.code_bytes)));
        s.regions.resize(s.cache->regions());
        TRY(s.start_cache());
        const u8* code = s.cache->code();
        TRY(process::register_code_range({code, code + s.cache->size(), Impl::redirect, &s}));
    } else {
        s.regions.resize(4);
    }
    return space;
}

CodeSpace::~CodeSpace() {
    if (impl_ && impl_->cache) process::unregister_code_range(impl_->cache->code());
}

const isa::Guest& CodeSpace::guest() const { return impl_->guest; }
const Options& CodeSpace::options() const { return impl_->options; }
CodeSpace::Counters CodeSpace::counters() const {
    std::lock_guard lock(impl_->mutex);
    Counters all = impl_->counters;
    for (const Cpu* c : impl_->cpus) c->tell_counts(all);
    return all;
}

void CodeSpace::tell_code() {
    Impl& s = *impl_;
    std::lock_guard lock(s.mutex);
    if (!s.options.on_code) return;
    for (Region& r : s.regions)
        for (auto& t : r.translations)
            if (t->valid) s.options.on_code(s.options.owner, t->code, t->bytes, t->base + t->pc);
}

// ---- looking up

Node* CodeSpace::Impl::find(u32 mode, u64 place, u64 second) const {
    for (Node* n = table.first(place); n; n = n->next.load(std::memory_order_acquire))
        if (n->place == place && n->mode == mode && n->valid.load(std::memory_order_relaxed) &&
            (second == 0 || n->second == second))
            return n;
    return nullptr;
}

Node* CodeSpace::Impl::add_node(u64 pc, ir::BlockId block, const u8* code, Translation* t, bool whole) {
    Region& r = regions[current];
    Node* n = r.arena.make<Node>();
    n->pc = pc, n->mode = t->mode, n->block = block, n->code = code, n->translation = t;
    n->whole = whole || t->whole;
    n->place = pc - t->pc + t->place, n->second = t->second;
    table.add(*n);
    (t->last_node ? t->last_node->sibling : t->first_node) = n;
    t->last_node = n;
    return n;
}

bool CodeSpace::Impl::provide(u64 pc, u32 mode, u64 place, u64 second, u64 base, Extent extent) {
    std::unique_lock lock(mutex);
    auto found = [&] {
        Node* n = find(mode, place);
        return n && (n->second == 0 || find(mode, place, second));
    };
    while (!found()) {
        if (options.store) { // an older unit here may have gone with its page, which is the same again
            if (enter_taken(pc, mode)) continue;
            const Restored r = restore(pc, mode, options.store->look(pc, mode));
            if (r == Restored::yes) continue;
            if (r == Restored::no_room && cache->used() != 0) {
                next_region(lock);
                continue;
            }
        }
        Made made = translate(pc, mode, place, second, base, extent);
        if (made == Made::reaches_on) return false;
        if (made == Made::no_room) next_region(lock);
    }
    return true;
}

bool CodeSpace::Impl::has_breakpoint(u64 pc) const {
    return !breakpoints.empty() && std::find(breakpoints.begin(), breakpoints.end(), pc) != breakpoints.end();
}

// Is a breakpoint where a unit has this pc? In a paged one: perhaps, since it serves wherever its page is seen.
bool CodeSpace::Impl::stops_at(u64 pc, u32 mode) const {
    if (has_stops && (mode & debug_mode) && stops[pc % ir::code_page / 2]) return true;
    return std::any_of(breakpoints.begin(), breakpoints.end(), [&](u64 b) { return pc_in_unit(b) == pc; });
}

CodeSpace::Impl::PageBits CodeSpace::Impl::page_bits_of(std::span<const Range> ranges) {
    PageBits bits;
    for (const Range& r : ranges) {
        if (r.high == 0 || r.high - r.low >= ir::code_page) return bits.set();
        for (u64 at = r.low & ~u64{1}; at < r.high; at += 2) bits.set(at % ir::code_page / 2);
    }
    return bits;
}

void Cpu::set_stops(std::vector<Range> stops) {
    CodeSpace::Impl& s = space_;
    std::lock_guard lock(s.mutex);
    stops_ = std::move(stops);
    CodeSpace::Impl::PageBits all;
    for (const Cpu* c : s.cpus) all |= s.page_bits_of(c->stops_);
    if ((all & ~s.stops).none()) return;
    s.stops = all;
    s.has_stops = true;
    s.drop_of_modes(s.debug_mode);
}

bool Cpu::has_breakpoint() const {
    if (space_.breakpoint_count.load(std::memory_order_relaxed) == 0) return false;
    std::lock_guard lock(space_.mutex);
    return space_.has_breakpoint(header_->pc);
}

void CodeSpace::set_log(u32 items) { impl_->log_items = items; }

void CodeSpace::set_breakpoint(u64 pc, bool on) {
    {
        std::lock_guard lock(impl_->mutex);
        std::erase(impl_->breakpoints, pc);
        if (on) impl_->breakpoints.push_back(pc);
        impl_->breakpoint_count = u32(impl_->breakpoints.size());
    }
    invalidate_all();
}

// ---- translating

namespace {

// Units of pages that are written often: short, so that little is checked and little is lost.
constexpr u32 checked_insns = 32;
constexpr u64 checked_reach = 256;

// Of hot loops: what a nest of two or three has, or a body without a branch that stands for vector instructions.
constexpr u32 whole_insns = 512, whole_blocks = 96;

} // namespace

// Does the unit at pc get code that takes the top byte of addresses off? Unit by unit, each does: then no access is made
// twice.
bool CodeSpace::Impl::takes_tags(u64 place) const {
    return options.top_byte_ignored && (stepwise || tagged.size() >= most_tagged || tagged.contains(place));
}

// An access of the unit had an address with a tag.
void CodeSpace::Impl::note_tag(Translation& t) {
    if (tagged.size() < most_tagged) tagged.insert(t.place);
    drop(&t);
}

// Code of the page of t's entry, and of the next one when its place is known.
u32 CodeSpace::Impl::fetch_paged(const Translation& t, u64 at, std::span<u8> out) {
    constexpr u64 page = ir::code_page;
    u64 low = t.pc & ~(page - 1), offset = at - low;
    u32 n = 0;
    if (offset < page) {
        n = u32(std::min<u64>(out.size(), page - offset));
        u32 got = source.fetch(t.place + (at - t.pc), out.data(), n);
        if (got < n) return got;
        offset = page;
    }
    if (t.second && offset < 2 * page && n < out.size())
        n += source.fetch(t.second + (offset - page), out.data() + n,
                          u32(std::min<u64>(out.size() - n, 2 * page - offset)));
    return n;
}

u32 CodeSpace::Impl::flavour_at(u64 pc, u64 place) {
    return (options.one_insn ? ir::flavour::one_insn : 0) | (options.paged ? ir::flavour::paged : 0) |
           (options.counted ? ir::flavour::icount : 0) | (takes_tags(place) ? ir::flavour::top_byte_ignored : 0) |
           (guards ? ir::flavour::entry_mode : 0) | (guards && source.guarded(pc) ? ir::flavour::guarded : 0);
}

isa::Limits CodeSpace::Impl::limits_at(u64 pc, u32 mode, u64 place, Extent extent) {
    const bool whole = extent == Extent::whole;
    isa::Limits l{.one_insn = options.one_insn};
    if (whole) l.blocks = whole_blocks, l.met_insns = whole_insns, l.insns = interprets_first ? l.insns : whole_insns;
    bool guarded = guards && source.guarded(pc), known_ends = options.stop_at_known && !whole;
    if (known_ends && !guards) // the usual case: small enough for std::function to hold it in itself
        l.exists = [this, delta = place - pc](u64 at, u32 m) { return exists(m, at + delta) || stops_at(at, m); };
    else if (known_ends || guards || stops_in(mode))
        l.exists = [this, guarded, known_ends, delta = place - pc](u64 at, u32 m) {
            return (known_ends && exists(m, at + delta)) || stops_at(at, m) ||
                   (guards && source.guarded(at) != guarded);
        };
    if (options.paged) l.low = pc & ~(ir::code_page - 1), l.high = l.low + ir::code_page;
    if (interprets_first) l.met = [this, delta = place - pc](u64 at) { return met.has(at + delta); };
    // Of what a kernel's code leads to most does not run while it boots; what does gets a unit of its own.
    l.only_met = options.paged && interprets_first && !whole;
    if (extent == Extent::ran) {
        l.only_met = true;
        l.met = [this, mode](u64 at) {
            return met.has(at) || options.store->look(at, mode).has == UnitStore::Has::ran;
        };
    }
    return l;
}

// From guest addresses to places.
void CodeSpace::Impl::place_ranges(Translation& t) {
    for (ExitFlags::Range& r : t.relies_on) r.low += (t.place - t.pc), r.high += (t.place - t.pc);
    if (t.second) { // the bytes beyond the page are elsewhere
        u64 end = (t.place & ~(ir::code_page - 1)) + ir::code_page;
        if (t.high > end) {
            t.relies_on.push_back({t.second, t.second + (t.high - end)});
            t.high = end;
        } else {
            t.second = 0; // another thread has written a shorter one meanwhile
        }
    }
}

CodeSpace::Impl::Made CodeSpace::Impl::translate(u64 pc, u32 mode, u64 place, u64 second, u64 base, Extent extent) {
    const bool whole = extent == Extent::whole;
    bool check = busy && is_busy(place, place + 1);
    Translation* now = nullptr;
    bool remember = false; // the bytes that it is made from
    isa::Fetch fetch = [this, &check, &now, &remember](u64 at, std::span<u8> out) {
        if (options.paged) {
            if (!remember) return fetch_paged(*now, at, out);
            return snapshot.fetch(at, out, [&](u64 from, std::span<u8> to) { return fetch_paged(*now, from, to); });
        }
        return check || options.store ? snapshot.fetch(source, at, out) : source.fetch(at, out.data(), u32(out.size()));
    };
    if (region_is_full()) return Made::no_room;
    touch_heap(heap_top);
    if (options.paged) watch_page(place);
    if (options.paged && second) watch_page(second);
    for (;;) {
        if (check && whole) return Made::yes;
        limits = limits_at(pc, mode, place, extent);
        if (second) limits.one_insn = true;
        if (check) limits.insns = limits.met_insns = checked_insns, limits.reach = checked_reach;
        snapshot.clear();
        remember = options.paged && is_unsettled(place, second);
        TranslationOf t(regions[current].arena.make<Translation>());
        t->own = std::make_unique<Translation::Made>();
        now = t.get();
        t->pc = pc, t->base = base, t->place = place, t->second = second, t->mode = mode, t->whole = whole;
        ir::Unit* unit = &translator.translate(pc, {mode, flavour_at(pc, place)}, fetch, limits);
        if (options.paged && !second && unit->guest_high == pc) return Made::reaches_on;
        u64 delta = place - pc;
        t->low = unit->guest_low + delta, t->high = unit->guest_high + delta;
        // A place without code has a page, too: what comes there is told.
        const bool empty = !options.paged && unit->guest_high == pc;
        if (empty) ++t->high;
        t->checked = check && !empty;
        if (t->checked && !options.paged) { // for flush()
            t->own->seen.resize(t->high - t->low);
            source.fetch(t->low, t->own->seen.data(), u32(t->own->seen.size()));
            snapshot.put_over(t->low, t->own->seen);
        }
        if (remember) {
            t->own->seen.resize(t->high - t->low);
            snapshot.read(unit->guest_low, t->own->seen);
        }
        const bool shown = logs(log::in_asm | log::op | log::op_opt | log::out_asm, base + pc);
        std::string untouched = shown ? text_of(*unit, *t) : std::string();
        // A unit that checks itself, or whose bytes are compared later, must not rely on bytes beside its own.
        exit_flags.begin(fetch);
        ir::dead_flags(*unit, guest.state(), scratch, options.one_insn || check || remember ? nullptr : &exit_flags);
        ir::sink_flags(*unit, guest.state(), scratch);
        ir::narrow(*unit, guest.state(), scratch);
        if (!check) t->relies_on = exit_flags.ranges();
        place_ranges(*t);
        std::erase_if(t->relies_on, [&](auto& r) { return r.low >= t->low && r.high <= t->high; });
        // Watched before anybody runs it.
        const Watch w = enter_pages(*t);
        // No code can be watched; but what has come before its page was entered is there now.
        isa::Fetch direct = [&](u64 at, std::span<u8> out) { return source.fetch(at, out.data(), u32(out.size())); };
        const bool came =
            empty && translator.translate(pc, {mode, flavour_at(pc, place)}, direct, limits).guest_high != pc;
        if (came || (!empty && w != Watch::as_before)) {
            discard(*t);
            check |= !empty && w == Watch::not_watched;
            continue;
        }
        if (t->checked) {
            add_check(*unit, snapshot, checked);
            unit = &checked;
        }
        if (shown) write_translation(untouched, *unit, *t);
        bool done = backend && emit(*unit, *t);
        if (emitted.no_room && backend && !done) {
            discard(*t);
            return Made::no_room;
        }
        if (whole && !done) { // nothing better than what there is
            if (Node* n = find(mode, place)) n->whole = true;
            discard(*t);
            return Made::yes;
        }
        t->made = ++counters.units;
        counters.whole_units += whole;
        counters.guest_insns += unit->guest_insns;
        if (!done || options.verify) keep(*unit, *t);
        publish(*unit, *t);
        if (done && shown) log_host_code(*t);
        if (done && options.on_code) options.on_code(options.owner, t->code, t->bytes, base + pc);
        (done ? regions[current].translations : regions[current].plain).push_back(std::move(t));
        return Made::yes;
    }
}

void CodeSpace::Impl::keep(const ir::Unit& unit, Translation& t) {
    t.own->unit = std::make_unique<ir::Unit>(unit);
    regions[current].plain_bytes += unit.code.size() * sizeof(ir::Inst) + sizeof(Translation);
}

jit::AddressModel CodeSpace::Impl::address_model() const {
    using enum jit::AddressModel;
    return options.paged ? (options.verify ? tlb_logged : tlb) : options.verify ? logged : direct;
}

bool CodeSpace::Impl::emit(const ir::Unit& unit, Translation& t) {
    analysis.run(unit, guest.state(), backend->plan());
    u64 room = 0;
    auto space = cache->room(room);
    MIMIC_CHECK(space, "memory for translated code cannot be mapped again"); // only memory can fail, with no way on
    u8* code = *space;
    emitted.no_room = jit::Emitted::words_a_block * unit.blocks.size() > cache->links_left();
    if (emitted.no_room) return false;
    u32 first_link = cache->next_link();
    emitted.text = log_items.load(std::memory_order_relaxed) & log::out_asm ? &text : nullptr;
    emitted.counts_turns = options.whole_after && !stepwise && !options.one_insn && !t.whole && !t.checked;
    if (!backend->emit(unit, analysis, address_model(), code, cache->writable(code), room, cache->links() + first_link,
                       emitted)) {
        // Longer than a whole region: not for us.
        if (emitted.no_room && cache->used() == 0) emitted.no_room = false;
        if (emitted.no_room) return false;
        t.refused = emitted.refused;
        ++counters.refused;
        ++counters.refused_by_op[u32(emitted.refused)];
        return false;
    }
    cache->commit(emitted.bytes);
    cache->commit_links(u32(emitted.edges.size()));
    counters.code_bytes += emitted.bytes;
    t.code = code;
    t.bytes = emitted.bytes;
    t.own->faults = emitted.faults;
    if (options.store) {
        t.flavour = unit.key.flavour;
        t.own->references = emitted.references;
        if (!t.checked && t.high - t.low <= saved::most_guest_bytes) t.own->made_from = hash_of(t);
    }
    t.first_link = first_link;
    t.link_count = u32(emitted.edges.size());
    t.own->edges = emitted.edges;
    for (u32 k = 0; k < t.link_count; ++k) {
        const jit::Emitted::Edge& e = emitted.edges[k];
        const bool counts = e.word == jit::Emitted::Word::count;
        __atomic_store_n(&cache->links()[first_link + k], counts ? options.whole_after : u64(code + e.stub),
                         __ATOMIC_RELEASE);
    }
    return true;
}

// From now on it is found, by threads that hold no lock: nothing of it may be missing.
void CodeSpace::Impl::publish(const ir::Unit& unit, Translation& t) {
    if (!t.code) {
        add_node(t.pc, 0, nullptr, &t);
        return;
    }
    Node* old = t.whole ? find(t.mode, t.place) : nullptr;
    Node* entry = add_node(t.pc, 0, t.code + emitted.entries.front().offset, &t);
    if (old) replace(*old, *entry);
    for (const jit::Emitted::Entry& e : emitted.entries)
        if (e.block != 0 && !t.checked && !find(t.mode, unit.blocks[e.block].pc - t.pc + t.place))
            add_node(unit.blocks[e.block].pc, e.block, t.code + e.offset, &t);
}

Link Translation::link(u32 number) const {
    if (own) {
        const jit::Emitted::Edge& e = own->edges[number];
        return {this, e.pc, e.mode, e.stub, e.is_counted};
    }
    const saved::Edge& e = stored_edges[number];
    return {this, e.pc, e.mode, e.stub, e.counted != 0};
}

Link CodeSpace::Impl::link(u32 k) const {
    const auto& all = regions[cache->region_of_link(k)].translations; // by rising words, too
    auto it = std::upper_bound(all.begin(), all.end(), k, [](u32 n, const auto& t) { return n < t->first_link; });
    const Translation* t = it == all.begin() ? nullptr : std::prev(it)->get();
    return t && k - t->first_link < t->link_count ? t->link(k - t->first_link) : Link{};
}

// Between units of a machine only inside a page, which both were found in: whatever becomes of its mapping, whoever is in
// the one may go on to the other, wherever it is seen. Where a breakpoint may be, all come through C++.
bool CodeSpace::Impl::may_link(const Link& l, const Node& to) const {
    if (l.pc != to.pc || l.mode != to.mode) return false;
    if (!options.paged) return true; // code that leaves sets the mode
    if (stops_in(l.mode) && stops_at(to.pc, l.mode)) return false;
    return l.mode == l.from->mode && (l.pc ^ l.from->pc) < ir::code_page &&
           to.place - to.pc == l.from->place - l.from->pc && to.second == 0;
}

// Whoever came to the old one comes to this one from now on. The old one's unit stays, for its other entries.
void CodeSpace::Impl::replace(Node& old, Node& now) {
    hide(old);
    if (!old.code) return;
    auto redirect = [&](u32 k) {
        u64* word = &cache->links()[k];
        if (__atomic_load_n(word, __ATOMIC_RELAXED) != u64(old.code)) return;
        if (const Link l = link(k); !l.from || !l.from->valid) return;
        now.translation->incoming.push_back(k);
        __atomic_store_n(word, u64(now.code), __ATOMIC_RELEASE);
    };
    const Translation& t = *old.translation;
    for (u32 k : t.incoming) redirect(k);
    for (u32 k = t.first_link; k < t.first_link + t.link_count; ++k) redirect(k); // what was linked from the start
}

// The loop that pc is the head of becomes a unit, with as much around it as there is room for: units that were made one
// after the other as code was met cut it in pieces.
void CodeSpace::Impl::make_whole(u64 pc, u32 mode, u64 place, u64 base) {
    std::unique_lock lock(mutex);
    for (;;) {
        Node* n = find(mode, place);
        if (!n || n->second || n->whole || n->translation->checked) return;
        if (translate(pc, mode, place, 0, base, Extent::whole) != Made::no_room) return;
        next_region(lock);
    }
}

// The edge behind a link word gets its target. The unit that left through it may be gone meanwhile; then the word
// is another edge's, or nobody's. True: it was counted until now, and what it closes is a loop that deserves to be whole.
bool CodeSpace::Impl::follow_link(const u64* word, Node& to) {
    std::lock_guard lock(mutex);
    u32 k = u32(word - cache->links());
    if (k >= cache->all_links() || !to.valid.load() || !to.code) return false;
    const Link l = link(k);
    if (!l.from || !l.from->valid || !may_link(l, to)) return false;
    if (l.counted && !to.whole && !to.translation->checked) {
        u64* count = &cache->links()[k + 2];
        const bool hot = i64(__atomic_load_n(count, __ATOMIC_RELAXED)) <= 0;
        // Should it fail, it is tried again after as many turns.
        if (hot) return __atomic_store_n(count, options.whole_after, __ATOMIC_RELAXED), true;
    }
    set_link(k, l.counted, to);
    return false;
}

// The edge of a link word goes to this entry from now on; a counted one while it is counted.
void CodeSpace::Impl::set_link(u32 k, bool counted, Node& to) {
    Translation& t = *to.translation;
    if (counted && !to.whole && !t.checked) ++k;
    if (t.incoming.size() == t.incoming.capacity())
        std::erase_if(t.incoming, [&](u32 n) {
            u64 target = __atomic_load_n(&cache->links()[n], __ATOMIC_RELAXED);
            return target - u64(t.code) >= t.bytes;
        });
    t.incoming.push_back(k);
    __atomic_store_n(&cache->links()[k], u64(to.code), __ATOMIC_RELEASE);
}

Translation* CodeSpace::Impl::containing(u64 host_pc) {
    auto& all = regions[cache->region_of(host_pc)].translations;
    auto it =
        std::upper_bound(all.begin(), all.end(), host_pc, [](u64 pc, const auto& t) { return pc < u64(t->code); });
    if (it == all.begin()) return nullptr;
    Translation* t = std::prev(it)->get();
    return host_pc < u64(t->code) + t->bytes ? t : nullptr;
}

bool CodeSpace::Impl::redirect(void* owner, process::Fault& fault) {
    auto* s = static_cast<Impl*>(owner);
    if (fault.signal == SIGFPE) return s->backend->resume_masked(fault.context);
    bool known = fault.info->si_code != SI_KERNEL;
    s->backend->leave_on_fault(fault.context, fault.address, known, fault.write, fault.pc);
    return true;
}

// ---- fork

void CodeSpace::before_fork() { impl_->mutex.lock(); }
void CodeSpace::after_fork_parent() {
    if (impl_->cache) impl_->cache->after_fork_parent();
    impl_->mutex.unlock();
}
Result<void> CodeSpace::after_fork_child(Cpu& survivor) {
    Impl& s = *impl_;
    s.cpus.assign(1, &survivor);
    s.waiting = 0;
    s.patience = Impl::most_patience;
    new (&s.outside) std::condition_variable; // threads that waited are not here
    Result<void> r;
    if (s.cache) r = s.cache->after_fork_child();
    s.mutex.unlock();
    return r;
}

} // namespace mimic::cpu
