// Masks that were just made: their bits came of lanes.
#include "ir/builder.hpp"

namespace mimic::ir {

// Are lanes of that width all ones or zero, by what made them?
bool Builder::is_all_or_none(ValueId v, Lane lane) const {
    const Inst& i = unit_.code[v];
    if (i.type != Type::v128) return false;
    if (i.op == Op::vun && VUn(i.sub) == VUn::not_) return is_all_or_none(i.a, lane);
    return (i.op == Op::vcmp || i.op == Op::vlanes) && lane_bytes(i.lane) >= lane_bytes(lane);
}

// What bits at, at + 1 ... of v are the bits of, with their place there: a step back, or none.
bool Builder::bits_come_from(ValueId& v, u32& at, u32 count) const {
    const Inst& i = unit_.code[v];
    const u64 bits = (count < 64 ? (u64{1} << count) - 1 : ~u64{0}) << at;
    if (i.op == Op::vget && i.type == Type::i64 && i.lane == Lane::i64) {
        const Inst& s = unit_.code[i.a];
        if (s.op != Op::vset || s.lane != Lane::i64 || s.imm != i.imm) return false;
        v = s.b;
        return true;
    }
    if (i.op != Op::or_ || unit_.code[i.a].op != Op::and_) return false;
    const Inst& kept = unit_.code[unit_.code[i.a].b]; // (old & mask) | new
    if (kept.op != Op::constant || kept.imm & bits) return false;
    v = i.b;
    return true;
}

Val Builder::vlanes(Lane lane, Val bits, u32 from) {
    ValueId v = bits.id();
    u32 at = from;
    while (bits_come_from(v, at, 16 / lane_bytes(lane))) {}
    const Inst& i = unit_.code[v];
    bool made_of_lanes = i.op == Op::vbits && at == 0 && lane_bytes(i.lane) == lane_bytes(lane);
    if (made_of_lanes && is_all_or_none(i.a, lane)) return {this, i.a};
    return op(Op::vlanes, Type::v128, bits, {}, {}, from, 0, lane);
}

} // namespace mimic::ir
