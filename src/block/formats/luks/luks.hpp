// luks: disks encrypted as Linux does it, and the same inside other formats. Source: "LUKS On-Disk Format Specification",
// version 1.2.3 (LUKS1); ciphers and generators of initial vectors as dm-crypt names them. Not there: LUKS2, detached headers,
// ciphers other than AES.
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

// The cipher of qcow's method 1: AES-128 in CBC with plain64, the key is the secret, cut or filled with zeros. Numbers are
// the disk's sectors.
Result<SectorCipher> legacy_cipher(std::span<const u8> secret);
// Whole sectors at `place` of the file; `number` is that of the first for the cipher.
Task<Result<void>> read_encrypted(const SectorCipher& cipher, Node& file, u64 place, u64 number, const IoVec& memory);
Task<Result<void>> write_encrypted(const SectorCipher& cipher, Node& file, u64 place, u64 number, const IoVec& memory);

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

// Where a header begins, in the file that has its slots too.
struct Place {
    Node& file;
    u64 offset = 0;
};
// The slot that the secret opens, and the volume's key. Errors: none.
struct Unlocked {
    size_t slot = 0;
    Key key;
};
Task<Result<Unlocked>> unlock(Place at, const Header& h, std::span<const u8> secret, std::optional<size_t> only = {});
// Writes the key, split and encrypted by the secret, into the slot; the header is written by the caller afterwards.
Task<Result<void>> fill_slot(Place at, Header& h, size_t slot, std::span<const u8> key, std::span<const u8> secret,
                             u64 milliseconds);
// Overwrites the material, so that no secret opens it again.
Task<Result<void>> erase_slot(Place at, Header& h, size_t slot);
Result<void> set_digest(Header& h, std::span<const u8> key, u64 milliseconds);

// ---- volume.cpp: a header with its key, and the options that make and change it ----

struct VolumeOptions {
    std::optional<u64> iter_time; // milliseconds
    std::optional<std::string> key_secret;
    std::optional<u8> cipher, mode, ivgen, ivgen_hash, hash;
    // prefix: "encrypt." where they are a part of another format's.
    void describe(OptionVisitor& v, std::string_view prefix);
    bool any() const { return cipher || mode || ivgen || ivgen_hash || hash || iter_time; }
};

struct SlotOptions {
    std::optional<u8> state; // 0: inactive, 1: active
    std::optional<std::string> new_secret, old_secret;
    std::optional<u64> slot, iter_time;
    void describe(OptionVisitor& v, std::string_view prefix);
    bool any() const { return state || new_secret || old_secret || slot || iter_time; }
};

class Volume {
public:
    // Header and slots take `room` bytes of the file. Without a secret's name the volume only tells of itself. Errors: no
    // such secret, it opens no slot, no valid header.
    static Task<Result<Volume>> open(Context& context, Place at, u64 room, std::optional<std::string> secret);
    // Header and one slot, written at the place; the rest of the room is left as it is. Errors: the options don't fit.
    static Task<Result<Volume>> make(Context& context, Place at, const VolumeOptions& o);
    // Bytes of header and slots.
    static Result<u64> room_for(const VolumeOptions& o);
    ~Volume() { wipe(key_); }
    Volume(Volume&&) noexcept = default;
    Volume& operator=(Volume&&) noexcept = default;

    const Header& header() const { return h_; }
    // None: it was opened without its secret.
    const SectorCipher* cipher() const { return cipher_ ? &*cipher_ : nullptr; }
    // What `info` shows of it. format: of a volume inside another format's image.
    Json info(std::string_view format = {}) const;
    Task<Result<void>> amend(Context& context, Node& file, const SlotOptions& o);

private:
    Volume(Header h, u64 offset) : h_(std::move(h)), offset_(offset) {}
    Task<Result<void>> add_secret(Context& context, Place at, const SlotOptions& o);
    Task<Result<void>> remove_secrets(Context& context, Place at, const SlotOptions& o);
    Task<Result<void>> write_header(Place at) const;

    Header h_;
    u64 offset_ = 0;
    Key key_;
    std::optional<SectorCipher> cipher_;
};

} // namespace mimic::block::luks
