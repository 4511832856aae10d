#include "ir/operands.hpp"
#include "ir/passes/passes.hpp"

namespace mimic::ir {

namespace {

bool compares(const Inst& i) { return i.op == Op::fcmp || i.op == Op::flags_fcmp; }
bool is_signaling(const Inst& i) { return i.op == Op::fcmp ? i.imm != 0 : i.sub != 0; }
// Both raise the same exceptions.
bool raise_alike(const Inst& x, const Inst& y) {
    return x.type == y.type && is_signaling(x) == is_signaling(y) &&
           ((x.a == y.a && x.b == y.b) || (x.a == y.b && x.b == y.a));
}
// Sees the sticky flags, or changes what a comparison raises.
bool minds_exceptions(const Inst& i) {
    const char effect = info(i.op).effect;
    return (effect != 'P' && effect != 'S' && effect != 'E') || i.op == Op::fpflags || i.op == Op::fpflags_set ||
           i.op == Op::fpmode_set;
}

} // namespace

void drop_dead_values(Unit& unit, const GuestState& guest, PassScratch& scratch) {
    // Values are defined before they are used, so one way back through the code sees every user first.
    scratch.used.assign(unit.code.size(), 0);
    ValueId later = none; // a comparison that follows before anybody minds; blocks end with one who does
    for (u32 n = u32(unit.code.size()); n-- > 0;) {
        Inst& i = unit.code[n];
        const bool raised_later = compares(i) && later != none && raise_alike(i, unit.code[later]);
        if (!scratch.used[n] && (raised_later || is_pure(unit, i, guest.fp_flags))) {
            scratch.dropped += i.op != Op::nop;
            i = {};
            continue;
        }
        if (compares(i)) later = n;
        if (minds_exceptions(i)) later = none;
        for_each_operand(unit, i, [&](ValueId v) { scratch.used[v] = 1; });
    }
}

} // namespace mimic::ir
