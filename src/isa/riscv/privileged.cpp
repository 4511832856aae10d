// Privileged instructions: Volume II (20240411), 3.3 and 12.2; Svinval in its chapter. All of them leave translated code:
// System::execute does them, so rows say what is asked for only.
#include "isa/riscv/system.hpp"
#include "isa/riscv/tables.hpp"

namespace mimic::isa::riscv {

namespace {

void ask(Rv& t, Request what, i64 a = 0, i64 b = 0) {
    t.trap(ir::TrapKind::guest, t.pc(), t.imm(u64(what) | u64(a) << 8 | u64(b) << 16));
}
template <Request What>
void plain(Rv& t, const I&) {
    ask(t, What);
}
void fence_vma(Rv& t, const I& i) { ask(t, Request::sfence_vma, i[rs1], i[rs2]); }

// clang-format off
constexpr R rows[] = {
    {"sret",                            "0001000 00010 00000 000 00000 1110011", plain<Request::sret>},
    {"mret",                            "0011000 00010 00000 000 00000 1110011", plain<Request::mret>},
    {"wfi",                             "0001000 00101 00000 000 00000 1110011", plain<Request::wfi>},
    {"sfence.vma {rs1}, {rs2}",         "0001001 rs2 rs1 000 00000 1110011",    fence_vma},
};
constexpr R svinval_rows[] = {
    {"sinval.vma {rs1}, {rs2}",         "0001011 rs2 rs1 000 00000 1110011",    fence_vma},
    {"sfence.w.inval",                  "0001100 00000 00000 000 00000 1110011", plain<Request::inval_done>},
    {"sfence.inval.ir",                 "0001100 00001 00000 000 00000 1110011", plain<Request::inval_done>},
};
// clang-format on

constexpr Table<RiscV> const* fp_tables[] = {&rv64f, &rv64d, &zfhmin, &zfhmin_d, &zfh, &zfa, &zfa_d, &zfa_h, &zcd};

bool is_fp(const R* row) {
    for (auto* t : fp_tables)
        if (row >= t->rows.data() && row < t->rows.data() + t->rows.size()) return true;
    return false;
}

} // namespace

// 3.1.6.6. Dirty is noted before the instruction, which then runs under the mode without a note: that it may fault, or
// write no register, makes dirty imprecise, as is allowed.
bool RiscV::may_use_fp(Rv& t, const I& i) {
    if (!t.model().has(Ext::system) || !is_fp(i.row)) return true;
    if (i.context.fs & mode_fs_off)
        t.illegal();
    else
        make_fs_dirty(t);
    return false;
}

void make_fs_dirty(Rv& t) {
    t.put(slot_mstatus, t.get(slot_mstatus, Type::i64) | i64(mstatus::FS));
    t.exit_to(t.pc(), t.mode() & ~mode_fs_clean);
}

constinit const Table<RiscV> privileged{"Privileged", needs(Ext::system), rows};
constinit const Table<RiscV> svinval{"Svinval", needs(Ext::system, Ext::svinval), svinval_rows};

} // namespace mimic::isa::riscv
