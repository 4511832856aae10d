// Where values are: temporaries, spills, and values that live in the registers of slots.
#include "jit/host/x86_64/lower.hpp"

namespace mimic::jit::x86 {

using namespace asmjit::x86;
using asmjit::imm;
using asmjit::Operand;

namespace {

Gp view(u32 reg, Type t) {
    switch (t) {
    case Type::i1:
    case Type::i8: return gpb_lo(reg);
    case Type::i16: return gpw(reg);
    case Type::i32:
    case Type::flags: return gpd(reg);
    default: return gpq(reg);
    }
}

} // namespace

void Lowering::begin_block(const ir::Block&) {
    for (ValueId v : active_) place_[v].active = false;
    active_.clear();
    std::fill(std::begin(gpr_count_), std::end(gpr_count_), 0);
    std::fill(std::begin(vec_count_), std::end(vec_count_), 0);
    spills_ = 0;
    locked_ = vec_locked_ = 0;
    std::fill(std::begin(deltas_), std::end(deltas_), 0);
    forget_owed();
}

void Lowering::release(ValueId v) {
    Place& p = place_[v];
    set_gpr(v, -1);
    set_vec(v, -1);
    if (p.spill >= 0) spills_ &= ~(u64{1} << p.spill);
    p.spill = -1;
    p.mem = no_mem;
    p.active = false;
    for (std::size_t n = 0; n < active_.size(); ++n)
        if (active_[n] == v) {
            active_[n] = active_.back();
            active_.pop_back();
            break;
        }
}

void Lowering::alias(ValueId v, ValueId of) {
    if (place_[of].gpr < 0 && place_[of].vec < 0 && place_[of].mem == no_mem) // a constant
        in_vec(type(of)) ? void(vec(of)) : void(gpr(of));
    const bool wider = ir::size_of(type(v)) > ir::size_of(type(of)); // a home of `of` is none of v
    if (wider && !in_vec(type(of)) && place_[of].gpr < 0 && place_[of].vec < 0 && place_[of].spill < 0) gpr(of);
    Place from = place_[of];
    activate(v);
    if (from.spill >= 0 && from.mem != no_mem && from.gpr < 0 && from.vec < 0) {
        if (place_[of].uses == 1) { // the spill place changes hands
            place_[v].mem = from.mem;
            place_[v].spill = from.spill;
            place_[of].spill = -1;
        } else if (in_vec(type(of))) {
            set_vec(v, i32(vec(of).id()));
        } else {
            set_gpr(v, i32(gpr(of).id()));
        }
    } else {
        if (from.gpr >= 0) set_gpr(v, from.gpr);
        if (from.vec >= 0) set_vec(v, from.vec);
        if (from.spill < 0 && !wider) place_[v].mem = from.mem;
    }
    use(of);
}

bool Lowering::imm32(ValueId v, i64& out) const {
    if (!is_const(v)) return false;
    u32 n = type(v) == Type::i1 ? 8 : ir::bits_of(type(v)); // an i1 is 0 or 1 in its byte
    out = n >= 64 ? i64(inst(v).imm) : i64(inst(v).imm << (64 - n)) >> (64 - n);
    return out == i32(out);
}

void Lowering::load_const(Gp to, u64 v) {
    if (v == 0)
        a_.xor_(to.r32(), to.r32());
    else if (v == u32(v))
        a_.mov(to.r32(), imm(u32(v)));
    else
        a_.mov(to.r64(), imm(i64(v)));
}

// CpuHeader::code_base and a constant.
void Lowering::load_address(Gp to, u64 offset) {
    Mem base = state(at_.header(offsetof(ir::CpuHeader, code_base)));
    if (i64(offset) == i32(i64(offset))) {
        a_.mov(to.r64(), base);
        if (offset) a_.add(to.r64(), i32(i64(offset)));
    } else {
        a_.mov(to.r64(), imm(i64(offset)));
        a_.add(to.r64(), base);
    }
}
// The guest's address of a pc of the unit.
void Lowering::load_pc(Gp to, u64 pc) { paged() ? load_address(to, pc) : load_const(to, pc); }

void Lowering::load_gpr(Gp to, i32 disp, Type t) {
    switch (t) {
    case Type::i1:
    case Type::i8: a_.movzx(to.r32(), state(disp, 1)); break;
    case Type::i16: a_.movzx(to.r32(), state(disp, 2)); break;
    case Type::i32:
    case Type::f32:
    case Type::flags: a_.mov(to.r32(), state(disp, 4)); break;
    default: a_.mov(to.r64(), state(disp, 8)); break;
    }
}

void Lowering::move_to(Gp to, ValueId v) {
    Place& p = place_[v];
    if (p.gpr >= 0) {
        if (u32(p.gpr) != to.id()) a_.mov(to.r64(), gpq(u32(p.gpr)));
    } else if (is_const(v)) {
        load_const(to, inst(v).imm);
    } else if (p.vec < 0 && p.mem != no_mem) {
        load_gpr(to, p.mem, type(v));
    } else if (p.vec >= 0) {
        if (ir::size_of(type(v)) <= 4)
            f_.avx ? a_.vmovd(to.r32(), xmm(u32(p.vec))) : a_.movd(to.r32(), xmm(u32(p.vec)));
        else
            f_.avx ? a_.vmovq(to.r64(), xmm(u32(p.vec))) : a_.movq(to.r64(), xmm(u32(p.vec)));
    } else {
        a_.mov(to.r64(), gpr(v));
    }
}

Gp Lowering::gpr(ValueId v) {
    Place& p = place_[v];
    if (p.gpr < 0) {
        Gp t = temp();
        if (inst(v).op == Op::constant && ir::size_of(type(v)) <= 8) {
            // a comparison may wait for its consumer: constants must not disturb the flags, so no xor
            if (inst(v).imm == 0)
                a_.mov(t.r32(), 0);
            else
                load_const(t, inst(v).imm);
        } else if (p.vec >= 0) {
            if (type(v) == Type::f32)
                f_.avx ? a_.vmovd(t.r32(), xmm(u32(p.vec))) : a_.movd(t.r32(), xmm(u32(p.vec)));
            else
                f_.avx ? a_.vmovq(t.r64(), xmm(u32(p.vec))) : a_.movq(t.r64(), xmm(u32(p.vec)));
        } else if (p.mem != no_mem) {
            load_gpr(t, p.mem, type(v));
        } else {
            failed_ = true;
        }
        if (p.active) set_gpr(v, i32(t.id()));
        locked_ |= 1u << t.id();
        return t;
    }
    locked_ |= 1u << p.gpr;
    return gpq(u32(p.gpr));
}
Gp Lowering::gpr(ValueId v, Type t) { return view(gpr(v).id(), t); }

Xmm Lowering::vec(ValueId v) {
    Place& p = place_[v];
    if (p.vec < 0) {
        Xmm t = vec_temp();
        Type ty = type(v);
        if (inst(v).op == Op::constant) {
            u64 words[2] = {inst(v).imm, 0};
            if (ir::size_of(ty) == 16) words[0] = unit_->wide[inst(v).imm], words[1] = unit_->wide[inst(v).imm + 1];
            known_[t.id()] = {.clear = u8(words[1] ? 128 : words[0] >> 32 ? 64 : 32)};
            if ((words[0] | words[1]) == 0)
                f_.avx ? a_.vxorps(xmm(t.id()), t, t) : a_.pxor(t, t);
            else
                f_.avx ? a_.vmovups(t, ptr(literal(words, 16))) : a_.movdqu(t, ptr(literal(words, 16)));
        } else if (p.gpr >= 0) {
            if (ty == Type::f32)
                f_.avx ? a_.vmovd(t, gpd(u32(p.gpr))) : a_.movd(t, gpd(u32(p.gpr)));
            else
                f_.avx ? a_.vmovq(t, gpq(u32(p.gpr))) : a_.movq(t, gpq(u32(p.gpr)));
        } else if (p.mem != no_mem) {
            u32 size = p.spill >= 0 ? 16 : ir::size_of(ty);
            known_[t.id()] = {.clear = u8(size <= 4 ? 32 : size == 8 ? 64 : 128)};
            if (size == 16)
                f_.avx ? a_.vmovups(t, state(p.mem, 16)) : a_.movdqu(t, state(p.mem, 16));
            else if (size == 8)
                f_.avx ? a_.vmovq(t, state(p.mem, 8)) : a_.movq(t, state(p.mem, 8));
            else if (size == 4)
                f_.avx ? a_.vmovd(t, state(p.mem, 4)) : a_.movd(t, state(p.mem, 4));
            else if (f_.avx)
                a_.vxorps(t, t, t), a_.vpinsrw(t, t, state(p.mem, 2), 0);
            else
                a_.pxor(t, t), a_.pinsrw(t, state(p.mem, 2), 0);
        } else {
            failed_ = true;
        }
        if (p.active) set_vec(v, i32(t.id()));
        vec_locked_ |= 1u << t.id();
        return t;
    }
    vec_locked_ |= 1u << p.vec;
    return xmm(u32(p.vec));
}

Operand Lowering::rm(ValueId v, Type t) {
    i64 c;
    if (imm32(v, c)) return imm(c);
    const Place& p = place_[v];
    if (p.gpr < 0 && p.vec < 0 && p.mem != no_mem && p.uses == 1 && p.spill < 0) return state(p.mem, ir::size_of(t));
    return gpr(v, t);
}
Operand Lowering::vec_rm(ValueId v) {
    const Place& p = place_[v];
    if (p.vec < 0 && p.gpr < 0 && p.mem != no_mem && p.uses == 1 && p.spill < 0)
        return state(p.mem, ir::size_of(type(v)));
    return vec(v);
}

// ---- registers for results

Gp Lowering::temp() {
    for (bool even_a_page : {false, true})
        for (u8 r : gpr_temps)
            if (!gpr_count_[r] && !(locked_ >> r & 1) && (even_a_page || !deltas_[r])) {
                locked_ |= 1u << r;
                deltas_[r] = 0;
                return gpq(r);
            }
    // The temporary whose values are needed last.
    i32 best = -1;
    u32 best_last = 0;
    for (u8 r : gpr_temps) {
        if (locked_ >> r & 1) continue;
        u32 last = ~0u;
        for (ValueId v : active_)
            if (place_[v].gpr == r) last = std::min(last, an_->value[v].last);
        if (best < 0 || last > best_last) best = r, best_last = last;
    }
    if (best < 0) {
        failed_ = true;
        return rax;
    }
    take(u8(best));
    return gpq(u32(best));
}

Xmm Lowering::vec_temp() {
    for (u32 r = 0; r < vec_temps(f_); ++r)
        if (!vec_count_[r] && !((vec_locked_ | in_kept_) >> r & 1)) {
            vec_locked_ |= 1u << r;
            redefined(r);
            return xmm(r);
        }
    if (!pending_ && in_kept_ & ((1u << vec_temps(f_)) - 1)) { // what is kept gives up its registers
        settle_nans();
        return vec_temp();
    }
    for (u32 r = 0; r < vec_temps(f_); ++r) {
        if (vec_locked_ >> r & 1) continue;
        for (std::size_t n = active_.size(); n-- > 0;)
            if (place_[active_[n]].vec == i8(r)) spill(active_[n]);
        vec_locked_ |= 1u << r;
        redefined(r);
        return xmm(r);
    }
    failed_ = true;
    return xmm0;
}

// Its value goes to memory, unless it is there or can be made again.
void Lowering::spill(ValueId v) {
    if (owes(v)) settle();
    Place& p = place_[v];
    if (inst(v).op != Op::constant && p.mem == no_mem) {
        u32 k = u32(std::countr_one(spills_));
        if (k >= 64) {
            failed_ = true;
            return;
        }
        spills_ |= u64{1} << k;
        p.spill = i8(k);
        p.mem = at_.host(offsetof(HostArea, spill)) + i32(16 * k);
        if (p.vec >= 0)
            f_.avx ? a_.vmovups(state(p.mem, 16), xmm(u32(p.vec))) : a_.movdqu(state(p.mem, 16), xmm(u32(p.vec)));
        else
            a_.mov(state(p.mem, 8), gpq(u32(p.gpr)));
    }
    set_gpr(v, -1);
    set_vec(v, -1);
}

void Lowering::take(u8 reg) {
    locked_ |= 1u << reg;
    deltas_[reg] = 0;
    for (std::size_t n = active_.size(); n-- > 0;) {
        ValueId v = active_[n];
        if (place_[v].gpr != i8(reg)) continue;
        if (place_[v].vec >= 0 || place_[v].mem != no_mem || inst(v).op == Op::constant) {
            set_gpr(v, -1);
            continue;
        }
        for (u8 r : gpr_temps)
            if (!gpr_count_[r] && !(locked_ >> r & 1)) {
                a_.mov(gpq(r), gpq(reg));
                for (ValueId w : active_)
                    if (place_[w].gpr == i8(reg)) set_gpr(w, r);
                return;
            }
        spill(v);
    }
}

void Lowering::spill_temps() {
    for (std::size_t n = active_.size(); n-- > 0;) {
        ValueId v = active_[n];
        Place& p = place_[v];
        bool in_temp = (p.gpr >= 0 && p.gpr < i8(temp_count)) || (p.vec >= 0 && p.vec < i8(vec_temps(f_)));
        if (in_temp) spill(v);
    }
    for (u32 t = 0; t < vec_temps(f_); ++t)
        if (late_register(late_, t)) put_now(t);
    std::fill(std::begin(deltas_), std::end(deltas_), 0);
}

void Lowering::def_in(ValueId v, Gp reg) {
    if (an_->value[v].uses == 0) return;
    activate(v);
    i32 slot = an_->value[v].target;
    if (slot >= 0 && plan_.gpr[u32(slot)] >= 0 && !gpr_count_[plan_.gpr[u32(slot)]]) {
        a_.mov(gpq(u32(plan_.gpr[u32(slot)])), reg.r64());
        return set_gpr(v, plan_.gpr[u32(slot)]);
    }
    set_gpr(v, i32(reg.id()));
}

Gp Lowering::def(ValueId v) {
    activate(v);
    i32 slot = an_->value[v].target;
    if (slot >= 0 && plan_.gpr[u32(slot)] >= 0 && !gpr_count_[plan_.gpr[u32(slot)]]) {
        u32 r = u32(plan_.gpr[u32(slot)]);
        set_gpr(v, i32(r));
        locked_ |= 1u << r;
        return gpq(r);
    }
    Gp t = temp();
    set_gpr(v, i32(t.id()));
    return t;
}
// As def, for a result that may replace an operand in register a whose use is over.
Gp Lowering::def_over(ValueId v, Gp a) {
    i32 slot = an_->value[v].target;
    bool pinned = slot >= 0 && plan_.gpr[u32(slot)] >= 0 && !gpr_count_[plan_.gpr[u32(slot)]];
    if (pinned || a.id() >= temp_count || gpr_count_[a.id()]) return def(v);
    activate(v);
    set_gpr(v, i32(a.id()));
    return gpq(a.id());
}

// The result's register with the value of operand a in it, whose use is over. Other operands are still in use.
Gp Lowering::def_from(ValueId v, ValueId a) {
    if (place_[a].gpr < 0 && place_[a].vec >= 0) gpr(a);
    if (place_[a].gpr >= 0) {
        Gp from = gpr(a);
        use(a);
        Gp d = def_over(v, from);
        bool wide = type(a) == Type::i64;
        if (d.id() != from.id()) wide ? a_.mov(d.r64(), from.r64()) : a_.mov(d.r32(), from.r32());
        return d;
    }
    Gp d = def(v); // before the use ends: its place may be a spill place that making room would take
    move_to(d, a);
    use(a);
    return d;
}

bool Lowering::wants(ValueId v, ValueId operand) const {
    i32 slot = an_->value[v].target;
    return slot >= 0 && place_[operand].gpr >= 0 && place_[operand].gpr == plan_.gpr[u32(slot)] &&
           place_[operand].uses == 1;
}

Xmm Lowering::def_vec(ValueId v) {
    activate(v);
    i32 slot = an_->value[v].target;
    if (slot >= 0 && plan_.vec[u32(slot)] >= 0 && !vec_count_[plan_.vec[u32(slot)]] && !waits_in_temp(v)) {
        u32 r = u32(plan_.vec[u32(slot)]);
        redefined(r);
        set_vec(v, i32(r));
        vec_locked_ |= 1u << r;
        return xmm(r);
    }
    Xmm t = vec_temp();
    set_vec(v, i32(t.id()));
    return t;
}

// ---- slots are about to change

void Lowering::move_away(ValueId v) {
    Place& p = place_[v];
    if (inst(v).op == Op::constant) {
        set_gpr(v, -1);
        set_vec(v, -1);
        return;
    }
    if (p.gpr >= 0 && p.vec < 0 && p.mem == no_mem) {
        for (u8 r : gpr_temps)
            if (!gpr_count_[r] && !(locked_ >> r & 1)) {
                a_.mov(gpq(r), gpq(u32(p.gpr)));
                set_gpr(v, r);
                return;
            }
    }
    if (p.vec >= 0 && p.gpr < 0 && p.mem == no_mem) {
        if (owes(v)) settle();
        for (u32 r = 0; r < vec_temps(f_); ++r)
            if (!vec_count_[r] && !((vec_locked_ | in_kept_) >> r & 1)) {
                redefined(r);
                known_[r] = known_[p.vec];
                f_.avx ? a_.vmovaps(xmm(r), xmm(u32(p.vec))) : a_.movdqa(xmm(r), xmm(u32(p.vec)));
                set_vec(v, i32(r));
                return;
            }
    }
    spill(v);
}

// Values other than `keep` leave a slot's register and its home [mem, mem + bytes) in memory.
void Lowering::evacuate(i8 reg, i8 vec_reg, i32 mem, u32 bytes, ValueId keep) {
    for (std::size_t n = active_.size(); n-- > 0;) {
        ValueId v = active_[n];
        if (v == keep) continue;
        Place& p = place_[v];
        if (reg >= 0 && p.gpr == reg) {
            if (p.vec >= 0 || p.mem != no_mem)
                set_gpr(v, -1);
            else
                move_away(v);
        }
        if (vec_reg >= 0 && p.vec == vec_reg) {
            if (p.gpr >= 0 || p.mem != no_mem)
                set_vec(v, -1);
            else
                move_away(v);
        }
        const bool overlaps =
            p.mem != no_mem && p.mem < mem + i32(bytes) && p.mem + i32(std::max(1u, ir::size_of(type(v)))) > mem;
        if (mem != no_mem && p.spill < 0 && overlaps) {
            if (p.gpr < 0 && p.vec < 0 && inst(v).op != Op::constant) {
                const u32 locked = locked_, vec_locked = vec_locked_; // it may go on to a spill place
                if (in_vec(type(v)))
                    vec(v);
                else
                    gpr(v);
                locked_ = locked, vec_locked_ = vec_locked;
            }
            p.mem = no_mem;
        }
    }
}

Label Lowering::literal(const void* bytes, u32 count) {
    const u8* p = static_cast<const u8*>(bytes);
    for (const Literal& l : literals_)
        if (l.bytes.size() == count && std::equal(p, p + count, l.bytes.begin())) return l.at;
    literals_.push_back({a_.newLabel(), {p, p + count}});
    return literals_.back().at;
}

} // namespace mimic::jit::x86
