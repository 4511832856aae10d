// What meanings of x86 rows are written against.
#pragma once
#include "ir/builder.hpp"
#include "isa/x86/insn.hpp"
#include "isa/x86/state.hpp"

namespace mimic::isa::x86 {

using ir::Cond;
using ir::Type;
using ir::Val;
namespace flag = ir::flag;

enum : u8 { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi };

constexpr Type int_type(u32 bytes) {
    return bytes == 1   ? Type::i8
           : bytes == 2 ? Type::i16
           : bytes == 4 ? Type::i32
           : bytes == 8 ? Type::i64
                        : Type::i128;
}

struct Model {
    std::string_view name;
    u32 features; // bit per Feature
    constexpr bool has(Feature f) const { return features >> u32(f) & 1; }
};

// A place that an operand names.
struct Place {
    bool memory = false;
    u8 reg = 0;
    bool high = false; // AH CH DH BH
    Type type = Type::i64;
    Val address;
};

class X86 : public ir::Builder {
public:
    X86(ir::Unit& unit, const Model& model) : Builder(unit, state_x86_64), model_(model) {}
    const Model& model() const { return model_; }

    // Registers by width. Writing 32 bits clears the upper half (SDM vol. 1, 3.4.1.1), 8 and 16 leave the rest.
    Val r(u8 n, Type t = Type::i64) { return get(u16(slot_r + n), t); }
    void r(u8 n, Val v) { put(u16(slot_r + n), v.type() == Type::i32 ? v.zext(Type::i64) : v); }

    Val xmm(u8 n, Type t = Type::v128) { return get(u16(slot_xmm + n), t); }
    void xmm(u8 n, Val v) { put(u16(slot_xmm + n), v); }

    Val flags() { return get(slot_flags, Type::flags); }
    void flags(Val f) { put(slot_flags, f); }
    // Changes some flags.
    void flags(Val f, u32 mask) { flags(flags_merge(flags(), f, mask)); }
    Val carry() { return cond(Cond::c, flags()); }
    // The condition of a cc opcode (SDM vol. 1, appendix B).
    Val holds(u8 opcode);
    // Flags from single bits (i1): CF and OF.
    Val carry_overflow(Val c, Val v);

    // Memory. x86 orders loads as acquire and stores as release (vol. 3, 8.2.2).
    Val load(Val address, Type t, Type as = Type::none);
    void store(Val address, Val v);
    Val address(const I& i);
    Val segment_base(u8 prefix); // none: no base

    // Integer operands.
    Place place(const I& i, u32 n);
    Val read(const Place& p);
    void write(const Place& p, Val v);
    Val read(const I& i, u32 n) { return is_imm(i, n) ? imm_of(i, n) : read(place(i, n)); }
    void write(const I& i, u32 n, Val v) { write(place(i, n), v); }

    // xmm operands: the low part as a scalar of type t, or the whole. A 128-bit memory operand must be aligned unless
    // the row says otherwise.
    Val scalar(const I& i, u32 n, Type t);
    Val vector(const I& i, u32 n, bool aligned = true);
    void vector(const I& i, u32 n, Val v, bool aligned = true);

    // `v` := f(v) at a locked memory operand, by compare and swap; gives the old value, which is valid behind.
    template <class F>
    Val locked(const I& i, u32 n, F&& f) {
        Type t = int_type(i.bytes(n));
        ir::BlockId loop = new_block(), done = new_block();
        br(loop);
        start_block(loop);
        Val a = address(i), old = load(a, t);
        put(slot_temp, old);
        Val got = cas(a, old, f(old), {.memory = t, .order = ir::Order::seq_cst});
        brcond(got == old, done, loop);
        start_block(done);
        return get(slot_temp, t);
    }

    void push(Val v);
    void illegal() { trap(ir::TrapKind::illegal, pc()); }

private:
    static bool is_imm(const I& i, u32 n) { return i.kind(n).where == Where::imm; }
    Val imm_of(const I& i, u32 n) { return imm(u64(i.imm), int_type(i.bytes(n))); }

    const Model& model_;
};

} // namespace mimic::isa::x86
