// The dice of random units, and their values: what lives, what a slot holds, constants. Internal to the room.
#pragma once
#include "ir/operands.hpp"
#include "ir/random.hpp"
#include "ir/verify_types.hpp"
#include <algorithm>

namespace mimic::ir {

// splitmix64
class Dice {
public:
    explicit Dice(u64 seed) : state_(seed) {}
    u64 next() {
        u64 z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }
    u32 below(u32 n) { return u32((next() >> 32) * n >> 32); }
    bool one_in(u32 n) { return below(n) == 0; }
    // Small, near a power of two, few bits, or anything.
    u64 word() {
        switch (below(6)) {
        case 0: return below(4);
        case 1: return 0 - u64(below(4));
        case 2: return (u64{1} << below(64)) + below(3) - 1;
        case 3: return next() >> below(64);
        case 4: return fp_word();
        default: return next();
        }
    }

private:
    // Patterns that are special in some FP format: zeros, infinities, NaNs, denormals, small numbers.
    u64 fp_word() {
        constexpr u64 doubles[] = {0x0000000000000000, 0x8000000000000000, 0x7ff0000000000000, 0xfff0000000000000,
                                   0x7ff8000000000000, 0x7ff0000000000001, 0xfff8000000000123, 0x0000000000000001,
                                   0x000fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff, 0x3ff0000000000000,
                                   0xbff0000000000000, 0x4000000000000000, 0x3fe0000000000000, 0x43e0000000000000};
        constexpr u32 singles[] = {0x00000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0x7f800001,
                                   0xffc12345, 0x00000001, 0x007fffff, 0x00800000, 0x7f7fffff, 0x3f800000};
        constexpr u16 halves[] = {0x0000, 0x8000, 0x7c00, 0xfc00, 0x7e00, 0x7c01, 0x0001, 0x03ff, 0x0400, 0x3c00};
        switch (below(4)) {
        case 0: return u64(singles[below(12)]) << 32 | singles[below(12)];
        case 1: return u64(halves[below(10)]) * 0x0001000100010001;
        default: return doubles[below(16)];
        }
    }
    u64 state_;
};

class RandomValues {
protected:
    static constexpr Type ints[] = {Type::i1, Type::i8, Type::i16, Type::i32, Type::i64, Type::i32, Type::i64};

    RandomValues(const GuestState& guest, const RandomOptions& options)
        : guest_(guest)
        , options_(options)
        , dice_(options.seed * 0x2545f4914f6cdd1d + 1)
        , sum_(SlotId(guest.slots.size())) {
        for (const Slot& s : guest.slots) {
            u32 sharing = 0;
            for (const Slot& o : guest.slots)
                sharing += s.offset < o.offset + std::max(size_of(o.type, 256), 1u) &&
                           o.offset < s.offset + size_of(s.type, 256);
            usable_.push_back(sharing == 1);
            if (sharing == 1 && s.type == Type::i64 && s.cls != SlotClass::temp && &s != &guest.slots[options.counter])
                sum_ = SlotId(&s - guest.slots.data());
        }
    }

    u32 bytes(Type t) const { return size_of(t, unit_.vector_bytes); }

    void insn() {
        pc_ += 4;
        ++unit_.guest_insns;
        unit_.code.push_back({.op = Op::insn, .sub = 4, .c = 0, .imm = pc_});
        dirty_ = false;
    }
    bool ok(const Inst& i) const { return !options_.allowed || options_.allowed(i); }
    ValueId push(const Inst& i) {
        unit_.code.push_back(i);
        ValueId v = u32(unit_.code.size() - 1);
        if (Type t = result_type(i); t != Type::none) pool_[u8(t)].push_back(v);
        return v;
    }
    // Emits i if it is allowed and well typed: the kinds' rules live in one place, check_types.
    ValueId try_push(const Inst& i) {
        if (!ok(i) || !check_types(unit_, i)) return none;
        if (may_fault(i) && dirty_) insn();
        return push(i);
    }
    ValueId number(u64 v, Type t) {
        u32 bits = is_int(t) ? bits_of(t) : bytes(t) * 8;
        return push({.op = Op::constant, .type = t, .imm = bits >= 64 ? v : v & ((u64{1} << bits) - 1)});
    }
    ValueId constant(Type t) {
        if (t == Type::flags) return number(dice_.next() & flag::all, t);
        if ((t == Type::i64 || t == Type::i32) && dice_.one_in(8))
            return push({.op = Op::code_address, .type = t, .imm = t == Type::i32 ? u32(dice_.word()) : dice_.word()});
        if (bytes(t) <= 8) return number(dice_.word(), t);
        u64 at = unit_.wide.size();
        u64 repeated = dice_.word();
        bool repeat = dice_.one_in(2);
        for (u32 n = 0; n < (bytes(t) + 7) / 8; ++n) unit_.wide.push_back(repeat ? repeated : dice_.word());
        if (t == Type::f80) unit_.wide.back() &= 0xffff;
        return push({.op = Op::constant, .type = t, .imm = at});
    }
    // A value of type t: one that lives already (recent, old or any), a slot's, a constant.
    ValueId value(Type t) {
        auto& p = pool_[u8(t)];
        u32 kind = dice_.below(16);
        if (!p.empty() && kind < 11) {
            u32 n = u32(p.size());
            if (kind < 5) return p[n - 1 - dice_.below(std::min(n, 4u))];
            if (kind < 8) return p[dice_.below(std::min(n, 4u))];
            return p[dice_.below(n)];
        }
        if (kind < 14)
            if (ValueId v = get(t); v != none) return v;
        return constant(t);
    }
    ValueId second(ValueId first, Type t) { return dice_.one_in(8) ? first : value(t); }
    ValueId maybe(Type t) { return dice_.one_in(2) ? none : value(t); }

    Type some_int() { return weight(Group::wide) && dice_.one_in(12) ? Type::i128 : ints[dice_.below(7)]; }
    Type some_fp() {
        constexpr Type rare[] = {Type::f16, Type::f80, Type::f128};
        return weight(Group::rare_fp) && dice_.one_in(4) ? rare[dice_.below(3)]
               : dice_.one_in(2)                         ? Type::f32
                                                         : Type::f64;
    }
    Type some_vector() {
        constexpr Type big[] = {Type::v256, Type::v512, Type::vs};
        bool wide = weight(Group::wide_vector) && dice_.one_in(3);
        return wide ? big[dice_.below(options_.vector_bytes ? 3 : 2)] : dice_.one_in(3) ? Type::v64 : Type::v128;
    }
    Type some_type() {
        for (;;) {
            u32 kind = dice_.below(8);
            if (kind == 4 && weight(Group::fp)) return some_fp();
            if (kind == 5 && weight(Group::vector)) return some_vector();
            if (kind == 6 && weight(Group::flags)) return Type::flags;
            if (kind == 7 && weight(Group::mask)) return Type::mask;
            if (kind < 4) return some_int();
        }
    }
    bool wanted(Type t) const {
        if (t == Type::flags) return weight(Group::flags);
        if (t == Type::mask) return weight(Group::mask);
        if (t == Type::i128) return weight(Group::wide);
        if (t == Type::f32 || t == Type::f64) return weight(Group::fp);
        if (is_fp(t)) return weight(Group::rare_fp);
        if (t == Type::v64 || t == Type::v128) return weight(Group::vector);
        return !is_vector(t) || weight(Group::wide_vector);
    }
    Lane int_lane() { return Lane(dice_.below(4)); }
    Lane fp_lane() { return Lane(u8(Lane::f16) + dice_.below(3)); }
    u32 weight(Group g) const { return options_.weights[u8(g)]; }

    // A slot that holds a t at `offset`, or none. A temporary is read only where it has been written.
    bool slot_for(Type t, SlotArg& s, bool read) {
        for (u32 tries = 0; tries < 12; ++tries) {
            s.slot = SlotId(dice_.below(u32(guest_.slots.size())));
            const Slot& slot = guest_.slots[s.slot];
            u32 size = bytes(slot.type), need = bytes(t);
            if (!usable_[s.slot] || (slot.type == Type::flags) != (t == Type::flags) || need > size) continue;
            if (read && slot.cls == SlotClass::temp && !written_[s.slot]) continue;
            s.offset = u16(need == size || dice_.one_in(2) ? 0 : dice_.below((size - need) / need + 1) * need);
            return true;
        }
        return false;
    }
    ValueId get(Type t) {
        SlotArg s;
        if (!slot_for(t, s, true)) return none;
        Inst i{.op = Op::get, .type = t, .imm = s.bits()};
        return ok(i) || t == Type::i64 ? push(i) : none;
    }
    void put_value(ValueId v) {
        Type t = result_type(unit_.code[v]);
        SlotArg s;
        if (!slot_for(t, s, false) || s.slot == options_.counter || s.slot == sum_) return;
        Inst i{.op = Op::put, .type = t, .a = v, .imm = s.bits()};
        if (!ok(i) && t != Type::i64) return;
        unit_.code.push_back(i);
        dirty_ = true;
        if (bytes(t) == bytes(guest_.slots[s.slot].type)) written_[s.slot] = true;
    }
    bool carries(const Slot& s) const {
        return s.cls == SlotClass::temp && s.type == Type::i64 && usable_[&s - guest_.slots.data()];
    }
    // Temporaries that every block writes at its end, so that blocks inside an instruction may read them.
    void put_temporaries() {
        for (u32 n = 0; n < guest_.slots.size(); ++n)
            if (carries(guest_.slots[n]))
                unit_.code.push_back(
                    {.op = Op::put, .type = Type::i64, .a = value(Type::i64), .imm = SlotArg{SlotId(n)}.bits()});
    }
    void start_temporaries(bool inner) {
        written_.assign(guest_.slots.size(), false);
        for (u32 n = 0; n < guest_.slots.size(); ++n) written_[n] = inner && carries(guest_.slots[n]);
    }
    const GuestState& guest_;
    const RandomOptions& options_;
    Dice dice_;
    Unit unit_;
    std::array<std::vector<ValueId>, u32(Type::flags) + 1> pool_;
    std::vector<bool> written_; // temporaries of this block
    std::vector<bool> usable_;  // slots that share no byte with another
    SlotId sum_;                // an i64 slot that collects values
    u64 pc_ = 0x10000 - 4;
    bool dirty_ = false; // has the instruction written a slot?
};

} // namespace mimic::ir
