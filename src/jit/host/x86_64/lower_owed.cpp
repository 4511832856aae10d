// What registers still owe, and what is known of them. The host's NaN is not always the guest's: it is negative where an
// operation made it, and guests have rules of their own. A NaN goes on through arithmetic to all that depends on it, so
// a test waits until somebody could see the value, and is then made of the results that no other depends on, two at a time.
//
// Where the guest's NaN is always the default one, a repair needs nothing but the register, and a fault may come in
// between: Emitted::Fault says which registers owe. Where the guest's rules look at operands (and for fused multiply-add,
// whose sticky flags differ), the operations are kept and computed again by the interpreter's bodies, in order; an
// operand that is overwritten is copied first. A loaded one that is overwritten soon stays in a temporary instead, and its
// slot's register has an old value meanwhile: what may fault in between says so in Emitted::Fault.
//
// With AVX-512 lanes wait like scalars, and what is asked of their results is joined in a mask register, which is tested once.
#include "jit/host/x86_64/backend.hpp"
#include "jit/host/x86_64/lower.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using IrInst = ir::Inst;

namespace {
namespace X = asmjit::x86::Inst;

template <class F>
void each_bit(u32 bits, F&& f) {
    for (; bits; bits &= bits - 1) f(u32(std::countr_zero(bits)));
}
} // namespace

void Lowering::forget_owed() {
    owed_ = owed_f64_ = owed_lanes_ = bare_ = in_kept_ = lost_ = guards_ = consumed_ = asked_ = settled_ = late_ = 0;
    group_ = 0;
    checked_ = false;
    kept_.clear();
    std::fill(std::begin(known_), std::end(known_), Known{});
}

// ---- who may go on

// Is v, read as a number of its type, only asked where a NaN is, not which? Then it may owe.
bool Lowering::is_number(ValueId v) const {
    if (v == none || place_[v].vec < 0) return true;
    const u32 r = u32(place_[v].vec);
    const bool f64 = type(v) == Type::f64;
    if (owed_lanes_ >> r & 1 || (owed_ >> r & 1 && type(v) == Type::f16)) return false;
    return !(bare_ >> r & 1 && type(v) != Type::f32) && !(owed_ >> r & 1 && (owed_f64_ >> r & 1) != f64);
}

// The same of a vector's lanes.
bool Lowering::are_numbers(ValueId v, bool f64) const {
    if (v == none || place_[v].vec < 0) return true;
    const u32 r = u32(place_[v].vec);
    const bool owes_alike = owed_lanes_ >> r & 1 && (owed_f64_ >> r & 1) == f64;
    return type(v) == Type::v128 && !(bare_ >> r & 1) && (!(owed_ >> r & 1) || owes_alike);
}

// Does v, or what is computed at its use, show nothing that a register owes?
bool Lowering::clean(ValueId v) const {
    if (!an_->value[v].deferred) return !owes(v);
    const IrInst& i = inst(v);
    bool ok = true;
    each_operand(*unit_, i, [&](u32 o) { ok &= i.op == Op::fcmp ? is_number(o) : clean(o); });
    return ok;
}

bool Lowering::tolerates(u32 n) const {
    const IrInst& i = inst(n);
    switch (i.op) {
    case Op::nop:
    case Op::insn:
    case Op::constant: return true;
    case Op::get: {
        const ir::SlotArg s = ir::SlotArg::from(i.imm);
        const i8 x = plan_.vec[s.slot];
        return x < 0 || !(owing() >> x & 1) || (in_vec(i.type) && s.offset == 0);
    }
    case Op::put: {
        const ir::SlotArg s = ir::SlotArg::from(i.imm);
        const i8 x = plan_.vec[s.slot];
        const bool whole = s.offset == 0 && ir::size_of(i.type) == ir::size_of(guest_.slots[s.slot].type);
        if (x >= 0 && whole) return true; // put sees to it
        return clean(i.a) && (x < 0 || !(owing() >> x & 1));
    }
    case Op::load: {
        const ir::MemArg m = ir::MemArg::from(i.imm);
        return kept_.empty() && clean(i.a) && by_host() && m.align == ir::Align::any;
    }
    case Op::store: {
        const ir::MemArg m = ir::MemArg::from(i.imm);
        const i8 r = place_[i.b].vec;
        if (fixed_by_store(i)) return clean(i.a) && by_host() && m.align == ir::Align::any;
        const bool narrow = ir::size_of(m.memory) <= 4 && type(i.b) == Type::f32;
        return kept_.empty() && clean(i.a) && by_host() && m.align == ir::Align::any &&
               (r < 0 || !((owed_ | (narrow ? 0 : bare_)) >> r & 1));
    }
    case Op::fadd:
    case Op::fsub:
    case Op::fmul:
    case Op::fdiv:
    case Op::fsqrt:
    case Op::fma:
    case Op::fcmp:
    case Op::flags_fcmp:
    case Op::fround:
    case Op::fcvt: return is_number(i.a) && is_number(i.b) && (i.op != Op::fma || is_number(i.c));
    case Op::vbin:
    case Op::vtern:
    case Op::vcmp: {
        const bool f64 = i.lane == ir::Lane::f64;
        if (!in_group(n) && !(i.op == Op::vcmp && (f64 || i.lane == ir::Lane::f32))) break;
        return are_numbers(i.a, f64) && are_numbers(i.b, f64) && (i.op != Op::vtern || are_numbers(i.c, f64));
    }
    case Op::ftos:
    case Op::ftou: return is_number(i.a);
    case Op::fbox: return true; // box sees to it
    case Op::bitcast:
        if (ir::is_fp(type(i.a)) && i.type == Type::v128) return is_number(i.a); // the same bits, in the same register
        break;
    case Op::fpflags: return kept_.empty();
    case Op::brcond: return turns(n) && nan_rules_ == NanRules::canonical && kept_.empty() && !guards_ && clean(i.a);
    case Op::stof:
    case Op::utof: return clean(i.a);
    default: break;
    }
    if (ir::info(i.op).effect != 'P') return false;
    bool ok = true;
    each_operand(*unit_, i, [&](u32 v) { ok &= clean(v); });
    return ok;
}

// ---- registers change

void Lowering::redefined(u32 reg) {
    const u32 b = bit(reg);
    if (late_) {
        if (reg < vec_temps(f_) && late_register(late_, reg)) put_now(reg);
        for (u32 t = 0; t < vec_temps(f_); ++t)
            if (late_register(late_, t) == reg) late_ &= ~late_bits(t, 31);
    }
    if (guards_ & owed_ & b && !(consumed_ & b)) {
        if (cover_[reg] >= 0)
            guards_ |= bit(u32(cover_[reg]));
        else
            settle_nans();
    }
    if (in_kept_ & b) { // its value stays for the operations that may have to be done again
        i32 to = -1;
        for (u32 r = 0; r < vec_temps(f_) && to < 0; ++r)
            if (!vec_count_[r] && !(vec_locked_ >> r & 1) && !(in_kept_ >> r & 1) && r != reg) to = i32(r);
        if (to < 0) {
            settle_nans();
        } else {
            redefined(u32(to));
            a_.emit(f_.avx ? X::kIdVmovaps : X::kIdMovaps, xmm(u32(to)), xmm(reg));
            for (Kept& k : kept_)
                for (u32 n = 0; n < k.count; ++n)
                    if (k.from[n].reg == i8(reg)) k.from[n].reg = i8(to);
            in_kept_ = (in_kept_ & ~b) | bit(u32(to));
        }
    }
    lost_ = 0;
    if (owed_ & b)
        each_bit(owed_ & ~b, [&](u32 r) {
            if (cover_[r] != i8(reg)) return;
            cover_[r] = cover_[reg] == i8(r) ? i8(-1) : cover_[reg];
            lost_ |= bit(r);
        });
    owed_ &= ~b, owed_f64_ &= ~b, owed_lanes_ &= ~b, bare_ &= ~b;
    if (!(consumed_ & b)) guards_ &= ~b;
    asked_ &= ~b, settled_ &= ~b;
    known_[reg] = {};
    for (Kept& k : kept_)
        if (k.reg == i8(reg)) k.reg = -1;
}

// The value of register `from` goes on in `to`, which was redefined.
void Lowering::move_owed(u32 from, u32 to) {
    const u32 b = bit(from);
    known_[to] = known_[from];
    if (bare_ & b) bare_ = (bare_ & ~b) | bit(to);
    if (!(owed_ & b)) return;
    owed_ = (owed_ & ~b) | bit(to);
    if (owed_f64_ & b) owed_f64_ = (owed_f64_ & ~b) | bit(to);
    if (owed_lanes_ & b) owed_lanes_ = (owed_lanes_ & ~b) | bit(to);
    if (guards_ & b) guards_ = (guards_ & ~b) | bit(to);
    cover_[to] = cover_[from];
    each_bit(owed_, [&](u32 r) {
        if (cover_[r] == i8(from)) cover_[r] = i8(to);
    });
    for (Kept& k : kept_)
        if (k.reg == i8(from)) k.reg = i8(to);
}

u32 Lowering::owed_sources(u32 n) const {
    u32 regs = 0;
    each_operand(*unit_, inst(n), [&](u32 v) {
        if (place_[v].vec >= 0) regs |= bit(u32(place_[v].vec));
    });
    return regs & owed_;
}

// Results that owe together are of one shape, so that one test of a mask tells of all.
void Lowering::begin_group(u32 lanes) {
    if (group_ != lanes && (owed_ || checked_)) settle_nans();
    group_ = lanes;
}

// Operation n's result in reg may be a NaN that is not the guest's; `sources` owed when it was computed from them.
void Lowering::owe(u32 n, u32 reg, u32 sources) {
    const IrInst& i = inst(n);
    const bool lanes = i.type == Type::v128, f64 = lanes ? i.lane == ir::Lane::f64 : i.type == Type::f64;
    const u32 b = bit(reg);
    owed_ |= b;
    owed_f64_ = f64 ? owed_f64_ | b : owed_f64_ & ~b;
    owed_lanes_ = lanes ? owed_lanes_ | b : owed_lanes_ & ~b;
    cover_[reg] = -1;
    each_bit(sources & owed_ & ~b, [&](u32 r) { cover_[r] = i8(reg); });
    if (sources & b) each_bit(lost_ & owed_, [&](u32 r) { cover_[r] = i8(reg); });
    // Infinity times zero and a NaN: the host raises nothing, and if all that reads the result asks whether it is one, or
    // nothing does, it is not tested for anybody else's sake.
    if (nan_rules_ != NanRules::host && (i.op == Op::fma || i.op == Op::vtern)) guards_ |= b;
}

// Operation n is about to be emitted, its operands in registers: what it takes to compute it again.
void Lowering::keep(u32 n) {
    const IrInst& i = inst(n);
    auto free = [&] { // for the result, and for a copy of what it overwrites
        u32 count = 0;
        for (u32 r = 0; r < vec_temps(f_); ++r) count += !vec_count_[r] && !((vec_locked_ | in_kept_) >> r & 1);
        return count;
    };
    if ((!owed_ && !checked_) || kept_.size() == most_kept || free() < 2) settle_nans();
    if (free() < 2) { // fewer when all operands are in temporaries, and then fewer are wanted
        const u32 locked = vec_locked_;
        for (u32 k = 0; k < 2 && room(1); ++k) vec_temp();
        vec_locked_ = locked;
    }
    Kept k;
    Type types[3] = {};
    const ValueId values[3] = {i.a, i.b, i.c};
    for (u32 o = 0; o < ir::info(i.op).operands && values[o] != none; ++o) {
        const i8 r = place_[values[o]].vec;
        types[o] = type(values[o]);
        k.from[o].reg = r;
        for (u32 m = 0; m < kept_.size(); ++m)
            if (kept_[m].reg == r) k.from[o] = {-1, i8(m)};
        if (k.from[o].reg >= 0) in_kept_ |= bit(u32(r));
        k.count = o + 1;
    }
    k.record = records_->operation(*unit_, i, types);
    k.bytes = u8(ir::size_of(type(n)));
    kept_.push_back(k);
}

// ---- puts that wait in temporaries

// Is v, or its put, such a load of Analysis::late, whose register a kept operation would have to copy?
bool Lowering::may_be_late(ValueId v) const { return an_->value[v].late && nan_rules_ == NanRules::guest && by_host(); }

// Is v to be made in a temporary rather than in its slot's register?
bool Lowering::waits_in_temp(ValueId v) const {
    if (!may_be_late(v)) return false;
    u32 free = 0;
    for (u32 r = 0; r < vec_temps(f_); ++r) free += !vec_count_[r] && !((vec_locked_ | in_kept_) >> r & 1);
    return free > 2; // what reads it wants two
}

// From here on the slot's register wants the temporary's value, and is not going to get it unless somebody may see it.
void Lowering::put_late(u32 temp, u32 reg) {
    for (u32 t = 0; t < vec_temps(f_); ++t)
        if (late_register(late_, t) == reg) late_ &= ~late_bits(t, 31);
    late_ |= late_bits(temp, reg);
}

// The temporary is wanted for something else.
void Lowering::put_now(u32 temp) {
    const u32 reg = late_register(late_, temp), locked = vec_locked_;
    late_ &= ~late_bits(temp, 31);
    vec_locked_ |= bit(temp);
    redefined(reg);
    vec_locked_ = locked;
    v_move(xmm(reg), xmm(temp));
    known_[reg] = known_[temp];
}

// ---- what is owed is paid

// Cold: the kept operations again, in order, by the interpreter's bodies.
void Lowering::redo(const std::vector<Kept>& kept) {
    auto scratch = [&](u32 k) { return state(at_.header(u32(offsetof(ir::CpuHeader, scratch)) + 16 * k), 16); };
    auto redone = [&](u32 k) { return state(at_.host(u32(offsetof(HostArea, redone)) + 16 * k), 16); };
    const u32 store = f_.avx ? X::kIdVmovups : X::kIdMovups;
    const Xmm t = xmm0; // kept by the call; whatever is in it comes back at the end
    auto park = state(at_.host(offsetof(HostArea, park)), 16);
    for (u32 m = 0; m < kept.size(); ++m) {
        const Kept& k = kept[m];
        a_.emit(store, park, t);
        for (u32 o = 0; o < k.count; ++o) {
            if (k.from[o].reg >= 0) {
                a_.emit(store, scratch(o), xmm(u32(k.from[o].reg)));
                continue;
            }
            a_.emit(store, t, redone(u32(k.from[o].kept)));
            a_.emit(store, scratch(o), t);
            a_.emit(store, t, park);
        }
        call_keeping(k.record);
        a_.emit(store, t, scratch(first_result));
        a_.emit(store, redone(m), t);
        a_.emit(store, t, park);
    }
    for (u32 m = 0; m < kept.size(); ++m) {
        if (kept[m].reg < 0) continue;
        const Xmm r = xmm(u32(kept[m].reg));
        Mem from = redone(m); // zeros above
        from.setSize(kept[m].bytes);
        if (kept[m].bytes == 16)
            a_.emit(store, r, from);
        else if (kept[m].bytes == 8)
            f_.avx ? a_.vmovq(r, from) : a_.movq(r, from);
        else
            f_.avx ? a_.vmovd(r, from) : a_.movd(r, from);
    }
}

// The operation that was kept last, and of those before it what it takes to do it again: that its operands are numbers is
// known, so what is still in registers is right.
std::vector<Lowering::Kept> Lowering::last_kept() const {
    std::vector<Kept> out;
    auto take = [&](auto& self, u32 m, bool is_last) -> i8 {
        Kept k = kept_[m];
        for (u32 o = 0; o < k.count; ++o) {
            const i8 source = k.from[o].kept;
            if (source < 0) continue;
            const i8 reg = kept_[u32(source)].reg;
            k.from[o] = reg >= 0 ? Source{reg, -1} : Source{-1, self(self, u32(source), false)};
        }
        if (!is_last) k.reg = -1;
        out.push_back(k);
        return i8(out.size() - 1);
    };
    take(take, u32(kept_.size() - 1), true);
    return out;
}

// What has to be tested: results that no other depends on, if somebody can still see them or what they depend on.
u32 Lowering::roots() const {
    u32 out = 0;
    each_bit(owed_, [&](u32 r) {
        const bool gone = r < vec_temps(f_) && !vec_count_[r];
        bool relied = !gone || (guards_ >> r & 1);
        if (gone) each_bit(owed_, [&](u32 x) { relied |= cover_[x] == i8(r); });
        if (cover_[r] < 0 && relied) out |= bit(r);
    });
    return out;
}

void Lowering::compare_numbers(u32 x, u32 y, bool f64) {
    if (f64)
        f_.avx ? a_.vucomisd(xmm(x), xmm(y)) : a_.ucomisd(xmm(x), xmm(y));
    else
        f_.avx ? a_.vucomiss(xmm(x), xmm(y)) : a_.ucomiss(xmm(x), xmm(y));
}

// Cold: each of the registers that has a NaN gets the default one.
void Lowering::make_canonical(u32 regs, u32 f64, u32 boxed) {
    each_bit(regs, [&](u32 r) {
        Label fine = a_.newLabel();
        const bool d = f64 >> r & 1;
        compare_numbers(r, r, d);
        a_.jnp(fine);
        const Mem nan = d                ? state(at_.host(offsetof(HostArea, nan_f64)), 16)
                        : boxed >> r & 1 ? words(0xffffffff7fc00000, 0)
                                         : state(at_.host(offsetof(HostArea, nan_f32)), 16);
        v_move(xmm(r), nan);
        a_.bind(fine);
    });
}

// A temporary that can be had without a word.
i32 Lowering::idle_temp() const {
    for (u32 r = 0; r < vec_temps(f_); ++r)
        if (!vec_count_[r] && !((vec_locked_ | in_kept_ | owed_) >> r & 1) && !late_register(late_, r)) return i32(r);
    return -1;
}

// Lanes stay good in which a is to b as the predicate of a comparison says: of numbers, or of integers of their width.
void Lowering::join_check(bool f64, Xmm a, const asmjit::Operand& b, u32 relation) {
    constexpr u32 ordered = 7;
    if (checked_) a_.k(checks);
    if (relation != ordered)
        a_.emit(f64 ? X::kIdVpcmpq : X::kIdVpcmpd, checks, a, b, asmjit::imm(relation));
    else
        a_.emit(f64 ? X::kIdVcmppd : X::kIdVcmpps, checks, a, b, asmjit::imm(relation));
    checked_ = true;
}

// See rounds_late: the result is good unless it is the least normal number, of either sign.
void Lowering::join_smallest(Xmm r, bool f64) {
    constexpr u32 differs = 4;
    const u64 least = f64 ? smallest_f64 : smallest_f32;
    const u32 L = f64 ? 3 : 2;
    if (const i32 t = idle_temp(); t >= 0) {
        redefined(u32(t));
        a_.emit(f64 ? X::kIdVpaddq : X::kIdVpaddd, xmm(u32(t)), r, r); // without the sign
        return join_check(f64, xmm(u32(t)), lanes(L, 2 * least), differs);
    }
    join_check(f64, r, lanes(L, least), differs);
    join_check(f64, r, lanes(L, least | u64{1} << (f64 ? 63 : 31)), differs);
}

// Goes to `fix` when one of the registers has a NaN, or a result that was looked at is not good.
void Lowering::test_numbers(u32 regs, u32 f64, Label fix) {
    constexpr u32 ordered = 7;
    for (u32 wide : {regs & f64, regs & ~f64})
        while (wide) {
            const u32 x = u32(std::countr_zero(wide));
            wide &= wide - 1;
            const u32 y = wide ? u32(std::countr_zero(wide)) : x;
            wide &= wide - 1;
            if (group_ > 1) {
                join_check(f64 >> x & 1, xmm(x), xmm(y), ordered);
                continue;
            }
            compare_numbers(x, y, f64 >> x & 1);
            a_.jp(fix);
        }
    if (!checked_) return;
    checked_ = false;
    a_.kortestb(checks, group_ == 2 ? not_two_lanes : not_four_lanes);
    a_.jnc(fix);
}

// Tests whether any owed register has a NaN, and repairs all when one has.
void Lowering::settle_nans() {
    const u32 all = owed_, f64 = owed_f64_, wide = owed_lanes_, tested = roots();
    std::vector<Kept> kept = std::move(kept_);
    kept_.clear();
    if (pending_) {
        Kept last = kept.back();
        kept.pop_back();
        for (u32 o = 0; o < last.count; ++o)
            if (last.from[o].kept >= 0) last.from[o] = {kept[u32(last.from[o].kept)].reg, -1};
        kept_.push_back(last);
    }
    settled_f64_ = (settled_f64_ & ~all) | (f64 & ~wide);
    settled_ |= all & ~wide;
    owed_ = owed_f64_ = owed_lanes_ = in_kept_ = guards_ = 0;
    for (const Kept& k : kept_)
        for (u32 o = 0; o < k.count; ++o)
            if (k.from[o].reg >= 0) in_kept_ |= bit(u32(k.from[o].reg));
    if (!tested && !checked_) return;
    u32 boxed = 0, redone = 0;
    each_bit(all, [&](u32 r) { boxed |= known_[r].boxed ? bit(r) : 0; });
    for (const Kept& k : kept) redone |= k.reg >= 0 ? bit(u32(k.reg)) : 0;
    Label fix = a_.newLabel(), back = a_.newLabel();
    test_numbers(tested, f64, fix);
    a_.bind(back);
    cold(fix, [=, this, kept = std::move(kept)] {
        redo(kept);
        // what was computed again has zeros above, which may want ones
        const Mem ones = state(at_.host(offsetof(HostArea, box_f32)), 16);
        each_bit(redone & boxed, [&](u32 r) { v_op({X::kIdOrps, X::kIdVorps}, xmm(r), xmm(r), ones); });
        if (nan_rules_ == NanRules::canonical) make_canonical(all & ~(redone | wide), f64, boxed);
        a_.jmp(back);
    });
}

// Nothing is owed behind it.
void Lowering::settle() {
    settle_nans();
    const Mem ones = state(at_.host(offsetof(HostArea, box_f32)), 16);
    each_bit(bare_, [&](u32 r) {
        if (r >= vec_temps(f_) || vec_count_[r]) v_op({X::kIdOrps, X::kIdVorps}, xmm(r), xmm(r), ones);
        known_[r] = {.clear = 64, .boxed = true};
    });
    bare_ = 0;
}

} // namespace mimic::jit::x86
