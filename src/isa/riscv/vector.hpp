// V, vector operations 1.0: what its files share. The RISC-V Instruction Set Manual, Volume I (20240411), chapter 31.
// VLEN is 128, ELEN is 64. What is behind vl or masked off stays as it was, whatever vta and vma say.
//
// An instruction is one call of a C++ body that works on the state; whether it is legal under vtype is decided when it
// is translated, as vtype is in the mode bits.
#pragma once
#include "isa/riscv/semantics.hpp"
#include "softfloat/softfloat.hpp"
#include <cstring>

namespace mimic::isa::riscv {

using ir::Op;

inline VConfig vconfig(const I& i) { return vconfig(i.context.v); }
inline bool is_full(const I& i) { return i.context.v & mode_v_full; }
// Where the second source comes from.
enum class From : u8 { vector, none, x, imm_signed, imm_unsigned, f };

// Operands of an element-wise instruction: vd, vs2 (a), vs1 or the scalar (b).
struct Shape {
    i8 d = 0, a = 0, b = 0; // log2 of the element's width over SEW
    From from = From::vector;
    bool a_signed = false, b_signed = false; // else zero extended
    bool to_mask = false;                    // the result is a bit
    bool carry = false;                      // v0 is an operand, not a mask
    bool selects = false;                    // with carry: of vmerge, whose sources may not overlap v0
    bool no_a = false;                       // there is no vs2
    bool d_read = false;                     // vd is a source, too (told where widths differ)
    bool d_fp = false, a_fp = false, b_fp = false;
    ir::VNarrow narrow = ir::VNarrow::trunc; // how vd becomes of what is wider
    constexpr bool any_fp() const { return d_fp || a_fp || b_fp; }
    constexpr Shape with(From f) const {
        Shape s = *this;
        s.from = f;
        return s;
    }
};

// One instruction while its body runs.
struct Vec {
    Vec(ir::CpuHeader* cpu, const ir::Wide* args);

    u32 rd, rs1, rs2, nf, width; // fields of the instruction
    bool vm;
    i32 sew, lmul; // as VConfig
    u32 bits;      // SEW
    u64 vl, vstart;
    u64 scalar;
    bool carry = false;     // the operand that v0 is
    u32 vxrm;               // 31.3.8
    bool saturated = false; // raises vxsat
    softfloat::Env env;     // raises fflags
    ir::CpuHeader* cpu;
    u8* v; // v0

    bool bit(u32 reg, u64 n) const { return v[reg * vlen_bytes + n / 8] >> n % 8 & 1; }
    void set_bit(u32 reg, u64 n, bool b) {
        u8& byte = v[reg * vlen_bytes + n / 8];
        byte = u8((byte & ~(1u << n % 8)) | u32(b) << n % 8);
    }
    bool active(u64 n) const { return vm || bit(0, n); }
    // Element n of a group, of 1 << log bytes.
    u8* at(u32 reg, u64 n, i32 log) const { return v + reg * vlen_bytes + (n << log); }
    u64 get(u32 reg, u64 n, i32 log) const {
        u64 e = 0;
        std::memcpy(&e, at(reg, n, log), u64{1} << log);
        return e;
    }
    void set(u32 reg, u64 n, i32 log, u64 e) { std::memcpy(at(reg, n, log), &e, u64{1} << log); }
    static i64 sext(u64 e, i32 log) {
        u32 unused = 64 - (8u << log);
        return i64(e << unused) >> unused;
    }
    static u64 zext(u64 e, i32 log) {
        u32 unused = 64 - (8u << log);
        return e << unused >> unused;
    }
    u64 extend(u64 e, i32 log, bool is_signed) const { return is_signed ? u64(sext(e, log)) : zext(e, log); }
    // What the end of every instruction does: vstart and the flags.
    void finish();
};

// An element of the result from one of vs2, one of the second source (each extended to 64 bits) and the old one of vd.
using ElementFn = u64 (*)(Vec& v, u64 a, u64 b, u64 d);
void run_elements(Vec& v, ElementFn f, const Shape& s);

// 31.5.2: is the group of 1 << log registers (below 0: a part of one) at a register that it may start at?
constexpr bool group_fits(i64 reg, i32 log) { return log >= -3 && log <= 3 && (log <= 0 || reg % (1 << log) == 0); }
// May the groups overlap so? Widths and sizes as log2; a mask has width -3.
bool overlap_fits(i64 d, i32 d_width, i32 d_lmul, i64 rs, i32 s_width, i32 s_lmul);
// 31.5.2: may one instruction read both? A register has one width as a source; a mask's is -3.
bool groups_meet(i64 a, i32 a_lmul, i64 b, i32 b_lmul);
inline bool sources_fit(i64 a, i32 a_width, i32 a_lmul, i64 b, i32 b_width, i32 b_lmul) {
    return a_width == b_width || !groups_meet(a, a_lmul, b, b_lmul);
}
// Is the instruction legal under the vtype of its mode?
bool legal(const I& i, const Shape& s);
inline bool mask_fits(const I& i) { return i[vm] || i[rd] != 0; }
// A group that an instruction reads beside its mask.
inline bool source_fits(const I& i, i64 reg, i32 log) { return group_fits(reg, log) && (i[vm] || reg != 0); }

// The first argument of every body: the instruction, and above it the mode of vtype.
inline Val what(Rv& t, const I& i) { return t.imm(u64(u32(i.bits)) | u64{i.context.v} << 32); }
Val second_source(Rv& t, const I& i, From from);

inline constexpr u8 vector_effects = ir::Intrinsic::reads_state | ir::Intrinsic::writes_state | ir::Intrinsic::reads_fp;

template <ElementFn F, Shape S>
int element_body(ir::CpuHeader* cpu, const ir::Wide* args, ir::Wide*) {
    Vec v(cpu, args);
    run_elements(v, F, S);
    return 0;
}
template <ElementFn F, Shape S>
inline constexpr ir::Intrinsic element_call{
    .name = "riscv_v_elements", .body = element_body<F, S>, .args = 2, .effects = vector_effects};
template <ElementFn F, Shape S>
void call_elements(Rv& t, const I& i) {
    t.call(element_call<F, S>, Type::i64, {what(t, i), second_source(t, i, S.from)});
}
template <ElementFn F, Shape S>
void elements(Rv& t, const I& i) {
    legal(i, S) ? call_elements<F, S>(t, i) : t.illegal();
}

// An instruction with a body of its own. Legal says whether it is under its vtype; the result is the body's.
using VecFn = u64 (*)(Vec& v);
template <VecFn F>
int own_body(ir::CpuHeader* cpu, const ir::Wide* args, ir::Wide* results) {
    Vec v(cpu, args);
    results[0].w[0] = F(v);
    v.finish();
    return 0;
}
template <VecFn F>
inline constexpr ir::Intrinsic own_call{.name = "riscv_v", .body = own_body<F>, .args = 2, .effects = vector_effects};
template <VecFn F>
Val call_own(Rv& t, const I& i, From from = From::none) {
    return t.call(own_call<F>, Type::i64, {what(t, i), second_source(t, i, from)});
}
// After what may have changed vl.
void leave_unless_full(Rv& t);
// Instructions that must begin at element 0 (31.3.7 leaves it to us) look at vstart first.
void trap_unless_from_start(Rv& t);

} // namespace mimic::isa::riscv
