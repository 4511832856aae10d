#include "ir/operands.hpp"
#include "ir/passes/passes.hpp"

namespace mimic::ir {

void drop_dead_values(Unit& unit, const GuestState& guest, PassScratch& scratch) {
    // Values are defined before they are used, so one way back through the code sees every user first.
    scratch.used.assign(unit.code.size(), 0);
    ValueId later = none; // a comparison that follows before anybody minds; blocks end with one who does
    for (u32 n = u32(unit.code.size()); n-- > 0;) {
        Inst& i = unit.code[n];
        const bool raised_later = compares_fp(i) && later != none && raise_alike(i, unit.code[later]);
        if (!scratch.used[n] && (raised_later || is_pure(unit, i, guest.fp_flags))) {
            scratch.dropped += i.op != Op::nop;
            i = {};
            continue;
        }
        if (compares_fp(i)) later = n;
        if (minds_exceptions(i)) later = none;
        for_each_operand(unit, i, [&](ValueId v) { scratch.used[v] = 1; });
    }
}

} // namespace mimic::ir
