// Edges, exits and traps. An edge inside the unit is a jump; one that leaves it goes through a link word, which points
// to a stub until the target is known. Edges that do not go forward poll.
#include "jit/host/x86_64/lower.hpp"
#include <cstring>

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::imm;
using IrInst = ir::Inst;

namespace {

// Up to the displacement of an operand relative to rip.
constexpr u8 jump[] = {0xff, 0x25}, decrement[] = {0x48, 0x83, 0x2d}, lea_rax[] = {0x48, 0x8d, 0x05};

} // namespace

bool Lowering::control(u32 n) {
    const IrInst& i = inst(n);
    switch (i.op) {
    case Op::br: edge(i.b, false); return true;
    case Op::brcond: {
        if (turn(n)) return true;
        BlockId yes = i.b, no = i.c;
        u64 pc = unit_->blocks[block_].pc;
        bool back = ir::polls_on(*unit_, pc, yes);
        if (back) {
            // if not c, around the poll; the poll closes the loop
            Label around = a_.newLabel(), turn = a_.newLabel(), stop = a_.newLabel();
            CondCode c = last_condition(i.a, turn, around);
            a_.j(asmjit::x86::negateCond(c), around);
            a_.bind(turn);
            test_poll();
            a_.jz(label(yes));
            a_.jmp(stop);
            leave_for_poll(stop, yes);
            a_.bind(around);
            edge(no, false);
        } else if (falls_into(yes) && !ir::polls_on(*unit_, pc, no)) {
            CondCode c = last_condition(i.a, label(yes), label(no));
            a_.j(asmjit::x86::negateCond(c), label(no));
        } else {
            Label otherwise = a_.newLabel();
            CondCode c = last_condition(i.a, label(yes), otherwise);
            a_.j(c, label(yes));
            a_.bind(otherwise);
            edge(no, false);
        }
        return true;
    }
    case Op::exit:
        if (goes_to_exit()) return true;
        if (i.imm <= an_->leaves_from[block_]) {
            Label stop = a_.newLabel();
            test_poll();
            a_.jnz(stop);
            u64 pc = i.imm;
            u32 mode = i.c;
            cold(stop, [=, this] {
                set_pc(pc);
                set_mode(mode);
                leave_host(offsetof(HostArea, stub_poll));
            });
        }
        // A loop longer than a unit is left forward, too, by the unit that went back inside: on the way to its own entry.
        exit_direct(i.imm, i.c,
                    out_->counts_turns && (i.imm <= an_->leaves_from[block_] || i.imm < unit_->pc) &&
                        ir::ExitHint(i.sub) == ir::ExitHint::jump);
        return true;
    case Op::exit_ind: exit_indirect(n); return true;
    case Op::trap: trap(n); return true;
    default: return false;
    }
}

// Of conditions that are joined by `and` or `or`, all but the last: jumps to `yes` or `no` as soon as one of them decides.
// The last one's truth is left in the host's flags, but for what equality of FP values wants of parity. All state is at home: each jump may be taken.
CondCode Lowering::last_condition(ValueId v, Label yes, Label no) {
    const IrInst& i = inst(v);
    if (!an_->value[v].deferred || (i.op != Op::and_ && i.op != Op::or_)) {
        const CondCode c = condition(v);
        const bool equality = an_->value[v].deferred && i.op == Op::fcmp && ir::FRel(i.sub) == ir::FRel::eq;
        if (equality) a_.jp(no); // unordered
        return c;
    }
    CondCode first = last_condition(i.a, yes, no);
    if (i.op == Op::and_)
        a_.j(asmjit::x86::negateCond(first), no);
    else
        a_.j(first, yes);
    locked_ = vec_locked_ = 0;
    return last_condition(i.b, yes, no);
}

Label Lowering::label(BlockId b) { return labels_[b]; }

// To a block of this unit; falls into it when it is next.
void Lowering::edge(BlockId to, bool jump_always) {
    if (ir::polls_on(*unit_, unit_->blocks[block_].pc, to)) poll(to);
    if (jump_always || !falls_into(to)) a_.jmp(label(to));
}

// One instruction for the host together with the jump that follows, which a comparison of memory with a constant is not:
// rbp is odd, and the word is 0 or 1.
void Lowering::test_poll() { a_.test(state(at_.header(offsetof(ir::CpuHeader, poll)), 4), ebp); }

void Lowering::poll(BlockId to) {
    Label stop = a_.newLabel();
    test_poll();
    a_.jnz(stop);
    leave_for_poll(stop, to);
}

void Lowering::leave_for_poll(Label stop, BlockId to) {
    cold(stop, [=, this] {
        set_pc(unit_->blocks[to].pc);
        set_mode(mode_of(inst(unit_->blocks[to].begin)));
        leave_host(offsetof(HostArea, stub_poll));
    });
}

// Takes the block's instructions from the budget, before anything of it is done.
void Lowering::pay(BlockId b) {
    behind_ = ir::count_insns(*unit_, unit_->blocks[b]);
    if (behind_ == 0) return;
    const Mem budget = state(at_.header(offsetof(ir::CpuHeader, budget)));
    Label over = a_.newLabel();
    a_.sub(budget, behind_);
    a_.js(over);
    cold(over, [=, this, n = behind_] {
        a_.add(budget, n);
        set_pc(unit_->blocks[b].pc);
        set_mode(mode_of(inst(unit_->blocks[b].begin)));
        leave_host(offsetof(HostArea, stub_budget));
    });
}

// Whoever is called, or hears of a fault, may ask for the exact count.
void Lowering::tell_behind(u32 behind) {
    if (counted()) a_.mov(state(at_.header(offsetof(ir::CpuHeader, behind)), 4), behind);
}

void Lowering::set_pc(u64 pc) {
    Mem m = state(at_.header(offsetof(ir::CpuHeader, pc)));
    if (!paged() && i64(pc) == i32(i64(pc))) {
        a_.mov(m, imm(i64(pc)));
    } else {
        load_pc(rax, pc);
        a_.mov(m, rax);
    }
}

void Lowering::set_mode(u32 mode) {
    if (mode != unit_->key.mode) a_.mov(state(at_.header(offsetof(ir::CpuHeader, mode)), 4), mode);
}

void Lowering::jump_host(u32 offset) { a_.jmp(state(at_.host(i32(offset)))); }

// ---- a plan of the unit's own

void Lowering::take_over() {
    for (const Exchange& x : an_->exchanges) {
        a_.mov(state(at_.slot(guest_.slots[x.out].offset)), gpq(x.reg));
        a_.mov(gpq(x.reg), state(at_.slot(guest_.slots[x.in].offset)));
    }
}
void Lowering::give_back(u32 changed) {
    for (u32 n = 0; n < an_->exchanges.size(); ++n) {
        const Exchange& x = an_->exchanges[n];
        if (changed >> n & 1) a_.mov(state(at_.slot(guest_.slots[x.in].offset)), gpq(x.reg));
        a_.mov(gpq(x.reg), state(at_.slot(guest_.slots[x.out].offset)));
    }
}
void Lowering::leave_plan(u32 changed) {
    if (an_->exchanges.empty()) return;
    give_back(changed);
    a_.mov(state(at_.host(offsetof(HostArea, give_back))), 0);
}
void Lowering::leave_host(u32 offset) {
    leave_plan();
    jump_host(offset);
}

// Where block b is entered from outside: here, or where the plan changes hands first.
void Lowering::entry(BlockId b) {
    u32 k = u32(out_->entries.size());
    out_->entries.push_back({b, u32(a_.offset())});
    if (an_->exchanges.empty()) return;
    if (k == 0) { // of the unit; faults leave through it
        give_back_ = a_.newLabel();
        cold(give_back_, [this] { leave_host(offsetof(HostArea, stub_fault)); });
    }
    cold(a_.newLabel(), [=, this] {
        out_->entries[k].offset = u32(a_.offset());
        take_over();
        a_.lea(rax, ptr(give_back_));
        a_.mov(state(at_.host(offsetof(HostArea, give_back))), rax);
        a_.jmp(label(b));
    });
}

// An instruction with a link word as its operand, relative to rip; `behind`: bytes of an immediate.
void Lowering::embed_relative(std::span<const u8> opcode, const u64* word, u32 behind) {
    a_.embed(opcode.data(), opcode.size());
    i32 disp = i32(i64(word) - i64(code_ + a_.offset() + 4 + behind));
    out_->references.push_back({u32(a_.offset()), false});
    a_.embed(&disp, 4);
}

// jmp [rip + link word]; the word points to the stub until the edge has a target. A counted edge has it in a second word
// first, and goes there through a stub that counts down in a third one.
void Lowering::exit_direct(u64 pc, u32 mode, bool counted) {
    if (paged() && ((pc ^ unit_->pc) >= ir::code_page || mode != unit_->key.mode)) {
        set_mode(mode);
        leave_plan();
        load_pc(rax, pc);
        if (mode != unit_->key.mode) return jump_host(offsetof(HostArea, stub_lookup));
        return lookup_paged();
    }
    using Word = Emitted::Word;
    u32 k = u32(out_->edges.size());
    out_->edges.push_back({pc, mode, 0, Word::target, counted});
    if (counted) out_->edges.push_back({pc, mode, 0, Word::counted}), out_->edges.push_back({pc, mode, 0, Word::count});
    const u64* word = first_link_ + k;
    if (mode != unit_->key.mode) set_mode(mode);
    leave_plan(changed_here());
    embed_relative(jump, word);
    Label stub = a_.newLabel();
    cold(stub, [=, this] {
        out_->edges[k].stub = u32(a_.offset());
        if (counted) {
            Label told = a_.newLabel();
            embed_relative(decrement, word + 2, 1);
            const u8 one = 1;
            a_.embed(&one, 1);
            a_.jle(told);
            embed_relative(jump, word + 1);
            a_.bind(told);
            out_->edges[k + 1].stub = u32(a_.offset());
        }
        set_pc(pc);
        embed_relative(lea_rax, word);
        jump_host(offsetof(HostArea, stub_link));
    });
}

void Lowering::exit_indirect(u32 n) {
    const IrInst& i = inst(n);
    move_to(rax, i.a); // nothing else is needed any more
    if (type(i.a) == Type::i32) a_.mov(eax, eax);
    use(i.a);
    if (goes_to_exit()) return;
    if (paged()) {
        set_mode(i.c);
        leave_plan();
        return i.c == unit_->key.mode ? lookup_paged() : jump_host(offsetof(HostArea, stub_lookup));
    }
    u32 mode = i.c;
    auto key = [=, this] { // and back
        if (u64 k = jump_key(0, mode); k != 0) a_.mov(rcx, imm(i64(k))), a_.xor_(rax, rcx);
    };
    key();
    leave_plan(changed_here());
    a_.mov(ecx, eax);
    Mem mask = state(at_.host(offsetof(HostArea, jump_mask)), 4);
    // 16 bytes an entry, indexed by the address bits above the instruction alignment
    if (jump_shift_ == 0) {
        a_.and_(ecx, mask);
        a_.shl(ecx, 4);
    } else {
        a_.and_(ecx, mask);
    }
    u32 scale = jump_shift_ == 0 ? 0 : 4 - jump_shift_;
    i32 table = at_.host(offsetof(HostArea, jump));
    a_.cmp(rax, ptr(rbp, rcx, scale, table, 8));
    Label miss = a_.newLabel();
    a_.jne(miss);
    set_mode(mode & ~guest_.entry_mode); // what is entered was found fit to be
    a_.jmp(ptr(rbp, rcx, scale, table + 8, 8));
    cold(miss, [=, this] {
        key();
        set_mode(mode);
        jump_host(offsetof(HostArea, stub_lookup));
    });
}

void Lowering::trap(u32 n) {
    const IrInst& i = inst(n);
    Mem arg = state(at_.header(offsetof(ir::CpuHeader, exit_arg)));
    Mem detail = state(at_.header(offsetof(ir::CpuHeader, fault_address)));
    if (i.b != none) {
        Gp t = temp();
        move_to(t, i.b);
        a_.mov(detail, t);
        a_.shl(t, 8);
        a_.or_(t, u32(i.sub));
        a_.mov(arg, t);
        use(i.b);
    } else {
        a_.mov(detail, 0);
        a_.mov(arg, u32(i.sub));
    }
    set_pc(i.imm);
    set_mode(mode_);
    tell_behind(0);
    leave_host(offsetof(HostArea, stub_trap));
}

void Lowering::cold_code() {
    for (std::size_t n = 0; n < cold_.size(); ++n) { // may grow while it runs
        Cold c = std::move(cold_[n]);
        a_.bind(c.entry);
        c.emit();
    }
}

} // namespace mimic::jit::x86
