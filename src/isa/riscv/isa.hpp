// RISC-V: fields, operands and the front end that rows are written against.
// The RISC-V Instruction Set Manual, Volume I, Unprivileged (20240411): instruction formats in 2.2, 2.3 and 27.
#pragma once
#include "ir/builder.hpp"
#include "isa/riscv/state.hpp"
#include "isa/row.hpp"
#include <array>

namespace mimic::isa::riscv {

using ir::Type;
using ir::Val;

// Extensions that a CPU model may have or lack, each a table of rows.
enum class Ext : u32 {
    i,
    m,
    a,
    f,
    d,
    zca,
    zcd,
    zba,
    zbb,
    zbc,
    zbs,
    zicond,
    zicsr,
    zifencei,
    zicntr,
    zicbom,
    zicboz,
    zicbop,
    zfhmin,
    zfh,
    zfa,
    zacas,
    zawrs,
    v, // of user mode only
    svinval,
    smaia,  // AIA at machine and supervisor level; of machines only
    ssaia,  // AIA at supervisor level
    sdtrig, // debug triggers; of machines only
    system, // the privileged side: the system form of a model has it, that for user mode does not
    count
};

struct Model {
    std::string_view name;
    u64 extensions; // bit per Ext
    constexpr bool has(Ext e) const { return extensions >> u32(e) & 1; }
};

inline const ir::GuestState& state_of(const Model& m) {
    return m.has(Ext::system) ? state_rv64_system : m.has(Ext::v) ? state_rv64_vectors : state_rv64;
}

// Feature of a table whose rows need one extension, or two together.
constexpr u32 needs(Ext a, Ext b) { return u32(a) | u32(b) << 8; }
constexpr u32 needs(Ext a) { return needs(a, a); }

// Mode bits of the block key. With a reserved rounding mode in frm, instructions that round dynamically are illegal
// (20.2); that is decided when they are decoded, so that the others need no check. So is a rounding mode that hosts may
// lack: nearest, ties away from zero.
inline constexpr u32 mode_bad_frm = 1, mode_away = 2, frm_away = 4;
constexpr u32 mode_of_frm(u32 frm) { return frm > frm_away ? mode_bad_frm : frm == frm_away ? mode_away : 0; }
// In the system form also: the privilege, what mstatus.FS says, and the index of data accesses (State::mode). With FS
// off, floating-point instructions are illegal; with FS initial or clean, they first make it dirty.
struct ModeFields {
    u32 frm = 0; // mode_of_frm
    u32 privilege = 0;
    bool fs_off = false, fs_clean = false;
    u32 data = 0;
    u32 v = 0; // mode_of_vtype
    bool debug = false;
};
// Of V: vtype's vlmul and vsew with bit 5 above them, or 0 while vill is set, which makes most instructions illegal. Bit
// 6: vl is VLMAX and vstart is 0, so that instructions without a mask have whole registers.
inline constexpr u32 mode_v_at = 9, mode_v = 127 << mode_v_at, mode_v_valid = 32, mode_v_full = 64;
constexpr u32 mode_of_vtype(u64 slot) { return slot & vtype_vill ? u32(slot & 31) | mode_v_valid : 0; }
// vtype as numbers: log2 of SEW in bytes and of LMUL.
struct VConfig {
    bool valid = false;
    i32 sew = 0, lmul = 0;
};
constexpr VConfig vconfig(u32 mode) { // mode_of_vtype
    i32 lmul = i32(mode & 7);
    return {bool(mode & mode_v_valid), i32(mode >> 3 & 3), lmul < 4 ? lmul : lmul - 8};
}
constexpr u64 vlmax(VConfig c) {
    u64 elements = vlen_bytes >> c.sew;
    return c.lmul < 0 ? elements >> -c.lmul : elements << c.lmul;
}
// mode_v's bits for a state: vtype's slot, vl and vstart.
constexpr u32 mode_of_v(u64 slot, u64 vl, u64 vstart) {
    const u32 v = mode_of_vtype(slot);
    return (v && vstart == 0 && vl == vlmax(vconfig(v)) ? v | mode_v_full : v) << mode_v_at;
}
// In the system form, which has no vectors: triggers may match instructions or count them (System::debug_mode).
inline constexpr u32 mode_debug = 1 << mode_v_at;
inline constexpr u32 mode_frm = mode_bad_frm | mode_away, mode_fs_off = 16, mode_fs_clean = 32;
constexpr u32 mode_of(const ModeFields& f) {
    return f.frm | f.privilege << 2 | (f.fs_off ? mode_fs_off : 0) | (f.fs_clean ? mode_fs_clean : 0) | f.data << 6 |
           f.v << mode_v_at | (f.debug ? mode_debug : 0);
}
constexpr ModeFields mode_fields(u32 m) {
    return {m & mode_frm, m >> 2 & 3, bool(m & mode_fs_off), bool(m & mode_fs_clean), m >> 6 & 7, m >> mode_v_at & 127};
}
// Indices of accesses: U, S, S with SUM, M; then U, S and S with SUM with MXR. Fetches have the first of their privilege.
inline constexpr u32 data_indices = 7;
constexpr u32 data_index(u32 privilege, bool sum, bool mxr) {
    if (privilege == 3) return 3;
    return (privilege == 0 ? 0 : sum ? 2 : 1) + (mxr ? 4 : 0);
}

// Meanings read and write state through it.
class Rv : public ir::Builder {
public:
    Rv(ir::Unit& unit, const Model& model) : Builder(unit, state_of(model)), model_(model) {}
    const Model& model() const { return model_; }
    bool has_system() const { return model_.has(Ext::system); }

    // Accesses under the index of the mode.
    Val load(Type t, Val address, ir::MemArg m) { return Builder::load(t, address, indexed(m)); }
    void store(Val address, Val v, ir::MemArg m) { Builder::store(address, v, indexed(m)); }
    Val rmw(ir::Rmw o, Val address, Val v, ir::MemArg m) { return Builder::rmw(o, address, v, indexed(m)); }
    Val cas(Val address, Val expected, Val desired, ir::MemArg m) {
        return Builder::cas(address, expected, desired, indexed(m));
    }

    // Integer registers; x0 reads as zero and swallows writes.
    Val x(i64 n) { return n == 0 ? imm(0) : get(u16(slot_x + n), Type::i64); }
    void x(i64 n, Val v) {
        if (n != 0) put(u16(slot_x + n), v);
    }
    // Low 32 bits, and writing a 32-bit result sign-extended.
    Val w(i64 n) { return x(n).trunc(Type::i32); }
    void w(i64 n, Val v) { x(n, v.sext(Type::i64)); }

    // Floating-point registers. A format narrower than the register stands NaN-boxed in it (21.2): read as a number, it
    // is the canonical NaN unless its box is intact.
    Val f(i64 n, Type t) {
        Val boxed = f64(n);
        if (t == Type::f64) return boxed;
        if (is_box_of(boxed, t)) return {this, inst(boxed).a};
        ir::ValueId& last = unboxed_[n]; // looked at once for all its uses
        if (last < unit().code.size())
            if (const ir::Inst& i = unit().code[last]; i.op == ir::Op::funbox && i.type == t && i.a == boxed.id())
                return {this, last};
        Val v = op(ir::Op::funbox, t, boxed);
        last = v.id();
        return v;
    }
    void f(i64 n, Val v) { put(u16(slot_f + n), v.type() == Type::f64 ? v : op(ir::Op::fbox, Type::f64, v)); }
    // The low bits as they are.
    Val f_bits(i64 n, Type t) {
        Val known = peek(u16(slot_f + n));
        if (known && is_box_of(known, t)) return {this, inst(known).a};
        return get(u16(slot_f + n), t);
    }

    void illegal() { trap(ir::TrapKind::illegal, pc()); }

private:
    ir::MemArg indexed(ir::MemArg m) const {
        m.index = u8(mode_fields(mode()).data);
        return m;
    }
    Val f64(i64 n) { return get(u16(slot_f + n), Type::f64); }
    bool is_box_of(Val v, Type t) const {
        const ir::Inst& i = inst(v);
        return i.op == ir::Op::fbox && result_type(unit().code[i.a]) == t;
    }
    const Model& model_;
    ir::ValueId unboxed_[32] = {}; // by register: the last number taken out of a box
};

// ABI names: RISC-V ABIs Specification 1.0, Register Convention.
inline constexpr std::string_view x_names[32] = {"zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
                                                 "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
                                                 "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};
inline constexpr std::string_view f_names[32] = {
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0",  "fa1",  "fa2", "fa3", "fa4",  "fa5",
    "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11"};

inline constexpr std::string_view v_names[32] = {
    "v0",  "v1",  "v2",  "v3",  "v4",  "v5",  "v6",  "v7",  "v8",  "v9",  "v10", "v11", "v12", "v13", "v14", "v15",
    "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31"};

// Fields: bits of the instruction word, named as the manual names them.
inline constexpr Field rd{"rd", Kind::bits, {{7, 5}}}, rs1{"rs1", Kind::bits, {{15, 5}}},
    rs2{"rs2", Kind::bits, {{20, 5}}}, rs3{"rs3", Kind::bits, {{27, 5}}}, rm{"rm", Kind::bits, {{12, 3}}},
    imm_i{"imm_i", Kind::integer, {{20, 12}}}, imm_s{"imm_s", Kind::integer, {{25, 7}, {7, 5}}},
    imm_b{"imm_b", Kind::pcrel, {{31, 1}, {7, 1}, {25, 6}, {8, 4}}, 1}, imm_u{"imm_u", Kind::integer, {{12, 20}}, 12},
    imm_j{"imm_j", Kind::pcrel, {{31, 1}, {12, 8}, {20, 1}, {21, 10}}, 1}, shamt{"shamt", Kind::bits, {{20, 6}}},
    shamtw{"shamtw", Kind::bits, {{20, 5}}}, pred{"pred", Kind::bits, {{24, 4}}}, succ{"succ", Kind::bits, {{20, 4}}},
    aq{"aq", Kind::bits, {{26, 1}}}, rl{"rl", Kind::bits, {{25, 1}}}, csr{"csr", Kind::bits, {{20, 12}}},
    uimm{"uimm", Kind::bits, {{15, 5}}}, simm{"simm", Kind::integer, {{15, 5}}}, vm{"vm", Kind::bits, {{25, 1}}},
    nf{"nf", Kind::bits, {{29, 3}}}, width{"width", Kind::bits, {{12, 3}}}, zimm11{"zimm11", Kind::bits, {{20, 11}}},
    zimm10{"zimm10", Kind::bits, {{20, 10}}}, imm_p{"imm_p", Kind::integer, {{25, 7}}, 5};

// Fields of the compressed formats (27.2 to 27.5). Registers with a prime are x8 to x15 or f8 to f15.
inline constexpr Field crs2{"crs2", Kind::bits, {{2, 5}}}, rs1_{"rs1'", Kind::bits, {{7, 3}}, 0, 8},
    rs2_{"rs2'", Kind::bits, {{2, 3}}, 0, 8}, imm_ci{"imm_ci", Kind::integer, {{12, 1}, {2, 5}}},
    shamt_ci{"shamt_ci", Kind::bits, {{12, 1}, {2, 5}}}, imm_lui{"imm_lui", Kind::integer, {{12, 1}, {2, 5}}, 12},
    imm_16sp{"imm_16sp", Kind::integer, {{12, 1}, {3, 2}, {5, 1}, {2, 1}, {6, 1}}, 4},
    uimm_4spn{"uimm_4spn", Kind::bits, {{7, 4}, {11, 2}, {5, 1}, {6, 1}}, 2},
    uimm_w{"uimm_w", Kind::bits, {{5, 1}, {10, 3}, {6, 1}}, 2}, uimm_d{"uimm_d", Kind::bits, {{5, 2}, {10, 3}}, 3},
    uimm_lwsp{"uimm_lwsp", Kind::bits, {{2, 2}, {12, 1}, {4, 3}}, 2},
    uimm_ldsp{"uimm_ldsp", Kind::bits, {{2, 3}, {12, 1}, {5, 2}}, 3},
    uimm_swsp{"uimm_swsp", Kind::bits, {{7, 2}, {9, 4}}, 2}, uimm_sdsp{"uimm_sdsp", Kind::bits, {{7, 3}, {10, 3}}, 3},
    imm_cj{"imm_cj", Kind::pcrel, {{12, 1}, {8, 1}, {9, 2}, {6, 1}, {7, 1}, {2, 1}, {11, 1}, {3, 3}}, 1},
    imm_cb{"imm_cb", Kind::pcrel, {{12, 1}, {5, 2}, {2, 1}, {10, 2}, {3, 2}}, 1};

// What a compressed format leaves out: registers and an offset of no bits.
inline constexpr Field zero{"zero", Kind::bits, {}}, ra{"ra", Kind::bits, {}, 0, 1}, sp{"sp", Kind::bits, {}, 0, 2};

// fcsr (20.2), for who looks at the state from outside; `system`: the state has the privileged side.
u32 get_fcsr(ir::CpuHeader& cpu);
void set_fcsr(ir::CpuHeader& cpu, u32 fcsr, bool system);

struct RiscV {
    using Ir = Rv;
    struct Context {
        bool bad_frm = false, away = false;
        u8 fs = 0; // mode_fs_off, mode_fs_clean
        u8 v = 0;  // mode_of_vtype
    };
    static Context context(u32 mode) {
        return {.bad_frm = bool(mode & mode_bad_frm),
                .away = bool(mode & mode_away),
                .fs = u8(mode & (mode_fs_off | mode_fs_clean)),
                .v = u8(mode >> mode_v_at & 127)};
    }
    // vset{i}vli's: the vtype that it sets, and the guess that vl is VLMAX behind it; code behind it goes on in line when it was right.
    static u32 next_mode(u32 mode, const Insn<RiscV>& i) {
        return (i.bits & 0x8000707f) == 0x7057 || (i.bits & 0xc000707f) == 0xc0007057 ? mode_after_vset(mode, i) : mode;
    }
    static u32 mode_after_vset(u32 mode, const Insn<RiscV>& i); // v_config.cpp
    static void illegal(Rv& t) { t.illegal(); }
    static void emit(Rv& t, const Insn<RiscV>& i) {
        if (i.context.fs && !may_use_fp(t, i)) return;
        i.row->emit(t, i);
    }
    // Of a floating-point instruction while mstatus.FS is not dirty: emits what happens instead. privileged.cpp
    static bool may_use_fp(Rv& t, const Insn<RiscV>& i);
    static constexpr Layout layout{.unit = 2, .big = false, .first_is_high = false};
    // 1.5: the lowest bits tell the length; 48 bits and more are reserved here and decode as illegal.
    static u32 length(u64 parcel, const Context&) { return (parcel & 3) == 3 ? 4 : 2; }
    static constexpr std::array fields{&rd,        &rs1,       &rs2,       &rs3,       &rm,        &imm_i,  &imm_s,
                                       &imm_b,     &imm_u,     &imm_j,     &shamt,     &shamtw,    &pred,   &succ,
                                       &aq,        &rl,        &csr,       &uimm,      &simm,      &vm,     &nf,
                                       &width,     &zimm11,    &zimm10,    &imm_p,     &crs2,      &rs1_,   &rs2_,
                                       &imm_ci,    &shamt_ci,  &imm_lui,   &imm_16sp,  &uimm_4spn, &uimm_w, &uimm_d,
                                       &uimm_lwsp, &uimm_ldsp, &uimm_swsp, &uimm_sdsp, &imm_cj,    &imm_cb};
    // Operands that do not print as plain numbers: text.cpp. fd, frs1 ... are the same fields, naming f registers.
    static constexpr std::array<std::string_view, 31> operand_names{
        "rd",    "rs1",  "rs2",  "crs2",  "rs1'",    "rs2'",    "frd", "frs1",  "frs2", "frs3", "cfrs2",
        "frs2'", "pred", "succ", "imm_u", "imm_lui", "aqrl",    "rm",  "rmopt", "csr",  "fli",  "vd",
        "vs1",   "vs2",  "vs3",  "vm",    "vtype11", "vtype10", "eew", "nf",    "nfr"};
    static const std::array<Operand<RiscV>, 31> operands;
};

using I = Insn<RiscV>;
using R = Row<RiscV>;

} // namespace mimic::isa::riscv
