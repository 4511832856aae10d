#include "jit/analysis.hpp"
#include "ir/operands.hpp"
#include <algorithm>
#include <bit>

namespace mimic::jit {

using ir::Inst;
using ir::Op;
using ir::Type;

bool is_observer(const ir::Unit& unit, const Inst& i) {
    switch (ir::info(i.op).effect) {
    case 'M': return i.op != Op::fence;
    case 'C': return true;
    case 'X':
        return i.op == Op::call &&
               (unit.calls[ir::CallArg::from(i.imm).callee]->effects &
                (ir::Intrinsic::reads_state | ir::Intrinsic::writes_state | ir::Intrinsic::may_exit));
    default: return i.op == Op::get_idx || i.op == Op::put_idx;
    }
}

bool is_removable(const Inst& i) {
    switch (ir::info(i.op).effect) {
    case 'P': return i.op != Op::insn;
    case 'S': return i.op == Op::get || i.op == Op::get_idx;
    default: return false;
    }
}

namespace {

// Conditions that fuse with what consumes them.
bool is_condition(const Inst& i) {
    if (i.op == Op::icmp) return ir::size_of(i.type) <= 8;
    if (i.op == Op::cond) return true;
    return i.op == Op::fcmp && ir::FRel(i.sub) != ir::FRel::eq && (i.type == Type::f32 || i.type == Type::f64);
}
// Two jumps, as unordered is not equal: for branches only.
bool is_equality(const Inst& i) {
    return i.op == Op::fcmp && ir::FRel(i.sub) == ir::FRel::eq && (i.type == Type::f32 || i.type == Type::f64);
}
// Conditions that a branch looks at one after the other, as far as it must. All or none of their effects would matter:
// comparisons of FP values raise exceptions.
bool is_junction(const Inst& i) { return (i.op == Op::and_ || i.op == Op::or_) && i.type == Type::i1; }
bool joins(const Inst& junction, const Inst& i) {
    return (is_condition(i) && i.op != Op::fcmp) || (is_junction(i) && i.op == junction.op);
}
// Bits of a word against zero, one of them or as many as an immediate can say, as branches ask for them.
bool tests_bits(const ir::Unit& unit, const Inst& i) {
    const Inst &m = unit.code[i.a], &mask = unit.code[m.b], &zero = unit.code[i.b];
    if (m.op != Op::and_ || (m.type != Type::i64 && m.type != Type::i32) || ir::Rel(i.sub) > ir::Rel::ne) return false;
    if (mask.op != Op::constant || zero.op != Op::constant || zero.imm != 0) return false;
    return m.type == Type::i32 || mask.imm == u32(mask.imm) || i64(mask.imm) == i32(i64(mask.imm)) ||
           std::has_single_bit(mask.imm);
}
// A selection holds two temporaries: the condition may want one only.
bool one_test(const ir::Unit& unit, const Inst& i) {
    if (i.op != Op::cond) return true;
    const Inst& f = unit.code[i.a];
    return ir::Cond(i.sub) < ir::Cond::ugt && (f.op == Op::get || f.op == Op::flags_from);
}
bool takes_condition(const Inst& i) {
    return i.op == Op::brcond || i.op == Op::select ||
           ((i.op == Op::zext || i.op == Op::sext) && (i.type == Type::i64 || i.type == Type::i32));
}
// Condition codes that a deferred condition leaves in the host's flags only.
bool is_flags(const Inst& i) {
    return (i.op == Op::flags_add || i.op == Op::flags_sub || i.op == Op::flags_logic) && ir::size_of(i.type) <= 8;
}
bool is_memory(const Inst& i) { return i.op == Op::load || i.op == Op::store; }

bool is_word(Type t) { return t == Type::i64 || t == Type::i32; }
bool small_shift(const ir::Unit& unit, const Inst& i) {
    return i.op == Op::shl && unit.code[i.b].op == Op::constant && unit.code[i.b].imm <= 3;
}

// A scalar that gets what belongs above it in the register that it was computed in.
bool widens_in_place(const ir::Unit& unit, const Inst& i) {
    if (i.op != Op::fbox && i.op != Op::bitcast) return false;
    const Type from = ir::result_type(unit.code[i.a]);
    if (i.op == Op::fbox) return from == Type::f32 && i.type == Type::f64;
    return i.type == Type::v128 && (from == Type::f32 || from == Type::f64);
}

// Scalar operations whose NaN rules may want the operands again.
bool is_fp_arithmetic(const Inst& i) {
    if (i.type != Type::f32 && i.type != Type::f64) return false;
    switch (i.op) {
    case Op::fadd:
    case Op::fsub:
    case Op::fmul:
    case Op::fdiv:
    case Op::fsqrt:
    case Op::fma:
    case Op::fround:
    case Op::fcvt: return true;
    default: return false;
    }
}
bool is_plain_load(const Inst& i) { return i.op == Op::load && ir::MemArg::from(i.imm).align == ir::Align::any; }

// Scalar operations that the host does in the register of an operand.
bool is_in_place(const Inst& i) {
    if (!is_word(i.type)) return false;
    switch (i.op) {
    case Op::add:
    case Op::sub:
    case Op::and_:
    case Op::or_:
    case Op::xor_:
    case Op::not_:
    case Op::neg:
    case Op::shl:
    case Op::lshr:
    case Op::ashr:
    case Op::rotr:
    case Op::zext:
    case Op::sext:
    case Op::trunc:
    case Op::ubfx:
    case Op::sbfx: return true;
    default: return false;
    }
}
bool commutes(Op op) { return op == Op::add || op == Op::and_ || op == Op::or_ || op == Op::xor_; }

// Sticky flags that are read, may rise by comparisons only, and are put back: how RISC-V code compares quietly.
void mark_silent(const ir::Unit& unit, u32 begin, u32 set, std::vector<ValueInfo>& value) {
    const u32 saved = unit.code[set].a;
    auto is = [&](u32 n, Op op) { return unit.code[n].op == op && unit.code[n].sub == unit.code[set].sub; };
    if (saved < begin || !is(saved, Op::fpflags)) return;
    for (u32 n = saved + 1; n < set; ++n) {
        const char effect = ir::info(unit.code[n].op).effect;
        const Type t = unit.code[n].type;
        const bool compares = unit.code[n].op == Op::fcmp && (t == Type::f32 || t == Type::f64);
        if (effect != 'P' && effect != 'S' && !compares) return;
    }
    for (u32 n = saved + 1; n < set; ++n) value[n].silent = unit.code[n].op == Op::fcmp;
    value[set].silent = true;
}

// Does any of the unit run under one of these mode bits?
bool is_under(const ir::Unit& unit, u32 bits) {
    if (!bits) return false;
    return (unit.key.mode & bits) || std::any_of(unit.code.begin(), unit.code.end(), [&](const Inst& i) {
               return i.op == Op::insn && i.c != ir::none && (i.c & bits);
           });
}

// One way of a branch that leaves the unit; its pc is where it goes to.
bool is_way_out(const ir::Unit& unit, ir::BlockId b) {
    const ir::Block& block = unit.blocks[b];
    return !block.entry && block.end == block.begin + 1 && unit.code[block.begin].op == Op::exit;
}

// A slot goes on by a constant: done in its register when the old value has no more use, whatever came between.
bool is_step(const ir::Unit& unit, const Inst& i, ir::SlotId slot) {
    if (i.op != Op::add || i.type != Type::i64 || unit.code[i.b].op != Op::constant) return false;
    const Inst& old = unit.code[i.a];
    return old.op == Op::get && ir::SlotArg::from(old.imm) == ir::SlotArg{slot} &&
           i64(unit.code[i.b].imm) == i32(unit.code[i.b].imm);
}

} // namespace

bool clears_upper(const Inst& i) {
    if (i.type != Type::i32) return false;
    switch (i.op) {
    case Op::add:
    case Op::sub:
    case Op::mul:
    case Op::and_:
    case Op::or_:
    case Op::xor_:
    case Op::not_:
    case Op::neg:
    case Op::shl:
    case Op::lshr:
    case Op::ashr:
    case Op::rotr:
    case Op::ubfx:
    case Op::sbfx:
    case Op::bfi:
    case Op::clz:
    case Op::ctz:
    case Op::popcnt:
    case Op::bswap:
    case Op::select:
    case Op::load: return true;
    default: return false;
    }
}
bool is_free_extension(const ir::Unit& unit, const Inst& i) {
    if (i.op != Op::zext) return false;
    const Inst& from = unit.code[i.a];
    if (from.op == Op::icmp || from.op == Op::cond) return is_word(i.type); // made as 0 or 1 in a whole register
    return i.type == Type::i64 && clears_upper(from);
}

void Analysis::run(const ir::Unit& unit, const ir::GuestState& guest, const RegisterPlan& base) {
    value.assign(unit.code.size(), {});
    wish_.assign(unit.code.size(), -1);
    if (want_.size() != guest.slots.size()) want_.assign(guest.slots.size(), ir::none);
    next_put_.assign(guest.slots.size(), ir::none);
    fp_by_body = is_under(unit, guest.fp_by_body);
    order(unit);
    plan = base;
    exchanges.clear();
    if (find_loops(unit)) choose(unit, guest);
    if (!exchanges.empty()) find_changes(unit);
    recent.assign(unit.key.flavour & ir::flavour::paged ? unit.code.size() : 0, -1);
    groups.clear();
    if (!recent.empty()) find_recent(unit, guest), find_groups(unit, guest);
    for (ir::BlockId b : layout) block(unit, guest, unit.blocks[b]);
}

// Can control go on from block `from` to block `to` inside the unit?
bool Analysis::reaches(const ir::Unit& unit, ir::BlockId from, ir::BlockId to) {
    seen_.assign(unit.blocks.size(), false);
    stack_.assign(1, from);
    while (!stack_.empty()) {
        const ir::BlockId b = stack_.back();
        stack_.pop_back();
        if (b == to) return true;
        if (seen_[b]) continue;
        seen_[b] = true;
        const Inst& end = unit.code[unit.blocks[b].end - 1];
        if (end.op == Op::br || end.op == Op::brcond) stack_.push_back(end.b);
        if (end.op == Op::brcond) stack_.push_back(end.c);
    }
    return false;
}

// Weighs blocks by the loops around them. False: there is no loop.
bool Analysis::find_loops(const ir::Unit& unit) {
    constexpr u32 turns = 8, most = turns * turns * turns;
    weight_.assign(layout.size(), 1);
    crossings_ = 0;
    loops_.clear();
    bool any = false;
    u64 low = ~u64{0}, high = 0;
    for (u32 n = 0; n < layout.size(); ++n) {
        const Inst& end = unit.code[unit.blocks[layout[n]].end - 1];
        auto edge = [&](ir::BlockId to) {
            if (position[to] > n) return;
            // A way that joins what was laid out before is no loop.
            if (unit.blocks[to].pc > unit.blocks[layout[n]].pc && !reaches(unit, to, layout[n])) return;
            any = true;
            loops_.push_back({position[to], n, {}});
            for (u32 k = position[to]; k <= n; ++k) {
                weight_[k] = std::min(weight_[k] * turns, most);
                low = std::min(low, unit.blocks[layout[k]].pc), high = std::max(high, unit.blocks[layout[k]].pc);
            }
        };
        if (end.op == Op::br || end.op == Op::brcond) edge(end.b);
        if (end.op == Op::brcond) edge(end.c);
    }
    if (!any) return false;
    for (u32 n = 0; n < layout.size(); ++n) {
        const Inst& end = unit.code[unit.blocks[layout[n]].end - 1];
        if (end.op == Op::br || end.op == Op::brcond) continue;
        // Calls come back, jumps to a place beside the loop's blocks and to a place that nobody knows may.
        const auto hint = ir::ExitHint(end.sub);
        const bool returns = end.op == Op::exit ? hint != ir::ExitHint::jump || (end.imm >= low && end.imm <= high)
                                                : end.op == Op::exit_ind && hint != ir::ExitHint::ret;
        if (returns)
            crossings_ += weight_[n];
        else
            weight_[n] = 1; // what leaves is no part of a loop
    }
    return true;
}

// The slots that loops use most take the registers of those that they use least, where that is worth the moves.
void Analysis::choose(const ir::Unit& unit, const ir::GuestState& guest) {
    constexpr u32 entry = 12, crossing = 4; // moves where the unit is entered and left; where it is left and comes back
    const u32 margin = entry + crossing * crossings_;
    score_.assign(guest.slots.size(), 0);
    for (u32 n = 0; n < layout.size(); ++n) {
        const ir::Block& b = unit.blocks[layout[n]];
        for (u32 k = b.begin; k < b.end; ++k)
            if (const Inst& i = unit.code[k]; i.op == Op::get || i.op == Op::put)
                score_[ir::SlotArg::from(i.imm).slot] += weight_[n];
    }
    ranked_.clear();
    for (u32 s = 0; s < guest.slots.size(); ++s) {
        const ir::Slot& slot = guest.slots[s];
        if (plan.gpr[s] >= 0 || (slot.cls == ir::SlotClass::gpr && slot.type == Type::i64 && plan.vec[s] < 0))
            ranked_.push_back(s);
    }
    std::stable_sort(ranked_.begin(), ranked_.end(), [&](u32 a, u32 b) { return score_[a] > score_[b]; });
    auto in = ranked_.begin();
    for (auto out = ranked_.end(); out != ranked_.begin();) {
        if (plan.gpr[*--out] < 0) continue;
        while (in < out && plan.gpr[*in] >= 0) ++in;
        if (in >= out || score_[*in] < score_[*out] + margin) break;
        exchanges.push_back({u8(plan.gpr[*out]), ir::SlotId(*out), ir::SlotId(*in)});
        ++in;
    }
    for (const Exchange& x : exchanges) plan.gpr[x.in] = i8(x.reg), plan.gpr[x.out] = -1;
}

// Forward, from the entries, where nothing has changed yet.
void Analysis::find_changes(const ir::Unit& unit) {
    changed.assign(unit.blocks.size(), 0);
    for (ir::BlockId b : layout) {
        for (u32 k = unit.blocks[b].begin; k < unit.blocks[b].end; ++k) {
            const Inst& i = unit.code[k];
            if (i.op == Op::put_idx || i.op == Op::load_ff) changed[b] = ~0u;
            if (i.op != Op::put) continue;
            for (u32 n = 0; n < exchanges.size(); ++n)
                if (exchanges[n].in == ir::SlotArg::from(i.imm).slot) changed[b] |= 1u << n;
        }
    }
    for (bool again = true; again;) {
        again = false;
        for (ir::BlockId b : layout) {
            const Inst& end = unit.code[unit.blocks[b].end - 1];
            auto edge = [&](ir::BlockId to) {
                again |= (changed[b] & ~changed[to]) != 0;
                changed[to] |= changed[b];
            };
            if (end.op == Op::br || end.op == Op::brcond) edge(end.b);
            if (end.op == Op::brcond) edge(end.c);
        }
    }
}

// Depth first, the fall-through first: straight code stays straight, and a loop closes on its head.
void Analysis::order(const ir::Unit& unit) {
    layout.clear();
    position.assign(unit.blocks.size(), ir::none);
    loop_head.assign(unit.blocks.size(), false);
    leaves_from.resize(unit.blocks.size());
    for (ir::BlockId b = 0; b < unit.blocks.size(); ++b) leaves_from[b] = is_way_out(unit, b) ? 0 : unit.blocks[b].pc;
    stack_.assign(1, 0);
    for (ir::BlockId b = 1; b < unit.blocks.size(); ++b)
        if (unit.blocks[b].entry) stack_.insert(stack_.begin(), b);
    while (!stack_.empty()) {
        ir::BlockId b = stack_.back();
        stack_.pop_back();
        if (position[b] != ir::none) continue;
        position[b] = u32(layout.size());
        layout.push_back(b);
        const Inst& end = unit.code[unit.blocks[b].end - 1];
        auto edge = [&](ir::BlockId to) {
            if (unit.blocks[to].pc <= unit.blocks[b].pc) loop_head[to] = true;
            if (is_way_out(unit, to)) leaves_from[to] = std::max(leaves_from[to], unit.blocks[b].pc);
            if (position[to] == ir::none) stack_.push_back(to);
        };
        if (end.op == Op::br) edge(end.b);
        if (end.op == Op::brcond) edge(end.b), edge(end.c);
    }
}

// The operand that a value takes the place of: it can be made in the register that the value is wanted in.
ir::ValueId Analysis::in_place_of(const ir::Unit& unit, const Inst& i) const {
    if (is_free_extension(unit, i) || widens_in_place(unit, i)) return i.a;
    if (!is_in_place(i)) return ir::none;
    auto ends = [&](ir::ValueId o) { // its last use, as the scan goes backward
        const Inst& from = unit.code[o];
        return value[o].uses == 0 && (is_in_place(from) || (from.op == Op::load && is_word(from.type)));
    };
    if (ends(i.a)) return i.a;
    return commutes(i.op) && ends(i.b) ? i.b : ir::none;
}

// Between `put` and `next`, which is the next one to its slot, are no other observers than loads.
void Analysis::find_late(const ir::Unit& unit, u32 put, u32 next) {
    auto scalar = [&](ir::ValueId v) { return widens_in_place(unit, unit.code[v]) ? unit.code[v].a : v; };
    if (fp_by_body) return;
    const ir::ValueId wide = unit.code[put].a, loaded = scalar(wide), result = scalar(unit.code[next].a);
    if (!is_plain_load(unit.code[loaded]) || !is_fp_arithmetic(unit.code[result])) return;
    if (value[loaded].last == result) value[put].late = value[wide].late = value[loaded].late = true;
}

void Analysis::block(const ir::Unit& unit, const ir::GuestState& guest, const ir::Block& b) {
    wanted_.clear();
    auto forget = [&] {
        for (ir::SlotId s : wanted_) want_[s] = ir::none;
        wanted_.clear();
    };
    ir::ValueId later = ir::none; // a comparison that follows before anybody minds its exceptions
    u32 observer = b.end;         // the next one that is no load
    for (u32 n = b.end; n-- > b.begin;) {
        const Inst& i = unit.code[n];
        ValueInfo& v = value[n];
        const bool raised_later = ir::compares_fp(i) && later != ir::none && ir::raise_alike(i, unit.code[later]);
        if (i.op == Op::nop || (v.uses == 0 && (is_removable(i) || raised_later))) {
            v.dead = true;
            continue;
        }
        if (ir::minds_exceptions(i)) later = ir::none;
        if (ir::compares_fp(i)) later = n;
        if (i.op == Op::fpflags_set && !fp_by_body) mark_silent(unit, b.begin, n, value);
        // Does a put that follows want this value in its register?
        if (i.op == Op::put) {
            ir::SlotArg s = ir::SlotArg::from(i.imm);
            bool whole = s.offset == 0 && ir::size_of(i.type) == ir::size_of(guest.slots[s.slot].type);
            bool pinned = plan.gpr[s.slot] >= 0 || plan.vec[s.slot] >= 0;
            const u32 next = next_put_[s.slot]; // of an earlier block: not between
            if (whole && plan.vec[s.slot] >= 0 && next > n && next < observer) find_late(unit, n, next);
            next_put_[s.slot] = whole ? n : ir::none;
            if (want_[s.slot] == ir::none) wanted_.push_back(s.slot);
            want_[s.slot] = whole && pinned ? i.a : ir::none;
            if (whole && pinned) wish_[i.a] = i16(s.slot);
            if (whole && plan.gpr[s.slot] >= 0 && value[i.a].uses == 0 && is_step(unit, unit.code[i.a], s.slot))
                value[i.a].deferred = true, value[i.a].target = i16(s.slot);
        } else {
            if (i16 s = wish_[n]; s >= 0 && v.uses && want_[u16(s)] == n) {
                v.target = s, want_[u16(s)] = ir::none;
                if (const ir::ValueId o = in_place_of(unit, i); o != ir::none) want_[u16(s)] = o, wish_[o] = s;
            }
            if (is_observer(unit, i)) forget();
            if (is_observer(unit, i) && !is_plain_load(i)) observer = n;
            if (i.op == Op::get) {
                const ir::SlotId s = ir::SlotArg::from(i.imm).slot;
                want_[s] = next_put_[s] = ir::none;
            }
        }
        if (v.deferred && v.uses != 1) v.deferred = false;
        u32 at = v.deferred ? v.last : n;
        each_operand(unit, i, [&](u32 o) {
            ValueInfo& w = value[o];
            ++w.uses;
            w.last = std::max(w.last, at);
            const Inst& d = unit.code[o];
            if (w.uses > 1) {
                if (w.deferred) w.deferred = false, w.target = -1;
                return;
            }
            if (fp_by_body && d.op == Op::fcmp) return;
            if (is_condition(d) && takes_condition(i) && o == i.a && (i.op != Op::select || one_test(unit, d)))
                w.deferred = true;
            if (i.op == Op::brcond && is_equality(d)) w.deferred = true;
            if (i.op == Op::brcond ? is_junction(d) : is_junction(i) && v.deferred && joins(i, d)) w.deferred = true;
            if (is_flags(d) && i.op == Op::cond) w.deferred = true;
            if (i.op == Op::icmp && v.deferred && o == i.a && unit.code[v.last].op == Op::brcond && tests_bits(unit, i))
                w.deferred = true;
            if (is_memory(i) && o == i.a && d.op == Op::add && unit.code[d.b].op != Op::constant) w.deferred = true;
            if (i.op == Op::add && is_word(d.type) && small_shift(unit, d)) {
                const ir::ValueId other = o == i.a ? i.b : i.a;
                if (!value[other].deferred && unit.code[other].op != Op::constant) w.deferred = true;
            }
        });
    }
    forget();
}

} // namespace mimic::jit
