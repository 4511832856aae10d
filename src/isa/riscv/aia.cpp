// The registers of AIA that are windows to others: mireg, sireg, mtopei, stopei. The RISC-V Advanced Interrupt Architecture
// 1.0, chapters 2 and 3. Priorities of major interrupts (iprio) are read-only zeros. Not there: VS level.
#include "isa/riscv/system.hpp"

namespace mimic::isa::riscv {

namespace {

constexpr u32 mireg = 0x351, sireg = 0x151, mtopei = 0x35c, stopei = 0x15c;
// What miselect and siselect may hold: major priorities, registers of an interrupt file. On RV64, arrays have even ones only.
constexpr u64 first_iprio = 0x30, last_iprio = 0x3f, first_file = 0x70, first_array = 0x80, last_file = 0xff;

// A CSR instruction of Zicsr (Volume I, 7.1).
struct CsrInsn {
    u32 word;
    u32 rd() const { return word >> 7 & 31; }
    u32 rs1() const { return word >> 15 & 31; }
    u32 csr() const { return word >> 20; }
    bool immediate() const { return word >> 14 & 1; }
    CsrAccess::How how() const { return CsrAccess::How((word >> 12 & 3) - 1); }
    bool writes() const { return how() == CsrAccess::swap || rs1() != 0; }
};

BoardRequest request(const State& s, CsrInsn i, u32 number) {
    BoardRequest r{.kind = BoardRequest::Kind::read, .number = number, .level = u8(s.privilege())};
    if (!i.writes()) return r;
    r.kind = BoardRequest::Kind::change;
    u64 operand = i.immediate() ? i.rs1() : i.rs1() ? s.x(i.rs1()) : 0;
    r.values[1] = i.how() == CsrAccess::swap ? ~u64{0} : operand;
    r.values[2] = i.how() == CsrAccess::clear ? 0 : operand;
    return r;
}

} // namespace

u32 parts_of(const Model& model) {
    u32 triggers = model.has(Ext::sdtrig) ? debug_triggers : 0;
    if (model.has(Ext::smaia)) return aia_machine | aia_supervisor | triggers;
    return (model.has(Ext::ssaia) ? aia_supervisor : 0) | triggers;
}

bool is_window(u32 number, u32 parts) {
    if (number == mireg || number == mtopei) return parts & aia_machine;
    return (number == sireg || number == stopei) && (parts & aia_supervisor);
}

bool execute_window(const State& s, u32 word, BoardRequest& r) {
    CsrInsn i{word};
    u32 priv = s.privilege();
    if (priv < (i.csr() >> 8 & 3)) return false;
    // 5.3: while mvien has SEI, supervisors have no interrupt file.
    bool no_file = priv == supervisor_level && (s[slot_mvien] & 1 << irq::SEI);
    if (i.csr() == mtopei || i.csr() == stopei) {
        if (no_file) return false;
        r = request(s, i, i.csr());
        return true;
    }
    u64 select = s[i.csr() == mireg ? slot_miselect : slot_siselect];
    if (select >= first_iprio && select <= last_iprio) {
        if (select & 1) return false;
        finish_window(s, word, 0);
        return true;
    }
    if (no_file || select < first_file || select > last_file || (select >= first_array && (select & 1))) return false;
    r = request(s, i, i.csr() | u32(select) << 16);
    return true;
}

void finish_window(const State& s, u32 word, u64 value) {
    CsrInsn i{word};
    if (i.rd()) s.x(i.rd()) = value;
    s.cpu().pc += 4;
}

} // namespace mimic::isa::riscv
