// Cryptographic instructions: Arm ARM C4.1.97 (Cryptographic AES, two-, three- and four-register SHA, XAR). AES,
// carry-less products and SHA-256 are the IR's; the rest is put together here or in crypto_bodies.cpp.
#include "isa/aarch64/crypto_bodies.hpp"
#include "isa/aarch64/simd.hpp"
#include "isa/aarch64/tables.hpp"

namespace mimic::isa::aarch64 {

namespace {

Val full(A64& t, i64 n) { return t.v(n, Type::v128); }
Val exclusive_or(A64& t, Val a, Val b) { return t.vbin(VBin::xor_, Lane::i64, a, b); }
Val bytes_from(A64& t, Val a, Val b, u32 at) { return t.op(Op::vext, Type::v128, a, b, {}, at); }
// Words n0 n1 n2 n3 (low first) of a:b.
Val words_of(A64& t, Val a, Val b, u8 n0, u8 n1, u8 n2, u8 n3) {
    u8 table[16];
    const u8 from[] = {n0, n1, n2, n3};
    for (u32 k = 0; k < 16; ++k) table[k] = u8(4 * from[k / 4] + k % 4);
    return t.op(Op::vshuffle, Type::v128, a, b, {}, t.table(table, 16));
}
Val rotated(A64& t, Lane lane, Val a, u32 right) { return shifted_lanes(t, VShift::rotr, lane, a, right); }

// ---- AES

template <VUn K>
void aes_round(A64& t, const I& i) {
    t.v(i[Rd], t.vun(K, Lane::i128, exclusive_or(t, full(t, i[Rd]), full(t, i[Rn]))));
}
template <VUn K>
void aes_mix(A64& t, const I& i) {
    t.v(i[Rd], t.vun(K, Lane::i128, full(t, i[Rn])));
}
template <VBin K>
void pmull(A64& t, const I& i) {
    t.v(i[Rd], t.vbin(K, Lane::i64, full(t, i[Rn]), full(t, i[Rm])));
}

// ---- SHA-1

void sha1h(A64& t, const I& i) { t.v(i[Rd], t.v(i[Rn], Type::i32).rotr(2)); }
void sha1su0(A64& t, const I& i) {
    Val d = full(t, i[Rd]);
    t.v(i[Rd], exclusive_or(t, exclusive_or(t, d, bytes_from(t, d, full(t, i[Rn]), 8)), full(t, i[Rm])));
}
// W[t] is a word rotated left by one; the last needs the first, rotated twice.
void sha1su1(A64& t, const I& i) {
    Val zero = zero_vector(t, Type::v128);
    Val x = exclusive_or(t, full(t, i[Rd]), bytes_from(t, full(t, i[Rn]), zero, 4));
    Val first_on_top = bytes_from(t, zero, rotated(t, Lane::i32, x, 30), 4);
    t.v(i[Rd], exclusive_or(t, rotated(t, Lane::i32, x, 31), first_on_top));
}

// A call with the registers' contents.
template <const ir::Intrinsic& F>
void two(A64& t, const I& i) {
    t.v(i[Rd], t.call(F, Type::v128, {full(t, i[Rd]), full(t, i[Rn])}));
}
template <const ir::Intrinsic& F>
void three(A64& t, const I& i) {
    t.v(i[Rd], t.call(F, Type::v128, {full(t, i[Rd]), full(t, i[Rn]), full(t, i[Rm])}));
}

// ---- SHA-256: abcd in a, efgh in b, the words in w; four rounds are two times two.

template <bool Second>
void sha256_rounds(A64& t, const I& i) {
    Val a = full(t, Second ? i[Rn] : i[Rd]), b = full(t, Second ? i[Rd] : i[Rn]), w = full(t, i[Rm]);
    Val feba = words_of(t, b, a, 1, 0, 5, 4), hgdc = words_of(t, b, a, 3, 2, 7, 6);
    auto two_rounds = [&](Val x, Val wk, Val c) {
        return t.op(Op::vtern, Type::v128, x, wk, c, 0, u8(VTern::sha256_rounds2), Lane::i128);
    };
    Val middle = two_rounds(feba, w, hgdc), last = two_rounds(middle, bytes_from(t, w, w, 8), feba);
    t.v(i[Rd], Second ? words_of(t, middle, last, 5, 4, 1, 0) : words_of(t, middle, last, 7, 6, 3, 2));
}
void sha256su0(A64& t, const I& i) {
    t.v(i[Rd], t.vbin(VBin::sha256_msg1, Lane::i128, full(t, i[Rd]), full(t, i[Rn])));
}
void sha256su1(A64& t, const I& i) {
    Val m = full(t, i[Rm]);
    Val sum = t.vbin(VBin::add, Lane::i32, full(t, i[Rd]), bytes_from(t, full(t, i[Rn]), m, 4));
    t.v(i[Rd], t.vbin(VBin::sha256_msg2, Lane::i128, sum, m));
}

// ---- SHA-512 (FIPS 180-4, 4.1.3): half of two rounds

Val choose(Val x, Val y, Val z) { return ((y ^ z) & x) ^ z; }
Val majority(Val x, Val y, Val z) { return (x & y) | ((x | y) & z); }
Val big_sigma0(Val x) { return x.rotr(28) ^ x.rotr(34) ^ x.rotr(39); }
Val big_sigma1(Val x) { return x.rotr(14) ^ x.rotr(18) ^ x.rotr(41); }
Val doubleword(A64& t, i64 n, u32 k) { return t.get(u16(slot_v + n), Type::i64, 8 * k); }
void put_doublewords(A64& t, i64 n, Val low, Val high) {
    t.put(u16(slot_v + n), low);
    t.put(u16(slot_v + n), high, 8);
}
void sha512h(A64& t, const I& i) {
    Val n0 = doubleword(t, i[Rn], 0), n1 = doubleword(t, i[Rn], 1), m1 = doubleword(t, i[Rm], 1);
    Val high = choose(m1, n0, n1) + big_sigma1(m1) + doubleword(t, i[Rd], 1);
    Val next = high + doubleword(t, i[Rm], 0);
    put_doublewords(t, i[Rd], choose(next, m1, n0) + big_sigma1(next) + doubleword(t, i[Rd], 0), high);
}
void sha512h2(A64& t, const I& i) {
    Val m0 = doubleword(t, i[Rm], 0), m1 = doubleword(t, i[Rm], 1);
    Val high = majority(doubleword(t, i[Rn], 0), m1, m0) + big_sigma0(m0) + doubleword(t, i[Rd], 1);
    put_doublewords(t, i[Rd], majority(high, m0, m1) + big_sigma0(high) + doubleword(t, i[Rd], 0), high);
}
// d + (a rotated by x) ^ (a rotated by y) ^ (a >> z), lane by lane
Val plus_small_sigma(A64& t, Val d, Val a, u32 x, u32 y, u32 z) {
    Val sigma = exclusive_or(t, exclusive_or(t, rotated(t, Lane::i64, a, x), rotated(t, Lane::i64, a, y)),
                             shifted_lanes(t, VShift::lshr, Lane::i64, a, z));
    return t.vbin(VBin::add, Lane::i64, d, sigma);
}
void sha512su0(A64& t, const I& i) {
    Val d = full(t, i[Rd]);
    t.v(i[Rd], plus_small_sigma(t, d, bytes_from(t, d, full(t, i[Rn]), 8), 1, 8, 7));
}
void sha512su1(A64& t, const I& i) {
    Val sum = t.vbin(VBin::add, Lane::i64, full(t, i[Rd]), full(t, i[Rm]));
    t.v(i[Rd], plus_small_sigma(t, sum, full(t, i[Rn]), 19, 61, 6));
}

// ---- SHA-3

void eor3(A64& t, const I& i) {
    t.v(i[Rd], exclusive_or(t, exclusive_or(t, full(t, i[Rn]), full(t, i[Rm])), full(t, i[Ra])));
}
void bcax(A64& t, const I& i) {
    t.v(i[Rd], exclusive_or(t, full(t, i[Rn]), t.vbin(VBin::andn, Lane::i64, full(t, i[Rm]), full(t, i[Ra]))));
}
void rax1(A64& t, const I& i) {
    t.v(i[Rd], exclusive_or(t, full(t, i[Rn]), rotated(t, Lane::i64, full(t, i[Rm]), 63)));
}
void xar(A64& t, const I& i) {
    t.v(i[Rd], rotated(t, Lane::i64, exclusive_or(t, full(t, i[Rn]), full(t, i[Rm])), u32(i[imm6])));
}

// ---- SM3, SM4

void sm3ss1(A64& t, const I& i) {
    t.v(i[Rd], t.call(sm3ss1_body, Type::v128, {full(t, i[Rn]), full(t, i[Rm]), full(t, i[Ra])}));
}
template <const ir::Intrinsic& F>
void sm3tt(A64& t, const I& i) {
    t.v(i[Rd], t.call(F, Type::v128, {full(t, i[Rd]), full(t, i[Rn]), full(t, i[Rm]), t.imm(u64(i[imm2]))}));
}
void sm4ekey(A64& t, const I& i) { t.v(i[Rd], t.call(sm4ekey_body, Type::v128, {full(t, i[Rn]), full(t, i[Rm])})); }

// clang-format off
constexpr R aes_rows[] = {
    {"aese      {Vd}.16b, {Vn}.16b",            "01001110 00 10100 00100 10 Rn Rd",     aes_round<VUn::aes_enc>},
    {"aesd      {Vd}.16b, {Vn}.16b",            "01001110 00 10100 00101 10 Rn Rd",     aes_round<VUn::aes_dec>},
    {"aesmc     {Vd}.16b, {Vn}.16b",            "01001110 00 10100 00110 10 Rn Rd",     aes_mix<VUn::aes_mix>},
    {"aesimc    {Vd}.16b, {Vn}.16b",            "01001110 00 10100 00111 10 Rn Rd",     aes_mix<VUn::aes_imix>},
};
constexpr R pmull_rows[] = {
    {"pmull     {Vd}.1q, {Vn}.1d, {Vm}.1d",     "0 0 0 01110 11 1 Rm 1110 00 Rn Rd",    pmull<VBin::pmull_even>},
    {"pmull2    {Vd}.1q, {Vn}.2d, {Vm}.2d",     "0 1 0 01110 11 1 Rm 1110 00 Rn Rd",    pmull<VBin::pmull_odd>},
};
constexpr R sha1_rows[] = {
    {"sha1c     {Qd}, {Sn}, {Vm}.4s",           "01011110 00 0 Rm 0 000 00 Rn Rd",      three<sha1c_body>},
    {"sha1p     {Qd}, {Sn}, {Vm}.4s",           "01011110 00 0 Rm 0 001 00 Rn Rd",      three<sha1p_body>},
    {"sha1m     {Qd}, {Sn}, {Vm}.4s",           "01011110 00 0 Rm 0 010 00 Rn Rd",      three<sha1m_body>},
    {"sha1su0   {Vd}.4s, {Vn}.4s, {Vm}.4s",     "01011110 00 0 Rm 0 011 00 Rn Rd",      sha1su0},
    {"sha1h     {Sd}, {Sn}",                    "01011110 00 10100 00000 10 Rn Rd",     sha1h},
    {"sha1su1   {Vd}.4s, {Vn}.4s",              "01011110 00 10100 00001 10 Rn Rd",     sha1su1},
};
constexpr R sha256_rows[] = {
    {"sha256h   {Qd}, {Qn}, {Vm}.4s",           "01011110 00 0 Rm 0 100 00 Rn Rd",      sha256_rounds<false>},
    {"sha256h2  {Qd}, {Qn}, {Vm}.4s",           "01011110 00 0 Rm 0 101 00 Rn Rd",      sha256_rounds<true>},
    {"sha256su1 {Vd}.4s, {Vn}.4s, {Vm}.4s",     "01011110 00 0 Rm 0 110 00 Rn Rd",      sha256su1},
    {"sha256su0 {Vd}.4s, {Vn}.4s",              "01011110 00 10100 00010 10 Rn Rd",     sha256su0},
};
constexpr R sha512_rows[] = {
    {"sha512h   {Qd}, {Qn}, {Vm}.2d",           "11001110 011 Rm 1 0 00 00 Rn Rd",      sha512h},
    {"sha512h2  {Qd}, {Qn}, {Vm}.2d",           "11001110 011 Rm 1 0 00 01 Rn Rd",      sha512h2},
    {"sha512su1 {Vd}.2d, {Vn}.2d, {Vm}.2d",     "11001110 011 Rm 1 0 00 10 Rn Rd",      sha512su1},
    {"sha512su0 {Vd}.2d, {Vn}.2d",              "11001110 110 00000 1000 00 Rn Rd",     sha512su0},
};
constexpr R sha3_rows[] = {
    {"eor3      {Vd}.16b, {Vn}.16b, {Vm}.16b, {Va}.16b", "11001110 000 Rm 0 Ra Rn Rd",  eor3},
    {"bcax      {Vd}.16b, {Vn}.16b, {Vm}.16b, {Va}.16b", "11001110 001 Rm 0 Ra Rn Rd",  bcax},
    {"rax1      {Vd}.2d, {Vn}.2d, {Vm}.2d",     "11001110 011 Rm 1 0 00 11 Rn Rd",      rax1},
    {"xar       {Vd}.2d, {Vn}.2d, {Vm}.2d, #{imm6}", "11001110 100 Rm imm6 Rn Rd",      xar},
};
constexpr R sm3_rows[] = {
    {"sm3ss1    {Vd}.4s, {Vn}.4s, {Vm}.4s, {Va}.4s", "11001110 010 Rm 0 Ra Rn Rd",      sm3ss1},
    {"sm3tt1a   {Vd}.4s, {Vn}.4s, {Vm}.s[{imm2}]", "11001110 010 Rm 10 imm2 00 Rn Rd",  sm3tt<sm3tt1a_body>},
    {"sm3tt1b   {Vd}.4s, {Vn}.4s, {Vm}.s[{imm2}]", "11001110 010 Rm 10 imm2 01 Rn Rd",  sm3tt<sm3tt1b_body>},
    {"sm3tt2a   {Vd}.4s, {Vn}.4s, {Vm}.s[{imm2}]", "11001110 010 Rm 10 imm2 10 Rn Rd",  sm3tt<sm3tt2a_body>},
    {"sm3tt2b   {Vd}.4s, {Vn}.4s, {Vm}.s[{imm2}]", "11001110 010 Rm 10 imm2 11 Rn Rd",  sm3tt<sm3tt2b_body>},
    {"sm3partw1 {Vd}.4s, {Vn}.4s, {Vm}.4s",     "11001110 011 Rm 1 1 00 00 Rn Rd",      three<sm3partw1_body>},
    {"sm3partw2 {Vd}.4s, {Vn}.4s, {Vm}.4s",     "11001110 011 Rm 1 1 00 01 Rn Rd",      three<sm3partw2_body>},
};
constexpr R sm4_rows[] = {
    {"sm4e      {Vd}.4s, {Vn}.4s",              "11001110 110 00000 1000 01 Rn Rd",     two<sm4e_body>},
    {"sm4ekey   {Vd}.4s, {Vn}.4s, {Vm}.4s",     "11001110 011 Rm 1 1 00 10 Rn Rd",      sm4ekey},
};
// clang-format on

} // namespace

constinit const Table<AArch64> crypto_aes{"AES", needs(Feature::aes), aes_rows, fp_registers};
constinit const Table<AArch64> crypto_pmull{"PMULL", needs(Feature::pmull), pmull_rows, fp_registers};
constinit const Table<AArch64> crypto_sha1{"SHA1", needs(Feature::sha1), sha1_rows, fp_registers};
constinit const Table<AArch64> crypto_sha256{"SHA256", needs(Feature::sha256), sha256_rows, fp_registers};
constinit const Table<AArch64> crypto_sha512{"SHA512", needs(Feature::sha512), sha512_rows, fp_registers};
constinit const Table<AArch64> crypto_sha3{"SHA3", needs(Feature::sha3), sha3_rows, fp_registers};
constinit const Table<AArch64> crypto_sm3{"SM3", needs(Feature::sm3), sm3_rows, fp_registers};
constinit const Table<AArch64> crypto_sm4{"SM4", needs(Feature::sm4), sm4_rows, fp_registers};

} // namespace mimic::isa::aarch64
