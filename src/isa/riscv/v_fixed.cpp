// V: fixed-point arithmetic. The RISC-V Instruction Set Manual, Volume I (20240411), 31.12; order as in its sections.
#include "isa/riscv/tables.hpp"
#include "isa/riscv/vector_ops.hpp"

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

// clang-format off
constexpr R rows[] = {
    {"vsaddu.vv  {vd}, {vs2}, {vs1}{vm}",         "100000 vm rs2 rs1 000 rd 1010111",    elements<saddu, same>},
    {"vsaddu.vx  {vd}, {vs2}, {rs1}{vm}",         "100000 vm rs2 rs1 100 rd 1010111",    elements<saddu, same.with(From::x)>},
    {"vsaddu.vi  {vd}, {vs2}, {simm}{vm}",        "100000 vm rs2 simm 011 rd 1010111",   elements<saddu, same.with(From::imm_signed)>},
    {"vsadd.vv   {vd}, {vs2}, {vs1}{vm}",         "100001 vm rs2 rs1 000 rd 1010111",    elements<sadd, same_signed>},
    {"vsadd.vx   {vd}, {vs2}, {rs1}{vm}",         "100001 vm rs2 rs1 100 rd 1010111",    elements<sadd, same_signed.with(From::x)>},
    {"vsadd.vi   {vd}, {vs2}, {simm}{vm}",        "100001 vm rs2 simm 011 rd 1010111",   elements<sadd, same_signed.with(From::imm_signed)>},
    {"vssubu.vv  {vd}, {vs2}, {vs1}{vm}",         "100010 vm rs2 rs1 000 rd 1010111",    elements<ssubu, same>},
    {"vssubu.vx  {vd}, {vs2}, {rs1}{vm}",         "100010 vm rs2 rs1 100 rd 1010111",    elements<ssubu, same.with(From::x)>},
    {"vssub.vv   {vd}, {vs2}, {vs1}{vm}",         "100011 vm rs2 rs1 000 rd 1010111",    elements<ssub, same_signed>},
    {"vssub.vx   {vd}, {vs2}, {rs1}{vm}",         "100011 vm rs2 rs1 100 rd 1010111",    elements<ssub, same_signed.with(From::x)>},
    {"vaaddu.vv  {vd}, {vs2}, {vs1}{vm}",         "001000 vm rs2 rs1 010 rd 1010111",    elements<aaddu, same>},
    {"vaaddu.vx  {vd}, {vs2}, {rs1}{vm}",         "001000 vm rs2 rs1 110 rd 1010111",    elements<aaddu, same.with(From::x)>},
    {"vaadd.vv   {vd}, {vs2}, {vs1}{vm}",         "001001 vm rs2 rs1 010 rd 1010111",    elements<aadd, same_signed>},
    {"vaadd.vx   {vd}, {vs2}, {rs1}{vm}",         "001001 vm rs2 rs1 110 rd 1010111",    elements<aadd, same_signed.with(From::x)>},
    {"vasubu.vv  {vd}, {vs2}, {vs1}{vm}",         "001010 vm rs2 rs1 010 rd 1010111",    elements<asubu, same>},
    {"vasubu.vx  {vd}, {vs2}, {rs1}{vm}",         "001010 vm rs2 rs1 110 rd 1010111",    elements<asubu, same.with(From::x)>},
    {"vasub.vv   {vd}, {vs2}, {vs1}{vm}",         "001011 vm rs2 rs1 010 rd 1010111",    elements<asub, same_signed>},
    {"vasub.vx   {vd}, {vs2}, {rs1}{vm}",         "001011 vm rs2 rs1 110 rd 1010111",    elements<asub, same_signed.with(From::x)>},
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
