#include "cpu/system/jumps.hpp"
#include "base/check.hpp"
#include <algorithm>
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
    tables_.resize(table_count);
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

void Jumps::clear(Table& t) {
    if (!t.filled) return;
    for (u64 n = 0; n < jit::jump_count; ++n) {
        u64& pc = t.entries[n].pc;
        if (__atomic_load_n(&pc, __ATOMIC_RELAXED) != no_pc(n)) __atomic_store_n(&pc, no_pc(n), __ATOMIC_RELAXED);
    }
    std::fill(std::begin(t.pages), std::end(t.pages), 0);
    t.filled = false;
}

// Only its own thread reads an entry while code runs: the code first, for those that look at the table meanwhile.
void Jumps::add(jit::JumpEntry* entries, u64 pc, const u8* code, bool reaches_on) {
    Table& t = tables_[u64(entries - memory_) / jit::jump_count - 1];
    jit::JumpEntry& e = entries[number(pc)];
    __atomic_store_n(&e.code, u64(code), __ATOMIC_RELAXED);
    __atomic_store_n(&e.pc, pc, __ATOMIC_RELEASE);
    t.filled = true;
    note(t, pc);
    if (reaches_on) note(t, pc + 4096);
}

void Jumps::forget(u64 offset) {
    constexpr u64 page = 4096;
    for (Table& t : tables_)
        for (u64 n = number(offset); n < jit::jump_count; n += std::max<u64>(page >> shift_, 1)) {
            u64& pc = t.entries[n].pc;
            if (__atomic_load_n(&pc, __ATOMIC_RELAXED) % page == offset)
                __atomic_store_n(&pc, no_pc(n), __ATOMIC_RELAXED);
        }
}

void Jumps::flush() {
    for (Table& t : tables_) clear(t);
}
void Jumps::flush_context(u64 context) {
    for (Table& t : tables_)
        if (t.context == context) clear(t);
}
void Jumps::flush_address(u64 address) {
    for (Table& t : tables_)
        if (noted(t, address)) clear(t);
}

} // namespace mimic::cpu
