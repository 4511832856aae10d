#include "ir/operands.hpp"
#include "ir/passes/backward.hpp"

namespace mimic::ir {

namespace {

class SinkFlags {
public:
    SinkFlags(Unit& unit, PassScratch& s) : unit_(unit), s_(s) {}

    void block(BlockId b) {
        const Inst end = unit_.code[unit_.blocks[b].end - 1];
        if (end.op != Op::brcond || end.b == end.c) return;
        for (u32 n = unit_.blocks[b].end; n-- > unit_.blocks[b].begin;) {
            const Inst& i = unit_.code[n];
            if (i.op == Op::call || i.op == Op::put_idx || i.op == Op::get_idx) return;
            if (i.op == Op::get && i.type == Type::flags) return;
            if (may_fault(i)) return; // the guest may go on there, with the flags
            if (i.op == Op::put && i.type == Type::flags) return put(b, n, end);
        }
    }

private:
    struct Again {
        Inst value;
        u64 minus = 0;
    };
    bool wanted(BlockId b, u32 flag) const { return s_.live_in[size_t(b) * s_.flag_slots.size() + flag] != 0; }
    bool shared(SlotId n) const { return s_.shared[n / 64] >> n % 64 & 1; }

    void put(BlockId b, u32 at, const Inst& end) {
        SlotArg slot = SlotArg::from(unit_.code[at].imm);
        u32 flag = s_.flag_index[slot.slot];
        bool yes = wanted(end.b, flag), no = wanted(end.c, flag);
        if (yes == no || shared(slot.slot) || !unit_.blocks[yes ? end.b : end.c].args.empty()) return;
        const ValueId flags = unit_.code[at].a;
        if (!possible(b, flags)) return;

        Inst store = unit_.code[at];
        unit_.code[at] = {};
        ++s_.dropped;
        BlockId target = yes ? end.b : end.c, edge = BlockId(unit_.blocks.size());
        (yes ? unit_.code[unit_.blocks[b].end - 1].b : unit_.code[unit_.blocks[b].end - 1].c) = edge;
        Block made;
        made.pc = unit_.blocks[b].pc;
        made.begin = u32(unit_.code.size());
        store.a = make(b, flags);
        add(store);
        add({.op = Op::br, .b = target});
        made.end = u32(unit_.code.size());
        unit_.blocks.push_back(made);
    }
    static constexpr u32 most_choices = 2; // one in the other

    // Can flags of block b be made again at its end, from what slots hold then? A selection is a conditional comparison.
    bool possible(BlockId b, ValueId v, u32 choices = 0) const {
        const Inst& f = unit_.code[v];
        auto there = [&](ValueId operand) {
            Again found;
            return again(b, operand, found);
        };
        switch (f.op) {
        case Op::flags_fcmp: return choices == 0 && there(f.a) && there(f.b);
        case Op::flags_sub:
        case Op::flags_add: return f.c == none && there(f.a) && there(f.b);
        case Op::flags_logic: return there(f.a);
        case Op::flags_from: return unit_.code[f.a].op == Op::constant;
        case Op::select: {
            const Inst& c = unit_.code[f.a];
            return choices < most_choices && c.op == Op::icmp && there(c.a) && there(c.b) &&
                   possible(b, f.b, choices + 1) && possible(b, f.c, choices + 1);
        }
        default: return false;
        }
    }
    u32 make(BlockId b, ValueId v) {
        Inst f = unit_.code[v];
        auto operand = [&](ValueId of) {
            Again found;
            again(b, of, found);
            return add(found);
        };
        if (f.op == Op::select) {
            Inst c = unit_.code[f.a];
            c.a = operand(c.a), c.b = operand(c.b);
            f.a = add(c), f.b = make(b, f.b), f.c = make(b, f.c);
        } else {
            f.a = operand(f.a);
            if (f.op != Op::flags_logic && f.op != Op::flags_from) f.b = operand(f.b);
        }
        return add(f);
    }
    u32 add(const Inst& i) {
        unit_.code.push_back(i);
        return u32(unit_.code.size() - 1);
    }

    u32 add(const Again& x) {
        u32 v = add(x.value);
        if (x.minus == 0) return v;
        Type t = result_type(x.value);
        u32 c = add({.op = Op::constant, .type = t, .imm = x.minus});
        return add({.op = Op::sub, .type = t, .a = v, .b = c});
    }

    // How to get value v of block b again at the block's end: a constant, a slot that holds it, or one that has gone on by
    // a constant since.
    bool again(BlockId b, ValueId v, Again& to) const {
        Inst& out = to.value;
        const Inst& i = unit_.code[v];
        if (i.op == Op::constant) return out = i, true;
        Type t = result_type(i);
        const Inst& source = i.op == Op::trunc ? unit_.code[i.a] : i;
        if (source.op == Op::get) {
            SlotArg s = SlotArg::from(source.imm);
            if (s.offset == 0 && !written_after(b, i.op == Op::trunc ? i.a : v, s.slot))
                return out = {.op = Op::get, .type = t, .imm = SlotArg{s.slot}.bits()}, true;
        }
        for (u32 n = unit_.blocks[b].end; n-- > v;) {
            const Inst& p = unit_.code[n];
            if (p.op != Op::put || SlotArg::from(p.imm).offset != 0) continue;
            const Inst& x = unit_.code[p.a];
            const bool extended = x.op == Op::zext || x.op == Op::sext;
            const Inst& y = extended ? unit_.code[x.a] : x;
            const bool stepped = y.op == Op::add && y.type == t && y.a == v && unit_.code[y.b].op == Op::constant;
            const bool widened = x.op == Op::bitcast && x.type == Type::v128 && x.a == v && is_fp(t);
            const bool same = p.a == v || (extended && x.a == v) || widened || stepped;
            SlotId slot = SlotArg::from(p.imm).slot;
            if (!same || written_after(b, n, slot)) continue;
            out = {.op = Op::get, .type = t, .imm = SlotArg{slot}.bits()};
            if (stepped) to.minus = unit_.code[y.b].imm;
            return true;
        }
        return false;
    }
    bool written_after(BlockId b, u32 n, SlotId slot) const {
        if (shared(slot)) return true;
        for (++n; n < unit_.blocks[b].end; ++n)
            if (unit_.code[n].op == Op::put && SlotArg::from(unit_.code[n].imm).slot == slot) return true;
        return false;
    }

    Unit& unit_;
    PassScratch& s_;
};

} // namespace

void sink_flags(Unit& unit, [[maybe_unused]] const GuestState& guest, PassScratch& scratch) {
    if (scratch.flag_slots.empty()) return;
    SinkFlags pass(unit, scratch);
    const u32 count = u32(unit.blocks.size());
    for (BlockId b = 0; b < count; ++b) pass.block(b);
}

} // namespace mimic::ir
