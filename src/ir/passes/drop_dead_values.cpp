#include "ir/operands.hpp"
#include "ir/passes/passes.hpp"

namespace mimic::ir {

void drop_dead_values(Unit& unit, const GuestState& guest, PassScratch& scratch) {
    // Values are defined before they are used, so one way back through the code sees every user first.
    scratch.used.assign(unit.code.size(), 0);
    for (u32 n = u32(unit.code.size()); n-- > 0;) {
        Inst& i = unit.code[n];
        if (!scratch.used[n] && is_pure(unit, i, guest.fp_flags)) {
            scratch.dropped += i.op != Op::nop;
            i = {};
            continue;
        }
        for_each_operand(unit, i, [&](ValueId v) { scratch.used[v] = 1; });
    }
}

} // namespace mimic::ir
