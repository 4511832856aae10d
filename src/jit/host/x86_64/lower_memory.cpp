// Guest memory, direct model: the GS base holds the host address of guest address 0. A 32-bit guest's addresses wrap
// through the address-size prefix. Plain x86 accesses are acquire and release already (Intel SDM vol. 3, 9.2); only
// a store that later loads must not pass needs more.
#include "ir/access_log.hpp"
#include "jit/host/x86_64/lower.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::imm;
using IrInst = ir::Inst;
using ir::MemArg;
using Log = ir::AccessEntry;
namespace ids = asmjit::x86;

bool Lowering::memory(u32 n) {
    const IrInst& i = inst(n);
    if (ir::info(i.op).effect != 'M') return false;
    if (i.op == Op::fence) {
        u32 before = u32(i.imm & 3), after = u32(i.imm >> 4 & 3);
        if ((before & 2) && (after & 1)) { // only a store may pass a later load
            a_.lock();
            a_.or_(ptr(rsp, -64, 4), 0);
        }
        return true;
    }
    if (model_ == AddressModel::slow) return false;
    MemArg m = MemArg::from(i.imm);
    if (ir::size_of(m.memory) > 16) return false;
    if (has_tlb()) {
        if (i.op == Op::load) return tlb_load(n), true;
        if (i.op == Op::store) return tlb_store(n), true;
        if (m.big || ir::size_of(m.memory) > 8) return false;
        if (i.op == Op::rmw) return tlb_rmw(n), true;
        if (i.op == Op::cas) return tlb_cas(n), true;
        return false;
    }
    switch (i.op) {
    case Op::load: load(n); return true;
    case Op::store: store(n); return true;
    case Op::rmw: return ir::size_of(m.memory) <= 8 && !m.big ? rmw(n), true : false;
    case Op::cas: return ir::size_of(m.memory) <= 8 && !m.big ? cas(n), true : false;
    default: return false;
    }
}

void Lowering::fault_site() { out_->faults.push_back({u32(a_.offset()), mode_, pc_, owed_before_}); }

Mem Lowering::address(ValueId a, i32 disp, u32 size) {
    const IrInst& i = inst(a);
    Mem m;
    if (an_->value[a].deferred) { // base + index << k, used by this access only
        bool narrow = type(a) == Type::i32;
        if (an_->value[i.a].deferred || an_->value[i.b].deferred) {
            const ValueId shifted = an_->value[i.b].deferred ? i.b : i.a, other = shifted == i.b ? i.a : i.b;
            const IrInst& k = inst(shifted);
            Gp base = gpr(other), index = gpr(k.a);
            m = narrow ? ptr(base.r32(), index.r32(), u32(inst(k.b).imm), disp, size)
                       : ptr(base, index, u32(inst(k.b).imm), disp, size);
            use(other), use(k.a), use(k.b);
        } else {
            Gp base = gpr(i.a), index = gpr(i.b);
            m = narrow ? ptr(base.r32(), index.r32(), 0, disp, size) : ptr(base, index, 0, disp, size);
            use(i.a), use(i.b);
        }
    } else if (is_const(a) && i.imm + u64(i64(disp)) < 0x7fffffff) {
        m = ptr(i.imm + u64(i64(disp)), size);
        m.setAbs();
        use(a);
    } else {
        Gp base = gpr(a);
        m = type(a) == Type::i32 ? ptr(base.r32(), disp, size) : ptr(base, disp, size);
        use(a);
    }
    m.setSegment(gs);
    return m;
}

// Misaligned: leaves with a fault of that kind.
void Lowering::check_alignment(u32 n, ValueId a, const MemArg& m, u32 bytes) {
    if (m.align == ir::Align::any || bytes == 1) return;
    Gp base = gpr(a);
    Label bad = a_.newLabel();
    if (m.align == ir::Align::atomic16) { // may lie anywhere inside 16 bytes
        Gp t = temp();
        a_.lea(t.r32(), ptr(base, m.disp));
        a_.and_(t.r32(), 15);
        a_.cmp(t.r32(), 16 - bytes);
        locked_ &= ~(1u << t.id());
    } else if (m.disp & i32(bytes - 1)) {
        Gp t = temp();
        a_.lea(t, ptr(base, m.disp));
        a_.test(t.r8(), bytes - 1);
        locked_ &= ~(1u << t.id());
    } else {
        a_.test(base.r8(), bytes - 1);
    }
    m.align == ir::Align::atomic16 ? a_.ja(bad) : a_.jnz(bad);
    locked_ &= ~(1u << base.id()); // it may move before the access itself
    cold(bad, [=, this, pc = pc_, mode = mode_, behind = behind_] {
        tell_behind(behind);
        a_.lea(rax, ptr(base, m.disp));
        a_.mov(state(at_.header(offsetof(ir::CpuHeader, fault_address))), rax);
        a_.mov(state(at_.header(offsetof(ir::CpuHeader, fault_kind)), 4), u32(ir::FaultKind::misaligned));
        if (paged()) a_.mov(state(at_.header(offsetof(ir::CpuHeader, misaligned_write)), 1), inst(n).op != Op::load);
        a_.mov(state(at_.header(offsetof(ir::CpuHeader, exit_kind)), 4), u32(ir::ExitKind::fault));
        set_pc(pc);
        set_mode(mode);
        leave_host(offsetof(HostArea, stub_leave));
    });
}

void Lowering::swap_bytes(Gp r, u32 bytes) {
    if (bytes == 2) a_.rol(r.r16(), 8);
    if (bytes == 4) a_.bswap(r.r32());
    if (bytes == 8) a_.bswap(r.r64());
}

void Lowering::load_sized(u32 n, Gp d, const Mem& m, const MemArg& arg) {
    u32 bytes = ir::size_of(arg.memory);
    bool s = arg.sign && !arg.big;
    log_access(Log::load, 0, bytes, m);
    fault_site();
    bool q = inst(n).type == Type::i64;
    if (bytes == 1)
        s ? a_.movsx(q ? d : d.r32(), m) : a_.movzx(d.r32(), m);
    else if (bytes == 2)
        s ? a_.movsx(q ? d : d.r32(), m) : a_.movzx(d.r32(), m);
    else if (bytes == 4)
        s&& q ? a_.movsxd(d, m) : a_.mov(d.r32(), m);
    else
        a_.mov(d, m);
    log_value(offsetof(Log, value), d);
    log_done();
    if (!arg.big) return;
    swap_bytes(d, bytes);
    if (bytes == 2) arg.sign ? a_.movsx(q ? d : d.r32(), d.r16()) : a_.movzx(d.r32(), d.r16());
    if (bytes == 4 && arg.sign && q) a_.movsxd(d, d.r32());
}

// t is for less than 4 bytes.
void Lowering::load_vector(Xmm d, Gp t, const Mem& mem, u32 bytes) {
    if (bytes == 16)
        f_.avx ? a_.vmovups(d, mem) : a_.movdqu(d, mem);
    else if (bytes == 8)
        f_.avx ? a_.vmovq(d, mem) : a_.movq(d, mem);
    else if (bytes == 4)
        f_.avx ? a_.vmovd(d, mem) : a_.movd(d, mem);
    else {
        a_.movzx(t.r32(), mem);
        f_.avx ? a_.vmovd(d, t.r32()) : a_.movd(d, t.r32());
    }
}
// t holds less than 4 bytes already.
void Lowering::store_vector(Xmm v, Gp t, const Mem& mem, u32 bytes) {
    if (bytes == 16)
        f_.avx ? a_.vmovups(mem, v) : a_.movdqu(mem, v);
    else if (bytes == 8)
        f_.avx ? a_.vmovq(mem, v) : a_.movq(mem, v);
    else if (bytes == 4)
        f_.avx ? a_.vmovd(mem, v) : a_.movd(mem, v);
    else
        bytes == 2 ? a_.mov(mem, t.r16()) : a_.mov(mem, t.r8());
}

void Lowering::load(u32 n) {
    const IrInst& i = inst(n);
    MemArg m = MemArg::from(i.imm);
    u32 bytes = ir::size_of(m.memory);
    check_alignment(n, i.a, m, bytes);
    Mem mem = address(i.a, m.disp, bytes);
    bool unused = an_->value[n].uses == 0; // it may fault all the same
    if (in_vec(i.type)) {
        if (m.big && bytes > 1) return void(failed_ = true);
        Xmm d = unused ? vec_temp() : def_vec(n);
        Gp t = bytes < 4 ? temp() : Gp(rax);
        log_access(Log::load, 0, bytes, mem);
        fault_site();
        load_vector(d, t, mem, bytes);
        known_[d.id()] = {.clear = u8(bytes <= 4 ? 32 : bytes == 8 ? 64 : 128)};
        log_value(offsetof(Log, value), d);
        log_done();
        return;
    }
    load_sized(n, unused ? temp() : def(n), mem, m);
}

void Lowering::store(u32 n) {
    const IrInst& i = inst(n);
    MemArg m = MemArg::from(i.imm);
    u32 bytes = ir::size_of(m.memory);
    Type vt = type(i.b);
    check_alignment(n, i.a, m, bytes);
    i64 c;
    if (in_vec(vt)) {
        if (m.big && bytes > 1) return void(failed_ = true);
        Xmm v = vec(i.b);
        if (owed_ >> v.id() & 1) v = canonical_copy(v, vt == Type::f64);
        Mem mem = address(i.a, m.disp, bytes);
        Gp t;
        if (bytes < 4) {
            t = temp();
            f_.avx ? a_.vmovd(t.r32(), v) : a_.movd(t.r32(), v);
        }
        log_access(Log::store, 0, bytes, mem);
        log_value(offsetof(Log, value), v);
        fault_site();
        store_vector(v, t, mem, bytes);
        log_done();
        use(i.b);
    } else if (imm32(i.b, c) && !m.big && m.order != ir::Order::seq_cst) {
        Mem mem = address(i.a, m.disp, bytes);
        if (bytes == 1) c = i8(c);
        if (bytes == 2) c = i16(c);
        log_access(Log::store, 0, bytes, mem);
        log_value(offsetof(Log, value), imm(c));
        fault_site();
        a_.mov(mem, imm(c));
        log_done();
        use(i.b);
        return;
    } else {
        Gp v = gpr(i.b);
        if (m.big || m.order == ir::Order::seq_cst) { // xchg and bswap change the register
            Gp t = temp();
            a_.mov(t, v);
            v = t;
            if (m.big) swap_bytes(v, bytes);
        }
        Mem mem = address(i.a, m.disp, bytes);
        Gp x = bytes == 1 ? Gp(v.r8()) : bytes == 2 ? Gp(v.r16()) : bytes == 4 ? Gp(v.r32()) : v;
        log_access(Log::store, 0, bytes, mem);
        log_value(offsetof(Log, value), v);
        fault_site();
        if (m.order == ir::Order::seq_cst)
            a_.xchg(mem, x);
        else
            a_.mov(mem, x);
        log_done();
        use(i.b);
        return;
    }
    if (m.order == ir::Order::seq_cst) {
        a_.lock();
        a_.or_(ptr(rsp, -64, 4), 0);
    }
}

// Without a temporary of its own: a slot's register, or a place in memory (8 bytes are there).
asmjit::Operand Lowering::pinned_or_memory(ValueId v, Type t) {
    if (place_[v].gpr < i8(temp_count)) {
        if (place_[v].mem == no_mem || place_[v].spill < 0) {
            Gp r = gpr(v);
            locked_ &= ~(1u << r.id());
            place_[v].mem = no_mem;
            if (is_const(v)) { // constants have no place of their own: one for this instruction
                i32 at = at_.header(offsetof(ir::CpuHeader, scratch));
                a_.mov(state(at), r);
                set_gpr(v, -1);
                return state(at, ir::size_of(t));
            }
            spill(v);
        }
        set_gpr(v, -1);
        return state(place_[v].mem, ir::size_of(t));
    }
    return gpr(v, t);
}

// rax: what is expected; rdx: what shall be. Loop until nobody came between. `wide` and `x` are the operand, at least 32
// bits wide and as wide as memory.
void Lowering::rmw_loop(u32 n, const Mem& mem, const asmjit::Operand& wide, const asmjit::Operand& x) {
    const IrInst& i = inst(n);
    u32 bytes = ir::size_of(MemArg::from(i.imm).memory);
    ir::Rmw op = ir::Rmw(i.sub);
    auto sized = [&](Gp r) {
        return bytes == 1 ? Gp(r.r8()) : bytes == 2 ? Gp(r.r16()) : bytes == 4 ? Gp(r.r32()) : r.r64();
    };
    Label again = a_.newLabel();
    Gp old = sized(rax), fresh = sized(rdx), edx_rdx = bytes == 8 ? Gp(rdx) : Gp(edx);
    log_access(Log::rmw, i.sub, bytes, mem);
    log_value(offsetof(Log, value), wide);
    fault_site();
    a_.mov(old, mem);
    a_.bind(again);
    a_.mov(rdx, rax);
    auto pick = [&](CondCode c) {
        a_.emit(asmjit::x86::Inst::kIdCmp, fresh, x);
        a_.emit(asmjit::x86::Inst::cmovccFromCond(c), edx_rdx, wide); // there is no narrow one
    };
    switch (op) {
    case ir::Rmw::and_: a_.emit(asmjit::x86::Inst::kIdAnd, edx_rdx, wide); break;
    case ir::Rmw::or_: a_.emit(asmjit::x86::Inst::kIdOr, edx_rdx, wide); break;
    case ir::Rmw::xor_: a_.emit(asmjit::x86::Inst::kIdXor, edx_rdx, wide); break;
    case ir::Rmw::andn:
        a_.not_(rdx);
        a_.emit(asmjit::x86::Inst::kIdOr, edx_rdx, wide);
        a_.not_(rdx);
        break;
    case ir::Rmw::smin: pick(CondCode::kG); break;
    case ir::Rmw::smax: pick(CondCode::kL); break;
    case ir::Rmw::umin: pick(CondCode::kA); break;
    case ir::Rmw::umax: pick(CondCode::kB); break;
    default: failed_ = true;
    }
    fault_site();
    a_.lock();
    a_.cmpxchg(mem, fresh);
    a_.jne(again);
    log_value(offsetof(Log, old), rax);
    log_done();
}

void Lowering::rmw(u32 n) {
    const IrInst& i = inst(n);
    MemArg m = MemArg::from(i.imm);
    u32 bytes = ir::size_of(m.memory);
    ir::Rmw op = ir::Rmw(i.sub);
    auto sized = [&](Gp r) {
        return bytes == 1 ? Gp(r.r8()) : bytes == 2 ? Gp(r.r16()) : bytes == 4 ? Gp(r.r32()) : r.r64();
    };
    check_alignment(n, i.a, m, bytes);
    Gp base = gpr(i.a);
    auto mem = [&] {
        Mem x = type(i.a) == Type::i32 ? ptr(base.r32(), m.disp, bytes) : ptr(base, m.disp, bytes);
        x.setSegment(gs);
        return x;
    };
    if (op == ir::Rmw::add || op == ir::Rmw::sub || op == ir::Rmw::swap) {
        Gp t = temp();
        move_to(t, i.b);
        log_access(Log::rmw, i.sub, bytes, mem());
        log_value(offsetof(Log, value), t);
        if (op == ir::Rmw::sub) a_.neg(t);
        fault_site();
        if (op == ir::Rmw::swap) {
            a_.xchg(mem(), sized(t));
        } else {
            a_.lock();
            a_.xadd(mem(), sized(t));
        }
        log_value(offsetof(Log, old), t);
        log_done();
        use(i.a);
        use(i.b);
        if (an_->value[n].uses) activate(n), set_gpr(n, i32(t.id()));
    } else {
        // rax: what is expected; rdx: what shall be. Loop until nobody came between.
        locked_ = 0; // the address may move
        take(0);
        take(2);
        // One temporary is left, for the address.
        asmjit::Operand wide = pinned_or_memory(i.b, bytes == 8 ? Type::i64 : Type::i32);
        asmjit::Operand x = pinned_or_memory(i.b, bytes == 1   ? Type::i8
                                                  : bytes == 2 ? Type::i16
                                                  : bytes == 4 ? Type::i32
                                                               : Type::i64);
        base = gpr(i.a);
        rmw_loop(n, mem(), wide, x);
        use(i.a);
        use(i.b);
        if (an_->value[n].uses) activate(n), set_gpr(n, 0);
    }
    extend_old(n, m);
}

// What an atomic left in a register has garbage above the bytes of memory.
void Lowering::extend_old(u32 n, const MemArg& m) {
    if (!an_->value[n].uses) return;
    u32 bytes = ir::size_of(m.memory);
    Gp r = gpr(n), to = inst(n).type == Type::i64 ? r : r.r32();
    if (bytes == 1) m.sign ? a_.movsx(to, r.r8()) : a_.movzx(r.r32(), r.r8());
    if (bytes == 2) m.sign ? a_.movsx(to, r.r16()) : a_.movzx(r.r32(), r.r16());
    if (bytes == 4 && inst(n).type == Type::i64) m.sign ? a_.movsxd(r, r.r32()) : a_.mov(r.r32(), r.r32());
}

void Lowering::cas(u32 n) {
    const IrInst& i = inst(n);
    MemArg m = MemArg::from(i.imm);
    u32 bytes = ir::size_of(m.memory);
    check_alignment(n, i.a, m, bytes);
    take(0);
    move_to(rax, i.b);
    Gp desired = gpr(i.c), base = gpr(i.a);
    Mem mem = type(i.a) == Type::i32 ? ptr(base.r32(), m.disp, bytes) : ptr(base, m.disp, bytes);
    mem.setSegment(gs);
    Gp x = bytes == 1 ? Gp(desired.r8()) : bytes == 2 ? Gp(desired.r16()) : bytes == 4 ? Gp(desired.r32()) : desired;
    log_access(Log::cas, 0, bytes, mem);
    log_value(offsetof(Log, value), rax);
    log_value(offsetof(Log, desired), desired);
    fault_site();
    a_.lock();
    a_.cmpxchg(mem, x);
    log_value(offsetof(Log, old), rax);
    log_done();
    use(i.a);
    use(i.b);
    use(i.c);
    if (an_->value[n].uses) activate(n), set_gpr(n, 0);
    extend_old(n, m);
}

} // namespace mimic::jit::x86
