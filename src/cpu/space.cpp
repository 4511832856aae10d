#include "cpu/space.hpp"
#include "base/check.hpp"
#include "ir/text.hpp"
#include <algorithm>
#include <cerrno>

namespace mimic::cpu {

namespace {
constexpr u64 page_bits = 12; // granularity of invalidation; guest pages are multiples of it
constexpr u32 nodes_a_block = 1024;
} // namespace

Result<std::unique_ptr<CodeSpace>> CodeSpace::create(const isa::Guest& guest, CodeSource& source, const Options& o) {
    if (o.verify) return Error::unsupported("verify=on: the engines cannot run in lock step yet");
    auto space = std::unique_ptr<CodeSpace>(new CodeSpace);
    space->impl_ = std::make_unique<Impl>(guest, source, o);
    Impl& s = *space->impl_;
    s.table.reset(static_cast<std::atomic<Node*>*>(std::calloc(Impl::buckets, sizeof(std::atomic<Node*>))));
    if (!s.table) return Error::system(ENOMEM, "no memory for the table of translations");
    if (o.accel == Accel::jit) {
        s.backend = TRY(jit::make_backend(guest.state(), guest.min_insn_bytes(), o.host_level));
        s.cache = std::make_unique<jit::CodeCache>(TRY(jit::CodeCache::create(o.code_bytes)));
        TRY(s.start_cache());
        const u8* code = s.cache->code();
        TRY(process::register_code_range({code, code + s.cache->size(), Impl::redirect, &s}));
    }
    return space;
}

CodeSpace::~CodeSpace() {
    if (impl_ && impl_->cache) process::unregister_code_range(impl_->cache->code());
}

Result<void> CodeSpace::Impl::start_cache() {
    u8* code = cache->room(4096);
    cache->commit(TRY(backend->emit_shared(code, cache->writable(code), 4096)));
    return {};
}

const isa::Guest& CodeSpace::guest() const { return impl_->guest; }
const Options& CodeSpace::options() const { return impl_->options; }
CodeSpace::Counters CodeSpace::counters() const { return impl_->counters; }

// ---- looking up

Node* CodeSpace::Impl::find(u64 pc, u32 mode) const {
    for (Node* n = table[bucket(pc)].load(std::memory_order_acquire); n; n = n->next.load(std::memory_order_acquire))
        if (n->pc == pc && n->mode == mode && n->valid.load(std::memory_order_relaxed)) return n;
    return nullptr;
}

Node* CodeSpace::Impl::add_node(u64 pc, u32 mode, const u8* code, Translation* t) {
    if (node_used % nodes_a_block == 0) node_blocks.push_back(std::make_unique<Node[]>(nodes_a_block));
    Node* n = &node_blocks.back()[node_used++ % nodes_a_block];
    n->pc = pc, n->mode = mode, n->code = code, n->translation = t;
    std::atomic<Node*>& head = table[bucket(pc)];
    n->next.store(head.load(std::memory_order_relaxed), std::memory_order_relaxed);
    head.store(n, std::memory_order_release);
    t->nodes.push_back(n);
    return n;
}

Node* CodeSpace::Impl::entry(u64 pc, u32 mode, std::unique_lock<std::mutex>& lock) {
    if (Node* n = find(pc, mode)) return n;
    if (!lock.owns_lock()) {
        lock.lock();
        if (Node* n = find(pc, mode)) return n;
    }
    return translate(pc, mode);
}

// Null: the code memory is full.
Node* CodeSpace::Impl::translate(u64 pc, u32 mode) {
    u32 flavour = options.one_insn ? ir::flavour::one_insn : 0;
    isa::Fetch fetch = [this](u64 at, std::span<u8> out) { return source.fetch(at, out.data(), u32(out.size())); };
    limits = {
        .one_insn = options.one_insn,
    };
    if (options.stop_at_known) limits.exists = [this](u64 at, u32 m) { return find(at, m) != nullptr; };
    ir::Unit& unit = translator.translate(pc, {mode, flavour}, fetch, limits);
    auto t = std::make_unique<Translation>();
    exit_flags.begin(fetch);
    ir::dead_flags(unit, guest.state(), scratch, options.one_insn ? nullptr : &exit_flags);
    ir::sink_flags(unit, guest.state(), scratch);
    t->relies_on = exit_flags.ranges();
    t->low = unit.guest_low, t->high = unit.guest_high, t->mode = mode;
    bool log = options.log && options.write_log && pc >= options.log_low && pc < options.log_high;
    if (log) log_translation(unit);
    ++counters.units;
    counters.guest_insns += unit.guest_insns;
    if (options.accel == Accel::interp || !emit(unit, *t)) {
        if (full) return nullptr;
        t->unit = std::make_unique<ir::Unit>(unit);
        add_node(pc, mode, nullptr, t.get());
    }
    if (log && options.log & log::out_asm) write_log(fmt::format("OUT: {:#x}, {} bytes\n{}\n", pc, t->bytes, text));
    // Protected before anybody runs it, and looked at again: a write that came between would go unseen.
    for (u64 page = t->low >> page_bits; t->high > t->low && page <= (t->high - 1) >> page_bits; ++page) {
        source.protect_code(page << page_bits);
        pages[page].push_back(t.get());
    }
    for (const ExitFlags::Range& r : t->relies_on)
        for (u64 page = r.low >> page_bits; page <= (r.high - 1) >> page_bits; ++page) {
            source.protect_code(page << page_bits);
            if (auto& list = pages[page]; list.empty() || list.back() != t.get()) list.push_back(t.get());
        }
    translations.push_back(std::move(t));
    return translations.back()->nodes.front();
}

void CodeSpace::Impl::write_log(std::string_view s) { options.write_log(options.log_owner, s); }

void CodeSpace::Impl::log_translation(const ir::Unit& unit) {
    if (options.log & log::in_asm) {
        std::string s = fmt::format("IN: {:#x}\n", unit.pc);
        for (const ir::Block& b : unit.blocks)
            for (u32 n = b.begin; n < b.end; ++n) {
                if (unit.code[n].op != ir::Op::insn) continue;
                u8 bytes[16];
                u32 count = source.fetch(unit.code[n].imm, bytes, unit.code[n].sub), length = 0;
                s += fmt::format("{:#012x}:  {}\n", unit.code[n].imm,
                                 guest.disassemble({bytes, count}, unit.code[n].imm, unit.key.mode, length));
            }
        write_log(s + "\n");
    }
    if (options.log & log::op) write_log(fmt::format("OP: {:#x}\n{}\n", unit.pc, ir::print(unit, guest.state())));
}

bool CodeSpace::Impl::emit(const ir::Unit& unit, Translation& t) {
    full = false;
    analysis.run(unit, guest.state(), backend->plan());
    // Longer than any unit becomes; what is left over is not lost.
    u64 room = 64 * 1024 + 256 * u64(unit.code.size());
    u8* code = cache->room(room);
    u32 first_link = u32(links.size());
    if (!code || first_link + 2 * unit.blocks.size() > cache->link_capacity()) {
        full = true;
        return false;
    }
    emitted.text = options.log & log::out_asm ? &text : nullptr;
    jit::AddressModel model = jit::AddressModel::direct;
    if (!backend->emit(unit, analysis, model, code, cache->writable(code), room, cache->links() + first_link,
                       emitted)) {
        ++counters.refused;
        ++counters.refused_by_op[u32(emitted.refused)];
        return false;
    }
    cache->commit(emitted.bytes);
    counters.code_bytes += emitted.bytes;
    t.code = code;
    t.bytes = emitted.bytes;
    t.first_link = first_link;
    t.link_count = u32(emitted.edges.size());
    t.faults = emitted.faults;
    for (u32 k = 0; k < t.link_count; ++k) {
        const jit::Emitted::Edge& e = emitted.edges[k];
        links.push_back({&t, e.pc, e.mode, e.stub});
        cache->links()[first_link + k] = u64(code + e.stub);
    }
    for (const jit::Emitted::Entry& e : emitted.entries)
        if (e.block == 0 || !find(unit.blocks[e.block].pc, t.mode))
            add_node(unit.blocks[e.block].pc, t.mode, code + e.offset, &t);
    return true;
}

// The edge behind a link word gets its target.
void CodeSpace::Impl::follow_link(u64* word, std::unique_lock<std::mutex>& lock) {
    if (!lock.owns_lock()) lock.lock();
    u32 k = u32(word - cache->links());
    if (k >= links.size() || !links[k].from || !links[k].from->valid) return;
    Node* n = entry(links[k].pc, links[k].mode, lock);
    if (!n || !n->code || links[k].mode != links[k].from->mode) return;
    n->translation->incoming.push_back(k);
    __atomic_store_n(word, u64(n->code), __ATOMIC_RELEASE);
}

Translation* CodeSpace::Impl::containing(u64 host_pc) {
    auto it = std::upper_bound(translations.begin(), translations.end(), host_pc,
                               [](u64 pc, const auto& t) { return t->code ? pc < u64(t->code) : false; });
    while (it != translations.begin()) {
        Translation* t = std::prev(it)->get();
        if (t->code) return host_pc < u64(t->code) + t->bytes ? t : nullptr;
        --it;
    }
    return nullptr;
}

bool CodeSpace::Impl::redirect(void* owner, process::Fault& fault) {
    auto* s = static_cast<Impl*>(owner);
    bool known = fault.info->si_code != SI_KERNEL;
    s->backend->leave_on_fault(fault.context, fault.address, known, fault.write, fault.pc);
    return true;
}

// ---- invalidation

void CodeSpace::Impl::drop(Translation* t) {
    if (!t->valid) return;
    t->valid = false;
    for (Node* n : t->nodes) {
        n->valid.store(false, std::memory_order_release);
        std::atomic<Node*>* p = &table[bucket(n->pc)];
        while (Node* at = p->load(std::memory_order_relaxed)) {
            if (at == n) {
                p->store(n->next.load(std::memory_order_relaxed), std::memory_order_release);
                break;
            }
            p = &at->next;
        }
    }
    for (u32 k : t->incoming) {
        const Link& l = links[k];
        __atomic_store_n(&cache->links()[k], u64(l.from->code + l.stub), __ATOMIC_RELEASE);
    }
    t->incoming.clear();
}

void CodeSpace::invalidate(u64 low, u64 high) {
    Impl& s = *impl_;
    std::unique_lock lock(s.mutex);
    bool any = false;
    auto page = [&](std::vector<Translation*>& list) {
        std::erase_if(list, [&](Translation* t) {
            if (!t->valid) return true;
            bool hit = t->high > low && t->low < high;
            for (const ExitFlags::Range& r : t->relies_on) hit |= r.high > low && r.low < high;
            if (!hit) return false;
            s.drop(t);
            return any = true;
        });
    };
    u64 first = low >> page_bits, last = (high - 1) >> page_bits;
    if (low >= high) return;
    if (last - first > s.pages.size()) {
        for (auto& [number, list] : s.pages)
            if (number >= first && number <= last) page(list);
    } else {
        for (u64 number = first; number <= last; ++number)
            if (auto it = s.pages.find(number); it != s.pages.end()) page(it->second);
    }
    if (any) s.forget_jumps();
}

void CodeSpace::invalidate_all() {
    Impl& s = *impl_;
    std::unique_lock lock(s.mutex);
    for (auto& t : s.translations) s.drop(t.get());
    s.pages.clear();
    s.forget_jumps();
}

// Every vCPU drops its jump cache before it next enters generated code.
void CodeSpace::Impl::forget_jumps() {
    for (Cpu* c : cpus) {
        c->stale_.store(true, std::memory_order_release);
        c->kick_internal();
    }
}

// All code memory is used: waits until no vCPU runs generated code, then starts over.
void CodeSpace::Impl::flush(std::unique_lock<std::mutex>& lock) {
    flushing = true;
    ++counters.flushes;
    for (Cpu* c : cpus) c->kick_internal();
    outside.wait(lock, [&] { return inside.load() == 0; });
    for (auto& t : translations)
        for (Node* n : t->nodes) n->valid.store(false, std::memory_order_relaxed);
    for (u32 b = 0; b < buckets; ++b)
        if (table[b].load(std::memory_order_relaxed)) table[b].store(nullptr, std::memory_order_relaxed);
    translations.clear();
    links.clear();
    pages.clear();
    node_blocks.clear();
    node_used = 0;
    // Only memory can fail here, and then there is no way on.
    MIMIC_CHECK(cache->reset() && start_cache(), "memory for translated code cannot be mapped again");
    for (Cpu* c : cpus) c->stale_ = true;
    flushing = false;
    outside.notify_all();
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
    s.inside = 0;
    Result<void> r;
    if (s.cache) r = s.cache->after_fork_child();
    s.mutex.unlock();
    return r;
}

} // namespace mimic::cpu
