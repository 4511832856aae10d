// Which accesses of a unit of paged code are likely to meet a page that was met before, and which are surely at one page if the
// first of their bytes and the last are.
#include "jit/analysis.hpp"
#include "jit/tlb.hpp"
#include <algorithm>

namespace mimic::jit {

using ir::Inst;
using ir::Op;
using ir::Type;

Analysis::Step Analysis::step_of(const ir::Unit& unit, ir::ValueId v) {
    Step s;
    for (const Inst* i = &unit.code[v];; i = &unit.code[i->a]) {
        if (i->op == Op::get) return s.slot = ir::SlotArg::from(i->imm).slot, s;
        if (i->op != Op::add || unit.code[i->b].op != Op::constant) return {};
        s.by += unit.code[i->b].imm;
    }
}

// Is it made of constants and of what slots hold that do not jump?
bool Analysis::is_linear(const ir::Unit& unit, ir::ValueId v, const std::vector<u8>& jumps, u32 depth) {
    const Inst& i = unit.code[v];
    if (depth > 6) return false;
    if (i.op == Op::constant) return true;
    if (i.op == Op::get) return !jumps[ir::SlotArg::from(i.imm).slot];
    if (i.op == Op::shl)
        return unit.code[i.b].op == Op::constant && unit.code[i.b].imm <= 4 && is_linear(unit, i.a, jumps, depth + 1);
    if (i.op == Op::zext || i.op == Op::sext || i.op == Op::trunc) return is_linear(unit, i.a, jumps, depth + 1);
    if (i.op != Op::add && i.op != Op::sub) return false;
    return is_linear(unit, i.a, jumps, depth + 1) && is_linear(unit, i.b, jumps, depth + 1);
}

// A slot that goes on by itself does so by small steps; what is made of such slots moves with them.
void Analysis::find_jumps(const ir::Unit& unit, Loop& loop) const {
    constexpr u64 small = 256; // bytes: a sixteenth of the accesses meets another page than the one before
    for (bool again = true; again;) {
        again = false;
        for (u32 n = loop.first; n <= loop.last; ++n)
            for (u32 k = unit.blocks[layout[n]].begin; k < unit.blocks[layout[n]].end; ++k) {
                const Inst& i = unit.code[k];
                const u32 slot = ir::SlotArg::from(i.imm).slot;
                if (i.op != Op::put || loop.jumps[slot]) continue;
                const Step s = step_of(unit, i.a);
                const bool small_step = s.slot == slot && s.by + small <= 2 * small;
                if (small_step || (s.slot != slot && is_linear(unit, i.a, loop.jumps))) continue;
                loop.jumps[slot] = again = true;
            }
    }
}

// The innermost one around a place of the layout; null: there is none.
const Analysis::Loop* Analysis::loop_around(const ir::Unit& unit, const ir::GuestState& guest, u32 place) {
    Loop* inner = nullptr;
    for (Loop& l : loops_)
        if (l.first <= place && place <= l.last && (!inner || l.last - l.first < inner->last - inner->first))
            inner = &l;
    if (!inner) return nullptr;
    if (inner->jumps.empty()) {
        inner->jumps.assign(guest.slots.size(), false);
        find_jumps(unit, *inner);
    }
    return inner;
}

// Of addresses by a slot, or by a slot and an index in another.
i8 Analysis::recent_of(u32 base, u32 index, const Loop* loop) {
    const Stream stream{base, index, loop};
    auto it = std::find(known_.begin(), known_.end(), stream);
    if (it == known_.end()) it = known_.insert(it, stream);
    return i8(1 + (first_recent_ + u32(it - known_.begin())) % (tlb_recent - 1)); // 0 is the stack's
}

// The stack's accesses, and in loops those by slots that small steps move: an address, or an array and an index. Others may
// meet another page each time, for which a guess would only be in the way.
void Analysis::find_recent(const ir::Unit& unit, const ir::GuestState& guest) {
    known_.clear();
    first_recent_ = u32(unit.pc * 0x9e3779b97f4a7c15 >> 60);
    for (u32 n = 0; n < layout.size(); ++n) {
        const ir::Block& block = unit.blocks[layout[n]];
        const Loop* loop = loop_around(unit, guest, n);
        auto is_steady = [&](u32 slot) { return slot != ir::none && loop && !loop->jumps[slot]; };
        for (u32 k = block.begin; k < block.end; ++k) {
            const Inst& i = unit.code[k];
            if (i.op != Op::load && i.op != Op::store) continue;
            const Inst& a = unit.code[i.a];
            const u32 slot = step_of(unit, i.a).slot;
            if (slot != ir::none && slot == guest.stack)
                recent[k] = 0;
            else if (is_steady(slot))
                recent[k] = recent_of(slot, ir::none, loop);
            else if (slot == ir::none && a.op == Op::add) {
                const Inst& shifted = unit.code[a.b];
                const bool scaled = shifted.op == Op::shl && unit.code[shifted.b].op == Op::constant;
                const u32 base = step_of(unit, a.a).slot, index = step_of(unit, scaled ? shifted.a : a.b).slot;
                if (is_steady(base) && is_steady(index)) recent[k] = recent_of(base, index, loop);
            }
        }
    }
}

Analysis::Step Analysis::sum(const Step& a, const Step& b) {
    if (a.is_plain() && b.slot == ir::none && b.scaled != ir::none) return {a.slot, b.scaled, b.shift, a.by + b.by};
    if (b.is_plain() && a.slot == ir::none && a.scaled != ir::none) return sum(b, a);
    if (!a.is_plain() || !b.is_plain()) return {};
    return {std::min(a.slot, b.slot), std::max(a.slot, b.slot), 0, a.by + b.by};
}

// What a slot holds now, from what slots held where the present block begins.
Analysis::Step Analysis::held(u32 slot) const {
    if (held_[slot].since >= since_) return held_[slot].value;
    return since_ == start_ ? Step{.slot = slot} : Step{};
}

// What the values of a block are, from the same.
void Analysis::follow_slots(const ir::Unit& unit, const ir::GuestState& guest, const ir::Block& b) {
    start_ = ++since_;
    auto whole = [&](const ir::SlotArg& s, Type t) {
        return s.offset == 0 && t == Type::i64 && guest.slots[s.slot].type == Type::i64;
    };
    for (u32 k = b.begin; k < b.end; ++k) {
        const Inst& i = unit.code[k];
        const ir::SlotArg s = ir::SlotArg::from(i.imm); // of get and put
        Step& v = from_entry_[k];
        v = {};
        if (i.op == Op::get) {
            if (whole(s, i.type)) v = held(s.slot);
        } else if (i.op == Op::put) {
            held_[s.slot] = {since_, whole(s, i.type) ? from_entry_[i.a] : Step{}};
        } else if (i.op == Op::add && i.type == Type::i64 && unit.code[i.b].op == Op::constant) {
            if (v = from_entry_[i.a]; v.slot != ir::none || v.scaled != ir::none) v.by += unit.code[i.b].imm;
        } else if (i.op == Op::add && i.type == Type::i64) {
            v = sum(from_entry_[i.a], from_entry_[i.b]);
        } else if (i.op == Op::shl && i.type == Type::i64 && unit.code[i.b].op == Op::constant) {
            const Step& x = from_entry_[i.a];
            const u64 by = unit.code[i.b].imm;
            if (x.is_plain() && by <= 3) v = {ir::none, x.slot, u32(by), x.by << by};
        } else if (i.op == Op::put_idx || i.op == Op::load_ff || (i.op == Op::call && is_observer(unit, i))) {
            ++since_; // any slot may have been written
        }
    }
}

// Instruction n, an access, to one of the present block's groups, which begin at `first`.
void Analysis::join_group(const ir::Unit& unit, u32 n, u32 first, i8 page) {
    constexpr i64 most = 1024; // bytes from end to end: the more, the likelier are two pages
    const Inst& i = unit.code[n];
    const ir::MemArg m = ir::MemArg::from(i.imm);
    const Step& at = from_entry_[i.a];
    const i64 low = i64(at.by) + m.disp, high = low + ir::size_of(m.memory);
    if (low < -(1 << 20) || high > 1 << 20) return;
    for (u32 g = first; g < groups.size(); ++g) {
        PageGroup& to = groups[g];
        if (!at.is_sum_as(to) || to.index != m.index) continue;
        const i64 all_low = std::min<i64>(to.low, low), all_high = std::max<i64>(to.high, high);
        if (all_high - all_low > most) continue;
        to.low = i32(all_low), to.high = i32(all_high);
        to.write |= i.op == Op::store;
        ++to.members;
        group[n] = i16(g - first);
        return;
    }
    group[n] = i16(groups.size() - first);
    groups.push_back({.slot = at.slot,
                      .scaled = at.scaled,
                      .shift = at.shift,
                      .low = i32(low),
                      .high = i32(high),
                      .index = m.index,
                      .recent = page,
                      .write = i.op == Op::store,
                      .members = 1});
}

// In a block that goes back to itself: the bytes of the next turn, too, where constants move the slot.
void Analysis::cover_next_turn(PageGroup& g) const {
    constexpr u64 most = 64;
    const Step base = held(g.slot), index = g.scaled == ir::none ? Step{} : held(g.scaled);
    if (!base.is_plain() || base.slot != g.slot) return;
    if (g.scaled != ir::none && (!index.is_plain() || index.slot != g.scaled)) return;
    const u64 by = base.by + (index.by << g.shift);
    if (by + most > 2 * most) return;
    g.low = std::min(g.low, g.low + i32(i64(by))), g.high = std::max(g.high, g.high + i32(i64(by)));
    g.next_turn = true;
}

// Those of the present block that are worth a check of their own, and the block being made twice. What else asks a recent page
// of theirs would put another one in its place.
void Analysis::keep_groups(const ir::Block& b, u32 first, u32 weight, bool turns) {
    constexpr u32 most = 16;       // instructions of the block for each access, where it is no loop
    constexpr u32 most_turns = 64; // of a loop, where a check is for single accesses of two turns
    std::vector<i16> to(groups.size() - first, -1);
    u32 taken = 0, kept = 0, pages = 0;
    for (u32 g = 0; g < to.size() && kept < PageGroup::most; ++g) {
        PageGroup x = groups[first + g];
        const bool asks_table = x.recent < 0;
        if (turns && !asks_table) cover_next_turn(x);
        const u32 least = x.next_turn && b.end - b.begin <= most_turns ? 1 : asks_table && weight == 1 ? 3 : 2;
        if (x.members < least || (!asks_table && pages >> x.recent & 1)) continue;
        if (!asks_table) pages |= 1u << x.recent;
        taken += x.members;
        groups[first + kept] = x;
        to[g] = i16(kept++);
    }
    if (weight == 1 && taken * most < b.end - b.begin) kept = pages = 0;
    groups.resize(first + kept);
    for (u32 k = b.begin; k < b.end; ++k) {
        if (group[k] >= 0) group[k] = kept ? to[u32(group[k])] : i16(-1);
        if (group[k] < 0 && recent[k] >= 0 && pages >> recent[k] & 1) recent[k] = -1;
    }
}

// The recent page of accesses there; -1: none.
i8 Analysis::page_of(const Step& at, u32 stack, const Loop* loop) {
    if (at.slot == stack && at.scaled == ir::none) return 0;
    const bool steady = loop && !loop->jumps[at.slot] && (at.scaled == ir::none || !loop->jumps[at.scaled]);
    return steady ? recent_of(at.slot, at.scaled, loop) : i8(-1);
}

void Analysis::find_groups(const ir::Unit& unit, const ir::GuestState& guest) {
    groups.clear();
    groups_of.assign(unit.blocks.size(), {});
    group.assign(unit.code.size(), -1);
    from_entry_.resize(unit.code.size());
    held_.assign(guest.slots.size(), {});
    start_ = since_ = 0;
    for (u32 n = 0; n < layout.size(); ++n) {
        const ir::Block& b = unit.blocks[layout[n]];
        const u32 first = u32(groups.size());
        const Loop* loop = loop_around(unit, guest, n);
        follow_slots(unit, guest, b);
        for (u32 k = b.begin; k < b.end; ++k) {
            const Inst& i = unit.code[k];
            if (i.op != Op::load && i.op != Op::store) continue;
            const ir::MemArg m = ir::MemArg::from(i.imm);
            const Step& at = from_entry_[i.a];
            if (at.slot == ir::none || m.big || ir::size_of(m.memory) > 16) continue;
            join_group(unit, k, first, page_of(at, guest.stack, loop));
        }
        const Inst& end = unit.code[b.end - 1];
        const bool turns = end.op == Op::brcond && end.b == layout[n] && end.c != layout[n];
        keep_groups(b, first, weight_[n], turns);
        groups_of[layout[n]] = {first, u32(groups.size())};
    }
}

} // namespace mimic::jit
