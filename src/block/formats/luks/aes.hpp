// AES (FIPS 197) on blocks of 16 bytes: with the processor's instructions, or with libcrypto where there are none.
#pragma once
#include "base/types.hpp"
#define OPENSSL_SUPPRESS_DEPRECATED // the plain functions are meant
#include <openssl/aes.h>
#include <span>

namespace mimic::block::luks {

class Aes {
public:
    // 16, 24 or 32 bytes.
    explicit Aes(std::span<const u8> key);
    ~Aes();
    // Whole blocks, each for itself, in place.
    void run(bool encrypt, std::span<u8> blocks) const;
    // Do without the instructions; for tests.
    void use_library() { instructions_ = false; }

private:
    static constexpr size_t most_rounds = 14;
    bool instructions_ = false;
    unsigned rounds_ = 0;
    alignas(16) u8 keys_[2][(most_rounds + 1) * 16]; // decrypting, encrypting
    AES_KEY library_[2];
};

} // namespace mimic::block::luks
