#include "base/check.hpp"
#include "ir/passes/passes.hpp"
#include "ir/verify.hpp"

namespace mimic::ir {

void PassScratch::prepare(const GuestState& g) {
    if (guest == &g) return;
    guest = &g;
    const u32 count = u32(g.slots.size());
    words = (count + 63) / 64;
    for (auto* set : {&lasting, &flags, &shared}) set->assign(words, 0);
    flag_slots.clear();
    flag_index.assign(count, none);
    std::vector<u32> owner; // of each byte: the last slot that has it
    owner.reserve(g.bytes + 256);
    for (u32 n = 0; n < count; ++n) {
        const Slot& s = g.slots[n];
        if (s.type == Type::flags) {
            flag_index[n] = u32(flag_slots.size());
            flag_slots.push_back(SlotId(n));
        }
        const u64 bit = u64{1} << n % 64;
        if (s.cls != SlotClass::temp) lasting[n / 64] |= bit;
        if (s.cls == SlotClass::flag) flags[n / 64] |= bit;
        for (u32 at = s.offset; at < s.offset + size_of(s.type, 256); ++at) {
            if (owner.size() <= at) owner.resize(at + 256, none);
            if (owner[at] != none) shared[n / 64] |= bit, shared[owner[at] / 64] |= u64{1} << owner[at] % 64;
            owner[at] = n;
        }
    }
}

namespace {

void check([[maybe_unused]] const Unit& unit, [[maybe_unused]] const GuestState& guest,
           [[maybe_unused]] const char* pass) {
#ifdef MIMIC_DEBUG
    auto good = verify(unit, guest);
    MIMIC_CHECK(good, (std::string("after ") + pass + ": " + good.error().message()).c_str());
#endif
}

} // namespace

void run_passes(Unit& unit, const GuestState& guest, PassScratch& scratch, ExitFlags* exits) {
    dead_flags(unit, guest, scratch, exits);
    check(unit, guest, "dead_flags");
    sink_flags(unit, guest, scratch);
    check(unit, guest, "sink_flags");
    narrow(unit, guest, scratch);
    check(unit, guest, "narrow");
    drop_dead_values(unit, guest, scratch); // gets that nobody uses keep no slot alive
    check(unit, guest, "drop_dead_values");
    const u32 dropped = scratch.dropped;
    dead_state(unit, guest, scratch, exits);
    check(unit, guest, "dead_state");
    if (scratch.dropped == dropped) return;
    drop_dead_values(unit, guest, scratch);
    check(unit, guest, "drop_dead_values");
}

} // namespace mimic::ir
