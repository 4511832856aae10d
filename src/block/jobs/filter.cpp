#include "block/jobs/filter.hpp"

namespace mimic::block {

namespace {
NodeOptions filter_options(NodeOptions o, const Node& source) {
    o.read_only = source.read_only();
    o.discard = DiscardMode::unmap; // the source decides
    return o;
}
} // namespace

JobFilter::JobFilter(Context& context, const Driver& driver, NodeOptions options, Node& source)
    : Node(context, driver, filter_options(std::move(options), source))
    , ranges(context.loop) {
    set_filename(source.filename());
}

Task<Result<void>> JobFilter::change(u64 offset, u64 length, Change c, bool discard) {
    if (before_write) CO_CHECK(co_await before_write(offset, length));
    if (around_write) co_return co_await around_write(offset, length, std::move(c), discard);
    co_return co_await c(*file());
}

Task<Result<void>> JobFilter::do_write(u64 offset, const IoVec& memory) {
    if (!before_write && !around_write) return file()->write(offset, memory);
    return change(offset, memory.length(), [offset, &memory](Node& n) { return n.write(offset, memory); });
}
Task<Result<void>> JobFilter::do_write_zeroes(u64 offset, u64 length, u32 flags) {
    if (!before_write && !around_write) return file()->write_zeroes(offset, length, flags);
    return change(offset, length, [=](Node& n) { return n.write_zeroes(offset, length, flags); });
}
Task<Result<void>> JobFilter::do_write_compressed(u64 offset, const IoVec& memory) {
    return change(offset, memory.length(), [offset, &memory](Node& n) {
        return n.supports_compressed() ? n.write_compressed(offset, memory) : n.write(offset, memory);
    });
}
Task<Result<void>> JobFilter::do_discard(u64 offset, u64 length) {
    if (!before_write && !around_write) return file()->discard(offset, length);
    return change(
        offset, length, [=](Node& n) { return n.discard(offset, length); }, true);
}

const Driver copy_before_write_driver = {.name = "copy-before-write", .is_filter = true};
const Driver mirror_top_driver = {.name = "mirror_top", .is_filter = true};
const Driver commit_top_driver = {.name = "commit_top", .is_filter = true};
// The reference has a filter of general use in this place, which shows under this name.
const Driver stream_top_driver = {.name = "copy-on-read", .is_filter = true};

} // namespace mimic::block
