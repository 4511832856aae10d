// V: fixed-point arithmetic. The RISC-V Instruction Set Manual, Volume I (20240411), 31.12; order as in its sections.
#include "isa/riscv/tables.hpp"
#include "isa/riscv/vector_ops.hpp"
#include "isa/riscv/vector_whole.hpp"

namespace mimic::isa::riscv {

namespace {

constexpr Shape same{}, same_signed{.a_signed = true, .b_signed = true}, first_signed{.a_signed = true}, narrow{.a = 1},
    narrow_signed{.a = 1, .a_signed = true};

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

// 31.3.8, of a result that lost one bit, by vxrm: up when it was 1; when it was 1 and the rest is odd; never; when it was
// 1 and the rest is even.
template <bool Minus, bool Signed>
Val average(Rv& t, const I&, const Step& s) {
    using ir::VBin, ir::Lane;
    constexpr VBin kind = Minus    ? (Signed ? VBin::ssub_half : VBin::usub_half)
                          : Signed ? VBin::savg_down
                                   : VBin::uavg_down;
    auto both = [&](VBin k, Val a, Val b) { return t.vbin(k, Lane::i64, a, b); };
    auto when = [&](u64 modes) { // ones when vxrm is one of them
        return splat(t, Lane::i64, -(t.imm(modes).lshr(t.get(slot_vxrm, Type::i64)) & 1));
    };
    Val down = t.vbin(kind, s.lane(), s.a, s.b), lost = both(VBin::xor_, s.a, s.b);
    Val up = both(VBin::or_, when(0b0001), both(VBin::and_, both(VBin::xor_, down, when(0b1000)), when(0b1010)));
    Val one = splat(t, s.lane(), t.imm(1));
    return t.vbin(VBin::add, s.lane(), down, both(VBin::and_, both(VBin::and_, up, lost), one));
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
    {"vssrl.vv   {vd}, {vs2}, {vs1}{vm}",         "101010 vm rs2 rs1 000 rd 1010111",    elements<ssrl, same>},
    {"vssrl.vx   {vd}, {vs2}, {rs1}{vm}",         "101010 vm rs2 rs1 100 rd 1010111",    elements<ssrl, same.with(From::x)>},
    {"vssrl.vi   {vd}, {vs2}, {uimm}{vm}",        "101010 vm rs2 uimm 011 rd 1010111",   elements<ssrl, same.with(From::imm_unsigned)>},
    {"vssra.vv   {vd}, {vs2}, {vs1}{vm}",         "101011 vm rs2 rs1 000 rd 1010111",    elements<ssra, first_signed>},
    {"vssra.vx   {vd}, {vs2}, {rs1}{vm}",         "101011 vm rs2 rs1 100 rd 1010111",    elements<ssra, first_signed.with(From::x)>},
    {"vssra.vi   {vd}, {vs2}, {uimm}{vm}",        "101011 vm rs2 uimm 011 rd 1010111",   elements<ssra, first_signed.with(From::imm_unsigned)>},
    {"vnclipu.wv {vd}, {vs2}, {vs1}{vm}",         "101110 vm rs2 rs1 000 rd 1010111",    elements<nclipu, narrow>},
    {"vnclipu.wx {vd}, {vs2}, {rs1}{vm}",         "101110 vm rs2 rs1 100 rd 1010111",    elements<nclipu, narrow.with(From::x)>},
    {"vnclipu.wi {vd}, {vs2}, {uimm}{vm}",        "101110 vm rs2 uimm 011 rd 1010111",   elements<nclipu, narrow.with(From::imm_unsigned)>},
    {"vnclip.wv  {vd}, {vs2}, {vs1}{vm}",         "101111 vm rs2 rs1 000 rd 1010111",    elements<nclip, narrow_signed>},
    {"vnclip.wx  {vd}, {vs2}, {rs1}{vm}",         "101111 vm rs2 rs1 100 rd 1010111",    elements<nclip, narrow_signed.with(From::x)>},
    {"vnclip.wi  {vd}, {vs2}, {uimm}{vm}",        "101111 vm rs2 uimm 011 rd 1010111",   elements<nclip, narrow_signed.with(From::imm_unsigned)>},
};
// clang-format on

} // namespace

constinit const Table<RiscV> v_fixed{"V fixed point", needs(Ext::v), rows};

} // namespace mimic::isa::riscv
