// V on whole registers: slides and gathers. The RISC-V Instruction Set Manual, Volume I (20240411), 31.16.3, 31.16.4.
#include "isa/riscv/vector_move.hpp"
#include <algorithm>

namespace mimic::isa::riscv {

namespace {

using ir::Lane;
using ir::VBin;

constexpr Type v128 = Type::v128;

u32 registers(const I& i) { return 1u << std::max(vconfig(i).lmul, 0); }
u32 element_bytes(const I& i) { return 1u << vconfig(i).sew; }
u32 elements_of_register(const I& i) { return vlen_bytes >> vconfig(i).sew; }
Val zeros(Rv& t) { return t.wide(0, 0, v128); }
template <class F>
Val bytes_of(Rv& t, F&& f) { // byte k is f(k)
    u64 w[2] = {};
    for (u32 k = 0; k < vlen_bytes; ++k) w[k / 8] |= u64(u8(f(k))) << 8 * (k % 8);
    return t.wide(w[0], w[1], v128);
}
// Register n of vs2; zeros behind the group.
Val source(Rv& t, const I& i, u64 n) {
    if (n >= registers(i)) return zeros(t);
    Val v = t.get(u16(slot_v + i[rs2] + n), v128);
    i32 lmul = vconfig(i).lmul;
    return lmul < 0 ? t.vbin(VBin::and_, Lane::i64, v, lower_part(t, lmul)) : v;
}
void put(Rv& t, const I& i, u32 n, Val v, Val where = {}) {
    VConfig c = vconfig(i);
    Val lanes = active_lanes(t, i, c.sew, c.lmul, n);
    if (lanes && where) lanes = t.vbin(VBin::and_, Lane::i64, lanes, where);
    if (!lanes) lanes = where;
    u16 to = u16(slot_v + i[rd] + n);
    t.put(to, lanes ? select_lanes(t, lanes, v, t.get(to, v128)) : v);
}
Val joined(Rv& t, Val low, Val high, u32 from) { return t.op(Op::vext, v128, low, high, {}, from); }
Val looked_up(Rv& t, Val table, Val indices) { return t.op(Op::vtbl, v128, table, indices); }
// Bytes of so many elements, more than a register has cut off, in every byte.
Val splat_bytes(Rv& t, const I& i, Val elements) {
    Val most = t.imm(vlen_bytes);
    return splat(t, Lane::i8, elements.ult(most).select(elements, most).shl(u32(vconfig(i).sew)));
}
// The bytes that lanes of indices of elements of one register stand for, 16 and above: none.
Val byte_indices(Rv& t, const I& i, Val v) {
    const i32 sew = vconfig(i).sew;
    if (sew == 0) return v;
    const Lane lane = int_lane(sew);
    v = t.vbin(VBin::umin, lane, v, splat(t, lane, t.imm(elements_of_register(i))));
    v = t.op(Op::vshift, v128, v, {}, {}, u64(sew), u8(ir::VShift::shl), lane);
    u8 first[vlen_bytes];
    const u32 size = element_bytes(i);
    for (u32 k = 0; k < vlen_bytes; ++k) first[k] = u8(k & ~(size - 1));
    v = t.op(Op::vshuffle, v128, v, v, {}, t.table(first, vlen_bytes));
    return t.vbin(VBin::add, Lane::i8, v, bytes_of(t, [&](u32 k) { return k & (size - 1); }));
}

} // namespace

void slide_up_by(Rv& t, const I& i, u64 elements) {
    const u64 bytes = elements << vconfig(i).sew, whole = bytes / vlen_bytes, part = bytes % vlen_bytes;
    for (u32 n = u32(std::min<u64>(whole, registers(i))); n < registers(i); ++n) {
        Val v = source(t, i, n - whole);
        if (part == 0) {
            put(t, i, n, v);
        } else if (n > whole) {
            put(t, i, n, joined(t, source(t, i, n - whole - 1), v, u32(vlen_bytes - part)));
        } else {
            Val above = bytes_of(t, [&](u32 k) { return k < part ? 0 : 0xff; });
            put(t, i, n, joined(t, v, v, u32(vlen_bytes - part)), above);
        }
    }
}

void slide_down_by(Rv& t, const I& i, u64 elements) {
    const u64 bytes = elements << vconfig(i).sew, whole = bytes / vlen_bytes, part = bytes % vlen_bytes;
    for (u32 n = 0; n < registers(i); ++n) {
        Val low = source(t, i, n + whole);
        put(t, i, n, part ? joined(t, low, source(t, i, n + whole + 1), u32(part)) : low);
    }
}

void slide_one_register(Rv& t, const I& i, Val elements, bool up) {
    Val by = splat_bytes(t, i, elements), own = bytes_of(t, [](u32 k) { return k; });
    Val from = t.vbin(up ? VBin::sub : VBin::add, Lane::i8, own, by);
    Val where = up ? t.op(Op::vcmp, v128, own, by, {}, 0, u8(ir::VRel::uge), Lane::i8) : Val{};
    put(t, i, 0, looked_up(t, source(t, i, 0), from), where);
}

void slide1(Rv& t, const I& i, Val scalar, bool up) {
    const u32 size = element_bytes(i), last = registers(i) - 1;
    const i32 lmul = vconfig(i).lmul;
    if (up) {
        for (u32 n = last + 1; n-- > 0;)
            put(t, i, n, joined(t, n ? source(t, i, n - 1) : scalar, source(t, i, n), vlen_bytes - size));
        return;
    }
    for (u32 n = 0; n < last; ++n) put(t, i, n, joined(t, source(t, i, n), source(t, i, n + 1), size));
    Val v = joined(t, source(t, i, last), scalar, size);
    if (lmul < 0) { // the last element stands within the register
        const u32 at = u32(vlen_bytes >> -lmul) - size;
        v = select_lanes(t, bytes_of(t, [&](u32 k) { return k - at < size ? 0xff : 0; }), scalar, v);
    }
    put(t, i, last, v);
}

void gather_element(Rv& t, const I& i, u64 index) {
    const Lane lane = int_lane(vconfig(i).sew);
    Val v = zeros(t);
    if (index < vlmax(vconfig(i))) {
        const u32 count = elements_of_register(i);
        Val e = t.op(Op::vget, Type::i64, source(t, i, index / count), {}, {}, index % count, 0, lane);
        v = splat(t, lane, e);
    }
    for (u32 n = 0; n < registers(i); ++n) put(t, i, n, v);
}

void gather_in_register(Rv& t, const I& i, Val index) {
    const u32 size = element_bytes(i);
    Val part = bytes_of(t, [&](u32 k) { return k & (size - 1); });
    put(t, i, 0, looked_up(t, source(t, i, 0), t.vbin(VBin::add, Lane::i8, splat_bytes(t, i, index), part)));
}

void gather_by_lanes(Rv& t, const I& i) {
    const Lane lane = int_lane(vconfig(i).sew);
    for (u32 n = 0; n < registers(i); ++n) {
        Val indices = t.get(u16(slot_v + i[rs1] + n), v128), sum;
        for (u32 k = 0; k < registers(i); ++k) { // what is not of register k wraps around or is too great
            Val mine =
                k ? t.vbin(VBin::sub, lane, indices, splat(t, lane, t.imm(k * elements_of_register(i)))) : indices;
            Val found = looked_up(t, source(t, i, k), byte_indices(t, i, mine));
            sum = sum ? t.vbin(VBin::or_, Lane::i64, sum, found) : found;
        }
        put(t, i, n, sum);
    }
}

} // namespace mimic::isa::riscv
