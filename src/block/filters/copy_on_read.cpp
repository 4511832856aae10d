#include "block/filters/copy_on_read.hpp"
#include "block/graph.hpp"
#include "block/ranges.hpp"
#include <algorithm>

namespace mimic::block {

extern const Driver copy_on_read_driver;

namespace {

constexpr u64 most_at_once = 1u << 20; // bytes of one copy

class CopyOnRead final : public Node {
public:
    CopyOnRead(Context& context, NodeOptions options)
        : Node(context, copy_on_read_driver, std::move(options))
        , ranges_(context.loop) {}

    u64 size() const override { return file()->size(); }
    u64 cluster_size() const override { return file()->cluster_size(); }
    bool has_zero_init() const override { return file()->has_zero_init(); }
    bool supports_compressed() const override { return file()->supports_compressed(); }
    ImageInfo info() const override { return file()->info(); }

protected:
    bool grows() const override { return true; }
    Task<Result<void>> do_read(u64 offset, const IoVec& memory) override {
        u64 end = offset < size() ? std::min(size(), offset + memory.length()) : offset, at = offset;
        while (at < end) {
            u64 n = end - at;
            CO_TRY(bool below, co_await only_below(at, n));
            // The copy may be of more than is asked for: all that the clusters hold.
            if (below) { CO_TRY(n, co_await copy(at, n)); }
            at += n;
        }
        co_return co_await file()->read(offset, memory);
    }
    // Writes and copies of the same clusters come one behind the other, or a copy would bring back what was overwritten.
    Task<Result<void>> do_write(u64 offset, const IoVec& memory) override {
        auto range = co_await ranges_.lock(offset, memory.length(), false);
        co_return co_await file()->write(offset, memory);
    }
    Task<Result<void>> do_write_compressed(u64 offset, const IoVec& memory) override {
        auto range = co_await ranges_.lock(offset, memory.length(), false);
        co_return co_await file()->write_compressed(offset, memory);
    }
    Task<Result<void>> do_write_zeroes(u64 offset, u64 length, u32 flags) override {
        auto range = co_await ranges_.lock(offset, length, false);
        co_return co_await file()->write_zeroes(offset, length, flags);
    }
    Task<Result<void>> do_discard(u64 offset, u64 length) override {
        auto range = co_await ranges_.lock(offset, length, false);
        co_return co_await file()->discard(offset, length);
    }
    Task<Result<void>> do_flush() override { return file()->flush(); }
    Task<Result<Extent>> do_status(u64 offset, u64 length) override { return file()->status(offset, length); }
    Task<Result<void>> do_truncate(u64 size, Prealloc prealloc) override { return file()->truncate(size, prealloc); }

private:
    // Does a layer below the image hold `offset`, and the image not? Lowers `length` to how far the answer holds.
    Task<Result<bool>> only_below(u64 offset, u64& length) {
        Node* image = skip_filters(file());
        CO_TRY(ChainExtent e, co_await status_above(*image, nullptr, offset, length));
        length = e.extent.length;
        co_return e.layer&& e.layer != image;
    }

    // Copies the clusters at `offset`, at least some of `length` bytes; gives how many of these are done.
    Task<Result<u64>> copy(u64 offset, u64 length) {
        u64 cluster = std::max<u64>(cluster_size(), 512), start = round_down(offset, cluster);
        u64 end = std::min(offset + length, std::max(start + cluster, round_down(start + most_at_once, cluster)));
        end = std::min(size(), round_up(end, cluster));
        auto range = co_await ranges_.lock(start, end - start, true);
        for (u64 at = start; at < end;) {
            u64 n = end - at;
            CO_TRY(bool below, co_await only_below(at, n));
            if (below) {
                CO_TRY(Buffer buffer, Buffer::create(n));
                IoVec memory = buffer.vec();
                CO_CHECK(co_await file()->read(at, memory));
                u32 flags = flag::unchanged;
                CO_CHECK(co_await file()->write(at, memory, flags));
            }
            at += n;
        }
        co_return std::min(end, offset + length) - offset;
    }

    RangeLocks ranges_;
};

Task<Result<NodePtr>> open_copy_on_read(Context& context, OpenArguments& a) {
    OptionReader reader(a.options, "Block driver 'copy-on-read'");
    CO_CHECK(reader.finish());
    co_return make_copy_on_read(context, a.common, a.file);
}

} // namespace

Result<NodePtr> make_copy_on_read(Context& context, NodeOptions options, NodePtr below) {
    if (below->read_only() || options.read_only)
        return Error::invalid_argument("'{}': Can't use copy-on-read on read-only device", below->filename());
    auto node = std::make_shared<CopyOnRead>(context, std::move(options));
    node->set_filename(below->filename());
    u8 perms = perm::consistent_read | perm::write | perm::write_unchanged | perm::resize;
    TRY(node->add_child(std::move(below), "file", perms, perm::consistent_read | perm::write_unchanged));
    return NodePtr(node);
}

MIMIC_BLOCK_DRIVER(copy_on_read) = {.name = "copy-on-read", .is_filter = true, .open = open_copy_on_read};

} // namespace mimic::block
