// The syntax of each operation's line after its name: one list that printer and parser both walk. Internal to the room.
#pragma once
#include "ir/operands.hpp"

namespace mimic::ir {

// t type           l type.lane        L lane            a b c operands (? after it: may be absent)
// A B operand whose type is Inst::type                  k value of a constant
// i imm            e imm, hexadecimal  p imm.pos, imm.len
// s slot           S slot[index of count by stride]      d slot numbered c
// m [a + disp]     g [a]              v operand in Unit::extra[disp]
// M memory type, extension ...         G extension and scale of gather's offsets
// f FpArg          x "inverted": imm bit 0               q "signaling": imm bit 0    w "swapped": imm bit 0
// 1 block b        2 block c          j arguments of br  n callee(arguments)
// N sub            h table of vshuffle o "mode" c
constexpr const char* syntax_of(Op op) {
    switch (op) {
    case Op::nop: return "";
    case Op::constant: return "tk";
    case Op::code_address: return "te";
    case Op::get: return "ts";
    case Op::put: return "sA";
    case Op::get_idx: return "tS";
    case Op::put_idx: return "SB";
    case Op::arg: return "ti";
    case Op::bswap:
    case Op::clz:
    case Op::ctz:
    case Op::popcnt:
    case Op::bitrev:
    case Op::not_:
    case Op::neg:
    case Op::sext:
    case Op::zext:
    case Op::trunc:
    case Op::half:
    case Op::bitcast:
    case Op::fneg:
    case Op::fabs:
    case Op::fbox:
    case Op::funbox: return "ta";
    case Op::ubfx:
    case Op::sbfx: return "tap";
    case Op::bfi: return "tabp";
    case Op::select: return "tabc";
    case Op::flags_add:
    case Op::flags_sub: return "tabc?x";
    case Op::flags_logic: return "tax";
    case Op::flags_fcmp: return "tabx";
    case Op::flags_from:
    case Op::flags_bits: return "a";
    case Op::flags_merge: return "abe";
    case Op::cond: return "ax";
    case Op::load: return "tmM";
    case Op::store: return "mBM";
    case Op::rmw: return "tmbM";
    case Op::cas: return "tmbcM";
    case Op::fence: return "i";
    case Op::probe: return "ab";
    case Op::load_mask: return "lmbc?M";
    case Op::store_mask: return "lmbcM";
    case Op::gather: return "lmbc?GM";
    case Op::scatter: return "lgvbc?GM";
    case Op::load_ff: return "lmbdM";
    case Op::insn: return "eNo";
    case Op::br: return "1j";
    case Op::brcond: return "a12";
    case Op::exit: return "eo";
    case Op::exit_ind: return "ao";
    case Op::trap: return "eb?";
    case Op::call: return "tn";
    case Op::result: return "taN";
    case Op::fsqrt:
    case Op::fround:
    case Op::fcvt:
    case Op::ftos:
    case Op::ftou:
    case Op::stof:
    case Op::utof: return "taf";
    case Op::fma: return "tabcf";
    case Op::fadd:
    case Op::fsub:
    case Op::fmul:
    case Op::fdiv:
    case Op::fmin:
    case Op::fmax: return "tabf";
    case Op::fcmp: return "tabq";
    case Op::fpflags: return "";
    case Op::fpflags_set:
    case Op::fpmode_set: return "a";
    case Op::vbin: return "labc?f";
    case Op::vun:
    case Op::vreduce: return "laf";
    case Op::vtern: return "labcf";
    case Op::vshift: return "lai";
    case Op::vcmp: return "labw";
    case Op::vsplat:
    case Op::vwiden: return "la";
    case Op::vget:
    case Op::vlanes: return "lai";
    case Op::vset: return "labi";
    case Op::vshuffle: return "tabh";
    case Op::vtbl: return "tab";
    case Op::vnarrow: return "lab?f";
    case Op::vzip: return "lab";
    case Op::vext: return "tabi";
    case Op::vbits:
    case Op::mask_lt:
    case Op::mask_count: return "La";
    case Op::mask_op: return "ab";
    case Op::vselect: return "labc";
    default: return "tab"; // the two-operand integer operations and fcopysign
    }
}

constexpr std::string_view order_names[] = {"plain", "acquire", "release", "acq_rel", "seq_cst"};
constexpr std::string_view align_names[] = {"any", "natural", "atomic16"};
constexpr std::string_view round_names[] = {"nearest_even", "toward_zero", "down", "up", "nearest_away"};

} // namespace mimic::ir
