#include "ir/operands.hpp"
#include "ir/passes/backward.hpp"

namespace mimic::ir {

namespace {

class DeadState {
public:
    DeadState(Unit& unit, const GuestState& guest, PassScratch& s) : unit_(unit), guest_(guest), s_(s) {}

    void scan(const Block& b, std::vector<u64>& live, bool rewrite) {
        for (u32 n = b.end; n-- > b.begin;) {
            Inst& i = unit_.code[n];
            if (!(traits(i.op) & (trait::slots | trait::fault))) continue;
            switch (i.op) {
            case Op::get: set(live, SlotArg::from(i.imm).slot); break;
            case Op::get_idx: set_range(live, i); break;
            case Op::put: {
                SlotArg slot = SlotArg::from(i.imm);
                if (!get(live, slot.slot)) {
                    if (rewrite) drop(i);
                } else if (whole(slot, i.type)) {
                    clear(live, slot.slot);
                }
                break;
            }
            case Op::put_idx:
                if (rewrite && !any(live, i)) drop(i);
                break;
            case Op::load_ff:
                clear(live, SlotId(i.c));
                see_fault(live);
                break;
            default:
                if (may_fault(i))
                    see_fault(live);
                else if (i.op == Op::call && reads_all_slots(unit_, i))
                    see_all(live);
            }
        }
    }
    void see_all(std::vector<u64>& live) const {
        for (u32 w = 0; w < s_.words; ++w) live[w] |= s_.lasting[w];
    }
    void see_fault(std::vector<u64>& live) const {
        for (u32 w = 0; w < s_.words; ++w) live[w] |= s_.lasting[w] & ~s_.flags[w];
    }

private:
    void drop(Inst& i) const {
        i = {};
        ++s_.dropped;
    }
    static void set(std::vector<u64>& live, SlotId n) { live[n / 64] |= u64{1} << n % 64; }
    static void clear(std::vector<u64>& live, SlotId n) { live[n / 64] &= ~(u64{1} << n % 64); }
    bool get(const std::vector<u64>& live, SlotId n) const { return (live[n / 64] | s_.shared[n / 64]) >> n % 64 & 1; }
    void set_range(std::vector<u64>& live, const Inst& i) const {
        SlotArg s = SlotArg::from(i.imm);
        for (u32 n = 0; n < s.count; ++n) set(live, SlotId(s.slot + n));
    }
    bool any(const std::vector<u64>& live, const Inst& i) const {
        SlotArg s = SlotArg::from(i.imm);
        bool yes = false;
        for (u32 n = 0; n < s.count; ++n) yes |= get(live, SlotId(s.slot + n));
        return yes;
    }
    bool whole(SlotArg s, Type t) const {
        return s.offset == 0 &&
               size_of(t, unit_.vector_bytes) == size_of(guest_.slots[s.slot].type, unit_.vector_bytes);
    }

    Unit& unit_;
    const GuestState& guest_;
    PassScratch& s_;
};

} // namespace

void dead_state(Unit& unit, const GuestState& guest, PassScratch& scratch, ExitFlags* exits) {
    scratch.prepare(guest);
    DeadState pass(unit, guest, scratch);
    auto leave = [&](const Inst& last, std::vector<u64>& live) {
        bool no_flags = exits && last.op == Op::exit && exits->dead_at(last.imm, last.c);
        no_flags ? pass.see_fault(live) : pass.see_all(live);
    };
    backward(
        unit, scratch, scratch.words, false,
        [&](const Block& b, auto& live, bool rewrite) { pass.scan(b, live, rewrite); }, leave,
        [&](auto& live) { pass.see_all(live); });
}

} // namespace mimic::ir
