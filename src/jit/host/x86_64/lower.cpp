// The walk over a unit, and slots.
#include "jit/host/x86_64/lower.hpp"
#include "base/check.hpp"
#include "ir/operands.hpp"
#include "softfloat/env.hpp"
#include <cstring>

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using IrInst = ir::Inst;

Lowering::Lowering(const ir::GuestState& guest, const RegisterPlan& plan, const Features& f, const Layout& layout,
                   u32 jump_shift, Records& records)
    : guest_(guest)
    , plan_(plan)
    , f_(f)
    , at_(layout)
    , jump_shift_(jump_shift)
    , records_(&records) {
    // Which NaN is the default one decides; the other rules of x86 have no other user.
    if (!guest.fp || guest.fp->nan.default_sign)
        nan_rules_ = NanRules::host;
    else
        nan_rules_ = guest.fp->default_nan ? NanRules::canonical : NanRules::guest;
}

bool Lowering::run(const ir::Unit& unit, const Analysis& analysis, AddressModel model, const u8* code, u8* writable,
                   u64 room, const u64* first_link, Emitted& out) {
    unit_ = &unit;
    an_ = &analysis;
    for (const Exchange& x : exchanged_) plan_.gpr[x.out] = i8(x.reg), plan_.gpr[x.in] = -1;
    exchanged_ = analysis.exchanges;
    for (const Exchange& x : exchanged_) plan_.gpr[x.in] = i8(x.reg), plan_.gpr[x.out] = -1;
    model_ = model;
    out_ = &out;
    code_ = code;
    first_link_ = first_link;
    failed_ = in_copy_ = apart_ = false;
    out.entries.clear();
    out.edges.clear();
    out.faults.clear();
    out.references.clear();
    out.no_room = false;
    out.refused = Op::nop;
    place_.assign(unit.code.size(), {});
    active_.clear();
    labels_.assign(unit.blocks.size(), {});
    apart_labels_.assign(an_->groups.empty() ? 0 : unit.blocks.size(), {});
    exit_labels_.assign(apart_labels_.size(), {});
    modes_.assign(unit.blocks.size(), unit.key.mode);
    cold_.clear();
    literals_.clear();

    holder_.reset();
    holder_.init(asmjit::Environment::host(), u64(code));
    holder_.setErrorHandler(&refusal_);
    holder_.attach(&a_);
    asmjit::StringLogger logger;
    logger.addFlags(asmjit::FormatFlags::kMachineCode);
    holder_.setLogger(out.text ? &logger : nullptr);
    for (BlockId b : analysis.layout) labels_[b] = a_.newLabel();
    for (std::size_t n = 0; n < analysis.layout.size(); ++n) {
        BlockId b = block_ = analysis.layout[n];
        const ir::Block& block = unit.blocks[b];
        pc_ = block.pc;
        mode_ = modes_[b];
        if (analysis.loop_head[b]) a_.align(asmjit::AlignMode::kCode, 16);
        a_.bind(labels_[b]);
        // State is at home at the start of every guest instruction's block: each may be entered from outside, under the
        // unit's mode.
        const IrInst& first = unit.code[block.begin];
        if (b == 0 || (first.op == Op::insn && mode_of(first) == unit.key.mode)) entry(b);
        begin_block(block);
        behind_ = 0;
        if (counted()) pay(b);
        copy_begin_ = u32(a_.offset());
        check_groups(nullptr, false);
        body(block);
        const IrInst& last = unit.code[block.end - 1];
        if (last.op == Op::br || last.op == Op::brcond) modes_[last.b] = mode_;
        if (last.op == Op::brcond) modes_[last.c] = mode_;
        if (failed_) {
            out.refused = unit.code[now_].op;
            return false;
        }
    }
    cold_code();
    for (const Literal& l : literals_) {
        a_.align(asmjit::AlignMode::kZero, l.bytes.size() >= 16 ? 16 : 8);
        a_.bind(l.at);
        a_.embed(l.bytes.data(), l.bytes.size());
    }
    if (failed_ || holder_.flatten() != asmjit::kErrorOk || holder_.resolveUnresolvedLinks() != asmjit::kErrorOk)
        return false;
    out.no_room = holder_.codeSize() > room;
    if (out.no_room) return false;
    // It may run elsewhere, too: what depends on its place is in Emitted::references.
    MIMIC_CHECK(!holder_.hasRelocEntries(), "code that names its own place");
    if (holder_.relocateToBase(u64(code)) != asmjit::kErrorOk) return false;
    out.bytes = u32(holder_.codeSize());
    if (out.text) out.text->assign(logger.data(), logger.dataSize());
    holder_.setLogger(nullptr);
    holder_.copyFlattenedData(writable, out.bytes);
    return true;
}

// Until the end, or where it failed.
void Lowering::body(const ir::Block& b) {
    for (now_ = b.begin; now_ < b.end; ++now_) {
        if (!an_->value[now_].dead && !an_->value[now_].deferred) instruction(now_);
        if (failed_) return;
    }
    MIMIC_CHECK(!late_, "a put that waits at the end of its block");
}

void Lowering::instruction(u32 n) {
    const IrInst& i = inst(n);
    locked_ = vec_locked_ = 0;
    if (i.op == Op::fpflags_set && silent(n)) return use(i.a);
    if (indebted() && !tolerates(n)) settle();
    owed_before_ = {owed_, owed_f64_, bare_, late_};
    switch (i.op) {
    case Op::nop: return;
    case Op::insn:
        pc_ = i.imm, mode_ = mode_of(i);
        if (counted()) --behind_;
        return;
    case Op::constant: activate(n); return;
    case Op::code_address: {
        Gp d = def(n);
        load_address(d, i.imm);
        if (i.type == Type::i32) a_.mov(d.r32(), d.r32());
        return;
    }
    case Op::get: return get(n);
    case Op::put: return put(n);
    case Op::call: return call(n);
    case Op::result: // still where the body left it: rows take results before they call again
        use(i.a);
        return from_scratch(n, first_result + i.sub);
    default: break;
    }
    const bool flushes = an_->fp_by_body && ir::flushes(i);
    if (flushes && fp_flushing(n)) return;
    if (!flushes && (integer(n) || memory(n) || control(n) || flags(n) || fp(n) || vector(n))) return;
    if (indebted()) settle();
    evaluate(n);
}

// ---- slots

void Lowering::get(u32 n) {
    ir::SlotArg s = ir::SlotArg::from(inst(n).imm);
    Type t = inst(n).type;
    i8 g = plan_.gpr[s.slot], x = plan_.vec[s.slot];
    if (place_[n].active) return; // a mirror
    activate(n);
    if (t == Type::i1) { // bit 0 of whatever stands there
        i32 whole = at_.slot(guest_.slots[s.slot].offset);
        if (x >= 0) f_.avx ? a_.vmovups(state(whole, 16), xmm(u32(x))) : a_.movdqu(state(whole, 16), xmm(u32(x)));
        if (g >= 0) a_.mov(state(whole), gpq(u32(g)));
        Gp d = def(n);
        load_gpr(d, home(s), t);
        return void(a_.and_(d.r32(), 1));
    }
    if (g >= 0 && !in_vec(t) && s.offset == 0) return set_gpr(n, g);
    if (x >= 0 && s.offset == 0 && (in_vec(t) || ir::size_of(t) <= 8)) {
        if (in_vec(t)) return set_vec(n, x);
        Gp r = temp();
        f_.avx ? a_.vmovq(r, xmm(u32(x))) : a_.movq(r, xmm(u32(x)));
        return set_gpr(n, i32(r.id()));
    }
    if (g >= 0) { // part of a pinned register
        Gp r = in_vec(t) ? temp() : def(n);
        a_.mov(r, gpq(u32(g)));
        if (s.offset) a_.shr(r, s.offset * 8);
        if (!in_vec(t)) return;
        Xmm v = def_vec(n);
        f_.avx ? a_.vmovq(v, r) : a_.movq(v, r);
        return;
    }
    if (x >= 0) { // upper part of a pinned vector
        if (s.offset == 8 && ir::size_of(t) == 8) {
            if (in_vec(t)) {
                Xmm v = def_vec(n);
                f_.avx ? a_.vpsrldq(v, xmm(u32(x)), 8) : (a_.movdqa(v, xmm(u32(x))), a_.psrldq(v, 8));
            } else {
                f_.avx ? a_.vpextrq(def(n), xmm(u32(x)), 1) : a_.pextrq(def(n), xmm(u32(x)), 1);
            }
            return;
        }
        if (ir::size_of(t) > 16) return void(failed_ = true);
        // Through memory: the slot's home is free while the register holds it.
        i32 whole = at_.slot(guest_.slots[s.slot].offset);
        f_.avx ? a_.vmovups(state(whole, 16), xmm(u32(x))) : a_.movdqu(state(whole, 16), xmm(u32(x)));
        if (in_vec(t)) {
            place_[n].mem = home(s);
            vec(n);
            place_[n].mem = no_mem;
        } else {
            load_gpr(def(n), home(s), t);
        }
        return;
    }
    if (ir::size_of(t) > 16) return void(failed_ = true);
    place_[n].mem = home(s);
}

void Lowering::store_home(i32 disp, ValueId v) {
    Type t = type(v);
    u32 size = ir::size_of(t);
    i64 c;
    if (in_vec(t)) {
        if (place_[v].vec < 0 && place_[v].gpr >= 0 && size == 8) return void(a_.mov(state(disp, 8), gpr(v)));
        Xmm x = vec(v);
        if (size == 16)
            f_.avx ? a_.vmovups(state(disp, 16), x) : a_.movdqu(state(disp, 16), x);
        else if (size == 8)
            f_.avx ? a_.vmovq(state(disp, 8), x) : a_.movq(state(disp, 8), x);
        else if (size == 4)
            f_.avx ? a_.vmovd(state(disp, 4), x) : a_.movd(state(disp, 4), x);
        else
            f_.avx ? a_.vpextrw(state(disp, 2), x, 0) : a_.pextrw(state(disp, 2), x, 0);
    } else if (imm32(v, c) && size > 1) {
        a_.mov(state(disp, size), asmjit::imm(c));
    } else {
        a_.mov(state(disp, size), gpr(v, t));
    }
}

void Lowering::put(u32 n) {
    const IrInst& i = inst(n);
    ir::SlotArg s = ir::SlotArg::from(i.imm);
    ValueId v = i.a;
    Type t = i.type;
    const ir::Slot& slot = guest_.slots[s.slot];
    u32 size = ir::size_of(t), slot_size = ir::size_of(slot.type);
    i8 g = plan_.gpr[s.slot], x = plan_.vec[s.slot];
    if (size > 16) return void(failed_ = true);
    if (an_->value[v].deferred) instruction(v), locked_ = vec_locked_ = 0;
    if ((g >= 0 || x >= 0) && (s.offset != 0 || size != slot_size)) return put_part(n, s);
    if (g >= 0) {
        if (place_[v].gpr != g) {
            evacuate(g, -1, no_mem, 0, v);
            if (is_const(v))
                load_const(gpq(u32(g)), inst(v).imm);
            else if (place_[v].gpr < 0 && place_[v].vec < 0 && place_[v].mem != no_mem)
                load_gpr(gpq(u32(g)), place_[v].mem, type(v));
            else
                a_.mov(gpq(u32(g)), gpr(v));
            set_gpr(v, -1);
            set_gpr(v, g);
        } // else it was made there, and what shares the register has its bits
    } else if (x >= 0) {
        if (place_[v].vec != x) {
            evacuate(-1, x, no_mem, 0, v);
            Xmm from = vec(v);
            if (may_be_late(n) && from.id() < vec_temps(f_) && !late_register(late_, from.id())) {
                put_late(from.id(), u32(x));
                return use(v);
            }
            // Who else has the register, another value or a slot, would be owed for no more.
            if (owes(v) && (vec_count_[from.id()] > 1 || from.id() >= vec_temps(f_))) settle();
            redefined(u32(x));
            f_.avx ? a_.vmovaps(xmm(u32(x)), from) : a_.movdqa(xmm(u32(x)), from);
            move_owed(from.id(), u32(x));
            set_vec(v, x);
        }
    } else {
        if (place_[v].mem == home(s) && place_[v].spill < 0) return use(v); // it is there already
        evacuate(-1, -1, home(s), slot_size - s.offset, v);
        store_home(home(s), v);
        Place& p = place_[v];
        // The home is as good as a spill place from now on.
        if (inst(v).op != Op::constant && p.spill < 0 && p.uses > 1 && type(v) == t) p.mem = home(s);
        if (p.gpr >= 0 && !in_vec(t)) shares_home(v, home(s), size);
    }
    use(v);
}

// Values that are the same bits as v, which has just been stored, are at home there, too.
void Lowering::shares_home(ValueId v, i32 mem, u32 bytes) {
    for (ValueId w : active_) {
        Place& p = place_[w];
        const bool same = w != v && p.gpr == place_[v].gpr && !in_vec(type(w)) && ir::size_of(type(w)) <= bytes;
        if (same && p.mem == no_mem && inst(w).op != Op::constant) p.mem = mem;
    }
}

// A narrower value into a slot that lives in a register: the other bytes stay.
void Lowering::put_part(u32 n, const ir::SlotArg& s) {
    ValueId v = inst(n).a;
    u32 size = ir::size_of(inst(n).type);
    i8 g = plan_.gpr[s.slot], x = plan_.vec[s.slot];
    evacuate(g, x, no_mem, 0, ir::none);
    if (x >= 0) redefined(u32(x));
    if (g >= 0) {
        Gp from = gpr(v), to = gpq(u32(g));
        if (s.offset) a_.ror(to, s.offset * 8);
        if (size == 1)
            a_.mov(to.r8(), from.r8());
        else if (size == 2)
            a_.mov(to.r16(), from.r16());
        else { // 4 bytes: no instruction keeps the upper half
            a_.shr(to, 32);
            a_.shl(to, 32);
            Gp low = temp();
            a_.mov(low.r32(), from.r32());
            a_.or_(to, low);
        }
        if (s.offset) a_.rol(to, s.offset * 8);
    } else {
        Xmm to = xmm(u32(x));
        if (size == 8 && s.offset == 0) {
            Xmm from = vec(v);
            f_.avx ? a_.vmovsd(to, to, from) : a_.movsd(to, from);
        } else if (size == 8 && s.offset == 8) {
            Xmm from = vec(v);
            f_.avx ? a_.vmovlhps(to, to, from) : a_.movlhps(to, from);
        } else { // through the home
            i32 whole = at_.slot(guest_.slots[s.slot].offset);
            f_.avx ? a_.vmovups(state(whole, 16), to) : a_.movdqu(state(whole, 16), to);
            store_home(home(s), v);
            f_.avx ? a_.vmovups(to, state(whole, 16)) : a_.movdqu(to, state(whole, 16));
        }
    }
    use(v);
}

} // namespace mimic::jit::x86
