#include "cpu/exit_flags.hpp"
#include <cstring>

namespace mimic::cpu {

namespace {
constexpr u32 horizon = 12; // instructions looked at

// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): begins at once, where a larger
// generator fills its state first.
struct Mix {
    u64 state;
    u64 operator()() {
        u64 z = state += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }
};
} // namespace

ExitFlags::ExitFlags(const isa::Guest& guest) : guest_(guest) { scratch_.prepare(guest.state()); }

void ExitFlags::begin(const isa::Fetch& fetch) {
    fetch_ = &fetch;
    ranges_.clear();
    answers_.clear();
}

bool ExitFlags::dead_at(u64 pc, u32 mode) {
    for (const Answer& a : answers_)
        if (a.pc == pc && a.mode == mode) return a.dead;
    u32 budget = horizon;
    answers_.push_back({pc, mode, false}); // also for a loop that comes back
    std::size_t n = answers_.size() - 1;
    return answers_[n].dead = dead(pc, mode, budget);
}

bool ExitFlags::dead(u64 pc, u32 mode, u32& budget) {
    u8 window[64];
    u32 bytes = (*fetch_)(pc, window), at = 0;
    while (budget && at < bytes) {
        --budget;
        std::span<const u8> code(window + at, bytes - at);
        u32 row = guest_.row_of(code, pc + at, mode);
        if (row == isa::Guest::no_row) return false;
        u32 length = guest_.row(row).bytes;
        if (length == 0) return false;
        Use use = use_of_row(row, code, pc + at, mode);
        if (use == Use::reads) return false;
        at += length;
        if (use == Use::none) continue;
        ranges_.push_back({pc, pc + at});
        return use == Use::kills || dead_behind(code.first(length), pc + at - length, mode, budget);
    }
    return false;
}

// Behind every direct way that a branch may go.
bool ExitFlags::dead_behind(std::span<const u8> code, u64 pc, u32 mode, u32& budget) {
    u64 ways[4];
    u32 count = 0;
    const ir::Unit& unit = unit_of(code, pc, mode);
    for (const ir::Block& b : unit.blocks) {
        if (b.begin == b.end) continue;
        const ir::Inst& end = unit.code[b.end - 1];
        if (end.op == ir::Op::br || end.op == ir::Op::brcond) continue;
        if (end.op != ir::Op::exit || end.c != mode || count == std::size(ways)) return false;
        ways[count++] = end.imm;
    }
    for (u32 n = 0; n < count; ++n)
        if (!dead(ways[n], mode, budget)) return false;
    return count != 0;
}

// A branch to what is next anyhow is still a branch.
ExitFlags::Use ExitFlags::join(Use a, Use b) {
    if (a == b) return a;
    auto goes_on = [](Use u) { return u == Use::none || u == Use::branches; };
    return goes_on(a) && goes_on(b) ? Use::branches : Use::reads;
}

// What a row does with condition codes may depend on its fields: the instruction at hand and random ones must agree.
ExitFlags::Use ExitFlags::use_of_row(u32 row, std::span<const u8> code, u64 pc, u32 mode) {
    if (rows_.empty()) rows_.resize(guest_.row_count());
    Use& known = rows_[row];
    if (known != Use::unknown) return known;
    Use use = use_of(code, pc, mode);
    if (use != Use::reads) use = join(use, use_of_samples(row, pc, mode, random_samples));
    return known = use;
}

ExitFlags::Use ExitFlags::use_of_samples(u32 row, u64 pc, u32 mode, u32 count) {
    // FNV-1a of the row: the same instances whatever its number is, which depends on the model and on other rows.
    Mix random{0xcbf29ce484222325};
    for (char c : guest_.row(row).pattern) random.state = (random.state ^ u8(c)) * 0x100000001b3;
    Use use = use_of(guest_.random_instance(row, random), pc, mode);
    for (u32 n = 1; n < count && use != Use::reads; ++n)
        use = join(use, use_of(guest_.random_instance(row, random), pc, mode));
    return use;
}

ir::Unit& ExitFlags::unit_of(std::span<const u8> code, u64 pc, u32 mode) {
    if (!translator_) translator_.emplace(guest_);
    isa::Fetch fetch = [&](u64 from, std::span<u8> out) {
        u64 offset = from - pc;
        if (offset >= code.size()) return u32(0);
        u32 count = u32(std::min<u64>(out.size(), code.size() - offset));
        std::memcpy(out.data(), code.data() + offset, count);
        return count;
    };
    return translator_->translate(pc, {mode, ir::flavour::one_insn}, fetch, {.one_insn = true});
}

ExitFlags::Use ExitFlags::use_of(std::span<const u8> code, u64 pc, u32 mode) {
    ir::Unit& unit = unit_of(code, pc, mode);
    ir::dead_flags(unit, guest_.state(), scratch_);
    bool live = false;
    for (u32 n = 0; n < scratch_.flag_slots.size(); ++n) live |= scratch_.live_in[n] != 0;
    if (!live) return Use::kills;
    // It neither reads nor writes them.
    if (unit.guest_insns != 1) return Use::reads;
    for (const ir::Inst& i : unit.code) {
        bool slot = i.op == ir::Op::get || i.op == ir::Op::put;
        if (slot && scratch_.flag_index[ir::SlotArg::from(i.imm).slot] != ir::none) return Use::reads;
        if (i.op == ir::Op::call || i.op == ir::Op::get_idx || i.op == ir::Op::put_idx) return Use::reads;
        if (i.op == ir::Op::trap || i.op == ir::Op::exit_ind) return Use::reads;
    }
    const ir::Inst& end = unit.code[unit.blocks[0].end - 1];
    bool next = unit.blocks.size() == 1 && end.op == ir::Op::exit && end.imm == unit.guest_high && end.c == mode;
    return next ? Use::none : Use::branches;
}

} // namespace mimic::cpu
