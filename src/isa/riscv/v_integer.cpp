// V: integer arithmetic. The RISC-V Instruction Set Manual, Volume I (20240411), 31.11; order as in its sections.
#include "isa/riscv/tables.hpp"
#include "isa/riscv/vector_ops.hpp"

namespace mimic::isa::riscv {

namespace {

constexpr Shape same{}, same_signed{.a_signed = true, .b_signed = true}, first_signed{.a_signed = true},
    with_carry{.carry = true}, merged{.carry = true, .selects = true}, carry_to_mask{.to_mask = true, .carry = true},
    move{.no_a = true}, compare{.to_mask = true}, compare_signed{.a_signed = true, .b_signed = true, .to_mask = true},
    narrow{.a = 1}, narrow_signed{.a = 1, .a_signed = true}, wide{.d = 1},
    wide_signed{.d = 1, .a_signed = true, .b_signed = true}, wide_mixed{.d = 1, .a_signed = true},
    wider{.d = 1, .a = 1}, wider_signed{.d = 1, .a = 1, .a_signed = true, .b_signed = true},
    wide_sum{.d = 1, .d_read = true}, wide_sum_signed{.d = 1, .a_signed = true, .b_signed = true, .d_read = true},
    wide_sum_mixed{.d = 1, .a_signed = true, .d_read = true},
    wide_sum_mixed_b{.d = 1, .b_signed = true, .d_read = true};
template <i8 By, bool Signed>
constexpr Shape extended{.a = -By, .from = From::none, .a_signed = Signed};

u64 sub_(Vec&, u64 a, u64 b, u64) { return a - b; }
u64 rsub(Vec&, u64 a, u64 b, u64) { return b - a; }
u64 first(Vec&, u64 a, u64, u64) { return a; }

// 31.11.4
u64 adc(Vec& v, u64 a, u64 b, u64) { return a + b + v.carry; }
u64 sbc(Vec& v, u64 a, u64 b, u64) { return a - b - v.carry; }
u64 madc(Vec& v, u64 a, u64 b, u64) { return u64((u128{a} + b + v.carry) >> v.bits) & 1; }
u64 msbc(Vec& v, u64 a, u64 b, u64) { return a < u128{b} + v.carry; }

u64 eq(Vec&, u64 a, u64 b, u64) { return a == b; }
u64 ne(Vec&, u64 a, u64 b, u64) { return a != b; }
u64 ltu(Vec&, u64 a, u64 b, u64) { return a < b; }
u64 leu(Vec&, u64 a, u64 b, u64) { return a <= b; }
u64 gtu(Vec&, u64 a, u64 b, u64) { return a > b; }
u64 lts(Vec&, u64 a, u64 b, u64) { return i64(a) < i64(b); }
u64 les(Vec&, u64 a, u64 b, u64) { return i64(a) <= i64(b); }
u64 gts(Vec&, u64 a, u64 b, u64) { return i64(a) > i64(b); }

// 31.11.6: the low bits of the amount count.
u64 sll(Vec& v, u64 a, u64 b, u64) { return a << (b & (v.bits - 1)); }
u64 srl(Vec& v, u64 a, u64 b, u64) { return a >> (b & (v.bits - 1)); }
u64 sra(Vec& v, u64 a, u64 b, u64) { return u64(i64(a) >> (b & (v.bits - 1))); }
u64 nsrl(Vec& v, u64 a, u64 b, u64) { return a >> (b & (2 * v.bits - 1)); }
u64 nsra(Vec& v, u64 a, u64 b, u64) { return u64(i64(a) >> (b & (2 * v.bits - 1))); }

u64 mul(Vec&, u64 a, u64 b, u64) { return a * b; }
u64 mulhu(Vec& v, u64 a, u64 b, u64) { return u64(u128{a} * b >> v.bits); }
u64 mulh(Vec& v, u64 a, u64 b, u64) { return u64(i128{i64(a)} * i64(b) >> v.bits); }
u64 mulhsu(Vec& v, u64 a, u64 b, u64) { return u64(i128{i64(a)} * i128(u128{b}) >> v.bits); }
// 31.11.11: as the scalar instructions; what overflows wraps.
u64 divu(Vec&, u64 a, u64 b, u64) { return b ? a / b : ~u64{0}; }
u64 remu(Vec&, u64 a, u64 b, u64) { return b ? a % b : a; }
u64 div_(Vec&, u64 a, u64 b, u64) {
    if (b == 0) return ~u64{0};
    return b == ~u64{0} ? -a : u64(i64(a) / i64(b));
}
u64 rem(Vec&, u64 a, u64 b, u64) {
    if (b == 0) return a;
    return b == ~u64{0} ? 0 : u64(i64(a) % i64(b));
}
u64 macc(Vec&, u64 a, u64 b, u64 d) { return d + a * b; }
u64 nmsac(Vec&, u64 a, u64 b, u64 d) { return d - a * b; }
u64 madd(Vec&, u64 a, u64 b, u64 d) { return b * d + a; }
u64 nmsub(Vec&, u64 a, u64 b, u64 d) { return a - b * d; }

// ---- on whole registers

Val move_whole(Rv&, const I&, Val, Val b, Val) { return b; }
template <ir::VBin ByLane, ir::VShift ByNumber>
Val shift_whole(Rv& t, const I& i, Val a, Val b, Val) {
    u64 most = (8u << vconfig(i).sew) - 1;
    if (i[width] == 3) return t.op(Op::vshift, Type::v128, a, {}, {}, u64(i[uimm]) & most, u8(ByNumber), int_lane(i));
    Val limit = t.op(Op::vsplat, Type::v128, t.imm(most), {}, {}, 0, 0, int_lane(i));
    return t.vbin(ByLane, int_lane(i), a, t.vbin(ir::VBin::and_, int_lane(i), b, limit));
}
template <ir::VTern Kind>
Val multiply_add(Rv& t, const I& i, Val a, Val b, Val d) {
    return t.op(Op::vtern, Type::v128, a, b, d, 0, u8(Kind), int_lane(i));
}

// clang-format off
constexpr R rows[] = {
    {"vadd.vv    {vd}, {vs2}, {vs1}{vm}",         "000000 vm rs2 rs1 000 rd 1010111",    elements<add_, same, vbin<ir::VBin::add>>},
    {"vadd.vx    {vd}, {vs2}, {rs1}{vm}",         "000000 vm rs2 rs1 100 rd 1010111",    elements<add_, same.with(From::x), vbin<ir::VBin::add>>},
    {"vadd.vi    {vd}, {vs2}, {simm}{vm}",        "000000 vm rs2 simm 011 rd 1010111",   elements<add_, same.with(From::imm_signed), vbin<ir::VBin::add>>},
    {"vsub.vv    {vd}, {vs2}, {vs1}{vm}",         "000010 vm rs2 rs1 000 rd 1010111",    elements<sub_, same, vbin<ir::VBin::sub>>},
    {"vsub.vx    {vd}, {vs2}, {rs1}{vm}",         "000010 vm rs2 rs1 100 rd 1010111",    elements<sub_, same.with(From::x), vbin<ir::VBin::sub>>},
    {"vrsub.vx   {vd}, {vs2}, {rs1}{vm}",         "000011 vm rs2 rs1 100 rd 1010111",    elements<rsub, same.with(From::x), vbin_reversed<ir::VBin::sub>>},
    {"vrsub.vi   {vd}, {vs2}, {simm}{vm}",        "000011 vm rs2 simm 011 rd 1010111",   elements<rsub, same.with(From::imm_signed), vbin_reversed<ir::VBin::sub>>},
    {"vminu.vv   {vd}, {vs2}, {vs1}{vm}",         "000100 vm rs2 rs1 000 rd 1010111",    elements<minu, same, vbin<ir::VBin::umin>>},
    {"vminu.vx   {vd}, {vs2}, {rs1}{vm}",         "000100 vm rs2 rs1 100 rd 1010111",    elements<minu, same.with(From::x), vbin<ir::VBin::umin>>},
    {"vmin.vv    {vd}, {vs2}, {vs1}{vm}",         "000101 vm rs2 rs1 000 rd 1010111",    elements<mins, same_signed, vbin<ir::VBin::smin>>},
    {"vmin.vx    {vd}, {vs2}, {rs1}{vm}",         "000101 vm rs2 rs1 100 rd 1010111",    elements<mins, same_signed.with(From::x), vbin<ir::VBin::smin>>},
    {"vmaxu.vv   {vd}, {vs2}, {vs1}{vm}",         "000110 vm rs2 rs1 000 rd 1010111",    elements<maxu, same, vbin<ir::VBin::umax>>},
    {"vmaxu.vx   {vd}, {vs2}, {rs1}{vm}",         "000110 vm rs2 rs1 100 rd 1010111",    elements<maxu, same.with(From::x), vbin<ir::VBin::umax>>},
    {"vmax.vv    {vd}, {vs2}, {vs1}{vm}",         "000111 vm rs2 rs1 000 rd 1010111",    elements<maxs, same_signed, vbin<ir::VBin::smax>>},
    {"vmax.vx    {vd}, {vs2}, {rs1}{vm}",         "000111 vm rs2 rs1 100 rd 1010111",    elements<maxs, same_signed.with(From::x), vbin<ir::VBin::smax>>},
    {"vand.vv    {vd}, {vs2}, {vs1}{vm}",         "001001 vm rs2 rs1 000 rd 1010111",    elements<and_, same, vbin<ir::VBin::and_>>},
    {"vand.vx    {vd}, {vs2}, {rs1}{vm}",         "001001 vm rs2 rs1 100 rd 1010111",    elements<and_, same.with(From::x), vbin<ir::VBin::and_>>},
    {"vand.vi    {vd}, {vs2}, {simm}{vm}",        "001001 vm rs2 simm 011 rd 1010111",   elements<and_, same.with(From::imm_signed), vbin<ir::VBin::and_>>},
    {"vor.vv     {vd}, {vs2}, {vs1}{vm}",         "001010 vm rs2 rs1 000 rd 1010111",    elements<or_, same, vbin<ir::VBin::or_>>},
    {"vor.vx     {vd}, {vs2}, {rs1}{vm}",         "001010 vm rs2 rs1 100 rd 1010111",    elements<or_, same.with(From::x), vbin<ir::VBin::or_>>},
    {"vor.vi     {vd}, {vs2}, {simm}{vm}",        "001010 vm rs2 simm 011 rd 1010111",   elements<or_, same.with(From::imm_signed), vbin<ir::VBin::or_>>},
    {"vxor.vv    {vd}, {vs2}, {vs1}{vm}",         "001011 vm rs2 rs1 000 rd 1010111",    elements<xor_, same, vbin<ir::VBin::xor_>>},
    {"vxor.vx    {vd}, {vs2}, {rs1}{vm}",         "001011 vm rs2 rs1 100 rd 1010111",    elements<xor_, same.with(From::x), vbin<ir::VBin::xor_>>},
    {"vxor.vi    {vd}, {vs2}, {simm}{vm}",        "001011 vm rs2 simm 011 rd 1010111",   elements<xor_, same.with(From::imm_signed), vbin<ir::VBin::xor_>>},

    {"vadc.vvm   {vd}, {vs2}, {vs1}, v0",         "010000 0 rs2 rs1 000 rd 1010111",     elements<adc, with_carry>},
    {"vadc.vxm   {vd}, {vs2}, {rs1}, v0",         "010000 0 rs2 rs1 100 rd 1010111",     elements<adc, with_carry.with(From::x)>},
    {"vadc.vim   {vd}, {vs2}, {simm}, v0",        "010000 0 rs2 simm 011 rd 1010111",    elements<adc, with_carry.with(From::imm_signed)>},
    {"vmadc.vvm  {vd}, {vs2}, {vs1}, v0",         "010001 0 rs2 rs1 000 rd 1010111",     elements<madc, carry_to_mask>},
    {"vmadc.vxm  {vd}, {vs2}, {rs1}, v0",         "010001 0 rs2 rs1 100 rd 1010111",     elements<madc, carry_to_mask.with(From::x)>},
    {"vmadc.vim  {vd}, {vs2}, {simm}, v0",        "010001 0 rs2 simm 011 rd 1010111",    elements<madc, carry_to_mask.with(From::imm_signed)>},
    {"vmadc.vv   {vd}, {vs2}, {vs1}",             "010001 1 rs2 rs1 000 rd 1010111",     elements<madc, carry_to_mask>},
    {"vmadc.vx   {vd}, {vs2}, {rs1}",             "010001 1 rs2 rs1 100 rd 1010111",     elements<madc, carry_to_mask.with(From::x)>},
    {"vmadc.vi   {vd}, {vs2}, {simm}",            "010001 1 rs2 simm 011 rd 1010111",    elements<madc, carry_to_mask.with(From::imm_signed)>},
    {"vsbc.vvm   {vd}, {vs2}, {vs1}, v0",         "010010 0 rs2 rs1 000 rd 1010111",     elements<sbc, with_carry>},
    {"vsbc.vxm   {vd}, {vs2}, {rs1}, v0",         "010010 0 rs2 rs1 100 rd 1010111",     elements<sbc, with_carry.with(From::x)>},
    {"vmsbc.vvm  {vd}, {vs2}, {vs1}, v0",         "010011 0 rs2 rs1 000 rd 1010111",     elements<msbc, carry_to_mask>},
    {"vmsbc.vxm  {vd}, {vs2}, {rs1}, v0",         "010011 0 rs2 rs1 100 rd 1010111",     elements<msbc, carry_to_mask.with(From::x)>},
    {"vmsbc.vv   {vd}, {vs2}, {vs1}",             "010011 1 rs2 rs1 000 rd 1010111",     elements<msbc, carry_to_mask>},
    {"vmsbc.vx   {vd}, {vs2}, {rs1}",             "010011 1 rs2 rs1 100 rd 1010111",     elements<msbc, carry_to_mask.with(From::x)>},
    {"vmerge.vvm {vd}, {vs2}, {vs1}, v0",         "010111 0 rs2 rs1 000 rd 1010111",     elements<merge, merged>},
    {"vmerge.vxm {vd}, {vs2}, {rs1}, v0",         "010111 0 rs2 rs1 100 rd 1010111",     elements<merge, merged.with(From::x)>},
    {"vmerge.vim {vd}, {vs2}, {simm}, v0",        "010111 0 rs2 simm 011 rd 1010111",    elements<merge, merged.with(From::imm_signed)>},
    {"vmv.v.v    {vd}, {vs1}",                    "010111 1 00000 rs1 000 rd 1010111",   elements<second, move, move_whole>},
    {"vmv.v.x    {vd}, {rs1}",                    "010111 1 00000 rs1 100 rd 1010111",   elements<second, move.with(From::x), move_whole>},
    {"vmv.v.i    {vd}, {simm}",                   "010111 1 00000 simm 011 rd 1010111",  elements<second, move.with(From::imm_signed), move_whole>},

    {"vmseq.vv   {vd}, {vs2}, {vs1}{vm}",         "011000 vm rs2 rs1 000 rd 1010111",    elements<eq, compare>},
    {"vmseq.vx   {vd}, {vs2}, {rs1}{vm}",         "011000 vm rs2 rs1 100 rd 1010111",    elements<eq, compare.with(From::x)>},
    {"vmseq.vi   {vd}, {vs2}, {simm}{vm}",        "011000 vm rs2 simm 011 rd 1010111",   elements<eq, compare.with(From::imm_signed)>},
    {"vmsne.vv   {vd}, {vs2}, {vs1}{vm}",         "011001 vm rs2 rs1 000 rd 1010111",    elements<ne, compare>},
    {"vmsne.vx   {vd}, {vs2}, {rs1}{vm}",         "011001 vm rs2 rs1 100 rd 1010111",    elements<ne, compare.with(From::x)>},
    {"vmsne.vi   {vd}, {vs2}, {simm}{vm}",        "011001 vm rs2 simm 011 rd 1010111",   elements<ne, compare.with(From::imm_signed)>},
    {"vmsltu.vv  {vd}, {vs2}, {vs1}{vm}",         "011010 vm rs2 rs1 000 rd 1010111",    elements<ltu, compare>},
    {"vmsltu.vx  {vd}, {vs2}, {rs1}{vm}",         "011010 vm rs2 rs1 100 rd 1010111",    elements<ltu, compare.with(From::x)>},
    {"vmslt.vv   {vd}, {vs2}, {vs1}{vm}",         "011011 vm rs2 rs1 000 rd 1010111",    elements<lts, compare_signed>},
    {"vmslt.vx   {vd}, {vs2}, {rs1}{vm}",         "011011 vm rs2 rs1 100 rd 1010111",    elements<lts, compare_signed.with(From::x)>},
    {"vmsleu.vv  {vd}, {vs2}, {vs1}{vm}",         "011100 vm rs2 rs1 000 rd 1010111",    elements<leu, compare>},
    {"vmsleu.vx  {vd}, {vs2}, {rs1}{vm}",         "011100 vm rs2 rs1 100 rd 1010111",    elements<leu, compare.with(From::x)>},
    {"vmsleu.vi  {vd}, {vs2}, {simm}{vm}",        "011100 vm rs2 simm 011 rd 1010111",   elements<leu, compare.with(From::imm_signed)>},
    {"vmsle.vv   {vd}, {vs2}, {vs1}{vm}",         "011101 vm rs2 rs1 000 rd 1010111",    elements<les, compare_signed>},
    {"vmsle.vx   {vd}, {vs2}, {rs1}{vm}",         "011101 vm rs2 rs1 100 rd 1010111",    elements<les, compare_signed.with(From::x)>},
    {"vmsle.vi   {vd}, {vs2}, {simm}{vm}",        "011101 vm rs2 simm 011 rd 1010111",   elements<les, compare_signed.with(From::imm_signed)>},
    {"vmsgtu.vx  {vd}, {vs2}, {rs1}{vm}",         "011110 vm rs2 rs1 100 rd 1010111",    elements<gtu, compare.with(From::x)>},
    {"vmsgtu.vi  {vd}, {vs2}, {simm}{vm}",        "011110 vm rs2 simm 011 rd 1010111",   elements<gtu, compare.with(From::imm_signed)>},
    {"vmsgt.vx   {vd}, {vs2}, {rs1}{vm}",         "011111 vm rs2 rs1 100 rd 1010111",    elements<gts, compare_signed.with(From::x)>},
    {"vmsgt.vi   {vd}, {vs2}, {simm}{vm}",        "011111 vm rs2 simm 011 rd 1010111",   elements<gts, compare_signed.with(From::imm_signed)>},

    {"vsll.vv    {vd}, {vs2}, {vs1}{vm}",         "100101 vm rs2 rs1 000 rd 1010111",    elements<sll, same, shift_whole<ir::VBin::shl, ir::VShift::shl>>},
    {"vsll.vx    {vd}, {vs2}, {rs1}{vm}",         "100101 vm rs2 rs1 100 rd 1010111",    elements<sll, same.with(From::x), shift_whole<ir::VBin::shl, ir::VShift::shl>>},
    {"vsll.vi    {vd}, {vs2}, {uimm}{vm}",        "100101 vm rs2 uimm 011 rd 1010111",   elements<sll, same.with(From::imm_unsigned), shift_whole<ir::VBin::shl, ir::VShift::shl>>},
    {"vsrl.vv    {vd}, {vs2}, {vs1}{vm}",         "101000 vm rs2 rs1 000 rd 1010111",    elements<srl, same, shift_whole<ir::VBin::lshr, ir::VShift::lshr>>},
    {"vsrl.vx    {vd}, {vs2}, {rs1}{vm}",         "101000 vm rs2 rs1 100 rd 1010111",    elements<srl, same.with(From::x), shift_whole<ir::VBin::lshr, ir::VShift::lshr>>},
    {"vsrl.vi    {vd}, {vs2}, {uimm}{vm}",        "101000 vm rs2 uimm 011 rd 1010111",   elements<srl, same.with(From::imm_unsigned), shift_whole<ir::VBin::lshr, ir::VShift::lshr>>},
    {"vsra.vv    {vd}, {vs2}, {vs1}{vm}",         "101001 vm rs2 rs1 000 rd 1010111",    elements<sra, first_signed, shift_whole<ir::VBin::ashr, ir::VShift::ashr>>},
    {"vsra.vx    {vd}, {vs2}, {rs1}{vm}",         "101001 vm rs2 rs1 100 rd 1010111",    elements<sra, first_signed.with(From::x), shift_whole<ir::VBin::ashr, ir::VShift::ashr>>},
    {"vsra.vi    {vd}, {vs2}, {uimm}{vm}",        "101001 vm rs2 uimm 011 rd 1010111",   elements<sra, first_signed.with(From::imm_unsigned), shift_whole<ir::VBin::ashr, ir::VShift::ashr>>},
    {"vnsrl.wv   {vd}, {vs2}, {vs1}{vm}",         "101100 vm rs2 rs1 000 rd 1010111",    elements<nsrl, narrow>},
    {"vnsrl.wx   {vd}, {vs2}, {rs1}{vm}",         "101100 vm rs2 rs1 100 rd 1010111",    elements<nsrl, narrow.with(From::x)>},
    {"vnsrl.wi   {vd}, {vs2}, {uimm}{vm}",        "101100 vm rs2 uimm 011 rd 1010111",   elements<nsrl, narrow.with(From::imm_unsigned)>},
    {"vnsra.wv   {vd}, {vs2}, {vs1}{vm}",         "101101 vm rs2 rs1 000 rd 1010111",    elements<nsra, narrow_signed>},
    {"vnsra.wx   {vd}, {vs2}, {rs1}{vm}",         "101101 vm rs2 rs1 100 rd 1010111",    elements<nsra, narrow_signed.with(From::x)>},
    {"vnsra.wi   {vd}, {vs2}, {uimm}{vm}",        "101101 vm rs2 uimm 011 rd 1010111",   elements<nsra, narrow_signed.with(From::imm_unsigned)>},

    {"vmulhu.vv  {vd}, {vs2}, {vs1}{vm}",         "100100 vm rs2 rs1 010 rd 1010111",    elements<mulhu, same>},
    {"vmulhu.vx  {vd}, {vs2}, {rs1}{vm}",         "100100 vm rs2 rs1 110 rd 1010111",    elements<mulhu, same.with(From::x)>},
    {"vmul.vv    {vd}, {vs2}, {vs1}{vm}",         "100101 vm rs2 rs1 010 rd 1010111",    elements<mul, same, vbin<ir::VBin::mul>>},
    {"vmul.vx    {vd}, {vs2}, {rs1}{vm}",         "100101 vm rs2 rs1 110 rd 1010111",    elements<mul, same.with(From::x), vbin<ir::VBin::mul>>},
    {"vmulhsu.vv {vd}, {vs2}, {vs1}{vm}",         "100110 vm rs2 rs1 010 rd 1010111",    elements<mulhsu, first_signed>},
    {"vmulhsu.vx {vd}, {vs2}, {rs1}{vm}",         "100110 vm rs2 rs1 110 rd 1010111",    elements<mulhsu, first_signed.with(From::x)>},
    {"vmulh.vv   {vd}, {vs2}, {vs1}{vm}",         "100111 vm rs2 rs1 010 rd 1010111",    elements<mulh, same_signed>},
    {"vmulh.vx   {vd}, {vs2}, {rs1}{vm}",         "100111 vm rs2 rs1 110 rd 1010111",    elements<mulh, same_signed.with(From::x)>},
    {"vdivu.vv   {vd}, {vs2}, {vs1}{vm}",         "100000 vm rs2 rs1 010 rd 1010111",    elements<divu, same>},
    {"vdivu.vx   {vd}, {vs2}, {rs1}{vm}",         "100000 vm rs2 rs1 110 rd 1010111",    elements<divu, same.with(From::x)>},
    {"vdiv.vv    {vd}, {vs2}, {vs1}{vm}",         "100001 vm rs2 rs1 010 rd 1010111",    elements<div_, same_signed>},
    {"vdiv.vx    {vd}, {vs2}, {rs1}{vm}",         "100001 vm rs2 rs1 110 rd 1010111",    elements<div_, same_signed.with(From::x)>},
    {"vremu.vv   {vd}, {vs2}, {vs1}{vm}",         "100010 vm rs2 rs1 010 rd 1010111",    elements<remu, same>},
    {"vremu.vx   {vd}, {vs2}, {rs1}{vm}",         "100010 vm rs2 rs1 110 rd 1010111",    elements<remu, same.with(From::x)>},
    {"vrem.vv    {vd}, {vs2}, {vs1}{vm}",         "100011 vm rs2 rs1 010 rd 1010111",    elements<rem, same_signed>},
    {"vrem.vx    {vd}, {vs2}, {rs1}{vm}",         "100011 vm rs2 rs1 110 rd 1010111",    elements<rem, same_signed.with(From::x)>},
    {"vmadd.vv   {vd}, {vs1}, {vs2}{vm}",         "101001 vm rs2 rs1 010 rd 1010111",    elements<madd, same>},
    {"vmadd.vx   {vd}, {rs1}, {vs2}{vm}",         "101001 vm rs2 rs1 110 rd 1010111",    elements<madd, same.with(From::x)>},
    {"vnmsub.vv  {vd}, {vs1}, {vs2}{vm}",         "101011 vm rs2 rs1 010 rd 1010111",    elements<nmsub, same>},
    {"vnmsub.vx  {vd}, {rs1}, {vs2}{vm}",         "101011 vm rs2 rs1 110 rd 1010111",    elements<nmsub, same.with(From::x)>},
    {"vmacc.vv   {vd}, {vs1}, {vs2}{vm}",         "101101 vm rs2 rs1 010 rd 1010111",    elements<macc, same, multiply_add<ir::VTern::mla>>},
    {"vmacc.vx   {vd}, {rs1}, {vs2}{vm}",         "101101 vm rs2 rs1 110 rd 1010111",    elements<macc, same.with(From::x), multiply_add<ir::VTern::mla>>},
    {"vnmsac.vv  {vd}, {vs1}, {vs2}{vm}",         "101111 vm rs2 rs1 010 rd 1010111",    elements<nmsac, same, multiply_add<ir::VTern::mls>>},
    {"vnmsac.vx  {vd}, {rs1}, {vs2}{vm}",         "101111 vm rs2 rs1 110 rd 1010111",    elements<nmsac, same.with(From::x), multiply_add<ir::VTern::mls>>},

    {"vwaddu.vv  {vd}, {vs2}, {vs1}{vm}",         "110000 vm rs2 rs1 010 rd 1010111",    elements<add_, wide>},
    {"vwaddu.vx  {vd}, {vs2}, {rs1}{vm}",         "110000 vm rs2 rs1 110 rd 1010111",    elements<add_, wide.with(From::x)>},
    {"vwadd.vv   {vd}, {vs2}, {vs1}{vm}",         "110001 vm rs2 rs1 010 rd 1010111",    elements<add_, wide_signed>},
    {"vwadd.vx   {vd}, {vs2}, {rs1}{vm}",         "110001 vm rs2 rs1 110 rd 1010111",    elements<add_, wide_signed.with(From::x)>},
    {"vwsubu.vv  {vd}, {vs2}, {vs1}{vm}",         "110010 vm rs2 rs1 010 rd 1010111",    elements<sub_, wide>},
    {"vwsubu.vx  {vd}, {vs2}, {rs1}{vm}",         "110010 vm rs2 rs1 110 rd 1010111",    elements<sub_, wide.with(From::x)>},
    {"vwsub.vv   {vd}, {vs2}, {vs1}{vm}",         "110011 vm rs2 rs1 010 rd 1010111",    elements<sub_, wide_signed>},
    {"vwsub.vx   {vd}, {vs2}, {rs1}{vm}",         "110011 vm rs2 rs1 110 rd 1010111",    elements<sub_, wide_signed.with(From::x)>},
    {"vwaddu.wv  {vd}, {vs2}, {vs1}{vm}",         "110100 vm rs2 rs1 010 rd 1010111",    elements<add_, wider>},
    {"vwaddu.wx  {vd}, {vs2}, {rs1}{vm}",         "110100 vm rs2 rs1 110 rd 1010111",    elements<add_, wider.with(From::x)>},
    {"vwadd.wv   {vd}, {vs2}, {vs1}{vm}",         "110101 vm rs2 rs1 010 rd 1010111",    elements<add_, wider_signed>},
    {"vwadd.wx   {vd}, {vs2}, {rs1}{vm}",         "110101 vm rs2 rs1 110 rd 1010111",    elements<add_, wider_signed.with(From::x)>},
    {"vwsubu.wv  {vd}, {vs2}, {vs1}{vm}",         "110110 vm rs2 rs1 010 rd 1010111",    elements<sub_, wider>},
    {"vwsubu.wx  {vd}, {vs2}, {rs1}{vm}",         "110110 vm rs2 rs1 110 rd 1010111",    elements<sub_, wider.with(From::x)>},
    {"vwsub.wv   {vd}, {vs2}, {vs1}{vm}",         "110111 vm rs2 rs1 010 rd 1010111",    elements<sub_, wider_signed>},
    {"vwsub.wx   {vd}, {vs2}, {rs1}{vm}",         "110111 vm rs2 rs1 110 rd 1010111",    elements<sub_, wider_signed.with(From::x)>},
    {"vwmulu.vv  {vd}, {vs2}, {vs1}{vm}",         "111000 vm rs2 rs1 010 rd 1010111",    elements<mul, wide>},
    {"vwmulu.vx  {vd}, {vs2}, {rs1}{vm}",         "111000 vm rs2 rs1 110 rd 1010111",    elements<mul, wide.with(From::x)>},
    {"vwmulsu.vv {vd}, {vs2}, {vs1}{vm}",         "111010 vm rs2 rs1 010 rd 1010111",    elements<mul, wide_mixed>},
    {"vwmulsu.vx {vd}, {vs2}, {rs1}{vm}",         "111010 vm rs2 rs1 110 rd 1010111",    elements<mul, wide_mixed.with(From::x)>},
    {"vwmul.vv   {vd}, {vs2}, {vs1}{vm}",         "111011 vm rs2 rs1 010 rd 1010111",    elements<mul, wide_signed>},
    {"vwmul.vx   {vd}, {vs2}, {rs1}{vm}",         "111011 vm rs2 rs1 110 rd 1010111",    elements<mul, wide_signed.with(From::x)>},
    {"vwmaccu.vv {vd}, {vs1}, {vs2}{vm}",         "111100 vm rs2 rs1 010 rd 1010111",    elements<macc, wide_sum>},
    {"vwmaccu.vx {vd}, {rs1}, {vs2}{vm}",         "111100 vm rs2 rs1 110 rd 1010111",    elements<macc, wide_sum.with(From::x)>},
    {"vwmacc.vv  {vd}, {vs1}, {vs2}{vm}",         "111101 vm rs2 rs1 010 rd 1010111",    elements<macc, wide_sum_signed>},
    {"vwmacc.vx  {vd}, {rs1}, {vs2}{vm}",         "111101 vm rs2 rs1 110 rd 1010111",    elements<macc, wide_sum_signed.with(From::x)>},
    {"vwmaccus.vx {vd}, {rs1}, {vs2}{vm}",        "111110 vm rs2 rs1 110 rd 1010111",    elements<macc, wide_sum_mixed.with(From::x)>},
    {"vwmaccsu.vv {vd}, {vs1}, {vs2}{vm}",        "111111 vm rs2 rs1 010 rd 1010111",    elements<macc, wide_sum_mixed_b>},
    {"vwmaccsu.vx {vd}, {rs1}, {vs2}{vm}",        "111111 vm rs2 rs1 110 rd 1010111",    elements<macc, wide_sum_mixed_b.with(From::x)>},

    {"vzext.vf8  {vd}, {vs2}{vm}",                "010010 vm rs2 00010 010 rd 1010111",  elements<first, extended<3, false>>},
    {"vsext.vf8  {vd}, {vs2}{vm}",                "010010 vm rs2 00011 010 rd 1010111",  elements<first, extended<3, true>>},
    {"vzext.vf4  {vd}, {vs2}{vm}",                "010010 vm rs2 00100 010 rd 1010111",  elements<first, extended<2, false>>},
    {"vsext.vf4  {vd}, {vs2}{vm}",                "010010 vm rs2 00101 010 rd 1010111",  elements<first, extended<2, true>>},
    {"vzext.vf2  {vd}, {vs2}{vm}",                "010010 vm rs2 00110 010 rd 1010111",  elements<first, extended<1, false>>},
    {"vsext.vf2  {vd}, {vs2}{vm}",                "010010 vm rs2 00111 010 rd 1010111",  elements<first, extended<1, true>>},
};
// clang-format on

} // namespace

constinit const Table<RiscV> v_integer{"V integers", needs(Ext::v), rows};

} // namespace mimic::isa::riscv
