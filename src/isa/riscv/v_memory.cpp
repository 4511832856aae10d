// V: loads and stores. The RISC-V Instruction Set Manual, Volume I (20240411), 31.7. Elements are accessed one by one, in
// their order; a fault leaves vstart at its element (31.17).
#include "ir/interpreter.hpp"
#include "isa/riscv/tables.hpp"
#include "isa/riscv/vector.hpp"
#include <array>

namespace mimic::isa::riscv {

namespace {

bool is_width(const I& i) { return i[width] == 0 || i[width] >= 5; }
bool is_segment(const I& i) { return is_width(i) && i[nf] > 0; }
// 31.7.9: 1, 2, 4 or 8 registers.
bool is_whole(const I& i) { return is_width(i) && ((i[nf] + 1) & i[nf]) == 0; }
i32 log_width(const I& i) { return i32(i[width] & 3); }

// Where the elements are. Scalars: the base; the stride, or the index of the access's permission (MemArg::index).
enum class Walk { unit, strided, indexed, first_fault, mask, whole };

struct Accesses {
    Vec& v;
    u64 base, stride;
    ir::MemArg arg;
    bool is_load;

    bool one(u64 address, u8* data, u32 bytes) {
        if (is_load) return v.cpu->access->load(*v.cpu, address, data, bytes, arg);
        return v.cpu->access->store(*v.cpu, address, data, bytes, arg);
    }
    // Field by field; of 1 << log bytes, groups of 1 << lmul registers.
    bool segment(u64 address, u64 n, u32 fields, i32 log, i32 lmul) {
        for (u32 f = 0; f < fields; ++f)
            if (!one(address + (u64{f} << log), v.at(v.rd + (f << std::max(lmul, 0)), n, log), 1u << log)) return false;
        return true;
    }
};

u64& state(ir::CpuHeader* cpu, u16 which) {
    u8* slots = reinterpret_cast<u8*>(cpu) + ir::slots_offset;
    return *reinterpret_cast<u64*>(slots + vector_slots_at + 8 * (which - slot_vstart));
}

template <Walk How, bool Load>
int access_body(ir::CpuHeader* cpu, const ir::Wide* args, ir::Wide*) {
    Vec v(cpu, args);
    i32 log = i32(v.width & 3), index_log = log, lmul = log - v.sew + v.lmul;
    u64 count = v.vl;
    u32 fields = v.nf;
    if (How == Walk::indexed) log = v.sew, lmul = v.lmul;
    if (How == Walk::mask) log = 0, lmul = 0, count = (v.vl + 7) / 8;
    if (How == Walk::whole) lmul = 0, count = v.nf * u64{vlen_bytes} >> log, fields = 1;
    u64 stride = How == Walk::strided ? args[2].w[0] : u64{fields} << log;
    Accesses a{v, args[1].w[0], stride, {}, Load};
    a.arg.index = u8(args[3].w[0]);
    constexpr bool masked = How != Walk::mask && How != Walk::whole;
    for (u64 n = v.vstart; n < count; ++n) {
        if (masked && !v.active(n)) continue;
        u64 at = a.base + (How == Walk::indexed ? v.get(v.rs2, n, index_log) : n * stride);
        if (a.segment(at, n, fields, log, lmul)) continue;
        if (How == Walk::first_fault && n > 0 && !cpu->access->met_watch()) {
            state(cpu, slot_vl) = n;
            break;
        }
        state(cpu, slot_vstart) = n;
        cpu->exit_kind = ir::ExitKind::fault;
        return 1;
    }
    v.finish();
    return 0;
}
template <Walk How, bool Load>
constexpr ir::Intrinsic access_call{.name = "riscv_v_access",
                                    .body = access_body<How, Load>,
                                    .args = 4,
                                    .effects = vector_effects | ir::Intrinsic::may_exit};

template <Walk How, bool Load>
void access(Rv& t, const I& i, Val stride) {
    t.call(access_call<How, Load>, Type::i64, {what(t, i), t.x(i[rs1]), stride, t.imm(mode_fields(t.mode()).data)});
}

// 31.7.3, 31.7.8: EMUL = EEW / SEW * LMUL; the fields of a segment take at most 8 registers, none behind v31.
bool fields_fit(const I& i, i32 lmul) {
    i64 registers = (i[nf] + 1) << std::max(lmul, 0);
    return group_fits(i[rd], lmul) && registers <= 8 && i[rd] + registers <= 32;
}
template <bool Load>
bool direct_fits(const I& i) {
    VConfig c = vconfig(i);
    return c.valid && fields_fit(i, log_width(i) - c.sew + c.lmul) && (!Load || mask_fits(i));
}

// Registers as they are, when all elements are meant: vl is VLMAX, and there is no mask. A fault leaves vstart 0.
template <bool Load>
void whole_registers(Rv& t, const I& i, i64 count) {
    std::array<Val, 8> loaded; // an instruction that may still fault has written no register
    for (i64 n = 0; n < count; ++n) {
        Val at = t.x(i[rs1]) + n * vlen_bytes;
        if (Load)
            loaded[n] = t.load(Type::v128, at, {.memory = Type::v128});
        else
            t.store(at, t.get(u16(slot_v + i[rd] + n), Type::v128), {.memory = Type::v128});
    }
    for (i64 n = 0; Load && n < count; ++n) t.put(u16(slot_v + i[rd] + n), loaded[n]);
}

template <bool Load>
void unit_stride(Rv& t, const I& i) {
    if (!direct_fits<Load>(i)) return t.illegal();
    i32 lmul = log_width(i) - vconfig(i).sew + vconfig(i).lmul;
    if (is_full(i) && i[vm] && lmul >= 0 && i[nf] == 0) return whole_registers<Load>(t, i, 1 << lmul);
    access<Walk::unit, Load>(t, i, t.imm(0));
}
void first_fault(Rv& t, const I& i) {
    if (!direct_fits<true>(i)) return t.illegal();
    access<Walk::first_fault, true>(t, i, t.imm(0));
    leave_unless_full(t);
}
template <bool Load>
void strided(Rv& t, const I& i) {
    if (!direct_fits<Load>(i)) return t.illegal();
    access<Walk::strided, Load>(t, i, t.x(i[rs2]));
}
template <bool Load>
void mask_access(Rv& t, const I& i) {
    if (!vconfig(i).valid) return t.illegal();
    access<Walk::mask, Load>(t, i, t.imm(0));
}
template <bool Load>
void whole(Rv& t, const I& i) {
    if (i[rd] % (i[nf] + 1)) return t.illegal();
    if (is_full(i)) return whole_registers<Load>(t, i, i[nf] + 1);
    access<Walk::whole, Load>(t, i, t.imm(0));
}
// The width is that of the indices.
template <bool Load>
void indexed(Rv& t, const I& i) {
    VConfig c = vconfig(i);
    i32 index = log_width(i), index_lmul = index - c.sew + c.lmul;
    bool fits = c.valid && fields_fit(i, c.lmul) && mask_fits(i) && source_fits(i, i[rs2], index_lmul);
    if (!Load) fits = fits && sources_fit(i[rd], c.sew, c.lmul, i[rs2], index, index_lmul);
    if (fits && Load) {
        fits = overlap_fits(i[rd], c.sew, c.lmul, i[rs2], index, index_lmul);
        for (i64 f = 0; f <= i[nf] && i[nf] > 0; ++f)
            fits = fits && !groups_meet(i[rd] + (f << std::max(c.lmul, 0)), c.lmul, i[rs2], index_lmul);
    }
    if (!fits) return t.illegal();
    access<Walk::indexed, Load>(t, i, t.imm(0));
}

// clang-format off
constexpr R rows[] = {
    {"vle{eew}.v      {vd}, ({rs1}){vm}",         "000 0 00 vm 00000 rs1 width rd 0000111", unit_stride<true>, is_width},
    {"vlseg{nf}e{eew}.v {vd}, ({rs1}){vm}",       "nf 0 00 vm 00000 rs1 width rd 0000111", unit_stride<true>, is_segment},
    {"vle{eew}ff.v    {vd}, ({rs1}){vm}",         "000 0 00 vm 10000 rs1 width rd 0000111", first_fault, is_width},
    {"vlseg{nf}e{eew}ff.v {vd}, ({rs1}){vm}",     "nf 0 00 vm 10000 rs1 width rd 0000111", first_fault, is_segment},
    {"vlm.v           {vd}, ({rs1})",             "000 0 00 1 01011 rs1 000 rd 0000111", mask_access<true>},
    {"vlse{eew}.v     {vd}, ({rs1}), {rs2}{vm}",  "000 0 10 vm rs2 rs1 width rd 0000111", strided<true>, is_width},
    {"vlsseg{nf}e{eew}.v {vd}, ({rs1}), {rs2}{vm}", "nf 0 10 vm rs2 rs1 width rd 0000111", strided<true>, is_segment},
    {"vluxei{eew}.v   {vd}, ({rs1}), {vs2}{vm}",  "000 0 01 vm rs2 rs1 width rd 0000111", indexed<true>, is_width},
    {"vluxseg{nf}ei{eew}.v {vd}, ({rs1}), {vs2}{vm}", "nf 0 01 vm rs2 rs1 width rd 0000111", indexed<true>, is_segment},
    {"vloxei{eew}.v   {vd}, ({rs1}), {vs2}{vm}",  "000 0 11 vm rs2 rs1 width rd 0000111", indexed<true>, is_width},
    {"vloxseg{nf}ei{eew}.v {vd}, ({rs1}), {vs2}{vm}", "nf 0 11 vm rs2 rs1 width rd 0000111", indexed<true>, is_segment},
    {"vl{nfr}re{eew}.v {vd}, ({rs1})",            "nf 0 00 1 01000 rs1 width rd 0000111", whole<true>, is_whole},
    {"vse{eew}.v      {vs3}, ({rs1}){vm}",        "000 0 00 vm 00000 rs1 width rd 0100111", unit_stride<false>, is_width},
    {"vsseg{nf}e{eew}.v {vs3}, ({rs1}){vm}",      "nf 0 00 vm 00000 rs1 width rd 0100111", unit_stride<false>, is_segment},
    {"vsm.v           {vs3}, ({rs1})",            "000 0 00 1 01011 rs1 000 rd 0100111", mask_access<false>},
    {"vsse{eew}.v     {vs3}, ({rs1}), {rs2}{vm}", "000 0 10 vm rs2 rs1 width rd 0100111", strided<false>, is_width},
    {"vssseg{nf}e{eew}.v {vs3}, ({rs1}), {rs2}{vm}", "nf 0 10 vm rs2 rs1 width rd 0100111", strided<false>, is_segment},
    {"vsuxei{eew}.v   {vs3}, ({rs1}), {vs2}{vm}", "000 0 01 vm rs2 rs1 width rd 0100111", indexed<false>, is_width},
    {"vsuxseg{nf}ei{eew}.v {vs3}, ({rs1}), {vs2}{vm}", "nf 0 01 vm rs2 rs1 width rd 0100111", indexed<false>, is_segment},
    {"vsoxei{eew}.v   {vs3}, ({rs1}), {vs2}{vm}", "000 0 11 vm rs2 rs1 width rd 0100111", indexed<false>, is_width},
    {"vsoxseg{nf}ei{eew}.v {vs3}, ({rs1}), {vs2}{vm}", "nf 0 11 vm rs2 rs1 width rd 0100111", indexed<false>, is_segment},
    {"vs{nfr}r.v       {vs3}, ({rs1})",           "nf 0 00 1 01000 rs1 000 rd 0100111",  whole<false>, is_whole},
};
// clang-format on

} // namespace

constinit const Table<RiscV> v_memory{"V memory", needs(Ext::v), rows};

} // namespace mimic::isa::riscv
