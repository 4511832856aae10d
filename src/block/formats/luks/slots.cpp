// Key slots: the volume's key, split into stripes (anti-forensic splitter, specification chapter 2.4), encrypted with a key
// that is derived from a secret.
#include "base/io/pool.hpp"
#include "block/bytes.hpp"
#include "block/formats/luks/luks.hpp"
#include <algorithm>

namespace mimic::block::luks {

namespace {

constexpr unsigned erasures = 3;
// Of PBKDF2, to open a volume: minutes. The two seconds that a slot takes by default are some millions.
constexpr u64 most_iterations = u64(1) << 30;

// Each piece of the hash's length becomes the hash of its number and itself.
void diffuse(u8 hash, std::span<u8> block) {
    size_t step = hash_size(hash);
    for (size_t at = 0; at < block.size(); at += step) {
        size_t n = std::min(step, block.size() - at);
        Key in(4 + n);
        put32(in.data(), u32(at / step));
        std::copy_n(&block[at], n, in.begin() + 4);
        Key out = hash_of(hash, in);
        std::copy_n(out.begin(), n, &block[at]);
        wipe(in);
    }
}

void exclusive_or(std::span<u8> to, std::span<const u8> with) {
    for (size_t i = 0; i < to.size(); i++) to[i] ^= with[i];
}

Key merge(const Header& h, std::span<const u8> stripes, u32 count) {
    Key key(h.key_bytes);
    for (u32 i = 0; i + 1 < count; i++) {
        exclusive_or(key, stripes.subspan(size_t(i) * h.key_bytes, h.key_bytes));
        diffuse(h.algorithm.hash, key);
    }
    exclusive_or(key, stripes.subspan(size_t(count - 1) * h.key_bytes, h.key_bytes));
    return key;
}

Result<void> split(const Header& h, std::span<const u8> key, std::span<u8> stripes, u32 count) {
    Key sum(h.key_bytes);
    TRY(random_bytes(stripes.first(size_t(count - 1) * h.key_bytes)));
    for (u32 i = 0; i + 1 < count; i++) {
        exclusive_or(sum, stripes.subspan(size_t(i) * h.key_bytes, h.key_bytes));
        diffuse(h.algorithm.hash, sum);
    }
    auto last = stripes.subspan(size_t(count - 1) * h.key_bytes, h.key_bytes);
    std::ranges::copy(key, last.begin());
    exclusive_or(last, sum);
    wipe(sum);
    return {};
}

// The key that the material holds if the secret is its own; it may be another's.
Result<Key> open_material(const Header& h, const Slot& s, std::span<u8> material, std::span<const u8> secret) {
    Key derived = derive(h.algorithm.hash, secret, s.salt, s.iterations, h.key_bytes);
    auto cipher = TRY(SectorCipher::create(h.algorithm, derived));
    wipe(derived);
    cipher.run(false, 0, material);
    return merge(h, material, s.stripes);
}

bool is_volume_key(const Header& h, std::span<const u8> key) {
    Key digest = derive(h.algorithm.hash, key, h.digest_salt, h.digest_iterations, h.digest.size());
    return std::ranges::equal(digest, h.digest);
}

} // namespace

Result<void> set_digest(Header& h, std::span<const u8> key, u64 milliseconds) {
    TRY(random_bytes(h.digest_salt));
    h.digest_iterations = iterations_for(h.algorithm.hash, h.digest.size(), milliseconds);
    Key digest = derive(h.algorithm.hash, key, h.digest_salt, h.digest_iterations, h.digest.size());
    std::ranges::copy(digest, h.digest.begin());
    return {};
}

Task<Result<Unlocked>> unlock(Place at, const Header& h, std::span<const u8> secret, std::optional<size_t> only) {
    Node& file = at.file;
    u64 work = 0;
    for (size_t i = 0; i < slots; i++) {
        const Slot& s = h.slot[i];
        if (!s.active || (only && *only != i)) continue;
        work += u64(s.iterations) + h.digest_iterations;
        if (work > most_iterations)
            co_return Error::corrupt(
                "luks header of '{}': key slot {} has {} iterations and the digest {}, expected at "
                "most {} in all that must be tried",
                file.filename(), i, s.iterations, h.digest_iterations, most_iterations);
        CO_TRY(auto material,
               co_await read_part(file, at.offset + s.offset * sector, h.material_sectors(s) * sector, "key material"));
        // Deriving takes long on purpose: not on the loop's thread.
        auto opened = co_await file.loop().compute().run(file.loop(), [&]() -> Result<Key> {
            Key key = TRY(open_material(h, s, material, secret));
            if (!is_volume_key(h, key)) wipe(key);
            return key;
        });
        if (!opened) co_return std::move(opened).error();
        if (!opened->empty()) co_return Unlocked{i, std::move(*opened)};
    }
    co_return Error::permission("Invalid password, cannot unlock any keyslot");
}

Task<Result<void>> fill_slot(Place at, Header& h, size_t number, std::span<const u8> key, std::span<const u8> secret,
                             u64 milliseconds) {
    Slot& s = h.slot[number];
    s.stripes = default_stripes;
    Node& file = at.file;
    std::vector<u8> material(h.material_sectors(s) * sector);
    auto made = co_await file.loop().compute().run(file.loop(), [&]() -> Result<void> {
        TRY(random_bytes(s.salt));
        s.iterations = iterations_for(h.algorithm.hash, h.key_bytes, milliseconds);
        TRY(split(h, key, material, s.stripes));
        Key derived = derive(h.algorithm.hash, secret, s.salt, s.iterations, h.key_bytes);
        auto cipher = TRY(SectorCipher::create(h.algorithm, derived));
        wipe(derived);
        cipher.run(true, 0, material);
        return {};
    });
    CO_CHECK(made);
    CO_CHECK(co_await write_part(file, at.offset + s.offset * sector, material));
    CO_CHECK(co_await file.flush());
    s.active = true;
    co_return Result<void>();
}

Task<Result<void>> erase_slot(Place at, Header& h, size_t number) {
    Slot& s = h.slot[number];
    std::vector<u8> noise(h.material_sectors(s) * sector);
    for (unsigned i = 0; i < erasures; i++) {
        CO_CHECK(random_bytes(noise));
        CO_CHECK(co_await write_part(at.file, at.offset + s.offset * sector, noise));
        CO_CHECK(co_await at.file.flush());
    }
    s.active = false;
    s.iterations = 0;
    s.salt = {};
    co_return Result<void>();
}

} // namespace mimic::block::luks
