// test-vl: a machine of our own for tests of IR, JIT and faults: instructions of 16, 32 and 48 bits, condition codes, an
// indexed register file, predicated instructions.
//
// State: r0..r15 of 64 bits; r15 is the stack pointer by habit. A file of 64 registers of 64 bits, of which sixteen,
// w0..w15, are seen at a time: wN is element (base + N) mod 64. Flags N Z C V, C being the borrow of a subtraction.
// Memory is little-endian, addresses have 64 bits, accesses need no alignment.
//
// The first unit's bits 15 and 14 tell the length: 0x two bytes, 10 four, 11 six. Units are little-endian, the first is
// the most significant of a pattern.
//
//   00 op    rd rs            two bytes. op: mov add sub cmp and or xor adc sbb shl shr, getw putw (the file), turn (base
//                             += rs, the old base to rd), jmp and call (through rs), and what needs no operand
//   01 cond  disp10           b.cond: to the next instruction + 2 * disp10; cond 15 is nv: never
//   10 op    rd rs imm16      four bytes. addi (flags), movi, lsl/lsr/asr by imm, mul div, loads and stores at rs + imm16,
//                             swap and xadd (atomic, 64 bits), bz/bnz rd to a distance
//   10 11111x rd rs ...       predicated by cond: add rd, rs, rt without flags; ld rd, [rs + imm8]: a predicated load
//                             touches memory only when cond holds
//   11 op    rd rs imm32      six bytes. movi addi ld st at rs + imm32, ldx rd, [rs + rt << s + imm], jmp and call to a
//                             distance, setw (constant into the file)
//
// Conditions 0..13: eq ne cs cc mi pl vs vc hi ls ge lt gt le; al, nv.
// Flags: add adc addi sub sbb cmp set all; and or xor set N Z and clear C V; the rest sets none.
// Traps: sys (system call, detail imm), brk, undefined encodings, div by zero (TrapKind::divide; rd stays).
// Predicates and meanings are in rows.cpp, one line each.
#pragma once
#include "isa/pattern_guest.hpp"

namespace mimic::isa::test_vl {

using ir::Type;
using ir::Val;

inline constexpr u32 file_count = 64;
inline constexpr u16 slot_r = 0, slot_flags = 16, slot_base = 17, slot_file = 18, slot_count = slot_file + file_count;
extern const ir::GuestState state_vl;

class Vl : public ir::Builder {
public:
    explicit Vl(ir::Unit& unit) : Builder(unit, state_vl) {}
    Val r(i64 n) { return get(u16(slot_r + n), Type::i64); }
    void r(i64 n, Val v) { put(u16(slot_r + n), v); }
    Val flags() { return get(slot_flags, Type::flags); }
    void flags(Val f) { put(slot_flags, f); }
    Val base() { return get(slot_base, Type::i64); }
    Val w(i64 n) { return get_index(slot_file, base() + n, file_count, Type::i64, 8); }
    void w(i64 n, Val v) { put_index(slot_file, base() + n, file_count, v, 8); }
    Val holds(i64 c);
};

inline constexpr Field rd{"rd", Kind::bits, {{52, 4}}}, rs{"rs", Kind::bits, {{48, 4}}},
    cond{"cond", Kind::bits, {{58, 4}}}, disp10{"disp10", Kind::pcrel, {{48, 10}}, 1, 2},
    imm16{"imm16", Kind::integer, {{32, 16}}}, disp16{"disp16", Kind::pcrel, {{32, 16}}, 1, 4},
    imm32{"imm32", Kind::integer, {{16, 32}}}, disp32{"disp32", Kind::pcrel, {{16, 32}}, 1, 6},
    pcond{"pcond", Kind::bits, {{44, 4}}}, rt{"rt", Kind::bits, {{40, 4}}}, imm8{"imm8", Kind::integer, {{32, 8}}},
    xt{"xt", Kind::bits, {{44, 4}}}, scale{"scale", Kind::bits, {{42, 2}}}, imm26{"imm26", Kind::integer, {{16, 26}}},
    sys{"sys", Kind::bits, {{48, 8}}}, amount{"amount", Kind::bits, {{32, 6}}};

struct TestVl {
    using Ir = Vl;
    struct Context {};
    static Context context(u32) { return {}; }
    static void illegal(Vl& t) { t.trap(ir::TrapKind::illegal, t.pc()); }
    static constexpr Layout layout{.unit = 2, .big = false, .first_is_high = true, .left_aligned = true};
    static u32 length(u64 unit, const Context&) { return unit < 0x8000 ? 2 : unit < 0xc000 ? 4 : 6; }
    static constexpr std::array fields{&rd,    &rs, &cond, &disp10, &imm16, &disp16, &imm32, &disp32,
                                       &pcond, &rt, &imm8, &xt,     &scale, &imm26,  &sys,   &amount};
    static constexpr std::array<std::string_view, 8> operand_names{"rd", "rs", "rt", "xt", "wd", "ws", "cond", "pcond"};
    static const std::array<Operand<TestVl>, 8> operands;
};

using I = Insn<TestVl>;
using R = Row<TestVl>;

extern const Table<TestVl> vl;

} // namespace mimic::isa::test_vl
