// test-be32: a 32-bit big-endian machine with delay slots, for tests of IR, JIT and faults: rows of MIPS I and II.
// MIPS32 Architecture For Programmers, volume II-A: The MIPS32 Instruction Set (MD00086, 6.06). Privileged
// instructions, coprocessors, LL/SC and floating point are not there; division by zero gives what the IR gives.
//
// A fault or trap in a delay slot leaves the branch's address in pc and mode bit `mode_bd`, as EPC and Cause.BD do; who
// goes on there runs the branch again.
#pragma once
#include "isa/pattern_guest.hpp"

namespace mimic::isa::test_be32 {

using ir::Type;
using ir::Val;

inline constexpr u32 mode_bd = 1;

// Slots: r0..r31 (r0 is never read or written), hi, lo; for the front end: the branch's condition and target.
inline constexpr u16 slot_r = 0, slot_hi = 32, slot_lo = 33, slot_taken = 34, slot_target = 35, slot_count = 36;
extern const ir::GuestState state_be32;

// What a branch leaves to the front end, which takes the delay slot first.
struct Delayed {
    enum Kind : u8 { none, always, conditional, value } kind = none;
    bool likely = false; // the slot is annulled when the branch is not taken
    u64 target = 0;
    ir::ExitHint hint = ir::ExitHint::jump;
};

class Mips : public ir::Builder {
public:
    explicit Mips(ir::Unit& unit) : Builder(unit, state_be32) {}
    Val r(i64 n) { return n == 0 ? imm(0, Type::i32) : get(u16(slot_r + n), Type::i32); }
    void r(i64 n, Val v) {
        if (n != 0) put(u16(slot_r + n), v);
    }
    Val hi() { return get(slot_hi, Type::i32); }
    Val lo() { return get(slot_lo, Type::i32); }
    void hi(Val v) { put(slot_hi, v); }
    void lo(Val v) { put(slot_lo, v); }

    void link(i64 n) { r(n, code_address(pc() + 8, Type::i32)); }
    void branch(Val taken, u64 to, bool likely = false) {
        if (taken.is_const())
            delayed = {taken.const_value() ? Delayed::always : Delayed::conditional, likely, to & 0xffffffff};
        else
            delayed = {Delayed::conditional, likely, to & 0xffffffff};
        if (delayed.kind == Delayed::conditional) put(slot_taken, taken);
    }
    void jump(u64 to, ir::ExitHint hint) { delayed = {Delayed::always, false, to & 0xffffffff, hint}; }
    void jump(Val to, ir::ExitHint hint) {
        put(slot_target, to);
        delayed = {Delayed::value, false, 0, hint};
    }

    Delayed delayed;
};

inline constexpr Field rs{"rs", Kind::bits, {{21, 5}}}, rt{"rt", Kind::bits, {{16, 5}}},
    rd{"rd", Kind::bits, {{11, 5}}}, sa{"sa", Kind::bits, {{6, 5}}}, immediate{"immediate", Kind::integer, {{0, 16}}},
    unsigned_{"unsigned", Kind::bits, {{0, 16}}}, offset{"offset", Kind::pcrel, {{0, 16}}, 2, 4},
    index{"index", Kind::bits, {{0, 26}}, 2}, code{"code", Kind::bits, {{6, 20}}},
    bcode{"bcode", Kind::bits, {{16, 10}}}, tcode{"tcode", Kind::bits, {{6, 10}}};

struct Be32 {
    using Ir = Mips;
    struct Context {};
    static Context context(u32) { return {}; }
    static void illegal(Mips& t) { t.trap(ir::TrapKind::illegal, t.pc()); }
    static constexpr u32 address_bits = 32;
    static constexpr Layout layout{.unit = 4, .big = true};
    static u32 length(u64, const Context&) { return 4; }
    static constexpr std::array fields{&rs,     &rt,    &rd,   &sa,    &immediate, &unsigned_,
                                       &offset, &index, &code, &bcode, &tcode};
    static constexpr std::array<std::string_view, 9> operand_names{"rs",    "rt",   "rd",    "sa",   "unsigned",
                                                                   "index", "code", "bcode", "tcode"};
    static const std::array<Operand<Be32>, 9> operands;
};

using I = Insn<Be32>;
using R = Row<Be32>;

extern const Table<Be32> be32;

} // namespace mimic::isa::test_be32
