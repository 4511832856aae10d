#include "ir/random.hpp"
#include "ir/random_values.hpp"
#include <algorithm>
#include <bit>
#include <cstring>

namespace mimic::ir {

namespace {

class Generator : RandomValues {
public:
    Generator(const GuestState& guest, const RandomOptions& options) : RandomValues(guest, options) {
        for (u8 weight : options.weights) total_ += weight;
    }

    Unit run() {
        unit_.pc = unit_.guest_low = 0x10000;
        unit_.vector_bytes = options_.vector_bytes;
        u32 count = std::max(1u, options_.blocks);
        unit_.blocks.resize(count + 1); // the last one only exits
        for (u32 n = 1; n < count; ++n)
            if (dice_.one_in(4)) make_inner(unit_.blocks[n]);
        for (u32 n = 0; n < count; ++n) block(n, dice_.one_in(3));
        begin(count, false);
        end_with({.op = Op::exit, .c = 0, .imm = pc_ + 4});
        unit_.blocks[0].entry = true;
        unit_.guest_high = pc_ + 4;
        return std::move(unit_);
    }

private:
    // ---- blocks

    void make_inner(Block& b) {
        u32 args = dice_.below(4);
        for (u32 n = 0; n < args; ++n) b.args.push_back(dice_.one_in(2) ? Type::i64 : some_type());
        inner_.push_back(&b);
    }
    bool is_inner(const Block& b) const { return std::find(inner_.begin(), inner_.end(), &b) != inner_.end(); }

    void begin(u32 n, bool) {
        Block& b = unit_.blocks[n];
        b.begin = u32(unit_.code.size());
        for (auto& p : pool_) p.clear();
        start_temporaries(is_inner(b));
        if (is_inner(b)) {
            b.pc = pc_;
            dirty_ = true;
            for (u32 k = 0; k < b.args.size(); ++k) push({.op = Op::arg, .type = b.args[k], .imm = k});
        } else {
            insn();
            b.pc = pc_;
        }
        current_ = n;
    }
    void end_with(const Inst& i) {
        unit_.code.push_back(i);
        unit_.blocks[current_].end = u32(unit_.code.size());
    }

    void block(u32 n, bool pressure) {
        begin(n, pressure);
        std::vector<ValueId> kept;
        if (pressure) // more than any host has registers, wanted again at the end
            for (u32 k = 12 + dice_.below(24); k > 0; --k)
                kept.push_back(value(dice_.one_in(3) ? some_type() : Type::i64));
        for (u32 k = options_.operations / 2 + dice_.below(options_.operations); k > 0; --k) operation();
        std::reverse(kept.begin(), kept.end());
        for (ValueId v : kept) use(v);
        for (u32 k = dice_.below(12); k > 0; --k) put();
        use_the_unused(unit_.blocks[n].begin);
        put_temporaries();
        control(n);
    }
    // Makes a value matter: into a slot, or combined with others into one.
    void use(ValueId v) {
        Type t = result_type(unit_.code[v]);
        if (is_int(t) && t != Type::i128 && dice_.one_in(2)) {
            ValueId w = value(t);
            v = push({.op = Op::add, .type = t, .a = v, .b = w});
        }
        put_value(v);
    }
    // Most values that nobody used so far end in the sum, so that a wrong one shows.
    void use_the_unused(u32 begin) {
        if (sum_ == guest_.slots.size()) return;
        const u32 end = u32(unit_.code.size());
        std::vector<bool> used(end);
        for (u32 n = begin; n < end; ++n) for_each_operand(unit_, unit_.code[n], [&](ValueId v) { used[v] = true; });
        const u64 slot = SlotArg{sum_}.bits();
        ValueId sum = push({.op = Op::get, .type = Type::i64, .imm = slot});
        for (u32 n = begin; n < end; ++n) {
            if (used[n] || result_type(unit_.code[n]) == Type::none || dice_.one_in(8)) continue;
            if (ValueId v = as_i64(n); v != none) {
                ValueId twice = push({.op = Op::add, .type = Type::i64, .a = sum, .b = sum});
                sum = push({.op = Op::sub, .type = Type::i64, .a = twice, .b = v});
            } else {
                put_value(n);
            }
        }
        unit_.code.push_back({.op = Op::put, .type = Type::i64, .a = sum, .imm = slot});
        dirty_ = true;
    }
    // The bits of v, or some of them; none when the operations for it are not allowed.
    ValueId as_i64(ValueId v) {
        auto step = [&](Inst i) { return ok(i) ? push(i) : none; };
        Type t = result_type(unit_.code[v]);
        if (t == Type::flags) v = step({.op = Op::flags_bits, .type = Type::i32, .a = v}), t = Type::i32;
        if (t == Type::mask) v = step({.op = Op::mask_count, .type = Type::i64, .a = v}), t = Type::i64;
        if (t == Type::i128)
            v = step({.op = Op::half, .type = Type::i64, .sub = u8(dice_.below(2)), .a = v}), t = Type::i64;
        if (is_vector(t)) {
            Inst i{.op = Op::vget, .type = Type::i64, .lane = bytes(t) % 8 ? Lane::i8 : Lane::i64, .a = v};
            i.imm = dice_.below(bytes(t) / lane_bytes(i.lane));
            v = step(i), t = Type::i64;
        }
        if (is_fp(t)) {
            Type as = t == Type::f16 ? Type::i16 : t == Type::f32 ? Type::i32 : t == Type::f64 ? Type::i64 : Type::i128;
            v = step({.op = Op::bitcast, .type = as, .a = v});
            return v == none ? none : as_i64(v);
        }
        return v == none || t == Type::i64 ? v : step({.op = Op::zext, .type = Type::i64, .a = v});
    }

    void control(u32 n) {
        u32 last = u32(unit_.blocks.size()) - 1;
        auto forward = [&] { return n + 1 + dice_.below(last - n); };
        u32 to = forward();
        switch (dice_.below(8)) {
        case 0:
            if (dice_.one_in(2)) return exit();
            [[fallthrough]];
        case 1:
        case 2: return loop(n, plain_after(n));
        case 3:
        case 4: {
            Inst i{.op = Op::br, .b = to};
            const Block& target = unit_.blocks[to];
            if (!target.args.empty()) {
                std::vector<ValueId> list;
                for (Type t : target.args) list.push_back(value(t));
                i.imm = unit_.extra.size() + 1;
                unit_.extra.push_back(u32(list.size()));
                unit_.extra.insert(unit_.extra.end(), list.begin(), list.end());
            }
            return end_with(i);
        }
        default: {
            ValueId c = dice_.one_in(2) ? compare() : value(Type::i1);
            return end_with({.op = Op::brcond, .a = c, .b = plain_after(n), .c = plain_after(n)});
        }
        }
    }
    // A later block without arguments.
    BlockId plain_after(u32 n) {
        u32 last = u32(unit_.blocks.size()) - 1;
        u32 to = n + 1 + dice_.below(last - n);
        while (to < last && !unit_.blocks[to].args.empty()) ++to;
        return to;
    }
    // Back to a block that begins with insn, while the counter lasts.
    void loop(u32 n, BlockId otherwise) {
        BlockId back = dice_.below(n + 1);
        while (back > 0 && is_inner(unit_.blocks[back])) --back;
        u64 slot = SlotArg{options_.counter}.bits();
        ValueId count = push({.op = Op::get, .type = Type::i64, .imm = slot});
        ValueId less = push({.op = Op::sub, .type = Type::i64, .a = count, .b = number(1, Type::i64)});
        unit_.code.push_back({.op = Op::put, .type = Type::i64, .a = less, .imm = slot});
        ValueId more =
            push({.op = Op::icmp, .type = Type::i64, .sub = u8(Rel::sgt), .a = less, .b = number(0, Type::i64)});
        end_with({.op = Op::brcond, .a = more, .b = back, .c = otherwise});
    }
    void exit() {
        Inst ind{.op = Op::exit_ind, .sub = u8(dice_.below(3)), .a = value(Type::i64), .c = 0};
        Inst trap{
            .op = Op::trap, .sub = u8(dice_.below(12)), .b = dice_.one_in(2) ? none : value(Type::i64), .imm = pc_};
        switch (dice_.below(3)) {
        case 0: return end_with(ok(ind) ? ind : Inst{.op = Op::exit, .c = 0, .imm = pc_});
        case 1: return end_with(ok(trap) ? trap : Inst{.op = Op::exit, .c = 0, .imm = pc_});
        default: return end_with({.op = Op::exit, .sub = u8(dice_.below(3)), .c = 0, .imm = dice_.word()});
        }
    }

    // ---- operations

    void operation() {
        if (dice_.one_in(6)) insn();
        u32 pick = dice_.below(std::max(total_, 1u)), n = 0;
        while (n + 1 < group_count && pick >= options_.weights[n]) pick -= options_.weights[n++];
        switch (Group(n)) {
        case Group::integer: integer(ints[dice_.below(7)]); break;
        case Group::wide: integer(Type::i128); break;
        case Group::flags: flags(); break;
        case Group::state: state(); break;
        case Group::memory: memory(); break;
        case Group::atomic: atomic(); break;
        case Group::lanes: lanes(); break;
        case Group::fp: fp(dice_.one_in(2) ? Type::f32 : Type::f64); break;
        case Group::rare_fp: fp(some_fp()); break;
        case Group::vector: vector(dice_.one_in(3) ? Type::v64 : Type::v128); break;
        case Group::wide_vector: vector(some_vector()); break;
        case Group::mask: mask(); break;
        case Group::call: call(); break;
        }
    }

    ValueId compare() {
        Type t = ints[1 + dice_.below(6)];
        ValueId a = value(t);
        return push({.op = Op::icmp, .type = t, .sub = u8(dice_.below(10)), .a = a, .b = second(a, t)});
    }

    void integer(Type t) {
        Op op = Op(u8(Op::add) + dice_.below(u32(Op::bitcast) - u32(Op::add) + 1));
        Inst i{.op = op, .type = t};
        u32 width = bits_of(t), pos = dice_.below(width), len = 1 + dice_.below(width - pos);
        switch (op) {
        case Op::sext:
        case Op::zext:
        case Op::trunc:
        case Op::half:
        case Op::bitcast:
            i.a = value(op == Op::bitcast ? some_type() : some_int());
            if (op == Op::bitcast) i.type = some_type();
            break;
        case Op::pair: i.a = value(some_int()), i.b = second(i.a, result_type(unit_.code[i.a])); break;
        case Op::shl:
        case Op::lshr:
        case Op::ashr:
        case Op::rotr:
            i.a = value(t);
            i.b = dice_.one_in(2) ? number(dice_.below(140), Type::i8) : value(some_int());
            break;
        case Op::ubfx:
        case Op::sbfx:
        case Op::bfi: i.a = value(t), i.imm = bit_range(pos, len); break;
        case Op::select: i.a = value(Type::i1), i.type = some_type(), i.b = value(i.type), i.c = value(i.type); break;
        default: i.a = value(t);
        }
        if (i.b == none && info(op).operands >= 2) i.b = second(i.a, t);
        if (auto names = sub_names(op); !names.empty()) i.sub = u8(dice_.below(u32(names.size())));
        try_push(i);
    }

    void flags() {
        Op op = Op(u8(Op::flags_add) + dice_.below(u32(Op::cond) - u32(Op::flags_add) + 1));
        Type t = ints[1 + dice_.below(6)];
        Inst i{.op = op, .type = t, .imm = dice_.below(2)};
        switch (op) {
        case Op::flags_add:
        case Op::flags_sub: i.a = value(t), i.b = second(i.a, t), i.c = maybe(Type::i1); break;
        case Op::flags_logic: i.a = value(t); break;
        case Op::flags_fcmp:
            if (!weight(Group::fp)) return;
            i.type = some_fp(), i.sub = u8(dice_.below(2)), i.a = value(i.type), i.b = second(i.a, i.type);
            break;
        case Op::flags_from: i.type = Type::flags, i.a = value(Type::i32), i.imm = 0; break;
        case Op::flags_bits: i.type = Type::i32, i.a = value(Type::flags), i.imm = 0; break;
        case Op::flags_merge:
            i.type = Type::flags, i.a = value(Type::flags), i.b = value(Type::flags), i.imm = dice_.next() & flag::all;
            break;
        default: i.type = Type::i1, i.sub = u8(dice_.below(16)), i.a = value(Type::flags);
        }
        try_push(i);
    }

    // ---- state

    void put() { put_value(value(dice_.one_in(2) ? Type::i64 : some_type())); }
    void state() {
        if (dice_.one_in(8)) return indexed();
        if (dice_.one_in(2))
            get(dice_.one_in(2) ? Type::i64 : some_type());
        else
            put();
    }
    // Two to eight slots of one type at one distance, the counter not among them.
    void indexed() {
        u32 first = dice_.below(u32(guest_.slots.size())), count = 2u << dice_.below(3);
        if (first + count > guest_.slots.size()) return;
        const Slot& slot = guest_.slots[first];
        u32 stride = guest_.slots[first + 1].offset - slot.offset;
        for (u32 n = 0; n < count; ++n) {
            const Slot& s = guest_.slots[first + n];
            if (s.cls == SlotClass::temp || !usable_[first + n] || s.type != slot.type ||
                s.offset != slot.offset + n * stride || first + n == options_.counter || first + n == sum_)
                return;
        }
        SlotArg s{SlotId(first), 0, u16(count), u16(stride)};
        Type t = slot.type == Type::i64 && dice_.one_in(3) ? Type::i32 : slot.type;
        if (!wanted(t)) return;
        Inst i{.op = Op::get_idx, .type = t, .a = value(Type::i64), .imm = s.bits()};
        if (dice_.one_in(2)) i.op = Op::put_idx, i.b = value(t);
        if (try_push(i) != none) dirty_ |= i.op == Op::put_idx;
    }

    // ---- memory

    // An address whose next 0x400 bytes are in the window, unless it shall fault; aligned to 16.
    ValueId address(MemArg& m) {
        bool stray = options_.fault_odds && dice_.one_in(options_.fault_odds);
        ValueId a = value(Type::i64);
        if (stray) {
            u64 end = options_.memory_base + options_.memory_bytes;
            if (dice_.one_in(2)) a = number(end - dice_.below(32), Type::i64);
            return a;
        }
        u64 mask = (options_.memory_bytes / 2 - 1) & ~u64{15};
        a = push({.op = Op::and_, .type = Type::i64, .a = a, .b = number(mask, Type::i64)});
        u64 base = options_.memory_base + 0x100;
        a = push({.op = Op::add, .type = Type::i64, .a = a, .b = number(base, Type::i64)});
        m.disp = i32(dice_.below(0x200)) - 0x100;
        bool narrow = base + options_.memory_bytes < u64{1} << 32 && dice_.one_in(6);
        if (Inst i{.op = Op::trunc, .type = Type::i32, .a = a}; narrow && ok(i)) a = push(i);
        return a;
    }
    MemArg arg(Type memory) {
        MemArg m{.memory = memory, .sign = dice_.one_in(3), .big = dice_.one_in(4)};
        if (options_.fault_odds && dice_.one_in(options_.fault_odds)) m.align = Align(1 + dice_.below(2));
        if (dice_.one_in(6)) m.order = Order(dice_.below(5));
        return m;
    }
    void memory() {
        if (dice_.one_in(12)) {
            Inst i{.op = Op::fence, .imm = dice_.below(4) | dice_.below(4) << 4};
            try_push(i);
            return;
        }
        Type t = dice_.one_in(3) ? some_type() : some_int();
        Type from = dice_.one_in(2) ? t : some_type();
        MemArg m = arg(from);
        if (!is_int(t)) m.sign = false;
        Inst i{.op = dice_.one_in(3) ? Op::store : Op::load, .type = t, .a = address(m)};
        if (i.op == Op::store) i.b = value(t);
        if (dice_.one_in(16)) {
            MemArg plain;
            ValueId length = number(dice_.below(64), Type::i64);
            i = {.op = Op::probe, .sub = u8(dice_.below(2)), .a = address(plain), .b = length};
            m = {.disp = 0, .memory = Type::none};
        }
        i.imm = i.op == Op::probe ? 0 : m.bits();
        try_push(i);
    }
    void atomic() {
        Type t = ints[1 + dice_.below(6)];
        MemArg m = arg(dice_.one_in(3) ? ints[1 + dice_.below(6)] : t);
        Inst i{.op = Op::rmw, .type = t, .sub = u8(dice_.below(11))};
        if (dice_.one_in(3)) {
            i.op = Op::cas, i.sub = 0;
            if (weight(Group::wide) && dice_.one_in(4)) i.type = t = m.memory = Type::i128;
            i.c = value(t);
        }
        i.a = address(m), i.b = value(t);
        m.disp &= ~15; // hosts' atomic accesses like alignment
        i.imm = m.bits();
        try_push(i);
    }
    SlotId mask_slot() {
        for (u32 n = 0; n < guest_.slots.size(); ++n)
            if (guest_.slots[n].type == Type::mask) return SlotId(n);
        return SlotId(guest_.slots.size());
    }
    void lanes() {
        Type t = some_vector();
        Lane lane = int_lane();
        MemArg m = arg(ints[1 + dice_.below(4)]);
        Inst i{.op = Op(u8(Op::load_mask) + dice_.below(5)), .type = t, .lane = lane};
        if (bytes(t) % lane_bytes(lane)) return;
        i.a = address(m);
        switch (i.op) {
        case Op::load_mask: i.b = value(Type::mask), i.c = maybe(t); break;
        case Op::store_mask: i.b = value(Type::mask), i.c = value(t); break;
        case Op::load_ff:
            i.b = value(Type::mask), i.c = mask_slot();
            if (i.c == guest_.slots.size()) return;
            break;
        default: { // offsets below 64, unless it shall fault
            i.sub = u8(dice_.below(2) | dice_.below(3) << 1);
            i.b = value(t);
            if (!options_.fault_odds || !dice_.one_in(options_.fault_odds)) {
                Inst cut{.op = Op::vshift, .type = t, .sub = u8(VShift::lshr), .lane = lane, .a = i.b};
                cut.imm = 8 * lane_bytes(lane) - 6;
                if (!ok(cut)) return;
                i.b = push(cut);
            }
            i.c = maybe(Type::mask);
            if (i.op == Op::scatter) {
                ValueId v = value(t);
                m.disp = i32(unit_.extra.size());
                unit_.extra.push_back(v);
            }
        }
        }
        i.imm = m.bits();
        if (try_push(i) != none) dirty_ |= i.op == Op::load_ff;
    }

    // ---- FP and vectors

    u64 fp_arg() {
        FpArg f;
        if (dice_.one_in(3)) f.round = Round(dice_.below(5));
        return f.bits();
    }
    void fp(Type t) {
        Op op = Op(u8(Op::fadd) + dice_.below(u32(Op::fpmode_set) - u32(Op::fadd) + 1));
        Inst i{.op = op, .type = t};
        switch (op) {
        case Op::fcvt: i.a = value(some_fp()); break;
        case Op::ftos:
        case Op::ftou: i.type = some_int(), i.a = value(t); break;
        case Op::stof:
        case Op::utof: i.a = value(some_int()); break;
        case Op::fbox: i.type = dice_.one_in(2) ? some_int() : some_fp(), i.a = value(t); break;
        case Op::funbox: i.a = value(dice_.one_in(2) ? some_int() : some_fp()); break;
        case Op::fpflags: i.type = Type::i32; break;
        case Op::fpflags_set:
        case Op::fpmode_set: { // few, and only bits that mean something
            if (!dice_.one_in(4)) return;
            u64 flags = dice_.next() & guest_.fp_flags;
            u64 mode = dice_.below(5) | (dice_.one_in(4) ? dice_.next() & 0xf8 : 0);
            i.type = Type::none, i.a = number(op == Op::fpflags_set ? flags : mode, Type::i32);
            break;
        }
        case Op::fma: i.a = value(t), i.b = second(i.a, t), i.c = value(t); break;
        default:
            i.a = value(t);
            if (info(op).operands > 1) i.b = second(i.a, t);
        }
        if (auto names = sub_names(op); !names.empty()) i.sub = u8(dice_.below(u32(names.size())));
        if (op == Op::fcmp) i.imm = dice_.below(2);
        if (has_fp_arg(i)) {
            FpArg f = FpArg::from(fp_arg());
            if (op == Op::fma) f.neg_product = dice_.one_in(3), f.neg_addend = dice_.one_in(3);
            if (op == Op::fround) f.exact = dice_.one_in(2);
            i.imm = f.bits();
        }
        if (guest_.fp || !is_fp_operation(i)) try_push(i);
    }

    void vector(Type t) {
        u32 first = u32(Op::vbin), n = u32(Op::vext) - first + 1;
        Op op = dice_.one_in(3) ? Op::vbin : dice_.one_in(16) ? Op::vselect : Op(first + dice_.below(n));
        Inst i{.op = op, .type = t};
        bool floating = guest_.fp && dice_.one_in(3);
        i.lane = floating ? fp_lane() : int_lane();
        if (auto kinds = kinds_of(op); !kinds.empty()) i.sub = u8(dice_.below(u32(kinds.size())));
        if (auto names = sub_names(op); !names.empty()) i.sub = u8(dice_.below(u32(names.size())));
        if (is_of_words(i)) i.lane = Lane::i32;
        if (is_crypto(i)) {
            i.lane = op == Op::vbin && VBin(i.sub) <= VBin::pmull_odd ? Lane::i64 : Lane::i128;
            if (t == Type::v64) i.type = t = Type::v128;
        }
        u32 lanes = std::max(1u, bytes(t) / lane_bytes(i.lane));
        i.a = value(t);
        switch (op) {
        case Op::vbin:
            i.b = second(i.a, t),
            i.c = weight(Group::mask) && !is_crypto(i) && dice_.one_in(4) ? value(Type::mask) : none;
            break;
        case Op::vtern: i.b = second(i.a, t), i.c = value(t); break;
        case Op::vshift: i.imm = dice_.below(8 * lane_bytes(i.lane) + 2); break;
        case Op::vcmp:
            i.b = second(i.a, t), i.imm = is_fp_operation(i) ? dice_.below(2) : 0;
            if (weight(Group::mask) && dice_.one_in(2)) i.type = Type::mask;
            break;
        case Op::vsplat: i.a = value(dice_.one_in(3) && weight(Group::fp) ? some_fp() : some_int()); break;
        case Op::vget:
            i.type = dice_.one_in(3) && weight(Group::fp) ? some_fp() : some_int(), i.imm = dice_.below(lanes);
            break;
        case Op::vset:
            i.b = value(dice_.one_in(3) && weight(Group::fp) ? some_fp() : some_int()), i.imm = dice_.below(lanes);
            break;
        case Op::vbits: i.type = Type::i64; break;
        case Op::vlanes: i.a = value(Type::i64), i.imm = dice_.below(65 - std::min(lanes, 64u)); break;
        case Op::vshuffle:
            i.b = second(i.a, t), i.imm = unit_.wide.size();
            for (u32 k = 0; k < (bytes(t) + 7) / 8; ++k) unit_.wide.push_back(table_word(bytes(t)));
            break;
        case Op::vwiden:
            if (dice_.one_in(3)) i.a = value(dice_.one_in(2) ? Type::v64 : Type::v128);
            break;
        case Op::vnarrow: i.b = maybe(t); break;
        case Op::vreduce: i.type = floating ? Type(u8(Type::f16) + dice_.below(3)) : some_int(); break;
        case Op::vext: i.b = second(i.a, t), i.imm = dice_.below(bytes(t) + 1); break;
        case Op::vselect:
            i.a = weight(Group::mask) && dice_.one_in(2) ? value(Type::mask) : i.a;
            i.b = value(t), i.c = value(t);
            break;
        default:
            if (info(op).operands > 1) i.b = second(i.a, t);
        }
        if (has_fp_arg(i)) i.imm = fp_arg();
        if (op == Op::vshuffle || op == Op::vtbl || op == Op::vext) i.lane = Lane::i8; // they have none
        try_push(i);
    }
    u64 table_word(u32 size) {
        u64 word = 0;
        for (u32 k = 0; k < 8; ++k)
            word |= u64(dice_.one_in(10) ? dice_.below(256) : dice_.below(std::min(2 * size, 256u))) << 8 * k;
        return word;
    }

    void mask() {
        Inst i{.op = Op(u8(Op::mask_lt) + dice_.below(3)), .type = Type::mask, .lane = int_lane()};
        i.a = i.op == Op::mask_lt ? dice_.one_in(2) ? number(dice_.below(70), Type::i64) : value(Type::i64)
                                  : value(Type::mask);
        if (i.op == Op::mask_op) i.b = second(i.a, Type::mask), i.sub = u8(dice_.below(4)), i.lane = Lane::i8;
        if (i.op == Op::mask_count) i.type = Type::i64;
        try_push(i);
    }

    void call() {
        if (options_.intrinsics.empty()) return;
        const Intrinsic& f = *options_.intrinsics[dice_.below(u32(options_.intrinsics.size()))];
        if (f.effects & Intrinsic::may_exit && dirty_) insn();
        std::vector<ValueId> args;
        for (u32 n = 0; n < f.args; ++n) args.push_back(value(Type::i64));
        CallArg c{.callee = u32(unit_.calls.size())};
        if (args.size() > 3) {
            c.rest = u32(unit_.extra.size()) + 1;
            unit_.extra.push_back(u32(args.size() - 3));
            unit_.extra.insert(unit_.extra.end(), args.begin() + 3, args.end());
        }
        args.resize(std::max<size_t>(args.size(), 3), none);
        Inst i{.op = Op::call,
               .type = f.results ? Type::i64 : Type::none,
               .a = args[0],
               .b = args[1],
               .c = args[2],
               .imm = c.bits()};
        unit_.calls.push_back(&f);
        if (!ok(i)) return;
        ValueId v = push(i);
        if (f.effects & Intrinsic::writes_state) dirty_ = true;
        for (u32 n = 1; n < f.results; ++n)
            if (dice_.one_in(2)) push({.op = Op::result, .type = ints[dice_.below(7)], .sub = u8(n), .a = v});
    }

    std::vector<const Block*> inner_; // blocks inside an instruction, the only ones with arguments
    u32 total_ = 0, current_ = 0;
};

} // namespace

Unit random_unit(const GuestState& guest, const RandomOptions& options) { return Generator(guest, options).run(); }

void random_state(const GuestState& guest, const RandomOptions& options, CpuHeader& cpu) {
    Dice dice(options.seed ^ 0x5bd1e995);
    u8* state = reinterpret_cast<u8*>(&cpu) + slots_offset;
    for (u32 n = 0; n + 8 <= guest.bytes; n += 8) {
        u64 v = dice.word();
        std::memcpy(state + n, &v, 8);
    }
    for (const Slot& s : guest.slots) {
        u32 v = u32(dice.next()) & flag::all;
        if (s.type == Type::flags) std::memcpy(home(&cpu, s), &v, 4);
    }
    u64 count = dice.below(8);
    std::memcpy(home(&cpu, guest.slots[options.counter]), &count, 8);
}

} // namespace mimic::ir
