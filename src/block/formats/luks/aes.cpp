#include "block/formats/luks/aes.hpp"
#include <openssl/crypto.h>
#if defined(__x86_64__)
#    include <immintrin.h>
#endif

namespace mimic::block::luks {

#if defined(__x86_64__)
namespace {

#    define AES_CODE __attribute__((target("aes,sse4.1")))

AES_CODE u32 substitute(u32 word) {
    __m128i v = _mm_set_epi32(0, 0, int(word), 0);
    return u32(_mm_cvtsi128_si32(_mm_aeskeygenassist_si128(v, 0)));
}

// Key expansion (FIPS 197, 5.2), words as they lie in memory.
AES_CODE void expand(std::span<const u8> key, unsigned rounds, u8* encrypting, u8* decrypting) {
    u32 w[60];
    size_t n = key.size() / 4;
    for (size_t i = 0; i < n; i++) __builtin_memcpy(&w[i], &key[i * 4], 4);
    u32 constant = 1;
    for (size_t i = n; i < 4 * (rounds + 1); i++) {
        u32 t = w[i - 1];
        if (i % n == 0) {
            t = substitute(t >> 8 | t << 24) ^ constant;
            constant = constant << 1 ^ (constant & 0x80 ? 0x11b : 0);
        } else if (n > 6 && i % n == 4) {
            t = substitute(t);
        }
        w[i] = w[i - n] ^ t;
    }
    __builtin_memcpy(encrypting, w, 16 * (rounds + 1));
    for (unsigned i = 0; i <= rounds; i++) {
        __m128i k = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&w[4 * (rounds - i)]));
        if (i && i < rounds) k = _mm_aesimc_si128(k);
        _mm_store_si128(reinterpret_cast<__m128i*>(decrypting + 16 * i), k);
    }
    OPENSSL_cleanse(w, sizeof w);
}

// Eight at a time: the instructions take several cycles each, but start every cycle.
template <bool encrypt, int N>
AES_CODE void blocks(const u8* keys, unsigned rounds, u8* data) {
    auto* k = reinterpret_cast<const __m128i*>(keys);
    __m128i b[N];
    for (int i = 0; i < N; i++) b[i] = _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(data) + i), k[0]);
    for (unsigned r = 1; r < rounds; r++)
        for (int i = 0; i < N; i++) b[i] = encrypt ? _mm_aesenc_si128(b[i], k[r]) : _mm_aesdec_si128(b[i], k[r]);
    for (int i = 0; i < N; i++) {
        b[i] = encrypt ? _mm_aesenclast_si128(b[i], k[rounds]) : _mm_aesdeclast_si128(b[i], k[rounds]);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(data) + i, b[i]);
    }
}

template <bool encrypt>
void run_all(const u8* keys, unsigned rounds, std::span<u8> data) {
    size_t at = 0;
    for (; at + 128 <= data.size(); at += 128) blocks<encrypt, 8>(keys, rounds, &data[at]);
    for (; at + 16 <= data.size(); at += 16) blocks<encrypt, 1>(keys, rounds, &data[at]);
}

} // namespace
#endif

Aes::Aes(std::span<const u8> key) : rounds_(unsigned(key.size() / 4 + 6)) {
    AES_set_encrypt_key(key.data(), int(key.size() * 8), &library_[1]);
    AES_set_decrypt_key(key.data(), int(key.size() * 8), &library_[0]);
#if defined(__x86_64__)
    instructions_ = __builtin_cpu_supports("aes") && __builtin_cpu_supports("sse4.1");
    if (instructions_) expand(key, rounds_, keys_[1], keys_[0]);
#endif
}

Aes::~Aes() {
    OPENSSL_cleanse(keys_, sizeof keys_);
    OPENSSL_cleanse(library_, sizeof library_);
}

void Aes::run(bool encrypt, std::span<u8> data) const {
#if defined(__x86_64__)
    if (instructions_)
        return encrypt ? run_all<true>(keys_[1], rounds_, data) : run_all<false>(keys_[0], rounds_, data);
#endif
    for (size_t at = 0; at + 16 <= data.size(); at += 16)
        (encrypt ? AES_encrypt : AES_decrypt)(&data[at], &data[at], &library_[encrypt]);
}

} // namespace mimic::block::luks
