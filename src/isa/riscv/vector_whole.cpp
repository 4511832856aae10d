// V on whole registers: operands and results of other widths, masks. The RISC-V Instruction Set Manual, Volume I
// (20240411), 31.5: an operand of twice the width is a group of twice the registers.
#include "isa/riscv/vector_whole.hpp"
#include <algorithm>

namespace mimic::isa::riscv {

namespace {

constexpr u32 lanes_of(i32 log) { return vlen_bytes >> log; }

// One instruction, register by register of its widest operand.
class Whole {
public:
    Whole(Rv& t, const I& i, const Shape& s)
        : t_(t)
        , i_(i)
        , s_(s)
        , c_(vconfig(i))
        , by_(std::max({s.d, s.a, s.b, i8{0}})) {
        log_ = c_.sew + by_;
        if (s.from != From::vector && s.from != From::none) scalar_ = scalar();
    }
    void run(WholeFn f) {
        for (u32 n = 0; n < 1u << std::max(c_.lmul + by_, 0); ++n) result(n, f(t_, i_, step(n)));
        if (!s_.to_mask) return;
        if (c_.lmul < 0) words_[0] = words_[0] & i64((u64{1} << vlmax(c_)) - 1);
        put_mask(t_, i_, words_, !s_.carry && !i_[vm]);
    }

private:
    Val scalar() {
        i32 width = c_.sew + s_.b;
        if (s_.from == From::f) { return splat(t_, fp_lane(width), t_.f(i_[rs1], width == 3 ? Type::f64 : Type::f32)); }
        Val v = second_source(t_, i_, s_.from);
        u32 bits = 8u << width;
        if (width < log_) v = s_.b_signed ? v.sbfx(0, bits) : v.ubfx(0, bits);
        return splat(t_, int_lane(log_), v);
    }
    // Part n of a register whose lanes are narrower than the operation's.
    Val widened(Val v, i32 by, u32 n, bool fp, bool is_signed) {
        for (i32 left = by_ - by; left > 0; --left) {
            i32 log = log_ - left;
            u8 sub = u8((n >> (left - 1) & 1) | (is_signed ? 2 : 0));
            v = fp ? t_.op(Op::vwiden, Type::v128, v, {}, {}, dynamic_rounding, sub & 1, fp_lane(log))
                   : t_.op(Op::vwiden, Type::v128, v, {}, {}, 0, sub, int_lane(log));
        }
        return v;
    }
    Val operand(i64 reg, i32 by, u32 n, bool fp, bool is_signed) {
        Val v = t_.get(u16(slot_v + reg + (n >> (by_ - by))), Type::v128);
        return fp && by < by_ ? widened_float(v, by, n) : widened(v, by, n, false, is_signed);
    }
    // What is not worked on raises nothing.
    Val widened_float(Val v, i32 by, u32 n) {
        if (Val lanes = active(by, n >> (by_ - by))) v = t_.vbin(ir::VBin::and_, ir::Lane::i64, v, lanes);
        return widened(v, by, n, true, false);
    }
    Val second(u32 n) {
        if (s_.from == From::vector) return operand(i_[rs1], s_.b, n, s_.b_fp, s_.b_signed);
        return s_.from == From::f && s_.b < by_ ? widened_float(scalar_, s_.b, n) : scalar_;
    }
    Val body(i32 lmul) { return lmul < 0 ? lower_part(t_, lmul) : Val{}; }
    Val active(i32 by, u32 n) {
        if (s_.carry || (s_.to_mask && !s_.any_fp())) return {}; // a mask's bits are chosen at its end
        return active_lanes(t_, i_, c_.sew + by, c_.lmul + by, n);
    }
    Step step(u32 n) {
        Step s{.active = active(by_, n), .log = log_};
        if (s_.carry && !i_[vm]) s.carry = mask_lanes(t_, log_, n);
        if (!s_.no_a) s.a = operand(i_[rs2], s_.a, n, s_.a_fp, s_.a_signed);
        s.b = second(n);
        if (!s_.to_mask && s_.d == by_) s.d = operand(i_[rd], s_.d, n, false, false);
        return s;
    }
    void result(u32 n, Val r) {
        if (s_.to_mask) {
            u32 at = n * lanes_of(log_);
            Val bits = t_.op(Op::vbits, Type::i64, r, {}, {}, 0, 0, int_lane(log_)).shl(at % 64);
            Val& word = words_[at / 64];
            word = word ? word | bits : bits;
        } else if (s_.d == by_) {
            put(n, r);
        } else if (c_.lmul + by_ <= 0) {
            put(0, narrowed(r, {}));
        } else if (n & 1) {
            put(n / 2, narrowed(lower_, r));
        } else {
            lower_ = r;
        }
    }
    // One by one where lanes are clamped, which hosts can.
    Val narrowed(Val low, Val high) {
        const bool fp = s_.narrow >= ir::VNarrow::fcvt, clamps = s_.narrow != ir::VNarrow::trunc && !fp;
        auto narrow = [&](Val a, Val b) {
            return t_.op(Op::vnarrow, Type::v128, a, b, {}, fp ? dynamic_rounding : 0, u8(s_.narrow),
                         fp ? fp_lane(log_) : int_lane(log_));
        };
        if (!clamps || !high) return narrow(low, high);
        return t_.op(Op::vzip, Type::v128, narrow(low, {}), narrow(high, {}), {}, 0, 0, ir::Lane::i64);
    }
    void put(u32 n, Val r) {
        u16 to = u16(slot_v + i_[rd] + n);
        Val lanes = s_.carry ? body(c_.lmul + s_.d) : active(s_.d, n);
        t_.put(to, lanes ? select_lanes(t_, lanes, r, t_.get(to, Type::v128)) : r);
    }

    Rv& t_;
    const I& i_;
    const Shape& s_;
    VConfig c_;
    i32 by_, log_;       // log2 of the operation's width over SEW, and of its bytes
    Val scalar_, lower_; // the second source; the result that the lower half of a register is made of
    Val words_[2];       // the mask
};

} // namespace

Val lower_part(Rv& t, i32 lmul) {
    u32 bytes = vlen_bytes >> -lmul;
    return t.wide(bytes >= 8 ? ~u64{0} : (u64{1} << 8 * bytes) - 1, 0, Type::v128);
}

Val mask_lanes(Rv& t, i32 log, u32 n) {
    u32 at = n * lanes_of(log);
    return t.vlanes(int_lane(log), mask_word(t, 0, at / 64), at % 64);
}

Val active_lanes(Rv& t, const I& i, i32 log, i32 lmul, u32 n) {
    Val body = lmul < 0 ? lower_part(t, lmul) : Val{};
    if (i[vm]) return body;
    Val lanes = mask_lanes(t, log, n);
    return body ? t.vbin(ir::VBin::and_, ir::Lane::i64, lanes, body) : lanes;
}

void put_mask(Rv& t, const I& i, const Val* words, bool masked) {
    const u64 bits = vlmax(vconfig(i));
    u16 to = u16(slot_v + i[rd]);
    Val v = t.get(to, Type::v128);
    for (u32 n = 0; n * 64 < bits; ++n) {
        const u64 count = bits - n * 64, low = count < 64 ? (u64{1} << count) - 1 : ~u64{0};
        Val word = words[n], old = t.op(Op::vget, Type::i64, v, {}, {}, n, 0, ir::Lane::i64);
        if (masked)
            word = old ^ (((old ^ word) & mask_word(t, 0, n)) & i64(low));
        else if (count < 64)
            word = (old & i64(~low)) | word;
        v = t.op(Op::vset, Type::v128, v, word, {}, n, 0, ir::Lane::i64);
    }
    t.put(to, v);
}

Val ones_complement(Rv& t, Val v) { return t.vun(ir::VUn::not_, ir::Lane::i64, v); }

void whole_registers(Rv& t, const I& i, WholeFn f, const Shape& s) { Whole(t, i, s).run(f); }

} // namespace mimic::isa::riscv
