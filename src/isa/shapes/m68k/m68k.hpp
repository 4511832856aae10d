// 68000, a few rows: instructions whose effective addresses take extension words of their own.
// M68000 Family Programmer's Reference Manual (1992), 2.2 effective addressing modes, 4 integer instructions. Modes of
// the 68000 and 68010 only; traps other than TRAP, and odd addresses, are not there.
#pragma once
#include "isa/pattern_guest.hpp"

namespace mimic::isa::m68k {

using ir::Type;
using ir::Val;

// Slots: d0..d7, a0..a7, ccr (C V Z N), x (the extend bit).
inline constexpr u16 slot_d = 0, slot_a = 8, slot_ccr = 16, slot_x = 17, slot_count = 18;
extern const ir::GuestState state_m68k;

// The bits of a pattern are numbered from 63 down: the opcode word is 63..48, whatever follows it.
inline constexpr Field mode{"mode", Kind::bits, {{51, 3}}}, reg{"reg", Kind::bits, {{48, 3}}},
    dmode{"dmode", Kind::bits, {{54, 3}}}, dreg{"dreg", Kind::bits, {{57, 3}}},
    imm16{"imm16", Kind::integer, {{32, 16}}}, imm32{"imm32", Kind::integer, {{16, 32}}},
    disp8{"disp8", Kind::pcrel, {{48, 8}}, 0, 2}, disp16{"disp16", Kind::pcrel, {{32, 16}}, 0, 2},
    vector{"vector", Kind::bits, {{48, 4}}};

struct M68k;
using I = Insn<M68k>;

// Meanings read and write state through it. Address registers that an effective address steps are written by the row's
// commit(), behind its last access.
class Ir : public ir::Builder {
public:
    explicit Ir(ir::Unit& unit) : Builder(unit, state_m68k) {}
    Val d(i64 n) { return get(u16(slot_d + n), Type::i32); }
    Val a(i64 n) { return stepped_[n] ? stepped_[n] : get(u16(slot_a + n), Type::i32); }
    void d(i64 n, Val v) { put(u16(slot_d + n), v); } // writes the low bytes only
    void step(i64 n, Val v) { stepped_[n] = v; }
    void commit();

private:
    Val stepped_[8];
};

struct M68k {
    using Ir = m68k::Ir;
    struct Context {};
    static Context context(u32) { return {}; }
    static void illegal(Ir& t) { t.trap(ir::TrapKind::illegal, t.pc()); }
    static constexpr u32 address_bits = 32;
    static constexpr Layout layout{.unit = 2, .big = true, .first_is_high = true, .left_aligned = true};
    static constexpr std::array fields{&mode, &reg, &dmode, &dreg, &imm16, &imm32, &disp8, &disp16, &vector};
    static constexpr std::array<std::string_view, 4> operand_names{"ea", "dst", "dn", "an"};
    static const std::array<Operand<M68k>, 4> operands;
    static bool extend(I& i, std::span<const u8> code);
    static void append(const I& i, std::vector<u8>& out);
    static void emit(Ir& t, const I& i) {
        i.row->emit(t, i);
        if (!t.ended()) t.commit();
    }
};

// Operand size in bytes: the last letter of the mnemonic says it.
u32 operand_size(const I& i);
// Words that an effective address takes behind the instruction: 0, 1 or 2; -1: no such mode.
int extension_words(u32 ea_mode, u32 ea_reg, u32 size);

std::unique_ptr<Guest> make();

} // namespace mimic::isa::m68k
