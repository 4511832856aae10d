#include "cpu/system/jumps.hpp"
#include "base/check.hpp"
#include <algorithm>
#include <bit>
#include <sys/mman.h>

namespace mimic::cpu {

namespace {

constexpr u64 table_bytes = jit::jump_count * sizeof(jit::JumpEntry);

} // namespace

Jumps::Jumps(u32 alignment_bits) : shift_(alignment_bits) {
    u64 bytes = (table_count + 1) * table_bytes;
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MIMIC_CHECK(p != MAP_FAILED, "no memory for tables of branches");
    memory_ = static_cast<jit::JumpEntry*>(p);
    tables_ = std::vector<Table>(table_count);
    for (u32 n = 0; n < table_count; ++n) {
        tables_[n].entries = memory_ + (n + 1) * jit::jump_count;
        tables_[n].entries->pc = no_pc(0);
    }
    memory_->pc = no_pc(0);
}
Jumps::~Jumps() { munmap(memory_, (table_count + 1) * table_bytes); }

jit::JumpEntry* Jumps::select(u32 mode, u64 context) {
    Table* oldest = &tables_[0];
    for (Table& t : tables_) {
        if (t.used && t.mode == mode && t.context == context) {
            t.stamp = ++now_;
            return t.entries;
        }
        if (!t.used ? oldest->used : (oldest->used && t.stamp < oldest->stamp)) oldest = &t;
    }
    clear(*oldest);
    oldest->used = true, oldest->mode = mode, oldest->context = context, oldest->stamp = ++now_;
    return oldest->entries;
}

template <class F>
void Jumps::each(const Table& t, u64 first, u64 step, F&& f) {
    for (u32 w = 0; w < group_words; ++w)
        for (u64 left = t.groups[w].load(std::memory_order_relaxed); left; left &= left - 1) {
            const u64 begin = (w * 64 + u64(std::countr_zero(left))) * group;
            for (u64 n = begin + ((first - begin) & (step - 1)); n < begin + group; n += step) f(n);
        }
}

void Jumps::clear(Table& t) {
    if (!t.filled) return;
    each(t, 0, 1, [&](u64 n) {
        u64& pc = t.entries[n].pc;
        if (__atomic_load_n(&pc, __ATOMIC_RELAXED) != no_pc(n)) __atomic_store_n(&pc, no_pc(n), __ATOMIC_RELAXED);
    });
    std::fill(std::begin(t.pages), std::end(t.pages), 0);
    for (std::atomic<u64>& g : t.groups) g.store(0, std::memory_order_relaxed);
    t.filled = false;
}

// Only its own thread reads an entry while code runs: the code first, for those that look at the table meanwhile.
void Jumps::add(jit::JumpEntry* entries, u64 pc, const u8* code, bool reaches_on) {
    Table& t = tables_[u64(entries - memory_) / jit::jump_count - 1];
    const u64 n = number(pc), bit = u64{1} << n / group % 64;
    std::atomic<u64>& groups = t.groups[n / group / 64];
    if (const u64 old = groups.load(std::memory_order_relaxed); !(old & bit))
        groups.store(old | bit, std::memory_order_relaxed);
    jit::JumpEntry& e = entries[n];
    __atomic_store_n(&e.code, u64(code), __ATOMIC_RELAXED);
    __atomic_store_n(&e.pc, pc, __ATOMIC_RELEASE);
    t.filled = true;
    note(t, pc);
    if (reaches_on) note(t, pc + 4096);
}

void Jumps::forget(u64 offset) {
    constexpr u64 page = 4096;
    for (Table& t : tables_)
        each(t, number(offset), page >> shift_, [&](u64 n) {
            u64& pc = t.entries[n].pc;
            if (__atomic_load_n(&pc, __ATOMIC_RELAXED) % page == offset)
                __atomic_store_n(&pc, no_pc(n), __ATOMIC_RELAXED);
        });
}

void Jumps::flush() {
    for (Table& t : tables_) clear(t);
}
void Jumps::flush_context(u64 context) {
    for (Table& t : tables_)
        if (t.context == context) clear(t);
}
// Entries of the page, and those of the page before that may reach into it.
void Jumps::flush_address(u64 address) {
    constexpr u64 page = 4096, longest = 16; // instruction, in bytes
    const u64 first = address & ~(page - 1);
    auto drop = [this](Table& t, u64 low, u64 high) {
        for (u64 pc = low, end; pc != high; pc = end) {
            const u64 n = number(pc) / group;
            end = pc + std::min(high - pc, (group - number(pc) % group) << shift_); // addresses wrap
            if (!(t.groups[n / 64].load(std::memory_order_relaxed) >> n % 64 & 1)) continue;
            for (u64 at = pc; at != end; at += u64{1} << shift_) {
                u64& there = t.entries[number(at)].pc;
                if (__atomic_load_n(&there, __ATOMIC_RELAXED) == at)
                    __atomic_store_n(&there, no_pc(number(at)), __ATOMIC_RELAXED);
            }
        }
    };
    for (Table& t : tables_)
        if (noted(t, address)) drop(t, first - longest, first + page);
}

} // namespace mimic::cpu
