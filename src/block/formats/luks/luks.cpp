// Opening, creating and amending luks volumes.
#include "block/formats/luks/luks.hpp"
#include "base/io/pool.hpp"
#include <algorithm>

namespace mimic::block {

namespace luks {

namespace {

constexpr u64 bounce_size = 1u << 20;
constexpr u64 default_milliseconds = 2000;
constexpr u64 digest_share = 8; // the digest's part of the time

constexpr std::string_view states[] = {"inactive", "active"};

struct CreateOptions {
    std::optional<u64> size, iter_time;
    std::optional<std::string> key_secret;
    std::optional<u8> cipher, mode, ivgen, ivgen_hash, hash;
    void describe(OptionVisitor& v) {
        v.size("size", size, "Virtual disk size");
        v.string("key-secret", key_secret, "ID of the secret that provides the keyslot passphrase");
        v.choice("cipher-alg", cipher_names, cipher, "Name of encryption cipher algorithm");
        v.choice("cipher-mode", mode_names, mode, "Name of encryption cipher mode");
        v.choice("ivgen-alg", ivgen_names, ivgen, "Name of IV generator algorithm");
        v.choice("ivgen-hash-alg", hash_names, ivgen_hash, "Name of IV generator hash algorithm");
        v.choice("hash-alg", hash_names, hash, "Name of encryption hash algorithm");
        v.number("iter-time", iter_time, "Time to spend in PBKDF in milliseconds");
    }
    void fill() {}
};

struct AmendOptions {
    std::optional<u8> state;
    std::optional<std::string> new_secret, old_secret;
    std::optional<u64> slot, iter_time;
    void describe(OptionVisitor& v) {
        v.choice("state", states, state, "Select new state of affected keyslots (active/inactive)");
        v.number("keyslot", slot, "Select a single keyslot to modify explicitly");
        v.string("old-secret", old_secret, "Select all keyslots that match this password");
        v.string("new-secret", new_secret, "New secret to set in the matching keyslots. Empty string to erase");
        v.number("iter-time", iter_time, "Time to spend in PBKDF in milliseconds");
    }
};

Result<std::span<const u8>> secret_of(const Context& context, const std::string& id) {
    auto at = context.secrets.find(id);
    if (at == context.secrets.end()) return Error::not_found("No secret with id '{}'", id);
    return std::span(reinterpret_cast<const u8*>(at->second.data()), at->second.size());
}

class LuksNode final : public Node {
public:
    LuksNode(Context& context, NodeOptions options, const Header& h)
        : Node(context, *find_driver("luks"), std::move(options))
        , h_(h) {
        limits_.request_alignment = sector;
    }
    ~LuksNode() override { wipe(key_); }

    Result<void> set_key(Key key) {
        cipher_ = TRY(SectorCipher::create(h_.algorithm, key));
        key_ = std::move(key);
        return {};
    }
    u64 size() const override {
        u64 payload = h_.payload * sector, whole = file()->size();
        return whole > payload ? round_down(whole - payload, sector) : 0;
    }
    ImageInfo info() const override;
    Task<Result<void>> amend(Json options) override;

protected:
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override { return run(false, offset, memory); }
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override { return run(true, offset, memory); }
    Task<Result<void>> do_truncate(u64 size, Prealloc prealloc) override {
        return file()->truncate(h_.payload * sector + size, prealloc);
    }

private:
    Task<Result<void>> run(bool write, u64 offset, const IoVec& memory) {
        if (!cipher_) co_return Error::permission("'{}' was opened without its key", filename());
        CO_TRY(auto bounce, Buffer::create(std::min<u64>(memory.length(), bounce_size)));
        for (u64 done = 0; done < memory.length();) {
            u64 n = std::min<u64>(memory.length() - done, bounce.size()), at = offset + done;
            IoVec part(bounce.data(), n);
            auto crypt = [&] {
                cipher_->run(write, at / sector, bounce.bytes().first(n));
                return true;
            };
            if (write)
                memory.copy_to(done, bounce.data(), n);
            else
                CO_CHECK(co_await file()->read(h_.payload * sector + at, part));
            co_await loop().compute().run(loop(), crypt);
            if (write)
                CO_CHECK(co_await file()->write(h_.payload * sector + at, part));
            else
                memory.copy_from(done, bounce.data(), n);
            done += n;
        }
        co_return Result<void>();
    }
    Task<Result<void>> add_secret(const AmendOptions& o);
    Task<Result<void>> remove_secrets(const AmendOptions& o);
    Task<Result<void>> write_header() {
        auto bytes = print(h_);
        CO_CHECK(co_await write_part(*file(), 0, bytes));
        co_return co_await file()->flush();
    }

    Header h_;
    Key key_;
    std::optional<SectorCipher> cipher_;
};

ImageInfo LuksNode::info() const {
    ImageInfo i;
    i.encrypted = true;
    Json data = Json::object(), list = Json::array();
    data.set("ivgen-alg", ivgen_names[size_t(h_.algorithm.ivgen)]);
    data.set("hash-alg", h_.hash_name);
    data.set("cipher-alg", cipher_names[h_.algorithm.cipher]);
    data.set("uuid", h_.uuid);
    if (h_.algorithm.ivgen == Ivgen::essiv) data.set("ivgen-hash-alg", hash_names[h_.algorithm.ivgen_hash]);
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
    i.specific = Json::object();
    i.specific.set("type", "luks");
    i.specific.set("data", std::move(data));
    return i;
}

Task<Result<void>> LuksNode::add_secret(const AmendOptions& o) {
    if (!o.new_secret) co_return Error::invalid_argument("'new-secret' is required to activate a keyslot");
    if (o.old_secret) co_return Error::invalid_argument("'old-secret' must not be given when activating keyslots");
    size_t slot = o.slot ? *o.slot : size_t(std::ranges::find(h_.slot, false, &Slot::active) - h_.slot.begin());
    if (slot >= slots)
        co_return o.slot ? Error::invalid_argument("Invalid keyslot {}, expected 0 to 7", slot)
                         : Error::no_space("Can't add a keyslot - all keyslots are in use");
    if (h_.slot[slot].active)
        co_return Error::invalid_argument("Refusing to overwrite active keyslot {} - please erase it first", slot);
    CO_TRY(auto secret, secret_of(context(), *o.new_secret));
    CO_CHECK(co_await fill_slot(*file(), h_, slot, key_, secret, o.iter_time.value_or(default_milliseconds)));
    co_return co_await write_header();
}

Task<Result<void>> LuksNode::remove_secrets(const AmendOptions& o) {
    if (o.new_secret) co_return Error::invalid_argument("'new-secret' must not be given when erasing keyslots");
    if (o.iter_time) co_return Error::invalid_argument("'iter-time' must not be given when erasing keyslots");
    if (!o.slot && !o.old_secret)
        co_return Error::invalid_argument("To erase keyslots, 'old-secret' or 'keyslot' must be given");
    if (o.slot && *o.slot >= slots) co_return Error::invalid_argument("Invalid keyslot {}, expected 0 to 7", *o.slot);
    std::vector<size_t> gone;
    for (size_t i = 0; i < slots; i++) {
        if (!h_.slot[i].active || (o.slot && *o.slot != i)) continue;
        if (o.old_secret) {
            CO_TRY(auto secret, secret_of(context(), *o.old_secret));
            auto opened = co_await unlock(*file(), h_, secret, i);
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
    for (size_t i : gone) CO_CHECK(co_await erase_slot(*file(), h_, i));
    co_return co_await write_header();
}

Task<Result<void>> LuksNode::amend(Json options) {
    AmendOptions o;
    OptionReader reader(options, "Block format 'luks'");
    o.describe(reader);
    CO_CHECK(reader.finish());
    if (!o.state) co_return Error::invalid_argument("Parameter 'state' is required");
    if (!cipher_) co_return Error::permission("'{}' was opened without its key", filename());
    if (*o.state) co_return co_await add_secret(o);
    co_return co_await remove_secrets(o);
}

Task<Result<NodePtr>> open_luks(Context& context, OpenArguments& a) {
    std::optional<std::string> key_secret;
    OptionReader reader(a.options, "Block format 'luks'");
    reader.string("key-secret", key_secret, "ID of the secret that provides the passphrase");
    CO_CHECK(reader.finish());
    CO_TRY(auto bytes, co_await read_part(*a.file, 0, header_bytes, "luks header"));
    CO_TRY(Header h, parse(bytes));
    if (u64(h.payload) * sector > a.file->size())
        co_return Error::corrupt("luks header: the payload begins at sector {}, the file has {} bytes", h.payload,
                                 a.file->size());
    auto node = std::make_shared<LuksNode>(context, a.common, h);
    CO_CHECK(attach_file(*node, a, a.file));
    if (a.no_io && !key_secret) co_return NodePtr(node);
    if (!key_secret) co_return Error::invalid_argument("Parameter 'key-secret' is required for cipher");
    CO_TRY(auto secret, secret_of(context, *key_secret));
    CO_TRY(auto opened, co_await unlock(*a.file, h, secret));
    CO_CHECK(node->set_key(std::move(opened.key)));
    co_return NodePtr(node);
}

Result<Algorithm> algorithm_of(const CreateOptions& o) {
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

Task<Result<void>> create_luks(Context& context, CreateArguments& a) {
    CO_TRY(auto o, read_create_options<CreateOptions>(a.options, "luks"));
    if (!o.key_secret) co_return Error::invalid_argument("Parameter 'key-secret' is required for cipher");
    CO_TRY(auto secret, secret_of(context, *o.key_secret));
    CO_TRY(Algorithm algorithm, algorithm_of(o));
    CO_TRY(Header h, new_header(algorithm));
    u64 milliseconds = o.iter_time.value_or(default_milliseconds);
    if (milliseconds == 0) co_return Error::invalid_argument("iter-time must be larger than 0");
    Key key(algorithm.key_bytes());
    CO_CHECK(random_bytes(key));
    CO_CHECK(set_digest(h, key, div_up(milliseconds, digest_share)));
    co_return co_await create_file(context, a, a.filename, [&](Node& file) -> Task<Result<void>> {
        CO_CHECK(co_await file.truncate(h.payload * sector + *o.size));
        CO_CHECK(co_await fill_slot(file, h, 0, key, secret, milliseconds));
        wipe(key);
        auto bytes = print(h);
        co_return co_await write_part(file, 0, bytes);
    });
}

Task<Result<Measurement>> measure_luks(Context&, Json options, Node* source, u64 size) {
    CO_TRY(auto o, read_create_options<CreateOptions>(options, "luks"));
    CO_TRY(Algorithm algorithm, algorithm_of(o));
    CO_TRY(Header h, new_header(algorithm));
    u64 whole = h.payload * sector + (source ? source->size() : size);
    co_return Measurement{.required = whole, .fully_allocated = whole};
}

} // namespace

} // namespace luks

MIMIC_BLOCK_DRIVER(luks) = {
    .name = "luks",
    .probe = [](std::span<const u8> head) { return luks::has_magic(head) ? 100 : 0; },
    .open = luks::open_luks,
    .create = luks::create_luks,
    .describe_create = describe_options<luks::CreateOptions>,
    .describe_amend = describe_options<luks::AmendOptions>,
    .print_create = [](Json o) { return print_create_options<luks::CreateOptions>(std::move(o), "luks"); },
    .measure = luks::measure_luks,
};

} // namespace mimic::block
