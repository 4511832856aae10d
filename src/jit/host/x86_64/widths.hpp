// Widths of integer values in general registers.
#pragma once
#include "jit/host/x86_64/lower.hpp"

namespace mimic::jit::x86 {

// Arithmetic on narrow values is done on 32 bits.
inline Type wide(Type t) { return t == Type::i64 ? Type::i64 : Type::i32; }
inline bool native(Type t) { return t == Type::i64 || t == Type::i32; }
inline bool small(Type t) { return t == Type::i8 || t == Type::i16 || t == Type::i1; }

inline asmjit::x86::Gp as(asmjit::x86::Gp r, Type t) {
    switch (ir::size_of(t)) {
    case 1: return r.r8();
    case 2: return r.r16();
    case 8: return r.r64();
    default: return r.r32();
    }
}

} // namespace mimic::jit::x86
