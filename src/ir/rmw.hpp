// What an atomic read-modify-write stores (Op::rmw): for every implementation of ir::Access.
#pragma once
#include "ir/unit.hpp"

namespace mimic::ir {

// `op` over the old value and the operand, of `bytes` bytes (1 to 8); bits of the result above them mean nothing.
inline u64 apply(Rmw op, u64 v, u64 operand, u32 bytes) {
    u32 shift = 64 - 8 * bytes;
    i64 sv = i64(v << shift), so = i64(operand << shift);
    u64 uv = v << shift, uo = operand << shift;
    switch (op) {
    case Rmw::add: return v + operand;
    case Rmw::sub: return v - operand;
    case Rmw::and_: return v & operand;
    case Rmw::or_: return v | operand;
    case Rmw::xor_: return v ^ operand;
    case Rmw::andn: return v & ~operand;
    case Rmw::swap: return operand;
    case Rmw::smin: return sv < so ? v : operand;
    case Rmw::smax: return sv > so ? v : operand;
    case Rmw::umin: return uv < uo ? v : operand;
    case Rmw::umax: return uv > uo ? v : operand;
    }
    return v;
}

} // namespace mimic::ir
