// Carry-less products, AES (FIPS 197) and SHA-256 (FIPS 180-4, 6.2) in each 128 bits of a vector. Tables are computed
// from the standard's definition of the S-box.
#include "ir/interpreter_run.hpp"
#include <array>

namespace mimic::ir {

namespace {

using Bytes = std::array<u8, 16>;

// ---- AES, 4: arithmetic in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1

constexpr u8 times_x(u8 a) { return u8(a << 1 ^ (a & 0x80 ? 0x1b : 0)); }

struct Boxes {
    std::array<u8, 256> forward{}, inverse{};
    constexpr Boxes() {
        // 3 generates the field: p runs over 3^n, q over its inverse.
        u8 p = 1, q = 1;
        do {
            p = u8(p ^ times_x(p));
            q = u8(q ^ q << 1);
            q = u8(q ^ q << 2);
            q = u8(q ^ q << 4);
            if (q & 0x80) q ^= 0x09;
            set(p, q);
        } while (p != 1);
        set(0, 0);
    }
    // 5.1.1: the affine map of the inverse.
    constexpr void set(u8 value, u8 reciprocal) {
        u8 b = reciprocal;
        u8 s = u8(b ^ std::rotl(b, 1) ^ std::rotl(b, 2) ^ std::rotl(b, 3) ^ std::rotl(b, 4) ^ 0x63);
        forward[value] = s;
        inverse[s] = value;
    }
};
constexpr Boxes boxes;

// Row r of the state (bytes r, r+4, ...) turns by r columns.
Bytes substitute(const Bytes& a, bool decrypt) {
    Bytes r;
    for (u32 n = 0; n < 16; ++n) {
        u32 from = (n + (decrypt ? 16 - 4 * (n % 4) : 4 * (n % 4))) % 16;
        r[n] = decrypt ? boxes.inverse[a[from]] : boxes.forward[a[from]];
    }
    return r;
}

// The four bytes of a word times x.
constexpr u32 times_x(u32 w) { return (w & 0x7f7f7f7f) << 1 ^ (w >> 7 & 0x01010101) * 0x1b; }

// 5.1.3: each column times {03}x^3 + {01}x^2 + {01}x + {02}; a column is a word, its first byte the low one. The inverse
// (5.3.3) is the same after {04}x^2 + {05}.
Bytes mix(const Bytes& a, bool decrypt) {
    auto columns = std::bit_cast<std::array<u32, 4>>(a);
    for (u32& w : columns) {
        if (decrypt) w ^= times_x(times_x(w ^ std::rotr(w, 16)));
        u32 twice = times_x(w);
        w = twice ^ std::rotr(twice ^ w, 8) ^ std::rotr(w, 16) ^ std::rotr(w, 24);
    }
    return std::bit_cast<Bytes>(columns);
}

// ---- products

Bytes carry_less_product(const Bytes& a, const Bytes& b, u32 lane) {
    u64 x, y;
    std::memcpy(&x, &a[8 * lane], 8);
    std::memcpy(&y, &b[8 * lane], 8);
    u128 multiples[16] = {0, x}, product = 0; // of x by polynomials below x^4
    for (u32 n = 2; n < 16; n += 2) multiples[n] = multiples[n / 2] << 1, multiples[n + 1] = multiples[n] ^ x;
    for (u32 n = 64; n > 0; n -= 4) product = product << 4 ^ multiples[y >> (n - 4) & 15];
    return std::bit_cast<Bytes>(product);
}

// ---- SHA-256, 4.1.2

using Words = std::array<u32, 4>;

constexpr u32 big_sigma0(u32 x) { return std::rotr(x, 2) ^ std::rotr(x, 13) ^ std::rotr(x, 22); }
constexpr u32 big_sigma1(u32 x) { return std::rotr(x, 6) ^ std::rotr(x, 11) ^ std::rotr(x, 25); }
constexpr u32 small_sigma0(u32 x) { return std::rotr(x, 7) ^ std::rotr(x, 18) ^ x >> 3; }
constexpr u32 small_sigma1(u32 x) { return std::rotr(x, 17) ^ std::rotr(x, 19) ^ x >> 10; }

Words message1(const Words& a, const Words& b) {
    Words r;
    for (u32 n = 0; n < 4; ++n) r[n] = a[n] + small_sigma0(n < 3 ? a[n + 1] : b[0]);
    return r;
}
Words message2(const Words& a, const Words& b) {
    Words r;
    for (u32 n = 0; n < 4; ++n) r[n] = a[n] + small_sigma1(n < 2 ? b[n + 2] : r[n - 2]);
    return r;
}
Words two_rounds(const Words& feba, const Words& wk, const Words& hgdc) {
    u32 a = feba[3], b = feba[2], c = hgdc[3], d = hgdc[2];
    u32 e = feba[1], f = feba[0], g = hgdc[1], h = hgdc[0];
    for (u32 n = 0; n < 2; ++n) {
        u32 choice = (e & f) ^ (~e & g), majority = (a & b) ^ (a & c) ^ (b & c);
        u32 t1 = h + big_sigma1(e) + choice + wk[n], t2 = big_sigma0(a) + majority;
        h = g, g = f, f = e, e = d + t1;
        d = c, c = b, b = a, a = t1 + t2;
    }
    return {f, e, b, a};
}

Bytes one(const Inst& i, const Bytes& a, const Bytes& b, const Bytes& c) {
    auto words = [](const Bytes& v) { return std::bit_cast<Words>(v); };
    if (i.op == Op::vtern) return std::bit_cast<Bytes>(two_rounds(words(a), words(b), words(c)));
    if (i.op == Op::vbin) switch (VBin(i.sub)) {
        case VBin::pmull_even: return carry_less_product(a, b, 0);
        case VBin::pmull_odd: return carry_less_product(a, b, 1);
        case VBin::sha256_msg1: return std::bit_cast<Bytes>(message1(words(a), words(b)));
        default: return std::bit_cast<Bytes>(message2(words(a), words(b)));
        }
    switch (VUn(i.sub)) {
    case VUn::aes_enc: return substitute(a, false);
    case VUn::aes_dec: return substitute(a, true);
    case VUn::aes_mix: return mix(a, false);
    default: return mix(a, true);
    }
}

} // namespace

void Run::crypto(const Inst& i, Place& out) {
    u8* to = result(out, i.type);
    const ValueId operands[] = {i.a, i.b, i.c};
    for (u32 at = 0, total = bytes_of(i.type); at < total; at += 16) {
        Bytes v[3] = {};
        for (u32 n = 0; n < 3; ++n)
            if (operands[n] != none) std::memcpy(&v[n], bytes(operands[n]) + at, 16);
        Bytes r = one(i, v[0], v[1], v[2]);
        std::memcpy(to + at, &r, 16);
    }
}

} // namespace mimic::ir
