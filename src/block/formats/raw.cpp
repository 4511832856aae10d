// raw: the bytes of the file are the disk; `offset` and `size` cut a part out.
#include "block/driver.hpp"
#include <algorithm>

namespace mimic::block {

namespace {

struct RawOptions {
    std::optional<u64> offset, size;
    void describe(OptionVisitor& v) {
        v.size("offset", offset, "Where the disk starts in the file");
        v.size("size", size, "Its length");
    }
};

struct RawCreateOptions {
    std::optional<u64> size, extent_size_hint;
    std::optional<bool> nocow;
    std::optional<u8> preallocation;
    void describe(OptionVisitor& v) {
        v.size("size", size, "Virtual disk size");
        v.choice("preallocation", prealloc_names, preallocation,
                 "Preallocation mode (allowed values: off, falloc, full)");
        v.size("extent_size_hint", extent_size_hint, "Extent size hint for the image file, 0 to disable");
        v.boolean("nocow", nocow, "Turn off copy-on-write (valid only on btrfs)");
    }
};

class RawNode final : public Node {
public:
    RawNode(Context& context, NodeOptions options, const RawOptions& o, bool probed)
        : Node(context, raw_driver, std::move(options))
        , offset_(o.offset.value_or(0))
        , fixed_size_(o.size)
        , probed_(probed) {}

    u64 size() const override {
        if (fixed_size_) return *fixed_size_;
        u64 whole = file()->size();
        return whole > offset_ ? whole - offset_ : 0;
    }
    bool has_zero_init() const override { return !fixed_size_ && offset_ == 0 && file()->has_zero_init(); }

protected:
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override {
        return file()->read(offset_ + offset, memory);
    }
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override {
        if (probed_ && offset < guarded_size) CO_CHECK(guard(offset, memory));
        co_return co_await file()->write(offset_ + offset, memory);
    }
    Task<Result<void>> do_write_zeroes(u64 offset, u64 length, u32 flags) override {
        return file()->write_zeroes(offset_ + offset, length, flags);
    }
    Task<Result<void>> do_discard(u64 offset, u64 length) override { return file()->discard(offset_ + offset, length); }
    Task<Result<Extent>> do_status(u64 offset, u64 length) override {
        if (offset_ + offset >= file()->size()) co_return Extent{.length = length, .allocated = true, .zero = true};
        CO_TRY(Extent e, co_await file()->status(offset_ + offset, length));
        co_return e;
    }
    Task<Result<void>> do_truncate(u64 size, Prealloc prealloc) override {
        if (fixed_size_) co_return Error::unsupported("Cannot resize fixed-size raw disk '{}'", filename());
        co_return co_await file()->truncate(offset_ + size, prealloc);
    }
    Task<Result<void>> do_copy_to(u64 offset, Node& target, u64 target_offset, u64 length) override {
        auto* to = dynamic_cast<RawNode*>(&target);
        if (!to) co_return unsupported("copy offload to another format");
        co_return co_await file()->copy_to(offset_ + offset, *to->file(), to->offset_ + target_offset, length);
    }

private:
    // A guest that may write any first bytes could turn its disk into an image that names files of the host; they would be
    // opened the next time the format is guessed. So a guessed raw disk does not become something else.
    static constexpr u64 guarded_size = 2048;
    Result<void> guard(u64 offset, const IoVec& memory) const {
        std::vector<u8> head(guarded_size);
        u64 n = std::min(memory.length(), guarded_size - offset);
        memory.copy_to(0, head.data() + offset, n);
        const Driver& found = probe_format(head);
        if (&found == &raw_driver) return {};
        return Error::permission(
            "writing the header of a '{}' image to '{}' is refused, because its format raw was only guessed; "
            "name it (format=raw) to allow this",
            found.name, filename());
    }

    u64 offset_;
    std::optional<u64> fixed_size_;
    bool probed_;
};

Task<Result<NodePtr>> open_raw(Context& context, OpenArguments& a) {
    RawOptions o;
    OptionReader reader(a.options, "Block format 'raw'");
    o.describe(reader);
    CO_CHECK(reader.finish());
    u64 whole = a.file->size();
    if (o.offset && *o.offset > whole)
        co_return Error::invalid_argument("The raw image's offset {} is past the end of '{}' ({} bytes)", *o.offset,
                                          a.file->filename(), whole);
    if (o.size && *o.size > whole - o.offset.value_or(0))
        co_return Error::invalid_argument("The sum of offset ({}) and size ({}) must not exceed the size of '{}' ({})",
                                          o.offset.value_or(0), *o.size, a.file->filename(), whole);
    u8 perms = perm::consistent_read;
    u8 shared = perm::consistent_read | perm::write_unchanged;
    if (!a.common.read_only) perms |= perm::write | perm::resize;
    if (a.common.force_share) shared = perm::all;
    auto node = std::make_shared<RawNode>(context, a.common, o, a.probed);
    node->set_filename(a.file->filename());
    CO_CHECK(node->add_child(a.file, "file", perms, shared));
    if (a.probed && !a.common.read_only)
        context.warn(fmt::format(
            "Image format was not specified for '{}' and probing guessed raw.\n"
            "         Automatically detecting the format is dangerous for raw images, write operations on "
            "block 0 will be restricted.\n         Specify the 'raw' format explicitly to remove the restrictions.",
            a.file->filename()));
    co_return NodePtr(node);
}

Task<Result<void>> create_raw(Context& context, CreateArguments& a) {
    RawCreateOptions o;
    OptionReader reader(a.options, "Block format 'raw'");
    o.describe(reader);
    CO_CHECK(reader.finish());
    co_return co_await create_protocol(context, a.filename, round_up(o.size.value_or(0), 512),
                                       Prealloc(o.preallocation.value_or(0)));
}

Result<std::string> print_create(Json options) {
    RawCreateOptions o;
    OptionReader reader(options, "Block format 'raw'");
    o.describe(reader);
    TRY(reader.finish());
    OptionPrinter printer;
    o.describe(printer);
    return printer.text;
}

Task<Result<Measurement>> measure_raw(Context&, Json, Node* source, u64 size) {
    u64 n = source ? source->size() : size;
    co_return Measurement{.required = n, .fully_allocated = n};
}

} // namespace

MIMIC_BLOCK_DRIVER(raw) = {
    .name = "raw",
    .probe = [](std::span<const u8>) { return 1; },
    .open = open_raw,
    .create = create_raw,
    .describe_create =
        [](OptionVisitor& v) {
            RawCreateOptions o;
            o.describe(v);
        },
    .print_create = print_create,
    .measure = measure_raw,
};

} // namespace mimic::block
