// Calls out: intrinsics, and operations that have no lowering here, which the interpreter's body does. Both go through
// one routine that saves the plan's registers to their homes, so that the body sees exact state and may change it.
#include "jit/host/x86_64/backend.hpp"
#include "jit/host/x86_64/lower.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using IrInst = ir::Inst;

void Lowering::to_scratch(ValueId v, u32 index) {
    i32 disp = at_.header(u32(offsetof(ir::CpuHeader, scratch)) + 16 * index);
    Type t = type(v);
    if (ir::size_of(t) > 16) return void(failed_ = true);
    if (in_vec(t)) {
        Xmm x = vec(v);
        f_.avx ? a_.vmovups(state(disp, 16), x) : a_.movdqu(state(disp, 16), x);
    } else {
        Gp r = gpr(v);
        if (t == Type::i32 || t == Type::flags)
            a_.mov(state(disp, 4), r.r32()), a_.mov(state(disp + 4, 4), 0);
        else if (ir::size_of(t) < 8) {
            Gp x = temp();
            ir::size_of(t) == 1 ? a_.movzx(x.r32(), r.r8()) : a_.movzx(x.r32(), r.r16());
            a_.mov(state(disp, 8), x);
            locked_ &= ~(1u << x.id());
        } else {
            a_.mov(state(disp, 8), r);
        }
    }
    locked_ = vec_locked_ = 0;
}

void Lowering::from_scratch(u32 n, u32 index) {
    Type t = type(n);
    if (t == Type::none || an_->value[n].uses == 0) return;
    if (ir::size_of(t) > 16) return void(failed_ = true);
    i32 disp = at_.header(u32(offsetof(ir::CpuHeader, scratch)) + 16 * index);
    if (in_vec(t)) {
        Xmm x = def_vec(n);
        f_.avx ? a_.vmovups(x, state(disp, 16)) : a_.movdqu(x, state(disp, 16));
    } else {
        a_.mov(def(n), state(disp, 8));
    }
}

// Operands are in scratch; `record` says what to do. Non-zero status leaves the unit.
void Lowering::call_out(u32 record, bool may_leave) {
    if (record == Records::full) return void(failed_ = true);
    spill_temps();
    std::fill(std::begin(known_), std::end(known_), Known{}); // the body may write slots
    asked_ = settled_ = 0;
    give_back();
    tell_behind(behind_);
    if (relies_on_pages(now_)) tell_reliance();
    a_.mov(eax, record);
    note_record();
    a_.call(state(at_.host(offsetof(HostArea, stub_call))));
    take_over();
    if (!may_leave) return;
    a_.test(eax, eax);
    Label leave = a_.newLabel();
    a_.jnz(leave);
    cold(leave, [=, this, pc = pc_, mode = mode_] {
        set_pc(pc);
        set_mode(mode);
        leave_host(offsetof(HostArea, stub_leave));
    });
}

// The instruction just made ends with a record's number.
void Lowering::note_record() { out_->references.push_back({u32(a_.offset()) - 4, true}); }

void Lowering::call_keeping(u32 record) {
    if (record == Records::full) return void(failed_ = true);
    a_.mov(state(at_.header(offsetof(ir::CpuHeader, exit_arg)), 4), record);
    note_record();
    give_back();
    a_.call(state(at_.host(offsetof(HostArea, stub_keep))));
    take_over();
}

void Lowering::call(u32 n) {
    const IrInst& i = inst(n);
    ir::CallArg arg = ir::CallArg::from(i.imm);
    const ir::Intrinsic& f = *unit_->calls[arg.callee];
    u32 k = 0;
    each_operand(*unit_, i, [&](u32 v) {
        to_scratch(v, k++);
        use(v);
    });
    if (k > first_result) return void(failed_ = true);
    // Values in the registers and homes of slots that the body may write must not be lost.
    if (f.effects & ir::Intrinsic::writes_state)
        for (std::size_t m = active_.size(); m-- > 0;) {
            ValueId v = active_[m];
            if (ir::info(inst(v).op).operands == 0 && inst(v).op == Op::constant) continue;
            if (place_[v].spill >= 0) continue;
            place_[v].mem != no_mem&& place_[v].gpr < 0 && place_[v].vec < 0
                ? (in_vec(type(v)) ? void(vec(v)) : void(gpr(v)))
                : void();
            place_[v].mem = no_mem;
            locked_ = vec_locked_ = 0;
            spill(v);
        }
    call_out(records_->intrinsic(f), f.effects & ir::Intrinsic::may_exit);
    from_scratch(n, first_result);
}

void Lowering::evaluate(u32 n) {
    const IrInst& i = inst(n);
    u32 k = 0;
    Type types[3] = {};
    ValueId operands[3] = {i.a, i.b, i.c};
    u32 count = ir::info(i.op).operands;
    for (u32 o = 0; o < count && o < 3; ++o)
        if (operands[o] != none) types[o] = type(operands[o]);
    for (u32 o = 0; o < count && o < 3; ++o) {
        if (operands[o] == none) continue;
        to_scratch(operands[o], o);
        ++k;
    }
    for (u32 o = 0; o < count && o < 3; ++o)
        if (operands[o] != none) use(operands[o]);
    bool memory = ir::info(i.op).effect == 'M';
    if (memory && ir::size_of(ir::MemArg::from(i.imm).memory) > 16 && i.op != Op::probe) return void(failed_ = true);
    call_out(records_->operation(*unit_, i, types), memory);
    from_scratch(n, first_result);
}

} // namespace mimic::jit::x86
