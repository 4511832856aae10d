// What a back end wants to know of a unit before it emits code: which blocks are reached and in what order they lie,
// how often and until where each value is used, which instructions are dead, which may wait until their only use, and
// which values should be computed in the register of the slot that they are put into.
#pragma once
#include "ir/unit.hpp"
#include <vector>

namespace mimic::jit {

// Slots that live in host registers: register number by slot, -1 in memory. Plans of different ids cannot link.
struct RegisterPlan {
    u32 id = 0;
    std::vector<i8> gpr; // by slot
    std::vector<i8> vec;
};

struct ValueInfo {
    u16 uses = 0;          // 0 and no effect: dead
    bool deferred = false; // emitted at its only use
    bool dead = false;
    bool silent =
        false; // a comparison whose flags nobody sees, since they are put back as they were: this is that write
    // A load, what widens it and its put, when only faults of other loads see the slot before the last operation that
    // reads the value puts its result there.
    bool late = false;
    i16 target = -1; // slot whose register the result should be computed in
    u32 last = 0;    // index of the last instruction that uses it
};

// Inside a unit, slot `in` has the register that the plan gives slot `out`: where code enters and leaves it, the two are
// exchanged.
struct Exchange {
    u8 reg;
    ir::SlotId out, in;
};

// Accesses of one block at what a slot, or two, hold where the block begins and constants, which are looked up in the TLB together,
// there: when all of their bytes are in one page whose rights allow them, none of them asks any more.
struct PageGroup {
    static constexpr u32 most = 8; // of a block
    u32 slot = ir::none;
    u32 scaled = ir::none; // none, or the slot whose content is shifted left by `shift` and added
    u32 shift = 0;
    i32 low = 0, high = 0; // of their bytes, from what the slots hold: [low, high)
    u8 index = 0;          // of the accesses (ir::MemArg)
    i8 recent = -1;        // which of the vCPU's recent pages is theirs; -1: none, the table is asked
    bool write = false;    // one of them is a store
    u32 members = 0;
    bool next_turn = false; // the block goes back to itself, and its next turn's bytes are among these
};

struct Analysis {
    std::vector<ValueInfo> value;    // by instruction
    std::vector<ir::BlockId> layout; // reached blocks in emission order, the entry first
    std::vector<u32> position;       // by block: place in layout, none when not reached
    std::vector<bool> loop_head;     // by block: target of an edge that does not go forward
    std::vector<u64> leaves_from; // by block: highest guest pc of a block that its exit, if it has one, is a jump from
    std::vector<Exchange> exchanges; // of general registers; for loops that use slots which the plan has in memory
    // By block, when there are exchanges: those (bit n: exchange n) whose slot `in` may have been put to between the
    // unit's entry and the block's end. The others' values are still at home.
    std::vector<u32> changed;
    RegisterPlan plan;       // in force inside the unit
    bool fp_by_body = false; // FP operations are left to the interpreter's bodies (GuestState::fp_by_body)

    // By instruction, of units of paged code: which of the vCPU's recent pages a load or store asks first; -1: none.
    std::vector<i8> recent;
    // The groups of each block, which are side by side, and by instruction its group; -1: none.
    std::vector<PageGroup> groups;
    struct Range {
        u32 begin = 0, end = 0;
    };
    std::vector<Range> groups_of;
    std::vector<i16> group;

    void run(const ir::Unit& unit, const ir::GuestState& guest, const RegisterPlan& plan);

private:
    void order(const ir::Unit& unit);
    bool reaches(const ir::Unit& unit, ir::BlockId from, ir::BlockId to);
    bool find_loops(const ir::Unit& unit);
    void choose(const ir::Unit& unit, const ir::GuestState& guest);
    void find_changes(const ir::Unit& unit);
    void find_recent(const ir::Unit& unit, const ir::GuestState& guest);
    struct Loop {
        u32 first = 0, last = 0; // places in layout
        std::vector<u8> jumps;   // by slot: it is moved there otherwise than by small steps; empty: not found out yet
    };
    const Loop* loop_around(const ir::Unit& unit, const ir::GuestState& guest, u32 place);
    i8 recent_of(u32 base, u32 index, const Loop* loop);
    struct Stream { // what has a recent page: an address, or an array and an index, in a loop
        u32 base, index;
        const Loop* loop;
        bool operator==(const Stream&) const = default;
    };
    std::vector<Stream> known_;
    u32 first_recent_ = 0; // by the unit's pc: loops of different units rather take different pages
    void find_groups(const ir::Unit& unit, const ir::GuestState& guest);
    void follow_slots(const ir::Unit& unit, const ir::GuestState& guest, const ir::Block& b);
    void join_group(const ir::Unit& unit, u32 n, u32 first, i8 recent);
    void keep_groups(const ir::Block& b, u32 first, u32 weight, bool turns);
    void cover_next_turn(PageGroup& g) const;
    // A value that is what a slot held plus what another did, shifted left, plus a constant. Without a slot: only the other;
    // without both: something else.
    struct Step {
        u32 slot = ir::none, scaled = ir::none, shift = 0;
        u64 by = 0; // modulo 2^64
        bool is_plain() const { return slot != ir::none && scaled == ir::none; }
        bool is_sum_as(const PageGroup& g) const { return slot == g.slot && scaled == g.scaled && shift == g.shift; }
    };
    static Step sum(const Step& a, const Step& b);
    i8 page_of(const Step& at, u32 stack, const Loop* loop);
    static Step step_of(const ir::Unit& unit, ir::ValueId v);
    std::vector<Step> from_entry_; // by value: from what a slot held where the block begins
    struct Held {                  // by slot: what it holds now, if it was put there since since_
        u32 since = 0;
        Step value;
    };
    std::vector<Held> held_;
    u32 start_ = 0, since_ = 0; // of the present block; since when held_ is right
    Step held(u32 slot) const;
    std::vector<Loop> loops_;
    void find_jumps(const ir::Unit& unit, Loop& loop) const;
    static bool is_linear(const ir::Unit& unit, ir::ValueId v, const std::vector<u8>& jumps, u32 depth = 0);
    ir::ValueId in_place_of(const ir::Unit& unit, const ir::Inst& i) const;
    void block(const ir::Unit& unit, const ir::GuestState& guest, const ir::Block& b);
    std::vector<u32> want_; // by slot: value that is put there next, while the register may be written early
    void find_late(const ir::Unit& unit, u32 put, u32 next);
    std::vector<u32> next_put_; // by slot: of all of it, while nobody reads it but an observer
    std::vector<i16> wish_;     // by value: the slot of want_ that it may be in; -1: none
    std::vector<ir::BlockId> stack_;
    std::vector<bool> seen_;
    std::vector<u32> weight_; // by place in layout: how often a block runs, by the loops around it
    u32 crossings_ = 0;       // weighted ways out that come back
    std::vector<u32> score_;  // by slot: weighted uses
    std::vector<u32> ranked_;
    std::vector<ir::SlotId> wanted_;
};

// May leave the unit or show slots to somebody: nothing may be written early across it.
bool is_observer(const ir::Unit& unit, const ir::Inst& i);
// 32-bit operations whose results a back end computes with zeros in the upper half of their register, so that extending
// them with zeros is free.
bool clears_upper(const ir::Inst& i);
bool is_free_extension(const ir::Unit& unit, const ir::Inst& i);
// Instructions without effect beside their result.
bool is_removable(const ir::Inst& i);
// Calls f(ValueId&) for each value operand.
template <class F>
void each_operand(const ir::Unit& unit, const ir::Inst& i, F&& f) {
    u32 n = ir::info(i.op).operands;
    if (n > 0 && i.a != ir::none) f(i.a);
    if (n > 1 && i.b != ir::none) f(i.b);
    if (n > 2 && i.c != ir::none) f(i.c);
    if (i.op == ir::Op::trap && i.b != ir::none) f(i.b);
    if (i.op == ir::Op::call)
        if (u32 rest = ir::CallArg::from(i.imm).rest)
            for (u32 k = 0; k < unit.extra[rest - 1]; ++k) f(unit.extra[rest + k]);
}

} // namespace mimic::jit
