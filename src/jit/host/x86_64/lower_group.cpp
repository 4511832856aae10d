// Groups of accesses (Analysis::groups): one check at the start of the block stands for all of them, after which each is the
// access at the guest's address and the page's distance. Where the check fails, as the bytes are in two pages, on a device or not in
// the TLB, the block goes on in a second copy, which looks each of them up and is entered from here alone. All state
// is at home at the start of a block, so that there is nothing to carry over.
#include "jit/host/x86_64/lower.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;

// What the group's slots hold, and `low`.
void Lowering::group_address(Gp to, const PageGroup& g) {
    auto add = [&](u32 slot) {
        const i8 r = plan_.gpr[slot];
        r >= 0 ? a_.add(to, gpq(u32(r))) : a_.add(to, state(at_.slot(guest_.slots[slot].offset)));
    };
    auto get = [&](u32 slot) {
        const i8 r = plan_.gpr[slot];
        r >= 0 ? a_.mov(to, gpq(u32(r))) : a_.mov(to, state(at_.slot(guest_.slots[slot].offset)));
    };
    const i8 base = plan_.gpr[g.slot], index = g.scaled == none ? i8(-1) : plan_.gpr[g.scaled];
    if (base >= 0 && index >= 0) return void(a_.lea(to, ptr(gpq(u32(base)), gpq(u32(index)), g.shift, g.low)));
    if (base >= 0 && g.scaled == none && g.low) return void(a_.lea(to, ptr(gpq(u32(base)), g.low)));
    if (g.scaled == none) {
        get(g.slot);
    } else {
        get(g.scaled);
        if (g.shift) a_.shl(to, g.shift);
        add(g.slot);
    }
    if (g.low) a_.add(to, g.low);
}

// At the start of the present block; `copy`: of a later turn of a loop, which begins with that; `is_next`: of the turn before
// alone, which looked for this one, too, where it could.
void Lowering::check_groups(const Steady* copy, bool is_next) {
    const std::span<const PageGroup> groups = groups_of(block_);
    if (groups.empty()) return;
    const BlockId b = block_;
    if (!apart_labels_[b].isValid()) {
        apart_labels_[b] = a_.newLabel();
        cold(apart_labels_[b], [=, this] { made_apart(b); });
    }
    Label apart = apart_labels_[b];
    if (copy && (copy->owed | copy->bare)) {
        apart = a_.newLabel();
        cold(apart, [=, this, s = *copy] {
            resume(s);
            settle();
            a_.jmp(apart_labels_[b]);
        });
    }
    for (const PageGroup& g : groups)
        if (g.recent >= 0 && !(is_next && g.next_turn)) ask_recent(g, apart);
    for (u32 n = 0; n < groups.size(); ++n)
        if (groups[n].recent < 0) ask_table(groups[n], delta_place(n), apart);
}

void Lowering::ask_recent(const PageGroup& g, Label apart) {
    const i32 place = recent_place(g.index, g.recent);
    const u32 bytes = u32(g.high - g.low);
    const Label look = a_.newLabel(), found = a_.newLabel();
    group_address(rax, g);
    a_.sub(rax, state(place + i32(g.write ? offsetof(TlbRecent, write) : offsetof(TlbRecent, read))));
    a_.cmp(rax, (1 << tlb_page_bits) - i32(bytes));
    a_.ja(look);
    a_.bind(found);
    cold(look, [=, this] { // no temporary has a value: all are the routine's
        TlbSite s;
        s.offset = rax, s.entry = rcx, s.slow = apart, s.base = rdx;
        s.right = i32(g.write ? offsetof(TlbEntry, write) : offsetof(TlbEntry, read));
        group_address(rdx, g);
        a_.mov(rax, rdx);
        tlb_look(s, g.index, bytes);
        a_.sub(rdx, rax);
        a_.mov(eax, place);
        a_.call(state(at_.host(g.write ? offsetof(HostArea, stub_page_write) : offsetof(HostArea, stub_page_read))));
        a_.jmp(found);
    });
}

// Leaves the distance in rcx, too.
void Lowering::ask_table(const PageGroup& g, i32 place, Label apart) {
    TlbSite s;
    s.offset = rax, s.entry = rcx, s.slow = apart, s.base = rdx;
    s.right = i32(g.write ? offsetof(TlbEntry, write) : offsetof(TlbEntry, read));
    group_address(rdx, g);
    a_.mov(rax, rdx);
    tlb_look(s, g.index, u32(g.high - g.low));
    a_.mov(rcx, ptr(rcx, i32(offsetof(TlbEntry, host))));
    a_.sub(rax, rdx);
    a_.add(rcx, rax);
    a_.mov(state(place), rcx);
    std::fill(std::begin(deltas_), std::end(deltas_), 0);
    deltas_[rcx.id()] = place;
}

i32 Lowering::delta_place(u32 group) const {
    const PageGroup& g = groups_of(block_)[group];
    if (g.recent < 0) return at_.host(i32(offsetof(HostArea, deltas) + 8 * group));
    return recent_place(g.index, g.recent) + i32(offsetof(TlbRecent, delta));
}

// A temporary with the distance of a member's page, when it is there already, or will be wanted again and one is idle; else none.
Gp Lowering::group_page(u32 n, const TlbSite& s) {
    i32 idle = -1;
    for (u8 r : gpr_temps) {
        if (deltas_[r] == s.delta) {
            locked_ |= 1u << r;
            return gpq(r);
        }
        if (gpr_count_[r] || locked_ >> r & 1) continue;
        if (idle < 0 || deltas_[idle]) idle = r;
    }
    const auto& group = an_->group;
    const u32 end = unit_->blocks[block_].end;
    const bool again = std::find(&group[n] + 1, group.data() + end, group[n]) != group.data() + end;
    if (idle < 0 || !again) return {};
    a_.mov(gpq(u32(idle)), state(s.delta));
    locked_ |= 1u << idle;
    deltas_[idle] = s.delta;
    return gpq(u32(idle));
}

// Will accesses behind instruction n use what a check before it found? A page stays where it is until the vCPU looks for
// requests (flushes, changes of the memory map, dirty tracking) or the instruction itself reaches a device. So what is called
// for n must not do the latter: then it fails, and the instruction runs alone.
bool Lowering::relies_on_pages(u32 n) const {
    if (apart_) return false;
    for (const PageGroup& g : groups_of(block_))
        if (g.next_turn) return true;
    if (groups_of(block_).empty()) return false;
    const auto begin = an_->group.begin();
    return std::any_of(begin + n + 1, begin + unit_->blocks[block_].end, [](i16 g) { return g >= 0; });
}
void Lowering::tell_reliance() {
    a_.mov(state(at_.host(offsetof(HostArea, tlb) + offsetof(TlbViews, relied_on)), 4), 1);
}

void Lowering::made_apart(BlockId b) {
    const ir::Block& block = unit_->blocks[b];
    apart_ = true;
    block_ = b;
    pc_ = block.pc;
    mode_ = modes_[b];
    begin_block(block);
    for (u32 n = block.begin; n < block.end; ++n) place_[n] = {};
    behind_ = counted() ? ir::count_insns(*unit_, block) : 0;
    body(block);
    apart_ = false;
}

// At an exit, which both copies of a block share: true in the second one, which went there.
bool Lowering::goes_to_exit() {
    if (groups_of(block_).empty()) return false;
    if (apart_) return a_.jmp(exit_labels_[block_]), true;
    exit_labels_[block_] = a_.newLabel();
    a_.bind(exit_labels_[block_]);
    return false;
}

} // namespace mimic::jit::x86
