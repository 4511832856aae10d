// RISC-V: fields, operands and the front end that rows are written against.
// The RISC-V Instruction Set Manual, Volume I, Unprivileged (20240411): instruction formats in 2.2, 2.3 and 28.
#pragma once
#include "ir/builder.hpp"
#include "isa/riscv/state.hpp"
#include "isa/row.hpp"
#include <array>

namespace mimic::isa::riscv {

using ir::Type;
using ir::Val;

// Extensions that a CPU model may have or lack.
enum class Ext : u32 {
    i,
    m,
    a,
    f,
    d,
    c,
    zba,
    zbb,
    zbc,
    zbs,
    zicond,
    zicsr,
    zifencei,
    zicbom,
    zicboz,
    zicbop,
    zfh,
    zfa,
    zacas,
    zawrs
};

struct Model {
    std::string_view name;
    u64 extensions; // bit per Ext
    constexpr bool has(Ext e) const { return extensions >> u32(e) & 1; }
};

// Meanings read and write state through it.
class Rv : public ir::Builder {
public:
    Rv(ir::Unit& unit, const Model& model) : Builder(unit, state_rv64), model_(model) {}
    const Model& model() const { return model_; }

    // Integer registers; x0 reads as zero and swallows writes.
    Val x(i64 n) { return n == 0 ? imm(0) : get(u16(slot_x + n), Type::i64); }
    void x(i64 n, Val v) {
        if (n != 0) put(u16(slot_x + n), v);
    }
    // Low 32 bits, and writing a 32-bit result sign-extended.
    Val w(i64 n) { return x(n).trunc(Type::i32); }
    void w(i64 n, Val v) { x(n, v.sext(Type::i64)); }

    void illegal() { trap(ir::TrapKind::illegal, pc()); }

private:
    const Model& model_;
};

// ABI names: RISC-V ABIs Specification 1.0, Register Convention.
inline constexpr std::string_view x_names[32] = {"zero", "ra", "sp", "gp", "tp",  "t0",  "t1", "t2", "s0", "s1", "a0",
                                                 "a1",   "a2", "a3", "a4", "a5",  "a6",  "a7", "s2", "s3", "s4", "s5",
                                                 "s6",   "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};
inline constexpr std::string_view f_names[32] = {
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0",  "fa1",  "fa2", "fa3", "fa4",  "fa5",
    "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11"};

// Fields: bits of the instruction word, named as the manual names them.
inline constexpr Field rd{"rd", Kind::bits, {{7, 5}}}, rs1{"rs1", Kind::bits, {{15, 5}}},
    rs2{"rs2", Kind::bits, {{20, 5}}}, rs3{"rs3", Kind::bits, {{27, 5}}}, rm{"rm", Kind::bits, {{12, 3}}},
    imm_i{"imm_i", Kind::integer, {{20, 12}}}, imm_s{"imm_s", Kind::integer, {{25, 7}, {7, 5}}},
    imm_b{"imm_b", Kind::pcrel, {{31, 1}, {7, 1}, {25, 6}, {8, 4}}, 1}, imm_u{"imm_u", Kind::integer, {{12, 20}}, 12},
    imm_j{"imm_j", Kind::pcrel, {{31, 1}, {12, 8}, {20, 1}, {21, 10}}, 1}, shamt{"shamt", Kind::bits, {{20, 6}}},
    shamtw{"shamtw", Kind::bits, {{20, 5}}}, pred{"pred", Kind::bits, {{24, 4}}}, succ{"succ", Kind::bits, {{20, 4}}};

struct RiscV {
    using Ir = Rv;
    struct Context {};
    static Context context(u32) { return {}; }
    static void illegal(Rv& t) { t.illegal(); }
    static constexpr Layout layout{.unit = 2, .big = false, .first_is_high = false};
    // 1.5: the lowest bits tell the length; 48 bits and more are reserved here and decode as illegal.
    static u32 length(u64 parcel, const Context&) { return (parcel & 3) == 3 ? 4 : 2; }
    static constexpr std::array fields{&rd,    &rs1,   &rs2,   &rs3,   &rm,     &imm_i, &imm_s,
                                       &imm_b, &imm_u, &imm_j, &shamt, &shamtw, &pred,  &succ};
    // Operands that do not print as plain numbers: text.cpp.
    static constexpr std::array<std::string_view, 6> operand_names{"rd", "rs1", "rs2", "pred", "succ", "imm_u"};
    static const std::array<Operand<RiscV>, 6> operands;
};

using I = Insn<RiscV>;
using R = Row<RiscV>;

} // namespace mimic::isa::riscv
