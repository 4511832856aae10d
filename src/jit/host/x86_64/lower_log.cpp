// The logged address model: the code of the direct one, and around each access what writes an ir::AccessEntry. So what
// verify=on checks is the code that runs without it, but for these lines, which save and restore what they use.
#include "ir/access_log.hpp"
#include "jit/host/x86_64/lower.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::imm;
using Log = ir::AccessEntry;

// A register that none of the operands has.
Gp Lowering::log_register(std::initializer_list<const asmjit::Operand*> used) const {
    u32 taken = 1u << Gp::kIdSp | 1u << Gp::kIdBp;
    for (const asmjit::Operand* o : used) {
        if (o->isReg() && o->as<asmjit::BaseReg>().isGroup(asmjit::RegGroup::kGp)) taken |= 1u << o->id();
        if (!o->isMem()) continue;
        const Mem& m = o->as<Mem>();
        if (m.hasBaseReg()) taken |= 1u << m.baseId();
        if (m.hasIndexReg()) taken |= 1u << m.indexId();
    }
    return gpq(u32(std::countr_one(taken)));
}

void Lowering::log_access(u32 kind, u32 op, u32 bytes, const Mem& m) {
    if (!is_logging()) return;
    Gp log = log_register({&m}), t = log_register({&m, &log});
    Mem flat = m;
    flat.resetSegment();
    a_.push(log);
    a_.push(t);
    a_.mov(log, state(at_.header(offsetof(ir::CpuHeader, log_next))));
    if (has_tlb())
        a_.mov(t, state(at_.header(logged_address)));
    else
        a_.lea(t, flat);
    a_.mov(ptr(log, offsetof(Log, address), 8), t);
    a_.mov(ptr(log, offsetof(Log, what), 8), imm(i64(Log::what_of(Log::Kind(kind), op, bytes))));
    a_.pop(t);
    a_.pop(log);
}

void Lowering::log_value(u32 field, const asmjit::Operand& v) {
    if (!is_logging()) return;
    Gp log = log_register({&v}), t = log_register({&v, &log});
    a_.push(log);
    a_.mov(log, state(at_.header(offsetof(ir::CpuHeader, log_next))));
    Mem to = ptr(log, i32(field), 8);
    if (v.isImm()) {
        a_.mov(to, v.as<asmjit::Imm>());
    } else if (v.isMem()) {
        Mem from = v.as<Mem>();
        from.setSize(8);
        a_.push(t);
        a_.mov(t, from);
        a_.mov(to, t);
        a_.pop(t);
    } else if (v.as<asmjit::BaseReg>().isGroup(asmjit::RegGroup::kGp)) {
        a_.mov(to, gpq(v.id()));
    } else {
        to.setSize(16);
        f_.avx ? a_.vmovups(to, xmm(v.id())) : a_.movdqu(to, xmm(v.id()));
    }
    a_.pop(log);
}

void Lowering::log_done() {
    if (!is_logging()) return;
    Label room = a_.newLabel();
    Mem next = state(at_.header(offsetof(ir::CpuHeader, log_next)));
    a_.pushfq();
    a_.push(rax);
    a_.mov(rax, next);
    a_.add(rax, sizeof(Log));
    a_.cmp(rax, state(at_.header(offsetof(ir::CpuHeader, log_end))));
    a_.jbe(room);
    a_.sub(rax, sizeof(Log));
    a_.bind(room);
    a_.mov(next, rax);
    a_.pop(rax);
    a_.popfq();
}

} // namespace mimic::jit::x86
