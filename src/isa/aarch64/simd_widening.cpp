// Advanced SIMD on formats that are not those of the registers' usual lanes: half precision into single (FHM), brain
// floating point (BF16), rounding to a size (FRINTTS). Arm ARM C4.1.97; bodies as J1.3 has them.
#include "isa/aarch64/simd.hpp"
#include "isa/aarch64/tables.hpp"
#include <array>
#include <bit>

namespace mimic::isa::aarch64 {

namespace {

namespace sf = softfloat;
using Words = std::array<u32, 4>;
using Halves = std::array<u16, 8>;

template <class Lanes>
Lanes lanes(const ir::Wide& w) {
    return std::bit_cast<Lanes>(w.w);
}
template <class Lanes>
int give(ir::Wide* results, const Lanes& lanes) {
    auto w = std::bit_cast<std::array<u64, 2>>(lanes);
    results[0].w[0] = w[0];
    results[0].w[1] = w[1];
    return 0;
}

// ---- FHM. args: Vd, Vn, Vm, how: bit 0 the upper half of the halfwords, bit 1 subtract, bit 2 all four words.

// FPMulAddH: products of halves are exact, the sum is rounded once.
int multiply_halves(ir::CpuHeader* cpu, const ir::Wide* args, ir::Wide* results) {
    sf::Env env = fp_environment(*cpu);
    u64 how = args[3].w[0];
    u32 count = how & 4 ? 4 : 2, first = how & 1 ? count : 0;
    Words d = lanes<Words>(args[0]), out{};
    Halves n = lanes<Halves>(args[1]), m = lanes<Halves>(args[2]);
    for (u32 k = 0; k < count; ++k) {
        u16 factor = u16(n[first + k] ^ (how & 2 ? 0x8000 : 0));
        sf::Parts addend = sf::unpack<sf::F32>(d[k], env), a = sf::unpack<sf::F16>(factor, env);
        sf::Parts b = sf::unpack<sf::F16>(m[first + k], env);
        out[k] = sf::round_pack<sf::F32>(sf::mul_add(a, b, addend, env), env);
    }
    keep_flags(*cpu, env);
    return give(results, out);
}
constexpr ir::Intrinsic fmlal_body{
    .name = "aarch64_fmlal", .body = multiply_halves, .args = 4, .effects = ir::Intrinsic::reads_fp};

Val repeated_halfword(A64& t, const I& i) {
    u64 index = u64(i[H_] << 2 | i[L_] << 1 | i[M_]);
    Val e = t.op(Op::vget, Type::i16, t.v(i[Rm4], Type::v128), {}, {}, index, 0, Lane::i16);
    return splat(t, Type::v128, Lane::i16, e);
}
template <bool Upper, bool Subtract, bool Element>
void fmlal(A64& t, const I& i) {
    Val m = Element ? repeated_halfword(t, i) : t.v(i[Rm], Type::v128);
    u64 how = u64(Upper) | u64(Subtract) << 1 | u64(i[Q]) << 2;
    t.v(i[Rd], t.call(fmlal_body, Type::v128, {t.v(i[Rd], Type::v128), t.v(i[Rn], Type::v128), m, t.imm(how)}));
}

// ---- BF16

// BFMulH, FPAdd_BF16 and BFRound: denormals are zero, NaNs are the default one, no flags, rounding to odd, and what is
// too large is infinite.
struct Brain {
    sf::Env env = sf::env::aarch64;
    Brain() {
        env.rounding = sf::Rounding::odd;
        env.default_nan = env.flush.inputs = true;
    }
    u32 pack(sf::Parts p) {
        if (p.is_normal() && p.exponent < sf::F32::emin) p = {.sign = p.sign};
        if (p.is_normal() && p.exponent > sf::F32::emax) p = {.cls = sf::Class::infinity, .sign = p.sign};
        return sf::round_pack<sf::F32>(p, env);
    }
    u32 multiply(u16 a, u16 b) {
        sf::Parts x = sf::unpack<sf::BF16>(a, env), y = sf::unpack<sf::BF16>(b, env);
        return pack(sf::multiply(x, y, env));
    }
    u32 add(u32 a, u32 b) {
        sf::Parts x = sf::unpack<sf::F32>(a, env), y = sf::unpack<sf::F32>(b, env);
        return pack(sf::add(x, y, env));
    }
    // BFDotAdd
    u32 dot(u32 addend, const u16* a, const u16* b) {
        return add(addend, add(multiply(a[0], b[0]), multiply(a[1], b[1])));
    }
};

int brain_dot(ir::CpuHeader*, const ir::Wide* args, ir::Wide* results) {
    Words d = lanes<Words>(args[0]);
    Halves n = lanes<Halves>(args[1]), m = lanes<Halves>(args[2]);
    Brain brain;
    for (u32 k = 0; k < 4; ++k) d[k] = brain.dot(d[k], &n[2 * k], &m[2 * k]);
    return give(results, d);
}
int brain_matrix(ir::CpuHeader*, const ir::Wide* args, ir::Wide* results) {
    Words d = lanes<Words>(args[0]);
    Halves n = lanes<Halves>(args[1]), m = lanes<Halves>(args[2]);
    Brain brain;
    for (u32 k = 0; k < 4; ++k)
        for (u32 at = 0; at < 4; at += 2) d[k] = brain.dot(d[k], &n[k / 2 * 4 + at], &m[k % 2 * 4 + at]);
    return give(results, d);
}
int to_brain(ir::CpuHeader* cpu, const ir::Wide* args, ir::Wide* results) {
    sf::Env env = fp_environment(*cpu);
    u64 out = 0;
    Words a = lanes<Words>(args[0]);
    for (u32 k = 0; k < args[1].w[0] && k < 4; ++k) out |= u64(sf::convert<sf::BF16, sf::F32>(a[k], env)) << 16 * k;
    keep_flags(*cpu, env);
    results[0] = {{out, 0}};
    return 0;
}
constexpr ir::Intrinsic bfdot_body{.name = "aarch64_bfdot", .body = brain_dot, .args = 3};
constexpr ir::Intrinsic bfmmla_body{.name = "aarch64_bfmmla", .body = brain_matrix, .args = 3};
// args: single-precision lanes, how many of them
constexpr ir::Intrinsic bfcvt_body{
    .name = "aarch64_bfcvt", .body = to_brain, .args = 2, .effects = ir::Intrinsic::reads_fp};

// The low half of a 64-bit form's result counts.
void put_vector(A64& t, const I& i, Val v) { i[Q] ? t.v(i[Rd], v) : t.v(i[Rd], low_half(t, v)); }
Val repeated_halfwords(A64& t, const I& i) {
    u64 index = u64(i[H_] << 1 | i[L_]);
    Val e = t.op(Op::vget, Type::i32, t.v(i[Rm4] | i[M_] << 4, Type::v128), {}, {}, index, 0, Lane::i32);
    return splat(t, Type::v128, Lane::i32, e);
}
template <bool Element>
void bfdot(A64& t, const I& i) {
    Val m = Element ? repeated_halfwords(t, i) : t.v(i[Rm], Type::v128);
    put_vector(t, i, t.call(bfdot_body, Type::v128, {t.v(i[Rd], Type::v128), t.v(i[Rn], Type::v128), m}));
}
void bfmmla(A64& t, const I& i) {
    t.v(i[Rd],
        t.call(bfmmla_body, Type::v128, {t.v(i[Rd], Type::v128), t.v(i[Rn], Type::v128), t.v(i[Rm], Type::v128)}));
}
void bfcvt(A64& t, const I& i) {
    t.v(i[Rd], t.call(bfcvt_body, Type::i16, {t.v(i[Rn], Type::f32).bitcast(Type::i32), t.imm(1)}));
}
template <bool Upper>
void bfcvtn(A64& t, const I& i) {
    Val v = t.call(bfcvt_body, Type::i64, {t.v(i[Rn], Type::v128), t.imm(4)});
    if (Upper)
        t.put(u16(slot_v + i[Rd]), v, 8);
    else
        t.v(i[Rd], v);
}
// A brain number is the upper half of a single one.
template <bool Top>
Val as_single(A64& t, Val v) {
    Val moved = Top ? shifted_lanes(t, VShift::lshr, Lane::i32, v, 16) : v;
    return shifted_lanes(t, VShift::shl, Lane::i32, moved, 16);
}
template <bool Top, bool Element>
void bfmlal(A64& t, const I& i) {
    Val n = as_single<Top>(t, t.v(i[Rn], Type::v128));
    Val m = Element ? as_single<false>(t, repeated_halfword(t, i)) : as_single<Top>(t, t.v(i[Rm], Type::v128));
    t.v(i[Rd],
        t.op(Op::vtern, Type::v128, n, m, t.v(i[Rd], Type::v128), ir::FpArg{}.bits(), u8(VTern::fmla), Lane::f32));
}

// ---- FRINTTS. args: Vn, how: the size, bit 8 toward zero, bit 9 doublewords, from bit 16 the number of lanes

int round_lanes(ir::CpuHeader* cpu, const ir::Wide* args, ir::Wide* results) {
    sf::Env env = fp_environment(*cpu);
    u64 how = args[1].w[0];
    u32 size = u8(how);
    bool zero = how >> 8 & 1;
    results[0] = {};
    for (u32 k = 0; k < u32(how >> 16); ++k) {
        if (how >> 9 & 1)
            results[0].w[k] = round_to_size<sf::F64>(args[0].w[k], size, zero, env);
        else
            results[0].w[k / 2] |= u64(round_to_size<sf::F32>(u32(args[0].w[k / 2] >> 32 * (k % 2)), size, zero, env))
                                   << 32 * (k % 2);
    }
    keep_flags(*cpu, env);
    return 0;
}
constexpr ir::Intrinsic frint_body{
    .name = "aarch64_frint_lanes", .body = round_lanes, .args = 2, .effects = ir::Intrinsic::reads_fp};
template <u32 Size, bool Zero>
void frint(A64& t, const I& i) {
    u64 count = (i[Q] ? 4 : 2) / (i[sz] ? 2 : 1), how = Size | u64(Zero) << 8 | u64(i[sz]) << 9 | count << 16;
    t.v(i[Rd], t.call(frint_body, Type::v128, {t.v(i[Rn], Type::v128), t.imm(how)}));
}

// clang-format off
constexpr R fhm_rows[] = {
    {"fmlal     {Vd2s}, {Vn2h}, {Vm2h}",      "0 Q 0 01110 0 0 1 Rm 11101 1 Rn Rd",           fmlal<false, false, false>},
    {"fmlsl     {Vd2s}, {Vn2h}, {Vm2h}",      "0 Q 0 01110 1 0 1 Rm 11101 1 Rn Rd",           fmlal<false, true, false>},
    {"fmlal2    {Vd2s}, {Vn2h}, {Vm2h}",      "0 Q 1 01110 0 0 1 Rm 11001 1 Rn Rd",           fmlal<true, false, false>},
    {"fmlsl2    {Vd2s}, {Vn2h}, {Vm2h}",      "0 Q 1 01110 1 0 1 Rm 11001 1 Rn Rd",           fmlal<true, true, false>},
    {"fmlal     {Vd2s}, {Vn2h}, {VmHEl}",     "0 Q 0 01111 10 L M Rm4 0000 H 0 Rn Rd",        fmlal<false, false, true>},
    {"fmlsl     {Vd2s}, {Vn2h}, {VmHEl}",     "0 Q 0 01111 10 L M Rm4 0100 H 0 Rn Rd",        fmlal<false, true, true>},
    {"fmlal2    {Vd2s}, {Vn2h}, {VmHEl}",     "0 Q 1 01111 10 L M Rm4 1000 H 0 Rn Rd",        fmlal<true, false, true>},
    {"fmlsl2    {Vd2s}, {Vn2h}, {VmHEl}",     "0 Q 1 01111 10 L M Rm4 1100 H 0 Rn Rd",        fmlal<true, true, true>},
};
constexpr R bf16_rows[] = {
    {"bfdot     {Vd2s}, {Vn4h}, {Vm4h}",      "0 Q 1 01110 01 0 Rm 1 1111 1 Rn Rd",           bfdot<false>},
    {"bfdot     {Vd2s}, {Vn4h}, {VmHs}",      "0 Q 0 01111 01 L M Rm4 1111 H 0 Rn Rd",        bfdot<true>},
    {"bfmmla    {Vd}.4s, {Vn}.8h, {Vm}.8h",   "0 1 1 01110 01 0 Rm 1 1101 1 Rn Rd",           bfmmla},
    {"bfmlalb   {Vd}.4s, {Vn}.8h, {Vm}.8h",   "0 0 1 01110 11 0 Rm 1 1111 1 Rn Rd",           bfmlal<false, false>},
    {"bfmlalt   {Vd}.4s, {Vn}.8h, {Vm}.8h",   "0 1 1 01110 11 0 Rm 1 1111 1 Rn Rd",           bfmlal<true, false>},
    {"bfmlalb   {Vd}.4s, {Vn}.8h, {VmHEl}",   "0 0 0 01111 11 L M Rm4 1111 H 0 Rn Rd",        bfmlal<false, true>},
    {"bfmlalt   {Vd}.4s, {Vn}.8h, {VmHEl}",   "0 1 0 01111 11 L M Rm4 1111 H 0 Rn Rd",        bfmlal<true, true>},
    {"bfcvtn    {Vd}.4h, {Vn}.4s",            "0 0 0 01110 10 10000 10110 10 Rn Rd",          bfcvtn<false>},
    {"bfcvtn2   {Vd}.8h, {Vn}.4s",            "0 1 0 01110 10 10000 10110 10 Rn Rd",          bfcvtn<true>},
    {"bfcvt     {Hd}, {Sn}",                  "00011110 01 1 000110 10000 Rn Rd",             bfcvt},
};
constexpr R frintts_rows[] = {
    {"frint32z  {VdF}, {VnF}",                "0 Q 0 01110 0 sz 10000 11110 10 Rn Rd",        frint<32, true>, full_fp},
    {"frint32x  {VdF}, {VnF}",                "0 Q 1 01110 0 sz 10000 11110 10 Rn Rd",        frint<32, false>, full_fp},
    {"frint64z  {VdF}, {VnF}",                "0 Q 0 01110 0 sz 10000 11111 10 Rn Rd",        frint<64, true>, full_fp},
    {"frint64x  {VdF}, {VnF}",                "0 Q 1 01110 0 sz 10000 11111 10 Rn Rd",        frint<64, false>, full_fp},
};
// clang-format on

} // namespace

constinit const Table<AArch64> simd_fhm{"FHM", needs(Feature::fhm), fhm_rows, fp_registers};
constinit const Table<AArch64> simd_bf16{"BF16", needs(Feature::bf16), bf16_rows, fp_registers};
constinit const Table<AArch64> simd_frintts{"FRINTTS, vectors", needs(Feature::frintts, Feature::simd), frintts_rows,
                                            fp_registers};

} // namespace mimic::isa::aarch64
