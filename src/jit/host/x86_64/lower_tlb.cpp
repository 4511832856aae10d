// Guest memory, tlb model: a page that the vCPU's table holds is reached at its host address; all else is a call, in cold
// code, which leaves when the access faults. One comparison tells the page, the right and that the access ends inside:
// the distance of the address from the page that the entry stands for.
#include "ir/access_log.hpp"
#include "jit/host/x86_64/backend.hpp"
#include "jit/host/x86_64/lower.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::imm;
using IrInst = ir::Inst;
using ir::MemArg;
using Log = ir::AccessEntry;

// The address in a temporary of its own; the use of `a` is over.
Gp Lowering::tlb_address(ValueId a, i32 disp) {
    u32 before = locked_;
    Mem m = address(a, disp, 8);
    m.resetSegment();
    Gp t = temp();
    if (m.hasBaseReg() && !m.hasIndex() && m.offset() == 0)
        type(a) == Type::i32 ? a_.mov(t.r32(), m.baseReg().as<Gp>().r32()) : a_.mov(t, m.baseReg().as<Gp>().r64());
    else if (!m.hasBaseReg() && !m.hasIndex())
        load_const(t, inst(a).imm + u64(i64(disp)));
    else
        type(a) == Type::i32 ? a_.lea(t.r32(), m) : a_.lea(t, m);
    locked_ = before | 1u << t.id(); // what it was made from may move
    if (is_logging()) a_.mov(state(at_.header(logged_address)), t);
    return t;
}

Lowering::TlbSite Lowering::tlb_check(Gp address, u32 index, u32 bytes, bool write) {
    TlbSite s;
    s.slow = a_.newLabel(), s.back = a_.newLabel();
    s.offset = address;
    s.right = write ? i32(offsetof(TlbEntry, write)) : i32(offsetof(TlbEntry, read));
    s.entry = temp();
    i32 view = at_.host(i32(offsetof(HostArea, tlb)) + i32(sizeof(TlbView) * index));
    a_.mov(s.entry.r32(), address.r32());
    a_.shr(s.entry.r32(), tlb_page_bits - tlb_entry_bits);
    a_.and_(s.entry.r32(), state(view + i32(offsetof(TlbView, mask)), 4));
    a_.add(s.entry, state(view + i32(offsetof(TlbView, base))));
    a_.sub(address, ptr(s.entry, s.right));
    a_.cmp(address, (1 << tlb_page_bits) - i32(bytes));
    a_.ja(s.slow);
    a_.mov(s.entry, ptr(s.entry, i32(offsetof(TlbEntry, host))));
    return s;
}

// The access as the interpreter does it, at the whole address.
u32 Lowering::tlb_record(u32 n) {
    IrInst i = inst(n);
    MemArg m = MemArg::from(i.imm);
    m.disp = 0;
    i.imm = m.bits();
    Type types[3] = {type(i.a), i.op == Op::store ? type(i.b) : Type::none, Type::none};
    return records_->operation(*unit_, i, types);
}

void Lowering::tlb_slow(const TlbSite& s, u32 n, const asmjit::Operand& value, const asmjit::Operand& result) {
    u32 record = tlb_record(n);
    if (record == Records::full) return void(failed_ = true);
    u64 pc = pc_;
    cold(s.slow, [=, this] {
        auto scratch = [&](u32 word, u32 size) {
            return state(at_.header(u32(offsetof(ir::CpuHeader, scratch)) + 16 * word), size);
        };
        a_.add(s.offset, ptr(s.entry, s.right)); // the address again
        a_.mov(scratch(0, 8), s.offset);
        if (value.isImm()) {
            a_.mov(scratch(1, 8), value.as<asmjit::Imm>());
        } else if (value.isReg()) {
            if (value.as<asmjit::BaseReg>().isGroup(asmjit::RegGroup::kGp))
                a_.mov(scratch(1, 8), gpq(value.id()));
            else
                f_.avx ? a_.vmovups(scratch(1, 16), xmm(value.id())) : a_.movdqu(scratch(1, 16), xmm(value.id()));
        }
        load_const(s.offset, pc);
        a_.mov(state(at_.header(offsetof(ir::CpuHeader, pc))), s.offset);
        a_.mov(state(at_.header(offsetof(ir::CpuHeader, exit_arg)), 4), record);
        a_.call(state(at_.host(offsetof(HostArea, stub_slow))));
        if (result.isReg()) {
            if (result.as<asmjit::BaseReg>().isGroup(asmjit::RegGroup::kGp))
                a_.mov(gpq(result.id()), scratch(first_result, 8));
            else
                f_.avx ? a_.vmovups(xmm(result.id()), scratch(first_result, 16))
                       : a_.movdqu(xmm(result.id()), scratch(first_result, 16));
        }
        a_.jmp(s.back);
    });
}

// The result's register is chosen before the check: what has to move for it moves on both ways.
void Lowering::tlb_load(u32 n) {
    const IrInst& i = inst(n);
    MemArg m = MemArg::from(i.imm);
    u32 bytes = ir::size_of(m.memory);
    check_alignment(n, i.a, m, bytes);
    Gp t = tlb_address(i.a, m.disp);
    bool unused = an_->value[n].uses == 0;
    if (in_vec(i.type)) {
        if (m.big && bytes > 1) return void(failed_ = true);
        Xmm d = unused ? vec_temp() : def_vec(n);
        TlbSite s = tlb_check(t, m.index, bytes, false);
        Mem mem = ptr(s.entry, s.offset, 0, 0, bytes);
        log_access(Log::load, 0, bytes, mem);
        load_vector(d, t, mem, bytes);
        log_value(offsetof(Log, value), d);
        log_done();
        a_.bind(s.back);
        return tlb_slow(s, n, {}, d);
    }
    Gp d = unused ? t : def(n);
    TlbSite s = tlb_check(t, m.index, bytes, false);
    load_sized(n, d, ptr(s.entry, s.offset, 0, 0, bytes), m);
    a_.bind(s.back);
    tlb_slow(s, n, {}, d);
}

void Lowering::tlb_store(u32 n) {
    const IrInst& i = inst(n);
    MemArg m = MemArg::from(i.imm);
    u32 bytes = ir::size_of(m.memory);
    Type vt = type(i.b);
    check_alignment(n, i.a, m, bytes);
    i64 c;
    bool exchange = m.order == ir::Order::seq_cst;
    auto site = [&](Gp t) {
        TlbSite s = tlb_check(t, m.index, bytes, true);
        log_access(Log::store, 0, bytes, ptr(s.entry, s.offset, 0, 0, bytes));
        return s;
    };
    auto done = [&](const TlbSite& s, const asmjit::Operand& value) {
        log_done();
        a_.bind(s.back);
        tlb_slow(s, n, value, {});
        use(i.b);
    };
    if (in_vec(vt)) {
        if (m.big && bytes > 1) return void(failed_ = true);
        Xmm v = vec(i.b);
        Gp low;
        Gp t = tlb_address(i.a, m.disp);
        if (bytes < 4) {
            low = temp();
            f_.avx ? a_.vmovd(low.r32(), v) : a_.movd(low.r32(), v);
        }
        TlbSite s = site(t);
        log_value(offsetof(Log, value), v);
        store_vector(v, low, ptr(s.entry, s.offset, 0, 0, bytes), bytes);
        done(s, v);
    } else if (imm32(i.b, c) && !m.big && !exchange) {
        Gp t = tlb_address(i.a, m.disp);
        if (bytes == 1) c = i8(c);
        if (bytes == 2) c = i16(c);
        TlbSite s = site(t);
        log_value(offsetof(Log, value), imm(c));
        a_.mov(ptr(s.entry, s.offset, 0, 0, bytes), imm(c));
        done(s, imm(c));
        return;
    } else {
        Gp v = gpr(i.b);
        Gp t = tlb_address(i.a, m.disp);
        TlbSite s = site(t);
        log_value(offsetof(Log, value), v);
        Mem mem = ptr(s.entry, s.offset, 0, 0, bytes);
        if (m.big && bytes > 1) { // in place: there is no temporary left
            swap_bytes(v, bytes);
            a_.lea(t, mem);
            a_.mov(ptr(t, 0, bytes), bytes == 2 ? Gp(v.r16()) : bytes == 4 ? Gp(v.r32()) : v.r64());
            swap_bytes(v, bytes);
        } else {
            a_.mov(mem, bytes == 1 ? Gp(v.r8()) : bytes == 2 ? Gp(v.r16()) : bytes == 4 ? Gp(v.r32()) : v.r64());
        }
        done(s, v);
    }
    if (exchange) {
        a_.lock();
        a_.or_(ptr(rsp, -64, 4), 0);
    }
}

// To the code of the pc in rax, when this vCPU's table of branches under the present mode and context knows it.
void Lowering::lookup_paged() {
    Label miss = a_.newLabel();
    a_.mov(ecx, eax);
    a_.mov(rdx, state(at_.host(offsetof(HostArea, paged_jumps))));
    if (jump_shift_ > 0) a_.shr(ecx, jump_shift_);
    a_.and_(ecx, jump_count - 1);
    a_.shl(ecx, 4);
    a_.cmp(rax, ptr(rdx, rcx, 0, 0, 8));
    a_.jne(miss);
    a_.jmp(ptr(rdx, rcx, 0, 8, 8));
    cold(miss, [=, this] { jump_host(offsetof(HostArea, stub_lookup)); });
}

} // namespace mimic::jit::x86
