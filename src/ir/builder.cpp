#include "ir/builder.hpp"
#include <bit>

namespace mimic::ir {

namespace {

u64 mask_of(Type t) {
    u32 n = bits_of(t);
    return n >= 64 ? ~u64{0} : (u64{1} << n) - 1;
}
i64 signed_of(u64 v, Type t) {
    u32 n = bits_of(t);
    return n >= 64 ? i64(v) : i64(v << (64 - n)) >> (64 - n);
}
bool foldable(Type t) { return is_int(t) && t != Type::i128; }

// Folds what rows produce often; everything else is left to the back end.
bool fold(Op op, Type t, u64 a, u64 b, u64& out) {
    u32 n = bits_of(t);
    i64 sa = signed_of(a, t);
    switch (op) {
    case Op::add: out = a + b; break;
    case Op::sub: out = a - b; break;
    case Op::mul: out = a * b; break;
    case Op::and_: out = a & b; break;
    case Op::or_: out = a | b; break;
    case Op::xor_: out = a ^ b; break;
    case Op::shl: out = a << (b & (n - 1)); break;
    case Op::lshr: out = a >> (b & (n - 1)); break;
    case Op::ashr: out = u64(sa >> (b & (n - 1))); break;
    default: return false;
    }
    out &= mask_of(t);
    return true;
}

// FP kinds take their rounding from the state unless told otherwise.
u64 kind_imm(Op op, u8 kind) { return kinds_of(op)[kind].effect == 'F' ? FpArg{}.bits() : 0; }

bool commutes(Op op) { return op == Op::add || op == Op::mul || op == Op::and_ || op == Op::or_ || op == Op::xor_; }

bool relation(Rel rel, u64 a, u64 b, Type t) {
    i64 x = signed_of(a, t), y = signed_of(b, t);
    switch (rel) {
    case Rel::eq: return a == b;
    case Rel::ne: return a != b;
    case Rel::ult: return a < b;
    case Rel::ule: return a <= b;
    case Rel::ugt: return a > b;
    case Rel::uge: return a >= b;
    case Rel::slt: return x < y;
    case Rel::sle: return x <= y;
    case Rel::sgt: return x > y;
    case Rel::sge: return x >= y;
    }
    return false;
}

} // namespace

// ---- values

Val Val::mulhu(Val b) const { return b_->binary(Op::mulhu, *this, b); }
Val Val::mulhs(Val b) const { return b_->binary(Op::mulhs, *this, b); }
Val Val::udiv(Val b, bool zero) const { return b_->binary(Op::udiv, *this, b, zero); }
Val Val::sdiv(Val b, bool zero) const { return b_->binary(Op::sdiv, *this, b, zero); }
Val Val::urem(Val b) const { return b_->binary(Op::urem, *this, b); }
Val Val::srem(Val b) const { return b_->binary(Op::srem, *this, b); }
Val Val::shl(Val n) const { return b_->shift(Op::shl, *this, n); }
Val Val::lshr(Val n) const { return b_->shift(Op::lshr, *this, n); }
Val Val::ashr(Val n) const { return b_->shift(Op::ashr, *this, n); }
Val Val::rotr(Val n) const { return b_->shift(Op::rotr, *this, n); }
Val Val::shl(u32 n) const { return shl(b_->imm(n, Type::i8)); }
Val Val::lshr(u32 n) const { return lshr(b_->imm(n, Type::i8)); }
Val Val::ashr(u32 n) const { return ashr(b_->imm(n, Type::i8)); }
Val Val::rotr(u32 n) const { return rotr(b_->imm(n, Type::i8)); }
Val Val::clz() const { return b_->unary(Op::clz, *this, type()); }
Val Val::ctz() const { return b_->unary(Op::ctz, *this, type()); }
Val Val::popcnt() const { return b_->unary(Op::popcnt, *this, type()); }
Val Val::bswap() const { return b_->unary(Op::bswap, *this, type()); }
Val Val::bitrev() const { return b_->unary(Op::bitrev, *this, type()); }
Val Val::sext(Type t) const { return b_->convert(Op::sext, *this, t); }
Val Val::zext(Type t) const { return b_->convert(Op::zext, *this, t); }
Val Val::trunc(Type t) const { return b_->convert(Op::trunc, *this, t); }
Val Val::bitcast(Type t) const { return t == type() ? *this : b_->unary(Op::bitcast, *this, t); }
Val Val::half(u32 which) const {
    Type t = type() == Type::i64 ? Type::i32 : Type::i64;
    return b_->emit({.op = Op::half, .type = t, .sub = u8(which), .a = id_});
}
Val Val::ubfx(u32 pos, u32 len) const {
    if (pos == 0 && len == bits_of(type())) return *this;
    if (is_const()) return b_->imm(const_value() >> pos & (len >= 64 ? ~u64{0} : (u64{1} << len) - 1), type());
    if (pos + len == bits_of(type())) return lshr(pos);
    if (pos == 0) return *this & i64(len >= 64 ? ~u64{0} : (u64{1} << len) - 1);
    return b_->emit({.op = Op::ubfx, .type = type(), .a = id_, .imm = bit_range(pos, len)});
}
Val Val::sbfx(u32 pos, u32 len) const {
    if (pos == 0 && len == bits_of(type())) return *this;
    if (pos + len == bits_of(type())) return ashr(pos);
    return b_->emit({.op = Op::sbfx, .type = type(), .a = id_, .imm = bit_range(pos, len)});
}
Val Val::bfi(Val b, u32 pos, u32 len) const {
    return b_->emit({.op = Op::bfi, .type = type(), .a = id_, .b = b.id_, .imm = bit_range(pos, len)});
}
Val Val::ult(Val b) const { return b_->compare(Rel::ult, *this, b); }
Val Val::ule(Val b) const { return b_->compare(Rel::ule, *this, b); }
Val Val::slt(Val b) const { return b_->compare(Rel::slt, *this, b); }
Val Val::sle(Val b) const { return b_->compare(Rel::sle, *this, b); }
Val Val::select(Val b, Val c) const {
    if (is_const()) return const_value() ? b : c;
    if (b.id_ == c.id_) return b;
    if (const Inst& i = b_->inst(*this); i.op == Op::not_) return Val(b_, i.a).select(c, b);
    if (b.is_const() && c.is_const() && b.type() != Type::i1) {
        u64 yes = b.const_value(), no = c.const_value(), ones = mask_of(b.type());
        if (yes == 1 && no == 0) return zext(b.type());
        if (yes == 0 && no == 1) return (~*this).zext(b.type());
        if (yes == ones && no == 0) return sext(b.type());
        if (yes == 0 && no == ones) return (~*this).sext(b.type());
    }
    return b_->emit({.op = Op::select, .type = b.type(), .a = id_, .b = b.id_, .c = c.id_});
}

Val operator+(Val a, Val b) { return a.builder().binary(Op::add, a, b); }
Val operator-(Val a, Val b) { return a.builder().binary(Op::sub, a, b); }
Val operator*(Val a, Val b) { return a.builder().binary(Op::mul, a, b); }
Val operator&(Val a, Val b) { return a.builder().binary(Op::and_, a, b); }
Val operator|(Val a, Val b) { return a.builder().binary(Op::or_, a, b); }
Val operator^(Val a, Val b) { return a.builder().binary(Op::xor_, a, b); }
Val operator~(Val a) {
    Builder& t = a.builder();
    if (a.is_const()) return t.imm(~a.const_value(), a.type());
    const Inst& i = t.inst(a);
    if (i.op == Op::not_) return {&t, i.a};
    if (i.op == Op::icmp) {
        constexpr Rel opposite[] = {Rel::ne,  Rel::eq,  Rel::uge, Rel::ugt, Rel::ule,
                                    Rel::ult, Rel::sge, Rel::sgt, Rel::sle, Rel::slt};
        return t.compare(opposite[i.sub], {&t, i.a}, {&t, i.b});
    }
    return t.unary(Op::not_, a, a.type());
}
Val operator-(Val a) {
    if (a.is_const()) return a.builder().imm(0 - a.const_value(), a.type());
    return a.builder().unary(Op::neg, a, a.type());
}
Val operator==(Val a, Val b) { return a.builder().compare(Rel::eq, a, b); }
Val operator!=(Val a, Val b) { return a.builder().compare(Rel::ne, a, b); }
Val operator+(Val a, i64 b) { return a + a.builder().imm(u64(b), a.type()); }
Val operator-(Val a, i64 b) { return a + a.builder().imm(0 - u64(b), a.type()); }
Val operator&(Val a, i64 b) { return a & a.builder().imm(u64(b), a.type()); }
Val operator|(Val a, i64 b) { return a | a.builder().imm(u64(b), a.type()); }
Val operator^(Val a, i64 b) { return a ^ a.builder().imm(u64(b), a.type()); }
Val operator==(Val a, i64 b) { return a == a.builder().imm(u64(b), a.type()); }
Val operator!=(Val a, i64 b) { return a != a.builder().imm(u64(b), a.type()); }

// ---- pure operations

Builder::Builder(Unit& unit, const GuestState& guest) : unit_(unit), guest_(guest), known_(guest.slots.size()) {}

Val Builder::imm(u64 value, Type t) { return emit({.op = Op::constant, .type = t, .imm = value & mask_of(t)}); }
Val Builder::code_address(u64 pc, Type t) {
    if (!(unit_.key.flavour & flavour::paged)) return imm(pc, t);
    return emit({.op = Op::code_address, .type = t, .imm = pc & mask_of(t)});
}
Val Builder::wide(u64 low, u64 high, Type t) {
    u64 at = unit_.wide.size();
    unit_.wide.push_back(low);
    unit_.wide.push_back(high);
    return emit({.op = Op::constant, .type = t, .imm = at});
}
u64 Builder::table(const u8* bytes, u32 count) {
    u64 at = unit_.wide.size();
    for (u32 i = 0; i < count; i += 8) {
        u64 word = 0;
        for (u32 k = 0; k < 8 && i + k < count; ++k) word |= u64(bytes[i + k]) << 8 * k;
        unit_.wide.push_back(word);
    }
    return at;
}

Val Builder::binary(Op op, Val a, Val b, u8 sub) {
    Type t = a.type();
    MIMIC_DCHECK(t == b.type(), "operands of different types");
    if (commutes(op) && a.is_const() && !b.is_const()) std::swap(a, b);
    if (b.is_const()) {
        u64 y = b.const_value(), r;
        if (a.is_const() && fold(op, t, a.const_value(), y, r)) return imm(r, t);
        switch (op) {
        case Op::sub:
            if (foldable(t)) return binary(Op::add, a, imm(0 - y, t));
            break;
        case Op::add:
            if (y == 0) return a;
            // (x + c) + y: keeps chains of address arithmetic flat
            if (const Inst i = inst(a); i.op == Op::add && !held(a)) { // a copy: imm below moves the code
                if (Val inner{this, i.b}; inner.is_const())
                    return binary(Op::add, {this, i.a}, imm(inner.const_value() + y, t));
            }
            if (inst(a).op == Op::code_address) return code_address(inst(a).imm + y, t);
            break;
        case Op::or_:
        case Op::xor_:
            if (y == 0) return a;
            if (op == Op::xor_ && y == mask_of(t)) return ~a;
            break;
        case Op::and_:
            if (y == mask_of(t)) return a;
            if (y == 0) return b;
            if (inst(a).op == Op::code_address && (~y & mask_of(t)) < code_page)
                return code_address(inst(a).imm & y, t);
            break;
        case Op::mul:
            if (y == 1) return a;
            if (y == 0) return b;
            if (std::has_single_bit(y)) return shift(Op::shl, a, imm(u64(std::countr_zero(y)), Type::i8));
            break;
        default: break;
        }
    }
    if (op == Op::sub && a.is_const() && a.const_value() == 0) return -b;
    if (op == Op::or_ || op == Op::xor_ || op == Op::add)
        if (Val r = rotation(a, b); r) return r;
    if (a.id() == b.id()) {
        if (op == Op::xor_ || op == Op::sub) return imm(0, t);
        if (op == Op::and_ || op == Op::or_) return a;
    }
    return emit({.op = op, .type = t, .sub = sub, .a = a.id(), .b = b.id()});
}
// What is shifted to both sides by constants that make up its width, put together, is rotated.
Val Builder::rotation(Val a, Val b) {
    const Inst *x = &inst(a), *y = &inst(b);
    if (x->op == Op::lshr) std::swap(x, y);
    if (x->op != Op::shl || y->op != Op::lshr || x->a != y->a || bits_of(x->type) < 32) return {};
    Val left{this, x->b}, right{this, y->b};
    if (!left.is_const() || !right.is_const()) return {};
    if (left.const_value() + right.const_value() != bits_of(x->type)) return {};
    return emit({.op = Op::rotr, .type = x->type, .a = x->a, .b = y->b});
}
Val Builder::unary(Op op, Val a, Type t) { return emit({.op = op, .type = t, .a = a.id()}); }

bool Builder::extends_low_half(Val v, u32 depth) {
    const Inst& i = inst(v);
    switch (i.op) {
    case Op::constant: return i64(i.imm) == i32(i.imm);
    case Op::sext: return bits_of(result_type(unit_.code[i.a])) <= 32;
    case Op::zext: return bits_of(result_type(unit_.code[i.a])) < 32;
    case Op::load: {
        MemArg m = MemArg::from(i.imm);
        return is_int(m.memory) && bits_of(m.memory) <= (m.sign ? 32u : 31u);
    }
    case Op::and_:
    case Op::or_:
    case Op::xor_: return depth && extends_low_half({this, i.a}, depth - 1) && extends_low_half({this, i.b}, depth - 1);
    default: return false;
    }
}

Val Builder::convert(Op op, Val a, Type t) {
    Type from = a.type();
    if (from == t) return a;
    if (a.is_const() && foldable(t)) {
        u64 v = a.const_value();
        return imm(op == Op::sext ? u64(signed_of(v, from)) : v, t);
    }
    const Inst& i = inst(a);
    if (op == Op::sext && t == Type::i64 && from == Type::i32 && i.op == Op::trunc)
        if (Val wide{this, i.a}; wide.type() == Type::i64 && extends_low_half(wide)) return wide;
    if (op == Op::trunc && (i.op == Op::sext || i.op == Op::zext)) {
        Val inner{this, i.a};
        if (inner.type() == t) return inner;
        if (bits_of(inner.type()) > bits_of(t)) return convert(Op::trunc, inner, t);
        return convert(i.op, inner, t);
    }
    if (op == i.op && (op == Op::sext || op == Op::zext || op == Op::trunc)) return convert(op, {this, i.a}, t);
    return emit({.op = op, .type = t, .a = a.id()});
}

// The lower half of a 64-bit value, moved up by 32 and down by k <= 32: extended with zeros, then shifted to its place.
Val Builder::low_half_shifted(Val a, u64 k) {
    const Inst& i = inst(a);
    if (i.op != Op::shl || i.type != Type::i64 || k > 32) return {};
    const Val up{this, i.b}, whole{this, i.a};
    if (!up.is_const() || up.const_value() != 32) return {};
    const Val low = convert(Op::zext, convert(Op::trunc, whole, Type::i32), Type::i64);
    return k == 32 ? low : shift(Op::shl, low, imm(32 - k, Type::i8));
}

Val Builder::shift(Op op, Val a, Val n) {
    Type t = a.type();
    if (n.is_const()) {
        u64 k = n.const_value() & (bits_of(t) - 1), r;
        if (k == 0) return a;
        if (a.is_const() && fold(op, t, a.const_value(), k, r)) return imm(r, t);
        // Bits that a mask takes away and the shift would, too.
        if (const Inst& m = inst(a); op == Op::shl && m.op == Op::and_)
            if (Val mask{this, m.b};
                mask.is_const() && (mask.const_value() << k & mask_of(t)) == (mask_of(t) << k & mask_of(t)))
                a = {this, m.a};
        if (op == Op::lshr)
            if (Val low = low_half_shifted(a, k); low) return low;
        n = imm(k, Type::i8);
    }
    return emit({.op = op, .type = t, .a = a.id(), .b = n.id()});
}

Val Builder::compare(Rel rel, Val a, Val b) {
    if (a.is_const() && b.is_const()) return imm(relation(rel, a.const_value(), b.const_value(), a.type()), Type::i1);
    if (a.is_const()) {
        constexpr Rel swapped[] = {Rel::eq,  Rel::ne,  Rel::ugt, Rel::uge, Rel::ult,
                                   Rel::ule, Rel::sgt, Rel::sge, Rel::slt, Rel::sle};
        std::swap(a, b);
        rel = swapped[u8(rel)];
    }
    return emit({.op = Op::icmp, .type = a.type(), .sub = u8(rel), .a = a.id(), .b = b.id()});
}

// ---- state

Builder::Known& Builder::known(SlotId slot) {
    Known& k = known_[slot];
    if (k.stamp != stamp_) k = {.stamp = stamp_};
    return k;
}

Val Builder::get(SlotId slot, Type t, u32 offset) {
    Known& k = known(slot);
    if (offset == 0 && k.value != none) {
        Val v{this, k.value};
        if (k.type == t) return v;
        if (is_int(k.type) && is_int(t) && bits_of(t) < bits_of(k.type) && bits_of(k.type) <= 64) return v.trunc(t);
    }
    k.put_seen = 0; // read by something that was not forwarded
    Val v = emit({.op = Op::get, .type = t, .imm = SlotArg{slot, u16(offset)}.bits()});
    if (offset == 0 && k.value == none) k.value = v.id(), k.type = t;
    return v;
}

Val Builder::peek(SlotId slot) {
    const Known& k = known(slot);
    bool whole =
        k.value != none && size_of(k.type, unit_.vector_bytes) == size_of(guest_.slots[slot].type, unit_.vector_bytes);
    return whole ? Val{this, k.value} : Val{};
}

void Builder::put(SlotId slot, Val v, u32 offset) {
    Known& k = known(slot);
    Type t = v.type();
    bool whole = offset == 0 && size_of(t, unit_.vector_bytes) == size_of(guest_.slots[slot].type, unit_.vector_bytes);
    if (whole) {
        if (k.put != none && k.put_seen == seen_) unit_.code[k.put] = {};
        if (k.value == v.id() && k.put == none) return; // what was read is written back
    }
    Val p = emit({.op = Op::put, .type = t, .a = v.id(), .imm = SlotArg{slot, u16(offset)}.bits()});
    if (whole) {
        k = {v.id(), t, p.id(), seen_, stamp_};
        recent_puts_[put_count_++ % std::size(recent_puts_)] = slot;
    } else {
        k.value = none, k.put = none;
    }
}

bool Builder::held(Val v) {
    for (SlotId s : recent_puts_) {
        const Known& k = known(s);
        if (k.put != none && k.value == v.id()) return true;
    }
    return false;
}

Val Builder::get_index(SlotId first, Val index, u32 count, Type t, u32 stride) {
    for (u32 n = 0; n < count; ++n) known(SlotId(first + n)).put_seen = 0;
    return emit(
        {.op = Op::get_idx, .type = t, .a = index.id(), .imm = SlotArg{first, 0, u16(count), u16(stride)}.bits()});
}
void Builder::put_index(SlotId first, Val index, u32 count, Val v, u32 stride) {
    for (u32 n = 0; n < count; ++n) known(SlotId(first + n)) = {.stamp = stamp_};
    emit({.op = Op::put_idx,
          .type = v.type(),
          .a = index.id(),
          .b = v.id(),
          .imm = SlotArg{first, 0, u16(count), u16(stride)}.bits()});
}

// ---- memory

void Builder::fold_address(Val& address, MemArg& m) {
    const Inst& i = inst(address);
    if (i.op != Op::add) return;
    Val b{this, i.b};
    if (!b.is_const() || held(address)) return;
    i64 disp = i64(m.disp) + signed_of(b.const_value(), b.type());
    if (disp != i32(disp)) return;
    m.disp = i32(disp);
    address = {this, i.a};
}
Val Builder::bare(Val address) {
    if (!(unit_.key.flavour & flavour::top_byte_ignored) || address.type() != Type::i64) return address;
    if (address.is_const()) return imm(u64(i64(address.const_value() << 8) >> 8));
    return address.sbfx(0, 56);
}
void Builder::place(Val& address, MemArg& m) {
    if (unit_.key.flavour & flavour::top_byte_ignored)
        address = bare(address);
    else
        fold_address(address, m);
}
Val Builder::load(Type t, Val address, MemArg m) {
    place(address, m);
    observe();
    return emit({.op = Op::load, .type = t, .a = address.id(), .imm = m.bits()});
}
void Builder::store(Val address, Val v, MemArg m) {
    place(address, m);
    observe();
    emit({.op = Op::store, .type = v.type(), .a = address.id(), .b = v.id(), .imm = m.bits()});
}
Val Builder::rmw(Rmw op, Val address, Val v, MemArg m) {
    place(address, m);
    observe();
    return emit({.op = Op::rmw, .type = v.type(), .sub = u8(op), .a = address.id(), .b = v.id(), .imm = m.bits()});
}
Val Builder::cas(Val address, Val expected, Val desired, MemArg m) {
    place(address, m);
    observe();
    return emit({.op = Op::cas,
                 .type = desired.type(),
                 .a = address.id(),
                 .b = expected.id(),
                 .c = desired.id(),
                 .imm = m.bits()});
}
void Builder::fence(u32 before, u32 after) { emit({.op = Op::fence, .imm = before | u64(after) << 4}); }
void Builder::probe(Val address, Val length, bool write) {
    observe();
    address = bare(address);
    emit({.op = Op::probe, .sub = write, .a = address.id(), .b = length.id()});
}

// ---- FP, vectors, calls

Val Builder::fp(Op op, Type t, Val a, Val b, Val c, FpArg arg, u8 sub) {
    return this->op(op, t, a, b, c, info(op).effect == 'P' ? 0 : arg.bits(), sub);
}
Val Builder::fcmp(FRel rel, Val a, Val b, bool signaling) {
    return emit({.op = Op::fcmp, .type = a.type(), .sub = u8(rel), .a = a.id(), .b = b.id(), .imm = signaling});
}
Val Builder::op(Op op, Type t, Val a, Val b, Val c, u64 imm, u8 sub, Lane lane) {
    if (op == Op::fcopysign && a.id() == b.id()) return a; // RISC-V's fmv
    return emit({.op = op,
                 .type = t,
                 .sub = sub,
                 .lane = lane,
                 .a = a ? a.id() : none,
                 .b = b ? b.id() : none,
                 .c = c ? c.id() : none,
                 .imm = imm});
}
Val Builder::vbin(VBin kind, Lane lane, Val a, Val b) {
    return op(Op::vbin, a.type(), a, b, {}, kind_imm(Op::vbin, u8(kind)), u8(kind), lane);
}
Val Builder::vun(VUn kind, Lane lane, Val a) {
    return op(Op::vun, a.type(), a, {}, {}, kind_imm(Op::vun, u8(kind)), u8(kind), lane);
}

Val Builder::call(const Intrinsic& f, Type t, std::initializer_list<Val> args) {
    if (f.effects & (Intrinsic::writes_state | Intrinsic::reads_state | Intrinsic::may_exit)) observe();
    MIMIC_DCHECK(args.size() == f.args, "wrong number of arguments for an intrinsic");
    Inst i{.op = Op::call, .type = t};
    u32* operand[] = {&i.a, &i.b, &i.c};
    u32 rest = 0;
    if (args.size() > 3) {
        rest = u32(unit_.extra.size()) + 1;
        unit_.extra.push_back(u32(args.size() - 3));
    }
    u32 n = 0;
    for (Val v : args) {
        if (n < 3)
            *operand[n] = v.id();
        else
            unit_.extra.push_back(v.id());
        ++n;
    }
    i.imm = CallArg{u32(unit_.calls.size()), rest}.bits();
    unit_.calls.push_back(&f);
    Val v = emit(i);
    if (f.effects & Intrinsic::writes_state) forget();
    return v;
}
Val Builder::result(Val call, u32 n, Type t) {
    return emit({.op = Op::result, .type = t, .sub = u8(n), .a = call.id()});
}

// ---- control

BlockId Builder::new_block() {
    unit_.blocks.emplace_back();
    unit_.blocks.back().pc = pc_;
    return BlockId(unit_.blocks.size() - 1);
}
void Builder::start_block(BlockId b) {
    MIMIC_DCHECK(ended_, "block started inside another");
    unit_.blocks[b].begin = unit_.blocks[b].end = u32(unit_.code.size());
    current_ = b;
    ended_ = false;
    forget();
}
void Builder::end(const Inst& i) {
    MIMIC_DCHECK(!ended_, "instruction after the end of a block");
    emit(i);
    unit_.blocks[current_].end = u32(unit_.code.size());
    ended_ = true;
}
void Builder::br(BlockId to) { end({.op = Op::br, .b = to}); }
void Builder::brcond(Val c, BlockId yes, BlockId no) {
    if (c.is_const()) return br(c.const_value() ? yes : no);
    if (const Inst& i = inst(c); i.op == Op::not_) return brcond({this, i.a}, no, yes);
    end({.op = Op::brcond, .a = c.id(), .b = yes, .c = no});
}
BlockId Builder::target(u64 pc, bool& is_new) {
    BlockId b = targets_ ? targets_->block_at(pc, mode_) : none;
    is_new = b == none;
    return is_new ? new_block() : b;
}
void Builder::fill_exit(BlockId b, u64 pc, ExitHint hint) {
    unit_.blocks[b].pc = pc;
    start_block(b);
    end({.op = Op::exit, .sub = u8(hint), .c = mode_, .imm = pc});
}
void Builder::goto_pc(u64 pc, ExitHint hint) {
    BlockId b = hint == ExitHint::jump && targets_ ? targets_->block_at(pc, mode_) : none;
    if (b != none) return br(b);
    end({.op = Op::exit, .sub = u8(hint), .c = mode_, .imm = pc});
}
void Builder::branch_to(Val c, u64 pc, u64 otherwise) {
    if (c.is_const()) return goto_pc(c.const_value() ? pc : otherwise);
    bool new_no, new_yes;
    BlockId no = target(otherwise, new_no), yes = target(pc, new_yes);
    brcond(c, yes, no);
    if (new_yes) fill_exit(yes, pc, ExitHint::jump);
    if (new_no) fill_exit(no, otherwise, ExitHint::jump);
}
void Builder::exit_to(u64 pc, u32 mode) { end({.op = Op::exit, .c = mode, .imm = pc}); }
void Builder::goto_value(Val pc, ExitHint hint) {
    const bool known = pc.is_const() ? !(unit_.key.flavour & flavour::paged) : inst(pc).op == Op::code_address;
    if (known && !entry_mode_) return goto_pc(inst(pc).imm, hint);
    end({.op = Op::exit_ind, .sub = u8(hint), .a = pc.id(), .c = mode_ | entry_mode_});
}
void Builder::call_pc(u64 pc, u64 return_pc) {
    if (targets_) targets_->returns_to(return_pc, mode_);
    goto_pc(pc, ExitHint::call);
}
void Builder::call_value(Val pc, u64 return_pc) {
    if (targets_) targets_->returns_to(return_pc, mode_);
    goto_value(pc, ExitHint::call);
}
void Builder::trap(TrapKind kind, u64 pc, Val detail) {
    end({.op = Op::trap, .sub = u8(kind), .b = detail ? detail.id() : none, .imm = pc});
}
void Builder::begin_insn(u64 pc, u32 length) {
    pc_ = pc;
    length_ = length;
    entry_mode_ = 0;
    ++unit_.guest_insns;
    // The block that an instruction ended with belongs to the next one when nothing of its own stands in it: an edge to
    // it goes on, not back.
    if (current_ != none && unit_.blocks[current_].begin == unit_.code.size()) unit_.blocks[current_].pc = pc;
    emit({.op = Op::insn, .sub = u8(length), .c = mode_, .imm = pc});
}

} // namespace mimic::ir
