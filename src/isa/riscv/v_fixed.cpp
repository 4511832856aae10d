// V: fixed-point arithmetic. The RISC-V Instruction Set Manual, Volume I (20240411), 31.12; order as in its sections.
#include "isa/riscv/tables.hpp"
#include "isa/riscv/vector_ops.hpp"
#include "isa/riscv/vector_whole.hpp"

namespace mimic::isa::riscv {

namespace {

constexpr Shape same{}, same_signed{.a_signed = true, .b_signed = true}, first_signed{.a_signed = true},
    narrow{.a = 1, .narrow = ir::VNarrow::uqxtn}, narrow_signed{.a = 1, .a_signed = true, .narrow = ir::VNarrow::sqxtn};

u64 clamp_unsigned(Vec& v, i128 x) {
    i128 max = (i128{1} << v.bits) - 1;
    v.saturated |= x < 0 || x > max;
    return u64(std::clamp(x, i128{0}, max));
}
u64 clamp_signed(Vec& v, i128 x) {
    i128 max = (i128{1} << (v.bits - 1)) - 1;
    v.saturated |= x < -max - 1 || x > max;
    return u64(std::clamp(x, -max - 1, max));
}
// 31.3.8: x >> by, rounded as vxrm says: to nearest, up; to nearest, even; down; to odd.
i128 round_off(Vec& v, i128 x, u32 by) {
    if (by == 0) return x;
    u128 lost = u128(x) & ((u128{1} << by) - 1), half = u128{1} << (by - 1);
    i128 q = x >> by;
    switch (v.vxrm) {
    case 0: return q + (lost >= half);
    case 1: return q + (lost > half || (lost == half && (q & 1)));
    case 2: return q;
    default: return q | (lost != 0);
    }
}
i128 s(u64 x) { return i64(x); }
i128 u(u64 x) { return i128(u128{x}); }

u64 saddu(Vec& v, u64 a, u64 b, u64) { return clamp_unsigned(v, u(a) + u(b)); }
u64 sadd(Vec& v, u64 a, u64 b, u64) { return clamp_signed(v, s(a) + s(b)); }
u64 ssubu(Vec& v, u64 a, u64 b, u64) { return clamp_unsigned(v, u(a) - u(b)); }
u64 ssub(Vec& v, u64 a, u64 b, u64) { return clamp_signed(v, s(a) - s(b)); }
u64 aaddu(Vec& v, u64 a, u64 b, u64) { return u64(round_off(v, u(a) + u(b), 1)); }
u64 aadd(Vec& v, u64 a, u64 b, u64) { return u64(round_off(v, s(a) + s(b), 1)); }
u64 asubu(Vec& v, u64 a, u64 b, u64) { return u64(round_off(v, u(a) - u(b), 1)); }
u64 asub(Vec& v, u64 a, u64 b, u64) { return u64(round_off(v, s(a) - s(b), 1)); }
u64 smul(Vec& v, u64 a, u64 b, u64) { return clamp_signed(v, round_off(v, s(a) * s(b), v.bits - 1)); }
u64 ssrl(Vec& v, u64 a, u64 b, u64) { return u64(round_off(v, u(a), u32(b) & (v.bits - 1))); }
u64 ssra(Vec& v, u64 a, u64 b, u64) { return u64(round_off(v, s(a), u32(b) & (v.bits - 1))); }
u64 nclipu(Vec& v, u64 a, u64 b, u64) { return clamp_unsigned(v, round_off(v, u(a), u32(b) & (2 * v.bits - 1))); }
u64 nclip(Vec& v, u64 a, u64 b, u64) { return clamp_signed(v, round_off(v, s(a), u32(b) & (2 * v.bits - 1))); }

// ---- on whole registers

using ir::VBin;
using ir::VShift;

Val both(Rv& t, VBin kind, Val a, Val b) { return t.vbin(kind, ir::Lane::i64, a, b); }
// Ones when vxrm is one of these modes, a bit each: 0 to nearest, up; 1 to nearest, even; 2 down; 3 to odd.
Val when_rounding(Rv& t, u64 modes) {
    return splat(t, ir::Lane::i64, -(t.imm(modes).lshr(t.get(slot_vxrm, Type::i64)) & 1));
}
// 31.3.8, of a sum that lost one bit: rounded up when that is 1 and, by mode, always, the rest is odd, never, it is even.
template <bool Minus, bool Signed>
Val average(Rv& t, const I&, const Step& s) {
    constexpr VBin kind = Minus    ? (Signed ? VBin::ssub_half : VBin::usub_half)
                          : Signed ? VBin::savg_down
                                   : VBin::uavg_down;
    Val down = t.vbin(kind, s.lane(), s.a, s.b), lost = both(t, VBin::xor_, s.a, s.b);
    Val odd_or_even = both(t, VBin::xor_, down, when_rounding(t, 0b1000));
    Val up = both(t, VBin::or_, when_rounding(t, 0b0001), both(t, VBin::and_, odd_or_even, when_rounding(t, 0b1010)));
    Val one = splat(t, s.lane(), t.imm(1));
    return t.vbin(VBin::add, s.lane(), down, both(t, VBin::and_, both(t, VBin::and_, up, lost), one));
}
// 31.3.8, of a shift that lost some low bits of a, ones in `lost`: rounded up by the highest of them when, by mode, always,
// others are set or the rest is odd; and to odd.
Val rounded(Rv& t, const Step& s, Val a, Val down, Val lost) {
    auto any = [&](Val mask) { return t.op(Op::vcmp, Type::v128, a, mask, {}, 0, u8(ir::VRel::tst), s.lane()); };
    Val one = splat(t, s.lane(), t.imm(1));
    Val below = t.op(Op::vshift, Type::v128, lost, {}, {}, 1, u8(VShift::lshr), s.lane());
    Val highest = any(both(t, VBin::xor_, lost, below)), others = any(below);
    Val up = both(t, VBin::or_, when_rounding(t, 0b0001),
                  both(t, VBin::and_, when_rounding(t, 0b0010), both(t, VBin::or_, others, down)));
    Val to_odd = both(t, VBin::and_, when_rounding(t, 0b1000), any(lost));
    Val sum = t.vbin(VBin::add, s.lane(), down, both(t, VBin::and_, both(t, VBin::and_, up, highest), one));
    return both(t, VBin::or_, sum, both(t, VBin::and_, to_odd, one));
}
template <bool Signed>
Val shift_rounded(Rv& t, const I& i, const Step& s) {
    const u64 most = (8u << s.log) - 1;
    Val a = quiet(t, s, s.a);
    if (i[width] == 3) {
        const u64 by = u64(i[uimm]) & most;
        Val down = t.op(Op::vshift, Type::v128, a, {}, {}, by, u8(Signed ? VShift::ashr : VShift::lshr), s.lane());
        return by ? rounded(t, s, a, down, splat(t, s.lane(), t.imm((u64{1} << by) - 1))) : a;
    }
    Val by = both(t, VBin::and_, s.b, splat(t, s.lane(), t.imm(most))), one = splat(t, s.lane(), t.imm(1));
    Val lost = t.vbin(VBin::sub, s.lane(), t.vbin(VBin::shl, s.lane(), one, by), one);
    return rounded(t, s, a, t.vbin(Signed ? VBin::ashr : VBin::lshr, s.lane(), a, by), lost);
}

// clang-format off
constexpr R rows[] = {
    {"vsaddu.vv  {vd}, {vs2}, {vs1}{vm}",         "100000 vm rs2 rs1 000 rd 1010111",    elements<saddu, same, vbin_quiet<ir::VBin::uadd_sat>>},
    {"vsaddu.vx  {vd}, {vs2}, {rs1}{vm}",         "100000 vm rs2 rs1 100 rd 1010111",    elements<saddu, same.with(From::x), vbin_quiet<ir::VBin::uadd_sat>>},
    {"vsaddu.vi  {vd}, {vs2}, {simm}{vm}",        "100000 vm rs2 simm 011 rd 1010111",   elements<saddu, same.with(From::imm_signed), vbin_quiet<ir::VBin::uadd_sat>>},
    {"vsadd.vv   {vd}, {vs2}, {vs1}{vm}",         "100001 vm rs2 rs1 000 rd 1010111",    elements<sadd, same_signed, vbin_quiet<ir::VBin::sadd_sat>>},
    {"vsadd.vx   {vd}, {vs2}, {rs1}{vm}",         "100001 vm rs2 rs1 100 rd 1010111",    elements<sadd, same_signed.with(From::x), vbin_quiet<ir::VBin::sadd_sat>>},
    {"vsadd.vi   {vd}, {vs2}, {simm}{vm}",        "100001 vm rs2 simm 011 rd 1010111",   elements<sadd, same_signed.with(From::imm_signed), vbin_quiet<ir::VBin::sadd_sat>>},
    {"vssubu.vv  {vd}, {vs2}, {vs1}{vm}",         "100010 vm rs2 rs1 000 rd 1010111",    elements<ssubu, same, vbin_quiet<ir::VBin::usub_sat>>},
    {"vssubu.vx  {vd}, {vs2}, {rs1}{vm}",         "100010 vm rs2 rs1 100 rd 1010111",    elements<ssubu, same.with(From::x), vbin_quiet<ir::VBin::usub_sat>>},
    {"vssub.vv   {vd}, {vs2}, {vs1}{vm}",         "100011 vm rs2 rs1 000 rd 1010111",    elements<ssub, same_signed, vbin_quiet<ir::VBin::ssub_sat>>},
    {"vssub.vx   {vd}, {vs2}, {rs1}{vm}",         "100011 vm rs2 rs1 100 rd 1010111",    elements<ssub, same_signed.with(From::x), vbin_quiet<ir::VBin::ssub_sat>>},
    {"vaaddu.vv  {vd}, {vs2}, {vs1}{vm}",         "001000 vm rs2 rs1 010 rd 1010111",    elements<aaddu, same, average<false, false>>},
    {"vaaddu.vx  {vd}, {vs2}, {rs1}{vm}",         "001000 vm rs2 rs1 110 rd 1010111",    elements<aaddu, same.with(From::x), average<false, false>>},
    {"vaadd.vv   {vd}, {vs2}, {vs1}{vm}",         "001001 vm rs2 rs1 010 rd 1010111",    elements<aadd, same_signed, average<false, true>>},
    {"vaadd.vx   {vd}, {vs2}, {rs1}{vm}",         "001001 vm rs2 rs1 110 rd 1010111",    elements<aadd, same_signed.with(From::x), average<false, true>>},
    {"vasubu.vv  {vd}, {vs2}, {vs1}{vm}",         "001010 vm rs2 rs1 010 rd 1010111",    elements<asubu, same, average<true, false>>},
    {"vasubu.vx  {vd}, {vs2}, {rs1}{vm}",         "001010 vm rs2 rs1 110 rd 1010111",    elements<asubu, same.with(From::x), average<true, false>>},
    {"vasub.vv   {vd}, {vs2}, {vs1}{vm}",         "001011 vm rs2 rs1 010 rd 1010111",    elements<asub, same_signed, average<true, true>>},
    {"vasub.vx   {vd}, {vs2}, {rs1}{vm}",         "001011 vm rs2 rs1 110 rd 1010111",    elements<asub, same_signed.with(From::x), average<true, true>>},
    {"vsmul.vv   {vd}, {vs2}, {vs1}{vm}",         "100111 vm rs2 rs1 000 rd 1010111",    elements<smul, same_signed>},
    {"vsmul.vx   {vd}, {vs2}, {rs1}{vm}",         "100111 vm rs2 rs1 100 rd 1010111",    elements<smul, same_signed.with(From::x)>},
    {"vssrl.vv   {vd}, {vs2}, {vs1}{vm}",         "101010 vm rs2 rs1 000 rd 1010111",    elements<ssrl, same, shift_rounded<false>>},
    {"vssrl.vx   {vd}, {vs2}, {rs1}{vm}",         "101010 vm rs2 rs1 100 rd 1010111",    elements<ssrl, same.with(From::x), shift_rounded<false>>},
    {"vssrl.vi   {vd}, {vs2}, {uimm}{vm}",        "101010 vm rs2 uimm 011 rd 1010111",   elements<ssrl, same.with(From::imm_unsigned), shift_rounded<false>>},
    {"vssra.vv   {vd}, {vs2}, {vs1}{vm}",         "101011 vm rs2 rs1 000 rd 1010111",    elements<ssra, first_signed, shift_rounded<true>>},
    {"vssra.vx   {vd}, {vs2}, {rs1}{vm}",         "101011 vm rs2 rs1 100 rd 1010111",    elements<ssra, first_signed.with(From::x), shift_rounded<true>>},
    {"vssra.vi   {vd}, {vs2}, {uimm}{vm}",        "101011 vm rs2 uimm 011 rd 1010111",   elements<ssra, first_signed.with(From::imm_unsigned), shift_rounded<true>>},
    {"vnclipu.wv {vd}, {vs2}, {vs1}{vm}",         "101110 vm rs2 rs1 000 rd 1010111",    elements<nclipu, narrow, shift_rounded<false>>},
    {"vnclipu.wx {vd}, {vs2}, {rs1}{vm}",         "101110 vm rs2 rs1 100 rd 1010111",    elements<nclipu, narrow.with(From::x), shift_rounded<false>>},
    {"vnclipu.wi {vd}, {vs2}, {uimm}{vm}",        "101110 vm rs2 uimm 011 rd 1010111",   elements<nclipu, narrow.with(From::imm_unsigned), shift_rounded<false>>},
    {"vnclip.wv  {vd}, {vs2}, {vs1}{vm}",         "101111 vm rs2 rs1 000 rd 1010111",    elements<nclip, narrow_signed, shift_rounded<true>>},
    {"vnclip.wx  {vd}, {vs2}, {rs1}{vm}",         "101111 vm rs2 rs1 100 rd 1010111",    elements<nclip, narrow_signed.with(From::x), shift_rounded<true>>},
    {"vnclip.wi  {vd}, {vs2}, {uimm}{vm}",        "101111 vm rs2 uimm 011 rd 1010111",   elements<nclip, narrow_signed.with(From::imm_unsigned), shift_rounded<true>>},
};
// clang-format on

} // namespace

constinit const Table<RiscV> v_fixed{"V fixed point", needs(Ext::v), rows};

} // namespace mimic::isa::riscv
