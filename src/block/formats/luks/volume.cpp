// A volume: its header, its key, its slots' changes.
#include "base/io/pool.hpp"
#include "block/formats/luks/luks.hpp"
#include "block/objects.hpp"
#include <algorithm>

namespace mimic::block::luks {

namespace {

constexpr u64 default_milliseconds = 2000;
constexpr u64 digest_share = 8; // the digest's part of the time

constexpr std::string_view states[] = {"inactive", "active"};

std::span<const u8> bytes_of(const std::string& s) { return {reinterpret_cast<const u8*>(s.data()), s.size()}; }

Result<Algorithm> algorithm_of(const VolumeOptions& o) {
    Algorithm a;
    if (o.cipher) a.cipher = *o.cipher;
    if (o.mode) a.mode = Mode(*o.mode);
    if (o.ivgen) a.ivgen = Ivgen(*o.ivgen);
    if (o.hash) a.hash = *o.hash;
    if (o.ivgen_hash && a.ivgen != Ivgen::essiv)
        return Error::invalid_argument("ivgen-hash-alg is only for ivgen-alg=essiv");
    if (o.ivgen_hash) a.ivgen_hash = *o.ivgen_hash;
    if (a.mode == Mode::xts && a.cipher == 1)
        return Error::unsupported(
            "Cipher algorithm 'aes-192' in mode 'xts' is not supported, expected aes-128 or aes-256");
    return a;
}

} // namespace

void VolumeOptions::describe(OptionVisitor& v, std::string_view prefix) {
    auto name = [&](std::string_view n) { return fmt::format("{}{}", prefix, n); };
    v.string(name("key-secret"), key_secret, "ID of the secret that provides the keyslot passphrase");
    v.choice(name("cipher-alg"), cipher_names, cipher, "Name of encryption cipher algorithm");
    v.choice(name("cipher-mode"), mode_names, mode, "Name of encryption cipher mode");
    v.choice(name("ivgen-alg"), ivgen_names, ivgen, "Name of IV generator algorithm");
    v.choice(name("ivgen-hash-alg"), hash_names, ivgen_hash, "Name of IV generator hash algorithm");
    v.choice(name("hash-alg"), hash_names, hash, "Name of encryption hash algorithm");
    v.number(name("iter-time"), iter_time, "Time to spend in PBKDF in milliseconds");
}

void SlotOptions::describe(OptionVisitor& v, std::string_view prefix) {
    auto name = [&](std::string_view n) { return fmt::format("{}{}", prefix, n); };
    v.choice(name("state"), states, state, "Select new state of affected keyslots (active/inactive)");
    v.number(name("keyslot"), slot, "Select a single keyslot to modify explicitly");
    v.string(name("old-secret"), old_secret, "Select all keyslots that match this password");
    v.string(name("new-secret"), new_secret, "New secret to set in the matching keyslots. Empty string to erase");
    v.number(name("iter-time"), iter_time, "Time to spend in PBKDF in milliseconds");
}

Task<Result<Volume>> Volume::open(Context& context, Place at, u64 room, std::optional<std::string> secret) {
    if (room < header_bytes)
        co_return Error::corrupt("luks header: {} bytes, expected at least {}", room, header_bytes);
    CO_TRY(auto bytes, co_await read_part(at.file, at.offset, header_bytes, "luks header"));
    CO_TRY(Header h, parse(bytes));
    for (size_t i = 0; i < slots; i++)
        if (h.slot[i].offset * sector + h.material_sectors(h.slot[i]) * sector > room)
            co_return Error::corrupt("luks header: key slot {} ends past its room of {} bytes", i, room);
    Volume v(std::move(h), at.offset);
    if (!secret) co_return std::move(v);
    CO_TRY(auto password, find_secret(context, *secret));
    CO_TRY(auto opened, co_await unlock(at, v.h_, bytes_of(password)));
    v.key_ = std::move(opened.key);
    CO_TRY(v.cipher_, SectorCipher::create(v.h_.algorithm, v.key_));
    co_return std::move(v);
}

Result<u64> Volume::room_for(const VolumeOptions& o) {
    Algorithm a = TRY(algorithm_of(o));
    Header h = TRY(new_header(a));
    return h.payload * sector;
}

Task<Result<Volume>> Volume::make(Context& context, Place at, const VolumeOptions& o) {
    if (!o.key_secret) co_return Error::invalid_argument("Parameter 'key-secret' is required for cipher");
    CO_TRY(auto secret, find_secret(context, *o.key_secret));
    CO_TRY(Algorithm algorithm, algorithm_of(o));
    u64 milliseconds = o.iter_time.value_or(default_milliseconds);
    if (milliseconds == 0) co_return Error::invalid_argument("iter-time must be larger than 0");
    CO_TRY(Header h, new_header(algorithm));
    Volume v(std::move(h), at.offset);
    v.key_.resize(algorithm.key_bytes());
    CO_CHECK(random_bytes(v.key_));
    CO_CHECK(set_digest(v.h_, v.key_, div_up(milliseconds, digest_share)));
    CO_TRY(v.cipher_, SectorCipher::create(algorithm, v.key_));
    CO_CHECK(co_await fill_slot(at, v.h_, 0, v.key_, bytes_of(secret), milliseconds));
    CO_CHECK(co_await v.write_header(at));
    co_return std::move(v);
}

Task<Result<void>> Volume::write_header(Place at) const {
    auto bytes = print(h_);
    CO_CHECK(co_await write_part(at.file, at.offset, bytes));
    co_return co_await at.file.flush();
}

Json Volume::info(std::string_view format) const {
    Json data = Json::object(), list = Json::array();
    data.set("ivgen-alg", ivgen_names[size_t(h_.algorithm.ivgen)]);
    data.set("hash-alg", h_.hash_name);
    data.set("cipher-alg", cipher_names[h_.algorithm.cipher]);
    data.set("uuid", h_.uuid);
    if (h_.algorithm.ivgen == Ivgen::essiv) data.set("ivgen-hash-alg", hash_names[h_.algorithm.ivgen_hash]);
    if (!format.empty()) data.set("format", format);
    data.set("cipher-mode", mode_names[size_t(h_.algorithm.mode)]);
    for (auto& s : h_.slot) {
        Json one = Json::object();
        one.set("active", s.active);
        if (s.active) one.set("iters", u64(s.iterations));
        one.set("key-offset", s.offset * sector);
        if (s.active) one.set("stripes", u64(s.stripes));
        list.push(std::move(one));
    }
    data.set("slots", std::move(list));
    data.set("payload-offset", h_.payload * sector);
    data.set("master-key-iters", u64(h_.digest_iterations));
    return data;
}

Task<Result<void>> Volume::add_secret(Context& context, Place at, const SlotOptions& o) {
    if (!o.new_secret) co_return Error::invalid_argument("'new-secret' is required to activate a keyslot");
    if (o.old_secret) co_return Error::invalid_argument("'old-secret' must not be given when activating keyslots");
    size_t slot = o.slot ? *o.slot : size_t(std::ranges::find(h_.slot, false, &Slot::active) - h_.slot.begin());
    if (slot >= slots)
        co_return o.slot ? Error::invalid_argument("Invalid keyslot {}, expected 0 to 7", slot)
                         : Error::no_space("Can't add a keyslot - all keyslots are in use");
    if (h_.slot[slot].active)
        co_return Error::invalid_argument("Refusing to overwrite active keyslot {} - please erase it first", slot);
    CO_TRY(auto secret, find_secret(context, *o.new_secret));
    CO_CHECK(co_await fill_slot(at, h_, slot, key_, bytes_of(secret), o.iter_time.value_or(default_milliseconds)));
    co_return co_await write_header(at);
}

Task<Result<void>> Volume::remove_secrets(Context& context, Place at, const SlotOptions& o) {
    if (o.new_secret) co_return Error::invalid_argument("'new-secret' must not be given when erasing keyslots");
    if (o.iter_time) co_return Error::invalid_argument("'iter-time' must not be given when erasing keyslots");
    if (!o.slot && !o.old_secret)
        co_return Error::invalid_argument("To erase keyslots, 'old-secret' or 'keyslot' must be given");
    if (o.slot && *o.slot >= slots) co_return Error::invalid_argument("Invalid keyslot {}, expected 0 to 7", *o.slot);
    std::vector<size_t> gone;
    for (size_t i = 0; i < slots; i++) {
        if (!h_.slot[i].active || (o.slot && *o.slot != i)) continue;
        if (o.old_secret) {
            CO_TRY(auto secret, find_secret(context, *o.old_secret));
            auto opened = co_await unlock(at, h_, bytes_of(secret), i);
            if (!opened) continue;
            wipe(opened->key);
        }
        gone.push_back(i);
    }
    if (gone.empty()) co_return Error::not_found("No keyslots match given (old) password for erase operation");
    if (gone.size() == size_t(std::ranges::count(h_.slot, true, &Slot::active)))
        co_return Error::invalid_argument(
            "All the active keyslots match the (old) password that was given and erasing them "
            "will erase all the data in the image irreversibly - refusing operation");
    for (size_t i : gone) CO_CHECK(co_await erase_slot(at, h_, i));
    co_return co_await write_header(at);
}

Task<Result<void>> Volume::amend(Context& context, Node& file, const SlotOptions& o) {
    if (!o.state) co_return Error::invalid_argument("Parameter 'state' is required");
    if (!cipher_) co_return Error::permission("'{}' was opened without its key", file.filename());
    Place at{file, offset_};
    if (*o.state) co_return co_await add_secret(context, at, o);
    co_return co_await remove_secrets(context, at, o);
}

} // namespace mimic::block::luks
