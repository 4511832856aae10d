// Hashes, key derivation and encryption of sectors, on libcrypto's plain functions: its newer interface brings a thousand
// pointers to relocate at each start of the program, which nobody but users of this format would need.
#include "base/io/pool.hpp"
#include "block/bytes.hpp"
#include "block/formats/luks/aes.hpp"
#include "block/formats/luks/luks.hpp"
#include <algorithm>
#include <ctime>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/random.h>

namespace mimic::block::luks {

namespace {

template <class C, size_t size, size_t block, auto init, auto update, auto final>
struct Hash {
    static constexpr size_t bytes = size, block_bytes = block;
    C state;
    Hash() { init(&state); }
    void add(std::span<const u8> b) { update(&state, b.data(), b.size()); }
    void end(u8* out) { final(out, &state); }
};
using Sha1 = Hash<SHA_CTX, 20, 64, SHA1_Init, SHA1_Update, SHA1_Final>;
using Sha224 = Hash<SHA256_CTX, 28, 64, SHA224_Init, SHA224_Update, SHA224_Final>;
using Sha256 = Hash<SHA256_CTX, 32, 64, SHA256_Init, SHA256_Update, SHA256_Final>;
using Sha384 = Hash<SHA512_CTX, 48, 128, SHA384_Init, SHA384_Update, SHA384_Final>;
using Sha512 = Hash<SHA512_CTX, 64, 128, SHA512_Init, SHA512_Update, SHA512_Final>;

// Calls f with the type that hash_names[hash] names.
template <class F>
auto with_hash(u8 hash, F f) {
    switch (hash) {
    case 0: return f(Sha1());
    case 1: return f(Sha224());
    case 2: return f(Sha256());
    case 3: return f(Sha384());
    default: return f(Sha512());
    }
}

template <class H>
Key plain_hash(std::span<const u8> bytes) {
    Key out(H::bytes);
    H h;
    h.add(bytes);
    h.end(out.data());
    return out;
}

// HMAC (RFC 2104) with what depends on the key alone done once.
template <class H>
struct Hmac {
    H inner, outer;
    explicit Hmac(std::span<const u8> key) {
        Key k(key.begin(), key.end());
        if (k.size() > H::block_bytes) k = plain_hash<H>(key);
        k.resize(H::block_bytes);
        for (u8& b : k) b ^= 0x36;
        inner.add(k);
        for (u8& b : k) b ^= 0x36 ^ 0x5c;
        outer.add(k);
        wipe(k);
    }
    void run(std::span<const u8> message, u8* out) const {
        H i = inner, o = outer;
        i.add(message);
        i.end(out);
        o.add({out, H::bytes});
        o.end(out);
    }
};

template <class H>
Key pbkdf2(std::span<const u8> secret, std::span<const u8> salt, u32 iterations, size_t length) {
    Hmac<H> hmac(secret);
    Key out;
    for (u32 block = 1; out.size() < length; block++) {
        Key first(salt.begin(), salt.end());
        first.resize(salt.size() + 4);
        put32(&first[salt.size()], block);
        u8 u[H::bytes], sum[H::bytes];
        hmac.run(first, u);
        std::ranges::copy(u, sum);
        for (u32 i = 1; i < iterations; i++) {
            hmac.run(u, u);
            for (size_t k = 0; k < H::bytes; k++) sum[k] ^= u[k];
        }
        out.insert(out.end(), sum, sum + std::min(H::bytes, length - out.size()));
    }
    return out;
}

} // namespace

void wipe(Key& key) {
    if (!key.empty()) OPENSSL_cleanse(key.data(), key.size());
    key.clear();
}

size_t hash_size(u8 hash) {
    return with_hash(hash, []<class H>(H) { return H::bytes; });
}

Key hash_of(u8 hash, std::span<const u8> bytes) {
    return with_hash(hash, [&]<class H>(H) { return plain_hash<H>(bytes); });
}

Key derive(u8 hash, std::span<const u8> secret, std::span<const u8> salt, u32 iterations, size_t length) {
    return with_hash(hash, [&]<class H>(H) { return pbkdf2<H>(secret, salt, iterations, length); });
}

u32 iterations_for(u8 hash, size_t length, u64 milliseconds) {
    auto now = [] {
        timespec t{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return u64(t.tv_sec) * 1000000 + u64(t.tv_nsec) / 1000;
    };
    // Doubled until the measurement is long enough to be one.
    constexpr u64 long_enough = 20000; // microseconds
    u8 bytes[32] = {1};
    for (u64 n = 1u << 12;; n *= 2) {
        u64 start = now();
        Key key = derive(hash, bytes, bytes, u32(n), length);
        u64 took = now() - start;
        if (took < long_enough && n < (1u << 28)) continue;
        u64 per_second = n * 1000000 / std::max<u64>(took, 1);
        return u32(std::clamp<u64>(per_second * std::min<u64>(milliseconds, 3600000) / 1000, 1000, INT32_MAX));
    }
}

Result<void> random_bytes(std::span<u8> out) {
    for (size_t done = 0; done < out.size();) {
        ssize_t n = getrandom(out.data() + done, out.size() - done, 0);
        if (n < 0) return Error::from_errno(errno, "random bytes");
        done += size_t(n);
    }
    return {};
}

struct SectorCipher::State {
    Algorithm algorithm;
    Aes data;
    std::optional<Aes> vector; // of XTS the second key, of essiv the hash of the key

    void ecb(bool encrypt, std::span<u8> b) const { data.run(encrypt, b); }
    void cbc(bool encrypt, u8* iv, std::span<u8> b) const;
    void xts(bool encrypt, u8* iv, std::span<u8> b) const;
};

static void exclusive_or(u8* to, const u8* with, size_t n) {
    for (size_t i = 0; i < n; i++) to[i] ^= with[i];
}

void SectorCipher::State::cbc(bool encrypt, u8* iv, std::span<u8> b) const {
    if (encrypt) {
        const u8* before = iv;
        for (size_t at = 0; at < b.size(); at += 16) {
            exclusive_or(&b[at], before, 16);
            data.run(true, b.subspan(at, 16));
            before = &b[at];
        }
        return;
    }
    u8 stored[sector];
    std::ranges::copy(b, stored);
    data.run(false, b);
    exclusive_or(&b[0], iv, 16);
    exclusive_or(&b[16], stored, b.size() - 16);
}

// IEEE 1619: each block between two times its tweak, which doubles in GF(2^128).
void SectorCipher::State::xts(bool encrypt, u8* iv, std::span<u8> b) const {
    u64 tweaks[sector / 8];
    vector->run(true, {iv, 16});
    u64 low = le64(iv), high = le64(iv + 8);
    for (size_t i = 0; i < b.size() / 8; i += 2) {
        tweaks[i] = low;
        tweaks[i + 1] = high;
        u64 carry = high >> 63;
        high = high << 1 | low >> 63;
        low = low << 1 ^ (carry ? 0x87 : 0);
    }
    auto* t = reinterpret_cast<const u8*>(tweaks);
    exclusive_or(b.data(), t, b.size());
    data.run(encrypt, b);
    exclusive_or(b.data(), t, b.size());
}

SectorCipher::~SectorCipher() = default;
SectorCipher::SectorCipher(SectorCipher&&) noexcept = default;
SectorCipher& SectorCipher::operator=(SectorCipher&&) noexcept = default;

Result<SectorCipher> SectorCipher::create(const Algorithm& a, std::span<const u8> key) {
    if (key.size() != a.key_bytes())
        return Error::invalid_argument("a key of {} bytes, expected {} for {}", key.size(), a.key_bytes(),
                                       cipher_names[a.cipher]);
    size_t one = 16 + 8 * size_t(a.cipher);
    SectorCipher out;
    out.state_ = std::make_unique<State>(State{a, Aes(key.first(one)), {}});
    if (a.mode == Mode::xts) {
        out.state_->vector.emplace(key.subspan(one));
    } else if (a.ivgen == Ivgen::essiv) {
        Key hashed = hash_of(a.ivgen_hash, key);
        if (hashed.size() != 16 && hashed.size() != 24 && hashed.size() != 32)
            return Error::unsupported("essiv with hash {}, expected one of 16, 24 or 32 bytes",
                                      hash_names[a.ivgen_hash]);
        out.state_->vector.emplace(hashed);
        wipe(hashed);
    }
    return out;
}

void SectorCipher::run(bool encrypt, u64 number, std::span<u8> bytes) const {
    const State& s = *state_;
    for (size_t at = 0; at + sector <= bytes.size(); at += sector, number++) {
        auto part = bytes.subspan(at, sector);
        u8 iv[16] = {};
        put_le64(iv, s.algorithm.ivgen == Ivgen::plain ? u32(number) : number);
        if (s.algorithm.mode == Mode::xts) {
            s.xts(encrypt, iv, part);
        } else if (s.algorithm.mode == Mode::cbc) {
            if (s.vector) s.vector->run(true, iv);
            s.cbc(encrypt, iv, part);
        } else {
            s.ecb(encrypt, part);
        }
    }
}

Result<SectorCipher> legacy_cipher(std::span<const u8> secret) {
    Key key(secret.begin(), secret.begin() + long(std::min<size_t>(secret.size(), 16)));
    key.resize(16);
    auto cipher = SectorCipher::create({.cipher = 0, .mode = Mode::cbc, .ivgen = Ivgen::plain64}, key);
    wipe(key);
    return cipher;
}

constexpr u64 bounce_size = 1u << 20;

Task<Result<void>> read_encrypted(const SectorCipher& cipher, Node& file, u64 place, u64 number, const IoVec& memory) {
    CO_TRY(auto bounce, Buffer::create(std::min<u64>(memory.length(), bounce_size)));
    for (u64 done = 0; done < memory.length();) {
        u64 n = std::min<u64>(memory.length() - done, bounce.size());
        IoVec part(bounce.data(), n);
        CO_CHECK(co_await file.read(place + done, part));
        co_await file.loop().compute().run(file.loop(), [&] {
            cipher.run(false, number + done / sector, bounce.bytes().first(n));
            return true;
        });
        memory.copy_from(done, bounce.data(), n);
        done += n;
    }
    co_return Result<void>();
}

Task<Result<void>> write_encrypted(const SectorCipher& cipher, Node& file, u64 place, u64 number, const IoVec& memory) {
    CO_TRY(auto bounce, Buffer::create(std::min<u64>(memory.length(), bounce_size)));
    for (u64 done = 0; done < memory.length();) {
        u64 n = std::min<u64>(memory.length() - done, bounce.size());
        IoVec part(bounce.data(), n);
        memory.copy_to(done, bounce.data(), n);
        co_await file.loop().compute().run(file.loop(), [&] {
            cipher.run(true, number + done / sector, bounce.bytes().first(n));
            return true;
        });
        CO_CHECK(co_await file.write(place + done, part));
        done += n;
    }
    co_return Result<void>();
}

} // namespace mimic::block::luks
