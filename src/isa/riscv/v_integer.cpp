// V: integer arithmetic. The RISC-V Instruction Set Manual, Volume I (20240411), 31.11; order as in its sections.
#include "isa/riscv/tables.hpp"
#include "isa/riscv/vector_ops.hpp"
#include "isa/riscv/vector_whole.hpp"

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

template <ir::VBin ByLane, ir::VShift ByNumber>
Val shift_whole(Rv& t, const I& i, const Step& s) {
    u64 most = (8u << s.log) - 1;
    if (i[width] == 3) return t.op(Op::vshift, Type::v128, s.a, {}, {}, u64(i[uimm]) & most, u8(ByNumber), s.lane());
    return t.vbin(ByLane, s.lane(), s.a, t.vbin(ir::VBin::and_, s.lane(), s.b, splat(t, s.lane(), t.imm(most))));
}
// The unsigned product is too great by b in the high half where a is negative.
Val mulhsu_whole(Rv& t, const I&, const Step& s) {
    Val high = t.vbin(ir::VBin::mulhu, s.lane(), s.a, s.b);
    Val sign = t.op(Op::vshift, Type::v128, s.a, {}, {}, (8u << s.log) - 1, u8(ir::VShift::ashr), s.lane());
    return t.vbin(ir::VBin::sub, s.lane(), high, t.vbin(ir::VBin::and_, s.lane(), s.b, sign));
}
template <ir::VTern Kind, bool TimesOld>
Val multiply_add(Rv& t, const I&, const Step& s) {
    return t.op(Op::vtern, Type::v128, s.b, TimesOld ? s.d : s.a, TimesOld ? s.a : s.d, 0, u8(Kind), s.lane());
}
Val compared(Rv& t, ir::VRel rel, const Step& s, Val a, Val b) {
    return t.op(Op::vcmp, Type::v128, a, b, {}, 0, u8(rel), s.lane());
}
template <ir::VRel Rel, bool Exchanged>
Val compare_whole(Rv& t, const I&, const Step& s) {
    return Exchanged ? compared(t, Rel, s, s.b, s.a) : compared(t, Rel, s, s.a, s.b);
}
Val differ(Rv& t, const I&, const Step& s) { return ones_complement(t, compared(t, ir::VRel::eq, s, s.a, s.b)); }

// A carry that is set is -1 in its lane.
Val adc_whole(Rv& t, const I&, const Step& s) {
    Val sum = t.vbin(ir::VBin::add, s.lane(), s.a, s.b);
    return s.carry ? t.vbin(ir::VBin::sub, s.lane(), sum, s.carry) : sum;
}
Val sbc_whole(Rv& t, const I&, const Step& s) {
    return t.vbin(ir::VBin::add, s.lane(), t.vbin(ir::VBin::sub, s.lane(), s.a, s.b), s.carry);
}
// Carries out: with one coming in, equal numbers count, too.
Val with_equal(Rv& t, const Step& s, Val out, Val a, Val b) {
    if (!s.carry) return out;
    Val equal = t.vbin(ir::VBin::and_, ir::Lane::i64, compared(t, ir::VRel::eq, s, a, b), s.carry);
    return t.vbin(ir::VBin::or_, ir::Lane::i64, out, equal);
}
Val madc_whole(Rv& t, const I& i, const Step& s) {
    Val sum = adc_whole(t, i, s);
    return with_equal(t, s, compared(t, ir::VRel::ugt, s, s.a, sum), s.a, sum);
}
Val msbc_whole(Rv& t, const I&, const Step& s) {
    return with_equal(t, s, compared(t, ir::VRel::ugt, s, s.b, s.a), s.a, s.b);
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

    {"vadc.vvm   {vd}, {vs2}, {vs1}, v0",         "010000 0 rs2 rs1 000 rd 1010111",     elements<adc, with_carry, adc_whole>},
    {"vadc.vxm   {vd}, {vs2}, {rs1}, v0",         "010000 0 rs2 rs1 100 rd 1010111",     elements<adc, with_carry.with(From::x), adc_whole>},
    {"vadc.vim   {vd}, {vs2}, {simm}, v0",        "010000 0 rs2 simm 011 rd 1010111",    elements<adc, with_carry.with(From::imm_signed), adc_whole>},
    {"vmadc.vvm  {vd}, {vs2}, {vs1}, v0",         "010001 0 rs2 rs1 000 rd 1010111",     elements<madc, carry_to_mask, madc_whole>},
    {"vmadc.vxm  {vd}, {vs2}, {rs1}, v0",         "010001 0 rs2 rs1 100 rd 1010111",     elements<madc, carry_to_mask.with(From::x), madc_whole>},
    {"vmadc.vim  {vd}, {vs2}, {simm}, v0",        "010001 0 rs2 simm 011 rd 1010111",    elements<madc, carry_to_mask.with(From::imm_signed), madc_whole>},
    {"vmadc.vv   {vd}, {vs2}, {vs1}",             "010001 1 rs2 rs1 000 rd 1010111",     elements<madc, carry_to_mask, madc_whole>},
    {"vmadc.vx   {vd}, {vs2}, {rs1}",             "010001 1 rs2 rs1 100 rd 1010111",     elements<madc, carry_to_mask.with(From::x), madc_whole>},
    {"vmadc.vi   {vd}, {vs2}, {simm}",            "010001 1 rs2 simm 011 rd 1010111",    elements<madc, carry_to_mask.with(From::imm_signed), madc_whole>},
    {"vsbc.vvm   {vd}, {vs2}, {vs1}, v0",         "010010 0 rs2 rs1 000 rd 1010111",     elements<sbc, with_carry, sbc_whole>},
    {"vsbc.vxm   {vd}, {vs2}, {rs1}, v0",         "010010 0 rs2 rs1 100 rd 1010111",     elements<sbc, with_carry.with(From::x), sbc_whole>},
    {"vmsbc.vvm  {vd}, {vs2}, {vs1}, v0",         "010011 0 rs2 rs1 000 rd 1010111",     elements<msbc, carry_to_mask, msbc_whole>},
    {"vmsbc.vxm  {vd}, {vs2}, {rs1}, v0",         "010011 0 rs2 rs1 100 rd 1010111",     elements<msbc, carry_to_mask.with(From::x), msbc_whole>},
    {"vmsbc.vv   {vd}, {vs2}, {vs1}",             "010011 1 rs2 rs1 000 rd 1010111",     elements<msbc, carry_to_mask, msbc_whole>},
    {"vmsbc.vx   {vd}, {vs2}, {rs1}",             "010011 1 rs2 rs1 100 rd 1010111",     elements<msbc, carry_to_mask.with(From::x), msbc_whole>},
    {"vmerge.vvm {vd}, {vs2}, {vs1}, v0",         "010111 0 rs2 rs1 000 rd 1010111",     elements<merge, merged, merge_whole>},
    {"vmerge.vxm {vd}, {vs2}, {rs1}, v0",         "010111 0 rs2 rs1 100 rd 1010111",     elements<merge, merged.with(From::x), merge_whole>},
    {"vmerge.vim {vd}, {vs2}, {simm}, v0",        "010111 0 rs2 simm 011 rd 1010111",    elements<merge, merged.with(From::imm_signed), merge_whole>},
    {"vmv.v.v    {vd}, {vs1}",                    "010111 1 00000 rs1 000 rd 1010111",   elements<second, move, second_whole>},
    {"vmv.v.x    {vd}, {rs1}",                    "010111 1 00000 rs1 100 rd 1010111",   elements<second, move.with(From::x), second_whole>},
    {"vmv.v.i    {vd}, {simm}",                   "010111 1 00000 simm 011 rd 1010111",  elements<second, move.with(From::imm_signed), second_whole>},

    {"vmseq.vv   {vd}, {vs2}, {vs1}{vm}",         "011000 vm rs2 rs1 000 rd 1010111",    elements<eq, compare, compare_whole<ir::VRel::eq, false>>},
    {"vmseq.vx   {vd}, {vs2}, {rs1}{vm}",         "011000 vm rs2 rs1 100 rd 1010111",    elements<eq, compare.with(From::x), compare_whole<ir::VRel::eq, false>>},
    {"vmseq.vi   {vd}, {vs2}, {simm}{vm}",        "011000 vm rs2 simm 011 rd 1010111",   elements<eq, compare.with(From::imm_signed), compare_whole<ir::VRel::eq, false>>},
    {"vmsne.vv   {vd}, {vs2}, {vs1}{vm}",         "011001 vm rs2 rs1 000 rd 1010111",    elements<ne, compare, differ>},
    {"vmsne.vx   {vd}, {vs2}, {rs1}{vm}",         "011001 vm rs2 rs1 100 rd 1010111",    elements<ne, compare.with(From::x), differ>},
    {"vmsne.vi   {vd}, {vs2}, {simm}{vm}",        "011001 vm rs2 simm 011 rd 1010111",   elements<ne, compare.with(From::imm_signed), differ>},
    {"vmsltu.vv  {vd}, {vs2}, {vs1}{vm}",         "011010 vm rs2 rs1 000 rd 1010111",    elements<ltu, compare, compare_whole<ir::VRel::ugt, true>>},
    {"vmsltu.vx  {vd}, {vs2}, {rs1}{vm}",         "011010 vm rs2 rs1 100 rd 1010111",    elements<ltu, compare.with(From::x), compare_whole<ir::VRel::ugt, true>>},
    {"vmslt.vv   {vd}, {vs2}, {vs1}{vm}",         "011011 vm rs2 rs1 000 rd 1010111",    elements<lts, compare_signed, compare_whole<ir::VRel::sgt, true>>},
    {"vmslt.vx   {vd}, {vs2}, {rs1}{vm}",         "011011 vm rs2 rs1 100 rd 1010111",    elements<lts, compare_signed.with(From::x), compare_whole<ir::VRel::sgt, true>>},
    {"vmsleu.vv  {vd}, {vs2}, {vs1}{vm}",         "011100 vm rs2 rs1 000 rd 1010111",    elements<leu, compare, compare_whole<ir::VRel::uge, true>>},
    {"vmsleu.vx  {vd}, {vs2}, {rs1}{vm}",         "011100 vm rs2 rs1 100 rd 1010111",    elements<leu, compare.with(From::x), compare_whole<ir::VRel::uge, true>>},
    {"vmsleu.vi  {vd}, {vs2}, {simm}{vm}",        "011100 vm rs2 simm 011 rd 1010111",   elements<leu, compare.with(From::imm_signed), compare_whole<ir::VRel::uge, true>>},
    {"vmsle.vv   {vd}, {vs2}, {vs1}{vm}",         "011101 vm rs2 rs1 000 rd 1010111",    elements<les, compare_signed, compare_whole<ir::VRel::sge, true>>},
    {"vmsle.vx   {vd}, {vs2}, {rs1}{vm}",         "011101 vm rs2 rs1 100 rd 1010111",    elements<les, compare_signed.with(From::x), compare_whole<ir::VRel::sge, true>>},
    {"vmsle.vi   {vd}, {vs2}, {simm}{vm}",        "011101 vm rs2 simm 011 rd 1010111",   elements<les, compare_signed.with(From::imm_signed), compare_whole<ir::VRel::sge, true>>},
    {"vmsgtu.vx  {vd}, {vs2}, {rs1}{vm}",         "011110 vm rs2 rs1 100 rd 1010111",    elements<gtu, compare.with(From::x), compare_whole<ir::VRel::ugt, false>>},
    {"vmsgtu.vi  {vd}, {vs2}, {simm}{vm}",        "011110 vm rs2 simm 011 rd 1010111",   elements<gtu, compare.with(From::imm_signed), compare_whole<ir::VRel::ugt, false>>},
    {"vmsgt.vx   {vd}, {vs2}, {rs1}{vm}",         "011111 vm rs2 rs1 100 rd 1010111",    elements<gts, compare_signed.with(From::x), compare_whole<ir::VRel::sgt, false>>},
    {"vmsgt.vi   {vd}, {vs2}, {simm}{vm}",        "011111 vm rs2 simm 011 rd 1010111",   elements<gts, compare_signed.with(From::imm_signed), compare_whole<ir::VRel::sgt, false>>},

    {"vsll.vv    {vd}, {vs2}, {vs1}{vm}",         "100101 vm rs2 rs1 000 rd 1010111",    elements<sll, same, shift_whole<ir::VBin::shl, ir::VShift::shl>>},
    {"vsll.vx    {vd}, {vs2}, {rs1}{vm}",         "100101 vm rs2 rs1 100 rd 1010111",    elements<sll, same.with(From::x), shift_whole<ir::VBin::shl, ir::VShift::shl>>},
    {"vsll.vi    {vd}, {vs2}, {uimm}{vm}",        "100101 vm rs2 uimm 011 rd 1010111",   elements<sll, same.with(From::imm_unsigned), shift_whole<ir::VBin::shl, ir::VShift::shl>>},
    {"vsrl.vv    {vd}, {vs2}, {vs1}{vm}",         "101000 vm rs2 rs1 000 rd 1010111",    elements<srl, same, shift_whole<ir::VBin::lshr, ir::VShift::lshr>>},
    {"vsrl.vx    {vd}, {vs2}, {rs1}{vm}",         "101000 vm rs2 rs1 100 rd 1010111",    elements<srl, same.with(From::x), shift_whole<ir::VBin::lshr, ir::VShift::lshr>>},
    {"vsrl.vi    {vd}, {vs2}, {uimm}{vm}",        "101000 vm rs2 uimm 011 rd 1010111",   elements<srl, same.with(From::imm_unsigned), shift_whole<ir::VBin::lshr, ir::VShift::lshr>>},
    {"vsra.vv    {vd}, {vs2}, {vs1}{vm}",         "101001 vm rs2 rs1 000 rd 1010111",    elements<sra, first_signed, shift_whole<ir::VBin::ashr, ir::VShift::ashr>>},
    {"vsra.vx    {vd}, {vs2}, {rs1}{vm}",         "101001 vm rs2 rs1 100 rd 1010111",    elements<sra, first_signed.with(From::x), shift_whole<ir::VBin::ashr, ir::VShift::ashr>>},
    {"vsra.vi    {vd}, {vs2}, {uimm}{vm}",        "101001 vm rs2 uimm 011 rd 1010111",   elements<sra, first_signed.with(From::imm_unsigned), shift_whole<ir::VBin::ashr, ir::VShift::ashr>>},
    {"vnsrl.wv   {vd}, {vs2}, {vs1}{vm}",         "101100 vm rs2 rs1 000 rd 1010111",    elements<nsrl, narrow, shift_whole<ir::VBin::lshr, ir::VShift::lshr>>},
    {"vnsrl.wx   {vd}, {vs2}, {rs1}{vm}",         "101100 vm rs2 rs1 100 rd 1010111",    elements<nsrl, narrow.with(From::x), shift_whole<ir::VBin::lshr, ir::VShift::lshr>>},
    {"vnsrl.wi   {vd}, {vs2}, {uimm}{vm}",        "101100 vm rs2 uimm 011 rd 1010111",   elements<nsrl, narrow.with(From::imm_unsigned), shift_whole<ir::VBin::lshr, ir::VShift::lshr>>},
    {"vnsra.wv   {vd}, {vs2}, {vs1}{vm}",         "101101 vm rs2 rs1 000 rd 1010111",    elements<nsra, narrow_signed, shift_whole<ir::VBin::ashr, ir::VShift::ashr>>},
    {"vnsra.wx   {vd}, {vs2}, {rs1}{vm}",         "101101 vm rs2 rs1 100 rd 1010111",    elements<nsra, narrow_signed.with(From::x), shift_whole<ir::VBin::ashr, ir::VShift::ashr>>},
    {"vnsra.wi   {vd}, {vs2}, {uimm}{vm}",        "101101 vm rs2 uimm 011 rd 1010111",   elements<nsra, narrow_signed.with(From::imm_unsigned), shift_whole<ir::VBin::ashr, ir::VShift::ashr>>},

    {"vmulhu.vv  {vd}, {vs2}, {vs1}{vm}",         "100100 vm rs2 rs1 010 rd 1010111",    elements<mulhu, same, vbin<ir::VBin::mulhu>>},
    {"vmulhu.vx  {vd}, {vs2}, {rs1}{vm}",         "100100 vm rs2 rs1 110 rd 1010111",    elements<mulhu, same.with(From::x), vbin<ir::VBin::mulhu>>},
    {"vmul.vv    {vd}, {vs2}, {vs1}{vm}",         "100101 vm rs2 rs1 010 rd 1010111",    elements<mul, same, vbin<ir::VBin::mul>>},
    {"vmul.vx    {vd}, {vs2}, {rs1}{vm}",         "100101 vm rs2 rs1 110 rd 1010111",    elements<mul, same.with(From::x), vbin<ir::VBin::mul>>},
    {"vmulhsu.vv {vd}, {vs2}, {vs1}{vm}",         "100110 vm rs2 rs1 010 rd 1010111",    elements<mulhsu, first_signed, mulhsu_whole>},
    {"vmulhsu.vx {vd}, {vs2}, {rs1}{vm}",         "100110 vm rs2 rs1 110 rd 1010111",    elements<mulhsu, first_signed.with(From::x), mulhsu_whole>},
    {"vmulh.vv   {vd}, {vs2}, {vs1}{vm}",         "100111 vm rs2 rs1 010 rd 1010111",    elements<mulh, same_signed, vbin<ir::VBin::mulhs>>},
    {"vmulh.vx   {vd}, {vs2}, {rs1}{vm}",         "100111 vm rs2 rs1 110 rd 1010111",    elements<mulh, same_signed.with(From::x), vbin<ir::VBin::mulhs>>},
    {"vdivu.vv   {vd}, {vs2}, {vs1}{vm}",         "100000 vm rs2 rs1 010 rd 1010111",    elements<divu, same>},
    {"vdivu.vx   {vd}, {vs2}, {rs1}{vm}",         "100000 vm rs2 rs1 110 rd 1010111",    elements<divu, same.with(From::x)>},
    {"vdiv.vv    {vd}, {vs2}, {vs1}{vm}",         "100001 vm rs2 rs1 010 rd 1010111",    elements<div_, same_signed>},
    {"vdiv.vx    {vd}, {vs2}, {rs1}{vm}",         "100001 vm rs2 rs1 110 rd 1010111",    elements<div_, same_signed.with(From::x)>},
    {"vremu.vv   {vd}, {vs2}, {vs1}{vm}",         "100010 vm rs2 rs1 010 rd 1010111",    elements<remu, same>},
    {"vremu.vx   {vd}, {vs2}, {rs1}{vm}",         "100010 vm rs2 rs1 110 rd 1010111",    elements<remu, same.with(From::x)>},
    {"vrem.vv    {vd}, {vs2}, {vs1}{vm}",         "100011 vm rs2 rs1 010 rd 1010111",    elements<rem, same_signed>},
    {"vrem.vx    {vd}, {vs2}, {rs1}{vm}",         "100011 vm rs2 rs1 110 rd 1010111",    elements<rem, same_signed.with(From::x)>},
    {"vmadd.vv   {vd}, {vs1}, {vs2}{vm}",         "101001 vm rs2 rs1 010 rd 1010111",    elements<madd, same, multiply_add<ir::VTern::mla, true>>},
    {"vmadd.vx   {vd}, {rs1}, {vs2}{vm}",         "101001 vm rs2 rs1 110 rd 1010111",    elements<madd, same.with(From::x), multiply_add<ir::VTern::mla, true>>},
    {"vnmsub.vv  {vd}, {vs1}, {vs2}{vm}",         "101011 vm rs2 rs1 010 rd 1010111",    elements<nmsub, same, multiply_add<ir::VTern::mls, true>>},
    {"vnmsub.vx  {vd}, {rs1}, {vs2}{vm}",         "101011 vm rs2 rs1 110 rd 1010111",    elements<nmsub, same.with(From::x), multiply_add<ir::VTern::mls, true>>},
    {"vmacc.vv   {vd}, {vs1}, {vs2}{vm}",         "101101 vm rs2 rs1 010 rd 1010111",    elements<macc, same, multiply_add<ir::VTern::mla, false>>},
    {"vmacc.vx   {vd}, {rs1}, {vs2}{vm}",         "101101 vm rs2 rs1 110 rd 1010111",    elements<macc, same.with(From::x), multiply_add<ir::VTern::mla, false>>},
    {"vnmsac.vv  {vd}, {vs1}, {vs2}{vm}",         "101111 vm rs2 rs1 010 rd 1010111",    elements<nmsac, same, multiply_add<ir::VTern::mls, false>>},
    {"vnmsac.vx  {vd}, {rs1}, {vs2}{vm}",         "101111 vm rs2 rs1 110 rd 1010111",    elements<nmsac, same.with(From::x), multiply_add<ir::VTern::mls, false>>},

    {"vwaddu.vv  {vd}, {vs2}, {vs1}{vm}",         "110000 vm rs2 rs1 010 rd 1010111",    elements<add_, wide, vbin<ir::VBin::add>>},
    {"vwaddu.vx  {vd}, {vs2}, {rs1}{vm}",         "110000 vm rs2 rs1 110 rd 1010111",    elements<add_, wide.with(From::x), vbin<ir::VBin::add>>},
    {"vwadd.vv   {vd}, {vs2}, {vs1}{vm}",         "110001 vm rs2 rs1 010 rd 1010111",    elements<add_, wide_signed, vbin<ir::VBin::add>>},
    {"vwadd.vx   {vd}, {vs2}, {rs1}{vm}",         "110001 vm rs2 rs1 110 rd 1010111",    elements<add_, wide_signed.with(From::x), vbin<ir::VBin::add>>},
    {"vwsubu.vv  {vd}, {vs2}, {vs1}{vm}",         "110010 vm rs2 rs1 010 rd 1010111",    elements<sub_, wide, vbin<ir::VBin::sub>>},
    {"vwsubu.vx  {vd}, {vs2}, {rs1}{vm}",         "110010 vm rs2 rs1 110 rd 1010111",    elements<sub_, wide.with(From::x), vbin<ir::VBin::sub>>},
    {"vwsub.vv   {vd}, {vs2}, {vs1}{vm}",         "110011 vm rs2 rs1 010 rd 1010111",    elements<sub_, wide_signed, vbin<ir::VBin::sub>>},
    {"vwsub.vx   {vd}, {vs2}, {rs1}{vm}",         "110011 vm rs2 rs1 110 rd 1010111",    elements<sub_, wide_signed.with(From::x), vbin<ir::VBin::sub>>},
    {"vwaddu.wv  {vd}, {vs2}, {vs1}{vm}",         "110100 vm rs2 rs1 010 rd 1010111",    elements<add_, wider, vbin<ir::VBin::add>>},
    {"vwaddu.wx  {vd}, {vs2}, {rs1}{vm}",         "110100 vm rs2 rs1 110 rd 1010111",    elements<add_, wider.with(From::x), vbin<ir::VBin::add>>},
    {"vwadd.wv   {vd}, {vs2}, {vs1}{vm}",         "110101 vm rs2 rs1 010 rd 1010111",    elements<add_, wider_signed, vbin<ir::VBin::add>>},
    {"vwadd.wx   {vd}, {vs2}, {rs1}{vm}",         "110101 vm rs2 rs1 110 rd 1010111",    elements<add_, wider_signed.with(From::x), vbin<ir::VBin::add>>},
    {"vwsubu.wv  {vd}, {vs2}, {vs1}{vm}",         "110110 vm rs2 rs1 010 rd 1010111",    elements<sub_, wider, vbin<ir::VBin::sub>>},
    {"vwsubu.wx  {vd}, {vs2}, {rs1}{vm}",         "110110 vm rs2 rs1 110 rd 1010111",    elements<sub_, wider.with(From::x), vbin<ir::VBin::sub>>},
    {"vwsub.wv   {vd}, {vs2}, {vs1}{vm}",         "110111 vm rs2 rs1 010 rd 1010111",    elements<sub_, wider_signed, vbin<ir::VBin::sub>>},
    {"vwsub.wx   {vd}, {vs2}, {rs1}{vm}",         "110111 vm rs2 rs1 110 rd 1010111",    elements<sub_, wider_signed.with(From::x), vbin<ir::VBin::sub>>},
    {"vwmulu.vv  {vd}, {vs2}, {vs1}{vm}",         "111000 vm rs2 rs1 010 rd 1010111",    elements<mul, wide, vbin<ir::VBin::mul>>},
    {"vwmulu.vx  {vd}, {vs2}, {rs1}{vm}",         "111000 vm rs2 rs1 110 rd 1010111",    elements<mul, wide.with(From::x), vbin<ir::VBin::mul>>},
    {"vwmulsu.vv {vd}, {vs2}, {vs1}{vm}",         "111010 vm rs2 rs1 010 rd 1010111",    elements<mul, wide_mixed, vbin<ir::VBin::mul>>},
    {"vwmulsu.vx {vd}, {vs2}, {rs1}{vm}",         "111010 vm rs2 rs1 110 rd 1010111",    elements<mul, wide_mixed.with(From::x), vbin<ir::VBin::mul>>},
    {"vwmul.vv   {vd}, {vs2}, {vs1}{vm}",         "111011 vm rs2 rs1 010 rd 1010111",    elements<mul, wide_signed, vbin<ir::VBin::mul>>},
    {"vwmul.vx   {vd}, {vs2}, {rs1}{vm}",         "111011 vm rs2 rs1 110 rd 1010111",    elements<mul, wide_signed.with(From::x), vbin<ir::VBin::mul>>},
    {"vwmaccu.vv {vd}, {vs1}, {vs2}{vm}",         "111100 vm rs2 rs1 010 rd 1010111",    elements<macc, wide_sum, multiply_add<ir::VTern::mla, false>>},
    {"vwmaccu.vx {vd}, {rs1}, {vs2}{vm}",         "111100 vm rs2 rs1 110 rd 1010111",    elements<macc, wide_sum.with(From::x), multiply_add<ir::VTern::mla, false>>},
    {"vwmacc.vv  {vd}, {vs1}, {vs2}{vm}",         "111101 vm rs2 rs1 010 rd 1010111",    elements<macc, wide_sum_signed, multiply_add<ir::VTern::mla, false>>},
    {"vwmacc.vx  {vd}, {rs1}, {vs2}{vm}",         "111101 vm rs2 rs1 110 rd 1010111",    elements<macc, wide_sum_signed.with(From::x), multiply_add<ir::VTern::mla, false>>},
    {"vwmaccus.vx {vd}, {rs1}, {vs2}{vm}",        "111110 vm rs2 rs1 110 rd 1010111",    elements<macc, wide_sum_mixed.with(From::x), multiply_add<ir::VTern::mla, false>>},
    {"vwmaccsu.vv {vd}, {vs1}, {vs2}{vm}",        "111111 vm rs2 rs1 010 rd 1010111",    elements<macc, wide_sum_mixed_b, multiply_add<ir::VTern::mla, false>>},
    {"vwmaccsu.vx {vd}, {rs1}, {vs2}{vm}",        "111111 vm rs2 rs1 110 rd 1010111",    elements<macc, wide_sum_mixed_b.with(From::x), multiply_add<ir::VTern::mla, false>>},

    {"vzext.vf8  {vd}, {vs2}{vm}",                "010010 vm rs2 00010 010 rd 1010111",  elements<first, extended<3, false>, first_whole>},
    {"vsext.vf8  {vd}, {vs2}{vm}",                "010010 vm rs2 00011 010 rd 1010111",  elements<first, extended<3, true>, first_whole>},
    {"vzext.vf4  {vd}, {vs2}{vm}",                "010010 vm rs2 00100 010 rd 1010111",  elements<first, extended<2, false>, first_whole>},
    {"vsext.vf4  {vd}, {vs2}{vm}",                "010010 vm rs2 00101 010 rd 1010111",  elements<first, extended<2, true>, first_whole>},
    {"vzext.vf2  {vd}, {vs2}{vm}",                "010010 vm rs2 00110 010 rd 1010111",  elements<first, extended<1, false>, first_whole>},
    {"vsext.vf2  {vd}, {vs2}{vm}",                "010010 vm rs2 00111 010 rd 1010111",  elements<first, extended<1, true>, first_whole>},
};
// clang-format on

} // namespace

constinit const Table<RiscV> v_integer{"V integers", needs(Ext::v), rows};

} // namespace mimic::isa::riscv
