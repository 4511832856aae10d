#include "block/bytes.hpp"
#include "block/formats/luks/luks.hpp"
#include <algorithm>

namespace mimic::block::luks {

namespace {

constexpr u8 magic[] = {'L', 'U', 'K', 'S', 0xba, 0xbe};
constexpr u32 slot_enabled = 0x00ac71f3, slot_disabled = 0x0000dead;
constexpr u64 slot_alignment = 8; // sectors
constexpr u32 most_stripes = 1u << 16;
// Offsets of the fields (specification, figures 3 and 4).
constexpr size_t at_version = 6, at_cipher = 8, at_mode = 40, at_hash = 72, at_payload = 104, at_key_bytes = 108,
                 at_digest = 112, at_digest_salt = 132, at_digest_iterations = 164, at_uuid = 168, at_slots = 208,
                 slot_bytes = 48;

std::string text_at(std::span<const u8> b, size_t at, size_t room) {
    std::string_view s(reinterpret_cast<const char*>(&b[at]), room);
    return std::string(s.substr(0, std::min(s.find('\0'), room)));
}

template <size_t N>
std::optional<u8> index_of(const std::string_view (&names)[N], std::string_view name) {
    auto at = std::ranges::find(names, name);
    if (at == std::end(names)) return std::nullopt;
    return u8(at - names);
}

// "aes", "xts-plain64" or "cbc-essiv:sha256", "sha256".
Result<Algorithm> algorithm_of(const Header& h) {
    Algorithm a;
    auto unknown = [&](std::string_view what, std::string_view name) {
        return Error::unsupported("luks header: {} '{}' is not supported", what, name);
    };
    if (h.cipher_name != "aes") return unknown("cipher", h.cipher_name);
    std::string_view mode = h.cipher_mode;
    size_t dash = std::min(mode.find('-'), mode.size());
    auto m = index_of(mode_names, mode.substr(0, dash));
    if (!m) return unknown("cipher mode", mode);
    a.mode = Mode(*m);
    std::string_view ivgen = mode.substr(std::min(dash + 1, mode.size()));
    size_t colon = std::min(ivgen.find(':'), ivgen.size());
    auto i = index_of(ivgen_names, ivgen.substr(0, colon));
    if (!i && a.mode != Mode::ecb) return unknown("generator of vectors", ivgen);
    a.ivgen = Ivgen(i.value_or(0));
    if (a.ivgen == Ivgen::essiv) {
        auto hash = index_of(hash_names, ivgen.substr(std::min(colon + 1, ivgen.size())));
        if (!hash) return unknown("generator of vectors", ivgen);
        a.ivgen_hash = *hash;
    }
    auto hash = index_of(hash_names, h.hash_name);
    if (!hash) return unknown("hash", h.hash_name);
    a.hash = *hash;
    size_t one = h.key_bytes / (a.mode == Mode::xts ? 2 : 1);
    if ((one != 16 && one != 24 && one != 32) || (a.mode == Mode::xts && h.key_bytes % 2))
        return Error::corrupt("luks header: a key of {} bytes does not fit {}-{}", h.key_bytes, h.cipher_name, mode);
    a.cipher = u8((one - 16) / 8);
    return a;
}

Result<void> check_slots(const Header& h) {
    for (size_t i = 0; i < slots; i++) {
        const Slot& s = h.slot[i];
        u64 end = s.offset + h.material_sectors(s);
        if (s.stripes == 0 || s.stripes > most_stripes)
            return Error::corrupt("luks header: key slot {} has {} stripes, expected 1 to {}", i, s.stripes,
                                  most_stripes);
        if (s.active && s.iterations == 0) return Error::corrupt("luks header: key slot {} has no iterations", i);
        if (s.offset * sector < header_bytes || (h.payload && end > h.payload))
            return Error::corrupt(
                "luks header: key slot {} lies at sector {} to {}, expected between header and payload ({})", i,
                s.offset, end, h.payload);
        for (size_t k = 0; k < i; k++)
            if (s.offset < h.slot[k].offset + h.material_sectors(h.slot[k]) && h.slot[k].offset < end)
                return Error::corrupt("luks header: key slots {} and {} overlap", k, i);
    }
    return {};
}

} // namespace

bool has_magic(std::span<const u8> head) {
    return head.size() >= 8 && std::ranges::equal(head.first(sizeof magic), magic) && get16(&head[at_version]) == 1;
}

Result<Header> parse(std::span<const u8> b) {
    if (!std::ranges::equal(b.first(sizeof magic), magic))
        return Error::invalid_argument("Volume is not in LUKS format");
    if (get16(&b[at_version]) != 1)
        return Error::unsupported("LUKS version {} is not supported, expected 1", get16(&b[at_version]));
    Header h{.cipher_name = text_at(b, at_cipher, 32),
             .cipher_mode = text_at(b, at_mode, 32),
             .hash_name = text_at(b, at_hash, 32),
             .payload = get32(&b[at_payload]),
             .key_bytes = get32(&b[at_key_bytes]),
             .digest_iterations = get32(&b[at_digest_iterations])};
    std::copy_n(&b[at_digest], 20, h.digest.begin());
    std::copy_n(&b[at_digest_salt], 32, h.digest_salt.begin());
    h.uuid = text_at(b, at_uuid, 40);
    h.algorithm = TRY(algorithm_of(h));
    if (h.digest_iterations == 0) return Error::corrupt("luks header: the digest has no iterations");
    for (size_t i = 0; i < slots; i++) {
        const u8* p = &b[at_slots + i * slot_bytes];
        u32 state = get32(p);
        if (state != slot_enabled && state != slot_disabled)
            return Error::corrupt("luks header: key slot {} has the state {:#x}, expected {:#x} or {:#x}", i, state,
                                  slot_enabled, slot_disabled);
        Slot& s = h.slot[i];
        s.active = state == slot_enabled;
        s.iterations = get32(p + 4);
        std::copy_n(p + 8, 32, s.salt.begin());
        s.offset = get32(p + 40);
        s.stripes = get32(p + 44);
    }
    TRY(check_slots(h));
    return h;
}

std::vector<u8> print(const Header& h) {
    std::vector<u8> b(header_bytes);
    std::ranges::copy(magic, b.begin());
    put16(&b[at_version], 1);
    std::ranges::copy(h.cipher_name, &b[at_cipher]);
    std::ranges::copy(h.cipher_mode, &b[at_mode]);
    std::ranges::copy(h.hash_name, &b[at_hash]);
    put32(&b[at_payload], h.payload);
    put32(&b[at_key_bytes], h.key_bytes);
    std::ranges::copy(h.digest, &b[at_digest]);
    std::ranges::copy(h.digest_salt, &b[at_digest_salt]);
    put32(&b[at_digest_iterations], h.digest_iterations);
    std::ranges::copy(h.uuid, &b[at_uuid]);
    for (size_t i = 0; i < slots; i++) {
        u8* p = &b[at_slots + i * slot_bytes];
        const Slot& s = h.slot[i];
        put32(p, s.active ? slot_enabled : slot_disabled);
        put32(p + 4, s.iterations);
        std::ranges::copy(s.salt, p + 8);
        put32(p + 40, s.offset);
        put32(p + 44, s.stripes);
    }
    return b;
}

Result<Header> new_header(const Algorithm& a) {
    Header h{.algorithm = a, .cipher_name = "aes"};
    h.cipher_mode = fmt::format("{}-{}", mode_names[size_t(a.mode)], ivgen_names[size_t(a.ivgen)]);
    if (a.ivgen == Ivgen::essiv) h.cipher_mode += fmt::format(":{}", hash_names[a.ivgen_hash]);
    h.hash_name = hash_names[a.hash];
    h.key_bytes = u32(a.key_bytes());
    u8 id[16];
    make_uuid(id);
    h.uuid = uuid_text(id);
    u64 at = slot_alignment;
    for (auto& s : h.slot) {
        s.offset = u32(at);
        at += round_up(h.material_sectors(s), slot_alignment);
    }
    h.payload = u32(at);
    return h;
}

} // namespace mimic::block::luks
