// AArch64: fields, operands and the front end that rows are written against.
// Arm Architecture Reference Manual for A-profile (DDI 0487), C4: A64 instruction set encoding.
#pragma once
#include "ir/builder.hpp"
#include "isa/aarch64/models.hpp"
#include "isa/aarch64/state.hpp"
#include "isa/row.hpp"
#include <array>

namespace mimic::isa::aarch64 {

using ir::Lane;
using ir::Op;
using ir::Type;
using ir::Val;

// Feature of a table whose rows need one feature, or two together.
constexpr u32 needs(Feature a, Feature b) { return u32(a) | u32(b) << 8; }
constexpr u32 needs(Feature a) { return needs(a, a); }

// Meanings read and write state through it.
class A64 : public ir::Builder {
public:
    A64(ir::Unit& unit, const Model& model)
        : Builder(unit, model.has(Feature::system) ? state_aarch64_system : state_aarch64)
        , model_(model) {}
    const Model& model() const { return model_; }
    bool has_system() const { return model_.has(Feature::system); }
    u32 level() const { return mode_fields(mode()).level; }

    // Accesses under the index of the mode, aligned where SCTLR_ELx.A or Device memory wants it.
    Val load(Type t, Val address, ir::MemArg m) { return Builder::load(t, address, placed(m, false)); }
    void store(Val address, Val v, ir::MemArg m) { Builder::store(address, v, placed(m, false)); }
    Val rmw(ir::Rmw o, Val address, Val v, ir::MemArg m) { return Builder::rmw(o, address, v, placed(m, false)); }
    Val cas(Val address, Val expected, Val desired, ir::MemArg m) {
        return Builder::cas(address, expected, desired, placed(m, false));
    }
    // As EL0 would (LDTR, STTR).
    Val load_unprivileged(Type t, Val address, ir::MemArg m) { return Builder::load(t, address, placed(m, true)); }
    void store_unprivileged(Val address, Val v, ir::MemArg m) { Builder::store(address, v, placed(m, true)); }

    // General registers: 31 is the zero register. `t` is i64 or i32; writing a 32-bit value clears the upper half.
    Val x(i64 n) { return n == 31 ? imm(0) : get(u16(slot_x + n), Type::i64); }
    Val r(i64 n, Type t) { return n == 31 ? imm(0, t) : x(n).trunc(t); }
    void x(i64 n, Val v) {
        if (n != 31) put(u16(slot_x + n), v.zext(Type::i64));
    }
    // The same, but 31 is the stack pointer, which is the slot behind x30.
    Val xsp(i64 n) { return get(u16(slot_x + n), Type::i64); }
    Val rsp(i64 n, Type t) { return xsp(n).trunc(t); }
    void xsp(i64 n, Val v) { put(u16(slot_x + n), v.zext(Type::i64)); }

    // SIMD and floating-point registers: a narrower type is the low bits, and writing it clears all bits above.
    Val v(i64 n, Type t) {
        u16 slot = u16(slot_v + n);
        if (Val known = peek(slot); known && t != Type::v128) {
            const ir::Inst& i = inst(known);
            if (i.op == Op::bitcast && result_type(unit().code[i.a]) == t) return {this, i.a};
        }
        return get(slot, t);
    }
    void v(i64 n, Val value) { put(u16(slot_v + n), value.bitcast(Type::v128)); }

    // Condition flags, C inverted.
    Val nzcv() { return get(slot_nzcv, Type::flags); }
    void nzcv(Val flags) { put(slot_nzcv, flags); }
    Val carry() { return cond(ir::Cond::nc, nzcv()); }
    // ConditionHolds (J1.3)
    Val holds(i64 condition);
    // The flags that the four bits N Z C V of an immediate stand for.
    Val flags_of(u32 nzcv);

    // Indirect branches, with PSTATE.BTYPE (D8.4.7): a BR from a guarded page is told from calls and veneers (x16, x17).
    void branch_register(i64 n, Val target) {
        bool veneer = n == 16 || n == 17 || !(unit().key.flavour & ir::flavour::guarded);
        branch_type(veneer ? 1 : 3);
        goto_value(target);
    }
    void call_register(Val target) {
        branch_type(2);
        call_value(target, next_pc());
    }

    void illegal() { trap(ir::TrapKind::illegal, pc()); }

private:
    ir::MemArg placed(ir::MemArg m, bool unprivileged) const {
        ModeFields f = mode_fields(mode());
        m.index = u8(unprivileged ? f.unprivileged : f.data);
        if (mode() & mode_aligned) m.align = ir::Align::natural;
        return m;
    }
    void branch_type(u32 btype) {
        if (unit().key.flavour & ir::flavour::entry_mode && model_.has(Feature::bti)) set_entry_mode(btype);
    }
    const Model& model_;
};

constexpr Field bit_field(std::string_view name, u8 lo, u8 len) { return {name, Kind::bits, {{lo, len}}}; }

// Fields, named as the manual names them; the manual uses some names for several places, then the place is added.
inline constexpr Field sf = bit_field("sf", 31, 1), Rd = bit_field("Rd", 0, 5), Rn = bit_field("Rn", 5, 5),
                       Rm = bit_field("Rm", 16, 5), Ra = bit_field("Ra", 10, 5), Rt = bit_field("Rt", 0, 5),
                       Rt2 = bit_field("Rt2", 10, 5), Rs = bit_field("Rs", 16, 5), shift = bit_field("shift", 22, 2),
                       sh = bit_field("sh", 22, 1), imm6 = bit_field("imm6", 10, 6), imm12 = bit_field("imm12", 10, 12),
                       imm3 = bit_field("imm3", 10, 3), option = bit_field("option", 13, 3),
                       imm16 = bit_field("imm16", 5, 16), hw = bit_field("hw", 21, 2), N = bit_field("N", 22, 1),
                       immr = bit_field("immr", 16, 6), imms = bit_field("imms", 10, 6),
                       cond_ = bit_field("cond", 12, 4), cond0 = bit_field("cond0", 0, 4),
                       nzcv_ = bit_field("nzcv", 0, 4), imm5 = bit_field("imm5", 16, 5), CRm = bit_field("CRm", 8, 4),
                       CRn = bit_field("CRn", 12, 4), op1 = bit_field("op1", 16, 3), op2 = bit_field("op2", 5, 3),
                       o0 = bit_field("o0", 19, 1), S = bit_field("S", 12, 1), imm8 = bit_field("imm8", 13, 8),
                       scale = bit_field("scale", 10, 6), Q = bit_field("Q", 30, 1), udf16 = bit_field("udf16", 0, 16),
                       imm8u = bit_field("imm8u", 10, 8), imm6r = bit_field("imm6r", 15, 6),
                       mask4 = bit_field("mask4", 0, 4), sf30 = bit_field("sf30", 30, 1), A23 = bit_field("A23", 23, 1),
                       R22 = bit_field("R22", 22, 1), L22 = bit_field("L22", 22, 1), o15 = bit_field("o15", 15, 1),
                       lh = bit_field("lh", 11, 1);
inline constexpr Field imm10{"imm10", Kind::integer, {{22, 1}, {12, 9}}};
inline constexpr Field imm9{"imm9", Kind::integer, {{12, 9}}}, imm7{"imm7", Kind::integer, {{15, 7}}},
    imm8s{"imm8s", Kind::integer, {{10, 8}}}, imm19{"imm19", Kind::pcrel, {{5, 19}}, 2},
    imm26{"imm26", Kind::pcrel, {{0, 26}}, 2}, imm14{"imm14", Kind::pcrel, {{5, 14}}, 2},
    immhilo{"immhilo", Kind::pcrel, {{5, 19}, {29, 2}}}, b5b40{"b5b40", Kind::bits, {{31, 1}, {19, 5}}},
    bitmask{"bitmask", Kind::bits, {{22, 1}, {16, 6}, {10, 6}}}, hint7{"hint7", Kind::bits, {{8, 4}, {5, 3}}},
    sysreg{"sysreg", Kind::bits, {{19, 1}, {16, 3}, {12, 4}, {8, 4}, {5, 3}}};
// Advanced SIMD
inline constexpr Field size_ = bit_field("size", 22, 2), sz = bit_field("sz", 22, 1), immh = bit_field("immh", 19, 4),
                       immb = bit_field("immb", 16, 3), imm5v = bit_field("imm5v", 16, 5),
                       imm4v = bit_field("imm4v", 11, 4), ext4 = bit_field("ext4", 11, 4),
                       len_ = bit_field("len", 13, 2), opcode4 = bit_field("opcode4", 12, 4),
                       ldsize = bit_field("ldsize", 10, 2), Sld = bit_field("Sld", 12, 1),
                       cmode = bit_field("cmode", 12, 4), opm = bit_field("opm", 29, 1), L_ = bit_field("L", 21, 1),
                       M_ = bit_field("M", 20, 1), H_ = bit_field("H", 11, 1), Rm4 = bit_field("Rm4", 16, 4),
                       rot = bit_field("rot", 11, 2), rotx = bit_field("rotx", 13, 2), rota = bit_field("rota", 12, 1),
                       imm2 = bit_field("imm2", 12, 2), options = bit_field("options", 12, 4),
                       options2 = bit_field("options2", 12, 2), domain = bit_field("domain", 10, 2);
inline constexpr Field rprfop{"rprfop", Kind::bits, {{15, 1}, {13, 1}, {12, 1}, {0, 3}}};
inline constexpr Field abcdefgh{"abcdefgh", Kind::bits, {{16, 3}, {5, 5}}}, immhb{"immhb", Kind::bits, {{16, 7}}};

// Groups of tables: instructions that are trapped with accesses to SIMD and FP registers (CPACR_EL1.FPEN and its kin).
inline constexpr u32 fp_registers = 1;

struct AArch64 {
    using Ir = A64;
    struct Context {
        u32 refused = 0; // mode_fp_traps, mode_illegal: what some or all instructions trap by
    };
    static Context context(u32 mode) { return {mode & (mode_fp_traps | mode_illegal)}; }
    static void illegal(A64& t) { t.illegal(); }
    static void emit(A64& t, const Insn<AArch64>& i) {
        if (i.context.refused && !may_run(t, i)) return;
        i.row->emit(t, i);
    }
    // False: emitted what happens instead. privileged_rows.cpp
    static bool may_run(A64& t, const Insn<AArch64>& i);
    static constexpr Layout layout{.unit = 4, .big = false, .first_is_high = true};
    static u32 length(u64, const Context&) { return 4; }
    static constexpr std::array fields{
        &sf,    &Rd,     &Rn,       &Rm,    &Ra,      &Rt,       &Rt2,     &Rs,     &shift,  &sh,    &imm6, &imm12,
        &imm3,  &option, &imm16,    &hw,    &N,       &immr,     &imms,    &cond_,  &cond0,  &nzcv_, &imm5, &CRm,
        &CRn,   &op1,    &op2,      &o0,    &S,       &imm8,     &scale,   &Q,      &udf16,  &imm8u, &imm9, &imm7,
        &imm8s, &imm19,  &imm26,    &imm14, &immhilo, &b5b40,    &bitmask, &hint7,  &sysreg, &size_, &sz,   &immh,
        &immb,  &imm5v,  &imm4v,    &ext4,  &len_,    &opcode4,  &ldsize,  &Sld,    &cmode,  &opm,   &L_,   &M_,
        &H_,    &Rm4,    &abcdefgh, &immhb, &imm6r,   &mask4,    &sf30,    &A23,    &R22,    &L22,   &o15,  &lh,
        &rot,   &rotx,   &rota,     &imm2,  &options, &options2, &rprfop,  &domain, &imm10};
    // Operands that do not print as plain numbers: text.cpp.
    static constexpr std::array operand_names = std::to_array<std::string_view>(
        {"Rd",     "RdSP",    "Rn",      "RnSP",    "Rm",       "Ra",       "RnF",    "Rt",     "Rtb",    "Rt30",
         "Rt30c",  "Rs30F",   "Rt230",   "Rsp",     "Rsp1",     "Rtp",      "Rtp1",   "Xd",     "Xn",     "Xm",
         "Xa",     "Xt",      "Xt2",     "Wd",      "Wn",       "Wm",       "Wt",     "Wt2",    "Ws",     "XnSP",
         "page",   "imm12sh", "bitmask", "imm16hw", "shifted",  "extended", "nzcv",   "imm5",   "cond",   "cond0",
         "imm16",  "hint7",   "clrex",   "barrier", "isb",      "ret",      "sysreg", "sys",    "sysxt",  "off1",
         "off2",   "off4",    "off8",    "off16",   "off9",     "index",    "pair4",  "pair8",  "pair16", "pair4p",
         "pair8p", "pair16p", "prfop",   "fpimm",   "fbits",    "alc",      "al",     "Fd",     "Fn",     "Fm",
         "Fa",     "FnF",     "Bt",      "Ht",      "St",       "Dt",       "Qt",     "St2",    "Dt2",    "Qt2",
         "Sd",     "Sn",      "Dd",      "Dn",      "Hd",       "Hn",       "Vd",     "Vn",     "VdT",    "VdB",
         "VdF",    "VdW",     "SdT",     "SdF",     "VnT",      "VnB",      "VnF",    "VnW",    "SnT",    "SnF",
         "VmT",    "VmB",     "VmF",     "VmW",     "SmT",      "SmF",      "VdTq",   "VnTq",   "VmTq",   "VnTS",
         "VnTc",   "VdP",     "VnFp",    "VdFn",    "VnFn",     "VdFw",     "VnFw",   "SdLong", "2",      "shll",
         "VdI",    "VnI",     "VdIq",    "VnIq",    "VdIw",     "VnIw",     "shr",    "shl",    "DdI",    "VdDup",
         "VnDup",  "Rn5",     "VnE",     "VdE",     "VnE4",     "Sd5",      "Vd2s",   "Vd4h",   "imm8v",  "imm64v",
         "fpimmv", "tbl1",    "list1",   "step1",   "stepr1",   "blane1",   "stepb1", "hlane1", "steph1", "slane1",
         "steps1", "dlane1",  "stepd1",  "tbl2",    "list2",    "step2",    "stepr2", "blane2", "stepb2", "hlane2",
         "steph2", "slane2",  "steps2",  "dlane2",  "stepd2",   "tbl3",     "list3",  "step3",  "stepr3", "blane3",
         "stepb3", "hlane3",  "steph3",  "slane3",  "steps3",   "dlane3",   "stepd3", "tbl4",   "list4",  "step4",
         "stepr4", "blane4",  "stepb4",  "hlane4",  "steph4",   "slane4",   "steps4", "dlane4", "stepd4", "SnLong",
         "SdI",    "SnI",     "SnIw",    "VmEl",    "Vm",       "Va",       "Qd",     "Qn",     "Hm",     "Vn4h",
         "Vn4hF",  "Vm4h",    "Vn2h",    "Vm2h",    "VmHEl",    "VmHc",     "VmSc",   "VmBs",   "VmHs",   "rot",
         "rotx",   "rota",    "Xs",      "options", "options2", "rprfop",   "domain", "XdSP",   "XmSP",   "off10"});
    static const std::array<Operand<AArch64>, operand_names.size()> operands;
};

using I = Insn<AArch64>;
using R = Row<AArch64>;

// The element of Vm that an indexed form reads: H:L:M tells which halfword of v0 to v15, H:L which word, H which
// doubleword of v0 to v31.
inline i64 element_index(const I& i) {
    i64 all = i[H_] << 2 | i[L_] << 1 | i[M_];
    return i[size_] == 1 ? all : all >> (i[size_] - 1);
}
inline i64 element_register(const I& i) { return i[Rm4] | (i[size_] == 1 ? 0 : i[M_] << 4); }

} // namespace mimic::isa::aarch64
