#include "isa/aarch64/crypto_bodies.hpp"
#include <array>
#include <bit>

namespace mimic::isa::aarch64 {

namespace {

using Words = std::array<u32, 4>;
Words words(const ir::Wide& w) { return std::bit_cast<Words>(w.w); }
int give(ir::Wide* results, const Words& r) {
    const auto w = std::bit_cast<std::array<u64, 2>>(r);
    results[0].w[0] = w[0];
    results[0].w[1] = w[1];
    return 0;
}

u32 choose(u32 x, u32 y, u32 z) { return (x & y) | (~x & z); }
u32 majority(u32 x, u32 y, u32 z) { return (x & y) | (x & z) | (y & z); }
u32 parity(u32 x, u32 y, u32 z) { return x ^ y ^ z; }

// ---- SHA-1, 6.1.2: four rounds. Vd: a b c d; the low word of Vn: e; Vm: the words with their constant added.

template <u32 (*F)(u32, u32, u32)>
int sha1_rounds(ir::CpuHeader*, const ir::Wide* args, ir::Wide* results) {
    Words x = words(args[0]), w = words(args[2]);
    u32 e = u32(args[1].w[0]);
    for (u32 n = 0; n < 4; ++n) {
        u32 next = e + F(x[1], x[2], x[3]) + std::rotl(x[0], 5) + w[n];
        e = x[3];
        x = {next, x[0], std::rotl(x[1], 30), x[2]};
    }
    return give(results, x);
}

// ---- SM3, 4.3 and 5.3. Vd holds a round's half of the state, its first word on top.

int sm3ss1(ir::CpuHeader*, const ir::Wide* args, ir::Wide* results) {
    u32 sum = std::rotl(words(args[0])[3], 12) + words(args[1])[3] + words(args[2])[3];
    return give(results, {0, 0, 0, std::rotl(sum, 7)});
}
template <u32 (*F)(u32, u32, u32)>
int sm3tt1(ir::CpuHeader*, const ir::Wide* args, ir::Wide* results) {
    Words d = words(args[0]), n = words(args[1]);
    u32 w = words(args[2])[args[3].w[0] & 3];
    u32 ss2 = n[3] ^ std::rotl(d[3], 12);
    return give(results, {d[1], std::rotl(d[2], 9), d[3], F(d[3], d[2], d[1]) + d[0] + ss2 + w});
}
template <u32 (*F)(u32, u32, u32)>
int sm3tt2(ir::CpuHeader*, const ir::Wide* args, ir::Wide* results) {
    Words d = words(args[0]), n = words(args[1]);
    u32 w = words(args[2])[args[3].w[0] & 3];
    u32 t = F(d[3], d[2], d[1]) + d[0] + n[3] + w;
    return give(results, {d[1], std::rotl(d[2], 19), d[3], t ^ std::rotl(t, 9) ^ std::rotl(t, 17)});
}
u32 permute1(u32 x) { return x ^ std::rotl(x, 15) ^ std::rotl(x, 23); }
int sm3partw1(ir::CpuHeader*, const ir::Wide* args, ir::Wide* results) {
    Words d = words(args[0]), n = words(args[1]), m = words(args[2]), r;
    for (u32 k = 0; k < 4; ++k) r[k] = permute1(d[k] ^ n[k] ^ std::rotl(k < 3 ? m[k + 1] : r[0], 15));
    return give(results, r);
}
int sm3partw2(ir::CpuHeader*, const ir::Wide* args, ir::Wide* results) {
    Words d = words(args[0]), n = words(args[1]), m = words(args[2]), r;
    for (u32 k = 0; k < 4; ++k) r[k] = d[k] ^ n[k] ^ std::rotl(m[k], 7);
    r[3] ^= permute1(std::rotl(n[0] ^ std::rotl(m[0], 7), 15));
    return give(results, r);
}

// ---- SM4, 6

// The S-box is affine, inversion, affine over GF(2^8) modulo x^8 + x^7 + x^6 + x^5 + x^4 + x^2 + 1.
constexpr u8 times(u8 a, u8 b) {
    u8 r = 0;
    for (; b; b >>= 1) {
        if (b & 1) r ^= a;
        a = u8(a << 1 ^ (a & 0x80 ? 0xf5 : 0));
    }
    return r;
}
constexpr u8 affine(u8 x) {
    u8 r = 0;
    for (u32 n = 0; n < 8; ++n)
        if (std::popcount(u8(x & std::rotl(u8(0xa7), int(n)))) & 1) r = u8(r | 1u << n);
    return r ^ 0xd3;
}
constexpr auto sm4_box = [] {
    std::array<u8, 256> box{};
    for (u32 n = 0; n < 256; ++n) {
        u8 x = affine(u8(n)), inverse = 1;
        for (u32 k = 1; k < 8; ++k) x = times(x, x), inverse = times(inverse, x); // x^254 = x^2 x^4 ... x^128
        box[n] = affine(inverse);
    }
    return box;
}();
static_assert(sm4_box[0] == 0xd6 && sm4_box[0xef] == 0x84 && sm4_box[0xff] == 0x48);

u32 substitute(u32 x) {
    u32 r = 0;
    for (u32 n = 0; n < 32; n += 8) r |= u32(sm4_box[u8(x >> n)]) << n;
    return r;
}
// Four rounds over the state (or the key) x with the words k.
template <bool Key>
int sm4_rounds(ir::CpuHeader*, const ir::Wide* args, ir::Wide* results) {
    Words x = words(args[0]), k = words(args[1]);
    for (u32 n = 0; n < 4; ++n) {
        u32 s = substitute(x[1] ^ x[2] ^ x[3] ^ k[n]);
        u32 mixed = Key ? s ^ std::rotl(s, 13) ^ std::rotl(s, 23)
                        : s ^ std::rotl(s, 2) ^ std::rotl(s, 10) ^ std::rotl(s, 18) ^ std::rotl(s, 24);
        x = {x[1], x[2], x[3], x[0] ^ mixed};
    }
    return give(results, x);
}

} // namespace

constinit const ir::Intrinsic sha1c_body{.name = "aarch64_sha1c", .body = sha1_rounds<choose>, .args = 3};
constinit const ir::Intrinsic sha1p_body{.name = "aarch64_sha1p", .body = sha1_rounds<parity>, .args = 3};
constinit const ir::Intrinsic sha1m_body{.name = "aarch64_sha1m", .body = sha1_rounds<majority>, .args = 3};
constinit const ir::Intrinsic sm3tt1a_body{.name = "aarch64_sm3tt1a", .body = sm3tt1<parity>, .args = 4};
constinit const ir::Intrinsic sm3tt1b_body{.name = "aarch64_sm3tt1b", .body = sm3tt1<majority>, .args = 4};
constinit const ir::Intrinsic sm3tt2a_body{.name = "aarch64_sm3tt2a", .body = sm3tt2<parity>, .args = 4};
constinit const ir::Intrinsic sm3tt2b_body{.name = "aarch64_sm3tt2b", .body = sm3tt2<choose>, .args = 4};
constinit const ir::Intrinsic sm3ss1_body{.name = "aarch64_sm3ss1", .body = sm3ss1, .args = 3};
constinit const ir::Intrinsic sm3partw1_body{.name = "aarch64_sm3partw1", .body = sm3partw1, .args = 3};
constinit const ir::Intrinsic sm3partw2_body{.name = "aarch64_sm3partw2", .body = sm3partw2, .args = 3};
constinit const ir::Intrinsic sm4e_body{.name = "aarch64_sm4e", .body = sm4_rounds<false>, .args = 2};
constinit const ir::Intrinsic sm4ekey_body{.name = "aarch64_sm4ekey", .body = sm4_rounds<true>, .args = 2};

} // namespace mimic::isa::aarch64
