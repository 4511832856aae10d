// SSE2 moves and integers. Intel SDM vol. 2, instructions by name; legacy encodings: 16-byte memory operands are
// aligned unless the name says otherwise. maskmovdqu and the forms with MMX registers are not there.
#include "isa/x86/semantics.hpp"

namespace mimic::isa::x86 {

namespace {

using ir::Lane;
using ir::Op;
using ir::VBin;
constexpr Type v128 = Type::v128;

Val zero(X86& t) { return t.wide(0, 0, v128); }

template <bool Aligned>
void load(X86& t, const I& i) {
    t.vector(i, 0, t.vector(i, 1, Aligned), Aligned);
}
// A scalar from memory or a general register clears what is above it.
template <Type T>
void load_low(X86& t, const I& i) {
    t.xmm(i.reg, t.scalar(i, 1, T).bitcast(v128));
}
template <Type T>
void store_low(X86& t, const I& i) {
    t.store(t.address(i), t.xmm(i.reg, T));
}
// Between registers it leaves what is above alone.
template <Type T>
void move_low(X86& t, const I& i) {
    t.xmm(i.register_of(0), t.xmm(i.register_of(1), T));
}
void movd_in(X86& t, const I& i) { t.xmm(i.reg, t.read(i, 1).bitcast(v128)); }
template <Type T>
void movd_out(X86& t, const I& i) {
    t.write(i, 0, t.xmm(i.reg, T));
}
void movq_in(X86& t, const I& i) { t.xmm(i.reg, t.scalar(i, 1, Type::i64).bitcast(v128)); }
void movq_out(X86& t, const I& i) {
    Val v = t.xmm(i.reg, Type::i64);
    i.memory ? t.store(t.address(i), v) : t.xmm(i.rm, v.bitcast(v128));
}
Val half(X86& t, u8 reg, u32 which) { return t.get(u16(slot_xmm + reg), Type::i64, 8 * which); }
template <u32 To>
void load_half(X86& t, const I& i) {
    t.put(u16(slot_xmm + i.reg), t.load(t.address(i), Type::i64), 8 * To);
}
template <u32 From>
void store_half(X86& t, const I& i) {
    t.store(t.address(i), half(t, i.reg, From));
}
template <u32 From, u32 To>
void move_half(X86& t, const I& i) {
    t.put(u16(slot_xmm + i.reg), half(t, i.rm, From), 8 * To);
}

template <VBin Kind, Lane L>
void lanes(X86& t, const I& i) {
    Val b = t.vector(i, 1);
    t.xmm(i.reg, t.vbin(Kind, L, t.xmm(i.reg), b));
}
void pandn(X86& t, const I& i) { // ~destination & source
    Val b = t.vector(i, 1);
    t.xmm(i.reg, t.vbin(VBin::andn, Lane::i64, b, t.xmm(i.reg)));
}
template <ir::VRel Rel, Lane L>
void compare_lanes(X86& t, const I& i) {
    Val b = t.vector(i, 1);
    t.xmm(i.reg, t.op(Op::vcmp, v128, t.xmm(i.reg), b, {}, 0, u8(Rel), L));
}
template <u32 High, Lane L>
void unpack(X86& t, const I& i) {
    Val b = t.vector(i, 1);
    t.xmm(i.reg, t.op(Op::vzip, v128, t.xmm(i.reg), b, {}, 0, High, L));
}
template <ir::VNarrow Kind, Lane L>
void pack(X86& t, const I& i) {
    Val b = t.vector(i, 1);
    t.xmm(i.reg, t.op(Op::vnarrow, v128, t.xmm(i.reg), b, {}, 0, u8(Kind), L));
}

// Shifts: a count of the lane's width or more gives zero, or all sign.
template <ir::VShift Kind, Lane L>
void shift_imm(X86& t, const I& i) {
    u32 bits = 8 * ir::lane_bytes(L), n = std::min<u32>(u8(i.imm), bits);
    t.xmm(i.rm, t.op(Op::vshift, v128, t.xmm(i.rm), {}, {}, n, u8(Kind), L));
}
template <VBin Kind, Lane L>
void shift_by(X86& t, const I& i) {
    Val count = t.op(Op::vget, Type::i64, t.vector(i, 1), {}, {}, 0, 0, Lane::i64);
    Val n = count.ult(t.imm(128)).select(count, t.imm(127));
    t.xmm(i.reg, t.vbin(Kind, L, t.xmm(i.reg), t.op(Op::vsplat, v128, n, {}, {}, 0, 0, L)));
}
template <bool Left>
void shift_bytes(X86& t, const I& i) {
    u32 n = std::min<u32>(u8(i.imm), 16);
    Val a = t.xmm(i.rm);
    t.xmm(i.rm, Left ? t.op(Op::vext, v128, zero(t), a, {}, 16 - n) : t.op(Op::vext, v128, a, zero(t), {}, n));
}

// Shuffles by a constant: a table of the bytes of a:b.
Val shuffle(X86& t, Val a, Val b, const u8 (&table)[16]) {
    return t.op(Op::vshuffle, v128, a, b, {}, t.table(table, 16));
}
void pshufd(X86& t, const I& i) {
    u8 table[16];
    for (u32 k = 0; k < 16; ++k) table[k] = u8((i.imm >> (k / 4 * 2) & 3) * 4 + k % 4);
    Val a = t.vector(i, 1);
    t.xmm(i.reg, shuffle(t, a, a, table));
}
template <u32 High>
void pshufw(X86& t, const I& i) {
    u8 table[16];
    for (u32 k = 0; k < 16; ++k) table[k] = u8(k);
    for (u32 k = 0; k < 8; ++k) table[8 * High + k] = u8(8 * High + (i.imm >> (k / 2 * 2) & 3) * 2 + k % 2);
    Val a = t.vector(i, 1);
    t.xmm(i.reg, shuffle(t, a, a, table));
}
// shufps: two lanes of the destination, then two of the source; shufpd: one each.
template <u32 Bytes>
void shuf(X86& t, const I& i) {
    constexpr u32 count = 16 / Bytes, bits = Bytes == 4 ? 2 : 1;
    u8 table[16];
    for (u32 k = 0; k < 16; ++k) {
        u32 lane = k / Bytes, pick = u32(i.imm >> (lane * bits)) & (count - 1);
        table[k] = u8((lane >= count / 2 ? 16 : 0) + pick * Bytes + k % Bytes);
    }
    Val b = t.vector(i, 1);
    t.xmm(i.reg, shuffle(t, t.xmm(i.reg), b, table));
}

void pmuludq(X86& t, const I& i) {
    Val b = t.vector(i, 1), low = t.wide(0xffffffff, 0xffffffff, v128);
    auto even = [&](Val v) { return t.vbin(VBin::and_, Lane::i64, v, low); };
    t.xmm(i.reg, t.vbin(VBin::mul, Lane::i64, even(t.xmm(i.reg)), even(b)));
}
void pmaddwd(X86& t, const I& i) {
    Val b = t.vector(i, 1), a = t.xmm(i.reg);
    auto half_of = [&](Val v, u8 high) { return t.op(Op::vwiden, v128, v, {}, {}, 0, u8(2 | high), Lane::i16); };
    auto products = [&](u8 high) { return t.vbin(VBin::mul, Lane::i32, half_of(a, high), half_of(b, high)); };
    Val low = products(0), high = products(1);
    t.xmm(i.reg, t.vbin(VBin::addp, Lane::i32, low, high));
}
void psadbw(X86& t, const I& i) {
    Val b = t.vector(i, 1), v = t.vbin(VBin::uabd, Lane::i8, t.xmm(i.reg), b);
    for (Lane l : {Lane::i8, Lane::i16, Lane::i32}) v = t.vun(ir::VUn::uaddlp, l, v);
    t.xmm(i.reg, v);
}

// The sign bits of the lanes of `Bytes` bytes.
template <u32 Bytes>
int signs(ir::CpuHeader*, const ir::Wide* a, ir::Wide* out) {
    u32 bits = 0;
    for (u32 n = 0; n < 16 / Bytes; ++n) {
        u32 at = n * Bytes * 8 + Bytes * 8 - 1;
        bits |= u32(a[0].w[at / 64] >> at % 64 & 1) << n;
    }
    out[0] = {{bits, 0}};
    return 0;
}
constexpr ir::Intrinsic signs8{"v128_signs8", signs<1>, 1}, signs32{"v128_signs32", signs<4>, 1},
    signs64{"v128_signs64", signs<8>, 1};
template <const ir::Intrinsic& F>
void movmsk(X86& t, const I& i) {
    t.r(i.reg, t.call(F, Type::i32, {t.xmm(i.rm)}));
}
void pinsrw(X86& t, const I& i) {
    Val v = t.read(i, 1);
    t.xmm(i.reg, t.op(Op::vset, v128, t.xmm(i.reg), v, {}, u64(u8(i.imm) & 7), 0, Lane::i16));
}
void pextrw(X86& t, const I& i) {
    t.r(i.reg, t.op(Op::vget, Type::i32, t.xmm(i.rm), {}, {}, u64(u8(i.imm) & 7), 0, Lane::i16));
}

#define LANES(name, opcode, kind, lane)                                                                                \
    { name " {xmm1},{xmm2/m128}", "66 0F " opcode " /r", lanes<VBin::kind, Lane::lane> }
#define COMPARE(name, opcode, rel, lane)                                                                               \
    { name " {xmm1},{xmm2/m128}", "66 0F " opcode " /r", compare_lanes<ir::VRel::rel, Lane::lane> }
#define SHIFT(name, by, imm, digit, bin, kind, lane)                                                                   \
    {name " {xmm1},{xmm2/m128}", "66 0F " by " /r", shift_by<VBin::bin, Lane::lane>}, {                                \
        name " {xmm2},{imm8}", "66 0F " imm " " digit " ib", shift_imm<ir::VShift::kind, Lane::lane>                   \
    }

// clang-format off
constexpr Row rows[] = {
    {"movups {xmm1},{xmm2/m128}",      "NP 0F 10 /r",        load<false>},
    {"movups {xmm2/m128},{xmm1}",      "NP 0F 11 /r",        load<false>},
    {"movupd {xmm1},{xmm2/m128}",      "66 0F 10 /r",        load<false>},
    {"movupd {xmm2/m128},{xmm1}",      "66 0F 11 /r",        load<false>},
    {"movss {xmm1},{xmm2}",            "F3 0F 10 /r",        move_low<Type::f32>},
    {"movss {xmm1},{m32}",             "F3 0F 10 /r",        load_low<Type::f32>},
    {"movss {xmm2},{xmm1}",            "F3 0F 11 /r",        move_low<Type::f32>},
    {"movss {m32},{xmm1}",             "F3 0F 11 /r",        store_low<Type::f32>},
    {"movsd {xmm1},{xmm2}",            "F2 0F 10 /r",        move_low<Type::f64>},
    {"movsd {xmm1},{m64}",             "F2 0F 10 /r",        load_low<Type::f64>},
    {"movsd {xmm2},{xmm1}",            "F2 0F 11 /r",        move_low<Type::f64>},
    {"movsd {m64},{xmm1}",             "F2 0F 11 /r",        store_low<Type::f64>},
    {"movhlps {xmm1},{xmm2}",          "NP 0F 12 /r",        move_half<1, 0>},
    {"movlps {xmm1},{m64}",            "NP 0F 12 /r",        load_half<0>},
    {"movlpd {xmm1},{m64}",            "66 0F 12 /r",        load_half<0>},
    {"movlps {m64},{xmm1}",            "NP 0F 13 /r",        store_half<0>},
    {"movlpd {m64},{xmm1}",            "66 0F 13 /r",        store_half<0>},
    {"unpcklps {xmm1},{xmm2/m128}",    "NP 0F 14 /r",        unpack<0, Lane::i32>},
    {"unpcklpd {xmm1},{xmm2/m128}",    "66 0F 14 /r",        unpack<0, Lane::i64>},
    {"unpckhps {xmm1},{xmm2/m128}",    "NP 0F 15 /r",        unpack<1, Lane::i32>},
    {"unpckhpd {xmm1},{xmm2/m128}",    "66 0F 15 /r",        unpack<1, Lane::i64>},
    {"movlhps {xmm1},{xmm2}",          "NP 0F 16 /r",        move_half<0, 1>},
    {"movhps {xmm1},{m64}",            "NP 0F 16 /r",        load_half<1>},
    {"movhpd {xmm1},{m64}",            "66 0F 16 /r",        load_half<1>},
    {"movhps {m64},{xmm1}",            "NP 0F 17 /r",        store_half<1>},
    {"movhpd {m64},{xmm1}",            "66 0F 17 /r",        store_half<1>},
    {"movaps {xmm1},{xmm2/m128}",      "NP 0F 28 /r",        load<true>},
    {"movaps {xmm2/m128},{xmm1}",      "NP 0F 29 /r",        load<true>},
    {"movapd {xmm1},{xmm2/m128}",      "66 0F 28 /r",        load<true>},
    {"movapd {xmm2/m128},{xmm1}",      "66 0F 29 /r",        load<true>},
    {"movntps {m128},{xmm1}",          "NP 0F 2B /r",        load<true>},
    {"movntpd {m128},{xmm1}",          "66 0F 2B /r",        load<true>},
    {"movmskps {ry},{xmm2}",           "NP 0F 50 /r",        movmsk<signs32>},
    {"movmskpd {ry},{xmm2}",           "66 0F 50 /r",        movmsk<signs64>},

    {"punpcklbw {xmm1},{xmm2/m128}",   "66 0F 60 /r",        unpack<0, Lane::i8>},
    {"punpcklwd {xmm1},{xmm2/m128}",   "66 0F 61 /r",        unpack<0, Lane::i16>},
    {"punpckldq {xmm1},{xmm2/m128}",   "66 0F 62 /r",        unpack<0, Lane::i32>},
    {"packsswb {xmm1},{xmm2/m128}",    "66 0F 63 /r",        pack<ir::VNarrow::sqxtn, Lane::i16>},
    COMPARE("pcmpgtb", "64", sgt, i8),
    COMPARE("pcmpgtw", "65", sgt, i16),
    COMPARE("pcmpgtd", "66", sgt, i32),
    {"packuswb {xmm1},{xmm2/m128}",    "66 0F 67 /r",        pack<ir::VNarrow::sqxtun, Lane::i16>},
    {"punpckhbw {xmm1},{xmm2/m128}",   "66 0F 68 /r",        unpack<1, Lane::i8>},
    {"punpckhwd {xmm1},{xmm2/m128}",   "66 0F 69 /r",        unpack<1, Lane::i16>},
    {"punpckhdq {xmm1},{xmm2/m128}",   "66 0F 6A /r",        unpack<1, Lane::i32>},
    {"packssdw {xmm1},{xmm2/m128}",    "66 0F 6B /r",        pack<ir::VNarrow::sqxtn, Lane::i32>},
    {"punpcklqdq {xmm1},{xmm2/m128}",  "66 0F 6C /r",        unpack<0, Lane::i64>},
    {"punpckhqdq {xmm1},{xmm2/m128}",  "66 0F 6D /r",        unpack<1, Lane::i64>},
    {"movd {xmm1},{r/m32}",            "66 W0 0F 6E /r",     movd_in},
    {"movq {xmm1},{xmm2/m64}",         "F3 0F 7E /r",        movq_in},
    {"movq {xmm2/m64},{xmm1}",         "66 0F D6 /r",        movq_out},
    {"movq {xmm1},{r/m64}",            "66 REX.W 0F 6E /r",  movd_in},
    {"movdqa {xmm1},{xmm2/m128}",      "66 0F 6F /r",        load<true>},
    {"movdqu {xmm1},{xmm2/m128}",      "F3 0F 6F /r",        load<false>},
    {"pshufd {xmm1},{xmm2/m128},{imm8}",  "66 0F 70 /r ib",  pshufd},
    {"pshuflw {xmm1},{xmm2/m128},{imm8}", "F2 0F 70 /r ib",  pshufw<0>},
    {"pshufhw {xmm1},{xmm2/m128},{imm8}", "F3 0F 70 /r ib",  pshufw<1>},
    SHIFT("psrlw", "D1", "71", "/2", lshr, lshr, i16),
    SHIFT("psrld", "D2", "72", "/2", lshr, lshr, i32),
    SHIFT("psrlq", "D3", "73", "/2", lshr, lshr, i64),
    SHIFT("psraw", "E1", "71", "/4", ashr, ashr, i16),
    SHIFT("psrad", "E2", "72", "/4", ashr, ashr, i32),
    SHIFT("psllw", "F1", "71", "/6", shl, shl, i16),
    SHIFT("pslld", "F2", "72", "/6", shl, shl, i32),
    SHIFT("psllq", "F3", "73", "/6", shl, shl, i64),
    {"psrldq {xmm2},{imm8}",           "66 0F 73 /3 ib",     shift_bytes<false>},
    {"pslldq {xmm2},{imm8}",           "66 0F 73 /7 ib",     shift_bytes<true>},
    COMPARE("pcmpeqb", "74", eq, i8),
    COMPARE("pcmpeqw", "75", eq, i16),
    COMPARE("pcmpeqd", "76", eq, i32),
    {"movd {r/m32},{xmm1}",            "66 W0 0F 7E /r",     movd_out<Type::i32>},
    {"movq {r/m64},{xmm1}",            "66 REX.W 0F 7E /r",  movd_out<Type::i64>},
    {"movdqa {xmm2/m128},{xmm1}",      "66 0F 7F /r",        load<true>},
    {"movdqu {xmm2/m128},{xmm1}",      "F3 0F 7F /r",        load<false>},
    {"pinsrw {xmm1},{r32/m16},{imm8}", "66 0F C4 /r ib",     pinsrw},
    {"pextrw {ry},{xmm2},{imm8}",     "66 0F C5 /r ib",     pextrw},
    {"shufps {xmm1},{xmm2/m128},{imm8}", "NP 0F C6 /r ib",   shuf<4>},
    {"shufpd {xmm1},{xmm2/m128},{imm8}", "66 0F C6 /r ib",   shuf<8>},
    LANES("paddq",   "D4", add, i64),
    LANES("pmullw",  "D5", mul, i16),
    {"pmovmskb {ry},{xmm2}",           "66 0F D7 /r",        movmsk<signs8>},
    LANES("psubusb", "D8", usub_sat, i8),
    LANES("psubusw", "D9", usub_sat, i16),
    LANES("pminub",  "DA", umin, i8),
    LANES("pand",    "DB", and_, i64),
    LANES("paddusb", "DC", uadd_sat, i8),
    LANES("paddusw", "DD", uadd_sat, i16),
    LANES("pmaxub",  "DE", umax, i8),
    {"pandn {xmm1},{xmm2/m128}",       "66 0F DF /r",        pandn},
    LANES("pavgb",   "E0", uavg, i8),
    LANES("pavgw",   "E3", uavg, i16),
    LANES("pmulhuw", "E4", mulhu, i16),
    LANES("pmulhw",  "E5", mulhs, i16),
    {"movntdq {m128},{xmm1}",          "66 0F E7 /r",        load<true>},
    LANES("psubsb",  "E8", ssub_sat, i8),
    LANES("psubsw",  "E9", ssub_sat, i16),
    LANES("pminsw",  "EA", smin, i16),
    LANES("por",     "EB", or_, i64),
    LANES("paddsb",  "EC", sadd_sat, i8),
    LANES("paddsw",  "ED", sadd_sat, i16),
    LANES("pmaxsw",  "EE", smax, i16),
    LANES("pxor",    "EF", xor_, i64),
    {"pmuludq {xmm1},{xmm2/m128}",     "66 0F F4 /r",        pmuludq},
    {"pmaddwd {xmm1},{xmm2/m128}",     "66 0F F5 /r",        pmaddwd},
    {"psadbw {xmm1},{xmm2/m128}",      "66 0F F6 /r",        psadbw},
    LANES("psubb",   "F8", sub, i8),
    LANES("psubw",   "F9", sub, i16),
    LANES("psubd",   "FA", sub, i32),
    LANES("psubq",   "FB", sub, i64),
    LANES("paddb",   "FC", add, i8),
    LANES("paddw",   "FD", add, i16),
    LANES("paddd",   "FE", add, i32),
    {"andps {xmm1},{xmm2/m128}",       "NP 0F 54 /r",        lanes<VBin::and_, Lane::i64>},
    {"andpd {xmm1},{xmm2/m128}",       "66 0F 54 /r",        lanes<VBin::and_, Lane::i64>},
    {"andnps {xmm1},{xmm2/m128}",      "NP 0F 55 /r",        pandn},
    {"andnpd {xmm1},{xmm2/m128}",      "66 0F 55 /r",        pandn},
    {"orps {xmm1},{xmm2/m128}",        "NP 0F 56 /r",        lanes<VBin::or_, Lane::i64>},
    {"orpd {xmm1},{xmm2/m128}",        "66 0F 56 /r",        lanes<VBin::or_, Lane::i64>},
    {"xorps {xmm1},{xmm2/m128}",       "NP 0F 57 /r",        lanes<VBin::xor_, Lane::i64>},
    {"xorpd {xmm1},{xmm2/m128}",       "66 0F 57 /r",        lanes<VBin::xor_, Lane::i64>},
};
// clang-format on

} // namespace

constinit const Table sse_rows{"SSE2", Feature::base, rows};

} // namespace mimic::isa::x86
