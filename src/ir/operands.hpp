// What the fields of an instruction mean: which are values, which kinds it has, what it does besides its value. For
// passes, verifier, text and back ends, so that none of them has a list of operations of its own.
#pragma once
#include "ir/unit.hpp"

namespace mimic::ir {

// Bit 0: a is a value, bit 1: b, bit 2: c (each may be absent: none). Values beyond them: for_each_operand.
constexpr u32 value_fields(const Inst& i) {
    if (i.op == Op::trap) return 2;
    return (1u << info(i.op).operands) - 1;
}

// Calls f(ValueId&) (or const) for each value that i uses, those in Unit::extra included.
template <class U, class I, class F>
void for_each_operand(U& unit, I& i, F&& f) {
    u32 fields = value_fields(i);
    if (fields & 1 && i.a != none) f(i.a);
    if (fields & 2 && i.b != none) f(i.b);
    if (fields & 4 && i.c != none) f(i.c);
    u32 rest = 0;
    if (i.op == Op::call) rest = CallArg::from(i.imm).rest;
    if (i.op == Op::br) rest = u32(i.imm);
    if (rest)
        for (u32 n = 0; n < unit.extra[rest - 1]; ++n) f(unit.extra[rest + n]);
    if (i.op == Op::scatter) f(unit.extra[u32(MemArg::from(i.imm).disp)]);
}

constexpr bool is_fp(Lane l) { return l >= Lane::f16 && l <= Lane::bf16; }

// Does i compute in floating point: may it raise sticky flags, does it look at the rounding mode?
inline bool is_fp_operation(const Inst& i) {
    if (i.op >= Op::fadd && i.op <= Op::utof) return true;
    if (i.op == Op::flags_fcmp || (i.op == Op::vwiden && is_fp(i.lane))) return true;
    auto kinds = kinds_of(i.op);
    return i.sub < kinds.size() && kinds[i.sub].effect == 'F';
}

// Is imm an FpArg?
inline bool has_fp_arg(const Inst& i) {
    return is_fp_operation(i) && i.op != Op::fcmp && i.op != Op::vcmp && i.op != Op::vwiden && i.op != Op::flags_fcmp;
}

// May it leave with a fault?
constexpr bool may_fault(const Inst& i) { return info(i.op).effect == 'M' && i.op != Op::fence; }

// Without side effects: may go when nobody uses its value, may be done twice. `fp_flags` is GuestState's.
inline bool is_pure(const Unit& unit, const Inst& i, u32 fp_flags) {
    switch (info(i.op).effect) {
    case 'P': return i.op != Op::insn && i.op != Op::arg;
    case 'S': return i.op == Op::get || i.op == Op::get_idx;
    case 'X': return unit.calls[CallArg::from(i.imm).callee]->effects == Intrinsic::pure;
    case 'E': break;
    default: return false;
    }
    if (i.op == Op::fpflags) return true;
    if (i.op == Op::fpflags_set || i.op == Op::fpmode_set) return false;
    if (is_fp_operation(i)) return fp_flags == 0;
    auto kinds = kinds_of(i.op);
    return kinds.empty() || kinds[i.sub].effect == 'P' || !(fp_flags & fpflag::saturated);
}

// Is slot state as it stands looked at here, by more than a get? Memory faults are told apart: may_fault.
inline bool reads_all_slots(const Unit& unit, const Inst& i) {
    if (i.op == Op::call) {
        u8 e = unit.calls[CallArg::from(i.imm).callee]->effects;
        return e & (Intrinsic::reads_state | Intrinsic::writes_state | Intrinsic::may_exit);
    }
    return i.op == Op::exit || i.op == Op::exit_ind || i.op == Op::trap;
}

// Names of the values of Inst::sub in the text form; empty: sub is not a kind. An empty name is the default.
std::span<const std::string_view> sub_names(Op op);
std::string_view to_string(Lane l);

} // namespace mimic::ir
