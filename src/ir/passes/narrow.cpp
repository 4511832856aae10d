#include "ir/operands.hpp"
#include "ir/passes/passes.hpp"

namespace mimic::ir {

namespace {

// PassScratch::used of this pass: how often (0, 1, more), and whether a user looks at the upper half.
constexpr u8 once = 1, more = 2, upper = 4;

class Narrow {
public:
    Narrow(Unit& unit, const GuestState& guest, PassScratch& s) : unit_(unit), guest_(guest), s_(s) {}

    // Extensions whose upper half nobody looks at become the cheap kind. Users come after what they use: one way back.
    void demand() {
        s_.used.assign(unit_.code.size(), 0);
        for (u32 n = u32(unit_.code.size()); n-- > 0;) {
            Inst& i = unit_.code[n];
            if (i.op == Op::nop || i.op == Op::insn || i.op == Op::constant) continue;
            if (!s_.used[n] && is_pure(unit_, i, guest_.fp_flags)) continue;
            const u8 mine = s_.used[n] & upper;
            if (i.op == Op::sext && i.type == Type::i64 && !mine && type(i.a) == Type::i32) i.op = Op::zext;
            operands(i, mine);
        }
    }

    // Extended values that only meet in a bitwise operation are extended behind it; two shifts that are a rotation become
    // one.
    void join() {
        for (u32 n = 0; n < unit_.code.size(); ++n) {
            const Inst& i = unit_.code[n];
            const bool bitwise = i.op == Op::and_ || i.op == Op::or_ || i.op == Op::xor_;
            if (!count(n)) continue; // nobody's: demand() did not count what it uses
            if (i.type != Type::i64 || !(bitwise || i.op == Op::add) || i.a == i.b) continue;
            if (!extended(i.a) || !extended(i.b)) continue;
            // The new operation stands in the place of an extension that has no other use.
            const u32 last = std::max(i.a, i.b), first = std::min(i.a, i.b);
            const bool last_goes = count(last) == once, first_goes = count(first) == once;
            Inst made{.op = i.op, .type = Type::i32, .a = unit_.code[i.a].a, .b = unit_.code[i.b].a};
            Op extension = Op::sext;
            u32 place = last;
            if (const ValueId left = rotation(i, s_.used[n] & upper, made, extension); left != none) {
                // A variable one wants a register of its own on some hosts: not beside a shift that stays.
                const bool constant = unit_.code[made.b].op == Op::constant;
                if (constant ? !last_goes && !(first_goes && by_then(made, left, first)) : !last_goes || !first_goes)
                    continue;
                if (!last_goes) place = first;
            } else if (!bitwise || unit_.code[i.a].op != Op::sext || unit_.code[i.b].op != Op::sext || !first_goes ||
                       !last_goes) {
                continue;
            }
            unit_.code[place] = made;
            unit_.code[n] = {.op = s_.used[n] & upper ? extension : Op::zext, .type = Type::i64, .a = place};
            if (place == last && first_goes) unit_.code[first] = {}, ++s_.dropped;
        }
    }

private:
    Type type(ValueId v) const { return result_type(unit_.code[v]); }
    u8 count(ValueId v) const { return s_.used[v] & (once | more); }
    void use(ValueId v, u8 half) {
        u8& u = s_.used[v];
        u = u8((u & once || u & more ? more : once) | (u & upper) | half);
    }
    bool extended(ValueId v) const {
        const Inst& i = unit_.code[v];
        return (i.op == Op::sext || i.op == Op::zext) && type(i.a) == Type::i32;
    }

    void operands(const Inst& i, u8 mine) {
        u8 a = upper, b = upper;
        switch (i.op) {
        case Op::trunc: a = size_of(i.type) <= 4 ? 0 : upper; break;
        case Op::and_:
            a = b = mine;
            if (const Inst& k = unit_.code[i.b]; k.op == Op::constant && k.type == Type::i64 && k.imm >> 32 == 0) a = 0;
            break;
        case Op::or_:
        case Op::xor_:
        case Op::add:
        case Op::sub:
        case Op::mul: a = b = mine; break;
        case Op::shl:
        case Op::not_:
        case Op::neg: a = mine; break;
        case Op::select:
            use(i.a, upper);
            use(i.b, mine);
            use(i.c, mine);
            return;
        case Op::store: b = size_of(MemArg::from(i.imm).memory) <= 4 ? 0 : upper; break;
        default: for_each_operand(unit_, i, [&](ValueId v) { use(v, upper); }); return;
        }
        if (i.type != Type::i64 && i.op != Op::store && i.op != Op::trunc) a = b = upper;
        if (i.a != none) use(i.a, a);
        if (i.b != none && info(i.op).operands > 1) use(i.b, b);
    }

    // The value behind changes of width.
    ValueId origin(ValueId v) const {
        while (unit_.code[v].op == Op::trunc || unit_.code[v].op == Op::sext || unit_.code[v].op == Op::zext)
            v = unit_.code[v].a;
        return v;
    }
    // What a 32-bit value is the lower half of, or itself: rows take the same half again and again.
    ValueId low_half(ValueId v) const { return unit_.code[v].op == Op::trunc ? unit_.code[v].a : v; }
    bool negates(ValueId a, ValueId b) const {
        const Inst& i = unit_.code[origin(a)];
        return i.op == Op::neg && origin(i.a) == origin(b);
    }
    // `both` puts together two extended 32-bit values: is that the rotation of one, extended (if `all` of it
    // matters)? Gives the shift to the left.
    ValueId rotation(const Inst& both, bool all, Inst& made, Op& extension) const {
        if (both.op == Op::and_) return none;
        ValueId left = both.a, right = both.b;
        if (unit_.code[unit_.code[left].a].op == Op::lshr) std::swap(left, right);
        const Inst &l = unit_.code[left], &r = unit_.code[right], &x = unit_.code[l.a], &y = unit_.code[r.a];
        if (x.op != Op::shl || y.op != Op::lshr || low_half(x.a) != low_half(y.a)) return none;
        const Inst &by = unit_.code[x.b], &back = unit_.code[y.b];
        if (by.op == Op::constant && back.op == Op::constant) { // bit 31 comes from the left
            if (by.imm + back.imm != 32) return none;
        } else { // by 0 both sides are the value itself
            if (both.op != Op::or_ || (all && l.op != r.op) || !(negates(x.b, y.b) || negates(y.b, x.b))) return none;
        }
        extension = l.op;
        made = {.op = Op::rotr, .type = Type::i32, .a = std::min(x.a, y.a), .b = y.b};
        return l.a;
    }
    // Is the amount known at `place`? A constant that the left shift alone uses can become it.
    bool by_then(Inst& made, ValueId left, u32 place) {
        if (made.b < place) return true;
        Inst& by = unit_.code[unit_.code[left].b];
        if (by.op != Op::constant || count(left) != once || count(unit_.code[left].b) != once) return false;
        by.imm = unit_.code[made.b].imm;
        made.b = unit_.code[left].b;
        unit_.code[left] = {};
        ++s_.dropped;
        return true;
    }

    Unit& unit_;
    const GuestState& guest_;
    PassScratch& s_;
};

} // namespace

void narrow(Unit& unit, const GuestState& guest, PassScratch& scratch) {
    Narrow pass(unit, guest, scratch);
    pass.demand();
    pass.join();
}

} // namespace mimic::ir
