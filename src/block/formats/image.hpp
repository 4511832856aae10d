// What formats share beside the map: opening and creating the file below, the backing image, nodes that are one map.
#pragma once
#include "block/driver.hpp"
#include "block/formats/map.hpp"
#include <functional>

namespace mimic::block {

// The bytes [offset, offset + length) of the file. Errors: it is shorter; names it and `what`.
Task<Result<std::vector<u8>>> read_part(Node& file, u64 offset, u64 length, std::string_view what);
Task<Result<void>> write_part(Node& file, u64 offset, std::span<const u8> bytes);

// Makes the file below the node's child, with what a format does there.
Result<void> attach_file(Node& node, const OpenArguments& a, NodePtr file, std::string role = "file");

// An image below the one at a.file: given by options (a tree, a node's name), or by a name and a format that the header has.
// raw_data: only a protocol node.
Task<Result<NodePtr>> open_below(Context& context, const OpenArguments& a, Json given, const std::string& name,
                                 const std::string& format, bool writable, bool raw_data);
// The option "backing": a tree or a node's name; null (drop) cuts the chain.
struct BackingOption {
    Json given;
    bool drop = false;
};
BackingOption take_backing(Json& options);
// Attaches what the option says, or what the header names.
Task<Result<void>> attach_backing(Node& node, const OpenArguments& a, BackingOption option, const std::string& name,
                                  const std::string& format);

// 16 random bytes that are a UUID (RFC 4122, version 4), in the order in which they are written. Host randomness.
void make_uuid(u8* out);
u32 random_word();
// "12345678-..." of 16 bytes as RFC 4122 orders them.
std::string uuid_text(const u8* bytes);

// An empty file, filled by `fill`, closed.
using Fill = std::function<Task<Result<void>>(Node&)>;
Task<Result<void>> create_file(Context& context, const CreateArguments& a, const std::string& filename, Fill fill);

// Options struct O has describe(OptionVisitor&) and fill(), which sets what was not said.
template <class O>
Result<O> read_create_options(Json& options, std::string_view format) {
    O o;
    std::string owner = fmt::format("Block format '{}'", format);
    OptionReader reader(options, owner);
    o.describe(reader);
    TRY(reader.finish());
    if (o.size.value_or(0) > u64(INT64_MAX) - 512)
        return Error::invalid_argument("Image size {} must be less than 8 EiB", *o.size);
    o.size = round_up(o.size.value_or(0), 512);
    o.fill();
    return o;
}
template <class O>
Result<std::string> print_create_options(Json options, std::string_view format) {
    O o = TRY(read_create_options<O>(options, format));
    OptionPrinter printer;
    o.describe(printer);
    return printer.text;
}
template <class O>
void describe_options(OptionVisitor& v) {
    O o;
    o.describe(v);
}

// A format whose disk is one map.
class MapNode : public Node {
public:
    using Node::Node;
    u64 size() const override { return map_->layout().size; }
    u64 cluster_size() const override { return map_->layout().block_size; }
    bool has_zero_init() const override { return !backing(); }
    ImageInfo info() const override;
    Task<Result<CheckReport>> check(Fix fix) override;

    void set_map(std::unique_ptr<BlockMap> map) { map_ = std::move(map); }
    void set_backing_name(std::string name, std::string format) {
        backing_file_ = std::move(name);
        backing_format_ = std::move(format);
    }
    BlockMap& map() const { return *map_; }
    // When it is opened for writing, and when it becomes writable.
    virtual Task<Result<void>> start_writing() { return map_->start_writing(); }

protected:
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override { return map_->read(offset, memory); }
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override { return map_->write(offset, memory); }
    Task<Result<void>> do_write_zeroes(u64 offset, u64 length, u32 flags) override {
        return map_->write_zeroes(offset, length, flags);
    }
    Task<Result<void>> do_discard(u64 offset, u64 length) override { return map_->discard(offset, length); }
    Task<Result<void>> do_flush() override { return map_->flush(); }
    Task<Result<Extent>> do_status(u64 offset, u64 length) override { return map_->status(offset, length); }
    Task<Result<void>> do_close() override;
    Task<Result<void>> do_reopen(bool read_only) override;

    std::unique_ptr<BlockMap> map_;
    std::string backing_file_, backing_format_;
};

} // namespace mimic::block
