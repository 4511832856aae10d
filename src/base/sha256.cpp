#include "base/sha256.hpp"
#include <algorithm>
#include <bit>
#include <cstring>
#ifdef __x86_64__
#    include <immintrin.h>
#    include <sys/platform/x86.h>
#endif

namespace mimic {
namespace {

// FIPS 180-4, 4.2.2
alignas(16) constexpr u32 k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

u32 big(const u8* p) {
    u32 v;
    std::memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}

void blocks_plain(u32 (&h)[8], const u8* at, u64 count) {
    for (; count; --count, at += 64) {
        u32 w[64];
        for (u32 t = 0; t < 16; ++t) w[t] = big(at + 4 * t);
        for (u32 t = 16; t < 64; ++t) {
            const u32 s0 = std::rotr(w[t - 15], 7) ^ std::rotr(w[t - 15], 18) ^ w[t - 15] >> 3;
            const u32 s1 = std::rotr(w[t - 2], 17) ^ std::rotr(w[t - 2], 19) ^ w[t - 2] >> 10;
            w[t] = w[t - 16] + s0 + w[t - 7] + s1;
        }
        u32 v[8];
        std::copy_n(h, 8, v);
        for (u32 t = 0; t < 64; ++t) {
            const u32 s1 = std::rotr(v[4], 6) ^ std::rotr(v[4], 11) ^ std::rotr(v[4], 25);
            const u32 t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[t] + w[t];
            const u32 s0 = std::rotr(v[0], 2) ^ std::rotr(v[0], 13) ^ std::rotr(v[0], 22);
            const u32 t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
            std::copy_backward(v, v + 7, v + 8);
            v[4] += t1;
            v[0] = t1 + t2;
        }
        for (u32 n = 0; n < 8; ++n) h[n] += v[n];
    }
}

#ifdef __x86_64__
// Intel SDM vol. 2, SHA256RNDS2: two rounds; the state as words A B E F and C D G H, high ones first.
__attribute__((target("sha,sse4.1"))) void blocks_sha(u32 (&h)[8], const u8* at, u64 count) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abef = _mm_set_epi32(int(h[0]), int(h[1]), int(h[4]), int(h[5]));
    __m128i cdgh = _mm_set_epi32(int(h[2]), int(h[3]), int(h[6]), int(h[7]));
    for (; count; --count, at += 64) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i w[4];
#    pragma GCC unroll 16 // so that w is in registers
        for (u32 t = 0; t < 16; ++t) {
            __m128i& now = w[t % 4];
            if (t < 4) {
                now = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at) + t), swap);
            } else { // now has w[t-16], the next ones w[t-12], w[t-8], w[t-4] in fours
                const __m128i sum = _mm_sha256msg1_epu32(now, w[(t + 1) % 4]);
                const __m128i seven = _mm_alignr_epi8(w[(t + 3) % 4], w[(t + 2) % 4], 4);
                now = _mm_sha256msg2_epu32(_mm_add_epi32(sum, seven), w[(t + 3) % 4]);
            }
            const __m128i wk = _mm_add_epi32(now, _mm_load_si128(reinterpret_cast<const __m128i*>(k) + t));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(wk, 0x0e));
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    h[0] = u32(_mm_extract_epi32(abef, 3)), h[1] = u32(_mm_extract_epi32(abef, 2));
    h[4] = u32(_mm_extract_epi32(abef, 1)), h[5] = u32(_mm_extract_epi32(abef, 0));
    h[2] = u32(_mm_extract_epi32(cdgh, 3)), h[3] = u32(_mm_extract_epi32(cdgh, 2));
    h[6] = u32(_mm_extract_epi32(cdgh, 1)), h[7] = u32(_mm_extract_epi32(cdgh, 0));
}
#endif

void blocks(u32 (&h)[8], const u8* at, u64 count) {
#ifdef __x86_64__
    if (CPU_FEATURE_ACTIVE(SHA) && CPU_FEATURE_ACTIVE(SSE4_1)) return blocks_sha(h, at, count);
#endif
    blocks_plain(h, at, count);
}

} // namespace

Sha256& Sha256::add(std::span<const u8> bytes) {
    u64 used = bytes_ % 64;
    bytes_ += bytes.size();
    if (used) {
        const u64 n = std::min<u64>(64 - used, bytes.size());
        std::memcpy(block_ + used, bytes.data(), n);
        bytes = bytes.subspan(n);
        if (used + n < 64) return *this;
        blocks(state_, block_, 1);
    }
    blocks(state_, bytes.data(), bytes.size() / 64);
    bytes = bytes.subspan(bytes.size() & ~u64{63});
    if (!bytes.empty()) std::memcpy(block_, bytes.data(), bytes.size());
    return *this;
}

// FIPS 180-4, 5.1.1: a bit 1, zeroes, the length in bits.
Sha256Digest Sha256::digest() {
    u8 tail[128] = {};
    const u64 used = bytes_ % 64, padded = used < 56 ? 64 : 128, bits = __builtin_bswap64(bytes_ * 8);
    std::memcpy(tail, block_, used);
    tail[used] = 0x80;
    std::memcpy(tail + padded - 8, &bits, 8);
    blocks(state_, tail, padded / 64);
    Sha256Digest d;
    for (u32 n = 0; n < 8; ++n) {
        const u32 v = __builtin_bswap32(state_[n]);
        std::memcpy(d.data() + 4 * n, &v, 4);
    }
    return d;
}

} // namespace mimic
