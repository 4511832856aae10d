// V: vsetvli, vsetivli, vsetvl. The RISC-V Instruction Set Manual, Volume I (20240411), 31.6.
#include "isa/riscv/tables.hpp"
#include "isa/riscv/vector.hpp"

namespace mimic::isa::riscv {

namespace {

void set_vl(Rv& t, const I& i, Val vl) {
    t.put(slot_vl, vl);
    if (!is_full(i)) t.put(slot_vstart, t.imm(0));
    t.x(i[rd], vl);
}
Val at_most(Rv& t, Val avl, u64 max) {
    if (avl.is_const()) return t.imm(std::min(avl.const_value(), max));
    return avl.ult(t.imm(max)).select(avl, t.imm(max));
}

// Under a vtype that is known: the application's length from rs1, or as table 37 says when that is x0.
void set_known(Rv& t, const I& i, u64 slot) {
    t.put(slot_vtype, t.imm(slot));
    if (!(slot & vtype_vill)) return set_vl(t, i, t.imm(0));
    u64 max = vlmax(vconfig(mode_of_vtype(slot)));
    if (i[rs1] != 0) return set_vl(t, i, at_most(t, t.x(i[rs1]), max));
    Val present = is_full(i) ? t.imm(vlmax(vconfig(i))) : t.get(slot_vl, Type::i64);
    set_vl(t, i, i[rd] != 0 ? t.imm(max) : at_most(t, present, max));
}

// The mode is what next_mode guessed: leaves where vl turns out otherwise.
void go_on(Rv& t, u64 slot) {
    const u32 v = mode_of_vtype(slot), full = mode_v_full << mode_v_at;
    if (!v) return;
    Val is_all = t.get(slot_vl, Type::i64) == i64(vlmax(vconfig(v))), wrong = t.mode() & full ? ~is_all : is_all;
    if (wrong.is_const() && !wrong.const_value()) return;
    t.when(wrong, [&] { t.exit_to(t.next_pc(), t.mode() ^ full); });
}

void vsetvli(Rv& t, const I& i) {
    u64 slot = vtype_slot(u64(i[zimm11]));
    set_known(t, i, slot);
    go_on(t, slot);
}
void vsetivli(Rv& t, const I& i) {
    u64 slot = vtype_slot(u64(i[zimm10]));
    t.put(slot_vtype, t.imm(slot));
    u64 max = slot & vtype_vill ? vlmax(vconfig(mode_of_vtype(slot))) : 0;
    set_vl(t, i, t.imm(std::min(u64(i[uimm]), max)));
    go_on(t, slot);
}

// The code that follows depends on what rs2 holds: an exit for each vtype that may be.
void vsetvl(Rv& t, const I& i) {
    auto leave = [&](u64 slot) {
        u32 mode = (t.mode() & ~mode_v) | mode_of_vtype(slot) << mode_v_at;
        set_known(t, i, slot);
        t.exit_to(t.next_pc(), mode);
    };
    for (u64 known = 0; known < 32; ++known) {
        if (!vtype_slot(known)) continue;
        Val asked = t.x(i[rs2]) & ~i64{0xc0};
        t.when(asked == i64(known), [&] {
            Val slot = t.x(i[rs2]) | i64(vtype_vill);
            const u32 v = mode_of_vtype(known | vtype_vill), mode = (t.mode() & ~mode_v) | v << mode_v_at;
            set_known(t, i, known | vtype_vill);
            t.put(slot_vtype, slot);
            t.when(t.get(slot_vl, Type::i64) == i64(vlmax(vconfig(v))),
                   [&] { t.exit_to(t.next_pc(), mode | mode_v_full << mode_v_at); });
            t.exit_to(t.next_pc(), mode);
        });
    }
    leave(0);
}

// clang-format off
constexpr R rows[] = {
    {"vsetvli  {rd}, {rs1}, {vtype11}",     "0 zimm11 rs1 111 rd 1010111",       vsetvli},
    {"vsetivli {rd}, {uimm}, {vtype10}",    "11 zimm10 uimm 111 rd 1010111",     vsetivli},
    {"vsetvl   {rd}, {rs1}, {rs2}",         "1000000 rs2 rs1 111 rd 1010111",    vsetvl},
};
// clang-format on

} // namespace

// As vl becomes what rs1 holds: where it was VLMAX, as in the turns of a loop but the last, it is so again.
u32 RiscV::mode_after_vset(u32 mode, const I& i) {
    const bool immediate = i.bits >> 30 == 3;
    u32 v = mode_of_vtype(vtype_slot(u64(immediate ? i[zimm10] : i[zimm11])));
    if (v) {
        const u64 max = vlmax(vconfig(v)), now = vlmax(vconfig(i));
        bool full = is_full(i);
        if (immediate)
            full = u64(i[uimm]) >= max;
        else if (i[rs1] == 0)
            full = i[rd] != 0 || (full && now >= max);
        else
            full |= !vconfig(i).valid;
        if (full) v |= mode_v_full;
    }
    return (mode & ~mode_v) | v << mode_v_at;
}

constinit const Table<RiscV> v_config{"V configuration", needs(Ext::v), rows};

} // namespace mimic::isa::riscv
