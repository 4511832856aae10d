// V on whole registers: what instructions become while vl is VLMAX and vstart is 0 (mode_v_full), as IR on 128 bits.
// What is masked off, and what of a register is behind a fractional group, stays as it was.
#pragma once
#include "isa/riscv/vector.hpp"

namespace mimic::isa::riscv {

inline ir::Lane int_lane(i32 log) { return ir::Lane(log); }
inline ir::Lane fp_lane(i32 log) { return log == 3 ? ir::Lane::f64 : ir::Lane::f32; }
inline const u64 dynamic_rounding = ir::FpArg{.round = ir::Round::dynamic}.bits();

// One register's worth of an instruction, in lanes of its widest operand: 1 << log bytes.
struct Step {
    Val a, b, d; // of vs2, of the second source, and the old ones of vd unless they are narrower
    Val carry;   // Shape::carry: lanes of ones and zeros from v0, or none
    Val active;  // lanes that are worked on; none: all
    i32 log = 0;
    ir::Lane lane() const { return int_lane(log); }
    ir::Lane fp() const { return fp_lane(log); }
};
// Gives the lanes of vd; for Shape::to_mask, of ones and zeros.
using WholeFn = Val (*)(Rv& t, const I& i, const Step& s);
void whole_registers(Rv& t, const I& i, WholeFn f, const Shape& s);

// Lanes of ones where mask register v0 has a bit, for register n of a group.
Val mask_lanes(Rv& t, i32 log, u32 n);
// Those that an instruction works on, of register n of a group of 1 << lmul registers; none: all.
Val active_lanes(Rv& t, const I& i, i32 log, i32 lmul, u32 n);
// Of the register of a group of a part of one: bytes of ones, then zeros.
Val lower_part(Rv& t, i32 lmul);
// Replaces bits 0 to VLMAX - 1 of mask register vd by those of words, 64 each, which have no others; masked, where v0
// says.
void put_mask(Rv& t, const I& i, const Val* words, bool masked);
// 64 bits of a mask register.
inline Val mask_word(Rv& t, i64 reg, u32 n) {
    return t.op(Op::vget, Type::i64, t.get(u16(slot_v + reg), Type::v128), {}, {}, n, 0, ir::Lane::i64);
}
inline Val splat(Rv& t, ir::Lane lane, Val v) { return t.op(Op::vsplat, Type::v128, v, {}, {}, 0, 0, lane); }
inline Val select_lanes(Rv& t, Val lanes, Val yes, Val no) {
    return lanes ? t.op(Op::vselect, Type::v128, lanes, yes, no) : yes;
}
// The operand with zeros where nothing is worked on: no exception comes of them.
inline Val quiet(Rv& t, const Step& s, Val v) {
    return s.active ? t.vbin(ir::VBin::and_, ir::Lane::i64, v, s.active) : v;
}
Val ones_complement(Rv& t, Val v);

template <ElementFn F, Shape S, WholeFn Whole>
void elements(Rv& t, const I& i) {
    if (!legal(i, S)) return t.illegal();
    if (is_full(i) && !(S.any_fp() && i.context.away)) return whole_registers(t, i, Whole, S);
    call_elements<F, S>(t, i);
}

template <ir::VBin Kind>
Val vbin(Rv& t, const I&, const Step& s) {
    return t.vbin(Kind, s.lane(), s.a, s.b);
}
template <ir::VBin Kind>
Val vbin_reversed(Rv& t, const I&, const Step& s) {
    return t.vbin(Kind, s.lane(), s.b, s.a);
}
// Of kinds that may raise vxsat.
template <ir::VBin Kind>
Val vbin_quiet(Rv& t, const I&, const Step& s) {
    return t.vbin(Kind, s.lane(), quiet(t, s, s.a), quiet(t, s, s.b));
}
inline Val first_whole(Rv&, const I&, const Step& s) { return s.a; }
inline Val second_whole(Rv&, const I&, const Step& s) { return s.b; }
inline Val merge_whole(Rv& t, const I&, const Step& s) { return select_lanes(t, s.carry, s.b, s.a); }

} // namespace mimic::isa::riscv
