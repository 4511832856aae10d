// Opening, creating and amending luks volumes.
#include "block/formats/luks/luks.hpp"

namespace mimic::block {

namespace luks {

namespace {

struct CreateOptions : VolumeOptions {
    std::optional<u64> size;
    void describe(OptionVisitor& v) {
        v.size("size", size, "Virtual disk size");
        VolumeOptions::describe(v, "");
    }
    void fill() {}
};

struct AmendOptions : SlotOptions {
    void describe(OptionVisitor& v) { SlotOptions::describe(v, ""); }
};

class LuksNode final : public Node {
public:
    LuksNode(Context& context, NodeOptions options, Volume volume)
        : Node(context, *find_driver("luks"), std::move(options))
        , volume_(std::move(volume)) {
        limits_.request_alignment = sector;
    }

    u64 payload() const { return volume_.header().payload * sector; }
    u64 size() const override {
        u64 whole = file()->size();
        return whole > payload() ? round_down(whole - payload(), sector) : 0;
    }
    ImageInfo info() const override {
        ImageInfo i;
        i.encrypted = true;
        Json data = volume_.info();
        i.specific = Json::object();
        i.specific.set("type", "luks");
        i.specific.set("data", std::move(data));
        return i;
    }
    Task<Result<void>> amend(Json options) override {
        AmendOptions o;
        OptionReader reader(options, "Block format 'luks'");
        o.describe(reader);
        CO_CHECK(reader.finish());
        co_return co_await volume_.amend(context(), *file(), o);
    }

protected:
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override {
        if (!volume_.cipher()) co_return without_key();
        co_return co_await read_encrypted(*volume_.cipher(), *file(), payload() + offset, offset / sector, memory);
    }
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override {
        if (!volume_.cipher()) co_return without_key();
        co_return co_await write_encrypted(*volume_.cipher(), *file(), payload() + offset, offset / sector, memory);
    }
    Task<Result<void>> do_truncate(u64 size, Prealloc prealloc) override {
        return file()->truncate(payload() + size, prealloc);
    }

private:
    Error without_key() const { return Error::permission("'{}' was opened without its key", filename()); }

    Volume volume_;
};

Task<Result<NodePtr>> open_luks(Context& context, OpenArguments& a) {
    std::optional<std::string> key_secret;
    OptionReader reader(a.options, "Block format 'luks'");
    reader.string("key-secret", key_secret, "ID of the secret that provides the passphrase");
    CO_CHECK(reader.finish());
    if (!a.no_io && !key_secret) co_return Error::invalid_argument("Parameter 'key-secret' is required for cipher");
    CO_TRY(Volume volume, co_await Volume::open(context, {*a.file}, a.file->size(), key_secret));
    if (u64 payload = volume.header().payload * sector; payload > a.file->size())
        co_return Error::corrupt("luks header: the payload begins at sector {}, the file has {} bytes",
                                 payload / sector, a.file->size());
    auto node = std::make_shared<LuksNode>(context, a.common, std::move(volume));
    CO_CHECK(attach_file(*node, a, a.file));
    co_return NodePtr(node);
}

Task<Result<void>> create_luks(Context& context, CreateArguments& a) {
    CO_TRY(auto o, read_create_options<CreateOptions>(a.options, "luks"));
    if (!o.key_secret) co_return Error::invalid_argument("Parameter 'key-secret' is required for cipher");
    CO_TRY(u64 payload, Volume::room_for(o));
    co_return co_await create_file(context, a, a.filename, [&](Node& file) -> Task<Result<void>> {
        CO_CHECK(co_await file.truncate(payload + *o.size));
        auto made = co_await Volume::make(context, {file}, o);
        co_return made ? Result<void>() : Result<void>(std::move(made).error());
    });
}

Task<Result<Measurement>> measure_luks(Context&, Json options, Node* source, u64 size) {
    CO_TRY(auto o, read_create_options<CreateOptions>(options, "luks"));
    CO_TRY(u64 payload, Volume::room_for(o));
    u64 whole = payload + (source ? source->size() : size);
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
