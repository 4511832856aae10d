// What the fields of an instruction mean: which are values, which kinds it has, what it does besides its value. For
// passes, verifier, text and back ends, so that none of them has a list of operations of its own.
#pragma once
#include "ir/unit.hpp"

namespace mimic::ir {

// What passes ask of every instruction, a byte an operation.
namespace trait {
inline constexpr u8 a = 1, b = 2, c = 4; // a, b, c are values (each may be absent: none)
inline constexpr u8 list = 8;            // there may be more values in Unit::extra
inline constexpr u8 pure = 16;           // always without side effect
inline constexpr u8 maybe_pure = 32;     // is_pure must look closer
inline constexpr u8 fault = 64;          // may leave with a fault
inline constexpr u8 slots = 128;         // reads or writes slots (of calls, some)
} // namespace trait

namespace detail {
constexpr u8 traits_of(Op op) {
    const OpInfo& o = info(op);
    u8 t = op == Op::trap ? trait::b : u8((1u << o.operands) - 1);
    if (op == Op::call || op == Op::br || op == Op::scatter) t |= trait::list;
    if ((o.effect == 'P' && op != Op::insn) || op == Op::get || op == Op::get_idx || op == Op::fpflags)
        t |= trait::pure;
    else if (o.effect == 'X' || (o.effect == 'E' && op != Op::fpflags_set && op != Op::fpmode_set))
        t |= trait::maybe_pure;
    if (o.effect == 'M' && op != Op::fence) t |= trait::fault;
    if (o.effect == 'S' || op == Op::call || op == Op::load_ff) t |= trait::slots;
    return t;
}
struct TraitTable {
    u8 of[op_count] = {};
    constexpr TraitTable() {
        for (u32 n = 0; n < op_count; ++n) of[n] = traits_of(Op(n));
    }
};
inline constexpr TraitTable traits;
} // namespace detail
constexpr u8 traits(Op op) { return detail::traits.of[u8(op)]; }

// Calls f(ValueId&) (or const) for each value that i uses, those in Unit::extra included.
template <class U, class I, class F>
void for_each_operand(U& unit, I& i, F&& f) {
    const u8 t = traits(i.op);
    if (t & trait::a && i.a != none) f(i.a);
    if (t & trait::b && i.b != none) f(i.b);
    if (t & trait::c && i.c != none) f(i.c);
    if (!(t & trait::list)) [[likely]]
        return;
    if (i.op == Op::scatter) return f(unit.extra[u32(MemArg::from(i.imm).disp)]);
    u32 rest = i.op == Op::call ? CallArg::from(i.imm).rest : u32(i.imm);
    if (rest)
        for (u32 n = 0; n < unit.extra[rest - 1]; ++n) f(unit.extra[rest + n]);
}

constexpr bool is_fp(Lane l) { return l >= Lane::f16 && l <= Lane::bf16; }

// Kinds whose results are pairs of lanes or 128 bits (kinds.def: carry-less products, AES, SHA-256).
constexpr bool is_crypto(const Inst& i) {
    if (i.op == Op::vbin) return VBin(i.sub) >= VBin::pmull_even && VBin(i.sub) <= VBin::sha256_msg2;
    if (i.op == Op::vun) return VUn(i.sub) >= VUn::aes_enc && VUn(i.sub) <= VUn::aes_imix;
    return i.op == Op::vtern && VTern(i.sub) == VTern::sha256_rounds2;
}

// Kinds whose lanes are words.
constexpr bool is_of_words(const Inst& i) {
    if (i.op == Op::vun) return VUn(i.sub) == VUn::urecpe || VUn(i.sub) == VUn::ursqrte;
    return i.op == Op::vtern && VTern(i.sub) >= VTern::sdot && VTern(i.sub) <= VTern::usdot;
}

// Does i compute in floating point: may it raise sticky flags, does it look at the rounding mode?
inline bool is_fp_operation(const Inst& i) {
    if (i.op >= Op::fadd && i.op <= Op::utof) return true;
    if (i.op == Op::flags_fcmp || (i.op == Op::vwiden && is_fp(i.lane))) return true;
    auto kinds = kinds_of(i.op);
    return i.sub < kinds.size() && kinds[i.sub].effect == 'F';
}

// May it have operands or a result too small to be normal? Integers are not.
inline bool flushes(const Inst& i) {
    if (i.op == Op::stof || i.op == Op::utof) return false;
    return is_fp_operation(i) && !(i.op == Op::vun && (VUn(i.sub) == VUn::stof || VUn(i.sub) == VUn::utof));
}

// Is imm an FpArg?
inline bool has_fp_arg(const Inst& i) {
    return is_fp_operation(i) && i.op != Op::fcmp && i.op != Op::vcmp && i.op != Op::vwiden && i.op != Op::flags_fcmp;
}

// May it leave with a fault?
constexpr bool may_fault(const Inst& i) { return traits(i.op) & trait::fault; }

// Without side effects: may go when nobody uses its value, may be done twice. `fp_flags` is GuestState's.
inline bool is_pure(const Unit& unit, const Inst& i, u32 fp_flags) {
    const u8 t = traits(i.op);
    if (!(t & trait::maybe_pure)) [[likely]]
        return t & trait::pure;
    if (i.op == Op::call) return unit.calls[CallArg::from(i.imm).callee]->effects == Intrinsic::pure;
    if (is_fp_operation(i)) return fp_flags == 0;
    auto kinds = kinds_of(i.op);
    return kinds.empty() || kinds[i.sub].effect == 'P' || !(fp_flags & fpflag::saturated);
}

// Scalar comparisons of floating point.
inline bool compares_fp(const Inst& i) { return i.op == Op::fcmp || i.op == Op::flags_fcmp; }
// Two of them, if they raise the same exceptions.
inline bool raise_alike(const Inst& x, const Inst& y) {
    auto signals = [](const Inst& i) { return i.op == Op::fcmp ? i.imm != 0 : i.sub != 0; };
    return x.type == y.type && signals(x) == signals(y) && ((x.a == y.a && x.b == y.b) || (x.a == y.b && x.b == y.a));
}
// Sees the sticky flags, or changes what a comparison raises.
inline bool minds_exceptions(const Inst& i) {
    const char effect = info(i.op).effect;
    return (effect != 'P' && effect != 'S' && effect != 'E') || i.op == Op::fpflags || i.op == Op::fpflags_set ||
           i.op == Op::fpmode_set;
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
