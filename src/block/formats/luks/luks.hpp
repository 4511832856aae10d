// luks: disks encrypted as Linux does it. Source: "LUKS On-Disk Format Specification", version 1.2.3 (LUKS1); ciphers and
// generators of initial vectors as dm-crypt names them. Not there: LUKS2, detached headers, ciphers other than AES.
#pragma once
#include "block/formats/image.hpp"
#include <array>

namespace mimic::block::luks {

constexpr u64 sector = 512;
constexpr size_t slots = 8, header_bytes = 592;
constexpr u32 default_stripes = 4000;
using Key = std::vector<u8>; // wiped by wipe() when it is done with

void wipe(Key& key);

// ---- cipher.cpp ----

constexpr std::string_view cipher_names[] = {"aes-128", "aes-192", "aes-256"};
constexpr std::string_view mode_names[] = {"ecb", "cbc", "xts"};
constexpr std::string_view ivgen_names[] = {"plain", "plain64", "essiv"};
constexpr std::string_view hash_names[] = {"sha1", "sha224", "sha256", "sha384", "sha512"};
enum class Mode : u8 { ecb, cbc, xts };
enum class Ivgen : u8 { plain, plain64, essiv };

struct Algorithm {
    u8 cipher = 2; // index of cipher_names
    Mode mode = Mode::xts;
    Ivgen ivgen = Ivgen::plain64;
    u8 hash = 2, ivgen_hash = 2; // index of hash_names; the latter for essiv
    // Of the whole key: XTS takes two.
    size_t key_bytes() const { return (16 + 8 * size_t(cipher)) * (mode == Mode::xts ? 2 : 1); }
};

size_t hash_size(u8 hash);
Key hash_of(u8 hash, std::span<const u8> bytes);
// PBKDF2 (RFC 2898).
Key derive(u8 hash, std::span<const u8> secret, std::span<const u8> salt, u32 iterations, size_t length);
// How many iterations of derive() take so long here.
u32 iterations_for(u8 hash, size_t length, u64 milliseconds);
Result<void> random_bytes(std::span<u8> out);

// Sectors of 512 bytes, each with the initial vector that its number gives.
class SectorCipher {
public:
    static Result<SectorCipher> create(const Algorithm& a, std::span<const u8> key);
    ~SectorCipher();
    SectorCipher(SectorCipher&&) noexcept;
    SectorCipher& operator=(SectorCipher&&) noexcept;
    // bytes: whole sectors, the first of which has the number. In place.
    void run(bool encrypt, u64 number, std::span<u8> bytes) const;

private:
    SectorCipher() = default;
    struct State;
    std::unique_ptr<State> state_;
};

// ---- header.cpp ----

struct Slot {
    bool active = false;
    u32 iterations = 0, offset = 0, stripes = default_stripes; // offset in sectors
    std::array<u8, 32> salt{};
};
struct Header {
    Algorithm algorithm;
    std::string cipher_name, cipher_mode, hash_name;       // as the header has them
    u32 payload = 0, key_bytes = 0, digest_iterations = 0; // payload in sectors
    std::array<u8, 20> digest{};
    std::array<u8, 32> digest_salt{};
    std::string uuid;
    std::array<Slot, slots> slot;
    // Sectors of one slot's key material.
    u64 material_sectors(const Slot& s) const { return div_up(u64(key_bytes) * s.stripes, sector); }
};
bool has_magic(std::span<const u8> head);
Result<Header> parse(std::span<const u8> bytes);
std::vector<u8> print(const Header& h);
// Room for eight slots and the payload behind them.
Result<Header> new_header(const Algorithm& a);

// ---- slots.cpp: keys and their slots ----

// The slot that the secret opens, and the volume's key. Errors: none.
struct Unlocked {
    size_t slot = 0;
    Key key;
};
Task<Result<Unlocked>> unlock(Node& file, const Header& h, std::span<const u8> secret, std::optional<size_t> only = {});
// Writes the key, split and encrypted by the secret, into the slot; the header is written by the caller afterwards.
Task<Result<void>> fill_slot(Node& file, Header& h, size_t slot, std::span<const u8> key, std::span<const u8> secret,
                             u64 milliseconds);
// Overwrites the material, so that no secret opens it again.
Task<Result<void>> erase_slot(Node& file, Header& h, size_t slot);
Result<void> set_digest(Header& h, std::span<const u8> key, u64 milliseconds);

} // namespace mimic::block::luks
