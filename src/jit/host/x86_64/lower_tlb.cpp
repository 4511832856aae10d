// Guest memory, tlb model: a page that the vCPU's table holds is reached at its host address; all else is a call, in cold
// code, which leaves when the access faults. One comparison tells the page, the right and that the access ends inside:
// the distance of the address from the page that the entry stands for.
#include "ir/access_log.hpp"
#include "jit/host/x86_64/backend.hpp"
#include "jit/host/x86_64/lower.hpp"
#include "jit/host/x86_64/widths.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::imm;
using IrInst = ir::Inst;
using ir::MemArg;
using Log = ir::AccessEntry;

// Do the parts of a sum all have registers, with one left for the sum?
bool Lowering::sum_fits(ValueId base, ValueId index) const {
    constexpr u32 temps = (1u << temp_count) - 1;
    u32 locked = locked_ & temps;
    for (ValueId v : {base, index}) {
        i8 r = place_[v].gpr;
        if (r >= i8(temp_count)) continue;
        u32 free = temps & ~locked;
        if (!free) return false;
        locked |= r >= 0 ? 1u << r : free & -free;
    }
    return locked != temps;
}

// base + (index << shift) + disp in one temporary; what has no register is added from memory.
Gp Lowering::sum(ValueId base, ValueId index, u32 shift, i32 disp, Type t) {
    Gp r = temp();
    move_to(r, index);
    if (shift) a_.shl(as(r, t), shift);
    a_.emit(asmjit::x86::Inst::kIdAdd, as(r, t), rm(base, t));
    if (disp) a_.add(as(r, t), disp);
    return r;
}

// The address in a temporary of its own; the use of `a` is over.
Gp Lowering::tlb_address(ValueId a, i32 disp) {
    u32 before = locked_;
    if (an_->value[a].deferred) {
        const IrInst& i = inst(a);
        ValueId base = i.a, index = i.b;
        if (an_->value[base].deferred) std::swap(base, index);
        const IrInst* shift = an_->value[index].deferred ? &inst(index) : nullptr;
        if (shift) index = shift->a;
        if (!sum_fits(base, index)) {
            Gp t = sum(base, index, shift ? u32(inst(shift->b).imm) : 0, disp, type(a));
            use(base), use(index);
            if (shift) use(shift->b);
            locked_ = before | 1u << t.id();
            if (is_logging()) a_.mov(state(at_.header(logged_address)), t);
            return t;
        }
    }
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

// Where instruction n goes; the use of its address is over. A slot's register and a displacement need no temporary where a page is
// asked for that is known already.
Lowering::TlbSite Lowering::tlb_site(u32 n, bool write) {
    const IrInst& i = inst(n);
    const MemArg m = MemArg::from(i.imm);
    TlbSite s;
    s.slow = a_.newLabel(), s.back = a_.newLabel();
    s.right = i32(write ? offsetof(TlbEntry, write) : offsetof(TlbEntry, read));
    const bool group = in_page_group(n);
    if (group) s.delta = delta_place(u32(an_->group[n]));
    // (A store swaps bytes in place, maybe of this register.)
    const bool direct = !is_logging() && !m.big && !an_->value[i.a].deferred && type(i.a) == Type::i64 &&
                        (group || place_[i.a].gpr >= i8(temp_count));
    if (!direct) {
        s.offset = tlb_address(i.a, m.disp);
        return s;
    }
    s.base = gpr(i.a), s.disp = m.disp;
    s.whole = group || recent(n) >= 0;
    if (!group) s.offset = temp();
    use(i.a);
    return s;
}

// From the state's register on.
i32 Lowering::recent_place(u32 index, i8 recent) const {
    const u32 word = index * tlb_recent + u32(recent);
    return at_.host(i32(offsetof(HostArea, tlb) + offsetof(TlbViews, recent) + sizeof(TlbRecent) * word));
}

// In cold code: the TLB's entry that was found for `written` becomes the recent one there.
void Lowering::refill_recent(const TlbSite& s, i32 place) {
    a_.mov(state(at_.host(offsetof(HostArea, recent_entry))), s.entry);
    a_.mov(state(at_.host(offsetof(HostArea, recent_place))), place);
    a_.call(state(at_.host(s.writes() ? offsetof(HostArea, stub_recent_write) : offsetof(HostArea, stub_recent_read))));
}

// The address, before the look into the table.
void Lowering::tlb_whole(Gp to, const TlbSite& s) {
    if (s.base.isValid() && s.disp)
        a_.lea(to, ptr(s.base, s.disp));
    else
        a_.mov(to, s.base.isValid() ? s.base : s.offset);
}

// It asks first for the page that its kind of access met before; when it is another, the table is asked, in cold code, whose
// entry is copied. A member of a group asks nothing: what it is in was asked for at the start of the block.
void Lowering::tlb_check(u32 n, TlbSite& s) {
    const MemArg m = MemArg::from(inst(n).imm);
    const u32 bytes = ir::size_of(m.memory), index = m.index;
    if (s.delta && !s.entry.isValid()) s.entry = group_page(n, s);
    if (s.entry.isValid()) return;
    s.entry = temp();
    if (s.delta) return void(a_.mov(s.entry, state(s.delta)));
    if (recent(n) < 0) {
        if (s.base.isValid()) tlb_whole(s.offset, s);
        tlb_look(s, index, bytes);
        return void(a_.mov(s.entry, ptr(s.entry, i32(offsetof(TlbEntry, host)))));
    }
    const Label look = a_.newLabel(), found = a_.newLabel();
    const i32 place = recent_place(index, recent(n));
    tlb_whole(s.entry, s);
    a_.sub(s.entry, state(place + i32(s.writes() ? offsetof(TlbRecent, write) : offsetof(TlbRecent, read))));
    a_.cmp(s.entry, (1 << tlb_page_bits) - i32(bytes));
    a_.ja(look);
    a_.bind(found);
    a_.mov(s.entry, state(place + i32(offsetof(TlbRecent, delta))));
    cold(look, [=, this] {
        if (s.base.isValid()) tlb_whole(s.offset, s);
        if (s.base.isValid() || !s.writes()) a_.mov(state(at_.host(offsetof(HostArea, written))), s.offset);
        tlb_look(s, index, bytes);
        refill_recent(s, place);
        if (!s.base.isValid()) a_.mov(s.offset, state(at_.host(offsetof(HostArea, written))));
        a_.jmp(found);
    });
}

Lowering::TlbSite Lowering::tlb_check_in(Gp address, Gp entry, u32 index, u32 bytes, bool write) {
    TlbSite s;
    s.slow = a_.newLabel(), s.back = a_.newLabel();
    s.offset = address;
    s.right = write ? i32(offsetof(TlbEntry, write)) : i32(offsetof(TlbEntry, read));
    s.entry = entry;
    tlb_look(s, index, bytes);
    a_.mov(s.entry, ptr(s.entry, i32(offsetof(TlbEntry, host))));
    return s;
}

// The address becomes the offset in the page of the table's entry, or it is a slow access.
void Lowering::tlb_look(const TlbSite& s, u32 index, u32 bytes) {
    const i32 view = at_.host(i32(offsetof(HostArea, tlb) + sizeof(TlbView) * index));
    // Another thread may take the right to write meanwhile: what was subtracted is not known then.
    if (s.writes() && !s.base.isValid()) a_.mov(state(at_.host(offsetof(HostArea, written))), s.offset);
    if (f_.bmi2) { // what comes in from below is masked
        a_.rorx(s.entry.r32(), s.offset.r32(), tlb_page_bits - tlb_entry_bits);
    } else {
        a_.mov(s.entry.r32(), s.offset.r32());
        a_.shr(s.entry.r32(), tlb_page_bits - tlb_entry_bits);
    }
    a_.and_(s.entry.r32(), state(view + i32(offsetof(TlbView, mask)), 4));
    a_.add(s.entry, state(view + i32(offsetof(TlbView, base))));
    a_.sub(s.offset, ptr(s.entry, s.right));
    a_.cmp(s.offset, (1 << tlb_page_bits) - i32(bytes));
    a_.ja(s.slow);
}

// The access as the interpreter does it, at the whole address.
u32 Lowering::tlb_record(u32 n) {
    IrInst i = inst(n);
    MemArg m = MemArg::from(i.imm);
    m.disp = 0;
    i.imm = m.bits();
    Type types[3] = {type(i.a), i.op != Op::load ? type(i.b) : Type::none, i.op == Op::cas ? type(i.c) : Type::none};
    return records_->operation(*unit_, i, types);
}

// An operand of the call, in cold code; t is free.
void Lowering::tlb_operand(u32 word, const asmjit::Operand& v, Gp t) {
    i32 at = at_.header(u32(offsetof(ir::CpuHeader, scratch)) + 16 * word);
    if (v.isImm()) {
        a_.mov(state(at), v.as<asmjit::Imm>());
    } else if (v.isMem()) {
        Mem from = v.as<Mem>();
        from.setSize(8);
        a_.mov(t, from);
        a_.mov(state(at), t);
    } else if (v.isReg() && v.as<asmjit::BaseReg>().isGroup(asmjit::RegGroup::kGp)) {
        a_.mov(state(at), gpq(v.id()));
    } else if (v.isReg()) {
        f_.avx ? a_.vmovups(state(at, 16), xmm(v.id())) : a_.movdqu(state(at, 16), xmm(v.id()));
    }
}

void Lowering::tlb_slow(const TlbSite& s, u32 n, const asmjit::Operand& value, const asmjit::Operand& result,
                        const asmjit::Operand& desired) {
    if (s.delta) return;
    u32 record = tlb_record(n);
    if (record == Records::full) return void(failed_ = true);
    cold(s.slow, [=, this, pc = pc_, mode = mode_, behind = behind_, relies = relies_on_pages(n)] {
        auto scratch = [&](u32 word, u32 size) {
            return state(at_.header(u32(offsetof(ir::CpuHeader, scratch)) + 16 * word), size);
        };
        // The address again.
        if (s.base.isValid())
            tlb_whole(s.offset, s);
        else if (s.writes())
            a_.mov(s.offset, state(at_.host(offsetof(HostArea, written))));
        else
            a_.add(s.offset, ptr(s.entry, s.right));
        tlb_operand(1, value, s.entry); // a constant may stand in the place of the address
        tlb_operand(2, desired, s.entry);
        a_.mov(scratch(0, 8), s.offset);
        load_pc(s.offset, pc);
        a_.mov(state(at_.header(offsetof(ir::CpuHeader, pc))), s.offset);
        a_.mov(state(at_.header(offsetof(ir::CpuHeader, exit_arg)), 4), record);
        note_record();
        set_mode(mode);
        tell_behind(behind);
        if (relies) tell_reliance();
        give_back();
        a_.call(state(at_.host(offsetof(HostArea, stub_slow))));
        take_over();
        if (mode != unit_->key.mode) a_.mov(state(at_.header(offsetof(ir::CpuHeader, mode)), 4), unit_->key.mode);
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
    TlbSite s = tlb_site(n, false);
    bool unused = an_->value[n].uses == 0;
    if (in_vec(i.type)) {
        if (m.big && bytes > 1) return void(failed_ = true);
        Xmm d = unused ? vec_temp() : def_vec(n);
        tlb_check(n, s);
        Mem mem = s.at(bytes);
        log_access(Log::load, 0, bytes, mem);
        load_vector(d, s.delta && bytes < 4 ? temp() : s.offset, mem, bytes);
        log_value(offsetof(Log, value), d);
        log_done();
        a_.bind(s.back);
        return tlb_slow(s, n, {}, d);
    }
    Gp d = !unused ? def(n) : s.delta ? temp() : s.offset;
    if (s.delta) s.entry = group_page(n, s);
    if (s.delta && !s.entry.isValid() && s.whole && d.id() != s.base.id()) // what cannot fault may be made there
        a_.mov(s.entry = d.r64(), state(s.delta));
    tlb_check(n, s);
    load_sized(n, d, s.at(bytes), m);
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
    auto check = [&](TlbSite& s) {
        tlb_check(n, s);
        log_access(Log::store, 0, bytes, s.at(bytes));
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
        TlbSite s = tlb_site(n, true);
        if (bytes < 4) {
            low = temp();
            f_.avx ? a_.vmovd(low.r32(), v) : a_.movd(low.r32(), v);
        }
        check(s);
        log_value(offsetof(Log, value), v);
        store_vector(v, low, s.at(bytes), bytes);
        done(s, v);
    } else if (imm32(i.b, c) && !m.big && !exchange) {
        TlbSite s = tlb_site(n, true);
        if (bytes == 1) c = i8(c);
        if (bytes == 2) c = i16(c);
        check(s);
        log_value(offsetof(Log, value), imm(c));
        a_.mov(s.at(bytes), imm(c));
        return done(s, imm(c));
    } else {
        Gp v = gpr(i.b);
        TlbSite s = tlb_site(n, true);
        check(s);
        log_value(offsetof(Log, value), v);
        Mem mem = s.at(bytes);
        if (m.big && bytes > 1) { // in place: there is no temporary left
            swap_bytes(v, bytes);
            a_.lea(s.offset, mem);
            a_.mov(ptr(s.offset, 0, bytes), bytes == 2 ? Gp(v.r16()) : bytes == 4 ? Gp(v.r32()) : v.r64());
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

void Lowering::tlb_rmw(u32 n) {
    const IrInst& i = inst(n);
    MemArg m = MemArg::from(i.imm);
    u32 bytes = ir::size_of(m.memory);
    ir::Rmw op = ir::Rmw(i.sub);
    auto sized = [&](Gp r) {
        return bytes == 1 ? Gp(r.r8()) : bytes == 2 ? Gp(r.r16()) : bytes == 4 ? Gp(r.r32()) : r.r64();
    };
    check_alignment(n, i.a, m, bytes);
    locked_ = 0;
    take(0), take(2); // the third may carry operands to memory
    asmjit::Operand wide = pinned_or_memory(i.b, bytes == 8 ? Type::i64 : Type::i32);
    asmjit::Operand x = pinned_or_memory(i.b, bytes == 1   ? Type::i8
                                              : bytes == 2 ? Type::i16
                                              : bytes == 4 ? Type::i32
                                                           : Type::i64);
    take(1);
    move_to(rax, i.a);
    if (m.disp) a_.add(rax, m.disp);
    if (is_logging()) a_.mov(state(at_.header(logged_address)), rax);
    TlbSite s = tlb_check_in(rax, rcx, m.index, bytes, true);
    a_.add(rcx, rax);
    Mem mem = ptr(rcx, 0, bytes);
    if (op == ir::Rmw::add || op == ir::Rmw::sub || op == ir::Rmw::swap) {
        a_.emit(asmjit::x86::Inst::kIdMov, bytes == 8 ? Gp(rax) : Gp(eax), wide);
        log_access(Log::rmw, i.sub, bytes, mem);
        log_value(offsetof(Log, value), rax);
        if (op == ir::Rmw::sub) a_.neg(rax);
        if (op == ir::Rmw::swap) {
            a_.xchg(mem, sized(rax));
        } else {
            a_.lock();
            a_.xadd(mem, sized(rax));
        }
        log_value(offsetof(Log, old), rax);
        log_done();
    } else {
        rmw_loop(n, mem, wide, x);
    }
    use(i.a);
    use(i.b);
    bool wanted = an_->value[n].uses;
    if (wanted) activate(n), set_gpr(n, 0);
    extend_old(n, m);
    a_.bind(s.back);
    tlb_slow(s, n, wide, wanted ? asmjit::Operand(rax) : asmjit::Operand());
}

void Lowering::tlb_cas(u32 n) {
    const IrInst& i = inst(n);
    MemArg m = MemArg::from(i.imm);
    u32 bytes = ir::size_of(m.memory);
    Type word = bytes == 8 ? Type::i64 : Type::i32;
    check_alignment(n, i.a, m, bytes);
    locked_ = 0;
    take(0), take(2);
    move_to(rax, i.b);
    i32 expected = at_.header(u32(offsetof(ir::CpuHeader, scratch)) + 16);
    a_.mov(state(expected), rax);
    asmjit::Operand desired = pinned_or_memory(i.c, word);
    take(1);
    move_to(rcx, i.a);
    if (m.disp) a_.add(rcx, m.disp);
    if (is_logging()) a_.mov(state(at_.header(logged_address)), rcx);
    TlbSite s = tlb_check_in(rcx, rdx, m.index, bytes, true);
    a_.add(rcx, rdx);
    Gp fresh = rdx;
    a_.emit(asmjit::x86::Inst::kIdMov, bytes == 8 ? Gp(rdx) : Gp(edx), desired);
    Mem mem = ptr(rcx, 0, bytes);
    log_access(Log::cas, 0, bytes, mem);
    log_value(offsetof(Log, value), rax);
    log_value(offsetof(Log, desired), fresh);
    a_.lock();
    a_.cmpxchg(mem, bytes == 1 ? Gp(dl) : bytes == 2 ? Gp(dx) : bytes == 4 ? Gp(edx) : Gp(rdx));
    log_value(offsetof(Log, old), rax);
    log_done();
    use(i.a);
    use(i.b);
    use(i.c);
    bool wanted = an_->value[n].uses;
    if (wanted) activate(n), set_gpr(n, 0);
    extend_old(n, m);
    a_.bind(s.back);
    tlb_slow(s, n, state(expected), wanted ? asmjit::Operand(rax) : asmjit::Operand(), desired);
}

// To the code of the pc in rax, when this vCPU's table of branches under the present mode and context knows it.
void Lowering::lookup_paged() {
    const u32 scale = jump_shift_ == 0 ? 0 : 4 - jump_shift_; // 16 bytes an entry
    Label miss = a_.newLabel();
    a_.mov(ecx, eax);
    a_.mov(rdx, state(at_.host(offsetof(HostArea, paged_jumps))));
    a_.and_(ecx, (jump_count - 1) << jump_shift_);
    if (scale == 0) a_.shl(ecx, 4);
    a_.cmp(rax, ptr(rdx, rcx, scale, 0, 8));
    a_.jne(miss);
    a_.and_(rax, -i32(ir::code_page));
    a_.mov(state(at_.header(offsetof(ir::CpuHeader, code_base))), rax);
    a_.jmp(ptr(rdx, rcx, scale, 8, 8));
    cold(miss, [=, this] { jump_host(offsetof(HostArea, stub_lookup)); });
}

} // namespace mimic::jit::x86
