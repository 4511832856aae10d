#include "ir/verify_types.hpp"
#include <algorithm>

namespace mimic::ir {

namespace {

class Types {
public:
    Types(const Unit& unit, const Inst& i) : unit_(unit), i_(i), t_(i.type) {}

    Result<void> check() {
        switch (i_.op) {
        case Op::nop:
        case Op::fence:
        case Op::insn:
        case Op::br:
        case Op::exit: return type(t_ == Type::none, "none");
        case Op::constant: return constant();
        case Op::code_address: return code_address();
        case Op::get: return type(t_ != Type::none, "a type");
        case Op::put: return is('a', i_.a, t_);
        case Op::get_idx: TRY(type(t_ != Type::none, "a type")); return is('a', i_.a, Type::i64);
        case Op::put_idx: TRY(is('a', i_.a, Type::i64)); return is('b', i_.b, t_);
        case Op::arg: return {};
        case Op::brcond: TRY(type(t_ == Type::none, "none")); return is('a', i_.a, Type::i1);
        case Op::exit_ind: return address();
        case Op::trap: return i_.b == none ? Result<void>{} : is('b', i_.b, Type::i64);
        case Op::call: return call();
        case Op::result: return type(t_ != Type::none && bytes(t_) <= 16, "of at most 16 bytes");
        default: break;
        }
        if (i_.op >= Op::add && i_.op <= Op::bitcast) return integer();
        if (i_.op >= Op::flags_add && i_.op <= Op::cond) return flags();
        if (i_.op >= Op::load && i_.op <= Op::load_ff) return memory();
        if (i_.op >= Op::fadd && i_.op <= Op::fpmode_set) return fp();
        return vector();
    }

private:
    static Error bad(std::string_view what, Type got, std::string_view expected) {
        return Error::invalid_argument("{} is {}, expected {}", what, to_string(got), expected);
    }
    Result<void> type(bool right, std::string_view expected) {
        if (!right) return bad("its type", t_, expected);
        return {};
    }
    Type of(ValueId v) const { return v == none ? Type::none : result_type(unit_.code[v]); }
    Result<void> is(char name, ValueId v, Type t) {
        if (of(v) != t) return bad(std::string("operand ") + name, of(v), to_string(t));
        return {};
    }
    Result<void> that(bool right, char name, ValueId v, std::string_view expected) {
        if (!right) return bad(std::string("operand ") + name, of(v), expected);
        return {};
    }
    u32 bytes(Type t) const { return size_of(t, unit_.vector_bytes); }

    Result<void> constant() {
        TRY(type(t_ != Type::none, "a type"));
        u32 bits = is_int(t_) ? bits_of(t_) : bytes(t_) * 8;
        if (bits < 64 && i_.imm >> bits) return Error::invalid_argument("{:#x} does not fit {}", i_.imm, to_string(t_));
        if (t_ == Type::flags && i_.imm & ~u64{flag::all}) return Error::invalid_argument("{:#x} is no flags", i_.imm);
        if (t_ == Type::f80 && unit_.wide[i_.imm + 1] >> 16) return Error::invalid_argument("more than 80 bits of f80");
        return {};
    }

    Result<void> code_address() {
        TRY(type(t_ == Type::i32 || t_ == Type::i64, "i32 or i64"));
        if (t_ == Type::i32 && i_.imm >> 32) return Error::invalid_argument("{:#x} does not fit i32", i_.imm);
        return {};
    }

    Result<void> address() {
        Type a = of(i_.a);
        return that(a == Type::i32 || a == Type::i64, 'a', i_.a, "i32 or i64");
    }

    Result<void> call() {
        const Intrinsic& f = *unit_.calls[CallArg::from(i_.imm).callee];
        u32 count = 0;
        bool wide = false;
        for_each_operand(unit_, i_, [&](ValueId v) { ++count, wide |= bytes(of(v)) > 16; });
        if (count != f.args || count > 16)
            return Error::invalid_argument("{} arguments for {}, which has {}", count, f.name, f.args);
        if (wide) return Error::invalid_argument("an argument of more than 16 bytes for {}", f.name);
        if (f.results > 16) return Error::invalid_argument("{} has more than 16 results", f.name);
        return type((t_ != Type::none) == (f.results > 0) && bytes(t_) <= 16, "that of the callee's first result");
    }

    Result<void> integer() {
        if (i_.op == Op::select) return select();
        if (i_.op == Op::bitcast) return bitcast();
        TRY(type(is_int(t_), "an integer"));
        Type a = of(i_.a);
        u32 pos = i_.imm & 0xff, len = i_.imm >> 8 & 0xff, width = bits_of(t_);
        switch (i_.op) {
        case Op::sext:
        case Op::zext: return that(is_int(a) && bits_of(a) < width, 'a', i_.a, "a narrower integer");
        case Op::trunc: return that(is_int(a) && bits_of(a) > width, 'a', i_.a, "a wider integer");
        case Op::half:
            return that(is_int(a) && width >= 8 && bits_of(a) == 2 * width, 'a', i_.a, "an integer twice as wide");
        case Op::pair:
            TRY(that(is_int(a) && bits_of(a) >= 8 && 2 * bits_of(a) == width, 'a', i_.a, "an integer half as wide"));
            return is('b', i_.b, a);
        case Op::shl:
        case Op::lshr:
        case Op::ashr:
        case Op::rotr: TRY(is('a', i_.a, t_)); return that(is_int(of(i_.b)), 'b', i_.b, "an integer");
        case Op::ubfx:
        case Op::sbfx:
        case Op::bfi:
            if (len == 0 || pos + len > width)
                return Error::invalid_argument("{} bits at {} of {}", len, pos, to_string(t_));
            break;
        default: break;
        }
        TRY(is('a', i_.a, t_));
        return info(i_.op).operands == 2 ? is('b', i_.b, t_) : Result<void>{};
    }
    Result<void> select() {
        TRY(is('a', i_.a, Type::i1));
        TRY(is('b', i_.b, t_));
        return is('c', i_.c, t_);
    }
    Result<void> bitcast() {
        Type a = of(i_.a);
        TRY(type(t_ != Type::none && t_ != Type::i1 && t_ != Type::flags, "no i1 or flags"));
        return that(a != Type::flags && a != Type::none && (bytes(a) <= bytes(t_)), 'a', i_.a,
                    "no flags, no larger type");
    }

    Result<void> flags() {
        switch (i_.op) {
        case Op::flags_add:
        case Op::flags_sub:
            if (i_.c != none) TRY(is('c', i_.c, Type::i1));
            TRY(is('b', i_.b, t_));
            [[fallthrough]];
        case Op::flags_logic:
            TRY(type(is_int(t_) && t_ != Type::i1 && t_ != Type::i128, "i8 to i64"));
            return is('a', i_.a, t_);
        case Op::flags_fcmp:
            TRY(type(is_fp(t_), "an FP type"));
            TRY(is('a', i_.a, t_));
            return is('b', i_.b, t_);
        case Op::flags_from: TRY(type(t_ == Type::flags, "flags")); return is('a', i_.a, Type::i32);
        case Op::flags_bits: TRY(type(t_ == Type::i32, "i32")); return is('a', i_.a, Type::flags);
        case Op::flags_merge:
            if (i_.imm & ~u64{flag::all}) return Error::invalid_argument("{:#x} is no mask of flags", i_.imm);
            TRY(type(t_ == Type::flags, "flags"));
            TRY(is('a', i_.a, Type::flags));
            return is('b', i_.b, Type::flags);
        default: TRY(type(t_ == Type::i1, "i1")); return is('a', i_.a, Type::flags);
        }
    }

    // May a value of type t be extended from, or cut to, `memory`?
    static bool in_memory(Type t, Type memory, u32 vector_bytes) {
        if (t == memory) return t != Type::none && t != Type::i1 && t != Type::flags;
        if (is_int(t)) return is_int(memory) && memory != Type::i1 && bits_of(memory) <= bits_of(t);
        bool plain = is_int(memory) || is_vector(memory) || (is_fp(memory) && memory != Type::f80);
        return (is_vector(t) || is_fp(t)) && plain && t != Type::f80 && memory != Type::i1 && memory != Type::vs &&
               size_of(memory) <= size_of(t, vector_bytes);
    }
    Result<void> memory() {
        MemArg m = MemArg::from(i_.imm);
        if (i_.op == Op::fence) return {};
        TRY(address());
        if (i_.op == Op::probe) return is('b', i_.b, Type::i64);
        if (i_.op >= Op::load_mask) return lanes(m);
        if (!in_memory(t_, m.memory, unit_.vector_bytes))
            return bad("its memory type", m.memory, "one that fits its type");
        if (m.sign && !is_int(t_)) return bad("its type", t_, "an integer (sext)");
        if (i_.op == Op::load) return {};
        TRY(is('b', i_.b, t_));
        if (i_.op == Op::store) return {};
        TRY(type(is_int(t_) && (i_.op == Op::cas || t_ != Type::i128), "an integer"));
        return i_.op == Op::cas ? is('c', i_.c, t_) : Result<void>{};
    }
    Result<void> lanes(MemArg m) {
        TRY(lane_of_type());
        bool fp_lane = is_fp(i_.lane) && size_of(m.memory) == lane_bytes(i_.lane);
        bool fits = (is_int(m.memory) && m.memory != Type::i1) || (fp_lane && is_fp(m.memory) && m.memory != Type::f80);
        if (!fits || size_of(m.memory) > lane_bytes(i_.lane) || i_.lane == Lane::i128)
            return bad("its memory type", m.memory, "one that fits a lane of at most 64 bits");
        bool indexed = i_.op == Op::gather || i_.op == Op::scatter;
        if (indexed)
            TRY(is('b', i_.b, t_));
        else
            TRY(is('b', i_.b, Type::mask));
        if (i_.op == Op::scatter && of(unit_.extra[u32(m.disp)]) != t_)
            return bad("its value", of(unit_.extra[u32(m.disp)]), to_string(t_));
        if (indexed) return i_.c == none ? Result<void>{} : is('c', i_.c, Type::mask);
        if (i_.op == Op::store_mask || (i_.op == Op::load_mask && i_.c != none)) return is('c', i_.c, t_);
        return {};
    }

    Result<void> fp() {
        switch (i_.op) {
        case Op::fpflags: return type(t_ == Type::i32, "i32");
        case Op::fpflags_set:
        case Op::fpmode_set: TRY(type(t_ == Type::none, "none")); return is('a', i_.a, Type::i32);
        case Op::ftos:
        case Op::ftou:
            TRY(type(is_int(t_) && t_ != Type::i1, "i8 to i128"));
            return that(is_fp(of(i_.a)), 'a', i_.a, "an FP type");
        case Op::stof:
        case Op::utof:
            TRY(type(is_fp(t_), "an FP type"));
            return that(is_int(of(i_.a)) && of(i_.a) != Type::i1, 'a', i_.a, "i8 to i128");
        case Op::fcvt:
            TRY(type(is_fp(t_), "an FP type"));
            return that(is_fp(of(i_.a)) && of(i_.a) != t_, 'a', i_.a, "another FP type");
        case Op::fbox:
            TRY(type((is_fp(t_) || is_int(t_)) && bytes(t_) > bytes(of(i_.a)), "a wider FP or integer type"));
            return that(is_fp(of(i_.a)), 'a', i_.a, "an FP type");
        case Op::funbox:
            TRY(type(is_fp(t_), "an FP type"));
            return that((is_fp(of(i_.a)) || is_int(of(i_.a))) && bytes(of(i_.a)) > bytes(t_), 'a', i_.a,
                        "a wider FP or integer type");
        default: break;
        }
        TRY(type(is_fp(t_), "an FP type"));
        u32 n = info(i_.op).operands;
        TRY(is('a', i_.a, t_));
        if (n > 1) TRY(is('b', i_.b, t_));
        return n > 2 ? is('c', i_.c, t_) : Result<void>{};
    }

    Result<void> lane_of_type() {
        TRY(type(is_vector(t_), "a vector"));
        return lane(lane_bytes(i_.lane) <= bytes(t_) && bytes(t_) % lane_bytes(i_.lane) == 0,
                    "one that divides its type");
    }
    Result<void> lane(bool right, std::string_view expected) {
        if (!right) return Error::invalid_argument("its lane is {}, expected {}", to_string(i_.lane), expected);
        return {};
    }
    Result<void> same(u32 operands) {
        TRY(is('a', i_.a, t_));
        if (operands > 1) TRY(is('b', i_.b, t_));
        return operands > 2 ? is('c', i_.c, t_) : Result<void>{};
    }
    static bool plain_int(Lane l) { return l <= Lane::i64; }
    static bool plain_fp(Lane l) { return l >= Lane::f16 && l <= Lane::f64; }

    // Lanes that the kind of a family can work on.
    Result<void> kind_lane() {
        std::string_view name = kinds_of(i_.op)[i_.sub].name;
        bool fp = kinds_of(i_.op)[i_.sub].effect == 'F' || name == "fneg" || name == "fabs";
        if (is_crypto(i_)) {
            bool products = i_.op == Op::vbin && VBin(i_.sub) <= VBin::pmull_odd;
            TRY(type(bytes(t_) % 16 == 0, "whole 128 bits"));
            if (i_.op == Op::vbin && i_.c != none) return bad("operand c", of(i_.c), "none");
            return lane(i_.lane == (products ? Lane::i64 : Lane::i128), products ? "i64" : "i128");
        }
        TRY(lane(fp ? plain_fp(i_.lane) : plain_int(i_.lane), fp ? "f16, f32 or f64" : "i8 to i64"));
        u32 size = lane_bytes(i_.lane);
        if (i_.op == Op::vun) {
            VUn k = VUn(i_.sub);
            if (k == VUn::saddlp || k == VUn::uaddlp) return lane(size <= 4, "i8 to i32");
            if (k == VUn::rev16) return lane(size == 1, "i8");
            if (k == VUn::rev32) return lane(size <= 2, "i8 or i16");
            if (k == VUn::rev64) return lane(size <= 4, "i8 to i32");
        }
        if (is_of_words(i_)) return lane(size == 4, "i32");
        if (i_.op == Op::vnarrow) return lane(size >= (fp ? 4 : 2), "one that has a half");
        return {};
    }

    Result<void> vector() {
        switch (i_.op) {
        case Op::mask_lt: TRY(type(t_ == Type::mask, "mask")); return is('a', i_.a, Type::i64);
        case Op::mask_op: TRY(type(t_ == Type::mask, "mask")); return same(2);
        case Op::mask_count: TRY(type(t_ == Type::i64, "i64")); return is('a', i_.a, Type::mask);
        case Op::vcmp: return compare();
        case Op::vget: return extract();
        case Op::vreduce: return reduce();
        case Op::vbits: return bits();
        case Op::vshuffle:
        case Op::vtbl:
        case Op::vext:
            TRY(type(is_vector(t_), "a vector"));
            if (i_.op == Op::vext && i_.imm > bytes(t_))
                return Error::invalid_argument("{} bytes of {}", i_.imm, to_string(t_));
            return same(2);
        default: break;
        }
        TRY(lane_of_type());
        if (!kinds_of(i_.op).empty()) TRY(kind_lane());
        switch (i_.op) {
        case Op::vbin:
            if (i_.c != none) TRY(is('c', i_.c, Type::mask));
            return same(2);
        case Op::vtern: return same(3);
        case Op::vsplat: return scalar('a', i_.a);
        case Op::vset:
            TRY(is('a', i_.a, t_));
            TRY(lane_number(t_));
            return scalar('b', i_.b);
        case Op::vlanes: TRY(is('a', i_.a, Type::i64)); return lanes_in_bits(t_, i_.imm);
        case Op::vwiden: return widen();
        case Op::vnarrow: TRY(is('a', i_.a, t_)); return i_.b == none ? Result<void>{} : is('b', i_.b, t_);
        case Op::vzip: TRY(lane(bytes(t_) / lane_bytes(i_.lane) % 2 == 0, "an even number of lanes")); return same(2);
        case Op::vselect:
            TRY(that(of(i_.a) == Type::mask || of(i_.a) == t_, 'a', i_.a, "mask or its type"));
            TRY(is('b', i_.b, t_));
            return is('c', i_.c, t_);
        default: return same(1);
        }
    }
    Result<void> scalar(char name, ValueId v) {
        Type t = of(v);
        bool right = (is_int(t) || is_fp(t)) && t != Type::i1 && t != Type::f80 && size_of(t) >= lane_bytes(i_.lane);
        return that(right, name, v, "an integer or FP value at least as wide as a lane");
    }
    Result<void> lane_number(Type vector) {
        u32 lanes = bytes(vector) / lane_bytes(i_.lane);
        if (i_.imm >= lanes) return Error::invalid_argument("lane {} of {} lanes", i_.imm, lanes);
        return {};
    }
    // A bit for each lane, from bit `from` on.
    Result<void> lanes_in_bits(Type vector, u64 from) {
        TRY(lane(lane_bytes(i_.lane) <= 8 && bytes(vector) % lane_bytes(i_.lane) == 0,
                 "one of at most 64 bits that divides its type"));
        u32 lanes = bytes(vector) / lane_bytes(i_.lane);
        if (from + lanes > 64) return Error::invalid_argument("{} lanes from bit {}, expected 64 bits", lanes, from);
        return {};
    }
    Result<void> bits() {
        TRY(type(t_ == Type::i64, "i64"));
        TRY(that(is_vector(of(i_.a)), 'a', i_.a, "a vector"));
        return lanes_in_bits(of(i_.a), 0);
    }
    Result<void> compare() {
        Type a = of(i_.a);
        TRY(that(is_vector(a), 'a', i_.a, "a vector"));
        TRY(lane(bytes(a) % lane_bytes(i_.lane) == 0, "one that divides its type"));
        TRY(kind_lane());
        TRY(is('b', i_.b, a));
        return type(t_ == a || t_ == Type::mask, "that of its operands, or mask");
    }
    Result<void> extract() {
        TRY(that(is_vector(of(i_.a)), 'a', i_.a, "a vector"));
        bool right =
            (is_int(t_) || is_fp(t_)) && t_ != Type::i1 && t_ != Type::f80 && size_of(t_) >= lane_bytes(i_.lane);
        TRY(type(right, "an integer or FP type at least as wide as a lane"));
        return lane_number(of(i_.a));
    }
    Result<void> reduce() {
        Type a = of(i_.a);
        TRY(that(is_vector(a), 'a', i_.a, "a vector"));
        TRY(lane(bytes(a) % lane_bytes(i_.lane) == 0, "one that divides its type"));
        TRY(kind_lane());
        VReduce k = VReduce(i_.sub);
        bool twice = k == VReduce::uaddl || k == VReduce::saddl;
        bool fp = kinds_of(i_.op)[i_.sub].effect == 'F';
        TRY(lane(!twice || lane_bytes(i_.lane) <= 4, "i8 to i32"));
        return type((fp ? is_fp(t_) : is_int(t_)) && size_of(t_) == lane_bytes(i_.lane) * (twice ? 2 : 1) &&
                        t_ != Type::i1,
                    "a scalar of the lane's width (uaddl, saddl: twice)");
    }
    Result<void> widen() {
        Type a = of(i_.a);
        TRY(lane(i_.lane <= Lane::i32 || i_.lane == Lane::f16 || i_.lane == Lane::f32, "i8 to i32, f16 or f32"));
        TRY(lane(bytes(t_) % (2 * lane_bytes(i_.lane)) == 0, "half as wide as a lane of its type"));
        bool half = is_vector(a) && a != Type::vs && 2 * bytes(a) == bytes(t_) && !(i_.sub & 1);
        return that(a == t_ || half, 'a', i_.a, "its type, or half as wide for the low half");
    }

    const Unit& unit_;
    const Inst& i_;
    Type t_;
};

} // namespace

Result<void> check_types(const Unit& unit, const Inst& i) { return Types(unit, i).check(); }

} // namespace mimic::ir
