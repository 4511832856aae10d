// Blocks that go back to themselves. All state is at home where a block is entered, so that a loop of one block would pay
// at each turn for what it could know: that a constant's box is whole, that a sum is what the turn before left. Where
// something of the kind shows when the block has been made, it is made a second time, for every turn but the first, and
// relies on what holds where the first copy ends:
//   - NaNs and boxes may stay owed; they are paid where the loop is left, polls and faults included;
//   - a box that the first copy looked at is looked at once more between the copies;
//   - what a general and a vector register hold alike is not moved from one to the other.
// The first and the third hold only for guests whose NaN results are always the default one: other rules want the operands
// at hand. A copy of a short block saves a poll, too: one for two turns is enough.
#include "jit/host/x86_64/lower.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using IrInst = ir::Inst;

namespace {
constexpr u32 most_insts = 160;             // of a block that is made twice
constexpr u32 most_bytes = 96;              // of a copy that only saves a poll
constexpr u32 most_bytes_with_groups = 224; // where it saves checks of accesses, too
} // namespace

bool Lowering::turns(u32 n) const {
    const IrInst& i = inst(n);
    const ir::Block& b = unit_->blocks[block_];
    return !counted() && !apart_ && i.op == Op::brcond && i.b == block_ && i.c != block_ &&
           ir::polls_on(*unit_, b.pc, i.b) && b.end - b.begin <= most_insts;
}

u32 Lowering::most_copy_bytes() const {
    const auto groups = groups_of(block_);
    const bool saves = std::any_of(groups.begin(), groups.end(), [](const PageGroup& g) { return g.next_turn; });
    return saves ? most_bytes_with_groups : most_bytes;
}

// What registers of slots owe, and what is known of them, now.
Lowering::Steady Lowering::at_back_edge() const {
    Steady s;
    s.owed = owed_ & pinned_vecs(), s.owed_f64 = owed_f64_ & s.owed, s.bare = bare_ & pinned_vecs();
    for (u32 r = vec_temps(f_); r < 32; ++r) {
        s.known[r] = known_[r];
        s.known[r].normal = 0; // holds() does not look for it
        if (asked_ >> r & 1) s.known[r].boxed = true;
    }
    return s;
}

// Slots that get the same value last, one as an integer, and the integer goes back first thing.
void Lowering::find_mirrors(Steady& s) const {
    const ir::Block& b = unit_->blocks[block_];
    auto last_put = [&](auto accepts) {
        for (u32 n = b.end; n-- > b.begin;)
            if (inst(n).op == Op::put && accepts(inst(n))) return n;
        return none;
    };
    auto slot = [&](u32 n) { return ir::SlotArg::from(inst(n).imm); };
    auto is_last = [&](u32 put) {
        return put == last_put([&](const IrInst& i) { return ir::SlotArg::from(i.imm).slot == slot(put).slot; });
    };
    for (u32 n = b.begin; n < b.end; ++n) {
        const IrInst& back = inst(n); // f64 from i64
        if (back.op != Op::bitcast || back.type != Type::f64 || type(back.a) != Type::i64 || an_->value[n].dead)
            continue;
        const u32 get = back.a;
        if (inst(get).op != Op::get || slot(get).offset != 0 || plan_.gpr[slot(get).slot] < 0) continue;
        const u32 put = last_put([&](const IrInst& i) { return ir::SlotArg::from(i.imm).slot == slot(get).slot; });
        if (put == none || put < get || slot(put).offset != 0 || inst(put).type != Type::i64) continue;
        bool first = true;
        for (u32 k = b.begin; k < get; ++k) first &= inst(k).op != Op::put || slot(k).slot != slot(get).slot;
        const IrInst& bits = inst(inst(put).a);
        if (!first || bits.op != Op::bitcast || type(bits.a) != Type::f64) continue;
        const u32 twin = last_put([&](const IrInst& i) { return i.a == bits.a; });
        if (twin == none || !is_last(twin) || slot(twin).offset != 0 || plan_.vec[slot(twin).slot] < 0) continue;
        s.mirrors.push_back({get, u8(plan_.gpr[slot(get).slot]), u8(plan_.vec[slot(twin).slot])});
    }
}

bool Lowering::holds(const Steady& s) const {
    const u32 owed = owed_ & pinned_vecs();
    if ((owed & ~s.owed) | ((owed_f64_ ^ s.owed_f64) & owed) | (bare_ & pinned_vecs() & ~s.bare)) return false;
    for (u32 r = vec_temps(f_); r < 32; ++r)
        if (known_[r].clear > s.known[r].clear || (s.known[r].boxed && !known_[r].boxed)) return false;
    return true;
}

void Lowering::resume(const Steady& s) {
    forget_owed();
    owed_ = s.owed, owed_f64_ = s.owed_f64, bare_ = s.bare;
    group_ = 1; // what was kept, lanes among it, has been settled
    std::copy(std::begin(s.known), std::end(s.known), std::begin(known_));
    std::fill(std::begin(cover_), std::end(cover_), i8(-1));
}

bool Lowering::turn(u32 n) {
    if (!turns(n)) return false;
    if (in_copy_) return close_turn(n), true;
    Steady s = at_back_edge();
    if (nan_rules_ == NanRules::canonical) find_mirrors(s);
    const u32 asked = asked_, debts = s.owed | s.bare;
    const bool steady = debts | asked || !s.mirrors.empty();
    if (!steady && u32(a_.offset()) - copy_begin_ > most_copy_bytes()) return false;
    // What was paid in this copy may wait in the others, where accesses do not force it.
    const u32 paid = settled_ & pinned_vecs() & ~s.owed;
    Steady end = s;
    if (steady && nan_rules_ == NanRules::canonical && by_host()) s.owed |= paid, s.owed_f64 |= settled_f64_ & paid;
    for (const Mirror& m : s.mirrors) s.owed &= ~bit(m.vec), s.owed_f64 &= ~bit(m.vec);
    const u64 pc = unit_->blocks[block_].pc;
    const u32 mode = mode_of(inst(unit_->blocks[block_].begin));
    const BlockId b = block_;
    out_of_turn_ = a_.newLabel();
    Label around = way_out_of_turn(end), other = a_.newLabel(), on = a_.newLabel();
    a_.j(negateCond(last_condition(inst(n).a, on, around)), around);
    a_.bind(on);
    for (u32 r = 0; r < 32; ++r) {
        if (!(asked >> r & 1)) continue;
        f_.avx ? a_.vmovq(rax, xmm(r)) : a_.movq(rax, xmm(r));
        a_.cmp(rax, state(at_.host(offsetof(HostArea, box_f32)), 8));
        a_.jb(other);
    }
    if (asked)
        cold(other, [=, this] { // the first copy again
            resume(end);
            settle();
            test_poll();
            a_.jz(label(b));
            set_pc(pc);
            set_mode(mode);
            leave_host(offsetof(HostArea, stub_poll));
        });
    test_poll();
    a_.jnz(stop_turn(end));
    polled_ = !steady;
    more_copies_ = steady ? 1 : 0;
    again_ = steady ? a_.newLabel() : label(b);
    steady_ = std::move(s);
    if (steady) {
        a_.align(asmjit::AlignMode::kCode, 16);
        a_.bind(again_);
    }
    in_copy_ = true;
    another_copy();
    in_copy_ = false;
    return true;
}

// Where a copy leaves the loop: at once when nothing is to be paid.
Label Lowering::way_out_of_turn(const Steady& s) {
    if (!(s.owed | s.bare)) return out_of_turn_;
    Label around = a_.newLabel();
    cold(around, [=, this, to = out_of_turn_] {
        resume(s);
        settle();
        a_.jmp(to);
    });
    return around;
}

// Where a poll that stops goes.
Label Lowering::stop_turn(const Steady& s) {
    Label stop = a_.newLabel();
    cold(stop, [=, this, b = block_] {
        resume(s);
        settle();
        set_pc(unit_->blocks[b].pc);
        set_mode(mode_of(inst(unit_->blocks[b].begin)));
        leave_host(offsetof(HostArea, stub_poll));
    });
    return stop;
}

void Lowering::another_copy() {
    const ir::Block& b = unit_->blocks[block_];
    begin_block(b);
    for (u32 n = b.begin; n < b.end; ++n) place_[n] = {};
    resume(steady_);
    pc_ = b.pc;
    for (const Mirror& m : steady_.mirrors) {
        Xmm t = vec_temp();
        v_move(t, xmm(m.vec));
        known_[t.id()] = known_[m.vec];
        activate(m.get);
        set_gpr(m.get, m.gpr);
        set_vec(m.get, i32(t.id()));
    }
    copy_begin_ = u32(a_.offset());
    check_groups(&steady_, polled_);
    body(b);
}

void Lowering::close_turn(u32 n) {
    if (!holds(steady_)) settle();
    const bool steady = holds(steady_),
               more = steady && more_copies_ && u32(a_.offset()) - copy_begin_ <= most_copy_bytes();
    const Steady end = at_back_edge();
    Label around = more ? way_out_of_turn(end) : a_.newLabel();
    if (polled_ && steady && !more) { // the copy before did
        a_.j(last_condition(inst(n).a, again_, around), again_);
        a_.bind(around);
    } else {
        Label on = a_.newLabel();
        a_.j(negateCond(last_condition(inst(n).a, on, around)), around);
        a_.bind(on);
        test_poll();
        if (more) {
            a_.jnz(stop_turn(end));
            --more_copies_;
            polled_ = true;
            return another_copy();
        }
        a_.jz(steady ? again_ : label(block_));
        a_.jmp(stop_turn(end));
        a_.bind(around);
    }
    settle();
    a_.bind(out_of_turn_);
    edge(inst(n).c, false);
}

// Is the NaN that a stored value owes repaired in what is stored alone? The register goes on owing, around the loop.
bool Lowering::fixed_by_store(const IrInst& i) const {
    const i8 r = place_[i.b].vec;
    if (!in_copy_ || !f_.avx512vl || r < 0 || !kept_.empty() || !(owed_ >> r & 1)) return false;
    const Type t = type(i.b);
    const bool d = t == Type::f64;
    return (d || t == Type::f32) && (owed_f64_ >> r & 1) == d && ir::MemArg::from(i.imm).memory == t &&
           !(d && (bare_ >> r & 1));
}

Xmm Lowering::canonical_copy(Xmm v, bool f64) {
    constexpr u32 unordered = 3;
    Xmm t = vec_temp();
    const Mem nan = state(at_.host(f64 ? offsetof(HostArea, nan_f64) : offsetof(HostArea, nan_f32)), 16);
    f64 ? a_.vcmpsd(k1, v, v, unordered) : a_.vcmpss(k1, v, v, unordered);
    a_.k(k1);
    f64 ? a_.vblendmpd(t, v, nan) : a_.vblendmps(t, v, nan);
    return t;
}

} // namespace mimic::jit::x86
