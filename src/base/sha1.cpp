#include "base/sha1.hpp"
#include <bit>
#include <cstring>

namespace mimic {

namespace {

// FIPS 180-4, 6.1.2
void block(u32 (&h)[5], const u8* at) {
    u32 w[80];
    for (int t = 0; t < 16; t++, at += 4) w[t] = u32{at[0]} << 24 | u32{at[1]} << 16 | u32{at[2]} << 8 | at[3];
    for (int t = 16; t < 80; t++) w[t] = std::rotl(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    u32 a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int t = 0; t < 80; t++) {
        u32 f = 0, k = 0;
        if (t < 20)
            f = (b & c) ^ (~b & d), k = 0x5a827999;
        else if (t < 40)
            f = b ^ c ^ d, k = 0x6ed9eba1;
        else if (t < 60)
            f = (b & c) ^ (b & d) ^ (c & d), k = 0x8f1bbcdc;
        else
            f = b ^ c ^ d, k = 0xca62c1d6;
        u32 next = std::rotl(a, 5) + f + e + k + w[t];
        e = d, d = c, c = std::rotl(b, 30), b = a, a = next;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

} // namespace

Sha1Digest sha1(std::span<const u8> bytes) {
    u32 h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    std::span<const u8> rest = bytes;
    for (; rest.size() >= 64; rest = rest.subspan(64)) block(h, rest.data());
    u8 last[128] = {};
    if (!rest.empty()) std::memcpy(last, rest.data(), rest.size());
    last[rest.size()] = 0x80;
    const size_t end = rest.size() < 56 ? 64 : 128;
    for (int i = 0; i < 8; i++) last[end - 1 - size_t(i)] = u8(u64{bytes.size()} * 8 >> 8 * i);
    for (size_t i = 0; i < end; i += 64) block(h, last + i);
    Sha1Digest digest;
    for (size_t i = 0; i < digest.size(); i++) digest[i] = u8(h[i / 4] >> (24 - 8 * (i % 4)));
    return digest;
}

} // namespace mimic
